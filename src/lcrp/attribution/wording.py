"""What is predicted, in words, for messages about what is not."""

from collections.abc import Mapping, Sequence

import torch

from lcrp.values.prediction import Detections

LISTED = 5
LISTED_NEAR = 3


def listed_detections(prediction: Detections, class_names: Sequence[str], confidence: float) -> str:
    """Detections, the most confident first, or that there are none above a confidence."""
    pairs = zip(prediction.labels.tolist(), prediction.confidence.tolist(), strict=True)
    texts = [f"'{class_names[label]}' {value:.2f}" for label, value in pairs]
    return f"detected are {_first(texts)}" if texts else f"nothing is detected with a confidence above {confidence:g}"


def near_detections(
    prediction: Detections, class_names: Sequence[str], boxes: torch.Tensor, overlap: torch.Tensor
) -> str:
    """The detections that overlap a box most, with their boxes [D, 4]; empty if there are none."""
    texts = [
        f"'{class_names[int(prediction.labels[place])]}' {float(prediction.confidence[place]):.2f} at "
        f"{corners(boxes[place].tolist())}, IoU {float(overlap[place]):.2f}"
        for place in overlap.argsort(descending=True, stable=True)[:LISTED_NEAR].tolist()
    ]
    return f"nearest are {'; '.join(texts)}" if texts else ""


def listed_classes(areas: Mapping[int, int], num_pixels: int, class_names: Sequence[str]) -> str:
    """Classes with their areas as shares of so many pixels, the largest first."""
    there = sorted((-area, class_id) for class_id, area in areas.items())
    return _first([f"'{class_names[class_id]}' {-area / num_pixels:.1%}" for area, class_id in there])


def corners(box: Sequence[float]) -> str:
    """A box, to whole pixels."""
    return f"({', '.join(f'{edge:.0f}' for edge in box)})"


def _first(texts: Sequence[str]) -> str:
    rest = f" and {len(texts) - LISTED} more" if len(texts) > LISTED else ""
    return f"{', '.join(texts[:LISTED])}{rest}"
