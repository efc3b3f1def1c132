"""A person's own network: what it is told apart by, and whether it answers as its task demands.

Axes: B batch, K class, H W picture.
"""

import copy
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode, resolve_name

from lcrp.attribution.answers import probed
from lcrp.attribution.plain import alone_with
from lcrp.errors import ConfigError
from lcrp.models.library import library_of

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
    kind = type(library_of(network))
    return {
        "_target_": f"{kind.__module__}.{kind.__qualname__}",
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


def _named(network: nn.Module) -> str:
    return f"the network {type(network).__name__}"
