"""What the curves of flipping and insertion say of methods: areas, complexity, tables, a verdict.

Axes: L layer, A ablation, S method, T target, X step, C concept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.complexity import deviation, share_for_most
from lcrp.evidence.curves import channel_counts, flipping_area, insertion_area
from lcrp.evidence.intervals import POSITIVE, Interval, bootstrap, mean_interval, standard_error
from lcrp.evidence.verdict import Areas, over_layers, verdict
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.values.evidence import CurvePanel, Line, Table

Array = npt.NDArray[Any]

ALL_LAYERS = "all layers"
DEVIATION_DRAWS = 200  # of its bootstrap, which looks at all vectors each time
MEASURES = ("flipping", "insertion", "reverse_flipping")
COMPLEXITY = ("share_for_80_percent", "deviation")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCurves:
    """What was measured at one layer.

    Attributes:
        name: of the layer.
        share: [X] share of its channels at every step.
        vectors: [T, S, C] scores of the concepts.
        logits: [T, A, S, 2, X] while channels are taken away, and while they are all that is kept; NaN for targets that
            the layer does not lead to.
    """

    name: str
    share: Array
    vectors: Array
    logits: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Everything that was measured.

    Attributes:
        settings: how.
        sample: [T] picture of every target.
        class_id: [T] its class.
        layers: one by one.
    """

    settings: EvaluateSettings
    sample: Array
    class_id: Array
    layers: tuple[LayerCurves, ...]

    @classmethod
    def of(cls, parts: Sequence[Mapping[str, Array]], layers: Sequence[str], settings: EvaluateSettings) -> "Curves":
        """From the results of chunks that have targets, as `Flipping.unit` gives them."""

        def joined(name: str) -> Array:
            return np.concatenate([part[name] for part in parts])

        found = []
        for number, layer in enumerate(layers):
            vectors, logits = joined(f"vectors_{number}"), joined(f"curves_{number}")
            logits = np.where(joined(f"plays_{number}")[:, None, None, None, None], logits, np.nan)
            counts = channel_counts(vectors.shape[2], settings.num_steps)
            found.append(LayerCurves(name=layer, share=counts / vectors.shape[2], vectors=vectors, logits=logits))
        return cls(settings=settings, sample=joined("sample"), class_id=joined("class_id"), layers=tuple(found))


