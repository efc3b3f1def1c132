"""How faithful a method is to one decision, by three measures: channels, pixels, single concepts taken away.

Axes: L layer, C concept, F filling, X step, H W picture.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.ablated_logits import AblatedLogits, LookedAt
from lcrp.attribution.engine import Attributor
from lcrp.attribution.methods import Method, concept_vectors, noise_for, plays_part
from lcrp.attribution.pixels import content_mask
from lcrp.composites.spec import GRADIENT
from lcrp.decisions.explainer import Explainer
from lcrp.errors import LayerError, LcrpError
from lcrp.evidence.correlation import spearman
from lcrp.evidence.curves import channel_counts, flipping_area, insertion_area
from lcrp.stages.tune.heatmaps import heatmap_of
from lcrp.stages.tune.pixels import Read, all_filled, fillings, pixel_curves, places_in_order, sureness
from lcrp.storage.units import Arrays
from lcrp.values.attribution import Attribution
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

MOST_CHANNELS = 128  # of a layer that are taken away one by one; of more of them, so many drawn at random
DECIMALS = 5  # that count: what differs by less differs by rounding
MEASURES = ("channels", "pixels", "agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """How closely curves are followed.

    Attributes:
        channels: steps from no channel to all.
        pixels: steps from no pixel to all.
    """

    channels: int
    pixels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision that methods explain.

    Attributes:
        sample: index of its picture in the dataset.
        explained: it.
        mask: [H, W] bool, where its logit is read out (segmentation).
    """

    sample: int
    explained: ExplainedTarget
    mask: torch.Tensor


