"""Concept flipping and insertion (Dreyer et al. 2023, section 4.1), one chunk of pictures after the other.

Channels of a layer are taken away, or are all that is kept, in the order of a method, and the logit of the decision is
read out.

Axes: B image of a chunk, T target, S method, X step, C concept, H W picture, h w feature map.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.ablated_logits import AblatedLogits, LookedAt
from lcrp.attribution.ablation import fills, flipping_masks
from lcrp.attribution.methods import Method, by_composite, concept_vectors, noise_for, plays_part
from lcrp.attribution.task import Prediction
from lcrp.attribution.trace import ROUNDS_LOOKED_AT
from lcrp.composites.spec import GRADIENT, CompositeSpec
from lcrp.data.loader import chunks, num_chunks
from lcrp.decisions.beside import without_background
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.decisions.together import few_images
from lcrp.errors import LayerError, refuse
from lcrp.evidence.curves import channel_counts
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.values.sample import Batch, Sample
from lcrp.values.target import ExplainedTarget

Array = npt.NDArray[Any]
Maps = dict[str, tuple[torch.Tensor, torch.Tensor]]  # relevance and activation of layers, [B, C, h, w] each

NEUTRAL = Method(name="gradient", reading="relevance", composite=GRADIENT)  # it leaves forward passes alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """One decision of a picture.

    Attributes:
        image: number of the picture in its chunk.
        explained: the decision.
        mask: [H, W] bool, where its logit is read out (segmentation).
    """

    image: int
    explained: ExplainedTarget
    mask: torch.Tensor


class Flipping:
    """Curves of the targets of one chunk of pictures at a time.

    Args:
        subject: model and dataset.
        statistics: which targets; the size of a chunk; the samples that count.
        settings: what is compared, and how closely.
        layers: names.
    """

    def __init__(
        self, subject: Subject, statistics: StatisticsSettings, settings: EvaluateSettings, layers: Sequence[str]
    ) -> None:
        self.subject, self.settings = subject, settings
        self._layers = list(layers)
        self._accounted = Counter[CompositeSpec]()  # rounds that went on to the picture
        self._checked: set[object] = set()  # tapes of layers, as the first decisions showed
        if not subject.dataset.transform.is_of_one_size:
            statistics = replace(statistics, batch_size=1)
            refuse(
                [
                    f"stage.ablations={list(settings.ablations)} take activations of other pictures, whose inputs have "
                    "other sizes here: write stage.ablations=[zero], or model.input.resize=letterbox"
                ]
                if settings.needs_others
                else []
            )
        self._statistics = statistics
        length = min(len(subject.dataset), statistics.num_samples or len(subject.dataset))
        self._order = np.random.default_rng(settings.seed).permutation(length).tolist()
        self.num_chunks = num_chunks(length, statistics.batch_size)

    def identity(self) -> dict[str, object]:
        """All that determines the numbers, as plain values."""
        statistics = self._statistics
        return {
            **{key: value for key, value in self.subject.identity.items() if key != "composite"},
            "evaluate": self.settings.identity(),
            "layers": self._layers,
            "targets": statistics.targets,
            "batch_size": statistics.batch_size,
            "num_samples": statistics.num_samples,
        }

    def unit(self, name: str) -> dict[str, Array]:
        """What one chunk tells; the first axis of every array is T.

        Returns:
            `sample`, `class_id`, `item` [T] and, for layer n, `vectors_n` [T, S, C]; `plays_n` [T], whether the layer
            leads to the target; `curves_n` [T, ablations, S, 2, X], logits while channels are taken away, and while
            they are all that is kept. Without targets, the first three alone.
        """
        images, found = self.chunk(int(name))
        if len(images) < 2 and self.settings.needs_others:
            found = []  # a lone picture has no other to take activations from
        targets = [one.explained.target for one in found]
        results: dict[str, Array] = {
            "sample": np.array([target.sample for target in targets], dtype=np.int64),
            "class_id": np.array([target.class_id for target in targets], dtype=np.int64),
            "item": np.array([target.item for target in targets], dtype=np.int64),
        }
        if not found:
            return results
        vectors, plays, activation = self._scored(images, found)
        for number, layer in enumerate(self._layers):
            results[f"vectors_{number}"] = vectors[layer].cpu().numpy()
            results[f"plays_{number}"] = plays[layer].cpu().numpy()
            results[f"curves_{number}"] = self._curves(layer, images, found, vectors[layer], activation[layer])
        return results

    def chunk(self, number: int) -> tuple[torch.Tensor, list[Drawn]]:
        """Readable pictures [B, 3, H, W] of a chunk, and one target of every one that has any."""
        batch = self._batch(number)
        if batch.samples:
            (batch,) = batch.of_one_size()
        images = batch.images[list(batch.rows)].to(self.subject.explainer.device)
        return images, self._found(batch.samples, images) if len(images) else []

    def leading(self) -> list[str]:
        """The layers that lead to a decision in the first pictures that have any; none if there are no decisions.

        Left out are layers that have other places in every picture, such as those that see regions of interest.
        """
        for number in range(self.num_chunks):
            images, found = self.chunk(number)
            if found:
                maps = self._maps(NEUTRAL, images, _queue(images, found))
                if not maps:
                    _check_layers(self._layers, maps)
                return [layer for layer, (relevance, _) in maps.items() if bool(plays_part(relevance).any())]
        return []

    def _batch(self, number: int) -> Batch:
        batches = chunks(
            self.subject.dataset,
            batch_size=self._statistics.batch_size,
            num_workers=0,
            on_error="skip",
            indices=self._order,
            first_chunk=number,
            end_chunk=number + 1,
        )
        return next(iter(batches))

    def _found(self, samples: Sequence[Sample], images: torch.Tensor) -> list[Drawn]:
        """One target of every picture that has any, drawn at random from all it has but the background."""
        predictions: list[Prediction] = []
        with self.subject.explainer.reader() as attributor:
            for part in few_images(images, attributor):
                predictions += self.subject.explainer.task.predictions(attributor.output(part))
        drawn = (self._drawn(prediction, sample) for prediction, sample in zip(predictions, samples, strict=True))
        return [Drawn(image=image, explained=one[0], mask=one[1]) for image, one in enumerate(drawn) if one]

    def _drawn(self, prediction: Prediction, sample: Sample) -> tuple[ExplainedTarget, torch.Tensor] | None:
        task = self.subject.explainer.task
        select = task.annotated_targets if self._statistics.targets == "annotated" else task.predicted_targets
        explained, _ = select(prediction, sample)
        targets = without_background(task, explained)
        if not targets:
            return None
        drawn = targets[int(np.random.default_rng([self.settings.seed, sample.index]).integers(len(targets)))]
        return drawn, task.region(prediction, drawn, sample).inside.to(self.subject.explainer.device)

    def _scored(
        self, images: torch.Tensor, found: Sequence[Drawn]
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Per layer: vectors [T, S, C], whether it leads to the targets [T], and activation [B, C, h, w]."""
        queue = _queue(images, found)
        scores: dict[str, dict[str, torch.Tensor]] = {}  # of methods, by layer, [T, C]
        plays: dict[str, torch.Tensor] = {}
        activation: dict[str, torch.Tensor] = {}
        for methods in by_composite((NEUTRAL, *self.settings.methods)).values():
            maps = self._maps(methods[0], images, queue)
            _check_layers(self._layers, maps)
            for number, layer in enumerate(self._layers):
                relevance, own = (one[[drawn.image for drawn in found]] for one in maps[layer])
                if NEUTRAL in methods:
                    plays[layer], activation[layer] = plays_part(relevance), maps[layer][1]
                noise = self._noise(found, own, number)
                for method in [method for method in methods if method is not NEUTRAL]:
                    scores.setdefault(layer, {})[method.name] = concept_vectors(method, relevance, own, noise)
        names = [method.name for method in self.settings.methods]
        vectors = {layer: torch.stack([own[name] for name in names], dim=1) for layer, own in scores.items()}
        return vectors, plays, activation

    def _maps(self, method: Method, images: torch.Tensor, queue: Sequence[ExplainedTarget | None]) -> Maps:
        """One backward round for every image, few of them at once; without layers of other places in every picture.

        The first rounds of a composite go on to the picture, so that what becomes of all relevance is known.
        """
        found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {layer: [] for layer in self._layers}
        start = 0
        with self.subject.explainer.attributor(self._layers, composite=method.composite) as attributor:
            for part in few_images(images, attributor):
                trace, own = attributor.forward(part), queue[start : start + len(part)]
                is_accounted = self._accounted[method.composite] < ROUNDS_LOOKED_AT
                relevance = trace.explain(own).relevance if is_accounted else trace.relevances(own)
                self._accounted[method.composite] += 1
                for layer in self._layers:
                    found[layer].append((relevance[layer], trace.activation[layer]))
                start += len(part)
        alike = {layer: own for layer, own in found.items() if len({maps.shape[2:] for maps, _ in own}) == 1}
        return {
            layer: (torch.cat([maps for maps, _ in own]), torch.cat([maps for _, maps in own]))
            for layer, own in alike.items()
        }

    def _noise(self, found: Sequence[Drawn], activation: torch.Tensor, layer: int) -> torch.Tensor:
        """[T, C] random numbers in [0, 1)."""
        shape, seed = (activation.shape[1],), self.settings.seed * 10_007 + layer
        return torch.stack([noise_for(one.explained, shape, seed) for one in found]).to(activation.device)

    def _curves(
        self, layer: str, images: torch.Tensor, found: Sequence[Drawn], vectors: torch.Tensor, activation: torch.Tensor
    ) -> Array:
        """Logits [T, ablations, S, 2, X]."""
        counts = channel_counts(vectors.shape[2], self.settings.num_steps).tolist()
        curves = np.empty((len(found), len(self.settings.ablations), vectors.shape[1], 2, len(counts)))
        with self.subject.explainer.reader() as attributor:
            attributor.checked = self._checked
            for kind, ablation in enumerate(self.settings.ablations):
                fill = fills(activation, ablation)
                for number, one in enumerate(found):
                    kept = [
                        flipping_masks(vector.argsort(descending=True, stable=True), counts)
                        for vector in vectors[number]
                    ]
                    keep = torch.cat([torch.cat((mask, ~mask)) for mask in kept])  # [S * 2 * X, C]
                    decision = LookedAt(image=images[one.image], explained=one.explained, mask=one.mask)
                    logits = AblatedLogits(attributor, layer, fill[one.image], decision)(keep)
                    curves[number, kind] = logits.reshape(len(kept), 2, len(counts)).numpy()
        return curves


def _check_layers(layers: Sequence[str], maps: Maps) -> None:
    """Whether layers can be compared among pictures."""
    missing = [layer for layer in layers if layer not in maps]
    if missing:
        raise LayerError(
            f"layer '{missing[0]}' sees other regions of interest in every picture, and none has a place in another "
            "picture; leave the layer out",
            mend="Set stage.layers to layers that see whole pictures.",
        )


def _queue(images: torch.Tensor, found: Sequence[Drawn]) -> list[ExplainedTarget | None]:
    """The target of every image, or None."""
    queue: list[ExplainedTarget | None] = [None] * len(images)
    for one in found:
        queue[one.image] = one.explained
    return queue
