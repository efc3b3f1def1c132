"""Objects that a model finds in scenes, and how sure it is of them once their context or a part is another.

Axes: V other context, H W picture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.engine import Attributor
from lcrp.data.scenes import (
    COMPANIONS,
    CONTEXT_NAMES,
    OWN_CONTEXT,
    PARTS,
    Scene,
    ScenesDataset,
    with_context_swapped,
    without_part,
)
from lcrp.decisions.annotated_objects import AnnotatedObject, all_found, readouts
from lcrp.stages.truth.planned import planned_object, visible_context
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

Mask = npt.NDArray[np.bool_]
Draw = Callable[[Scene], Sample]

MOST_PER_PICTURE = 2  # targets: more pictures say more than more targets of one picture


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthPart:
    """A part or companion of a target: its pixels [H, W], and how sure the network is of the object without it."""

    name: str
    mask: Mask
    readout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthTarget:
    """An object that the model finds, and what interventions did to it.

    Attributes:
        planned: the object.
        class_name: of the object.
        context_name: of the context on which it stands.
        explained: the decision.
        context: [H, W] where the class's own context is seen.
        readout: how sure the network is of the object, in [0, 1].
        swapped: the same over each of the other contexts; empty for an object that is not at home.
        others: [V, 3, H, W] the picture over each of these contexts.
        parts: those of which something is seen.
    """

    planned: AnnotatedObject
    class_name: str
    context_name: str
    explained: ExplainedTarget
    context: Mask
    readout: float
    swapped: tuple[float, ...]
    others: torch.Tensor
    parts: tuple[TruthPart, ...]

    @property
    def masks(self) -> Mask:
        """[1 + parts, H, W] the own context, and every part."""
        return np.stack([self.context, *(part.mask for part in self.parts)])


def truth_targets(attributor: Attributor, dataset: ScenesDataset, scene: Scene) -> list[TruthTarget]:
    """The first objects of a picture that the model finds; a segmenter has one mask for all objects of a class."""
    draw = cache(dataset.sample)  # objects on one band share the pictures with another context
    task, sample = attributor.task, draw(scene)
    prediction = task.predictions(attributor.output(sample.image[None]))[0]
    seen: set[str] = set()
    objects: list[AnnotatedObject] = []
    for number, item in enumerate(scene.objects):
        if item.class_name in task.class_names and not (dataset.segmentation and item.class_name in seen):
            objects.append(planned_object(dataset, sample, number))
        seen.add(item.class_name)
    class_ids = [task.class_names.index(scene.objects[one.number].class_name) for one in objects]
    pairs = [
        (planned, explained)
        for planned, explained in zip(objects, all_found(task, prediction, objects, class_ids), strict=True)
        if explained is not None
    ]
    return [_intervened(attributor, draw, scene, *pair) for pair in pairs[:MOST_PER_PICTURE]]


def _intervened(
    attributor: Attributor, draw: Draw, scene: Scene, planned: AnnotatedObject, explained: ExplainedTarget
) -> TruthTarget:
    """What the network says of an object over other contexts, and without each of its parts."""
    number = planned.number
    name, context_name = scene.objects[number].class_name, scene.context_of(number)
    home = OWN_CONTEXT[name]
    others = [other for other in CONTEXT_NAMES if other != home] if context_name == home else []
    swapped = [draw(with_context_swapped(scene, other, number=number)).image for other in others]
    parts: list[tuple[str, Mask]] = []
    without: list[torch.Tensor] = []
    for part in (*PARTS[name], *COMPANIONS.get(name, ())):
        if part not in planned.annotation.parts:
            continue
        changed = draw(without_part(scene, number, part))
        assert changed.annotation is not None
        mask = planned.annotation.parts[part].numpy()
        if part in changed.annotation.parts:  # what another object of the class shows of it
            mask = mask & ~changed.annotation.parts[part].numpy()
        if mask.any():
            parts.append((part, mask))
            without.append(changed.image)
    pictures = torch.stack([planned.sample.image, *swapped, *without])
    values = readouts(
        attributor.task, attributor.output(pictures), [planned] * len(pictures), explained.target.class_id
    )
    rest = values[1 + len(others) :]
    return TruthTarget(
        planned=planned,
        class_name=name,
        context_name=context_name,
        explained=explained,
        context=visible_context(planned.annotation, home).numpy(),
        readout=values[0],
        swapped=tuple(values[1 : 1 + len(others)]),
        others=pictures[1 : 1 + len(others)].clone(),
        parts=tuple(
            TruthPart(name=part, mask=mask, readout=value) for (part, mask), value in zip(parts, rest, strict=True)
        ),
    )
