"""Explanations that were saved, and their figures."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lcrp.api.explanation import Explanation, PathLike
from lcrp.api.writing import writable
from lcrp.errors import ConfigError
from lcrp.storage.explanation import read_explanation as stored_explanation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def read_explanation(path: PathLike) -> Explanation:
    """An explanation that was saved as .h5, to be drawn again without a model.

    Args:
        path: of the file; those of the command line are read, too.

    Raises:
        StoreError: the file is missing, damaged, or no explanation.

    Example:
        >>> lcrp.read_explanation("boat.h5").save("boat.pdf").name
        'boat.pdf'
    """
    return Explanation(stored_explanation(Path(path)))


def figure(explanation: Explanation, *, num_references: int | None = None) -> "Figure":
    """The figure of an explanation, as a figure of matplotlib that is written or altered as any other.

    Args:
        explanation: from `explain` or `read_explanation`.
        num_references: places for reference samples per concept; a note tells where fewer were found.

    Example:
        >>> lcrp.figure(explanation).savefig("explained.png", dpi=300)
    """
    from lcrp.figures.explanation import explanation_figure

    asked = explanation.num_references if num_references is None else num_references
    return explanation_figure(explanation.value, num_references=asked)


def draw_explanation(
    explanation: Explanation, paths: Sequence[PathLike], *, num_references: int | None = None, dpi: int = 200
) -> None:
    """Draw an explanation and write it in the format of each path's suffix.

    Args:
        explanation: from `explain` or `read_explanation`.
        paths: files to write: .png, .svg or .pdf.
        num_references: places for reference samples per concept; a note tells where fewer were found.
        dpi: pixels per inch of a PNG.

    Raises:
        ConfigError: a suffix is none of these.
        StoreError: nothing can be written there.

    Example:
        >>> lcrp.draw_explanation(explanation, ["explained.png", "explained.svg"])
    """
    from lcrp.figures.explanation import draw_explanation as drawn

    if isinstance(paths, str | os.PathLike):
        raise ConfigError(f"paths='{paths}' is one path; write a list of them: ['{paths}']")
    asked = explanation.num_references if num_references is None else num_references
    targets = [Path(path) for path in paths]
    with writable(targets):
        drawn(explanation.value, targets, num_references=asked, dpi=dpi)
