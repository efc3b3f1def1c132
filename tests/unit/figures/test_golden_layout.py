"""Where words and panels lie in the figure of an explanation: nothing overlaps, nothing leaves, nothing moves.

`PYTHONPATH=src:tests/worlds python tests/unit/figures/test_golden_layout.py` records the golden places anew.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from made_up import made_up_explanation
from matplotlib.figure import Figure
from matplotlib.text import Text

from lcrp.figures.explanation import explanation_figure
from lcrp.values.candidates import Fate
from lcrp.values.explanation import Annotated, Explanation, OtherDecision
from lcrp.values.missed import AbsentConcept, Candidate, Lacking, Mechanism, Miss, Returned

GOLDEN = Path(__file__).parent / "golden"
TOLERANCE = 0.06  # inches: versions of FreeType draw letters a little wider or narrower
WIDTHS = 0.08 if matplotlib.__version_info__ < (3, 11) else 0.0  # of a text: older ones are up to 7 % wider
SLACK = 0.012  # inches: what touches does not overlap
LONG = "motorcycle with sidecar and two trailers"  # 40 characters
WORD = "Biodegradablepackagingmaterialofallkinds"

SIZES = {
    "portrait": (96, 60),
    "landscape": (60, 96),
    "square": (72, 72),
    "tiny": (9, 12),
    "panorama": (40, 160),
    "tower": (160, 40),
}


@dataclass(frozen=True)
class Box:
    """A rectangle in inches from the upper left corner."""

    name: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across > SLACK and down > SLACK

    def lies_in(self, other: "Box") -> bool:
        return (
            self.left >= other.left - SLACK
            and self.right <= other.right + SLACK
            and self.top >= other.top - SLACK
            and self.bottom <= other.bottom + SLACK
        )


def told(explanation: Explanation, name: str, num_others: int = 12) -> Explanation:
    """The same explanation with everything beside the decision that can be told, in long names."""
    height, width = explanation.mask.shape
    others = tuple(
        OtherDecision(
            class_name=name,
            confidence=0.9 - 0.05 * number,
            box=(0.1 * width, 0.2 * height, 0.5 * width, 0.9 * height),
            share=0.28,
        )
        for number in range(num_others)
    )
    concepts = tuple(
        replace(
            concept,
            references=tuple(
                replace(one, class_name=name, is_explained_picture=place == 0)
                for place, one in enumerate(concept.references)
            ),
        )
        for concept in explanation.concepts
    )
    return replace(
        explanation,
        class_name=name,
        title=f"yolov6 (weights of {name}) · a data set with a name · epsilon_gamma_flat",
        source=f"a folder of pictures/{name}/IMG_20240612_123456.jpg",
        concepts=concepts,
        others=others,
        runners_up=((name, 0.31), ("car", 0.07), ("kite", 0.01)),
        annotated=Annotated(verdict="false alarm", class_name=name, overlap=0.31),
    )


def without_positive(explanation: Explanation) -> Explanation:
    """The same explanation with nothing that speaks for the decision."""
    zeros = np.zeros(explanation.mask.shape)
    concepts = tuple(replace(concept, heatmap=zeros, share=0.0) for concept in explanation.concepts)
    return replace(explanation, heatmap=zeros, concepts=concepts)


def boxes(figure: Figure) -> tuple[list[Box], list[Box]]:
    """Texts and panels of a figure, in inches."""
    figure.draw_without_rendering()
    dpi, height = figure.dpi, figure.get_size_inches()[1]

    def box(name: str, extent: object) -> Box:
        x0, y0, x1, y1 = (float(value) / dpi for value in extent.extents)  # type: ignore[attr-defined]
        return Box(name, x0, height - y1, x1, height - y0)

    texts = [one for one in figure.findobj(Text) if one.get_text().strip() and one.get_visible()]
    return (
        [box(one.get_text(), one.get_window_extent()) for one in texts],
        [box(f"panel {number}", axes.get_window_extent()) for number, axes in enumerate(figure.axes)],
    )


def check(figure: Figure) -> None:
    """Nothing leaves the figure; words overlap neither words nor the edge of a panel; panels overlap no panel."""
    texts, panels = boxes(figure)
    canvas = Box("figure", 0.0, 0.0, *map(float, figure.get_size_inches()))
    for one in [*texts, *panels]:
        assert one.lies_in(canvas), one
    for one, other in combinations(texts, 2):
        assert not one.overlaps(other), (one, other)
    for text in texts:
        for panel in panels:
            assert not text.overlaps(panel) or text.lies_in(panel), (text, panel)
    for one, other in combinations(panels, 2):
        assert not one.overlaps(other) or one.lies_in(other) or other.lies_in(one), (one, other)


@pytest.mark.parametrize("size", ["portrait", "landscape", "tower"])
@pytest.mark.parametrize(("name", "is_beside"), [("car", True), (LONG, False)])
def test_the_label_of_a_whole_picture_leaves_the_heading_where_there_is_room(
    size: str, name: str, is_beside: bool
) -> None:
    explanation = made_up_explanation(size=SIZES[size], mask=np.ones(SIZES[size], dtype=bool), class_name=name)
    explained = replace(explanation.explained, box=None, area=explanation.mask.size)
    figure = explanation_figure(replace(explanation, explained=explained, outside=0.0, outside_area=0.0))
    check(figure)
    texts = [one.name for one in boxes(figure)[0]]
    assert ("Input and decision" in texts) == is_beside
    assert f"{name} 0.93" in texts


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("num_concepts", "num_references"), [(0, 0), (1, 3), (2, 0), (3, 0), (3, 5), (5, 1)])
def test_nothing_overlaps_and_nothing_leaves(size: str, num_concepts: int, num_references: int) -> None:
    explanation = made_up_explanation(size=SIZES[size], num_concepts=num_concepts, num_references=num_references)
    check(explanation_figure(told(explanation, LONG), num_references=4 * num_references))


@pytest.mark.parametrize(("size", "num_concepts"), [("portrait", 1), ("landscape", 2), ("square", 3)])
def test_little_to_tell_fits(size: str, num_concepts: int) -> None:
    explanation = made_up_explanation(size=SIZES[size], num_concepts=num_concepts, num_references=1)
    check(explanation_figure(explanation))
    check(explanation_figure(explanation, num_references=3))


@pytest.mark.parametrize("name", [LONG, WORD])
@pytest.mark.parametrize("size", ["portrait", "landscape", "tower"])
def test_long_names_are_whole(size: str, name: str) -> None:
    """'Biode...able' is no name."""
    explanation = told(made_up_explanation(size=SIZES[size], num_concepts=2, num_references=4), name)
    figure = explanation_figure(explanation)
    check(figure)
    words = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    assert not any("…" in word for word in words)
    written = "".join(words).replace(" ", "")
    # headline and label, both captions' rows, what else was found, a runner-up, the annotation, weights and folder
    assert written.count(name.replace(" ", "")) >= 2 + 8 + 6 + 1 + 1 + 2


@pytest.mark.parametrize("size", ["portrait", "square"])
def test_the_headline_keeps_its_words_in_a_narrow_figure(size: str) -> None:
    """A tall picture without references once said '3 % of the...ce'."""
    figure = explanation_figure(told(made_up_explanation(size=SIZES[size], num_concepts=1, num_references=0), LONG))
    head = " ".join(text.get_text() for text in figure.texts[:12])
    assert f"{LONG} 0.93 — 41 % of the positive relevance lies outside the box" in head
    assert "(the outside is 78 % of the picture)" in head


@pytest.mark.parametrize("num_references", [0, 12])
def test_an_explanation_without_positive_relevance_fits(num_references: int) -> None:
    explanation = made_up_explanation(num_references=num_references, layer_share=0.01)
    check(explanation_figure(without_positive(explanation)))
    check(explanation_figure(told(without_positive(explanation), LONG), num_references=12))


@pytest.mark.parametrize("mode", ["relevance", "activation"])
def test_masks_fit(mode: str) -> None:
    explanation = made_up_explanation(mode=mode, num_references=6, layer_share=float("nan"))
    explanation = replace(explanation, explained=replace(explanation.explained, box=None, area=300))
    others = tuple(OtherDecision(class_name=LONG, confidence=0.8, box=None, share=0.4) for _ in range(3))
    figure = explanation_figure(replace(explanation, others=others))
    check(figure)
    assert any("40 % of" in text.get_text() for text in figure.texts)


def for_and_against(explanation: Explanation, **explained: object) -> Explanation:
    """The same explanation of two sides: of two classes, or of a side of the box."""
    concepts = tuple(
        replace(concept, share=concept.share * (-1) ** number, heatmap=concept.heatmap - 2.0 * (number % 2))
        for number, concept in enumerate(explanation.concepts)
    )
    return replace(explanation, concepts=concepts, explained=replace(explanation.explained, **explained))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("num_concepts", "num_references"), [(0, 0), (1, 3), (4, 0)])
@pytest.mark.parametrize("name", ["car", LONG, WORD])
def test_two_classes_that_are_contrasted_fit(size: str, num_concepts: int, num_references: int, name: str) -> None:
    """Names of both classes stood upon each other below the colours."""
    explanation = made_up_explanation(size=SIZES[size], num_concepts=num_concepts, num_references=num_references)
    explanation = for_and_against(told(explanation, name), instead=f"{name}s", instead_confidence=0.03)
    figure = explanation_figure(explanation)
    check(figure)
    words = [text.get_text() for text in figure.findobj(Text) if text.get_text()]
    assert size == "tower" or not any("…" in word for word in words)  # whose label has no room
    written = "".join(words).replace(" ", "")
    assert written.count(f"for{name}s".replace(" ", "")) >= 1 + num_concepts // 2  # colours and rows


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("num_concepts", "num_references", "is_linearised"), [(0, 0, True), (1, 3, False), (4, 0, True), (4, 5, False)]
)
def test_a_side_of_a_box_fits(size: str, num_concepts: int, num_references: int, is_linearised: bool) -> None:
    share = float("nan") if is_linearised else 0.62
    explanation = made_up_explanation(size=SIZES[size], num_concepts=num_concepts, num_references=num_references)
    explanation = replace(told(explanation, LONG), layer_share=share)
    figure = explanation_figure(for_and_against(explanation, read="bottom", is_linearised=is_linearised))
    check(figure)
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert {"inwards", "outwards"} <= set(words.split())
    assert ("is held constant" in words) == is_linearised
    assert "speaks" not in words


CASES: dict[str, Callable[[], Explanation]] = {
    "landscape": lambda: told(made_up_explanation(size=(60, 96), num_concepts=3, num_references=12), "boat", 4),
    "portrait": lambda: told(made_up_explanation(size=(96, 60), num_concepts=2, num_references=0), LONG),
    "one_concept": lambda: told(made_up_explanation(size=(72, 72), num_concepts=1, num_references=5), "boat", 2),
}


def missed(explanation: Explanation, mechanism: Mechanism, name: str) -> Explanation:
    """The same as an object that was missed, with all that can be said of it."""
    left, top, right, bottom = explanation.explained.box
    width, height = right - left, bottom - top
    best = (left + width / 4, top, right + width / 4, bottom)
    shared = {"row": 7, "score": 0.213, "overlap": 0.62, "fate": Fate.NMS}
    candidate = Candidate(class_id=0, box=best, **shared)
    neighbour = Candidate(class_id=0, box=(left - width / 4, top, right, bottom + height / 4), **shared)
    miss = Miss(
        **{"sample": 3, "key": "00003.png", "number": 1, "class_id": 0, "box": (left, top, right, bottom)},
        **{"mechanism": mechanism, "candidate": candidate},
        neighbour=neighbour if mechanism == Mechanism.NEIGHBOUR else None,
    )
    absent = tuple(AbsentConcept(concept=c.concept, found=1.234, here=-0.12, gain=2.5) for c in explanation.concepts)
    lacking = Lacking(
        **{"miss": miss, "row": 7, "box": best, "score": 0.0004, "logit": -2.3, "threshold": 0.25},
        **{"layer": explanation.layer, "layer_share": 2.31, "taken_for": name, "num_found": 16, "donor": "4.png"},
        concepts=absent,
        returned=(
            Returned(num_concepts=1, score=0.21, is_found=False, num_random=10, num_random_found=1),
            Returned(num_concepts=3, score=0.61, is_found=True, num_random=10, num_random_found=2),
        ),
        things=((name, 0.31, float("nan")),),
    )
    known = {one.concept: one for one in absent[:-1]}
    concepts = tuple(replace(c, absent=known.get(c.concept), share=-c.share) for c in explanation.concepts)
    return replace(explanation, missed=lacking, concepts=concepts, annotated=None)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("num_concepts", "num_references"), [(0, 0), (1, 0), (5, 4)])
@pytest.mark.parametrize(("mechanism", "name"), [(Mechanism.NEIGHBOUR, "car"), (Mechanism.OTHER_CLASS, LONG)])
def test_a_missed_object_fits(
    size: str, num_concepts: int, num_references: int, mechanism: Mechanism, name: str
) -> None:
    explanation = made_up_explanation(size=SIZES[size], num_concepts=num_concepts, num_references=num_references)
    check(explanation_figure(missed(told(explanation, name), mechanism, name)))


def places(case: str) -> list[list[object]]:
    texts, panels = boxes(explanation_figure(CASES[case]()))
    rounded = [
        [one.name, *(round(value, 2) for value in (one.left, one.top, one.right, one.bottom))]
        for one in [*texts, *panels]
    ]
    return sorted(rounded, key=lambda row: (row[2], row[1], row[0]))


@pytest.mark.parametrize("case", CASES)
def test_nothing_moves(case: str) -> None:
    recorded = {
        (name, number): rest for name, number, rest in _numbered(json.loads((GOLDEN / f"{case}.json").read_text()))
    }
    found = {(name, number): rest for name, number, rest in _numbered(places(case))}
    assert found.keys() == recorded.keys()
    for name, place in found.items():
        left, top, right, bottom = recorded[name]
        assert [place[0], place[1], place[3]] == pytest.approx([left, top, bottom], abs=TOLERANCE), name
        assert place[2] == pytest.approx(right, abs=max(TOLERANCE, WIDTHS * (right - left))), name


def _numbered(rows: list[list[object]]) -> list[tuple[object, int, list[object]]]:
    """Rows with a number for each of the same name, in order."""
    seen: dict[object, int] = {}
    numbered = []
    for name, *rest in rows:
        seen[name] = seen.get(name, -1) + 1
        numbered.append((name, seen[name], rest))
    return numbered


if __name__ == "__main__":
    for case in CASES:
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in places(case))
        (GOLDEN / f"{case}.json").write_text(f"[\n{lines}\n]\n")
