"""From names in the configuration to the methods that are compared."""

from collections.abc import Sequence

from hydra import compose
from hydra.errors import MissingConfigException

from lcrp.attribution.methods import COMPARED, Method
from lcrp.composites.composites import gradient
from lcrp.config.targets import locate
from lcrp.errors import ConfigError, nearest

SHIPPED = (
    "epsilon_plus_flat",
    "epsilon_gamma_flat",
    "epsilon_flat",
    "epsilon_plus",
    "all_flat",
    "gradient",
    "guided_backprop",
)


def methods(names: Sequence[str]) -> tuple[Method, ...]:
    """Methods by name: composites of the configuration, a user's own among them, and what they are compared with.

    Raises:
        ConfigError: there is no such composite.
    """
    return tuple(_method(name) for name in names)


def _method(name: str) -> Method:
    for reading in COMPARED:
        if name == reading:
            return Method(name=name, reading=reading, composite=gradient)
    try:
        composite = compose(config_name="config", overrides=[f"composite={name}"]).composite
    except MissingConfigException as error:
        choices = nearest(name, (*SHIPPED, *COMPARED))
        raise ConfigError(
            f"stage.methods='{name}' is neither a composite nor another method; nearest: {choices}"
        ) from error
    return Method(name=name, reading="relevance", composite=locate(composite._target_, f"composite {name}"))
