"""What stage=audit says of tables: who is told of alone, and what is named."""

import numpy as np

from lcrp.evidence.reliance import FEWEST
from lcrp.stages.audit.tables import POOLED, Decisions, verdicts_table
from lcrp.stages.audit.wording import _lost, _verdict
from lcrp.values.audit import Kind
from lcrp.values.evidence import Table


def of_pictures(samples: np.ndarray, fall: float = 0.2) -> Decisions:
    """Decisions of one class whose scores all fall as far."""
    kept = np.full(len(samples), 0.9)
    return Decisions(
        place=np.arange(len(samples)),
        sample=samples,
        class_id=np.zeros(len(samples), dtype=np.int64),
        own=kept,
        placebo=kept,
        usual=kept,
        unusual=kept - fall,
        moved=kept - fall,
        synthetic=kept,
    )


def rows(table: Table) -> list[dict[str, object]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows()]


def test_a_verdict_takes_ten_pictures() -> None:
    """Many objects of few pictures are pooled, and together still few."""
    few = of_pictures(np.arange(40) % (FEWEST - 1))
    (row,) = rows(verdicts_table(few, few, ["boat"]))
    assert (row["class"], row["verdict"], row["objects"], row["pictures"]) == (POOLED, "cannot tell", 40, 9)
    assert _verdict(row, None) == (
        "smaller classes together: cannot tell, the score falls by 0.20 (0.20 to 0.20), of 40 objects in 9 pictures; "
        "a verdict takes 10"
    )
    enough = of_pictures(np.arange(40) % FEWEST)
    (row,) = rows(verdicts_table(enough, enough, ["boat"]))
    assert (
        _verdict(row, None)
        == "'boat' needs its context: without it the score falls by 0.20 (0.20 to 0.20), of 40 objects"
    )


def test_losses_are_told_beside_the_placebos() -> None:
    shares = {"kept": [0.8, 0.5], "below_threshold": [0.1, 0.2], "removed": [0.0, 0.1], "no_candidate": [0.1, 0.2]}
    columns = {name: np.array(values) for name, values in shares.items()}
    kinds = [str(Kind.PLACEBO), str(Kind.UNUSUAL)]
    assert list(_lost(Table(name="outcomes", columns={"class": ["all"] * 2, "ground": kinds, **columns}))) == [
        "over the placebo 20 % of the decisions are lost: 10 % have no candidate left, 10 % fall below the threshold",
        "in pictures without the class 50 % of the decisions are lost: 20 % have no candidate left, 20 % fall below "
        "the threshold, 10 % are removed by NMS or as too many",
    ]
