"""What the explorer says of the network and of what other stages found."""

from dataclasses import replace
from pathlib import Path

import colour_world
import pytest

from lcrp.stages.explore.explore import called
from lcrp.stages.explore.measured import finding
from lcrp.values.evidence import Table

SUMMARY = Table(
    name="summary",
    columns={
        "layer": ["all layers", "2"], "measure": ["flipping"] * 2, "method": ["lrp"] * 2, "value": [0.5, 0.5],
        "low": [0.4, 0.4], "high": [0.6, 0.6], "num_targets": [8, 8],
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("holds", "told"), [(True, "All 2 sanity checks hold."), (False, "Sanity checks that fail: a")]
)
def test_the_verdict_of_evaluate_is_said_first(holds: bool, told: str) -> None:
    """Seven numbers without a word leave it to the reader whether to trust the order."""
    checks = {"name": ["a", "b"], "value": [0.2, 0.1], "bound": [0.1, 0.2], "note": ["x", "y"], "holds": [holds, True]}
    tables = {
        "summary": SUMMARY,
        "verdict": Table(name="verdict", columns={"verdict": ["On it, lrp orders concepts best."]}),
        "checks": Table(name="checks", columns=checks),
    }
    found = finding("evaluate", (Path("runs/one/evaluate.h5"), tables), "")
    assert found.sentences[0] == "On it, lrp orders concepts best."
    assert found.sentences[1].startswith(told)
    assert found.sentences[2].endswith("mean over the layers 2:")
    assert found.sentences[3] == "lrp: 0.50 (0.40 to 0.60)"
    old = finding("evaluate", (Path("runs/one/evaluate.h5"), {"summary": SUMMARY}), "")
    assert old.sentences == found.sentences[2:]


@pytest.mark.parametrize(
    ("checkpoint", "sha256", "wanted"),
    [
        ("best.pt", "ab", "best.pt"),
        ("random", "", "colours"),
        ("model.safetensors", "ab", "colours"),
        ("resnet", "ab", "colours"),
    ],
)
def test_a_network_is_called_as_its_file(checkpoint: str, sha256: str, wanted: str) -> None:
    """Every page of a person's own networks was called 'yolo'."""
    explainer = replace(
        colour_world.subject().explainer, name="colours", checkpoint=checkpoint, checkpoint_sha256=sha256
    )
    assert called(explainer) == wanted
