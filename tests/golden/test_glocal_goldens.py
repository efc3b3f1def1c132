"""Our pass over sixteen photographs against the forerunner's: the same samples for every concept, with the same scores.

The forerunner keeps one entry per target in RelMax and RelStats, and one per image in ActMax; in ActStats an image
counts for one of its classes only. All its tables are longer than the sixteen images need, so they hold every entry.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from forerunner_pass import CASES, recorded_pass
from torch import nn

from lcrp.decisions.subject import StatisticsSettings
from lcrp.runs.run import Run
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.statistics import TopTable

pytestmark = pytest.mark.golden

TIE = 1e-3  # relative distance below which scores may change places
AGREEMENT = 0.999  # of the ranks without ties, and of the neurons
Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Pass:
    """Our statistics and the folder with the forerunner's."""

    ours: StatisticsFile
    theirs: Path


@dataclass(frozen=True)
class Tolerance:
    """Relative L2 errors over the entries of one table: of the worst table, and of the median one."""

    worst: float
    median: float


# some targets are so ill-conditioned that the forerunner's float32 relevance is off by 8e-3 (told by ours in float64)
RELEVANCE = Tolerance(worst=1e-2, median=1e-4)
ACTIVATION = Tolerance(worst=2e-4, median=2e-5)


class Entries(NamedTuple):
    """Entries [N, C] of every concept."""

    sample: Array
    score: Array
    peak: Array


@pytest.fixture(scope="module", params=list(CASES))
def golden(
    request: pytest.FixtureRequest,
    shared: Path,
    golden_network: Callable[[str], nn.Module],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pass]:
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    subject, theirs = recorded_pass(name, shared, golden_network(name), folder)
    statistics = StatisticsSettings(
        targets="annotated",
        layers=(),
        top_n=40,
        top_n_per_class=40,
        batch_size=1,
        num_samples=None,
        record=False,
    )
    path = glocal(subject, statistics, GlocalSettings(), Run(folder=folder, output_root=folder))
    with StatisticsFile(path) as file:
        yield Pass(ours=file, theirs=theirs)


def by_sample(sample: Array, score: Array, peak: Array) -> Entries:
    """Entries [N, C] of every concept ordered by sample, then score."""
    order = np.lexsort((score, sample), axis=0)
    return Entries(*(np.take_along_axis(values, order, axis=0) for values in (sample, score, peak)))


def theirs(folder: Path, stem: str) -> Entries:
    """The forerunner's entries, by sample."""
    return by_sample(*(np.load(folder / f"{stem}_{part}.npy") for part in ("data", "rel", "rf")))


def ours(table: TopTable, *row: int) -> Entries:
    """All our entries, by sample."""
    (num_entries,) = set(table.filled[row].tolist())
    return by_sample(*(values[row][:, :num_entries].T for values in (table.sample, table.score, table.peak)))


def relative_error(found: Array, expected: Array) -> float:
    return float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-30))


def rank_agreement(found: Entries, expected: Entries) -> tuple[int, int]:
    """How many ranks have no tied neighbour in the forerunner's ranking, and how many of them hold the same sample."""
    (sample, _), (golden_sample, score) = (
        (np.take_along_axis(entries.sample, order, axis=0), np.take_along_axis(entries.score, order, axis=0))
        for entries in (found, expected)
        for order in (np.argsort(-entries.score, axis=0, kind="stable"),)
    )
    gap = np.pad(-np.diff(score, axis=0), ((1, 1), (0, 0)), constant_values=np.inf)
    is_clear = np.minimum(gap[1:], gap[:-1]) > TIE * np.abs(score)
    return int(is_clear.sum()), int((is_clear & (sample == golden_sample)).sum())


def assert_tables_agree(pairs: list[tuple[str, Entries, Entries]], tolerance: Tolerance) -> None:
    """The same samples for every concept, with the same scores, ranks and neurons."""
    errors, ranks, peaks = {}, [], []
    for name, found, expected in pairs:
        np.testing.assert_array_equal(found.sample, expected.sample, err_msg=name)
        errors[name] = relative_error(found.score, expected.score)
        assert expected.score.any() or not found.score.any(), f"{name} is zero in the golden, and not here"
        ranks.append(rank_agreement(found, expected))
        has_score = expected.score != 0
        peaks.append((has_score.sum(), (has_score & (found.peak == expected.peak)).sum()))
    worst = max(errors, key=lambda name: errors[name])
    assert errors[worst] < tolerance.worst, worst
    assert np.median(list(errors.values())) < tolerance.median
    for agreement in (ranks, peaks):
        compared, alike = np.sum(agreement, axis=0)
        assert alike / compared > AGREEMENT


def test_the_layers_are_the_forerunners(golden: Pass) -> None:
    files = (golden.theirs / "RelMax_sum_normed").glob("*_data.npy")
    assert {file.name.removesuffix("_data.npy") for file in files} == set(golden.ours.layer_names)


@pytest.mark.parametrize(
    ("kind", "name", "tolerance"),
    [("RelMax_sum_normed", "relevance", RELEVANCE), ("ActMax_max_normed", "activation", ACTIVATION)],
)
def test_overall_tables(golden: Pass, kind: str, name: str, tolerance: Tolerance) -> None:
    pairs = [
        (layer, ours(getattr(golden.ours.layer(layer), name)), theirs(golden.theirs / kind, layer))
        for layer in golden.ours.layer_names
    ]
    assert_tables_agree(pairs, tolerance)


def golden_classes(folder: Path) -> dict[int, Entries]:
    """The forerunner's table of every class."""
    stems = (file.name.removesuffix("_data.npy") for file in folder.glob("*_data.npy"))
    return {int(stem): theirs(folder, stem) for stem in sorted(stems)}


def test_relevance_tables_per_class(golden: Pass) -> None:
    pairs = []
    for name in golden.ours.layer_names:
        layer = golden.ours.layer(name)
        expected = golden_classes(golden.theirs / "RelStats_sum_normed" / name)
        assert layer.moments.class_ids.tolist() == sorted(expected)
        for row, class_id in enumerate(layer.moments.class_ids.tolist()):
            assert layer.moments.count[row] == len(expected[class_id].sample)
            pairs.append((f"{name}, class {class_id}", ours(layer.relevance_by_class, row), expected[class_id]))
    assert_tables_agree(pairs, RELEVANCE)


def test_activation_tables_per_class_hold_the_forerunners(golden: Pass) -> None:
    pairs = []
    for name in golden.ours.layer_names:
        layer = golden.ours.layer(name)
        class_ids = layer.moments.class_ids.tolist()
        for class_id, expected in golden_classes(golden.theirs / "ActStats_max_normed" / name).items():
            found = ours(layer.activation_by_class, class_ids.index(class_id))
            is_shared = np.isin(found.sample[:, 0], expected.sample)
            pairs.append((f"{name}, class {class_id}", Entries(*(values[is_shared] for values in found)), expected))
    assert_tables_agree(pairs, ACTIVATION)
