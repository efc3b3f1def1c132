"""Whether what a network does depends on the order in which its tensors lie in memory.

Pictures and kernels lie in channels last, which is faster. That alters no value, but it shows: where strides are
asked for, and where what may be a view or a copy (contiguous, reshape) is written into. Then the pass is done again in
the network's own order.
"""

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from lcrp.composites.operations.signals import Arguments, Function, Options, is_writing

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules

NAMES = "stride is_contiguous as_strided as_strided_copy untyped_storage dim_order"
EITHER = "contiguous reshape reshape_as flatten ravel"


def _found(names: str) -> Iterator[object]:
    for space in (torch, torch.Tensor):
        yield from (getattr(space, name) for name in names.split() if hasattr(space, name))


SHOWING, _EITHER = frozenset(_found(NAMES)), frozenset(_found(EITHER))


class Order:
    """What is seen of the order of memory in one forward pass.

    Attributes:
        matters: whether a network looks at it, or writes into what is a view or a copy by it.
    """

    def __init__(self) -> None:
        self.matters = False
        self._either: dict[int, weakref.ref[torch.Tensor]] = {}

    def either(self, *tensors: torch.Tensor) -> None:
        """These share their memory, or do not, by its order."""
        for one in tensors:
            base = one if one._base is None else one._base
            self._either[id(base)] = weakref.ref(base)

    def written(self, target: torch.Tensor) -> None:
        """A tensor is written into."""
        if self._either and not self.matters:
            base = target if target._base is None else target._base
            found = self._either.get(id(base))
            self.matters = found is not None and found() is base


def shown(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Strides, and what is made by them."""
    mode.written.order.matters = True
    return mode.native(func, args, kwargs)


def either(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """A view, or a copy where memory lies in another order."""
    out = mode.native(func, args, kwargs)
    if isinstance(out, torch.Tensor) and isinstance(args[0], torch.Tensor):
        mode.written.order.either(args[0], out)
    return out


class Watch(TorchFunctionMode):
    """Within its context it is seen whether a network that runs without rules looks at the order of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.order = Order()

    def __torch_function__(
        self, func: Function, types: object, args: Arguments = (), kwargs: Options | None = None
    ) -> Any:
        """One call of a function of torch."""
        self.order.matters = self.order.matters or func in SHOWING
        if args and isinstance(args[0], torch.Tensor) and is_writing(func):
            self.order.written(args[0])
        out = func(*args, **(kwargs or {}))
        if args and func in _EITHER:
            self.order.either(args[0], out)
        return out
