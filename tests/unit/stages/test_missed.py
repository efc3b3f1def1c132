"""stage=missed: every object has one row, whatever the parts; and what it says of sets where there is little to say."""

import logging
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from toy import explainer, subject

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.data.loader import Shard
from lcrp.data.scenes import ScenesDataset
from lcrp.decisions.subject import StatisticsSettings
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError, DataError, TargetError
from lcrp.evidence.components import components
from lcrp.runs.run import Run
from lcrp.stages.missed import missed as stage
from lcrp.stages.missed.missed import missed
from lcrp.stages.missed.settings import MissedSettings
from lcrp.stages.missed.tables import misses_of
from lcrp.stages.missed.wording import _weak
from lcrp.storage.evidence import read_evidence
from lcrp.values.evidence import Table
from lcrp.values.geometry import Geometry
from lcrp.values.missed import Mechanism
from lcrp.values.sample import VOID, Annotation, Sample

STATISTICS = StatisticsSettings(
    targets="annotated", layers=(), top_n=1, top_n_per_class=1, batch_size=4, num_samples=20, record=False
)
NAMES = ("background", "sail", "hull")


def _silent(*told):
    """Progress that nobody sees."""


class Pictures:
    """Given samples as a dataset; None is one that cannot be read."""

    name, class_names = "given", NAMES

    def __init__(self, samples, transform):
        self._samples, self.transform = samples, transform

    def __len__(self):
        return len(self._samples)

    def __getitem__(self, index):
        if self._samples[index] is None:
            raise DataError("no picture")
        return self._samples[index]

    def key(self, index):
        return f"{index}.png"

    def fingerprint(self):
        return "given"


