"""What a person may give as data, and how each kind becomes a dataset for a network.

Axes: N object, H W picture.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch

from lcrp.api.explainers import configured_like
from lcrp.api.pictures import PictureList, given_picture
from lcrp.config.auto_data import AUTO, WITHOUT_SPLIT, known_layout, tell_layout
from lcrp.config.build import statistics_settings
from lcrp.config.compose import composed
from lcrp.config.intent import options
from lcrp.config.samples import build_dataset, dataset_options, has_class_names, joined_dataset
from lcrp.data.dataset import Dataset, checked_index, find_key
from lcrp.data.tiles import tiled
from lcrp.data.transforms import InputTransform
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.subject import StatisticsSettings
from lcrp.errors import DataError, nearest, refuse
from lcrp.values.sample import VOID, Annotation, Sample

FOLDER = "folder"  # name of the dataset that holds a person's own pictures
_NEEDED = {  # settings that a dataset has to be given, with what stands for them until then
    FOLDER: {"path": "."},
    "yolo": {"path": "."},
    "coco": {"annotations": "."},
    "voc": {"root": "."},
    "masks": {"images": ".", "masks": ".", "class_names": "[]"},
}


class Pairs(Protocol):
    """A dataset of torch: (picture, annotation) by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any:
        """A picture as `explain` takes it, and what is in it."""
        ...


