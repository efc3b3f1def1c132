"""Objects as layers see them: what they do for the logit of the object's class, found or missed.

Axes: C concept, h w places of a layer within the object's box.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import adaptive_avg_pool2d

from lcrp.attribution.boxes import BoxDecisions
from lcrp.attribution.concepts import relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.pixels import touched_pixels
from lcrp.attribution.trace import Trace
from lcrp.composites.composites import epsilon_gamma_flat
from lcrp.composites.operations.audit import follows_sign
from lcrp.composites.spec import CompositeSpec
from lcrp.decisions.auto import NEARLY_ALL
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.things import things_seen
from lcrp.errors import ConfigError
from lcrp.models.library import opened
from lcrp.values.geometry import Box
from lcrp.values.missed import Miss
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

LARGEST_PATCH = 16  # places of a found object's activation that are kept, in height and in width
FEWEST_CONCEPTS = 8  # of a layer that tells
LEAST_OPENED = 1e-3  # score of boxes that a library's detector is asked for
LEAST_TOLD = 0.02  # share of relevance on a thing whose absence is told
AROUND = 0.5  # of an object's sides: how far beyond its box its parts and companions lie

_SIGNED = CompositeSpec(name="epsilon_gamma_flat", build=epsilon_gamma_flat)

Array = npt.NDArray[Any]
Place = tuple[slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """An object, found or missed, and what layers do for the logit of its class.

    Attributes:
        sample: index of the picture.
        key: of the picture.
        explained: the decision, or what might have been one.
        box: of the object, in input pixels.
        picture_box: the same in pixels of the picture.
        logit: that is explained.
        layer_shares: relevance of every layer, as a share of the logit's.
        scores: [C] of every layer, share of each concept in its relevance, signed.
        added: [C] of every layer, what each concept adds to the logit within the box.
        places: rows and columns of every layer's map that the box touches.
        patches: [C, h, w] of every layer, its activation there.
        things: share of the relevance that lies on everything annotated.
    """

    sample: int
    key: str
    explained: ExplainedTarget
    box: Box
    picture_box: Box
    logit: float
    layer_shares: Mapping[str, float]
    scores: Mapping[str, torch.Tensor]
    added: Mapping[str, torch.Tensor]
    places: Mapping[str, Place]
    patches: Mapping[str, torch.Tensor]
    things: Mapping[str, float]


def with_signs(explainer: Explainer, sample: Sample) -> Explainer:
    """The same, explained by rules that tell what is added to a logit from what is taken off it.

    Shares of rules that look at no sign at the output (z+) and gradients are no parts of a logit: epsilon_gamma_flat
    takes their place.

    Args:
        explainer: the network.
        sample: any picture.
    """
    with explainer.attributor(()) as attributor:
        output = attributor.task.seeded(attributor.forward(sample.image[None]).output)
        if explainer.composite.is_lrp and follows_sign(output):
            return explainer
    return replace(explainer, composite=_SIGNED)


def found_object(
    attributor: Attributor, sample: Sample, box: Box, class_id: int, row: int, names: Sequence[str]
) -> Seen | None:
    """An object that a detector found; None where the network says something else of the picture now.

    Args:
        attributor: within its context and recording layers.
        sample: the picture.
        box: of the object, in input pixels.
        class_id: of the object.
        row: of the detection.
        names: of the data's classes.
    """
    trace = attributor.forward(sample.image[None])
    prediction = box_task(attributor).best_at(trace.output, class_id, box, row=row)
    if prediction is None:
        return None
    return _seen(attributor, trace, sample, box_task(attributor).weak(prediction, sample, class_id), box, names)


def missed_object(attributor: Attributor, sample: Sample, miss: Miss, names: Sequence[str]) -> Seen | None:
    """An object that a detector missed, by its best box; None where no box of its class touches it.

    Args:
        attributor: within its context and recording layers.
        sample: the picture.
        miss: the object.
        names: of the data's classes.
    """
    box, task = sample.geometry.box_to_input(miss.box), box_task(attributor)
    with opened(attributor.network, LEAST_OPENED):
        trace = attributor.forward(sample.image[None])
        row = miss.candidate.row if miss.candidate is not None and miss.candidate.class_id == miss.class_id else None
        prediction = task.best_at(trace.output, miss.class_id, box, row=row)
        if prediction is None:
            return None
        return _seen(attributor, trace, sample, task.weak(prediction, sample, miss.class_id), box, names)


def fallen(found: Sequence[Mapping[str, float]], here: Mapping[str, float]) -> tuple[tuple[str, float, float], ...]:
    """Things annotated around found objects, by how much less of the relevance lies on them here.

    Those that are not there at all come first, by the relevance that they carry and by how often they are there; then
    the others, by the fall of their share.

    Args:
        found: share of the relevance on every thing there is, of found objects.
        here: the same of a missed one.

    Returns:
        Name, share on average over found objects (0 where it is not there), and share here; NaN where it is not there.
    """
    names = dict.fromkeys(name for one in found for name in one)
    means = {name: sum(one.get(name, 0.0) for one in found) / len(found) for name in names}

    def place(name: str) -> tuple[bool, float]:
        if name in here:
            return True, here[name] - means[name]
        return means[name] < LEAST_TOLD, -means[name] * sum(name in one for one in found) / len(found)

    return tuple((name, means[name], here.get(name, float("nan"))) for name in sorted(names, key=place))


def _seen(
    attributor: Attributor, trace: Trace, sample: Sample, explained: ExplainedTarget, box: Box, names: Sequence[str]
) -> Seen:
    """An object as layers see it that show concepts at places of the picture."""
    attribution = trace.explain([explained])
    pixels = torch.ones(1, *sample.image.shape[1:], dtype=torch.bool)
    class_name = attributor.task.class_names[explained.target.class_id]
    logit = float(attributor.task.logits(trace.output, [explained], pixels)[0])
    shares, scores, added, places, patches = {}, {}, {}, {}, {}
    for layer, relevance in attribution.relevance.items():
        by_concept = relevance[0].double().sum(dim=(1, 2)).abs()
        if layer in attribution.without_map or len(by_concept) < FEWEST_CONCEPTS:
            continue
        if float(by_concept.max()) >= NEARLY_ALL * float(by_concept.sum()):  # the output itself, or nothing
            continue
        place = cells(box, sample.image.shape[1:], relevance.shape[2:])
        shares[layer] = float(relevance.double().sum())
        places[layer] = place
        scores[layer] = relevance_scores(relevance).score[0].cpu()
        added[layer] = abs(logit) * relevance[0][:, place[0], place[1]].double().sum(dim=(1, 2)).cpu()
        patches[layer] = attribution.activation[layer][0][:, place[0], place[1]].float().cpu().clone()
    return Seen(
        sample=sample.index,
        key=sample.key,
        explained=explained,
        box=box,
        picture_box=sample.geometry.box_to_picture(box),
        logit=logit,
        layer_shares=shares,
        scores=scores,
        added=added,
        places=places,
        patches=patches,
        things=_thing_shares(attribution.heatmap[0].double().cpu().numpy(), sample, box, names, class_name),
    )


def without_detail(seen: Seen) -> Seen:
    """The same with coarser patches, so that those of many found objects fit into memory."""
    patches = {}
    for layer, patch in seen.patches.items():
        size = (min(patch.shape[1], LARGEST_PATCH), min(patch.shape[2], LARGEST_PATCH))
        is_small = tuple(patch.shape[1:]) == size
        patches[layer] = patch if is_small else adaptive_avg_pool2d(patch[None], size)[0]
    return replace(seen, patches=patches)


def cells(box: Box, size: Sequence[int], places: Sequence[int]) -> Place:
    """Rows and columns of a map of `places` (h, w) that a box in a picture of `size` (H, W) touches; at least one."""
    (left, top, right, bottom), spans = box, []
    for first, last, pixels, count in ((top, bottom, size[0], places[0]), (left, right, size[1], places[1])):
        start = min(max(math.floor(first / pixels * count), 0), count - 1)
        spans.append(slice(start, max(start + 1, min(math.ceil(last / pixels * count), count))))
    return spans[0], spans[1]


def _thing_shares(heatmap: Array, sample: Sample, box: Box, names: Sequence[str], class_name: str) -> dict[str, float]:
    """Share of the relevance, of the sum of |R|, on everything annotated but the object's class; its parts near it."""
    total = float(np.abs(heatmap).sum())
    things = things_seen(sample, names) if total > 0 else {}
    left, top, right, bottom = box
    x, y = AROUND * (right - left), AROUND * (bottom - top)
    near = touched_pixels((left - x, top - y, right + x, bottom + y), heatmap.shape).numpy()
    own = {name: mask & near if name.startswith(f"{class_name}.") else mask for name, mask in things.items()}
    return {name: float(heatmap[mask].sum()) / total for name, mask in own.items() if name != class_name and mask.any()}


def box_task(attributor: Attributor) -> BoxDecisions:
    """How boxes are decided.

    Raises:
        ConfigError: the network decides about pixels.
    """
    if not isinstance(attributor.task, BoxDecisions):
        raise ConfigError("misses are explained of detectors, and this network decides about pixels")
    return attributor.task
