"""Decisions that are boxes: which are targets, and how they are found, named and compared.

Axes: D detection, K class, H W picture.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torchvision.ops import box_iou

from lcrp.attribution.contrast import beside
from lcrp.attribution.pixels import annotated_object, content_mask, touched_pixels
from lcrp.attribution.task import Box, Targets, annotation_of, check_class
from lcrp.attribution.wording import corners, listed_detections, near_detections
from lcrp.errors import TargetError
from lcrp.values.candidates import Candidates
from lcrp.values.prediction import Detections
from lcrp.values.region import Region
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget, Target

FITS = 0.5  # IoU with an object from which on a box is one for it


def best_fit(boxes: torch.Tensor, scores: torch.Tensor, box: Box) -> int | None:
    """Number of the best of boxes [N, 4] with scores [N] for an object, as `BoxDecisions.best_at` chooses it."""
    overlap = box_iou(boxes.double(), boxes.new_tensor([box], dtype=torch.float64))[:, 0]
    fits = overlap >= FITS
    if fits.any():
        return int(torch.where(fits, scores, -1.0).argmax())
    return int(overlap.argmax()) if (overlap > 0).any() else None


class BoxDecisions(ABC):
    """What tasks share whose decisions are boxes, however a network's output tells of them.

    Args:
        class_names: index = class id.
        confidence: above which a class probability must be for the box to be an item of the class.
        by_objectness: whether objectness ranks the boxes of a class.
    """

    read: str | None = None  # what is explained of a decision, where its score does not say it
    instead: int | None = None  # class with which that of a decision is contrasted

    def __init__(self, class_names: Sequence[str], *, confidence: float, by_objectness: bool = False) -> None:
        self.class_names = tuple(class_names)
        self.confidence = confidence
        self._by_objectness = by_objectness

    @property
    def seeds_logits(self) -> bool:
        """Whether seeds lie on logits."""
        return True

    @abstractmethod
    def candidates(self, output: Any, opened: Any = None, *, least: float) -> list[Candidates]:
        """What might have been kept of every image, and what removed each."""

    @abstractmethod
    def best_at(
        self, output: Any, class_id: int, box: Box, *, row: int | None = None, image: int = 0
    ) -> Detections | None:
        """The box of a class that tells of an object in a picture, detected or not, as the only one of a prediction.

        Of the rows whose IoU with the object is at least `FITS` the one most confident of the class, of others the one
        that overlaps most.

        Args:
            output: of the network.
            class_id: of the object.
            box: of the object, in input pixels.
            row: of the box, where it is known.
            image: number of the picture in the batch.

        Returns:
            None where the output has no box of the class, or none that touches the object.
        """

    def weak(self, prediction: Detections, sample: Sample, class_id: int) -> ExplainedTarget:
        """The decision for a class that the only box of a prediction might have been."""
        return self._explained(prediction, 0, Target(sample=sample.index, class_id=class_id), sample.key)

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids of the annotated boxes, ascending."""
        return sorted(set(annotation.labels.tolist()))

    def annotated_targets(self, prediction: Detections, sample: Sample) -> Targets:
        """Best item of every annotated class; the classes that are not detected are skipped.

        Raises:
            TargetError: the sample has no annotation.
        """
        explained, skipped = [], []
        for class_id in self.present_classes(annotation_of(sample)):
            target = Target(sample=sample.index, class_id=class_id)
            members = self._members(prediction, class_id)
            if members:
                explained.append(self._explained(prediction, members[0], target, sample.key))
            else:
                reason = f"not detected: no kept box has a class probability above {self.confidence:g}"
                skipped.append(SkippedTarget(target=target, key=sample.key, reason=reason))
        return explained, skipped

    def predicted_targets(self, prediction: Detections, sample: Sample) -> Targets:
        """Every kept detection, most confident first: its best class, and its rank among the boxes of that class."""
        labels = prediction.labels.tolist()
        members = {class_id: self._members(prediction, class_id) for class_id in set(labels)}
        explained = []
        for place, class_id in enumerate(labels):
            target = Target(sample=sample.index, class_id=class_id, item=members[class_id].index(place))
            explained.append(self._explained(prediction, place, target, sample.key))
        return explained, []

    def is_background(self, class_id: int) -> bool:  # noqa: ARG002
        """Never: what no box holds is no class."""
        return False

    def found(self, prediction: Detections, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget | None:
        """Item `item` (0 = best) of class `class_id`, or None if there are fewer detections of it."""
        members = self._members(prediction, class_id)
        if not 0 <= item < len(members):
            return None
        target = Target(sample=sample.index, class_id=class_id, item=item)
        return self._explained(prediction, members[item], target, sample.key)

    def find(self, prediction: Detections, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget:
        """Item `item` (0 = best) of class `class_id`.

        Raises:
            TargetError: no such class, or fewer detections of it; the message says what is detected instead.
        """
        check_class(class_id, self.class_names)
        found = self.found(prediction, sample, class_id, item)
        if found is None:
            count, name = len(self._members(prediction, class_id)), f"'{self.class_names[class_id]}'"
            wanted = f"no item {item} of {name} (there are {count})" if count else f"no {name}"
            raise TargetError(f"{wanted} in {sample.key}: {self._listed(prediction)}")
        return found

    def again(self, prediction: Detections, explained: ExplainedTarget) -> ExplainedTarget | None:
        """The detection of the class whose IoU with the first box is highest, if it is at least `FITS`."""
        assert explained.box is not None
        members = self._members(prediction, explained.target.class_id)
        if not members:
            return None
        boxes = prediction.boxes[members]
        overlap = box_iou(boxes, boxes.new_tensor([explained.box]))[:, 0]
        if overlap.max() < FITS:
            return None
        return self._explained(prediction, members[int(overlap.argmax())], explained.target, explained.key)

    def at_object(self, prediction: Detections, sample: Sample, class_id: int, box: Box) -> ExplainedTarget | None:
        """The detection with the highest IoU with the object's box, if it is of its class."""
        if not self._overlaps(prediction, sample, box).any():
            return None
        explained = self.match_box(prediction, sample, box)
        return explained if explained.target.class_id == class_id else None

    def of_class(self, prediction: Detections, sample: Sample, class_id: int) -> list[ExplainedTarget]:
        """All items of a class, best first."""
        members = self._members(prediction, class_id)
        targets = [Target(sample=sample.index, class_id=class_id, item=item) for item in range(len(members))]
        pairs = zip(members, targets, strict=True)
        return [self._explained(prediction, place, target, sample.key) for place, target in pairs]

    def match_box(self, prediction: Detections, sample: Sample, box: Box, min_iou: float = 0.0) -> ExplainedTarget:
        """The detection with the highest IoU with `box`; its best class.

        Raises:
            TargetError: no detection overlaps the box, or none by `min_iou`.
        """
        overlap = self._overlaps(prediction, sample, box)
        if not ((overlap > 0) & (overlap >= min_iou)).any():
            least = f" by an IoU of at least {min_iou:g}" if min_iou > 0 else ""
            seen = _seen(prediction, sample)
            near = near_detections(prediction, self.class_names, seen, overlap) or self._listed(prediction)
            raise TargetError(f"no detection overlaps the box {corners(box)}{least} in {sample.key}: {near}")
        place = int(overlap.argmax())
        class_id = int(prediction.labels[place])
        item = self._members(prediction, class_id).index(place)
        target = Target(sample=sample.index, class_id=class_id, item=item)
        return self._explained(prediction, place, target, sample.key)

    def class_confidences(self, prediction: Detections, explained: ExplainedTarget) -> torch.Tensor:
        """Objectness times class probability of a detection, [K]."""
        row = prediction.rows == explained.row
        return (prediction.objectness[row, None] * prediction.probabilities[row])[0]

    def object_mask(self, prediction: Detections, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:
        """[H, W] bool, the target's mask; where there is none every pixel that its box touches.

        Args:
            prediction: of the picture.
            explained: the target.
            size: (height, width) of the picture.
        """
        assert explained.box is not None
        own = _own_mask(prediction, explained)
        return touched_pixels(explained.box, size) if own is None else own

    def region(
        self, prediction: Detections, explained: ExplainedTarget, sample: Sample, *, is_exact: bool = False
    ) -> Region:
        """The annotated box that overlaps most (IoU), or its object's mask; the target's own box if none overlaps.

        A detector of masks is met by the annotated mask.
        """
        assert explained.box is not None
        is_exact = is_exact or prediction.masks is not None
        size = (sample.image.shape[1], sample.image.shape[2])
        annotated = None
        if sample.annotation is not None:
            annotated = annotated_object(sample.annotation, explained.box, size, is_exact=is_exact)
        inside = self.object_mask(prediction, explained, size) if annotated is None else annotated
        return Region(inside=inside, counted=content_mask(sample))

    def _overlaps(self, prediction: Detections, sample: Sample, box: Box) -> torch.Tensor:
        """IoU [D] of the detections with a box, in pixels of the picture."""
        seen = _seen(prediction, sample)
        overlaps: torch.Tensor = box_iou(seen, torch.tensor([box], dtype=seen.dtype))[:, 0]
        return overlaps

    def _members(self, prediction: Detections, class_id: int) -> list[int]:
        """Places of a class's detections among the kept ones, best first."""
        probability = prediction.probabilities[:, class_id]
        rank_by = prediction.objectness if self._by_objectness else probability
        order = rank_by.argsort(descending=True, stable=True)  # detections lie by confidence, then row
        return [place for place in order.tolist() if probability[place] > self.confidence]

    def _explained(self, prediction: Detections, place: int, target: Target, key: str) -> ExplainedTarget:
        probability, objectness = prediction.probabilities[place, target.class_id], prediction.objectness[place]
        left, top, right, bottom = prediction.boxes[place].tolist()
        confidence = objectness * probability
        score = objectness if self._by_objectness else probability
        if len(self.class_names) == 1:  # one of the two factors is 1
            score = confidence
        found = ExplainedTarget(
            target=target,
            key=key,
            score=float(score),
            confidence=float(confidence),
            box=(left, top, right, bottom),
            row=int(prediction.rows[place]),
            area=None if prediction.masks is None else int(prediction.masks[place].sum()) or None,  # its box then
            read=self.read or "",
        )
        if self.instead is None:
            return found
        return beside(found, self.instead, self.class_names, self.class_confidences(prediction, found))

    def _listed(self, prediction: Detections) -> str:
        return listed_detections(prediction, self.class_names, self.confidence)


def _seen(prediction: Detections, sample: Sample) -> torch.Tensor:
    """Boxes [D, 4] in pixels of the picture."""
    return torch.from_numpy(sample.geometry.boxes_to_picture(prediction.boxes.double().numpy()))


def _own_mask(prediction: Detections, explained: ExplainedTarget) -> torch.Tensor | None:
    """The mask of a detection, unless it holds no pixel."""
    if prediction.masks is None:
        return None
    own = prediction.masks[prediction.rows == explained.row]
    return own[0] if own.any() else None
