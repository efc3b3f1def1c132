"""``Statistics.explore``: one HTML file that says why."""

from pathlib import Path

from lcrp.api.door import computing, python_words
from lcrp.api.given import layer_patterns, plain_number
from lcrp.api.measuring import Result
from lcrp.api.passing import Layers
from lcrp.api.runs import own_run
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError
from lcrp.runs.progress import OnProgress
from lcrp.stages.explore.explore import explore
from lcrp.stages.explore.settings import ExploreSettings

FILES = (".html", ".htm")


def explored(
    subject: Subject,
    statistics: StatisticsSettings,
    paths: tuple[Path, ...],
    output: str | Path,
    *,
    image: str | Path | None,
    class_name: str | int | None,
    confidence: float | None,
    max_targets: int,
    num_decisions: int,
    layers: Layers,
    n_concepts: int,
    n_concepts_per_class: int,
    n_references: int,
    n_references_per_class: int,
    max_megabytes: float,
    pictures: bool,
    context: Result | str | Path | None,
    evaluate: Result | str | Path | None,
    progress: OnProgress | None,
) -> Path:
    """Write the page; arguments as those of `Statistics.explore`."""
    with python_words():
        target = Path(output)
        selection = Selection(
            image=None if image is None else str(image),
            samples=None,
            class_name=class_name,
            max_targets=plain_number(max_targets),
            thresholds=Thresholds(confidence=plain_number(confidence)),
        )
        settings = ExploreSettings(
            selection=selection,
            layers=layer_patterns(layers),
            num_decisions=plain_number(num_decisions),
            n_concepts=plain_number(n_concepts),
            n_concepts_per_class=plain_number(n_concepts_per_class),
            n_references=plain_number(n_references),
            n_references_per_class=plain_number(n_references_per_class),
            max_megabytes=plain_number(max_megabytes),
            pictures=pictures,
            folder=target.suffix.lower() not in FILES,
            statistics=paths,
            context=_evidence(context, "context"),
            evaluate=_evidence(evaluate, "evaluate"),
            output=target.absolute(),
        )
        selection.thresholds.of(subject.explainer.task)
    with computing(subject.explainer.precision), own_run("explore", subject, progress) as run:
        explore(subject, statistics, settings, run)
    return target


def _evidence(given: Result | str | Path | None, name: str) -> Path | None:
    """The file of a measurement."""
    if not isinstance(given, Result):
        return None if given is None else Path(given)
    found = [path for path in given.files if path.name == f"{name}.h5"]
    if not found:
        raise ConfigError(f"{name}={given!r} is no result of lcrp.{name}")
    return found[0]
