"""Names that are safe as files on every system (no torch)."""

import re

_UNSAFE = re.compile(r"[^\w.-]+")


def safe_name(text: str) -> str:
    """Text as a part of a file's name: letters of any script, digits, '_', '.' and '-'; the rest becomes one '-'."""
    return _UNSAFE.sub("-", text).strip("-.")
