"""Detectors and segmenters of transformers, from folders of save_pretrained, as they are.

The library is imported only where a network of it is built. Nothing is fetched, and nothing in a folder is run.
"""

import importlib.util
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.checkpoint import COUNTER, Checkpoint
from lcrp.models.fitted import Fitted
from lcrp.models.misfits import misfits
from lcrp.models.settings_files import CONFIG, config_of
from lcrp.models.transformers_names import ARCHITECTURES, input_of, named, normalisation_of, preprocessing
from lcrp.models.transformers_readers import class_names_of, library_network

LIBRARY = "transformers"
TIMM = "timm_backbone"  # what the library calls an encoder of timm's


def recognise(given: Path | nn.Module) -> str | None:
    """Name of the architecture that a folder's config.json or an object is of, if it is one of those that run.

    Raises:
        CheckpointError: the folder's config.json cannot be read.
    """
    if isinstance(given, nn.Module):
        kinds = [one for one in type(given).__mro__ if one.__module__.partition(".")[0] == LIBRARY]
        return next((one.__name__ for one in kinds if one.__name__ in ARCHITECTURES), None)
    return named(config_of(given)) if (given / CONFIG).is_file() else None


def is_of_library(given: Path | nn.Module) -> bool:
    """Whether a folder's config.json or an object is of the library, of whatever architecture.

    Raises:
        CheckpointError: the folder's config.json cannot be read.
    """
    if isinstance(given, nn.Module):
        return any(one.__module__.partition(".")[0] == LIBRARY for one in type(given).__mro__)
    return (given / CONFIG).is_file() and "model_type" in config_of(given)


class Family:
    """Networks of the library, with the weights of a folder."""

    __name__ = LIBRARY

    def __call__(self, *, architecture: str | None = None) -> nn.Module:  # noqa: ARG002
        """There is none without a folder.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"a network of {LIBRARY} is what its folder says: write model.checkpoint=FOLDER")

    def fitted(self, checkpoint: Checkpoint) -> Fitted:
        """The network in a folder, the names of whose weights may be those of any version of the library.

        Raises:
            CheckpointError: the network is of another architecture, or weights are missing, left over or of other
                shapes.
            ConfigError: a library is missing.
        """
        name = _checked_name(checkpoint)
        kind, told = ARCHITECTURES[name], preprocessing(checkpoint.path)
        input_of(kind, told), normalisation_of(kind, told)  # whether they can be read
        network = library_network(_loaded(name, checkpoint), name)
        names = class_names_of(network.library, name)
        return Fitted(
            checkpoint=replace(checkpoint, state=network.state_dict(), class_names=names),
            arguments={"architecture": name, "num_classes": len(names)},
            build=lambda **_: network,
            task=kind.task,
        )


family = Family()


def _checked_name(checkpoint: Checkpoint) -> str:
    """The architecture of a network.

    Raises:
        CheckpointError: it is none of those that run.
    """
    name = named(checkpoint.config)
    if name is None:
        if not checkpoint.path.is_dir():
            raise CheckpointError(
                f"checkpoint '{checkpoint.path}' is a file; a network of {LIBRARY} is a folder with {CONFIG} and "
                "model.safetensors, as save_pretrained writes it"
            )
        found = checkpoint.config.get("architectures") or checkpoint.config.get("model_type") or "nothing that is known"
        found = ", ".join(map(str, found)) if isinstance(found, list) else found
        raise CheckpointError(f"'{checkpoint.path}' holds {found}; those that run are {', '.join(ARCHITECTURES)}")
    return name


def _loaded(name: str, checkpoint: Checkpoint) -> nn.Module:
    """A network of the library with the weights of a checkpoint, all of them.

    Raises:
        CheckpointError: they do not fit.
        ConfigError: a library is missing.
    """
    library, path = _library(), checkpoint.path
    config = _without_hub(checkpoint.config, path)
    _check_parts(name, config, path)
    kind = getattr(library, name)
    with quiet(), torch.random.fork_rng(devices=[]):
        try:
            network, told = kind.from_pretrained(
                None,
                config=kind.config_class.from_dict(dict(config)),
                state_dict=dict(checkpoint.state),
                dtype=torch.float32,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except Exception as error:  # whatever the library says of settings that do not go together
            reason = " ".join(str(error).split()) or type(error).__name__
            raise CheckpointError(f"{LIBRARY} cannot build {name} as '{path}' says it: {reason}") from error
    problems = misfits(
        missing=[key for key in sorted(told["missing_keys"]) if not key.endswith(COUNTER)],
        unknown=sorted(told["unexpected_keys"]),
        differing=sorted((key, tuple(found), tuple(own)) for key, found, own in told["mismatched_keys"]),
    )
    if problems or told["error_msgs"]:
        raise CheckpointError(f"the weights in '{path}' do not fit {name}; {problems or told['error_msgs'][0]}")
    loaded: nn.Module = network
    return loaded


def _without_hub(config: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """Settings from which a network is built without looking anything up.

    Raises:
        CheckpointError: an encoder is named by its place on the Hub alone.
    """
    backbone, given = config.get("backbone"), config.get("backbone_config")
    if backbone is None or given is not None:
        return config
    if not config.get("use_timm_backbone"):
        raise CheckpointError(
            f"{CONFIG} in '{path}' names the backbone '{backbone}' of the Hub without its settings (backbone_config), "
            f"and nothing is fetched: save the network anew by save_pretrained of {LIBRARY} 5"
        )
    if not config.get("backbone_kwargs"):
        return config
    own = {key: value for key, value in config.items() if key not in ("backbone", "backbone_kwargs")}
    return {**own, "backbone_config": {"model_type": TIMM, "backbone": backbone, **config["backbone_kwargs"]}}


def _check_parts(name: str, config: Mapping[str, Any], path: Path) -> None:
    """Whether libraries are there that a network needs beside its own.

    Raises:
        ConfigError: one is missing.
    """
    given = config.get("backbone_config")
    has_timm = config.get("use_timm_backbone") if given is None else given.get("model_type") == TIMM
    needed = ["timm"] * bool(has_timm) + ["scipy"] * name.startswith("Mask2Former")
    for one in needed:
        if importlib.util.find_spec(one) is None:
            raise ConfigError(f"the network in '{path}' needs {one}: pip install {one}")


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block the library logs errors alone and draws no bars."""
    settings, logger = _library().utils.logging, logging.getLogger(LIBRARY)
    level, has_bars = logger.level, settings.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    settings.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if has_bars:
            settings.enable_progress_bar()


def _library() -> ModuleType:
    try:
        import transformers
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"this network needs {LIBRARY} (no module '{error.name}'): pip install lcrp[{LIBRARY}]"
        ) from error
    library: ModuleType = transformers
    return library
