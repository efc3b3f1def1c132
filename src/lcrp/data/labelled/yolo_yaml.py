"""The YAML file of a YOLO data set: names of classes, and where the pictures of its splits lie."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from lcrp.errors import DataError, nearest

_SAME = {"val": ("valid", "validation"), "valid": ("val", "validation"), "test": ("testing",), "train": ("training",)}
_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LARGEST = 10_000_000  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class YoloYaml:
    """What the file says.

    Attributes:
        path: of the file.
        names: of the classes.
        base: folder to which its splits are relative.
        origin: folder in which the command was given.
        splits: what it says of every split.
        has_keypoints: whether lines hold points of a body behind the box.
        notes: what a person should know.
    """

    path: Path
    names: tuple[str, ...]
    base: Path
    origin: Path
    splits: dict[str, tuple[str, ...]]
    has_keypoints: bool
    notes: tuple[str, ...] = ()

    def places(self, split: str) -> list[Path]:
        """Folders, list files or pictures of a split.

        Raises:
            DataError: the file names no such split, or something that is not there.
        """
        name = next((one for one in (split, *_SAME.get(split, ())) if self.splits.get(one)), None)
        if name is None:
            known = [one for one, places in self.splits.items() if places]
            raise DataError(
                f"{self.path} names no pictures for split '{split}'; it has {nearest(split, known)}.",
                mend="Set dataset.split to one of them.",
            )
        return [self._place(written) for written in self.splits[name]]

    def _place(self, written: str) -> Path:
        plain = written.replace("\\", "/").rstrip("/") or "."
        tried = [self.base / plain, self.path.parent / plain, self.origin / plain]
        if plain.startswith("../"):  # as Roboflow writes it, though the folder lies beside the file
            tried += [self.base / plain[3:], self.path.parent / plain[3:]]
        found = next((one for one in tried if one.exists()), None)
        if found is None:
            raise DataError(
                f"{self.path} names '{written}', and {tried[0]} is not there: put it there, or mend 'path' in the file"
            )
        return Path(os.path.abspath(found))  # noqa: PTH100 - links stay as they are: labels lie beside them


def read_yaml(path: Path, origin: Path) -> YoloYaml:
    """What a YOLO data set says of itself.

    Args:
        path: the YAML file, or the folder that holds it.
        origin: folder in which the command was given.

    Raises:
        DataError: it is no such file.
    """
    file = yaml_in(path) if path.is_dir() else path
    if file is None:
        raise DataError(f"{path} holds no data.yaml, which names the classes and splits of a YOLO set")
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"it has {file.stat().st_size} bytes")
        content = yaml.load(file.read_bytes().decode("utf-8-sig"), _Strict)
        if not isinstance(content, dict):
            raise ValueError("it is no mapping of settings")
        return _told(file, content, origin)
    except FileNotFoundError:
        from lcrp.data.folder import beside  # takes seconds: torch

        raise DataError(f"{file} is not there; dataset.path is the YAML file of a YOLO set{beside(file)}") from None
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} is no YAML of a YOLO set, with 'names' and 'train' or 'val': {reason}") from error


class _Strict(yaml.SafeLoader):  # type: ignore[misc]
    """Nothing but plain values, and no key of a mapping twice: of YAML's own readers the last one would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = next((key for key in keys if isinstance(key, str) and keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(f"it says '{twice}' twice")
        found: dict[object, object] = super().construct_mapping(node, deep=deep)
        return found


def yaml_in(folder: Path) -> Path | None:
    """The YAML file in a folder: data.yaml, or the only one."""
    for name in _NAMES:
        if (folder / name).is_file():
            return folder / name
    found = [one for one in sorted(folder.glob("*.y*ml")) if one.is_file()]
    return found[0] if len(found) == 1 else None


def _told(file: Path, content: dict[object, object], origin: Path) -> YoloYaml:
    base, notes = _base(file, content.get("path"), origin)
    keys = [
        key for key in content if isinstance(key, str) and key in ("train", "val", "test", *sum(_SAME.values(), ()))
    ]
    splits = {key: _texts(key, content[key]) for key in keys}
    if not any(splits.values()):
        raise ValueError("it names no 'train', 'val' or 'test'")
    return YoloYaml(
        path=file,
        names=_names(content.get("names"), content.get("nc")),
        base=base,
        origin=origin,
        splits=splits,
        has_keypoints="kpt_shape" in content,
        notes=notes,
    )


def _names(names: object, count: object) -> tuple[str, ...]:
    """Names of the classes, index = class id."""
    if isinstance(names, dict):
        numbers = {int(key): value for key, value in names.items() if str(key).isdecimal()}
        if len(numbers) != len(names) or set(numbers) != set(range(len(names))):
            raise ValueError(f"its names are not numbered from 0 on: {list(names)[:5]}")
        names = [numbers[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(one, str | int | float) for one in names):
        raise ValueError("its 'names' are neither a list nor a mapping by number")
    told = tuple(str(one).strip() for one in names)
    if count is not None and str(count) != str(len(told)):
        raise ValueError(f"nc is {count}, but it has {len(told)} names")
    if len(set(told)) < len(told):
        raise ValueError(f"it names '{next(one for one in told if told.count(one) > 1)}' twice")
    return told


def _base(file: Path, path: object, origin: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that 'path' means: below the file's own, else below the command's, else the file's own."""
    own = file.resolve().parent
    if path in (None, ""):
        return own, ()
    if not isinstance(path, str):
        raise ValueError(f"its 'path' is {path!r}, not a folder")
    written = path.replace("\\", "/")
    for folder in (own, origin):
        if (folder / Path(written).expanduser()).is_dir():
            return folder / Path(written).expanduser(), ()
    return own, (f"'path' of {file.name} is not here ('{path}'): the folder of the file is taken instead",)


def _texts(key: str, value: object) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [] if value in (None, "") else [value]
    if not all(isinstance(one, str) and one for one in texts):
        raise ValueError(f"its '{key}' is neither a path nor a list of paths")
    return tuple(texts)
