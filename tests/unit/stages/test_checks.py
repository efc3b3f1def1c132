"""Every check of relevance can fail: networks of a few weights that break one of them."""

from collections.abc import Callable

import pytest
import torch
import toy
from torch import nn
from zennit.rules import ZPlus

from lcrp.composites.composites import epsilon_plus_flat, lrp
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import BuiltComposite
from lcrp.stages.evaluate.checks import Check, ledger_table, sanity_checks
from lcrp.stages.evaluate.flipping import Drawn
from lcrp.values.target import ExplainedTarget, Target
from zennits import zennits_composite

SIZE = 4


def checks_of(
    network: nn.Module, layer: str, build: Callable[..., BuiltComposite] = epsilon_plus_flat
) -> dict[str, Check]:
    """Checks of a segmenter of one class, on a picture of ones."""
    explainer = toy.explainer(network, ("boat",), SIZE, layer=layer, build=build)
    explained = ExplainedTarget(target=Target(sample=0, class_id=0), key="ones", score=1.0, confidence=1.0)
    found = Drawn(image=0, explained=explained, mask=torch.ones(SIZE, SIZE, dtype=torch.bool))
    return {check.name: check for check in sanity_checks(explainer, torch.ones(1, 3, SIZE, SIZE), [found])}


def convolution(weights: list[list[float]]) -> nn.Conv2d:
    """Of single pixels, without bias, from weights [outputs, inputs]."""
    made = nn.Conv2d(len(weights[0]), len(weights), 1, bias=False)
    made.weight.data = torch.tensor(weights)[:, :, None, None]
    return made


class Normalised(nn.Module):
    """Minus red, perhaps rectified, then normalised to 1 - x: BatchNorm follows the convolution by name alone."""

    def __init__(self, *, is_rectified: bool) -> None:
        super().__init__()
        self.convolution, self.norm = convolution([[-1.0, 0.0, 0.0]]), nn.BatchNorm2d(1, eps=0.0)
        self.norm.weight.data.fill_(-1.0)
        self.norm.bias.data.fill_(1.0)
        self.is_rectified = is_rectified

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.convolution(images)
        return self.norm(maps.relu() if self.is_rectified else maps)  # type: ignore[no-any-return]


def test_a_canonizer_that_alters_the_output_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    """The logit is 1 - relu(-1) = 1; merged by the order of modules, as zennit does it, it is relu(1 + 1) = 2."""
    found = checks_of(Normalised(is_rectified=True), "convolution", zennits_composite(ZPlus))
    check = found["unaltered output"]
    assert check.value == pytest.approx(1.0)
    assert not check.is_fine
    assert "unaltered output FAILS" in caplog.text


@pytest.mark.parametrize("is_rectified", [False, True])
def test_rules_leave_the_output_as_it_is(is_rectified: bool) -> None:
    """Whether the norm follows its layer is told by data flow, and not by the names of modules."""
    check = checks_of(Normalised(is_rectified=is_rectified), "convolution")["unaltered output"]
    assert check.value == pytest.approx(0.0)
    assert check.is_fine


def test_ranks_that_bfloat16_turns_round_are_found_out(caplog: pytest.LogCaptureFixture) -> None:
    """Ten concepts give 1.003 * 1.003 = 1.0060 each, five give 1 * 1.0045: the ten are the top ones.

    The next numbers to 1 are 1.0078 in bfloat16, so that the ten give 1 * 1 and the five give 1 * 1.0078: these five
    take the place of five of the ten.
    """
    first = convolution([[1.003, 0.0, 0.0]] * 10 + [[1.0, 0.0, 0.0]] * 5)
    last = convolution([[1.003] * 10 + [1.0045] * 5])
    found = checks_of(nn.Sequential(first, nn.ReLU(), last), "0")
    assert found["stability in bfloat16"].value == pytest.approx(0.5)
    assert not found["stability in bfloat16"].is_fine
    assert "stability in bfloat16 FAILS" in caplog.text
    assert found["stability in float64"].value == 1.0
    assert found["stability in float64"].is_fine


def test_every_layer_has_a_ledger(caplog: pytest.LogCaptureFixture) -> None:
    """Half of the first output, 1 + 1 + 2, is its bias's."""
    caplog.set_level("INFO")
    network = nn.Sequential(convolution([[1.0, 1.0, 0.0]]), nn.ReLU(), convolution([[3.0]]))
    network[0].bias = nn.Parameter(torch.tensor([2.0]))
    explainer = toy.explainer(network, ("boat",), SIZE, layer="0", build=lambda _: lrp(Epsilon()))
    explained = ExplainedTarget(target=Target(sample=0, class_id=0), key="ones", score=1.0, confidence=1.0)
    found = Drawn(image=0, explained=explained, mask=torch.ones(SIZE, SIZE, dtype=torch.bool))
    table = ledger_table(explainer, torch.ones(1, 3, SIZE, SIZE), [found])
    assert list(table.columns) == ["layer", "received", "constants", "stabiliser"]
    assert list(table.columns["layer"]) == ["2", "0"]
    assert table.columns["received"] == pytest.approx([1.0, 1.0], abs=1e-5)
    assert table.columns["constants"] == pytest.approx([0.0, 0.5], abs=1e-5)
    assert table.columns["stabiliser"] == pytest.approx([0.0, 0.0], abs=1e-5)
    assert "of the relevance 0 keeps 50.0% by constants, 0.0% by stabilisers" in caplog.text
