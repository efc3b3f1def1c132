"""Top tables: the best entries of every concept, in one exact total order.

An entry is better than another if its score is higher, then if its sample, its class and its item are
lower. Merging is a pure function of the set of entries: any order and any split gives the same bits.

Axes: ... leading axes (C concept, or K class and C concept), N rank, M candidate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lcrp.values import devices
from lcrp.values.statistics import TopTable
from lcrp.values.target import Target

_PADDING_KEY = torch.iinfo(torch.int64).max
_PADDING_SCORE = -torch.inf
_FIELD_BITS = 16  # of class and item; the sample takes the 31 bits above them
_FIELD_MASK = (1 << _FIELD_BITS) - 1
_MAX_SAMPLE = (1 << 31) - 2
_MAX_FIELD = _FIELD_MASK - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Entries of every concept on a device, best first, padded.

    Attributes:
        score: [..., N] float32, minus infinity where there is no entry.
        key: [..., N] int64, sample, class and item in one number whose order is theirs.
        peak: [..., N] int32, -1 where there is no entry.
    """

    score: torch.Tensor
    key: torch.Tensor
    peak: torch.Tensor

    @classmethod
    def empty(cls, *shape: int, device: torch.device) -> "Ranked":
        """Table without entries of shape [..., N]."""
        return cls(
            score=torch.full(shape, _PADDING_SCORE, dtype=torch.float32, device=device),
            key=torch.full(shape, _PADDING_KEY, dtype=torch.int64, device=device),
            peak=torch.full(shape, -1, dtype=torch.int32, device=device),
        )

    def copy(self) -> "Ranked":
        """The same entries in memory of their own."""
        return Ranked(score=self.score.clone(), key=self.key.clone(), peak=self.peak.clone())

    def __getitem__(self, index: torch.Tensor) -> "Ranked":
        """Some rows of the first axis (a copy), by an index of any shape or a mask."""
        if index.dtype == torch.bool:
            index = index.nonzero()[:, 0]
        flat, shape = index.flatten(), (*index.shape, *self.score.shape[1:])
        score, key, peak = (values.index_select(0, flat).view(shape) for values in (self.score, self.key, self.peak))
        return Ranked(score=score, key=key, peak=peak)

    def write(self, index: torch.Tensor, rows: "Ranked") -> None:
        """Replace some rows of the first axis, in place."""
        flat, width = index.flatten(), self.score.shape[1:]
        for values, new in ((self.score, rows.score), (self.key, rows.key), (self.peak, rows.peak)):
            values.index_copy_(0, flat, new.reshape(-1, *width))

    def flattened(self) -> "Ranked":
        """The table [K, C, N] as [K * C, N]."""
        return Ranked(score=self.score.flatten(0, 1), key=self.key.flatten(0, 1), peak=self.peak.flatten(0, 1))

    def extended(self, num_rows: int) -> "Ranked":
        """The table [R, N] with empty rows appended up to `num_rows`."""
        more = Ranked.empty(num_rows - len(self.score), self.score.shape[1], device=self.score.device)
        return Ranked(
            score=torch.cat((self.score, more.score)),
            key=torch.cat((self.key, more.key)),
            peak=torch.cat((self.peak, more.peak)),
        )


def entry_keys(targets: Sequence[Target], device: torch.device) -> torch.Tensor:
    """Keys [M] int64 of targets, ordered as (sample, class, item); class and item may be -1.

    Raises:
        ValueError: a number does not fit: samples up to 2^31 - 2, classes and items up to 65534.
    """
    return devices.sent(torch.tensor([_key(target) for target in targets], dtype=torch.int64), device)


def _key(target: Target) -> int:
    sample, class_id, item = target.sample, target.class_id, target.item
    if not (0 <= sample <= _MAX_SAMPLE and -1 <= class_id <= _MAX_FIELD and -1 <= item <= _MAX_FIELD):
        raise ValueError(f"cannot rank {target}: samples go up to {_MAX_SAMPLE}, classes and items to {_MAX_FIELD}")
    return sample << 2 * _FIELD_BITS | (class_id + 1) << _FIELD_BITS | (item + 1)


def candidates(score: torch.Tensor, peak: torch.Tensor, keys: torch.Tensor, groups: Sequence[Sequence[int]]) -> Ranked:
    """New entries for the concepts of every group of rows.

    Args:
        score: [M, C] finite scores.
        peak: [M, C] flat index of the strongest neuron.
        keys: [M] int64.
        groups: K lists of row numbers, each with ascending keys.

    Returns:
        Entries [K * C, M'], shorter groups padded at the end. A negative zero becomes zero, so that equal
        scores have equal bits.
    """
    num_rows, num_concepts = score.shape
    width = max(len(group) for group in groups)
    spare = num_rows  # number of a row of padding
    rows = torch.tensor([[*group, *[spare] * (width - len(group))] for group in groups])
    index = devices.sent(rows, score.device)
    padding = Ranked.empty(1, num_concepts, device=score.device)

    def grouped(values: torch.Tensor, spare_row: torch.Tensor) -> torch.Tensor:
        return torch.cat((values.to(spare_row.dtype), spare_row))[index].mT.flatten(0, 1)  # [K * C, M']

    return Ranked(
        score=grouped(score, padding.score) + 0.0,
        key=grouped(keys[:, None].expand_as(score), padding.key),
        peak=grouped(peak, padding.peak),
    )


