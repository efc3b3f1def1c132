"""The generalised gamma rule in closed form; notation as in `lcrp.composites.rules`."""

import torch
from torch import nn
from typing_extensions import override

from lcrp.composites.arithmetic import STABILIZER, is_zero, negative_part, positive_part, where_positive
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import LINEAR_MAPS
from lcrp.composites.operations.values import Operation
from lcrp.composites.rules.by_sign import agreeing, by_sign, weights_by_sign
from lcrp.composites.settings import TYPICAL, positive


class GeneralisedGamma(Rule):
    """Generalised gamma rule, the one for inputs of either sign (Andeol et al. 2021; L-CRP's rule for YOLOv6).

    With U = W + g W+ and V = W + g W-:

        R_in = x+ . (U *T s_pos + V *T s_neg) + x- . (V *T s_pos + U *T s_neg)
        s_pos = R / stab(x+ * U + x- * V + b + g b+)  where y > 0, else 0
        s_neg = R / stab(x+ * V + x- * U + b + g b-)  where y < 0, else 0

    With z = x+ * W+ + x- * W-, the denominators are y + g (z + b+) and y + g (y - z - b+).

    Args:
        gamma: g.

    Raises:
        ConfigError: gamma is not positive.
    """

    explains = LINEAR_MAPS

    def __init__(self, gamma: float = TYPICAL["gamma"]) -> None:
        self.gamma = positive("gamma", gamma)

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _GeneralisedGammaStep


class _GeneralisedGammaStep(Step):
    """Both denominators have the sign of y and the size |y| + g (z + b+), and g |y| more where y < 0."""

    rule: GeneralisedGamma
    reads_output = True
    in_windows = True

    def prepare(self) -> None:
        gamma, y = self.rule.gamma, self.y
        weights = weights_by_sign(self, factor=gamma)
        self._is_signed = len(weights) > 1
        offset = self.map.offset()
        self._offsets = offset + gamma * positive_part(offset), offset + gamma * negative_part(offset)
        size = agreeing(self, weights, gamma * positive_part(offset) + STABILIZER)
        self.shares = (self.scale(size.add_(nn.functional.leaky_relu(y, -1 - gamma)), with_sign_of=y),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]  # s_pos + s_neg
        above = where_positive(scaled, self.shares[0])  # s_pos
        below = scaled.sub_(above)  # s_neg, all zero behind a ReLU
        is_above = is_zero(below)
        self.bias_takes(above, self._offsets[0])
        if not is_above:
            self.bias_takes(below, self._offsets[1])
        lower = self._received(above, below, "U", "V", is_above=is_above)
        if not self._is_signed:
            return lower.mul_(self.x)
        return by_sign(self.x, lower, self._received(above, below, "V", "U", is_above=is_above))

    def _received(
        self, above: torch.Tensor, below: torch.Tensor, for_above: str, for_below: str, *, is_above: bool
    ) -> torch.Tensor:
        """What inputs of one sign receive from outputs of either sign, each through its own weight."""
        lower = self.adjoint(above, self._emphasised(for_above))
        return lower if is_above else lower.add_(self.adjoint(below, self._emphasised(for_below)))

    def _emphasised(self, name: str) -> torch.Tensor:
        """U = W + g W+ or V = W + g W-."""
        part = positive_part if name == "U" else negative_part
        return self.weight(name, lambda weight: weight + self.rule.gamma * part(weight))
