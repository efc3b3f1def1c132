"""Rules in closed form: what does not depend on the relevance is computed once for all backward rounds.

A rule takes the place of an operation's derivative: an autograd function, whose gradient is the relevance of the input.
zennit's general engine calls the layer anew instead, once per modified weight, in every round.

Gradients between layers may be `Windowed`: what reads them other than by torch's operations takes `whole` of them
first. Those of leaves, such as the picture, are ordinary tensors.

Every rule passes relevance on for each sample alone. Terms are left out only where they are exactly zero for the whole
batch, so that batch mates change no bit.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, ClassVar, Literal

import torch

from lcrp.composites.arithmetic import has_negative
from lcrp.composites.bookkeeper import Bookkeeper, Keeper
from lcrp.composites.families import EVERY, Family
from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.operations.values import Operation
from lcrp.composites.windowed import Part, cut, everywhere, joined, pieces_of, whole
from lcrp.composites.windows import Window, can_have_windows, window_of
from lcrp.values import devices

Tensors = tuple[torch.Tensor, ...]


class Rule(ABC):
    """How relevance passes an operation.

    Attributes:
        explains: the families of operations that it knows a way through.
        conserves: whether it makes and loses no relevance but for constants and stabilisers.
        follows_sign: whether inputs that raise a negative output get relevance of the other sign than the output's, as
            shares of it do; None for rules that hand relevance on.
    """

    explains: ClassVar[frozenset[Family]] = EVERY
    conserves: ClassVar[bool] = True
    follows_sign: ClassVar[bool | None] = None

    @abstractmethod
    def step_type(self, operation: Operation) -> "type[Step]":
        """What is kept of a forward pass of an operation."""


class Step(ABC):
    """One forward pass of a layer, kept for the backward rounds.

    What they share is computed in the first of them, so layers that no relevance reaches cost nothing. Large maps are
    treated sample by sample on CPUs, each within the window that its relevance reaches. No round depends on those
    before: either all of a map is prepared, or every window by itself.

    Args:
        rule: the operation's.
        operation: what is computed.
        inputs: of the operation, detached.
        y: its output, detached; let go when it is no longer needed.
        norm_epsilon: None, or that of the rule of a norm that was merged into a linear map. Behind the map the norm is
            the identity, but its rule, epsilon, scales relevance by y / stab(y); that factor becomes part of this rule,
            and the relevance that is recorded between the two is that of the norm's output.
        few_rounds: whether few rounds follow, which then prepare no more than the windows that they reach. What is not
            prepared for all rounds is computed again in each, and takes half as much memory again.
        bookkeeper: is told what the operation keeps of relevance.
        row: the picture, of a step that keeps one only.

    Attributes:
        inputs: what rounds multiply by, in the shape of the input.
        shapes: of the inputs.
        shares: what rounds multiply by, in the shape of the output; made by `prepare`.
        layer: in which the operation runs.
        in_windows: whether `prepare` and `lower` use nothing else of these shapes, so that they hold in windows too.
        reads_signs: whether less is computed where no input is negative.
        has_negative: whether one is; None where nobody has looked yet.
        dtype: to which relevance of the output is cast first, where it is another one.
        keeps: what relevance that does not reach the inputs is kept for, but for the shares of biases.
    """

    reads_input: ClassVar[bool] = True
    reads_output: ClassVar[bool] = False
    reads_signs: ClassVar[bool] = False
    in_windows: ClassVar[bool] = False
    has_negative: bool | None = None
    dtype: torch.dtype | None = None
    keeps: Literal["nothing", "for the stabiliser", "for constants"] = "for the stabiliser"

    def __init__(
        self,
        rule: Rule,
        operation: Operation,
        inputs: Tensors,
        y: torch.Tensor | None,
        *,
        norm_epsilon: float | None = None,
        few_rounds: bool = False,
        bookkeeper: Bookkeeper | None = None,
        row: int | None = None,
    ) -> None:
        self.rule, self.operation, self.norm_epsilon = rule, operation, norm_epsilon
        self.bookkeeper, self.row = bookkeeper, row
        self.inputs = inputs if self.reads_input else ()
        self.shapes = tuple(x.shape for x in inputs)
        self.layer = ""
        self.shares: Tensors = ()
        self._y = y if self.reads_output or norm_epsilon is not None else None
        self._is_prepared = self._is_window = False
        self._prepares_windows = few_rounds
        self._samples: list[Step] = []
        self._prepared: Step | None = None

    def relevance(self, upper: torch.Tensor) -> torch.Tensor | Tensors:
        """Relevance of the input, or of each, from that of the output, in one backward round."""
        if not (self.in_windows and can_have_windows(self.operation, upper)):
            return self._ready().lower(whole(upper))
        if not self._samples:
            self._samples = [self._sample(row) for row in range(len(upper))]
            self._y = None
        extent = upper.shape[2:]
        found = [
            sample._where_reached(piece, part, extent)
            for sample, (piece, part) in zip(self._samples, pieces_of(upper), strict=True)
        ]
        several, parts = zip(*found, strict=True)
        lower = tuple(
            joined(pieces, parts, x) for pieces, x in zip(zip(*several, strict=True), self.inputs, strict=True)
        )
        return lower if len(lower) > 1 else lower[0]

    def prepare(self) -> None:  # noqa: B027
        """Compute what all rounds share, if there is anything."""

    def kept(self) -> list[torch.Tensor]:
        """What this step reads in backward rounds of the memory of the network."""
        of_operation = (getattr(self.operation, name, None) for name in ("factor", "weight", "bias"))
        tensors = (*self.inputs, self._y, *of_operation)
        return [one for one in tensors if isinstance(one, torch.Tensor)]

    def keep_copies(self) -> None:
        """Keep copies of them, but for what the operation holds."""
        self.inputs = tuple(x.clone() for x in self.inputs)
        self._y = None if self._y is None else self._y.clone()

    def is_signed(self) -> bool:
        """Whether the input may be negative somewhere; asked of devices after the pass (`Signs`), else right here."""
        if self.has_negative is None and not devices.waits(self.x):
            return has_negative(self.x)
        return self.has_negative is not False

    @property
    def keeper(self) -> Keeper:
        """What keeps relevance that does not reach the inputs."""
        if self.keeps != "for constants":
            return "stabiliser"
        return "cut" if getattr(self.operation, "is_cut", False) else "constants"

    @abstractmethod
    def lower(self, upper: torch.Tensor) -> torch.Tensor | Tensors:
        """Relevance of the input, or of each, after `prepare`."""

    def linear_map(self, x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor | None = None) -> torch.Tensor:
        """What a linear map makes of `x` with another weight and another bias [C]."""
        return self.map.forward(x, weight, offset, padded=not self._is_window)

    def adjoint(self, upper: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Gradient of <upper, x * weight> with respect to the input x."""
        x = _of_one_piece(self.x) if self._is_window else self.x
        return self.map.adjoint(upper, x, weight, padded=not self._is_window)

    def _where_reached(
        self, upper: torch.Tensor, part: Part | None, extent: Sequence[int]
    ) -> tuple[Tensors, Part | None]:
        """Relevance of the input, or of each, of one sample, in the part [1, C, h', w'] outside which it is zero.

        Args:
            upper: of the output.
            part: of the output's map, in which all of `upper` lies; None for everything.
            extent: of the output's map.
        """
        window = window_of(self.operation, upper, part, extent, self.x.shape[2:])
        everything = everywhere(extent)
        upper = cut(upper, part or everything, everything if window is None else window.upper)
        if window is None:
            return several(self._ready().lower(upper)), None
        step = self._part(window)._ready() if self._prepares_windows else self._ready()._part(window)
        return tuple(map(window.of_result, several(step.lower(upper)))), window.lower

    def _ready(self) -> "Step":
        """This step, prepared; where windows are prepared by themselves, a copy, since they go on from here."""
        step = self
        if self._prepares_windows:
            step = self._prepared = self._prepared or copy(self)
        if not step._is_prepared:
            step.prepare()
            step._y, step._is_prepared = None, True
        return step

    def _sample(self, row: int) -> "Step":
        """The step of one sample of the batch."""
        rows = slice(row, row + 1)
        y = None if self._y is None else self._y[rows]
        inputs = tuple(x[rows] for x in self.inputs)
        options: dict[str, Any] = {"norm_epsilon": self.norm_epsilon, "few_rounds": self._prepares_windows}
        sample = type(self)(self.rule, self.operation, inputs, y, **options, bookkeeper=self.bookkeeper, row=row)
        sample.layer = self.layer
        sample.has_negative = False if self.has_negative is False else sample.has_negative
        return sample

    def _part(self, window: Window) -> "Step":
        """The step within a window; prepared if this one is."""
        part = copy(self)
        part._is_window, part._prepares_windows = True, False
        part.inputs = tuple(map(window.of_input, self.inputs))
        part.shares = tuple(map(window.of_output, self.shares))
        part._y = None if self._y is None else window.of_output(self._y)
        return part

    @property
    def map(self) -> LinearMap:
        """The operation, of rules for linear maps."""
        assert isinstance(self.operation, LinearMap)
        return self.operation

    @property
    def x(self) -> torch.Tensor:
        """The input, or the first of several."""
        return self.inputs[0]

    @property
    def y(self) -> torch.Tensor:
        """The output, while preparing."""
        assert self._y is not None
        return self._y

    def scale(self, denominator: torch.Tensor, *, with_sign_of: torch.Tensor | None = None) -> torch.Tensor:
        """1 / denominator, which is overwritten, times what a merged norm does to the relevance.

        Args:
            denominator: in the shape of the output, or one that broadcasts.
            with_sign_of: the output, if its sign (that of zero being zero) is another factor.
        """
        epsilon = self.norm_epsilon
        if epsilon is None:
            return denominator.reciprocal_() if with_sign_of is None else with_sign_of.sgn().div_(denominator)
        size = self.y.abs()
        denominator = (size + epsilon).mul_(denominator)
        return size.div_(denominator) if with_sign_of is None else torch.div(with_sign_of, denominator, out=size)

    def bias_takes(self, scaled: torch.Tensor, offset: torch.Tensor | None = None) -> None:
        """Tell the bookkeeper what a bias takes of relevance.

        Args:
            scaled: relevance over denominators, in the shape of the output.
            offset: [C] bias in the denominators; None for the linear map's own.
        """
        if self.bookkeeper is not None and self.bookkeeper.is_open and self.map.bias is not None:
            offset = self.map.bias if offset is None else offset
            self.bookkeeper.by_bias(scaled, offset, self.map.axis, self.row, self.layer)

    def weight(self, name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """A modified weight of a linear map."""
        return self.map.modified(name, make)


def several(lower: torch.Tensor | Tensors) -> Tensors:
    """Relevance of the inputs, one or several."""
    return lower if isinstance(lower, tuple) else (lower,)


def _of_one_piece(x: torch.Tensor) -> torch.Tensor:
    """A tensor in the shape and order of a part of maps; its values mean nothing, so that nothing is copied."""
    order = torch.channels_last if x.stride(1) == 1 else torch.contiguous_format
    return x if x.is_contiguous(memory_format=order) else torch.empty_like(x, memory_format=order)