def insert(table: Ranked, rows: torch.Tensor, entries: Ranked) -> None:
    """Merge entries into some rows of a table, in place.

    On CPUs rows that no entry can enter are left alone, which saves time only: the bits are those of `merge`.

    Args:
        table: [R, N], sorted.
        rows: [R'] rows of the table, all different.
        entries: [R', M], as `merge` takes them.
    """
    if not devices.waits(rows):
        best = entries.score.amax(dim=-1)
        is_open = (best >= table.score[rows, -1]) & (best > _PADDING_SCORE)
        rows, entries = rows[is_open], entries[is_open]
    if len(rows) > 0:
        table.write(rows, merge(table[rows], entries, table.score.shape[-1]))


def merge(first: Ranked, second: Ranked, size: int) -> Ranked:
    """Best `size` entries of two tables [..., N1] and [..., N2] with the same leading axes.

    Within one table no key occurs twice, and entries of equal score have ascending keys; a key that occurs in both is
    kept once, with its higher score. Tables one of which comes after all of the other in (sample, class, item) need no
    sorting by these.

    Returns:
        Table [..., size], best first.
    """
    if _comes_after(second, first):
        return _sorted_by_score(_padded(concatenated((first, second), -1), size), size)
    if _comes_after(first, second):
        return _sorted_by_score(_padded(concatenated((second, first), -1), size), size)
    both = _padded(concatenated((first, second), -1), size)
    key, order = both.key.sort(dim=-1, stable=True)
    score = both.score.gather(-1, order)
    score = score.masked_fill(_is_repeated(key, score), _PADDING_SCORE)
    return _sorted_by_score(Ranked(score=score, key=key, peak=both.peak.gather(-1, order)), size)


def _comes_after(second: Ranked, first: Ranked) -> bool:
    """Whether every key of one table is known to be higher than every key of another."""
    if not first.key.numel() or not second.key.numel():
        return True
    if devices.waits(first.key):
        return False
    highest = first.key.masked_fill(first.key == _PADDING_KEY, -1).max()
    return bool(highest < second.key.min())


def _sorted_by_score(entries: Ranked, size: int) -> Ranked:
    """Best `size` entries of a table [..., M] whose entries of equal score are in order."""
    score, order = entries.score.sort(dim=-1, descending=True, stable=True)
    score, order = score[..., :size].contiguous(), order[..., :size]
    is_padding = score == _PADDING_SCORE
    return Ranked(
        score=score,
        key=entries.key.gather(-1, order).masked_fill(is_padding, _PADDING_KEY),
        peak=entries.peak.gather(-1, order).masked_fill(is_padding, -1),
    )


def concatenated(tables: Sequence[Ranked], axis: int) -> Ranked:
    """Tables one after the other along an axis; a single one is not copied."""
    if len(tables) == 1:
        return tables[0]
    return Ranked(
        score=torch.cat([table.score for table in tables], dim=axis),
        key=torch.cat([table.key for table in tables], dim=axis),
        peak=torch.cat([table.peak for table in tables], dim=axis),
    )


def _padded(table: Ranked, size: int) -> Ranked:
    *leading, width = table.score.shape
    if width >= size:
        return table
    return concatenated((table, Ranked.empty(*leading, size - width, device=table.score.device)), -1)


def _is_repeated(key: torch.Tensor, score: torch.Tensor) -> torch.Tensor:
    """Which entries, sorted by key, have a twin that is better, or as good and further left."""
    is_twin = key[..., 1:] == key[..., :-1]
    is_left_kept = score[..., :-1] >= score[..., 1:]
    repeated = torch.zeros_like(key, dtype=torch.bool)
    repeated[..., 1:] |= is_twin & is_left_kept
    repeated[..., :-1] |= is_twin & ~is_left_kept
    return repeated


def top_table(ranked: Ranked) -> TopTable:
    """Table as it is stored: padding has score 0 and indices -1, columns without any entry are cut."""
    score, key, peak = (values.cpu().numpy() for values in (ranked.score, ranked.key, ranked.peak))
    is_entry = key != _PADDING_KEY
    filled = is_entry.sum(axis=-1, dtype=np.int32)
    width = int(filled.max(initial=0))
    is_entry, score, key, peak = (values[..., :width] for values in (is_entry, score, key, peak))

    def field(shift: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
        return np.where(is_entry, (key >> shift & _FIELD_MASK) - 1, -1).astype(np.int32)

    return TopTable(
        score=np.where(is_entry, score, np.float32(0.0)),
        sample=np.where(is_entry, key >> 2 * _FIELD_BITS, -1),
        class_id=field(_FIELD_BITS),
        item=field(0),
        peak=peak.copy(),
        filled=filled,
    )


def ranked(table: TopTable, size: int, device: torch.device) -> Ranked:
    """The inverse of `top_table`: a table [..., size] on a device."""
    is_entry = np.arange(table.score.shape[-1]) < table.filled[..., None]
    key = (
        table.sample.astype(np.int64) << 2 * _FIELD_BITS
        | (table.class_id.astype(np.int64) + 1) << _FIELD_BITS
        | (table.item.astype(np.int64) + 1)
    )
    restored = Ranked(
        score=torch.from_numpy(np.where(is_entry, table.score, np.float32(_PADDING_SCORE)).astype(np.float32)),
        key=torch.from_numpy(np.where(is_entry, key, _PADDING_KEY)),
        peak=torch.from_numpy(np.where(is_entry, table.peak, -1).astype(np.int32)),
    )
    padded = _padded(restored, size)
    return Ranked(score=padded.score.to(device), key=padded.key.to(device), peak=padded.peak.to(device))
