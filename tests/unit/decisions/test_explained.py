"""From one picture to all that a figure shows."""

import re
from dataclasses import replace

import colour_world
import numpy as np
import pytest
import torch
import toy
from colour_world import Squares
from torch import nn

from lcrp.composites.composites import epsilon_flat
from lcrp.composites.spec import GRADIENT
from lcrp.decisions import explained as seam
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.doubts import losses_in, tell_losses
from lcrp.decisions.explained import explained, layer_of
from lcrp.decisions.references import ReferenceSource
from lcrp.decisions.selection import Selection
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import LayerError
from lcrp.values.explanation import Annotated
from lcrp.values.statistics import TopTable

EXPLAINER = colour_world.subject().explainer
CHOICE = ConceptChoice(mode="relevance", layer=None, n_concepts=2, n_references=2)


def selection(**changes: object) -> Selection:
    given = Selection(image=None, samples=None, class_name="boat", item=None, box=None, max_targets=5)
    return replace(given, **changes)  # type: ignore[arg-type]


def references() -> ReferenceSource:
    samples = np.array([[1, 3, 5]] * 4)
    table = TopTable(
        score=np.array([[0.5, 0.4, 0.3]] * 4, dtype=np.float32),
        sample=samples,
        class_id=np.ones_like(samples),
        item=np.zeros_like(samples),
        peak=10 * colour_world.SIDE + np.array([[7, 9, 11]] * 4),
        filled=np.full(4, 3),
    )
    return ReferenceSource(dataset=Squares(), table=table, layer="2", mode="relevance", num_references=2, batch_size=2)


def test_explanations_are_complete_and_the_network_is_as_it_was() -> None:
    before = {name: value.clone() for name, value in EXPLAINER.network.state_dict().items()}
    (found,) = explained(
        EXPLAINER, Squares()[3], selection(), CHOICE, title="all of it", references=references(), data_names=("sky",)
    )
    assert (found.title, found.source, found.layer, found.rank) == ("all of it", "squares/03", "2", 0)
    assert [[one.sample for one in part.references] for part in found.concepts] == [[1, 5], [1, 5]]
    assert found.annotated == Annotated(verdict="unlabelled")
    assert explained(EXPLAINER, Squares()[3], selection(), CHOICE)[0].annotated is None
    assert all(torch.equal(before[name], value) for name, value in EXPLAINER.network.state_dict().items())
    assert not any(module._forward_hooks for module in EXPLAINER.network.modules())


def test_a_layer_that_hardly_takes_part_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def with_share(share: float) -> None:
        def scaled(*given: object) -> list[object]:
            return [replace(one, layer_share=share) for one in measured(*given)]

        monkeypatch.setattr(seam, "explained_decisions", scaled)
        explained(EXPLAINER, Squares()[1], selection(), CHOICE)

    measured = seam.explained_decisions
    for share in (1.0, 0.1, float("nan")):
        with_share(share)
    assert not caplog.messages
    for share in (0.028, 0.0, -0.64):
        with_share(share)
    few, none, against = caplog.messages
    assert few.startswith("squares/01: 2.8% of the relevance of 'boat' passes through layer '2', the rest takes other")
    assert few.endswith("choose a layer that leads to this decision: '2' (100%)")
    assert none.startswith("squares/01: nothing of the relevance of 'boat' passes")
    assert against == (
        "squares/01: layer '2' as a whole speaks against 'boat': -64.0% of its relevance passes through it; choose a "
        "layer that leads to this decision: '2' (100%); relevance for and against cancels: shares are of their sum"
    )


def test_layers_that_cannot_be_looked_at_leave_the_others_to_be_named(caplog: pytest.LogCaptureFixture) -> None:
    """One that runs twice, in the half where better layers are looked for; an earlier one is named then."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.faint = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
            self.twice, self.head = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
            for convolution in (self.first, self.faint, self.twice, self.head):
                nn.init.constant_(convolution.weight, 1.0 if convolution is not self.faint else 1e-4)
                nn.init.zeros_(convolution.bias)
            with torch.no_grad():
                self.head.weight[1] *= 2  # the second class everywhere

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.twice(self.twice(self.first(x) + self.faint(x))))

    explainer = toy.explainer(Twice(), ("sky", "boat"), colour_world.SIDE, layer="faint")
    (found,) = explained(explainer, Squares()[1], selection(), CHOICE)
    assert 0 < found.layer_share < 0.1
    assert caplog.messages[0].endswith("choose a layer that leads to this decision: 'first' (100%)")


class Beside(nn.Module):
    """A layer that says as much for two classes, one that says more for the second, and one of a third class."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.own, self.aside = (nn.Conv2d(3, 2, 1, bias=False) for _ in range(3))
        self.head, self.third = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 1, 1, bias=False)
        for layer, weight in ((self.shared, 1.0), (self.own, 0.1), (self.aside, 0.1), (self.third, -1.0)):
            nn.init.constant_(layer.weight, weight)
        self.head.weight.data = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])[..., None, None]
        self.shared.weight.data[:, 1:] = 0.0
        nn.init.constant_(self.head.bias, -0.8)  # logits have either sign over the mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.head(torch.cat([self.shared(x), self.own(x)], dim=1))
        return torch.cat([first, self.third(self.aside(x))], dim=1)


