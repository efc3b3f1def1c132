"""Layout of a statistics file: every name, dtype and version in one place.

/                      format, format_version, complete, config (YAML), config_hash, class_names,
                       dataset_fingerprint, num_samples, coverage; in a checkpoint also threads; where 'auto'
                       stands for a layer also auto_layer, auto_share, auto_decisions
                       (and auto_rules, if the share is of the relevance of other rules);
                       of labelled pictures also data: what was read of them, in words
/targets               one row per explained target, ordered by (sample, class, item); boxes (left, top, right, bottom)
                       and areas of masks are in pixels of the network's input, as its attribute `frame` says
/skipped_targets       one row per target that was not there, and why
/skipped               one row per sample that could not be read, and why
/ledger                moments of what became of the relevance of the decisions looked at, per class: class_ids, count,
                       total and square of the shares that its attribute `shares` names, largest_missing, cancelling
/ledger/decisions      one row per decision looked at: seed, reached, constants, cut, stabiliser, largest, conserves
/layer_names           in the order of the network
/layers/<name>         map_size; moments; four top tables
/records/<name>        [targets, concepts] float16, relevance of every target of /targets (statistics.record)

Columns that say the same everywhere are left out: the class where a table has one row per class, class and
item of activations.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import h5py
import numpy as np

from lcrp.storage.hdf5 import Array, read_array
from lcrp.storage.new_file import NewGroup
from lcrp.values.ledger import SHARES, LedgerMoments
from lcrp.values.statistics import MAX_ITEM, IntArray, LayerStatistics, Moments, TopTable

FORMAT: Final = "lcrp-statistics"
VERSION: Final = 3  # 3: the composite's settings are part of what is explained

TARGETS: Final = "targets"
SKIPPED_TARGETS: Final = "skipped_targets"
SKIPPED_SAMPLES: Final = "skipped"
LEDGER: Final = "ledger"
LEDGERS: Final = "ledger/decisions"
LAYER_NAMES: Final = "layer_names"
LAYERS: Final = "layers"
RECORDS: Final = "records"

_MAP_SIZE: Final = "map_size"
_MOMENTS: Final = "moments"
_MOMENT_COLUMNS: Final = {
    "class_ids": np.int32,
    "count": np.int64,
    "total": np.int64,
    "square_high": np.int64,
    "square_low": np.int64,
}
_LEDGER_COLUMNS: Final = {
    "class_ids": np.int32,
    "count": np.int64,
    "total": np.float64,
    "square": np.float64,
    "largest_missing": np.float64,
    "cancelling": np.int64,
}
_TOP_COLUMNS: Final = {  # dtype on disk: ranking holds samples below 2^31
    "score": np.float32,
    "sample": np.int32,
    "class_id": np.int32,
    "item": np.int32,
    "peak": np.int32,
    "filled": np.int32,
}
_LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {
    "relevance": frozenset(),
    "relevance_by_class": frozenset({"class_id"}),
    "activation": frozenset({"class_id", "item"}),
    "activation_by_class": frozenset({"class_id", "item"}),
}


def write_layer(group: NewGroup, layer: LayerStatistics, *, compress: bool) -> None:
    """Write one layer's statistics into an empty group."""
    group.attrs[_MAP_SIZE] = np.array(layer.map_size, dtype=np.int64)
    _write_columns(group.create_group(_MOMENTS), layer.moments, _MOMENT_COLUMNS, compress)
    for name, left_out in _LEFT_OUT.items():
        columns = {column: dtype for column, dtype in _TOP_COLUMNS.items() if column not in left_out}
        _write_columns(group.create_group(name), getattr(layer, name), columns, compress)


def write_ledger(group: NewGroup, ledger: LedgerMoments) -> None:
    """Write what became of relevance, in sum."""
    group.attrs["shares"] = np.array(SHARES, dtype=h5py.string_dtype())
    _write_columns(group, ledger, _LEDGER_COLUMNS, compress=True)


def read_ledger(group: h5py.Group, *, num_classes: int) -> LedgerMoments:
    """The same.

    Raises:
        ValueError: columns do not fit each other, or name what is not there.
    """
    found = {column: read_array(group, column) for column in _LEDGER_COLUMNS}
    names = [str(name) for name in group.attrs["shares"]]
    for column in ("total", "square"):
        found[column] = _with_shares(found[column], names)
    classes = found["class_ids"]
    rows = classes.shape
    shapes = {column: (*rows, len(SHARES)) if column in ("total", "square") else rows for column in found}
    if len(rows) != 1 or any(found[column].shape != shape for column, shape in shapes.items()):
        raise ValueError(f"columns of '{group.name}' are of different shapes")
    if any(found[column].dtype.kind != np.dtype(dtype).kind for column, dtype in _LEDGER_COLUMNS.items()):
        raise ValueError(f"columns of '{group.name}' are no numbers")
    if (np.diff(classes) <= 0).any() or not _is_within(classes, 0, num_classes):
        raise ValueError(f"'{group.name}' names the classes {classes.tolist()[:5]}, of {num_classes}")
    return LedgerMoments(**found)


