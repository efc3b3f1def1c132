"""An explanation as a person sees the photograph: without padding, in the photograph's own proportions.

Axes: H W model input, h w what is shown.
"""

from dataclasses import replace

import numpy as np

from lcrp.values.explanation import Explanation
from lcrp.values.geometry import Box, Geometry

EQUAL = 0.01  # scales that differ by less are the same: a pixel of rounding


def as_photographed(explanation: Explanation) -> Explanation:
    """The same explanation cut to the photograph; an input that was squeezed is drawn out again.

    Along the axis with fewer pixels per pixel of the photograph each value is spread over several: sums stay as they
    are.
    """
    shown = _shown(explanation.geometry)

    def moved(box: Box) -> Box:
        left, top, right, bottom = shown.to_picture(np.array([box]))[0].tolist()
        return left, top, right, bottom

    density = shown.scale[0] * shown.scale[1]
    channels = [shown.map_to_picture(channel).values / density for channel in np.moveaxis(explanation.picture, -1, 0)]
    explained = explanation.explained
    if explained.box is not None:
        explained = replace(explained, box=moved(explained.box))
    return replace(
        explanation,
        explained=explained,
        picture=np.stack(channels, axis=-1),
        geometry=Geometry.identity(shown.picture_size),
        mask=shown.mask_to_picture(explanation.mask),
        heatmap=shown.map_to_picture(explanation.heatmap).values,
        concepts=tuple(
            replace(concept, heatmap=shown.map_to_picture(concept.heatmap).values) for concept in explanation.concepts
        ),
        others=tuple(
            other if other.box is None else replace(other, box=moved(other.box)) for other in explanation.others
        ),
    )


def _shown(geometry: Geometry) -> Geometry:
    """What is shown as a picture that lies in the input: the whole pixels of its content, squares in the photograph."""
    top, left, bottom, right = geometry.content()
    size, largest = (bottom - top, right - left), max(geometry.scale)
    if largest - min(geometry.scale) > EQUAL * largest:
        vertical, horizontal = geometry.scale
        shown = round(size[0] * largest / vertical), round(size[1] * largest / horizontal)
    else:
        shown = size
    return Geometry(
        picture_size=shown,
        input_size=geometry.input_size,
        scale=(size[0] / shown[0], size[1] / shown[1]),
        offset=(float(top), float(left)),
    )
