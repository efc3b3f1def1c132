"""Tables of a statistics file about its targets: what was explained, what was skipped, and why.

They come from one pass, as values, or from several files, row by row. Rows are ordered by sample, then by class and
item; equal rows give equal bytes, wherever they come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from lcrp.storage import schema
from lcrp.storage.hdf5 import Array, encoded_texts, open_file, read_array, read_texts, reading, text_dtype
from lcrp.storage.new_file import NewGroup, Rows
from lcrp.values.ledger import Ledger, LedgerMoments
from lcrp.values.statistics import Span, TargetLog
from lcrp.values.target import ExplainedTarget, SkippedSample, SkippedTarget, Target

Records = Mapping[str, npt.NDArray[np.float16]]

_TEXT: Final = None
_FRAME: Final = "box (left, top, right, bottom) and area: pixels of the network's input, not of the photograph"
_COLUMNS: Final[Mapping[str, Mapping[str, type | None]]] = {
    schema.TARGETS: {
        "sample": np.int64,
        "class_id": np.int32,
        "item": np.int32,
        "key": _TEXT,
        "score": np.float64,
        "confidence": np.float64,
        "box": np.float64,
        "area": np.int64,
        "row": np.int64,
    },
    schema.SKIPPED_TARGETS: {"sample": np.int64, "class_id": np.int32, "item": np.int32, "key": _TEXT, "reason": _TEXT},
    schema.SKIPPED_SAMPLES: {"sample": np.int64, "key": _TEXT, "reason": _TEXT},
    schema.LEDGERS: {
        "sample": np.int64,
        "class_id": np.int32,
        "item": np.int32,
        "seed": np.float64,
        "reached": np.float64,
        "constants": np.float64,
        "cut": np.float64,
        "stabiliser": np.float64,
        "largest": np.float64,
        "conserves": np.bool_,
    },
}


class LogSource(Protocol):
    """Where the rows of a file's tables come from."""

    @property
    def records(self) -> Sequence[str]:
        """Layers whose relevance was recorded for every explained target."""

    def parts(self, table: str, column: str) -> list[Rows]:
        """Rows of one column, or of one layer's record."""


class KnownLog:
    """The log of one pass.

    Args:
        log: targets and skips, in any order.
        records: relevance [T, C] per layer; row t belongs to the t-th target of `log.explained`.
    """

    def __init__(self, log: TargetLog, records: Records) -> None:
        order = sorted(range(len(log.explained)), key=lambda row: log.explained[row].target)
        self._tables: dict[str, dict[str, Array]] = {
            schema.TARGETS: _explained_columns([log.explained[row] for row in order]),
            schema.SKIPPED_TARGETS: _skipped_target_columns(log.skipped_targets),
            schema.SKIPPED_SAMPLES: _skipped_sample_columns(log.skipped_samples),
            schema.LEDGERS: _ledger_columns(log.ledgers),
            schema.RECORDS: {name: record[order] for name, record in records.items()},
        }
        self.records = tuple(records)

    def parts(self, table: str, column: str) -> list[Rows]:
        """The one part."""
        values = self._tables[table][column]
        return [Rows(values, 0, len(values))]


