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
