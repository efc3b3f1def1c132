"""Names of any script in a figure."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import matplotlib
import pytest
from matplotlib import font_manager, ft2font
from matplotlib.text import Text

from lcrp.figures import fonts
from lcrp.figures.explanation import explanation_figure
from lcrp.figures.legible import drawable, legible
from lcrp.figures.measure import text_width
from lcrp.figures.sheet import Sheet
from lcrp.values.explanation import Explanation, OtherDecision

Make = Callable[..., Explanation]
CACHED = (fonts._fallbacks, fonts._tell, fonts._families, fonts._characters, fonts._has_outline)
BICYCLE = "自転車"


@pytest.fixture
def own_fonts_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that has no fonts but those of matplotlib, whatever this one has."""
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    for cached in CACHED:
        cached.cache_clear()
    yield
    for cached in CACHED:
        cached.cache_clear()


def lacking_character() -> str:
    """A character that STIX has and DejaVu Sans lacks."""
    ours = fonts._characters(fonts._path_of(fonts.FONT))
    stix = fonts._characters(fonts._path_of("STIXGeneral"))
    return chr(min(code for code in stix - ours if 0x2000 < code < 0xE000))


@pytest.mark.usefixtures("own_fonts_only")
def test_a_character_that_the_font_lacks_is_drawn_by_one_that_has_it() -> None:
    character = lacking_character()
    assert fonts.undrawable(character) == frozenset()
    with fonts.typesetting([f"boat {character}"]):
        assert matplotlib.rcParams["font.family"][0] == fonts.FONT
        assert len(matplotlib.rcParams["font.family"]) == 2
        sheet = Sheet.of_size(4.0, 1.0)
        written = sheet.write(f"boat {character} {character}", 0.1, 0.5, size=12.0)
        sheet.figure.canvas.draw()  # a missing glyph would be a warning, which is an error here
        drawn = written.get_window_extent().width / sheet.figure.dpi
        assert text_width(written.get_text(), 12.0) == pytest.approx(drawn, rel=0.04)
    assert matplotlib.rcParams["font.family"] != [fonts.FONT, "STIXGeneral"]


@pytest.mark.usefixtures("own_fonts_only")
def test_the_fonts_of_a_text_do_not_depend_on_the_order_of_its_characters() -> None:
    character = lacking_character()
    assert fonts._fallbacks(frozenset(f"{character}ab")) == fonts._fallbacks(frozenset(f"ba{character}"))
    assert fonts._fallbacks(frozenset("abc")) == ()


@pytest.mark.usefixtures("own_fonts_only")
def test_a_class_that_no_font_draws_is_told_by_its_number(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Once a frame for every character, and a warning with the path of a source file."""
    other = OtherDecision(class_name=f"{BICYCLE} car", confidence=0.5, box=(1.0, 1.0, 9.0, 9.0), share=0.1)
    explanation = make(class_name=BICYCLE, source=f"{BICYCLE}.jpg", others=(other,), runners_up=((BICYCLE, 0.2),))
    explained = replace(explanation.explained, target=replace(explanation.explained.target, class_id=12))
    with caplog.at_level(logging.WARNING):
        figure = explanation_figure(replace(explanation, explained=explained))
        figure.canvas.draw()
    words = [text.get_text() for text in figure.findobj(Text)]
    assert "#12 0.93" in words
    assert "#12" in words
    assert "??? car 0.50" in words
    assert any("???.jpg" in word for word in words)
    (record,) = caplog.records
    assert record.getMessage().startswith("no font of this machine draws '自車転':")
    assert ".py" not in record.getMessage()


def test_names_that_can_be_drawn_stay(make: Make) -> None:
    explanation = make(class_name="лодка", runners_up=(("βάρκα", 0.2),))
    assert legible(explanation).class_name == "лодка"
    assert legible(explanation).runners_up == (("βάρκα", 0.2),)
    assert drawable("a name\non two lines") == "a name on two lines"


def test_names_from_right_to_left_stand_in_a_line_from_left_to_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fonts.readable("boat") == "boat"
    monkeypatch.setattr(ft2font, "__libraqm_version__", "0.10", raising=False)
    assert fonts.readable("רכב") == "\u200e\u2068רכב\u2069"
    monkeypatch.delattr(ft2font, "__libraqm_version__")
    assert fonts.readable("רכב") == "בכר"


@pytest.mark.parametrize("name", ["قارب شراعي", "רכב"])
def test_a_headline_begins_with_the_name_and_has_no_missing_glyphs(make: Make, name: str) -> None:
    figure = explanation_figure(make(class_name=name, num_references=1))
    figure.canvas.draw()
    assert fonts.readable(name) in figure.texts[0].get_text()
    assert figure.texts[0].get_text().endswith("0.93 — 41 % of the positive relevance lies outside the box")
