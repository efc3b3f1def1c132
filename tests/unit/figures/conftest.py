"""Explanations of made-up decisions."""

from collections.abc import Callable

import pytest
from made_up import made_up_explanation

from lcrp.values.explanation import Explanation


@pytest.fixture
def make() -> Callable[..., Explanation]:
    """Makes an explanation of a box in the middle of a picture of noise."""
    return made_up_explanation