class Look:
    """One decision, and what all methods share: its picture, fillings, and what single concepts do.

    Args:
        explainer: the network.
        reader: within its context, for as long as the object is used.
        layers: L names.
        decision: it.
        sample: its picture.
        seed: of the draw of channels and of random orders.
        known: what `shared` found before; None to find it.
    """

    def __init__(
        self,
        explainer: Explainer,
        reader: Attributor,
        layers: Sequence[str],
        decision: Decision,
        sample: Sample,
        seed: int,
        known: Arrays | None = None,
    ) -> None:
        began = time.monotonic()
        self._explainer, self._layers, self._seed = explainer, list(layers), seed
        image = sample.image.to(explainer.device)
        self._seen = LookedAt(image=image, explained=decision.explained, mask=decision.mask.to(image.device))
        self._content = content_mask(sample).to(image.device)
        self._read: Read = sureness(reader, self._seen)
        self._fills = fillings(image)
        zero = image.new_zeros(1, 1, 1)
        first = [0 if known is None else len(known[f"channels_{number}"]) + 1 for number in range(len(layers))]
        self._logits = {
            layer: AblatedLogits(reader, layer, zero, self._seen, num_variants)
            for layer, num_variants in zip(layers, first, strict=True)
        }
        self._gradient: Attribution | None = None
        self.shared: Arrays = self._shared(began) if known is None else known

    def scores(self, method: Method, steps: Steps) -> Arrays:
        """How faithful a method is.

        Returns:
            `flipping`, `insertion` and `agreement` [L], NaN where a layer does not lead to the decision; `deletion` and
            `pixel_insertion` [F], NaN where the method has no heatmap; `seconds` [3] of the method itself, of channels
            and of pixels; `has_failed` [1], where relevance went astray or is no number.
        """
        began = time.monotonic()
        try:
            attribution = self._attribution(method)
            noise = {layer: self._noise(layer, attribution) for layer in self._layers}
            maps = {layer: (attribution.relevance[layer], attribution.activation[layer]) for layer in self._layers}
            vectors = [concept_vectors(method, *maps[layer], noise[layer])[0] for layer in self._layers]
        except LcrpError as error:
            log.debug("%s fails: %s", method.name, error)
            nothing = np.full(len(self._layers), np.nan)
            return {
                **dict.fromkeys(("flipping", "insertion", "agreement"), nothing),
                **dict.fromkeys(("deletion", "pixel_insertion"), np.full(len(self._fills), np.nan)),
                "seconds": np.array([time.monotonic() - began, 0.0, 0.0]),
                "has_failed": np.array([True]),
            }
        attributed = time.monotonic()
        channels = self._channels(vectors, steps.channels)
        ranked = time.monotonic()
        pixels = self._pixels(method, attribution, steps.pixels)
        seconds = np.diff([began, attributed, ranked, time.monotonic()])
        return {**channels, **pixels, "seconds": seconds, "has_failed": np.array([False])}

    def _shared(self, began: float) -> dict[str, Array]:
        """What the logit loses without each of some channels, and how sure the network is when all is filled."""
        own = self._gradient_of()
        found: dict[str, Array] = {}
        plays = []
        for number, layer in enumerate(self._layers):
            plays.append(bool(plays_part(own.relevance[layer])[0]))
            count = own.relevance[layer].shape[1]
            drawn = np.random.default_rng([self._seed, number]).permutation(count)[:MOST_CHANNELS]
            channels = np.sort(drawn) if plays[-1] else np.zeros(0, dtype=np.int64)
            found[f"channels_{number}"] = channels
            found[f"losses_{number}"] = self._losses(layer, count, channels)
        pictures = [self._seen.image, *(all_filled(self._seen.image, fill, self._content) for fill in self._fills)]
        found["ends"] = self._read(torch.stack(pictures)).numpy()
        found["plays"] = np.array(plays)
        found["shared_seconds"] = np.array([time.monotonic() - began])
        return found

    def _losses(self, layer: str, count: int, channels: Array) -> Array:
        """What the logit loses without each channel alone, [c]."""
        if not len(channels):
            return np.zeros(0)
        keep = torch.ones(len(channels) + 1, count, dtype=torch.bool)
        keep[torch.arange(1, len(channels) + 1), torch.from_numpy(channels)] = False
        logits = self._logits[layer](keep.to(self._seen.image.device)).numpy()
        lost: Array = logits[0] - logits[1:]
        return lost

    def _channels(self, vectors: Sequence[torch.Tensor], num_steps: int) -> dict[str, Array]:
        """Areas of flipping and insertion, and agreement with single channels taken away, [L] each."""
        found = {name: np.full(len(self._layers), np.nan) for name in ("flipping", "insertion", "agreement")}
        for number, (layer, vector) in enumerate(zip(self._layers, vectors, strict=True)):
            if not self.shared["plays"][number]:
                continue
            counts = channel_counts(len(vector), num_steps)
            taken, kept = self._logits[layer].curves(vector, counts.tolist()).numpy()[:, None]
            found["flipping"][number] = flipping_area(counts / len(vector), taken)[0]
            found["insertion"][number] = insertion_area(counts / len(vector), kept)[0]
            found["agreement"][number] = self._agreement(number, vector)
        return found

    def _agreement(self, number: int, vector: torch.Tensor) -> float:
        """Rank correlation with what the logit loses; 0 for scores that are all the same, NaN if losses are."""
        channels, losses = (self.shared[f"{name}_{number}"] for name in ("channels", "losses"))
        own = vector.double().cpu().numpy()[channels]
        if len(losses) < 2 or not np.ptp(losses):
            return float("nan")
        return spearman(own, losses) if np.ptp(own) else 0.0

    def _pixels(self, method: Method, attribution: Attribution, num_steps: int) -> dict[str, Array]:
        """Areas under the curves of pixel deletion and insertion, [F] each."""
        try:
            heatmap = heatmap_of(method, attribution, self._layers[-1], self._seed, self._seen.explained)
        except LayerError as error:
            log.debug("%s has no heatmap: %s", method.name, error)
            nothing = np.full(len(self._fills), np.nan)
            return {"deletion": nothing, "pixel_insertion": nothing}
        places = places_in_order(heatmap, self._content)
        ends = torch.from_numpy(self.shared["ends"])
        curves = pixel_curves(self._read, self._seen.image, self._fills, ends, places, num_steps)
        areas = torch.trapezoid(curves, dx=1 / num_steps, dim=2).numpy()
        return {"deletion": areas[:, 0], "pixel_insertion": areas[:, 1]}

    def _attribution(self, method: Method) -> Attribution:
        if method.composite == GRADIENT:
            return self._gradient_of()
        with self._explainer.attributor(self._layers, composite=method.composite) as attributor:
            return attributor.forward(self._seen.image[None]).explain([self._seen.explained])

    def _gradient_of(self) -> Attribution:
        """The gradient, which several methods read from."""
        if self._gradient is None:
            with self._explainer.attributor(self._layers, composite=GRADIENT) as attributor:
                self._gradient = attributor.forward(self._seen.image[None]).explain([self._seen.explained])
        return self._gradient

    def _noise(self, layer: str, attribution: Attribution) -> torch.Tensor:
        """[1, C] random numbers in [0, 1)."""
        activation = attribution.activation[layer]
        seed = self._seed * 10_007 + self._layers.index(layer)
        return noise_for(self._seen.explained, (activation.shape[1],), seed)[None].to(activation.device)


def measures(found: Mapping[str, Array]) -> Array:
    """The three measures of what `scores` found, large where good: [3], -inf where the method failed.

    Channels: the area between the curves of insertion and flipping, in logits, over the layers that lead to the
    decision. Pixels: insertion less deletion, over fillings. Agreement: over layers.
    """
    if found["has_failed"][0]:
        return np.full(len(MEASURES), -np.inf)
    told = (
        _mean(found["flipping"] + found["insertion"]),
        _mean(found["pixel_insertion"] - found["deletion"]),
        _mean(found["agreement"]),
    )
    return np.round(told, DECIMALS)


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
