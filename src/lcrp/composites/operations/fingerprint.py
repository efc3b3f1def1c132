"""Whether weights are what they were, also where no version tells: ``data``, numpy and C++ write unseen."""

from collections.abc import Iterable

import torch

from lcrp.composites.operations.memory import has_equal

_VALUES = 256  # at least so many of a tensor are looked at, or all
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Fingerprint:
    """Values of tensors here and there: all of small ones, of large ones every so many.

    Args:
        tensors: whose.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._tensors = [one for one in tensors if one.dtype in _DTYPES and one.layout is torch.strided]
        self._places: list[int] = []
        self._views: list[list[torch.Tensor]] = []
        self._values: list[torch.Tensor] = []

    def has_changed(self) -> bool:
        """Whether any is another one than when this was asked before, or lies elsewhere."""
        places = [one.data_ptr() for one in self._tensors]
        is_moved = places != self._places
        if is_moved:
            groups: dict[object, list[torch.Tensor]] = {}
            for one in self._tensors:
                groups.setdefault((one.dtype, one.device), []).append(_sample(one.detach()))
            self._places, self._views = places, list(groups.values())
        values = [torch.cat(views) for views in self._views]
        has_changed = is_moved or not all(map(has_equal, values, self._values))
        self._values = values
        return has_changed


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    """Some of its values, as a view [N]."""
    order = sorted(range(tensor.ndim), key=tensor.stride, reverse=True)
    dense = tensor.permute(order)
    if not dense.is_contiguous():  # a view itself: one line through it
        while dense.ndim > 1:
            dense = dense.diagonal()
        return dense.reshape(-1)
    return dense.view(-1)[:: tensor.numel() // _VALUES | 1]  # odd: not always the same of 2^n channels