class Comparison:
    """Areas and complexity of all methods.

    Args:
        curves: what was measured.
        class_names: of the model.
    """

    def __init__(self, curves: Curves, class_names: Sequence[str]) -> None:
        self._curves, self._class_names = curves, class_names
        self._methods = [method.name for method in curves.settings.methods]
        self._needed = np.stack([_needed(layer) for layer in curves.layers])  # [L, S, T]
        self._areas = {name: np.stack([_areas(layer)[name] for layer in curves.layers]) for name in MEASURES}

    def tables(self) -> list[Table]:
        """`summary`: a row per layer, ablation, method and measure; `curves`; `targets`."""
        return [self._summary(), self._mean_curves(), self._targets()]

    def panels(self) -> list[CurvePanel]:
        """Mean curves of the first ablation, by layer."""
        panels = []
        for layer in self._curves.layers:
            lines = [
                Line(
                    name=method,
                    flipping=_mean_and_error(_change(layer.logits[:, 0, number, 0])),
                    insertion=_mean_and_error(_change(layer.logits[:, 0, number, 1])),
                )
                for number, method in enumerate(self._methods)
            ]
            panels.append(CurvePanel(layer=layer.name, share=layer.share, lines=tuple(lines)))
        return panels

    def outcomes(self) -> dict[str, dict[str, Interval]]:
        """Areas of the first ablation, averaged over layers, by curve and method."""
        return {
            curve: {
                method: mean_interval(values, self._curves.sample)
                for method, values in zip(self._methods, over_layers(self._areas[curve][:, 0]), strict=True)
            }
            for curve in MEASURES[:2]
        }

    def report(self, model: str) -> list[str]:
        """The areas averaged over layers, as lines of a table, and the verdict."""
        width = max(map(len, self._methods))
        lines = [f"{'method':{width}}  {'flipping':>21}  {'insertion':>21}  {'channels for 80 %':>17}"]
        outcomes, needed = self.outcomes(), over_layers(self._needed)  # [S, T]
        for number, method in enumerate(self._methods):
            first, second = (str(outcomes[curve][method]) for curve in MEASURES[:2])
            lines.append(f"{method:{width}}  {first:>21}  {second:>21}  {np.nanmean(needed[number]):>17.0%}")
        return [*lines, verdict(self.areas(), model)]

    def verdict(self, model: str) -> Table:
        """The verdict in words, a table of one row."""
        return Table(name="verdict", columns={"verdict": [verdict(self.areas(), model)]})

    def areas(self) -> Areas:
        """Areas of the first ablation."""
        return Areas(
            flipping=self._areas["flipping"][:, 0],
            insertion=self._areas["insertion"][:, 0],
            images=self._curves.sample,
            layers=[layer.name for layer in self._curves.layers],
            methods=self._methods,
            is_lrp=[method.is_lrp for method in self._curves.settings.methods],
            silent=[
                name
                for number, name in enumerate(self._methods)
                if not any(layer.vectors[:, number].any() for layer in self._curves.layers)
            ],
        )

    def _summary(self) -> Table:
        rows = [*self._area_rows(), *self._complexity_rows()]
        names = ("layer", "ablation", "method", "measure", "value", "standard_error", "low", "high", "num_targets")
        return Table(name="summary", columns=dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))

    def _area_rows(self) -> Iterator[tuple[object, ...]]:
        layers = [layer.name for layer in self._curves.layers]
        for measure, values in self._areas.items():  # [L, A, S, T]
            for name, own in ((ALL_LAYERS, over_layers(values)), *zip(layers, values, strict=True)):
                for kind, ablation in enumerate(self._curves.settings.ablations):
                    for number, method in enumerate(self._methods):
                        yield (name, ablation, method, measure, *_described(own[kind, number], self._curves.sample))

    def _complexity_rows(self) -> Iterator[tuple[object, ...]]:
        sample, class_id = self._curves.sample, self._curves.class_id
        for layer, needed in zip(self._curves.layers, self._needed, strict=True):
            plays = ~np.isnan(layer.logits[:, 0, 0, 0, 0])
            for number, method in enumerate(self._methods):
                vectors, images = layer.vectors[plays, number], sample[plays]
                yield (layer.name, "", method, COMPLEXITY[0], *_described(needed[number], sample))
                columns = [vectors, class_id[plays]]
                spread = bootstrap(deviation, columns, images, bounds=POSITIVE, num_draws=DEVIATION_DRAWS)
                yield (layer.name, "", method, COMPLEXITY[1], *_ends(spread, float("nan")), len(vectors))

    def _mean_curves(self) -> Table:
        columns: dict[str, list[object]] = {
            name: [] for name in ("layer", "ablation", "method", "curve", "share", "mean", "standard_error")
        }
        for layer in self._curves.layers:
            for kind, ablation in enumerate(self._curves.settings.ablations):
                for number, method in enumerate(self._methods):
                    for place, curve in enumerate(MEASURES[:2]):
                        mean, error = _mean_and_error(_change(layer.logits[:, kind, number, place]))
                        for row in zip(layer.share, mean, error, strict=True):
                            values = (layer.name, ablation, method, curve, *map(float, row))
                            for column, value in zip(columns.values(), values, strict=True):
                                column.append(value)
        return Table(name="curves", columns=columns)

    def _targets(self) -> Table:
        """A row per target, layer, ablation and method."""
        curves, shape = self._curves, self._areas["flipping"].shape
        layer, kind, method, target = (axis.ravel() for axis in np.indices(shape))
        names = [self._class_names[class_id] for class_id in curves.class_id]
        return Table(
            name="targets",
            columns={
                "sample": curves.sample[target],
                "class": [names[one] for one in target],
                "layer": [curves.layers[one].name for one in layer],
                "ablation": [curves.settings.ablations[one] for one in kind],
                "method": [self._methods[one] for one in method],
                **{name: values.ravel() for name, values in self._areas.items()},
            },
        )


def _needed(layer: LayerCurves) -> Array:
    """Share of the channels that carries 80 %, [S, T]; NaN for targets that the layer does not lead to."""
    count, methods, channels = layer.vectors.shape
    share = share_for_most(layer.vectors.reshape(-1, channels)).reshape(count, methods)
    known: Array = np.where(np.isnan(layer.logits[:, 0, :, 0, 0]), np.nan, share).T
    return known


def _areas(layer: LayerCurves) -> dict[str, Array]:
    """Areas [A, S, T] of one layer by measure."""
    count, kinds, methods, _, steps = layer.logits.shape
    taken, kept = (layer.logits[:, :, :, place].reshape(-1, steps) for place in (0, 1))
    areas = {
        "flipping": flipping_area(layer.share, taken),
        "insertion": insertion_area(layer.share, kept),
        # what is left when the least relevant are taken away are the most relevant
        "reverse_flipping": flipping_area(1 - layer.share[::-1], kept[:, ::-1]),
    }
    return {name: values.reshape(count, kinds, methods).transpose(1, 2, 0) for name, values in areas.items()}


def _change(logits: Array) -> Array:
    """Curves [T, X] as differences from their first step, without the targets that the layer does not lead to."""
    known = logits[~np.isnan(logits[:, 0])]
    change: Array = known - known[:, :1]
    return change


def _mean_and_error(values: Array) -> tuple[Array, Array]:
    """Mean and standard error over the targets, [X] each."""
    if not len(values):
        nothing = np.full(values.shape[1], np.nan)
        return nothing, nothing
    return values.mean(axis=0), np.array([standard_error(column) for column in values.T])


def _described(values: Array, images: Array) -> tuple[float, float, float, float, int]:
    """Value, standard error, ends of the interval, and number of values that count."""
    known = values[~np.isnan(values)]
    return *_ends(mean_interval(values, images), standard_error(known)), len(known)


def _ends(interval: Interval, error: float) -> tuple[float, float, float, float]:
    return interval.value, error, interval.low, interval.high