class AnnotatedPictures:
    """A dataset of (picture, annotation) as one of lcrp.

    An annotation is None; a mapping as torchvision's detectors take it (`boxes` [N, 4] xyxy in pixels, `labels` [N],
    perhaps `masks` [N, H, W]); a class mask [H, W] (255 is of no class); or a `lcrp.values.sample.Annotation`.
    """

    def __init__(self, pairs: Pairs, transform: InputTransform, class_names: tuple[str, ...]) -> None:
        """Take the pairs.

        Args:
            pairs: read when they are asked for.
            transform: how a picture becomes the model's input.
            class_names: of the pairs if they have such an attribute, else the model's.
        """
        self.pairs = pairs
        self.transform = transform
        self.class_names = tuple(getattr(pairs, "class_names", class_names))
        self.name = str(getattr(pairs, "name", type(pairs).__name__))

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if it is no picture with an annotation."""
        pair = self.pairs[checked_index(index, len(self), self.name)]
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise DataError(f"{self.name} gives a {type(pair).__name__} for sample {index}, not (picture, annotation)")
        pixels = given_picture(pair[0]).pixels
        given = _annotation(pair[1], (pixels.shape[1], pixels.shape[2]), len(self.class_names))
        image, annotation, geometry = self.transform(pixels, given)
        return Sample(index=index, key=self.key(index), image=image, annotation=annotation, geometry=geometry)

    def key(self, index: int) -> str:
        """Number of the sample, as text."""
        return str(checked_index(index, len(self), self.name))

    def index_of(self, key: str) -> int:
        """Index of the sample called `key`; DataError if there is none."""
        return find_key([str(index) for index in range(len(self))], key, self.name)

    def fingerprint(self) -> str:
        """What the pairs say of themselves; empty if they do not, for then nobody can tell whether they changed."""
        own = getattr(self.pairs, "fingerprint", None)
        return str(own()) if callable(own) else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenData:
    """A dataset for a network, with what its statistics are found by.

    Attributes:
        dataset: in the network's input geometry.
        name: in names of files.
        options: further settings of it that alter numbers.
        statistics: how statistics of it are made by default.
    """

    dataset: Dataset
    name: str
    options: Mapping[str, object]
    statistics: StatisticsSettings


def given_data(data: object, explainer: Explainer) -> GivenData:
    """A dataset, from whatever a person gives.

    Args:
        data: the name of a dataset of lcrp ('scenes'), or a mapping of its settings ({'name': 'scenes', 'split':
            'train'}); a labelled set (YOLO's data.yaml, COCO's JSON, the folder of either or of VOC's layout); a
            folder, pattern or picture without labels; a list of pictures; a dataset of torch that gives (picture,
            annotation); or a `lcrp.data.dataset.Dataset` made for this network.
        explainer: the network.

    Raises:
        DataError: it is none of these, or files are missing.
    """
    if isinstance(data, Mapping):
        return _named(data, explainer)
    if isinstance(data, str) and data in options("dataset"):
        return _named({"name": data}, explainer)
    if isinstance(data, str | os.PathLike):
        return _named({"name": AUTO, "path": os.fspath(data)}, explainer)
    dataset = joined_dataset(_made(data, explainer), explainer.class_names, {})
    config = composed([f"model={configured_like(explainer)}", "dataset=scenes"])
    is_annotated = len(dataset) > 0 and not isinstance(dataset, PictureList) and dataset[0].annotation is not None
    config.statistics.targets = "annotated" if is_annotated else "predicted"
    statistics = statistics_settings(config.statistics)
    return GivenData(dataset=dataset, name=dataset.name, options={}, statistics=statistics)


def _named(settings: Mapping[str, object], explainer: Explainer) -> GivenData:
    """A dataset of the configuration."""
    name, choices = str(settings.get("name", "")), options("dataset")
    if name not in choices:
        raise DataError(f"there is no dataset '{name}'; nearest: {nearest(name, choices)}")
    if name == AUTO:
        return _recognised(settings, explainer)
    needed = _NEEDED.get(name, {})
    for key in needed:
        if key not in settings:
            what = "a path: a picture, a folder or a pattern" if name == FOLDER else key
            raise DataError(f"dataset '{name}' needs {what}")
    given = [f"dataset.{key}={value}" for key, value in needed.items()]
    config = composed([f"model={configured_like(explainer)}", f"dataset={name}", *given])
    for key, value in settings.items():
        if key == "name":
            continue
        if key.startswith("_") or not hasattr(config.dataset, key):
            known = [key for key in vars(config.dataset) if not key.startswith("_")]
            raise DataError(f"dataset '{name}' has no setting '{key}'; nearest: {nearest(key, known)}")
        plain, present = _plain(value), getattr(config.dataset, key)
        kind = int | float if isinstance(present, float) else type(present)
        if present is not None and not isinstance(plain, kind):
            raise DataError(f"dataset '{name}': {key}={value!r} is no {type(present).__name__}")
        setattr(config.dataset, key, plain)
    refuse(config.dataset.class_map_problems())
    size, transform = config.model.input, explainer.transform
    size.height, size.width, size.resize = transform.height, transform.width, transform.resize
    size.tiles = None if transform.tiles is None else asdict(transform.tiles)
    names = None if has_class_names(config.dataset) else explainer.class_names
    dataset = build_dataset(config.dataset, config.model, Path.cwd(), names)
    dataset = joined_dataset(dataset, explainer.class_names, config.dataset.names_by_data())
    own, statistics = dataset_options(config.dataset), statistics_settings(config.statistics)
    return GivenData(dataset=dataset, name=name, options=own, statistics=statistics)


def _recognised(settings: Mapping[str, object], explainer: Explainer) -> GivenData:
    """A dataset of whatever lies at a path."""
    if not isinstance(settings.get("path"), str | os.PathLike):
        raise DataError(f"dataset '{AUTO}' needs a path")
    path, split = os.fspath(cast(str, settings["path"])), settings.get("split")
    layout = known_layout(path, None if split is None else str(split), Path.cwd())
    if layout.name != FOLDER:
        tell_layout(path, layout, Path.cwd())
    left_out = ("name", "path", *(["split"] if layout.name in WITHOUT_SPLIT else []))
    rest = {key: value for key, value in settings.items() if key not in left_out and value is not None}
    return _named({"name": layout.name, **layout.settings, **rest}, explainer)


def _plain(value: object) -> object:
    """A setting as the configuration holds it."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return list(value) if isinstance(value, tuple) else value


def _made(data: object, explainer: Explainer) -> Dataset:
    """A dataset that a person's objects make."""
    transform, names = explainer.transform, explainer.class_names
    if hasattr(data, "transform") and callable(getattr(data, "fingerprint", None)) and hasattr(data, "index_of"):
        dataset = cast(Dataset, data)
        if dataset.transform != transform:
            raise DataError(
                f"the dataset {dataset.name} is made for inputs of {dataset.transform.description()}, "
                f"{explainer.name} takes {transform.description()}"
            )
        return dataset
    if isinstance(data, list | tuple) and data and not isinstance(data[0], tuple):
        pictures = [given_picture(one) for one in data]
        return tiled(lambda placing: PictureList(pictures, placing, names), transform)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        pairs = cast(Pairs, data)
        return tiled(lambda placing: AnnotatedPictures(pairs, placing, names), transform)
    raise DataError(
        f"a {type(data).__name__} is no data: give the name of a dataset, a folder, a list of pictures, or a dataset "
        "of torch that gives (picture, annotation)"
    )


def _annotation(given: object, size: tuple[int, int], num_classes: int) -> Annotation | None:
    """What is in a picture, in its pixels.

    Args:
        given: by a person.
        size: (height, width) of the picture.
        num_classes: of the dataset.

    Raises:
        DataError: it is of no known form, or its parts do not fit each other, the picture or the classes.
    """
    if given is None or isinstance(given, Annotation):
        return given
    if isinstance(given, torch.Tensor | np.ndarray) and given.ndim == 2:
        mask = torch.as_tensor(given).long()
        _check_shape("the class mask", mask, size)
        _check_classes(mask[mask != VOID], num_classes)
        return Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=mask)
    if isinstance(given, Mapping) and {"boxes", "labels"} <= given.keys():
        return _objects(given, size, num_classes)
    raise DataError(
        f"a {type(given).__name__} is no annotation: give None, a mapping with boxes (xyxy) and labels, or a class "
        "mask [H, W]"
    )


def _objects(given: Mapping[str, Any], size: tuple[int, int], num_classes: int) -> Annotation:
    try:
        boxes = torch.as_tensor(given["boxes"], dtype=torch.float32)
        labels = torch.as_tensor(given["labels"], dtype=torch.int64).reshape(-1)
        masks = None if given.get("masks") is None else torch.as_tensor(given["masks"]).bool()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"boxes, labels or masks of an annotation are no arrays: {error}") from error
    boxes = boxes if boxes.numel() else boxes.reshape(0, 4)
    _check_shape("the boxes (xyxy)", boxes, (len(labels), 4))
    if masks is not None:
        _check_shape("the masks", masks, (len(labels), *size))
    _check_classes(labels, num_classes)
    return Annotation(boxes=boxes, labels=labels, masks=masks)


def _check_shape(what: str, values: torch.Tensor, shape: tuple[int, ...]) -> None:
    if tuple(values.shape) != shape:
        raise DataError(f"{what} of an annotation are {list(values.shape)}, but picture and labels need {list(shape)}")


def _check_classes(labels: torch.Tensor, num_classes: int) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise DataError(f"an annotation has class {int(wrong[0])}, there are 0 to {num_classes - 1}")
