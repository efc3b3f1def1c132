"""Looks at a network on a card that is not there: no tensor of the CPU meets one of the card."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import colour_world
import numpy as np
import pytest
import torch
import toy
from colour_world import CLASS_NAMES, SIDE, Squares
from pretended_cuda import CUDA, is_possible, moved, pretended_cuda

from lcrp.attribution.methods import Method, Reading
from lcrp.composites.composites import gradient
from lcrp.composites.spec import GRADIENT, CompositeSpec
from lcrp.stages.tune.measures import Decision, Look, Steps
from lcrp.values.target import ExplainedTarget, Target

OTHER = CompositeSpec(name="other", build=gradient, is_lrp=False, conserves=False)  # with a pass of its own


def numbers(tensor: torch.Tensor) -> Any:
    """Some, where a tensor of the CPU becomes an array."""
    assert tensor.device.type == "cpu"
    return np.random.default_rng(0).random(tuple(tensor.shape))


def from_numbers(array: Any) -> torch.Tensor:
    """A pretended tensor of the CPU."""
    kinds = {"f": torch.float32 if array.dtype == np.float32 else torch.float64, "i": torch.int64}
    return torch.zeros(array.shape, dtype=kinds[array.dtype.kind])


def are_close(first: torch.Tensor, second: torch.Tensor, **_: object) -> bool:
    assert first.device == second.device
    return True


@pytest.mark.skipif(not is_possible(), reason="this torch asks for a driver")
@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize(
    ("reading", "composite"),
    [("relevance", GRADIENT), ("relevance", OTHER), ("gradcam", GRADIENT), ("random", GRADIENT)],
)
def test_what_is_looked_at_lies_where_the_network_lies(reading: Reading, composite: CompositeSpec) -> None:
    sample, target = Squares()[1], Target(sample=1, class_id=1)
    with ExitStack() as stack:
        stack.enter_context(pretended_cuda(1.0))
        stack.enter_context(patch("torch.Tensor.numpy", numbers))
        stack.enter_context(patch("torch.from_numpy", from_numbers))
        stack.enter_context(
            patch("torch.unique", lambda keep, **_: (keep, torch.arange(len(keep), device=keep.device)))
        )
        stack.enter_context(patch("torch.allclose", are_close))
        explainer = toy.explainer(moved(colour_world.network()), CLASS_NAMES, SIDE)
        assert explainer.device == CUDA
        explained = ExplainedTarget(target=target, key="", score=1.0, confidence=1.0)
        decision = Decision(sample=1, explained=explained, mask=torch.ones(SIDE, SIDE, dtype=torch.bool))
        reader = stack.enter_context(explainer.reader())
        here = replace(sample, image=torch.rand(3, SIDE, SIDE))
        look = Look(explainer, reader, ["0", "2"], decision, here, 0)
        found = look.scores(Method(name="own", reading=reading, composite=composite), Steps(channels=3, pixels=3))
        assert not found["has_failed"][0]
        assert np.isfinite(found["pixel_insertion"]).all()
        assert np.isfinite(found["flipping"]).all()
