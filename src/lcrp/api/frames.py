"""Tables as data frames of pandas, which lcrp does not require."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lcrp.errors import ConfigError

if TYPE_CHECKING:
    from pandas import DataFrame


def frame(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None) -> "DataFrame":
    """A data frame of rows that share their columns.

    Args:
        rows: values by column.
        columns: their names, where there may be no row.

    Raises:
        ConfigError: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise ConfigError("data frames need pandas: pip install pandas") from error
    return pandas.DataFrame([dict(row) for row in rows], columns=None if columns is None else list(columns))
