"""stage=merge: the statistics of a dataset from those of its shards.

The result is byte for byte that of one pass over all samples, whatever the order and the number of the shards.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

from lcrp.decisions.subject import StatisticsSettings, Subject, statistics_header, statistics_key
from lcrp.errors import InaccessibleError, StoreError, TargetError
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.runs.run import Run
from lcrp.stages.glocal.wording import tell_ledger
from lcrp.storage.location import StatisticsKey, differences_from, shard_path, shard_paths, statistics_path
from lcrp.storage.lock import sole_writer
from lcrp.storage.statistics import StatisticsFile, read_header, write_statistics
from lcrp.storage.target_log import StoredLogs
from lcrp.values.statistics import LayerStatistics, StatisticsHeader

log = logging.getLogger(__name__)

_LISTED_SPANS = 3

Shards = Mapping[Path, StatisticsHeader]
ReadLayer = Callable[[str], LayerStatistics | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSettings:
    """What is merged.

    Attributes:
        shards: files or patterns; None for all shards that lie beside the place of the result.
        output: the file; None for the place where it is found again.
    """

    shards: tuple[Path, ...] | None = None
    output: Path | None = None


def merge(subject: Subject, statistics: StatisticsSettings, settings: MergeSettings, run: Run) -> Path:
    """Merge statistics of different samples into one file.

    Shards that are missing are told; the file can be merged again with them, and is not complete until then.

    Args:
        subject: model, dataset and composite.
        statistics: what was explained and how much was kept.
        settings: which files are merged, and into which.
        run: shows the progress, and has the folder of what runs share.

    Returns:
        The statistics file.

    Raises:
        StoreError: there are no shards, one is damaged or of another configuration, two cover the same samples, or
            nothing can be written.
        TargetError: none of the shards explained anything.
    """
    key = statistics_key(subject, statistics)
    path = statistics_path(run.output_root, key) if settings.output is None else settings.output
    with sole_writer(path):
        headers = {shard: read_header(shard) for shard in _found(path, settings.shards, key)}
        shards = dict(sorted(headers.items(), key=lambda pair: pair[1].coverage))  # in this order it is fastest
        _check(shards, key)
        first = next(iter(shards.values()))
        coverage = [span for header in shards.values() for span in header.coverage]
        chosen = next((one.chosen for one in shards.values() if one.chosen is not None), None)
        header = replace(statistics_header(subject, key, first.num_samples, coverage), chosen=chosen)
        _check_replaced(path, header)
        layers, recorded = _layers_of(shards)
        logs = StoredLogs({shard: one.coverage for shard, one in shards.items()}, recorded)
        sizes = (statistics.top_n, statistics.top_n_per_class)
        with run.progress(len(layers), "merge", "layers") as progress:
            found = merged([partial(_layer_of, shard) for shard in shards], layers, sizes)
            write_statistics(path, header, logs, progress.counted(found))
    log.info("%s", _summary(len(shards), header, path))
    tell_ledger(path)
    return path


def _found(path: Path, given: Sequence[Path] | None, key: StatisticsKey) -> list[Path]:
    if given is None:
        shards = shard_paths(path)
        example = shard_path(path, 0, 2).name
        parts = f"{key.command} shard.count=2 shard.index=0,1 -m"
        mend = f"Make them, '{example}' and another: {parts}" if key.command else ""
    else:
        shards = [shard for pattern in given for shard in sorted(pattern.parent.glob(pattern.name)) or [pattern]]
        mend = "Name files or patterns: stage.shards=[PATH]"
    if not shards:
        raise StoreError(f"there are no shards in '{path.parent}'", mend=mend)
    return list(dict.fromkeys(shards))


def _check(shards: Shards, key: StatisticsKey) -> None:
    """Whether the files are parts of the same pass, and no two of them see the same samples."""
    for path, header in shards.items():
        differing = differences_from(header, key)
        if differing:
            raise StoreError(f"'{path}' is of another configuration: {differing}. Leave it out, or give its settings")
    spans = sorted((span, path) for path, header in shards.items() for span in header.coverage)
    for (before, path), (after, other) in pairwise(spans):
        if after[0] < before[1]:
            raise StoreError(
                f"'{path}' and '{other}' both cover sample {after[0]}: delete those that are left over from another "
                "number of shards, or name those to be merged",
                mend="Set stage.shards=[FILE,...].",
            )


def _check_replaced(path: Path, header: StatisticsHeader) -> None:
    """A complete file is not replaced by one that is not."""
    if header.complete or not path.exists():
        return
    try:
        is_complete = read_header(path).complete
    except InaccessibleError:
        raise
    except StoreError:
        return
    if is_complete:
        message = f"'{path}' is complete, these shards are not; delete it, or name another file"
        raise StoreError(message, mend="Set stage.output.")


def _layers_of(shards: Shards) -> tuple[list[str], list[str]]:
    """Names of the layers, and of those with records; shards without targets have none."""
    found: dict[tuple[str, ...], Path] = {}
    recorded: list[str] = []
    for path in shards:
        with StatisticsFile(path, is_part=True) as file:
            if file.layer_names:
                found.setdefault(file.layer_names, path)
                recorded = [name for name in file.layer_names if name in file.recorded]
    if not found:
        raise TargetError(f"none of the {len(shards)} shards explained anything, '{next(iter(shards))}' for example")
    if len(found) > 1:
        raise StoreError(f"shards have different layers: {', '.join(repr(str(path)) for path in found.values())}")
    return list(next(iter(found))), recorded


def merged(
    shards: Sequence[ReadLayer], layers: Sequence[str], sizes: tuple[int, int]
) -> Iterator[tuple[str, LayerStatistics]]:
    """Layer by layer what all shards found; no more than two shards' layer lies in memory at once.

    Args:
        shards: what each found in a layer, read when it is needed; None where it explained nothing.
        layers: names of the layers, one of which some shard knows each.
        sizes: entries kept per concept, and per concept and class.
    """
    for name in layers:
        total: StatisticsAccumulator | None = None
        for read in shards:
            layer = read(name)
            if layer is None:
                continue
            one = StatisticsAccumulator.from_statistics(
                {name: layer}, top_n=sizes[0], top_n_per_class=sizes[1], device=torch.device("cpu")
            )
            if total is None:
                total = one
            else:
                total.merge(one)
        assert total is not None
        yield from total.results()


def _layer_of(path: Path, name: str) -> LayerStatistics | None:
    with StatisticsFile(path, is_part=True) as file:
        return file.layer(name) if file.layer_names else None


def _summary(count: int, header: StatisticsHeader, path: Path) -> str:
    """For example ``merge: 4 shards, all 500 samples; written to ...``."""
    if header.complete:
        return f"merge: {count} shards, all {header.num_samples} samples; written to {path}"
    lacking = sum(end - start for start, end in header.missing)
    listed = ", ".join(f"{start} to {end - 1}" for start, end in header.missing[:_LISTED_SPANS])
    rest = len(header.missing) - _LISTED_SPANS
    more = f" and {rest} more gaps" if rest > 0 else ""
    return (
        f"merge: {count} shards, {header.num_samples - lacking} of {header.num_samples} samples, incomplete: samples "
        f"{listed}{more} are missing; written to {path}. Make the shards that are missing and merge again"
    )
