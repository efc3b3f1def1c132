"""The forerunner's folders become statistics: the same entries, every class found, and a figure from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from forerunner_pass import CASES, recorded_pass
from torch import nn

from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.runs.run import Run
from lcrp.stages.exchange import ImportSettings, import_statistics
from lcrp.stages.render import RenderSettings, render
from lcrp.storage.explanation import read_explanation
from lcrp.storage.statistics import StatisticsFile

pytestmark = pytest.mark.golden

DEFAULTS = StatisticsSettings(
    targets="annotated", layers=(), top_n=40, top_n_per_class=15, batch_size=1, num_samples=None, record=False
)
LAYER = "encoder.features.22"  # of unet
SHORTEST = {"unet": (20, 4), "yolov6n": (31, 6)}  # sixteen photographs have no forty targets


@dataclass(frozen=True)
class Imported:
    """A statistics file, the folder from which it was made, and for whom."""

    name: str
    subject: Subject
    folder: Path
    file: StatisticsFile
    run: Run


@pytest.fixture(scope="module", params=list(CASES))
def imported(
    request: pytest.FixtureRequest,
    shared: Path,
    golden_network: Callable[[str], nn.Module],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Imported]:
    name, home = request.param, tmp_path_factory.mktemp(request.param)
    subject, folder = recorded_pass(name, shared, golden_network(name), home, LAYER)
    run = Run(folder=home, output_root=home / "outputs")
    path = import_statistics(subject, DEFAULTS, ImportSettings(folder=home), run)  # the folder above the only run
    with StatisticsFile(path) as file:
        yield Imported(name=name, subject=subject, folder=folder, file=file, run=run)


def columns(folder: Path, stem: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sample, score, peak = (np.load(folder / f"{stem}_{part}.npy") for part in ("data", "rel", "rf"))
    return sample, score, peak


def test_every_layer_is_there_and_the_sizes_are_told(imported: Imported) -> None:
    layers = {file.name.removesuffix("_data.npy") for file in imported.folder.glob("RelMax_sum_normed/*_data.npy")}
    assert set(imported.file.layer_names) == layers
    stated = imported.file.header.config["statistics"]
    assert isinstance(stated, dict)
    assert (stated["origin"], stated["top_n"], stated["top_n_per_class"]) == ("zennit-crp", *SHORTEST[imported.name])


def test_every_entry_arrives_with_its_class(imported: Imported) -> None:
    """Entries of the overall table are those of all classes together, as nothing was cut off."""
    for name in imported.file.layer_names[::3]:
        table = imported.file.layer(name).relevance
        sample, score, peak = columns(imported.folder / "RelMax_sum_normed", name)
        assert table.score.shape == score.T.shape
        np.testing.assert_array_equal(table.score, -np.sort(-score.T, axis=1, kind="stable"))
        classes = imported.folder / "RelStats_sum_normed" / name
        for concept in range(0, len(table.score), 31):
            found = sorted(
                zip(*(part[concept].tolist() for part in (table.sample, table.score, table.peak)), strict=True)
            )
            assert found == sorted(zip(*(part[:, concept].tolist() for part in (sample, score, peak)), strict=True))
            by_class = sorted(
                (int(file.name.split("_")[0]), *entry)
                for file in classes.glob("*_data.npy")
                for entry in zip(
                    *(part[:, concept].tolist() for part in columns(classes, file.name.split("_")[0])), strict=True
                )
            )
            with_class = (table.class_id, table.sample, table.score, table.peak)
            assert sorted(zip(*(part[concept].tolist() for part in with_class), strict=True)) == by_class
        assert not table.item.any()


def test_tables_per_class_are_the_folders(imported: Imported) -> None:
    for name in imported.file.layer_names[::4]:
        layer = imported.file.layer(name)
        for kind, table in (
            ("RelStats_sum_normed", layer.relevance_by_class),
            ("ActStats_max_normed", layer.activation_by_class),
        ):
            there = {int(text) for text in np.load(imported.folder / kind / "targets.npy")}
            for row, class_id in enumerate(layer.moments.class_ids.tolist()):
                count = int(table.filled[row, 0])
                assert (count > 0) == (class_id in there)
                if count:
                    sample, score, _ = columns(imported.folder / kind / name, str(class_id))
                    np.testing.assert_array_equal(
                        table.score[row, :, :count], -np.sort(-score.T, axis=1, kind="stable")
                    )
                    np.testing.assert_array_equal(np.sort(table.sample[row, :, :count]), np.sort(sample.T))


@pytest.mark.parametrize("imported", ["unet"], indirect=True)
def test_a_figure_is_drawn_from_the_forerunners_statistics(imported: Imported) -> None:
    selection = Selection(image=None, samples=(0,), class_name=None, item=None, box=None, max_targets=1)
    choice = ConceptChoice(mode="relevance", layer=LAYER, n_concepts=1, n_references=1)
    (figure,) = render(imported.subject, DEFAULTS, RenderSettings(selection=selection, choice=choice), imported.run)
    assert figure.stat().st_size > 0
    table = imported.file.layer(LAYER).relevance
    for concept in read_explanation(figure.with_suffix(".h5")).concepts:
        assert len(concept.references) == 1
        found = [(one.sample, one.class_name) for one in concept.references]
        ranked = zip(table.sample[concept.concept].tolist(), table.class_id[concept.concept].tolist(), strict=True)
        assert found == [(sample, f"class {class_id}") for sample, class_id in ranked][:1]
        assert all(one.heatmap.any() for one in concept.references)
