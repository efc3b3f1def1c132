"""Explained decisions as other tools read them: the numbers of the explanations, in the layouts of the tools."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import colour_world
import h5py
import numpy as np
import pytest
from PIL import Image

from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import Subject
from lcrp.errors import ConfigError, StoreError, TargetError
from lcrp.stages.export import SIDE, ExportSettings, export
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

LAYER = "2"


def exported(home: Path, subject: Subject | None = None, **settings: object) -> Path:
    wanted = Selection(image=None, samples=None, class_name=settings.pop("class_name", None), max_targets=5)  # type: ignore[arg-type]
    given = ExportSettings(folder=home / "out", selection=wanted, layer=LAYER, **settings)  # type: ignore[arg-type]
    return export(subject or colour_world.subject(), colour_world.statistics(), given, colour_world.run(home))


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "decisions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def virelay(tmp_path_factory):
    subject = colour_world.subject(colour_world.Squares(15))
    return exported(tmp_path_factory.mktemp("virelay"), subject, format="virelay", num_decisions=40)


def test_a_project_of_virelay_holds_what_its_reader_asks_for(virelay):
    """The layout as ViRelAy 0.6.1 reads it: keys, types and axes."""
    project = json.loads((virelay / "project.yaml").read_text(encoding="utf-8"))["project"]
    assert project["dataset"]["type"] == "hdf5"
    assert project["dataset"]["label_index_regex"] is project["dataset"]["label_word_net_id_regex"] is None
    labels = json.loads((virelay / project["label_map"]).read_text(encoding="utf-8"))
    assert [(one["index"], one["name"]) for one in labels] == [*enumerate(colour_world.CLASS_NAMES)]
    with h5py.File(virelay / project["dataset"]["path"]) as dataset, h5py.File(virelay / "attribution.h5") as found:
        assert dataset["data"].shape == found["attribution"].shape == (len(table(virelay)), 3, SIDE, SIDE)
        assert dataset["data"].dtype == np.uint8
        assert dataset["label"].dtype == found["label"].dtype == np.uint16
        assert found["prediction"].shape == (len(table(virelay)), 3)
        assert found["attribution"].dtype == np.float32
    ids = {one["word_net_id"] for one in labels}
    with h5py.File(virelay / "analysis.h5") as analysis:
        assert {"00000001", "00000002"} <= set(analysis) <= ids
        for group in analysis.values():
            size = len(group["index"])
            assert all(len(points) == size for points in (*group["embedding"].values(), *group["cluster"].values()))
            assert group["embedding/spectral"].attrs["eigenvalue"].shape == group["embedding/spectral"].shape[1:]


def test_rows_of_virelay_belong_together(virelay):
    """Square, class, box and relevance of one row are of one decision; boats are red and cars green."""
    rows = table(virelay)
    with h5py.File(virelay / "dataset.h5") as dataset, h5py.File(virelay / "attribution.h5") as found:
        pictures, classes = dataset["data"][()], dataset["label"][()]
        heatmaps, predictions = found["attribution"][()].sum(axis=1), found["prediction"][()]
    squares = [(row, one) for row, one in enumerate(rows) if one["class"] != "background"]
    assert len(squares) == 14
    for row, one in squares:
        index = int(one["picture"].split("/")[1])
        assert int(one["row"]) == row
        assert one["class"] == colour_world.CLASS_NAMES[classes[row]] == ("boat" if index % 2 else "car")
        box = [float(one[edge]) for edge in ("left", "top", "right", "bottom")]
        assert np.abs(np.array(box) - (2 + index, 6, 10 + index, 14)).max() <= 2  # edges of the mask
        middle = pictures[row][:, SIDE // 2, SIDE // 2]
        assert middle.argmax() == (0 if index % 2 else 1)
        assert predictions[row].argmax() == classes[row]
        assert float(one["confidence"]) == pytest.approx(predictions[row, classes[row]], abs=1e-3)
        assert heatmaps[row].max() > 0
        inner = slice(SIDE // 8, -SIDE // 8)  # the square, around which convolutions look one pixel of eight further
        positive = np.maximum(heatmaps[row], 0)
        assert positive[inner, inner].sum() >= 0.75 * positive.sum()
    with h5py.File(virelay / "analysis.h5") as analysis:
        for category, group in analysis.items():
            assert {*classes[group["index"][()]].tolist()} == {int(category)}


def test_a_dataset_of_fiftyone_holds_decisions_and_their_heatmaps(tmp_path):
    folder = exported(tmp_path, format="fiftyone", num_decisions=20, n_concepts=2)
    samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))["samples"]
    assert "version" not in json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert len(samples) == 6
    for sample in samples:
        picture = np.asarray(Image.open(folder / sample["filepath"]))
        decisions = sample["decisions"]["detections"]
        index = int(sample["name"].split("/")[1])
        squares = [(number, one) for number, one in enumerate(decisions, 1) if one["label"] != "background"]
        assert [one["label"] for _, one in squares] == (["boat"] if index % 2 else ["car"] * (index > 0))
        if not squares:
            continue
        ((number, decision),) = squares
        assert decision["heatmap"] == f"relevance_{number}"
        left, top, width, height = decision["bounding_box"]
        rows, columns = (
            slice(round(first * colour_world.SIDE), round((first + length) * colour_world.SIDE))
            for first, length in ((top, height), (left, width))
        )
        heatmap = np.asarray(Image.open(folder / sample[decision["heatmap"]]["map_path"])).astype(int) - 128
        region = np.asarray(Image.open(folder / sample[f"region_{number}"]["mask_path"]))
        assert heatmap.shape == region.shape == picture.shape[:2]
        assert heatmap.max() == 127
        assert region[rows, columns].any()
        assert not np.delete(region, np.arange(*rows.indices(len(region))), axis=0).any()
        strongest = np.unravel_index(heatmap.argmax(), heatmap.shape)
        assert region[strongest]
        assert (sample["relevance_1"]["_cls"], sample["relevance_1"]["range"]) == ("Heatmap", [0, 255])
        assert decision["concepts"][0] == ("c0" if decision["label"] == "boat" else "c1")
        assert decision["shares"] == sorted(decision["shares"], reverse=True)


def test_what_is_there_is_left_alone_and_nothing_half_done_stays(tmp_path):
    exported(tmp_path, format="fiftyone", num_decisions=1)
    with pytest.raises(StoreError, match="is there already"):
        exported(tmp_path, format="fiftyone", num_decisions=1)
    blue = replace(colour_world.subject(), dataset=colour_world.Squares(1))
    with pytest.raises(TargetError, match="colours decided nothing in these pictures"):
        exported(tmp_path / "run", blue, format="virelay", class_name="boat")
    assert [one.name for one in (tmp_path / "run").iterdir() if one.name.startswith(("out", ".out"))] == []


def test_few_decisions_of_a_class_are_told(tmp_path, caplog):
    caplog.set_level("INFO")
    folder = exported(tmp_path, format="virelay", num_decisions=3, class_name="boat")
    assert "too few decisions to group them: boat; stage.num_decisions asks for more" in caplog.text
    assert json.loads((folder / "project.yaml").read_text(encoding="utf-8"))["project"]["analyses"] == []
    assert not (folder / "analysis.h5").exists()


def test_other_formats_are_refused():
    with pytest.raises(ConfigError, match="format='coco'"):
        ExportSettings(
            folder=Path("x"),
            format="coco",
            selection=Selection(image=None, samples=None, class_name=None, max_targets=1),
        )  # type: ignore[arg-type]


class Photographs(colour_world.Squares):
    """The squares of photographs twice as large as the input."""

    def __getitem__(self, index: int) -> Sample:
        double = (2 * colour_world.SIDE,) * 2
        placed = Geometry(picture_size=double, input_size=(colour_world.SIDE,) * 2, scale=(0.5, 0.5), offset=(0.0, 0.0))
        return replace(super().__getitem__(index), geometry=placed)


def test_boxes_are_in_pixels_of_the_photograph(tmp_path):
    """A crop is cut out of what the network saw, which has other pixels."""
    subject = colour_world.subject(Photographs())
    rows = table(exported(tmp_path, subject, format="virelay", num_decisions=2, class_name="boat"))
    assert len(rows) == 2
    for one in rows:
        index = int(one["picture"].split("/")[1])
        box = [float(one[edge]) for edge in ("left", "top", "right", "bottom")]
        assert np.abs(np.array(box) - 2 * np.array((2 + index, 6, 10 + index, 14))).max() <= 4  # edges of the mask


def test_a_concept_is_called_as_a_person_calls_it(tmp_path):
    subject = colour_world.subject()
    named = replace(subject, explainer=replace(subject.explainer, concept_names={LAYER: {0: "red"}}))
    folder = exported(tmp_path, named, format="fiftyone", num_decisions=1, class_name="boat")
    (sample,) = json.loads((folder / "samples.json").read_text(encoding="utf-8"))["samples"]
    assert sample["decisions"]["detections"][0]["concepts"][:2] == ["red (c0)", "c3"]
