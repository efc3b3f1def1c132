"""The z+ rule in closed form; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import STABILIZER, negative_part, positive_part
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import LINEAR_MAPS
from lcrp.composites.operations.values import Operation


class ZPlus(Rule):
    """z+ rule (Montavon et al., Pattern Recognition 65, 2017, section 4), for inputs of either sign.

    R_in = x+ . (W+ *T s) + x- . (W- *T s),   s = R / stab(x+ * W+ + x- * W- + b+)
    """

    explains = LINEAR_MAPS
    follows_sign = False

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _ZPlusStep


class _ZPlusStep(Step):
    reads_signs = True
    in_windows = True

    def prepare(self) -> None:
        self._above = self.weight("W+", positive_part)
        self._below = self.weight("W-", negative_part) if self.is_signed() else None
        self._offset = positive_part(self.map.offset())
        offset = self._offset + STABILIZER
        if self._below is None:
            agreeing = self.linear_map(self.x, self._above, offset)
        else:
            agreeing = self.linear_map(positive_part(self.x), self._above, offset)
            agreeing.add_(self.linear_map(negative_part(self.x), self._below))
        self.shares = (self.scale(agreeing),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]
        self.bias_takes(scaled, self._offset)
        lower = self.adjoint(scaled, self._above)
        if self._below is None:
            return lower.mul_(self.x)
        lower = lower.mul_(positive_part(self.x))
        return lower.addcmul_(negative_part(self.x), self.adjoint(scaled, self._below))
