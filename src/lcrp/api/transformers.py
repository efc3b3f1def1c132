"""Explainers of transformers' own objects: detectors and segmenters, as they are."""

from collections.abc import Sequence

import torch
from torch import nn

from lcrp.api.explainers import MODULE, as_it_stands, with_layer
from lcrp.api.networks import placed_network
from lcrp.attribution.layers import AUTO
from lcrp.config.build import find_device
from lcrp.config.compose import composed
from lcrp.config.composite import build_composite
from lcrp.config.samples import input_transform
from lcrp.config.tasks import TASKS, build_task
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError
from lcrp.models.transformers import recognise
from lcrp.models.transformers_names import ARCHITECTURES
from lcrp.models.transformers_readers import class_names_of, library_network

FAMILY = "transformers"


def transformers_explainer(
    network: nn.Module,
    overrides: Sequence[str],
    *,
    task: str | None,
    class_names: Sequence[str] | None,
    layer: str | None,
    device: str | None,
) -> Explainer:
    """An explainer of a network of transformers.

    Args:
        network: the object itself; it is used as it is.
        overrides: settings that a person gave.
        task: as of `load`.
        class_names: None takes those of the network's own configuration (id2label).
        layer: as of `load`.
        device: as of `load`.

    Raises:
        ConfigError: it is of an architecture that is not known, it does another task, or so many names do not fit.
    """
    architecture = recognise(network)
    if architecture is None:
        raise ConfigError(
            f"{type(network).__name__} of {FAMILY} is not known; those that run are {', '.join(ARCHITECTURES)}"
        )
    kind = TASKS[ARCHITECTURES[architecture].task].predicts
    if task not in (None, kind):
        raise ConfigError(f"{type(network).__name__} does {kind}: leave task='{task}' out")
    own = class_names_of(network, architecture)
    if class_names is not None and len(class_names) != len(own):
        raise ConfigError(
            f"{type(network).__name__} knows {len(own)} classes, but {len(class_names)} class_names are given"
        )
    named = [f"model.network.architecture={architecture}", *overrides]
    config = composed([f"model={FAMILY}", "dataset=scenes", *named])
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    placed = placed_network(network, None if device is None else find_device(config.device), dtype)
    explainer = Explainer(
        name=type(network).__name__,
        network=library_network(placed, architecture),
        task=build_task(config, tuple(class_names or own)),
        composite=build_composite(config.composite),
        transform=input_transform(config.model),
        mean=tuple(config.model.mean),
        std=tuple(config.model.std),
        layer=AUTO,
        checkpoint=MODULE,
        checkpoint_sha256="",
        precision=config.precision,  # type: ignore[arg-type]
        unaccounted=config.unaccounted,  # type: ignore[arg-type]
    )
    return with_layer(as_it_stands(explainer), layer)
