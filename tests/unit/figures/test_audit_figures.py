"""Figures of stage=audit: nothing overlaps, nothing is cut, and lost decisions look lost."""

from dataclasses import replace
from itertools import combinations, pairwise
from math import nan
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lcrp.figures.audit import draw_grounds
from lcrp.figures.carriers import carriers_figure, draw_carriers
from lcrp.values.audit import CarrierView, GroundView, Kind, Loss, Outcome
from lcrp.values.explanation import Reference

GENERATOR = np.random.default_rng(0)
LONG = "a class with a name of forty characters.."
GROUP = "concepts 50, 7, 1024, 3, 17, 18, 19, 2048 together carry 0.31 (0.12 to 0.44) of it: and more words " * 2
SLACK = 1.5  # pixels


def view(
    kind: Kind = Kind.OWN, outcome: Outcome = Outcome.KEPT, size: tuple[int, int] = (48, 64), label: str = ""
) -> GroundView:
    outline = np.zeros(size, dtype=bool)
    outline[8:20, 10:30] = True
    return GroundView(
        kind=kind,
        label=label or str(kind),
        picture=GENERATOR.random((*size, 3)).astype(np.float32),
        outline=outline,
        score=0.93 if outcome is Outcome.KEPT else 0.06,
        outcome=outcome,
        heatmap=GENERATOR.normal(size=size),
    )


def reference(class_name: str = "kite") -> Reference:
    picture, heatmap = GENERATOR.random((48, 64, 3)), np.zeros((48, 64))
    heatmap[10:30, 10:40] = 1.0
    return Reference(key="k", sample=1, class_name=class_name, score=0.117, picture=picture, heatmap=heatmap)


def carrier(class_name: str = "kite", num_references: int = 8, *, is_carrier: bool = True) -> CarrierView:
    return CarrierView(
        class_name=class_name,
        difference=0.37,
        title="sky (concept 50)",
        is_carrier=is_carrier,
        group="",
        cut=(0.12, 0.04, 0.21),
        relevance_share=0.71,
        usual=Loss(score=0.9, value=0.14, low=0.05, high=0.23),
        others=Loss(score=0.5, value=-0.01, low=-0.04, high=0.02),
        num_decisions=12,
        seen=(view(), view(Kind.UNUSUAL, Outcome.GONE)),
        references=tuple(reference(class_name) for _ in range(num_references)),
    )


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def _boxes(figure: Figure) -> list[tuple[str, Bbox]]:
    """Everything that is written, and every picture; an inset lies on its panel by intent, and there is none here."""
    written = [(text.get_text(), text.get_window_extent()) for text in figure.findobj(Text) if text.get_text().strip()]
    return [*written, *(("picture", axes.get_window_extent()) for axes in figure.axes)]


@pytest.mark.parametrize(
    "carriers",
    [
        [carrier()],
        [carrier(), replace(carrier(), title="concept 7"), carrier("bird", 3, is_carrier=False)],
        [carrier(LONG), carrier("b" * 90, is_carrier=False)],
        [replace(carrier(), title="a name that somebody typed, and that is as long as a field allows it to b (c7)")],
        [replace(carrier(), seen=(), references=())],
        [replace(carrier(), group=GROUP), replace(carrier(), title="concept 7", group=GROUP), carrier("bird")],
        [replace(carrier(), seen=(view(size=(64, 24)), view(Kind.UNUSUAL, size=(64, 24))))],
        [replace(carrier(), usual=Loss(score=0.9, value=-0.4, low=-0.8, high=0.0))],
        [replace(carrier(), usual=Loss(score=0.9, value=0.1, low=nan, high=nan), cut=(0.1, nan, nan))],
        [replace(carrier(), relevance_share=nan)],
    ],
)
def test_nothing_overlaps_and_nothing_leaves_the_figure(carriers: list[CarrierView]) -> None:
    figure = carriers_figure(carriers, "audit · a network with a long name · a set of photographs with a long name")
    figure.canvas.draw()
    boxes = _boxes(figure)
    for (what, one), (other_what, other) in combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        up = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert across <= SLACK or up <= SLACK, (what, other_what)
    for what, box in boxes:
        assert box.x0 >= 0, what
        assert box.y0 >= 0, what
        assert box.x1 <= figure.bbox.width, what
        assert box.y1 <= figure.bbox.height, what
    drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    assert 0 <= drawn.x0 <= drawn.x1 <= width
    assert 0 <= drawn.y0 <= drawn.y1 <= height


