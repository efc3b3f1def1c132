"""Settings of rules and of composites."""

from typing import Literal, TypeVar, get_args

from lcrp.composites.arithmetic import STABILIZER
from lcrp.errors import ConfigError

Attention = Literal["cp", "attn"]  # CP-LRP (Ali et al. 2022), AttnLRP (Achtibat et al. 2024)
Resize = Literal["gradient", "contribution"]  # of every value that is interpolated
Gate = Literal["constant", "half"]  # all to the signal (Arras et al. 2017), half to each (Achtibat et al. 2024)

Choice = TypeVar("Choice", Attention, Resize, Gate)

TYPICAL = {"gamma": 0.25, "epsilon": STABILIZER}


def positive(name: str, value: float) -> float:
    """A setting of a rule, if it is a positive number.

    Raises:
        ConfigError: it is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < float("inf"):
        raise ConfigError(
            f"{name}={value!r} of the composite must be a positive number, such as {name}={TYPICAL[name]:g}"
        )
    return float(value)


def attention_by(value: Attention) -> Attention:
    """How relevance passes attention, if there is such a way.

    Raises:
        ConfigError: there is not.
    """
    return _chosen("attention", value, get_args(Attention))


def resize_by(value: Resize) -> Resize:
    """How relevance passes interpolations, if there is such a way.

    Raises:
        ConfigError: there is not.
    """
    return _chosen("resize", value, get_args(Resize))


def gate_by(value: Gate) -> Gate:
    """How relevance passes gates, if there is such a way.

    Raises:
        ConfigError: there is not.
    """
    return _chosen("gate", value, get_args(Gate))


def _chosen(name: str, value: Choice, choices: tuple[Choice, ...]) -> Choice:
    if value not in choices:
        listed = " or ".join(f"{name}={choice}" for choice in choices)
        raise ConfigError(f"{name}={value!r} of the composite is unknown; write {listed}")
    return value
