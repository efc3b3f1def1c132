"""A network that can be explained."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.attribution.task import Task
from lcrp.composites.spec import GRADIENT, BuildComposite, CompositeSpec
from lcrp.data.transforms import InputTransform
from lcrp.storage.concept_names import ConceptNames, read_concept_names
from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.ledger import Unaccounted

log = logging.getLogger(__name__)

Precision = Literal["float32", "tf32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explainer:
    """A trained network with all that is needed to explain what it decides.

    Attributes:
        name: the model's name, in titles and in names of files.
        network: in evaluation mode, its parameters without gradients.
        task: how its decisions are selected and seeded, and what its classes are called.
        composite: which rule explains which layer.
        transform: how a picture becomes its input.
        mean: [3] subtracted from an RGB image in [0, 1].
        std: [3] divided by afterwards.
        layer: whose concepts are shown by default; 'auto' is the one through which most of the decisions passes.
        checkpoint: file name of its weights, or 'random'.
        checkpoint_sha256: of the file; empty for random weights.
        architecture: which network it is and how it was built, plain values.
        precision: how its numbers are multiplied.
        unaccounted: what happens where relevance went astray, though the composite conserves it.
        chosen: the layer that 'auto' stands for, once it is known.
        concept_names: that a person gave, by layer and channel; no part of any identity.
        told: what the log has said of the network's operations, so that it says so once in a run.
    """

    name: str
    network: nn.Module
    task: Task
    composite: CompositeSpec
    transform: InputTransform
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layer: str
    checkpoint: str
    checkpoint_sha256: str
    architecture: Mapping[str, object] = field(default_factory=dict)
    precision: Precision = "float32"
    unaccounted: Unaccounted = "error"
    chosen: ChosenLayer | None = None
    concept_names: ConceptNames = field(default_factory=dict, compare=False)
    told: set[str] = field(default_factory=set, compare=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the network's classes; index = class id."""
        return self.task.class_names

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        return next(self.network.parameters()).device

    def __repr__(self) -> str:
        size = f"{self.transform.height}x{self.transform.width}"
        known = f"{len(self.class_names)} classes, input {size}, layer {self.layer}, {self.composite.name}"
        return f"{self.name} ({self.checkpoint}): {known}"

    def attributor(
        self, layers: Sequence[str], *, composite: BuildComposite | None = None, network: nn.Module | None = None
    ) -> Attributor:
        """What explains decisions of the network, within a context.

        Args:
            layers: names of those that are recorded.
            composite: another one than the explainer's.
            network: an altered copy of its own.
        """
        return Attributor(
            network or self.network,
            composite or self.composite,
            self.task,
            layers=layers,
            mean=self.mean,
            std=self.std,
            unaccounted=self.unaccounted,
            told=self.told,
        )

    def with_names(self, path: str | os.PathLike[str]) -> "Explainer":
        """The same, whose concepts are called as a person called them in the explorer.

        Args:
            path: the JSON file that it saved.

        Raises:
            ConfigError: it is none, or names layers of another network.
        """
        modules = dict(self.network.named_modules())
        sizes = {
            name: int(getattr(modules[name], "out_channels", getattr(modules[name], "out_features", 0)))
            for name in layer_names(self.network)
        }
        names = read_concept_names(Path(path), checkpoint_sha256=self.checkpoint_sha256, layers=sizes)
        return replace(self, concept_names=names)

    def names_of(self, layer: str) -> Mapping[int, str]:
        """Names of a layer's concepts; where a person named those of other layers alone, the log says so once."""
        named = [name for name, names in self.concept_names.items() if names]
        told = f"names of {layer}"
        if named and layer not in named and told not in self.told:
            self.told.add(told)
            log.warning(
                "names are of concepts of layer %s, and not of '%s', which is shown: none is applied here",
                *(", ".join(f"'{name}'" for name in named), layer),
            )
        return self.concept_names.get(layer, {})

    def reader(self) -> Attributor:
        """What reads the network's outputs, within a context, as the network gives them."""
        return self.attributor((), composite=GRADIENT)

    def identity(self) -> dict[str, object]:
        """What determines numbers, as plain values; never a path."""
        return {
            "model": {
                "name": self.name,
                "network": dict(self.architecture),
                "checkpoint_sha256": self.checkpoint_sha256,
                "class_names": list(self.class_names),
                "input": self.transform.description(),
                "mean": list(self.mean),
                "std": list(self.std),
                "task": self.task.identity(),
            },
            "composite": self.composite.identity(),
            "precision": self.precision,
        }
