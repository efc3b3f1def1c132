"""Stretches of a dataset that are looked at and kept one by one."""

from collections.abc import Iterator

from lcrp.data.loader import chunks, num_chunks
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.values.sample import Batch

PICTURES_AT_ONCE = 64  # of a stretch


def spans(subject: Subject, statistics: StatisticsSettings) -> list[tuple[int, int]]:
    """First sample and the one after the last of every stretch: whole chunks."""
    size, limit = statistics.batch_size, statistics.num_samples
    total = len(subject.dataset) if limit is None else min(limit, len(subject.dataset))
    step = size * max(1, PICTURES_AT_ONCE // size)
    return [(start, min(start + step, total)) for start in range(0, total, step)]


def batches(subject: Subject, statistics: StatisticsSettings, span: tuple[int, int]) -> Iterator[Batch]:
    """The chunks of a stretch; samples that cannot be read are broken."""
    size = statistics.batch_size
    return chunks(
        subject.dataset,
        batch_size=size,
        num_workers=subject.num_workers,
        on_error="skip",
        indices=range(span[1]),
        first_chunk=span[0] // size,
        end_chunk=num_chunks(span[1], size),
        pinned=subject.explainer.device.type == "cuda",
    )
