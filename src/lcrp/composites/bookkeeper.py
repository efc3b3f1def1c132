"""What operations keep of relevance, in a backward round.

Every rule may keep relevance back: biases and other constants take their share of an output, and so do values that the
network has cut off from the picture; the stabiliser keeps what lies on outputs that next to nothing speaks for. What is
neither kept nor reaches the picture went astray: through an operation whose derivative is no relevance, or by a fault
of ours.

Axes: B picture, C channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from lcrp.composites.windowed import Windowed

Keeper = Literal["constants", "cut", "stabiliser"]


@dataclass(slots=True)
class _Account:
    """What came to outputs, and went on to inputs, [B] or of all pictures [] each."""

    came: list[torch.Tensor] = field(default_factory=list)
    left: list[torch.Tensor] = field(default_factory=list)


@dataclass(slots=True)
class _OfLayer:
    """What the operations of a layer received, and kept, of all pictures."""

    received: float = 0.0
    constants: float = 0.0
    cut: float = 0.0
    missing: float = 0.0


class Bookkeeper:
    """Adds up what operations keep of relevance, per picture.

    Attributes:
        is_open: whether the round is kept account of.
        is_coarse: whether relevance had less precise numbers somewhere, as where a network casts by itself.
        is_mixed: whether an operation had another first axis than the pictures, so that only totals are known.
    """

    def __init__(self) -> None:
        self.begin(torch.zeros(1), is_open=False)

    def begin(self, seed: torch.Tensor, *, is_open: bool = True, by_layer: bool = False) -> None:
        """A backward round begins.

        Args:
            seed: [B, ...] its relevance, of the pictures that are explained together.
            is_open: whether the round is kept account of.
            by_layer: whether of every layer, too.
        """
        self._num_pictures, self._device = len(seed), seed.device
        self._all, self._constants, self._cut = _Account(), _Account(), _Account()
        self._of_rows: list[tuple[int, torch.Tensor]] = []  # what constants took of single pictures
        self._by_layer: dict[str, _OfLayer] | None = {} if by_layer else None
        self.is_open, self.is_mixed, self.is_coarse = is_open, False, False

    def kept(self, upper: torch.Tensor, lower: Sequence[torch.Tensor], *, by: Keeper, layer: str = "") -> None:
        """An operation passed relevance on.

        Args:
            upper: of its output.
            lower: of its inputs.
            by: what keeps all that is missing.
            layer: in which it ran.
        """
        came, left = self._sums(upper), [self._sums(one) for one in lower]
        self.is_coarse = self.is_coarse or upper.dtype in (torch.bfloat16, torch.float16)
        for account in (self._all, *self._own(by)):
            account.came.append(came)
            account.left.extend(left)
        if self._by_layer is not None:
            of_layer = self._by_layer.setdefault(layer, _OfLayer())
            received = _total(came)
            missing = received - sum(map(_total, left))
            of_layer.received += received
            of_layer.constants += missing if by == "constants" else 0.0
            of_layer.cut += missing if by == "cut" else 0.0
            of_layer.missing += missing

    def by_bias(self, scaled: torch.Tensor, offset: torch.Tensor, axis: int, row: int | None, layer: str = "") -> None:
        """A bias takes its share of relevance.

        Args:
            scaled: relevance over denominators, of the pictures, or of a part of one picture's map.
            offset: [C] bias in the denominators.
            axis: of the channels.
            row: the picture; None for all.
            layer: in which it ran.
        """
        taken = scaled @ offset if axis == -1 else scaled.sum(dim=tuple(range(2, scaled.ndim))) @ offset
        if row is None:
            self._constants.came.append(self._sums(taken))
        else:
            self._of_rows.append((row, taken.sum()))
        if self._by_layer is not None:
            self._by_layer.setdefault(layer, _OfLayer()).constants += _total(taken)

    def totals(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What constants took, what was cut, and what stabilisers kept, [B] each in float64, where relevance lies."""
        missing, constants, cut = map(self._balance, (self._all, self._constants, self._cut))
        for row, amount in self._of_rows:
            constants[row] += amount.double()
        return constants, cut, missing - constants - cut

    def layers(self) -> list[tuple[str, float, float, float, float]]:
        """Of every layer, from the output on: name, relevance of outputs, what constants, cuts, stabilisers took."""
        found = self._by_layer or {}
        return [
            (name, one.received, one.constants, one.cut, one.missing - one.constants - one.cut)
            for name, one in found.items()
        ]

    def _own(self, by: Keeper) -> tuple[_Account, ...]:
        return {"constants": (self._constants,), "cut": (self._cut,), "stabiliser": ()}[by]

    def _balance(self, account: _Account) -> torch.Tensor:
        return self._added(account.came) - self._added(account.left)

    def _sums(self, relevance: torch.Tensor) -> torch.Tensor:
        """Relevance of every picture [B]; of all of them [] where the first axis is another one."""
        if isinstance(relevance, Windowed):
            return torch.stack([piece.sum() for piece in relevance.pieces])
        if self._num_pictures == 1 or relevance.ndim == 0 or relevance.shape[0] != self._num_pictures:
            self.is_mixed = self.is_mixed or self._num_pictures > 1
            return relevance.sum()
        return relevance.sum(dim=tuple(range(1, relevance.ndim))) if relevance.ndim > 1 else relevance

    def _added(self, amounts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Sum of amounts [B] or [], which is put down to the first picture; in float64."""
        total = torch.zeros(self._num_pictures, dtype=torch.float64, device=self._device)
        whole = [amount for amount in amounts if amount.ndim == 0]
        if whole:
            total[0] += torch.stack(whole).double().sum()
        per_picture = [amount for amount in amounts if amount.ndim > 0]
        return total + torch.stack(per_picture).double().sum(dim=0) if per_picture else total


def _total(amounts: torch.Tensor) -> float:
    return float(amounts.double().sum())