def _with_shares(values: Array, names: Sequence[str]) -> Array:
    """Columns of all `SHARES`; zeros for those that an earlier version did not know."""
    if values.ndim != 2 or values.shape[1] != len(names):
        return values
    none = np.zeros(len(values), dtype=values.dtype)
    return np.stack([values[:, names.index(name)] if name in names else none for name in SHARES], axis=1)


def _write_columns(
    group: NewGroup, table: TopTable | Moments | LedgerMoments, columns: Mapping[str, type], compress: bool
) -> None:
    for column, dtype in columns.items():
        group.write_array(column, getattr(table, column).astype(dtype), compress=compress)


def read_layer(group: h5py.Group, *, num_samples: int, num_classes: int) -> LayerStatistics:
    """One layer's statistics as they were written.

    Args:
        group: the layer's.
        num_samples: of the dataset.
        num_classes: of the model.

    Raises:
        ValueError: tables do not fit each other, or name what is not there.
    """
    height, width = (int(side) for side in group.attrs[_MAP_SIZE])
    limits = {"sample": num_samples, "class_id": num_classes, "peak": height * width, "item": MAX_ITEM + 1}
    moments = Moments(**{column: read_array(group[_MOMENTS], column) for column in _MOMENT_COLUMNS})
    no_class = np.array(-1, dtype=np.int32)
    of_row = moments.class_ids[:, None, None]
    layer = LayerStatistics(
        map_size=(height, width),
        relevance=_read_table(group, "relevance", no_class),
        relevance_by_class=_read_table(group, "relevance_by_class", of_row),
        activation=_read_table(group, "activation", no_class),
        activation_by_class=_read_table(group, "activation_by_class", of_row),
        moments=moments,
    )
    _check_moments(group.name, moments, num_classes)
    num_classes_seen, num_concepts = moments.total.shape
    for name in _LEFT_OUT:
        rows = (num_classes_seen, num_concepts) if name.endswith("by_class") else (num_concepts,)
        _check_table(f"{group.name}/{name}", getattr(layer, name), rows, limits)
    return layer


def _check_moments(name: str, moments: Moments, num_classes: int) -> None:
    classes = moments.class_ids
    shape = moments.total.shape
    if moments.square_high.shape != shape or moments.square_low.shape != shape or len(shape) != 2:
        raise ValueError(f"sums of '{name}' are of different shapes")
    if classes.shape != shape[:1] or moments.count.shape != shape[:1]:
        raise ValueError(f"layer '{name}' has sums of {shape[0]} classes and names {classes.shape}")
    if any(getattr(moments, column).dtype.kind != "i" for column in _MOMENT_COLUMNS):
        raise ValueError(f"sums of '{name}' are no whole numbers")
    if (np.diff(classes) <= 0).any() or not _is_within(classes, 0, num_classes):
        raise ValueError(f"layer '{name}' names the classes {classes.tolist()[:5]}, of {num_classes}")


def _check_table(name: str, table: TopTable, rows: tuple[int, ...], limits: Mapping[str, int]) -> None:
    """Whether a table has a row for each of `rows`, and its entries name what there is."""
    shape = table.score.shape
    if table.filled.shape != rows or shape[:-1] != rows or table.score.dtype.kind != "f":
        raise ValueError(f"scores of '{name}' are {table.score.dtype} {shape}")
    if not _is_within(table.filled, 0, shape[-1] + 1):
        raise ValueError(f"table '{name}' has more or fewer entries than places")
    is_entry = np.arange(shape[-1]) < table.filled[..., None]
    if not np.isfinite(table.score).all():
        raise ValueError(f"table '{name}' has scores that are not finite")
    for column, limit in limits.items():
        values = getattr(table, column)
        least = 0 if column in ("sample", "peak") else -1
        if values.shape != shape or values.dtype.kind != "i" or not _is_within(values[is_entry], least, limit):
            raise ValueError(f"column '{name}/{column}' names what there is not")


def _is_within(values: Array, least: int, limit: int) -> bool:
    """Whether all values are from `least` to before `limit`."""
    return not values.size or bool(least <= values.min() and values.max() < limit)


def _read_table(group: h5py.Group, name: str, class_id: IntArray) -> TopTable:
    """A top table; `class_id` stands in where the column is left out."""
    columns: dict[str, Array] = {
        column: read_array(group[name], column) for column in _TOP_COLUMNS if column not in _LEFT_OUT[name]
    }
    score, filled = columns["score"], columns["filled"]
    is_entry = np.arange(score.shape[-1]) < filled[..., None]
    columns.setdefault("class_id", np.where(is_entry, class_id, np.int32(-1)))
    columns.setdefault("item", np.full(score.shape, -1, dtype=np.int32))
    return TopTable(**(columns | {"sample": columns["sample"].astype(np.int64)}))
