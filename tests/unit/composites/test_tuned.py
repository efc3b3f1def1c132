"""Composites of stage=tune: their rules by words."""

import pytest
from torch import nn

from lcrp.composites.rules import Epsilon, Flat, GeneralisedGamma, ZPlus
from lcrp.composites.spec import CompositeSpec
from lcrp.composites.tuned import rule_of, tuned
from lcrp.errors import ConfigError

NETWORK = nn.Sequential(nn.Conv2d(1, 1, 1))


def test_layers_have_the_rules_of_their_names() -> None:
    table = tuned(NETWORK, rule="z_plus", layers={"gamma 0.5": ["head.0"], "epsilon": ["neck.*"]})
    gamma = table.rule("convolution", "head.0")
    assert isinstance(gamma, GeneralisedGamma)
    assert gamma.gamma == 0.5
    assert isinstance(table.rule("linear", "neck.3.fc"), Epsilon)
    assert isinstance(table.rule("linear", "backbone.fc"), ZPlus)  # linear layers, too
    assert isinstance(table.rule("convolution", "stem", is_first=True), Flat)
    table = tuned(NETWORK, rule="z_plus", layers={}, first=None)
    assert isinstance(table.rule("convolution", "stem", is_first=True), ZPlus)


@pytest.mark.parametrize("word", ["gama 0.1", "gamma", "gamma x", "epsilon 3", "", "None", "gamma -1", "gamma nan"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown; nearest|must be a positive number"):
        rule_of(word)


def test_rules_are_part_of_the_identity() -> None:
    first, second = (
        CompositeSpec(name="tuned", build=tuned, settings={"rule": "z_plus", "layers": {"epsilon": [name]}})
        for name in ("a", "b")
    )
    assert first.identity() != second.identity()
    assert first.title == "tuned (rule=z_plus, layers=epsilon)"
