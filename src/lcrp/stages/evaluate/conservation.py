"""Whether relevance is conserved: nothing is lost but what biases and stabilisers take, which ledgers say.

Axes: B image, C concept, h w feature map.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.composites.operations.origin import is_picture, picture
from lcrp.decisions.explainer import Explainer
from lcrp.stages.evaluate.check import Check
from lcrp.stages.evaluate.flipping import Drawn

LEAK = 1e-3  # share of relevance that a layer may lose
LEAST = 1e-6  # relevance of a layer that is looked at
SUPPORT = 1e-3  # of the largest, from which on an output counts
LARGE = 1e3  # to what inputs are scaled, so that stabilisers, which are absolute, take next to nothing

Inputs = dict[str, list[tuple[torch.Tensor, bool]]]  # of layers, with whether it is the picture


def conservation(explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn]) -> Check:
    """Relevance that is lost: |sum R_in - sum R_out| / |sum R_out| of single convolutions, and what ledgers miss.

    Each layer is looked at by itself, without its bias, scaled so that the stabiliser takes next to nothing, and where
    some of its input speaks for its output: what biases and the stabiliser take is no loss, the ledger says it.

    Args:
        explainer: model, task and composite.
        images: [B, 3, H, W] in [0, 1].
        found: targets in them, one per image.
    """
    every = layer_names(explainer.network)
    names = [name for name in every if isinstance(explainer.network.get_submodule(name), nn.Conv2d)]
    with explainer.reader() as attributor:
        images = images[:1] if attributor.takes_one else images
    inputs: Inputs = {name: [] for name in names}
    with explainer.attributor(names) as attributor:
        modules = [(name, explainer.network.get_submodule(name)) for name in names]
        handles = [module.register_forward_pre_hook(_keeper(inputs, name)) for name, module in modules]
        trace = attributor.forward(images)
        for handle in handles:
            handle.remove()
        seed = explainer.task.seed(trace.output, [one.explained for one in found[: len(images)]])
        attribution = trace.attribute(*seed)
    once = {name: its[0] for name, its in inputs.items() if len(its) == 1}  # a layer of several uses has no one input
    leaks: dict[str, float] = {}
    with explainer.attributor(()) as attributor:
        for name, (x, is_first) in once.items():
            leak = _leak(attributor, explainer.network.get_submodule(name), x, attribution.relevance[name], is_first)
            leaks |= {} if leak is None else {name: leak}
    missing = [one.missing_share for one in attribution.ledgers or () if one.conserves]
    worst = max(leaks, key=lambda name: leaks[name], default="")
    value = max([*leaks.values(), *missing], default=float("nan"))
    note = f"the largest loss of relevance in one of {len(leaks)} layers, at {worst}"
    if missing and value > leaks.get(worst, 0.0):
        note = "of a decision's relevance is taken by nothing that is known; biases and stabilisers are"
    elif not leaks:
        note = "biases and stabilisers took all" if missing else "no relevance is left"
    return Check(name="conservation", value=value, bound=LEAK, is_fine=value <= LEAK, note=note)


def _keeper(inputs: Inputs, name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
    def keep(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:  # noqa: ARG001
        now = arguments[0].view_as(arguments[0])  # what it is now; to detach it here would count as the network's doing
        inputs[name].append((now, is_picture(arguments[0])))

    return keep


def _leak(
    attributor: Attributor, module: nn.Module, x: torch.Tensor, relevance: torch.Tensor, is_first: bool
) -> float | None:
    """Share of a layer's relevance [B, C, h, w] that it loses; None where it has none, or is of regions of interest."""
    assert isinstance(module, nn.Conv2d)
    agreeing = _agreeing(module, x.detach())
    largest = float(agreeing.max())
    scale = LARGE / largest if largest > 0.0 else float("inf")
    if agreeing.shape != relevance.shape or scale == float("inf"):
        return None
    given = relevance * (agreeing > SUPPORT * largest)
    total = float(given.double().sum())
    if abs(total) <= LEAST:
        return None
    inputs = (x.detach() * scale).requires_grad_()
    received = _received(attributor, module, picture(inputs) if is_first else inputs, given)
    return abs(received - total) / abs(total)


def _agreeing(module: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
    """Products of one sign, x+ W+ + x- W-, [B, C, h, w]."""
    with torch.no_grad():
        agreeing = sum(
            module._conv_forward(inputs.clamp(**sign), module.weight.clamp(**sign), None)
            for sign in ({"min": 0.0}, {"max": 0.0})
        )
    assert isinstance(agreeing, torch.Tensor)
    return agreeing


def _received(attributor: Attributor, module: nn.Conv2d, inputs: torch.Tensor, relevance: torch.Tensor) -> float:
    """Sum of what a layer's input receives from relevance of its output, by the layer's rule, without its bias."""
    bias = None if module.bias is None else module.bias.data.clone()
    try:
        if module.bias is not None:
            module.bias.data.zero_()
        with torch.enable_grad(), attributor.ruled():
            output = module(inputs)
        (received,) = torch.autograd.grad(output, inputs, relevance)
    finally:
        if module.bias is not None and bias is not None:
            module.bias.data.copy_(bias)
    return float(received.double().sum())
