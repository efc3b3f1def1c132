"""The z+ rule in closed form; notation as in `lcrp.composites.rules`."""

from typing import Any

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import STABILIZER, negative_part, positive_part
from lcrp.composites.closed_form import Rule, Step, Tensors
from lcrp.composites.families import LINEAR_MAPS
from lcrp.composites.operations.values import Operation
from lcrp.composites.windows import can_have_windows

_PRECISE = (torch.float32, torch.float64)
_LEAST = 2**-10  # share of what agrees in all, from which on the rounding of a difference does not count


class ZPlus(Rule):
    """z+ rule (Montavon et al., Pattern Recognition 65, 2017, section 4), for inputs of either sign.

    R_in = x+ . (W+ *T s) + x- . (W- *T s),   s = R / stab(x+ * W+ + x- * W- + b+)

    On CPUs the denominator of a large map takes one convolution instead of two: what agrees and what disagrees add up
    to |x| * |W| + |b|, and differ by y, so that it is half the sum of these. A map in which so little agrees somewhere
    that their rounding would count is summed part by part.
    """

    explains = LINEAR_MAPS
    follows_sign = False

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _ZPlusStep


class _ZPlusStep(Step):
    reads_signs = True
    in_windows = True

    def __init__(
        self, rule: Rule, operation: Operation, inputs: Tensors, y: torch.Tensor | None, **options: Any
    ) -> None:
        super().__init__(rule, operation, inputs, y, **options)
        if y is None or y.dtype not in _PRECISE or not can_have_windows(operation, y):
            return
        if self.is_signed():
            self._y = y
        else:
            self.has_negative = False

    def prepare(self) -> None:
        self._above = self.weight("W+", positive_part)
        self._below = self.weight("W-", negative_part) if self.is_signed() else None
        self._offset = positive_part(self.map.offset())
        self.shares = (self.scale(self._agreeing()),)

    def _agreeing(self) -> torch.Tensor:
        """x+ * W+ + x- * W- + b+ + the stabiliser."""
        offset = self._offset + STABILIZER
        if self._below is None:
            return self.linear_map(self.x, self._above, offset)
        if self.row is not None and self._y is not None and self._y.dtype in _PRECISE:
            half = self.weight("|W| / 2", lambda weight: weight.abs() / 2)
            sizes = self.linear_map(self.x.abs(), half, self.map.offset().abs() / 2 + STABILIZER)
            if (self.y / sizes).amin() > 4 * _LEAST - 2:  # as the share is (2 + y / sizes) / 4
                return sizes.add_(self.y, alpha=0.5)
        agreeing = self.linear_map(positive_part(self.x), self._above, offset)
        return agreeing.add_(self.linear_map(negative_part(self.x), self._below))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]
        self.bias_takes(scaled, self._offset)
        lower = self.adjoint(scaled, self._above)
        if self._below is None:
            return lower.mul_(self.x)
        lower = lower.mul_(positive_part(self.x))
        return lower.addcmul_(negative_part(self.x), self.adjoint(scaled, self._below))
