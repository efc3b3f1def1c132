import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from lcrp.config.tasks import TASKS
from lcrp.data.transforms import InputTransform
from lcrp.errors import ConfigError
from lcrp.models.checkpoint import read_checkpoint
from lcrp.models.yolov5 import YOLOv5
from lcrp.runs.run import Run
from lcrp.runs.threads import Threads, torch_threads
from lcrp.stages.train import Pupil, TrainSettings, TrainSubject, load_pictures, train
from lcrp.training.trainer import Schedule
from lcrp.values.geometry import Geometry
from lcrp.values.normalisation import Normalisation
from lcrp.values.sample import Annotation, Sample

SIDE = 64
SCHEDULE = Schedule(epochs_at=((32, 1), (64, 1)), batch_size=4, learning_rate=0.02, weight_decay=0.01, seed=0)


class Squares:
    """One bright square per picture; every second picture has a second one."""

    name = "squares"
    transform = InputTransform(SIDE, SIDE, "none")

    def __init__(self, class_names, length=8):
        self.class_names = class_names
        self.length = length
        self.drawn = 0

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.drawn += 1
        mask = torch.zeros(SIDE, SIDE, dtype=torch.int64)
        boxes = [[4, 4 + index, 24, 24 + index], [36, 8, 60, 32]][: 1 + index % 2]
        for left, top, right, bottom in boxes:
            mask[top:bottom, left:right] = 1
        return Sample(
            index=index,
            key=self.key(index),
            image=(0.2 + 0.6 * mask).expand(3, SIDE, SIDE).contiguous(),
            annotation=Annotation(
                boxes=torch.tensor(boxes, dtype=torch.float32),
                labels=torch.full((len(boxes),), len(self.class_names) - 1),
                class_mask=mask,
            ),
            geometry=Geometry.identity((SIDE, SIDE)),
        )

    def key(self, index):
        return f"{index:03d}"

    def index_of(self, key):
        return int(key)

    def fingerprint(self):
        return f"squares {self.class_names} {self.length}"


def subject(network, kind, class_names):
    pupil = Pupil(
        name="small",
        network=network,
        normalise=Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
        task=TASKS[kind].examined(class_names),
        objective=TASKS[kind].objective,
        quality=TASKS[kind].quality,
    )
    pictures = Squares(class_names)
    return TrainSubject(pupil=pupil, train=pictures, validation={"val": Squares(class_names, 3)}, num_workers=0)


def segmenter():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1))


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return Run(folder=tmp_path / "run", output_root=tmp_path / "outputs")


def test_a_segmenter_is_trained_measured_and_written(run, tmp_path):
    what = subject(segmenter(), "segmentation", ("background", "square"))
    output = train(what, TrainSettings(schedule=SCHEDULE, output=tmp_path / "weights" / "small.pt"), run)
    assert read_checkpoint(output).class_names == ("background", "square")
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics == json.loads(output.with_suffix(".json").read_text())
    assert metrics["val"].keys() == {"mIoU", "background", "square"}
    assert metrics["val"]["mIoU"] > 0.75
    assert list((run.output_root / "training").iterdir()) == []  # nothing is left to go on from


def test_a_detector_is_trained_measured_and_written(run, tmp_path):
    network = YOLOv5(num_classes=1, depth=0.1, width=0.05)
    network.initialise(torch.Generator().manual_seed(0))
    output = train(
        subject(network, "detection", ("square",)), TrainSettings(schedule=SCHEDULE, output=tmp_path / "s.pt"), run
    )
    assert 0 <= json.loads(output.with_suffix(".json").read_text())["val"]["AP50"] <= 1
    stored = read_checkpoint(output).state
    assert all(torch.equal(value, value.half().to(value.dtype)) for value in stored.values())


def test_the_same_command_goes_on_where_it_was_broken_off(run, tmp_path, monkeypatch):
    settings = TrainSettings(schedule=SCHEDULE, output=tmp_path / "s.pt")
    names = ("background", "square")
    whole = read_checkpoint(train(subject(segmenter(), "segmentation", names), settings, run)).state
    monkeypatch.setattr("lcrp.stages.train.save_checkpoint", lambda *_, **__: pytest.fail("broken off"))
    with pytest.raises(pytest.fail.Exception, match="broken off"):
        train(subject(segmenter(), "segmentation", names), settings, run)
    assert len(list((run.output_root / "training").iterdir())) == 1
    monkeypatch.undo()
    monkeypatch.setattr("lcrp.training.trainer._train_epoch", lambda *_: pytest.fail("trained again"))
    resumed = read_checkpoint(train(subject(segmenter(), "segmentation", names), settings, run)).state
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


def test_pictures_are_read_once_and_padded(run):
    pictures = Squares(("square",))
    first = load_pictures(pictures, 0, run)
    second = load_pictures(pictures, 0, run)
    assert pictures.drawn == 8
    for loaded in (first, second):
        assert loaded.images.shape == (8, 3, SIDE, SIDE)
        assert loaded.images.dtype == torch.uint8
        assert loaded.truth.labels[:2].tolist() == [[0, -1], [0, 0]]
        assert loaded.truth.boxes[1].tolist() == [[4, 5, 24, 25], [36, 8, 60, 32]]
        assert loaded.truth.class_mask[0, 4, 4] == 1


def test_a_training_goes_on_with_its_threads_and_counts_from_where_it_was(run, tmp_path, monkeypatch):
    settings = TrainSettings(schedule=SCHEDULE, output=tmp_path / "s.pt")
    names, before = ("background", "square"), torch.get_num_threads()
    monkeypatch.setattr("lcrp.stages.train.save_checkpoint", lambda *_, **__: pytest.fail("broken off"))
    with torch_threads(before + 1), pytest.raises(pytest.fail.Exception, match="broken off"):
        train(subject(segmenter(), "segmentation", names), settings, run)
    monkeypatch.undo()
    heard = []
    told = replace(run, on_progress=lambda done, total, *_: heard.append((done, total, torch.get_num_threads())))
    train(subject(segmenter(), "segmentation", names), settings, told)
    of_training = [step for step in heard if step[2] == before + 1]
    assert of_training[0][0] == of_training[0][1]  # all epochs were done
    assert told.notes == {"threads": before + 1}
    given = replace(run, threads=Threads(count=before, is_given=True, most=before + 1), notes={})
    with pytest.raises(ConfigError, match=f"began with {before + 1} threads"):
        given.resumed_threads(before + 1)
