"""A dataset that is not lcrp's own: pictures with boxes listed in a CSV file."""

import csv
from pathlib import Path

import torch

from lcrp.data.dataset import checked_index, file_size, find_key, fingerprint_of
from lcrp.data.pictures import read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError, nearest
from lcrp.values.sample import Annotation, Sample


class CsvBoxes:
    """Lines `picture,class,left,top,right,bottom` in pixels of the picture; pictures lie beside the file.

    Args:
        path: the CSV file.
        transform: filled in by lcrp: how a picture becomes the model's input.
        classes: names of the classes, in the network's order.

    Raises:
        DataError: a line is of another form, or names another class.
    """

    def __init__(self, path: Path, transform: InputTransform, *, classes: list[str]) -> None:
        self.name = path.stem
        self.class_names = tuple(classes)
        self.transform = transform
        self._folder = path.parent
        self._size = file_size(path)
        self._objects: dict[str, list[tuple[int, list[float]]]] = {}
        with path.open(newline="", encoding="utf-8") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                picture, label, box = self._object(row, f"{path}, row {number}")
                self._objects.setdefault(picture, []).append((label, box))
        self._keys = sorted(self._objects)

    def _object(self, row: list[str], where: str) -> tuple[str, int, list[float]]:
        """Picture, class id and box of a line."""
        try:
            picture, class_name, *sides = row
            left, top, right, bottom = map(float, sides)
        except ValueError:
            raise DataError(f"{where}: {row} is not picture,class,left,top,right,bottom, sides as numbers") from None
        if class_name not in self.class_names:
            raise DataError(
                f"{where}: class '{class_name}' is unknown; the classes are {nearest(class_name, self.class_names)}",
                mend="Write dataset.options.classes=[name,name,...].",
            )
        return picture, self.class_names.index(class_name), [left, top, right, bottom]

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, index: int) -> Sample:
        """The picture and its boxes, both in the geometry of the model's input."""
        key = self.key(index)
        labels, boxes = zip(*self._objects[key], strict=True)
        annotation = Annotation(boxes=torch.tensor(boxes), labels=torch.tensor(labels))
        picture = read_picture(self._folder / key, oriented=True)
        image, annotation, geometry = self.transform(picture, annotation)
        return Sample(index=index, key=key, image=image, annotation=annotation, geometry=geometry)

    def key(self, index: int) -> str:
        """A name that stays when the dataset grows."""
        return self._keys[checked_index(index, len(self), self.name)]

    def index_of(self, key: str) -> int:
        """Where the sample of this name is."""
        return find_key(self._keys, key, self.name)

    def fingerprint(self) -> str:
        """A hash of all that determines the samples."""
        files = [(key, file_size(self._folder / key)) for key in self._keys]
        return fingerprint_of(self.name, files, {"csv": self._size, "transform": self.transform.description()})
