"""Calls to kernels as they are kept on a tape."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from lcrp.composites.arithmetic import convolved

FASTER = {torch.ops.aten.convolution.default: convolved}


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor that differs from run to run, by its number."""

    number: int


class Call:
    """A kernel, what it takes, and the numbers of what it gives.

    Args:
        function: the kernel.
        args: what it takes, with a `Value` in the place of what differs, itself or within a list.
        kwargs: by name.
        results: numbers of what it gives; None for what is no tensor.
    """

    def __init__(
        self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], results: tuple[int | None, ...]
    ) -> None:
        self.function, self.args, self.kwargs, self.results = function, args, kwargs, results
        self.inputs = tuple(leaf.number for leaf in tree_leaves((args, dict(kwargs))) if isinstance(leaf, Value))
        self._kernel = FASTER.get(function, function)

    @property
    def writes(self) -> bool:
        """Whether it writes into what it takes."""
        return bool(self.function._schema.is_mutable)

    def with_constants(self, constant: Callable[[Any], Any]) -> "Call":
        """The call with something in the place of everything that it takes but values."""

        def given(leaf: Any) -> Any:
            return leaf if isinstance(leaf, Value) else constant(leaf)

        return Call(self.function, tree_map(given, self.args), tree_map(given, dict(self.kwargs)), self.results)

    def with_values(self, value: Callable[[int], Any]) -> Any:
        """What the kernel gives, with something in the place of every value."""

        def given(leaf: Any) -> Any:
            if isinstance(leaf, Value):
                return value(leaf.number)
            return [given(one) for one in leaf] if isinstance(leaf, list | tuple) else leaf

        return self._kernel(*map(given, self.args), **{name: given(leaf) for name, leaf in self.kwargs.items()})
