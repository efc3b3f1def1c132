"""The figure of an explanation, as it is written."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context, rcParams
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lcrp.errors import ConfigError
from lcrp.figures import colours
from lcrp.figures.content import as_photographed
from lcrp.figures.explanation import draw_explanation, explanation_figure
from lcrp.figures.outlines import mask_outlines, thinness
from lcrp.figures.panels import inset_for
from lcrp.values.explanation import Annotated, Explanation, OtherDecision
from lcrp.values.geometry import Geometry

Make = Callable[..., Explanation]


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def _label(figure: Figure) -> Bbox:
    """The plate of the object's label: the highest of those in the object's colour that have words on them."""
    plates = [
        patch.get_window_extent()
        for patch in figure.findobj(Rectangle)
        if patch.figure is figure and patch.axes is None and patch.get_facecolor() == to_rgba(colours.OBJECT)
    ]
    return max(plates, key=lambda plate: plate.height)


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
    assert texts.count("12.4 % of the layer's relevance · 63 % outside the box") == 2
    assert texts.count("boat  10.0 %") == 2
    assert " ".join(texts).count("2 of 3 references found") == 2


@pytest.mark.parametrize(("num_concepts", "num_references"), [(0, 0), (1, 0), (1, 1), (3, 4)])
def test_any_number_of_concepts_and_references_can_be_drawn(
    make: Make, tmp_path: Path, num_concepts: int, num_references: int
) -> None:
    explanation = make(num_concepts=num_concepts, num_references=num_references)
    draw_explanation(explanation, [tmp_path / "figure.png"], dpi=40)
    assert imread(tmp_path / "figure.png").std() > 0.05


def test_activation_is_called_activation(make: Make) -> None:
    texts = _texts(explanation_figure(make(mode="activation")))
    assert texts.count("12.4 % of the layer's activation · 63 % outside the box") == 2
    assert "activation" in texts  # the colour bar's name
    assert not any("layer's relevance" in text for text in texts)


def test_heatmaps_of_zeros_are_drawn(make: Make, tmp_path: Path) -> None:
    explanation = make(num_references=0, heatmap=np.zeros((60, 80)))
    silent = tuple(replace(concept, heatmap=np.zeros((60, 80)), share=0.0) for concept in explanation.concepts)
    draw_explanation(replace(explanation, concepts=silent), [tmp_path / "figure.png"], num_references=2, dpi=40)
    texts = _texts(explanation_figure(replace(explanation, concepts=silent), num_references=2))
    assert texts.count("0.0 % of the layer's relevance · no relevance of this decision passes it") == 2
    assert texts.count("no reference samples") == 2


@pytest.mark.parametrize(("value", "num_lines"), [(False, 0), (True, 0)])
def test_empty_and_full_masks_have_no_outline_and_a_label(make: Make, value: bool, num_lines: int) -> None:
    """The label of an object that fills the picture stands above it, beside the heading."""
    explanation = make(num_concepts=1, num_references=0, mask=np.full((60, 80), value))
    explanation = replace(explanation, explained=replace(explanation.explained, box=None, area=0))
    figure = explanation_figure(explanation)
    figure.canvas.draw()
    panel = figure.axes[0]
    assert len(panel.collections) == num_lines
    (label,) = [text for text in figure.texts if text.get_text() == "boat 0.93"]
    assert (label.get_window_extent().y0 > panel.get_window_extent().y1) == value
    assert "Input and decision" in _texts(figure)


def test_padding_is_cut_away_with_the_box_shifted_along(make: Make) -> None:
    explanation = make()
    placed = Geometry(picture_size=(40, 66), input_size=(60, 80), scale=(1.0, 1.0), offset=(10.0, 4.0))
    padded = as_photographed(replace(explanation, geometry=placed))
    assert padded.picture.shape == (40, 66, 3)
    assert padded.concepts[0].heatmap.shape == padded.mask.shape == padded.heatmap.shape == (40, 66)
    assert padded.content == (0, 0, 40, 66)
    assert explanation.explained.box == (20.0, 15.0, 40.0, 30.0)
    assert padded.explained.box == (16.0, 5.0, 36.0, 20.0)
    np.testing.assert_array_equal(padded.heatmap, explanation.heatmap[10:50, 4:70])


def test_a_squeezed_input_is_shown_in_the_proportions_of_the_photograph(make: Make) -> None:
    """SSD and Cityscapes squeeze pictures; sums of relevance stay, and boxes stay where their objects are."""
    explanation = make()
    squeezed = Geometry(picture_size=(60, 160), input_size=(60, 80), scale=(1.0, 0.5), offset=(0.0, 0.0))
    other = OtherDecision(class_name="car", confidence=0.5, box=(10.0, 5.0, 20.0, 15.0), share=0.02)
    shown = as_photographed(replace(explanation, geometry=squeezed, others=(other,)))
    assert shown.picture.shape == (60, 160, 3)
    assert shown.explained.box == (40.0, 15.0, 80.0, 30.0)
    assert shown.others[0].box == (20.0, 5.0, 40.0, 15.0)
    assert shown.mask.sum() == 2 * explanation.mask.sum()
    assert shown.heatmap.sum() == pytest.approx(explanation.heatmap.sum())
    np.testing.assert_allclose(shown.heatmap[:, ::2], explanation.heatmap / 2)
    np.testing.assert_allclose(shown.picture[:, 1::2], explanation.picture)
    figure = explanation_figure(replace(explanation, geometry=squeezed))
    extent = figure.axes[0].get_window_extent()
    assert extent.width / extent.height == pytest.approx(160 / 60)


def test_references_are_shown_in_the_proportions_of_their_photograph(make: Make) -> None:
    """A crop of a squeezed reference is square in the photograph, not in the input."""
    explanation = make(num_concepts=1)
    (concept,) = explanation.concepts
    squeezed = replace(concept, references=(replace(concept.references[0], pixel_aspect=2.0), concept.references[1]))
    first, second = as_photographed(replace(explanation, concepts=(squeezed,))).concepts[0].references
    assert first.picture.shape == (40, 96, 3)
    assert first.heatmap.shape == (40, 96)
    assert first.heatmap.sum() == pytest.approx(concept.references[0].heatmap.sum())
    np.testing.assert_array_equal(second.picture, concept.references[1].picture)
    np.testing.assert_array_equal(second.heatmap, concept.references[1].heatmap)


def test_small_objects_get_an_inset_away_from_the_relevance() -> None:
    mask, heatmap = np.zeros((100, 100), dtype=bool), np.zeros((100, 100))
    mask[20:30, 20:32] = True
    heatmap[95, 95] = heatmap[5, 95] = 1.0
    inset = inset_for(mask, heatmap)
    assert inset is not None
    assert (inset.at_right, inset.at_bottom) == (False, True)
    top, left, bottom, right = inset.window
    assert mask[top:bottom, left:right].sum() == mask.sum()
    assert bottom - top == right - left == 18


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
def test_a_label_covers_neither_the_inset_nor_the_object(make: Make, at_right: bool) -> None:
    """The label of a small object in the middle would reach into the corner where the inset lies."""
    mask, heatmap = np.zeros((120, 120), dtype=bool), np.ones((120, 120))
    left = 45 if at_right else 62
    mask[56:68, left : left + 12] = True
    heatmap[:60, slice(60, None) if at_right else slice(60)] = 0.0  # the inset goes where it hides no relevance
    explanation = make(size=(120, 120), mask=mask, heatmap=heatmap, class_name="a boat with quite some name")
    box = (float(left), 56.0, left + 12.0, 68.0)
    explanation = replace(explanation, explained=replace(explanation.explained, box=box))
    figure = explanation_figure(explanation)
    figure.canvas.draw()
    panel, inset = figure.axes[:2]
    label, zoomed = _label(figure), inset.get_window_extent()
    assert zoomed.y0 > panel.get_window_extent().y0 + zoomed.height
    assert bool(zoomed.x0 > panel.get_window_extent().x0 + zoomed.width) == at_right
    assert not label.overlaps(zoomed)
    assert not label.overlaps(panel.transData.transform_bbox(Bbox([box[:2], box[2:]])))
    assert panel.get_window_extent().x0 <= label.x0 < label.x1 <= panel.get_window_extent().x1


@pytest.mark.parametrize(
    "box",
    [(10.0, 0.0, 40.0, 30.0), (0.0, 0.0, 40.0, 60.0), (30.0, 30.0, 80.0, 60.0), (0.0, 0.0, 80.0, 55.0)],
    ids=["at the top", "as high as the picture", "in a corner", "nearly all of it"],
)
def test_a_label_never_hides_the_object(make: Make, box: tuple[float, float, float, float]) -> None:
    mask = np.zeros((60, 80), dtype=bool)
    mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = True
    explanation = make(mask=mask)
    explanation = replace(explanation, explained=replace(explanation.explained, box=box))
    figure = explanation_figure(explanation)
    figure.canvas.draw()
    drawn = figure.axes[0].transData.transform_bbox(Bbox([box[:2], box[2:]]))
    assert not _label(figure).overlaps(drawn)


def test_outlines_leave_a_ragged_mask_visible() -> None:
    """A line around every speck would be all that is seen."""
    generator = np.random.default_rng(0)
    ragged = generator.random((200, 200)) > 0.5
    ragged[80:120, 80:120] = True
    lines = mask_outlines(ragged)
    assert 1 <= len(lines) < 100  # of more than a thousand pieces
    assert thinness(lines, (200, 200)) < 1.0
    round_one = np.hypot(*(np.mgrid[:200, :200] - 100)) < 50
    assert len(mask_outlines(round_one)) == 1
    assert thinness(mask_outlines(round_one), (200, 200)) == 1.0


def test_an_object_of_few_pixels_keeps_its_outline() -> None:
    mask = np.zeros((400, 400), dtype=bool)
    mask[200, 200:202] = True
    assert len(mask_outlines(mask)) == 1
    assert mask_outlines(np.zeros((40, 40), dtype=bool)) == []


def test_the_rest_of_the_picture_is_told(make: Make) -> None:
    others = tuple(
        OtherDecision(class_name=f"car {number}", confidence=0.9 - 0.1 * number, box=(5.0, 5.0, 20.0, 15.0), share=0.03)
        for number in range(8)
    )
    told = make(
        others=others,
        runners_up=(("kite", 0.21),),
        annotated=Annotated(verdict="hit", class_name="boat", overlap=0.83),
    )
    texts = _texts(explanation_figure(told))
    assert {"Also found in this picture", "car 0 0.90", "and 2 more", "kite", "0.21"} <= {*texts}
    assert "Other classes of this box" in texts
    assert "✓ hit: annotated as boat (IoU 0.83)" in " ".join(texts)
    untold = _texts(explanation_figure(make()))
    assert not {"Also found in this picture", "Other classes of this box"} & {*untold}
    assert not any("annotated as" in text for text in untold)


def test_a_reference_that_shows_the_picture_itself_is_marked(make: Make) -> None:
    explanation = make(num_concepts=1)
    (concept,) = explanation.concepts
    first, second = concept.references
    marked = replace(concept, references=(replace(first, is_explained_picture=True), second))
    assert _texts(explanation_figure(explanation)).count("this picture") == 0
    assert _texts(explanation_figure(replace(explanation, concepts=(marked,)))).count("this picture") == 1


def test_the_figure_is_drawn_without_a_file_and_whatever_the_users_settings(make: Make) -> None:
    with rc_context({"font.family": ["serif"], "text.parse_math": True}):
        figure = explanation_figure(make(class_name="$boat$"))
        assert rcParams["font.family"] == ["serif"]
    assert {text.get_fontfamily()[0] for text in figure.findobj(Text) if text.get_text()} == {"DejaVu Sans"}
    assert "$boat$ 0.93" in _texts(figure)
    figure.canvas.draw()
