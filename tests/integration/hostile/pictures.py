"""Pictures: cut short, damaged, of unusual kinds and sizes, and files that only look like pictures."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from hostile.case import Item, Other

UNREADABLE = "cannot be read"
FLOATING = "it holds floating point numbers"
ORIENTATION = 0x0112  # tag of EXIF
FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP", "ppm": "PPM"}


def cases() -> list[Item]:
    """All of them, as files of one folder."""
    return [
        *(
            _item(f"{kind} cut short after {share:.0%}", f"cut{share:.0%}.{suffix}", _cut(kind, share), UNREADABLE)
            for suffix, kind in FORMATS.items()
            for share in (0.1, 0.6)
        ),
        *(_item(f"{kind} of a single pixel", f"one.{suffix}", _of(kind, (1, 1))) for suffix, kind in FORMATS.items()),
        *(
            _item(f"JPEG with EXIF orientation {number}", f"turned{number}.jpg", _turned(number))
            for number in (2, 3, 4, 5, 6, 7, 8)
        ),
        _item("JPEG with EXIF orientation 99", "turned99.jpg", _turned(99)),
        _item("JPEG with broken EXIF data", "exif.jpg", _broken_exif),
        _item("CMYK JPEG", "cmyk.jpg", _mode("CMYK", "JPEG")),
        _item("grey JPEG", "grey.jpg", _mode("L", "JPEG")),
        _item("16-bit grey PNG", "grey16.png", _saved(Image.fromarray(np.full((9, 9), 40_000, np.uint16)), "PNG")),
        _item("32-bit grey TIFF", "grey32.tif", _saved(_deep(), "TIFF"), "it holds numbers of 32 bits"),
        _item("floating point TIFF", "float.tif", _saved(_floating(0.5), "TIFF"), FLOATING),
        _item("floating point TIFF that is not numbers", "nan.tif", _saved(_nothing(), "TIFF"), FLOATING),
        _item("black and white PNG", "bits.png", _mode("1", "PNG")),
        _item("palette PNG", "palette.png", _mode("P", "PNG")),
        _item("palette GIF with transparency", "clear.gif", _transparent),
        _item("grey PNG with alpha", "la.png", _mode("LA", "PNG")),
        _item("PNG with alpha", "rgba.png", _mode("RGBA", "PNG")),
        _item("LAB TIFF", "lab.tif", _mode("LAB", "TIFF")),
        _item("YCbCr TIFF", "ycbcr.tif", _mode("YCbCr", "TIFF")),
        *(
            _item(f"animated {kind}", f"film.{suffix}", _animated(kind))
            for suffix, kind in {"gif": "GIF", "png": "PNG", "webp": "WEBP"}.items()
        ),
        _item("TIFF of three pages", "pages.tif", _animated("TIFF")),
        _item("12,000 x 8,000 pixels", "large.png", _plain_png(12_000, 8_000)),
        _item("1 x 20,000 pixels", "line.png", _plain_png(1, 20_000)),
        _item("bomb: 30,000 x 30,000 pixels in 110 kB", "bomb.png", _plain_png(30_000, 30_000), "exceeds limit"),
        _item("bomb: 2^31 - 1 pixels a side declared", "huge.png", _declared(2**31 - 1, 2**31 - 1), UNREADABLE),
        _item("bomb: 100 MB of text in a PNG", "text.png", _text_bomb, UNREADABLE),
        _item("no pixels: 0 x 0 declared", "none.png", _declared(0, 0), UNREADABLE),
        _item("PNG that declares more pixels than it has", "more.png", _declared(64, 64), UNREADABLE),
        _item("PNG with a wrong checksum", "sum.png", _overwritten("PNG", 45), UNREADABLE),
        _item("JPEG with noise in its header", "noise.jpg", _overwritten("JPEG", 160), UNREADABLE),
        _item("GIF with noise in its header", "noise.gif", _overwritten("GIF", 8), UNREADABLE),
        _item("empty file", "empty.jpg", _bytes(b""), UNREADABLE),
        _item("text", "text.jpg", _bytes(b"no picture\n"), UNREADABLE),
        _item("HTML page, as a failed download leaves it", "page.jpg", _bytes(b"<html>404</html>"), UNREADABLE),
        _item("SVG", "vector.png", _bytes(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), UNREADABLE),
        _item("PDF", "document.png", _bytes(b"%PDF-1.4\n%%EOF"), UNREADABLE),
        _item("PostScript that writes files", "script.png", _bytes(POSTSCRIPT), UNREADABLE),
        _item("pickle", "pickle.jpg", _bytes(b"cos\nsystem\n(S'touch canary'\ntR."), UNREADABLE),
        _item("zip archive", "zip.jpg", _bytes(b"PK\x05\x06" + bytes(18)), UNREADABLE),
        _item("zeros", "zeros.png", _bytes(bytes(4096)), UNREADABLE),
        _item("PNG called .jpg", "really.png.jpg", _of("PNG", (9, 9))),
        _item("name with spaces, quotes and brackets", 'it\'s [a] "name" 100%.png', _of("PNG", (9, 9))),
        _item("name that begins with a dash", "--help.png", _of("PNG", (9, 9))),
        _item("name with a line break", "two\nlines.png", _of("PNG", (9, 9))),
        _item("name of 240 letters", "a" * 236 + ".png", _of("PNG", (9, 9))),
        _item("name in other scripts", "海と船 ⛵.png", _of("PNG", (9, 9))),
        _item("name that is no UTF-8", os.fsdecode(b"\xff\xfe.png"), _of("PNG", (9, 9))),
        _item("link to another picture", "link.png", lambda path: path.symlink_to("rgba.png")),
    ]


ABSENT: dict[str, Callable[[Path], object]] = {
    "folder.png": lambda path: path.mkdir(),
    "pipe.png": os.mkfifo,
    "dangling.png": lambda path: path.symlink_to("nowhere.png"),
    "circle.png": lambda path: path.symlink_to("circle.png"),
    ".hidden.png": lambda path: path.write_bytes(b""),
    "readme.txt": lambda path: path.write_bytes(b"no picture"),
}


def passed_over() -> list[Other]:
    """What is no picture by its kind or name."""
    return [Other(name=f"picture: {name}", outcome="passed over, it is no picture file") for name in ABSENT]


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(canary) (w) file closefile\nshowpage\n"


def _item(name: str, key: str, write: Callable[[Path], object], skipped: str = "") -> Item:
    return Item(name=f"picture: {name}", key=key, write=lambda folder: write(folder / key), skipped=skipped)


def _picture(size: tuple[int, int] = (48, 40)) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def _saved(picture: Image.Image, kind: str) -> Callable[[Path], object]:
    return _bytes(_encoded(picture, kind))


def _of(kind: str, size: tuple[int, int]) -> Callable[[Path], object]:
    return _saved(_picture(size), kind)


def _mode(mode: str, kind: str) -> Callable[[Path], object]:
    return _saved(_picture().convert("RGBA" if mode == "RGBA" else "RGB").convert(mode), kind)


def _floating(value: float) -> Image.Image:
    return Image.fromarray(np.full((9, 9), value, np.float32))


def _deep() -> Image.Image:
    return Image.fromarray(np.full((9, 9), 70_000, np.int32))


def _nothing() -> Image.Image:
    return Image.fromarray(np.full((9, 9), np.nan, np.float32))


def _cut(kind: str, share: float) -> Callable[[Path], object]:
    content = _encoded(_picture(), kind)
    return _bytes(content[: int(share * len(content))])


def _overwritten(kind: str, place: int) -> Callable[[Path], object]:
    content = bytearray(_encoded(_picture(), kind))
    content[place : place + 40] = bytes(range(200, 240))
    return _bytes(bytes(content))


def _turned(number: int) -> Callable[[Path], object]:
    exif = Image.Exif()
    exif[ORIENTATION] = number
    return _bytes(_encoded(_picture(), "JPEG", exif=exif))


def _broken_exif(path: Path) -> None:
    path.write_bytes(_encoded(_picture(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff" + bytes(20)))


def _transparent(path: Path) -> None:
    path.write_bytes(_encoded(_picture().convert("P"), "GIF", transparency=3))


def _animated(kind: str) -> Callable[[Path], object]:
    frames = [_picture(), _picture().rotate(90), _picture().rotate(180)]
    return _bytes(_encoded(frames[0], kind, save_all=True, append_images=frames[1:]))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, content: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)  # black and white, one bit per pixel
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", content) + _chunk(b"IEND", b"")


def _plain_png(width: int, height: int) -> Callable[[Path], object]:
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    content = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.compress(row * (height % 100))
    return _bytes(_png(width, height, content + packer.flush()))


def _declared(width: int, height: int) -> Callable[[Path], object]:
    return _bytes(_png(width, height, zlib.compress(bytes(8))))


def _text_bomb(path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 100_000_000, zip=True)
    path.write_bytes(_encoded(_picture(), "PNG", pnginfo=text))
