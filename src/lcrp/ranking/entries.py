"""Top tables from plain columns of entries, and back (no torch).

Axes: K class, C concept, N rank, M entry of all classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lcrp.values.statistics import Entries, IntArray, TopTable

_COLUMNS = {"score": 0.0, "sample": -1, "class_id": -1, "item": -1, "peak": -1}  # and what stands in padding


def ranked_table(entries: Entries, size: int) -> TopTable:
    """The best `size` entries [C, N] of every concept, in the order of all top tables."""
    nothing = np.full(entries.sample.shape, -1)
    class_id = nothing if entries.class_id is None else entries.class_id
    item = nothing if entries.item is None else entries.item
    score = entries.score + np.float32(0.0)  # turns -0.0 into 0.0
    order = np.lexsort((item, class_id, entries.sample, -score), axis=0)[:size]  # [N, C]

    def column(values: IntArray, dtype: type) -> IntArray:
        return np.take_along_axis(values, order, axis=0).T.astype(dtype, order="C")  # [C, N]

    return TopTable(
        score=np.ascontiguousarray(np.take_along_axis(score, order, axis=0).T),
        sample=column(entries.sample, np.int64),
        class_id=column(class_id, np.int32),
        item=column(item, np.int32),
        peak=column(entries.peak, np.int32),
        filled=np.full(order.shape[1], len(order), dtype=np.int32),
    )


def stacked(tables: Sequence[TopTable]) -> TopTable:
    """Tables [C, N] of different lengths as one [K, C, N]."""
    width = max(table.score.shape[-1] for table in tables)
    columns = {
        name: np.stack(
            [
                np.pad(getattr(table, name), ((0, 0), (0, width - table.score.shape[-1])), constant_values=padding)
                for table in tables
            ]
        )
        for name, padding in _COLUMNS.items()
    }
    return TopTable(**columns, filled=np.stack([table.filled for table in tables]))


def table_entries(table: TopTable) -> Entries:
    """Entries of a table [C, N] in which all concepts have equally many, as every pass over a dataset leaves them."""
    count = int(table.filled.max(initial=0))
    assert (table.filled == count).all(), "concepts with different numbers of entries"
    sample, peak, class_id, item = (
        values[:, :count].T for values in (table.sample, table.peak, table.class_id, table.item)
    )  # [N, C]
    return Entries(sample=sample, score=table.score[:, :count].T, peak=peak, class_id=class_id, item=item)


def class_row(table: TopTable, row: int) -> TopTable:
    """The table [C, N] of one class, from that of all classes [K, C, N]."""
    return TopTable(**{name: getattr(table, name)[row] for name in (*_COLUMNS, "filled")})


def matched_classes(overall: Entries, by_class: Mapping[int, Entries]) -> IntArray:
    """Class of every entry of a table over all classes, found in the tables of the single classes.

    An entry belongs to the class whose table holds the same sample with the same score and neuron. If several classes
    do (a sample in which none of them has relevance, say), they are taken one after the other, the lowest first.

    Returns:
        [N, C], -1 where no class holds the entry.
    """
    found = np.full(overall.sample.shape, -1, dtype=np.int64)
    if not by_class:
        return found
    pool = [by_class[class_id] for class_id in sorted(by_class)]
    classes = np.repeat(sorted(by_class), [len(entries.sample) for entries in pool])  # [M]
    keys = np.ascontiguousarray(np.concatenate([_keys(entries) for entries in pool]).T)  # [C, M]
    peaks = np.ascontiguousarray(np.concatenate([entries.peak for entries in pool]).T)
    is_free, concepts = np.ones(keys.shape, dtype=bool), np.arange(len(keys))
    for rank, (key, peak) in enumerate(zip(_keys(overall), overall.peak, strict=True)):
        is_same = (keys == key[:, None]) & (peaks == peak[:, None]) & is_free
        first = is_same.argmax(axis=1)  # [C]
        is_found = is_same[concepts, first]
        found[rank] = np.where(is_found, classes[first], -1)
        is_free[concepts[is_found], first[is_found]] = False
    return found


def _keys(entries: Entries) -> npt.NDArray[np.int64]:
    """[N, C] sample and score in one number."""
    score = np.ascontiguousarray(entries.score + np.float32(0.0), dtype=np.float32)
    return entries.sample.astype(np.int64) << 32 | score.view(np.uint32)
