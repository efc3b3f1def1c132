"""``lcrp.evaluate`` and ``lcrp.context``: can explanations be trusted, and do decisions need their context?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lcrp.api.data import given_data
from lcrp.api.door import computing, python_words
from lcrp.api.explainers import as_it_stands
from lcrp.api.frames import frame
from lcrp.api.given import layer_patterns, plain_number
from lcrp.api.loading import Model, load
from lcrp.api.passing import Layers, subject_of
from lcrp.api.runs import own_run
from lcrp.api.statistics import Statistics
from lcrp.attribution.ablation import Ablation
from lcrp.config.compose import composition
from lcrp.config.methods import methods as methods_named
from lcrp.decisions.subject import StatisticsSettings, Subject, TargetChoice
from lcrp.errors import ConfigError, nearest
from lcrp.runs.progress import OnProgress
from lcrp.stages.context.context import ContextSettings
from lcrp.stages.context.context import context as context_stage
from lcrp.stages.evaluate.evaluate import evaluate as evaluate_stage
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.storage.evidence import read_evidence
from lcrp.values.evidence import Table

if TYPE_CHECKING:
    from pandas import DataFrame

METHODS = (
    *("epsilon_plus_flat", "epsilon_gamma_flat", "early_gamma_flat", "epsilon_flat", "gradient"),
    *("gradcam", "activation", "random"),
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result:
    """What a measurement found.

    Attributes:
        folder: where its files lie.
        files: figures, the numbers as HDF5, and each table as CSV.
        tables: by name.
    """

    folder: Path
    files: tuple[Path, ...]
    tables: Mapping[str, Table]

    def to_dataframe(self, table: str) -> "DataFrame":
        """One of the tables. Needs pandas.

        Raises:
            ConfigError: there is no such table, or pandas is not installed.
        """
        if table not in self.tables:
            raise ConfigError(f"there is no table '{table}'; nearest: {nearest(table, self.tables)}")
        found = self.tables[table]
        return frame([dict(zip(found.columns, row, strict=True)) for row in found.rows()], list(found.columns))

    def __repr__(self) -> str:
        counted = ", ".join(f"{name} ({len(list(table.rows()))} rows)" for name, table in self.tables.items())
        return f"tables {counted} in {self.folder}"


def evaluate(
    model: Model,
    data: object,
    *,
    methods: Sequence[str] = METHODS,
    num_targets: int = 100,
    num_layers: int | None = 4,
    num_steps: int = 15,
    ablations: Sequence[Ablation] = ("zero",),
    seed: int = 0,
    checks: bool = False,
    targets: TargetChoice | None = None,
    layers: Layers = (),
    num_samples: int | None = None,
    batch_size: int = 8,
    progress: OnProgress | None = None,
) -> Result:
    """Which method ranks concepts rightly on this network and these data: concept flipping and insertion.

    Args:
        model: an explainer, or anything that `load` takes.
        data: as for `statistics`.
        methods: composites, and 'gradcam', 'activation', 'random'.
        num_targets: decisions, one per picture, in pictures drawn at random.
        num_layers: spread evenly over `layers`; None for all of them.
        num_steps: from no channel to all.
        ablations: what channels become that are taken away: 'zero', 'mean', 'resample' (of another picture).
        seed: of the draw of pictures, and of the random order.
        checks: also check the relevance itself (conservation, unaltered output, randomised weights, bfloat16).
        targets: as for `statistics`.
        layers: names or patterns; all convolutions by default.
        num_samples: only the first so many samples of the data.
        batch_size: samples per chunk.
        progress: called with (done, total, description, unit); by default a bar in a terminal or notebook.

    Returns:
        Tables and files, in a folder below ``outputs/runs``; what was stopped goes on with the same call, unless the
        data cannot be recognised (see `statistics`).

    Raises:
        LcrpError: a setting makes no sense, or the network decides nothing in these data.

    Example:
        >>> methods = ["epsilon_gamma_flat", "random"]
        >>> lcrp.evaluate(explainer, "scenes", methods=methods, num_targets=2, num_layers=1, num_samples=16)
        tables curves (...), summary (...), targets (...) in ...
    """
    with python_words(), composition():
        chosen = methods_named(list(methods))
    settings = EvaluateSettings(
        methods=chosen,
        num_targets=plain_number(num_targets),
        num_layers=plain_number(num_layers),
        num_steps=plain_number(num_steps),
        ablations=tuple(ablations),
        seed=plain_number(seed),
        checks=checks,
    )
    subject, wanted = _asked(model, data, targets)
    wanted = replace(
        wanted,
        layers=layer_patterns(layers),
        num_samples=plain_number(num_samples),
        batch_size=plain_number(batch_size),
    )
    with computing(subject.explainer.precision), own_run("evaluate", subject, progress) as run:
        return _result(run.folder, evaluate_stage(subject, wanted, settings, run))


def context(
    model: Model,
    data: object,
    *,
    layers: Layers = (),
    n_concepts: int = 50,
    n_references: int = 15,
    num_samples_per_class: int = 60,
    min_pixels: int = 500,
    class_name: str | None = None,
    context_class: str | None = None,
    num_flipped: int = 3,
    seed: int = 0,
    statistics: Statistics | None = None,
    progress: OnProgress | None = None,
) -> Result:
    """How much classes, concepts and decisions lean on what surrounds the object.

    Context scores (Dreyer et al. 2023, section 4.3) say where the relevance of concepts lies; replaced backgrounds say
    whether that is true; and concepts that are set to zero say what they are for.

    Args:
        model: an explainer, or anything that `load` takes.
        data: as for `statistics`.
        layers: names or patterns; without any the one that explanations show by default.
        n_concepts: concepts per class, the most relevant ones.
        n_references: reference samples per concept and class.
        num_samples_per_class: decisions whose background is replaced; 0 leaves out what needs that.
        min_pixels: of their objects.
        class_name: class of the case study; None takes the one that leans on its context most.
        context_class: class whose objects are the case study's context; None takes the whole background.
        num_flipped: concepts that the case study sets to zero.
        seed: of the draw of decisions, and of noise.
        statistics: of the same network and data; None finds or makes them.
        progress: called with (done, total, description, unit); by default a bar in a terminal or notebook.

    Returns:
        Tables and files, in a folder below ``outputs/runs``; what was stopped goes on with the same call, unless the
        data cannot be recognised (see `statistics`).

    Raises:
        LcrpError: there are no such layers or classes, or nothing is found again.

    Example:
        >>> result = lcrp.context(explainer, "scenes", statistics=found, n_concepts=2, num_samples_per_class=0)
        >>> len(result.to_dataframe("classes"))
        6
    """
    settings = ContextSettings(
        layers=layer_patterns(layers),
        n_concepts=plain_number(n_concepts),
        n_references=plain_number(n_references),
        num_samples_per_class=plain_number(num_samples_per_class),
        min_pixels=plain_number(min_pixels),
        class_name=class_name,
        context_class=context_class,
        num_flipped=plain_number(num_flipped),
        seed=plain_number(seed),
        statistics=None if statistics is None else statistics.path,
        make_statistics=True,
    )
    subject, wanted = _asked(model, data, None)
    wanted = wanted if statistics is None else statistics.settings
    with computing(subject.explainer.precision), own_run("context", subject, progress) as run:
        return _result(run.folder, context_stage(subject, wanted, settings, run))


def _asked(model: Model, data: object, targets: TargetChoice | None) -> tuple[Subject, StatisticsSettings]:
    """Network and data, and how statistics of them are made by default."""
    with python_words():
        explainer = as_it_stands(load(model))
        given = given_data(data, explainer)
        settings = given.statistics
        return subject_of(explainer, given), replace(settings, targets=settings.targets if targets is None else targets)


def _result(folder: Path, files: Sequence[Path]) -> Result:
    evidence = next(path for path in files if path.suffix == ".h5")
    return Result(folder=folder, files=tuple(files), tables=read_evidence(evidence))
