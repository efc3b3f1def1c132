"""What every public function does around its work: numbers as asked for, nothing global changed, words of Python."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import get_type_hints

import torch

from lcrp.config.build import set_precision
from lcrp.config.root import Config
from lcrp.errors import LcrpError

GROUPS = ("model", "dataset", "statistics", "stage")


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
    """What an error calls a setting becomes the keyword of the same name: 'Set stage.layer' is 'Set layer'."""
    try:
        yield
    except LcrpError as error:
        error.args = (in_python_words(str(error)),)
        raise


def in_python_words(message: str) -> str:
    """A message that names keywords instead of settings; what stands in quotes, such as a layer, is left alone."""
    return _SETTING.sub(r"\1", message)


def _setting_names() -> Iterator[str]:
    """What the settings of models, datasets, statistics and stages are called."""
    hints = get_type_hints(Config)
    kinds: list[type] = [hints[group] for group in GROUPS]
    for kind in kinds:  # also those that are found on the way
        kinds += kind.__subclasses__()
        yield from (entry.name for entry in fields(kind))


_SETTING = re.compile(rf"""(?<![\w'"/.])(?:{"|".join(GROUPS)})\.({"|".join(sorted(set(_setting_names())))})\b""")
