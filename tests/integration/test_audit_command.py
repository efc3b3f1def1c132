"""stage=audit as a command: files, sentences, and one line where it cannot be meant."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Outcome

CommandLine = Callable[..., Outcome]

FEW = (
    *("stage=audit", "model=unet", "statistics.num_samples=16", "stage.num_objects=2"),
    *("stage.num_grounds=2", "stage.num_synthetic=1", "stage.n_concepts=1"),
)


def test_an_audit_of_a_segmenter(lcrp: CommandLine, tmp_path: Path) -> None:
    outcome = lcrp(*FEW)
    assert outcome.code == 0
    folder = max((tmp_path / "outputs" / "runs").iterdir())
    names = {path.stem for path in folder.glob("*.csv")}
    assert names == {  # no false alarms of a segmenter
        *("verdicts", "classes", "outcomes", "company", "decisions", "grounds"),
        *("concepts", "carriers", "surroundings", "shown"),
    }
    assert any("smaller classes together" in line for line in outcome.out)
    assert any(
        "the placebo, its own surroundings put back without other objects, costs" in line for line in outcome.out
    )
    header, *lines = (folder / "verdicts.csv").read_text().splitlines()
    assert header.startswith("class,class_id,verdict,difference,low,high,objects,pictures,needed")
    assert len(lines) == 1, "small classes are pooled"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stage.num_grounds=1",), "stage.num_grounds=1 is too small"),
        (("stage.num_synthetic=16",), "num_synthetic=16 is more than the 15 that there are"),
        (("stage.n_concept=1",), "n_concept"),
    ],
)
def test_what_cannot_be_meant_is_one_line(lcrp: CommandLine, arguments: tuple[str, ...], message: str) -> None:
    outcome = lcrp("stage=audit", "statistics.num_samples=4", *arguments)
    assert outcome.code == 1
    assert message in "\n".join(outcome.err)
