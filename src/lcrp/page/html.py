"""The page: one HTML file with all in it, or a folder with pictures and blocks in files of their own.

Nothing is ever fetched: the policy of the page allows the program by its hash, the style by its hash, and pictures from
memory (from the folder, in a folder). Data are inert text.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Final

from lcrp.page.pack import Packed

PROGRAM: Final = "explorer.js"
STYLE: Final = "explorer.css"


def built(name: str) -> str:
    """The program or its style, as the package holds it."""
    return files("lcrp.page").joinpath("built", name).read_text(encoding="utf-8")


def one_file(content: Packed) -> Iterator[bytes]:
    """The page with everything in it, in parts."""
    yield _head(content, is_folder=False)
    yield _block("index", _index(content))
    yield _block("b0", content.blocks[0])
    yield f"<script>{built(PROGRAM)}</script>\n".encode()
    for number, block in enumerate(content.blocks[1:], start=1):
        yield _block(f"b{number}", block)
    for number, image in enumerate(content.images):
        yield _block(f"i{number}", image)
    yield b"</body>\n</html>\n"


def folder_files(content: Packed) -> Iterator[tuple[str, bytes]]:
    """Files of the folder: name and content, 'index.html' the last."""
    for number, block in enumerate(content.blocks[1:], start=1):
        yield f"data/b{number}.js", f'lcrpBlock({number},"{base64.b64encode(block).decode()}");\n'.encode()
    for number, image in enumerate(content.images):
        yield f"pictures/i{number}.webp", image
    parts = [_head(content, is_folder=True), _block("index", _index(content)), _block("b0", content.blocks[0])]
    parts.append(f"<script>{built(PROGRAM)}</script>\n</body>\n</html>\n".encode())
    yield "index.html", b"".join(parts)


def _head(content: Packed, *, is_folder: bool) -> bytes:
    style = built(STYLE)
    own = " file:" if is_folder else ""
    policy = (
        f"default-src 'none'; script-src '{_hash(built(PROGRAM))}'{own}; style-src '{_hash(style)}'; "
        f"img-src blob:{own}; base-uri 'none'; form-action 'none'"
    )
    title = escape(str(content.index["title"]))
    return f"""<!doctype html>
<html lang="en"{' data-folder="true"' if is_folder else ""}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<noscript><p>This page needs JavaScript. Nothing in it leaves your computer.</p></noscript>
""".encode(errors="replace")


def _index(content: Packed) -> bytes:
    text = json.dumps(content.index, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return gzip.compress(text.encode("utf-8", errors="replace"), mtime=0)


def _block(name: str, content: bytes) -> bytes:
    return b"".join(
        [f'<script type="application/octet-stream" id="{name}">'.encode(), base64.b64encode(content), b"</script>\n"]
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
