"""Statistics files: concept statistics of one pass over a dataset, in HDF5. The layout is in `schema`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt
import yaml  # type: ignore[import-untyped]

from lcrp.errors import StoreError, nearest
from lcrp.storage import schema
from lcrp.storage.hdf5 import open_file, read_array, read_texts, reading
from lcrp.storage.nesting import num_values
from lcrp.storage.new_file import NewGroup, new_file
from lcrp.storage.target_log import KnownLog, Records, StoredLogs, read_log, write_log, write_records
from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.ledger import LedgerMoments
from lcrp.values.statistics import LayerStatistics, StatisticsHeader, TargetLog

_MAX_SETTINGS = 100_000


def write_statistics(
    path: Path,
    header: StatisticsHeader,
    log: TargetLog | StoredLogs,
    layers: Iterable[tuple[str, LayerStatistics]],
    *,
    records: Records | None = None,
    compress: bool = True,
) -> None:
    """Write a statistics file; equal content gives equal bytes.

    Args:
        path: the file, replaced at the end in one step.
        header: what the file says of itself.
        log: targets and skips, in any order; or those of other files, with their records.
        layers: name and statistics, drawn and written one at a time.
        records: relevance [T, C] per layer; row t belongs to the t-th target of `log.explained`.
        compress: gzip; without it writing is about ten times faster.

    Raises:
        StoreError: nothing can be written there.
    """
    with new_file(path, kind=schema.FORMAT, version=schema.VERSION) as file:
        _write_header(file, header)
        source = log if isinstance(log, StoredLogs) else KnownLog(log, records or {})
        write_log(file, source)
        names = []
        for name, layer in layers:
            schema.write_layer(file.create_group(f"{schema.LAYERS}/{name}"), layer, compress=compress)
            names.append(name)
        file.write_texts(schema.LAYER_NAMES, names)
        write_records(file, source, compress=compress)


def read_header(path: Path) -> StatisticsHeader:
    """What a statistics file says of itself, whether it is complete or not.

    Raises:
        StoreError: it is missing, damaged, or no statistics file of this version.
    """
    with open_file(path, kind=schema.FORMAT, version=schema.VERSION) as file:
        return _header(file, path)


class StatisticsFile:
    """A statistics file, opened for reading; layers are read when asked for.

    Open one in every process that reads. Used as a context manager, or closed with `close`.

    Args:
        path: the file.
        class_names: the model's class names, if the file must have been made with the same.
        is_part: whether the file may cover a part of the samples, as those of shards and of stopped runs do.

    Raises:
        StoreError: the file is missing, damaged, incomplete, of another version, or of other classes.
    """

    def __init__(self, path: Path, *, class_names: Sequence[str] | None = None, is_part: bool = False) -> None:
        self.path = path
        self._file = open_file(path, kind=schema.FORMAT, version=schema.VERSION)
        try:
            self.header = _header(self._file, path)
            if not (is_part or self.header.complete):
                raise StoreError(incomplete(path, self.header))
            _check_classes(self.header, path, class_names)
            with reading(path):
                self.layer_names = tuple(read_texts(self._file, schema.LAYER_NAMES))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Nothing more than the constructor did."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; what was read stays valid."""
        self._file.close()

    def layer(self, name: str) -> LayerStatistics:
        """Statistics of one layer.

        Raises:
            StoreError: the file has no such layer, or is damaged there.
        """
        if name not in self.layer_names:
            raise StoreError(
                f"'{self.path}' has no layer '{name}'; nearest: {nearest(name, self.layer_names)}. Choose one of "
                "these, or make statistics of it.",
                mend="Set statistics.layers.",
            )
        with reading(self.path):
            return schema.read_layer(
                self._file[f"{schema.LAYERS}/{name}"],
                num_samples=self.header.num_samples,
                num_classes=len(self.header.class_names),
            )

    def targets(self) -> TargetLog:
        """Every explained target by (sample, class, item), and everything that was skipped."""
        with reading(self.path):
            return read_log(self._file)

    def ledger(self) -> LedgerMoments | None:
        """What became of the relevance of the decisions that were looked at; None in files that do not say.

        Raises:
            StoreError: the file is damaged there.
        """
        with reading(self.path):
            if schema.LEDGER not in self._file:
                return None
            return schema.read_ledger(self._file[schema.LEDGER], num_classes=len(self.header.class_names))

    @property
    def recorded(self) -> tuple[str, ...]:
        """Layers that `record` knows, in order of name."""
        with reading(self.path):
            return tuple(sorted(self._file.get(schema.RECORDS, {})))

    def record(self, name: str) -> npt.NDArray[np.float16]:
        """Normalised relevance [T, C] of a layer's concepts for every explained target of `targets`.

        Raises:
            StoreError: the file holds no record of this layer.
        """
        if name not in self.recorded:
            raise StoreError(
                f"'{self.path}' has no record of layer '{name}'; recorded: {nearest(name, self.recorded)}.",
                mend="Set statistics.record=true and run stage=glocal.",
            )
        with reading(self.path):
            return read_array(self._file[schema.RECORDS], name).astype(np.float16)


