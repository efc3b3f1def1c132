"""Which ranked samples stand for a concept: those that show something new, the best ones first.

Axes: H W picture.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lcrp.decisions.neuron_maps import RankedNeuron
from lcrp.storage.reference_cache import NeuronKey
from lcrp.values.compact_map import CompactMap, Heatmap
from lcrp.values.explanation import NOTHING_LOST, Lost, Reference
from lcrp.values.geometry import Box
from lcrp.values.sample import Sample

SAME_OBJECT = 0.5  # overlap of two heatmaps of one picture from which on they show one object


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A ranked neuron with its sample and heatmap."""

    ranked: RankedNeuron
    sample: Sample
    heatmap: CompactMap


class ReferenceChoice:
    """The references of one concept, chosen one after the other.

    Args:
        ranked: what may stand for the concept, in the order in which it is looked at.
        most: references that are shown.
        boxes: of decisions, (left, top, right, bottom) in input pixels, by sample, class and item.
        explained: the picture for which references are shown; it comes last.

    Attributes:
        tried: what was asked for, and what was lost of it.
    """

    def __init__(
        self,
        ranked: Sequence[RankedNeuron],
        most: int,
        boxes: Mapping[tuple[int, int, int], Box],
        explained: Sample | None,
    ) -> None:
        self._most, self._boxes, self._explained = most, boxes, explained
        self._waiting = deque(ranked)
        self._kept: list[_Candidate] = []
        self._of_explained: list[_Candidate] = []
        self.tried: dict[tuple[int, NeuronKey], Lost] = {}

    @property
    def lost(self) -> Lost:
        """Ranked samples that could not be shown."""
        return sum(self.tried.values(), NOTHING_LOST)

    def wanted(self) -> list[RankedNeuron]:
        """The next ones to look at: as many as are missing."""
        count = min(self._most - len(self._kept), len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    def offer(self, ranked: RankedNeuron, sample: Sample | None, heatmap: CompactMap | None) -> None:
        """Keep a reference if it shows something new."""
        key = ranked.concept, ranked.neuron
        if sample is None or heatmap is None:
            self.tried[key] = Lost(unreadable=1) if sample is None else Lost(not_found=1)
            return
        self.tried[key] = NOTHING_LOST
        shelf = self._of_explained if self._is_explained(sample) else self._kept
        of_picture = [one for one in shelf if one.sample.index == sample.index]
        if all(_overlap(one.heatmap.whole(), heatmap.whole()) < SAME_OBJECT for one in of_picture):
            shelf.append(_Candidate(ranked=ranked, sample=sample, heatmap=heatmap))

    def references(self, class_names: Sequence[str] | None) -> tuple[Reference, ...]:
        """What was kept, best first, and at the end the explained picture, if there is room."""
        others = sorted(self._kept, key=lambda one: -one.ranked.score)
        itself = self._of_explained[: self._most - len(others)]
        return tuple(
            _reference(one, class_names, self._boxes, is_explained_picture=place >= len(others))
            for place, one in enumerate([*others, *itself])
        )

    def _is_explained(self, sample: Sample) -> bool:
        """Whether a sample shows the explained picture, be it under another name."""
        return self._explained is not None and torch.equal(sample.image, self._explained.image)


def _overlap(one: Heatmap, other: Heatmap) -> float:
    """How far two heatmaps [H, W] lie on one another, in [0, 1]: sum of min over sum of max of their shares.

    Those without positive relevance are the same: figures show the whole picture for them.
    """
    if not (one > 0.0).any() or not (other > 0.0).any():
        return float((one > 0.0).any() == (other > 0.0).any())
    total, total_other = np.abs(one).sum(dtype=np.float64), np.abs(other).sum(dtype=np.float64)
    shares, shares_other = np.abs(one) / total, np.abs(other) / total_other
    return float(np.minimum(shares, shares_other).sum() / np.maximum(shares, shares_other).sum())


def _reference(
    one: _Candidate,
    class_names: Sequence[str] | None,
    boxes: Mapping[tuple[int, int, int], Box],
    *,
    is_explained_picture: bool,
) -> Reference:
    sample = one.sample
    top, left, bottom, right = sample.geometry.content()
    box = boxes.get(one.ranked.neuron[:3])
    width, height = right - left, bottom - top
    return Reference(
        key=sample.key,
        sample=sample.index,
        class_name="" if class_names is None else class_names[one.ranked.neuron.class_id],
        score=one.ranked.score,
        picture=sample.image.permute(1, 2, 0).numpy()[top:bottom, left:right],
        heatmap=one.heatmap.whole()[top:bottom, left:right],
        pixel_aspect=sample.geometry.pixel_aspect,
        is_explained_picture=is_explained_picture,
        class_id=one.ranked.neuron.class_id,
        item=one.ranked.neuron.item,
        box=box
        and ((box[0] - left) / width, (box[1] - top) / height, (box[2] - left) / width, (box[3] - top) / height),
    )
