"""A CUDA device that is not there: torch's fake tensors carry shapes and devices, and compute nothing.

Where tensors of two devices meet they raise, as a real device would. What only data can tell is answered with
constants: every number that is read is the same, every place of a mask is true, NMS keeps all boxes, and gradients,
whose engine needs a real device, are zero.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
import torchvision  # noqa: F401 - registers its operations
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

CUDA = torch.device("cuda", 0)
Tensors = torch.Tensor | Sequence[torch.Tensor]


@contextmanager
def pretended_cuda(number: float) -> Iterator[None]:
    """Tensors made within are fake, and `number` is what every element of theirs is, where a program reads one."""
    with patch("torch.autograd.grad", _zeros), FakeTensorMode(), _Answers(number):
        yield


def is_possible() -> bool:
    """Whether this torch needs no driver to lay fake tensors in channels last: 2.6 asks for one."""
    with pretended_cuda(1.0):
        try:
            torch.zeros(2, 3, 3, 3, device=CUDA).contiguous(memory_format=torch.channels_last)
        except RuntimeError:
            return False
    return True


def moved(network: nn.Module) -> nn.Module:
    """A real network, its parameters and buffers replaced by fake ones on the pretended device."""
    for module in network.modules():
        for name, values in module._parameters.items():
            if values is not None:
                module._parameters[name] = nn.Parameter(_fake(values), requires_grad=False)
        for name, values in module._buffers.items():
            if values is not None:
                module._buffers[name] = _fake(values)
    return network


class _Answers(TorchDispatchMode):
    """Answers operations whose result, or its shape, depends on data."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self._number = number
        self._answers: dict[Any, Callable[..., Any]] = {
            torch.ops.aten._local_scalar_dense.default: self._element,
            torch.ops.aten.nonzero.default: _all_places,
            torch.ops.aten._pin_memory.default: lambda values, *_: values.clone(),
            torch.ops.aten.bincount.default: lambda values: values.new_zeros(1),
            torch.ops.torchvision.nms.default: lambda boxes, *_: torch.arange(len(boxes), device=boxes.device),
        }

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function is torch.ops.aten.index.Tensor:
            args = (args[0], [place for index in args[1] for place in _places(index)])
        return self._answers.get(function, function)(*args, **(kwargs or {}))

    def _element(self, values: torch.Tensor) -> bool | int | float:
        if values.dtype == torch.bool:
            return True
        return self._number if values.is_floating_point() else 1


def _all_places(mask: torch.Tensor) -> torch.Tensor:
    return torch.zeros(mask.numel(), mask.ndim, dtype=torch.int64, device=mask.device)


def _places(index: torch.Tensor | None) -> Sequence[torch.Tensor | None]:
    """An index as it is, or all places of a mask, one tensor per axis."""
    if index is None or index.dtype != torch.bool:
        return (index,)
    return _all_places(index).unbind(1)


def _zeros(outputs: Tensors, inputs: Tensors, seeds: Tensors, **_: Any) -> tuple[torch.Tensor, ...]:
    """Gradients of the inputs; every seed must lie where its output does."""
    for output, seed in zip(_several(outputs), _several(seeds), strict=True):
        assert seed.shape == output.shape
        assert seed.device == output.device
    return tuple(torch.zeros_like(end) for end in _several(inputs))


def _several(tensors: Tensors) -> Sequence[torch.Tensor]:
    return (tensors,) if isinstance(tensors, torch.Tensor) else tensors


def _fake(values: torch.Tensor) -> torch.Tensor:
    return torch.empty(values.shape, dtype=values.dtype, device=CUDA)
