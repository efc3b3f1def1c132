"""What a stage works on: a network that can be explained, and its dataset."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from lcrp.data.dataset import Dataset
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError, at_least, one_of, refuse
from lcrp.storage.location import StatisticsKey, content_hash
from lcrp.values.statistics import Span, StatisticsHeader, joined

TargetChoice = Literal["annotated", "predicted"]
_MOST_LISTED = 3  # classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network that can be explained, and a dataset.

    Attributes:
        explainer: the network and what belongs to it.
        dataset: the samples, in the network's input geometry.
        num_workers: processes that load and decode samples.
        dataset_name: the dataset's name in the configuration; empty takes the dataset's own.
        identity: what explainer and dataset contribute to the numbers; plain nested values, hashed to find statistics
            again.
        command: makes its concept statistics, as a person gives it; empty where there is no command line.
        reading: what was read of the dataset, in words; empty where there is nothing to say.
    """

    explainer: Explainer
    dataset: Dataset
    num_workers: int
    dataset_name: str = ""
    identity: dict[str, object] = field(default_factory=dict)
    command: str = ""
    reading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsSettings:
    """What changes concept statistics, shared by all stages.

    Attributes:
        targets: 'annotated' (annotated classes that are detected, best item) or 'predicted' (everything kept).
        layers: glob patterns of layer names; empty selects every Conv2d.
        top_n: samples kept per concept.
        top_n_per_class: samples kept per concept and class.
        batch_size: samples per chunk.
        num_samples: only the first so many samples of the dataset; None for all.
        record: also store the relevance of every concept for every target.
    """

    targets: TargetChoice
    layers: tuple[str, ...]
    top_n: int
    top_n_per_class: int
    batch_size: int
    num_samples: int | None
    record: bool

    def __post_init__(self) -> None:
        counts = ("top_n", "top_n_per_class", "batch_size", "num_samples")
        small = (problem for name in counts for problem in at_least(name, getattr(self, name), 1))
        none = (f"{name}=None is no whole number; the least is 1" for name in counts[:3] if getattr(self, name) is None)
        refuse([*one_of("targets", self.targets, get_args(TargetChoice)), *small, *none])


def check_classes(subject: Subject) -> None:
    """Whether the network knows classes that the dataset is annotated with: the same ones, or joined by name.

    Raises:
        ConfigError: it knows none.
    """
    model, dataset = subject.explainer, subject.dataset
    if model.class_names == dataset.class_names:
        return
    is_foreign = set(model.class_names).isdisjoint(dataset.class_names)
    why = "no name is in both" if is_foreign else "these are not the same"
    raise ConfigError(
        f"{dataset.name} is annotated with {_listed(dataset.class_names)}, but {model.name} knows "
        f"{_listed(model.class_names)}, and {why}: say which is which (class_map), explain what "
        "is predicted (targets=predicted), or choose a checkpoint that fits",
        mend="Set dataset.class_map={NAME_IN_DATA: NAME_IN_NETWORK}, or statistics.targets=predicted.",
    )


def _listed(names: Sequence[str]) -> str:
    rest = ", ..." if len(names) > _MOST_LISTED else ""
    return f"{len(names)} classes ({', '.join(names[:_MOST_LISTED])}{rest})"


def statistics_key(subject: Subject, statistics: StatisticsSettings) -> StatisticsKey:
    """What determines the statistics of a subject: their place, and whether a file fits."""
    return StatisticsKey(
        model=subject.explainer.name,
        dataset=subject.dataset_name or subject.dataset.name,
        composite=subject.explainer.composite.name,
        identity=subject.identity,
        settings=asdict(statistics),
        command=subject.command,
    )


def statistics_header(
    subject: Subject, key: StatisticsKey, num_samples: int, coverage: Sequence[Span] | None = None
) -> StatisticsHeader:
    """What a file says of itself.

    Args:
        subject: explainer and dataset.
        key: what determines the statistics.
        num_samples: of the whole pass.
        coverage: spans of samples that were seen; None for all.
    """
    config = key.config()
    return StatisticsHeader(
        config=config,
        config_hash=content_hash(config),
        class_names=subject.explainer.class_names,
        dataset_fingerprint=subject.dataset.fingerprint(),
        num_samples=num_samples,
        coverage=joined([(0, num_samples)] if coverage is None else coverage),
        chosen=subject.explainer.chosen,
        reading=subject.reading,
    )
