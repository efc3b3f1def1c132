"""The words of a figure."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lcrp.figures import wording
from lcrp.values.explanation import Annotated, Explanation, Lost
from lcrp.values.ledger import Ledger

Make = Callable[..., Explanation]


def test_headline_says_how_much_lies_outside_the_box(make: Make) -> None:
    first, second = wording.headline(make())
    assert first == "boat 0.93 — 41 % of the positive relevance lies outside the box"
    assert second == "(the outside is 78 % of the picture)"


def test_headline_of_a_mask(make: Make) -> None:
    explanation = make()
    explanation = replace(explanation, explained=replace(explanation.explained, box=None, area=300))
    assert wording.headline(explanation)[0].endswith("outside the mask")


def test_headline_of_what_covers_the_whole_picture(make: Make) -> None:
    assert wording.headline(make(outside=0.0, outside_area=0.0)) == ("boat 0.93 — the box covers the whole picture", "")


def test_headline_without_positive_relevance_claims_no_share(make: Make) -> None:
    first, second = wording.headline(make(heatmap=np.full((60, 80), -1.0)))
    assert first == "boat 0.93 — no positive relevance reached the input"
    assert second == ""


def test_source_names_the_picture_and_which_decision_it_is(make: Make) -> None:
    assert wording.source(make()) == "yolov6 · scenes · epsilon_gamma_flat · 00003.png · 2nd most confident boat"
    assert wording.source(make(rank=0)).endswith(" · most confident boat (item 1)")
    masked = make()
    masked = replace(masked, explained=replace(masked.explained, box=None, area=300))
    assert wording.source(masked).endswith(" · 00003.png")


def test_the_layer_says_how_much_of_the_decision_it_carries(make: Make) -> None:
    explanation = make(num_concepts=2)
    assert wording.layer_note(explanation) == (
        "Layer backbone.conv: 62 % of the decision passes through it; 2 of 64 concepts shown: 25 % of that"
    )
    assert not wording.is_hardly_involved(explanation)


@pytest.mark.parametrize(("share", "text"), [(0.028, "3 %"), (0.0, "0 %"), (-0.004, ">\N{MINUS SIGN}1 %")])
def test_a_layer_that_hardly_takes_part_is_warned_of(make: Make, share: float, text: str) -> None:
    explanation = make(layer_share=share)
    assert wording.is_hardly_involved(explanation)
    assert wording.layer_note(explanation).startswith(
        f"⚠ Layer backbone.conv hardly takes part: {text} of the decision passes through it; 2 of 64 concepts shown"
    )


def test_a_layer_that_speaks_against_the_decision_is_warned_of(make: Make) -> None:
    explanation = make(layer_share=-0.64)
    assert wording.is_doubtful(explanation)
    assert not wording.is_hardly_involved(explanation)
    assert wording.layer_note(explanation) == (
        "⚠ Layer backbone.conv as a whole speaks against it: \N{MINUS SIGN}64 % of the decision passes through it; "
        "2 of 64 concepts shown: 25 % of its relevance; relevance for and against cancels: shares are of their sum"
    )


def test_more_than_all_of_a_decision_says_that_signs_cancel(make: Make) -> None:
    """'734 % of the decision passes through it' stood there alone."""
    assert wording.layer_note(make(layer_share=7.34)) == (
        "Layer backbone.conv: 734 % of the decision passes through it; 2 of 64 concepts shown: 25 % of its relevance; "
        "relevance for and against cancels: shares are of their sum"
    )
    assert "cancels" not in wording.layer_note(make(layer_share=1.004))


def test_where_the_relevance_went_is_said_if_it_did_not_reach_the_picture(make: Make) -> None:
    kept = Ledger(seed=1.0, reached=0.0, constants=0.0, stabiliser=1.0, largest=1.0, conserves=True)
    explanation = make(ledger=kept)
    assert wording.layer_note(explanation).endswith(
        "; ⚠ of the decision 0 % reached the picture, the stabiliser took 100 %"
    )
    assert wording.is_doubtful(explanation)
    opposed = make(ledger=replace(kept, reached=1.64, constants=-0.64, stabiliser=0.0), layer_share=2.0)
    assert wording.layer_note(opposed).endswith(
        "; of the decision 164 % reached the picture, biases took \N{MINUS SIGN}64 %; relevance for and against "
        "cancels: shares are of their sum"
    )


def test_headline_of_mostly_negative_relevance_says_so_first(make: Make) -> None:
    """The share of the positive relevance alone stood for all of it."""
    heatmap = np.full((60, 80), -1.0)
    heatmap[0, :40] = 1.0
    explanation = make(heatmap=heatmap)
    assert wording.headline(explanation)[0] == (
        ">99 % of the relevance speaks against it; 41 % of the rest lies outside the box"
    ).replace(">99", "boat 0.93 — 99")
    assert wording.sentence(explanation) == (
        "boat 0.93: 99 % of the relevance speaks against it, 41 % of the rest lies outside"
    )
    covered = make(heatmap=heatmap, outside=0.0, outside_area=0.0)
    assert wording.headline(covered)[0] == (
        "boat 0.93 — the box covers the whole picture; 99 % of the relevance speaks against it"
    )


def test_a_share_that_was_not_measured_is_not_claimed(make: Make) -> None:
    explanation = make(mode="activation", layer_share=float("nan"))
    assert wording.layer_note(explanation) == ("Layer backbone.conv: 2 of 64 concepts shown: 25 % of its activation")
    assert not wording.is_hardly_involved(explanation)


@pytest.mark.parametrize(
    ("annotated", "text"),
    [
        (Annotated(verdict="hit", class_name="boat", overlap=0.83), "✓ hit: annotated as boat (IoU 0.83)"),
        (Annotated(verdict="false alarm"), "✗ false alarm: nothing is annotated here"),
        (
            Annotated(verdict="false alarm", class_name="car", overlap=0.31),
            "✗ false alarm: annotated here is car (IoU 0.31)",
        ),
        (
            Annotated(verdict="false alarm", class_name="boat", overlap=0.31),
            "✗ false alarm: the annotated boat overlaps too little (IoU 0.31)",
        ),
        (Annotated(verdict="unlabelled"), "○ unlabelled: no annotation could tell"),
    ],
)
def test_annotations_give_a_verdict(annotated: Annotated, text: str) -> None:
    assert wording.annotation_verdict(annotated, "boat") == text


def test_concept_title(make: Make) -> None:
    made = make()
    concept = made.concepts[1]
    assert wording.concept_title(concept, "relevance", "box", made.geometry) == (
        "concept 1",
        "12.4 % of the layer's relevance · 63 % outside the box",
    )
    silent = replace(concept, heatmap=np.zeros((60, 80)))
    assert wording.concept_title(silent, "activation", "box", made.geometry)[1] == (
        "12.4 % of the layer's activation · no positive activation"
    )
    assert wording.concept_title(silent, "relevance", "box", made.geometry)[1] == (
        "12.4 % of the layer's relevance · none of it reached the picture"
    )
    opposed = replace(concept, heatmap=concept.heatmap - 2.0)
    assert wording.concept_title(opposed, "relevance", "box", made.geometry)[1].endswith(
        " · >99 % in the picture speaks against; 63 % of the rest outside the box"
    )


def test_a_concept_of_negative_share_speaks_against(make: Make) -> None:
    """Its row stood below 'Concepts that carried it'."""
    made = make()
    for_it, against = made.concepts[0], replace(made.concepts[1], share=-0.02)
    assert wording.concept_title(against, "relevance", "box", made.geometry)[1] == (
        "speaks against: \N{MINUS SIGN}2.0 % of the layer's relevance · 63 % outside the box"
    )
    assert "speaks" not in wording.concept_title(against, "activation", "box", made.geometry)[1]
    headings = [wording.concepts_heading("relevance", shown) for shown in ([for_it], [for_it, against], [against])]
    assert headings == ["Concepts that carried it", "Concepts for and against it", "Concepts against it"]
    assert wording.concepts_heading("activation", [against]) == "Most active concepts"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.001, "<1 %"), (0.41, "41 %"), (0.999, ">99 %"), (1.0, "100 %")]
)
def test_rounding_claims_neither_nothing_nor_all(share: float, text: str) -> None:
    assert wording.percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.124, "12.4 %"),
        (-0.043, "\N{MINUS SIGN}4.3 %"),
        (0.00042, "0.04 %"),
        (0.0, "0.0 %"),
        (2e-6, "<0.01 %"),
        (-2e-6, ">\N{MINUS SIGN}0.01 %"),
    ],
)
def test_shares_are_signed(share: float, text: str) -> None:
    assert wording.share_text(share) == text


@pytest.mark.parametrize(("item", "text"), [(0, "1st"), (1, "2nd"), (2, "3rd"), (3, "4th"), (10, "11th"), (21, "22nd")])
def test_ordinals(item: int, text: str) -> None:
    assert wording.ordinal(item) == text


def test_missing_references_are_told_with_the_reason() -> None:
    """It said that they were not in the dataset, or could not be read."""
    assert wording.missing_note(12, 12, Lost()) == ""
    assert wording.missing_note(2, 12, Lost()) == "2 of 12 references found: it counts in no others that were ranked"
    assert wording.missing_note(2, 4, Lost(unreadable=2)) == (
        "2 of 4 references found: the pictures of 2 cannot be read"
    )
    assert wording.missing_note(2, 12, Lost(unreadable=1, not_found=3)) == (
        "2 of 12 references found: the picture of 1 cannot be read, the decisions of 3 are not found again; it "
        "counts in no others that were ranked"
    )
    assert wording.missing_note(0, 12, Lost()) == "no reference samples"
    assert wording.missing_note(0, 1, Lost(not_found=1)) == (
        "no reference samples: the decision of 1 is not found again"
    )


def test_a_side_is_pushed_and_pulled(make: Make) -> None:
    """'Speaks against it' says nothing of where a box ends."""
    made = make()
    made = replace(made, explained=replace(made.explained, read="left"))
    assert wording.headline(made)[0] == (
        "left side of boat 0.93 — 41 % of what pushes it outwards lies outside the box"
    )
    assert wording.sentence(made) == "left side of boat 0.93: 41 % of what pushes it outwards lies outside"
    assert wording.poles(made) == wording.contrasted(made) == ("inwards", "outwards")
    own, other = made.concepts[0], replace(made.concepts[1], share=-0.02, heatmap=made.concepts[1].heatmap - 2.0)
    titles = [
        wording.concept_title(one, "relevance", "box", made.geometry, ("inwards", "outwards")) for one in (own, other)
    ]
    assert titles[0][1].startswith("outwards: 12.4 %")
    assert titles[1][1].startswith("inwards: 2.0 %")
    assert ">99 % in the picture pulls inwards; " in titles[1][1]
    heading = wording.concepts_heading("relevance", [own, other], wording.contrasted(made))
    assert heading == "Concepts that move the side outwards and inwards"
    pulled = replace(made, heatmap=np.where(np.arange(80) < 70, -1.0, 1.0) * np.ones((60, 80)))
    assert "88 % of the relevance pulls it inwards; " in wording.headline(pulled)[0]


def test_what_is_linearised_claims_no_share_of_a_decision(make: Make) -> None:
    lost = Ledger(seed=1e-3, reached=0.0, constants=1e-3, stabiliser=0.0, largest=1.0, conserves=True)
    made = make(ledger=lost, layer_share=float("nan"))
    made = replace(made, explained=replace(made.explained, read="left", is_linearised=True))
    held = "to first order: the softmax over the side's distances is held constant"
    assert wording.layer_note(made) == f"Layer backbone.conv: 2 of 64 concepts shown: 25 % of its relevance; {held}"
    assert wording.sentence(made).endswith(f" lies outside ({held})")
    assert not wording.is_doubtful(made)
    assert wording.layer_note(replace(made, concepts=())) == held.capitalize()
    assert "cancels" in wording.layer_note(replace(made, explained=replace(made.explained, is_linearised=False)))


def test_a_concept_that_speaks_by_being_low_says_what_the_picture_does(make: Make) -> None:
    """'For dog: 3 %' stood above a map that was all red: its negative value came from biases, against the picture."""
    made = make()
    low = replace(made.concepts[0], share=-0.03, heatmap=np.ones((60, 80)), outside=0.1)
    titles = [
        wording.concept_title(low, "relevance", "box", made.geometry, poles)[1]
        for poles in (None, ("for dog", "for cat"), ("inwards", "outwards"))
    ]
    assert titles[0].endswith(" · 100 % in the picture speaks for it, 10 % of that outside the box")
    assert (
        titles[1]
        == "for dog: 3.0 % of the layer's relevance · 100 % in the picture speaks for cat, 10 % of that outside the box"
    )
    assert titles[2].endswith(" · 100 % in the picture pushes outwards, 10 % of that outside the box")


def test_two_classes_that_are_contrasted_are_named(make: Make) -> None:
    """Red and blue stand for the classes, and not for and against."""
    made = make()
    asked = replace(made.explained, instead="kite", instead_confidence=0.05)
    made = replace(made, explained=asked, heatmap=np.where(np.arange(80) < 70, -1.0, 1.0) * np.ones((60, 80)))
    assert wording.label(made) == "boat 0.93, not kite 0.05"
    assert wording.poles(made) == wording.contrasted(made) == ("for kite", "for boat")
    assert wording.poles(make()) == ("against", "for")
    assert wording.contrasted(make()) is None
    assert wording.headline(made)[0].startswith("boat 0.93, not kite 0.05 — 88 % of the relevance speaks for kite; ")
    assert "88 % of the relevance speaks for kite, " in wording.sentence(made)
    mostly = replace(made, heatmap=np.ones((60, 80)))
    assert wording.headline(mostly)[0].endswith(" — 41 % of what speaks for boat lies outside the box")
    assert wording.sentence(mostly).endswith(": 41 % of what speaks for boat lies outside")
    own, other = made.concepts[0], replace(made.concepts[1], share=-0.02)
    poles = wording.contrasted(made)
    titles = [wording.concept_title(one, "relevance", "box", made.geometry, poles)[1] for one in (own, other)]
    assert titles[0].startswith("for boat: ")
    assert titles[1].startswith("for kite: 2.0 % of the layer's relevance")
    headings = [wording.concepts_heading("relevance", shown, poles) for shown in ([own], [own, other], [other])]
    assert headings == ["Concepts for boat", "Concepts for boat and for kite", "Concepts for kite"]
