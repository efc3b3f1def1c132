"""Composites from their settings: what they pass on, what is refused, and what identifies them."""

import pytest
import torch
from ruled import ruled
from torch import nn

from lcrp.composites.composites import epsilon_gamma_flat
from lcrp.composites.rules import GeneralisedGamma
from lcrp.composites.spec import GRADIENT
from lcrp.composites.table import RuleTable
from lcrp.config.compose import composed, composition
from lcrp.config.composite import build_composite
from lcrp.config.methods import methods
from lcrp.errors import ConfigError

OURS = "lcrp.composites.composites."
GAMMA = {"_target_": f"{OURS}epsilon_gamma_flat", "name": "epsilon_gamma_flat", "gamma": 0.5, "epsilon": 1e-3}


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU(), nn.Conv2d(16, 2, 1)).eval()


def heatmap(network: nn.Module, composite: RuleTable) -> torch.Tensor:
    picture = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    with ruled(network, composite):
        output = network(picture)
    (relevance,) = torch.autograd.grad(output[:, 1].sum(), picture)
    return relevance


def test_settings_reach_the_rules() -> None:
    network = small()
    made = build_composite(GAMMA)(network)
    rule = made.families["convolution"]
    assert isinstance(rule, GeneralisedGamma)
    assert rule.gamma == 0.5
    assert torch.equal(heatmap(network, made), heatmap(network, epsilon_gamma_flat(network, gamma=0.5, epsilon=1e-3)))
    assert not torch.allclose(
        heatmap(network, build_composite(GAMMA | {"gamma": 2.0})(network)), heatmap(network, made)
    )


def test_epsilon_alters_relevance() -> None:
    network = small()
    flat = {"_target_": f"{OURS}epsilon_flat", "name": "epsilon_flat"}
    maps = [heatmap(network, build_composite(flat | {"epsilon": epsilon})(network)) for epsilon in (1e-6, 0.5)]
    assert maps[1].abs().sum() < 0.9 * maps[0].abs().sum()  # a large one absorbs relevance
    assert torch.equal(maps[0], heatmap(network, build_composite(flat)(network)))


def test_settings_and_kind_identify_a_composite() -> None:
    one = build_composite(GAMMA).identity()
    assert one["build"] == f"{OURS}epsilon_gamma_flat"
    assert one["settings"] == {"gamma": 0.5, "epsilon": 1e-3}
    for altered in ({"gamma": 0.25}, {"is_lrp": False}, {"conserves": False}, {"name": "mine"}):
        assert build_composite(GAMMA | altered).identity() != one


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gmma": 0.5}, r"^composite 'epsilon_gamma_flat': .*unexpected keyword argument 'gmma'; nearest: 'gamma'"),
        ({"network": "mine"}, r"^composite 'epsilon_gamma_flat': .*'network'"),
        ({"_target_": f"{OURS}epsilon_game_flat"}, r"cannot be imported"),
    ],
)
def test_what_a_builder_does_not_take_is_refused_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_composite(GAMMA | settings)


@pytest.mark.parametrize("value", [0, -0.25, "a quarter", float("nan"), True])
def test_a_gamma_that_is_no_positive_number_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^gamma=.* of the composite must be a positive number, such as gamma="):
        build_composite(GAMMA | {"gamma": value})(small())


def test_gradients_are_not_counted_as_lrp_whatever_they_are_called() -> None:
    """A user's own gradient composite says so itself."""
    mine = build_composite({"_target_": f"{OURS}gradient", "name": "mine", "is_lrp": False})
    assert (mine.is_lrp, mine.conserves) == (False, False)
    with composition():
        found = {one.name: one for one in methods(["epsilon_plus", "gradient", "guided_backprop", "gradcam"])}
    assert {name: one.is_lrp for name, one in found.items()} == {
        "epsilon_plus": True, "gradient": False, "guided_backprop": False, "gradcam": False
    }  # fmt: skip
    assert found["gradient"].composite == found["gradcam"].composite == GRADIENT
    assert {name: one.composite.conserves for name, one in found.items()}["guided_backprop"] is False


def test_the_title_names_settings_that_are_not_the_usual_ones() -> None:
    settings = composed(["model=unet", "dataset=scenes", "composite=epsilon_plus_flat"]).composite
    assert build_composite(settings).title == "epsilon_plus_flat"
    other = {**settings, "attention": "attn", "epsilon": 1e-4}
    assert build_composite(other).title == "epsilon_plus_flat (epsilon=0.0001, attention=attn)"
