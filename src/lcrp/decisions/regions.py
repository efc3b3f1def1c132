"""Objects in pictures: which pixels belong to what is explained, and how much relevance lies elsewhere.

Axes: B image, H W picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import box_iou

from lcrp.attribution.segmentation import VOID
from lcrp.attribution.task import Prediction, Task
from lcrp.evidence.localisation import shares
from lcrp.values.prediction import at_least_float32
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the object of a decision is.

    Attributes:
        inside: [H, W] bool, the object.
        counted: [H, W] bool, pixels that count: the picture without padding and without void.
    """

    inside: torch.Tensor
    counted: torch.Tensor

    @property
    def num_pixels(self) -> int:
        """Pixels of the object."""
        return int((self.inside & self.counted).sum())

    @property
    def outside_area(self) -> float:
        """Share of the picture that is not the object, in [0, 1]."""
        return 1 - self.num_pixels / max(1, int(self.counted.sum()))


def object_region(
    task: Task, prediction: Prediction, explained: ExplainedTarget, sample: Sample, *, is_exact: bool = False
) -> Region:
    """The object that a decision is about, as it is annotated; as it is predicted where no annotation tells.

    Of a mask: the annotated pixels of its class. Of a detection: the annotated box that overlaps most (IoU).

    Args:
        task: reads the prediction.
        prediction: of the picture.
        explained: the decision.
        sample: the picture.
        is_exact: take the annotated mask of a detected object, if it has one, instead of its box.
    """
    size = (sample.image.shape[1], sample.image.shape[2])
    top, left, bottom, right = sample.geometry.content()
    counted = torch.zeros(size, dtype=torch.bool)
    counted[top:bottom, left:right] = True
    annotation = sample.annotation
    predicted = task.object_mask(prediction, explained, size).cpu()
    if annotation is None:
        return Region(inside=predicted, counted=counted)
    if explained.box is None:
        if annotation.class_mask is None:
            return Region(inside=predicted, counted=counted)
        inside = annotation.class_mask == explained.target.class_id
        return Region(inside=inside if inside.any() else predicted, counted=counted & (annotation.class_mask != VOID))
    overlap = box_iou(annotation.boxes.double(), torch.tensor([explained.box], dtype=torch.float64))[:, 0]  # [N]
    if not (overlap > 0).any():
        return Region(inside=predicted, counted=counted)
    row = int(overlap.argmax())
    if is_exact and annotation.masks is not None:
        return Region(inside=annotation.masks[row], counted=counted)
    left_edge, top_edge, right_edge, bottom_edge = annotation.boxes[row].tolist()
    annotated = replace(explained, box=(left_edge, top_edge, right_edge, bottom_edge))
    return Region(inside=task.object_mask(prediction, annotated, size), counted=counted)


def outside_shares(heatmaps: torch.Tensor, regions: Sequence[Region]) -> npt.NDArray[np.float64]:
    """Share of the positive relevance that lies outside the object, [B] in [0, 1]; NaN where nothing is positive.

    sum_i max(R_i, 0) (1 - M_i) / sum_i max(R_i, 0) (Dreyer et al. 2023, section 4.3, for one sample).

    Args:
        heatmaps: [B, H, W].
        regions: of every picture.
    """
    maps = at_least_float32(heatmaps).cpu().numpy()
    found = []
    for heatmap, region in zip(maps, regions, strict=True):
        inside, counted = region.inside.cpu().numpy(), region.counted.cpu().numpy()
        found.append(shares(np.where(counted, heatmap, 0), ~inside[None])[0])
    return np.array(found, dtype=np.float64)
