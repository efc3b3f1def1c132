"""What the explorer shows, as plain values (no torch).

Axes: K class, C concept, D decision, P pair of a class and a concept, H W picture, h w grid on it, N concept shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.naming import Proposal
from lcrp.page.audit import AuditedContent
from lcrp.page.misses import MissedContent
from lcrp.values.evidence import Table
from lcrp.values.geometry import Box
from lcrp.values.statistics import Moments, TopTable

Array = npt.NDArray[Any]
Target = tuple[int, int, int]  # sample, class, item


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceContent:
    """A sample that shows what a concept looks like.

    Attributes:
        key: of the sample in the dataset.
        sample: its index.
        class_id: class of the decision under which it was ranked.
        item: of that decision.
        score: the concept's share of the layer's relevance there.
        box: of that decision, (left, top, right, bottom) in shares of the square crop; None for a mask, and without
            pictures.
    """

    key: str
    sample: int
    class_id: int
    item: int
    score: float
    box: Box | None = None

    @property
    def target(self) -> Target:
        """The decision."""
        return self.sample, self.class_id, self.item


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextContent:
    """How much concepts lean on the context, as stage=context measured it.

    Attributes:
        class_id: [P] class of every pair.
        concept: [P] its concept.
        context: [P] context score.
        low: [P] lower end of its 95 % interval; NaN where it is not known.
        high: [P] upper end.
        sensitivity: [P] change of its relevance by replaced backgrounds; NaN where it is not known.
    """

    class_id: Array
    concept: Array
    context: Array
    low: Array
    high: Array
    sensitivity: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How concepts' shares are spread over the decisions for a class, from a record of every decision.

    Attributes:
        quantiles: [K, C, 5] at 5, 25, 50, 75 and 95 %.
    """

    quantiles: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Concepts that come and go together: Pearson's r of their shares over decisions.

    Attributes:
        concept: [C, N] the most alike ones, best first; -1 where there are no more.
        correlation: [C, N].
        num_decisions: over which they are correlated.
    """

    concept: Array
    correlation: Array
    num_decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """Names that are proposed for a layer's concepts.

    Attributes:
        proposals: [C] of every concept the name that fits best, if one does.
        num_decisions: from which they are proposed.
    """

    proposals: tuple[Proposal, ...]
    num_decisions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerContent:
    """A layer, and what is known of its concepts.

    Attributes:
        name: of the layer.
        moments: counts and sums of the concepts' shares per class.
        ranking: the decisions in which every concept counts most.
        references: per concept, best first; empty for concepts that count for no class.
        strips: per concept, what its strongest neuron looked at in each of its references (WebP); none without
            pictures.
        of_class: per concept and class, the references of that class, best first; for the concepts that count most for
            the class.
        further_strips: per concept, crops of those of them that are not among its references, in the order of
            `further`.
        context: as stage=context measured it; None where it did not.
        spread: where every decision was recorded.
        likeness: None where there are too few decisions.
        proposed: None where nothing is annotated, or nobody asked.
    """

    name: str
    moments: Moments
    ranking: TopTable
    references: Mapping[int, tuple[ReferenceContent, ...]]
    strips: Mapping[int, bytes] = field(default_factory=dict)
    of_class: Mapping[tuple[int, int], tuple[ReferenceContent, ...]] = field(default_factory=dict)
    further_strips: Mapping[int, bytes] = field(default_factory=dict)
    context: ContextContent | None = None
    spread: Spread | None = None
    likeness: Likeness | None = None
    proposed: Proposed | None = None

    @property
    def num_concepts(self) -> int:
        """Channels of the layer."""
        return len(self.ranking.filled)

    def further(self, concept: int) -> tuple[ReferenceContent, ...]:
        """References of single classes that are not among those of a concept, by class and rank."""
        known = {one.target for one in self.references.get(concept, ())}
        own = (self.of_class.get((concept, class_id), ()) for class_id in self.moments.class_ids.tolist())
        return tuple(one for of_class in own for one in of_class if one.target not in known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Another statistics file, concept by concept.

    Attributes:
        title: of the other network, in words.
        source: name of the file, without folders.
        layer: name of the layer in both.
        match: [C] the other's concept whose references overlap most, each taken once; -1 for none.
        overlap: [C] Jaccard index of their references.
        mean: [K, O] mean share of the other's concepts, rows as the shown layer's classes; NaN where not known.
        references: of the other's concepts that are matched, best first.
        strips: per concept of the other, a crop of each of its references (WebP); none without pictures.
    """

    title: str
    source: str
    layer: str
    match: Array
    overlap: Array
    mean: Array
    references: Mapping[int, tuple[ReferenceContent, ...]] = field(default_factory=dict)
    strips: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureContent:
    """A picture of which decisions are explained.

    Attributes:
        name: as a person knows it.
        image: as photographed (WebP); None without pictures.
        size: (height, width) that is shown.
        photograph: name of the photograph of which it is a tile; empty where it is one itself.
    """

    name: str
    image: bytes | None
    size: tuple[int, int]
    photograph: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContent:
    """One explained decision, or a missed object, explained by its best box.

    Attributes:
        picture: number of its picture.
        facts: its numbers, as stage=render writes them as JSON.
        box: of the decision, or of the missed object: (left, top, right, bottom) in shares of what is shown of the
            picture; None for a mask.
        mask: [h, w] share of every cell that the object covers, in 255ths; None where the box says it.
        maps: [1 + N, h, w] relevance in every cell of a grid on what is shown: of the decision, and through each of the
            concepts of `facts`.
        shares: [C] signed share of every concept of the layer; None where they are not known.
        alarm: what is wrong with a false alarm, where stage=missed told: its kind, and class and IoU of the object.
        missed: why the object was missed; None for a decision.
    """

    picture: int
    facts: Mapping[str, Any]
    box: Box | None
    mask: npt.NDArray[np.uint8] | None
    maps: npt.NDArray[np.floating]
    shares: npt.NDArray[np.float32] | None = None
    alarm: Mapping[str, Any] | None = None
    missed: MissedContent | None = None

    @property
    def id(self) -> str:
        """Names it in addresses: sample, class and item; of a missed object sample and number."""
        if self.missed is not None:
            return f"m{self.facts['sample']}.{self.missed.number}"
        return f"{self.facts['sample']}.{self.facts['class_id']}.{self.facts['item']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a measurement says of whether all this can be trusted, or how to make it.

    Attributes:
        name: of the stage.
        sentences: what it found; empty where it was not made.
        command: makes it, as a person gives it.
        tables: its numbers.
        source: file that they are from, a name without folders.
    """

    name: str
    sentences: tuple[str, ...] = ()
    command: str = ""
    tables: tuple[Table, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that is not in the page, and how to get it.

    Attributes:
        what: it is.
        how: a setting or command.
    """

    what: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that the explorer shows.

    Attributes:
        title: model, weights, data and composite in words.
        facts: what the page says of itself: hashes, versions, settings, date; plain nested values.
        class_names: of the network; index = class id.
        layers: whose concepts are shown; the first one is shown first.
        layer: name of the layer of the explained decisions.
        pictures: of which decisions are explained.
        decisions: explained, in order.
        misses: explained, in order.
        audited: objects before other grounds.
        findings: of other stages.
        names: of concepts that a person gave, by layer and concept.
        left_out: what is not there.
        comparison: with another statistics file; None without one.
    """

    title: str
    facts: Mapping[str, Any]
    class_names: tuple[str, ...]
    layers: tuple[LayerContent, ...]
    layer: str
    pictures: tuple[PictureContent, ...] = ()
    decisions: tuple[DecisionContent, ...] = ()
    misses: tuple[DecisionContent, ...] = ()
    audited: tuple[AuditedContent, ...] = ()
    findings: tuple[Finding, ...] = ()
    names: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    comparison: Comparison | None = None
