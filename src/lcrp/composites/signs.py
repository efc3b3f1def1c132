"""Which inputs of rules are negative somewhere: asked of a device once per forward pass, for all rules together."""

import weakref

import torch

from lcrp.composites.closed_form import Step
from lcrp.values import devices


class Signs:
    """Steps of a forward pass that compute less where no input is negative."""

    def __init__(self) -> None:
        self._steps: list[weakref.ref[Step]] = []

    def of(self, step: Step) -> None:
        """Look at the input of a step once the pass is over, if that is no look of its own."""
        if step.reads_signs and devices.waits(step.x) and step.x.numel():
            self._steps.append(weakref.ref(step))

    def look(self) -> None:
        """Tell all steps that are still there."""
        steps = [step for kept in self._steps if (step := kept()) is not None]
        self._steps = []
        if not steps:
            return
        any_below: dict[tuple[object, ...], torch.Tensor] = {}  # inputs are shared
        keys = [(step.x.data_ptr(), step.x.dtype, step.x.shape, step.x.stride()) for step in steps]
        for key, step in zip(keys, steps, strict=True):
            if key not in any_below:
                any_below[key] = step.x.amin() < 0
        (found,) = devices.fetched(torch.stack(list(any_below.values())))
        is_negative = dict(zip(any_below, found.tolist(), strict=True))
        for key, step in zip(keys, steps, strict=True):
            step.has_negative = is_negative[key]
