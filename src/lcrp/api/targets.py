"""Decisions that a person points at by what another tool returned: boxes, told by their type's name alone."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lcrp.api.explanation import Explanation
from lcrp.errors import TargetError
from lcrp.values.geometry import Box

_BOXES: Mapping[str, Callable[[Any], Any]] = {
    "Detections": lambda found: found.xyxy,  # supervision
    "Results": lambda found: found.boxes.xyxy,  # ultralytics
    "Boxes": lambda found: found.xyxy,
}


def target_boxes(target: object) -> tuple[Box, ...]:
    """Boxes in pixels of the photograph, (left, top, right, bottom).

    Args:
        target: `Detections` of supervision, `Results` or `Boxes` of ultralytics, or an earlier explanation of a
            detection; none of these libraries is imported.

    Raises:
        TargetError: it is none of these, or holds no box.
    """
    if isinstance(target, Explanation):
        if target.box is None:
            raise TargetError(f"the explanation of '{target.class_name}' has no box: give class_name instead")
        return (target.box,)
    names = [kind.__name__ for kind in type(target).__mro__]
    read = next((_BOXES[name] for name in names if name in _BOXES), None)
    if read is None:
        raise TargetError(
            f"a {type(target).__name__} is no target: give Detections of supervision, Results or Boxes of ultralytics, "
            "or an explanation; for a single box give box=(left, top, right, bottom)"
        )
    found = read(target)
    boxes = np.asarray(found.detach().cpu() if hasattr(found, "detach") else found, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise TargetError(f"the {type(target).__name__} hold boxes of shape {list(boxes.shape)}, not [N, 4]")
    if not len(boxes):
        raise TargetError(f"the {type(target).__name__} hold no box: there is nothing to explain")
    return tuple((left, top, right, bottom) for left, top, right, bottom in boxes.tolist())
