"""Functions of one tensor that are asked again and again: what does not depend on it, or is not needed, runs once.

What a result depends on is seen while it is computed for the first time: a tape of calls to kernels, cut to those that
lie between the tensor and the result, and of maps to the places that the result needs. A network of which one layer is
altered runs again only from that layer on, and only as far, and as wide, as the one logit needs that is read out.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakIdKeyDictionary

from lcrp.attribution.replay.calls import Call, Value
from lcrp.attribution.replay.needs import needed_places, parts_of
from lcrp.attribution.replay.pieces import Piece, Step
from lcrp.attribution.replay.rows import RowsError, RowsOnce, is_repeated

CHECKS = 2  # how often a tape is compared with the function
TOLERANCE = 1e-5  # of the largest result, or of 1: how far kernels may differ for maps of other sizes

log = logging.getLogger(__name__)

_aten = torch.ops.aten
_READING = (  # values that become numbers, sizes or places in memory, of which a tape knows nothing
    _aten._local_scalar_dense,
    _aten._reshape_alias,
    _aten.as_strided,
    _aten.equal,
    _aten.is_nonzero,
    _aten.masked_select,
    _aten.nonzero,
)


class Replayed:
    """A function of a tensor, which runs again for other values of the same shape.

    What the function says of the first row of the first values, given for all rows, is recorded, so that what treats
    rows alone runs for one of them. Then the first call and the second one run the function, and what its tape says; if
    these differ, or if values of the tensor were looked at on the way, the function runs every time.

    Args:
        function: of a tensor [V, ...]. Its result is a tensor; everything else that it looks at must stay as it is.
        is_like_checked: whether the tape of such a function, with other constants, was right for two tensors: then
            this one is compared with what was recorded alone.
    """

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor], *, is_like_checked: bool = False) -> None:
        self._function, self._is_like_checked = function, is_like_checked
        self._tape: _Tape | None = None
        self._shape: torch.Size | None = None
        self._num_checks = 0

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """The function's result."""
        if self._shape is None:
            self._shape = values.shape
            self._record(values)
        if self._tape is None or values.shape != self._shape:
            return self._function(values)
        if self.is_checked:
            return self._tape.run(values)
        result = self._function(values)
        self._check(result, values)
        return result

    def _record(self, values: torch.Tensor) -> None:
        """Keep a tape that tells what was recorded, if there is one."""
        alike = values[:1].clone().expand_as(values) if values.ndim else values.clone()  # a function may write it
        try:
            with torch.no_grad(), RowsOnce(), _Recording(alike) as recording:
                result = self._function(alike)
        except RowsError as error:  # one of the rows that are one is written
            log.debug("%s", error)
            alike = values.clone()
            with torch.no_grad(), _Recording(alike) as recording:
                result = self._function(alike)
        self._tape = recording.tape(result)
        if self._tape is not None and self._is_like_checked:
            with RowsOnce():
                self._check(result, alike)
            self._num_checks = CHECKS

    def _check(self, result: torch.Tensor, values: torch.Tensor) -> None:
        """Keep the tape only if it tells the result."""
        self._num_checks += 1
        if not self._tells(result, values):
            self._tape = None

    def _tells(self, result: torch.Tensor, values: torch.Tensor) -> bool:
        """Whether the tape tells a result; what it cannot run, it does not."""
        assert self._tape is not None
        try:
            again = self._tape.run(values)
        except (RuntimeError, RowsError) as error:  # a view of values that lie otherwise in memory
            log.debug("%s", error)
            return False
        scale = max(1.0, float(result.detach().abs().max()) if result.numel() else 0.0)
        return again.shape == result.shape and torch.allclose(again, result, rtol=0, atol=TOLERANCE * scale)

    @property
    def is_cut(self) -> bool:
        """Whether not all of the function runs again."""
        return self._tape is not None

    @property
    def is_checked(self) -> bool:
        """Whether its tape was right, as often as it was compared."""
        return self._tape is not None and self._num_checks >= CHECKS


