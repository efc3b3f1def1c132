"""Evidence as it is stored and shown: tables of plain columns (no torch)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of numbers and texts.

    Attributes:
        name: of the table: of its group in HDF5, and of its CSV file.
        columns: name to values [N]: numbers, or texts.
    """

    name: str
    columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]

    def __post_init__(self) -> None:
        lengths = {len(values) for values in self.columns.values()}
        assert len(lengths) <= 1, f"columns of table '{self.name}' differ in length"

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows in order, as plain Python values."""
        columns = (values.tolist() if isinstance(values, np.ndarray) else values for values in self.columns.values())
        return zip(*columns, strict=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One method's mean curves at a layer, each with its standard error.

    Attributes:
        name: of the method.
        flipping: [X] change of the logit, and its standard error, while channels are taken away.
        insertion: the same while they are all that is kept, over what nothing gives.
    """

    name: str
    flipping: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    insertion: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePanel:
    """Curves of all methods at one layer.

    Attributes:
        layer: its name.
        share: [X] share of the channels, from 0 to 1.
        lines: one per method.
    """

    layer: str
    share: npt.NDArray[np.float64]
    lines: tuple[Line, ...]
