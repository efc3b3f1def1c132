"""lcrp beside the plain network, its rivals and zennit-crp, at the published sizes with random weights.

Axes: B image, C concept, N reference, H W picture.
"""

import tempfile
import time
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lcrp.attribution.concepts import only_concept, relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.decisions.references import ReferenceSource, reference_samples
from lcrp.decisions.rounds import chunk_of
from lcrp.decisions.together import images_at_once
from lcrp.figures.crops import reference_crop
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.storage.reference_cache import ReferenceCache
from lcrp.values.explanation import Reference
from lcrp.values.statistics import TopTable
from passes import fixed_queues, gather, seconds_side_by_side
from peer import Neuron, glocal_of_zennit_crp, heatmap_of_zennit, render_of_zennit_crp
from rivals import yolo_heatmap
from subjects import MEAN, STD, Logits, Pictures, Subject, targets
from timing import Report, in_turn, ratio, spreads, timed

CONCEPTS, REFERENCES = 3, 12

Ranking = tuple[list[int], TopTable]  # shown concepts of a layer, and its ranking


def attribution(one: Subject, turns: int) -> Report:
    """One target of one image: the plain network's gradient, ours, a rival's; and a further target of ours.

    The rival is zennit, and where zennit has no rules for the network, yolo-heatmaps restated.
    """
    images, plain_network = one.images(1), Logits(one.network, 2)
    attributor = Attributor(one.network, one.composite, one.task, layers=(), mean=MEAN, std=STD)
    heatmaps = {}

    def plain() -> Mapping[str, float]:
        def gradient(target: int) -> None:
            x = images.clone().requires_grad_()
            torch.autograd.grad(plain_network(x)[0, target], x)

        return {"plain": sum(timed(partial(gradient, target)) for target in (0, 1)) / 2}

    def ours() -> Mapping[str, float]:
        """Each of two targets once as the first and once as the further one: their paths differ in length."""
        first = further = 0.0
        with attributor:
            for number in (1, 0):
                start = time.perf_counter()
                trace = attributor.forward(images)
                both = targets(trace.output, 0, 2)
                heatmaps["lcrp"] = trace.explain([both[number]]).heatmap
                first += time.perf_counter() - start
                further += timed(partial(trace.explain, [both[1 - number]]))
        return {"lcrp": first / 2, "further target": further / 2}

    def restated() -> Mapping[str, float]:
        def seeded(target: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logit = plain_network(x)[0, target]
            return logit, torch.ones_like(logit)

        both = (timed(partial(yolo_heatmap, partial(seeded, target), images)) for target in (0, 1))
        return {"yolo-heatmaps": sum(both) / 2}

    contenders = [plain, ours]
    if one.convolution is None:
        contenders.append(restated)
    else:
        zennits = heatmap_of_zennit(one, images)

        def theirs() -> Mapping[str, float]:
            def run() -> None:
                heatmaps["zennit"] = zennits()

            return {"zennit": timed(run)}

        contenders.append(theirs)
    seconds = in_turn(contenders, turns)
    found: Report = {
        "seconds": spreads(seconds),
        "lcrp / plain": ratio(seconds, "lcrp", "plain"),
        "further target / first": ratio(seconds, "further target", "lcrp"),
    }
    rival = "yolo-heatmaps" if one.convolution is None else "zennit"
    found |= {f"{rival} / {other}": ratio(seconds, rival, other) for other in ("plain", "lcrp")}
    if "zennit" in heatmaps:
        found["deviation from zennit"] = deviation(heatmaps["lcrp"], heatmaps["zennit"])
    return found


def glocal(one: Subject, num_targets: int, turns: int, *, num_images: int) -> Report:
    """A pass over a chunk with statistics of all convolutions: ours, and zennit-crp's FeatureVisualization."""
    images = one.images(num_images)

    def ours() -> Mapping[str, float]:
        return {"lcrp": timed(partial(glocal_of_lcrp, one, images, num_targets))}

    def theirs() -> Mapping[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            return {"zennit-crp": timed(glocal_of_zennit_crp(one, images, num_targets, Path(folder)))}

    if one.convolution is None:
        return {"seconds": spreads(in_turn([ours], turns))}
    seconds = in_turn([ours, theirs], turns)
    return {"seconds": spreads(seconds), "zennit-crp / lcrp": ratio(seconds, "zennit-crp", "lcrp")}


def dataset_pass(one: Subject, num_targets: int, turns: int, *, num_images: int) -> Report:
    """A chunk in the midst of a pass beside its floor: what each must compute, two forward passes and the gradients."""
    images, plain_network = one.images(num_images), Logits(deepcopy(one.network), num_targets)
    accumulator: StatisticsAccumulator | None = None

    def ours() -> Mapping[str, float]:
        def run() -> None:
            nonlocal accumulator
            accumulator = gathered(attributor, images, num_targets, accumulator)

        return {"lcrp": timed(run)}

    def floor() -> Mapping[str, float]:
        def run() -> None:
            with torch.no_grad():
                plain_network(images)
            x = images.clone().requires_grad_()
            for column in plain_network(x).sum(dim=0):
                torch.autograd.grad(column, x, retain_graph=True)

        return {"floor": timed(run)}

    def beside() -> Mapping[str, float]:
        return {"side by side": len(images) * seconds_side_by_side(attributor, images, num_targets)}

    with attributor_of_all(one) as attributor:
        seconds = in_turn([ours, floor, beside], turns)
    ratios = {f"{name} / floor": ratio(seconds, name, "floor") for name in ("lcrp", "side by side")}
    return {"seconds": spreads(seconds), **ratios}


def glocal_of_lcrp(one: Subject, images: torch.Tensor, num_targets: int) -> None:
    """A pass over one chunk of images [B, 3, H, W] with statistics of all convolutions."""
    with attributor_of_all(one) as attributor:
        accumulator = gathered(attributor, images, num_targets, None)
        assert list(accumulator.results())


def gathered(
    attributor: Attributor, images: torch.Tensor, num_targets: int, accumulator: StatisticsAccumulator | None
) -> StatisticsAccumulator:
    """What a chunk of images [B, 3, H, W] adds to the statistics, which its first part begins."""
    size = images_at_once(images.shape, images.device)
    for start in range(0, len(images), size):
        chunk = chunk_of(attributor, images[start : start + size])
        if accumulator is None:
            accumulator = StatisticsAccumulator(chunk.activations.shapes, device=images.device)
        gather(attributor, chunk, fixed_queues(num_targets)(chunk, start), accumulator)
    assert accumulator is not None
    return accumulator


def attributor_of_all(one: Subject) -> Attributor:
    """Explains the network and records all of its convolutions."""
    return Attributor(one.network, one.composite, one.task, layers=layer_names(one.network), mean=MEAN, std=STD)


def render(one: Subject, turns: int) -> Report:
    """One decision with 3 concepts and 12 cropped references of each: ours cold and cached, zennit-crp's loop."""
    pictures = Pictures(one.images(1 + CONCEPTS * REFERENCES))
    attributor = Attributor(one.network, one.composite, one.task, layers=[one.layer], mean=MEAN, std=STD)
    concepts, table = ranking = reference_table(one, attributor, pictures, REFERENCES)
    heatmaps = {}

    def ours() -> Mapping[str, float]:
        def run() -> None:
            found = render_of_lcrp(one, attributor, pictures, ranking, Path(folder))
            heatmaps["lcrp"] = torch.from_numpy(np.stack([shown.heatmap for shown in found[concepts[0]]]))

        with tempfile.TemporaryDirectory() as folder:
            return {"lcrp": timed(run), "lcrp, cached": timed(run)}

    if one.convolution is None:
        seconds = in_turn([ours], turns)
        return {"seconds": spreads(seconds), "cached / cold": ratio(seconds, "lcrp, cached", "lcrp")}
    neurons = {
        concept: [
            Neuron(image=int(table.sample[concept, rank]), position=int(table.peak[concept, rank]))
            for rank in range(REFERENCES)
        ]
        for concept in concepts
    }
    crp = render_of_zennit_crp(one, pictures.images, neurons)

    def theirs() -> Mapping[str, float]:
        def run() -> None:
            heatmaps["zennit-crp"] = crp()

        return {"zennit-crp": timed(run)}

    seconds = in_turn([ours, theirs], turns)
    return {
        "seconds": spreads(seconds),
        "zennit-crp / lcrp": ratio(seconds, "zennit-crp", "lcrp"),
        "cached / cold": ratio(seconds, "lcrp, cached", "lcrp"),
        "deviation from zennit-crp": deviation(heatmaps["lcrp"], heatmaps["zennit-crp"]),
    }


def render_of_lcrp(
    one: Subject, attributor: Attributor, pictures: Pictures, ranking: Ranking, folder: Path
) -> dict[int, tuple[Reference, ...]]:
    """A decision about the first picture with its concepts and their cropped references, which the folder keeps."""
    concepts, table = ranking
    source = ReferenceSource(
        dataset=pictures,  # type: ignore[arg-type]
        table=table,
        layer=one.layer,
        mode="relevance",
        num_references=table.sample.shape[1],
        batch_size=8,
        cache=ReferenceCache(folder=folder, config_hash="", layer=one.layer, mode="relevance"),
    )
    with attributor:
        trace = attributor.forward(pictures.images[:1])
        relevance = trace.explain([targets(trace.output, 0, 1)[0]]).relevance[one.layer]
        for concept in concepts:
            trace.conditional(one.layer, only_concept(relevance, torch.tensor([concept], device=relevance.device)))
        found = reference_samples(attributor, source, concepts)
        for reference in (reference for one in found.values() for reference in one.shown):
            reference_crop(reference.picture, reference.heatmap)
    return found


def reference_table(one: Subject, attributor: Attributor, pictures: Pictures, num_references: int) -> Ranking:
    """The most relevant concepts of the first picture, and some of the others for each, with their peaks, [C, N]."""
    with attributor:
        trace = attributor.forward(pictures.images[:1])
        scores = relevance_scores(trace.explain([targets(trace.output, 0, 1)[0]]).relevance[one.layer])
        concepts = scores.score[0].argsort(descending=True)[:CONCEPTS].tolist()
        num_concepts = scores.score.shape[1]
        sample, peak = (np.zeros((num_concepts, num_references), dtype=np.int64) for _ in range(2))
        for number, concept in enumerate(concepts):
            for rank in range(num_references):
                sample[concept, rank] = 1 + number * num_references + rank
                trace = attributor.forward(pictures.images[sample[concept, rank]][None])
                relevance = trace.relevance(one.layer, [targets(trace.output, 0, 1)[0]])
                peak[concept, rank] = int(relevance[0, concept].argmax())
    nothing = np.zeros_like(sample)
    return concepts, TopTable(
        score=nothing.astype(np.float32),
        sample=sample,
        class_id=nothing,
        item=nothing,
        peak=peak,
        filled=np.full(num_concepts, num_references),
    )


def deviation(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Relative L2 error of heatmaps [N, H, W], each normalised: the seeds of segmenters differ by a factor."""
    ours, theirs = (maps / maps.flatten(1).norm(dim=1)[:, None, None] for maps in (ours, theirs))
    return float((ours - theirs).norm() / theirs.norm())
