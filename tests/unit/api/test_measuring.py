"""What the Python door measures: never mixed with results of other data, in a run like those of the command line."""

from pathlib import Path

import numpy as np
import pytest

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.api.runs import own_run
from lcrp.decisions.subject import Subject
from lcrp.errors import LayerError
from lcrp.stages.clean.kept import kept

Pair = tuple[np.ndarray, None]


class Edition(list[Pair]):
    """Pairs that say when they have changed."""

    name = "a/b: squares"

    def fingerprint(self) -> str:
        return "first edition"


def subject(explainer: lcrp.Explainer, pairs: list[Pair]) -> Subject:
    return subject_of(explainer, given_data(pairs, explainer))


@pytest.fixture
def pairs(squares: list[np.ndarray]) -> list[Pair]:
    return [(square, None) for square in squares]


def test_results_of_data_that_nobody_can_recognise_are_not_taken_for_those_of_other_data(
    explainer: lcrp.Explainer, pairs: list[Pair]
) -> None:
    """Lists of pairs have no fingerprint: these would have been found as each other's."""
    numbers = []
    for data in (pairs, [(255 - square, None) for square, _ in pairs]):
        found = lcrp.evaluate(explainer, data, methods=["gradient"], num_targets=2, num_layers=1, num_steps=1)
        numbers.append(found.tables["curves"].columns)
    assert any(not np.array_equal(one, numbers[1][name]) for name, one in numbers[0].items())


def test_one_pattern_of_layers_is_no_list_of_letters(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    for measure in (lcrp.evaluate, lcrp.context):
        with pytest.raises(LayerError, match=r"'conv\.\*'"):
            measure(explainer, squares, layers="conv.*")


def test_only_data_that_is_recognised_shares_what_is_half_done(
    explainer: lcrp.Explainer, pairs: list[Pair], own_folder: Path
) -> None:
    with own_run("evaluate", subject(explainer, Edition(pairs)), None) as run:
        assert run.output_root == own_folder / "outputs"
    with own_run("evaluate", subject(explainer, pairs), None) as run:
        assert run.output_root == run.folder


def test_a_run_is_listed_as_those_of_the_command_line(
    explainer: lcrp.Explainer, pairs: list[Pair], own_folder: Path
) -> None:
    with own_run("evaluate", subject(explainer, Edition(pairs)), None) as run:
        assert run.folder.name.endswith("_evaluate_Sequential_a-b-squares"), "a name of data is no path"
        assert [one.state for one in kept(own_folder)] == ["runs now"]
    assert [(one.path, one.state) for one in kept(own_folder)] == [(run.folder, "ended well")]
