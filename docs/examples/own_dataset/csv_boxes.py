"""A dataset that is not lcrp's own: pictures with boxes listed in a CSV file."""

import csv
from pathlib import Path

import torch

from lcrp.data.dataset import Keyed, file_size, fingerprint_of
from lcrp.data.pictures import read_picture
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.sample import Annotation, Sample


class CsvBoxes(Keyed):
    """Lines `picture,class,left,top,right,bottom` in pixels of the picture; pictures lie beside the file."""

    def __init__(self, path: Path, transform: InputTransform) -> None:
        self.name, self.transform, self._path = path.stem, transform, path
        self._objects: dict[str, list[tuple[str, list[float]]]] = {}  # name of the class and box, by picture
        with path.open(newline="", encoding="utf-8") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                try:
                    picture, name, *sides = row
                    left, top, right, bottom = map(float, sides)
                except ValueError:
                    form = "picture,class,left,top,right,bottom, sides as numbers"
                    raise DataError(f"{path}, row {number}: {row} is not {form}") from None
                self._objects.setdefault(picture, []).append((name, [left, top, right, bottom]))
        self.keys = sorted(self._objects)  # names of the samples, which stay when the dataset grows
        self.class_names = tuple(sorted({name for rows in self._objects.values() for name, _ in rows}))

    def __getitem__(self, index: int) -> Sample:
        """The picture and its boxes, both in the geometry of the model's input."""
        key = self.key(index)
        labels = [self.class_names.index(name) for name, _ in self._objects[key]]
        boxes = torch.tensor([box for _, box in self._objects[key]])
        picture = read_picture(self._path.parent / key, oriented=True)
        image, annotation, geometry = self.transform(picture, Annotation(boxes=boxes, labels=torch.tensor(labels)))
        return Sample(index=index, key=key, image=image, annotation=annotation, geometry=geometry)

    def fingerprint(self) -> str:
        """A hash of all that determines the samples."""
        files = [(key, file_size(self._path.parent / key)) for key in self.keys]
        options = {"csv": self._path.read_text(encoding="utf-8"), "transform": self.transform.description()}
        return fingerprint_of(self.name, files, options)
