"""Explanations as a person meets them: shown in a notebook, saved, drawn, put into tables.

Axes: H W model input, P Q photograph.
"""

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lcrp.api.frames import frame
from lcrp.api.writing import writable
from lcrp.errors import ConfigError, nearest
from lcrp.storage.atomic import write_json
from lcrp.storage.explanation import write_explanation
from lcrp.storage.explanation_json import explanation_json
from lcrp.values import explanation as values
from lcrp.values.geometry import Box, Geometry, OnPicture
from lcrp.values.ledger import Ledger
from lcrp.values.shares import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

PathLike = str | os.PathLike[str]

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")
SUFFIXES = (*FIGURE_SUFFIXES, ".json", ".h5")
SCREEN_DPI = 100  # of the figure in a notebook


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """One concept's part in a decision.

    Attributes:
        value: what it is made of.
        geometry: how the photograph was placed in the model input.
    """

    value: values.ConceptExplanation
    geometry: Geometry

    @property
    def id(self) -> int:
        """Channel of the layer."""
        return self.value.concept

    @property
    def name(self) -> str:
        """That a person gave it (`Explainer.with_names`); empty without."""
        return self.value.name

    @property
    def share(self) -> float:
        """Signed share of the layer's sum of absolute relevance (or activation), in [-1, 1]."""
        return self.value.share

    @property
    def outside(self) -> float:
        """Share of its positive relevance that lies outside the object, in [0, 1]."""
        return self.value.outside

    @property
    def against(self) -> float:
        """Share of its relevance in the picture that speaks against the decision, in [0, 1]."""
        return values.against(self.value.heatmap, self.geometry)

    @property
    def heatmap(self) -> npt.NDArray[np.floating[Any]]:
        """[H, W] relevance of the model input through this concept alone (or its activation, resized)."""
        return self.value.heatmap

    @property
    def references(self) -> tuple[values.Reference, ...]:
        """Samples where it counts most, best first; empty without statistics."""
        return self.value.references

    def on_picture(self) -> OnPicture:
        """Its heatmap on the photograph; see `Explanation.on_picture`."""
        return self.geometry.map_to_picture(self.heatmap)

    def __repr__(self) -> str:
        if not self.heatmap.any():
            return f"{self.value.title}: {100 * self.share:.1f} %, none of it in the picture"
        opposed = f", {percent(self.against)} of it against" if self.against >= values.MOSTLY else ""
        of = "the rest" if opposed else "it"
        return f"{self.value.title}: {100 * self.share:.1f} %{opposed}, {100 * self.outside:.0f} % of {of} outside"


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One decision, explained: what `explain` returns.

    Boxes and masks are the photograph's. Maps lie on the model input, as they were computed; `on_picture` moves them.

    Example:
        >>> import lcrp
        >>> explanation = lcrp.explain("embedded:yolov6_scenes", "boat.png")[0]
        >>> print(explanation)
        boat 0.7...: ... % of the relevance lies outside; concepts ...
        >>> explanation.save("explained.png").name
        'explained.png'

    Attributes:
        value: what it is made of.
        num_references: reference samples that were asked for per concept; None takes the most that any concept has.
    """

    value: values.Explanation
    num_references: int | None = None

    @property
    def title(self) -> str:
        """Model, weights, data and composite in words."""
        return self.value.title

    @property
    def class_name(self) -> str:
        """Name of the class."""
        return self.value.class_name

    @property
    def class_id(self) -> int:
        """Index into the model's class names."""
        return self.value.explained.target.class_id

    @property
    def item(self) -> int:
        """Rank among the detections of its class by the score that is explained, 0 = best; 0 for a mask."""
        return self.value.explained.target.item

    @property
    def rank(self) -> int:
        """Rank among the decisions of its class by confidence, 0 = the most confident."""
        return self.value.rank

    @property
    def score(self) -> float:
        """What is explained: probability of the class or objectness; of a mask the mean logit."""
        return self.value.explained.score

    @property
    def confidence(self) -> float:
        """What a detector reports: objectness times class probability; of a mask the mean probability."""
        return self.value.explained.confidence

    @property
    def box(self) -> Box | None:
        """(left, top, right, bottom) in pixels of the photograph; None for a mask."""
        return self.value.picture_box

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """[P, Q] the object on the photograph: the class's mask, or the filled box."""
        return self.value.picture_mask

    @property
    def source(self) -> str:
        """Name of the picture: the file's, or the sample's key."""
        return self.value.source

    @property
    def picture_size(self) -> tuple[int, int]:
        """(height, width) of the photograph in pixels."""
        return self.geometry.picture_size

    @property
    def geometry(self) -> Geometry:
        """How the photograph was placed in the model input."""
        return self.value.geometry

    @property
    def heatmap(self) -> npt.NDArray[np.floating[Any]]:
        """[H, W] relevance of the model input, summed over its channels."""
        return self.value.heatmap

    @property
    def outside(self) -> float:
        """Share of the positive relevance that lies outside the object, in [0, 1]."""
        return self.value.outside

    @property
    def against(self) -> float:
        """Share of the relevance in the picture that speaks against the decision, in [0, 1]."""
        return self.value.against

    @property
    def layer(self) -> str:
        """Name of the layer whose concepts are shown."""
        return self.value.layer

    @property
    def layer_share(self) -> float:
        """Sum of the layer's relevance by that of the decision; NaN where it was not measured.

        Below 0 the layer as a whole speaks against the decision; below 0 or above 1 relevance for and against cancels.
        """
        return self.value.layer_share

    @property
    def ledger(self) -> Ledger | None:
        """What became of the decision's relevance: what reached the input, what biases and the stabiliser took."""
        return self.value.ledger

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The concepts shown, most relevant first."""
        return tuple(Concept(value=concept, geometry=self.geometry) for concept in self.value.concepts)

    @property
    def coverage(self) -> float:
        """Share of the layer's relevance (or activation) that the shown concepts hold, in [0, 1]."""
        return self.value.coverage

    @property
    def others(self) -> tuple[values.OtherDecision, ...]:
        """The model's other decisions about the picture, boxes in pixels of the photograph."""
        return tuple(
            replace(other, box=None if other.box is None else self.geometry.box_to_picture(other.box))
            for other in self.value.others
        )

    @property
    def runners_up(self) -> tuple[tuple[str, float], ...]:
        """The other classes for this decision, with their confidence, best first."""
        return self.value.runners_up

    def on_picture(self) -> OnPicture:
        """The heatmap on the photograph.

        Every input pixel spreads its relevance evenly over the part of the photograph that it shows, so that sums are
        kept: ``on_picture().values.sum() + on_picture().beside`` is ``heatmap.sum()``.

        Returns:
            `values` [P, Q]; `beside`, the relevance of bars beside the photograph; `unseen`, the share of the
            photograph's area that the input does not show.
        """
        return self.geometry.map_to_picture(self.heatmap)

    def plot(self) -> "Figure":
        """The figure, as a figure of matplotlib."""
        from lcrp.figures.explanation import explanation_figure  # with matplotlib, which takes half a second

        return explanation_figure(self.value, num_references=self.num_references)

    def save(self, path: PathLike) -> Path:
        """Write the explanation, in the format that the suffix names.

        Args:
            path: a figure (.png, .svg, .pdf), the numbers (.json), or everything (.h5), from which `read_explanation`
                makes the same explanation again.

        Returns:
            The path.

        Raises:
            ConfigError: the suffix is none of these.
            StoreError: nothing can be written there.
        """
        target = Path(path)
        match target.suffix.lower():
            case ".json":
                write_json(target, self.to_dict())
            case ".h5":
                write_explanation(target, self.value)
            case suffix if suffix in FIGURE_SUFFIXES:
                from lcrp.figures.explanation import draw_explanation

                with writable([target]):
                    draw_explanation(self.value, [target], num_references=self.num_references)
            case suffix:
                known = nearest(suffix, SUFFIXES)
                raise ConfigError(f"an explanation cannot be written as '{suffix}' ({target.name}); suffixes: {known}")
        return target

    def to_dict(self) -> dict[str, object]:
        """The numbers without the maps, as plain nested values: what a .json holds."""
        return explanation_json(self.value)

    def to_dataframe(self) -> "DataFrame":
        """One row a concept: the decision's own columns beside the concept's. Needs pandas.

        Raises:
            ConfigError: pandas is not installed.
        """
        own = {name: getattr(self, name) for name in ("source", "class_name", "item", "rank", "confidence", "layer")}
        return frame([own | {"concept": one.id, "share": one.share, "outside": one.outside} for one in self.concepts])

    def __repr__(self) -> str:
        from lcrp.figures import wording

        return f"{wording.sentence(self.value)}; concepts {', '.join(str(concept.id) for concept in self.concepts)}"

    def _repr_png_(self) -> bytes:
        """The figure, as a notebook shows it."""
        stream = io.BytesIO()
        self.plot().savefig(stream, format="png", dpi=SCREEN_DPI, facecolor="white")
        return stream.getvalue()
