"""``lcrp.tune``: the composite that is most faithful to a network, chosen by evidence."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lcrp.api.data import given_data
from lcrp.api.door import computing, python_words
from lcrp.api.explainers import as_it_stands
from lcrp.api.given import layer_patterns, plain_number
from lcrp.api.loading import Model, load
from lcrp.api.measuring import Result
from lcrp.api.passing import Layers, subject_of
from lcrp.api.runs import own_run
from lcrp.decisions.subject import TargetChoice
from lcrp.runs.progress import OnProgress
from lcrp.stages.tune.settings import TuneSettings
from lcrp.stages.tune.tune import tune as tune_stage
from lcrp.storage.evidence import read_evidence
from lcrp.values.evidence import Table

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tuned(os.PathLike[str]):
    """The composite that was chosen for a network; it is given as `composite` to `load` and `explain`.

    Attributes:
        path: of tuned.yaml, which holds it and the evidence for it.
        files: this one, the numbers as HDF5, each table as CSV, and the figure.
        tables: by name; 'candidates' of the search, 'confirmation' on other decisions.
        sentences: the verdict in words; first what is chosen and why.
    """

    path: Path
    files: tuple[Path, ...]
    tables: Mapping[str, Table]
    sentences: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self.path.parent

    def __fspath__(self) -> str:
        return str(self.path)

    def to_dataframe(self, table: str = "confirmation") -> "DataFrame":
        """One of the tables. Needs pandas.

        Raises:
            ConfigError: there is no such table, or pandas is not installed.
        """
        return Result(folder=self.folder, files=self.files, tables=self.tables).to_dataframe(table)

    def __repr__(self) -> str:
        return "\n".join((*self.sentences, str(self.path)))


def tune(
    model: Model,
    data: object,
    *,
    num_targets: int = 16,
    num_confirmed: int = 40,
    num_layers: int = 2,
    minutes: float | None = 20,
    seed: int = 0,
    targets: TargetChoice | None = None,
    layers: Layers = (),
    num_samples: int | None = None,
    batch_size: int = 8,
    progress: OnProgress | None = None,
) -> Tuned:
    """Which rules explain this network most faithfully? Searched on few decisions, proved on others.

    Candidates are the composites that there are, and rules of linear maps by thirds of the network's depth: epsilon,
    generalised gamma, z+; with a flat start or without; CP-LRP or AttnLRP where there is attention. They are ranked by
    flipping and inserting concepts, by deleting and inserting pixels, and by agreement with what single concepts do
    when they are taken away. The winner is kept only if it is better than the explainer's own composite on decisions
    that did not choose it.

    Args:
        model: an explainer, or anything that `load` takes; its composite is the default, which is to be beaten.
        data: as for `statistics`.
        num_targets: decisions of the search, one per picture, in pictures drawn at random.
        num_confirmed: others, in other pictures, on which the winner is compared.
        num_layers: whose concepts are ranked, spread evenly over those of `layers` that lead to decisions; the same for
            every seed.
        minutes: that it may take, about: fewer candidates, then fewer decisions are looked at; None for no end.
        seed: of the draws of pictures and candidates.
        targets: as for `statistics`.
        layers: names or patterns; all convolutions by default.
        num_samples: only the first so many samples of the data.
        batch_size: samples per chunk.
        progress: called with (done, total, description, unit); by default a bar in a terminal or notebook.

    Returns:
        What was chosen, with the evidence, in a folder below ``outputs/runs``; what was stopped goes on with the same
        call, unless the data cannot be recognised (see `statistics`).

    Raises:
        LcrpError: a setting makes no sense, the network decides too little in these data, or no layer leads to a
            decision.

    Example:
        >>> found = lcrp.tune(explainer, "scenes", num_targets=2, num_confirmed=2, num_layers=1, minutes=0.01)
        >>> tuned = lcrp.load("embedded:yolov6_scenes", composite=found)
    """
    with python_words():
        settings = TuneSettings(
            num_targets=plain_number(num_targets),
            num_confirmed=plain_number(num_confirmed),
            num_layers=plain_number(num_layers),
            minutes=minutes,
            seed=plain_number(seed),
        )
        explainer = as_it_stands(load(model))
        given = given_data(data, explainer)
        wanted = replace(
            given.statistics,
            targets=given.statistics.targets if targets is None else targets,
            layers=layer_patterns(layers),
            num_samples=plain_number(num_samples),
            batch_size=plain_number(batch_size),
        )
        subject = subject_of(explainer, given)
    with computing(explainer.precision), own_run("tune", subject, progress) as run:
        files = tune_stage(subject, wanted, settings, run)
    tables = read_evidence(next(path for path in files if path.suffix == ".h5"))
    told = tuple(tables["verdict"].columns["verdict"])
    return Tuned(path=files[0], files=tuple(files), tables=tables, sentences=told)
