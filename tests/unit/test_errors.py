"""Errors say what is wrong everywhere; what to set is said at the command line alone."""

import pickle

import pytest

from lcrp.config.messages import one_line
from lcrp.errors import LayerError, LcrpError


@pytest.mark.parametrize("message", ["layer 'x' is not there", "layer 'x' is not there."])
def test_only_the_command_line_names_settings(message: str) -> None:
    error = LayerError(message, mend="Set stage.layer")
    assert str(error) == message
    assert one_line(error) == "layer 'x' is not there. Set stage.layer"


def test_without_a_mend_both_say_the_same() -> None:
    assert one_line(LcrpError("it is so")) == str(LcrpError("it is so")) == "it is so"


def test_a_mend_crosses_processes() -> None:
    sent = pickle.loads(pickle.dumps(LayerError("wrong", mend="Set stage.layer")))
    assert (type(sent), str(sent), sent.mend) == (LayerError, "wrong", "Set stage.layer")
