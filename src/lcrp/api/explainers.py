"""Explainers as they stand, and with other settings than they were loaded with."""

from collections.abc import Mapping
from dataclasses import replace

from lcrp.api.networks import architecture_of, weights_sha256
from lcrp.attribution.layers import AUTO, check_layers, layer_names, no_layer
from lcrp.config.compose import composed
from lcrp.config.composite import build_composite
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError, LayerError
from lcrp.models.recognition import FAMILIES

MODULE = "module"  # in place of a checkpoint's name
Rules = str | Mapping[str, object]  # a composite by its name, or by its name and settings
LIKE = {"detection": "yolov5", "segmentation": "unet"}  # whose thresholds a person's own network takes


def as_it_stands(explainer: Explainer) -> Explainer:
    """The same, with the identity that a person's own module has now: it may have been trained on."""
    if explainer.checkpoint != MODULE:
        return explainer
    size = (explainer.transform.height, explainer.transform.width)
    return replace(
        explainer,
        checkpoint_sha256=weights_sha256(explainer.network),
        architecture=architecture_of(explainer.network, size),
    )


def with_layer(explainer: Explainer, layer: str | None) -> Explainer:
    """The same, with another layer whose concepts are shown.

    Raises:
        LayerError: it is not in the network.
    """
    name = explainer.layer if layer is None else layer
    check_layers(explainer.network)
    names = layer_names(explainer.network)
    if name != AUTO and name not in names:
        raise LayerError(no_layer(name, explainer.name, names))
    return replace(explainer, layer=name)


def with_composite(explainer: Explainer, composite: Rules) -> Explainer:
    """The same, with other rules.

    Raises:
        ConfigError: there is no such composite, or it takes other settings.
    """
    chosen = [f"{key}={value}" for key, value in composite_settings(composite).items()]
    config = composed([f"model={configured_like(explainer)}", "dataset=scenes", *chosen])
    return replace(explainer, composite=build_composite(config.composite))


def composite_settings(composite: Rules | None) -> dict[str, object]:
    """Rules as settings of the command line.

    Args:
        composite: its name; or its name and settings, {"name": "epsilon_plus_flat", "attention": "attn"}.

    Raises:
        ConfigError: there is no name, or a setting is neither a word nor a number.
    """
    if composite is None or isinstance(composite, str):
        return {"composite": composite} if composite else {}
    if not isinstance(composite, Mapping) or not isinstance(composite.get("name"), str):
        example = "{'name': 'epsilon_plus_flat', 'attention': 'attn'}"
        raise ConfigError(f"composite={composite!r} has no name: give one, such as 'epsilon_plus_flat', or {example}")
    for key, value in composite.items():
        if not isinstance(value, int | float) and not (isinstance(value, str) and value.isidentifier()):
            raise ConfigError(f"composite: {key}={value!r} is neither a word nor a number")
    own = {f"composite.{key}": value for key, value in composite.items() if key != "name"}
    return {"composite": composite["name"], **own}


def configured_like(explainer: Explainer) -> str:
    """Name of the family whose settings go with an explainer: its own, or that of its kind."""
    own = {str(one) for one in FAMILIES.values()}
    return explainer.name if explainer.name in own else LIKE[str(explainer.task.identity()["name"])]
