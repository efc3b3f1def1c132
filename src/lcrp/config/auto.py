"""model=auto: the family is told by the checkpoint, and the settings are composed anew with the family's name.

Nothing here imports torch before a checkpoint is looked at.
"""

import logging
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from lcrp.config.commands import key
from lcrp.config.model import Model
from lcrp.config.paths import absolute
from lcrp.errors import CheckpointError, ConfigError, LcrpError, nearest

if TYPE_CHECKING:
    from lcrp.models.auto.known import Known

log = logging.getLogger(__name__)

AUTO, GROUP = "auto", "model"
_SOURCES = "the path of a file or folder, official:NAME or embedded:NAME"


def known_checkpoint(name: str | None, origin: Path) -> "Known":
    """What a checkpoint is taken for.

    Args:
        name: path of a file or folder, official:NAME or embedded:NAME.
        origin: folder to which a path is relative.

    Raises:
        CheckpointError: it is missing, or of a network that is not known here.
        ConfigError: there is none.
    """
    from lcrp.config.checkpoints import EMBEDDED, OFFICIAL, RANDOM
    from lcrp.config.network import OF_LIBRARY
    from lcrp.models.checkpoint import embedded_checkpoint

    if name in (None, RANDOM, OF_LIBRARY):
        given = "there is none" if name is None else f"'{name}' is none"
        raise ConfigError(
            f"model={AUTO} tells the network by its checkpoint, and {given}: give {_SOURCES}, or a family"
        )
    assert name is not None
    if name.startswith(OFFICIAL):
        return _official(name.removeprefix(OFFICIAL))
    path = embedded_checkpoint(name.removeprefix(EMBEDDED)) if name.startswith(EMBEDDED) else absolute(name, origin)
    return _known_at(path, _stamp(path))


def with_family(overrides: Sequence[str], known: "Known") -> list[str]:
    """A command's settings with the name of the family in place of auto, and with what the checkpoint tells.

    What a person sets counts.

    Raises:
        ConfigError: the checkpoint leaves something open that must be said.
    """
    given = {key(one) for one in overrides} - {GROUP}
    untold = {name: what for name, what in known.untold.items() if not _is_given(name, given)}
    if untold:
        told = "; ".join(f"{name} must be said: {what}" for name, what in untold.items())
        raise ConfigError(f"the checkpoint is {known.what}, from {known.sign}; {told}")
    family = [f"model={known.family}"]
    family += [f"{name}={value}" for name, value in known.settings.items() if not _is_given(name, given)]
    place = next((number for number, one in enumerate(overrides) if key(one) == GROUP), None)
    if place is None:  # chosen by an experiment or another file
        return [*family, *overrides]
    return [*overrides[:place], *family, *overrides[place + 1 :]]


def named(overrides: Sequence[str], origin: Path) -> list[str]:
    """A command's settings with the family; as they are without model=auto, or without a checkpoint in them.

    Raises:
        LcrpError: as `known_checkpoint` and `with_family`.
    """
    values = {key(one): one.partition("=")[2] for one in overrides}
    if values.get(GROUP) != AUTO or "model.checkpoint" not in values:
        return list(overrides)
    written = next(one for one in overrides if key(one) == "model.checkpoint")
    value = OverridesParser.create().parse_override(written).value()
    return with_family(overrides, known_checkpoint(None if value is None else str(value), origin))


def tell(name: str, known: "Known") -> None:
    """Say what a checkpoint was taken for."""
    settings = " ".join((f"model={known.family}", *(f"{name}={value}" for name, value in known.settings.items())))
    log.info("%s is %s, from %s: %s", Path(name).name, known.what, known.sign, settings)


def register_auto() -> None:
    """Tell Hydra of model=auto, whose network may have settings of any family; a second time changes nothing."""
    OmegaConf.register_new_resolver("family", _family_or_auto, replace=True)
    node = OmegaConf.structured(Model)
    node.network = {}
    OmegaConf.set_struct(node.network, False)
    ConfigStore.instance().store(group="schema/model", name=AUTO, node=node)


def _family_or_auto(checkpoint: str | None) -> str:
    """Name of the family for names of folders; 'auto' where it cannot be told, which the job says."""
    try:
        return known_checkpoint(checkpoint, Path.cwd()).family
    except (LcrpError, OSError):
        return AUTO


def _official(name: str) -> "Known":
    """A published checkpoint, by its name alone: it need not be fetched."""
    from lcrp.config.checkpoints import OFFICIAL_FILES
    from lcrp.models.auto.built_in import input_of_ssd
    from lcrp.models.auto.known import Known
    from lcrp.models.recognition import FAMILIES

    if name not in OFFICIAL_FILES:
        raise CheckpointError(f"no official checkpoint is called '{name}'; nearest: {nearest(name, OFFICIAL_FILES)}")
    family = max((one for one in FAMILIES.values() if name.startswith(one)), key=len)
    settings = input_of_ssd(int(name.removeprefix("ssd"))) if family == "ssd" else {}
    return Known(family=family, what=f"the published {name}", sign="its name", settings=settings)


@lru_cache(maxsize=64)
def _known_at(path: Path, _stamp: tuple[int, ...]) -> "Known":
    from lcrp.models.auto.table import recognised

    return recognised(path)


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file or the settings in a folder are written anew."""
    found = []
    for one in (path, path / "config.json"):
        try:
            status = one.stat()
        except OSError:
            continue
        found += [status.st_mtime_ns, status.st_size]
    return tuple(found)


def _is_given(name: str, given: Iterable[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in given)
