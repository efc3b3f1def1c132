"""Sanity checks of relevance: on the user's own model, before its explanations are believed.

Axes: B image, T target, C concept, H W picture, h w feature map.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from lcrp.attribution.concepts import relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.composites.operations.origin import is_picture, picture
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError
from lcrp.evidence.correlation import spearman
from lcrp.stages.evaluate.flipping import Drawn
from lcrp.values.evidence import Table

log = logging.getLogger(__name__)

TOP = 10  # concepts that are followed
MOST_TAKEN = 5  # layers that the log tells of
ITSELF = "(the network itself)"  # in place of a layer's name, where operations lie in none
LEDGER_COLUMNS = ("layer", "received", "constants", "stabiliser")
LEAK = 1e-3  # share of relevance that a layer may lose to stabilisers
LEAST = 1e-6  # relevance of a layer that is looked at
SUPPORT = 1e-3  # of the largest, from which on an output counts
DRIFT = 1e-3  # of the largest logit that explaining may change
SIMILAR = 0.5  # rank correlation below which concepts count as other ones
STABLE = 0.9  # share of the top concepts that another number format must keep


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One property that relevance must have.

    Attributes:
        name: what is checked.
        value: what was found.
        bound: what it is compared with.
        is_fine: whether it holds.
        note: what the value means.
    """

    name: str
    value: float
    bound: float
    is_fine: bool
    note: str


def sanity_checks(explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn]) -> list[Check]:
    """Check the relevance of some targets under its own composite.

    Args:
        explainer: model, task and composite.
        images: [B, 3, H, W] in [0, 1].
        found: targets in them, one per image at most, one in all at least.
    """
    explainer = replace(explainer, unaccounted="accept")  # the check of conservation tells
    images = images[[one.image for one in found]]
    found = [Drawn(image=row, explained=one.explained, mask=one.mask) for row, one in enumerate(found)]
    reference = _scores(explainer, explainer.network, images, found)
    if not reference.any():
        log.warning("%s plays no part in these decisions: choose a layer that does", explainer.layer)
    checks = [
        _conservation(explainer, images, found),
        _output(explainer, images, found),
        _randomisation(explainer, images, found, reference),
        *_stability(explainer, images, found, reference),
    ]
    for check in checks:
        verdict = "holds" if check.is_fine else "FAILS"
        level = logging.INFO if check.is_fine else logging.WARNING
        log.log(level, "%s %s: %.2g (bound %.2g), %s", check.name, verdict, check.value, check.bound, check.note)
    return checks


def ledger_table(explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn]) -> Table:
    """A row per layer, from the output on: what it received of the relevance of the targets, and what it kept.

    Args:
        explainer: model, task and composite.
        images: [B, 3, H, W] in [0, 1].
        found: targets in them; those of the first pictures that go through the network together count.
    """
    images = images[[one.image for one in found]]
    with replace(explainer, unaccounted="accept").attributor(()) as attributor:
        images = _parts(images, attributor)[0]
        found_there = attributor.forward(images).ledger_of_layers([one.explained for one in found[: len(images)]])
    rows = [(name or ITSELF, received, constants, stabiliser) for name, received, constants, stabiliser in found_there]
    for name, _, constants, stabiliser in sorted(rows, key=lambda row: -abs(row[2]) - abs(row[3]))[:MOST_TAKEN]:
        log.info(
            "of the relevance %s keeps %.1f%% by constants, %.1f%% by stabilisers",
            *(name, 100 * constants, 100 * stabiliser),
        )
    columns = zip(*rows, strict=True) if rows else [()] * len(LEDGER_COLUMNS)
    return Table(name="ledger", columns=dict(zip(LEDGER_COLUMNS, map(list, columns), strict=True)))


def checks_table(checks: Sequence[Check]) -> Table:
    """A row per check."""
    columns = {name: [getattr(check, name) for check in checks] for name in ("name", "value", "bound", "note")}
    return Table(name="checks", columns={**columns, "holds": np.array([check.is_fine for check in checks])})


def _seeds(explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn]) -> torch.Tensor:
    """Seed of the targets on the unaltered network, [B, ...] as its output."""
    with explainer.reader() as attributor:
        output = attributor.output(images)
    return explainer.task.seed(output, [one.explained for one in found])[1]


def _scores(explainer: Explainer, network: nn.Module, images: torch.Tensor, found: Sequence[Drawn]) -> torch.Tensor:
    """Relevance scores [T, C] of the model's layer, the same outputs seeded whatever the network makes of them."""
    layer, seeds = explainer.layer, _seeds(explainer, images, found)
    scores, start = [], 0
    with explainer.attributor([layer], network=network) as attributor:
        for part in _parts(images, attributor):
            trace = attributor.forward(part)
            seed = seeds[start : start + len(part)]
            relevance = trace.attribute(explainer.task.seeded(trace.output), seed).relevance[layer]
            scores.append(relevance_scores(relevance).score.double().cpu())
            start += len(part)
    return torch.cat(scores)


def _parts(images: torch.Tensor, attributor: Attributor) -> tuple[torch.Tensor, ...]:
    """All images [B, 3, H, W], or one by one where the network takes one at a time."""
    return torch.split(images, 1 if attributor.takes_one else len(images))


