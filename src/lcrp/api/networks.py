"""A person's own network: what it is told apart by, and whether it answers as its task demands.

Axes: B batch, K class, H W picture.
"""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from lcrp.attribution.plain import alone_with
from lcrp.errors import ConfigError
from lcrp.values.prediction import DetectorOutput

OPERATIONS = "operations"  # in the architecture of a network that came as an object


def placed_network(network: nn.Module, device: torch.device | None, dtype: torch.dtype) -> nn.Module:
    """The network itself if it lies there as asked for, else a copy that does.

    Args:
        network: a person's own; one that was made in inference mode is copied, too.
        device: None for wherever it is.
        dtype: of its floating point parameters.

    Raises:
        ConfigError: it has no parameters, or a copy is needed and cannot be made.
    """
    first = next(network.parameters(), None)
    if first is None:
        raise ConfigError(f"{_named(network)} has no parameters: there is nothing to explain")
    device = device or first.device
    floats = {one.dtype for one in network.parameters() if one.is_floating_point()}
    has_inference = any(one.is_inference() for one in network.parameters())  # such take no part in gradients
    if first.device == device and floats <= {dtype} and not has_inference:
        return network
    try:
        with alone_with(network):
            return copy.deepcopy(network).requires_grad_(False).to(device, dtype)
    except Exception as error:  # whatever a person's module raises when it is copied
        raise ConfigError(
            f"{_named(network)} is {first.dtype} on {first.device} and cannot be copied to {dtype} on {device} "
            f"({' '.join(str(error).split())}); move it yourself"
        ) from error


def architecture_of(network: nn.Module, size: tuple[int, int]) -> dict[str, object]:
    """What tells a network from others that hold the same weights: its class, and what it does in one pass.

    Args:
        network: any.
        size: (height, width) of its input.

    Returns:
        Plain values; `operations` is the sha256 of the list of all calls of torch with their plain arguments.
    """
    calls = _Calls()
    with calls:
        probed(network, size)
    listed = "\n".join(calls.found)
    return {
        "_target_": f"{type(network).__module__}.{type(network).__qualname__}",
        OPERATIONS: hashlib.sha256(listed.encode()).hexdigest(),
    }


def weights_sha256(network: nn.Module) -> str:
    """The sha256 of a state dict: names in order, types, shapes and bytes."""
    digest = hashlib.sha256()
    with alone_with(network):
        for name, value in sorted(network.state_dict().items()):
            if not isinstance(value, torch.Tensor):
                digest.update(f"{name} {value!r}\n".encode())
                continue
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def probed(network: nn.Module, size: tuple[int, int]) -> object:
    """What a network answers to one black picture, in evaluation mode; it is left as it was.

    Args:
        network: any.
        size: (height, width) of its input.

    Raises:
        ConfigError: it fails on such an input.
    """
    like = next(network.parameters())
    with alone_with(network), _evaluating(network), torch.no_grad():
        try:
            return network(torch.zeros(1, 3, *size, device=like.device, dtype=like.dtype))
        except Exception as error:  # whatever a person's module raises
            raise ConfigError(
                f"{_named(network)} fails on one picture of {size[0]} x {size[1]} pixels, [1, 3, H, W]: "
                f"{' '.join(str(error).split()) or type(error).__name__}"
            ) from error


def check_answer(network: nn.Module, size: tuple[int, int], task: str, num_classes: Sequence[int]) -> int:
    """Refuse a network whose output is not what its task demands.

    Args:
        network: any.
        size: (height, width) of its input.
        task: 'detection' or 'segmentation'.
        num_classes: how many it may have; the number of names first.

    Returns:
        How many it has.

    Raises:
        ConfigError: it is of another kind, or of another number of classes.
    """
    output = probed(network, size)
    wanted, found, columns = _CHECKS[task](output)
    if columns is None:
        raise ConfigError(f"{_named(network)} returns {found}, but {task} needs {wanted}")
    if columns not in num_classes:
        raise ConfigError(f"{_named(network)} knows {columns} classes, but {num_classes[0]} class_names are given")
    if isinstance(output, torch.Tensor) and (len(output), *output.shape[2:]) != (1, *size):
        raise ConfigError(
            f"{_named(network)} returns {found} for [1, 3, {size[0]}, {size[1]}], but a class is needed for every "
            "pixel: resize the logits to the input's height and width within forward"
        )
    return columns


def _segmented(output: object) -> tuple[str, str, int | None]:
    """What is wanted, what is there, and the number of classes if it is of the right kind."""
    is_right = isinstance(output, torch.Tensor) and output.ndim == 4
    return "logits [B, K, H, W], one column per class name", _described(output), output.shape[1] if is_right else None  # type: ignore[attr-defined]


def _detected(output: object) -> tuple[str, str, int | None]:
    wanted = "lcrp.values.prediction.DetectorOutput: boxes and logits before any selection"
    columns = output.class_logits.shape[-1] - output.has_background if isinstance(output, DetectorOutput) else None
    return wanted, _described(output), columns


_CHECKS: Mapping[str, Callable[[object], tuple[str, str, int | None]]] = {
    "detection": _detected,
    "segmentation": _segmented,
}


def _described(output: object) -> str:
    if isinstance(output, torch.Tensor):
        return f"a tensor {list(output.shape)}"
    if isinstance(output, Mapping):
        return f"a {type(output).__name__} with {', '.join(map(repr, output))}"
    return f"a {type(output).__name__}"


def _named(network: nn.Module) -> str:
    return f"the network {type(network).__name__}"


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode within the block, whatever mode every module was in."""
    training = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        yield
    finally:
        for module, was_training in training:
            module.training = was_training


class _Calls(TorchFunctionMode):
    """Lists calls of torch: names, and arguments that are plain values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called in place of a function of torch."""
        name = resolve_name(func) or getattr(func, "__name__", "")
        self.found.append(f"{name}({_plain(args)}, {_plain(kwargs or {})})")
        return func(*args, **(kwargs or {}))


def _plain(value: object) -> str:
    """Plain values as they are, tensors by their shape, all else by its type: the same in every process."""
    if isinstance(value, bool | int | float | str | torch.dtype | None):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return f"tensor{tuple(value.shape)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return type(value).__name__
