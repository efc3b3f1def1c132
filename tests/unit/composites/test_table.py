"""Every rule explains every family that it says it does; tables with others are refused when they are made."""

import re
from collections.abc import Callable
from itertools import product

import pytest
import torch
from ruled import ruled
from torch import nn
from torch.nn import functional
from torchvision.ops import roi_align

from lcrp.composites import composites
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import FAMILIES, Family
from lcrp.composites.operations.values import Operation
from lcrp.composites.rules import RULES, Epsilon, Flat, Norm, Pass, ZPlus
from lcrp.composites.table import RuleTable
from lcrp.errors import ConfigError
from lcrp.models.layers import l2_norm

BOXES = torch.tensor([[0.0, 1, 1, 5, 4]])
ONE_PER_PIXEL = torch.tensor([0.0, 1, -2, 0.5, 3, -1])  # no scaling of channels
CALLS: dict[Family, tuple[Callable[[torch.Tensor], torch.Tensor], ...]] = {
    "convolution": (
        nn.Conv2d(4, 2, 3),
        nn.ConvTranspose2d(4, 2, 2, 2),
        lambda x: functional.conv1d(x.flatten(2), torch.rand(2, 4, 3)),
        lambda x: functional.conv3d(x[:, :, None], torch.rand(2, 4, 1, 2, 2)),
    ),
    "linear": (nn.Linear(6, 2),),
    "norm": (nn.BatchNorm2d(4).eval(),),
    "normalisation": (nn.LayerNorm(6), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.RMSNorm(6)),
    "sum": (lambda x: x + x.flip(2), lambda x: x - x[:, :1], lambda x: x + 1),
    "pool": (nn.AvgPool2d(2), lambda x: x.mean(1), lambda x: x.cumsum(2)),
    "max_pool": (nn.MaxPool2d(2), lambda x: functional.adaptive_max_pool2d(x, 2)),
    "resize": (nn.Upsample(scale_factor=2, mode="bilinear"),),
    "sampling": (
        lambda x: roi_align(x, BOXES.to(x), 2),
        lambda x: functional.grid_sample(x, torch.rand(2, 3, 3, 2, dtype=x.dtype), align_corners=False),
    ),
    "relu": (torch.relu,),
    "activation": (functional.silu, torch.exp),
    "scale": (lambda x: x * 2, lambda x: x * ONE_PER_PIXEL),
    "gate": (lambda x: x * x.sigmoid(), lambda x: x[:, :1] * x.sigmoid()),
    "product": (lambda x: x * x.flip(2), lambda x: x * x[:, :1]),
    "quotient": (lambda x: x / x.square().sum(1, keepdim=True).add(1), lambda x: x[:, :1] / (2 + x.square())),
    "matrix_product": (lambda x: x @ x.mT, lambda x: torch.rand(5, 5) @ x),
    "l2_norm": (lambda x: l2_norm(x, torch.rand(4)),),
    "softmax": (lambda x: x.softmax(-1),),
    "unknown": (lambda x: x.logsumexp(-1), lambda x: torch.cdist(x, x.flip(1))),
}


def test_every_family_is_tried() -> None:
    assert set(CALLS) == set(FAMILIES)


@pytest.mark.parametrize(("rule", "family"), [*product(RULES, FAMILIES)])
def test_a_rule_explains_a_family_or_is_refused(rule: type[Rule], family: Family) -> None:
    """Guards against tables that died of an AttributeError when relevance came."""
    if family not in rule.explains:
        message = rf"^the rule {rule.__name__} cannot explain the family '{family}'; (rules that can: \w+|no rule can)"
        with pytest.raises(ConfigError, match=message) as refused:
            RuleTable(families={family: rule()})
        named = re.findall(r"\w+", str(refused.value).partition("can: ")[2])
        assert named == [one.__name__ for one in RULES if family in one.explains]
        return
    torch.manual_seed(0)
    for call in CALLS[family]:
        network = nn.Sequential(call) if isinstance(call, nn.Module) else nn.Identity()
        x = torch.randn(2, 4, 5, 6, requires_grad=True)
        with ruled(network, RuleTable(families={family: rule()})) as mode:
            explained, used = mode.explained, []

            def watched(rule: Rule, *rest: object) -> torch.Tensor:
                used.append(type(rule))  # noqa: B023
                return explained(rule, *rest)  # noqa: B023

            mode.explained = watched
            y = call(x)
        assert rule in used
        (relevance,) = torch.autograd.grad(y, x, torch.rand_like(y))
        assert relevance.shape == x.shape
        assert relevance.isfinite().all()
        assert relevance.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"families": {"convolutions": ZPlus()}}, r"there is no family 'convolutions'; nearest: 'convolution'"),
        ({"families": {"convolution": ZPlus}}, r"^families\['convolution'\] .* is the class ZPlus; write ZPlus\(\)$"),
        ({"families": {"linear": "epsilon"}}, r"is 'epsilon', which is no rule; such are ZPlus, "),
        ({"families": {}, "first": Norm()}, r"^the rule Norm cannot explain linear maps, .*: ZPlus, .*, Flat$"),
        ({"families": {}, "layers": {"head": Flat}}, r"^layers\['head'\] .* is the class Flat; write Flat\(\)$"),
        ({"families": {"sum": ZPlus(), "scale": Norm()}}, r"ZPlus .*'sum'; .*: Flat, Norm; the rule Norm .*'scale'"),
    ],
)
def test_what_is_no_rule_or_no_family_is_refused_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RuleTable(**settings)


class Mine(Rule):
    """A rule of a user's own, which says nothing of families."""

    def step_type(self, operation: Operation) -> type[Step]:
        raise NotImplementedError(operation)


def test_rules_of_users_are_taken_for_every_family() -> None:
    table = RuleTable(families=dict.fromkeys(FAMILIES, Mine()), first=Mine())
    assert isinstance(table.rule("softmax", "any"), Mine)


def test_a_layers_rule_is_for_what_it_can_explain() -> None:
    """A pattern reaches activations, norms and sums too, which a rule for linear maps knows nothing of."""
    table = composites.lrp(ZPlus())
    table = RuleTable(families=table.families, layers={"head*": Epsilon(0.1)})
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.SiLU(), nn.LayerNorm(6), nn.Conv2d(4, 2, 3))
    named = nn.ModuleDict({"head": network})
    x = torch.randn(2, 3, 5, 6, requires_grad=True)
    with ruled(named, table):
        y = network(x)
    (relevance,) = torch.autograd.grad(y, x, torch.rand_like(y))
    assert relevance.isfinite().all()
    rules = {family: table.rule(family, "head.0") for family in ("convolution", "activation", "normalisation")}
    assert [type(rule) for rule in rules.values()] == [Epsilon, Pass, Norm]
