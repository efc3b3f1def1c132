"""What stage=audit says of tables: who is told of alone, and what is named."""

from dataclasses import replace

import numpy as np
import pytest

from lcrp.evidence.intervals import NUM_DRAWS
from lcrp.evidence.reliance import FEWEST
from lcrp.stages.audit.carriers import candidates, first_groups, first_order
from lcrp.stages.audit.concepts import ClassConcepts, carriers_table, concepts_table
from lcrp.stages.audit.differences import Decisions
from lcrp.stages.audit.reading import KINDS, Rows
from lcrp.stages.audit.tables import POOLED, company_table, verdicts_table
from lcrp.stages.audit.wording import _carried, _company, _left_at_home, _lost, _verdict
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
        redrawn=np.full((NUM_DRAWS, len(samples)), fall),
    )


def rows(table: Table) -> list[dict[str, object]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows()]


def test_a_verdict_takes_ten_pictures() -> None:
    """Many objects of few pictures are pooled, and together still few; a single class keeps its name."""
    few = of_pictures(np.arange(40) % (FEWEST - 1))
    (row,) = rows(verdicts_table(few, few, ["boat"]))
    assert (row["class"], row["class_id"], row["verdict"]) == ("boat", 0, "cannot tell")
    few = replace(few, class_id=np.arange(40) % 2)
    (row,) = rows(verdicts_table(few, few, ["boat", "car"]))
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


def test_nobody_is_told_of_millions_of_objects() -> None:
    row = {"class": "boat", "verdict": "cannot tell", "difference": 0.03, "low": -0.01, "high": 0.08, "objects": 20}
    row |= {"pictures": 18, "needed": 2_209_847}
    assert str(_verdict(row, None)).endswith(
        "counts as a need; that is so near that even 10000 objects would hardly tell"
    )
    assert str(_verdict(row | {"needed": 52}, None)).endswith("counts as a need; about 52 would tell")


def test_losses_are_told_beside_the_placebos() -> None:
    shares = {"kept": [0.8, 0.5], "below_threshold": [0.1, 0.2], "removed": [0.0, 0.1], "no_candidate": [0.1, 0.2]}
    columns = {name: np.array(values) for name, values in shares.items()}
    kinds = [str(Kind.PLACEBO), str(Kind.UNUSUAL)]
    assert list(_lost(Table(name="outcomes", columns={"class": ["all"] * 2, "ground": kinds, **columns}))) == [
        "over the placebo 20 % of the decisions are lost: 10 % have no candidate left, 10 % fall below the threshold",
        "in pictures without the class 50 % of the decisions are lost: 20 % have no candidate left, 20 % fall below "
        "the threshold, 10 % are removed by NMS or as too many",
    ]


def test_objects_without_other_pictures_are_counted() -> None:
    columns = {"difference": np.array([0.1, np.nan, 0.2])}
    (told,) = _left_at_home(Table(name="decisions", columns=columns))
    assert told.startswith("1 of 3 objects were put into no other picture")
    assert not list(_left_at_home(Table(name="decisions", columns={"difference": np.array([0.1, 0.2])})))


def concepts(without: list[list[float]], together: list[list[float]]) -> ClassConcepts:
    """Twelve decisions that score 0.9, 0.8 over the placebo and 0.4 elsewhere; less these without each concept."""
    scores = np.tile([0.9, 0.8, 0.4], (12, 1))
    noise = 0.01 * np.resize([-1.0, -1.0, 1.0, 1.0], 12)[:, None, None] * np.array([0.0, 1.0, 0.0])
    return ClassConcepts(
        class_id=0,
        places=np.arange(12),
        samples=np.arange(12),
        relevance=np.zeros((12, 3, 9)),
        taylor=np.zeros((12, 3, 9)),
        outside=np.zeros((12, 3)),
        share=np.zeros((12, 3)),
        scores=scores,
        chosen=tuple(range(3, 3 + len(without))),
        without=scores[:, None] - np.array(without) + noise,
        together=scores[:, None] - np.array(together) + noise,
    )


SINGLE = [[0, 0.10, 0.05], [0, 0.02, 0.01], [0, 0.01, 0.01]]


def test_groups_of_concepts_that_are_tried() -> None:
    assert first_groups([7, 3, 9, 1, 4]) == [(7,), (7, 3), (7, 3, 9, 1), (7, 3, 9, 1, 4)]
    assert first_groups([7, 3]) == [(7,), (7, 3)]
    assert first_groups([7]) == [(7,)]


