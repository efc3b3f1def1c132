"""The concept statistics that a stage builds on."""

from pathlib import Path

from lcrp.decisions.subject import StatisticsSettings, Subject, statistics_key
from lcrp.errors import StoreError
from lcrp.runs.run import Run
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage.location import find_statistics


def statistics_file(
    subject: Subject, statistics: StatisticsSettings, run: Run, *, given: Path | None, is_made: bool
) -> Path:
    """The statistics that fit, or those that are made now.

    Args:
        subject: model, dataset and composite.
        statistics: how the statistics are made.
        run: has the folder of what runs share.
        given: a file that the user names.
        is_made: where none fits, make them first, as stage=glocal does.

    Raises:
        LcrpError: there are none, and none are to be made or can be.
    """
    try:
        return find_statistics(run.output_root, statistics_key(subject, statistics), given=given)
    except StoreError:
        if given is not None or not is_made:
            raise
    return glocal(subject, statistics, GlocalSettings(), run)
