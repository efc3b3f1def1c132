"""The page's data, read back: what it holds is what its program shows."""

import base64
import gzip
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.errors import StoreError
from lcrp.page.arrays import unpacked
from lcrp.page.maps import restored
from lcrp.page.pack import FORMAT, VERSION

_SCRIPT = re.compile(rb'<script type="application/octet-stream" id="(\w+)">([A-Za-z0-9+/=]*)</script>')
_BLOCK = re.compile(rb'lcrpBlock\(\d+,"([A-Za-z0-9+/=]*)"\);\s*')


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """What a page holds.

    Attributes:
        index: its JSON index.
        blocks: of arrays, no longer compressed.
        images: WebP.
    """

    index: dict[str, Any]
    blocks: tuple[bytes, ...]
    images: tuple[bytes, ...]

    def array(self, name: str) -> npt.NDArray[Any]:
        """An array by its name in the index, such as 'l0.mean'."""
        return unpacked(self.index["arrays"][name], self.blocks)

    def maps(self, number: int) -> npt.NDArray[np.float64]:
        """Heatmap and concepts' maps of a decision, [1 + N, h, w]."""
        cells, limits = self.array(f"d{number}.maps"), self.index["decisions"][number]["limits"]
        return np.stack([restored(one, limit) for one, limit in zip(cells, limits, strict=True)])


def read_page(path: Path) -> PageData:
    """The data of a page: an HTML file, or the folder of one.

    Raises:
        StoreError: it is missing, damaged, or of another version.
    """
    folder = path if path.is_dir() else None
    page = path / "index.html" if folder else path
    try:
        found = {name.decode(): text for name, text in _SCRIPT.findall(page.read_bytes())}
        index = json.loads(gzip.decompress(base64.b64decode(found["index"])))
        if (index["format"], index["version"]) != (FORMAT, VERSION):
            raise StoreError(f"'{page}' is a {index['format']} of version {index['version']}, not of version {VERSION}")
        others = range(1, index["num_blocks"])
        encoded = [found["b0"], *(_stored(folder, number) if folder else found[f"b{number}"] for number in others)]
        images = [
            (folder / "pictures" / f"i{number}.webp").read_bytes() if folder else base64.b64decode(found[f"i{number}"])
            for number in range(index["num_images"])
        ]
        blocks = tuple(gzip.decompress(base64.b64decode(block)) for block in encoded)
    except (OSError, KeyError, ValueError, TypeError, EOFError, zlib.error) as error:
        raise StoreError(f"'{page}' is no page of stage=explore: {error}") from error
    return PageData(index=index, blocks=blocks, images=tuple(images))


def _stored(folder: Path, number: int) -> bytes:
    found = _BLOCK.fullmatch((folder / "data" / f"b{number}.js").read_bytes())
    if found is None:
        raise ValueError(f"data/b{number}.js is damaged")
    return found[1]
