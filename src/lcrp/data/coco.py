"""COCO instances: the 80 classes, boxes and instance masks."""

import contextlib
import hashlib
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision.datasets import CocoDetection

from lcrp.data.dataset import checked_index, find_key, fingerprint_of
from lcrp.data.pictures import read_picture
from lcrp.data.published import missing, source
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import Annotation, Sample

# fmt: off
CLASS_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
_UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
CATEGORY_IDS = tuple(number for number in range(1, 91) if number not in _UNUSED_IDS)  # index = class id
_CLASS_OF = {category: index for index, category in enumerate(CATEGORY_IDS)}


class CocoDataset:
    """Pictures with COCO's boxes and instance masks; crowds are left out.

    Sorted by file name, so that indices are the same on every machine. Pictures without annotation count too. Pixels
    are taken as stored (annotations refer to them), whatever the EXIF orientation.
    """

    def __init__(
        self,
        root: Path,
        transform: InputTransform,
        *,
        images: str = "val2017",
        annotations: str = "annotations/instances_val2017.json",
        name: str = "coco2017",
    ) -> None:
        """Read the annotations.

        Args:
            root: folder that holds both of the following.
            transform: how a picture becomes the model's input.
            images: folder of the pictures, below `root`.
            annotations: COCO's JSON file, below `root`.
            name: of the dataset, as it is published.

        Raises:
            DataError: if a file or folder is missing, or the annotations are not COCO's instances.
        """
        self.name = name
        self.transform = transform
        self._folder = root / images
        self._annotations = root / annotations
        if not self._annotations.is_file():
            raise missing(name, root, annotations)
        if not self._folder.is_dir():
            raise missing(name, root, images)
        self._origin = source(name, images) or f"the pictures of {annotations}"
        self._source = _read_annotations(self._folder, self._annotations)
        records = sorted(self._source.coco.imgs.values(), key=lambda record: str(record["file_name"]))
        self._records: tuple[Mapping[str, Any], ...] = tuple(records)
        self._keys = tuple(str(record["file_name"]) for record in records)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The 80 classes in the order of their category ids."""
        return CLASS_NAMES

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if its picture cannot be read."""
        key = self.key(index)
        picture = read_picture(self._folder / key, oriented=False)
        image, annotation, geometry = self.transform(picture, self._annotation(index, picture))
        return Sample(index=index, key=key, image=image, annotation=annotation, geometry=geometry)

    def key(self, index: int) -> str:
        """File name of sample `index`."""
        return self._keys[checked_index(index, len(self), self.name)]

    def index_of(self, key: str) -> int:
        """Index of the picture called `key`; DataError if there is none."""
        return find_key(self._keys, key, self.name)

    def fingerprint(self) -> str:
        """Hash of file names, file sizes, annotations and transform."""
        sizes = ((self._folder / key).stat().st_size if (self._folder / key).is_file() else -1 for key in self._keys)
        options = {
            "annotations": hashlib.sha256(self._annotations.read_bytes()).hexdigest(),
            "transform": self.transform.description(),
        }
        return fingerprint_of(self.name, zip(self._keys, sizes, strict=True), options)

    def _annotation(self, index: int, picture: torch.Tensor) -> Annotation:
        """Boxes, labels and masks in pixels of the picture."""
        record, coco = self._records[index], self._source.coco
        size = (int(record["height"]), int(record["width"]))
        if size != tuple(picture.shape[-2:]):
            raise DataError(
                f"picture {self._folder / self._keys[index]} has {picture.shape[-2]}x{picture.shape[-1]} pixels, its "
                f"annotation {size[0]}x{size[1]}; download {self._origin} again"
            )
        objects = [one for one in coco.loadAnns(coco.getAnnIds(imgIds=record["id"])) if not one.get("iscrowd", 0)]
        boxes = torch.tensor([one["bbox"] for one in objects], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # xywh to xyxy
        with warnings.catch_warnings():  # pycocotools 2.0 does not know numpy 2's copy keyword
            warnings.simplefilter("ignore", DeprecationWarning)
            masks = [coco.annToMask(_outlined(one)).astype(np.bool_) for one in objects]
        return Annotation(
            boxes=boxes,
            labels=torch.tensor([_CLASS_OF[one["category_id"]] for one in objects], dtype=torch.int64),
            masks=torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, *size, dtype=torch.bool),
        )


def _read_annotations(folder: Path, path: Path) -> CocoDetection:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
            source = CocoDetection(str(folder), str(path))
    except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:
        raise DataError(f"{path} is not a COCO instances file ({type(error).__name__}: {error})") from error
    unknown = _unknown_categories(source.coco.anns.values())
    if unknown or not source.coco.imgs:
        reason = f"category ids {unknown} are not COCO's" if unknown else "it lists no images"
        raise DataError(f"{path} is not a COCO instances file: {reason}; set dataset.annotations to one")
    return source


def _outlined(annotation: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object whose outline is not annotated, as in sets made for detectors alone, has that of its box."""
    if annotation.get("segmentation"):
        return annotation
    left, top, width, height = annotation["bbox"]
    right, bottom = left + width, top + height
    return {**annotation, "segmentation": [[left, top, right, top, right, bottom, left, bottom]]}


def _unknown_categories(annotations: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted({one.get("category_id", -1) for one in annotations} - set(CATEGORY_IDS))[:5]
