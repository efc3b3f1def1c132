"""From settings to values by the names of fields."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lcrp.config.values import filled, told
from lcrp.errors import ConfigError, at_least, refuse


@dataclass
class Settings:
    names: list[str]
    sizes: list[list[int]]
    file: str | None
    pattern: str
    count: int
    other: int = 0


@dataclass(frozen=True, kw_only=True)
class Inner:
    count: int

    def __post_init__(self) -> None:
        refuse(at_least("count", self.count, 1))


@dataclass(frozen=True, kw_only=True)
class Value:
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    file: Path | None
    pattern: str
    inner: Inner
    given: int
    kept: str = "default"
    inner_too: Inner = field(default_factory=lambda: Inner(count=9))


SETTINGS = Settings(names=["a"], sizes=[[1, 2]], file="x.h5", pattern="*.jpg", count=3)


def test_lists_become_tuples_and_texts_paths_where_the_field_is_one() -> None:
    assert filled(Value, SETTINGS, Path("/there"), {"given": 7}) == Value(
        names=("a",),
        sizes=((1, 2),),
        file=Path("/there/x.h5"),
        pattern="*.jpg",
        inner=Inner(count=3),
        given=7,
        inner_too=Inner(count=3),
    )


def test_nothing_stays_nothing_and_absolute_stays_absolute() -> None:
    assert filled(Value, Settings(**vars(SETTINGS) | {"file": None}), Path(), {"given": 1}).file is None
    assert filled(Value, Settings(**vars(SETTINGS) | {"file": "/a"}), Path("/b"), {"given": 1}).file == Path("/a")


def test_problems_of_all_parts_are_told_with_the_settings_place() -> None:
    wrong = Settings(**vars(SETTINGS) | {"count": 0})
    problems = list(told("stage.", lambda: filled(Value, wrong, Path(), {"given": 1})))
    assert problems == ["stage.count=0 is too small; the least is 1"] * 2
    with pytest.raises(ConfigError, match=r"^count=0 is too small.*; count=0 is too small"):
        filled(Value, wrong, Path(), {"given": 1})
