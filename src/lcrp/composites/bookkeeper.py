"""What operations keep of relevance, in a backward round.

Every rule may keep relevance back: biases and other constants take their share of an output, the stabiliser keeps what
lies on outputs that next to nothing speaks for. What is neither kept nor reaches the picture went astray: through an
operation whose derivative is no relevance, or by a fault of ours.

Axes: B picture, C channel.
"""

import torch

from lcrp.composites.windowed import pieces_of


class Bookkeeper:
    """Adds up what operations keep of relevance, per picture.

    Attributes:
        is_mixed: whether an operation had another first axis than the pictures, so that only totals are known.
    """

    def __init__(self) -> None:
        self.begin(1)

    def begin(self, num_pictures: int) -> None:
        """A backward round of so many pictures begins."""
        self._num_pictures = num_pictures
        self._kept: list[torch.Tensor] = []
        self._by_constants: list[torch.Tensor] = []
        self.is_mixed = False

    def kept(self, upper: torch.Tensor, lower: tuple[torch.Tensor, ...], *, by_constants: bool) -> None:
        """An operation passed relevance on.

        Args:
            upper: of its output.
            lower: of its inputs.
            by_constants: whether constants keep all that is missing.
        """
        amount = self._sums(upper)
        for one in lower:
            amount = amount - self._sums(one)
        self._kept.append(amount)
        if by_constants:
            self._by_constants.append(amount)

    def by_bias(self, scaled: torch.Tensor, offset: torch.Tensor, axis: int, row: int | None) -> None:
        """A bias takes its share of relevance.

        Args:
            scaled: relevance over denominators, of the pictures, or of a part of one picture's map.
            offset: [C] bias in the denominators.
            axis: of the channels.
            row: the picture; None for all.
        """
        taken = scaled @ offset if axis == -1 else scaled.flatten(2).sum(dim=2) @ offset
        if row is None:
            self._by_constants.append(self._sums(taken))
        else:
            one = taken.sum()
            self._by_constants.append(torch.nn.functional.pad(one.double()[None], (row, self._num_pictures - 1 - row)))

    def totals(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What constants took, and what stabilisers kept, [B] each in float64."""
        constants, kept = (_added(amounts, self._num_pictures) for amounts in (self._by_constants, self._kept))
        return constants, kept - constants

    def _sums(self, relevance: torch.Tensor) -> torch.Tensor:
        """Relevance of every picture [B], in float64."""
        pieces = [piece.sum() for piece, part in pieces_of(relevance)] if type(relevance) is not torch.Tensor else None
        if pieces is not None:
            return torch.stack(pieces).double()
        if relevance.ndim > 0 and len(relevance) == self._num_pictures:
            return relevance.flatten(1).sum(dim=1).double() if relevance.ndim > 1 else relevance.double()
        if self._num_pictures > 1:
            self.is_mixed = True
        return torch.nn.functional.pad(relevance.sum().double()[None], (0, self._num_pictures - 1))


def _added(amounts: list[torch.Tensor], count: int) -> torch.Tensor:
    return torch.stack(amounts).sum(dim=0) if amounts else torch.zeros(count, dtype=torch.float64)
