"""Whether classes need their context (no torch)."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


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
        picture: [H, W, 3] in [0, 1], the visible part.
        outline: [H, W] bool, the object in it.
        score: how sure the network is of it.
        outcome: what became of the decision.
    """

    kind: Kind
    picture: npt.NDArray[np.float32]
    outline: npt.NDArray[np.bool_]
    score: float
    outcome: Outcome
