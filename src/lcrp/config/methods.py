"""Methods by name: every composite of the configuration, and what is compared with them."""

from collections.abc import Sequence
from typing import Any, cast

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from lcrp.attribution.methods import COMPARED, Method
from lcrp.composites.spec import GRADIENT
from lcrp.config.composite import build_composite
from lcrp.errors import ConfigError, nearest, refuse


def methods(names: Sequence[str]) -> tuple[Method, ...]:
    """The methods of the given names, each once.

    A composite is found wherever Hydra finds the configuration, so also in a user's own folder.

    Args:
        names: of composites (the files of conf/composite), or 'gradcam', 'activation' and 'random'.

    Raises:
        ConfigError: there is no such method.
    """
    loader = GlobalHydra.instance().config_loader()
    choices = (*loader.get_group_options("composite"), *COMPARED)
    unknown = [name for name in names if name not in choices]
    refuse(f"methods: there is no '{name}'; nearest: {nearest(name, choices)}" for name in unknown)
    return tuple(_method(name) for name in dict.fromkeys(names))


def _method(name: str) -> Method:
    for reading in COMPARED:
        if reading == name:
            return Method(name=name, reading=reading, composite=GRADIENT)
    settings = compose(config_name="config", overrides=[f"composite={name}"]).composite
    try:
        composite = build_composite(cast(dict[str, Any], OmegaConf.to_container(settings, resolve=True)))
    except ConfigError as error:
        raise ConfigError(*(f"methods: {problem}" for problem in error.problems)) from error
    return Method(name=name, reading="relevance", composite=composite)
