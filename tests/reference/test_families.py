"""Networks as they are, of libraries and odd ones: nothing about them is changed, nothing goes astray."""

from collections.abc import Iterator

import pytest
import torch
from families import MEAN, QUICK, SLOW, network_and_picture
from torch import Tensor, nn

from lcrp.attribution.engine import Attributor
from lcrp.composites import composites
from lcrp.composites.operations.audit import passed_as_gradient, passed_by_contribution
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import CompositeSpec
from lcrp.models.library import LibraryNetwork
from lcrp.values.ledger import Ledger
from lcrp.values.prediction import KeptOutput

NAMES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
HEAVY = {"detector ssd300_vgg16", "smp dpt tu-vit_tiny_patch16_224"}  # pictures of 224 pixels and more
UNKNOWN: dict[str, set[str]] = {}  # operations that no rule knows, by family: passed by contribution
PLUS, GAMMA = (
    CompositeSpec(name=build.__name__, build=build)
    for build in (composites.epsilon_plus_flat, composites.epsilon_gamma_flat)
)
EPSILON = CompositeSpec(name="epsilon", build=lambda _: composites.lrp(Epsilon()))


def tensors(output: object) -> Iterator[Tensor]:
    """All numbers of an output, the logits first; no boxes whose scores are all the same: rounding orders them."""
    if isinstance(output, KeptOutput):
        for kept in output.pictures:
            yield kept.scores
            yield kept.boxes[: 0 if kept.scores.min() == kept.scores.max() else None]
    elif isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict | list | tuple):
        for part in output.values() if isinstance(output, dict) else output:
            yield from tensors(part)


class OneLogit:
    """A task that explains the logit of the best kept detection, or else the largest."""

    seeds_logits = False

    def seed(self, output: object, explained: object) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        if isinstance(output, KeptOutput):
            (kept,) = output.pictures
            logit = kept.logits[kept.rows[0], kept.class_ids[0] + 1].reshape(1)
        else:
            logits = next(tensors(output)).flatten()
            logit = logits[logits.detach().abs().argmax()].reshape(1)
        return logit, torch.ones_like(logit)


def ledger_of(network: nn.Module, x: Tensor, plain: list[Tensor], spec: CompositeSpec) -> tuple[Ledger, set[str]]:
    """One decision: where its relevance went, and what no rule knew; the rest is asserted."""
    mean = 0 if isinstance(network, LibraryNetwork) else MEAN
    coarse = 2e-3 if isinstance(network, LibraryNetwork) else 1e-4  # rounding moves regions, and what is read of them
    near = 1e-6 if x.dtype == torch.float64 else coarse
    with Attributor(
        network, spec, OneLogit(), layers=[], mean=[mean] * 3, std=[1] * 3, unaccounted="accept"
    ) as attributor:
        trace = attributor.forward(x)
        for one, other in zip(tensors(trace.output), plain, strict=True):
            assert (one - other).norm() <= near * other.norm()
        logit, seed = OneLogit().seed(trace.output, None)
        assert not passed_as_gradient(logit)
        unknown = set(passed_by_contribution(logit))
        found = trace.attribute(logit, seed)
    assert found.heatmap.isfinite().all()
    assert found.heatmap.any()
    assert found.ledgers is not None
    return found.ledgers[0], unknown


@pytest.mark.parametrize("name", NAMES)
def test_every_family_accounts_for_its_relevance(name: str) -> None:
    """In float64 to 1e-6, in float32 to 1e-3; the network is bit for bit the same afterwards."""
    network, x = network_and_picture(name, torch.float64)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    mean = 0 if isinstance(network, LibraryNetwork) else MEAN
    plain = list(tensors(network(x - mean)))
    for spec in (PLUS, *[GAMMA] * (name not in HEAVY), *[EPSILON] * (name in QUICK)):
        ledger, unknown = ledger_of(network, x, plain, spec)
        assert ledger.missing_share < 1e-6, (spec.name, ledger)
        assert unknown == UNKNOWN.get(name, set())
    again = list(tensors(network(x - mean)))
    assert all(torch.equal(one, other) for one, other in zip(again, plain, strict=True))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network, x = network.float(), x.float()
    ledger, _ = ledger_of(network, x, list(tensors(network(x - mean))), PLUS)
    assert ledger.missing_share < 1e-3, ledger
