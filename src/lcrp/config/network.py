"""From the model's settings to a network with weights."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from lcrp.attribution.segmentation import BACKGROUND
from lcrp.config.checkpoints import OFFICIAL, RANDOM, find_checkpoint, official_class_names
from lcrp.config.model import Model
from lcrp.config.targets import call, is_own, locate, takes
from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.checkpoint import Checkpoint, check_fit, load_state
from lcrp.models.kept import kept_detector
from lcrp.models.library import LibraryNetwork

log = logging.getLogger(__name__)

OF_LIBRARY = "official"  # the weights that the network's own library publishes
KEPT = "kept_detection"  # the task of detectors that select their boxes themselves
RANDOM_SEED = 0  # of the weights of model.checkpoint=random


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetwork:
    """A network with its weights.

    Attributes:
        network: in evaluation mode, its parameters without gradients.
        arguments: with which it was built.
        class_names: of its classes; index = class id.
        checkpoint: file name, or 'random'.
        checkpoint_sha256: of the file; empty for random weights.
        activation: by which a segmenter tells classes, as far as settings, file and channels say; else None.
    """

    network: nn.Module
    arguments: dict[str, object]
    class_names: tuple[str, ...]
    checkpoint: str
    checkpoint_sha256: str
    activation: str | None = None


def trained_network(
    model: Model,
    dataset_names: tuple[str, ...] | None,
    device: torch.device,
    origin: Path,
    dtype: torch.dtype = torch.float32,
) -> TrainedNetwork:
    """The network that is explained.

    Args:
        model: its settings.
        dataset_names: class names of the dataset, background included for segmentation; None if it has none.
        device: where it goes.
        origin: folder to which the checkpoint's path is relative.
        dtype: of its weights.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or does not fit.
        ConfigError: no checkpoint or no class names are given, or the network cannot be built.
    """
    if model.checkpoint is None:
        raise ConfigError(
            f"model.checkpoint has no value: with this dataset, model '{model.name}' has no weights of its own; "
            "write model.checkpoint=PATH, official:NAME, embedded:NAME or random"
        )
    checkpoint = _published(model) or find_checkpoint(model.checkpoint, origin)
    kind = locate(str(model.network["_target_"]), "model.network._target_")
    told, build = None, None
    if checkpoint is not None and hasattr(kind, "fitted"):
        with _as_misfit(checkpoint):
            fitted = kind.fitted(checkpoint)
        checkpoint, told, build = fitted.checkpoint, fitted.activation, fitted.build
        model = replace(model, network={**model.network, **fitted.arguments})
        if fitted.task not in (None, model.task):
            raise ConfigError(
                f"model.task={model.task}, but '{checkpoint.path}' does {fitted.task}: leave model.task out, or give "
                "the whole path of the folder"
            )
        if fitted.side is not None and max(model.input.height, model.input.width) != fitted.side:
            _tell_side(fitted.side, checkpoint.path, model)
    names = _known_names(model, checkpoint, dataset_names)
    network, arguments = _network(model, checkpoint, names, build)
    if checkpoint is not None:
        unusual = _load(network, checkpoint, getattr(kind, "mend", ""))
        arguments |= {"unusual": list(unusual)} if unusual else {}
        if hasattr(kind, "tell_of"):
            kind.tell_of(network, checkpoint.path)
    activation = None
    if model.task == "segmentation":
        activation = activation_of(model, told, arguments.get("num_classes"))
    prepare = getattr(network, "prepare", None)
    if callable(prepare):
        prepare()
    network.eval().requires_grad_(False).to(device, dtype)
    class_names = _checked_names(names, arguments, activation)
    if model.task == KEPT and not isinstance(network, LibraryNetwork):
        network = kept_detector(network, len(class_names))
    return TrainedNetwork(
        network=network,
        arguments=arguments,
        class_names=class_names,
        checkpoint=RANDOM if checkpoint is None else checkpoint.path.name,
        checkpoint_sha256="" if checkpoint is None else checkpoint.sha256,
        activation=activation,
    )


def _tell_side(side: int, path: Path, model: Model) -> None:
    log.info(
        "%s was trained with pictures of %d x %d pixels, and gets %d x %d here: model.input.height=%d "
        "model.input.width=%d is as it was trained",
        *(path.name, side, side, model.input.height, model.input.width, side, side),
    )


def fresh_network(model: Model, class_names: tuple[str, ...], seed: int, device: torch.device) -> nn.Module:
    """The network to be trained: initial weights, nothing prepared for explaining.

    Args:
        model: its settings; its checkpoint is left alone.
        class_names: of the dataset that it learns.
        seed: of the initial weights.
        device: where it goes.
    """
    network, _ = _network(model, None, class_names)
    initialise = getattr(network, "initialise", None)
    if not callable(initialise):
        raise ConfigError(f"model '{model.name}' cannot be trained: its network has no method 'initialise'")
    initialise(torch.Generator().manual_seed(seed))
    return network.to(device)


def _published(model: Model) -> Checkpoint | None:
    """The weights that the network's library publishes, if they are asked for.

    Raises:
        ConfigError: there is no such library.
    """
    if model.checkpoint != OF_LIBRARY:
        return None
    kind = locate(str(model.network["_target_"]), "model.network._target_")
    if not hasattr(kind, "official"):
        raise ConfigError(
            f"model.checkpoint={OF_LIBRARY} says nothing to model '{model.name}'; write model.checkpoint=official:NAME"
        )
    found: Checkpoint = kind.official(str(model.network["name"]))
    return found


def _network(
    model: Model,
    checkpoint: Checkpoint | None,
    names: tuple[str, ...] | None,
    build: Callable[..., nn.Module] | None = None,
) -> tuple[nn.Module, dict[str, object]]:
    """A network of the checkpoint's size, or of the configured one."""
    kind = locate(str(model.network["_target_"]), "model.network._target_")
    arguments = {key: value for key, value in model.network.items() if key != "_target_"}
    if model.head is not None:
        if not takes(kind, "head"):
            raise ConfigError(f"model.head={model.head} says nothing to model '{model.name}'; leave it out")
        arguments["head"] = model.head
    if checkpoint is not None and hasattr(kind, "arguments_of"):
        with _as_misfit(checkpoint):
            arguments |= kind.arguments_of(checkpoint.state)
    if names is not None and "num_classes" not in arguments and takes(kind, "num_classes"):
        is_bare = model.activation == "sigmoid" and names[0] == BACKGROUND  # which needs no channel of its own
        arguments["num_classes"] = len(names) - is_bare
    if model.checkpoint == OF_LIBRARY:
        arguments["is_official"] = True
    if checkpoint is not None and hasattr(kind, "arguments_of") and is_own(str(model.network["_target_"])):
        with torch.device("meta"):  # without memory, which a file could ask for in any amount
            sketch = call(kind, arguments, "model.network")
        if isinstance(sketch, nn.Module):
            check_fit(sketch, checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        network = call(kind, arguments, "model.network") if build is None else build(**arguments)
    if not isinstance(network, nn.Module):
        raise ConfigError(f"model.network._target_='{model.network['_target_']}' gives no torch.nn.Module")
    if "head" in arguments and not getattr(network, "has_choice", True):  # the same numbers as without
        log.info("model.head=%s changes nothing: the network has no other head", arguments.pop("head"))
    return network, arguments


def _known_names(
    model: Model, checkpoint: Checkpoint | None, dataset_names: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """Class names from the settings, the checkpoint, the official checkpoints' dataset or the present dataset."""
    if model.class_names is not None:
        return tuple(model.class_names)
    if checkpoint is not None and checkpoint.class_names is not None:
        return checkpoint.class_names
    if model.checkpoint is not None and model.checkpoint.startswith(OFFICIAL):
        return official_class_names(model.checkpoint)
    return dataset_names


@contextmanager
def _as_misfit(checkpoint: Checkpoint) -> Iterator[None]:
    """Report what goes wrong where sizes are read off tensors, which may have any shape, as one line about the file."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())
        raise CheckpointError(
            f"checkpoint '{checkpoint.path}' does not fit: its sizes cannot be told ({type(error).__name__}: {words})"
        ) from error


def _load(network: nn.Module, checkpoint: Checkpoint, mend: str) -> tuple[str, ...]:
    """Load weights; gives what the file's modules say that is not as published, in words."""
    try:
        unusual = load_state(network, checkpoint)
    except CheckpointError as error:
        raise CheckpointError(str(error), mend=error.mend or mend) from error
    if unusual:
        log.info("checkpoint '%s' is obeyed where it is not as published: %s", checkpoint.path.name, ", ".join(unusual))
    return unusual


def activation_of(model: Model, told: str | None, num_classes: object) -> str | None:
    """By which a segmenter tells classes: as set, as its file says, and a sigmoid where it has one channel.

    Args:
        model: its settings.
        told: what the network itself ends in; None if it returns logits.
        num_classes: number of its channels, if it is known.

    Returns:
        None if nothing says it.

    Raises:
        ConfigError: the settings contradict the network.
    """
    if model.activation is not None and told not in (None, model.activation):
        raise ConfigError(f"model.activation={model.activation} contradicts the network, which ends in a {told}")
    found = model.activation or told or ("sigmoid" if num_classes == 1 else None)
    if found == "sigmoid" and model.activation is None:
        log.info("classes are told by sigmoids: a pixel may be of several, or of none, which is the background")
    return found


def _checked_names(
    names: tuple[str, ...] | None, arguments: dict[str, object], activation: str | None
) -> tuple[str, ...]:
    """Class names, one for each of the network's classes; with sigmoids a background may come on top."""
    if names is None:
        raise ConfigError("nothing says what the model's classes are called; write model.class_names=[name,name,...]")
    num_classes = arguments.get("num_classes", len(names))
    is_bare = activation == "sigmoid" and names[0] == BACKGROUND and num_classes == len(names) - 1
    if num_classes != len(names) and not is_bare:
        raise ConfigError(
            f"the model has {num_classes} classes, but {len(names)} class names are known ({names[0]}, ...); "
            "write model.class_names=[name,name,...]"
        )
    return names
