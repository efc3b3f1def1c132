"""Statistics files: concept statistics of one pass over a dataset, in HDF5. The layout is in `schema`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np
import numpy.typing as npt
import yaml  # type: ignore[import-untyped]

from lcrp.errors import StoreError, nearest
from lcrp.storage import schema
from lcrp.storage.hdf5 import new_file, open_file, read_array, read_texts, reading, write_array, write_texts
from lcrp.values.statistics import LayerStatistics, StatisticsHeader, TargetLog
from lcrp.values.target import ExplainedTarget, SkippedSample, SkippedTarget, Target

Records = Mapping[str, npt.NDArray[np.float16]]


def write_statistics(
    path: Path,
    header: StatisticsHeader,
    log: TargetLog,
    layers: Iterable[tuple[str, LayerStatistics]],
    *,
    records: Records | None = None,
    compress: bool = True,
) -> None:
    """Write a statistics file; equal content gives equal bytes.

    Args:
        path: the file, replaced at the end in one step.
        header: what the file says of itself.
        log: targets and skips, in any order.
        layers: name and statistics, drawn and written one at a time.
        records: relevance [T, C] per layer; row t belongs to the t-th target of `log.explained`.
        compress: gzip; without it writing is about ten times faster.

    Raises:
        StoreError: nothing can be written there.
    """
    with new_file(path, kind=schema.FORMAT, version=schema.VERSION) as file:
        _write_header(file, header)
        order = sorted(range(len(log.explained)), key=lambda row: log.explained[row].target)
        _write_explained(file.create_group(schema.TARGETS), [log.explained[row] for row in order])
        _write_skipped_targets(file.create_group(schema.SKIPPED_TARGETS), log.skipped_targets)
        _write_skipped_samples(file.create_group(schema.SKIPPED_SAMPLES), log.skipped_samples)
        names = []
        for name, layer in layers:
            schema.write_layer(file.create_group(f"{schema.LAYERS}/{name}"), layer, compress=compress)
            names.append(name)
        write_texts(file, schema.LAYER_NAMES, names)
        for name, record in (records or {}).items():
            in_order = record[order].astype(np.float16)
            write_array(file.require_group(schema.RECORDS), name, in_order, compress=compress)


def read_header(path: Path) -> StatisticsHeader:
    """What a statistics file says of itself, whether it is complete or not.

    Raises:
        StoreError: it is missing, damaged, or no statistics file of this version.
    """
    with open_file(path, kind=schema.FORMAT, version=schema.VERSION) as file:
        return _header(file, path)


class StatisticsFile:
    """A complete statistics file, opened for reading; layers are read when asked for.

    Open one in every process that reads. Used as a context manager, or closed with `close`.

    Args:
        path: the file.
        class_names: the model's class names, if the file must have been made with the same.

    Raises:
        StoreError: the file is missing, damaged, incomplete, of another version, or of other classes.
    """

    def __init__(self, path: Path, *, class_names: Sequence[str] | None = None) -> None:
        self.path = path
        self._file = open_file(path, kind=schema.FORMAT, version=schema.VERSION)
        try:
            self.header = _header(self._file, path)
            _check_header(self.header, path, class_names)
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
                "these, or make statistics of it (statistics.layers)"
            )
        with reading(self.path):
            return schema.read_layer(self._file[f"{schema.LAYERS}/{name}"])

    def targets(self) -> TargetLog:
        """Every explained target by (sample, class, item), and everything that was skipped."""
        with reading(self.path):
            return TargetLog(
                explained=_explained(self._file[schema.TARGETS]),
                skipped_targets=_skipped_targets(self._file[schema.SKIPPED_TARGETS]),
                skipped_samples=_skipped_samples(self._file[schema.SKIPPED_SAMPLES]),
            )

    def record(self, name: str) -> npt.NDArray[np.float16]:
        """Normalised relevance [T, C] of a layer's concepts for every explained target of `targets`.

        Raises:
            StoreError: the file holds no record of this layer.
        """
        with reading(self.path):
            recorded = sorted(self._file.get(schema.RECORDS, {}))
            if name not in recorded:
                raise StoreError(
                    f"'{self.path}' has no record of layer '{name}'; recorded: {nearest(name, recorded)}. "
                    "Set statistics.record=true and run stage=glocal"
                )
            return read_array(self._file[schema.RECORDS], name).astype(np.float16)


def _check_header(header: StatisticsHeader, path: Path, class_names: Sequence[str] | None) -> None:
    if not header.complete:
        raise StoreError(f"'{path}' is incomplete: its run was stopped; run stage=glocal again")
    if class_names is not None and tuple(class_names) != header.class_names:
        differing = sorted(set(class_names).symmetric_difference(header.class_names)) or ["their order"]
        raise StoreError(
            f"'{path}' was made for {len(header.class_names)} classes, the model has {len(class_names)}; they differ "
            f"in {nearest('', differing)}. Run stage=glocal for this model"
        )


def _write_header(file: h5py.File, header: StatisticsHeader) -> None:
    file.attrs["complete"] = header.complete
    file.attrs["config"] = yaml.safe_dump(dict(header.config), sort_keys=True, allow_unicode=True)
    file.attrs["config_hash"] = header.config_hash
    file.attrs["class_names"] = np.array(header.class_names, dtype=h5py.string_dtype())
    file.attrs["dataset_fingerprint"] = header.dataset_fingerprint
    file.attrs["num_samples"] = header.num_samples


def _header(file: h5py.File, path: Path) -> StatisticsHeader:
    with reading(path):
        attributes = dict(file.attrs)
        try:
            config = yaml.safe_load(attributes["config"])
        except yaml.YAMLError as error:
            raise ValueError(f"its config is no YAML ({error})") from error
        return StatisticsHeader(
            config=config,
            config_hash=str(attributes["config_hash"]),
            class_names=tuple(str(name) for name in attributes["class_names"]),
            dataset_fingerprint=str(attributes["dataset_fingerprint"]),
            num_samples=int(attributes["num_samples"]),
            complete=bool(attributes["complete"]),
        )


def _write_targets(group: h5py.Group, targets: Sequence[Target], keys: Sequence[str]) -> None:
    write_array(group, "sample", np.array([target.sample for target in targets], dtype=np.int64))
    write_array(group, "class_id", np.array([target.class_id for target in targets], dtype=np.int32))
    write_array(group, "item", np.array([target.item for target in targets], dtype=np.int32))
    write_texts(group, "key", keys)


def _write_explained(group: h5py.Group, explained: Sequence[ExplainedTarget]) -> None:
    _write_targets(group, [one.target for one in explained], [one.key for one in explained])
    no_box = (np.nan,) * 4
    boxes = np.array([one.box or no_box for one in explained], dtype=np.float64).reshape(-1, 4)
    write_array(group, "score", np.array([one.score for one in explained], dtype=np.float64))
    write_array(group, "confidence", np.array([one.confidence for one in explained], dtype=np.float64))
    write_array(group, "box", boxes)
    areas = [-1 if one.area is None else one.area for one in explained]
    write_array(group, "area", np.array(areas, dtype=np.int64))
    write_array(group, "row", np.array([one.row for one in explained], dtype=np.int64))


def _write_skipped_targets(group: h5py.Group, skipped: Sequence[SkippedTarget]) -> None:
    ordered = sorted(skipped, key=lambda one: (one.target, one.reason))
    _write_targets(group, [one.target for one in ordered], [one.key for one in ordered])
    write_texts(group, "reason", [one.reason for one in ordered])


def _write_skipped_samples(group: h5py.Group, skipped: Sequence[SkippedSample]) -> None:
    ordered = sorted(skipped, key=lambda one: (one.sample, one.reason))
    write_array(group, "sample", np.array([one.sample for one in ordered], dtype=np.int64))
    write_texts(group, "key", [one.key for one in ordered])
    write_texts(group, "reason", [one.reason for one in ordered])


def _targets(group: h5py.Group) -> tuple[list[Target], list[str]]:
    columns = (read_array(group, column).tolist() for column in ("sample", "class_id", "item"))
    numbers = zip(*columns, strict=True)
    targets = [Target(sample=sample, class_id=class_id, item=item) for sample, class_id, item in numbers]
    return targets, read_texts(group, "key")


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
