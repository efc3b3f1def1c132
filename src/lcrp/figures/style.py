"""How figures are drawn and written, whatever a user's matplotlibrc says."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from lcrp.errors import ConfigError, nearest
from lcrp.figures import wording

_METADATA: dict[str, dict[str, Any]] = {  # no date and no version in a file: equal figures have equal bytes
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(suffix.removeprefix(".") for suffix in _METADATA)
_STYLE: Any = {  # whatever a user's matplotlibrc says
    "font.family": [wording.FONT],
    "svg.hashsalt": "lcrp",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "text.usetex": False,
    "axes.unicode_minus": True,
    "path.simplify": True,
    "savefig.bbox": None,
    "savefig.transparent": False,
}


@contextmanager
def styled() -> Iterator[None]:
    """The style in which figures are made and written."""
    with matplotlib.rc_context(_STYLE):
        yield


def check_formats(paths: Sequence[Path]) -> None:
    """Refuse files that figures cannot be written as.

    Raises:
        ConfigError: a suffix is none of .png, .svg and .pdf.
    """
    for path in paths:
        if path.suffix.lower() not in _METADATA:
            raise ConfigError(
                f"a figure cannot be written as '{path.suffix}' ({path.name}); formats: "
                f"{nearest(path.suffix.removeprefix('.'), FORMATS)}."
            )


def write_figure(figure: Figure, path: Path, *, dpi: int = 200) -> None:
    """Write a figure in the format of its suffix; equal figures give equal bytes.

    Args:
        figure: made within `styled`.
        path: the file.
        dpi: pixels per inch of a PNG.
    """
    figure.savefig(path, dpi=dpi, metadata=_METADATA[path.suffix.lower()], facecolor="white")
