"""What a person gives as settings of a network: refused where it would be read otherwise than it was meant."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

from lcrp.errors import ConfigError

Number = TypeVar("Number", bound=float | str | None)
InputSize = int | tuple[int, int] | tuple[int, int, str]
ClassNames = Sequence[str] | Mapping[int, str]


def class_names_of(given: ClassNames) -> list[str]:
    """Names of classes, index = class id.

    Args:
        given: in their order, or by class id as some libraries keep them.

    Raises:
        ConfigError: it is nothing of the kind, an id or a name is missing, or a name is there twice.
    """
    if isinstance(given, Mapping):
        if sorted(map(str, given)) != sorted(map(str, range(len(given)))):
            raise ConfigError(f"class_names has the keys {list(given)}; a mapping is {{class id: name}}, ids from 0 on")
        by_id = {int(key): name for key, name in given.items()}
        names: list[object] = [by_id[class_id] for class_id in range(len(by_id))]
    elif isinstance(given, str | set | frozenset) or not isinstance(given, Iterable):
        raise ConfigError(f"class_names={given!r} is no list of names; write [name, name, ...], index = class id")
    else:
        names = list(given)
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    if wrong:
        raise ConfigError(f"class_names holds {wrong[0]!r}, which is no name; write [name, name, ...]")
    texts = [str(name) for name in names]
    twice = [name for number, name in enumerate(texts) if name in texts[:number]]
    if twice:
        raise ConfigError(f"class_names holds '{twice[0]}' twice; the classes have to be told apart by their names")
    return texts


def input_settings(given: InputSize | None) -> dict[str, object]:
    """The input's size, and how pictures are made to fit, as settings.

    Raises:
        ConfigError: it is neither a side, nor (height, width), nor (height, width, resize).
    """
    if given is None:
        return {}
    size: tuple[object, ...] = (given, given) if isinstance(given, Integral) else _tuple(given)
    sides, named = size[:2], size[2:]
    is_size = len(sides) == 2 and all(isinstance(one, Integral) and not isinstance(one, bool) for one in sides)
    if not is_size or len(named) > 1:
        raise ConfigError(
            f"input={given!r} is no size: give the side in pixels, (height, width) or (height, width, resize)"
        )
    keys = ("model.input.height", "model.input.width", "model.input.resize")
    return dict(zip(keys, (*map(str, sides), *named), strict=False))


def tile_setting(given: Mapping[str, float]) -> str:
    """How pictures are cut, as a setting.

    Raises:
        ConfigError: it is no mapping of names to numbers.
    """
    is_tiling = isinstance(given, Mapping) and all(
        isinstance(value, Real) and not isinstance(value, bool) for value in given.values()
    )
    if not is_tiling or set(given) - {"size", "overlap"} or "size" not in given:
        raise ConfigError(f'tiles={given!r} is no tiling: give {{"size": PIXELS, "overlap": SHARE}}')
    return "{" + ",".join(f"{name}:{value}" for name, value in given.items()) + "}"


def channel_values(name: str, given: Sequence[float] | None) -> list[float] | None:
    """A number per RGB channel; None for None.

    Raises:
        ConfigError: it holds anything but numbers.
    """
    if given is None:
        return None
    values = _tuple(given.tolist() if hasattr(given, "tolist") else given)
    if not values or not all(isinstance(value, Real) for value in values):
        raise ConfigError(f"{name}={given!r} are no numbers; write one per RGB channel: [r, g, b]")
    return [float(value) for value in values]  # type: ignore[arg-type]


def layer_patterns(given: str | Sequence[str]) -> tuple[str, ...]:
    """Names or patterns of layers.

    Raises:
        ConfigError: it is neither a name nor a list of names.
    """
    patterns = (given,) if isinstance(given, str) else _tuple(given)
    if not all(isinstance(one, str) for one in patterns) or not isinstance(given, str | list | tuple):
        raise ConfigError(f"layers={given!r} are no names; write a name, a pattern ('backbone.*') or a list of these")
    return tuple(map(str, patterns))


def plain_number(given: Number) -> Number:
    """A number of numpy or torch as one of Python, so that files can hold it; all else as it is."""
    value: Any = given
    is_foreign = not isinstance(value, str | bytes) and getattr(value, "shape", None) == ()
    return value.item() if is_foreign else value  # type: ignore[no-any-return]


def _tuple(given: object) -> tuple[object, ...]:
    """A list or tuple as it is, all else as nothing."""
    return tuple(given) if isinstance(given, list | tuple) else ()
