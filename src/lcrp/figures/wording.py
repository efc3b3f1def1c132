"""The words of a figure."""

from collections.abc import Sequence
from math import isnan

from lcrp.figures import missed
from lcrp.values.explanation import MOSTLY, Annotated, ConceptExplanation, Explanation, Lost, against
from lcrp.values.geometry import Geometry
from lcrp.values.shares import CANCEL, MINUS, cancels
from lcrp.values.shares import percent as percent  # of figures, too

SIDES = ("left", "top", "right", "bottom")
INOUT = ("inwards", "outwards")
MOVE = "that move the side "
LINEARISED = "to first order: the softmax over the side's distances is held constant"
HARDLY = 0.10  # of the decision's relevance: a layer through which less passes hardly takes part


def tag(explanation: Explanation) -> str:
    """What the model said, e.g. 'boat 0.93', and what of it is explained if it is not that: 'mask of boat 0.93'."""
    explained = explanation.explained
    if explanation.missed is not None:
        return missed.label(explanation)
    side = " side" if explained.read in SIDES else ""
    what = f"{explained.read}{side} of " if explained.read else ""
    return f"{what}{explanation.class_name} {explained.confidence:.2f}"


def label(explanation: Explanation) -> str:
    """The same, and with which class it is contrasted: 'boat 0.93, not kite 0.05'."""
    explained, own = explanation.explained, tag(explanation)
    if not explained.instead:
        return own
    other = "" if explained.instead_confidence is None else f" {explained.instead_confidence:.2f}"
    return f"{own}, not {explained.instead}{other}"


def is_side(explanation: Explanation) -> bool:
    """Whether a side of a box is explained."""
    return explanation.explained.read in SIDES


def opponent(explanation: Explanation) -> str:
    """What negative relevance does: it speaks against the decision, or for the other class, or moves a side inwards."""
    if is_side(explanation):
        return "pulls it inwards"
    return f"speaks for {explanation.explained.instead}" if explanation.explained.instead else "speaks against it"


def proponent(explanation: Explanation) -> str:
    """What is positive of the relevance."""
    if is_side(explanation):
        return "what pushes it outwards"
    return f"what speaks for {explanation.class_name}" if explanation.explained.instead else "the positive relevance"


def poles(explanation: Explanation) -> tuple[str, str]:
    """What the two colours of a heatmap stand for, the negative one first."""
    if is_side(explanation):
        return INOUT
    instead = explanation.explained.instead
    return (f"for {instead}", f"for {explanation.class_name}") if instead else ("against", "for")


def contrasted(explanation: Explanation) -> tuple[str, str] | None:
    """The poles where two classes are contrasted or a side is moved, else None."""
    return poles(explanation) if explanation.explained.instead or is_side(explanation) else None


def region(explanation: Explanation) -> str:
    """What the object is delimited by."""
    return "box" if explanation.explained.area is None else "mask"


def shown(explanation: Explanation) -> str:
    """What the input shows, of which areas are shares."""
    return "picture" if explanation.geometry.tile is None else "tile"


def sentence(explanation: Explanation) -> str:
    """The headline in few words, e.g. 'boat 0.93: 2 % of the relevance lies outside'."""
    note = linear_note(explanation)
    return f"{_sentence(explanation)} ({note})" if note else _sentence(explanation)


def _sentence(explanation: Explanation) -> str:
    outside = percent(explanation.outside)
    if not has_positive(explanation):
        return f"{label(explanation)}: no positive relevance reached the input"
    if explanation.against >= MOSTLY:
        opposed = percent(explanation.against)
        told = f"{opposed} of the relevance {opponent(explanation)}"
        return f"{label(explanation)}: {told}, {outside} of the rest lies outside"
    of = "the relevance" if contrasted(explanation) is None else proponent(explanation)
    return f"{label(explanation)}: {outside} of {of} lies outside"


def has_positive(explanation: Explanation) -> bool:
    """Whether any positive relevance reached the input."""
    return bool((explanation.heatmap > 0.0).any())


