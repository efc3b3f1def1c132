"""How often a program would wait for a GPU, counted without one."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from traceback import extract_stack
from typing import Any

import pytest
import torch
import torchvision  # noqa: F401 - registers its operations
from torch.utils._python_dispatch import TorchDispatchMode

from lcrp.values import devices

ATEN = torch.ops.aten
ASKING = {  # operations whose result, or its shape, the program must know to go on
    ATEN._local_scalar_dense.default,
    ATEN.is_nonzero.default,
    ATEN.equal.default,
    ATEN.nonzero.default,
    ATEN.masked_select.default,
    ATEN.bincount.default,
    ATEN._unique2.default,
    ATEN.repeat_interleave.Tensor,
    torch.ops.torchvision.nms.default,
}
INDEXED = {ATEN.index.Tensor, ATEN.index_put_.default, ATEN.index_put.default, ATEN._index_put_impl_.default}
MOVED = {ATEN._to_copy.default, ATEN.copy_.default}


class Fetched(torch.Tensor):
    """What was fetched, and what is made of it: a look at it is free."""


class Waits(TorchDispatchMode):
    """Notes where the program would wait.

    Attributes:
        found: how often, by file and line of the package and the operation; a wait that is meant is called 'fetched'.
    """

    def __init__(self, *, as_on_a_gpu: bool) -> None:
        super().__init__()
        self._as_on_a_gpu = as_on_a_gpu
        self.found: Counter[str] = Counter()
        self._is_meant = False

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if not self._is_meant and self._is_wait(function, args, out):
            place = next((one for one in reversed(extract_stack()) if "/lcrp/" in one.filename), None)
            where = "?" if place is None else f"{place.filename.partition('/lcrp/')[2]}:{place.lineno}"
            self.found[f"{where} {function}"] += 1
        return out

    def _is_wait(self, function: Any, args: tuple[Any, ...], out: Any) -> bool:
        if function in MOVED:
            source = args[1 if function is ATEN.copy_.default else 0]
            return source.device.type != out.device.type
        if function not in ASKING | INDEXED or (not self._as_on_a_gpu and args[0].device.type == "cpu"):
            return False
        if function in INDEXED:
            return any(one is not None and one.dtype in (torch.bool, torch.uint8) for one in args[1])
        return not isinstance(args[0], Fetched)

    @property
    def num_meant(self) -> int:
        """How often the program fetched numbers."""
        return self.found["fetched"]

    @property
    def others(self) -> dict[str, int]:
        """Where else it would wait."""
        return {place: count for place, count in self.found.items() if place != "fetched"}

    def meant(self, function: Callable[..., Any], name: str | None) -> Callable[..., Any]:
        """A function that may wait."""

        def waiting(*args: Any) -> Any:
            if name is not None:
                self.found[name] += 1
            before, self._is_meant = self._is_meant, True
            try:
                out = function(*args)
            finally:
                self._is_meant = before
            return [one.as_subclass(Fetched) for one in out] if name is not None and self._as_on_a_gpu else out

        return waiting


@contextmanager
def counted_waits(*, as_on_a_gpu: bool = True) -> Iterator[Waits]:
    """Waits within the block.

    Args:
        as_on_a_gpu: whether the CPU is one of the devices that are waited for, as a GPU is.
    """
    counting = Waits(as_on_a_gpu=as_on_a_gpu)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "fetched", counting.meant(devices.fetched, "fetched"))
        patch.setattr(devices, "sent", counting.meant(devices.sent, None))
        if as_on_a_gpu:
            patch.setattr(devices, "waits", lambda values: True)  # noqa: ARG005
        with counting:
            yield counting
