"""The numbers of an explanation."""

from collections.abc import Callable
from dataclasses import replace

import colour_world
import numpy as np
import pytest
import torch

from lcrp.attribution.engine import Trace
from lcrp.decisions.concept_choice import ConceptChoice, top_concepts
from lcrp.decisions.decision import explained_decisions, outside_share
from lcrp.decisions.selection import Selection
from lcrp.errors import ConfigError, LayerError
from lcrp.values.attribution import Attribution
from lcrp.values.explanation import Explanation


def choice(**changes: object) -> ConceptChoice:
    settings: dict[str, object] = {"mode": "relevance", "layer": "2", "n_concepts": 4, "n_references": 0}
    return ConceptChoice(**(settings | changes))  # type: ignore[arg-type]


def explanation(index: int, class_id: int, chosen: ConceptChoice) -> Explanation:
    subject = colour_world.subject()
    selection = Selection(image=None, samples=None, class_name=class_id, item=None, box=None, max_targets=1)
    attributor = subject.explainer.attributor(["2"])
    with attributor:
        (explained,) = explained_decisions(attributor, subject.dataset[index], selection, chosen)
    return explained


def test_outside_share_is_the_sum_written_out() -> None:
    generator = np.random.default_rng(0)
    heatmap, mask = generator.normal(size=(12, 9)), generator.random((12, 9)) > 0.5
    inside = outside = 0.0
    for row in range(2, 10):
        for column in range(1, 9):
            value = max(heatmap[row, column], 0.0)
            if mask[row, column]:
                inside += value
            else:
                outside += value
    assert outside_share(heatmap, mask, (2, 1, 10, 9)) == pytest.approx(outside / (inside + outside))


def test_outside_share_of_nothing_is_zero() -> None:
    assert outside_share(np.full((4, 4), -1.0), np.zeros((4, 4), dtype=bool), (0, 0, 4, 4)) == 0.0


def test_top_concepts_of_two_classes_are_the_highest_and_the_lowest() -> None:
    scores = torch.tensor([0.3, -0.2, 0.1, -0.4, 0.0, 0.2])
    for count, shown in ((1, [0]), (2, [0, 3]), (3, [0, 5, 3]), (4, [0, 5, 3, 1]), (6, [0, 5, 2, 3, 1])):
        assert top_concepts(scores, choice(n_concepts=count), "2", is_contrast=True) == shown
    assert top_concepts(scores.abs(), choice(n_concepts=4), "2", is_contrast=True) == [3, 0, 1, 5]
    assert top_concepts(-scores.abs(), choice(n_concepts=4), "2", is_contrast=True) == [3, 0, 5, 1]
    assert top_concepts(-scores.abs(), choice(n_concepts=1), "2", is_contrast=True) == [3]


def test_top_concepts_are_the_highest_by_sign_with_ties_by_id() -> None:
    scores = torch.tensor([0.1, -0.9, 0.3, 0.3])
    assert top_concepts(scores, choice(n_concepts=3), "2") == [2, 3, 0]
    assert top_concepts(scores, choice(n_concepts=8), "2") == [2, 3, 0], "the other speaks against"
    assert top_concepts(-scores.abs(), choice(n_concepts=8), "2") == [0]
    assert top_concepts(scores, choice(concepts=(1, 0)), "2") == [1, 0]


@pytest.mark.parametrize("concept", [4, -1])
def test_unknown_concepts_are_told_with_the_choices(concept: int) -> None:
    with pytest.raises(LayerError, match=rf"concept {concept} is not in layer '2': it has 4 concepts, 0 to 3"):
        top_concepts(torch.zeros(4), choice(concepts=(concept,)), "2")


@pytest.mark.parametrize("changes", [{"n_concepts": 0}, {"n_concepts": 9}, {"n_references": 25}, {"concepts": ()}])
def test_more_than_a_figure_can_show_is_refused(changes: dict[str, object]) -> None:
    field = next(iter(changes))
    with pytest.raises(ConfigError, match=rf"^{field}=.* (is out of range; write a value|are 0; a figure shows)"):
        choice(**changes)


def test_unknown_modes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"^mode='active' is unknown; nearest: 'activation'"):
        choice(mode="active")


def test_a_red_square_is_explained_by_red_inside_the_square() -> None:
    shown = explanation(1, 1, choice())
    assert shown.class_name == "boat"
    assert shown.concepts[0].concept == 0
    assert sum(abs(concept.share) for concept in shown.concepts) == pytest.approx(1.0)
    assert shown.mask[6:14, 3:11].mean() > 0.8
    assert shown.outside < 0.3 < shown.outside_area
    assert shown.outside_area == pytest.approx(1.0 - shown.mask.mean())
    assert shown.outside == pytest.approx(outside_share(shown.heatmap, shown.mask, (0, 0, 24, 24)))


def test_conditional_heatmaps_of_all_concepts_add_up_to_the_heatmap() -> None:
    shown = explanation(3, 1, choice())
    total = sum(concept.heatmap for concept in shown.concepts)
    np.testing.assert_allclose(total, shown.heatmap, atol=1e-6)
    assert np.abs(shown.heatmap).max() > 0.001


def test_the_layers_share_of_the_decision_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explanation(1, 1, choice()).layer_share == pytest.approx(1.0, abs=1e-5)  # every path leads through it
    assert np.isnan(explanation(1, 1, choice(mode="activation")).layer_share)
    monkeypatch.setattr(Trace, "explain", scaled(Trace.explain, 0.04))
    assert explanation(1, 1, choice()).layer_share == pytest.approx(0.04, abs=1e-5)


def scaled(explain: Callable[..., Attribution], factor: float) -> Callable[..., Attribution]:
    """A round through whose layers only a part of the relevance passes."""

    def part(*given: object) -> Attribution:
        found = explain(*given)
        return replace(found, relevance={name: maps * factor for name, maps in found.relevance.items()})

    return part


def test_activation_shows_the_layer_at_the_size_of_the_picture() -> None:
    shown = explanation(1, 1, choice(mode="activation"))
    assert shown.mode == "activation"
    assert [concept.concept for concept in shown.concepts] == [0, 2, 3, 1]  # red and blue tie
    red = next(concept for concept in shown.concepts if concept.concept == 0)
    assert red.heatmap.shape == (24, 24)
    assert red.heatmap[10, 7] == pytest.approx(1.0)  # in the middle of the square
    assert red.share == pytest.approx(1.0 / (1.0 + 1.0 + 0.2 + 0.42), abs=0.01)


def test_a_box_restricts_the_mask_that_is_explained() -> None:
    subject = colour_world.subject()
    box = (3.0, 6.0, 11.0, 8.0)  # the upper two rows of the square
    selection = Selection(image=None, samples=None, class_name=None, item=None, box=box, max_targets=1)
    attributor = subject.explainer.attributor(["2"])
    with attributor:
        (shown,) = explained_decisions(attributor, subject.dataset[1], selection, choice())
    whole = explanation(1, 1, choice())
    assert shown.class_name == "boat"
    assert 0 < shown.mask.sum() <= 16 < whole.mask.sum()
    assert not shown.mask[8:].any()
    assert shown.heatmap[:10].sum() == pytest.approx(shown.heatmap.sum())
    assert whole.heatmap[:10].sum() < 0.8 * whole.heatmap.sum()
    assert shown.layer_share == pytest.approx(1.0, abs=1e-5)  # of the part's own seed