def headline(explanation: Explanation) -> tuple[str, str]:
    """The first thing a person wants to know, and what to compare it with."""
    if explanation.missed is not None:
        return missed.headline(explanation, explanation.missed), ""
    if not has_positive(explanation):
        return f"{label(explanation)} — no positive relevance reached the input", ""
    share, is_against = explanation.against, explanation.against >= MOSTLY
    opposed = f"{percent(share)} of the relevance {opponent(explanation)}" if is_against else ""
    if explanation.outside_area == 0.0:
        opposed = f"; {opposed}" if opposed else ""
        return f"{label(explanation)} — the {region(explanation)} covers the whole {shown(explanation)}{opposed}", ""
    outside = percent(explanation.outside)
    text = f"{opposed}; {outside} of the rest" if opposed else f"{outside} of {proponent(explanation)}"
    return (
        f"{label(explanation)} — {text} lies outside the {region(explanation)}",
        f"(the outside is {percent(explanation.outside_area)} of the {shown(explanation)})",
    )


def is_against(explanation: Explanation) -> bool:
    """Whether the layer as a whole speaks against the decision."""
    return explanation.layer_share < 0.0 and cancels(explanation.layer_share)


def is_hardly_involved(explanation: Explanation) -> bool:
    """Whether so little of the decision passes through the layer that its concepts tell little of it."""
    return explanation.layer_share < HARDLY and not is_against(explanation)


def is_doubtful(explanation: Explanation) -> bool:
    """Whether what the layer shows tells little of the decision."""
    if explanation.missed is not None:
        return False
    is_lost = explanation.ledger is not None and explanation.ledger.is_lost and not explanation.explained.is_linearised
    return is_hardly_involved(explanation) or is_against(explanation) or is_lost


def ledger_note(explanation: Explanation) -> str:
    """What the relevance was lost to, where that matters; else nothing."""
    ledger = explanation.ledger
    if ledger is None or not ledger.seed or explanation.explained.is_linearised:
        return ""
    if ledger.is_cancelling:
        return "⚠ large relevance for and against cancels: sums and shares tell little"
    losses = "" if isnan(explanation.layer_share) else ledger.losses()  # gradients are no relevance
    return f"⚠ of the decision {losses}" if losses and ledger.is_lost else f"of the decision {losses}" if losses else ""


def layer_note(explanation: Explanation) -> str:
    """How much of the decision the layer carries, how much of that the shown concepts are, what biases took."""
    if explanation.missed is not None:
        return missed.note(explanation.missed, explanation.class_name)
    if not explanation.concepts:
        return linear_note(explanation).capitalize()
    notes = [note for note in (_layer_note(explanation), ledger_note(explanation), linear_note(explanation)) if note]
    if cancels(explanation.layer_share) and not any("cancels" in note for note in notes):
        notes.append(CANCEL)
    return "; ".join(notes)


def linear_note(explanation: Explanation) -> str:
    """What is held constant where a side is expected over bins; else nothing."""
    return LINEARISED if explanation.explained.is_linearised else ""


def _layer_note(explanation: Explanation) -> str:
    shown = (
        f"{len(explanation.concepts)} of {explanation.num_concepts} concepts shown: {percent(explanation.coverage)} of"
    )
    if isnan(explanation.layer_share):
        return f"Layer {explanation.layer}: {shown} its {explanation.mode}"
    share = percent(explanation.layer_share)
    if is_against(explanation):
        return (
            f"⚠ Layer {explanation.layer} as a whole {opponent(explanation)}: {share} of the decision passes through "
            f"it; {shown} its relevance"
        )
    if is_hardly_involved(explanation):
        return f"⚠ Layer {explanation.layer} hardly takes part: {share} of the decision passes through it; {shown} that"
    of = "its relevance" if cancels(explanation.layer_share) else "that"
    return f"Layer {explanation.layer}: {share} of the decision passes through it; {shown} {of}"


def source(explanation: Explanation) -> str:
    """Where the explanation comes from, and which of the picture's decisions it is."""
    parts = (explanation.title, explanation.source or explanation.explained.key, _which(explanation))
    return " · ".join(part for part in parts if part)


def _which(explanation: Explanation) -> str:
    if explanation.missed is not None:
        return f"object {explanation.missed.miss.number} of its annotation"
    if explanation.explained.box is None:
        return ""
    place = "most confident" if explanation.rank == 0 else f"{ordinal(explanation.rank)} most confident"
    item = explanation.explained.target.item
    return f"{place} {explanation.class_name}" + (f" (item {item})" if item != explanation.rank else "")


