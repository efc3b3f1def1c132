"""The generalised gamma rule in closed form; notation as in `lcrp.composites.rules`."""

import torch
from typing_extensions import override

from lcrp.composites.arithmetic import STABILIZER, positive_part
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.families import LINEAR_MAPS
from lcrp.composites.operations.values import Operation
from lcrp.composites.settings import TYPICAL, positive
from lcrp.values import devices


class GeneralisedGamma(Rule):
    """Generalised gamma rule, the one for inputs of either sign (Andeol et al. 2021; L-CRP's rule for YOLOv6).

    With U = W + g W+ and V = W + g W-:

        R_in = x+ . (U *T s_pos + V *T s_neg) + x- . (V *T s_pos + U *T s_neg)
        s_pos = R / stab(x+ * U + x- * V + b + g b+)  where y > 0, else 0
        s_neg = R / stab(x+ * V + x- * U + b + g b-)  where y < 0, else 0

    Since x+ * W+ + x- * W- = (x * W + |x| * |W|) / 2, both denominators have the sign of y and the size

        d = (1 + g/2) |y| + g/2 (|x| * |W| + |b|)

    and with s = s_pos + s_neg = R sign(y) / stab(d), t = s sign(y), two adjoints are enough for four:

        R_in = (1 + g/2) x . (W *T s) + g/2 |x| . (|W| *T t)

    Args:
        gamma: g.

    Raises:
        ConfigError: gamma is not positive.
    """

    explains = LINEAR_MAPS
    follows_sign = True

    def __init__(self, gamma: float = TYPICAL["gamma"]) -> None:
        self.gamma = positive("gamma", gamma)

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _GeneralisedGammaStep


class _GeneralisedGammaStep(Step):
    rule: GeneralisedGamma
    reads_output = True
    reads_signs = True
    in_windows = True

    def prepare(self) -> None:
        offset = self.map.offset()
        self._is_signed = self.is_signed()
        x = self.x.abs() if self._is_signed else self.x
        size = self.linear_map(x, self._by_size(), self._half * offset.abs() + STABILIZER)
        size = size.add_(self.y.abs(), alpha=1 + self._half)
        self._offsets = (1 + self._half) * offset, self._half * offset.abs()
        self.shares = (self.scale(size, with_sign_of=self.y),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]  # s
        sizes = torch.copysign(scaled, upper)  # t
        for one, offset in zip((scaled, sizes), self._offsets, strict=True):
            self.bias_takes(one, offset)
        if self._is_signed:
            lower = self.adjoint(scaled, self._by_sign()).mul_(self.x)
            return lower.addcmul_(self.adjoint(sizes, self._by_size()), self.x.abs())
        if not devices.waits(scaled) and torch.equal(scaled, sizes):  # behind a ReLU
            return self.adjoint(scaled, self.weight("W + g W+", self._emphasised)).mul_(self.x)
        return self.adjoint(scaled, self._by_sign()).add_(self.adjoint(sizes, self._by_size())).mul_(self.x)

    @property
    def _half(self) -> float:
        return self.rule.gamma / 2

    def _by_sign(self) -> torch.Tensor:
        """(1 + g/2) W."""
        return self.weight("(1 + g/2) W", lambda weight: (1 + self._half) * weight)

    def _by_size(self) -> torch.Tensor:
        """g/2 |W|."""
        return self.weight("g/2 |W|", lambda weight: self._half * weight.abs())

    def _emphasised(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.rule.gamma * positive_part(weight)
