"""What concepts lose when something is taken out of a scene: a class, a part, a context.

Axes: V picture (as it is, then changed), N decision, C concept, F thing, P picture.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.trace import Trace
from lcrp.data.scenes import (
    CONTEXT_NAMES,
    Scene,
    ScenesDataset,
    without_object,
    without_part,
)
from lcrp.decisions.sightings import PER_PICTURE
from lcrp.decisions.things import things_seen

Array = npt.NDArray[np.float64]

OTHER_CONTEXTS = 2  # that are put in the place of one, at random
AT_ONCE = 8  # pictures in a forward pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Falls:
    """How far the concepts' relevance for a decision falls, by what is taken away.

    Attributes:
        sample: number of the picture.
        lost: fall of the positive relevance, max(R_c, 0) - max(R'_c, 0), as a share of sum_c |R_c|, [C] by thing.
        signed: the same of R_c - R'_c.
    """

    sample: int
    lost: Mapping[str, Array]
    signed: Mapping[str, Array]


def removals(scene: Scene, things: Sequence[str]) -> Iterator[tuple[str, Scene]]:
    """The scene without each of the things that are seen in it, perhaps in several ways.

    All objects of a class go, a part goes from all of them, and all bands of a context become another one.

    Args:
        scene: the picture.
        things: names of classes, parts and contexts.
    """
    for name in things:
        class_name = name.partition(".")[0]
        numbers = [number for number, one in enumerate(scene.objects) if one.class_name == class_name]
        changed = scene
        if name in CONTEXT_NAMES:
            others = [other for other in CONTEXT_NAMES if other != name]
            chance = np.random.default_rng((scene.index, CONTEXT_NAMES.index(name)))
            for other in chance.permutation(others)[:OTHER_CONTEXTS].tolist():
                yield name, _with_other(scene, name, other)
        elif numbers:
            for number in reversed(numbers):  # so that the numbers of the others stay
                changed = without_object(changed, number) if name == class_name else without_part(changed, number, name)
            yield name, changed


def concept_falls(attributor: Attributor, dataset: ScenesDataset, index: int, layer: str) -> list[Falls]:
    """What the first decisions for annotated objects of a picture lose with every thing that is taken out of it.

    Relevance is in logits: the decision's logit is explained, at the same box or pixels, whatever is left there.

    Args:
        attributor: within its context and recording the layer.
        dataset: the scenes.
        index: of the picture.
        layer: whose concepts.
    """
    task, scene, sample = attributor.task, dataset.scene(index), dataset[index]
    trace = attributor.forward(sample.image[None])
    prediction = task.predictions(trace.output)[0]
    decisions = [
        one for one in task.annotated_targets(prediction, sample)[0] if not task.is_background(one.target.class_id)
    ][:PER_PICTURE]
    if not decisions:
        return []
    seeds = [task.seed(trace.output, [one])[1] for one in decisions]
    weights = [seed / seed.sum() for seed in seeds]  # where the decision was found
    relevance = [[_relevance(attributor, trace, layer, one)] for one in weights]
    changed = list(removals(scene, list(things_seen(sample, task.class_names))))
    pictures = torch.stack([dataset.sample(one).image for _, one in changed])  # [V, 3, H, W]
    for some in torch.split(pictures, 1 if attributor.takes_one else AT_ONCE):
        trace = attributor.forward(some)
        for found, one in zip(relevance, weights, strict=True):
            found.append(_relevance(attributor, trace, layer, one))
    names = [name for name, _ in changed]
    return [_falls(index, names, np.concatenate(found)) for found in relevance]


def _relevance(attributor: Attributor, trace: Trace, layer: str, weights: torch.Tensor) -> Array:
    """Relevance [V, C] of concepts for what the output says where a decision was found, weights [1, ...]."""
    explained_output = attributor.task.seeded(trace.output)
    maps = trace.seeded_relevance(layer, explained_output, weights * explained_output.detach())
    found: Array = maps.double().sum(dim=(2, 3)).cpu().numpy()
    return found


def _falls(sample: int, names: Sequence[str], relevance: Array) -> Falls:
    """Falls from relevance [V, C] in the picture as it is, and in the changed ones."""
    share = relevance / max(float(np.abs(relevance[0]).sum()), np.finfo(np.float64).tiny)
    positive = np.maximum(share, 0.0)
    rows = {name: [1 + row for row, one in enumerate(names) if one == name] for name in dict.fromkeys(names)}
    return Falls(
        sample=sample,
        lost={name: positive[0] - positive[some].mean(axis=0) for name, some in rows.items()},
        signed={name: share[0] - share[some].mean(axis=0) for name, some in rows.items()},
    )


def _with_other(scene: Scene, context: str, other: str) -> Scene:
    bands = tuple(replace(one, context=other) if one.context == context else one for one in scene.bands)
    return replace(scene, bands=bands)
