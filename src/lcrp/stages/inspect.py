"""stage=inspect: what is read of labelled pictures, so that a person sees whether labels sit where they should."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lcrp.data.dataset import Dataset
from lcrp.errors import DataError, at_least, refuse
from lcrp.figures.contact_sheet import SheetObject, SheetPicture, contact_sheet
from lcrp.figures.saving import save
from lcrp.runs.run import Run
from lcrp.storage.atomic import replacing
from lcrp.values.sample import VOID, Sample

log = logging.getLogger(__name__)

_CLASSES = 60  # listed with their counts


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectSettings:
    """What is looked at.

    Attributes:
        num_pictures: on the sheet.
    """

    num_pictures: int

    def __post_init__(self) -> None:
        refuse(at_least("num_pictures", self.num_pictures, 1))


def inspect(dataset: Dataset, settings: InspectSettings, run: Run) -> list[Path]:
    """Write what was read of a dataset, and a sheet of its pictures with their annotation.

    Args:
        dataset: its samples placed by letterbox.
        settings: how many pictures.
        run: has the folder where both are written.

    Returns:
        The page of text and the figure.

    Raises:
        DataError: none of the pictures can be read.
    """
    tiles, broken = [], []
    for index in _chosen(dataset, settings.num_pictures):
        try:
            tiles.append(_tile(dataset[index], dataset.class_names))
        except DataError as error:
            broken.append(f"sample {index} '{dataset.key(index)}': {error.without_folder()}")
    if not tiles:
        raise DataError(f"none of the pictures looked at can be read: {broken[0]}")
    page, figure = run.folder / "data.txt", run.folder / "data.png"
    text = "\n".join(_lines(dataset, broken))
    for line in text.splitlines():
        log.info("%s", line)
    with replacing(page) as part:
        part.write_text(f"{text}\n", encoding="utf-8")
    title = f"{dataset.name}: {len(tiles)} of {len(dataset)} pictures, with their annotation"
    names = [title, *dataset.class_names, *(tile.key for tile in tiles)]
    save(lambda: contact_sheet(tiles, title), [figure], names=names)
    return [page, figure]


def _lines(dataset: Dataset, broken: list[str]) -> list[str]:
    reading = getattr(dataset, "reading", None)
    lines = reading.text().splitlines() if reading is not None else [f"{dataset.name}: {len(dataset)} pictures"]
    if hasattr(dataset, "num_by_class"):
        counts = list(dataset.num_by_class().items())
        found = sorted([(name, count) for name, count in counts if count], key=lambda one: -one[1])
        lines.append(f"objects of each class: {_cut([f'{name} {count}' for name, count in found])}")
        without = [name for name, count in counts if not count]
        lines += [f"{len(without)} classes without an object: {_cut(without)}"] if without else []
    return lines + [f"cannot be read: {one}" for one in broken]


def _cut(words: list[str]) -> str:
    """The first of many, and how many there are besides."""
    rest = f" and {len(words) - _CLASSES} more" if len(words) > _CLASSES else ""
    return f"{', '.join(words[:_CLASSES])}{rest}" if words else "none"


def _chosen(dataset: Dataset, count: int) -> list[int]:
    """Evenly spread samples, of those that are annotated if that is known."""
    known = dataset.annotated() if hasattr(dataset, "annotated") else []
    candidates = known or list(range(len(dataset)))
    places = np.linspace(0, len(candidates) - 1, min(count, len(candidates)))
    return [candidates[int(place)] for place in places.round()]


def _tile(sample: Sample, names: tuple[str, ...]) -> SheetPicture:
    """A picture without bars, and what is annotated in it."""
    top, left, bottom, right = sample.geometry.content()
    picture = sample.image.permute(1, 2, 0).numpy()[top:bottom, left:right]
    objects: list[SheetObject] = []
    annotation = sample.annotation
    if annotation is not None and annotation.class_mask is not None and not len(annotation.boxes):
        labels = annotation.class_mask.numpy()[top:bottom, left:right]
        for class_id in np.unique(labels[labels != VOID]).tolist():
            if class_id or names[0] != "background":
                objects.append(SheetObject(name=names[class_id], class_id=class_id, mask=labels == class_id))
    elif annotation is not None:
        for number, label in enumerate(annotation.labels.tolist()):
            x0, y0, x1, y1 = annotation.boxes[number].tolist()
            mask = None if annotation.masks is None else annotation.masks[number].numpy()[top:bottom, left:right]
            box = (x0 - left, y0 - top, x1 - left, y1 - top)
            objects.append(SheetObject(name=names[label], class_id=label, mask=mask, box=box))
    return SheetPicture(key=sample.key, picture=picture, objects=tuple(objects))
