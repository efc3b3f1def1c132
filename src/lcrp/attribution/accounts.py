"""Accounts of backward rounds: relevance is neither made nor lost without a word.

Axes: B picture.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch

from lcrp.composites.bookkeeper import Bookkeeper
from lcrp.composites.operations.audit import passed_as_gradient, passed_by_contribution, rules_used
from lcrp.errors import LayerError
from lcrp.values.ledger import Ledger, Unaccounted
from lcrp.values.shares import percent

log = logging.getLogger(__name__)

_TOLERANCE = {torch.float64: 1e-3, torch.float32: 1e-3}  # of the larger of seed and the largest sum of |R|
_COARSE = 0.1  # of less precise numbers
_LISTED = 5  # operations of a kind
_NOTHING = 1e-6  # share of a decision
_CUT = "relevance is cut in the network"

Found = Mapping[str, Counter[str]]  # what is said of operations, and how many of each there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A round that is over, before anybody has looked at it.

    Attributes:
        seeded: the output that was explained.
        rows: [B, 6] seed, what reached the input, constants, cut, stabiliser, and the largest sum of |R|, in float64.
        is_mixed: whether only totals are known, in one row.
        tolerance: share of relevance that may be missing.
    """

    seeded: torch.Tensor
    rows: torch.Tensor
    is_mixed: bool
    tolerance: float


@dataclass(slots=True, kw_only=True)
class Accounts:
    """Checks what rounds of a composite did with relevance.

    Attributes:
        bookkeeper: of the operations.
        claims: whether the composite says that nothing is made or lost but for constants and stabilisers.
        losing: names of its rules that make or lose relevance all the same; where one of them explained an operation on
            the way of a decision, ledgers only tell of it.
        unaccounted: what happens if something is.
        cuts: how often the network takes a value out of what depends on the picture, by how it does.
        told: what the log has said of the network so far; it says so once.
        num_rounds: that were closed so far.
        is_audited: whether it was looked which operations have no rule.
    """

    bookkeeper: Bookkeeper
    claims: bool
    losing: tuple[str, ...]
    unaccounted: Unaccounted
    cuts: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    num_rounds: int = 0
    is_audited: bool = False

    def tell(self, text: str) -> None:
        """Say something of the network, once."""
        if text not in self.told:
            log.info("%s", text)
            self.told.add(text)

    def audit(self, seeded: torch.Tensor, ledgers: tuple[Ledger, ...] = ()) -> None:
        """Warn, in one line, of what has no rule on the way of a decision, and of what was cut there, each once.

        Args:
            seeded: the output that is explained.
            ledgers: of the round, where they are known.
        """
        if not self.claims:
            return
        remarks = [] if self.is_audited else self._without_rule(seeded)
        self.is_audited = True
        share = max((abs(one.cut / one.seed) for one in ledgers if one.seed), default=0.0)
        (cuts,) = _remarks({_CUT: self.cuts}) or [""]
        if share > _NOTHING and _CUT not in self.told:
            remarks.append(f"{cuts}: {percent(share)} of this decision went there, and not to the picture")
            self.told |= {_CUT, cuts}
        if remarks:
            log.warning("%s", "; ".join(remarks))
        if cuts and ledgers and cuts not in self.told:
            log.info("%s: beside the way of this decision, as far as it can be followed", cuts)
            self.told.add(cuts)

    def _without_rule(self, seeded: torch.Tensor) -> list[str]:
        """Operations without a rule on the way of a decision, unless they were told."""
        losing = ", ".join(self._used(seeded))
        if losing and losing not in self.told:
            log.info("%s makes or loses relevance: ledgers say how much is missing, none is refused", losing)
        found = _found(seeded)
        names = {f"{what}: {name}" for what, names in found.items() for name in names}
        is_new = bool(names - self.told)
        self.told |= names | {losing}
        return _remarks(found) if is_new else []

    def closing(
        self, seeded: torch.Tensor, seed: torch.Tensor, heatmap: torch.Tensor, layers: Iterable[torch.Tensor]
    ) -> Closing:
        """What is known of a round that is over, where the relevance lies.

        Args:
            seeded: the output that was explained, [B, ...].
            seed: its relevance.
            heatmap: [B, H, W] what reached the input.
            layers: relevance of recorded layers, [B, C, ...] each.
        """
        self.num_rounds += 1
        columns = [_per_picture(seed.to(heatmap.device)), _per_picture(heatmap), *self.bookkeeper.totals()]
        sizes = [_per_picture(maps.abs()) for maps in (heatmap, *layers)]
        is_mixed = self.bookkeeper.is_mixed or len({len(column) for column in (*columns, *sizes)}) > 1
        if is_mixed:  # only totals are known
            columns, sizes = ([one.sum(dim=0, keepdim=True) for one in found] for found in (columns, sizes))
        rows = torch.stack([*columns, torch.stack(sizes).amax(dim=0)], dim=1)
        tolerance = _COARSE if self.bookkeeper.is_coarse else _TOLERANCE.get(seeded.dtype, _COARSE)
        return Closing(seeded=seeded, rows=rows, is_mixed=is_mixed, tolerance=tolerance)

    def closed(self, closing: Closing, rows: torch.Tensor) -> tuple[Ledger, ...]:
        """The ledgers of a round, one per picture.

        Args:
            closing: the round.
            rows: its `rows`, on the CPU.

        Raises:
            LayerError: the composite conserves relevance, and it went astray.
        """
        seeded = closing.seeded
        conserves = self.claims and not self._used(seeded)
        ledgers = tuple(
            Ledger(seed=a, reached=b, constants=c, cut=d, stabiliser=e, largest=f, conserves=conserves)
            for a, b, c, d, e, f in rows.tolist()
        )
        self.audit(seeded, ledgers)
        if conserves and self.unaccounted == "error":
            _check(ledgers, closing.tolerance, seeded, self.cuts)
        return () if closing.is_mixed else ledgers

    def _used(self, seeded: torch.Tensor) -> tuple[str, ...]:
        """Those of the losing rules that explain operations on the way of a decision."""
        used = rules_used(seeded) if self.losing else set()
        return tuple(name for name in self.losing if name in used)


def _check(ledgers: tuple[Ledger, ...], tolerance: float, seeded: torch.Tensor, cuts: Counter[str]) -> None:
    worst = max(ledgers, key=lambda ledger: ledger.missing_share)
    if worst.missing_share <= tolerance:
        return
    remarks = "".join(f"; {remark}" for remark in _remarks({**_found(seeded), _CUT: cuts}))
    raise LayerError(
        f"{worst.missing_share:.1%} of the relevance is unaccounted for, so heatmap and concepts may be wrong"
        f"{remarks}.",
        mend="Write such operations with torch's own functions, or set unaccounted=accept.",
    )


def _remarks(found: Found) -> list[str]:
    """Operations without a rule on the way of a decision, and where relevance does not pass, in words."""
    return [
        f"{what}: {', '.join(f'{name} ({count})' for name, count in names.most_common(_LISTED))}"
        for what, names in found.items()
        if names
    ]


def _found(seeded: torch.Tensor) -> Found:
    return {
        "operations without a rule passed as gradient": passed_as_gradient(seeded),
        "operations without a rule passed by contribution": passed_by_contribution(seeded),
    }


def _per_picture(values: torch.Tensor) -> torch.Tensor:
    """Sum over everything but the first axis, [B] in float64."""
    return values.flatten(1).sum(dim=1).double() if values.ndim > 1 else values.double()
