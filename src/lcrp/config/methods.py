"""Methods by name: every composite of the configuration, and what is compared with them."""

from collections.abc import Sequence

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from lcrp.attribution.methods import COMPARED, Method
from lcrp.composites.spec import GRADIENT
from lcrp.config.composite import build_composite
from lcrp.errors import ConfigError, nearest


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
    found: list[Method] = []
    for name in dict.fromkeys(names):
        if name not in choices:
            raise ConfigError(f"methods: there is no '{name}'; nearest: {nearest(name, choices)}")
        reading = next((one for one in COMPARED if one == name), "relevance")
        if reading == "relevance":
            settings = compose(config_name="config", overrides=[f"composite={name}"]).composite
            composite = build_composite(OmegaConf.to_container(settings, resolve=True))  # type: ignore[arg-type]
        else:
            composite = GRADIENT
        found.append(Method(name=name, reading=reading, composite=composite))  # type: ignore[arg-type]
    return tuple(found)
