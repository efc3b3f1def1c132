"""Labelled pictures as samples, from the arrays into which any layout was read.

Axes: N object of a picture, H W picture. Boxes are xyxy in pixels.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from lcrp.data.dataset import Keyed, file_size, fingerprint_of
from lcrp.data.labelled.join import BACKGROUND, Join, folded
from lcrp.data.labelled.reading import Reading
from lcrp.data.labelled.run_lengths import Mask, decoded, filled
from lcrp.data.labelled.source import Labelled
from lcrp.data.pictures import picture_size, read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import Annotation, Sample

_MOST_PIXELS = 2**28  # of masks that are drawn together

Array = npt.NDArray[np.floating]


class LabelledDataset(Keyed):
    """Pictures with boxes, labels and masks of their objects; or with the class of every pixel, drawn from these.

    A box stands for the mask of an object without an outline. Where the class of every pixel is asked for, larger
    objects lie behind smaller ones.
    """

    def __init__(
        self, name: str, transform: InputTransform, source: Labelled, *, segmentation: bool = False, title: str = ""
    ) -> None:
        """A dataset of what was read.

        Args:
            name: of the dataset, wherever it lies.
            transform: how a picture becomes the model's input.
            source: what was read.
            segmentation: draw class masks, with the background as class 0, and give no objects.
            title: what it is called in messages and figures, if not by its name.

        Raises:
            DataError: none of the pictures is there.
        """
        self.name, self._own_name = title or name, name
        self.transform = transform
        self.keys = source.keys
        self.reading = source.reading
        self._source = source
        self._segmentation = segmentation
        self._adds_background = segmentation and folded(source.class_names[0]) != BACKGROUND
        names = (BACKGROUND, *source.class_names) if self._adds_background else source.class_names
        self.class_names = self.annotated_names = names
        self._join: Join | None = None
        missing = [self.keys[int(row)] for row in np.flatnonzero(self._sizes < 0)]
        if len(missing) == len(self.keys):
            raise DataError(f"none of the {len(missing)} pictures is in {source.folder}: '{missing[0]}' is not there")
        if missing:
            self.reading = self.reading.lacking(missing)
        if segmentation:
            self.reading = self.reading.noting(_drawn(self.reading))

    def joined(self, join: Join) -> "LabelledDataset":
        """The same with the labels of a network; objects of other classes are left out."""
        other = copy.copy(self)
        other._join, other.class_names, other.annotated_names = join, join.names, join.annotated_names
        other.reading = self.reading.with_join(str(join))
        return other

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if its picture cannot be read, or is not the one that was annotated."""
        key = self.key(index)
        picture = self._picture(index)
        size = (picture.shape[-2], picture.shape[-1])
        image, annotation, geometry = self.transform(picture, self.annotation(index, size, self._part(0, size)))
        annotations = [annotation]
        num_objects = 0 if self._segmentation else len(self._source.objects.of_picture(index))
        while (part := self._part(len(annotations), size)).start < num_objects:
            annotations.append(self.transform(picture, self.annotation(index, size, part))[1])
        return Sample(index=index, key=key, image=image, annotation=_together(annotations), geometry=geometry)

    def picture_size(self, index: int) -> tuple[int, int]:
        """Height and width of a picture, as annotated where that is said; DataError if it cannot be read."""
        height, width = (int(side) for side in self._source.objects.sizes[index])
        if height > 0:
            return height, width
        return picture_size(self._source.path(index), oriented=self._source.frame != "stored")

    def fingerprint(self) -> str:
        """Hash of file names, file sizes, annotations and transform."""
        options: dict[str, object] = {"annotations": self._source.content, "transform": self.transform.description()}
        if self._segmentation:
            options["segmentation"] = True
        return fingerprint_of(self._own_name, zip(self.keys, self._sizes.tolist(), strict=True), options)

    def annotation(self, index: int, size: tuple[int, int], part: slice = slice(None)) -> Annotation:
        """What is annotated in a picture of this size (height, width), in its pixels, or a part of its objects."""
        objects = self._source.objects
        rows = list(objects.of_picture(index))[part]
        boxes, labels = self._boxes(rows, size), objects.labels[rows].astype(np.int64) + self._adds_background
        if self._join is not None:
            labels = self._join.labels(labels)
        if self._segmentation:
            class_mask = torch.from_numpy(self._class_mask(rows, boxes, labels, size))
            return Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=class_mask)
        known = np.flatnonzero(labels >= 0)
        masks = np.zeros((len(known), *size), dtype=np.bool_)
        for place, row in enumerate(known):
            masks[place] = self._mask(rows[row], boxes[row], size)
        return Annotation(
            boxes=torch.from_numpy(boxes[known]), labels=torch.from_numpy(labels[known]), masks=torch.from_numpy(masks)
        )

    def _part(self, number: int, size: tuple[int, int]) -> slice:
        """Objects whose masks are drawn together: all, unless a large picture has many."""
        count = max(1, _MOST_PIXELS // (size[0] * size[1]))
        return slice(None) if self._segmentation and not number else slice(number * count, (number + 1) * count)

    def annotated(self) -> list[int]:
        """Pictures with objects."""
        return [int(number) for number in np.flatnonzero(np.diff(self._source.objects.starts))]

    def num_by_class(self) -> dict[str, int]:
        """Objects of every class of the data."""
        names = self._source.class_names
        counts = np.bincount(self._source.objects.labels, minlength=len(names))
        return dict(zip(names, counts.tolist(), strict=True))

    @cached_property
    def _sizes(self) -> npt.NDArray[np.int64]:
        """[P] bytes of every picture; -1 where there is none."""
        return np.fromiter(map(file_size, self._source.files()), dtype=np.int64, count=len(self.keys))

    def _picture(self, index: int) -> torch.Tensor:
        """The picture in the frame of its annotation."""
        path, frame = self._source.path(index), self._source.frame
        picture = read_picture(path, oriented=frame != "stored")
        height, width = (int(side) for side in self._source.objects.sizes[index])
        if frame == "fitting" and height > 0 and tuple(picture.shape[-2:]) != (height, width):
            stored = read_picture(path, oriented=False)
            picture = stored if tuple(stored.shape[-2:]) == (height, width) else picture
        if height > 0 and tuple(picture.shape[-2:]) != (height, width):
            mend = f"; {self._source.origin}" if self._source.origin else ""
            raise DataError(
                f"picture {path} has {picture.shape[-2]}x{picture.shape[-1]} pixels, its "
                f"annotation {height}x{width}{mend}",
                path=path,
            )
        return picture

    def _boxes(self, rows: Sequence[int], size: tuple[int, int]) -> Array:
        """Boxes [N, 4] in pixels."""
        objects = self._source.objects
        boxes = objects.boxes[rows].reshape(-1, 4).copy()
        if objects.is_fraction:
            boxes *= np.array([size[1], size[0]] * 2, dtype=np.float32)
        if self._source.is_clipped:
            boxes = np.clip(boxes, 0, np.array([size[1], size[0]] * 2, dtype=np.float32))
        return boxes

    def _mask(self, row: int, box: Array, size: tuple[int, int]) -> Mask:
        """Pixels [H, W] of one object."""
        objects = self._source.objects
        runs = objects.outlines.run_lengths(row)
        if runs:
            return decoded(runs, size)
        scale = np.array([size[1], size[0]]) if objects.is_fraction else np.ones(2)
        polygons = [(points * scale).ravel().tolist() for points in objects.outlines.polygons(row)]
        if not polygons:
            left, top, right, bottom = box.tolist()
            polygons = [[left, top, right, top, right, bottom, left, bottom]]
        return filled(polygons, size)

    def _class_mask(
        self, rows: Sequence[int], boxes: Array, labels: npt.NDArray[np.int64], size: tuple[int, int]
    ) -> npt.NDArray[np.int64]:
        """Class of every pixel [H, W]; what is of a class that the network does not know is what lies around it."""
        background = 0 if self._join is None else self._join.background
        mask = np.full(size, background, dtype=np.int64)
        areas = [int(self._mask(row, box, size).sum()) for row, box in zip(rows, boxes, strict=True)]
        for number in np.argsort(-np.array(areas, dtype=np.int64), kind="stable"):  # not all masks at a time
            label = labels[number]
            mask[self._mask(rows[number], boxes[number], size)] = label if label >= 0 else background
        return mask


def _together(annotations: Sequence[Annotation | None]) -> Annotation | None:
    """Objects of one picture that were placed part by part."""
    found = [one for one in annotations if one is not None]
    masks = [one.masks for one in found if one.masks is not None]
    if len(found) < 2:
        return annotations[0]
    return replace(
        found[0],
        boxes=torch.cat([one.boxes for one in found]),
        labels=torch.cat([one.labels for one in found]),
        masks=torch.cat(masks) if masks else None,
    )


def _drawn(reading: Reading) -> str:
    """What class masks are made of."""
    boxed = (reading.num_objects or 0) - reading.num_outlined
    told = "class masks are drawn from the objects, smaller ones in front"
    return f"{told}; of {boxed} without an outline the box stands for the mask" if boxed else told
