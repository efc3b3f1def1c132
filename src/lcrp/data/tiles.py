"""Photographs much larger than the network's input, cut into overlapping tiles: each is a sample of its own.

Axes: N object, H W picture.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise

import torch

from lcrp.data.dataset import Dataset, Keyed, fingerprint_of
from lcrp.data.labelled.join import Join
from lcrp.data.labelled.joined import JoinedDataset
from lcrp.data.transforms import InputTransform, WholePicture
from lcrp.errors import DataError
from lcrp.values.geometry import Tile
from lcrp.values.sample import Annotation, Sample

LEAST_VISIBLE = 0.5  # of an object's area in a tile, for it to be annotated there


def tiled(make: Callable[[InputTransform], Dataset], transform: InputTransform) -> Dataset:
    """A dataset whose pictures are cut into tiles, where the transform says so.

    Args:
        make: the dataset, from how its pictures become the input.
        transform: how a picture, or a tile of it, becomes the model's input.
    """
    return make(transform) if transform.tiles is None else TiledDataset(make(WholePicture()), transform)


class TiledDataset(Keyed):
    """The tiles of a dataset's pictures, one picture after the other: 'photo.jpg[2,1]' is the third row's second.

    An object is annotated in every tile that shows half of its box at least, and there as far as it is seen.

    Attributes:
        by_picture: the tiles of every picture.
    """

    def __init__(self, pictures: Dataset, transform: InputTransform) -> None:
        """Cut the pictures, of which every one is opened once for its size.

        Args:
            pictures: whole, as `WholePicture` makes them.
            transform: how a tile becomes the model's input.
        """
        assert transform.tiles is not None
        self.name, self.transform = pictures.name, transform
        self.class_names = self.annotated_names = pictures.class_names
        self._pictures, self._transform = pictures, replace(transform, tiles=None)
        self._whole = lru_cache(maxsize=1)(pictures.__getitem__)  # tiles of one picture follow each other
        grids = [transform.tiles.of(_size(pictures, number)) for number in range(len(pictures))]
        self._tiles = [(number, tile) for number, grid in enumerate(grids) for row in grid for tile in row]
        self.keys = tuple(
            f"{pictures.key(number)}[{row},{column}]"
            for number, grid in enumerate(grids)
            for row, tiles in enumerate(grid)
            for column in range(len(tiles))
        )
        ends = [0, *accumulate(sum(map(len, grid)) for grid in grids)]
        self.by_picture = tuple(range(*span) for span in pairwise(ends))

    def __getitem__(self, index: int) -> Sample:
        """Tile `index`; DataError if its picture cannot be read."""
        key = self.key(index)
        number, tile = self._tiles[index]
        whole = self._whole(number)
        pixels = (whole.image[:, tile.top : tile.bottom, tile.left : tile.right] * 255).round().to(torch.uint8)
        annotation = None if whole.annotation is None else _within(whole.annotation, tile)
        image, annotation, geometry = self._transform(pixels, annotation)
        placed = geometry.of_tile(tile, whole.geometry.picture_size)
        return Sample(index=index, key=key, image=image, annotation=annotation, geometry=placed)

    def num_pictures(self, count: int) -> int:
        """Pictures of which the first `count` tiles are."""
        return len({number for number, _ in self._tiles[:count]})

    @property
    def reading(self) -> object:
        """What was read of the pictures; None where nothing is said."""
        return getattr(self._pictures, "reading", None)

    def joined(self, join: Join) -> "TiledDataset":
        """The same with the classes of a network."""
        other, own = copy.copy(self), getattr(self._pictures, "joined", None)
        other._pictures = JoinedDataset(self._pictures, join) if own is None else own(join)
        other.class_names, other.annotated_names = join.names, join.annotated_names
        other._whole = lru_cache(maxsize=1)(other._pictures.__getitem__)
        return other

    def fingerprint(self) -> str:
        """Hash of the pictures and of how they are cut."""
        return fingerprint_of(self._pictures.fingerprint(), (), {"transform": self.transform.description()})


def _size(pictures: Dataset, number: int) -> tuple[int, int]:
    """(height, width) of a picture; one that cannot be read has a single tile, which says so when it is asked for."""
    try:
        known = getattr(pictures, "picture_size", None)
        size: tuple[int, int] = known(number) if callable(known) else pictures[number].geometry.picture_size
    except DataError:
        return (1, 1)
    return size


def _within(annotation: Annotation, tile: Tile) -> Annotation:
    """What a tile shows of an annotation, in its pixels."""
    (top, bottom), (left, right) = tile.span(0), tile.span(1)
    corner = annotation.boxes.new_tensor([left, top] * 2)
    low, high = corner, annotation.boxes.new_tensor([right, bottom] * 2)
    seen = annotation.boxes.clamp(low, high)
    kept = _areas(seen) >= LEAST_VISIBLE * _areas(annotation.boxes).clamp_min(1e-6)

    def cut(mask: torch.Tensor | None) -> torch.Tensor | None:
        return None if mask is None else mask[..., top:bottom, left:right]

    masks = None if annotation.masks is None else annotation.masks[kept]
    return replace(
        annotation,
        boxes=seen[kept] - corner,
        labels=annotation.labels[kept],
        masks=cut(masks),
        class_mask=cut(annotation.class_mask),
        parts={name: part[..., top:bottom, left:right] for name, part in annotation.parts.items()},
        context=cut(annotation.context),
    )


def _areas(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
