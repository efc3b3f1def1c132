"""LRP rules in closed form.

Notation: x input, W weight, b bias, y output, R relevance of the output; * the linear map without bias, *T its
adjoint; a+ = max(a, 0), a- = min(a, 0); stab(z) = z + 1e-6 (sign z, with sign 0 = 1).
"""

import torch
from torch import nn
from typing_extensions import override

from lcrp.composites.arithmetic import (
    STABILIZER,
    has_negative,
    is_zero,
    negative_part,
    positive_part,
    stabilised,
    where_positive,
)
from lcrp.composites.closed_form import Rule, Step, Tensors
from lcrp.composites.operations.linear_map import LinearMap
from lcrp.composites.operations.values import Local, Masked, Operation, Scaling, Softmax, Sum
from lcrp.composites.settings import TYPICAL, positive
from lcrp.composites.windowed import whole


class ZPlus(Rule):
    """z+ rule (Montavon et al., Pattern Recognition 65, 2017, section 4), for inputs of either sign.

    R_in = x+ . (W+ *T s) + x- . (W- *T s),   s = R / stab(x+ * W+ + x- * W- + b+)
    """

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _ZPlusStep


class _ZPlusStep(Step):
    in_windows = True

    def prepare(self) -> None:
        self._weights = _weights_by_sign(self)
        self._offset = positive_part(self.map.offset())
        self.shares = (self.scale(_agreeing(self, self._weights, self._offset + STABILIZER)),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]
        self.bias_takes(scaled, self._offset)
        above, *below = self._weights
        lower = self.adjoint(scaled, above)
        if not below:
            return lower.mul_(self.x)
        return _by_sign(self.x, lower, self.adjoint(scaled, below[0]))


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
        weights = _weights_by_sign(self, factor=gamma)
        self._is_signed = len(weights) > 1
        offset = self.map.offset()
        self._offsets = offset + gamma * positive_part(offset), offset + gamma * negative_part(offset)
        size = _agreeing(self, weights, gamma * positive_part(offset) + STABILIZER)
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
        return _by_sign(self.x, lower, self._received(above, below, "V", "U", is_above=is_above))

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


class Epsilon(Rule):
    """Epsilon rule (Bach et al., PLOS ONE 10(7), 2015): R_in = x . (W *T (R / stab(y))).

    A norm in evaluation mode is a scaling of its channels. One that was merged into the linear map before it, which has
    a rule of its own, is the identity; that rule absorbs it.

    Args:
        epsilon: what stab adds.

    Raises:
        ConfigError: epsilon is not positive.
    """

    def __init__(self, epsilon: float = STABILIZER) -> None:
        self.epsilon = positive("epsilon", epsilon)

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _EpsilonStep if isinstance(operation, LinearMap) else _ScalingEpsilonStep


class _EpsilonStep(Step):
    rule: Epsilon
    reads_output = True
    in_windows = True

    def prepare(self) -> None:
        self.shares = (self.scale(stabilised(self.y, self.rule.epsilon)),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]
        self.bias_takes(scaled)
        return self.adjoint(scaled, self.weight("W", torch.Tensor.detach)).mul_(self.x)


