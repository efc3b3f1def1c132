"""A checkpoint that is given to another family's model: what it is, and the command that is right for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lcrp.config.auto import known_checkpoint, with_family
from lcrp.config.check import checked
from lcrp.config.checkpoints import find_checkpoint
from lcrp.config.commands import Command, key
from lcrp.config.compose import composed_node
from lcrp.config.model import Model
from lcrp.config.targets import is_own
from lcrp.errors import CheckpointError, ConfigError, LcrpError
from lcrp.models.auto.known import Known, UnknownNetworkError

_KEPT = ("model.checkpoint", "model.class_names")  # settings that any family has
_BY_SETTINGS = ("smp", "torchvision", "transformers")  # families whose networks are as settings say


class OtherFamilyError(CheckpointError):
    """A checkpoint is of another family, or of other settings, than those that were asked for.

    Args:
        message: what it is.
        known: the same as a value.
    """

    def __init__(self, message: str, known: Known) -> None:
        settings = " ".join((f"model={known.family}", *(f"{name}={value}" for name, value in known.settings.items())))
        super().__init__(message, mend=f"Write {settings}, or model=auto.")
        self.known = known


@contextmanager
def told(model: Model, origin: Path) -> Iterator[None]:
    """What goes wrong within the block because the checkpoint is of something else is told so.

    Args:
        model: whose network is built in the block.
        origin: folder to which the checkpoint's path is relative.

    Raises:
        CheckpointError: what the checkpoint is, where that is more than the block's own error tells.
    """
    try:
        yield
    except (CheckpointError, ConfigError) as error:
        better = _better(model, origin, error)
        if better is None:
            raise
        raise better from error


def with_command(error: OtherFamilyError, command: Command) -> LcrpError:
    """The same with the whole command that is right, if there is one that composes."""
    given = [one for one in command.overrides if not key(one).startswith("model.network")]
    least = [one for one in given if key(one) in _KEPT or not key(one).startswith("model.")]
    for overrides in (given, least):
        again = replace(command, overrides=with_family(overrides, error.known))
        try:
            checked(composed_node(again.overrides))
        except LcrpError:
            continue
        return CheckpointError(str(error), mend=f"Write: {again.again()}")
    return error


def _better(model: Model, origin: Path, error: LcrpError) -> LcrpError | None:
    """What a checkpoint is, if it is not what the model's settings ask for."""
    target = str(model.network.get("_target_"))
    if not is_own(target):
        return None
    is_by_settings = any(_is_of(target, family) for family in _BY_SETTINGS)
    try:
        known = known_checkpoint(model.checkpoint, origin)
    except UnknownNetworkError as unknown:
        is_read = not is_by_settings and not isinstance(error, ConfigError) and _is_read(model, origin)
        return unknown if is_read else None
    except CheckpointError as other:
        return other
    except LcrpError:
        return None
    if known.family == "unet" and _is_of(target, "smp"):  # which builds the same
        return None
    if _is_of(target, known.family) and all(_is_set(model, name, value) for name, value in known.settings.items()):
        return None
    what = f"'{model.checkpoint}' is {known.what}, from {known.sign}"
    return OtherFamilyError(f"{what}; it does not fit '{model.name}'", known)


def _is_read(model: Model, origin: Path) -> bool:
    """Whether a checkpoint is whole, so that what went wrong is that it is of something else."""
    try:
        find_checkpoint(str(model.checkpoint), origin)
    except LcrpError:
        return False
    return True


def _is_of(target: str, family: str) -> bool:
    return target.startswith(f"lcrp.models.{family}.")


def _is_set(model: Model, name: str, value: str) -> bool:
    """Whether a setting of the network has a value; others, as of the input, are left to a person."""
    first, _, rest = name.removeprefix("model.").partition(".")
    return first != "network" or str(model.network.get(rest)) == value
