"""Explanations: what a figure shows of one decision (no torch).

Axes: H W picture. All pictures are RGB float in [0, 1] with shape [H, W, 3].
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from lcrp.values.geometry import Box, Geometry
from lcrp.values.geometry import Mask as Mask  # of explanations, too
from lcrp.values.ledger import Ledger
from lcrp.values.missed import AbsentConcept, Lacking
from lcrp.values.target import ExplainedTarget

Picture = npt.NDArray[np.floating]
Verdict = Literal["hit", "false alarm", "unlabelled"]

MOSTLY = 2 / 3  # share of relevance that speaks against a decision, from which on it is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference sample of a concept.

    Attributes:
        key: the sample's key in the dataset.
        sample: its index.
        class_name: class under which it was ranked; empty for activation.
        score: its normalised relevance or activation for the concept.
        picture: [H, W, 3] the model input without its padding.
        heatmap: [H, W] heatmap of the concept's receptive-field neuron on it.
        pixel_aspect: as of its geometry.
        is_explained_picture: whether it shows the very picture that is explained.
        class_id: class of the decision under which it was ranked; -1 for activation, and where it is not known.
        item: of that decision; -1 likewise.
        box: of that decision, (left, top, right, bottom) in shares of the picture; None for a mask, and where nobody
            asked for it.
    """

    key: str
    sample: int
    class_name: str
    score: float
    picture: Picture
    heatmap: npt.NDArray[np.floating]
    pixel_aspect: float = 1.0
    is_explained_picture: bool = False
    class_id: int = -1
    item: int = -1
    box: Box | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Ranked samples of a concept that cannot be shown as references.

    Attributes:
        unreadable: whose picture cannot be read.
        not_found: in which the decision is not found again under which they were ranked.
    """

    unreadable: int = 0
    not_found: int = 0

    def __add__(self, other: "Lost") -> "Lost":
        return Lost(unreadable=self.unreadable + other.unreadable, not_found=self.not_found + other.not_found)

    def __str__(self) -> str:
        """For example ``the pictures of 2 cannot be read, the decisions of 3 are not found again``; empty for none."""
        pictures = f"the picture{'s' * (self.unreadable > 1)} of {self.unreadable} cannot be read"
        decisions = "the decision of 1 is" if self.not_found == 1 else f"the decisions of {self.not_found} are"
        parts = [pictures] * bool(self.unreadable) + [f"{decisions} not found again"] * bool(self.not_found)
        return ", ".join(parts)


NOTHING_LOST = Lost()


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDecision:
    """Another decision of the model about the same picture.

    Attributes:
        class_name: its class.
        confidence: as `ExplainedTarget.confidence`.
        box: (left, top, right, bottom) in input pixels; None for a class's mask.
        share: share of the picture's area that the box or mask covers, in [0, 1].
    """

    class_name: str
    confidence: float
    box: Box | None
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """What the dataset's annotation says of a decision.

    Attributes:
        verdict: 'hit': an annotated object of the class overlaps by an IoU of at least 0.5; 'false alarm': none does;
            'unlabelled': the picture has no annotation that could tell.
        class_name: class of the annotated object that overlaps most; empty if none does.
        overlap: its IoU with the decision's box or mask, in [0, 1].
    """

    verdict: Verdict
    class_name: str = ""
    overlap: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptExplanation:
    """One concept's part in a decision.

    Attributes:
        concept: channel of the layer.
        share: its signed share of the layer's sum of absolute relevance (or activation), in [-1, 1].
        heatmap: [H, W] conditional heatmap (or the activation map, resized to the input).
        outside: share of the heatmap's positive relevance that lies outside the object, in [0, 1].
        references: reference samples, best first.
        lost: ranked samples that would have been shown before others.
        name: that a person gave it; empty without.
        absent: what it does where objects of the class are found, beside what it does here; None where nobody asked.
    """

    concept: int
    share: float
    heatmap: npt.NDArray[np.floating]
    outside: float
    references: tuple[Reference, ...]
    lost: Lost = NOTHING_LOST
    name: str = ""
    absent: AbsentConcept | None = None

    @property
    def title(self) -> str:
        """What it is called: ``concept 54``, or ``sail (concept 54)``."""
        return f"{self.name} (concept {self.concept})" if self.name else f"concept {self.concept}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One decision, explained.

    Attributes:
        title: model, weights, dataset and composite in words.
        source: name of the picture as a person knows it: the file's name, or the sample's key; never an absolute path.
        mode: 'relevance' or 'activation'.
        layer: name of the layer whose concepts are shown.
        explained: the target and what the model said of it.
        class_name: name of the target's class.
        picture: [H, W, 3] the model input.
        geometry: how the photograph was placed in the input. Maps, `mask` and `explained.box` are in input pixels;
            whatever leaves the program as a box or mask goes through it.
        mask: [H, W] the object: the class's mask, or the filled box.
        heatmap: [H, W] relevance of the input for this target.
        outside: share of positive relevance outside the object, in [0, 1].
        outside_area: share of the picture's area outside the object, in [0, 1].
        rank: place of the decision among those of its class by confidence, 0 = the most confident.
        layer_share: relevance that passes through the layer as a share of the decision's: the sum of the relevance at
            the layer's output over the seed's size (of the part that is explained, if only a part is); NaN where it
            was not measured: activation, composites that compute gradients, and sides that are linearised.
        num_concepts: channels of the layer.
        concepts: the concepts shown, most relevant first.
        others: the model's other decisions about the picture, most confident first.
        runners_up: the other classes for this decision, with their confidence (as `explained.confidence`), best first.
        annotated: what the annotation says of the decision; None for pictures that do not come from a dataset.
        ledger: what became of the decision's relevance; None where it was not kept: activation, rules on modules.
        all_shares: [C] the share of every concept of the layer, shown or not; None where only the shown ones are known.
        class_confidences: [K] confidence in every class of the network for this decision; None where it is not known.
        missed: what would have carried the object, where it was missed and `explained` is its best box; else None.
    """

    title: str
    source: str
    mode: str
    layer: str
    explained: ExplainedTarget
    class_name: str
    picture: Picture
    geometry: Geometry
    mask: Mask
    heatmap: npt.NDArray[np.floating]
    outside: float
    outside_area: float
    rank: int
    layer_share: float
    num_concepts: int
    concepts: tuple[ConceptExplanation, ...]
    others: tuple[OtherDecision, ...] = ()
    runners_up: tuple[tuple[str, float], ...] = ()
    annotated: Annotated | None = None
    ledger: Ledger | None = None
    all_shares: npt.NDArray[np.float32] | None = None
    class_confidences: npt.NDArray[np.floating] | None = None
    missed: Lacking | None = None

    @property
    def content(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the photograph's visible part in the input."""
        return self.geometry.content()

    @property
    def against(self) -> float:
        """Share of the relevance in the picture that speaks against the decision, as `against`."""
        return against(self.heatmap, self.geometry)

    @property
    def picture_box(self) -> Box | None:
        """(left, top, right, bottom) of the detection in pixels of the photograph, within it; None for a mask."""
        box = self.explained.box
        return None if box is None else self.geometry.box_to_picture(box)

    @property
    def picture_mask(self) -> Mask:
        """The object in the photograph, [P, Q]; False where the input does not show it."""
        return self.geometry.mask_to_picture(self.mask)

    @property
    def coverage(self) -> float:
        """How much of the layer's relevance (or activation) the shown concepts hold: the sum of |share|, in [0, 1]."""
        return float(sum(abs(concept.share) for concept in self.concepts))


def against(heatmap: npt.NDArray[np.floating], geometry: Geometry) -> float:
    """Share of a heatmap's relevance that speaks against, in [0, 1]: sum max(-R, 0) / sum |R|; 0 if there is none.

    Args:
        heatmap: [H, W].
        geometry: what lies beside the picture does not count.
    """
    top, left, bottom, right = geometry.content()
    seen = heatmap[top:bottom, left:right]
    total = np.abs(seen).sum(dtype=np.float64)
    return float(-seen.clip(max=0.0).sum(dtype=np.float64) / total) if total > 0.0 else 0.0
