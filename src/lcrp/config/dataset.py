"""Settings of the datasets."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, get_args

from omegaconf import MISSING

from lcrp.config.values import Problems, told
from lcrp.errors import one_of


@dataclass
class Dataset:
    """Base of the datasets: a class, a name for files and figures, and further arguments for a person's own class.

    Attributes:
        annotates: what is annotated, and the task that predicts it; empty where any task may find its own.
    """

    annotates: ClassVar[tuple[str, str]] = ("", "")

    _target_: str = MISSING
    name: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)

    def problems(self) -> Problems:
        """What is wrong with the settings."""
        yield from ()


@dataclass
class ScenesDataset(Dataset):
    """The embedded pictures."""

    split: str = MISSING
    context_bias: float = MISSING

    def problems(self) -> Problems:
        """What is wrong with the settings."""
        from lcrp.data.scenes.plan import check_settings

        yield from told("dataset.", lambda: check_settings(self.split, self.context_bias))


@dataclass
class CocoDataset(Dataset):
    """COCO, or anything annotated in its format."""

    annotates: ClassVar[tuple[str, str]] = ("boxes", "detection")

    root: str = MISSING
    annotations: str = MISSING
    images: str = MISSING


@dataclass
class VocDataset(Dataset):
    """PASCAL VOC 2012 with class masks."""

    annotates: ClassVar[tuple[str, str]] = ("class masks", "segmentation")

    root: str = MISSING
    split: str = MISSING

    def problems(self) -> Problems:
        """What is wrong with the settings."""
        from lcrp.data.voc import Split

        yield from one_of("dataset.split", self.split, get_args(Split))


@dataclass
class CityscapesDataset(Dataset):
    """Cityscapes with class masks."""

    annotates: ClassVar[tuple[str, str]] = ("class masks", "segmentation")

    root: str = MISSING
    split: str = MISSING
    labels: str | None = None

    def problems(self) -> Problems:
        """What is wrong with the settings."""
        from lcrp.data.cityscapes import Split

        yield from one_of("dataset.split", self.split, get_args(Split))


@dataclass
class FolderDataset(Dataset):
    """Pictures without annotations."""

    path: str = MISSING


DATASETS: dict[str, type[Dataset]] = {
    "scenes": ScenesDataset,
    "coco": CocoDataset,
    "voc": VocDataset,
    "cityscapes": CityscapesDataset,
    "folder": FolderDataset,
}
