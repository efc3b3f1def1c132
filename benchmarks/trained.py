"""The embedded networks on the embedded pictures: time as a pass grows, and what less exact numbers cost."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from lcrp.attribution.concepts import relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.config.build import build_subject, set_precision
from lcrp.config.compose import composed
from lcrp.data.loader import chunks
from lcrp.decisions.rounds import chunk_of
from lcrp.decisions.subject import Subject
from lcrp.decisions.together import parts_of
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.values.target import ExplainedTarget
from passes import gather
from timing import Report, Spread

BATCH, BLOCK = 4, 96  # pictures of a chunk, and of a block whose time is told
MODELS = {
    "yolov5m": "yolov5",
    "yolov6s": "yolov6",
    "yolo11n": "yolo",
    "ssd512": "ssd",
    "unet": "unet",
    "deeplabv3plus": "deeplabv3plus",
}
SHOWN, PICTURES = 5, 32


def trained(name: str, *overrides: str) -> Subject:
    """An embedded network with its dataset and composite."""
    config = composed([f"model={MODELS[name]}", "dataset.split=train", *overrides])
    return build_subject(config, torch.device(config.device), Path.cwd())


def growth(name: str, num_pictures: int) -> Report:
    """Seconds per picture where statistics of a long pass lie in memory, beside those of a pass that just began."""
    subject = trained(name)
    late: list[float] = []
    early: list[float] = []
    seconds = [0.0, 0.0]
    long = short = None
    with _attributor(subject) as attributor:
        batches = chunks(
            subject.dataset, batch_size=BATCH, num_workers=0, on_error="raise", indices=range(num_pictures)
        )
        parts = (part for batch in batches for part in parts_of(batch, subject.explainer.device))
        for number, batch in enumerate(parts, start=1):
            chunk = chunk_of(attributor, batch.images)
            pairs = zip(subject.explainer.task.predictions(chunk.trace.output), batch.samples, strict=True)
            queues = [subject.explainer.task.annotated_targets(*pair)[0] for pair in pairs]
            shapes = chunk.activations.shapes
            long = long or StatisticsAccumulator(shapes, device=batch.images.device)
            short = short or StatisticsAccumulator(shapes, device=batch.images.device)
            for place, accumulator in enumerate((long, short) if number % 2 else (short, long)):
                started = time.perf_counter()
                gather(attributor, chunk_of(attributor, batch.images), queues, accumulator)
                seconds[place if number % 2 else 1 - place] += time.perf_counter() - started
            if number % (BLOCK // BATCH) == 0:
                late.append(seconds[0] / BLOCK)
                early.append(seconds[1] / BLOCK)
                seconds, short = [0.0, 0.0], None
    tail = max(2, len(late) // 4)  # of the blocks: the last quarter
    return {
        "seconds per picture": {"late": late, "early": early},
        "late / early": asdict(Spread.of([a / b for a, b in zip(late[-tail:], early[-tail:], strict=True)])),
    }


def precision(name: str) -> Report:
    """Deviation from float32 of heatmaps (relative L2), and how many of the five top concepts stay."""
    subject, explained = trained(name), []
    with _attributor(subject) as attributor:
        for index in range(PICTURES):
            sample = subject.dataset[index]
            prediction = subject.explainer.task.predictions(attributor.forward(sample.image[None]).output)[0]
            explained += [
                (sample.image, target) for target in subject.explainer.task.annotated_targets(prediction, sample)[0]
            ]
    exact = _attributions(subject, explained)
    report: Report = {}
    for kind in ["bfloat16"] + ["tf32"] * torch.cuda.is_available():
        device = "cuda" if kind == "tf32" else "cpu"
        set_precision(kind)
        found = _attributions(trained(name, f"precision={kind}", f"device={device}"), explained)
        pairs = list(zip(found, exact, strict=True))
        errors = [float((one - other).norm() / other.norm()) for (one, _), (other, _) in pairs]
        kept = [len(one & other) for (_, one), (_, other) in pairs]
        report[f"{kind}, deviation of heatmaps"] = asdict(Spread.of(errors))
        report[f"{kind}, top concepts that stay, of {SHOWN}"] = sum(kept) / len(kept)
    set_precision("float32")
    return report


def _attributions(
    subject: Subject, explained: Sequence[tuple[torch.Tensor, ExplainedTarget]]
) -> list[tuple[torch.Tensor, set[int]]]:
    """Heatmap and top concepts of every image's target."""
    layer, found = subject.explainer.layer, []
    with _attributor(subject, [layer]) as attributor:
        for image, target in explained:
            attribution = attributor.forward(image[None]).explain([target])
            scores = relevance_scores(attribution.relevance[layer]).score[0]
            found.append((attribution.heatmap[0].cpu(), set(scores.argsort(descending=True)[:SHOWN].tolist())))
    return found


def _attributor(subject: Subject, layers: Sequence[str] | None = None) -> Attributor:
    model = subject.explainer
    names = layer_names(model.network) if layers is None else layers
    return model.attributor(names)
