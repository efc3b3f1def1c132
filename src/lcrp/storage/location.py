"""Where statistics lie, and how they are found again without a path.

<root>/statistics/<model>_<dataset>_<composite>/<identity>-<settings>.h5

The first hash covers what is explained (model, checkpoint, input, dataset, composite), the second one how the
statistics were made. Both are the first eight hexadecimal digits of the sha256 of canonical JSON.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import cast

from lcrp.errors import InaccessibleError, MissingError, StoreError, VersionError
from lcrp.storage.statistics import incomplete, read_header
from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.paths import shown
from lcrp.values.statistics import StatisticsHeader

SETTINGS_NODE = "statistics"  # of the configuration that a file carries: how the statistics were made
BATCH_SIZE = "batch_size"  # among these settings
ORIGIN = "origin"  # among the settings of statistics that another program made: its name
IMPORTED = "zennit-crp"
_CHECKPOINT = ".checkpoint"
_HASH_DIGITS = 8
_THRESHOLDS = ("model.task.confidence ", "model.task.iou ", "model.task.max_detections ")
_STEM = re.compile(rf"[0-9a-f]{{{_HASH_DIGITS}}}-[0-9a-f]{{{_HASH_DIGITS}}}")
_MAX_DIFFERENCES = 5
_MAX_VALUE_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsKey:
    """What determines statistics.

    Attributes:
        model: the model's name in the configuration.
        dataset: the dataset's.
        composite: the composite's.
        identity: what model, checkpoint, dataset and composite contribute to the numbers, plain nested values.
        settings: the statistics' own settings, plain nested values.
        command: makes them, as a person gives it; empty where there is no command line.
    """

    model: str
    dataset: str
    composite: str
    identity: Mapping[str, object]
    settings: Mapping[str, object]
    command: str = ""

    def config(self) -> dict[str, object]:
        """Identity and settings as a file carries them: lists instead of tuples, names as keys."""
        plain: dict[str, object] = json.loads(json.dumps({**self.identity, SETTINGS_NODE: self.settings}))
        return plain

    def mend(self, words: str) -> str:
        """What a person at the command line can do, in words that introduce the command."""
        return f"{words}: {self.command}" if self.command else ""


def content_hash(content: Mapping[str, object]) -> str:
    """The sha256 of plain nested values as canonical JSON, 64 hexadecimal digits."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def statistics_path(root: Path, key: StatisticsKey) -> Path:
    """The place of these statistics below `root`, whether they are there or not."""
    return _folder(root, key) / f"{_stem(key.identity, key.settings)}.h5"


def is_in_place(path: Path, header: StatisticsHeader) -> bool:
    """Whether a file whose name tells what it holds does hold that; any other name fits."""
    if not _STEM.fullmatch(path.stem):
        return True
    identity = dict(header.config)
    settings = cast(Mapping[str, object], identity.pop(SETTINGS_NODE, {}))
    return path.stem == _stem(identity, settings)


def _stem(identity: Mapping[str, object], settings: Mapping[str, object]) -> str:
    return "-".join(content_hash(part)[:_HASH_DIGITS] for part in (identity, settings))


def checkpoint_path(path: Path) -> Path:
    """Where a pass keeps what it has found until its statistics file is written."""
    return path.with_name(f"{path.stem}{_CHECKPOINT}{path.suffix}")


def final_path(path: Path) -> Path:
    """The statistics file that a checkpoint becomes; any other file itself."""
    return path.with_name(f"{path.stem.removesuffix(_CHECKPOINT)}{path.suffix}")


def shard_path(path: Path, index: int, count: int) -> Path:
    """The file of one of `count` shards, beside that of the whole."""
    return path.with_name(f"{path.stem}.shard-{index}-of-{count}{path.suffix}")


def shard_paths(path: Path) -> list[Path]:
    """Files of all shards that were made for a file."""
    return sorted(path.parent.glob(f"{escape(path.stem)}.shard-[0-9]*-of-*[0-9]{escape(path.suffix)}"))


def imported_key(key: StatisticsKey) -> StatisticsKey:
    """The same, made by zennit-crp: its file says so, and lies beside the one that lcrp makes itself."""
    return replace(key, settings={**key.settings, ORIGIN: IMPORTED})


def is_imported(header: StatisticsHeader) -> bool:
    """Whether another program made the statistics: they hold neither counts nor means."""
    settings = header.config.get(SETTINGS_NODE)
    return isinstance(settings, Mapping) and ORIGIN in settings


def find_statistics(root: Path, key: StatisticsKey, *, given: Path | None = None) -> Path:
    """The statistics of a model, checkpoint, dataset and composite.

    The file made with the very same settings comes first, then the one imported with them; else the one complete file
    of the same identity.

    Args:
        root: folder of what runs share.
        key: what is asked for.
        given: a file that the user names; its identity must fit all the same.

    Returns:
        A complete file of the same identity.

    Raises:
        MissingError: there is none.
        StoreError: there are only such of another identity, or several; the message names what differs.
        InaccessibleError: the one that may fit cannot be opened now.
    """
    path = statistics_path(root, key) if given is None else given
    if given is None and not path.exists():
        path = statistics_path(root, imported_key(key))
    if given is not None or path.exists():
        _check(path, read_header(path), key)
        return path
    readable, refused = _readable(_folder(root, key))
    complete = {path: header for path, header in readable.items() if header.complete}
    fitting = {path: header for path, header in complete.items() if not _identity_differences(header, key)}
    if len(fitting) == 1:
        return next(iter(fitting))
    if fitting:
        raise StoreError(_several(fitting, key), mend="Choose one: stage.statistics=PATH")
    inaccessible = [error for error in refused if isinstance(error, InaccessibleError)]
    if inaccessible:
        raise inaccessible[0]
    if refused and not complete:
        raise StoreError(str(refused[0]), mend=key.mend("Make them"))
    raise _none(_folder(root, key), complete, key)


