"""Names of files."""

import pytest

from lcrp.values.names import safe_name, unique_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("my picture.png", "my-picture.png"),
        ("val/00003", "val-00003"),
        ("../../etc", "etc"),
        ('a:b*c?"<>|\\d', "a-b-c-d"),
        ("model.8.cv3.conv", "model.8.cv3.conv"),
        ("Käfer", "Käfer"),
        ("K\u0061\u0308fer", "Käfer"),  # as macOS writes it
        ("  ", "-"),
    ],
)
def test_names_are_safe_everywhere(name: str, expected: str) -> None:
    assert safe_name(name) == expected


def test_long_names_keep_their_end_and_whole_letters() -> None:
    assert safe_name("a" * 200 + ".png", 10) == "aaaaaa.png"
    assert safe_name("船" * 50, 10) == "船船船"  # three bytes each


def test_names_are_taken_once() -> None:
    taken: set[str] = set()
    assert [unique_name(name, taken) for name in ("a", "a", "A", "b", "a-2")] == ["a", "a-2", "A-3", "b", "a-2-2"]
