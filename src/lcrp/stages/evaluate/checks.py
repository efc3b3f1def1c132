"""Sanity checks of relevance: on the user's own model, before its explanations are believed.

Axes: B image, T target, C concept, H W picture, h w feature map.
"""

import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from lcrp.attribution.concepts import relevance_scores
from lcrp.attribution.engine import Attributor
from lcrp.attribution.finite import reason_of
from lcrp.decisions.explainer import Explainer
from lcrp.errors import ConfigError
from lcrp.evidence.correlation import spearman
from lcrp.stages.evaluate.check import Check
from lcrp.stages.evaluate.conservation import conservation
from lcrp.stages.evaluate.flipping import Drawn
from lcrp.values.evidence import Table
from lcrp.values.shares import CANCEL, cancels

log = logging.getLogger(__name__)

TOP = 10  # concepts that are followed
MOST_TAKEN = 5  # layers that the log tells of
ITSELF = "(the network itself)"  # in place of a layer's name, where operations lie in none
LEDGER_COLUMNS = ("layer", "received", "constants", "cut", "stabiliser")
DRIFT = 1e-3  # of the largest logit that explaining may change
SIMILAR = 0.5  # rank correlation below which concepts count as other ones
STABLE = 0.9  # share of the top concepts that another number format must keep


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
        conservation(explainer, images, found),
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
    rows = [(name or ITSELF, a, b, c, d) for name, a, b, c, d in found_there]
    for name, _, constants, cut, stabiliser in sorted(rows, key=lambda row: -sum(map(abs, row[2:5])))[:MOST_TAKEN]:
        log.info(
            "of the relevance %s keeps %s by constants, %s by cuts, %s by stabilisers",
            *(name, *(f"{100 * share:z.1f}%" for share in (constants, cut, stabiliser))),
        )
    if cancels(*(share for _, *shares in found_there for share in shares)):
        log.info("in this ledger %s", CANCEL)
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
            reason = reason_of(error) if isinstance(error, RuntimeError) else str(error)
            log.info("stability in %s is not checked: the network does not run in it (%s)", name, reason)
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
