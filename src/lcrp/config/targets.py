"""Classes and functions that the configuration names by ``_target_``."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from hydra.utils import get_object

from lcrp.errors import ConfigError, nearest


def locate(path: str, key: str) -> Any:
    """The class or function at a dotted path.

    Args:
        path: for example ``lcrp.models.yolov6.YOLOv6``.
        key: the setting that names it, for the message.

    Raises:
        ConfigError: there is none, or its module cannot be imported.
    """
    try:
        found = get_object(path)
    except Exception as error:  # whatever a user's module raises while it is imported
        reason = " ".join(str(error.__cause__ or error).split())
        raise ConfigError(f"{key}='{path}' cannot be imported ({reason}); its folder must be on PYTHONPATH") from error
    if not callable(found):
        raise ConfigError(f"{key}='{path}' is neither a class nor a function")
    return found


def is_own(path: str) -> bool:
    """Whether a dotted path leads to a class or function that lcrp defines, and not to one that it imports."""
    own = __name__.partition(".")[0]
    if not path.startswith(f"{own}."):
        return False
    try:
        found = get_object(path)
    except Exception:  # nothing is there
        return False
    return str(getattr(found, "__module__", "")).startswith(f"{own}.")


def takes(target: Callable[..., Any], name: str) -> bool:
    """Whether a class or function has a parameter of this name."""
    return name in inspect.signature(target).parameters


def call(target: Callable[..., Any], arguments: Mapping[str, Any], key: str) -> Any:
    """Call a class or function with arguments by name.

    Raises:
        ConfigError: an argument is unknown or missing.
    """
    check_arguments(target, arguments, key)
    return target(**arguments)


def check_arguments(target: Callable[..., Any], arguments: Mapping[str, Any], key: str, *, first: str = "") -> None:
    """Whether a class or function takes arguments by name.

    Args:
        target: what is to be called.
        arguments: by name.
        key: the settings that hold them, for the message.
        first: what an argument in front of them is, if there is one.

    Raises:
        ConfigError: an argument is unknown or missing.
    """
    parameters = inspect.signature(target).parameters
    own = list(parameters)[1 if first else 0 :]
    unknown = [name for name in arguments if name not in own]
    try:
        inspect.signature(target).bind(*[first] * bool(first), **arguments)
    except TypeError as error:
        mend = f"nearest: {nearest(unknown[0], own)}" if unknown and own else f"it takes {', '.join(own) or 'none'}"
        raise ConfigError(f"{key}: {target.__name__}: {error}; {mend}") from error