class _Tape:
    """Calls that lead from a tensor to a result, in order.

    Args:
        calls: of kernels, of which only those stay that lead to the result.
        result: number of the result; that of the tensor is 0.
        blanks: zeros in the place of all values, by number.
        memory: group of values that share theirs, by number.
    """

    def __init__(self, calls: list[Call], result: int, blanks: list[torch.Tensor], memory: list[int]) -> None:
        shapes = [blank.shape for blank in blanks]
        cut, needed = needed_places(calls, result, shapes, memory)
        cut = _with_own_rows(cut)
        parts = parts_of(cut, needed, shapes, memory)
        self._result = result
        self._steps = [Step(call, parts, shapes, blanks) for call in cut]
        last = {number: place for place, call in enumerate(cut) for number in call.inputs}
        self._used = {*last, result}
        self._done = [
            [number for number in set(call.inputs) if last[number] == place and number != result]
            for place, call in enumerate(cut)
        ]

    def run(self, values: torch.Tensor) -> torch.Tensor:
        """The result for other values."""
        known = {0: Piece(values, None, values.shape)}
        with torch.no_grad():
            for step, done in zip(self._steps, self._done, strict=True):
                found = step(known)
                for taken in done:  # memory is given back as soon as it can be
                    known.pop(taken, None)
                for number, piece in zip(step.call.results, found, strict=False):
                    if number is not None and piece is not None and number in self._used:
                        known[number] = piece
        return known[self._result].whole()


class _Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees which kernels run, and which of them depend on a tensor."""

    def __init__(self, source: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._numbers: Any = WeakIdKeyDictionary()
        self._numbers[source] = 0
        self._blanks = [_blank(source)]
        self._memory = [0]
        self._calls: list[Call] = []
        self._is_known = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One call to a kernel."""
        options = dict(kwargs or {})
        taken = [self._value(leaf) for leaf in tree_leaves((args, options))]
        numbers = [leaf.number for leaf in taken if isinstance(leaf, Value)]
        if not numbers:
            return func(*args, **options)
        told = tree_map(self._value, args), tree_map(self._value, options)
        self._is_known &= func.overloadpacket not in _READING and not self._writes_elsewhere(func, args)
        result = func(*args, **options)
        is_shared = any(one.alias_info is not None for one in func._schema.returns)
        memory = self._memory[numbers[0]] if is_shared else None
        results = tuple(self._numbered(leaf, memory) for leaf in tree_leaves(result))
        self._calls.append(Call(func, *told, results))
        return result

    def tape(self, result: torch.Tensor) -> _Tape | None:
        """The calls that a result needs; None if that is not known, or nothing depends on the tensor."""
        end = self._numbers.get(result)
        if not self._is_known or end is None:
            return None
        return _Tape(self._calls, end, self._blanks, self._memory)

    def _value(self, leaf: Any) -> Any:
        number = self._numbers.get(leaf) if isinstance(leaf, torch.Tensor) else None
        return leaf if number is None else Value(number)

    def _numbered(self, leaf: Any, memory: int | None) -> int | None:
        """A new number for a result, a tensor that was written included."""
        if not isinstance(leaf, torch.Tensor):
            return None
        number = len(self._memory)
        self._numbers[leaf] = number
        self._blanks.append(_blank(leaf))
        self._memory.append(number if memory is None else memory)
        return number

    def _writes_elsewhere(self, func: Any, args: tuple[Any, ...]) -> bool:
        """Whether something that does not depend on the tensor is written, which would stay so."""
        written = (
            value
            for value, argument in zip(args, func._schema.arguments, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write
        )
        return func._schema.is_mutable and not all(isinstance(self._value(value), Value) for value in written)


def _with_own_rows(calls: list[Call]) -> list[Call]:
    """The calls, whose constants have a place for every row, in the order in which kernels are fast."""
    own: Any = WeakIdKeyDictionary()

    def constant(leaf: Any) -> Any:
        if not is_repeated(leaf):
            return leaf
        if leaf not in own:
            is_last = leaf.ndim == 4 and leaf.stride(1) == 1  # a part of the channels included
            own[leaf] = leaf.contiguous(memory_format=torch.channels_last if is_last else torch.contiguous_format)
        return own[leaf]

    return [one.with_constants(constant) for one in calls]


def _blank(like: torch.Tensor) -> torch.Tensor:
    """Zeros in the shape of a tensor that take no memory."""
    return like.new_zeros(()).expand(like.shape)
