"""Settings of the datasets."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, get_args

from omegaconf import MISSING

from lcrp.config.paths import absolute
from lcrp.config.values import Problems, told
from lcrp.errors import one_of


@dataclass
class Dataset:
    """Base of the datasets: a class, a name for files and figures, and further arguments for a person's own class.

    Attributes:
        annotates: what is annotated, and the task that predicts it; empty where any task may find its own.
        files: settings that say where files lie, relative to where the command was given; never part of an identity.
    """

    annotates: ClassVar[tuple[str, str]] = ("", "")
    files: ClassVar[tuple[str, ...]] = ("root", "path")

    _target_: str = MISSING
    name: str = MISSING
    options: dict[str, Any] = field(default_factory=dict)
    class_map: Any = None  # a mapping, which OmegaConf opens to keys of a person's own only where it has no type

    def places(self, origin: Path) -> dict[str, Path]:
        """Where files lie, by the arguments' names; paths of a person are relative to `origin`."""
        given = {key: getattr(self, key, None) for key in self.files}
        return {key: absolute(value, origin) for key, value in given.items() if value is not None}

    def names_by_data(self) -> dict[str, str]:
        """What the network calls classes of the data."""
        return dict(self.class_map or {})

    def class_map_problems(self) -> Problems:
        """Whether it is a mapping of names."""
        given = self.class_map
        is_map = isinstance(given, dict) and all(isinstance(one, str) for pair in given.items() for one in pair)
        if given is not None and not is_map:
            yield f"dataset.class_map={given!r} is no mapping of names; write 'dataset.class_map={{mast: boat}}'"

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


@dataclass
class YoloDataset(Dataset):
    """YOLO's text files."""

    path: str = MISSING
    split: str = MISSING
    class_names: list[str] = field(default_factory=list)


@dataclass
class OwnCocoDataset(Dataset):
    """COCO's format with categories of a person's own."""

    files: ClassVar[tuple[str, ...]] = ("root", "annotations", "images")

    root: str | None = None
    annotations: str = MISSING
    images: str | None = None
    class_names: list[str] = field(default_factory=list)

    def places(self, origin: Path) -> dict[str, Path]:
        """Both lie below `root`, if there is one."""
        root = origin if self.root is None else absolute(self.root, origin)
        annotations = absolute(self.annotations, root)
        images = annotations.parent if self.images is None else absolute(self.images, root)
        return {"annotations": annotations, "images": images}


@dataclass
class OwnVocDataset(Dataset):
    """VOC's layout with classes of a person's own."""

    root: str = MISSING
    split: str | None = None
    class_names: list[str] = field(default_factory=list)
    palette: list[list[int]] = field(default_factory=list)


@dataclass
class MasksDataset(Dataset):
    """Folders of pictures and of class masks."""

    files: ClassVar[tuple[str, ...]] = ("images", "masks")

    images: str = MISSING
    masks: str = MISSING
    class_names: list[str] = MISSING
    palette: list[list[int]] = field(default_factory=list)


@dataclass
class AutoDataset(Dataset):
    """Whatever lies at a path."""

    path: str = MISSING
    split: str | None = None
    class_names: list[str] = field(default_factory=list)


DATASETS: dict[str, type[Dataset]] = {
    "scenes": ScenesDataset,
    "coco": CocoDataset,
    "voc": VocDataset,
    "cityscapes": CityscapesDataset,
    "folder": FolderDataset,
    "yolo": YoloDataset,
    "own_coco": OwnCocoDataset,
    "own_voc": OwnVocDataset,
    "masks": MasksDataset,
    "auto": AutoDataset,
}
