"""Checks all settings once, before anything is built, and reports all that is wrong together."""

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lcrp.config.messages import NO_SCHEMA, known_settings, one_line, unknown_setting
from lcrp.config.root import Config, Stage
from lcrp.config.stages.download import DownloadStage
from lcrp.config.stages.own import OwnStage
from lcrp.config.values import Problems
from lcrp.errors import ConfigError, refuse


def checked(config: DictConfig) -> Config:
    """The composed configuration as plain dataclasses.

    Raises:
        ConfigError: settings are unknown, missing or make no sense; the message names all of them.
    """
    try:
        if OmegaConf.get_type(config.stage) is DownloadStage:  # of the user's own pictures there is nothing to download
            for key in [key for key in config.dataset if OmegaConf.is_missing(config.dataset, key)]:
                config.dataset[key] = [] if key == "class_names" else ""
        refuse([*_unknown(config, ""), *_missing(config)])
        settings = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere
        raise ConfigError(one_line(error)) from error
    assert isinstance(settings, Config)
    refuse(settings.problems())
    return settings


def _unknown(node: DictConfig, prefix: str) -> Problems:
    """Keys outside the schema, which ``+key=`` and ``++key=`` get past Hydra."""
    kind = OmegaConf.get_type(node)
    if kind is Stage:
        yield NO_SCHEMA
    if kind is OwnStage:
        return
    known = known_settings(kind)
    for key in map(str, node):
        path = f"{prefix}{key}"
        if key not in known and not key.startswith("_"):
            yield unknown_setting(path, known)
        elif not OmegaConf.is_missing(node, key) and isinstance(OmegaConf.get_type(node, key), type):
            child = node._get_node(key)
            if isinstance(child, DictConfig) and OmegaConf.get_type(child) is not dict:
                yield from _unknown(child, f"{path}.")


def _missing(config: DictConfig) -> Problems:
    for key in sorted(OmegaConf.missing_keys(config)):
        yield f"'{key}' has no value; write {key}=..."
