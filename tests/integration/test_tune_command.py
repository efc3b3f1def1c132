"""stage=tune as a command, and composite=tuned after it."""

from collections.abc import Callable
from pathlib import Path

from conftest import Outcome

CommandLine = Callable[..., Outcome]

SMALL = ("model=unet", "model.input.height=64", "model.input.width=64", "statistics.targets=predicted")
FEW = (*SMALL, "stage=tune", "stage.num_targets=2", "stage.num_confirmed=2", "stage.num_layers=1")


def test_a_network_is_tuned_and_explained_by_that(lcrp: CommandLine, tmp_path: Path) -> None:
    outcome = lcrp(*FEW, "stage.minutes=0.01", "statistics.num_samples=16")
    assert outcome.code == 0
    folder = max((tmp_path / "outputs" / "runs").iterdir())
    names = {path.name for path in folder.iterdir()}
    assert names >= {"tuned.yaml", "tune.h5", "tune.png", "candidates.csv", "confirmation.csv", "verdict.csv"}
    assert any("the default 'epsilon_plus_flat' stays: on 2 decisions" in line for line in outcome.out) or any(
        "no candidate was better than the default 'epsilon_plus_flat'" in line for line in outcome.out
    )
    (header, *lines) = (folder / "candidates.csv").read_text().splitlines()
    assert header.startswith("candidate,rank,decisions,channels,pixels,agreement,channels_lead")
    assert len(lines) == 3
    explained = lcrp(*SMALL, "composite=tuned", "statistics.num_samples=2")
    assert explained.code == 0
    place = folder.relative_to(tmp_path) / "tuned.yaml"
    told = f"composite=tuned: epsilon_plus_flat, from '{place}', which says: "
    assert any(told in line for line in explained.out)
    assert list((tmp_path / "outputs" / "statistics").glob("unet_scenes_epsilon_plus_flat/*.h5"))


def test_what_cannot_be_used_is_one_line(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("{", encoding="utf-8")
    for arguments, message in (
        (("composite=tuned", "composite.file=broken.yaml"), "broken.yaml' cannot be read as YAML"),
        (("composite=tuned", "+composite.rule=z_plus"), "composite.rule says nothing to composite=tuned"),
        (("stage=tune", "stage.minutes=-1"), "stage.minutes=-1.0 is no time"),
        (("stage=tune", "shard.count=2"), "stage.minutes=20 plans by the time that one process takes, and shards need"),
    ):
        outcome = lcrp("model=unet", *arguments)
        assert outcome.code == 1
        assert len(outcome.err) == 1, outcome.err
        assert message in outcome.err[0]
