"""The example of 'bring your own model', as its page says to run it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Outcome

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "own_network"


@pytest.mark.slow
def test_a_model_from_elsewhere_is_explained(lcrp: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    common = ("--config-dir", str(EXAMPLE / "conf"), "model=mobile_deeplab", "statistics.targets=predicted")
    few = ("statistics.num_samples=2", "statistics.batch_size=2", "statistics.layers=[network.backbone.12.*]")
    assert lcrp(*common, *few, "stage=glocal").code == 0
    outcome = lcrp(*common, *few, "stage=render", "stage.n_references=2")
    assert (outcome.code, outcome.err) == (0, [])
    assert any(line.endswith("network.backbone.12.block.0.0.png") for line in outcome.out)
