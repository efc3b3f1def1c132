"""Calls to kernels as they are kept on a tape."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from lcrp.composites.arithmetic import convolved

FASTER = {torch.ops.aten.convolution.default: convolved}


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor that differs from run to run, by its number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A kernel, what it takes, and the numbers of what it gives; None for what is no tensor."""

    function: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[int | None, ...]

    def inputs(self) -> Iterator[int]:
        """Numbers of the values that it takes."""
        for leaf in tree_leaves((self.args, dict(self.kwargs))):
            if isinstance(leaf, Value):
                yield leaf.number

    @property
    def writes(self) -> bool:
        """Whether it writes into what it takes."""
        return bool(self.function._schema.is_mutable)

    def with_values(self, value: Callable[[int], Any]) -> Any:
        """What the kernel gives, with something in the place of every value."""

        def given(leaf: Value) -> Any:
            return value(leaf.number)

        args, kwargs = tree_map_only(Value, given, (self.args, dict(self.kwargs)))
        return FASTER.get(self.function, self.function)(*args, **kwargs)
