"""The seam between what a network predicts and what is explained of it.

Axes: B batch, K class, H W picture.
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from lcrp.values.geometry import Box as Box
from lcrp.values.prediction import ClassMap, Detections, DetectorOutput
from lcrp.values.sample import Annotation, Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget

NetworkOutput = DetectorOutput | torch.Tensor
Prediction = Detections | ClassMap
Targets = tuple[list[ExplainedTarget], list[SkippedTarget]]


class Task(Protocol):
    """How decisions are read from a network's output, and how each is seeded.

    A task is only ever given outputs and predictions of its own kind: `DetectorOutput` and `Detections`, or
    logits [B, K, H, W] and `ClassMap`.
    """

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; index = class id."""
        ...

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        ...

    def predictions(self, output: NetworkOutput) -> Sequence[Prediction]:
        """What the network says of every image of the batch, detached, in at least float32."""
        ...

    def present_classes(self, annotation: Annotation) -> list[int]:
        """Class ids that an annotation names, ascending (void excluded)."""
        ...

    def annotated_targets(self, prediction: Prediction, sample: Sample) -> Targets:
        """Best item of every annotated class; the classes that are not predicted are skipped."""
        ...

    def predicted_targets(self, prediction: Prediction, sample: Sample) -> Targets:
        """Everything that is predicted, whatever the annotation says."""
        ...

    def find(self, prediction: Prediction, sample_index: int, key: str, class_id: int, item: int) -> ExplainedTarget:
        """Item `item` of class `class_id`.

        Raises:
            TargetError: there is none; the message says what is there instead.
        """
        ...

    def of_class(self, prediction: Prediction, sample: Sample, class_id: int) -> list[ExplainedTarget]:
        """All decisions for a class, in the order of their items; none if it is not predicted."""
        ...

    def match_box(self, prediction: Prediction, sample: Sample, box: Box, min_iou: float = 0.0) -> ExplainedTarget:
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

    def class_probabilities(
        self, prediction: Prediction, explained: ExplainedTarget, region: torch.Tensor | None = None
    ) -> torch.Tensor:
        """How probable every class is for a decision, [K]: those of its box, or the mean over its mask.

        Args:
            prediction: in which the decision was found.
            explained: the decision.
            region: [H, W] bool, the part of a mask that is explained (segmentation only).
        """
        ...

    def seed(
        self,
        output: NetworkOutput,
        explained: Sequence[ExplainedTarget | None],
        masks: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Relevance put on one target (or none) of every image of the batch.

        Args:
            output: the network's output for B images.
            explained: B targets; None for an image that takes no part in this round.
            masks: [B, H, W] bool, restricts the seed to a part of each picture (segmentation only).

        Returns:
            The tensor of `output` that is explained, [B, ...], and its relevance of the same shape. The relevance
            of each target sums to 1, whatever the other images of the batch are.
        """
        ...

    def logits(self, output: NetworkOutput, explained: Sequence[ExplainedTarget], masks: torch.Tensor) -> torch.Tensor:
        """How strongly a network speaks for targets, whatever else it sees: raw logits [B], detached.

        Args:
            output: the network's output for B images, perhaps altered ones.
            explained: B targets, found in the unaltered images.
            masks: [B, H, W] bool, where the objects are (segmentation only); none may be empty.
        """
        ...

    def object_mask(self, prediction: Prediction, explained: ExplainedTarget, size: tuple[int, int]) -> torch.Tensor:
        """[H, W] bool, the object in a picture of `size` (height, width): the filled box or the class's mask."""
        ...
