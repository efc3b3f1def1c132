"""The z+ rule in closed form; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import STABILIZER, positive_part
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import LINEAR_MAPS
from lcrp.composites.operations.values import Operation
from lcrp.composites.rules.by_sign import agreeing, by_sign, weights_by_sign


class ZPlus(Rule):
    """z+ rule (Montavon et al., Pattern Recognition 65, 2017, section 4), for inputs of either sign.

    R_in = x+ . (W+ *T s) + x- . (W- *T s),   s = R / stab(x+ * W+ + x- * W- + b+)
    """

    explains = LINEAR_MAPS

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _ZPlusStep


class _ZPlusStep(Step):
    in_windows = True

    def prepare(self) -> None:
        self._weights = weights_by_sign(self)
        self._offset = positive_part(self.map.offset())
        self.shares = (self.scale(agreeing(self, self._weights, self._offset + STABILIZER)),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]
        self.bias_takes(scaled, self._offset)
        above, *below = self._weights
        lower = self.adjoint(scaled, above)
        if not below:
            return lower.mul_(self.x)
        return by_sign(self.x, lower, self.adjoint(scaled, below[0]))
