"""What rules keep of a forward pass, and whether the network wrote into it.

Rules keep memory as it is; whether any of it was overwritten is looked up once the pass is over, by the version that
torch counts for all memory. Then the pass is done again, and rules keep copies.
"""

import weakref
from collections.abc import Mapping
from typing import Any

import torch

from lcrp.composites.closed_form import Step
from lcrp.composites.operations.memory import has_equal
from lcrp.composites.operations.origin import copied


class CopiesNeededError(Exception):
    """A pass cannot go on unless rules keep copies."""


class Kept:
    """What rules keep of one forward pass.

    Attributes:
        copies: whether they keep copies, into which no network writes.
    """

    def __init__(self, *, copies: bool = False) -> None:
        self.copies = copies
        self._versions: list[tuple[weakref.ref[torch.Tensor], int]] = []
        self._arrays: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._is_overwritten = False

    def note(self, *tensors: torch.Tensor) -> None:
        """Tensors are kept as they are now; for as long as whoever keeps them lives."""
        self._versions += [(weakref.ref(one), one._version) for one in tensors]

    def by(self, step: Step) -> None:
        """A step keeps what it keeps."""
        if self.copies:
            step.keep_copies()
        else:
            self.note(*step.kept())

    def check(self, tensor: torch.Tensor, version: int) -> None:
        """A tensor is kept as it was at a version."""
        self._is_overwritten = self._is_overwritten or tensor._version != version

    def overwritten(self) -> None:
        """What is kept may have changed in a way that no version tells."""
        self._is_overwritten = True

    def note_array(self, tensor: torch.Tensor) -> None:
        """Numpy may write into the memory of a tensor, of which no version tells."""
        if not self.copies:
            self._arrays.append((tensor.detach(), tensor.detach().clone()))

    def own(self, x: torch.Tensor) -> torch.Tensor:
        """A signal; where copies are kept, one of its own that differs in nothing else."""
        return copied(x) if self.copies else x

    def values(self, values: Any) -> Any:
        """Arguments that are kept, each as it is now; of lists, tuples and mappings, their members."""
        if isinstance(values, torch.Tensor):
            if self.copies:
                return copied(values)
            self.note(values)
            return values
        if isinstance(values, list | tuple) and not hasattr(values, "_fields"):
            return type(values)(self.values(value) for value in values)
        if isinstance(values, Mapping):
            return {name: self.values(value) for name, value in values.items()}
        return values

    def is_overwritten(self) -> bool:
        """Whether anything that is kept has changed since."""
        if self.copies:
            return False
        tensors = ((kept(), version) for kept, version in self._versions)
        return (
            self._is_overwritten
            or any(one is not None and one._version != version for one, version in tensors)
            or any(not has_equal(now, before) for now, before in self._arrays)
        )
