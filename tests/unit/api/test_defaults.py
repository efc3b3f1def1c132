"""What Python takes by default is what the command line takes."""

import inspect
from collections.abc import Callable

import pytest

import lcrp
from lcrp.config.compose import composed

ABSENT = object()


@pytest.mark.parametrize(
    ("function", "stage", "part"),
    [
        (lcrp.explain, "render", "stage"),
        (lcrp.evaluate, "evaluate", "stage"),
        (lcrp.audit, "audit", "stage"),
        (lcrp.tune, "tune", "stage"),
        (lcrp.context, "context", "stage"),
        (lcrp.statistics, "glocal", "statistics"),
        (lcrp.statistics, "glocal", "stage"),
    ],
)
def test_defaults_are_those_of_the_yaml(function: Callable[..., object], stage: str, part: str) -> None:
    settings = getattr(composed([f"stage={stage}"]), part)
    compared = []
    for name, parameter in inspect.signature(function).parameters.items():
        there = getattr(settings, name, ABSENT)
        if there is ABSENT or parameter.default is inspect.Parameter.empty or name == "targets":  # goes by the data
            continue
        here = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        assert here == there, name
        compared.append(name)
    assert compared
