"""Stages on a layer that sees regions of interest: they work, or refuse it by name in one line."""

from pathlib import Path

import pytest
import torch
from torchvisions import regional_detector

import lcrp
from lcrp.errors import LayerError

LAYER = "roi_heads.box_head.0.0"


@pytest.fixture
def explainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lcrp.Explainer:
    monkeypatch.chdir(tmp_path)
    return lcrp.load(regional_detector(), class_names=["boat", "car", "kite", "bird"], confidence=0.0, layer=LAYER)


@pytest.fixture
def pictures() -> list[torch.Tensor]:
    return [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(number)) for number in range(3)]


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_channels_of_all_regions_are_taken_away(
    explainer: lcrp.Explainer, pictures: list[torch.Tensor], ablation: str
) -> None:
    found = lcrp.evaluate(
        explainer,
        pictures,
        methods=["epsilon_plus_flat", "activation"],
        layers=[LAYER],
        num_targets=2,
        num_steps=2,
        ablations=[ablation],  # type: ignore[list-item]
        checks=ablation == "zero",
    )
    assert (found.folder / "curves.csv").exists()


def test_values_of_another_picture_have_no_place_there(explainer: lcrp.Explainer, pictures: list[torch.Tensor]) -> None:
    settings = {"methods": ["activation"], "layers": [LAYER], "num_targets": 2, "num_steps": 2}
    with pytest.raises(LayerError, match=rf"layer '{LAYER}' sees regions of interest, or runs more than once"):
        lcrp.evaluate(explainer, pictures, ablations=["resample"], **settings)  # type: ignore[arg-type]


def test_layers_with_other_regions_in_every_picture_are_left_out_or_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[torch.Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    network = regional_detector()
    network.rpn.score_thresh = 0.53
    explainer = lcrp.load(network, class_names=["boat", "car", "kite", "bird"], confidence=0.0, layer=LAYER)
    settings = {"methods": ["activation"], "num_targets": 2, "num_steps": 2, "ablations": ["zero"]}
    with pytest.raises(LayerError, match=rf"layer '{LAYER}' sees other regions of interest in every picture"):
        lcrp.evaluate(explainer, pictures, layers=[LAYER], **settings)  # type: ignore[arg-type]
    found = lcrp.evaluate(explainer, pictures, layers=[LAYER, "backbone.*"], num_layers=3, **settings)  # type: ignore[arg-type]
    assert LAYER not in (found.folder / "curves.csv").read_text(encoding="utf-8")
