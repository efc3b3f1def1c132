"""The words of a figure, and how they are made to fit."""

from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from lcrp.values.explanation import ConceptExplanation, Explanation

POINTS_PER_INCH = 72.0
SLACK = 1.04  # hinting at small sizes makes drawn text a little wider than its outlines
MINUS = "\N{MINUS SIGN}"
FONT = "DejaVu Sans"  # comes with matplotlib, so that figures look the same everywhere


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
    return (
        f"{label(explanation)} — {percent(explanation.outside)} of the positive relevance lies outside the "
        f"{region(explanation)}",
        f"(the outside is {percent(explanation.outside_area)} of the picture)",
    )


def subtitle(explanation: Explanation) -> str:
    """Where the explanation comes from."""
    target = explanation.explained.target
    parts = (explanation.title, f"layer {explanation.layer}", explanation.explained.key)
    which = "" if explanation.explained.box is None else f"{ordinal(target.item)} {explanation.class_name}"
    return " · ".join(part for part in (*parts, which) if part)


def concept_title(concept: ConceptExplanation, mode: str) -> tuple[str, str]:
    """Name of a concept, and its part in the decision."""
    return f"concept {concept.concept}", (
        f"{share_text(concept.share)} of {mode}"
        + (f" · {percent(concept.outside)} outside" if (concept.heatmap > 0.0).any() else f" · no positive {mode}")
    )


def missing_note(found: int, asked: int) -> str:
    """Why a grid of references has gaps; empty if it has none."""
    if found >= asked:
        return ""
    return f"{found} of {asked} references found" if found else "no reference samples"


def references_note(mode: str) -> str:
    """What the captions of the reference crops say."""
    if mode == "activation":
        return "samples that activate the concept most · share of the activation there"
    return "samples where the concept counts most · class and share of the relevance there"


def percent(share: float) -> str:
    """Whole per cent; '<1 %' and '>99 %' where rounding would claim nothing or all."""
    if 0.0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1.0:
        return ">99 %"
    return f"{100.0 * share:.0f} %"


def share_text(share: float) -> str:
    """Signed share with one decimal, two where it is very small."""
    value = 100.0 * share
    digits = 1 if abs(value) >= 0.095 or value == 0.0 else 2
    return f"{value:.{digits}f} %".replace("-", MINUS)


def ordinal(item: int) -> str:
    """Rank in words for the figure: 'best', '2nd', '3rd' ..."""
    if item == 0:
        return "best"
    place = item + 1
    ending = "th" if 10 <= place % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line in inches at a font size in points."""
    if not text.strip():
        return 0.3 * size * len(text) / POINTS_PER_INCH
    path = TextPath((0.0, 0.0), text, size=size, prop=FontProperties(family=FONT, weight=weight))
    return float(path.get_extents().width) / POINTS_PER_INCH


def fitted_size(text: str, width: float, size: float, smallest: float, weight: str = "normal") -> float:
    """Font size, at most `size` and at least `smallest`, at which a line is at most `width` inches wide."""
    needed = SLACK * text_width(text, size, weight)
    return size if needed <= width else max(smallest, size * width / needed)


def shortened(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Text whose middle is left out ('…') until it is at most `width` inches wide."""
    if SLACK * text_width(text, size, weight) <= width:
        return text
    fits, fails = 0, len(text)  # characters kept
    while fails - fits > 1:
        kept = (fits + fails) // 2
        if SLACK * text_width(_without_middle(text, kept), size, weight) <= width:
            fits = kept
        else:
            fails = kept
    return _without_middle(text, fits)


def captioned(name: str, number: str, width: float, size: float) -> str:
    """Caption of a reference: the name gives way before the number does."""
    if not name:
        return number
    return f"{shortened(name, width - text_width(f'  {number}', size), size)}  {number}"


def _without_middle(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    return f"{text[:head].rstrip()}…{text[len(text) - (kept - head) :].lstrip()}"
