"""Names and types of every setting: what is not here is refused.

The root is `Config`. A group's file that needs more keys than its group's base names one of `SCHEMAS` as its
first default, for example ``/schema/stage@_here_: render``. What the settings mean stands beside them in conf/.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class Input:
    """How a picture becomes the model's input."""

    height: int = MISSING
    width: int = MISSING
    resize: str = MISSING


@dataclass
class Model:
    """A network, its checkpoint and how its decisions are selected."""

    name: str = MISSING
    task: str = MISSING
    network: dict[str, Any] = MISSING
    checkpoint: str | None = None
    class_names: list[str] | None = None
    input: Input = field(default_factory=Input)
    mean: list[float] = MISSING
    std: list[float] = MISSING
    layer: str = MISSING
    score: str | None = None
    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    min_area: int | None = None


@dataclass
class Dataset:
    """Base of the datasets: a class, a name for files and figures, and further arguments for a user's own class."""

    _target_: str = MISSING
    name: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class ScenesDataset(Dataset):
    """The embedded pictures."""

    split: str = MISSING
    context_bias: float = MISSING


@dataclass
class CocoDataset(Dataset):
    """COCO, or anything annotated in its format."""

    root: str = MISSING
    annotations: str = MISSING
    images: str = MISSING


@dataclass
class VocDataset(Dataset):
    """PASCAL VOC 2012 with class masks."""

    root: str = MISSING
    split: str = MISSING


@dataclass
class CityscapesDataset(Dataset):
    """Cityscapes with class masks."""

    root: str = MISSING
    split: str = MISSING
    labels: str | None = None


@dataclass
class FolderDataset(Dataset):
    """Pictures without annotations."""

    path: str = MISSING


@dataclass
class Stage:
    """Base of the stages: a function, and a name for folders."""

    _target_: str = MISSING
    name: str = MISSING


@dataclass
class GlocalStage(Stage):
    """Concept statistics of a dataset."""

    output: str | None = None
    on_error: str = MISSING
    overwrite: bool = MISSING
    checkpoint_minutes: float = MISSING


@dataclass
class MergeStage(Stage):
    """Concept statistics from those of shards."""

    shards: list[str] | None = None
    output: str | None = None


@dataclass
class RenderStage(Stage):
    """Explanations of single decisions."""

    image: str | None = None
    samples: list[Any] | None = None
    class_name: str | None = None
    item: int | None = None
    rank: int | None = None
    box: list[float] | None = None
    min_iou: float = MISSING
    max_targets: int = MISSING
    mode: str = MISSING
    layer: str | None = None
    n_concepts: int = MISSING
    n_references: int = MISSING
    distinct_pictures: bool = MISSING
    concepts: list[int] | None = None
    formats: list[str] = MISSING
    statistics: str | None = None
    make_statistics: bool = MISSING


@dataclass
class ContextStage(Stage):
    """How much classes, concepts and decisions lean on their context."""

    layers: list[str] = MISSING
    n_concepts: int = MISSING
    n_references: int = MISSING
    num_samples_per_class: int = MISSING
    min_pixels: int = MISSING
    class_name: str | None = None
    context_class: str | None = None
    num_flipped: int = MISSING
    seed: int = MISSING
    statistics: str | None = None
    make_statistics: bool = MISSING


@dataclass
class EvaluateStage(Stage):
    """Methods compared by flipping and insertion."""

    methods: list[str] = MISSING
    num_targets: int = MISSING
    num_layers: int | None = None
    num_steps: int = MISSING
    ablations: list[str] = MISSING
    seed: int = MISSING
    checks: bool = MISSING


@dataclass
class TruthStage(Stage):
    """Heatmaps beside what interventions on the scenes say."""

    methods: list[str] = MISSING
    num_targets: int = MISSING
    n_concepts: int = MISSING
    seed: int = MISSING


@dataclass
class ExchangeStage(Stage):
    """Base of both directions of the exchange with zennit-crp."""

    folder: str = MISSING
    layer_prefix: str = MISSING
    first_class: int = MISSING


@dataclass
class ImportStage(ExchangeStage):
    """Concept statistics from a folder of zennit-crp."""

    overwrite: bool = MISSING


@dataclass
class ExportStage(ExchangeStage):
    """Concept statistics as a folder of zennit-crp."""

    statistics: str | None = None


@dataclass
class TrainStage(Stage):
    """A network trained from scratch on the embedded pictures."""

    output: str | None = None
    epochs_at: list[list[int]] = MISSING
    batch_size: int = MISSING
    learning_rate: float = MISSING
    weight_decay: float = MISSING
    seed: int = MISSING


@dataclass
class VerifyStage(Stage):
    """An earlier run, looked at again."""


@dataclass
class DownloadStage(Stage):
    """A public dataset, fetched."""

    url_base: str | None = None
    keep_archives: bool = MISSING


@dataclass
class CleanStage(Stage):
    """What earlier commands left, listed or deleted."""

    delete: list[str] = MISSING


@dataclass
class Statistics:
    """What changes concept statistics, shared by all stages."""

    targets: str = MISSING
    layers: list[str] = MISSING
    top_n: int = MISSING
    top_n_per_class: int = MISSING
    seed: str = MISSING
    batch_size: int = MISSING
    num_samples: int | None = None
    record: bool = MISSING


@dataclass
class Shard:
    """The part of a pass that is made."""

    index: int = MISSING
    count: int = MISSING


@dataclass
class Config:
    """The root."""

    model: Model = field(default_factory=Model)
    dataset: Dataset = field(default_factory=Dataset)
    composite: dict[str, Any] = MISSING  # _target_, name, is_lrp, conserves; the rest are the builder's own settings
    stage: Stage = field(default_factory=Stage)
    statistics: Statistics = field(default_factory=Statistics)
    shard: Shard = field(default_factory=Shard)
    device: str = MISSING
    precision: str = MISSING
    run: str | None = None
    threads: int | None = None
    workers: int | None = None


SCHEMAS: dict[str, dict[str, type]] = {
    "dataset": {
        "scenes": ScenesDataset,
        "coco": CocoDataset,
        "voc": VocDataset,
        "cityscapes": CityscapesDataset,
        "folder": FolderDataset,
    },
    "stage": {
        "glocal": GlocalStage,
        "merge": MergeStage,
        "render": RenderStage,
        "context": ContextStage,
        "evaluate": EvaluateStage,
        "truth": TruthStage,
        "train": TrainStage,
        "download": DownloadStage,
        "verify": VerifyStage,
        "import": ImportStage,
        "export": ExportStage,
        "clean": CleanStage,
    },
}


def register_schemas() -> None:
    """Tell Hydra of the types; a second time changes nothing."""
    store = ConfigStore.instance()
    store.store(name="lcrp_schema", node=Config)
    for group, nodes in SCHEMAS.items():
        for name, node in nodes.items():
            store.store(group=f"schema/{group}", name=name, node=node)
