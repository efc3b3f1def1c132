"""The visible part of a padded model input."""

from dataclasses import replace

from lcrp.values.explanation import Explanation
from lcrp.values.geometry import Geometry


def without_padding(explanation: Explanation) -> Explanation:
    """The same explanation with everything cut to the picture's content, the box shifted along."""
    top, left, bottom, right = explanation.content
    window = slice(top, bottom), slice(left, right)
    explained = explanation.explained
    if explained.box is not None:
        x0, y0, x1, y1 = explained.box
        explained = replace(explained, box=(x0 - left, y0 - top, x1 - left, y1 - top))
    return replace(
        explanation,
        explained=explained,
        picture=explanation.picture[window],
        geometry=Geometry.identity((bottom - top, right - left)),
        mask=explanation.mask[window],
        heatmap=explanation.heatmap[window],
        concepts=tuple(replace(concept, heatmap=concept.heatmap[window]) for concept in explanation.concepts),
    )