def annotation_verdict(annotated: Annotated, class_name: str) -> str:
    """What the annotation says of a decision, with a sign that is seen at once."""
    if annotated.verdict == "hit":
        return f"✓ hit: annotated as {annotated.class_name} (IoU {annotated.overlap:.2f})"
    if annotated.verdict == "unlabelled":
        return "○ unlabelled: no annotation could tell"
    if not annotated.class_name:
        return "✗ false alarm: nothing is annotated here"
    if annotated.class_name == class_name:
        return f"✗ false alarm: the annotated {class_name} overlaps too little (IoU {annotated.overlap:.2f})"
    return f"✗ false alarm: annotated here is {annotated.class_name} (IoU {annotated.overlap:.2f})"


def concepts_heading(mode: str, concepts: Sequence[ConceptExplanation], poles: tuple[str, str] | None = None) -> str:
    """What the rows are; `poles` of two classes that are contrasted, or of a side."""
    if mode == "activation":
        return "Most active concepts"
    if poles is not None:
        there = {poles[concept.share >= 0.0]: None for concept in concepts}
        return f"Concepts {MOVE * (poles == INOUT)}{' and '.join(there)}"
    against = [concept.share < 0.0 for concept in concepts]
    if not any(against):
        return "Concepts that carried it"
    return "Concepts against it" if all(against) else "Concepts for and against it"


def concept_title(
    concept: ConceptExplanation, mode: str, outline: str, geometry: Geometry, poles: tuple[str, str] | None = None
) -> tuple[str, str]:
    """Name of a concept, and its part in the decision; `poles` of two classes that are contrasted, or of a side."""
    low, high = poles or ("against", "for it")
    verbs = ("pulls", "pushes") if poles == INOUT else ("speaks", "speaks")
    where = _where(concept, mode, outline, geometry, (f"{verbs[0]} {low}", f"{verbs[1]} {high}"))
    sign, share = "speaks against: " if mode == "relevance" and concept.share < 0.0 else "", concept.share
    if mode == "relevance" and poles is not None:
        sign, share = f"{poles[share >= 0.0]}: ", abs(share)
    return concept.title, f"{sign}{share_text(share)} of the layer's {mode} · {where}"


def _where(concept: ConceptExplanation, mode: str, outline: str, geometry: Geometry, does: tuple[str, str]) -> str:
    """Where what passes through a concept lies; what negative and positive relevance does."""
    if mode == "relevance" and not concept.heatmap.any():
        return "none of it reached the picture" if concept.share else "no relevance of this decision passes it"
    outside = percent(concept.outside)
    share = against(concept.heatmap, geometry)
    if not (concept.heatmap > 0.0).any():
        return f"all of it in the picture {does[0]}" if mode == "relevance" else f"no positive {mode}"
    if mode == "relevance" and concept.share < 0.0 and share < 1.0 - MOSTLY:  # the layers before made it negative
        return f"{percent(1.0 - share)} in the picture {does[1]}, {outside} of that outside the {outline}"
    if mode == "relevance" and share >= MOSTLY:
        return f"{percent(share)} in the picture {does[0]}; {outside} of the rest outside the {outline}"
    return f"{outside} outside the {outline}"


def references_heading() -> str:
    """What the reference crops are."""
    return "What each concept looks for elsewhere"


def references_note(mode: str) -> str:
    """How to read the reference crops."""
    if mode == "activation":
        return (
            "samples that activate it most; bright, within the white line: what it saw; below: its share of the "
            "activation there"
        )
    return (
        "samples where it counts most; bright, within the white line: what it saw; below: class, and its share of the "
        "relevance there"
    )


def missing_note(found: int, asked: int, lost: Lost) -> str:
    """Why a grid of references has gaps; empty if it has none.

    Args:
        found: references that are shown.
        asked: references that were asked for.
        lost: what could not be shown.
    """
    if found >= asked:
        return ""
    first = f"{found} of {asked} references found" if found else "no reference samples"
    reasons = [str(lost)] if lost != Lost() else []
    if found and found + lost.unreadable + lost.not_found < asked:
        reasons.append("it counts in no others that were ranked")
    return ": ".join([first, *["; ".join(reasons)] * bool(reasons)])


def share_text(share: float) -> str:
    """Signed share with one decimal, two where it is very small; '<0.01 %' where rounding would claim nothing."""
    value = 100.0 * share
    if 0.0 < abs(value) < 0.005:
        return "<0.01 %" if value > 0.0 else f">{MINUS}0.01 %"
    digits = 1 if abs(value) >= 0.095 or value == 0.0 else 2
    return f"{value:.{digits}f} %".replace("-", MINUS)


def ordinal(place: int) -> str:
    """A place counted from 0 in words: '1st', '2nd', '3rd' ..."""
    number = place + 1
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
