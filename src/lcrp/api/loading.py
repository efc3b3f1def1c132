"""``lcrp.load``: whatever a person has of a network becomes one value that explains it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from torch import nn

from lcrp.api.door import python_words
from lcrp.api.explainers import (
    LIKE,
    Rules,
    check_task,
    composite_settings,
    explainer_of_object,
    placed_as_set,
    with_layer,
)
from lcrp.api.given import ClassNames, InputSize, channel_values, class_names_of, input_settings, tile_setting
from lcrp.api.torchvision import torchvision_explainer
from lcrp.api.transformers import FAMILY as TRANSFORMERS
from lcrp.api.transformers import transformers_explainer
from lcrp.attribution.answers import check_answer, probed
from lcrp.attribution.segmentation import BACKGROUND, Activation
from lcrp.config.auto import known_checkpoint, tell, with_family
from lcrp.config.build import build_explainer, find_device
from lcrp.config.checkpoints import EMBEDDED
from lcrp.config.commands import quoted
from lcrp.config.compose import composed
from lcrp.config.network import KEPT, activation_of
from lcrp.config.root import Config
from lcrp.config.samples import input_transform
from lcrp.config.tasks import TASKS
from lcrp.decisions.explainer import Explainer, Precision
from lcrp.errors import ConfigError, nearest
from lcrp.models.kept import keeps_boxes, kept_detector
from lcrp.models.recognition import FAMILIES
from lcrp.models.smp import is_of_library, with_logits
from lcrp.models.torchvision import recognised
from lcrp.models.transformers import is_of_library as of_transformers
from lcrp.values.ledger import Unaccounted

TaskName = Literal["detection", "segmentation"]
Model = str | os.PathLike[str] | nn.Module | Explainer

_UNNORMALISED = {"model.mean": [0.0, 0.0, 0.0], "model.std": [1.0, 1.0, 1.0], "model.input.multiple_of": 1}
SMP = "smp"  # the family of networks of segmentation_models_pytorch
_SIDES = {"detection": 640, "segmentation": 512}  # of its input


def load(
    model: Model,
    *,
    task: TaskName | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    composite: Rules | None = None,
    layer: str | None = None,
    input: InputSize | None = None,  # noqa: A002
    tiles: Mapping[str, float] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    class_names: ClassNames | None = None,
    confidence: float | None = None,
    iou: float | None = None,
    activation: Activation | None = None,
    threshold: float | None = None,
    device: str | None = None,
    precision: Precision = "float32",
    unaccounted: Unaccounted = "error",
) -> Explainer:
    """A network with all that is needed to explain what it decides.

    Files are read without running anything in them. A module of yours is used as it is: within each call it is in
    evaluation mode and carries rules, afterwards it is bit for bit what it was, in its mode, on its device, so that it
    may be trained on between calls. Another `device` or `precision` than its own takes a copy.

    Args:
        model: path of a checkpoint of any family, told by what lies in it, ``official:NAME``,
            ``embedded:NAME``, the name of a family (``yolov6``), or any `torch.nn.Module` whose `forward` takes
            pictures [B, 3, H, W], normalised, and returns logits [B, K, H, W] (segmentation), a
            `lcrp.values.prediction.DetectorOutput` (detection), or the boxes that it keeps itself, {'boxes': [D, 4],
            'scores': [D], 'labels': [D]} of one picture. Networks of torchvision, segmentation_models_pytorch
            and transformers, and folders of their save_pretrained, are known.
        task: 'detection' or 'segmentation'; needed for a module, known for the families and libraries.
        checkpoint: weights of the family that `model` names, where the file does not tell the family.
        composite: name of the rules: epsilon_plus_flat, epsilon_gamma_flat, ...; or name and settings, such as
            ``{"name": "epsilon_plus_flat", "attention": "attn"}``; what `tune` found, or the path of its tuned.yaml;
            None takes the family's own.
        layer: whose concepts are shown by default. For a module None is 'auto': the layer through which most of the
            relevance of the first 16 decisions passes, by which it is chosen when something is explained.
        input: side of the input in pixels, or (height, width), or (height, width, resize) with resize one of
            letterbox, rect, stretch, shorter_crop, none. For a module None is a letterboxed square of 640 pixels for
            detection, of 512 for segmentation.
        tiles: for photographs much larger than the input, {"size": 1024, "overlap": 0.2}: they are cut into squares of
            so many of their pixels, which overlap by this share, and each becomes an input.
        mean: [3] subtracted from RGB in [0, 1]; for a module 0 by default, for one of a library ImageNet's.
        std: [3] divided by afterwards; for a module 1 by default, for one of a library ImageNet's.
        class_names: of the network, index = class id (or {class id: name}), with the background for segmentation,
            unless it has sigmoids; needed for a module, and where a file has none.
        confidence: least confidence of a detection, in [0, 1].
        iou: overlap above which the weaker of two detections of a class is left out, in [0, 1].
        activation: 'softmax' if the classes of a segmenter exclude each other, 'sigmoid' if they do not; None is what
            the network says, a sigmoid if it has one channel, and else a softmax.
        threshold: probability above which a pixel is of a class, for sigmoids; None is 0.5.
        device: 'cpu', 'cuda' or 'cuda:1'; None is the CPU, for a module where it is.
        precision: 'float32', 'tf32' or 'bfloat16'; the two are faster on GPUs and less exact.
        unaccounted: 'error' if explanations fail whose relevance went astray, 'accept' if their ledgers only say so.

    Returns:
        What `explain`, `statistics` and all others take.

    Raises:
        CheckpointError: the file is missing, unsafe, damaged or of a family that lcrp does not know.
        ConfigError: a setting makes no sense, or the module does not answer as its task demands.

    Example:
        >>> explainer = lcrp.load("embedded:yolov6_scenes")
        >>> explainer.class_names
        ('boat', 'car', 'kite', 'horse', 'rider', 'bird')
    """
    with python_words():
        if isinstance(model, Explainer):
            given = (task, checkpoint, composite, layer, input, tiles, mean, std, class_names, confidence, iou, device)
            given_of_masks = (activation, threshold)
            is_usual = (precision, unaccounted) == ("float32", "error")
            if not is_usual or any(one is not None for one in (*given, *given_of_masks)):
                raise ConfigError("an explainer has its settings already: load the model anew with other ones")
            return model
        settings = _overrides(
            {
                **composite_settings(composite),
                "model.mean": channel_values("mean", mean),
                "model.std": channel_values("std", std),
                "model.confidence": confidence,
                "model.iou": iou,
                "model.activation": activation,
                "model.threshold": threshold,
                "device": device,
                "precision": precision,
                "unaccounted": unaccounted,
                **input_settings(input),
                "model.input.tiles": None if tiles is None else tile_setting(tiles),
            }
        )
        names = None if class_names is None else class_names_of(class_names)
        if isinstance(model, nn.Module):
            if checkpoint is not None:
                raise ConfigError("a module has its weights already: leave checkpoint out, or load_state_dict them")
            reader = recognised(model)
            if reader is not None:
                return torchvision_explainer(
                    model, reader, settings, task=task, class_names=names, layer=layer, device=device
                )
            if of_transformers(model):
                return transformers_explainer(model, settings, task=task, class_names=names, layer=layer, device=device)
            return _own(model, settings, task=task, class_names=names, layer=layer, device=device)
        if isinstance(model, str | os.PathLike):
            config = _family(os.fspath(model), None if checkpoint is None else os.fspath(checkpoint), settings)
            check_task(config.model.name, TASKS[config.model.task].predicts, task)
            return _known(config, class_names=names, layer=layer)
        raise ConfigError(
            f"a {type(model).__name__} is no network: give a path, official:NAME, embedded:NAME, a family's name or a "
            "torch.nn.Module"
        )


def _overrides(values: Mapping[str, object]) -> list[str]:
    """Settings whose values need no quotes, so that they are checked as those of the command line are."""
    return [f"{key}={value}" for key, value in values.items() if value is not None]


def _family(model: str, checkpoint: str | None, overrides: Sequence[str]) -> Config:
    """The configuration of a family with its checkpoint."""
    is_named = model in (*FAMILIES.values(), TRANSFORMERS)
    if checkpoint is not None and not is_named:
        raise ConfigError(
            f"'{model}' is a checkpoint itself: give the family's name beside checkpoint, such as 'yolov5'"
        )
    if is_named and checkpoint is None:
        return composed([f"model={model}", "dataset=scenes", *overrides])
    name = model if checkpoint is None else checkpoint
    family = [f"model={model}"] if is_named else _recognised(name)
    dataset = ["dataset=scenes"] if name.startswith(EMBEDDED) else ["dataset=folder", "dataset.path=."]
    config = composed([*family, *dataset, f"model.checkpoint={quoted(name)}", *overrides])
    config.model.checkpoint = name
    return config


def _recognised(name: str) -> list[str]:
    """The family of a checkpoint, with what it tells besides, as settings.

    Raises:
        CheckpointError: the file is of none that lcrp knows.
        ConfigError: the file does not tell enough.
    """
    known = known_checkpoint(name, Path.cwd())
    if known.untold:
        raise ConfigError(
            f"'{name}' is {known.what}, from {known.sign}, and {'; '.join(known.untold.values())}: load it into its "
            f"own network of {known.family} and give that"
        )
    tell(name, known)
    return with_family([], known)


def _known(config: Config, *, class_names: Sequence[str] | None, layer: str | None) -> Explainer:
    """An explainer of one of the families."""
    model = config.model
    model.class_names = model.class_names if class_names is None else list(class_names)
    explainer = build_explainer(config, None, find_device(config.device), Path.cwd())
    return with_layer(explainer, layer)


def _own(
    network: nn.Module,
    overrides: Sequence[str],
    *,
    task: TaskName | None,
    class_names: Sequence[str] | None,
    layer: str | None,
    device: str | None,
) -> Explainer:
    """An explainer of a person's own module, or of a library's."""
    told, like, square = None, LIKE.get(str(task)), _UNNORMALISED
    if is_of_library(network):
        task, like, square = task or "segmentation", SMP, {}
        network, told = with_logits(network)
    if task is None or class_names is None:
        wanted = ["task='detection' or 'segmentation'"] * (like != SMP) + ["class_names=[...], index = class id"]
        raise ConfigError(
            f"the network {type(network).__name__} does not say what it does: give {' and '.join(wanted)}"
        )
    if task not in LIKE:
        raise ConfigError(f"task '{task}' is unknown; nearest: {nearest(str(task), LIKE)}")
    square = square | input_settings((_SIDES[task], _SIDES[task], "letterbox"))
    config = composed([f"model={like}", "dataset=scenes", *_overrides(square), *overrides])
    model = config.model
    transform = input_transform(model)
    placed = placed_as_set(network, config, device)
    is_bare = task == "segmentation" and class_names[0] == BACKGROUND
    is_bare = is_bare and ("sigmoid" in (model.activation, told) or len(class_names) == 2)
    allowed = (len(class_names), len(class_names) - 1) if is_bare else (len(class_names),)
    size = (transform.height, transform.width)
    if task == "detection" and keeps_boxes(probed(placed, size)):
        if any(one.startswith("model.iou=") for one in overrides):
            raise ConfigError(f"{type(network).__name__} selects its boxes itself: leave iou out")
        placed = kept_detector(placed, len(class_names))
        model.task, model.score, model.iou = KEPT, None, None
    else:
        num_classes = check_answer(placed, size, task, allowed)
        if task == "segmentation":
            model.activation = activation_of(model, told, num_classes)
    return explainer_of_object(placed, config, name=type(network).__name__, class_names=class_names, layer=layer)
