"""Figures of context scores."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from lcrp.figures.context import (
    MOST_CLASSES,
    classes_figure,
    clouds_figure,
    concepts_figure,
    draw_classes,
    draw_clouds,
    draw_concepts,
)
from lcrp.figures.sheet import EDGE
from lcrp.values.context import ContextClass, ContextCloud, ContextConcept, ContextReference

GENERATOR = np.random.default_rng(0)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def reference(outside: float = 0.63, size: tuple[int, int] = (24, 36)) -> ContextReference:
    mask = np.zeros(size, dtype=bool)
    mask[4:9, 5:12] = True
    picture, heatmap = GENERATOR.random((*size, 3)), GENERATOR.normal(size=size)
    return ContextReference(picture=picture, heatmap=heatmap, mask=mask, outside=outside)


def concept(*references: ContextReference) -> ContextConcept:
    return ContextConcept(class_name="boat", concept=7, context=0.63, relevance=0.051, references=references)


def cloud(class_names: tuple[str, ...], layer: str = "model.6") -> ContextCloud:
    size = len(class_names)
    return ContextCloud(
        layer=layer,
        class_names=class_names,
        context=GENERATOR.random(size),
        sensitivity=GENERATOR.random(size),
        note="r = 0.78 (0.70 to 0.84)",
    )


def bar(name: str, outside: float, area: float = 0.9) -> ContextClass:
    return ContextClass(name=name, outside=outside, low=outside - 0.1, high=outside + 0.1, area=area)


def test_concepts_say_what_is_shown() -> None:
    figure = concepts_figure([concept(reference(), reference(float("nan"))), concept()], "unet · scenes")
    found = texts(figure)
    assert (
        found.count("boat · concept 7 — 63 % of its relevance lies outside the object · 5.1 % of the class's relevance")
        == 2
    )
    assert "63 % outside" in found
    assert "no relevance" in found
    assert len(figure.axes) == 2


def test_every_point_is_in_the_panel_of_its_layer() -> None:
    figure = clouds_figure([cloud(("boat", "car", "boat"), layer="a"), cloud(("car",), layer="b")], "t")
    first, second = figure.axes
    assert first.get_title() == "a\nr = 0.78 (0.70 to 0.84)"
    assert [len(points.get_offsets()) for points in first.collections] == [2, 1]
    assert [len(points.get_offsets()) for points in second.collections] == [0, 1]
    legend = second.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["boat", "car"]


def test_the_legend_of_the_clouds_stands_beside_the_panel_and_below_the_head() -> None:
    figure = clouds_figure([cloud(("boat", "car"))], "t")
    figure.canvas.draw()
    (axes,) = figure.axes
    legend, panel = axes.get_legend(), axes.get_window_extent()
    assert legend is not None
    assert legend.get_window_extent().x0 >= panel.x1
    assert legend.get_window_extent().y1 <= panel.y1
    assert panel.width > 0.6 * figure.bbox.width


def test_names_of_classes_keep_off_the_edge() -> None:
    figure = classes_figure([bar("a horse with a name", 0.4)], "t")
    figure.canvas.draw()
    assert figure.axes[0].get_yticklabels()[0].get_window_extent().x0 >= EDGE * figure.dpi - 1.0


def test_many_classes_have_one_colour_and_no_legend() -> None:
    figure = clouds_figure([cloud(tuple(f"class {number}" for number in range(40)))], "t")
    assert figure.axes[0].get_legend() is None
    assert [len(points.get_offsets()) for points in figure.axes[0].collections] == [40]


def test_bars_are_the_classes_in_order_with_the_area_beside() -> None:
    (axes,) = classes_figure([bar("kite", 0.4), bar("car", 0.2, area=0.8)], "t").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["kite", "car"]
    assert [patch.get_width() for patch in axes.patches] == pytest.approx([0.4, 0.2])
    assert axes.lines[-1].get_xdata().tolist() == [0.9, 0.8]
    low, high = axes.get_ylim()
    assert low > high  # the first class is at the top


def lines_of_intervals(figure: Figure) -> list[list[list[float]]]:
    """(x, y) of both ends of every interval that is drawn."""
    (axes,) = figure.axes
    return [segment.tolist() for found in axes.collections for segment in found.get_segments()]  # type: ignore[attr-defined]


def test_an_interval_that_is_unknown_is_drawn_as_unknown() -> None:
    """A line of no length with caps would say that the value is certain."""
    unknown = ContextClass(name="kite", outside=0.4, low=float("nan"), high=float("nan"), area=0.9)
    figure = classes_figure([bar("boat", 0.6), unknown], "t")
    assert np.allclose(lines_of_intervals(figure), [[[0.5, 0.0], [0.7, 0.0]]])
    (axes,) = figure.axes
    caps = [line for line in axes.lines if line.get_marker() == "|" and str(line.get_label()).startswith("_")]
    assert [line.get_ydata().tolist() for line in caps] == [[0.0], [0.0]]
    (hollow,) = [line for line in axes.lines if line.get_marker() == "o"]
    assert hollow.get_markerfacecolor() == "white"
    assert hollow.get_xydata().tolist() == [[0.4, 1.0]]
    assert any("unknown" in text.get_text() for text in figure.legends[0].get_texts())


def test_known_intervals_have_no_hollow_marks() -> None:
    figure = classes_figure([bar("boat", 0.6), bar("car", 0.3)], "t")
    assert len(lines_of_intervals(figure)) == 2
    assert not any(line.get_marker() == "o" for line in figure.axes[0].lines)
    assert not any("unknown" in text.get_text() for text in figure.legends[0].get_texts())


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ((0.9, 0.5), "Concepts that look at the context"),
        ((0.9, 0.49, 0.03), "1 of these 3 concepts looks at the context"),
        ((0.09, 0.03), "No concept looks at the context; these do so most"),
    ],
)
def test_concepts_that_lie_on_the_object_are_not_said_to_look_at_the_context(
    scores: tuple[float, ...], words: str
) -> None:
    shown = [replace(concept(), context=score) for score in scores]
    found = texts(concepts_figure(shown, "t"))
    assert words in found
    note = (
        "a concept looks at the context if at least 50 % of its relevance lies outside the object; red: relevance for"
    )
    assert note in " ".join(found)
    assert "yellow: the object's outline" in " ".join(found)


LONG_LAYER = "backbone.bottom_up.stages.3.blocks.17.attention.projection.conv3"
LONG_TITLE = "a title that is long, " * 8


@pytest.mark.parametrize(
    "build",
    [
        lambda: clouds_figure([cloud(("boat", "car"), layer=LONG_LAYER)], "t"),
        lambda: clouds_figure([cloud(("boat",)) for _ in range(4)], LONG_TITLE),
        lambda: classes_figure([bar("a class with a name of forty characters..", 0.4)], LONG_TITLE),
        lambda: concepts_figure([concept(reference())], LONG_TITLE),
    ],
)
def test_nothing_leaves_a_figure(build: Callable[[], Figure]) -> None:
    figure = build()
    figure.canvas.draw()
    drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= width
    assert drawn.y1 <= height


def test_files_are_written_and_long_lists_cut(tmp_path: Path) -> None:
    draw_clouds([cloud(("boat", "car"))], "t", tmp_path / "a.png")
    draw_classes([bar(f"class {number}", 0.3) for number in range(80)], "t", tmp_path / "b.png")
    draw_concepts([concept(reference())], "t", tmp_path / "c.png")
    assert all(imread(tmp_path / f"{name}.png").std() > 0 for name in "abc")
    assert imread(tmp_path / "b.png").shape[0] < 200 * (2.4 + 0.30 * MOST_CLASSES)
