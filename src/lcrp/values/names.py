"""Names of files: those made of names of things, and how those of pictures end."""

import re
import unicodedata

LONGEST = 80  # bytes
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")  # how their files end


def safe_name(name: str, longest: int = LONGEST) -> str:
    """A name that every system takes as a part of a file's name: letters of any script, digits, '_', '.' and '-'.

    Everything else becomes '-', and the ends are neither '-' nor '.'. Different names may become equal.

    Args:
        name: of whatever the file is about.
        longest: bytes at most; of a longer name the end stays.
    """
    plain = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", name))
    return plain.encode()[-longest:].decode(errors="ignore").strip("-.") or "-"


def unique_name(name: str, taken: set[str]) -> str:
    """The name, or the name with the first free number behind it; `taken` holds it from now on.

    Names that differ only in case are one, as they are on many file systems.
    """
    found, number = name, 1
    while found.casefold() in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found.casefold())
    return found
