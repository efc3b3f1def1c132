"""The words of a figure."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lcrp.figures import wording
from lcrp.values.explanation import Explanation

Make = Callable[..., Explanation]


def test_headline_says_how_much_lies_outside_the_box(make: Make) -> None:
    first, second = wording.headline(make())
    assert first == "boat 0.93 — 41 % of the positive relevance lies outside the box"
    assert second == "(the outside is 78 % of the picture)"


def test_headline_of_a_mask(make: Make) -> None:
    explanation = make()
    explanation = replace(explanation, explained=replace(explanation.explained, box=None, area=300))
    assert wording.headline(explanation)[0].endswith("outside the mask")


def test_headline_without_positive_relevance_claims_no_share(make: Make) -> None:
    first, second = wording.headline(make(heatmap=np.full((60, 80), -1.0)))
    assert first == "boat 0.93 — no positive relevance reached the input"
    assert second == ""


def test_subtitle_names_layer_sample_and_rank(make: Make) -> None:
    assert wording.subtitle(make()) == (
        "yolov6 · scenes · epsilon_gamma_flat · layer backbone.conv · val/00003 · 2nd boat"
    )


def test_concept_title(make: Make) -> None:
    concept = make().concepts[1]
    assert wording.concept_title(concept, "relevance") == ("concept 1", "12.4 % of relevance · 63 % outside")
    silent = replace(concept, heatmap=np.zeros((60, 80)))
    assert wording.concept_title(silent, "activation")[1] == "12.4 % of activation · no positive activation"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.001, "<1 %"), (0.41, "41 %"), (0.999, ">99 %"), (1.0, "100 %")]
)
def test_rounding_claims_neither_nothing_nor_all(share: float, text: str) -> None:
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.124, "12.4 %"), (-0.043, "\N{MINUS SIGN}4.3 %"), (0.00042, "0.04 %"), (0.0, "0.0 %")]
)
def test_shares_are_signed(share: float, text: str) -> None:
    assert wording.share_text(share) == text


@pytest.mark.parametrize(
    ("item", "text"), [(0, "best"), (1, "2nd"), (2, "3rd"), (3, "4th"), (10, "11th"), (21, "22nd")]
)
def test_ranks(item: int, text: str) -> None:
    assert wording.ordinal(item) == text


def test_missing_references_are_told() -> None:
    assert wording.missing_note(12, 12) == ""
    assert wording.missing_note(5, 12) == "5 of 12 references found"
    assert wording.missing_note(0, 12) == "no reference samples"


def test_long_text_is_shortened_in_the_middle_until_it_fits() -> None:
    text = "backbone.bottom_up.stages.3.blocks.17.attention.projection.conv3"
    short = wording.shortened(text, 1.5, 8.0)
    assert wording.text_width(short, 8.0) <= 1.5
    assert short.startswith("backbone")
    assert short.endswith("conv3")
    assert "…" in short
    assert wording.shortened("conv", 1.5, 8.0) == "conv"


def test_font_size_shrinks_to_fit_but_not_below_the_smallest() -> None:
    text = "a line that is somewhat long"
    size = wording.fitted_size(text, 1.4, 10.0, 5.0)
    assert 5.0 < size < 10.0
    assert wording.text_width(text, size) <= 1.4
    assert wording.fitted_size(text * 9, 1.4, 10.0, 5.0) == 5.0
    assert wording.fitted_size("a", 1.4, 10.0, 5.0) == 10.0


def test_caption_shortens_the_name_and_keeps_the_number() -> None:
    caption = wording.captioned("motorcycle with sidecar", "12.4 %", 0.9, 7.0)
    assert caption.endswith("  12.4 %")
    assert wording.text_width(caption, 7.0) <= 0.95
    assert wording.captioned("", "12.4 %", 0.9, 7.0) == "12.4 %"
