"""What context concepts are for: a class's concepts are set to zero, in pictures with and without a context.

Axes: R row (a target in one picture), G group of concepts, V variant of a network, H W picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.ablation import ablated_outputs
from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import NetworkOutput
from lcrp.data.dataset import Dataset
from lcrp.errors import DataError
from lcrp.evidence.complexity import MOST
from lcrp.evidence.intervals import Interval, mean_interval
from lcrp.stages.context.backgrounds import without_background
from lcrp.stages.context.pairs import LayerPairs
from lcrp.stages.context.scores import Found, found_target, read
from lcrp.values.target import Target

Array = npt.NDArray[Any]

GROUPS = ("context", "control")  # concepts with the highest and with the lowest context scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Flipped:
    """Concepts of one layer that are set to zero together.

    Attributes:
        layer: name of the layer.
        num_concepts: of the layer.
        group: which of them: one of `GROUPS`.
        concepts: channels.
        context: their mean context score.
    """

    layer: str
    num_concepts: int
    group: str
    concepts: tuple[int, ...]
    context: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What setting concepts to zero does.

    Attributes:
        flipped: the concepts.
        is_with: in pictures with the context, or in those without.
        change: mean change of the logit.
        num_targets: of the mean.
    """

    flipped: Flipped
    is_with: bool
    change: Interval
    num_targets: int


def flipped_groups(pairs: LayerPairs, class_id: int, scores: Array, count: int) -> list[Flipped]:
    """The concepts of a class with the highest context scores, and with the lowest ones; none overlap.

    They are chosen among those that together carry most of the class's relevance: what hardly counts changes nothing.

    Args:
        pairs: of the layer.
        class_id: the class.
        scores: [P] context scores.
        count: concepts of each group; fewer where there are not twice as many.
    """
    members = pairs.of_class(class_id)
    members = members[~np.isnan(scores[members])]
    carried = np.cumsum(pairs.relevance[members]) - pairs.relevance[members]  # by those that are more relevant
    weighty = int((carried < MOST * pairs.relevance[members].sum()).sum())
    members = members[: max(weighty, 2 * count)]
    order = members[np.argsort(-scores[members], kind="stable")]
    count = min(count, len(order) // 2)
    if not count:
        return []
    return [
        Flipped(
            layer=pairs.layer,
            num_concepts=pairs.num_concepts,
            group=group,
            concepts=tuple(pairs.concept[chosen].tolist()),
            context=float(scores[chosen].mean()),
        )
        for group, chosen in zip(GROUPS, (order[:count], order[::-1][:count]), strict=True)
    ]


class CaseStudy:
    """Changes of the logits of a class's targets, a few targets at a time.

    Args:
        attributor: within its context, recording nothing; its composite leaves forward passes alone.
        dataset: the samples.
        flipped: the groups of concepts.
        context_id: class whose annotated objects are the context; None: the context is the picture's background, which
            is there, or replaced by grey noise.
        seed: of the noise.
        min_pixels: of an object; smaller ones are left out.
    """

    def __init__(
        self,
        attributor: Attributor,
        dataset: Dataset,
        flipped: Sequence[Flipped],
        *,
        context_id: int | None,
        seed: int,
        min_pixels: int,
    ) -> None:
        self._attributor, self._dataset, self._flipped = attributor, dataset, flipped
        self._context_id, self._seed, self._min_pixels = context_id, seed, min_pixels

    def unit(self, targets: Sequence[Target]) -> dict[str, Array]:
        """What a few targets tell.

        Returns:
            `sample` [R]; `is_with` [R], whether the context is there; `change` [R, G] of the logit.
        """
        samples: list[int] = []
        is_with: list[bool] = []
        change: list[Array] = []
        for target in targets:
            found = self._found(target)
            if found is None:
                continue
            for image, has_context in self._pictures(found):
                samples.append(target.sample)
                is_with.append(has_context)
                change.append(self._changes(image, found))
        return {
            "sample": np.array(samples, dtype=np.int64),
            "is_with": np.array(is_with, dtype=np.bool_),
            "change": np.array(change, dtype=np.float64).reshape(len(change), len(self._flipped)),
        }

    def _found(self, target: Target) -> Found | None:
        sample = read(self._dataset, target.sample)
        if sample is None:
            return None
        output = self._attributor.output(sample.image[None])
        prediction = self._attributor.task.predictions(output)[0]
        found = found_target(self._attributor.task, prediction, sample, target)
        return None if found is None or found.region.num_pixels < self._min_pixels else found

    def _pictures(self, found: Found) -> list[tuple[torch.Tensor, bool]]:
        """Pictures [3, H, W] of the object, and whether the context is there."""
        if self._context_id is None:
            return [(found.sample.image, True), (without_background(found, self._seed), False)]
        if found.sample.annotation is None:
            raise DataError(
                f"{self._dataset.name} has no annotations ({found.sample.key}), so no picture is known to hold an "
                "object of the context's class; let the whole background be the context",
                mend="Leave out stage.context_class.",
            )
        present = self._attributor.task.present_classes(found.sample.annotation)
        return [(found.sample.image, self._context_id in present)]

    def _changes(self, image: torch.Tensor, found: Found) -> Array:
        """Change of the logit by each group, [G]."""
        device = self._attributor.device
        changes = []
        plain = self._logits(self._attributor.output(image[None]), found)
        for group in self._flipped:
            keep = torch.ones(1, group.num_concepts, dtype=torch.bool, device=device)
            keep[:, list(group.concepts)] = False
            nothing = torch.zeros(1, 1, 1, 1, device=device)
            output = ablated_outputs(self._attributor, image[None], group.layer, keep, nothing)
            changes.append(self._logits(output, found) - plain)
        return np.array(changes)

    def _logits(self, output: NetworkOutput, found: Found) -> float:
        """How strongly a network speaks for a decision, over its object."""
        return float(self._attributor.task.logits(output, [found.explained], found.region.inside[None])[0])


def outcomes(parts: Sequence[Mapping[str, Array]], flipped: Sequence[Flipped], limit: int) -> list[Outcome]:
    """What every group does with and without the context, from all units.

    Args:
        parts: of the units.
        flipped: the groups.
        limit: the first so many targets, with and without the context.
    """
    columns = {name: np.concatenate([part[name] for part in parts]) for name in ("sample", "is_with", "change")}
    found = []
    for number, group in enumerate(flipped):
        for is_with in (True, False):
            rows = np.flatnonzero(columns["is_with"] == is_with)[:limit]
            change = mean_interval(columns["change"][rows, number], columns["sample"][rows])
            found.append(Outcome(flipped=group, is_with=is_with, change=change, num_targets=len(rows)))
    return found
