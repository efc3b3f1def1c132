"""stage=context: does a class lean on its context, and does the heatmap say so?

For objects of one class that stand in their own context (boats on water) it measures the share of positive relevance
that lies on the visible context beside the context's share of the picture, and how sure the network still is of the
object when that context alone is replaced. Only `scenes` can tell, since it draws the same objects over any context.

Axes: B candidate, H W picture.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lcrp.attribution.engine import Attributor
from lcrp.data.scenes import CLASS_NAMES, CONTEXT_NAMES, OWN_CONTEXT, ScenesDataset, with_context_swapped
from lcrp.errors import ConfigError, TargetError, nearest
from lcrp.stages.planned import PlannedObject, found, planned_object, readouts, visible_context
from lcrp.stages.run import Run
from lcrp.stages.subject import StatisticsSettings, Subject

log = logging.getLogger(__name__)

REPORT_FILE = "context.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSettings:
    """Which objects are looked at.

    Attributes:
        class_name: class whose objects are explained, one of the scenes' classes.
        num_targets: stop after so many explained objects.
    """

    class_name: str
    num_targets: int

    def __post_init__(self) -> None:
        if self.class_name not in CLASS_NAMES:
            choices = nearest(self.class_name, CLASS_NAMES, limit=len(CLASS_NAMES))
            raise ConfigError(f"stage.class_name '{self.class_name}' is not in scenes; choose from {choices}")
        if self.num_targets < 1:
            raise ConfigError(f"stage.num_targets is {self.num_targets}, but at least 1 object must be explained")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReliance:
    """What one object's explanation and its swapped pictures say.

    Attributes:
        key: the sample's key.
        relevance_share: share of the positive relevance that lies on the visible context, in [0, 1].
        area_share: share of the picture that is visible context, in [0, 1].
        readout: how sure the network is of the object in its own context, in [0, 1].
        swapped: the same over each of the other contexts.
    """

    key: str
    relevance_share: float
    area_share: float
    readout: float
    swapped: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextSummary:
    """Medians over the objects.

    Attributes:
        num_objects: how many were explained.
        relevance_share: of the positive relevance, on the visible context.
        area_share: of the picture, visible context.
        readout: in the own context.
        change: read-out over each other context minus the one in the own context.
    """

    num_objects: int
    relevance_share: float
    area_share: float
    readout: float
    change: dict[str, float]


def context(subject: Subject, statistics: StatisticsSettings, settings: ContextSettings, run: Run) -> Path:
    """Measure how much objects of one class lean on their context.

    Args:
        subject: model, `scenes` and composite.
        statistics: only `batch_size` counts here.
        settings: which objects.
        run: where the report goes.

    Returns:
        Path of the JSON report: the medians, and every object's numbers.

    Raises:
        ConfigError: the dataset is not `scenes`.
        TargetError: the model finds no object of the class in its own context.
    """
    dataset, model = subject.dataset, subject.model
    if not isinstance(dataset, ScenesDataset):
        raise ConfigError(f"stage=context swaps contexts, which {dataset.name} cannot; use dataset=scenes")
    home = OWN_CONTEXT[settings.class_name]
    results: list[ContextReliance] = []
    attributor = Attributor(model.network, subject.composite, subject.task, layers=(), mean=model.mean, std=model.std)
    with attributor, run.progress(settings.num_targets, "context", f"objects ({settings.class_name})") as progress:
        for start in range(0, len(dataset), statistics.batch_size):
            chunk = range(start, min(start + statistics.batch_size, len(dataset)))
            reliances = _reliances(attributor, dataset, chunk, settings.class_name)
            results += reliances[: settings.num_targets - len(results)]
            progress.advance(min(len(reliances), settings.num_targets))
            if len(results) == settings.num_targets:
                break
    if not results:
        raise TargetError(f"{model.name} finds no {settings.class_name} on {home} in {dataset.name}")
    summary = _summary(results)
    record = {
        "model": model.name,
        "composite": subject.composite_name,
        "class": settings.class_name,
        "context": home,
        "median": asdict(summary),
        "objects": [asdict(result) for result in results],
    }
    report = run.folder / REPORT_FILE
    report.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    log.info("%s", _sentence(summary, settings.class_name, home))
    return report


def _reliances(attributor: Attributor, dataset: ScenesDataset, chunk: range, class_name: str) -> list[ContextReliance]:
    """Reliance of every object of the class that stands at home in these samples and is found there."""
    candidates = [candidate for index in chunk for candidate in _candidates(dataset, index, class_name)]
    if not candidates:
        return []
    home, class_id = OWN_CONTEXT[class_name], dataset.class_names.index(class_name)
    trace = attributor.forward(torch.stack([candidate.sample.image for candidate in candidates]))
    predictions = attributor.task.predictions(trace.output)
    explained = [
        found(attributor.task, prediction, candidate, class_id)
        for prediction, candidate in zip(predictions, candidates, strict=True)
    ]
    heatmaps = trace.explain(explained).heatmap.clamp(min=0).cpu()  # [B, H, W]
    readout = readouts(trace.output, candidates, class_id)
    swapped = {
        name: readouts(attributor.forward(_swapped_images(dataset, candidates, name)).output, candidates, class_id)
        for name in CONTEXT_NAMES
        if name != home
    }
    results = []
    for row, (candidate, heatmap, target) in enumerate(zip(candidates, heatmaps, explained, strict=True)):
        if target is not None:
            visible = visible_context(candidate.annotation, home)
            results.append(
                ContextReliance(
                    key=candidate.sample.key,
                    relevance_share=float(heatmap[visible].sum() / heatmap.sum().clamp(min=1e-12)),
                    area_share=float(visible.float().mean()),
                    readout=readout[row],
                    swapped={name: values[row] for name, values in swapped.items()},
                )
            )
    return results


def _candidates(dataset: ScenesDataset, index: int, class_name: str) -> list[PlannedObject]:
    scene = dataset.scene(index)
    rows = [
        row
        for row, item in enumerate(scene.objects)
        if item.class_name == class_name and scene.context_of(row) == OWN_CONTEXT[class_name]
    ]
    if not rows:
        return []
    sample = dataset.sample(scene)
    rows = rows[:1] if dataset.segmentation else rows  # a segmenter has one mask for all objects of a class
    return [planned_object(dataset, sample, row) for row in rows]


def _swapped_images(dataset: ScenesDataset, candidates: Sequence[PlannedObject], context_name: str) -> torch.Tensor:
    """[B, 3, H, W] the candidates' pictures with the context below each replaced."""
    scenes = [dataset.scene(candidate.sample.index) for candidate in candidates]
    swapped = [
        with_context_swapped(scene, context_name, number=candidate.number)
        for scene, candidate in zip(scenes, candidates, strict=True)
    ]
    return torch.stack([dataset.sample(scene).image for scene in swapped])


def _summary(results: Sequence[ContextReliance]) -> ContextSummary:
    return ContextSummary(
        num_objects=len(results),
        relevance_share=float(np.median([result.relevance_share for result in results])),
        area_share=float(np.median([result.area_share for result in results])),
        readout=float(np.median([result.readout for result in results])),
        change={
            name: float(np.median([result.swapped[name] - result.readout for result in results]))
            for name in results[0].swapped
        },
    )


def _sentence(summary: ContextSummary, class_name: str, home: str) -> str:
    changes = ", ".join(f"{value:+.2f} on {name}" for name, value in summary.change.items())
    return (
        f"{summary.num_objects} {class_name}s on {home}: in the median {summary.relevance_share:.1%} of positive "
        f"relevance lies on the {home}, which is {summary.area_share:.1%} of the picture; the read-out is "
        f"{summary.readout:.2f} there and changes by {changes}"
    )
