"""Stage train: a small network learns a dataset; its quality is measured on the weights as they are stored."""

import copy
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lcrp.attribution.task import Task
from lcrp.data.dataset import Dataset
from lcrp.data.loader import chunks
from lcrp.models.checkpoint import save_checkpoint
from lcrp.runs.run import Run
from lcrp.runs.threads import torch_threads
from lcrp.training.pictures import NO_OBJECT, Pictures, Truth
from lcrp.training.quality import Quality
from lcrp.training.trainer import Lesson, Objective, Schedule, broken_off, fit
from lcrp.values.normalisation import Normalisation

log = logging.getLogger(__name__)

METRICS_FILE = "metrics.json"
READING_BATCH = 16  # pictures per chunk while reading and measuring


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """A network that learns.

    Attributes:
        name: the model's name in the configuration.
        network: with fresh weights, not prepared for explaining (nothing fused).
        normalise: what its pictures go through first.
        task: reads all that it predicts; knows its classes.
        objective: what training makes small.
        quality: how good predictions of these classes are.
    """

    name: str
    network: nn.Module
    normalise: Normalisation
    task: Task
    objective: Objective
    quality: Callable[[Sequence[str]], Quality]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSubject:
    """Who learns what, and where its quality is measured.

    Attributes:
        pupil: the network.
        train: the pictures to learn from.
        validation: datasets by the name under which their quality is reported.
        num_workers: processes that draw or decode pictures.
    """

    pupil: Pupil
    train: Dataset
    validation: Mapping[str, Dataset]
    num_workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a network is trained, and where its weights go.

    Attributes:
        schedule: epochs, sizes and rates.
        output: file for the weights (float16); a JSON of the same name beside it holds the quality.
    """

    schedule: Schedule
    output: Path


def train(subject: TrainSubject, settings: TrainSettings, run: Run) -> Path:
    """Train a network, measure it and write its weights.

    After every epoch the state is kept below `run.output_root`; the same command goes on from it, and it is deleted
    when the weights are written.

    Returns:
        The file with the weights.
    """
    state_path = run.output_root / "training" / f"{subject.pupil.name}_{_identity(subject, settings)}.pt"
    pictures = load_pictures(subject.train, subject.num_workers, run)
    schedule, size = settings.schedule, len(pictures)
    num_done, threads = broken_off(state_path)
    line = run.progress(schedule.num_epochs * size, f"train {subject.pupil.name}", "pictures", done=num_done * size)
    with torch_threads(run.resumed_threads(threads)), line as progress:
        lesson = Lesson(
            pictures=pictures,
            normalise=subject.pupil.normalise,
            objective=subject.pupil.objective,
            state_path=state_path,
            advance=progress.advance,
        )
        trained = fit(subject.pupil.network, lesson, schedule)
    save_checkpoint(settings.output, trained, class_names=subject.pupil.task.class_names, half=True)
    trained = trained.half().float()  # measured are the weights as they are stored
    metrics = {name: measure(trained, subject, dataset, run) for name, dataset in subject.validation.items()}
    text = json.dumps(metrics, indent=2) + "\n"
    (run.folder / METRICS_FILE).write_text(text, encoding="utf-8")
    settings.output.with_suffix(".json").write_text(text, encoding="utf-8")
    for name, values in metrics.items():
        log.info("%s: %s", name, ", ".join(f"{key} {value:.3f}" for key, value in values.items()))
    state_path.unlink(missing_ok=True)
    return settings.output


def load_pictures(dataset: Dataset, num_workers: int, run: Run) -> Pictures:
    """All pictures of a dataset in memory; kept below `run.output_root`, since drawing takes longer than reading."""
    kept = run.output_root / "cache" / f"pictures_{dataset.fingerprint()[:16]}.npz"
    if not kept.is_file():
        arrays = _read_all(dataset, num_workers, run)
        kept.parent.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, **arrays)  # type: ignore[arg-type]
        partial.replace(kept)
        size = kept.stat().st_size / 2**30
        log.info("%d pictures are kept in %s (%.1f GiB) for further trainings", len(dataset), kept, size)
    with np.load(kept) as stored:
        arrays = {name: stored[name] for name in stored.files}
    truth = Truth(
        boxes=torch.from_numpy(arrays["boxes"]),
        labels=torch.from_numpy(arrays["labels"]),
        class_mask=torch.from_numpy(arrays["class_mask"]) if "class_mask" in arrays else None,
    )
    return Pictures(images=torch.from_numpy(arrays["images"]), truth=truth)


@torch.no_grad()
def measure(network: nn.Module, subject: TrainSubject, dataset: Dataset, run: Run) -> dict[str, float]:
    """Quality on a dataset, by class and in all."""
    network = copy.deepcopy(network).eval()
    pupil = subject.pupil
    quality = pupil.quality(pupil.task.class_names)
    batches = chunks(dataset, batch_size=READING_BATCH, num_workers=subject.num_workers, on_error="raise")
    with run.progress(len(dataset), f"measure {pupil.name}", "pictures") as progress:
        for batch in batches:
            for same in batch.of_one_size():
                predictions = pupil.task.predictions(network(pupil.normalise(same.images)))
                known = [sample.annotation for sample in same.samples if sample.annotation is not None]
                quality.add(predictions[: len(known)], known)
            progress.advance(len(batch.samples))
    return quality.values()


def _identity(subject: TrainSubject, settings: TrainSettings) -> str:
    """Hash of what determines a training's course but for the initial weights, which follow from the seed."""
    shapes = {key: tuple(value.shape) for key, value in subject.pupil.network.state_dict().items()}
    facts = (subject.pupil.name, shapes, subject.train.fingerprint(), settings.schedule)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _read_all(dataset: Dataset, num_workers: int, run: Run) -> dict[str, np.ndarray]:
    """Images uint8 [P, 3, H, W], boxes [P, N, 4], labels [P, N] and, if there are any, class masks uint8 [P, H, W]."""
    images, boxes, labels, masks = [], [], [], []
    batches = chunks(dataset, batch_size=READING_BATCH, num_workers=num_workers, on_error="raise")
    with run.progress(len(dataset), f"draw {dataset.name}", "pictures") as progress:
        for batch in batches:
            for sample in batch.samples:
                assert sample.annotation is not None
                images.append((sample.image * 255).round().to(torch.uint8).numpy())
                boxes.append(sample.annotation.boxes.numpy())
                labels.append(sample.annotation.labels.numpy())
                if sample.annotation.class_mask is not None:
                    masks.append(sample.annotation.class_mask.to(torch.uint8).numpy())
            progress.advance(len(batch.samples))
    most = max(len(values) for values in labels)
    padded_boxes = np.zeros((len(images), most, 4), dtype=np.float32)
    padded_labels = np.full((len(images), most), NO_OBJECT, dtype=np.int64)
    for row, (own_boxes, own_labels) in enumerate(zip(boxes, labels, strict=True)):
        padded_boxes[row, : len(own_boxes)] = own_boxes
        padded_labels[row, : len(own_labels)] = own_labels
    arrays = {"images": np.stack(images), "boxes": padded_boxes, "labels": padded_labels}
    return arrays | ({"class_mask": np.stack(masks)} if masks else {})
