"""What a network writes in place: computed out of place, since rules keep what was there before."""

import weakref
from collections.abc import Mapping
from typing import Any

import torch


class Written:
    """Which tensor stands for which now, in one forward pass.

    Attributes:
        any: whether anything was written.
    """

    def __init__(self) -> None:
        self.any = False
        self._instead: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._viewed: dict[int, weakref.ref[torch.Tensor]] = {}

    def note(self, out: torch.Tensor) -> None:
        """An output may be a view: what is written into one of the two changes the other."""
        base = out._base
        if base is not None:
            self._viewed[id(base)] = weakref.ref(base)

    def write(self, written: torch.Tensor, now: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """A value is written into a tensor.

        Args:
            written: the tensor, as the network has it.
            now: what stands for it so far.
            value: what it becomes.

        Returns:
            What the call returns to the network.
        """
        if value is now:
            return written
        viewed = self._viewed.get(id(now))
        if now._is_view() or (viewed is not None and viewed() is now):
            with torch.no_grad() if not value.requires_grad else torch.enable_grad():
                return now.copy_(value)
        self.any = True
        self._instead[id(now)] = (now, value)
        return value

    def current(self, values: Any) -> Any:
        """Values, each as it is now; of lists, tuples and mappings, their members."""
        if isinstance(values, torch.Tensor):
            while id(values) in self._instead:
                values = self._instead[id(values)][1]
            return values
        if isinstance(values, list | tuple) and not hasattr(values, "_fields"):
            return type(values)(self.current(value) for value in values)
        if isinstance(values, Mapping):
            return {name: self.current(value) for name, value in values.items()}
        return values
