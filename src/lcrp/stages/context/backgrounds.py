"""Replaced backgrounds: the object stays, what surrounds it does not (Dreyer et al. 2023, supplement).

Axes: T target, V variant, C concept, H W picture, h w feature map.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.engine import Attributor
from lcrp.data.dataset import Dataset
from lcrp.decisions.regions import outside_shares
from lcrp.decisions.together import few_images
from lcrp.evidence.context import Terms, relative_change
from lcrp.stages.context.pairs import LayerPairs
from lcrp.stages.context.scores import Found, detection_columns, found_target, read
from lcrp.values.prediction import at_least_float32
from lcrp.values.target import ExplainedTarget, Target

Array = npt.NDArray[Any]

STRENGTHS = (0.5, 1.0)  # of what replaces the background
GREY_NOISE = 0  # its place among the replacements
TARGETS_AT_ONCE = 4  # of one unit


def replacements(generator: np.random.Generator, size: tuple[int, int]) -> torch.Tensor:
    """What backgrounds become: grey noise, colour noise, black and one random colour, [4, 3, H, W] in [0, 1]."""
    grey = np.broadcast_to(generator.random((1, *size), dtype=np.float32), (3, *size))
    colours = generator.random((3, *size), dtype=np.float32)
    plain = np.broadcast_to(generator.random((3, 1, 1), dtype=np.float32), (3, *size))
    return torch.from_numpy(np.stack([grey, colours, np.zeros_like(colours), plain]))


def variants(found: Found, seed: int) -> torch.Tensor:
    """The picture with its background replaced, half and in full, [V, 3, H, W]: M x + (1 - M) ((1 - a) x + a b).

    Padding stays as it is. The same seed gives the same pictures, whatever else is looked at.
    """
    image, target, region = found.sample.image, found.explained.target, found.region
    generator = np.random.default_rng([seed, target.sample, target.class_id, target.item])
    new = replacements(generator, (image.shape[1], image.shape[2]))
    strength = torch.tensor(STRENGTHS)[:, None, None, None, None]
    mixed = ((1 - strength) * image + strength * new).flatten(0, 1)  # [V, 3, H, W]
    return torch.where(region.counted & ~region.inside, mixed, image)


def without_background(found: Found, seed: int) -> torch.Tensor:
    """The variant whose background is grey noise in full, [3, H, W]."""
    all_variants = variants(found, seed)
    return all_variants[(len(STRENGTHS) - 1) * len(all_variants) // len(STRENGTHS) + GREY_NOISE]


def drawn_units(targets: Sequence[ExplainedTarget], class_id: int, seed: int) -> dict[str, list[Target]]:
    """The targets of a class in random order, a few for each of several units."""
    order = np.random.default_rng([seed, class_id]).permutation(len(targets)).tolist()
    drawn = [targets[place].target for place in order]
    starts = range(0, len(drawn), TARGETS_AT_ONCE)
    return {f"{class_id:04d}-{start:06d}": drawn[start : start + TARGETS_AT_ONCE] for start in starts}


class Sensitivities:
    """How much the relevance of concepts changes with the background, a few targets of one class at a time.

    In a variant the same decision is seeded: the detection of the class at the same place; the mask of the class,
    wherever the segmenter sees it now. Where it is not made any more, no relevance is left.

    Args:
        attributor: within its context and recording the layers.
        dataset: the samples.
        layers: names.
        seed: of the variants.
        min_pixels: of an object; smaller ones are left out.
    """

    def __init__(
        self, attributor: Attributor, dataset: Dataset, layers: Sequence[str], *, seed: int, min_pixels: int
    ) -> None:
        self._attributor, self._dataset, self._layers = attributor, dataset, layers
        self._seed, self._min_pixels = seed, min_pixels

    def unit(self, targets: Sequence[Target]) -> dict[str, Array]:
        """What a few targets tell.

        Returns:
            Columns of detections [T], as `detection_columns`; for layer n, `before_n` [T, C], relevance of the
            concepts in the picture as it is, and `change_n` [T, C], its mean relative change in the variants.
        """
        wholes: list[tuple[Found, float]] = []
        before: list[list[Array]] = [[] for _ in self._layers]
        change: list[list[Array]] = [[] for _ in self._layers]
        for target in targets:
            looked = self._looked(target)
            if looked is None:
                continue
            found, outside, first = looked
            wholes.append((found, outside))
            after = self._after(found)
            for number in range(len(self._layers)):
                before[number].append(first[number])
                change[number].append(relative_change(first[number][None], after[number][None])[0])
        results = detection_columns(wholes)
        for number in range(len(self._layers) if wholes else 0):
            results |= {f"before_{number}": np.stack(before[number]), f"change_{number}": np.stack(change[number])}
        return results

    def _looked(self, target: Target) -> tuple[Found, float, list[Array]] | None:
        """A decision in the picture as it is.

        Returns:
            It; the share of its positive relevance outside the object; and, per layer, the relevance [C] of concepts.
        """
        sample = read(self._dataset, target.sample)
        if sample is None:
            return None
        trace = self._attributor.forward(sample.image[None], is_for_few=True)
        prediction = self._attributor.task.predictions(trace.output)[0]
        found = found_target(self._attributor.task, prediction, sample, target)
        if found is None or found.region.num_pixels < self._min_pixels:
            return None
        attribution = trace.explain([found.explained])
        outside = float(outside_shares(attribution.heatmap, [found.region])[0])
        return found, outside, [_sums(attribution.relevance[layer])[0] for layer in self._layers]

    def _after(self, found: Found) -> list[Array]:
        """Relevance [V, C] of every layer's concepts in the variants."""
        images = variants(found, self._seed)
        parts: list[list[Array]] = [[] for _ in self._layers]
        for part in few_images(images, self._attributor):
            trace = self._attributor.forward(part, is_for_few=True)
            predictions = self._attributor.task.predictions(trace.output)
            explained = [self._attributor.task.again(prediction, found.explained) for prediction in predictions]
            for number, layer in enumerate(self._layers):
                parts[number].append(_sums(trace.relevance(layer, explained)))
        return [np.concatenate(rows) for rows in parts]


def sensitivity_terms(parts: Sequence[Mapping[str, Array]], layer: int, pairs: LayerPairs) -> Terms:
    """The terms of one layer's sensitivities, of all targets.

    A target weighs as much as it counts among the positive relevance of its class's targets.
    """
    pair, image, value, weight = ([np.zeros(0)] for _ in range(4))
    for part in parts:
        for row, class_id in enumerate(part["class_id"].tolist()):
            members = pairs.of_class(class_id)
            concepts = pairs.concept[members]
            pair.append(members)
            image.append(np.full(len(members), part["sample"][row]))
            value.append(part[f"change_{layer}"][row, concepts])
            weight.append(np.maximum(part[f"before_{layer}"][row, concepts], 0.0))
    return Terms(
        pair=np.concatenate(pair).astype(np.int64),
        image=np.concatenate(image).astype(np.int64),
        value=np.concatenate(value).astype(np.float64),
        weight=np.concatenate(weight).astype(np.float64),
    )


def _sums(relevance: torch.Tensor) -> Array:
    """Relevance of concepts [B, C] from maps [B, C, h, w]."""
    return at_least_float32(relevance).sum(dim=(2, 3)).double().cpu().numpy()
