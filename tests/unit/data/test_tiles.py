"""Tiles: they cover a picture, each is what is cut out of it, and what lies on them leads back to the picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lcrp.api.data import AnnotatedPictures
from lcrp.data.folder import FolderDataset
from lcrp.data.pictures import picture_size, read_picture
from lcrp.data.tiles import TiledDataset, tiled
from lcrp.data.transforms import InputTransform, Tiles
from lcrp.errors import ConfigError, DataError
from lcrp.values.geometry import Tile
from lcrp.values.sample import Annotation

TILES = Tiles(size=64, overlap=0.25)
BOXES = torch.tensor([[10.0, 10, 40, 30], [50, 50, 80, 60], [100, 20, 160, 95]])


@pytest.mark.parametrize("size", [(100, 160), (64, 64), (40, 200), (65, 500)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.9])
def test_they_cover_a_picture_and_overlap_enough(size: tuple[int, int], overlap: float) -> None:
    grid = Tiles(size=64, overlap=overlap).of(size)
    seen = np.zeros(size, dtype=int)
    for tile in (tile for row in grid for tile in row):
        assert (tile.bottom - tile.top, tile.right - tile.left) == (min(64, size[0]), min(64, size[1]))
        seen[tile.top : tile.bottom, tile.left : tile.right] += 1
    assert seen.all()
    for first, second in zip(grid[0], grid[0][1:], strict=False):
        assert first.right - second.left >= 64 * overlap - 1


@pytest.mark.parametrize(("size", "overlap"), [(16, 0.2), (64, 0.95), (64, -0.1), (64, float("nan"))])
def test_senseless_ones_are_refused(size: int, overlap: float) -> None:
    with pytest.raises(ConfigError, match="tiles"):
        Tiles(size=size, overlap=overlap)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (100, 160, 3), dtype=np.uint8)


def annotated(pixels: np.ndarray, transform: InputTransform) -> TiledDataset:
    masks = torch.zeros(3, 100, 160, dtype=torch.bool)
    for mask, (left, top, right, bottom) in zip(masks, BOXES.int().tolist(), strict=True):
        mask[top:bottom, left:right] = True
    whole = Annotation(boxes=BOXES, labels=torch.arange(3), masks=masks)
    dataset = tiled(lambda placing: AnnotatedPictures([(pixels, whole)], placing, ("a", "b", "c")), transform)
    assert isinstance(dataset, TiledDataset)
    return dataset


def test_a_tile_is_what_is_cut_out(pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "p.png")
    transform = InputTransform(64, 64, tiles=TILES)
    dataset = tiled(lambda placing: FolderDataset(tmp_path, placing, ("a",)), transform)
    assert isinstance(dataset, TiledDataset)
    assert dataset.keys[:4] == ("p.png[0,0]", "p.png[0,1]", "p.png[0,2]", "p.png[1,0]")
    assert dataset.by_picture == (range(6),)
    assert [dataset.num_pictures(count) for count in (0, 1, 6)] == [0, 1, 1]
    for index, key in enumerate(dataset.keys):
        sample = dataset[index]
        tile = sample.geometry.tile
        assert tile is not None
        cut = pixels[tile.top : tile.bottom, tile.left : tile.right]
        assert (sample.index, sample.key) == (index, key)
        assert torch.equal((sample.image * 255).round().byte(), torch.from_numpy(cut).permute(2, 0, 1))
        assert dataset.index_of(key) == index


@pytest.mark.parametrize("resize", ["letterbox", "stretch", "shorter_crop", "rect"])
def test_what_lies_on_a_tile_leads_back_to_the_picture(pixels: np.ndarray, resize: str) -> None:
    """Boxes and masks of the annotation, and every value of a map, for tiles as large as the input and others."""
    transform = InputTransform(96, 128, resize, tiles=TILES)  # type: ignore[arg-type]
    dataset = annotated(pixels, transform)
    found = set()
    for index in range(len(dataset)):
        sample = dataset[index]
        geometry, annotation = sample.geometry, sample.annotation
        tile = geometry.tile
        assert tile is not None
        assert annotation is not None
        assert annotation.masks is not None
        back = geometry.boxes_to_picture(annotation.boxes.numpy())
        for box, label, mask in zip(back, annotation.labels.tolist(), annotation.masks, strict=True):
            true = BOXES[label].numpy()
            seen = np.clip(true, [tile.left, tile.top] * 2, [tile.right, tile.bottom] * 2)
            if resize != "shorter_crop":
                np.testing.assert_allclose(box, seen, atol=1.5)
                on_picture = geometry.mask_to_picture(mask.numpy())
                rows, columns = np.nonzero(on_picture)
                np.testing.assert_allclose(
                    [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], seen, atol=1.5
                )
            found.add(label)
        heat = np.random.default_rng(index).random(sample.image.shape[1:])
        moved = geometry.map_to_picture(heat)
        assert moved.values.sum() + moved.beside == pytest.approx(heat.sum())
        outside = moved.values.copy()
        outside[tile.top : tile.bottom, tile.left : tile.right] = 0
        assert not outside.any()
        top, left, bottom, right = geometry.content()
        assert heat[top:bottom, left:right].sum() == pytest.approx(moved.values.sum(), rel=0.02)
    assert found == {0, 1, 2}


def test_objects_are_annotated_where_half_of_them_is_seen(pixels: np.ndarray) -> None:
    dataset = annotated(pixels, InputTransform(64, 64, tiles=TILES))
    for index in range(len(dataset)):
        sample = dataset[index]
        tile = sample.geometry.tile
        assert isinstance(tile, Tile)
        assert sample.annotation is not None
        low, high = np.array([tile.left, tile.top] * 2), np.array([tile.right, tile.bottom] * 2)
        seen = np.clip(BOXES.numpy(), low, high)
        shares = np.prod(seen[:, 2:] - seen[:, :2], axis=1) / np.prod((BOXES[:, 2:] - BOXES[:, :2]).numpy(), axis=1)
        assert sample.annotation.labels.tolist() == np.nonzero(shares >= 0.5)[0].tolist()


def test_how_pictures_are_cut_is_part_of_the_fingerprint(pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(tmp_path / "p.png")
    found = {
        tiled(
            lambda placing: FolderDataset(tmp_path, placing, ("a",)), InputTransform(64, 64, tiles=tiles)
        ).fingerprint()
        for tiles in (None, TILES, Tiles(size=64, overlap=0.5), Tiles(size=80, overlap=0.25))
    }
    assert len(found) == 4


def test_a_dataset_that_knows_nothing_of_tiles_does_not_pass_them_over(pixels: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="tiles are cut before pictures are placed"):
        InputTransform(64, 64, tiles=TILES)(torch.from_numpy(pixels).permute(2, 0, 1), None)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_of_a_picture_is_told_by_its_head(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 20)).save(tmp_path / "p.jpg", exif=exif)
    assert picture_size(tmp_path / "p.jpg") == tuple(read_picture(tmp_path / "p.jpg", oriented=True).shape[1:])
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    dataset = tiled(lambda placing: FolderDataset(tmp_path, placing, ("a",)), InputTransform(64, 64, tiles=TILES))
    assert len(dataset) == 2
    with pytest.raises(DataError, match=r"torn\.jpg cannot be read"):
        dataset[dataset.index_of("torn.jpg[0,0]")]
