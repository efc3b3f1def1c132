"""What figures show of how much concepts lean on their context (no torch).

Axes: H W picture, P pair of a class and a concept.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.values.explanation import Mask, Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReference:
    """A reference sample of a concept, and where the concept sits in it.

    Attributes:
        picture: [H, W, 3] the model input without its padding.
        heatmap: [H, W] conditional heatmap of the concept.
        mask: [H, W] the object.
        outside: share of the heatmap's positive relevance outside the object; NaN if there is none.
        pixel_aspect: as of its geometry.
    """

    picture: Picture
    heatmap: npt.NDArray[np.floating]
    mask: Mask
    outside: float
    pixel_aspect: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextConcept:
    """A concept of a class, and how much it leans on the context.

    Attributes:
        class_name: of the class.
        concept: channel of the layer.
        context: context score.
        relevance: mean share of the concept in the relevance of the class's targets.
        references: best first.
    """

    class_name: str
    concept: int
    context: float
    relevance: float
    references: tuple[ContextReference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextCloud:
    """Context scores and sensitivities of a layer's concepts.

    Attributes:
        layer: name of the layer.
        class_names: [P] class of every pair.
        context: [P] context scores.
        sensitivity: [P] change of the relevance by replaced backgrounds.
        note: how well they agree, in words.
    """

    layer: str
    class_names: tuple[str, ...]
    context: npt.NDArray[Any]
    sensitivity: npt.NDArray[Any]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextClass:
    """How much a class leans on its context.

    Attributes:
        name: of the class.
        outside: mean share of its positive relevance outside the object.
        low: lower end of its interval.
        high: upper end.
        area: mean share of the picture outside the object.
    """

    name: str
    outside: float
    low: float
    high: float
    area: float
