"""A composite as a table: which rule passes relevance on through which operation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from lcrp.composites.closed_form import Rule
from lcrp.composites.families import FAMILIES, LINEAR_MAPS, Family
from lcrp.composites.rules import RULES
from lcrp.errors import nearest, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTable:
    """A composite: rules by family of operations, and by layer.

    Attributes:
        families: the rule of a family; operations of others pass relevance on as the gradient does.
        first: of the linear maps that the picture reaches first; None for that of their family.
        layers: rules by shell pattern of the layer's name, before all others, for the operations there that they
            explain; the first that fits counts.

    Raises:
        ConfigError: a rule explains no such operations, or is none.
    """

    families: Mapping[Family, Rule]
    first: Rule | None = None
    layers: Mapping[str, Rule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse(self._problems())

    def rule(self, family: Family, layer: str, *, is_first: bool = False) -> Rule | None:
        """The rule of an operation; None for the gradient.

        Args:
            family: of the operation.
            layer: in which it runs.
            is_first: whether it is a linear map and the picture reaches it first.
        """
        for pattern, rule in self.layers.items():
            if family in rule.explains and fnmatchcase(layer, pattern):
                return rule
        if is_first and self.first is not None:
            return self.first
        return self.families.get(family)

    @property
    def losing(self) -> tuple[str, ...]:
        """Names of rules that make or lose relevance."""
        rules = (*self.families.values(), *self.layers.values(), *[self.first] * (self.first is not None))
        return tuple(dict.fromkeys(type(rule).__name__ for rule in rules if rule and not rule.conserves))

    def _problems(self) -> Iterator[str]:
        """What is wrong with the table."""
        for family, rule in self.families.items():
            if family not in FAMILIES:
                yield f"families of a RuleTable: there is no family '{family}'; nearest: {nearest(family, FAMILIES)}"
            elif not isinstance(rule, Rule):
                yield _no_rule(f"families['{family}']", rule)
            elif family not in rule.explains:
                yield f"the rule {_name(rule)} cannot explain the family '{family}'; {_fitting({family})}"
        if self.first is not None:
            if not isinstance(self.first, Rule):
                yield _no_rule("first", self.first)
            elif not self.first.explains >= LINEAR_MAPS:
                yield f"the rule {_name(self.first)} cannot explain linear maps, as first must; {_fitting(LINEAR_MAPS)}"
        for pattern, rule in self.layers.items():
            if not isinstance(rule, Rule):
                yield _no_rule(f"layers['{pattern}']", rule)


def _name(rule: Rule) -> str:
    return type(rule).__name__


def _fitting(families: frozenset[Family] | set[Family]) -> str:
    """Rules that explain all of some families, in words."""
    found = [rule.__name__ for rule in RULES if rule.explains >= families]
    return f"rules that can: {', '.join(found)}" if found else "no rule can: leave it out for its gradient"


def _no_rule(place: str, value: object) -> str:
    if isinstance(value, type) and issubclass(value, Rule):
        return f"{place} of a RuleTable is the class {value.__name__}; write {value.__name__}()"
    return f"{place} of a RuleTable is {value!r}, which is no rule; such are {', '.join(r.__name__ for r in RULES)}"
