"""The concept statistics that a stage builds on."""

from collections.abc import Sequence
from pathlib import Path

from lcrp.decisions.auto import is_auto, layers_of
from lcrp.decisions.subject import StatisticsSettings, Subject, statistics_key
from lcrp.errors import StoreError
from lcrp.runs.run import Run
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.stages.settled import settled
from lcrp.storage.location import find_statistics
from lcrp.storage.statistics import StatisticsFile


def statistics_file(
    subject: Subject,
    statistics: StatisticsSettings,
    run: Run,
    *,
    layers: Sequence[str],
    given: Path | None,
    is_made: bool,
) -> Path:
    """The statistics that fit, or those that are made now.

    Args:
        subject: model, dataset and composite.
        statistics: how the statistics are made.
        run: has the folder of what runs share.
        layers: that it is to hold.
        given: a file that the user names.
        is_made: where none fits, make them first, as stage=glocal does.

    Raises:
        LcrpError: there are none, and none are to be made or can be.
    """
    try:
        path = find_statistics(run.output_root, statistics_key(subject, statistics), given=given)
    except StoreError:
        if given is not None or not is_made:
            raise
    else:
        if given is not None or not is_made or _holds(path, layers):
            return path
    return glocal(subject, statistics, GlocalSettings(), run)


def layers_and_statistics(
    subject: Subject,
    statistics: StatisticsSettings,
    run: Run,
    *,
    layers: Sequence[str],
    given: Path | None,
    is_made: bool,
) -> tuple[Subject, list[str], Path]:
    """The same where 'auto' may be among the patterns of layers: it is what the statistics say that it is.

    Returns:
        The subject that knows what 'auto' stands for, the names of the layers, and the file.
    """
    if is_auto(subject.explainer, layers):
        path = statistics_file(subject, statistics, run, layers=(), given=given, is_made=is_made)
        subject = settled(subject, statistics, run, layers, path=path)
    names = layers_of(subject.explainer, layers)
    return (
        subject,
        names,
        statistics_file(subject, statistics, run, layers=names, given=given, is_made=is_made),
    )


def _holds(path: Path, layers: Sequence[str]) -> bool:
    """Whether layers were ranked; statistics that were made with other settings may be of others."""
    with StatisticsFile(path) as file:
        return set(layers) <= set(file.layer_names)
