"""Chunks of a dataset: the unit of compute, checkpoint and shard.

A dataset is cut into chunks of `batch_size` consecutive samples. A chunk depends on the dataset, the batch size and
its number alone: not on how many processes read it, nor on where reading began.
"""

import pickle
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch.utils.data import DataLoader, get_worker_info

from lcrp.data.dataset import Dataset
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import Batch, Sample
from lcrp.values.target import SkippedSample

OnError = Literal["skip", "raise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of several equal parts of a pass, a range of chunks.

    Attributes:
        index: which one, from 0 to count - 1.
        count: of the parts.
    """

    index: int = 0
    count: int = 1

    def chunks(self, total: int) -> range:
        """Numbers of its chunks, of a total; parts differ by one chunk at most."""
        return range(total * self.index // self.count, total * (self.index + 1) // self.count)


def num_chunks(num_samples: int, batch_size: int) -> int:
    """Chunks that `num_samples` samples fill, the last one perhaps in part."""
    return -(-num_samples // batch_size)


def chunks(
    dataset: Dataset,
    *,
    batch_size: int,
    num_workers: int,
    on_error: OnError,
    indices: Sequence[int] | None = None,
    first_chunk: int = 0,
    end_chunk: int | None = None,
    pinned: bool = False,
) -> Iterator[Batch]:
    """The chunks of a dataset, in order.

    Args:
        dataset: the samples.
        batch_size: rows of every chunk; the last one is filled up with zeros.
        num_workers: processes that read ahead; 0 reads in this one.
        on_error: 'skip' lists samples that cannot be read in `Batch.broken`, 'raise' stops at the first.
        indices: the samples that are cut into chunks, in this order; all by default.
        first_chunk: number of the first chunk returned.
        end_chunk: number of the chunk before which to stop; None goes on to the last.
        pinned: put `images` where a GPU can fetch them while it computes.

    Yields:
        Batches whose `images` all have the shape [batch_size, 3, height, width], where inputs are of one size.

    Raises:
        DataError: if a sample cannot be read and `on_error` is 'raise'.
    """
    chosen = range(len(dataset)) if indices is None else indices
    total = num_chunks(len(chosen), batch_size)
    numbers = range(first_chunk, total if end_chunk is None else min(end_chunk, total))
    cut = (chosen[number * batch_size : (number + 1) * batch_size] for number in numbers)
    yield from batches_of(dataset, cut, num_rows=batch_size, num_workers=num_workers, on_error=on_error, pinned=pinned)


def batches_of(
    dataset: Dataset,
    cut: Iterable[Sequence[int]],
    *,
    num_rows: int | None = None,
    num_workers: int,
    on_error: OnError,
    pinned: bool = False,
) -> Iterator[Batch]:
    """Batches of given samples, in order.

    Args:
        dataset: the samples.
        cut: indices of the samples of every batch; asked for as batches are.
        num_rows: of every batch, filled up with zeros; None: as many as it has samples.
        num_workers: as of `chunks`.
        on_error: as of `chunks`.
        pinned: as of `chunks`.

    Raises:
        DataError: as of `chunks`.
    """
    loader = DataLoader(
        _Readable(dataset),
        batch_sampler=(list(indices) for indices in cut),
        num_workers=num_workers,
        pin_memory=pinned,
        worker_init_fn=_leave_signals,
        collate_fn=_Collate(num_rows, dataset.transform),
        generator=torch.Generator(),  # else the loader draws from, and so alters, the global one
    )
    for parcel in loader:
        batch = parcel.unpacked()
        if batch.broken and on_error == "raise":
            first = batch.broken[0]
            raise DataError(
                f"sample {first.sample} '{first.key}': {first.reason}",
                mend="Set stage.on_error=skip to go on without it",
            )
        yield batch


def _leave_signals(worker: int) -> None:  # noqa: ARG001
    """A terminal and a scheduler signal all processes: the main one answers, and ends those that read for it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


class _Readable(torch.utils.data.Dataset[Sample | SkippedSample]):
    """A dataset whose broken samples are values, so that they cross processes without a traceback."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> Sample | SkippedSample:
        try:
            return self.dataset[index]
        except DataError as error:
            return SkippedSample(sample=index, key=self.dataset.key(index), reason=error.without_folder())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parcel:
    """A batch on its way between processes.

    Shared memory costs one file handle per tensor, and a batch's annotations hold hundreds of small ones: all but the
    images travel as bytes.
    """

    images: torch.Tensor
    rest: Batch | bytes

    def pin_memory(self) -> "_Parcel":
        """Called by the loader."""
        return replace(self, images=self.images.pin_memory())

    def unpacked(self) -> Batch:
        rest: Batch = self.rest if isinstance(self.rest, Batch) else pickle.loads(self.rest)
        if not len(self.images):
            return rest
        pairs = zip(rest.samples, rest.rows, strict=True)
        return replace(
            rest, images=self.images, samples=tuple(replace(sample, image=self.images[row]) for sample, row in pairs)
        )


@dataclass(frozen=True, slots=True)
class _Collate:
    """Puts samples into the rows of one batch: so many, or as many as there are."""

    num_rows: int | None
    transform: InputTransform

    def __call__(self, results: list[Sample | SkippedSample]) -> _Parcel:
        good = [(row, result) for row, result in enumerate(results) if isinstance(result, Sample)]
        nothing = images = torch.empty(0)
        if self.transform.is_of_one_size:
            images = torch.zeros(self.num_rows or len(results), 3, self.transform.height, self.transform.width)
            for row, sample in good:
                images[row] = sample.image
        batch = Batch(
            samples=tuple(replace(sample, image=nothing) if len(images) else sample for _, sample in good),
            rows=tuple(row for row, _ in good),
            images=nothing,
            broken=tuple(result for result in results if isinstance(result, SkippedSample)),
        )
        return _Parcel(images=images, rest=batch if get_worker_info() is None else pickle.dumps(batch))
