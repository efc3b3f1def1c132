"""Whether classes need their context (no torch)."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from lcrp.values.explanation import Reference


class Verdict(StrEnum):
    """Whether decisions for a class need its context."""

    NEEDS = "needs its context"
    DOES_NOT = "does not"
    CANNOT_TELL = "cannot tell"


class Kind(StrEnum):
    """What surrounds an object."""

    OWN = "its own"  # picture, as it is
    USUAL = "usual"  # another picture with the class
    UNUSUAL = "unusual"  # another picture without it
    PLACEBO = "placebo"  # its own surroundings without other objects, put back
    COMPANY = "without company"  # its own picture without the objects of another class
    SYNTHETIC = "synthetic"  # colours, gradients and soft noises


class Outcome(StrEnum):
    """What became of a decision before another ground."""

    KEPT = "kept"
    BELOW = "below threshold"  # there is a candidate
    REMOVED = "removed"  # there is one above the threshold, which NMS or the most detections took away
    GONE = "no candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundView:
    """An object before one ground, as it is drawn.

    Attributes:
        kind: of the ground.
        label: what it is, in few words.
        picture: [H, W, 3] in [0, 1], the visible part.
        outline: [H, W] bool, the object in it.
        score: how sure the network is of it.
        outcome: what became of the decision.
        heatmap: [H, W] relevance through one concept; None where none is shown.
    """

    kind: Kind
    label: str
    picture: npt.NDArray[np.float32]
    outline: npt.NDArray[np.bool_]
    score: float
    outcome: Outcome
    heatmap: npt.NDArray[np.floating] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What the score loses once a concept is set to zero.

    Attributes:
        score: mean over decisions, as they are.
        value: mean loss.
        low: lower end of its 95 % interval; NaN where it is not known.
        high: upper end.
    """

    score: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierView:
    """A concept of a class that needs its context, as it is drawn.

    Attributes:
        class_name: of the class.
        difference: what the class's score loses without its context.
        title: of the concept: ``concept 54``, or ``sail (concept 54)``.
        is_carrier: whether it is one of those that surely carry a part of that; else it is the nearest to it.
        group: what those of the class do together, in words; empty where it is the only one, or none.
        cut: how much smaller the fall is without it, with both ends of the 95 % interval.
        relevance_share: of its relevance in usual surroundings, how much is gone in others; NaN where it has none.
        usual: what its loss costs in usual surroundings.
        others: what it costs in pictures without the class.
        num_decisions: that had no part in the choice, over which losses and the cut are averaged.
        seen: one decision with the concept's heatmaps: in its own picture, and in one without the class.
        references: where it counts most.
    """

    class_name: str
    difference: float
    title: str
    is_carrier: bool
    group: str
    cut: tuple[float, float, float]
    relevance_share: float
    usual: Loss
    others: Loss
    num_decisions: int
    seen: tuple[GroundView, ...]
    references: tuple[Reference, ...]
