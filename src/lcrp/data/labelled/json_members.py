"""Large JSON files, item by item: a list of a million objects is never held as Python objects."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

_BLANK = re.compile(r"[ \t\n\r]*")


def read_members(path: Path, takers: Mapping[str, Callable[[object], None]]) -> dict[str, object]:
    """The members of the object in a JSON file.

    Args:
        path: of the file, in UTF-8, 16 or 32, with or without a byte order mark.
        takers: take the items of the lists of these names one by one, in the order of the file.

    Returns:
        All other members.

    Raises:
        ValueError: it is no JSON, or no object.
    """
    content = path.read_bytes()
    text = content.decode(json.detect_encoding(content))
    del content
    decode = json.JSONDecoder().raw_decode
    members: dict[str, object] = {}
    place = _next(text, 0)
    if text[place : place + 1] != "{":
        raise ValueError(f"it holds {_kind(json.loads(text))}, not an object with 'images' and 'annotations'")
    place = _next(text, place + 1)
    while text[place : place + 1] != "}":
        name, place = decode(text, place)
        place = _expected(text, place, ":")
        if name in takers and text[place : place + 1] == "[":
            place = _take_items(text, place + 1, decode, takers[name])
        else:
            members[name], place = decode(text, place)
        place = _after_item(text, place, "}")
    if _next(text, place + 1) != len(text):
        raise ValueError(f"there is more behind its end, at character {place + 1}")
    return members


def _take_items(
    text: str, place: int, decode: Callable[[str, int], tuple[object, int]], take: Callable[[object], None]
) -> int:
    """Give every item of a list; returns where the list has ended."""
    place = _next(text, place)
    while text[place : place + 1] != "]":
        item, place = decode(text, place)
        take(item)
        place = _after_item(text, place, "]")
    return place + 1


def _after_item(text: str, place: int, end: str) -> int:
    """Where the next item begins, or the end."""
    place = _next(text, place)
    if text[place : place + 1] == end:
        return place
    place = _expected(text, place, ",")
    if text[place : place + 1] == end:
        raise ValueError(f"a comma stands before the end, at character {place}")
    return place


def _expected(text: str, place: int, sign: str) -> int:
    place = _next(text, place)
    if text[place : place + 1] != sign:
        raise ValueError(f"'{sign}' is missing at character {place}: it ends too soon or is no JSON")
    return _next(text, place + 1)


def _next(text: str, place: int) -> int:
    found = _BLANK.match(text, place)
    assert found is not None
    return found.end()


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else "a text" if isinstance(value, str) else repr(value)
