"""Small networks that are written in a certain way, and what became of their relevance."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from lcrp.attribution.engine import Attributor
from lcrp.composites.composites import lrp
from lcrp.composites.operations.audit import passed_as_gradient, passed_by_contribution
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import BuildComposite, CompositeSpec
from lcrp.values.attribution import Attribution
from lcrp.values.ledger import Ledger

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]
EPSILON = CompositeSpec(name="epsilon", build=lambda _: lrp(Epsilon()))


class Written(nn.Module):
    """A convolution and a head, both with biases, and what happens in between as it is given.

    Args:
        forward: of the network.
        modules: further ones, by name.
    """

    def __init__(self, forward: Forward, **modules: nn.Module) -> None:
        super().__init__()
        self._forward = forward
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
        for name, module in modules.items():
            setattr(self, name, module)
        generator = torch.Generator().manual_seed(0)
        for tensor in (*self.parameters(), *(one for name, one in self.named_buffers() if "running_mean" in name)):
            nn.init.normal_(tensor, std=0.5, generator=generator)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._forward(self, x)


class Everything:
    """A task that explains all of the output."""

    seeds_logits = False

    def seed(self, output: torch.Tensor, explained: object) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002
        return output, torch.ones_like(output)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found of an output, all of which was explained."""

    output: torch.Tensor
    attribution: Attribution
    gradients: dict[str, int]
    contributions: dict[str, int]
    engine: Attributor

    @property
    def heatmap(self) -> torch.Tensor:
        return self.attribution.heatmap

    @property
    def ledger(self) -> Ledger:
        assert self.attribution.ledgers is not None
        (ledger,) = self.attribution.ledgers
        return ledger


def pictures(count: int = 1) -> torch.Tensor:
    """[B, 3, 6, 6]."""
    return torch.rand(count, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def explained(
    network: nn.Module,
    images: torch.Tensor | None = None,
    composite: BuildComposite = EPSILON,
    layers: tuple[str, ...] = (),
) -> Found:
    """All of the output of one picture, or of those that are given; what does not account for it is an error."""
    engine = Attributor(network, composite, Everything(), layers=layers, mean=(0.5,) * 3, std=(1.0,) * 3)
    with engine:
        trace = engine.forward(pictures() if images is None else images)
        output = trace.output
        attribution = trace.attribute(output, torch.ones_like(output))
    return Found(
        output=output.detach(),
        attribution=attribution,
        gradients=dict(passed_as_gradient(output)),
        contributions=dict(passed_by_contribution(output)),
        engine=engine,
    )


def plain_output(network: nn.Module) -> torch.Tensor:
    """What it says of the same picture by itself."""
    with torch.no_grad():
        return network.eval()(pictures() - 0.5)


def explained_unchanged(
    network: nn.Module,
    composite: BuildComposite = EPSILON,
    layers: tuple[str, ...] = (),
    *,
    rtol: float = 1e-12,
    atol: float = 1e-14,
) -> Found:
    """Explained; what it says meanwhile is what it says by itself."""
    plain = plain_output(network)
    found = explained(network, composite=composite, layers=layers)
    torch.testing.assert_close(found.output, plain, rtol=rtol, atol=atol)
    return found


def assert_the_same(
    written: Forward,
    reference: Forward,
    composite: BuildComposite = EPSILON,
    *,
    but_for: tuple[float, float] | None = None,
    **modules,
) -> Found:
    """A network says and explains the same as one that is written with nothing but functions that have rules.

    Args:
        written: the one.
        reference: the other.
        composite: by which both are explained.
        but_for: relative and absolute tolerance of what stabilisers may take more in one of them; None for rounding.
        modules: that both have.
    """
    one, other = Written(written, **modules), Written(reference, **modules)
    other.load_state_dict(one.state_dict())
    found, expected = explained_unchanged(one, composite), explained_unchanged(other, composite)
    torch.testing.assert_close(found.output, expected.output, rtol=1e-12, atol=1e-14)
    assert expected.heatmap.any()
    rtol, atol = but_for or (1e-9, 1e-13)
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=rtol, atol=atol)
    of_constants = (0.0, rtol * expected.ledger.largest) if but_for else (rtol, 1e-12)
    torch.testing.assert_close(
        found.ledger.constants, expected.ledger.constants, rtol=of_constants[0], atol=of_constants[1]
    )
    assert found.ledger.missing_share < 1e-9 or (but_for is not None and not found.ledger.conserves)
    assert not found.gradients
    return found
