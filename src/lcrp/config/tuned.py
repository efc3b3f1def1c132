"""composite=tuned: what stage=tune chose for a network, found and checked once the network is known."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from lcrp.composites.spec import CompositeSpec
from lcrp.config.compose import composition
from lcrp.config.composite import TUNED, build_composite
from lcrp.config.paths import absolute
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError, LcrpError, StoreError, nearest, one_of, refuse
from lcrp.stages.tune.candidates import NAME, NAMED
from lcrp.storage.tuned import Tuned, network_hash, read_tuned, tuned_files
from lcrp.values.paths import shown

log = logging.getLogger(__name__)

_PACKAGE = "lcrp.composites.composites"  # where named composites are built
_USUAL = "epsilon_plus_flat"
_LONGEST = 500  # letters of a verdict


def with_composite_of(explainer: Explainer, settings: Mapping[str, Any], origin: Path) -> Explainer:
    """An explainer with the composite of its settings, which may depend on the network.

    Args:
        explainer: the network; its own composite is of no account.
        settings: of the composite.
        origin: folder where the command was given.

    Raises:
        ConfigError: the settings make no sense.
        StoreError: the file of a tuned composite is missing, damaged or of another network.
    """
    if settings.get("_target_") != TUNED:
        return replace(explainer, composite=build_composite(settings))
    unknown = [key for key in settings if key not in ("_target_", "name", "file")]
    if unknown:
        raise ConfigError(f"composite.{unknown[0]} says nothing to composite=tuned, which takes a file alone")
    file = settings.get("file")
    network = network_hash(cast(Mapping[str, Any], explainer.identity()["model"]))
    paths = tuned_files(origin, network) if file is None else [absolute(str(file), origin)]
    default = _default(explainer.name)
    if not paths:
        log.info(
            "composite=tuned: no run of stage=tune below '%s' was for this network: the default %s is taken",
            *(origin, default.name),
        )
        return replace(explainer, composite=default)
    path, *older = paths
    tuned = read_tuned(path)
    if tuned.network != network:
        raise StoreError(
            f"'{path}' was tuned for another network or other weights ({tuned.network_name}); run stage=tune for this "
            "one, or leave the file out"
        )
    composite = _composite(tuned, path, explainer, default)
    log.info("composite=tuned: %s, from '%s'%s", composite.title, shown(path), _told(tuned, len(older)))
    return replace(explainer, composite=composite)


def _composite(tuned: Tuned, path: Path, explainer: Explainer, default: CompositeSpec) -> CompositeSpec:
    """The composite that a file names, if it can be built for this network."""
    if tuned.composite is None:
        return default
    try:
        refuse(one_of("composite", tuned.composite, (NAME, *NAMED)))
        target = TUNED if tuned.composite == NAME else f"{_PACKAGE}.{tuned.composite}"
        spec = build_composite({"_target_": target, "name": tuned.composite, **tuned.settings}, is_known=True)
        _check_layers(spec, explainer)
        spec(explainer.network)  # whose settings and rules are checked where they are born
    except (LcrpError, TypeError, AttributeError) as error:
        raise StoreError(f"'{path}' cannot be used: {' '.join(str(error).split())}") from error
    return spec


def _told(tuned: Tuned, num_older: int) -> str:
    """What a file says, and that there are others."""
    verdict = tuned.evidence.get("verdict")
    says = f", which says: {' '.join(verdict.split())[:_LONGEST]}" if isinstance(verdict, str) else ""
    others = f" ({num_older} older for this network; composite.file=FILE takes another)" if num_older else ""
    return f"{others}{says}"


def _check_layers(spec: CompositeSpec, explainer: Explainer) -> None:
    """Whether the layers that have rules are in the network."""
    layers = spec.settings.get("layers", {})
    if not isinstance(layers, Mapping):
        raise ConfigError(f"layers: {layers!r} does not say which rule is of which layers")
    names = [name for name, _ in explainer.network.named_modules()]
    for rule, patterns in layers.items():
        if not isinstance(patterns, list | tuple):
            raise ConfigError(f"layers: {patterns!r} is no list of layers with the rule '{rule}'")
        for pattern in patterns:
            if not any(fnmatchcase(name, str(pattern)) for name in names):
                raise ConfigError(f"layer '{pattern}' is not in {explainer.name}; nearest: {nearest(pattern, names)}")


def _default(model: str) -> CompositeSpec:
    """The composite that a model of the configuration has by itself."""
    if not GlobalHydra.instance().is_initialized():
        with composition():
            return _default(model)
    loader = GlobalHydra.instance().config_loader()
    chosen = [f"model={model}"] if model in loader.get_group_options("model") else [f"composite={_USUAL}"]
    settings = compose(config_name="config", overrides=chosen).composite
    return build_composite(cast(dict[str, Any], OmegaConf.to_container(settings, resolve=True)))
