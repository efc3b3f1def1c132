"""What goes through the network together, of one chunk of a pass after the other."""

from collections.abc import Iterator
from dataclasses import dataclass

from lcrp.attribution.engine import Attributor
from lcrp.data.loader import OnError, batches_of
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.decisions.together import images_at_once
from lcrp.stages.glocal.checkpoint import Job
from lcrp.values.sample import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What goes through the network together: a part of a chunk.

    Attributes:
        indices: of its samples.
        is_last: whether the chunk ends with it.
        batch: the samples.
    """

    indices: range
    is_last: bool
    batch: Batch


def pieces_of(
    subject: Subject,
    statistics: StatisticsSettings,
    on_error: OnError,
    job: Job,
    attributor: Attributor,
    first: int,
) -> Iterator[Piece]:
    """The pieces of a job, from sample `first` on; GPUs get them in one shape.

    They are read in one process: a person's dataset may keep a file open, and copies would share the place in it.
    """
    size, transform = statistics.batch_size, subject.dataset.transform
    shape = (size, 3, transform.height, transform.width)
    at_once = images_at_once(shape, attributor.device, takes_one=attributor.takes_one)

    def cut() -> Iterator[tuple[range, bool]]:
        for start in range(first, job.span[1], size):
            chunk = range(start, min(start + size, job.span[1]))
            yield from (
                (chunk[row : row + at_once], row + at_once >= len(chunk)) for row in range(0, len(chunk), at_once)
            )

    is_on_gpu = attributor.device.type == "cuda"
    batches = batches_of(
        subject.dataset,
        (indices for indices, _ in cut()),
        num_rows=size if is_on_gpu else None,
        num_workers=subject.num_workers,
        on_error=on_error,
        pinned=is_on_gpu,
    )
    for (indices, is_last), batch in zip(cut(), batches, strict=True):
        yield Piece(indices=indices, is_last=is_last, batch=batch)
