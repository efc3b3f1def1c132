"""Explainers as they stand, and with other settings than they were loaded with."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from lcrp.api.networks import architecture_of, placed_network, weights_sha256
from lcrp.attribution.layers import AUTO, check_layers, layer_names, no_layer
from lcrp.composites.spec import GRADIENT
from lcrp.config.build import find_device
from lcrp.config.commands import quoted
from lcrp.config.compose import composed
from lcrp.config.root import Config
from lcrp.config.samples import input_transform
from lcrp.config.tasks import build_task
from lcrp.config.tuned import with_composite_of
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError, LayerError
from lcrp.models.recognition import FAMILIES

TUNED = "tuned"
MODULE = "module"  # in place of a checkpoint's name
Rules = str | Mapping[str, object] | os.PathLike[str]  # a composite by its name, its name and settings, or a tuned one
LIKE = {"detection": "yolov5", "segmentation": "unet"}  # whose thresholds a person's own network takes


def check_task(name: str, does: str, task: str | None) -> None:
    """Whether a network does what a person says.

    Raises:
        ConfigError: it does something else.
    """
    if task not in (None, does):
        raise ConfigError(f"{name} does {does}: leave task='{task}' out")


def placed_as_set(network: nn.Module, config: Config, device: str | None) -> nn.Module:
    """An object on a device and in the precision that are set, as `placed_network`; None for wherever it is."""
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    return placed_network(network, None if device is None else find_device(config.device), dtype)


def explainer_of_object(
    network: nn.Module, config: Config, *, name: str, class_names: Sequence[str], layer: str | None
) -> Explainer:
    """An explainer of an object, as it stands.

    Args:
        network: the object, or what reads it.
        config: the settings of its family.
        name: in titles.
        class_names: index = class id.
        layer: whose concepts are shown; None is chosen by decisions.

    Raises:
        LayerError: it is not in the network.
    """
    explainer = Explainer(
        name=name,
        network=network,
        task=build_task(config, tuple(class_names)),
        composite=GRADIENT,
        transform=input_transform(config.model),
        mean=tuple(config.model.mean),
        std=tuple(config.model.std),
        layer=AUTO,
        checkpoint=MODULE,
        checkpoint_sha256="",
        precision=config.precision,  # type: ignore[arg-type]
        unaccounted=config.unaccounted,  # type: ignore[arg-type]
    )
    explainer = with_composite_of(as_it_stands(explainer), config.composite, Path.cwd())
    return with_layer(explainer, layer)


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
    return with_composite_of(as_it_stands(explainer), config.composite, Path.cwd())


def composite_settings(composite: Rules | None) -> dict[str, object]:
    """Rules as settings of the command line.

    Args:
        composite: its name; or its name and settings, {"name": "epsilon_plus_flat", "attention": "attn"}; or what
            stage=tune wrote: the path of tuned.yaml.

    Raises:
        ConfigError: there is no name, or a setting is neither a word nor a number.
    """
    if isinstance(composite, os.PathLike) or (isinstance(composite, str) and composite.endswith((".yaml", ".yml"))):
        return {"composite": TUNED, "composite.file": quoted(os.fspath(composite))}
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
