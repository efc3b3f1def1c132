"""The figure of an explanation, as it is written."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from lcrp.errors import ConfigError
from lcrp.figures.content import without_padding
from lcrp.figures.explanation import draw_explanation, explanation_figure
from lcrp.figures.panels import inset_for
from lcrp.values.explanation import Explanation
from lcrp.values.geometry import Geometry

Make = Callable[..., Explanation]


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def test_equal_explanations_give_equal_bytes(make: Make, tmp_path: Path) -> None:
    for name in ("one", "two"):
        paths = [tmp_path / f"{name}.{suffix}" for suffix in ("png", "svg", "pdf")]
        draw_explanation(make(num_concepts=1, num_references=1), paths, dpi=60)
    for suffix in ("png", "svg", "pdf"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
    assert b"Software" not in (tmp_path / "one.png").read_bytes()


def test_figure_is_written_at_the_resolution_asked_for(make: Make, tmp_path: Path) -> None:
    explanation = make()
    draw_explanation(explanation, [tmp_path / "figure.png"], dpi=50)
    width, height = explanation_figure(explanation).get_size_inches()
    assert imread(tmp_path / "figure.png").shape[:2] == (int(height * 50), int(width * 50))


def test_unknown_format_is_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'\.bmp' \(figure\.bmp\); formats: .*'png'"):
        draw_explanation(make(), [tmp_path / "figure.bmp"])


def test_every_part_is_named(make: Make) -> None:
    texts = _texts(explanation_figure(make(), num_references=3))
    assert "boat 0.93 — 41 % of the positive relevance lies outside the box" in texts
    assert "concept 0" in texts
    assert "concept 1" in texts
    assert texts.count("12.4 % of relevance · 63 % outside") == 2
    assert texts.count("boat  10.0 %") == 2
    assert texts.count("2 of 3 references found") == 2


@pytest.mark.parametrize(("num_concepts", "num_references"), [(0, 0), (1, 0), (1, 1), (3, 4)])
def test_any_number_of_concepts_and_references_can_be_drawn(
    make: Make, tmp_path: Path, num_concepts: int, num_references: int
) -> None:
    explanation = make(num_concepts=num_concepts, num_references=num_references)
    draw_explanation(explanation, [tmp_path / "figure.png"], dpi=40)
    assert imread(tmp_path / "figure.png").std() > 0.05


def test_activation_is_called_activation(make: Make) -> None:
    texts = _texts(explanation_figure(make(mode="activation")))
    assert texts.count("12.4 % of activation · 63 % outside") == 2
    assert "activation" in texts  # the colour bar's name
    assert not any("% of relevance" in text for text in texts)


def test_heatmaps_of_zeros_are_drawn(make: Make, tmp_path: Path) -> None:
    explanation = make(num_references=0, heatmap=np.zeros((60, 80)))
    silent = tuple(replace(concept, heatmap=np.zeros((60, 80)), share=0.0) for concept in explanation.concepts)
    draw_explanation(replace(explanation, concepts=silent), [tmp_path / "figure.png"], num_references=2, dpi=40)
    texts = _texts(explanation_figure(replace(explanation, concepts=silent), num_references=2))
    assert texts.count("0.0 % of relevance · no positive relevance") == 2
    assert texts.count("no reference samples") == 2


def test_empty_and_full_masks_are_drawn(make: Make, tmp_path: Path) -> None:
    explanation = make(num_concepts=1, num_references=0)
    explanation = replace(explanation, explained=replace(explanation.explained, box=None, area=0))
    for value in (False, True):
        shown = replace(explanation, mask=np.full((60, 80), value))
        draw_explanation(shown, [tmp_path / "figure.png"], dpi=40)


def test_no_text_leaves_the_figure(make: Make) -> None:
    explanation = make(
        class_name="motorcycle with sidecar and a very long name indeed",
        layer="backbone.bottom_up.stages.3.blocks.17.attention.projection.depthwise.pointwise.convolution.conv3",
        title="deeplabv3plus_resnet50_custom · my_own_dataset_of_vehicles · epsilon_gamma_flat_with_long_name",
    )
    for num_references in (0, 12):
        figure = explanation_figure(explanation, num_references=num_references)
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        width = figure.bbox.width
        for text in figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_text()):
            extent = text.get_window_extent(renderer)
            assert extent.x0 >= 0, text.get_text()
            assert extent.x1 <= width, text.get_text()


def test_padding_is_cut_away_with_the_box_shifted_along(make: Make) -> None:
    explanation = make()
    placed = Geometry(picture_size=(40, 66), input_size=(60, 80), scale=(1.0, 1.0), offset=(10.0, 4.0))
    padded = without_padding(replace(explanation, geometry=placed))
    assert padded.picture.shape == (40, 66, 3)
    assert padded.concepts[0].heatmap.shape == padded.mask.shape == padded.heatmap.shape == (40, 66)
    assert padded.content == (0, 0, 40, 66)
    assert explanation.explained.box == (20.0, 15.0, 40.0, 30.0)
    assert padded.explained.box == (16.0, 5.0, 36.0, 20.0)
    np.testing.assert_array_equal(padded.heatmap, explanation.heatmap[10:50, 4:70])


def test_small_objects_get_an_inset_away_from_the_relevance() -> None:
    mask, heatmap = np.zeros((100, 100), dtype=bool), np.zeros((100, 100))
    mask[20:30, 20:32] = True
    heatmap[95, 95] = heatmap[5, 95] = 1.0
    inset = inset_for(mask, heatmap)
    assert inset is not None
    assert (inset.at_right, inset.at_bottom) == (False, True)
    top, left, bottom, right = inset.window
    assert mask[top:bottom, left:right].sum() == mask.sum()
    assert bottom - top == right - left == 26


def test_large_or_missing_objects_get_none() -> None:
    mask = np.zeros((100, 100), dtype=bool)
    assert inset_for(mask, np.zeros((100, 100))) is None
    mask[10:40, 10:15] = True
    assert inset_for(mask, np.zeros((100, 100))) is None


def test_drawing_needs_no_window_and_no_torch() -> None:
    script = "import sys, lcrp.figures.explanation; print(*({'torch', 'matplotlib.pyplot'} & sys.modules.keys()))"
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == ""


@pytest.mark.parametrize("at_right", [True, False])
def test_an_inset_does_not_cover_the_label(make: Make, at_right: bool) -> None:
    """The label of a small object in the middle would reach into the corner where the inset lies."""
    mask, heatmap = np.zeros((120, 120), dtype=bool), np.ones((120, 120))
    left = 45 if at_right else 62
    mask[56:68, left : left + 12] = True
    heatmap[:60, slice(60, None) if at_right else slice(60)] = 0.0  # the inset goes where it hides no relevance
    explanation = make(size=(120, 120), mask=mask, heatmap=heatmap)
    box = (float(left), 56.0, left + 12.0, 68.0)
    explanation = replace(explanation, explained=replace(explanation.explained, box=box))
    figure = explanation_figure(explanation)
    figure.canvas.draw()
    panel, inset = figure.axes[:2]
    (tag,) = panel.texts
    label, zoomed = tag.get_bbox_patch().get_window_extent(), inset.get_window_extent()
    assert zoomed.y0 > panel.get_window_extent().y0 + zoomed.height
    assert bool(zoomed.x0 > panel.get_window_extent().x0 + zoomed.width) == at_right
    assert not label.overlaps(zoomed)
    assert panel.get_window_extent().x0 - 2 <= label.x0 < label.x1 <= panel.get_window_extent().x1 + 2
