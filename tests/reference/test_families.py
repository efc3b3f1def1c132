"""Networks of libraries as they are: nothing about them is changed, nothing goes astray."""

import pytest
import torch
from families import QUICK, SLOW, network_and_picture
from torch import nn

from lcrp.composites import composites
from lcrp.composites.operations.audit import passed_as_gradient, passed_by_contribution
from lcrp.composites.operations.mode import OperationRules
from lcrp.composites.operations.origin import picture
from lcrp.composites.rules import Epsilon
from lcrp.composites.table import RuleTable
from lcrp.values.ledger import Ledger

NAMES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
UNKNOWN: dict[str, set[str]] = {}  # operations that no rule knows, by family: passed by contribution


def output_of(found: object) -> torch.Tensor:
    """Logits, whatever they are wrapped in."""
    output = found["out"] if isinstance(found, dict) else found
    assert isinstance(output, torch.Tensor)
    return output


def ledger_of(network: nn.Module, x: torch.Tensor, plain: torch.Tensor, table: RuleTable) -> tuple[Ledger, set[str]]:
    """One decision, the largest logit: where its relevance went, and what no rule knew; the rest is asserted."""
    rules = OperationRules(network, table)
    inputs = x.clone().requires_grad_()
    with rules.running, rules:
        rules.begin()
        output = network(picture(inputs))
    output = output_of(rules.current(output))
    assert (output - plain).norm() <= 1e-6 * plain.norm() if x.dtype == torch.float64 else 1e-4 * plain.norm()
    logit = output.flatten()[int(plain.abs().argmax())]
    assert not passed_as_gradient(logit)
    unknown = set(passed_by_contribution(logit))
    rules.bookkeeper.begin(1)
    (relevance,) = torch.autograd.grad(logit, inputs, torch.ones_like(logit))
    constants, stabiliser = (float(total) for total in rules.bookkeeper.totals())
    assert relevance.isfinite().all()
    assert relevance.any()
    ledger = Ledger(
        seed=1.0,
        reached=float(relevance.sum()),
        constants=constants,
        stabiliser=stabiliser,
        largest=float(relevance.abs().sum()),
        conserves=True,
    )
    return ledger, unknown


@pytest.mark.parametrize("name", NAMES)
def test_every_family_accounts_for_its_relevance(name: str) -> None:
    network, x = network_and_picture(name, torch.float64)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    plain = output_of(network(x))
    tables = {
        "epsilon_plus_flat": composites.epsilon_plus_flat(network),
        "epsilon_gamma_flat": composites.epsilon_gamma_flat(network),
        "epsilon": composites.lrp(Epsilon()),
    }
    for composite, table in tables.items():
        ledger, unknown = ledger_of(network, x, plain, table)
        assert ledger.missing_share < 1e-6, (composite, ledger)
        assert unknown == UNKNOWN.get(name, set())
    assert torch.equal(output_of(network(x)), plain)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", QUICK)
def test_single_precision_accounts_as_well(name: str) -> None:
    network, x = network_and_picture(name, torch.float32)
    ledger, _ = ledger_of(network, x, output_of(network(x)), composites.epsilon_plus_flat(network))
    assert ledger.missing_share < 1e-3, ledger
