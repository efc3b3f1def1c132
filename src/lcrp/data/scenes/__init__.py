"""Scenes: procedural pictures with complete ground truth, drawn from (split, index) alone.

Six classes of objects, made of parts, stand in five contexts: boat on water, car and rider on road, kite in the sky,
horse on grass, bird on sand. Companions come with an object without being part of it: the person who flies a kite and
its string, the striped bar beside a horse. They have part masks, but belong to neither instance mask nor box: a model
may use them although they are not the object.
"""

from lcrp.data.scenes.crowding import beside_same_class, occluded_by, smaller
from lcrp.data.scenes.dataset import ScenesDataset
from lcrp.data.scenes.draw import Drawing, draw
from lcrp.data.scenes.names import CLASS_NAMES, COMPANIONS, CONTEXT_NAMES, OWN_CONTEXT, PARTS
from lcrp.data.scenes.plan import plan
from lcrp.data.scenes.scene import Scene, with_context_swapped, without_object, without_part

__all__ = [
    "CLASS_NAMES",
    "COMPANIONS",
    "CONTEXT_NAMES",
    "OWN_CONTEXT",
    "PARTS",
    "Drawing",
    "Scene",
    "ScenesDataset",
    "beside_same_class",
    "draw",
    "occluded_by",
    "plan",
    "smaller",
    "with_context_swapped",
    "without_object",
    "without_part",
]