class StoredLogs:
    """The logs of several files that cover different samples; every file is opened for as long as it is read.

    Args:
        coverage: of every file, spans of samples, all of them apart.
        records: layers that every file holds a record of.
    """

    def __init__(self, coverage: Mapping[Path, Sequence[Span]], records: Sequence[str]) -> None:
        self.records = tuple(records)
        self._rows: dict[str, list[tuple[Path, int, int]]] = {}
        for table in _COLUMNS:
            found = []
            for path, spans in coverage.items():
                if table == schema.LEDGERS and not _has(path, f"{table}/cut"):
                    continue
                sample = _StoredColumn.of(path, table, "sample")[:]
                ends = [np.searchsorted(sample, span).tolist() for span in spans]
                found += [(span, path, start, stop) for span, (start, stop) in zip(spans, ends, strict=True)]
            rows = [(path, start, stop) for _, path, start, stop in sorted(found)]
            self._rows[table] = [row for row in rows if row[1] < row[2]] or rows[:1]

    def parts(self, table: str, column: str) -> list[Rows]:
        """The parts of all files, in the order of their samples."""
        rows = self._rows[schema.TARGETS if table == schema.RECORDS else table]
        columns = {path: _StoredColumn.of(path, table, column) for path, _, _ in rows}
        return [Rows(columns[path], start, stop) for path, start, stop in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredColumn:
    """A dataset of a file that is opened for each reading."""

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, path: Path, table: str, column: str) -> "_StoredColumn":
        """The column of a table."""
        name = f"{table}/{column}"
        with _opened(path) as file, reading(path):
            return cls(path=path, name=name, shape=file[name].shape, dtype=file[name].dtype)

    def __getitem__(self, rows: slice) -> Array:
        """Rows as an array."""
        with _opened(self.path) as file, reading(self.path):
            return np.asarray(file[self.name][rows])


def _has(path: Path, column: str) -> bool:
    """Whether a file has a column; those of earlier versions have no ledgers, or not all of their columns."""
    with _opened(path) as file, reading(path):
        return column in file


_opened = partial(open_file, kind=schema.FORMAT, version=schema.VERSION)


def write_log(file: NewGroup, source: LogSource) -> None:
    """Write the tables of targets and skips."""
    for table, columns in _COLUMNS.items():
        group = file.create_group(table)
        if table == schema.TARGETS:
            group.attrs["frame"] = _FRAME
        for column, number in columns.items():
            parts = source.parts(table, column) or [Rows(np.empty(0), 0, 0)]
            dtype = text_dtype([part.source for part in parts]) if number is _TEXT else number
            group.write_rows(column, parts, dtype, compress=True)
    schema.write_ledger(NewGroup(group=file.group[schema.LEDGER], disk=file.disk), _ledger_moments(source))


def write_records(file: NewGroup, source: LogSource, *, compress: bool) -> None:
    """Write the relevance that was recorded."""
    group = file.create_group(schema.RECORDS) if source.records else file
    for name in source.records:
        group.write_rows(name, source.parts(schema.RECORDS, name), np.float16, compress=compress)


def read_log(file: h5py.File) -> TargetLog:
    """All that `write_log` wrote."""
    return TargetLog(
        explained=_explained(file[schema.TARGETS]),
        skipped_targets=_skipped_targets(file[schema.SKIPPED_TARGETS]),
        skipped_samples=_skipped_samples(file[schema.SKIPPED_SAMPLES]),
        ledgers=_ledgers(file[schema.LEDGERS]) if f"{schema.LEDGERS}/cut" in file else (),
    )


def _numbers(targets: Sequence[Target]) -> dict[str, Array]:
    return {
        "sample": np.array([target.sample for target in targets], dtype=np.int64),
        "class_id": np.array([target.class_id for target in targets], dtype=np.int32),
        "item": np.array([target.item for target in targets], dtype=np.int32),
    }


def _target_columns(targets: Sequence[Target], keys: Sequence[str]) -> dict[str, Array]:
    return _numbers(targets) | {"key": encoded_texts(keys)}


def _explained_columns(explained: Sequence[ExplainedTarget]) -> dict[str, Array]:
    no_box = (np.nan,) * 4
    areas = [-1 if one.area is None else one.area for one in explained]
    return _target_columns([one.target for one in explained], [one.key for one in explained]) | {
        "score": np.array([one.score for one in explained], dtype=np.float64),
        "confidence": np.array([one.confidence for one in explained], dtype=np.float64),
        "box": np.array([one.box or no_box for one in explained], dtype=np.float64).reshape(-1, 4),
        "area": np.array(areas, dtype=np.int64),
        "row": np.array([one.row for one in explained], dtype=np.int64),
    }


