"""``lcrp.audit``: does a network need the context, and which concepts carry that."""

from collections.abc import Mapping
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
from lcrp.runs.progress import OnProgress
from lcrp.stages.audit.audit import audit as audit_stage
from lcrp.stages.audit.settings import AuditSettings
from lcrp.stages.audit.wording import sentences
from lcrp.storage.evidence import read_evidence
from lcrp.values.evidence import Table

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Audit:
    """Whether classes need their context.

    Attributes:
        folder: where the files lie.
        files: the numbers as HDF5, each table as CSV, and figures.
        tables: by name; 'verdicts' has a row per class.
        sentences: the most important, in words; first a verdict for every class.
    """

    folder: Path
    files: tuple[Path, ...]
    tables: Mapping[str, Table]
    sentences: tuple[str, ...]

    def to_dataframe(self, table: str = "verdicts") -> "DataFrame":
        """One of the tables. Needs pandas.

        Raises:
            ConfigError: there is no such table, or pandas is not installed.
        """
        return Result(folder=self.folder, files=self.files, tables=self.tables).to_dataframe(table)

    def __repr__(self) -> str:
        return "\n".join((*self.sentences, f"tables {', '.join(self.tables)} in {self.folder}"))


def audit(
    model: Model,
    data: object,
    *,
    num_objects: int = 40,
    num_grounds: int = 4,
    num_synthetic: int = 15,
    n_concepts: int = 8,
    seed: int = 0,
    num_samples: int | None = None,
    batch_size: int = 8,
    progress: OnProgress | None = None,
) -> Audit:
    """Does a network need the context? Annotated objects stay, what surrounds them becomes something else.

    Told is, per class, how much less sure the network is of an object in pictures without its class than in usual
    surroundings, with a 95 % interval over pictures and grounds: a class needs its context where all of it lies above
    0.03, false discoveries controlled over classes, at least ten pictures each; and which concepts carry that. It is
    cut out and pasted in all of these, and what is compared is filled at the same places.

    Args:
        model: an explainer, or anything that `load` takes.
        data: annotated with boxes or masks, as for `statistics`.
        num_objects: decisions per class, drawn at random; objects that are not found are not looked at.
        num_grounds: other pictures with the class, and as many without it, behind each object.
        num_synthetic: colours, gradients and soft noises behind each object, at most 15.
        n_concepts: set to zero one by one, for each class that needs its context; 0 for no concepts at all.
        seed: of the draws.
        num_samples: only the first so many samples of the data.
        batch_size: samples per chunk.
        progress: called with (done, total, description, unit); by default a bar in a terminal or notebook.

    Returns:
        Verdicts, tables and files, in a folder below ``outputs/runs``; what was stopped goes on with the same call,
        unless the data cannot be recognised (see `statistics`).

    Raises:
        LcrpError: a setting makes no sense, the data is not annotated, or no object is found.

    Example:
        >>> found = lcrp.audit(explainer, "scenes", num_samples=24, num_objects=4, num_grounds=2, num_synthetic=0)
        >>> found.tables["verdicts"].columns["class"]
        [...
    """
    with python_words():
        settings = AuditSettings(
            num_objects=plain_number(num_objects),
            num_grounds=plain_number(num_grounds),
            num_synthetic=plain_number(num_synthetic),
            n_concepts=plain_number(n_concepts),
            seed=plain_number(seed),
        )
        explainer = as_it_stands(load(model))
        given = given_data(data, explainer)
        wanted = replace(given.statistics, num_samples=plain_number(num_samples), batch_size=plain_number(batch_size))
        subject = subject_of(explainer, given)
    with computing(explainer.precision), own_run("audit", subject, progress) as run:
        files = audit_stage(subject, wanted, settings, run)
    tables = read_evidence(files[0])
    return Audit(folder=run.folder, files=tuple(files), tables=tables, sentences=tuple(sentences(tables)))