def chosen_layer(root: Path, key: StatisticsKey, *, is_exact: bool) -> ChosenLayer | None:
    """The layer that earlier statistics say 'auto' stands for; None if none do.

    Args:
        root: folder of what runs share.
        key: what is asked for; parts and checkpoints of the very same statistics tell, too.
        is_exact: whether only these count; else also complete ones of the same identity that were made otherwise.
    """
    headers = list(_readable(_folder(root, key))[0].values())
    wanted = content_hash(key.config())
    same = (header for header in headers if header.config_hash == wanted)
    others = (header for header in headers if header.complete and not _identity_differences(header, key))
    for header in (*same, *(() if is_exact else others)):
        if header.chosen is not None:
            chosen: ChosenLayer = header.chosen
            return chosen
    return None


def known_batch_size(root: Path, key: StatisticsKey) -> int | None:
    """The batch size of earlier statistics that differ in nothing else; parts and checkpoints tell, too.

    Args:
        root: folder of what runs share.
        key: what is asked for, of whatever batch size.

    Returns:
        That of complete statistics if there are any; the largest of several. None if there are none.
    """
    found = []
    for header in _readable(_folder(root, key))[0].values():
        settings = header.config.get(SETTINGS_NODE)
        size = settings.get(BATCH_SIZE) if isinstance(settings, Mapping) else None
        if isinstance(size, int):
            of_size = replace(key, settings={**key.settings, BATCH_SIZE: size})
            if header.config_hash == content_hash(of_size.config()):
                found.append((header.complete, size))
    return max(found)[1] if found else None


def differences_from(header: StatisticsHeader, key: StatisticsKey) -> str:
    """What differs between a file's configuration and the present one; empty if nothing does."""
    found = differences(header.config, key.config())
    return _listed(found) if found else ""


def _folder(root: Path, key: StatisticsKey) -> Path:
    return root / "statistics" / re.sub(r"[^\w.-]", "_", f"{key.model}_{key.dataset}_{key.composite}")


def _readable(folder: Path) -> tuple[dict[Path, StatisticsHeader], list[StoreError]]:
    """What the files of a folder say of themselves, and why others are none: held open now, or of another version."""
    headers: dict[Path, StatisticsHeader] = {}
    refused: list[StoreError] = []
    for path in sorted(folder.glob("*.h5")):
        try:
            headers[path] = read_header(path)
        except (InaccessibleError, VersionError) as error:
            refused.append(error)
        except StoreError:  # damaged: no choice for the user
            continue
    return headers, refused


def _check(path: Path, header: StatisticsHeader, key: StatisticsKey) -> None:
    if not header.complete:
        raise StoreError(incomplete(path, header), mend=key.mend("Go on with"))
    differing = _identity_differences(header, key)
    if differing:
        mend = _mend(differing, key, "Make statistics that do")
        raise StoreError(f"'{path}' does not fit: {_listed(differing)}", mend=mend)


def _several(fitting: Mapping[Path, StatisticsHeader], key: StatisticsKey) -> str:
    wanted = {SETTINGS_NODE: key.config()[SETTINGS_NODE]}
    files = (
        f"'{path}' ({_listed(differences({SETTINGS_NODE: header.config.get(SETTINGS_NODE)}, wanted))})"
        for path, header in fitting.items()
    )
    return f"{len(fitting)} statistics files fit: {', '.join(files)}"


def _none(folder: Path, stale: Mapping[Path, StatisticsHeader], key: StatisticsKey) -> StoreError:
    if not stale:
        return MissingError(f"there are no statistics in '{shown(folder)}'", mend=key.mend("Make them"))
    found = {path: _identity_differences(header, key) for path, header in stale.items()}
    nearest = min(found, key=lambda path: len(found[path]))
    mend = _mend(found[nearest], key, "Make them anew")
    return StoreError(f"the statistics '{shown(nearest)}' are stale: {_listed(found[nearest])}", mend=mend)


def _mend(differing: list[str], key: StatisticsKey, words: str) -> str:
    """Other statistics, or, where only thresholds of decisions differ, other decisions with these statistics."""
    if key.command and all(one.startswith(_THRESHOLDS) for one in differing):
        return f"To show other decisions with them, write stage.confidence=..., not model.confidence. {key.mend(words)}"
    return key.mend(words)


def _identity_differences(header: StatisticsHeader, key: StatisticsKey) -> list[str]:
    there, here = dict(header.config), key.config()
    there.pop(SETTINGS_NODE, None)
    here.pop(SETTINGS_NODE)
    return differences(there, here)


def differences(there: Mapping[str, object], here: Mapping[str, object]) -> list[str]:
    """What differs between two nested mappings, those of then and of now, one line per dotted key."""
    old, new = dict(_flat(there)), dict(_flat(here))
    return [
        f"{key} is {_shown(old, key)} there and {_shown(new, key)} here"
        for key in sorted(old.keys() | new.keys())
        if (key in old, old.get(key)) != (key in new, new.get(key))
    ]


def _flat(node: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(cast(Mapping[str, object], value), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(values: Mapping[str, object], key: str) -> str:
    if key not in values:
        return "not set"
    text = repr(values[key])
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[:_MAX_VALUE_LENGTH]}..."


def _listed(differing: list[str]) -> str:
    if not differing:
        return "the same settings"
    rest = len(differing) - _MAX_DIFFERENCES
    listed = "; ".join(differing[:_MAX_DIFFERENCES])
    return f"{listed}; and {rest} more" if rest > 0 else listed
