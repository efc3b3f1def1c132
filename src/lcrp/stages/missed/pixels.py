"""What a segmenter misses, as arrays that are kept, and as tables.

Axes: H W picture, R region, P picture.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import Prediction, Task
from lcrp.evidence.components import components
from lcrp.evidence.intervals import ratio_interval
from lcrp.stages.missed.tables import SIDES, intervals, joined, of_classes, share_table, sides
from lcrp.values.evidence import Table
from lcrp.values.sample import VOID, Annotation, Batch, Sample

Array = npt.NDArray[Any]
Parts = Sequence[Mapping[str, Array]]

_REGION = ("sample", "number", "class_id", *SIDES, "area", "found", "went_to", "num_there")
_PIXELS = ("sample", "class_id", "went_to", "count", "found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was found in one picture: rows of pixels by class, and of regions."""

    sample: int
    pixels: list[tuple[float, ...]]
    regions: list[tuple[float, ...]]


class PixelErrors:
    """Looks at the pixels of pictures.

    Args:
        task: reads what the network predicts.
        data_names: the network's classes, empty where the data annotates no such class.
        min_area: pixels of the input that a region needs.
    """

    def __init__(self, task: Task, data_names: Sequence[str], min_area: float) -> None:
        self._task, self._names = task, task.class_names
        self._known, self._least = [bool(name) for name in data_names], max(1.0, min_area)

    def look(self, attributor: Attributor, batch: Batch) -> Iterator[tuple[Sample, Looked | None]]:
        """Every sample of a batch, and what is found in it; None for one without a class mask."""
        predictions = self._task.predictions(attributor.output(batch.images))
        for sample, row in zip(batch.samples, batch.rows, strict=True):
            annotation = sample.annotation
            if annotation is None or annotation.class_mask is None:
                yield sample, None
            else:
                yield sample, self._looked(sample, annotation, predictions[row])

    def packed(self, found: Sequence[Looked]) -> dict[str, Array]:
        """What was found in some pictures, as arrays."""
        packed: dict[str, Array] = {"pictures.sample": np.array([one.sample for one in found], dtype=np.int64)}
        for kind, names in (("pixels", _PIXELS), ("regions", _REGION)):
            rows = np.array([row for one in found for row in getattr(one, kind)], dtype=np.float64)
            for name, values in zip(names, rows.reshape(-1, len(names)).T, strict=True):
                packed[f"{kind}.{name}"] = values if name in SIDES else values.astype(np.int64)
        return packed

    def tables(self, parts: Parts, key: Callable[[int], str]) -> dict[str, Table]:
        """All that was found, as tables by name."""
        found = joined(parts)
        regions = (found["regions.class_id"], found["regions.found"] == 0, found["regions.sample"])
        tables = (
            self._classes(found),
            self._confusion(found),
            share_table("regions", self._names, regions, ("regions", "untouched")),
            self._misses(found, key),
        )
        return {table.name: table for table in tables}

    def _looked(self, sample: Sample, annotation: Annotation, prediction: Prediction) -> Looked:
        assert annotation.class_mask is not None
        truth, labels = annotation.class_mask.numpy(), prediction.labels.cpu().numpy()
        pixels: list[tuple[float, ...]] = []
        rows: list[tuple[float, ...]] = []
        found = np.zeros(truth.shape, dtype=bool)
        for class_id in np.unique(truth[truth != VOID]).tolist():
            if not self._known[class_id]:
                continue
            own, there = truth == class_id, prediction.mask(class_id).cpu().numpy()  # type: ignore[union-attr]
            found |= own & there
            for went_to, count in zip(*np.unique(labels[own & ~there], return_counts=True), strict=True):
                pixels.append((sample.index, class_id, int(went_to), int(count), 0))
            pixels.append((sample.index, class_id, class_id, int((own & there).sum()), 1))
        for number, (class_id, region) in enumerate(self._regions(annotation, truth)):
            lost = np.bincount(labels[region & ~found])
            went_to = int(lost.argmax()) if lost.any() else -1
            box = sample.geometry.boxes_to_picture(_around(region)[None])[0]
            num_found = int((region & found).sum())
            counts = (int(region.sum()), num_found, went_to, int(lost.max(initial=0)))
            rows.append((sample.index, number, class_id, *box.tolist(), *counts))
        return Looked(sample=sample.index, pixels=pixels, regions=rows)

    def _regions(self, annotation: Annotation, truth: Array) -> Iterator[tuple[int, Array]]:
        """Class and pixels [H, W] of every object, or of every connected region where the data has no objects."""
        for class_id, mask in _parts(annotation, truth):
            own = mask & (truth == class_id)
            if self._known[class_id] and not self._task.is_background(class_id) and own.sum() >= self._least:
                yield class_id, own

    def _classes(self, found: Mapping[str, Array]) -> Table:
        """Pixels of every class, and those that go to others."""
        counts, lost = found["pixels.count"], found["pixels.count"] * (found["pixels.found"] == 0)
        rows = list(of_classes(found["pixels.class_id"], self._names))
        shares = [ratio_interval(lost[own], counts[own], found["pixels.sample"][own]) for _, own in rows]
        columns: dict[str, Any] = {
            "class": [title for title, _ in rows],
            "pixels": np.array([counts[own].sum() for _, own in rows]),
            "missing": np.array([lost[own].sum() for _, own in rows]),
        }
        return Table(name="classes", columns=columns | intervals(shares))

    def _confusion(self, found: Mapping[str, Array]) -> Table:
        """Missing pixels of every class by the class that they went to, as shares of the class."""
        rows, shares = [], []
        for class_id in np.unique(found["pixels.class_id"]).tolist():
            own = found["pixels.class_id"] == class_id
            counts, images = found["pixels.count"][own], found["pixels.sample"][own]
            went_to, is_lost = found["pixels.went_to"][own], found["pixels.found"][own] == 0
            for other in np.unique(went_to[is_lost]).tolist():
                part = counts * (is_lost & (went_to == other))
                rows.append((self._names[class_id], self._names[other], int(part.sum())))
                shares.append(ratio_interval(part, counts, images))
        columns: dict[str, Any] = {
            "class": [row[0] for row in rows],
            "went_to": [row[1] for row in rows],
            "pixels": np.array([row[2] for row in rows], dtype=np.int64),
        }
        return Table(name="pixels", columns=columns | intervals(shares))

    def _misses(self, found: Mapping[str, Array], key: Callable[[int], str]) -> Table:
        """Regions without a pixel of their class."""
        own = {name: found[f"regions.{name}"][found["regions.found"] == 0] for name in _REGION}
        columns: dict[str, Any] = {
            "key": [key(sample) for sample in own["sample"].tolist()],
            "sample": own["sample"],
            "region": own["number"],
            "class": [self._names[class_id] for class_id in own["class_id"].tolist()],
            **sides(own),
            "area": own["area"],
            "went_to": [self._names[class_id] for class_id in own["went_to"].tolist()],
            "went_to_share": own["num_there"] / np.maximum(own["area"], 1),
        }
        return Table(name="misses", columns=columns)


def _parts(annotation: Annotation, truth: Array) -> Iterator[tuple[int, Array]]:
    """Class and mask of every object; of every connected region where there are no masks of objects."""
    if annotation.masks is not None and len(annotation.masks):
        yield from zip(annotation.labels.tolist(), annotation.masks.numpy(), strict=True)
        return
    for class_id in np.unique(truth[truth != VOID]).tolist():
        labels = components(truth == class_id)
        for number in range(1, int(labels.max()) + 1):
            yield class_id, labels == number


def _around(mask: Array) -> Array:
    """The box [4] around a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