def _conservation(explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn]) -> Check:
    """Relevance that single convolutions lose: |sum R_in - sum R_out| / |sum R_out|.

    Each layer is looked at by itself, without its bias, and where some of its input speaks for its output: what goes to
    a bias is lost by design.
    """
    network = explainer.network
    names = layer_names(network)
    with explainer.reader() as attributor:
        images = _parts(images, attributor)[0]
    inputs: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    leaks = {}
    with explainer.attributor(names) as attributor:
        handles = [network.get_submodule(name).register_forward_pre_hook(_keeper(inputs, name)) for name in names]
        trace = attributor.forward(images)
        for handle in handles:
            handle.remove()
        relevance = trace.attribute(
            *explainer.task.seed(trace.output, [one.explained for one in found[: len(images)]])
        ).relevance
    once = {name: its[0] for name, its in inputs.items() if len(its) == 1}  # a layer of several uses has no one input
    with explainer.attributor(()) as attributor:
        for name, x in once.items():
            module = network.get_submodule(name)
            assert isinstance(module, nn.Conv2d)
            supported = _is_supported(module, x)
            if supported.shape != relevance[name].shape:  # regions of interest
                continue
            given = relevance[name] * supported
            total = float(given.double().sum())
            if abs(total) > LEAST:
                leaks[name] = abs(_received(attributor, module, x, given) - total) / abs(total)
    worst = max(leaks, key=lambda name: leaks[name], default="")
    value = leaks.get(worst, float("nan"))
    note = (
        f"the largest loss of relevance in one of {len(leaks)} layers, at {worst}" if leaks else "no relevance is left"
    )
    return Check(name="conservation", value=value, bound=LEAK, is_fine=value <= LEAK, note=note)


def _keeper(inputs: dict[str, list[torch.Tensor]], name: str) -> Callable[[nn.Module, tuple[torch.Tensor, ...]], None]:
    def keep(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:  # noqa: ARG001
        kept = arguments[0].detach()
        inputs[name].append(picture(kept) if is_picture(arguments[0]) else kept)

    return keep


def _is_supported(module: nn.Conv2d, inputs: torch.Tensor) -> torch.Tensor:
    """Where products of one sign, x+ W+ + x- W-, are not negligible, [B, C, h, w] bool."""
    with torch.no_grad():
        agreeing = sum(
            module._conv_forward(inputs.clamp(**sign), module.weight.clamp(**sign), None)
            for sign in ({"min": 0.0}, {"max": 0.0})
        )
    assert isinstance(agreeing, torch.Tensor)
    return agreeing > SUPPORT * agreeing.max()


def _received(attributor: Attributor, module: nn.Conv2d, inputs: torch.Tensor, relevance: torch.Tensor) -> float:
    """Sum of what a layer's input receives from relevance of its output, by the layer's rule, without its bias."""
    inputs = inputs.requires_grad_()
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


def _output(explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn]) -> Check:
    """Whether rules and canonizers leave what the network says as it was: max |f - f_explained| / max |f|."""
    explained, masks = [one.explained for one in found], torch.stack([one.mask for one in found])
    with explainer.reader() as attributor:
        plain = explainer.task.logits(attributor.output(images), explained, masks).double()
    parts, start = [], 0
    with explainer.attributor(()) as attributor:
        for part in _parts(images, attributor):
            output, chosen = attributor.forward(part).output, slice(start, start + len(part))
            parts.append(explainer.task.logits(output, explained[chosen], masks[chosen]).detach().double())
            start += len(part)
    altered = torch.cat(parts)
    value = float((plain - altered).abs().max() / plain.abs().max())
    return Check(name="unaltered output", value=value, bound=DRIFT, is_fine=value <= DRIFT, note="change of the logits")


def _randomisation(
    explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn], reference: torch.Tensor
) -> Check:
    """Whether concepts change with the weights (Adebayo et al. 2018): rank correlation with those of shuffled ones."""
    network = copy.deepcopy(explainer.network)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
        parameter.data = parameter.data.flatten()[order].view(parameter.shape)
    scores = _scores(explainer, network, images, found)
    found_alike = [spearman(a.numpy(), b.numpy()) for a, b in zip(reference, scores, strict=True)]
    known = [alike for alike in found_alike if not np.isnan(alike)]  # NaN where no relevance is left
    nothing = 0.0 if reference.any() else float("nan")
    value = float(np.mean(known)) if known else nothing
    note = "rank correlation of the concepts' relevance with that of a network whose weights are shuffled"
    return Check(name="parameter randomisation", value=value, bound=SIMILAR, is_fine=abs(value) <= SIMILAR, note=note)


def _stability(
    explainer: Explainer, images: torch.Tensor, found: Sequence[Drawn], reference: torch.Tensor
) -> Iterator[Check]:
    """Share of the top concepts that other number formats keep, and the other kind of device where there is one."""
    variants = {
        "float64": (torch.float64, explainer.device),
        "bfloat16": (torch.bfloat16, explainer.device),
    }
    if torch.cuda.is_available():
        variants["the other device"] = (
            torch.float32,
            torch.device("cpu" if explainer.device.type == "cuda" else "cuda"),
        )
    for name, (dtype, device) in variants.items():
        network = copy.deepcopy(explainer.network).to(device=device, dtype=dtype)
        try:
            scores = _scores(explainer, network, images.to(device), found)
        except (ConfigError, RuntimeError) as error:  # the network has operations that this format lacks
            log.info("stability in %s is not checked: %s", name, str(error).partition("\n")[0])
            continue
        value = _kept_share(reference, scores)
        note = f"share of the {TOP} top concepts that are among them in {name} too"
        yield Check(name=f"stability in {name}", value=value, bound=STABLE, is_fine=value >= STABLE, note=note)


def _kept_share(reference: torch.Tensor, scores: torch.Tensor) -> float:
    """Mean share of the top concepts of [T, C] that are top ones of the other, too; NaN without relevance."""
    known = reference.any(dim=1)
    if not known.any():
        return float("nan")
    count = min(TOP, reference.shape[1])
    pairs = zip(reference[known].topk(count).indices.tolist(), scores[known].topk(count).indices.tolist(), strict=True)
    return float(np.mean([len(set(first) & set(second)) / count for first, second in pairs]))
