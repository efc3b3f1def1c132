"""Layers that run several times in a forward pass."""

from collections.abc import Iterator, Mapping, Sequence

import torch

from lcrp.errors import LayerError


def check_side_by_side(calls_by_layer: Mapping[str, Sequence[torch.Tensor]]) -> None:
    """Whether no call of a layer lies behind another of the same layer.

    Raises:
        LayerError: one does. The relevance of the first would count again what went through the second.
    """
    for name in behind_themselves(calls_by_layer):
        raise LayerError(
            f"layer '{name}' is used more than once in a forward pass, and one use lies behind the other; leave it out"
        )


def behind_themselves(calls_by_layer: Mapping[str, Sequence[torch.Tensor]]) -> Iterator[str]:
    """Names of layers of which one call lies behind another."""
    for name, calls in calls_by_layer.items():
        nodes = {call.grad_fn for call in calls if call.grad_fn is not None}
        if len(calls) > 1 and any(_reaches(call, nodes) for call in calls):
            yield name


def _reaches(call: torch.Tensor, nodes: set[torch.autograd.graph.Node]) -> bool:
    """Whether any of the nodes lies between a call's output and the picture."""
    waiting = [] if call.grad_fn is None else [node for node, _ in call.grad_fn.next_functions]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        if node in nodes:
            return True
        seen.add(node)
        waiting += [following for following, _ in node.next_functions]
    return False
