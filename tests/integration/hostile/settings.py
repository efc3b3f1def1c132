"""Settings of every wrong type."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from lcrp.config.dataset import DATASETS, Dataset
from lcrp.config.root import Config, Stage
from lcrp.config.stages import STAGES

WRONG = {  # on the command line
    int: ("many", "1.5", "[1]", "{a: 1}", "''", "1e999", "0x"),
    float: ("much", "[1.0]", "{a: 1}", "''"),
    bool: ("maybe", "2.5", "[true]", "{a: 1}", "''"),
    str: ("[a]", "{a: 1}"),
    list: ("5", "text", "{a: 1}", "true"),
    dict: ("5", "text", "[1]", "true"),
}
CHOICES: dict[type, tuple[str, ...]] = {  # what reads which settings, as Hydra's choices
    Config: (),
    DATASETS["scenes"]: ("dataset=scenes",),
    DATASETS["coco"]: ("dataset=coco2017",),
    DATASETS["voc"]: ("dataset=voc2012", "model=unet"),
    DATASETS["cityscapes"]: ("dataset=cityscapes", "model=unet"),
    DATASETS["folder"]: ("dataset=folder", "dataset.path=photos"),
    DATASETS["yolo"]: ("dataset=yolo", "dataset.path=data.yaml"),
    DATASETS["own_coco"]: ("dataset=coco", "dataset.annotations=labels.json"),
    DATASETS["own_voc"]: ("dataset=voc", "dataset.root=export"),
    DATASETS["masks"]: ("dataset=masks", "dataset.images=a", "dataset.masks=b", "dataset.class_names=[c]"),
    **{kind: (f"stage={name}",) for name, kind in STAGES.items() if name not in ("download", "own")},
    STAGES["download"]: ("stage=download", "dataset=coco2017"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting and values of other types than its own.

    Attributes:
        key: with dots.
        choices: of the groups, with which there is such a setting.
        wrong: values as they are written on the command line.
    """

    key: str
    choices: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def name(self) -> str:
        """Column of the table."""
        return f"setting: {' '.join((*self.choices, self.key))} = " + ", ".join(self.wrong)

    @property
    def outcome(self) -> str:
        """Column of the table."""
        return f"error: '{self.key}"


def cases() -> list[Setting]:
    """Every setting of every stage and dataset."""
    found = []
    for kind, choices in CHOICES.items():
        prefix = {Dataset: "dataset.", Stage: "stage."}.get(_group(kind), "")
        found += [Setting(key=key, choices=choices, wrong=wrong) for key, wrong in _settings(kind, prefix)]
    return found


def _group(kind: type) -> type | None:
    return next((group for group in (Dataset, Stage) if issubclass(kind, group)), None)


def _settings(kind: type, prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    hints = get_type_hints(kind)
    for entry in fields(kind):
        key, (hint, is_optional) = f"{prefix}{entry.name}", _without_none(hints[entry.name])
        if kind is Config and entry.name == "composite":
            continue  # a group with settings of its own
        if is_dataclass(hint):
            if kind is Config and hint in (Dataset, Stage):
                continue  # groups: a value in their place chooses another
            yield from _settings(hint, f"{key}.")
            continue
        origin = getattr(hint, "__origin__", hint)
        wrong = WRONG[origin]
        inner = get_args(hint)
        if origin is list and inner[0] in (int, float):
            wrong += ("[a]",)
        yield key, wrong if is_optional else (*wrong, "null")


def _without_none(hint: Any) -> tuple[Any, bool]:
    """The type, and whether it may be null."""
    kinds = get_args(hint)
    if hint is Any:  # a mapping or null, which OmegaConf cannot say
        return dict, True
    if kinds == (int, str):  # a number, or a word for one
        return int, False
    if NoneType in kinds:
        return next(kind for kind in kinds if kind is not NoneType), True
    return hint, False
