"""Methods by name: every composite of the configuration, and what is compared with them."""

from collections.abc import Sequence

from hydra import compose
from hydra.core.global_hydra import GlobalHydra

from lcrp.attribution.methods import COMPARED, Method
from lcrp.composites.composites import gradient
from lcrp.config.targets import locate
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
            raise ConfigError(f"stage.methods: there is no '{name}'; nearest: {nearest(name, choices)}")
        reading = next((one for one in COMPARED if one == name), "relevance")
        if reading == "relevance":
            target = compose(config_name="config", overrides=[f"composite={name}"]).composite._target_
            composite = locate(target, f"composite '{name}': _target_")
        else:
            composite = gradient
        found.append(Method(name=name, reading=reading, composite=composite))  # type: ignore[arg-type]
    return tuple(found)
