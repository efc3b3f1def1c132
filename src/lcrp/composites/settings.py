"""Settings of rules."""

from lcrp.composites.arithmetic import STABILIZER
from lcrp.errors import ConfigError

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
