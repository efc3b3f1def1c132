"""A composite as a value: which function builds it, with which settings, and what may be expected of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import TypeAlias

from torch import nn
from zennit.core import Composite

from lcrp.composites.composites import gradient
from lcrp.composites.table import RuleTable

BuiltComposite: TypeAlias = RuleTable | Composite  # one of zennit attaches its own rules to modules
BuildComposite = Callable[[nn.Module], BuiltComposite]  # makes a fresh composite for one network


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeSpec:
    """A composite with its settings; calling it makes a fresh one for a network.

    Attributes:
        name: in the configuration, in titles and in names of files.
        build: takes a network and the settings.
        settings: arguments of `build` by name, plain values.
        is_lrp: whether it passes relevance on by rules of LRP, and does not compute a gradient.
        conserves: whether relevance is neither made nor lost but for biases and stabilisers, as far as its rules allow:
            that of AttnLRP for softmax does not.
    """

    name: str
    build: Callable[..., BuiltComposite]
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    is_lrp: bool = True
    conserves: bool = True

    def __call__(self, network: nn.Module) -> BuiltComposite:
        """A composite for this network."""
        return self.build(network, **self.settings)

    @property
    def title(self) -> str:
        """Name, and the settings that are not the usual ones, such as ``epsilon_plus_flat (attention=attn)``.

        Of a mapping, such as layers by their rule, its keys.
        """
        if not self.settings:
            return self.name
        usual = {name: one.default for name, one in signature(self.build).parameters.items()}
        told = {
            name: " / ".join(map(str, value)) if isinstance(value, Mapping) else value
            for name, value in self.settings.items()
            if value != {}
        }
        others = [f"{name}={value}" for name, value in told.items() if value != usual.get(name, value)]
        return f"{self.name} ({', '.join(others)})" if others else self.name

    def identity(self) -> dict[str, object]:
        """All that determines its numbers, as plain values."""
        function = getattr(self.build, "__qualname__", type(self.build).__qualname__)
        return {
            "name": self.name,
            "build": f"{getattr(self.build, '__module__', '')}.{function}",
            "settings": dict(self.settings),
            "is_lrp": self.is_lrp,
            "conserves": self.conserves,
        }


GRADIENT = CompositeSpec(name="gradient", build=gradient, is_lrp=False, conserves=False)  # leaves forward passes alone
