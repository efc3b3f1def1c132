"""``lcrp.tune``: what it finds is given as a composite, to the network that it was found for alone."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lcrp
from lcrp.errors import ConfigError, StoreError


def test_what_was_found_is_a_composite_of_this_module_as_it_was(
    explainer: lcrp.Explainer, module: nn.Module, squares: list[np.ndarray]
) -> None:
    shown: list[str] = []
    found = lcrp.tune(
        explainer,
        squares,
        num_targets=2,
        num_confirmed=2,
        num_layers=1,
        minutes=0.001,
        progress=lambda *told: shown.append(told[2]),
    )
    assert {"trial", "search", "confirmation"} <= set(shown)
    assert Path(os.fspath(found)) == found.path == found.files[0]
    assert set(found.folder.glob("tune*")) <= set(found.files)
    assert found.sentences[0] in repr(found)
    assert len(list(found.tables["candidates"].rows())) == 3
    chosen = lcrp.explain(explainer, squares[1], class_name="boat", composite=found)
    usual = lcrp.explain(explainer, squares[1], class_name="boat")
    assert [concept.id for concept in chosen[0].concepts] == [concept.id for concept in usual[0].concepts]
    with torch.no_grad():
        module.get_parameter("4.weight").mul_(2.0)
    with pytest.raises(StoreError, match=r"was tuned for another network or other weights"):
        lcrp.load(module, task="segmentation", class_names=explainer.class_names, composite=found)


def test_a_file_where_runs_are_to_lie_is_named(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    Path("outputs").write_text("in the way")
    with pytest.raises(StoreError, match=r"^cannot write '.*tune_.*': '.*outputs' is no folder"):
        lcrp.tune(explainer, squares)


def test_settings_are_named_as_keywords(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    with pytest.raises(ConfigError, match=r"^num_targets=1 is too small; the least is 2"):
        lcrp.tune(explainer, squares, num_targets=1)
