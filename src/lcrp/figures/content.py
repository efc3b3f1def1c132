"""An explanation as a person sees the photograph: without padding, in the photograph's own proportions.

Axes: H W model input, h w what is shown.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lcrp.values.explanation import Explanation, Reference
from lcrp.values.geometry import Box, Geometry, Tile
from lcrp.values.missed import Lacking

Array = npt.NDArray[np.floating]

EQUAL = 0.01  # of a pixel's aspect: what differs by less is square but for rounding


def as_photographed(explanation: Explanation) -> Explanation:
    """The same explanation, and its references, cut to the photograph; an input that was squeezed is drawn out again.

    Along the axis with fewer pixels per pixel of the photograph each value is spread over several: sums stay as they
    are.
    """
    shown = _shown(explanation.geometry)

    def moved(box: Box) -> Box:
        left, top, right, bottom = shown.to_picture(np.array([box]))[0].tolist()
        return left, top, right, bottom

    explained = explanation.explained
    if explained.box is not None:
        explained = replace(explained, box=moved(explained.box))
    return replace(
        explanation,
        explained=explained,
        missed=None if explanation.missed is None else _missed(explanation.missed, explanation.geometry, moved),
        picture=_picture(explanation.picture, shown),
        geometry=_as_shown(shown.picture_size, is_tile=explanation.geometry.tile is not None),
        mask=shown.mask_to_picture(explanation.mask),
        heatmap=shown.map_to_picture(explanation.heatmap).values,
        concepts=tuple(
            replace(
                concept,
                heatmap=shown.map_to_picture(concept.heatmap).values,
                references=tuple(map(_reference, concept.references)),
            )
            for concept in explanation.concepts
        ),
        others=tuple(
            other if other.box is None else replace(other, box=moved(other.box)) for other in explanation.others
        ),
    )


def _missed(lacking: Lacking, geometry: Geometry, moved: Callable[[Box], Box]) -> Lacking:
    """A missed object whose boxes lie in the picture that is shown."""
    miss = lacking.miss

    def shown(box: Box) -> Box:
        return moved(geometry.box_to_input(box))

    neighbour = None if miss.neighbour is None else replace(miss.neighbour, box=shown(miss.neighbour.box))
    return replace(lacking, box=shown(lacking.box), miss=replace(miss, box=shown(miss.box), neighbour=neighbour))


def _as_shown(size: tuple[int, int], *, is_tile: bool) -> Geometry:
    """That of a picture as it stands, which may be a tile of a larger one."""
    tile = Tile(top=0, left=0, bottom=size[0], right=size[1]) if is_tile else None
    return replace(Geometry.identity(size), tile=tile)


def _reference(reference: Reference) -> Reference:
    aspect = reference.pixel_aspect
    return replace(
        reference,
        picture=in_proportion(reference.picture, aspect),
        heatmap=in_proportion(reference.heatmap, aspect),
        pixel_aspect=1.0,
    )


def in_proportion(values: Array, pixel_aspect: float) -> Array:
    """A picture [H, W, 3] or a map [H, W] without padding, in the photograph's proportions; sums of maps are kept."""
    if _is_square(pixel_aspect):
        return values
    shown = _proportional((0, 0, *values.shape[:2]), pixel_aspect, values.shape[:2])
    return _picture(values, shown) if values.ndim == 3 else shown.map_to_picture(values).values


def _shown(geometry: Geometry) -> Geometry:
    """What is shown as a picture that lies in the input: the whole pixels of its content, squares in the photograph."""
    return _proportional(geometry.content(), geometry.pixel_aspect, geometry.input_size)


def _proportional(content: tuple[int, int, int, int], pixel_aspect: float, input_size: tuple[int, ...]) -> Geometry:
    top, left, bottom, right = content
    height, width = bottom - top, right - left
    if _is_square(pixel_aspect):
        shown = height, width
    elif pixel_aspect > 1.0:
        shown = height, round(width * pixel_aspect)
    else:
        shown = round(height / pixel_aspect), width
    return Geometry(
        picture_size=shown,
        input_size=(input_size[0], input_size[1]),
        scale=(height / shown[0], width / shown[1]),
        offset=(float(top), float(left)),
    )


def _is_square(pixel_aspect: float) -> bool:
    return abs(pixel_aspect - 1.0) <= EQUAL


def _picture(picture: Array, shown: Geometry) -> Array:
    density = shown.scale[0] * shown.scale[1]
    channels = [shown.map_to_picture(channel).values / density for channel in np.moveaxis(picture, -1, 0)]
    return np.stack(channels, axis=-1)
