"""Names that a person gave to concepts: a JSON file, as the explorer saves it.

{"format": "lcrp-names", "version": 1, "checkpoint_sha256": "...", "names": {"LAYER": {"54": "sail"}}}

Whose weights they are of may be left out; then nothing checks it.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lcrp.errors import ConfigError, nearest

ConceptNames = Mapping[str, Mapping[int, str]]  # by layer and channel

FORMAT, VERSION = "lcrp-names", 1
LONGEST = 200  # characters of a name
MOST_LISTED = 6  # concepts that are not there
log = logging.getLogger(__name__)

_CHANNEL = re.compile(r"0|[1-9][0-9]{0,8}")


def read_concept_names(path: Path, *, checkpoint_sha256: str, layers: Mapping[str, int]) -> ConceptNames:
    """Names of concepts, by layer and channel; empty names are left out.

    Args:
        path: the file.
        checkpoint_sha256: of the network's weights; empty where they are not known.
        layers: number of channels of each layer of the network, by its name; 0 where it is not known.

    Names of concepts that a layer does not have are left out, and told.

    Raises:
        ConfigError: there is no such file, it holds something else, or names concepts of a layer that the network does
            not have.
    """
    content = _read(path)
    names = content.get("names")
    if content.get("format") != FORMAT or content.get("version") != VERSION or not isinstance(names, dict):
        raise ConfigError(
            f"'{path}' is no file of names: it begins otherwise than "
            f'{{"format": "{FORMAT}", "version": {VERSION}, "names": {{"LAYER": {{"54": "sail"}}}}}}',
            mend="The explorer saves one (stage=explore).",
        )
    owner = content.get("checkpoint_sha256") or ""
    if owner and checkpoint_sha256 and owner != checkpoint_sha256:
        raise ConfigError(
            f"'{path}' names the concepts of other weights ({str(owner)[:12]}..., not {checkpoint_sha256[:12]}...): "
            "in these, the same channels may mean something else",
            mend="Name the file of these weights; without checkpoint_sha256 in it, its names are taken as they are.",
        )
    return {str(layer): _of_layer(path, str(layer), given, layers) for layer, given in names.items()}


def _read(path: Path) -> Mapping[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read names '{path}': {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"'{path}' is no JSON: {error}", mend="The explorer saves names (stage=explore).") from None
    return content if isinstance(content, dict) else {}


def _of_layer(path: Path, layer: str, given: object, layers: Mapping[str, int]) -> Mapping[int, str]:
    if layer not in layers:
        raise ConfigError(f"'{path}' names concepts of layer '{layer}', which is not in the network; nearest: "
                          f"{nearest(layer, layers)}")  # fmt: skip
    if not isinstance(given, dict):
        raise ConfigError(f"'{path}' has no channels and their names for layer '{layer}'; write {{\"54\": \"sail\"}}")
    found, unknown = {}, []
    for channel, name in given.items():
        if not _CHANNEL.fullmatch(channel) or not isinstance(name, str):
            raise ConfigError(
                f"'{path}' has {channel!r}: {name!r} for layer '{layer}'; write a channel and its name, "
                '"54": "sail"'
            )
        if layers[layer] and int(channel) >= layers[layer]:
            unknown.append(channel)
        elif name.strip():
            found[int(channel)] = name.strip()[:LONGEST]
    if unknown:
        log.warning(
            "'%s' names %s of layer '%s', which has 0 to %d: left out, the other names are taken",
            *(path, _listed(unknown), layer, layers[layer] - 1),
        )
    return found


def _listed(channels: Sequence[str]) -> str:
    """'concept 4', or 'concepts 4, 9 and 3 more'."""
    first, rest = ", ".join(channels[:MOST_LISTED]), len(channels) - MOST_LISTED
    return f"concept{'s' if len(channels) > 1 else ''} {first}{f' and {rest} more' if rest > 0 else ''}"