def incomplete(path: Path, header: StatisticsHeader) -> str:
    """Says what a file lacks."""
    lacking = sum(end - start for start, end in header.missing)
    return (
        f"'{path}' is incomplete: it lacks {lacking} of {header.num_samples} samples, from sample "
        f"{header.missing[0][0]} on; finish its pass, or make the shards that are missing and merge them"
    )


def _check_classes(header: StatisticsHeader, path: Path, class_names: Sequence[str] | None) -> None:
    if class_names is not None and tuple(class_names) != header.class_names:
        differing = sorted(set(class_names).symmetric_difference(header.class_names)) or ["their order"]
        raise StoreError(
            f"'{path}' was made for {len(header.class_names)} classes, the model has {len(class_names)}; they differ "
            f"in {nearest('', differing)}. Make statistics of this model"
        )


def _write_header(file: NewGroup, header: StatisticsHeader) -> None:
    file.attrs["complete"] = header.complete
    file.attrs["config"] = yaml.safe_dump(dict(header.config), sort_keys=True, allow_unicode=True)
    file.attrs["config_hash"] = header.config_hash
    file.attrs["class_names"] = np.array(header.class_names, dtype=h5py.string_dtype())
    file.attrs["dataset_fingerprint"] = header.dataset_fingerprint
    file.attrs["num_samples"] = header.num_samples
    file.attrs["coverage"] = np.array(header.coverage, dtype=np.int64).reshape(-1, 2)
    if header.threads is not None:
        file.attrs["threads"] = header.threads
    if header.chosen is not None:
        file.attrs["auto_layer"] = header.chosen.name
        file.attrs["auto_share"] = header.chosen.share
        file.attrs["auto_decisions"] = header.chosen.num_decisions
        if header.chosen.rules:
            file.attrs["auto_rules"] = header.chosen.rules
    if header.reading:
        file.attrs["data"] = header.reading


def _header(file: h5py.File, path: Path) -> StatisticsHeader:
    with reading(path):
        attributes = dict(file.attrs)
        try:
            config = yaml.safe_load(attributes["config"])
        except yaml.YAMLError as error:
            raise ValueError(f"its config is no YAML ({error})") from error
        if not isinstance(config, dict) or num_values(config, _MAX_SETTINGS) >= _MAX_SETTINGS:
            raise ValueError(f"its config is no mapping of less than {_MAX_SETTINGS} values")
        header = StatisticsHeader(
            config=config,
            config_hash=str(attributes["config_hash"]),
            class_names=tuple(str(name) for name in attributes["class_names"]),
            dataset_fingerprint=str(attributes["dataset_fingerprint"]),
            num_samples=int(attributes["num_samples"]),
            coverage=tuple((int(start), int(end)) for start, end in attributes["coverage"]),
            threads=int(attributes["threads"]) if "threads" in attributes else None,
            chosen=_chosen(attributes),
            reading=str(attributes.get("data", "")),
        )
        ends = [0, *(place for span in header.coverage for place in span), header.num_samples]
        if ends != sorted(ends):
            raise ValueError(f"its samples {header.coverage} are not spans of {header.num_samples}")
        return header


def _chosen(attributes: Mapping[str, Any]) -> ChosenLayer | None:
    if "auto_layer" not in attributes:
        return None
    return ChosenLayer(
        name=str(attributes["auto_layer"]),
        share=float(attributes["auto_share"]),
        num_decisions=int(attributes["auto_decisions"]),
        rules=str(attributes.get("auto_rules", "")),
    )
