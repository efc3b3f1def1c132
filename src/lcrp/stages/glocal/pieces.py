"""What goes through the network together, of one chunk of a pass after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
        batch: its samples, if they are read by now.
    """

    indices: range
    is_last: bool
    batch: Batch | None = None


def pieces_of(
    subject: Subject, statistics: StatisticsSettings, job: Job, attributor: Attributor, first: int
) -> list[Piece]:
    """The pieces of a job, from sample `first` on."""
    size, transform = statistics.batch_size, subject.dataset.transform
    shape = (size, 3, transform.height, transform.width)
    at_once = images_at_once(shape, attributor.device, takes_one=attributor.takes_one)
    chunks = [range(start, min(start + size, job.span[1])) for start in range(first, job.span[1], size)]
    parts = [(chunk, chunk[start : start + at_once]) for chunk in chunks for start in range(0, len(chunk), at_once)]
    return [Piece(indices=part, is_last=part.stop == chunk.stop) for chunk, part in parts]


def read(
    subject: Subject, statistics: StatisticsSettings, on_error: OnError, pieces: Sequence[Piece], workers: int
) -> Iterator[Piece]:
    """The same pieces with their samples; GPUs get them in one shape."""
    is_on_gpu = subject.explainer.device.type == "cuda"
    batches = batches_of(
        subject.dataset,
        [piece.indices for piece in pieces],
        num_rows=statistics.batch_size if is_on_gpu else None,
        num_workers=workers,
        on_error=on_error,
        pinned=is_on_gpu,
    )
    for piece, batch in zip(pieces, batches, strict=True):
        yield replace(piece, batch=batch)
