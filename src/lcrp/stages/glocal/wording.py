"""What a pass says at its end."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import DataError, LcrpError, TargetError
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.paths import shown
from lcrp.values.statistics import TargetLog
from lcrp.values.target import SkippedSample

log = logging.getLogger(__name__)

_LISTED_REASONS = 3
_LISTED_SAMPLES = 3


def nothing_explained(target_log: TargetLog, total: int, subject: Subject, statistics: StatisticsSettings) -> LcrpError:
    """Why a pass ends without a single target."""
    unreadable, skipped = target_log.skipped_samples, target_log.skipped_targets
    name = subject.dataset.name
    if total and len(unreadable) == total:
        return DataError(f"none of the {total} samples of {name} can be read; the first: {unreadable[0].reason}")
    reasons = [f"{count} x {reason}" for reason, count in Counter(one.reason for one in skipped).most_common()]
    if unreadable:
        reasons.append(f"{len(unreadable)} x unreadable ({unreadable[0].reason})")
    listed = "; ".join(reasons[:_LISTED_REASONS]) or f"nothing is {statistics.targets}"
    return TargetError(
        f"{subject.explainer.name} explains nothing of the {total} samples of {name}: {listed}. Do the "
        "checkpoint and the input suit the dataset?"
    )


def summary(target_log: TargetLog, num_samples: int, targets: str, path: Path) -> str:
    """For example ``glocal: 812 targets of 500 samples explained, nothing predicted in 31 samples; written to ...``.

    Args:
        target_log: what was explained and skipped.
        num_samples: that were looked at.
        targets: 'annotated' or 'predicted'.
        path: the file.
    """
    reasons = Counter(one.reason for one in target_log.skipped_targets).most_common()
    parts = [f"{len(target_log.explained)} targets of {num_samples} samples explained"]
    with_targets = {one.target.sample for one in target_log.explained}
    with_targets |= {one.target.sample for one in target_log.skipped_targets}
    num_without = num_samples - len(with_targets) - len(target_log.skipped_samples)
    if num_without:
        parts.append(f"nothing {targets} in {num_without} sample{'s' if num_without > 1 else ''}")
    parts += [f"skipped {count} x {reason}" for reason, count in reasons]
    if target_log.skipped_samples:
        parts.append(_unreadable(target_log.skipped_samples))
    return f"glocal: {', '.join(parts)}; written to {shown(path)}"


def tell_ledger(path: Path) -> None:
    """Log what became of relevance in the decisions that were looked at, as a file says."""
    with StatisticsFile(path, is_part=True) as file:
        moments = file.ledger()
    found = None if moments is None else moments.summary()
    if found is not None:
        log.info("%s", found)


def _unreadable(samples: Sequence[SkippedSample]) -> str:
    """For example ``2 samples could not be read ('a.jpg': picture a.jpg is missing; ...)``."""
    listed = [f"'{one.key}': {one.reason}" for one in samples[:_LISTED_SAMPLES]]
    rest = len(samples) - len(listed)
    more = f"; and {rest} more, all of them in the file" if rest else ""
    count = f"{len(samples)} sample{'s' if len(samples) > 1 else ''}"
    return f"{count} could not be read ({'; '.join(listed)}{more})"
