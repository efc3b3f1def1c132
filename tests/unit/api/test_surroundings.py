"""What a caller has switched on, and what other threads do, alters no number and breaks no network."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from colour_world import CLASS_NAMES, SIDE
from torch import nn

import lcrp
from lcrp.errors import ConfigError

OWN = {"task": "segmentation", "class_names": CLASS_NAMES, "input": (SIDE, SIDE, "none")}


class NormedWorld(nn.Module):
    """The colour world behind a BatchNorm, which rules merge into the convolution after it."""

    def __init__(self, world: nn.Module) -> None:
        super().__init__()
        self.first, self.norm, self.world = nn.Conv2d(3, 3, 1, bias=False), nn.BatchNorm2d(3), world
        nn.init.dirac_(self.first.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.world(self.norm(self.first(x)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "switched_on",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: torch.device("meta"),
    ],
)
def test_what_the_caller_switched_on_alters_nothing(
    module: nn.Module, squares: list[np.ndarray], switched_on: Callable[[], AbstractContextManager[object]]
) -> None:
    expected = lcrp.explain(lcrp.load(module, **OWN), squares[1])[0].heatmap
    with switched_on():
        explainer = lcrp.load(module, **OWN)
        within = lcrp.explain(explainer, squares[1])[0].heatmap
    np.testing.assert_array_equal(within, expected)
    np.testing.assert_array_equal(lcrp.explain(explainer, squares[1])[0].heatmap, expected)


def test_a_network_that_was_loaded_in_inference_mode_outlives_it(squares: list[np.ndarray]) -> None:
    with torch.inference_mode():
        explainer = lcrp.load("embedded:unet_scenes")
    assert lcrp.explain(explainer, squares[1])


def test_a_module_that_was_made_in_inference_mode_is_explained_as_a_copy(squares: list[np.ndarray]) -> None:
    with torch.inference_mode():
        module = NormedWorld(nn.Conv2d(3, 3, 1))
    flags = [one.requires_grad for one in module.parameters()]
    explainer = lcrp.load(module, **OWN)
    assert explainer.network is not module
    assert lcrp.explain(explainer, squares[1])
    assert [one.requires_grad for one in module.parameters()] == flags


def test_threads_that_explain_one_network_wait_for_each_other(module: nn.Module, squares: list[np.ndarray]) -> None:
    network = NormedWorld(module)
    explainer = lcrp.load(network, **OWN)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    expected = [lcrp.explain(explainer, picture)[0].heatmap for picture in squares[1:3]]
    start, found, errors = threading.Barrier(4), [], []

    def work(number: int) -> None:
        start.wait()
        try:
            for _ in range(5):
                heatmap = lcrp.explain(explainer, squares[1 + number])[0].heatmap
                found.append(np.array_equal(heatmap, expected[number]))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, found) == ([], [True] * 20)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())


class Quarter(nn.Module):
    """Logits of a quarter of the input's height and width, as many segmenters give them."""

    def __init__(self, stride: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, stride=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)  # type: ignore[no-any-return]


class Detached(Quarter):
    """Logits that nothing leads back from."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return super().forward(x)


def test_logits_of_another_size_are_refused_when_loading() -> None:
    with pytest.raises(ConfigError, match=rf"returns a tensor \[1, 3, 6, 6\] for \[1, 3, {SIDE}, {SIDE}\].*resize"):
        lcrp.load(Quarter(), **OWN)


def test_an_output_without_gradient_is_refused(squares: list[np.ndarray]) -> None:
    explainer = lcrp.load(Detached(stride=1), **OWN)
    with pytest.raises(ConfigError, match="carries no gradient"):
        lcrp.explain(explainer, squares[1])
