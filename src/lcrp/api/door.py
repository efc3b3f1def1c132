"""What every public function does around its work: numbers as asked for, nothing global changed, words of Python."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import get_type_hints

import torch

from lcrp.config.build import set_precision
from lcrp.config.root import Config
from lcrp.errors import ConfigError, LcrpError

GROUPS = ("model", "dataset", "statistics", "stage")
AUTOCASTING = ("cpu", "cuda")  # kinds of devices


@contextmanager
def computing(precision: str) -> Iterator[None]:
    """The precision of a network within the block, and words of Python for what goes wrong in it."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic
    set_precision(precision)
    try:
        with python_words():
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic = before


@contextmanager
def python_words() -> Iterator[None]:
    """Work as in a fresh interpreter; what an error calls a setting becomes the keyword: 'stage.layer' is 'layer'."""
    try:
        with _undisturbed():
            yield
    except LcrpError as error:
        error.args = (in_python_words(str(error), is_of_settings=isinstance(error, ConfigError)),)
        raise


@contextmanager
def _undisturbed() -> Iterator[None]:
    """What the caller has switched on around the call is off in the block: inference mode, autocast, default device.

    Rules need gradients, their arithmetic is its own, and networks that are loaded outlive the caller's block.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        for kind in AUTOCASTING:
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def in_python_words(message: str, *, is_of_settings: bool = False) -> str:
    """A message in one line that names keywords instead of settings.

    Args:
        message: what went wrong.
        is_of_settings: whether what stands in quotes is a setting; it is left alone where it may be a layer.
    """
    line = " ".join(message.splitlines())
    return _SETTING.sub(r"\1", _QUOTED.sub(r"'\1'", line) if is_of_settings else line)


def _setting_names() -> Iterator[str]:
    """What the settings of models, datasets, statistics and stages are called."""
    hints = get_type_hints(Config)
    kinds: list[type] = [hints[group] for group in GROUPS]
    for kind in kinds:  # also those that are found on the way
        kinds += kind.__subclasses__()
        yield from (entry.name for entry in fields(kind))


_NAME = rf"(?:{'|'.join(GROUPS)})\.({'|'.join(sorted(set(_setting_names())))})"
_SETTING = re.compile(rf"""(?<![\w'"/.]){_NAME}\b""")
_QUOTED = re.compile(rf"'{_NAME}'")
