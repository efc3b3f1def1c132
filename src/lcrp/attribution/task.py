"""The seam between what a network predicts and what is explained of it.

Axes: B batch, K class, H W picture.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import torch

from lcrp.errors import TargetError
from lcrp.values.geometry import Box as Box
from lcrp.values.prediction import ClassMap, Detections, DetectorOutput, KeptOutput
from lcrp.values.query_masks import QueryMasks
from lcrp.values.region import Region
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget

NetworkOutput = DetectorOutput | KeptOutput | QueryMasks | torch.Tensor
Prediction = Detections | ClassMap
Targets = tuple[list[ExplainedTarget], list[SkippedTarget]]

Output = TypeVar("Output", contravariant=True)
Predicted = TypeVar("Predicted")


class TaskOf(Protocol[Output, Predicted]):
    """How decisions are read from a network's output, and how each is seeded.

    Only a task looks into outputs and predictions, and it is only ever given those of its own kind: `DetectorOutput`
    or `KeptOutput` and `Detections`, or logits [B, K, H, W] and `ClassMap`. Everybody else passes them on, and asks.
    """

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; index = class id."""
        ...

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        ...

    def predictions(self, output: Output) -> Sequence[Predicted]:
        """What the network says of every image of the batch, detached, in at least float32."""
        ...

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids that an annotation names, ascending (void excluded)."""
        ...

    def annotated_targets(self, prediction: Predicted, sample: Sample) -> Targets:
        """Best item of every annotated class; the classes that are not predicted are skipped."""
        ...

    def predicted_targets(self, prediction: Predicted, sample: Sample) -> Targets:
        """Everything that is predicted, whatever the annotation says."""
        ...

    def is_background(self, class_id: int) -> bool:
        """Whether a class is what is left between the objects, and no object itself."""
        ...

    def found(self, prediction: Predicted, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget | None:
        """Item `item` of class `class_id`, or None if there is none."""
        ...

    def find(self, prediction: Predicted, sample: Sample, class_id: int, item: int = 0) -> ExplainedTarget:
        """Item `item` of class `class_id`.

        Raises:
            TargetError: there is none; the message says what is there instead.
        """
        ...

    def again(self, prediction: Predicted, explained: ExplainedTarget) -> ExplainedTarget | None:
        """The same decision in a changed picture, if it is made: the class's box at the same place, or its mask."""
        ...

    def at_object(self, prediction: Predicted, sample: Sample, class_id: int, box: Box) -> ExplainedTarget | None:
        """The decision for an object of a class: the detection that its box, in pixels of the picture, means; the mask.

        None if there is none, or it is for another class.
        """
        ...

    def of_class(self, prediction: Predicted, sample: Sample, class_id: int) -> list[ExplainedTarget]:
        """All decisions for a class, in the order of their items; none if it is not predicted."""
        ...

    def match_box(self, prediction: Predicted, sample: Sample, box: Box, min_iou: float = 0.0) -> ExplainedTarget:
        """The decision that a box means: the detection that overlaps most, or the class that covers most of it.

        Args:
            prediction: for the sample.
            sample: the picture.
            box: xyxy in pixels of the picture.
            min_iou: least IoU of a detection with the box, both cut to the picture; any overlap at all is needed.

        Raises:
            TargetError: nothing fits the box; the message says what is near, in pixels of the picture.
        """
        ...

    def class_confidences(self, prediction: Predicted, explained: ExplainedTarget) -> torch.Tensor:
        """How confident the model is of every class for a decision, [K]: in its box, or on average over its mask."""
        ...

    @property
    def seeds_logits(self) -> bool:
        """Whether seeds lie on the very numbers that are explained, and not on factors of them."""
        ...

    def seeded(self, output: Output) -> torch.Tensor:
        """The tensor of a network's output, [B, ...], on which seeds lie."""
        ...

    def seed(self, output: Output, explained: Sequence[ExplainedTarget | None]) -> tuple[torch.Tensor, torch.Tensor]:
        """Relevance put on one target (or none) of every image of the batch.

        Args:
            output: the network's output for B images.
            explained: B targets; None for an image that takes no part in this round.

        Returns:
            The tensor of `output` that is explained, [B, ...], and its relevance of the same shape. The relevance
            of each target sums to 1 (not of `is_linearised` ones), whatever the other images of the batch are.
        """
        ...

    def logits(self, output: Output, explained: Sequence[ExplainedTarget], masks: torch.Tensor) -> torch.Tensor:
        """How strongly a network speaks for targets, whatever else it sees: raw logits [B], detached.

        Args:
            output: the network's output for B images, perhaps altered ones.
            explained: B targets, found in the unaltered images.
            masks: [B, H, W] bool, where the objects are (segmentation only); none may be empty.
        """
        ...

    def readout(
        self, output: Output, class_ids: torch.Tensor, boxes: torch.Tensor, masks: torch.Tensor
    ) -> torch.Tensor:
        """How sure a network is of objects at given places, [B] in [0, 1], whether it decides for them or not.

        Args:
            output: the network's output for B pictures, perhaps changed ones.
            class_ids: [B] int64.
            boxes: [B, 4] xyxy in input pixels, where the objects are.
            masks: [B, H, W] bool, likewise; none may be empty.
        """
        ...

    def object_mask(self, prediction: Predicted, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:
        """[H, W] bool, the object in a picture of `size` (height, width): the filled box, or the class's mask."""
        ...

    def region(
        self, prediction: Predicted, explained: ExplainedTarget, sample: Sample, *, is_exact: bool = False
    ) -> Region:
        """The object that a decision is about, as it is annotated; as it is predicted where no annotation tells.

        Of a mask: the annotated pixels of its class. Of a detection: the annotated box that overlaps most (IoU).

        Args:
            prediction: of the picture.
            explained: the decision.
            sample: the picture.
            is_exact: take the annotated mask of a detected object, if it has one, instead of its box.
        """
        ...


Task = TaskOf[Any, Any]


def check_class(class_id: int, class_names: Sequence[str]) -> None:
    """Whether there is such a class.

    Raises:
        TargetError: there is not.
    """
    if not 0 <= class_id < len(class_names):
        raise TargetError(f"class {class_id} does not exist: there are 0 to {len(class_names) - 1}")


def annotation_of(sample: Sample) -> Annotation:
    """The annotation of a sample.

    Raises:
        TargetError: there is none.
    """
    if sample.annotation is None:
        raise TargetError(f"{sample.key} has no annotation; explain its predicted targets instead")
    return sample.annotation
