"""What Hydra and omegaconf complain of, in one line that helps."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from lcrp.config.root import Stage
from lcrp.errors import LcrpError, nearest
from lcrp.values.paths import without_current_folder

_SIMILAR = 0.7  # of a misspelt key to the one that is meant
_ALIKE = {"path": "root", "root": "path"}  # what published datasets and one's own call the same
NO_SCHEMA = "the stage's file names no schema: it must begin with 'defaults: [/schema/stage@_here_: own, _self_]'"


def one_line(error: BaseException) -> str:
    """The error's message without line breaks; Hydra's own ones with the valid choices and the mend."""
    causes = list(_causes(error))
    omegaconf_errors = [cause for cause in causes if isinstance(cause, OmegaConfBaseException) and cause.full_key]
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        return unknown_choice(error.missing_cfg_file, error.options)
    if isinstance(error, OverrideParseException):
        return f"'{error.override}' is not a setting of the form key=value; quote special characters: 'key=\"value\"'"
    if omegaconf_errors:
        return _setting_error(omegaconf_errors[0])
    if isinstance(error, ConfigCompositionException) and "Ambiguous value" in str(error):
        argument = str(error).split("'")[1]
        return f"'{argument}' has several values; -m runs them all, [brackets] make a list of them"
    if isinstance(error, ValueError) and str(error).startswith("Config group override"):
        return "a group takes the name of one of its options, such as model=yolov6; 'lcrp --help' lists them"
    if isinstance(error, LcrpError):
        return without_current_folder(_flat(error.with_mend()))
    return _flat(str(error)) or type(error).__name__


def unknown_choice(path: str, options: Iterable[str]) -> str:
    """Message for a group without such an option, ``model/yolo7`` say."""
    group, _, choice = path.rpartition("/")
    if not group:
        return f"configuration '{choice}' is not found; the default one is 'config'"
    return f"{group} '{choice}' does not exist; nearest: {nearest(choice, options)}"


def unknown_setting(key: str, known: Iterable[str]) -> str:
    """Message for a key that no schema has, ``statistics.topn`` say."""
    parent, _, name = key.rpartition(".")
    known = tuple(known)
    where = f"'{parent}' has" if parent else "there are"
    meant = _meant(key, known) or f"{where} {nearest(name, known, limit=10)}."
    return f"'{key}' is not a setting; {meant} 'lcrp --cfg job' shows all"


def _meant(key: str, known: Sequence[str]) -> str:
    """A question for the setting that is misspelt or broken off, if there is one."""
    parent, _, name = key.rpartition(".")
    begun = [one for one in known if name and one.startswith(name)][:1]
    alike = [_ALIKE[name]] if _ALIKE.get(name) in known else []
    similar = alike or difflib.get_close_matches(name, known, 1, _SIMILAR) or begun
    return f"did you mean '{parent}.{similar[0]}'?".replace("'.", "'") if similar else ""


def known_settings(kind: object) -> tuple[str, ...]:
    """Keys of a schema class, without those that Hydra reads."""
    assert is_dataclass(kind)
    return tuple(entry.name for entry in fields(kind) if not entry.name.startswith("_"))


def _setting_error(error: OmegaConfBaseException) -> str:
    """Message for one setting that does not exist, has no value or a value of the wrong type."""
    key = str(error.full_key)
    if isinstance(error, ConfigAttributeError | ConfigKeyError):
        if error.object_type is Stage:
            return NO_SCHEMA
        if is_dataclass(error.object_type):
            return unknown_setting(key, known_settings(error.object_type))
        names = [str(name) for name in error.parent_node or ()]
        if meant := _meant(key, names):
            return f"'{key}' is not a setting; {meant}"
        known = ", ".join(f"'{name}'" for name in names)
        return f"'{key}' is not set yet; there are {known or 'none'}. Write +{key}=... to add it"
    if isinstance(error, MissingMandatoryValue):
        return f"'{key}' has no value; write {key}=..."
    if isinstance(error, ValidationError) and "is not Optional" in str(error):
        return f"'{key}' cannot be null"
    return f"'{key}': {_flat(str(error.msg).splitlines()[0] if error.msg else str(error))}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from, outermost first."""
    cause: BaseException | None = error
    seen: set[int] = set()  # a person's own code may have raised an error from itself
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def _flat(text: str) -> str:
    return " ".join(text.split())
