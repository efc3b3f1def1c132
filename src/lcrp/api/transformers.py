"""Explainers of transformers' own objects: detectors and segmenters, as they are."""

from collections.abc import Sequence

from torch import nn

from lcrp.api.explainers import check_task, explainer_of_object, placed_as_set
from lcrp.config.compose import composed
from lcrp.config.tasks import TASKS
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
    check_task(type(network).__name__, TASKS[ARCHITECTURES[architecture].task].predicts, task)
    own = class_names_of(network, architecture)
    if class_names is not None and len(class_names) != len(own):
        raise ConfigError(
            f"{type(network).__name__} knows {len(own)} classes, but {len(class_names)} class_names are given"
        )
    named = [f"model.network.architecture={architecture}", *overrides]
    config = composed([f"model={FAMILY}", "dataset=scenes", *named])
    placed = placed_as_set(network, config, device)
    return explainer_of_object(
        library_network(placed, architecture),
        config,
        name=type(network).__name__,
        class_names=class_names or own,
        layer=layer,
    )
