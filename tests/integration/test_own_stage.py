"""A stage of a person's own: a function, its YAML file, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import TINY, Outcome

CODE = '''
"""Which classes a network sees in the first pictures of a dataset."""

from pathlib import Path

from lcrp.decisions.subject import Subject
from lcrp.runs.run import Run


def seen(subject: Subject, run: Run, *, num_pictures: int, heading: str, extra: dict) -> Path:
    """One line per picture."""
    lines = [heading, repr(extra)]
    with subject.explainer.reader() as reader:
        for index in range(num_pictures):
            sample = subject.dataset[index]
            (prediction,) = subject.explainer.task.predictions(reader.output(sample.image[None]))
            found, _ = subject.explainer.task.predicted_targets(prediction, sample)
            lines.append(f"{sample.key}: {len(found)}")
    path = run.folder / "seen.txt"
    path.write_text("\\n".join(lines), encoding="utf-8")
    return path
'''
FILE = """# What a network sees. lcrp --config-dir mine/conf stage=seen stage.num_pictures=5
defaults:
  - /schema/stage@_here_: own
  - _self_

_target_: my_stages.seen
name: seen
num_pictures: 2  # from the first
heading: what is seen
extra: {a: 1}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's folder with a stage."""
    (tmp_path / "mine" / "conf" / "stage").mkdir(parents=True)
    (tmp_path / "mine" / "my_stages.py").write_text(CODE)
    (tmp_path / "mine" / "conf" / "stage" / "seen.yaml").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.usefixtures("mine")
def test_a_stage_of_ones_own_runs_like_any_other(lcrp: Callable[..., Outcome]) -> None:
    outcome = lcrp("--config-dir", "mine/conf", "stage=seen", "stage.num_pictures=1", *TINY)
    assert (outcome.code, outcome.err) == (0, [])
    path = Path(outcome.out[-1])
    assert path.parent.name.endswith("_seen_yolov5_scenes")
    assert (path.parent / "provenance.json").is_file()
    assert path.read_text().splitlines() == ["what is seen", "{'a': 1}", "val/00000: 1"]


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "stage.num_picture=1",
            "stage: seen: got an unexpected keyword argument 'num_picture'; nearest: 'num_pictures'",
        ),
        ("~stage.heading", "stage: seen: missing a required argument: 'heading'"),
        ("stage._target_=my_stages.scene", "stage._target_='my_stages.scene' cannot be imported"),
    ],
)
def test_what_does_not_fit_the_function_is_one_line(lcrp: Callable[..., Outcome], override: str, message: str) -> None:
    outcome = lcrp("--config-dir", "mine/conf", "stage=seen", override, *TINY)
    assert (outcome.code, len(outcome.err)) == (1, 1)
    assert outcome.err[0].startswith(f"lcrp: error: {message}")


def test_a_file_without_schema_says_what_it_lacks(lcrp: Callable[..., Outcome], mine: Path) -> None:
    file = mine / "conf" / "stage" / "seen.yaml"
    file.write_text(FILE.replace("defaults:\n  - /schema/stage@_here_: own\n  - _self_\n", ""))
    outcome = lcrp("--config-dir", "mine/conf", "stage=seen", *TINY)
    assert (outcome.code, len(outcome.err)) == (1, 1)
    assert "it must begin with 'defaults: [/schema/stage@_here_: own, _self_]'" in outcome.err[0]
