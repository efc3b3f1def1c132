"""How examples are drawn where each of them is slow: the same ones every time, never shrunk."""

from hypothesis import HealthCheck, Phase, settings


def repeatable(max_examples: int) -> settings:
    """A decorator for property tests."""
    return settings(
        max_examples=max_examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
