"""Folders of zennit-crp 0.6.0: concept statistics as .npy files, as its FeatureVisualization reads them.

RelMax_sum_normed/<layer>_{data,rel,rf}.npy              best samples of every concept, by relevance
ActMax_max_normed/<layer>_{data,rel,rf}.npy              by activation
RelStats_sum_normed/<layer>/<class>_{data,rel,rf}.npy    by relevance, per class; targets.npy names the classes
ActStats_max_normed/<layer>/<class>_{data,rel,rf}.npy    by activation, per class; targets.npy here too

Arrays are [N, C]: the sample (int64), its score (float32) and the strongest neuron (int64). lcrp adds what zennit-crp
neither stores nor reads: <layer>_class.npy in RelMax_sum_normed, and _item.npy where an item is not 0 (int64).

Axes: C concept, N rank.
"""

import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from lcrp.errors import StoreError, at_least, nearest, refuse
from lcrp.values.statistics import MAX_ITEM, Entries, IntArray

Array = npt.NDArray[Any]
Score = Literal["relevance", "activation"]
Shape = tuple[int, int, int]

OVERALL: Final[Mapping[Score, str]] = {"relevance": "RelMax_sum_normed", "activation": "ActMax_max_normed"}
BY_CLASS: Final[Mapping[Score, str]] = {"relevance": "RelStats_sum_normed", "activation": "ActStats_max_normed"}
_FOLDERS: Final = (*OVERALL.values(), *BY_CLASS.values())
TARGETS: Final = "targets.npy"
_DATA: Final = "_data.npy"
_WHOLE, _REAL, _NAMES = "iu", "f", "iuU"  # kinds of numbers, as numpy calls them
_KIND_NAMES: Final = {_WHOLE: "whole numbers", _REAL: "floating point numbers", _NAMES: "class numbers"}
_DAMAGE = (OSError, ValueError, TypeError, OverflowError, SyntaxError, tokenize.TokenError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """How a folder names what the model names otherwise.

    Attributes:
        layer_prefix: what the folder's layer names begin with, and the model's do not.
        first_class: number that the folder gives to the model's class 0.
    """

    layer_prefix: str = ""
    first_class: int = 0

    def __post_init__(self) -> None:
        refuse(at_least("first_class", self.first_class, 0))


class CrpFolder:
    """A folder of zennit-crp, opened for reading; every array is checked when it is read, nothing is executed.

    Args:
        path: the folder, or one that holds exactly one such folder.
        convention: how it names layers and classes.
        num_samples: of the dataset.
        num_classes: of the model.

    Raises:
        StoreError: it is no such folder, incomplete, or names classes that the model does not have.
    """

    def __init__(self, path: Path, convention: Convention, *, num_samples: int, num_classes: int) -> None:
        self.path = _run_folder(path)
        self._convention, self._num_samples, self._num_classes = convention, num_samples, num_classes
        self.layer_names = self._layer_names()
        self._class_ids = {score: self._classes(self.path / name) for score, name in BY_CLASS.items()}

    def sizes(self) -> tuple[int, int]:
        """Entries of the longest table over all classes, and of the longest one of a single class.

        Raises:
            StoreError: a file is missing or no array of two axes.
        """
        overall = [self._overall(score, layer) for score in OVERALL for layer in self.layer_names]
        by_class = [
            self._of_class(score, layer, class_id)
            for score in BY_CLASS
            for layer in self.layer_names
            for class_id in self._class_ids[score]
        ]
        lengths = (
            max((len(_opened(stem, "data", _WHOLE)) for stem in stems), default=0) for stems in (overall, by_class)
        )
        longest, longest_of_class = lengths
        return longest, longest_of_class

    def overall(self, score: Score, layer: str, shape: Shape) -> Entries:
        """Entries of a layer over all classes.

        Args:
            score: which ranking.
            layer: the model's name of the layer.
            shape: (C, h, w) of its output.

        Raises:
            StoreError: a file is missing, no array of the right kind, or does not fit the layer or the dataset.
        """
        stem = self._overall(score, layer)
        entries = self._entries(stem, shape)
        if score == "activation":
            _check_once(stem, entries)
        return entries

    def by_class(self, score: Score, layer: str, shape: Shape) -> dict[int, Entries]:
        """Entries of a layer per class, by the model's class id; arguments and errors as `overall`."""
        found = {}
        for class_id in self._class_ids[score]:
            stem = self._of_class(score, layer, class_id)
            found[class_id] = self._entries(stem, shape)
            _check_once(stem, found[class_id])
        return found

    def _layer_names(self) -> tuple[str, ...]:
        folder, prefix = self.path / OVERALL["relevance"], self._convention.layer_prefix
        names = sorted(file.name.removesuffix(_DATA) for file in folder.glob(f"*{_DATA}"))
        if not names:
            raise StoreError(f"'{folder}' holds no layers: there is no file <layer>{_DATA}")
        for name in names:
            if not name.startswith(prefix):
                message = f"layer '{name}' in '{folder}' does not begin with '{prefix}'"
                raise StoreError(message, mend="Set stage.layer_prefix.")
        return tuple(name.removeprefix(prefix) for name in names)

    def _classes(self, folder: Path) -> tuple[int, ...]:
        path = folder / TARGETS
        try:
            numbers = sorted({int(number) for number in _mapped(path, _NAMES, num_axes=1).tolist()})
        except ValueError as error:
            raise StoreError(f"'{path}' does not hold {_KIND_NAMES[_NAMES]}: {error}") from error
        if not numbers:
            raise StoreError(f"'{path}' names no classes")
        first = self._convention.first_class
        for number in numbers:
            if not 0 <= number - first < self._num_classes:
                raise StoreError(
                    f"'{path}' names class {number}, the model has the classes {first} to "
                    f"{first + self._num_classes - 1}; choose the model of the folder, or where its classes begin",
                    mend="Set stage.first_class.",
                )
        return tuple(number - first for number in numbers)

    def _overall(self, score: Score, layer: str) -> Path:
        return self.path / OVERALL[score] / f"{self._convention.layer_prefix}{layer}"

    def _of_class(self, score: Score, layer: str, class_id: int) -> Path:
        number = class_id + self._convention.first_class
        return self.path / BY_CLASS[score] / f"{self._convention.layer_prefix}{layer}" / str(number)

    def _entries(self, stem: Path, shape: Shape) -> Entries:
        """Checked columns of one table, from the files that begin with `stem`."""
        kinds = {"data": _WHOLE, "rel": _REAL, "rf": _WHOLE}
        kinds |= {part: _WHOLE for part in ("class", "item") if part_file(stem, part).exists()}
        columns = {part: _column(stem, part, kind, shape[0]) for part, kind in kinds.items()}
        sample, score, peak = columns["data"], columns["rel"], columns["rf"]
        class_id, item = columns.get("class"), columns.get("item")
        if not len(sample):
            raise StoreError(f"'{part_file(stem, 'data')}' holds no samples")
        for part, values in columns.items():
            if values.shape != sample.shape:
                raise StoreError(
                    f"'{part_file(stem, part)}' is {values.shape}, but {stem.name}{_DATA} is {sample.shape}"
                )
        _check_range(part_file(stem, "data"), sample, (0, self._num_samples - 1), "sample; is this the same dataset?")
        _check_range(part_file(stem, "rf"), peak, (0, shape[1] * shape[2] - 1), "neuron; see model.input")
        if class_id is not None:
            _check_range(part_file(stem, "class"), class_id, (-1, self._num_classes - 1), "class")
        if item is not None:
            _check_range(part_file(stem, "item"), item, (0, MAX_ITEM), "item")
        return Entries(sample=sample, score=score, peak=peak, class_id=class_id, item=item)


def part_file(stem: Path, part: str) -> Path:
    """The file of one of the arrays of a table: 'data', 'rel', 'rf', 'class' or 'item'."""
    return stem.with_name(f"{stem.name}_{part}.npy")


def _run_folder(path: Path) -> Path:
    """The folder itself, or the one run within it."""
    if not path.is_dir():
        raise StoreError(f"there is no folder '{path}'", mend="Set stage.folder.")
    found = [folder for folder in (path, *sorted(path.iterdir())) if (folder / OVERALL["relevance"]).is_dir()]
    if not found:
        raise StoreError(f"'{path}' is no folder of zennit-crp: it lacks {', '.join(_FOLDERS)}")
    if len(found) > 1 and found[0] != path:
        names = nearest("", [folder.name for folder in found])
        raise StoreError(
            f"'{path}' holds several runs ({names}); name one of them", mend=f"Set stage.folder={path}/NAME."
        )
    lacking = [name for name in _FOLDERS if not (found[0] / name).is_dir()]
    if lacking:
        raise StoreError(f"'{found[0]}' lacks {', '.join(lacking)}; zennit-crp writes {', '.join(_FOLDERS)}")
    return found[0]


def _opened(stem: Path, part: str, kinds: str) -> Array:
    return _mapped(part_file(stem, part), kinds, num_axes=2)


def _mapped(path: Path, kinds: str, *, num_axes: int) -> Array:
    """An array that is mapped, not read; only plain numbers and texts, never pickled objects."""
    try:
        values: Array = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise StoreError(f"'{path}' is missing; a folder of zennit-crp has it") from None
    except _DAMAGE as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise StoreError(f"'{path}' is no array of {_KIND_NAMES[kinds]}: {reason}") from error
    if values.dtype.kind not in kinds:
        raise StoreError(f"'{path}' holds {values.dtype}, not {_KIND_NAMES[kinds]}")
    if values.ndim != num_axes:
        raise StoreError(f"'{path}' has {values.ndim} axes (its shape is {values.shape}), {num_axes} are expected")
    return values


def _column(stem: Path, part: str, kinds: str, num_concepts: int) -> Array:
    """One array [N, C] as int64 or float32."""
    values = _opened(stem, part, kinds)
    if values.shape[1] != num_concepts:
        raise StoreError(
            f"'{part_file(stem, part)}' has {values.shape[1]} concepts, the model's layer has {num_concepts}: is this "
            "another model or another width of it?"
        )
    if kinds == _WHOLE:
        return values.astype(np.int64)
    with np.errstate(over="ignore"):
        column: Array = values.astype(np.float32)
    if not np.isfinite(column).all():
        raise StoreError(f"'{part_file(stem, part)}' holds scores that are not finite numbers")
    return column


def _check_range(path: Path, values: IntArray, limits: tuple[int, int], what: str) -> None:
    """`what` names what is counted, and after a semicolon what may be wrong."""
    low, high = limits
    is_outside = (values < low) | (values > high)
    if is_outside.any():
        name, *hint = what.split(";")
        wrong = int(values[is_outside][0])
        raise StoreError(
            "; ".join([f"'{path}' names {name} {wrong}, there are {low} to {high}", *map(str.strip, hint)])
        )


def _check_once(stem: Path, entries: Entries) -> None:
    """One entry per sample and item: where items are not told, a second one could not be told from the first."""
    key = entries.sample << 16 | (0 if entries.item is None else entries.item)
    ordered = np.sort(key, axis=0)
    is_twin = ordered[1:] == ordered[:-1]
    if is_twin.any():
        sample = int(ordered[1:][is_twin][0]) >> 16
        raise StoreError(
            f"'{part_file(stem, 'data')}' names sample {sample} twice for one concept; each target counts once"
        )
