"""What a stage works on: one trained network, its dataset and its composite."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import torch
from torch import nn
from zennit.core import Composite

from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import Task
from lcrp.data.dataset import Dataset
from lcrp.data.transforms import InputTransform
from lcrp.storage.location import StatisticsKey, content_hash
from lcrp.values.statistics import Span, StatisticsHeader, joined

TaskName = Literal["detection", "segmentation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A network with everything that belongs to it.

    Attributes:
        name: the model's name in the configuration.
        task_name: what its output means.
        network: the network in evaluation mode, its parameters without gradients, on `device`.
        class_names: names of its classes; index = class id.
        mean: [3] subtracted from an RGB image in [0, 1].
        std: [3] divided by afterwards.
        transform: how a picture becomes the model's input.
        layer: layer whose concepts are shown by default.
        checkpoint: file name, or 'random'.
        checkpoint_sha256: of the file; empty for random weights.
    """

    name: str
    task_name: TaskName
    network: nn.Module
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    transform: InputTransform
    layer: str
    checkpoint: str
    checkpoint_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Model, dataset and composite, ready to be explained.

    Attributes:
        model: the network and what belongs to it.
        task: how its decisions are selected and seeded.
        dataset: the samples, in the model's input geometry.
        composite_name: the composite's name in the configuration.
        composite: builds the composite for a network.
        device: where the network lies.
        num_workers: processes that load and decode samples.
        dataset_name: the dataset's name in the configuration; empty takes the dataset's own.
        identity: what model, checkpoint, dataset and composite contribute to the numbers; plain
            nested values, hashed to find statistics again.
    """

    model: NetworkSpec
    task: Task
    dataset: Dataset
    composite_name: str
    composite: Callable[[nn.Module], Composite]
    device: torch.device
    num_workers: int
    dataset_name: str = ""
    identity: dict[str, object] = field(default_factory=dict)

    def attributor(
        self,
        layers: Sequence[str],
        *,
        composite: Callable[[nn.Module], Composite] | None = None,
        network: nn.Module | None = None,
    ) -> Attributor:
        """An attributor for the model.

        Args:
            layers: names of those that are recorded.
            composite: another one than the subject's.
            network: an altered copy of the model's.
        """
        return Attributor(
            network or self.model.network,
            composite or self.composite,
            self.task,
            layers=layers,
            mean=self.model.mean,
            std=self.model.std,
        )


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

    targets: Literal["annotated", "predicted"]
    layers: tuple[str, ...]
    top_n: int
    top_n_per_class: int
    batch_size: int
    num_samples: int | None
    record: bool


def statistics_key(subject: Subject, statistics: StatisticsSettings) -> StatisticsKey:
    """What determines the statistics of a subject: their place, and whether a file fits."""
    return StatisticsKey(
        model=subject.model.name,
        dataset=subject.dataset_name or subject.dataset.name,
        composite=subject.composite_name,
        identity=subject.identity,
        settings=asdict(statistics),
    )


def statistics_header(
    subject: Subject, key: StatisticsKey, num_samples: int, coverage: Sequence[Span] | None = None
) -> StatisticsHeader:
    """What a file says of itself.

    Args:
        subject: model, dataset and composite.
        key: what determines the statistics.
        num_samples: of the whole pass.
        coverage: spans of samples that were seen; None for all.
    """
    config = key.config()
    return StatisticsHeader(
        config=config,
        config_hash=content_hash(config),
        class_names=subject.model.class_names,
        dataset_fingerprint=subject.dataset.fingerprint(),
        num_samples=num_samples,
        coverage=joined([(0, num_samples)] if coverage is None else coverage),
    )
