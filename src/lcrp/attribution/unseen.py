"""Backward rounds that are over, and at whose numbers nobody has looked yet: one look serves several of them.

Axes: B image, N layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from lcrp.attribution.accounts import Accounts, Closing
from lcrp.attribution.finite import check_finite
from lcrp.values import devices
from lcrp.values.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """A round.

    Attributes:
        names: of the layers, the input first.
        sums: [N] of their relevance.
        closing: of its accounts, where there are any.
    """

    names: tuple[str, ...]
    sums: torch.Tensor
    closing: Closing | None


class UnseenRounds:
    """Rounds over one forward pass."""

    def __init__(self) -> None:
        self._rounds: list[_Round] = []

    def add(self, sums: Mapping[str, torch.Tensor], closing: Closing | None) -> None:
        """A round is over.

        Args:
            sums: of the relevance of every layer, the input first.
            closing: of its accounts, where there are any.
        """
        self._rounds.append(_Round(names=tuple(sums), sums=torch.stack(list(sums.values())), closing=closing))

    def ledgers(self, accounts: Accounts | None) -> list[tuple[Ledger, ...]]:
        """Look at all rounds that were added since.

        Returns:
            Of every round, a ledger per image, where it is known.

        Raises:
            LayerError: the relevance of a layer is NaN or infinite, or went astray.
        """
        rounds, self._rounds = self._rounds, []
        closings = [one.closing for one in rounds if one.closing is not None]
        seen = devices.fetched(*(one.sums for one in rounds), *(one.rows for one in closings))
        sums, rows = seen[: len(rounds)], iter(seen[len(rounds) :])
        found: list[tuple[Ledger, ...]] = []
        for one, own in zip(rounds, sums, strict=True):
            check_finite(one.names, own)
            is_open = accounts is not None and one.closing is not None
            found.append(accounts.closed(one.closing, next(rows)) if is_open else ())  # type: ignore[union-attr,arg-type]
        return found
