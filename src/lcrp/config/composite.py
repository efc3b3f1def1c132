"""From the composite's settings to a composite."""

from collections.abc import Mapping
from typing import Any

from lcrp.composites.spec import CompositeSpec
from lcrp.config.targets import check_arguments, locate
from lcrp.errors import ConfigError

TUNED = "lcrp.composites.tuned.tuned"  # whose settings lie in a file of one network
_OWN = ("_target_", "name", "is_lrp", "conserves")  # the other settings are the builder's


def build_composite(settings: Mapping[str, Any], *, is_known: bool = False) -> CompositeSpec:
    """The composite with its settings.

    Args:
        settings: of the configuration.
        is_known: whether the rules of a tuned one are among them.

    Raises:
        ConfigError: its builder does not exist, or takes other settings; it is a tuned one, which belongs to a network.
    """
    if settings["_target_"] == TUNED and not is_known:
        raise ConfigError("composite 'tuned' belongs to one network: choose it as the composite, composite=tuned")
    name = str(settings["name"])
    build = locate(str(settings["_target_"]), f"composite '{name}': _target_")
    own = {key: value for key, value in settings.items() if key not in _OWN}
    check_arguments(build, own, f"composite '{name}'", first="network")
    is_lrp = bool(settings.get("is_lrp", True))
    conserves = bool(settings.get("conserves", is_lrp))
    return CompositeSpec(name=name, build=build, settings=own, is_lrp=is_lrp, conserves=conserves)
