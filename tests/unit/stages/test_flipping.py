"""Curves of flipping and insertion beside a literal restatement: picture by picture, step by step."""

from dataclasses import replace
from typing import Any

import noise_world
import numpy as np
import pytest
import torch
from toy import composite

from lcrp.attribution import ablated_logits
from lcrp.attribution.methods import Method
from lcrp.attribution.task import NetworkOutput
from lcrp.attribution.trace import Trace
from lcrp.composites.composites import epsilon_plus_flat
from lcrp.composites.spec import GRADIENT
from lcrp.evidence.curves import channel_counts
from lcrp.stages.evaluate import flipping as flipping_module
from lcrp.stages.evaluate.flipping import Drawn, Flipping
from lcrp.stages.evaluate.settings import EvaluateSettings

SETTINGS = EvaluateSettings(
    methods=(
        Method(name="lrp", reading="relevance", composite=composite(epsilon_plus_flat)),
        Method(name="random", reading="random", composite=GRADIENT),
    ),
    num_targets=3,
    num_layers=None,
    num_steps=4,
    ablations=("resample", "mean", "zero"),
    seed=0,
)
LAYER = "2"  # four concepts
STATISTICS = replace(noise_world.STATISTICS, targets="predicted", layers=(LAYER,))


def filled(maps: torch.Tensor, image: int, ablation: str) -> torch.Tensor:
    """[C, h, w] what takes the place of an image's channels."""
    if ablation == "resample":
        return maps[(image + 1) % len(maps)]
    if ablation == "mean":
        return torch.stack([maps[:, channel].mean() for channel in range(maps.shape[1])])[:, None, None] + 0 * maps[0]
    return torch.zeros_like(maps[0])


def restated(images: torch.Tensor, one: Drawn, vector: torch.Tensor, ablation: str) -> list[list[float]]:
    """Logits of one target, [2, X]: without the first channels of an order, and with nothing but them."""
    network = noise_world.network()
    maps = network[:3]((images - 0.5) / 0.5)  # type: ignore[index]
    fill = filled(maps, one.image, ablation)
    order = sorted(range(len(vector)), key=lambda channel: -float(vector[channel]))
    curves: list[list[float]] = [[], []]
    for count in range(len(order) + 1):
        for curve, replaced in zip(curves, (order[:count], order[count:]), strict=True):
            changed = maps[one.image].clone()
            for channel in replaced:
                changed[channel] = fill[channel]
            logits = network[3:](changed[None])[0, one.explained.target.class_id]  # type: ignore[index]
            curve.append(float(logits[one.mask].mean()))
    return curves


def test_every_target_is_filled_from_its_own_pictures_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pictures, of which the first has no target: numbers of targets are not those of pictures."""
    flipping = Flipping(noise_world.subject(), STATISTICS, SETTINGS, [LAYER])
    images, found = flipping.chunk(0)
    assert [one.image for one in found] == [0, 1, 2]
    monkeypatch.setattr(flipping, "chunk", lambda _: (images, found[1:]))
    unit = flipping.unit("000000")
    assert channel_counts(4, SETTINGS.num_steps).tolist() == [0, 1, 2, 3, 4]
    vectors = torch.from_numpy(unit["vectors_0"])  # [T, S, C]
    expected = [
        [[restated(images, one, vector, ablation) for vector in its] for ablation in SETTINGS.ablations]
        for one, its in zip(found[1:], vectors, strict=True)
    ]
    np.testing.assert_allclose(unit["curves_0"], expected, atol=1e-5)  # [T, ablations, S, 2, X]


def test_later_rounds_go_no_further_than_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of every composite go on to the picture; the order of concepts is the same."""
    subject, layers = noise_world.subject(), ["0", LAYER]
    expected = Flipping(subject, STATISTICS, SETTINGS, layers).unit("000000")
    monkeypatch.setattr(flipping_module, "ROUNDS_LOOKED_AT", 1)
    flipping, whole = Flipping(subject, STATISTICS, SETTINGS, layers), []
    explain = Trace.explain
    monkeypatch.setattr(Trace, "explain", lambda trace, own: [whole.append(len(own)), explain(trace, own)][1])
    for _ in range(3):
        found = flipping.unit("000000")
        assert len(whole) == 2, "the first round of each of two composites, and no other"
        assert found.keys() == expected.keys()
        for name, values in found.items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-6, atol=1e-7, err_msg=name)


def test_a_layers_tape_is_compared_in_its_first_chunk_and_with_one_variant_a_decision_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flipping, whole = Flipping(noise_world.subject(), STATISTICS, SETTINGS, [LAYER]), []
    outputs = ablated_logits.ablated_outputs

    def counted(*given: Any) -> NetworkOutput:
        whole.append(len(given[3]))
        return outputs(*given)

    monkeypatch.setattr(ablated_logits, "ablated_outputs", counted)
    monkeypatch.setattr(ablated_logits, "VARIANT_PIXELS", 2 * flipping.chunk(0)[0][0, 0].numel())
    expected, first = flipping.unit("000000"), len(whole)
    num_decisions = len(expected["sample"]) * len(SETTINGS.ablations)
    found = flipping.unit("000000")
    assert len(whole) - first == num_decisions < first
    assert set(whole) == {2}
    np.testing.assert_allclose(found["curves_0"], expected["curves_0"], atol=1e-6)
