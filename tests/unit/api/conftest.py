"""A person's own network and pictures: the colours of the toy world, as they come without lcrp."""

from pathlib import Path

import colour_world
import numpy as np
import pytest
from torch import nn

from lcrp import Explainer, load

SIDE = colour_world.SIDE


@pytest.fixture
def module() -> nn.Module:
    """Sees red, green and blue."""
    return colour_world.network()


@pytest.fixture
def explainer(module: nn.Module) -> Explainer:
    return load(module, task="segmentation", class_names=colour_world.CLASS_NAMES, input=(SIDE, SIDE, "none"))


@pytest.fixture
def squares() -> list[np.ndarray]:
    """Blue pictures with one square each, red, green, red ...; nothing but blue in the first one."""
    world = colour_world.Squares()
    return [
        (world[number].image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8) for number in range(len(world))
    ]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is written goes below the test's own folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
