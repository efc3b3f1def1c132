"""Explanations: what a figure shows of one decision (no torch).

Axes: H W picture. All pictures are RGB float in [0, 1] with shape [H, W, 3].
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lcrp.values.target import ExplainedTarget

Picture = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One reference sample of a concept.

    Attributes:
        key: the sample's key in the dataset.
        sample: its index.
        class_name: class under which it was ranked; empty for activation.
        score: its normalised relevance or activation for the concept.
        picture: [H, W, 3] the model input without its padding.
        heatmap: [H, W] heatmap of the concept's receptive-field neuron on it.
    """

    key: str
    sample: int
    class_name: str
    score: float
    picture: Picture
    heatmap: npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptExplanation:
    """One concept's part in a decision.

    Attributes:
        concept: channel of the layer.
        share: its signed share of the layer's sum of absolute relevance (or activation), in [-1, 1].
        heatmap: [H, W] conditional heatmap (or the activation map, resized to the input).
        outside: share of the heatmap's positive relevance that lies outside the object, in [0, 1].
        references: reference samples, best first.
    """

    concept: int
    share: float
    heatmap: npt.NDArray[np.floating]
    outside: float
    references: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One decision, explained.

    Attributes:
        title: model, dataset and composite in words.
        mode: 'relevance' or 'activation'.
        layer: name of the layer whose concepts are shown.
        explained: the target and what the model said of it.
        class_name: name of the target's class.
        picture: [H, W, 3] the model input.
        content: (top, left, bottom, right) of the picture in a padded input.
        mask: [H, W] the object: the class's mask, or the filled box.
        heatmap: [H, W] relevance of the input for this target.
        outside: share of positive relevance outside the object, in [0, 1].
        outside_area: share of the picture's area outside the object, in [0, 1].
        concepts: the concepts shown, most relevant first.
    """

    title: str
    mode: str
    layer: str
    explained: ExplainedTarget
    class_name: str
    picture: Picture
    content: tuple[int, int, int, int]
    mask: Mask
    heatmap: npt.NDArray[np.floating]
    outside: float
    outside_area: float
    concepts: tuple[ConceptExplanation, ...]
