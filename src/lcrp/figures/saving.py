"""Figures as files: whatever a user's matplotlibrc says, equal figures have equal bytes."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from lcrp.errors import ConfigError, nearest
from lcrp.figures.fonts import typesetting

_METADATA: dict[str, dict[str, Any]] = {  # no date and no version in a file
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(suffix.removeprefix(".") for suffix in _METADATA)
_STYLE: Any = {
    "svg.hashsalt": "lcrp",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify": True,
    "savefig.bbox": None,
    "savefig.transparent": False,
}


def save(build: Callable[[], Figure], paths: Sequence[Path], *, dpi: int = 200, names: Iterable[str] = ()) -> None:
    """Build a figure and write it in the format of each path's suffix.

    Args:
        build: makes the figure.
        paths: files to write: .png, .svg or .pdf.
        dpi: pixels per inch of a PNG.
        names: what stands in the figure and may be of any script.

    Raises:
        ConfigError: if a suffix is none of these.
    """
    for path in paths:
        if path.suffix.lower() not in _METADATA:
            raise ConfigError(
                f"a figure cannot be written as '{path.suffix}' ({path.name}); formats: "
                f"{nearest(path.suffix.removeprefix('.'), FORMATS)}."
            )
    with matplotlib.rc_context(_STYLE), typesetting(names):
        figure = build()
        for path in paths:
            figure.savefig(path, dpi=dpi, metadata=_METADATA[path.suffix.lower()], facecolor="white")