def _skipped_target_columns(skipped: Sequence[SkippedTarget]) -> dict[str, Array]:
    ordered = sorted(skipped, key=lambda one: (one.target, one.reason))
    columns = _target_columns([one.target for one in ordered], [one.key for one in ordered])
    return columns | {"reason": encoded_texts([one.reason for one in ordered])}


def _skipped_sample_columns(skipped: Sequence[SkippedSample]) -> dict[str, Array]:
    ordered = sorted(skipped, key=lambda one: (one.sample, one.reason))
    return {
        "sample": np.array([one.sample for one in ordered], dtype=np.int64),
        "key": encoded_texts([one.key for one in ordered]),
        "reason": encoded_texts([one.reason for one in ordered]),
    }


def _ledger_columns(ledgers: Sequence[tuple[Target, Ledger]]) -> dict[str, Array]:
    ordered = sorted(ledgers, key=lambda pair: pair[0])
    columns = _numbers([target for target, _ in ordered])
    for name, dtype in _COLUMNS[schema.LEDGERS].items():
        if name not in columns:
            columns[name] = np.array([getattr(ledger, name) for _, ledger in ordered], dtype=dtype)
    return columns


def _ledger_moments(source: LogSource) -> LedgerMoments:
    """In sum, what the rows of a source say."""
    columns = {
        name: [
            value
            for part in source.parts(schema.LEDGERS, name)
            for value in part.source[part.start : part.stop].tolist()
        ]
        for name in _COLUMNS[schema.LEDGERS]
    }
    class_ids = columns.pop("class_id")
    return LedgerMoments.of(class_ids, _ledgers_of(columns))


def _ledgers_of(columns: Mapping[str, Sequence[Any]]) -> list[Ledger]:
    names = [field.name for field in fields(Ledger)]
    return [
        Ledger(**dict(zip(names, row, strict=True))) for row in zip(*(columns[name] for name in names), strict=True)
    ]


def _ledgers(group: h5py.Group) -> tuple[tuple[Target, Ledger], ...]:
    columns = {name: read_array(group, name).tolist() for name in _COLUMNS[schema.LEDGERS]}
    return tuple(zip(_numbered(group), _ledgers_of(columns), strict=True))


def _numbered(group: h5py.Group) -> list[Target]:
    columns = (read_array(group, column).tolist() for column in ("sample", "class_id", "item"))
    numbers = zip(*columns, strict=True)
    return [Target(sample=sample, class_id=class_id, item=item) for sample, class_id, item in numbers]


def _targets(group: h5py.Group) -> tuple[list[Target], list[str]]:
    return _numbered(group), read_texts(group, "key")


def _explained(group: h5py.Group) -> tuple[ExplainedTarget, ...]:
    targets, keys = _targets(group)
    columns = (read_array(group, column).tolist() for column in ("score", "confidence", "box", "area", "row"))
    return tuple(
        ExplainedTarget(
            target=target,
            key=key,
            score=score,
            confidence=confidence,
            box=None if np.isnan(box[0]) else tuple(box),
            area=None if area < 0 else area,
            row=row,
        )
        for target, key, score, confidence, box, area, row in zip(targets, keys, *columns, strict=True)
    )


def _skipped_targets(group: h5py.Group) -> tuple[SkippedTarget, ...]:
    rows = zip(*_targets(group), read_texts(group, "reason"), strict=True)
    return tuple(SkippedTarget(target=target, key=key, reason=reason) for target, key, reason in rows)


def _skipped_samples(group: h5py.Group) -> tuple[SkippedSample, ...]:
    rows = zip(read_array(group, "sample").tolist(), read_texts(group, "key"), read_texts(group, "reason"), strict=True)
    return tuple(SkippedSample(sample=sample, key=key, reason=reason) for sample, key, reason in rows)
