"""LRP rules in closed form.

Notation: x input, W weight, b bias, y output, R relevance of the output; * the layer's linear map without bias, *T its
adjoint; a+ = max(a, 0), a- = min(a, 0); stab(z) = z + 1e-6 (sign z, with sign 0 = 1).

zennit has most of these rules too, as the general engine evaluates them; its forms are taken where a layer is out of
the ordinary (padding that is not numeric zeros).
"""

import torch
from torch import nn
from typing_extensions import override
from zennit import rules as zennit_rules
from zennit.core import Hook, RemovableHandleList
from zennit.types import BatchNorm

from lcrp.composites.arithmetic import (
    STABILIZER,
    bias,
    has_negative,
    is_zero,
    negative_part,
    positive_part,
    stabilised,
    where_positive,
)
from lcrp.composites.canonizers import MERGED_INTO
from lcrp.composites.closed_form import Replacement, Rule, Step, Tensors, rule_of
from lcrp.composites.settings import TYPICAL, positive
from lcrp.errors import LayerError
from lcrp.models.layers import Sum


class ZPlus(Rule):
    """z+ rule (Montavon et al., Pattern Recognition 65, 2017, section 4), for inputs of either sign.

    R_in = x+ . (W+ *T s) + x- . (W- *T s),   s = R / stab(x+ * W+ + x- * W- + b+)
    """

    general = zennit_rules.ZPlus

    @override
    def step_type(self, module: nn.Module) -> type[Step]:
        return _ZPlusStep


class _ZPlusStep(Step):
    in_windows = True

    def prepare(self) -> None:
        self._weights = _weights_by_sign(self)
        self.shares = (self.scale(_agreeing(self, self._weights, positive_part(bias(self.module)) + STABILIZER)),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]
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
        super().__init__()
        self.gamma = positive("gamma", gamma)

    @override
    def copy(self) -> Rule:
        return GeneralisedGamma(self.gamma)

    def zennits(self, module: nn.Module) -> Hook:
        """Zennit 0.4.6 has no such rule."""
        raise LayerError(f"the gamma rule needs a layer with numeric zero padding, not {module}")

    @override
    def step_type(self, module: nn.Module) -> type[Step]:
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
        size = _agreeing(self, weights, gamma * positive_part(bias(self.module)) + STABILIZER)
        self.shares = (self.scale(size.add_(nn.functional.leaky_relu(y, -1 - gamma)), with_sign_of=y),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self.shares[0]  # s_pos + s_neg
        above = where_positive(scaled, self.shares[0])  # s_pos
        below = scaled.sub_(above)  # s_neg, all zero behind a ReLU
        is_above = is_zero(below)
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

    A norm in evaluation mode is an affine map per channel. One that was merged into the layer before it, which has a
    rule of its own, is the identity; that rule absorbs it.

    Args:
        epsilon: what stab adds.

    Raises:
        ConfigError: epsilon is not positive.
    """

    def __init__(self, epsilon: float = STABILIZER) -> None:
        super().__init__()
        self.epsilon = positive("epsilon", epsilon)

    @override
    def copy(self) -> Rule:
        return Epsilon(self.epsilon)

    @override
    def zennits(self, module: nn.Module) -> Hook:
        return zennit_rules.Epsilon(self.epsilon)

    @override
    def fits(self, module: nn.Module) -> bool:
        is_affine = isinstance(module, BatchNorm) and module.affine and module.running_var is not None
        return super().fits(module) or (is_affine and not module.training)

    def register(self, module: nn.Module) -> RemovableHandleList:
        """Attach the rule to one layer."""
        absorbing = [rule for linear in getattr(module, MERGED_INTO, ()) if (rule := rule_of(linear)) is not None]
        for rule in absorbing:
            rule.norm_epsilon = self.epsilon
        return RemovableHandleList([Replacement(module, None)]) if absorbing else super().register(module)

    @override
    def step_type(self, module: nn.Module) -> type[Step]:
        return _NormEpsilonStep if isinstance(module, BatchNorm) else _EpsilonStep


class _EpsilonStep(Step):
    rule: Epsilon
    reads_output = True
    in_windows = True

    def prepare(self) -> None:
        self.shares = (self.scale(stabilised(self.y, self.rule.epsilon)),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return self.adjoint(upper * self.shares[0], self.weight("W", torch.Tensor.detach)).mul_(self.x)


class _NormEpsilonStep(Step):
    rule: Epsilon
    module: nn.BatchNorm2d
    reads_output = True
    in_windows = True

    def prepare(self) -> None:
        norm = self.module
        assert norm.running_var is not None
        factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
        self.shares = (factor.view(-1, *[1] * (self.x.ndim - 2)) * self.x / stabilised(self.y, self.rule.epsilon),)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper * self.shares[0]


class Norm(Rule):
    """Relevance of sums and means, by contribution: R_in = x . (A *T (R / stab(A * x))) for the linear map A."""

    general = zennit_rules.Norm

    @override
    def fits(self, module: nn.Module) -> bool:
        return True

    @override
    def step_type(self, module: nn.Module) -> type[Step]:
        return _NormSumStep if isinstance(module, Sum) else _NormPoolStep


class _NormStep(Step):
    reads_output = True

    def prepare(self) -> None:
        self.shares = (stabilised(self.y).reciprocal_(),)


class _NormSumStep(_NormStep):
    in_windows = True

    def lower(self, upper: torch.Tensor) -> Tensors:
        scaled = upper * self.shares[0]
        return tuple(x * scaled for x in self.inputs)


class _NormPoolStep(_NormStep):
    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        x = self.x.detach().requires_grad_()
        with torch.enable_grad():
            y = type(self.module).forward(self.module, x)
        return torch.autograd.grad(y, x, upper * self.shares[0])[0].mul_(self.x)


class Pass(Rule):
    """Relevance passes as it is."""

    general = zennit_rules.Pass

    @override
    def fits(self, module: nn.Module) -> bool:
        return True

    @override
    def step_type(self, module: nn.Module) -> type[Step]:
        return _PassStep


class _PassStep(Step):
    reads_input = False

    def relevance(self, upper: torch.Tensor) -> torch.Tensor:
        return upper

    lower = relevance  # windowed maps pass too


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
