"""The words of a figure."""

from math import isnan

from lcrp.values.explanation import Annotated, ConceptExplanation, Explanation

MINUS = "\N{MINUS SIGN}"
HARDLY = 0.10  # of the decision's relevance: a layer through which less passes hardly takes part
LARGELY = 0.5  # share of a decision from which on it is told that biases took it


def label(explanation: Explanation) -> str:
    """What the model said, e.g. 'boat 0.93'."""
    return f"{explanation.class_name} {explanation.explained.confidence:.2f}"


def region(explanation: Explanation) -> str:
    """What the object is delimited by."""
    return "mask" if explanation.explained.box is None else "box"


def has_positive(explanation: Explanation) -> bool:
    """Whether any positive relevance reached the input."""
    return bool((explanation.heatmap > 0.0).any())


def headline(explanation: Explanation) -> tuple[str, str]:
    """The first thing a person wants to know, and what to compare it with."""
    if not has_positive(explanation):
        return f"{label(explanation)} — no positive relevance reached the input", ""
    if explanation.outside_area == 0.0:
        return f"{label(explanation)} — the {region(explanation)} covers the whole picture", ""
    return (
        f"{label(explanation)} — {percent(explanation.outside)} of the positive relevance lies outside the "
        f"{region(explanation)}",
        f"(the outside is {percent(explanation.outside_area)} of the picture)",
    )


def is_hardly_involved(explanation: Explanation) -> bool:
    """Whether so little of the decision passes through the layer that its concepts tell little of it."""
    return explanation.layer_share < HARDLY


def ledger_note(explanation: Explanation) -> str:
    """What the relevance was lost to, where that matters; else nothing."""
    ledger = explanation.ledger
    if ledger is None or not ledger.seed:
        return ""
    if ledger.is_cancelling:
        return "⚠ large relevance for and against cancels: sums and shares tell little"
    taken = ledger.constants / ledger.seed
    return f"biases took {percent(taken)} of the decision" if LARGELY <= taken <= 1 else ""


def layer_note(explanation: Explanation) -> str:
    """How much of the decision the layer carries, how much of that the shown concepts are, what biases took."""
    notes = (_layer_note(explanation), ledger_note(explanation))
    return "; ".join(note for note in notes if note)


def _layer_note(explanation: Explanation) -> str:
    shown = (
        f"{len(explanation.concepts)} of {explanation.num_concepts} concepts shown: {percent(explanation.coverage)} of"
    )
    if isnan(explanation.layer_share):
        return f"Layer {explanation.layer}: {shown} its {explanation.mode}"
    share = percent(explanation.layer_share)
    if is_hardly_involved(explanation):
        return f"⚠ Layer {explanation.layer} hardly takes part: {share} of the decision passes through it; {shown} that"
    return f"Layer {explanation.layer}: {share} of the decision passes through it; {shown} that"


def source(explanation: Explanation) -> str:
    """Where the explanation comes from, and which of the picture's decisions it is."""
    parts = (explanation.title, explanation.source or explanation.explained.key, _which(explanation))
    return " · ".join(part for part in parts if part)


def _which(explanation: Explanation) -> str:
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


def concepts_heading(mode: str) -> str:
    """What the rows are."""
    return "Most active concepts" if mode == "activation" else "Concepts that carried it"


def concept_title(concept: ConceptExplanation, mode: str, outline: str) -> tuple[str, str]:
    """Name of a concept, and its part in the decision."""
    where = (
        f"{percent(concept.outside)} outside the {outline}" if (concept.heatmap > 0.0).any() else f"no positive {mode}"
    )
    return f"concept {concept.concept}", f"{share_text(concept.share)} of the layer's {mode} · {where}"


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


def missing_note(found: int, asked: int) -> str:
    """Why a grid of references has gaps; empty if it has none."""
    if found >= asked:
        return ""
    return (
        f"{found} of {asked} references found; the others are not in the dataset or cannot be read"
        if found
        else "no reference samples"
    )


def percent(share: float) -> str:
    """Whole per cent; '<1 %' and '>99 %' where rounding would claim nothing or all."""
    if 0.0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1.0:
        return ">99 %"
    return f"{100.0 * share:.0f} %".replace("-", MINUS)


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
