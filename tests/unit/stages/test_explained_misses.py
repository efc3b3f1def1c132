"""Explained misses: which are chosen, with what they are compared, and that tables tell all of them again."""

import math
from dataclasses import replace

import numpy as np
import pytest

from lcrp.figures.missed import apart, falls, layer_note, one_of, proof
from lcrp.stages.missed.explained import (
    FOUND_OBJECTS,
    _spread_over_pictures,
    chosen_misses,
    lacking_of,
    lacking_tables,
    packed,
)
from lcrp.stages.missed.tables import joined
from lcrp.stages.missed.wording import _given_back
from lcrp.values.candidates import Fate
from lcrp.values.missed import AbsentConcept, Candidate, Example, Lacking, Mechanism, Miss, Returned

NAMES = ("boat", "car")


def miss(sample: int, class_id: int, mechanism: Mechanism, score: float | None) -> Miss:
    candidate = None
    if score is not None:
        shared = {"row": 3, "box": (0.0, 0.0, 9.0, 9.0), "overlap": 0.7, "fate": Fate.BELOW_THRESHOLD}
        candidate = Candidate(class_id=class_id, score=score, **shared)
    box = (1.0, 2.0, 3.0, 4.0)
    shared = {"key": f"{sample}.png", "number": 1, "box": box, "candidate": candidate}
    return Miss(sample=sample, class_id=class_id, mechanism=mechanism, **shared)


def lacking(one: Miss) -> Lacking:
    return Lacking(
        **{"miss": one, "row": 3, "box": (0.5, 1.0, 8.0, 9.0), "score": 0.2, "logit": -1.5, "threshold": 0.25},
        **{"layer": "neck", "layer_share": 1.2, "taken_for": "", "num_found": 5, "donor": "7.png"},
        concepts=(AbsentConcept(concept=4, found=1.5, here=0.1, gain=2.0),),
        **{"speaks_for": 2, "speaks_against": -1},
        examples=(Example(concept=4, sample=7, row=11, class_id=one.class_id, box=(1.0, 1.0, 5.0, 5.0)),),
        returned=(
            Returned(num_concepts=1, score=0.4, is_found=True, num_random=10, num_random_found=1),
            Returned(num_concepts=0, score=0.6, is_found=True),
        ),
        things=(("water", 0.25, float("nan")), ("sail", 0.4, 0.1)),
    )


def test_every_class_has_its_turn_and_what_scored_too_low_comes_first() -> None:
    misses = [
        miss(0, 0, Mechanism.OTHER_CLASS, 0.9),
        miss(1, 0, Mechanism.BELOW_THRESHOLD, 0.1),
        miss(2, 0, Mechanism.BELOW_THRESHOLD, 0.2),
        miss(3, 1, Mechanism.NO_CANDIDATE, None),
        miss(4, 1, Mechanism.FILTERED, 0.9),
    ]
    assert [one.sample for one in chosen_misses(misses, None)] == [2, 3, 1, 0]
    assert [one.sample for one in chosen_misses(misses, 2)] == [2, 3]
    assert chosen_misses([], None) == []


def test_found_objects_come_from_as_many_pictures_as_there_are() -> None:
    samples = np.array([0, 0, 0, 1, 2, 2])
    found = {
        "objects.class_id": np.array([0, 0, 0, 0, 0, 1]),
        "objects.mechanism": np.array([-1, -1, 2, -1, -1, -1]),
        "objects.sample": samples,
    }
    assert _spread_over_pictures(found, 0) == [0, 3, 4, 1]
    many = {
        "objects.class_id": np.zeros(100, dtype=int),
        "objects.mechanism": np.full(100, -1),
        "objects.sample": np.arange(100),
    }
    chosen = _spread_over_pictures(many, 0)
    assert len(chosen) == FOUND_OBJECTS
    assert np.diff(chosen).min() >= 100 // FOUND_OBJECTS


def test_tables_tell_all_of_it_again() -> None:
    misses = [miss(5, 1, Mechanism.BELOW_THRESHOLD, 0.2), miss(6, 0, Mechanism.NO_CANDIDATE, None)]
    bare = Lacking(
        **{"miss": misses[1], "row": 0, "box": misses[1].box, "score": 0.01, "logit": -4.0, "threshold": 0.25},
        **{"layer": "neck", "layer_share": 0.4},
    )
    parts = [packed(lacking(misses[0])), packed(None), packed(bare)]
    tables = lacking_tables(joined(parts), NAMES, lambda sample: f"{sample}.png")
    assert tables["lacking"].columns["class"] == ["car", "boat"]
    assert repr(lacking_of(tables, misses)) == repr((lacking(misses[0]), bare))