@pytest.mark.parametrize(("layer", "has_concepts"), [("shared", True), ("aside", False)])
def test_a_layer_that_says_nothing_of_a_difference_is_told_with_one_that_does(
    layer: str, has_concepts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Advice was of the class alone, most of which passes through 'shared'; without a concept it raised."""
    explainer = toy.explainer(Beside(), ("sky", "boat", "sea"), colour_world.SIDE, layer=layer, build=epsilon_flat)
    (found,) = explained(explainer, Squares()[1], selection(thresholds=Thresholds(instead="sky")), CHOICE)
    assert found.layer_share == pytest.approx(0.0, abs=1e-5)
    assert bool(found.concepts) == has_concepts
    assert caplog.messages[-1].endswith("choose a layer that leads to this decision: 'own' (100%)")


class Silent(nn.Module):
    """A layer of almost nothing before one that the stabiliser empties."""

    def __init__(self) -> None:
        super().__init__()
        self.faint, self.head = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 2, 1)
        nn.init.constant_(self.faint.weight, 1e-12)
        nn.init.constant_(self.head.weight, 1.0)
        self.head.bias.data = torch.tensor([0.0, 1.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.faint(x))  # type: ignore[no-any-return]


def test_relevance_that_reaches_no_picture_is_followed_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """It named no layer, and said nothing of the bias."""
    explainer = toy.explainer(Silent(), ("sky", "boat"), colour_world.SIDE, layer="faint")
    found = explained(explainer, Squares()[1], selection(), CHOICE)
    tell_losses(losses_in(found))
    assert caplog.messages[::-1] == [
        "squares/01: of the relevance of 'boat' <1 % reached the picture, biases took >99 %",
        "squares/01: nothing of the relevance of 'boat' passes through layer 'faint'; no layer with places carries 10% "
        "or more for it",
    ]


def test_losses_of_many_decisions_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Every decision of a YOLO had a line of its own."""
    explainer = toy.explainer(Silent(), ("sky", "boat"), colour_world.SIDE, layer="faint")
    found = [one for number in (1, 2) for one in explained(explainer, Squares()[number], selection(), CHOICE)]
    caplog.clear()
    kept = replace(found[0], ledger=replace(found[0].ledger, reached=0.04, constants=0.96))  # type: ignore[type-var]
    tell_losses(losses_in([*found, kept, replace(kept, layer_share=float("nan"))]))
    assert caplog.messages == [
        "of the relevance of 3 decisions <1 % to 4 % reached the picture, biases took 96 % to >99 %; heatmaps and "
        "shares are of what is left; of 2 next to nothing is left, 'boat' in squares/01 say. See "
        "docs/how-to/where_relevance_goes.md"
    ]
    tell_losses([])
    assert len(caplog.messages) == 1


class Opposed(nn.Module):
    """Two layers that speak against a decision, which its bias makes, in unequal parts."""

    def __init__(self) -> None:
        super().__init__()
        self.little, self.much, self.head = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1)
        for convolution, weight in ((self.little, 0.1), (self.much, 0.3), (self.head, -1.0)):
            nn.init.constant_(convolution.weight, weight)
            nn.init.zeros_(convolution.bias)
        self.head.bias.data = torch.tensor([0.0, 20.0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.little(x) + self.much(x))  # type: ignore[no-any-return]


def test_the_largest_part_in_a_decision_is_told_where_no_layer_leads_to_it(caplog: pytest.LogCaptureFixture) -> None:
    """The log said that no layer carries more, where another carried three times as much against the decision."""
    caplog.set_level("INFO")
    explainer = toy.explainer(Opposed(), ("sky", "boat"), colour_world.SIDE, layer="little", build=epsilon_flat)
    (found,) = explained(explainer, Squares()[1], selection(), CHOICE)
    assert found.layer_share < 0
    assert [one.share < 0 for one in found.concepts] == [True]
    assert "1 of 2 concepts are shown for 'boat': none of layer 'little' has positive relevance" in caplog.text
    assert re.search(
        r"10% or more for it, most passes through 'much' \(-.*, all in all against it\)",
        caplog.messages[-1],
    )


def test_fewer_concepts_than_asked_for_are_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (found,) = explained(EXPLAINER, Squares()[1], selection(), replace(CHOICE, n_concepts=4))
    assert all(one.share > 0 for one in found.concepts)
    assert caplog.messages == [
        f"squares/01: {len(found.concepts)} of 4 concepts are shown for 'boat': no other of layer '2' has positive "
        "relevance"
    ]


def test_gradients_have_no_share_of_the_layer() -> None:
    (found,) = explained(replace(EXPLAINER, composite=GRADIENT), Squares()[1], selection(), CHOICE)
    assert np.isnan(found.layer_share)


def test_unknown_layers_are_told_with_the_nearest() -> None:
    assert layer_of(EXPLAINER, None) == "2"
    with pytest.raises(LayerError, match=r"layer '3' is not in colours; nearest: '[024]'") as refused:
        explained(EXPLAINER, Squares()[1], selection(), replace(CHOICE, layer="3"))
    assert refused.value.mend == "Set stage.layer."


def test_auto_in_another_spelling_is_met_with_auto() -> None:
    """The nearest layers were named, and a setting that had not been given."""
    with pytest.raises(LayerError, match=r"^layer 'Auto' is not in colours; did you mean 'auto', that") as refused:
        layer_of(replace(EXPLAINER, layer="Auto"), None)
    assert refused.value.mend == "Set model.layer."
    with pytest.raises(LayerError, match=r"did you mean 'auto'") as refused:
        layer_of(EXPLAINER, "AUTO")
    assert refused.value.mend == "Set stage.layer."
