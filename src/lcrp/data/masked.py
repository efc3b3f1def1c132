"""Pictures that each have a class mask: what segmentation datasets share.

Axes: H W picture.
"""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from lcrp.data.dataset import Keyed, checked_index, file_size, fingerprint_of
from lcrp.data.labelled.join import Join
from lcrp.data.labelled.parts import objects_of
from lcrp.data.labelled.reading import Reading
from lcrp.data.pictures import read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import VOID, Annotation, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedPicture:
    """Where a picture and its class mask lie.

    Attributes:
        key: the sample's name.
        picture: file of the picture.
        mask: file of the mask.
    """

    key: str
    picture: Path
    mask: Path


class MaskedPictures(Keyed):
    """Pictures with the class of every pixel, in the order given."""

    def __init__(
        self,
        name: str,
        transform: InputTransform,
        pictures: Sequence[MaskedPicture],
        *,
        class_names: tuple[str, ...],
        read_mask: Callable[[Path], torch.Tensor],
        options: Mapping[str, object],
        reading: Reading | None = None,
        gives_objects: bool = False,
        is_oriented: bool = False,
        has_background: bool = True,
        title: str = "",
        is_hashed: bool = False,
    ) -> None:
        """A dataset of these pictures.

        Args:
            name: of the dataset, wherever it lies.
            transform: how a picture becomes the model's input.
            pictures: where they lie.
            class_names: index = class id in the masks.
            read_mask: class ids [H, W] int64 of a mask's file, 255 = void.
            options: whatever else determines the samples, as plain values.
            reading: what was read, for the log.
            gives_objects: a box and a mask for every connected part of a class, which `class_names` are then of.
            is_oriented: pictures are turned as EXIF says, unless the mask fits the picture as it is stored.
            has_background: whether class 0 of the masks is no object.
            title: what it is called in messages and figures, if not by its name.
            is_hashed: the contents of masks count in the fingerprint, and not their sizes alone: a class that gets
                another number may leave them as they are.
        """
        self._is_hashed = is_hashed
        self.name, self._own_name = title or name, name
        self.transform = transform
        self._pictures = tuple(pictures)
        self.class_names = self.annotated_names = class_names
        self._read_mask = read_mask
        self._options = dict(options)
        self.keys = tuple(one.key for one in pictures)
        self.reading = reading
        self._gives_objects, self._is_oriented = gives_objects, is_oriented
        self._first = int(gives_objects and has_background)  # class of masks that is the first of the names
        self._num_classes = len(class_names) + self._first
        self._join: Join | None = None

    def joined(self, join: Join) -> "MaskedPictures":
        """The same with the classes of a network."""
        other = copy.copy(self)
        other._join, other.class_names, other.annotated_names = join, join.names, join.annotated_names
        other.reading = None if self.reading is None else self.reading.with_join(str(join))
        return other

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if its picture or mask cannot be read."""
        one = self._pictures[checked_index(index, len(self), self.name)]
        picture = read_picture(one.picture, oriented=self._is_oriented)
        mask = self._read_mask(one.mask)
        if self._is_oriented and mask.shape != picture.shape[-2:]:
            picture = read_picture(one.picture, oriented=False)
        image, annotation, geometry = self.transform(picture, self._annotation(one, picture, mask))
        return Sample(index=index, key=one.key, image=image, annotation=annotation, geometry=geometry)

    def fingerprint(self) -> str:
        """Hash of keys, sizes of the files of pictures and masks (or the masks' contents), options and transform."""
        files = ((one.key, file_size(path)) for one in self._pictures for path in (one.picture, one.mask))
        options = self._options | {"transform": self.transform.description()}
        if self._is_hashed:
            options["masks"] = self._masks_hash
        return fingerprint_of(self._own_name, files, options)

    @cached_property
    def _masks_hash(self) -> str:
        """Of the contents of all masks; one that cannot be read is a broken sample later on."""
        digest = hashlib.sha256()
        for one in self._pictures:
            try:
                digest.update(hashlib.sha256(one.mask.read_bytes()).digest())
            except OSError:
                digest.update(b"-")
        return digest.hexdigest()

    def _annotation(self, one: MaskedPicture, picture: torch.Tensor, mask: torch.Tensor) -> Annotation:
        """The class mask in pixels of the picture, or the objects that it shows."""
        if mask.shape != picture.shape[-2:]:
            raise DataError(
                f"mask {one.mask} has {mask.shape[0]}x{mask.shape[1]} pixels, its picture "
                f"{picture.shape[1]}x{picture.shape[2]}",
                path=one.mask,
            )
        unknown = set(mask[(mask >= self._num_classes) & (mask != VOID)].tolist())
        if unknown:
            raise DataError(
                f"mask {one.mask} has the values {sorted(unknown)[:5]}, but {self.name} has the classes 0 to "
                f"{self._num_classes - 1}, and {VOID} for void",
                path=one.mask,
            )
        if self._gives_objects:
            return self._objects(mask)
        if self._join is not None:
            mask = torch.from_numpy(self._join.class_mask(mask.numpy()))
        return Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64), class_mask=mask)

    def _objects(self, mask: torch.Tensor) -> Annotation:
        """Connected parts, those of classes that a network does not know left out."""
        found = objects_of(mask.numpy(), 0 if self._first else None)
        labels = found.labels.numpy() - self._first
        labels = labels if self._join is None else self._join.labels(labels)
        known = torch.from_numpy(labels >= 0)
        assert found.masks is not None
        return Annotation(boxes=found.boxes[known], labels=torch.from_numpy(labels)[known], masks=found.masks[known])
