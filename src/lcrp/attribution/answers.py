"""Whether networks answer as their task demands.

Axes: B batch, K class, H W picture.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from lcrp.attribution.own_state import OwnState
from lcrp.attribution.plain import alone_with
from lcrp.errors import ConfigError
from lcrp.values.prediction import DetectorOutput


def probed(network: nn.Module, size: tuple[int, int]) -> object:
    """What a network answers to one black picture, in evaluation mode; it is left as it was.

    Args:
        network: any.
        size: (height, width) of its input.

    Raises:
        ConfigError: it fails on such an input.
    """
    like = next(network.parameters())
    with alone_with(network), _given_back(network), _evaluating(network), torch.no_grad():
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
    wanted = (
        "lcrp.values.prediction.DetectorOutput: boxes and logits before any selection; or a mapping with boxes, scores "
        "and labels of the detections that are kept"
    )
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


@contextmanager
def _given_back(network: nn.Module) -> Iterator[None]:
    """Within the block the network may alter what it keeps; afterwards all of it is as it was."""
    with torch._C.DisableTorchFunction():  # no doing of the network
        state = OwnState(network)
        for parameter in network.parameters():
            state.about_to_write(parameter)
    try:
        yield
    finally:
        with torch._C.DisableTorchFunction():
            state.give_back()


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


def _named(network: nn.Module) -> str:
    return f"the network {type(network).__name__}"