class Painted(nn.Module):
    """Says of every pixel the class of its red value: 0, 0.5 or 1."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        away = torch.tensor([0.0, 0.5, 1.0])[:, None, None]
        return 1 - (x[:, :1] - away).abs() + 0 * self.scale(x[:, :1])


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return Run(folder=folder, output_root=tmp_path, on_progress=_silent)


@pytest.fixture(scope="module")
def scenes():
    model = lcrp.load("embedded:yolo_scenes")
    return subject_of(model, given_data("scenes", model))


def tables_of(files):
    return read_evidence(next(path for path in files if path.suffix == ".h5"))


def painted(truth, said, **annotation):
    """A picture [H, W] on which classes are painted as they shall be said."""
    size = truth.shape
    image = torch.zeros(3, *size)
    image[0] = torch.from_numpy(said) / 2
    empty = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    own = Annotation(class_mask=torch.from_numpy(truth).long(), **(empty | annotation))
    return Sample(index=0, key="0.png", image=image, annotation=own, geometry=Geometry.identity(size))


def segmenter(*samples):
    model = explainer(Painted(), NAMES, 8)
    model.task.is_background = lambda class_id: class_id == 0
    return subject(model, Pictures([one and replace(one, index=n) for n, one in enumerate(samples)], model.transform))


def test_every_miss_has_a_row_with_one_mechanism(scenes, run, caplog):
    caplog.set_level(logging.INFO)
    files = missed(scenes, STATISTICS, MissedSettings(), run)
    tables = tables_of(files)
    objects = sum(len(scenes.dataset[index].annotation.labels) for index in range(20))
    classes = {row[0]: row[1:] for row in tables["classes"].rows()}
    assert classes["all"][0] == objects
    found = misses_of(tables["misses"], scenes.explainer.class_names)
    assert len(found) == classes["all"][1] > 2
    assert sum(row[1] for name, row in classes.items() if name != "all") == len(found)
    counts = Counter(miss.mechanism.value for miss in found)
    mechanisms = list(tables["mechanisms"].rows())
    assert {row[1]: row[2] for row in mechanisms if row[0] == "all" and row[2]} == counts
    for name, _, count, share, low, high in mechanisms:
        assert share == pytest.approx(count / classes[name][0])
        assert (low <= share <= high) or np.isnan(low)
    assert len((run.folder / "misses.csv").read_text().splitlines()) == 1 + len(found)
    for miss in found:
        sample = scenes.dataset[miss.sample]
        assert scenes.explainer.class_names[int(sample.annotation.labels[miss.number])] in scenes.dataset.class_names
        np.testing.assert_allclose(miss.box, sample.annotation.boxes[miss.number].numpy(), atol=1e-4)
        assert (miss.candidate is None) == (miss.mechanism == Mechanism.NO_CANDIDATE)
    alarms = {row[0]: row[2] for row in tables["detections"].rows()}
    assert alarms["all"] == len(list(tables["false_alarms"].rows())) > 3
    assert f"{len(found)} of {objects} objects (" in caplog.text
    assert list(tables["tide"].columns["error"])[:2] == ["AP50", "Cls"]


def test_parts_and_what_was_stopped_give_the_same_files(scenes, run, tmp_path, monkeypatch):
    monkeypatch.setattr("lcrp.decisions.spans.PICTURES_AT_ONCE", 4)
    whole = missed(scenes, STATISTICS, MissedSettings(), replace(run, output_root=tmp_path / "whole"))
    expected = {path.name: path.read_bytes() for path in whole}
    looked = Counter()
    own = stage._unit

    def counted(looking, attributor, subject, statistics, span, advance):
        looked[span] += 1
        return own(looking, attributor, subject, statistics, span, advance)

    monkeypatch.setattr(stage, "_unit", counted)
    for index in (2, 0, 1):
        shard = MissedSettings(shard=Shard(index=index, count=3))
        assert missed(scenes, STATISTICS, shard, run) == []
    (tmp_path / "again").mkdir()
    again = missed(scenes, STATISTICS, MissedSettings(), replace(run, folder=tmp_path / "again"))
    assert {path.name: path.read_bytes() for path in again} == expected
    assert set(looked.values()) == {1}
    assert len(looked) == 5
    other = MissedSettings(thresholds=Thresholds(confidence=0.5))
    missed(scenes, STATISTICS, other, replace(run, folder=tmp_path / "again"))
    assert set(looked.values()) == {2}  # nothing of other thresholds is taken for these


def test_settings_change_what_counts(scenes, run):
    few = replace(STATISTICS, num_samples=12)
    plain = tables_of(missed(scenes, few, MissedSettings(), run))
    filtered = tables_of(missed(scenes, few, MissedSettings(class_names=("boat", "car")), run))
    mechanisms = Counter(filtered["misses"].columns["mechanism"])
    assert mechanisms["filtered"] > 0
    assert set(filtered["false_alarms"].columns["class"]) <= {"boat", "car"}
    strict = tables_of(missed(scenes, few, MissedSettings(thresholds=Thresholds(confidence=0.7)), run))
    assert (
        Counter(strict["misses"].columns["mechanism"])["below threshold"]
        > Counter(plain["misses"].columns["mechanism"])["below threshold"]
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"class_names": ("boot",)}, "class 'boot' is not known to the model; nearest: 'boat'"),
        ({"thresholds": Thresholds(read="objectness")}, "read says nothing to stage=missed"),
    ],
)
def test_what_cannot_be_meant_is_refused(scenes, run, settings, message):
    with pytest.raises((ConfigError, TargetError), match=message):
        missed(scenes, STATISTICS, MissedSettings(**settings), run)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"least_score": 1.5}, "least_score=1.5 is out of range"),
        ({"min_area": -1}, "min_area=-1 is too small"),
        ({"class_names": ()}, "class_names names none"),
        ({"least_score": None}, "least_score=None is no number to compare with; leave it out"),
        ({"min_area": None}, "min_area=None is no number to compare with"),
        ({"min_area": math.inf}, "min_area=inf is no number to compare with"),
        ({"layer": "auto"}, "layer=auto goes by decisions, and a miss is none"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        MissedSettings(**settings)


class Odd(ScenesDataset):
    """Pictures whose annotations are as a test wants them."""

    def __init__(self, change, transform):
        super().__init__("val", transform=transform)
        self.change = change

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        return replace(sample, annotation=self.change(sample))

    def fingerprint(self):
        return "odd"


def without(sample, count=0):
    own = sample.annotation
    return replace(own, boxes=own.boxes[:count], labels=own.labels[:count], masks=None, class_mask=None)


def emptied(sample):
    """As a tile without objects, of data that has masks of objects and of classes."""
    return replace(without(sample), masks=sample.annotation.masks[:0], class_mask=sample.annotation.class_mask)


def unannotated(sample):
    """No annotation, whatever the sample."""


def odd(scenes, change):
    return replace(scenes, dataset=Odd(change, scenes.dataset.transform))


@pytest.mark.parametrize("change", [without, emptied])
def test_pictures_without_objects_are_all_background(scenes, run, caplog, change):
    caplog.set_level(logging.INFO)
    tables = tables_of(missed(odd(scenes, change), replace(STATISTICS, num_samples=8), MissedSettings(), run))
    assert not list(tables["misses"].rows())
    assert set(tables["false_alarms"].columns["kind"]) == {"background"}
    assert "no objects" in caplog.text
    assert "not annotated" not in caplog.text
    assert misses_of(tables["misses"], scenes.explainer.class_names) == ()


def test_without_detections_everything_is_missed(scenes, run, caplog):
    caplog.set_level(logging.INFO)
    settings = MissedSettings(thresholds=Thresholds(confidence=1.0))
    tables = tables_of(missed(scenes, replace(STATISTICS, num_samples=8), settings, run))
    assert {row[0]: row[3] for row in tables["classes"].rows()}["all"] == 1
    assert not list(tables["false_alarms"].rows())
    assert "no detections" in caplog.text
    (least,) = re.findall(r"stage.confidence=([0-9.]+) lets them pass", caplog.text)
    columns = tables["misses"].columns
    is_weak = np.array([one == "below threshold" for one in columns["mechanism"]])
    scores = np.array(columns["candidate_score"])[is_weak]
    assert np.mean(scores > float(least)) >= 0.5 > np.mean(scores > float(least) + 0.05)


@pytest.mark.parametrize(
    ("score", "told"), [(0.1368, "0.13"), (0.149999, "0.14"), (0.29, "0.29"), (0.0043, "0.0043"), (0.0, "0.00")]
)
def test_thresholds_are_told_no_higher_than_what_they_let_pass(score, told):
    """0.1368 was told as 0.14, which lets nothing of it pass."""
    table = Table(name="misses", columns={"mechanism": ["below threshold"] * 5, "candidate_score": [score] * 5})
    assert list(_weak(table)) == [
        f"half of the 5 below the threshold score {told} or more: stage.confidence={told} lets them pass"
    ]


def test_neither_misses_nor_alarms(scenes, run, caplog):
    caplog.set_level(logging.INFO)
    settings = MissedSettings(thresholds=Thresholds(confidence=1.0))
    tables = tables_of(missed(odd(scenes, without), replace(STATISTICS, num_samples=4), settings, run))
    assert {name: len(list(table.rows())) for name, table in tables.items()} == {
        **{"alarm_kinds": 5, "classes": 1, "detections": 1, "mechanisms": 6},
        **{"false_alarms": 0, "misses": 0, "tide": 0},
    }


def test_pictures_without_annotation(scenes, run, caplog):
    def every_other(sample):
        return None if sample.index % 2 else sample.annotation

    missed(odd(scenes, every_other), replace(STATISTICS, num_samples=6), MissedSettings(), run)
    assert "of 6 pictures 3 are not annotated: they are left out" in caplog.text
    bare = odd(scenes, unannotated)
    with pytest.raises(ConfigError, match="none of the 6 pictures of scenes val is annotated with boxes"):
        missed(bare, replace(STATISTICS, num_samples=6, batch_size=3), MissedSettings(), run)


TRUTH = np.array(
    [
        [1, 1, 0, 0, 0, 0, 2, 2],
        [1, 1, 0, 0, 0, 0, 2, 2],
        [0, 0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [VOID] * 8,
    ]
)
SAID = np.array(
    [
        [1, 0, 0, 0, 0, 0, 1, 1],
        [1, 1, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 2, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [1] * 8,
    ]
)


def test_pixels_by_the_class_that_they_go_to(run, caplog):
    caplog.set_level(logging.INFO)
    tables = tables_of(missed(segmenter(painted(TRUTH, SAID)), STATISTICS, MissedSettings(), run))
    confusion = {(row[0], row[1]): row[2:4] for row in tables["pixels"].rows()}
    assert confusion == {
        ("sail", "background"): (5, pytest.approx(5 / 9)),
        ("sail", "hull"): (1, pytest.approx(1 / 9)),
        ("hull", "sail"): (3, pytest.approx(3 / 4)),
        ("hull", "background"): (1, pytest.approx(1 / 4)),
    }
    assert {row[0]: row[1:3] for row in tables["classes"].rows()} == {
        **{"all": (56, 10), "background": (43, 0), "sail": (9, 6), "hull": (4, 4)},
    }
    assert {row[0]: row[1:3] for row in tables["regions"].rows()} == {"all": (3, 2), "sail": (2, 1), "hull": (1, 1)}
    rows = [dict(zip(tables["misses"].columns, row, strict=True)) for row in tables["misses"].rows()]
    told = [(row["class"], row["left"], row["top"], row["right"], row["bottom"], row["area"]) for row in rows]
    assert told == [("sail", 4, 4, 6, 6, 4), ("hull", 6, 0, 8, 2, 4)]
    assert [(row["went_to"], row["went_to_share"]) for row in rows] == [("background", 0.75), ("sail", 0.75)]
    assert "2 of 3 regions" in caplog.text
    assert "of 'sail' 56 % of the pixels go to 'background'" in caplog.text


def test_regions_are_objects_where_the_data_has_them_and_small_ones_do_not_count(run):
    left, right = (np.zeros((8, 8), dtype=bool) for _ in range(2))
    left[:2, :2], right[4:6, 4:6] = True, True
    own = {
        "labels": torch.tensor([1, 1]),
        "boxes": torch.zeros(2, 4),
        "masks": torch.from_numpy(np.stack([left, right])),
    }
    sample = painted(TRUTH, SAID, **own)
    tables = tables_of(missed(segmenter(sample), STATISTICS, MissedSettings(), run))
    assert {row[0]: row[1:3] for row in tables["regions"].rows()} == {"all": (2, 1), "sail": (2, 1)}
    tables = tables_of(missed(segmenter(sample), STATISTICS, MissedSettings(min_area=5), run))
    assert {row[0]: row[1:3] for row in tables["regions"].rows()} == {"all": (0, 0)}


def test_broken_pictures_and_other_sets_of_segmenters(run, caplog):
    boxes = replace(painted(TRUTH, SAID), annotation=Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0).long()))
    missed(segmenter(None, painted(TRUTH, SAID), boxes), STATISTICS, MissedSettings(), run)
    assert "of 3 pictures 1 cannot be read, 1 are not annotated: they are left out" in caplog.text
    with pytest.raises(ConfigError, match="is annotated with masks of classes"):
        missed(segmenter(boxes), replace(STATISTICS, batch_size=2), MissedSettings(), run)
    with pytest.raises(DataError, match="none of the 1 pictures of given can be read"):
        missed(segmenter(None), replace(STATISTICS, batch_size=3), MissedSettings(), run)
    with pytest.raises(ConfigError, match="class_names says nothing to a network that decides about pixels"):
        missed(segmenter(boxes), STATISTICS, MissedSettings(class_names=("sail",)), run)
    with pytest.raises(ConfigError, match=r"confidence=0\.3 says nothing to"):
        missed(segmenter(boxes), STATISTICS, MissedSettings(thresholds=Thresholds(confidence=0.3)), run)


def test_right_everywhere(run, caplog):
    caplog.set_level(logging.INFO)
    tables = tables_of(missed(segmenter(painted(TRUTH, TRUTH % VOID)), STATISTICS, MissedSettings(), run))
    assert not list(tables["pixels"].rows())
    assert not list(tables["misses"].rows())
    assert "0 of 3 regions" in caplog.text


@pytest.mark.parametrize("density", [0.2, 0.4, 0.6, 0.9])
def test_components_are_what_a_flood_fills(density):
    mask = np.random.default_rng(1).random((17, 23)) < density
    expected, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask), strict=True):
        if expected[start]:
            continue
        count += 1
        waiting = [start]
        while waiting:
            y, x = waiting.pop()
            if 0 <= y < 17 and 0 <= x < 23 and mask[y, x] and not expected[y, x]:
                expected[y, x] = count
                waiting += [(y + down, x + across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    assert count > 2 or density == 0.9
    np.testing.assert_array_equal(components(mask), expected)
    assert not components(np.zeros((3, 4), dtype=bool)).any()


def test_pictures_whose_names_no_file_tells_apart_have_a_figure_each(run, monkeypatch):
    """'a/p.png' and 'a p.png' had one, and the other's was lost."""
    lackings = [SimpleNamespace(key=key, miss=SimpleNamespace(number=0)) for key in ("a/p.png", "a p.png", "b.png")]
    monkeypatch.setattr(stage, "explained_miss", lambda *given: SimpleNamespace(source=given[2].key, class_name="sail"))
    monkeypatch.setattr(stage, "draw_explanation", lambda _, paths: [path.touch() for path in paths])
    drawn = stage._drawn(SimpleNamespace(explainer=None, dataset=None), lackings, ("png",), run)
    assert len({path for path in drawn if path.is_file()}) == 3


def test_the_door_gives_readable_misses(tmp_path, monkeypatch, scenes):
    monkeypatch.chdir(tmp_path)
    found = lcrp.missed(scenes.explainer, "scenes", num_samples=12, progress=_silent)
    assert Path(found.folder).is_dir()
    assert "objects (" in repr(found)
    assert len(found.misses) == len(found.to_dataframe()) > 0
    first = found.misses[0]
    assert isinstance(first.mechanism, Mechanism)
    again = lcrp.missed(scenes.explainer, "scenes", num_samples=12, progress=_silent)
    assert again.misses == found.misses
    with pytest.raises(lcrp.LcrpError, match="no table 'miss'; nearest: 'misses'"):
        found.to_dataframe("miss")
    for names in ("boat", 1):
        with pytest.raises(lcrp.LcrpError, match=f"class_names={names!r} is no list of names"):
            lcrp.missed(scenes.explainer, "scenes", class_names=names, progress=_silent)
