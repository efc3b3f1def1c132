"""What Hydra and omegaconf complain of, in one line."""

import pytest
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lcrp.config.messages import NO_SCHEMA, known_settings, one_line, unknown_choice, unknown_setting
from lcrp.config.root import Config, Stage, Statistics
from lcrp.errors import StoreError


def config() -> DictConfig:
    node = OmegaConf.structured(Config)
    OmegaConf.set_struct(node, True)
    assert isinstance(node, DictConfig)
    return node


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("statistics.topn", 1, "'statistics.topn' is not a setting; did you mean 'statistics.top_n'? 'lcrp --cfg job'"),
        ("statistics.best", 1, "'statistics.best' is not a setting; 'statistics' has "),
        ("statistics.top_n", "many", "'statistics.top_n': Value 'many' of type 'str' could not be converted to"),
        ("statistics.top_n", None, "'statistics.top_n' cannot be null"),
        ("stage.limit", 3, NO_SCHEMA),
    ],
)
def test_a_wrong_setting_is_named_with_the_known_ones(key: str, value: object, message: str) -> None:
    with pytest.raises(OmegaConfBaseException) as caught:
        OmegaConf.update(config(), key, value)
    assert one_line(caught.value).startswith(message)


def test_a_missing_value_says_what_to_write() -> None:
    with pytest.raises(OmegaConfBaseException) as caught:
        _ = config().statistics.top_n
    assert one_line(caught.value) == "'statistics.top_n' has no value; write statistics.top_n=..."


def test_own_errors_say_their_mend_too() -> None:
    assert one_line(StoreError("not\n there", mend="Make it: lcrp")) == "not there. Make it: lcrp"


def test_errors_without_words_have_their_name() -> None:
    assert one_line(KeyError()) == "KeyError"


def test_choices_and_settings_are_listed_nearest_first() -> None:
    told = unknown_choice("stage/rendr", ["glocal", "render"])
    assert told == "stage 'rendr' does not exist; nearest: 'render', 'glocal'"
    assert unknown_choice("other", []) == "configuration 'other' is not found; the default one is 'config'"
    told = unknown_setting("gpu", ["run", "device"])
    assert told.startswith("'gpu' is not a setting; there are 'run', 'device'")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("devise", "device"),
        ("stage.rectagle", "stage.rectangle"),
        ("stage.rect", "stage.rectangle"),
        ("model.input.r", "model.input.run"),
    ],
)
def test_a_misspelt_or_broken_off_setting_is_asked_for(key: str, meant: str) -> None:
    told = unknown_setting(key, ["run", "device", "rectangle"])
    assert told == f"'{key}' is not a setting; did you mean '{meant}'? 'lcrp --cfg job' shows all"


def test_settings_that_hydra_reads_are_not_listed() -> None:
    assert known_settings(Stage) == ("name",)
    assert "top_n" in known_settings(Statistics)


def test_an_error_that_was_raised_from_itself_ends() -> None:
    error = StoreError("no room")
    error.__cause__ = error
    assert one_line(error) == "no room"
    first, second = ValueError("one"), ValueError("two")
    first.__context__, second.__context__ = second, first
    assert one_line(first)
