"""What Hydra and argparse say of a wrong command: raised instead of printed over several lines."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from lcrp.errors import ConfigError, LcrpError
from lcrp.storage.atomic import unwritable

FULL_ERROR = "HYDRA_FULL_ERROR"
_USERS_MISTAKES = (LcrpError, OSError, HydraException, OmegaConfBaseException)


def wants_traceback() -> bool:
    """Whether a person asked for tracebacks by HYDRA_FULL_ERROR=1."""
    return os.environ.get(FULL_ERROR) == "1"


@contextmanager
def raised() -> Iterator[None]:
    """Hydra raises its own errors within the block.

    Raises:
        StoreError: the folder of a run cannot be made.
    """
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    except OSError as error:
        path = None if error.filename is None else Path(error.filename)
        if path is None or path.is_file():  # a file that cannot be read
            raise
        raise unwritable(path, error) from error
    finally:
        if before is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = before


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """A command's flags, and its other words as `overrides`.

    Raises:
        ConfigError: a flag is unknown; argparse would answer with a page of usage.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise ConfigError(f"{message}; settings are given as key=value, 'lcrp --help' shows how")

    parser.error = refuse  # type: ignore[method-assign]
    return parser.parse_args(list(arguments))


def is_users_mistake(error: BaseException) -> bool:
    """Whether an error is answered by one line, and not by a traceback.

    Hydra refuses some arguments (model=3, --resolve alone) by a plain ValueError.
    """
    if isinstance(error, _USERS_MISTAKES):
        return True
    *_, (frame, _) = walk_tb(error.__traceback__)
    return isinstance(error, ValueError) and str(frame.f_globals.get("__name__", "")).startswith("hydra.")
