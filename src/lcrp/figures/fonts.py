"""Fonts: DejaVu Sans, which comes with matplotlib, then whatever this machine has for the characters that it lacks.

A font is found by the characters that it draws, never by a name, so that class names of any script can be read.
"""

import logging
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager, ft2font
from matplotlib.font_manager import FontEntry, FontProperties
from matplotlib.ft2font import FT2Font

FONT = "DejaVu Sans"  # so that figures look the same everywhere
MAX_FALLBACKS = 6  # fonts beside it in one figure
_LAST_RESORT = "Last Resort"  # matplotlib's own, with a frame for every character
_UPRIGHT = ("normal", "italic", "oblique")  # the order in which styles are taken
_MARK, _ISOLATE, _END = "\u200e", "\u2068", "\u2069"  # a line from left to right, a name within it as it runs itself
_STYLE: Any = {
    "text.usetex": False,
    "text.parse_math": False,  # a '$' in a name is a '$'
    "text.hinting": "no_hinting",  # letters as they are measured
    "axes.unicode_minus": True,
}

log = logging.getLogger(__name__)


@contextmanager
def typesetting(texts: Iterable[str] = ()) -> Iterator[None]:
    """Within it, what is measured and drawn has fonts for the characters of these texts.

    Whatever a user's matplotlibrc says. What no font draws is told in the log, once.
    """
    families: Any = {"font.family": [FONT, *_fallbacks(frozenset("".join(texts)))]}
    matplotlib_log = logging.getLogger("matplotlib.font_manager")
    matplotlib_log.addFilter(_is_worth_telling)
    try:
        with matplotlib.rc_context(_STYLE), matplotlib.rc_context(families):
            yield
    finally:
        matplotlib_log.removeFilter(_is_worth_telling)


def undrawable(text: str) -> frozenset[str]:
    """Characters of a text that no font of this machine draws."""
    lacking = _lacking(text)
    return lacking - _drawn_by(_fallbacks(lacking), lacking) if lacking else lacking


def readable(name: str) -> str:
    """A name as it can stand in a line that runs from left to right, in Hebrew or Arabic too.

    Newer versions of matplotlib order such words themselves, if they are told where one ends; for older ones the
    letters are put in the order in which they are seen.
    """
    if not any(unicodedata.bidirectional(character) in ("R", "AL") for character in name):
        return name
    if hasattr(ft2font, "__libraqm_version__"):
        return f"{_MARK}{_ISOLATE}{name}{_END}"
    return name[::-1]


def _is_worth_telling(record: logging.LogRecord) -> bool:
    """Whether a word of matplotlib's is more than that a fallback has no bold letters."""
    return "font weight" not in record.msg


def _lacking(text: str) -> frozenset[str]:
    """Characters that DejaVu Sans does not draw; marks of direction and joiners are no pictures."""
    own = _characters(_path_of(FONT))
    return frozenset(one for one in text if ord(one) not in own and unicodedata.category(one) not in ("Cf", "Cc", "Zs"))


@lru_cache(maxsize=256)
def _fallbacks(characters: frozenset[str]) -> tuple[str, ...]:
    """Families that draw what DejaVu Sans lacks: the one that draws most of it first, then for what is left."""
    left = _lacking("".join(sorted(characters)))
    chosen: list[str] = []
    while left and len(chosen) < MAX_FALLBACKS:
        counts = {name: len(_drawn_by((name,), left)) for name in _families()}
        best = min(counts, key=lambda name: (-counts[name], "Serif" in name, name), default=None)
        if best is None or not counts[best]:
            break
        left -= _drawn_by((best,), left)
        chosen.append(best)
    if left:
        _tell(left)
    return tuple(chosen)


@cache
def _tell(characters: frozenset[str]) -> None:
    shown = "".join(sorted(characters)[:10])
    log.warning(
        "no font of this machine draws '%s'%s: figures show a number or '?' instead; install one that does "
        "(Noto Sans draws nearly all scripts)",
        shown,
        "" if len(characters) <= len(shown) else f" and {len(characters) - len(shown)} other characters",
    )


def _drawn_by(families: tuple[str, ...], characters: frozenset[str]) -> frozenset[str]:
    """Which characters these families draw: they have an outline in it (those of colour fonts are empty)."""
    paths = [_families()[name] for name in families if name in _families()]
    return frozenset(
        one for one in characters if any(ord(one) in _characters(path) and _has_outline(path, one) for path in paths)
    )


@cache
def _families() -> dict[str, Path]:
    """Every family of this machine, with its most upright and most regular font."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:  # installed since matplotlib looked last
            _add(path)
    best: dict[str, FontEntry] = {}
    for entry in font_manager.fontManager.ttflist:
        if entry.name.startswith(_LAST_RESORT):
            continue
        if entry.name not in best or _plainness(entry) < _plainness(best[entry.name]):
            best[entry.name] = entry
    return {name: Path(entry.fname) for name, entry in sorted(best.items())}


def _add(path: str) -> None:
    try:
        font_manager.fontManager.addfont(path)
    except Exception as error:  # fonts fail in many ways: pictures instead of outlines, damage
        log.debug("font %s is left out: %s", Path(path).name, error)


def _plainness(entry: FontEntry) -> tuple[int, int, str]:
    style = _UPRIGHT.index(entry.style) if entry.style in _UPRIGHT else len(_UPRIGHT)
    weight = entry.weight if isinstance(entry.weight, int) else 400
    return style, abs(weight - 400), entry.fname


def _path_of(family: str) -> Path:
    return Path(font_manager.findfont(FontProperties(family=family)))


@cache
def _characters(path: Path) -> frozenset[int]:
    """Code points that a font has."""
    try:
        return frozenset(FT2Font(str(path)).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


@lru_cache(maxsize=4096)
def _has_outline(path: Path, character: str) -> bool:
    font = FT2Font(str(path))
    try:
        font.load_char(ord(character))
        return len(font.get_path()[0]) > 0
    except (OSError, RuntimeError):
        return False