class _ScalingEpsilonStep(Step):
    keeps = "for constants"
    rule: Epsilon
    operation: Scaling
    reads_output = True
    in_windows = True

    def prepare(self) -> None:
        self.shares = (self.operation.factor * self.x / stabilised(self.y, self.rule.epsilon),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper * self.shares[0]


class Norm(Rule):
    """Relevance of sums and means, by contribution: R_in = x . (A *T (R / stab(A * x))) for the linear map A."""

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _NormSumStep if isinstance(operation, Sum) else _NormLocalStep


class _NormStep(Step):
    operation: Sum | Local
    reads_output = True

    def prepare(self) -> None:
        if self.operation.has_constant:
            self.keeps = "for constants"
        self.shares = (stabilised(self.y).reciprocal_(),)


class _NormSumStep(_NormStep):
    operation: Sum
    in_windows = True

    def lower(self, upper: torch.Tensor) -> Tensors:
        scaled = upper * self.shares[0]
        pairs = zip(self.operation.signs, self.inputs, strict=True)
        lower = (x * scaled if sign > 0 else (x * scaled).neg_() for sign, x in pairs)
        if not self.operation.broadcasts:
            return tuple(lower)
        return tuple(one.sum_to_size(x.shape) for one, x in zip(lower, self.inputs, strict=True))


class _NormLocalStep(_NormStep):
    operation: Local

    def lower(self, upper: torch.Tensor) -> Tensors:
        inputs = [x.detach().requires_grad_() for x in self.inputs]
        with torch.enable_grad():
            y = self.operation.function(*inputs)
        lower = torch.autograd.grad(y, inputs, upper * self.shares[0])
        return tuple(share * (one * x) for share, one, x in zip(self.operation.shares, lower, self.inputs, strict=True))


class Pass(Rule):
    """Relevance passes as it is, but where a factor is zero; summed where the input was broadcast."""

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _MaskedPassStep if isinstance(operation, Masked) else _PassStep


class _PassStep(Step):
    keeps = "nothing"
    reads_input = False

    def relevance(self, upper: torch.Tensor) -> torch.Tensor:
        return upper if upper.shape == self.shapes[0] else self.lower(whole(upper))  # windowed maps pass too

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper.sum_to_size(self.shapes[0])


class _MaskedPassStep(Step):
    keeps = "for constants"
    operation: Masked
    reads_input = False

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return torch.where(self.operation.factor != 0, upper, 0).sum_to_size(self.shapes[0])


class Moved(Rule):
    """Relevance of values goes where they came from; what lies on constants among them stays there."""

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _MovedStep


class _MovedStep(Step):
    keeps = "for constants"
    operation: Local
    reads_input = False

    def lower(self, upper: torch.Tensor) -> Tensors:
        inputs = [upper.new_zeros(shape).requires_grad_() for shape in self.shapes]
        with torch.enable_grad():
            y = self.operation.function(*inputs)
        return torch.autograd.grad(y, inputs, upper)


class Halves(Rule):
    """Both factors of a product take half of its relevance (Achtibat et al., AttnLRP, 2024, section 3.2)."""

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _HalvesStep


class _HalvesStep(Step):
    keeps = "nothing"
    reads_input = False

    def lower(self, upper: torch.Tensor) -> Tensors:
        share = upper / len(self.shapes)
        return tuple(share.sum_to_size(shape) for shape in self.shapes)


class AttentionSoftmax(Rule):
    """Softmax by its first-order expansion (Achtibat et al., AttnLRP, 2024, proposition 3.1): x . (R - y sum R)."""

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _AttentionSoftmaxStep


class _AttentionSoftmaxStep(Step):
    operation: Softmax
    reads_output = True

    def prepare(self) -> None:
        self.shares = (self.y,)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        x = torch.where(self.x.isinf(), 0, self.x)  # what is masked has no part
        return x * (upper - self.shares[0] * upper.sum(self.operation.dim, keepdim=True))


class PositiveGradient(Rule):
    """The gradient of a ReLU, stopped where it is negative (Springenberg et al., guided backpropagation, 2015)."""

    @override
    def step_type(self, operation: Operation) -> type[Step]:
        return _PositiveGradientStep


class _PositiveGradientStep(Step):
    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return where_positive(positive_part(upper), self.x)


def _weights_by_sign(step: Step, factor: float = 1.0) -> Tensors:
    """Factor W+ for x+, and factor W- for x- where any x is negative."""
    above = step.weight(f"{factor} W+", lambda weight: factor * positive_part(weight))
    if not has_negative(step.x):
        return (above,)
    return above, step.weight(f"{factor} W-", lambda weight: factor * negative_part(weight))


def _agreeing(step: Step, weights: Tensors, offset: torch.Tensor) -> torch.Tensor:
    """x+ * W+ (+ x- * W-) + offset [C]: what speaks for an output."""
    above, *below = weights
    if not below:
        return step.linear_map(step.x, above, offset)
    agreeing = step.linear_map(positive_part(step.x), above, offset)
    return agreeing.add_(step.linear_map(negative_part(step.x), below[0]))


def _by_sign(x: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """x+ . positive + x- . negative; `positive` is overwritten."""
    return positive.mul_(positive_part(x)).addcmul_(negative_part(x), negative)
