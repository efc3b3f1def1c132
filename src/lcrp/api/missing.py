"""``lcrp.missed``: which annotated objects a network misses, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lcrp.api.data import given_data
from lcrp.api.door import computing, python_words
from lcrp.api.explainers import as_it_stands
from lcrp.api.given import plain_number
from lcrp.api.loading import Model, load
from lcrp.api.measuring import Result
from lcrp.api.passing import subject_of
from lcrp.api.runs import own_run
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError
from lcrp.runs.progress import OnProgress
from lcrp.stages.missed.explained import lacking_of
from lcrp.stages.missed.missed import background_of
from lcrp.stages.missed.missed import missed as missed_stage
from lcrp.stages.missed.settings import MissedSettings
from lcrp.stages.missed.tables import misses_of
from lcrp.stages.missed.wording import sentences
from lcrp.storage.evidence import read_evidence
from lcrp.values.evidence import Table
from lcrp.values.missed import Lacking, Miss

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Missed:
    """What a network missed, and what it found that is not there.

    Attributes:
        folder: where the files lie.
        files: the numbers as HDF5, and each table as CSV.
        tables: by name.
        misses: the objects that no detection found, in the order of the pictures; empty for segmenters, whose regions
            without a pixel are in the table 'misses'.
        sentences: the most important, in words.
        lacking: what would have carried the misses that were explained.
    """

    folder: Path
    files: tuple[Path, ...]
    tables: Mapping[str, Table]
    misses: tuple[Miss, ...]
    sentences: tuple[str, ...]
    lacking: tuple[Lacking, ...] = ()

    def to_dataframe(self, table: str = "misses") -> "DataFrame":
        """One of the tables. Needs pandas.

        Raises:
            ConfigError: there is no such table, or pandas is not installed.
        """
        return Result(folder=self.folder, files=self.files, tables=self.tables).to_dataframe(table)

    def __repr__(self) -> str:
        return "\n".join((*self.sentences, f"tables {', '.join(self.tables)} in {self.folder}"))


def missed(
    model: Model,
    data: object,
    *,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    least_score: float = 0.05,
    class_names: Sequence[str] | None = None,
    min_area: float = 0,
    explained: int | None = 0,
    layer: str | None = None,
    num_samples: int | None = None,
    batch_size: int = 8,
    progress: OnProgress | None = None,
) -> Missed:
    """Which annotated objects a network misses, and why; and what is wrong with its false alarms.

    Detections and objects are matched one to one, by score, at an IoU of 0.5. Every object left over has one mechanism,
    the first that applies: filtered, below threshold, lost to a neighbour (NMS, or too many detections), other class,
    box off, no candidate. Of segmenters: missing pixels by the class that they went to, and regions without any pixel.

    Args:
        model: an explainer, or anything that `load` takes.
        data: annotated, as for `statistics`.
        confidence: of detections, at least; None for the network's own.
        iou: of the NMS, likewise.
        max_detections: likewise.
        least_score: above which a box that is not detected is a candidate for an object.
        class_names: only detections of these classes count, others are filtered; None for all.
        min_area: detections of fewer pixels of the picture are filtered, too; of segmenters, regions of fewer pixels of
            the input do not count.
        explained: so many of the misses of a detector are explained, each with a figure: which concepts carry found
            objects of the class and are weak here, and whether giving them back brings the object; None for all.
        layer: whose concepts are told; None takes, for every miss, the one at which a single concept tells most.
        num_samples: only the first so many samples of the data.
        batch_size: samples per chunk.
        progress: called with (done, total, description, unit); by default a bar in a terminal or notebook.

    Returns:
        The misses, tables and files, in a folder below ``outputs/runs``; what was stopped goes on with the same call,
        unless the data cannot be recognised (see `statistics`).

    Raises:
        LcrpError: a setting makes no sense, or the data is not annotated.

    Example:
        >>> found = lcrp.missed(explainer, "scenes", num_samples=24)
        >>> found.misses[0].mechanism, found.misses[0].candidate
        (<Mechanism...
        >>> found.to_dataframe("mechanisms")
           class ...
    """
    with python_words():
        settings = MissedSettings(
            thresholds=Thresholds(
                confidence=plain_number(confidence), iou=plain_number(iou), max_detections=plain_number(max_detections)
            ),
            least_score=plain_number(least_score),
            class_names=None if class_names is None else _names(class_names),
            min_area=plain_number(min_area),
            explained=plain_number(explained),
            layer=layer,
        )
        explainer = as_it_stands(load(model))
        given = given_data(data, explainer)
        wanted = replace(given.statistics, num_samples=plain_number(num_samples), batch_size=plain_number(batch_size))
        subject = subject_of(explainer, given)
    with computing(explainer.precision), own_run("missed", subject, progress) as run:
        files = missed_stage(subject, wanted, settings, run)
    tables = read_evidence(files[0])
    is_detector = "mechanism" in tables["misses"].columns
    misses = misses_of(tables["misses"], explainer.class_names) if is_detector else ()
    return Missed(
        folder=run.folder,
        files=tuple(files),
        tables=tables,
        misses=misses,
        lacking=lacking_of(tables, misses) if "lacking" in tables else (),
        sentences=tuple(sentences(tables, background_of(explainer.task))),
    )


def _names(given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f"class_names={given!r} is no list of names; write ['boat']")
    return tuple(map(str, given))
