"""Layers and small networks that run by rules, as the attributor runs networks; and by zennit's, on modules."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from zennit.core import Hook

from lcrp.composites.closed_form import Rule
from lcrp.composites.families import FAMILIES
from lcrp.composites.operations.mode import OperationRules
from lcrp.composites.table import RuleTable

Tensors = tuple[torch.Tensor, ...]


def everywhere(rule: Rule) -> RuleTable:
    """A composite that explains every operation by the same rule, if it can."""
    return RuleTable(families={family: rule for family in FAMILIES if family in rule.explains})


@contextmanager
def ruled(network: nn.Module, by: Rule | RuleTable, *, few: bool = False) -> Iterator[OperationRules]:
    """Forward passes within the block are explained by a composite, or by one rule in every operation.

    Args:
        network: its parameters have no gradients meanwhile.
        by: the composite or the rule.
        few: whether few rounds follow every forward pass.
    """
    frozen = [parameter for parameter in network.parameters() if parameter.requires_grad]
    rules = OperationRules(network, by if isinstance(by, RuleTable) else everywhere(by))
    rules.few_rounds = few
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        with rules.running, rules:
            yield rules
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def relevance(
    network: nn.Module, by: Rule | RuleTable, x: torch.Tensor, upper: torch.Tensor, *, few: bool = False
) -> torch.Tensor:
    """Relevance of an input from that of the output; zeros if none arrives."""
    with ruled(network, by, few=few):
        y = network(x)
    return _found(y, x, upper)


def zennits(hook: Hook, layer: nn.Module, x: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
    """The same by a rule of zennit's, registered on the module."""
    handles = hook.register(layer)
    try:
        return _found(layer(x), x, upper)
    finally:
        handles.remove()


def _found(y: torch.Tensor, x: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
    (found,) = torch.autograd.grad(y, x, upper, retain_graph=True, allow_unused=True)
    return torch.zeros_like(x) if found is None else found