def test_the_log_counts_what_is_found_when_it_is_given_back() -> None:
    misses = [miss(5, 1, Mechanism.BELOW_THRESHOLD, 0.2), miss(6, 0, Mechanism.BELOW_THRESHOLD, 0.1)]
    first, second = (lacking(one) for one in misses)
    lost = replace(second, returned=(replace(first.returned[0], is_found=False, num_random_found=4),))
    found = joined([packed(first), packed(lost)])
    tables = lacking_tables(found, NAMES, str)
    (line,) = _given_back(tables["lacking"], tables["returned"])
    assert line.startswith("of 2 misses compared with found objects 1 are found")
    assert line.endswith("in 5 of 20 tries")
    none = lacking_tables(joined([packed(None)]), NAMES, str)
    assert not list(_given_back(none["lacking"], none["returned"]))
    without = joined([packed(first), packed(replace(second, concepts=(), returned=second.returned[1:]))])
    tables = lacking_tables(without, NAMES, str)
    (line,) = _given_back(tables["lacking"], tables["returned"])
    assert line.startswith("of 2 misses compared with found objects 1 are found")


def test_the_proof_in_words() -> None:
    one = lacking(miss(5, 1, Mechanism.BELOW_THRESHOLD, 0.2))
    told = proof(one, "car")
    assert told == (
        "With concept 4 as in a found car it is found (0.40); with random concepts changed as much in 1 of 10 tries"
    )
    lost = replace(one.returned[0], is_found=False, score=0.21)
    assert proof(replace(one, returned=(lost, one.returned[1])), "car").endswith(
        "; with all concepts of the layer it is found (0.60)"
    )
    assert proof(replace(one, returned=(lost,)), "car").endswith("; nor with all concepts of the layer")
    dropped = replace(one.returned[0], is_found=False, score=0.62)
    assert "it is not found (0.62: enough, but another box is kept or none fits)" in proof(
        replace(one, returned=(dropped, one.returned[1])), "car"
    )
    unknown = replace(one.returned[0], is_found=False, score=math.nan)
    assert "it is not found;" in proof(replace(one, returned=(unknown, one.returned[1])), "car")
    assert proof(replace(one, num_found=0), "car").startswith("No car is found")
    assert proof(replace(one, concepts=()), "car") == "No concept would add to it, as far as a found one tells"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("car", "a car"),
        ("elephant", "an elephant"),
        ("Airplane", "an Airplane"),
        ("unicycle", "a unicycle"),
        ("", "a "),
    ],
)
def test_classes_have_articles(name: str, told: str) -> None:
    assert one_of(name) == told


def test_scores_that_round_alike_are_told_apart() -> None:
    assert apart(0.12, 0.25) == ("0.12", "0.25")
    assert apart(0.2474, 0.25) == ("0.247", "0.250")
    assert apart(0.25, 0.25) == ("0.25", "0.25")
    assert apart(0.0004, 0.25) == ("0.0004", "0.25")


def test_few_found_objects_are_told() -> None:
    one = lacking(miss(5, 1, Mechanism.BELOW_THRESHOLD, 0.2))
    assert "to compare with" not in proof(replace(one, num_found=3), "car")
    assert proof(replace(one, num_found=2), "car").endswith("tries (only 2 found objects to compare with)")
    assert proof(replace(one, num_found=1), "car").endswith("tries (only 1 found object to compare with)")


def test_a_layer_is_told_by_what_it_adds_to_the_logit() -> None:
    one = replace(lacking(miss(5, 1, Mechanism.BELOW_THRESHOLD, 0.2)), layer="neck", layer_share=2.2, logit=-1.2)
    assert layer_note(one) == (
        "Concepts are of layer neck, which adds +2.64 to a logit of \N{MINUS SIGN}1.20: "
        "the rest are biases and other paths"
    )
    assert layer_note(replace(one, layer_share=math.nan)) == "Concepts are of layer neck"


@pytest.mark.parametrize(
    ("things", "words"),
    [
        (
            (("water", 0.25, float("nan")),),
            ["Where a car is found 25 % of the relevance lies on water: there is none here"],
        ),
        ((("sail", 0.4, 0.1),), ["On sail lies 10 % of the relevance, where a car is found 40 %"]),
        ((("sail", 0.12, 0.1),), []),
        ((), []),
    ],
)
def test_on_what_less_of_it_lies(things: tuple[tuple[str, float, float], ...], words: list[str]) -> None:
    assert falls(replace(lacking(miss(5, 1, Mechanism.BELOW_THRESHOLD, 0.2)), things=things), "car") == words
