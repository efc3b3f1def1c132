"""Attention and resizes by choice: what the settings of composites alter, and what is said of it."""

import logging
from typing import Any

import pytest
import torch
from ruled import relevance, ruled
from torch import nn
from torch.nn import functional

from lcrp.attribution.engine import Attributor
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites import composites
from lcrp.composites.arithmetic import stabilised
from lcrp.composites.rules import AttentionSoftmax, Epsilon, Norm
from lcrp.composites.spec import CompositeSpec
from lcrp.config.compose import composed
from lcrp.config.composite import build_composite
from lcrp.errors import ConfigError

LRP = ("epsilon_plus_flat", "epsilon_gamma_flat", "early_gamma_flat", "epsilon_flat", "epsilon_plus")
OTHERS = ("all_flat", "gradient", "guided_backprop")


class Attention(nn.Module):
    """One head of attention over the places of a map, as its own functions or as one of torch's."""

    def __init__(self, *, is_fused: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.out = nn.Linear(3, 12), nn.Conv2d(4, 2, 1)
        self.is_fused = is_fused

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = self.qkv(x.flatten(2).mT).chunk(3, dim=-1)
        if self.is_fused:
            found = functional.scaled_dot_product_attention(query, key, value)
        else:
            found = (query / 2 @ key.mT).softmax(-1) @ value
        return self.out(found.mT.unflatten(2, x.shape[2:]))


def maps_of(network: nn.Module, **settings: str) -> torch.Tensor:
    x = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
    y = network(x)
    return relevance(network, composites.epsilon_plus(network, **settings), x, torch.ones_like(y))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", LRP)
def test_settings_reach_the_rules(name: str) -> None:
    chosen = composed([f"composite={name}", "composite.attention=attn", "composite.resize=contribution"])
    spec = build_composite(chosen.composite)
    table, plain = spec(nn.Identity()), getattr(composites, name)(nn.Identity())
    assert isinstance(table.families["softmax"], AttentionSoftmax)
    assert isinstance(table.families["resize"], Norm)
    assert not {"softmax", "resize"} & plain.families.keys()
    assert (table.losing, plain.losing) == (("AttentionSoftmax",), ())
    settings = spec.identity()["settings"]
    assert isinstance(settings, dict)
    assert (settings["attention"], settings["resize"]) == ("attn", "contribution")
    assert spec.identity() != build_composite(composed([f"composite={name}"]).composite).identity()


@pytest.mark.parametrize("name", OTHERS)
def test_composites_without_attention_take_no_such_setting(name: str) -> None:
    with pytest.raises(ConfigError, match=r"attention"):
        composed([f"composite={name}", "composite.attention=attn"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"attention": "atn"}, r"^attention='atn' of the composite is unknown; write attention=cp or attention=attn$"),
        ({"resize": None}, r"^resize=None .*; write resize=gradient or resize=contribution$"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composites.epsilon_plus_flat(nn.Identity(), **settings)  # type: ignore[arg-type]


def test_fused_attention_is_that_of_its_parts() -> None:
    """And the two ways differ: CP-LRP sends nothing to queries and keys."""
    found = {
        (way, is_fused): maps_of(Attention(is_fused=is_fused).double(), attention=way)
        for way in ("cp", "attn")
        for is_fused in (False, True)
    }
    for way in ("cp", "attn"):
        torch.testing.assert_close(found[way, True], found[way, False], rtol=1e-9, atol=1e-12)
    assert (found["cp", True] - found["attn", True]).norm() > 0.1 * found["cp", True].norm()


def test_values_take_all_or_half() -> None:
    """Of a product whose first factor is a softmax."""
    scores, values = (torch.rand(1, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    taken = {}
    for way in ("cp", "attn"):
        with ruled(nn.Identity(), composites.epsilon_plus(nn.Identity(), attention=way)):  # type: ignore[arg-type]
            y = scores.softmax(-1) @ values
        (of_values,) = torch.autograd.grad(y, values, torch.ones_like(y))
        taken[way] = float(of_values.sum() / y.numel())
    assert taken == {"cp": pytest.approx(1, abs=1e-5), "attn": pytest.approx(0.5, abs=1e-5)}


def test_a_softmax_that_is_a_factor_is_a_gate_either_way() -> None:
    scores, x = (torch.rand(1, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for way in ("cp", "attn"):
        with ruled(nn.Identity(), composites.epsilon_plus(nn.Identity(), attention=way)):  # type: ignore[arg-type]
            y = x * scores.softmax(-1)
        assert torch.equal(torch.autograd.grad(y, x, torch.ones_like(y))[0], torch.ones_like(x))


def test_resizes_by_gradient_or_by_contribution() -> None:
    network = nn.Upsample(scale_factor=2, mode="bilinear")
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    y = network(x)
    upper = torch.rand_like(y)
    (gradient,) = torch.autograd.grad(network(x), x, upper)
    (contribution,) = torch.autograd.grad(network(x), x, upper / stabilised(y.detach()))
    found = {
        way: relevance(network, composites.epsilon_plus(network, resize=way), x, upper)  # type: ignore[arg-type]
        for way in ("gradient", "contribution")
    }
    assert torch.equal(found["gradient"], gradient)
    torch.testing.assert_close(found["contribution"], contribution * x, rtol=1e-12, atol=0)


@pytest.mark.parametrize("way", ["cp", "attn"])
def test_ledgers_say_whether_attention_conserves(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Softmax by AttnLRP loses relevance: that is said, put down to nothing else, and no error."""
    network = Attention(is_fused=True).double()
    spec = CompositeSpec(name="mine", build=composites.epsilon_plus, settings={"attention": way})
    task = SegmentationTask(("a", "b"))
    caplog.set_level(logging.INFO)
    with Attributor(network, spec, task, layers=[], mean=[0] * 3, std=[1] * 3) as attributor:
        trace = attributor.forward(torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)))
        found = trace.attribute(trace.output, torch.ones_like(trace.output))
    assert found.ledgers is not None
    (ledger,) = found.ledgers
    assert ledger.conserves == (way == "cp")
    assert (ledger.missing_share < 1e-9) == (way == "cp")
    assert abs(ledger.stabiliser) < 1e-3 * abs(ledger.seed)  # what softmax lost is not put down to it
    told = "AttentionSoftmax makes or loses relevance: ledgers say how much is missing, none is refused"
    assert (told in caplog.messages) == (way == "attn")


@pytest.mark.parametrize(("gate", "expected"), [("constant", [6.0, 0.0]), ("half", [3.0, 3.0])])
@pytest.mark.parametrize("is_glu", [False, True])
def test_gates_take_nothing_or_half(gate: Any, expected: list[float], is_glu: bool) -> None:
    class Gated(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.glu(x, dim=-1) if is_glu else x[:, :1] * x[:, 1:].sigmoid()

    x = torch.tensor([[2.0, 0.0]], dtype=torch.float64, requires_grad=True)
    table = composites.lrp(Epsilon(), gate=gate)
    assert relevance(Gated(), table, x, torch.tensor([[6.0]], dtype=torch.float64)).tolist() == [expected]


def test_an_unknown_way_of_gates_is_refused() -> None:
    with pytest.raises(ConfigError, match="gate='all' of the composite is unknown; write gate=constant or gate=half"):
        composites.lrp(Epsilon(), gate="all")  # type: ignore[arg-type]
