"""Commands as they are printed: complete, and quoted for the shell."""

import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from lcrp.config.commands import Command, key, quoted

GIVEN = ("stage=render", "model.checkpoint=my weights.pt", "stage.image=a.jpg", "+stage.x=0", "statistics.layers=[a]")


def test_the_command_that_makes_statistics_keeps_all_that_is_not_the_stages() -> None:
    given = (*GIVEN, "shard.count=2", "run=x")
    command = Command(program=("lcrp",), flags=("--config-dir", "my conf"), overrides=given)
    assert command.statistics() == (
        "lcrp --config-dir 'my conf' stage=glocal 'model.checkpoint=my weights.pt' 'statistics.layers=[a]'"
    )
    assert shlex.split(command.statistics())[-1] == "statistics.layers=[a]"


def test_an_experiment_makes_its_statistics_first() -> None:
    """Its settings of the stage would say nothing to another one."""
    command = Command(program=("lcrp",), overrides=("+experiment=deeplab_horse", "dataset.root=x"))
    assert command.statistics() == "lcrp +experiment=deeplab_horse dataset.root=x stage.make_statistics=true"


def test_the_same_command_with_more() -> None:
    assert Command(program=("python", "-m", "lcrp"), overrides=("run=a b",)).again("x=1") == (
        "python -m lcrp 'run=a b' x=1"
    )


@pytest.mark.parametrize(
    ("override", "setting"),
    [("a.b=1", "a.b"), ("+a=b=c", "a"), ("~stage.image", "stage.image"), ("++x=1", "x"), ("model@here=unet", "model")],
)
def test_settings_of_overrides(override: str, setting: str) -> None:
    assert key(override) == setting


@pytest.mark.parametrize(
    "text", ["best.pt", "a b.pt", "it's (1), {2}=3.pt", "1e5", "null", "7", r"C:\new\'", " a", "${x}", "[1]", ""]
)
def test_a_quoted_value_is_read_as_it_was(text: str) -> None:
    assert OverridesParser.create().parse_override(f"name={quoted(text)}").value() == text


def test_quotes_are_written_where_they_are_needed_alone() -> None:
    assert [quoted(text) for text in ("holiday/1.jpg", "1.5")] == ["holiday/1.jpg", "'1.5'"]
