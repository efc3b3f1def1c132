"""A composite of L-CRP whose rule of linear maps goes by depth, as stage=tune finds it, from plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from torch import nn

from lcrp.composites.closed_form import Rule
from lcrp.composites.composites import lrp
from lcrp.composites.rules import Epsilon, Flat, GeneralisedGamma, ZPlus
from lcrp.composites.settings import Attention, Gate
from lcrp.composites.table import RuleTable
from lcrp.errors import ConfigError, nearest

WORDS = ("epsilon", "gamma NUMBER", "z_plus", "flat")


def tuned(
    network: nn.Module,  # noqa: ARG001
    *,
    rule: str,
    layers: Mapping[str, Sequence[str]],
    first: str | None = "flat",
    attention: Attention = "cp",
    gate: Gate = "constant",
) -> RuleTable:
    """Rules of linear maps (convolutions, and linear layers too) by layer; the rest as every composite of L-CRP.

    Args:
        network: of no account.
        rule: of the linear maps that no other word names: 'epsilon', 'gamma 0.25', 'z_plus' or 'flat'.
        layers: names of layers, or shell patterns, by the rule of their linear maps.
        first: the rule of those that the picture reaches first; None for that of their place.
        attention: as of `lrp`.
        gate: as of `lrp`.

    Raises:
        ConfigError: there is no such rule.
    """
    usual = rule_of(rule)
    table = lrp(usual, first=None if first is None else rule_of(first), attention=attention, gate=gate)
    deeper = {pattern: rule_of(word) for word, patterns in layers.items() for pattern in patterns}
    return replace(table, families={**table.families, "linear": usual}, layers=deeper)


def rule_of(word: str) -> Rule:
    """The rule of linear maps that a word names.

    Raises:
        ConfigError: it names none.
    """
    name, _, number = str(word).partition(" ")
    if not number and name in _PLAIN:
        return _PLAIN[name]()
    if name == "gamma":
        try:
            return GeneralisedGamma(float(number))
        except ValueError:
            pass
    raise ConfigError(f"rule '{word}' is unknown; nearest: {nearest(str(word), WORDS)}, such as 'gamma 0.25'")


_PLAIN: dict[str, type[Rule]] = {"epsilon": Epsilon, "z_plus": ZPlus, "flat": Flat}
