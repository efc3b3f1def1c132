"""How wide text is, and how it is made to fit: smaller, on more lines, or without its middle."""

import re
from collections.abc import Sequence
from functools import lru_cache

import matplotlib
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

POINTS_PER_INCH = 72.0
SLACK = 1.04  # hinting at small sizes makes drawn text a little wider than its outlines
LINE_HEIGHT = 1.25  # of the font's size, from one baseline to the next

_WORDS = re.compile(r"[^\s_/-]*[_/-]+|[^\s_/-]+|\s+")  # a line may end after a hyphen, an underscore or a slash


def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a line in inches at a font size in points, in the fonts that are set now."""
    return _width(text, size, weight, tuple(matplotlib.rcParams["font.family"]))


def fitted_size(text: str, width: float, size: float, smallest: float, weight: str = "normal") -> float:
    """Font size, at most `size` and at least `smallest`, at which a line is at most `width` inches wide."""
    needed = SLACK * text_width(text, size, weight)
    return size if needed <= width else max(smallest, size * width / needed)


def line_height(size: float) -> float:
    """Inches from one baseline to the next."""
    return LINE_HEIGHT * size / POINTS_PER_INCH


def wrapped(text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """Lines of at most `width` inches: broken between words, and within a word that is too long for a line."""
    lines: list[str] = []
    line = ""
    for word in _WORDS.findall(text):
        if _fits(line + word.rstrip(), width, size, weight):
            line += word
            continue
        if line.strip():
            lines.append(line.rstrip())
        *full, line = _broken(word.lstrip(), width, size, weight)
        lines += full
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def balanced(lines: Sequence[str], text: str, width: float, size: float, weight: str = "normal") -> list[str]:
    """A text that was wrapped to `width` on as many lines of about one length: none holds a lone last word."""
    low, high, best = width / max(1, len(lines)), width, list(lines)
    while high - low > 0.02:
        middle = (low + high) / 2
        tried = wrapped(text, middle, size, weight)
        if len(tried) > len(lines):
            low = middle
        else:
            high, best = middle, tried
    return best


def fitted_lines(
    text: str, width: float, sizes: Sequence[float], most: int, weight: str = "normal"
) -> tuple[float, list[str]]:
    """The largest of the given sizes at which a text takes at most so many lines, and these.

    If no size is small enough, the middle is left out at the smallest.
    """
    for size in sizes:
        lines = wrapped(text, width, size, weight)
        if len(lines) <= most:
            return size, lines
    size, kept = sizes[-1], len(text)
    while len(lines) > most:
        kept -= max(1, kept // 16)
        lines = wrapped(_without_middle(text, kept), width, size, weight)
    return size, lines


def shortened(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Text whose middle is left out ('…') until it is at most `width` inches wide."""
    if _fits(text, width, size, weight):
        return text
    fits, fails = 0, len(text)  # characters kept
    while fails - fits > 1:
        kept = (fits + fails) // 2
        if _fits(_without_middle(text, kept), width, size, weight):
            fits = kept
        else:
            fails = kept
    return _without_middle(text, fits)


def _fits(text: str, width: float, size: float, weight: str) -> bool:
    return SLACK * text_width(text, size, weight) <= width


def _broken(word: str, width: float, size: float, weight: str) -> list[str]:
    pieces: list[str] = [""]
    for character in word:
        if pieces[-1] and not _fits(pieces[-1] + character, width, size, weight):
            pieces.append("")
        pieces[-1] += character
    return pieces


def _without_middle(text: str, kept: int) -> str:
    head = (kept + 1) // 2
    return f"{text[:head].rstrip()}…{text[len(text) - (kept - head) :].lstrip()}"


@lru_cache(maxsize=8192)
def _width(text: str, size: float, weight: str, families: tuple[str, ...]) -> float:
    if not text.strip():
        return 0.3 * size * len(text) / POINTS_PER_INCH
    path = TextPath((0.0, 0.0), text, size=size, prop=FontProperties(family=list(families), weight=weight))
    return float(path.vertices[:, 0].max(initial=0.0)) / POINTS_PER_INCH
