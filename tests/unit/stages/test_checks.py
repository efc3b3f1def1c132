"""Every check of relevance can fail: networks of a few weights that break one of them."""

from collections.abc import Callable

import pytest
import torch
import toy
from torch import nn
from torchvision.ops import roi_align
from zennit.rules import ZPlus

from lcrp.composites.composites import epsilon_plus_flat, lrp
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import BuiltComposite
from lcrp.stages.evaluate.check import Check
from lcrp.stages.evaluate.checks import ledger_table, sanity_checks
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
    assert list(table.columns) == ["layer", "received", "constants", "cut", "stabiliser"]
    assert list(table.columns["layer"]) == ["2", "0"]
    assert table.columns["received"] == pytest.approx([1.0, 1.0], abs=1e-5)
    assert table.columns["constants"] == pytest.approx([0.0, 0.5], abs=1e-5)
    assert table.columns["stabiliser"] == pytest.approx([0.0, 0.0], abs=1e-5)
    assert "of the relevance 0 keeps 50.0% by constants, 0.0% by cuts, 0.0% by stabilisers" in caplog.text


def test_what_the_stabiliser_takes_is_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    """Next to nothing speaks for outputs: it said 'conservation FAILS: 1' beside a closed ledger."""
    caplog.set_level("INFO")
    first, last = convolution([[1e-9, 0.0, 0.0]]), convolution([[1.0]])
    last.bias = nn.Parameter(torch.ones(1))
    found = checks_of(nn.Sequential(first, nn.ReLU(), last), "0")
    assert found["conservation"].is_fine
    assert found["conservation"].value < 1e-4
    assert "relevance is cut" not in caplog.text, "what a check reads is no doing of the network"


class Half(torch.autograd.Function):
    """What it gets, with half of the gradient."""

    @staticmethod
    def forward(context: object, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return x.clone()

    @staticmethod
    def backward(context: object, upper: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return upper / 2


class Halved(nn.Module):
    """A function of its own, whose gradient is no relevance, lies between two layers that conserve it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = convolution([[1.0, 1.0, 1.0]]), convolution([[1.0]])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(Half.apply(self.first(images)))  # type: ignore[no-any-return]


def test_relevance_that_nothing_accounts_for_is_no_conservation() -> None:
    check = checks_of(Halved(), "first")["conservation"]
    assert not check.is_fine
    assert check.value == pytest.approx(0.5, abs=1e-3)
    assert check.note.startswith("of a decision's relevance is taken by nothing that is known")


def test_a_ledger_beyond_all_says_that_signs_cancel(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    network = nn.Sequential(convolution([[2.0, 2.0, 0.0]]), convolution([[1.0]]))
    network[0].bias = nn.Parameter(torch.tensor([-3.0]))
    explainer = toy.explainer(network, ("boat",), SIZE, layer="0", build=lambda _: lrp(Epsilon()))
    explained = ExplainedTarget(target=Target(sample=0, class_id=0), key="ones", score=1.0, confidence=1.0)
    found = Drawn(image=0, explained=explained, mask=torch.ones(SIZE, SIZE, dtype=torch.bool))
    ledger_table(explainer, torch.ones(1, 3, SIZE, SIZE), [found])
    assert "in this ledger relevance for and against cancels: shares are of their sum" in caplog.text


class Regions(nn.Module):
    """Reads a region of its map, given in float32, as many detectors do."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = convolution([[1.0, 1.0, 1.0]]), convolution([[1.0]])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        box = torch.tensor([[0.0, 0.0, SIZE, SIZE]])
        return self.last(roi_align(self.first(images), [box], SIZE))  # type: ignore[no-any-return]


def test_formats_in_which_a_network_does_not_run_are_told_in_plain_words(caplog: pytest.LogCaptureFixture) -> None:
    """The line showed a path in torchvision's sources."""
    caplog.set_level("INFO")
    found = checks_of(Regions(), "first")
    assert "stability in float64" not in found
    told = [line for line in caplog.messages if "is not checked" in line]
    reason = "the network does not run in it (roi_align: input should have the same type as rois)"
    assert told == [f"stability in {name} is not checked: {reason}" for name in ("float64", "bfloat16")]
