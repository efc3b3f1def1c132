"""tuned.yaml: the composite that stage=tune chose for a network, with the evidence for it.

format, version
composite   name and settings; null: the network's default, which nothing beat
network     name, and a hash of what it is and of its weights
evidence    what was measured
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from lcrp.errors import MissingError, StoreError, VersionError
from lcrp.storage.atomic import replacing
from lcrp.storage.location import content_hash
from lcrp.storage.nesting import num_values

FORMAT: Final = "lcrp-tuned"
VERSION: Final = 1
FILE = "tuned.yaml"
_HEAD = """# What lcrp stage=tune chose for this network, with the evidence.
#   lcrp stage=glocal composite=tuned composite.file=tuned.yaml
# lead: how far what was chosen is ahead of a method in a measure, with the ends of its 95 % interval
"""
_LARGEST = 1_000_000  # bytes
_MOST = 100_000  # values


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A composite that was chosen for a network.

    Attributes:
        composite: its name; None for the network's default.
        settings: of the composite, plain values.
        network_name: of the network, for people.
        network: hash of what it is and of its weights.
        evidence: what was measured, plain values.
    """

    composite: str | None
    settings: Mapping[str, Any]
    network_name: str
    network: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def network_hash(model_identity: Mapping[str, Any]) -> str:
    """What a network is, and its weights, as one number; neither its name nor its input nor thresholds.

    Args:
        model_identity: the part of an explainer's identity that says what the model is.
    """
    return content_hash({name: model_identity[name] for name in ("network", "checkpoint_sha256")})


def write_tuned(path: Path, tuned: Tuned) -> None:
    """Write the file.

    Raises:
        StoreError: nothing can be written there.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "composite": tuned.composite,
        "settings": dict(tuned.settings),
        "network": {"name": tuned.network_name, "hash": tuned.network},
        "evidence": dict(tuned.evidence),
    }
    with replacing(path) as part:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        part.write_text(_HEAD + text, encoding="utf-8")


def read_tuned(path: Path) -> Tuned:
    """What a file says.

    Raises:
        MissingError: it is not there.
        VersionError: it is of another version.
        StoreError: it is no such file, or damaged.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise StoreError(f"'{path}' is no file of stage=tune: it is too large")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if num_values(content, _MOST) >= _MOST:
            raise StoreError(f"'{path}' is no file of stage=tune: it holds too many values")
    except FileNotFoundError as error:
        raise MissingError(f"'{path}' is not there; stage=tune writes such files") from error
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise StoreError(f"'{path}' cannot be read as YAML: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(content, Mapping) or content.get("format") != FORMAT:
        raise StoreError(f"'{path}' is no file of stage=tune: it does not begin with format: {FORMAT}")
    if content.get("version") != VERSION:
        raise VersionError(f"'{path}' has version {content.get('version')!r}, and this lcrp reads version {VERSION}")
    composite, settings, network = (content.get(name) for name in ("composite", "settings", "network"))
    if not (composite is None or isinstance(composite, str)):
        raise StoreError(f"'{path}' is damaged: its composite is {composite!r}, and no name")
    if not isinstance(settings, Mapping) or not isinstance(network, Mapping) or not {"name", "hash"} <= set(network):
        raise StoreError(f"'{path}' is damaged: it lacks settings, or the network's name and hash")
    evidence = content.get("evidence")
    return Tuned(
        composite=composite,
        settings={str(name): value for name, value in settings.items()},
        network_name=str(network["name"]),
        network=str(network["hash"]),
        evidence=evidence if isinstance(evidence, Mapping) else {},
    )


def tuned_files(folder: Path, network: str) -> list[Path]:
    """The files for a network that runs wrote, the newest first. Damaged ones are passed over.

    Args:
        folder: where commands are given.
        network: its hash.
    """
    places = (f"outputs/runs/*/{FILE}", f"multirun/*/*/{FILE}")
    found = [path for place in places for path in folder.glob(place) if path.is_file()]
    newest_first = sorted(found, key=lambda one: (one.stat().st_mtime_ns, str(one)), reverse=True)
    return [path for path in newest_first if _network_of(path) == network]


def _network_of(path: Path) -> str | None:
    try:
        return read_tuned(path).network
    except StoreError:
        return None
