"""Targets: the single decisions that are explained (no torch)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Target:
    """One decision: item `item` of class `class_id` in sample `sample`.

    Attributes:
        sample: index in the dataset.
        class_id: index into the class names.
        item: rank of the detection among those of its class (0 = best); 0 for a class's mask.
    """

    sample: int
    class_id: int
    item: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedTarget:
    """A target with what the model said of it.

    Attributes:
        target: which decision.
        key: the sample's key in the dataset (file name, or split and number).
        score: what is explained: class probability or objectness (detection), mean of the logit in
            the mask (segmentation).
        confidence: objectness times class probability (detection), mean probability in the
            mask (segmentation); the number that a figure shows.
        box: (left, top, right, bottom) in input pixels; None for a mask.
        area: pixels of the mask in the input; None for a box alone.
        row: row of the box in the detector's output; -1 for a mask of a class.
        within: (left, top, right, bottom) in input pixels, the part of a mask that is explained; None for all of it.
        read: what is explained where it is not what `score` tells of: 'mask', the mask of a detection, a side of its
            box ('left', ...), or the 'objectness' or 'class' of another than `score`; empty otherwise.
        is_linearised: whether that is a side whose distance is expected over bins: relevance is its first-order change,
            and sums to no part of it.
        instead: name of the class whose logit is taken off, where the difference is explained; empty otherwise.
        instead_confidence: as `confidence`, of that class.
    """

    target: Target
    key: str
    score: float
    confidence: float
    box: tuple[float, float, float, float] | None = None
    area: int | None = None
    row: int = -1
    within: tuple[float, float, float, float] | None = None
    read: str = ""
    is_linearised: bool = False
    instead: str = ""
    instead_confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedTarget:
    """A target that was asked for and is not there, with the reason."""

    target: Target
    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedSample:
    """A sample that could not be read, with the reason."""

    sample: int
    key: str
    reason: str
