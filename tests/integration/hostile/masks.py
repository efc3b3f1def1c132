"""Class masks of VOC 2012 and Cityscapes: wrong sizes, values, kinds; lists that name what is not there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hostile.case import Command, Item

SIZE = (40, 32)  # width, height
VOC = Path("VOCdevkit/VOC2012")
Write = Callable[[Path], object]


def voc_samples() -> list[Item]:
    """Masks of one VOC folder, each of a picture of its own."""
    return [
        _item("of ten classes", "fine", _mask(np.arange(10).repeat(128).reshape(32, 40))),
        _item("all void", "void", _mask(np.full((32, 40), 255))),
        _item("all background", "background", _mask(np.zeros((32, 40)))),
        _item("as grey PNG", "grey", _mask(np.full((32, 40), 7), "L")),
        _item("black and white", "bits", lambda path: Image.new("1", SIZE).save(path)),
        _item("of another size", "size", _mask(np.zeros((9, 9))), "has 9x9 pixels, its picture 32x40"),
        _item("turned by 90 degrees", "turned", _mask(np.zeros((40, 32))), "has 40x32 pixels, its picture 32x40"),
        _item("of a single pixel", "one", _mask(np.zeros((1, 1))), "has 1x1 pixels"),
        _item("with the values 21 and 254", "values", _mask(np.array([21, 254] * 640).reshape(32, 40)), "[21, 254]"),
        _item("of 16 bits", "deep", lambda path: _grey16(0).save(path)),
        _item("of 16 bits with the value 60,000", "deeper", lambda path: _grey16(60_000).save(path), "[60000]"),
        _item("in colours", "rgb", lambda path: Image.new("RGB", SIZE).save(path), "holds colours (RGB)"),
        _item("in colours with alpha", "rgba", lambda path: Image.new("RGBA", SIZE).save(path), "holds colours (RGBA)"),
        _item("grey with alpha", "la", lambda path: Image.new("LA", SIZE).save(path), "holds colours (LA)"),
        _item("of floating point numbers", "float", _tiff, "holds colours (F)"),
        _item("that is missing", "missing", lambda _: None, "is missing"),
        _item("that is empty", "empty", lambda path: path.write_bytes(b""), "cannot be read"),
        _item("that is text", "text", lambda path: path.write_text("0 0 0"), "cannot be read"),
        _item("that is cut short", "cut", _cut, "cannot be read"),
        _item("that is a folder", "folder", lambda path: path.mkdir(), "cannot be read"),
    ]


def write_voc(folder: Path) -> None:
    """The dataset; the last name of the list has no picture."""
    items = voc_samples()
    _write_pictures(folder / "voc" / VOC, [item.key for item in items])
    for item in items:
        item.write(folder)


VOC_ARGUMENTS = ["dataset=voc2012", "dataset.root=voc", "model=deeplabv3plus"]


def commands() -> list[Command]:
    """Folders that are refused as a whole."""
    return [
        _voc("an empty list of pictures", _listed(b""), "names no picture"),
        _voc("a list that is a folder", _list_is_folder, "cannot be read"),
        _voc("no list", _no_list, "misses"),
        _voc("no masks", _no_masks, "misses"),
        _voc("a list that is no UTF-8", _listed(b"\xff\xfe\n"), "cannot be read"),
        _voc("a list of names above the folder", _listed(b"../../../x\n"), "can be read; the first"),
        _city("no pictures", lambda folder: _city_folders(folder), "holds no pictures called"),
        _city("a mask with the value 60,000", _deep_label, "can be read; the first"),
        _city("a mask in colours", _colour_label, "can be read; the first"),
        _city("no mask", _no_label, "can be read; the first"),
    ]


def _item(name: str, key: str, write: Write, skipped: str = "") -> Item:
    def place(folder: Path) -> None:
        write(folder / "voc" / VOC / "SegmentationClass" / f"{key}.png")

    return Item(name=f"mask: {name}", key=key, write=place, skipped=skipped)


def _mask(values: np.ndarray, mode: str = "P") -> Write:
    def write(path: Path) -> None:
        mask = Image.fromarray(values.astype(np.uint8), "L")
        if mode == "P":
            mask.putpalette([*range(256)] * 3)
        mask.save(path)

    return write


def _grey16(value: int) -> Image.Image:
    return Image.fromarray(np.full((32, 40), value, np.uint16))


def _tiff(path: Path) -> None:
    Image.fromarray(np.zeros((32, 40), np.float32)).save(path, format="TIFF")


def _cut(path: Path) -> None:
    _mask(np.random.default_rng(0).integers(0, 21, (32, 40)))(path)
    path.write_bytes(path.read_bytes()[:-100])


def _write_pictures(devkit: Path, keys: list[str]) -> None:
    for name in ("ImageSets/Segmentation", "JPEGImages", "SegmentationClass"):
        (devkit / name).mkdir(parents=True)
    (devkit / "ImageSets/Segmentation/val.txt").write_text("\n".join(keys) + "\n")
    for key in keys:
        Image.new("RGB", SIZE, (9, 99, 199)).save(devkit / f"JPEGImages/{key}.jpg")


def _voc(name: str, write: Write, error: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        _write_pictures(folder / "voc" / VOC, ["one"])
        write(folder / "voc" / VOC)
        return [*VOC_ARGUMENTS, "model.checkpoint=random", "statistics.targets=predicted"]

    return Command(name=f"VOC 2012: {name}", prepare=prepare, error=error)


def _listed(content: bytes) -> Write:
    return lambda devkit: (devkit / "ImageSets/Segmentation/val.txt").write_bytes(content)


def _list_is_folder(devkit: Path) -> None:
    _no_list(devkit)
    (devkit / "ImageSets/Segmentation/val.txt").mkdir()


def _no_list(devkit: Path) -> None:
    (devkit / "ImageSets/Segmentation/val.txt").unlink()


def _no_masks(devkit: Path) -> None:
    (devkit / "SegmentationClass").rmdir()


def _city(name: str, write: Write, error: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        write(folder)
        arguments = ["dataset=cityscapes", "dataset.root=city", "model=unet", "model.checkpoint=random"]
        return [*arguments, "model.network.width=0.05", "statistics.targets=predicted"]

    return Command(name=f"Cityscapes: {name}", prepare=prepare, error=error)


def _city_folders(folder: Path) -> tuple[Path, Path]:
    picture = folder / "city/leftImg8bit/val/bonn/bonn_000000_000000_leftImg8bit.png"
    label = folder / "city/gtFine/val/bonn/bonn_000000_000000_gtFine_labelIds.png"
    for path in (picture, label):
        path.parent.mkdir(parents=True)
    return picture, label


def _no_label(folder: Path) -> Path:
    picture, label = _city_folders(folder)
    Image.new("RGB", SIZE, (9, 99, 199)).save(picture)
    return label


def _deep_label(folder: Path) -> None:
    _grey16(60_000).save(_no_label(folder))


def _colour_label(folder: Path) -> None:
    Image.new("RGB", SIZE).save(_no_label(folder))
