"""What a detector missed of a picture, why, and which of its detections found nothing.

Axes: B batch, N object, C candidate.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.boxes import BoxDecisions
from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import NetworkOutput, annotation_of
from lcrp.errors import ConfigError, at_least, refuse
from lcrp.evidence.matching import Matching, matching, overlaps
from lcrp.evidence.mechanisms import Cause, causes
from lcrp.models.library import opened
from lcrp.values.candidates import Candidates, Fate
from lcrp.values.geometry import Box
from lcrp.values.missed import Candidate, FalseAlarm, Miss
from lcrp.values.sample import Sample

Array = npt.NDArray[np.float64]

LEAST_SCORE = 0.05  # of a candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which detections count.

    Attributes:
        class_ids: of these classes; None for all.
        min_area: of so many pixels of the picture, at least.
    """

    class_ids: tuple[int, ...] | None = None
    min_area: float = 0.0

    def __post_init__(self) -> None:
        refuse(list(at_least("min_area", self.min_area, 0, is_count=False)))

    def passes(self, candidates: Candidates) -> npt.NDArray[np.bool_]:
        """[C] bool, those that count; boxes in the picture's pixels."""
        sides = candidates.boxes[:, 2:] - candidates.boxes[:, :2]
        is_large = np.asarray(sides.clip(0).prod(axis=1) >= self.min_area)
        return is_large if self.class_ids is None else is_large & np.isin(candidates.class_ids, self.class_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One picture, detections beside objects. Boxes are in the picture's pixels.

    Attributes:
        sample: index of the picture in the dataset.
        key: of the picture.
        candidates: all of them, filtered.
        unplaced: [C, 4] their boxes in pixels of the input, where NMS compared them.
        detections: [D] numbers of the candidates that are detections, by descending score.
        objects: [N, 4] annotated boxes.
        labels: [N].
        matching: of detections and objects.
        causes: of the objects that are missed, in their order.
    """

    sample: int
    key: str
    candidates: Candidates
    unplaced: Array
    detections: npt.NDArray[np.int64]
    objects: Array
    labels: npt.NDArray[np.int64]
    matching: Matching
    causes: tuple[Cause, ...]

    def misses(self) -> Iterator[Miss]:
        """The objects that nothing found, in their order."""
        missed = np.flatnonzero(self.matching.detections < 0).tolist()
        for number, cause in zip(missed, self.causes, strict=True):
            candidate = neighbour = None
            if cause.candidate >= 0:
                candidate = self._candidate(cause.candidate, cause.overlap)
                other = int(self.candidates.neighbours[cause.candidate])
                if other >= 0:
                    pair = (self.unplaced[[one]] for one in (cause.candidate, other))
                    neighbour = self._candidate(other, float(overlaps(*pair)[0, 0]))
            yield Miss(
                sample=self.sample,
                key=self.key,
                number=number,
                class_id=int(self.labels[number]),
                box=_box(self.objects[number]),
                mechanism=cause.mechanism,
                candidate=candidate,
                neighbour=neighbour,
            )

    def false_alarms(self) -> Iterator[FalseAlarm]:
        """The detections that found nothing, by descending score."""
        for number, kind in enumerate(self.matching.kinds):
            if kind is None:
                continue
            place, meant = int(self.detections[number]), int(self.matching.meant[number])
            yield FalseAlarm(
                sample=self.sample,
                key=self.key,
                row=int(self.candidates.rows[place]),
                class_id=int(self.candidates.class_ids[place]),
                score=float(self.candidates.scores[place]),
                box=_box(self.candidates.boxes[place]),
                kind=kind,
                object_class=-1 if meant < 0 else int(self.labels[meant]),
                overlap=0.0 if meant < 0 else float(self.matching.overlap[number, meant]),
            )

    def _candidate(self, place: int, overlap: float) -> Candidate:
        found = self.candidates
        return Candidate(
            row=int(found.rows[place]),
            class_id=int(found.class_ids[place]),
            score=float(found.scores[place]),
            box=_box(found.boxes[place]),
            overlap=overlap,
            fate=Fate(int(found.fates[place])),
        )


def candidates_in(attributor: Attributor, images: torch.Tensor, least: float = LEAST_SCORE) -> list[Candidates]:
    """What might have been detected in images [B, 3, H, W], and what removed each; boxes in input pixels.

    Args:
        attributor: within its context.
        images: RGB in [0, 1].
        least: score above which something is a candidate; what is detected is one in any case.

    Raises:
        ConfigError: the network decides about pixels and not about boxes.
    """
    return read_candidates(attributor, images, attributor.output(images), least)


def read_candidates(
    attributor: Attributor, images: torch.Tensor, output: NetworkOutput, least: float = LEAST_SCORE
) -> list[Candidates]:
    """The same, where the network's output for the images is known."""
    task = attributor.task
    if not isinstance(task, BoxDecisions):
        raise ConfigError("candidates are boxes, and this network decides about pixels")
    with opened(attributor.network, least) as is_open:
        every = attributor.output(images) if is_open else None
    return task.candidates(output, every, least=least)


def judged(sample: Sample, candidates: Candidates, wanted: Filter, known: Sequence[bool]) -> Judged:
    """Detections and objects of one picture, side by side.

    Args:
        sample: the picture.
        candidates: in it, boxes in input pixels.
        wanted: which detections count.
        known: [K] whether the data annotates each of the network's classes; detections of others cannot be judged.

    Raises:
        TargetError: the picture has no annotation.
    """
    annotation = annotation_of(sample)
    placed = replace(candidates, boxes=sample.geometry.boxes_to_picture(candidates.boxes))
    fates = np.where(placed.is_kept & ~wanted.passes(placed), Fate.FILTERED, placed.fates).astype(np.int8)
    placed = replace(placed, fates=fates)
    detections = np.flatnonzero(placed.is_kept & np.asarray(known, dtype=bool)[placed.class_ids])
    objects = sample.geometry.boxes_to_picture(annotation.boxes.double().numpy())
    labels = annotation.labels.numpy()
    found = matching(placed.boxes[detections], placed.class_ids[detections], objects, labels)
    missed = np.flatnonzero(found.detections < 0)
    return Judged(
        sample=sample.index,
        key=sample.key,
        candidates=placed,
        unplaced=candidates.boxes,
        detections=detections,
        objects=objects,
        labels=labels,
        matching=found,
        causes=tuple(causes(placed, objects, labels, missed)),
    )


def _box(values: Array) -> Box:
    left, top, right, bottom = values.tolist()
    return left, top, right, bottom