def test_carriers_are_chosen_at_some_decisions_and_proved_at_others() -> None:
    """What cuts most where it was chosen may cut nothing elsewhere; then none is named, not the second best."""
    found = concepts(SINGLE, [SINGLE[0], [0, 0.15, 0.05], [0, 0.16, 0.08]])
    assert found.proves.tolist() == [False, True] * 6
    assert replace(found, samples=np.repeat(np.arange(6)[::-1], 2)).proves.tolist() == [False, False, True, True] * 3
    assert found.carriers == (3, 4)
    assert [row["is_carrier"] for row in rows(concepts_table([found], ["boat"], "deep"))] == [1, 1, 0]
    assert found.together is not None
    together = found.together.copy()
    together[1::2, 1] = found.scores[1::2]  # at the others the two change nothing
    assert replace(found, together=together).carriers == ()
    assert replace(found, together=together).likely == (3, 4), "they are named, and said not to be sure"
    assert found.proved(found.together)[2].value == pytest.approx(0.08)


def test_all_that_is_told_of_a_cut_is_of_the_decisions_that_prove_it() -> None:
    """Those that chose a group lose most without it, for they chose it for that."""
    found = concepts(SINGLE, [SINGLE[0], [0, 0.15, 0.05], [0, 0.16, 0.08]])
    assert found.together is not None
    together, without = found.together.copy(), None if found.without is None else found.without.copy()
    assert without is not None
    together[::2, 1, 1] -= 0.3
    without[::2, 0, 1] -= 0.3
    found = replace(found, together=together, without=without)
    (carrier,) = rows(carriers_table([found], ["boat"], "deep"))
    first = next(row for row in rows(concepts_table([found], ["boat"], "deep")) if row["concept"] == 3)
    for row, usual, others in ((carrier, 0.15, 0.05), (first, 0.10, 0.05)):
        assert (row["usual_loss"], row["unusual_loss"], row["decisions"]) == (
            pytest.approx(usual),
            pytest.approx(others),
            6,
        )
        assert row["cut"] == pytest.approx(usual - others)


def test_carriers_surely_cut_the_fall_and_are_needed_in_usual_surroundings() -> None:
    """What is not needed only lifts scores elsewhere; a cut within its interval of 0 is none."""
    lifted, unsure = [0, -0.05, -0.30], [0, 0.002, 0.0]
    assert concepts(SINGLE, [lifted, [0, 0.15, 0.05], lifted]).carriers == (3, 4)
    assert concepts(SINGLE, [lifted] * 3).carriers == ()
    assert concepts(SINGLE, [unsure] * 3).carriers == ()
    assert rows(carriers_table([concepts(SINGLE, [lifted] * 3)], ["boat"], "deep")) == []
    (doubted,) = rows(carriers_table([concepts(SINGLE, [unsure] * 3)], ["boat"], "deep"))
    assert not doubted["is_sure"]
    assert _carried(doubted).startswith("concept 3, of deep, most likely carries it, which is not sure: 0.00")
    together = rows(carriers_table([concepts(SINGLE, [SINGLE[0], [0, 0.15, 0.05], lifted])], ["boat"], "deep"))[0]
    assert _carried({**together, "cut_low": 0.09, "cut_high": 0.11}) == (
        "concepts 3, 4 together, of deep, carry 0.10 (0.09 to 0.11) of it at 6 decisions (set to zero, they cost the "
        "score 0.15 in usual surroundings, 0.05 in others)"
    )
    (alone,) = rows(carriers_table([concepts(SINGLE, [[0, 0.15, 0.05], lifted, lifted])], ["boat"], "deep"))
    assert _carried(alone).startswith("concept 3, of deep, carries 0.10 (")


def test_candidates_are_of_scores_not_of_logits() -> None:
    """A sure decision loses much of its logit and little of its score; what only lifts others is no candidate."""
    scores = np.tile([0.99, 0.9, 0.5], (4, 1))
    taylor = np.zeros((4, 3, 4))
    taylor[:, 1] = [1.0, 0.6, 0.0, -0.1]  # what the logit loses over the placebo
    taylor[:, 2] = [0.9, 0.0, -1.0, -1.0]
    literal = [0.9 - 1 / (1 + np.exp(-(np.log(9) - lost))) for lost in (1.0, 0.6)]
    assert first_order(scores, taylor)[0, 1, :2] == pytest.approx(literal)
    assert candidates(scores, taylor, 4) == [1], "the first cuts 0.13 of the usual score, and 0.21 of the other"


def test_company_is_named_of_enough_pictures() -> None:
    for count, is_named in ((FEWEST - 1, False), (FEWEST, True)):
        found = of_pictures(np.arange(40) % count)
        lone = Rows(
            place=found.place,
            kind=np.full(40, KINDS.index(Kind.COMPANY)),
            is_own_place=np.ones(40, dtype=bool),
            source=np.ones(40, dtype=np.int64),
            score=found.own - 0.2,
            outcome=np.zeros(40, dtype=np.int64),
            others=np.zeros(40, dtype=np.int64),
        )
        table = company_table(found, lone, ["boat", "person"])
        assert table.columns["pictures"].tolist() == [count]
        assert bool(list(_company(table))) == is_named
