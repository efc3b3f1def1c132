"""From the model's settings to a network with weights and names."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lcrp.config.compose import composed
from lcrp.config.model import Model
from lcrp.config.network import fresh_network, trained_network
from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.checkpoint import save_checkpoint

CPU = torch.device("cpu")


def model(**changes: object) -> Model:
    settings = composed(["model=unet", "model.network.width=0.05"]).model
    return replace(settings, **changes)  # type: ignore[arg-type]


def test_random_weights_are_the_same_each_time_and_leave_the_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second = (trained_network(model(checkpoint="random"), ("a", "b"), CPU, tmp_path) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    pairs = zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert (first.checkpoint, first.checkpoint_sha256) == ("random", "")
    assert first.class_names == ("a", "b")
    assert first.arguments["num_classes"] == 2
    assert not first.network.training
    assert not any(parameter.requires_grad for parameter in first.network.parameters())


def test_a_checkpoint_brings_its_size_and_names(tmp_path: Path) -> None:
    given = trained_network(model(checkpoint="random"), ("a", "b", "c"), CPU, tmp_path)
    save_checkpoint(tmp_path / "mine.pt", given.network, class_names=["x", "y", "z"])
    wide = model(checkpoint="mine.pt")
    wide.network["width"] = 1.0  # the file's own counts
    found = trained_network(wide, ("a", "b", "c"), CPU, tmp_path)
    assert found.class_names == ("x", "y", "z")
    assert (found.checkpoint, len(found.checkpoint_sha256)) == ("mine.pt", 64)
    assert found.arguments["width"] == pytest.approx(0.05, abs=0.02)
    named = trained_network(replace(wide, class_names=["p", "q", "r"]), None, CPU, tmp_path)
    assert named.class_names == ("p", "q", "r")
    with pytest.raises(ConfigError, match=r"^the model has 3 classes, but 2 class names are known \(p, ...\)"):
        trained_network(replace(wide, class_names=["p", "q"]), None, CPU, tmp_path)
    half = trained_network(wide, None, CPU, tmp_path, torch.bfloat16)
    assert next(half.network.parameters()).dtype is torch.bfloat16


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"checkpoint": None}, ConfigError, "model.checkpoint has no value"),
        ({"checkpoint": "absent.pt"}, CheckpointError, "absent.pt' is not there"),
        ({"checkpoint": "random", "network": {"_target_": "lcrp.data.voc.voc2012"}}, ConfigError, "network: voc2012"),
        ({"checkpoint": "random", "network": {"_target_": "pathlib.Path"}}, ConfigError, "gives no torch.nn.Module"),
    ],
)
def test_what_makes_no_network_is_told(
    changes: dict[str, object], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=message):
        trained_network(model(**changes), ("a", "b"), CPU, tmp_path)


def test_without_any_names_they_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing says what the model's classes are called; write model.class_names"):
        trained_network(model(checkpoint="random"), None, CPU, tmp_path)


def test_a_fresh_network_goes_by_its_seed() -> None:
    settings = composed(["model=unet", "model.network.width=0.05"]).model
    first, same, other = (fresh_network(settings, ("a",), seed, CPU) for seed in (1, 1, 2))
    weights = [next(network.parameters()) for network in (first, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.training