def test_a_carrier_is_said_with_its_numbers_and_another_is_not_called_one() -> None:
    found = texts(carriers_figure([carrier(), carrier("bird", is_carrier=False)], "t"))
    told = " ".join(found)
    assert "kite needs its context" in found
    assert "without it the score falls by 0.37" in found
    assert told.count("without it the fall is smaller by 0.12 (0.04 to 0.21)") == 2
    assert told.count("does not surely carry it") == 1
    assert "71 % of its relevance is gone in pictures without the class" in told
    assert "0.14: 0.90 → 0.76" in found
    assert "\N{MINUS SIGN}0.01: 0.50 → 0.51" in found
    assert "its own picture: 0.93" in found
    assert "without its class: 0.06, lost" in found


def test_a_group_is_told_once_and_of_its_concepts_what_each_does_alone() -> None:
    words = "concepts 50, 7 together carry 0.31 (0.12 to 0.44) of it"
    found = texts(carriers_figure([replace(carrier(), group=words), replace(carrier(), group=words)], "t"))
    assert found.count(words) == 1
    assert " ".join(found).count("without it alone the fall is smaller by 0.12") == 2


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.8, "speaks against it"), (-0.25, "is larger by 25 %"), (0.0, "0 % of its relevance is gone")],
)
def test_relevance_that_turns_or_grows_is_not_called_gone(share: float, words: str) -> None:
    assert words in " ".join(texts(carriers_figure([replace(carrier(), relevance_share=share)], "t")))


def test_a_long_class_below_a_crop_leaves_its_share_whole() -> None:
    """'backgr…1.7 %' for 11.7 % told another number."""
    found = texts(carriers_figure([replace(carrier(), references=(reference(LONG),))], "t"))
    (caption,) = [text for text in found if text.endswith("11.7 %") and text != "11.7 %"]
    assert "…" in caption
    assert "horse 11.7 %" in texts(carriers_figure([replace(carrier(), references=(reference("horse"),))], "t"))


def test_bars_of_all_rows_have_one_scale() -> None:
    """A small loss would look as large as a large one."""
    small = replace(carrier(), usual=Loss(score=0.9, value=0.014, low=0.005, high=0.023))
    figure = carriers_figure([carrier(), small], "t")
    widths = [
        patch.get_width()  # type: ignore[attr-defined]
        for patch in figure.artists
        if getattr(patch, "get_facecolor", lambda: None)() == (0xD1 / 255, 0x66 / 255, 0x1F / 255, 1.0)
    ]
    assert len(widths) == 2
    assert widths[0] == pytest.approx(10 * widths[1])


def test_grounds_of_a_kind_stand_below_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr("lcrp.figures.audit.save", lambda build, *_, **__: drawn.append(build()))
    lost = view(Kind.UNUSUAL, Outcome.GONE, label="without its class")
    draw_grounds(
        tmp_path / "a.png", {"kite": [view(), None, lost], "bird": [view(), view(label=f"without {LONG}"), lost]}, "t"
    )
    figure = drawn[0]
    figure.canvas.draw()
    panels = figure.axes
    assert [axes.axison for axes in panels] == [True, False, True, True, True, True]
    assert panels[2].get_title() == panels[5].get_title() == "without its class\n0.06, lost"
    assert panels[2].title.get_color() != panels[0].title.get_color()
    titles = [axes.title.get_window_extent() for axes in panels[3:]]
    assert all(one.x1 < other.x0 for one, other in pairwise(titles))


def test_the_file_is_written(tmp_path: Path) -> None:
    draw_carriers(tmp_path / "a.png", [carrier("凧")], "t")
    assert imread(tmp_path / "a.png").std() > 0
