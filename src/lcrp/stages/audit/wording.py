"""What stage=audit says in the log."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lcrp.evidence.intervals import Interval
from lcrp.evidence.reliance import FEWEST, LEAST
from lcrp.stages.audit.tables import POOLED, outcome_share
from lcrp.values.audit import Kind, Outcome, Verdict
from lcrp.values.evidence import Table

LISTED = 3  # of the other classes whose objects are needed
MOST_NEEDED = 10_000  # objects; nobody annotates more of one class to learn this


def sentences(tables: Mapping[str, Table]) -> Iterator[str]:
    """The most important that tables tell, in words: a verdict for every class first."""
    carriers = {row["class"]: row for row in _rows(tables["carriers"])}
    for row in _rows(tables["verdicts"]):
        yield _verdict(row, carriers.get(row["class"]))
    whole = _rows(tables["classes"])[0]
    yield (
        "the placebo, its own surroundings put back without other objects, costs a decision "
        f"{_interval(whole, 'placebo_fall')} of its score {whole['score']:.2f}; pictures without its class "
        f"{_interval(whole, 'unusual_fall')}"
    )
    yield from _left_at_home(tables["decisions"])
    yield from _lost(tables["outcomes"])
    yield from _company(tables["company"])
    is_boxed = [not value for value in tables["decisions"].columns["has_outline"]]
    if any(is_boxed):
        yield (
            f"{sum(is_boxed)} of {len(is_boxed)} objects have no outline but their box: the boxes were cut, and what "
            "of their surroundings lies within stayed with them, so that less is found than there is"
        )


def _verdict(row: Mapping[str, Any], carrier: Mapping[str, Any] | None) -> str:
    is_pooled = row["class"] == POOLED
    name = "smaller classes together" if is_pooled else f"'{row['class']}'"
    found = Interval(value=row["difference"], low=row["low"], high=row["high"])
    counted = f"{row['objects']} object{'s' if row['objects'] != 1 else ''}"
    if math.isnan(found.value):
        return f"{name}: cannot tell, no object was put into other pictures both with its class and without it"
    match row["verdict"]:
        case Verdict.NEEDS:
            needs = "need their context" if is_pooled else "needs its context"
            told = f"{name} {needs}: without it the score falls by {found}, of {counted}"
            return told if carrier is None else f"{told}; {_carried(carrier)}"
        case Verdict.DOES_NOT:
            needs = "do not need their context" if is_pooled else "does not need its context"
            return f"{name} {needs}: without it the score falls by {found}, of {counted}"
    if row["pictures"] < FEWEST:
        lie = f"in {row['pictures']} picture{'s' if row['pictures'] != 1 else ''}; a verdict takes {FEWEST}"
        return f"{name}: cannot tell, the score falls by {found}, of {counted} {lie}"
    needed = ""
    if row["needed"] > MOST_NEEDED:
        needed = f"; that is so near that even {MOST_NEEDED} objects would hardly tell"
    elif row["needed"] > 0:
        needed = f"; about {row['needed']} would tell"
    return f"{name}: cannot tell, the score falls by {found}, of {counted}, and {LEAST:g} counts as a need{needed}"


def _carried(row: Mapping[str, Any]) -> str:
    concepts = row["concepts"].split()
    named = f"concept {concepts[0]}" if len(concepts) == 1 else f"concepts {', '.join(concepts)} together"
    carry, they, cost = ("carries", "it", "costs") if len(concepts) == 1 else ("carry", "they", "cost")
    if not row["is_sure"]:
        carry = f"most likely {carry} it, which is not sure:"
    return (
        f"{named}, of {row['layer']}, {carry} {_interval(row, 'cut')} of it at {row['decisions']} decisions (set to "
        f"zero, {they} {cost} the score {row['usual_loss']:z.2f} in usual surroundings, {row['unusual_loss']:z.2f} in "
        "others)"
    )


def _left_at_home(decisions: Table) -> Iterator[str]:
    """How many decisions no difference is known of."""
    is_left = [math.isnan(value) for value in decisions.columns["difference"]]
    if any(is_left) and not all(is_left):
        yield (
            f"{sum(is_left)} of {len(is_left)} objects were put into no other picture, for want of pictures with their "
            "class and without it: verdicts are of the others, the placebo's numbers of all"
        )


def _lost(outcomes: Table) -> Iterator[str]:
    """What became of detections."""
    grounds = (
        (Kind.PLACEBO, "over the placebo"),
        (Kind.UNUSUAL, "in pictures without the class"),
        (Kind.SYNTHETIC, "before synthetic grounds"),
    )
    for kind, words in grounds:
        wanted = (Outcome.KEPT, Outcome.GONE, Outcome.BELOW, Outcome.REMOVED)
        shares = [outcome_share(outcomes, kind, one) for one in wanted]
        if not math.isnan(shares[0]):
            removed = f", {100 * shares[3]:.0f} % are removed by NMS or as too many" if shares[3] else ""
            yield (
                f"{words} {100 * (1 - shares[0]):.0f} % of the decisions are lost: {100 * shares[1]:.0f} % have no "
                f"candidate left, {100 * shares[2]:.0f} % fall below the threshold{removed}"
            )


def _company(company: Table) -> Iterator[str]:
    """Classes whose objects others need, of pairs that enough pictures tell of."""
    needed = [row for row in _rows(company) if row["fall_low"] > LEAST and row["pictures"] >= FEWEST][:LISTED]
    if needed:
        listed = "; ".join(f"'{row['class']}' without '{row['without']}' {_interval(row, 'fall')}" for row in needed)
        yield f"scores fall most without the objects of another class: {listed}"


def _rows(table: Table) -> Sequence[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows()]


def _interval(row: Mapping[str, Any], name: str) -> str:
    return str(Interval(value=row[name], low=row[f"{name}_low"], high=row[f"{name}_high"]))
