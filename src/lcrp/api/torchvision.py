"""Explainers of torchvision's own objects: detectors and segmenters, as they are."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from lcrp.api.explainers import check_task, explainer_of_object, placed_as_set
from lcrp.attribution.answers import probed
from lcrp.config.compose import composed
from lcrp.config.samples import input_transform
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError
from lcrp.models.library import DetectorReader, LibraryNetwork, SegmenterReader
from lcrp.models.torchvision import detector_reader

log = logging.getLogger(__name__)

_LIKE = {"segmentation": "deeplabv3_resnet50", "detection": "fasterrcnn_resnet50_fpn"}  # whose settings are taken


def torchvision_explainer(
    network: nn.Module,
    reader: DetectorReader | SegmenterReader,
    overrides: Sequence[str],
    *,
    task: str | None,
    class_names: Sequence[str] | None,
    layer: str | None,
    device: str | None,
) -> Explainer:
    """An explainer of a network of torchvision.

    Args:
        network: the object itself; it is used as it is.
        reader: what `recognised` said of it.
        overrides: settings that a person gave.
        task: as of `load`.
        class_names: of a detector without the background, of a segmenter with it; None takes the numbers of columns.
        layer: as of `load`.
        device: as of `load`.

    Raises:
        ConfigError: it does another task, or so many names do not fit.
    """
    kind = "segmentation" if isinstance(reader, SegmenterReader) else "detection"
    check_task(type(network).__name__, kind, task)
    own = [f"model.network.name={_LIKE[kind]}", *_own_input(network), *overrides]
    config = composed(["model=torchvision", "dataset=scenes", *own])
    transform = input_transform(config.model)
    library = placed_as_set(network, config, device)
    if isinstance(reader, SegmenterReader):
        answer = probed(LibraryNetwork(library, reader), (transform.height, transform.width))
        assert isinstance(answer, torch.Tensor)
        numbers = range(answer.shape[1])
        if class_names is not None and len(class_names) != len(numbers):
            raise ConfigError(
                f"{type(network).__name__} knows {len(numbers)} classes, background included, but {len(class_names)} "
                "class_names are given"
            )
    else:
        numbers = range(1, reader.num_columns)
        reader = detector_reader(library, len(class_names or numbers))
    names = tuple(class_names or map(str, numbers))
    if not class_names:
        log.info(
            "%s does not keep the names of its classes: they are called %s to %s; give class_names=[...]",
            type(network).__name__,
            names[0],
            names[-1],
        )
    name = type(network).__name__
    return explainer_of_object(LibraryNetwork(library, reader), config, name=name, class_names=names, layer=layer)


def _own_input(network: nn.Module) -> list[str]:
    """The size to which a detector scales its input by itself, as settings."""
    transform: Any = getattr(network, "transform", None)
    if transform is None:
        return []
    fixed = getattr(transform, "fixed_size", None)
    if fixed is not None:  # width and height, whatever the picture's are
        return [f"model.input.width={fixed[0]}", f"model.input.height={fixed[1]}", "model.input.resize=stretch"]
    side = transform.min_size[-1]
    return [f"model.input.height={side}", f"model.input.width={side}"]
