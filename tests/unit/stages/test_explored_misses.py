"""What the explorer shows of missed objects and false alarms is what stage=missed told of them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_up_page import made_up

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import StatisticsSettings
from lcrp.decisions.thresholds import Thresholds
from lcrp.figures.missed import signed
from lcrp.runs.run import Run
from lcrp.stages.explore.decided import Decided
from lcrp.stages.explore.measured import finding, measured
from lcrp.stages.explore.misses import with_alarms, with_misses
from lcrp.stages.explore.settings import ExploreSettings
from lcrp.stages.missed.missed import missed
from lcrp.stages.missed.settings import MissedSettings
from lcrp.storage.evidence import read_evidence, write_evidence
from lcrp.values.evidence import Table

LAYER = "neck.reduce_layer1.conv"
STATISTICS = StatisticsSettings(
    targets="annotated", layers=(), top_n=1, top_n_per_class=1, batch_size=4, num_samples=8, record=False
)
SELECTION = Selection(image=None, samples=None, class_name=None, max_targets=5, thresholds=Thresholds())


def test_a_miss_is_shown_with_the_numbers_of_its_table(tmp_path: Path) -> None:
    """Concepts of another miss, or in another order than their maps, would explain something else."""
    model = lcrp.load("embedded:yolov6_scenes")
    subject = subject_of(model, given_data("scenes", model))
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *_: None)
    files = missed(subject, STATISTICS, MissedSettings(explained=1, layer=LAYER), run)
    tables = read_evidence(next(path for path in files if path.suffix == ".h5"))
    found = with_misses(subject, ExploreSettings(selection=SELECTION), Decided(), tables, run)
    (miss,), (picture,) = found.misses, found.pictures
    said = miss.missed
    assert said is not None
    (name,) = tables["lacking"].columns["class"]
    assert picture.name == tables["lacking"].columns["key"][0]
    assert said.headline.startswith(f"Missed {name} \N{EM DASH} ")
    assert said.notes[-1].startswith(f"Concepts are of layer {LAYER}")
    absent = [row[3:] for row in tables["absent"].rows()]
    assert [tuple(row) for row in absent] == list(said.absent)
    shown = [one["concept"] for one in miss.facts["concepts"]]
    assert [one.concept for one in said.concepts] == shown
    assert len(miss.maps) == 1 + len(shown)
    for concept, of_found, here, gain in absent[:3]:
        text = next(one.text for one in said.concepts if one.concept == concept)
        assert text == (
            f"adds {signed(here)} to the logit here, {signed(of_found)} where a {name} is found; "
            f"given back: {signed(gain)}"
        )
    assert all(one.references and one.strip for one in said.concepts[:3])
    none = with_misses(subject, ExploreSettings(selection=SELECTION, num_decisions=0), Decided(), tables, run)
    assert none.misses == none.pictures == ()


def test_a_false_alarm_is_known_by_its_picture_class_and_box() -> None:
    decisions = made_up().decisions[:3]  # of the classes boat, car, kite, in the box (10, 20, 200, 180)
    columns = {
        "key": ["boat", "boat", "elsewhere"], "class": ["boat", "car", "kite"], "left": [40.0, 10.4, 10.0],
        "top": [20.0] * 3, "right": [200.0] * 3, "bottom": [180.0] * 3, "kind": ["background", "duplicate", "box off"],
        "object_class": ["", "car", "kite"], "iou": [0.0, 0.7, 0.3],
    }  # fmt: skip
    found = with_alarms(
        [replace(one, alarm=None) for one in decisions], {"false_alarms": Table(name="false_alarms", columns=columns)}
    )
    assert [one.alarm for one in found] == [None, {"kind": "duplicate", "class": "car", "iou": 0.7}, None]


@pytest.mark.parametrize(("composite", "is_taken"), [("a", True), ("b", False)])
def test_misses_explained_by_another_composite_are_not_taken(tmp_path: Path, composite: str, is_taken: bool) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    table = Table(name="classes", columns={"class": ["all"]})
    write_evidence(
        tmp_path / "runs" / "one" / "missed.h5", [table], title="", settings={"model": "m", "composite": composite}
    )
    header = SimpleNamespace(config={"model": "m", "composite": "a", "statistics": {}}, config_hash="")
    assert (measured("missed", None, header, tmp_path) is not None) == is_taken  # type: ignore[arg-type]


def test_mechanisms_that_no_object_has_take_no_room() -> None:
    """With eighty classes most rows count nothing, and push those of the last classes out."""
    names = [f"class {number}" for number in range(200)]
    share = {"share": [0.5] * 201, "low": [0.4] * 201, "high": [0.6] * 201}
    classes = Table(
        name="classes", columns={"class": ["all", *names], "objects": [2] * 201, "missed": [1] * 201, **share}
    )
    kinds = [kind for _ in range(201) for kind in ("filtered", "box off", "no candidate")]
    columns = {"class": [name for name in ("all", *names) for _ in range(3)], "mechanism": kinds}
    count = {"count": [0, 1, 0] * 201, **{name: values * 3 for name, values in share.items()}}
    detections = Table(name="detections", columns={"class": ["all"], "detections": [0], "false_alarms": [0]})
    tables = {
        "classes": classes,
        "mechanisms": Table(name="mechanisms", columns={**columns, **count}),
        "misses": Table(name="misses", columns={"mechanism": [], "candidate_score": []}),
        "detections": detections,
        "alarm_kinds": Table(name="alarm_kinds", columns={"class": [], "kind": [], "count": []}),
        "tide": Table(name="tide", columns={"error": [], "ap50": []}),
    }
    found = finding("missed", (Path("runs/one/missed.h5"), tables), "")
    shown = next(one for one in found.tables if one.name == "mechanisms").columns
    assert list(shown["class"]) == ["all", *names]
    assert set(shown["mechanism"]) == {"box off"}
    assert found.sentences[0] == "1 of 2 objects (50 %, 40 to 60) are missed: 1 box off."
