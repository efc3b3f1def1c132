"""Objects that a network missed, and detections of nothing (no torch).

Boxes are (left, top, right, bottom) in pixels of the picture.
"""

from dataclasses import dataclass
from enum import StrEnum

from lcrp.values.candidates import Fate
from lcrp.values.geometry import Box


class Mechanism(StrEnum):
    """Why an object was missed: the first that applies."""

    FILTERED = "filtered"
    BELOW_THRESHOLD = "below threshold"
    NEIGHBOUR = "lost to a neighbour"
    OTHER_CLASS = "other class"
    BOX_OFF = "box off"
    NO_CANDIDATE = "no candidate"


class Alarm(StrEnum):
    """What is wrong with a detection that found no object (TIDE, Bolya et al. 2020)."""

    OTHER_CLASS = "other class"  # TIDE's Cls
    BOX_OFF = "box off"  # Loc
    BOTH = "other class and box off"  # Both
    DUPLICATE = "duplicate"  # Dupe
    BACKGROUND = "background"  # Bkg


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a detector might have kept.

    Attributes:
        row: of the raw output, or of the class logits where several classes of a row are candidates.
        class_id: index into the network's class names.
        score: in [0, 1].
        box: where it is.
        overlap: IoU: of a miss's candidate with the object, of a neighbour with that candidate.
        fate: what became of it.
    """

    row: int
    class_id: int
    score: float
    box: Box
    overlap: float
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """An annotated object that no detection found.

    Attributes:
        sample: index of the picture in the dataset.
        key: of the picture.
        number: of the object in the picture's annotation.
        class_id: index into the network's class names.
        box: of the object.
        mechanism: why it was missed.
        candidate: the best one for it; None where there is none.
        neighbour: the candidate that NMS preferred to it; None where NMS did not drop it.
    """

    sample: int
    key: str
    number: int
    class_id: int
    box: Box
    mechanism: Mechanism
    candidate: Candidate | None = None
    neighbour: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarm:
    """A detection that found no object.

    Attributes:
        sample: index of the picture in the dataset.
        key: of the picture.
        row: of the detection.
        class_id: index into the network's class names.
        score: in [0, 1].
        box: where it is.
        kind: what is wrong with it.
        object_class: of the object that it has to do with; -1 for the background.
        overlap: IoU with that object; 0 for the background.
    """

    sample: int
    key: str
    row: int
    class_id: int
    score: float
    box: Box
    kind: Alarm
    object_class: int
    overlap: float
