"""Evidence files: tables as HDF5, and each as CSV for spreadsheets.

/            format, format_version, title, settings (JSON)
/<table>     one array per column: numbers, or texts as UTF-8
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from lcrp.storage.atomic import replacing
from lcrp.storage.hdf5 import open_file, read_array, read_texts, reading
from lcrp.storage.new_file import new_file
from lcrp.values.evidence import Table

FORMAT: Final = "lcrp-evidence"
VERSION: Final = 1


def write_evidence(path: Path, tables: Sequence[Table], *, title: str, settings: Mapping[str, object]) -> list[Path]:
    """Write tables to `path` (HDF5), and beside it each as '<table>.csv'.

    Returns:
        All files that were written.

    Raises:
        StoreError: nothing can be written there.
    """
    with new_file(path, kind=FORMAT, version=VERSION) as file:
        file.attrs["title"], file.attrs["settings"] = title, json.dumps(settings, sort_keys=True)
        for table in tables:
            group = file.create_group(table.name)
            group.attrs["columns"] = json.dumps(list(table.columns))
            for name, values in table.columns.items():
                array = np.asarray(values)
                if array.dtype.kind == "U":
                    group.write_texts(name, array.tolist())
                else:
                    group.write_array(name, array)
    return [path, *(_write_csv(path.with_name(f"{table.name}.csv"), table) for table in tables)]


def read_evidence(path: Path) -> dict[str, Table]:
    """Tables by name, as they were written.

    Raises:
        StoreError: the file is missing, damaged, or no evidence of this version.
    """
    tables = {}
    with open_file(path, kind=FORMAT, version=VERSION) as file, reading(path):
        for table_name, group in file.items():
            columns: dict[str, Any] = {}
            for name in json.loads(group.attrs["columns"]):
                is_text = group[name].dtype.kind in "SO"
                columns[name] = read_texts(group, name) if is_text else read_array(group, name)
            tables[table_name] = Table(name=table_name, columns=columns)
    return tables


def read_settings(path: Path) -> dict[str, Any]:
    """What determined the tables of a file, as it was written.

    Raises:
        StoreError: the file is missing, damaged, or no evidence of this version.
    """
    with open_file(path, kind=FORMAT, version=VERSION) as file, reading(path):
        found = json.loads(file.attrs["settings"])
        if not isinstance(found, dict):
            raise ValueError("its settings are no mapping")
        return found


def _write_csv(path: Path, table: Table) -> Path:
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows(table.rows())
    return path
