"""COCO instances: the 80 classes, boxes and instance masks."""

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torchvision.datasets import CocoDetection

from lcrp.data.dataset import Keyed, file_size, fingerprint_of
from lcrp.data.pictures import read_picture
from lcrp.data.published import missing, source
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import Annotation, Sample

log = logging.getLogger(__name__)

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
_LISTED = 5
_FARTHEST = 1e6  # coordinate of a box or an outline, in pixels
_CLASS_OF = {category: index for index, category in enumerate(CATEGORY_IDS)}


class CocoDataset(Keyed):
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
        self.keys = tuple(str(record["file_name"]) for record in records)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The 80 classes in the order of their category ids."""
        return CLASS_NAMES

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if its picture cannot be read."""
        key = self.key(index)
        picture = read_picture(self._folder / key, oriented=False)
        image, annotation, geometry = self.transform(picture, self._annotation(index, picture))
        return Sample(index=index, key=key, image=image, annotation=annotation, geometry=geometry)

    def fingerprint(self) -> str:
        """Hash of file names, file sizes, annotations and transform."""
        sizes = (file_size(self._folder / key) for key in self.keys)
        options = {
            "annotations": hashlib.sha256(self._annotations.read_bytes()).hexdigest(),
            "transform": self.transform.description(),
        }
        return fingerprint_of(self.name, zip(self.keys, sizes, strict=True), options)

    def _annotation(self, index: int, picture: torch.Tensor) -> Annotation:
        """Boxes, labels and masks in pixels of the picture."""
        record, coco = self._records[index], self._source.coco
        size = (int(record["height"]), int(record["width"]))
        if size != tuple(picture.shape[-2:]):
            path = self._folder / self.keys[index]
            raise DataError(
                f"picture {path} has {picture.shape[-2]}x{picture.shape[-1]} pixels, its "
                f"annotation {size[0]}x{size[1]}; download {self._origin} again",
                path=path,
            )
        objects = [one for one in coco.loadAnns(coco.getAnnIds(imgIds=record["id"])) if not one.get("iscrowd", 0)]
        boxes = torch.tensor([one["bbox"] for one in objects], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]  # xywh to xyxy
        masks = [self._mask(one, self.keys[index], size) for one in objects]
        return Annotation(
            boxes=boxes,
            labels=torch.tensor([_CLASS_OF[one["category_id"]] for one in objects], dtype=torch.int64),
            masks=torch.from_numpy(np.stack(masks)) if masks else torch.zeros(0, *size, dtype=torch.bool),
        )

    def _mask(self, one: Mapping[str, Any], key: str, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """Pixels [H, W] of one object."""
        try:
            outlined = _outlined(one)
            _check_outline(outlined["segmentation"], size)
            with warnings.catch_warnings():  # pycocotools 2.0 does not know numpy 2's copy keyword
                warnings.simplefilter("ignore", DeprecationWarning)
                mask: npt.NDArray[np.bool_] = self._source.coco.annToMask(outlined).astype(np.bool_)
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise DataError(
                f"the outline of annotation {one.get('id')} of picture {key} is neither polygons nor run lengths of "
                f"its {size[0]}x{size[1]} pixels ({error})"
            ) from error
        return mask


def _read_annotations(folder: Path, path: Path) -> CocoDetection:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints
            source = CocoDetection(str(folder), str(path))
        unknown = _unknown_categories(source.coco.anns.values())
        if unknown:
            raise ValueError(f"category ids {unknown} are not COCO's")
        _check_records(source.coco.imgs.values())
        _leave_out_flawed(path, source)
    except (ValueError, KeyError, TypeError, AssertionError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} is not a COCO instances file: {_reason(error)}", mend="Set dataset.annotations to one."
        ) from error
    return source


def _reason(error: Exception) -> str:
    """Plain words where there are some."""
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def _check_records(records: Collection[Mapping[str, Any]]) -> None:
    """Whether all pictures have a name and a size."""
    if not records:
        raise ValueError("it lists no images")
    for record in records:
        name, sides = record["file_name"], (record["height"], record["width"])
        if not isinstance(name, str) or not name:
            raise ValueError(f"image {record['id']} has the file_name {name!r}")
        if not all(isinstance(side, int) and side > 0 for side in sides):
            raise ValueError(f"image {record['id']} has {sides[0]!r}x{sides[1]!r} pixels")


def _leave_out_flawed(path: Path, source: CocoDetection) -> None:
    """Take objects whose box is none from the pictures that have them, and warn of them."""
    flawed: dict[str, list[object]] = {}
    for number, record in source.coco.imgs.items():
        kept = []
        for one in source.coco.imgToAnns[number]:
            flaw = None if one.get("iscrowd", 0) else _flaw_of_box(one, (record["height"], record["width"]))
            if flaw is None:
                kept.append(one)
            else:
                flawed.setdefault(flaw, []).append(one["id"])
        source.coco.imgToAnns[number] = kept
    for flaw, numbers in flawed.items():
        examples = ", ".join(map(str, numbers[:_LISTED]))
        log.warning("%s: %d objects are left out, %s: annotation %s", path, len(numbers), flaw, examples)


def _flaw_of_box(one: Mapping[str, Any], size: tuple[int, int]) -> str | None:
    """What is wrong with the box of an object in a picture of this size (height, width)."""
    box = one.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_coordinate, box)):
        return "whose bbox is not four numbers of pixels"
    left, top, width, height = box
    if width < 0 or height < 0:
        return "whose bbox has a negative side"
    if not (width and height and left < size[1] and top < size[0] and left + width > 0 and top + height > 0):
        return "whose bbox has no area within the picture"
    return None


def _is_coordinate(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= _FARTHEST  # NaN is not


def _check_outline(outline: object, size: tuple[int, int]) -> None:
    """Whether pycocotools can draw an outline: it trusts what it is given."""
    if isinstance(outline, list):
        for polygon in outline:
            if len(polygon) < 6 or len(polygon) % 2 or not all(map(_is_coordinate, polygon)):
                raise ValueError("a polygon is not three or more pairs of coordinates")
    elif isinstance(outline, dict):
        if list(outline["size"]) != list(size):
            raise ValueError(f"its size is {outline['size']}")
        counts = outline["counts"] if isinstance(outline["counts"], list) else _unpacked(outline["counts"])
        if min(counts, default=0) < 0 or sum(counts) != size[0] * size[1]:
            raise ValueError(f"its run lengths add up to {sum(counts)}")
    else:
        raise ValueError(f"it is {outline!r}")


def _outlined(annotation: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object whose outline is not annotated, as in sets made for detectors alone, has that of its box."""
    if annotation.get("segmentation"):
        return annotation
    left, top, width, height = annotation["bbox"]
    right, bottom = left + width, top + height
    return {**annotation, "segmentation": [[left, top, right, top, right, bottom, left, bottom]]}


def _unpacked(packed: str | bytes) -> list[int]:
    """Run lengths of COCO's compressed form.

    Digits of five bits, lowest first, a sixth bit where more follow; from the third on, each is the difference to the
    one but one before.
    """
    counts: list[int] = []
    value = shift = 0
    for byte in packed.encode("ascii") if isinstance(packed, str) else packed:
        digit = byte - 48
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            value -= (digit & 16) << (shift - 4)  # the sign
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def _unknown_categories(annotations: Collection[Mapping[str, Any]]) -> list[object]:
    return sorted({one.get("category_id") for one in annotations} - set(CATEGORY_IDS), key=str)[:_LISTED]
