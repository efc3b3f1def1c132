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


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentConcept:
    """A concept that carries objects of a class where they are found, beside what it does for a missed one.

    Attributes:
        concept: channel of the layer.
        found: what it adds to the logit of the class within the box of a found object, on average.
        here: the same within the box of the missed object.
        gain: what giving its activation back would add to the logit here, to first order.
    """

    concept: int
    found: float
    here: float
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A found object in which a concept counts.

    Attributes:
        concept: channel of the layer.
        sample: index of the picture in the dataset.
        row: of the detection, in the network's output.
        class_id: of the object.
        box: of the object, in pixels of the picture.
    """

    concept: int
    sample: int
    row: int
    class_id: int
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What became of a missed object when activation was given back in its box.

    Attributes:
        num_concepts: the first so many absent concepts; 0 for all concepts of the layer.
        score: of its best box then, in [0, 1]; NaN where a network that selects its boxes itself keeps none.
        is_found: whether it is detected.
        num_random: sets of as many other concepts that were given back instead, changes of the same norm; 0 for none.
        num_random_found: of these, with how many it is detected.
    """

    num_concepts: int
    score: float
    is_found: bool
    num_random: int = 0
    num_random_found: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """What would have carried a missed object.

    Attributes:
        miss: the object.
        row: of the box that tells, in the network's output.
        box: that box.
        score: of that box for the object's class, in [0, 1].
        logit: that is explained.
        threshold: above which a score is detected; NaN where it is not known.
        taken_for: name of the class that the network says of the object, where it is another; else empty.
        layer: whose concepts are told.
        layer_share: relevance of the logit that passes through it, as a share.
        num_found: found objects of the class that it is compared with: whose relevance passes the layer; 0 for none.
        donor: key of the picture of the found object that is most like it in size.
        concepts: the absent ones, those first whose return would add most.
        speaks_for: the concept that speaks most for the object here; -1 for none.
        speaks_against: the one that speaks most against it; -1 for none.
        examples: found objects in which the first absent concepts and those that speak count most.
        returned: what giving back does.
        things: what is annotated around objects of the class: name, and share of the relevance that lies there, of
            found objects on average and here; the largest falls first.
    """

    miss: Miss
    row: int
    box: Box
    score: float
    logit: float
    threshold: float
    layer: str
    layer_share: float
    taken_for: str = ""
    num_found: int = 0
    donor: str = ""
    concepts: tuple[AbsentConcept, ...] = ()
    speaks_for: int = -1
    speaks_against: int = -1
    examples: tuple[Example, ...] = ()
    returned: tuple[Returned, ...] = ()
    things: tuple[tuple[str, float, float], ...] = ()

    @property
    def speaking(self) -> tuple[int, ...]:
        """The concepts that speak most for the object and against it, where any do."""
        return tuple(concept for concept in (self.speaks_for, self.speaks_against) if concept >= 0)
