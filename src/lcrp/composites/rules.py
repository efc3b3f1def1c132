"""LRP rules in closed form: what does not depend on the relevance is computed once for all backward rounds.

Notation: x input, W weight, b bias, y output, R relevance of the output; * the layer's linear map without bias, *T its
adjoint; a+ = max(a, 0), a- = min(a, 0); stab(z) = z + 1e-6 (sign z, with sign 0 = 1).

While a rule is registered it takes the place of the layer's forward pass: an autograd function, whose gradient is the
relevance of the input. zennit has most of these rules too; its general engine calls the layer anew, once per modified
weight, in every round. Its forms are taken where a layer is out of the ordinary (padding that is not numeric zeros).

Every rule passes relevance on for each sample alone. Terms are left out only where they are exactly zero for the whole
batch, so that batch mates change no bit.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from zennit import rules as zennit_rules
from zennit.core import Hook, RemovableHandleList
from zennit.types import BatchNorm, ConvolutionTranspose, Linear

from lcrp.errors import LayerError
from lcrp.models.layers import Sum

STABILIZER = 1e-6  # added to the absolute value of denominators, as zennit does

Tensors = tuple[torch.Tensor, ...]
Forward = Callable[..., torch.Tensor]


class Rule(Hook, ABC):  # type: ignore[misc]
    """A rule that takes the place of a layer's forward pass.

    Attributes:
        absorbs_norm: whether a norm that was merged into the layer follows. It is the identity, but its own rule,
            epsilon, scales relevance by y / stab(y); that factor becomes part of this rule.
    """

    general: ClassVar[Callable[[], Hook]]  # zennit's form, for layers that are out of the ordinary

    def __init__(self) -> None:
        super().__init__()
        self.absorbs_norm = False
        self._weights = _Weights()

    def copy(self) -> "Rule":
        """Another hook with the same settings, for another layer."""
        return type(self)()

    def register(self, module: nn.Module) -> RemovableHandleList:
        """Attach the rule to one layer."""
        if not self.fits(module):
            return self.zennits(module).register(module)
        return RemovableHandleList([Replacement(module, self)])

    def fits(self, module: nn.Module) -> bool:
        """Whether the closed form holds for a layer."""
        return isinstance(module, Linear) and _pads_zeros(module)

    def zennits(self, module: nn.Module) -> Hook:  # noqa: ARG002
        """The same rule for layers where the closed form does not hold."""
        return type(self).general()

    @abstractmethod
    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> "Step":
        """What the backward rounds over one forward pass need.

        Args:
            module: the layer.
            inputs: of the layer, detached; one but for sums.
            y: its output, detached.
        """


class Step(ABC):
    """One forward pass of a layer, kept for the backward rounds.

    What they share is computed in the first of them, so layers that no relevance reaches cost nothing.

    Args:
        rule: the layer's.
        module: the layer.
        inputs: of the layer; one but for sums.
        y: its output, if the rule looks at it; let go when it is no longer needed.
    """

    def __init__(self, rule: Rule, module: nn.Module, inputs: Tensors, y: torch.Tensor | None) -> None:
        self.rule, self.module, self.inputs = rule, module, inputs
        self._y = y
        self._is_prepared = False

    def relevance(self, upper: torch.Tensor) -> torch.Tensor | Tensors:
        """Relevance of the input, or of each, from that of the output, in one backward round."""
        if not self._is_prepared:
            self.prepare()
            self._y, self._is_prepared = None, True
        return self.lower(upper)

    def prepare(self) -> None:  # noqa: B027
        """Compute what all rounds share, if there is anything."""

    @abstractmethod
    def lower(self, upper: torch.Tensor) -> torch.Tensor | Tensors:
        """Relevance of the input, or of each, after `prepare`."""

    @property
    def x(self) -> torch.Tensor:
        """The one input of the layer."""
        return self.inputs[0]

    @property
    def y(self) -> torch.Tensor:
        """Output of the layer, while preparing."""
        assert self._y is not None
        return self._y

    def scale(self, denominator: torch.Tensor) -> torch.Tensor:
        """1 / denominator, which is overwritten, times what a norm behind the layer does to the relevance."""
        if not self.rule.absorbs_norm:
            return denominator.reciprocal_()
        size = self.y.abs()
        return size.div_((size + STABILIZER).mul_(denominator))

    def weight(self, name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """A modified weight of the layer."""
        return self.rule._weights.get(self.module, name, make)


class Replacement:
    """Stands in for a layer's forward pass until it is removed.

    Args:
        module: the layer.
        rule: its rule; None for the identity.
    """

    def __init__(self, module: nn.Module, rule: Rule | None) -> None:
        self.rule, self._module, self._forward = rule, module, module.forward
        self._before = module.__dict__.get("forward")
        module.forward = self

    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Output of the layer, whose gradient is relevance."""
        if self.rule is None:
            return inputs[0]
        out: torch.Tensor = _Relevance.apply(self.rule, self._module, self._forward, *inputs)
        return out

    def remove(self) -> None:
        """Give the layer its own forward pass back."""
        if self._before is None:
            self._module.__dict__.pop("forward", None)
        else:
            self._module.forward = self._before


class _Relevance(torch.autograd.Function):
    """A layer whose gradient is the relevance that its rule finds."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, module: nn.Module, forward: Forward, *inputs: torch.Tensor) -> torch.Tensor:
        ctx.set_materialize_grads(False)
        y = forward(*inputs)
        ctx.step = rule.step(module, tuple(x.detach() for x in inputs), y.detach())
        ctx.num_inputs = len(inputs)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upper: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        if upper is None or is_zero(upper):  # the other heads of a detector, for example
            return tuple([None] * (3 + int(ctx.num_inputs)))
        step: Step = ctx.step
        lower = step.relevance(upper)
        return None, None, None, *(lower if isinstance(lower, tuple) else (lower,))


class _Weights:
    """Modified weights of a layer, made once for as long as the layer's weight is the same."""

    def __init__(self) -> None:
        self._source: tuple[torch.Tensor, int, int] | None = None
        self._made: dict[str, torch.Tensor] = {}

    def get(self, module: nn.Module, name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        version, address = weight._version, weight.data_ptr()
        if self._source is None or self._source[0] is not weight or self._source[1:] != (version, address):
            self._source, self._made = (weight, version, address), {}
        if name not in self._made:
            self._made[name] = make(weight.detach())
        return self._made[name]


class ZPlus(Rule):
    """z+ rule (Montavon et al., Pattern Recognition 65, 2017, section 4), for inputs of either sign.

    R_in = x+ . (W+ *T s) + x- . (W- *T s),   s = R / stab(x+ * W+ + x- * W- + b+)
    """

    general = zennit_rules.ZPlus

    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> Step:
        """See the base class."""
        return _ZPlusStep(self, module, inputs, y if self.absorbs_norm else None)


class _ZPlusStep(Step):
    def prepare(self) -> None:
        self._is_signed = has_negative(self.x)
        self._scale = self.scale(agreeing(self, self._is_signed).add_(bias(self.module).clamp(min=0) + STABILIZER))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self._scale
        lower = adjoint(self.module, scaled, self.x, self.weight("W+", _positive))
        if not self._is_signed:
            return lower.mul_(self.x)
        return by_sign(self.x, lower, adjoint(self.module, scaled, self.x, self.weight("W-", _negative)))


class GeneralisedGamma(Rule):
    """Generalised gamma rule, the one for inputs of either sign (Andeol et al. 2021; L-CRP's rule for YOLOv6).

    With U = W + g W+ and V = W + g W-:

        R_in = x+ . (U *T s_pos + V *T s_neg) + x- . (V *T s_pos + U *T s_neg)
        s_pos = R / stab(x+ * U + x- * V + b + g b+)  where y > 0, else 0
        s_neg = R / stab(x+ * V + x- * U + b + g b-)  where y < 0, else 0

    With z = x+ * W+ + x- * W-, the denominators are y + g (z + b+) and y + g (y - z - b+).

    Args:
        gamma: how much the favoured sign is emphasised.
    """

    def __init__(self, gamma: float = 0.25) -> None:
        super().__init__()
        self.gamma = gamma

    def copy(self) -> "GeneralisedGamma":
        """Another hook with the same settings, for another layer."""
        return GeneralisedGamma(self.gamma)

    def zennits(self, module: nn.Module) -> Hook:
        """Zennit 0.4.6 has no such rule."""
        raise LayerError(f"the gamma rule needs a layer with numeric zero padding, not {module}")

    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> Step:
        """See the base class."""
        return _GeneralisedGammaStep(self, module, inputs, y)


class _GeneralisedGammaStep(Step):
    """With z as above both denominators have the size |y| + g (z + b+) + (g |y| where y < 0), and the sign of y."""

    rule: GeneralisedGamma

    def prepare(self) -> None:
        gamma = self.rule.gamma
        self._is_signed = has_negative(self.x)
        size = nn.functional.leaky_relu(self.y, -1 - gamma)
        size.add_(agreeing(self, self._is_signed), alpha=gamma)
        size.add_(gamma * bias(self.module).clamp(min=0) + STABILIZER)
        self._scale = self.scale(size).mul_(self.y.sgn())  # with the sign of y, zero where y is

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self._scale  # s_pos + s_neg
        above = where_positive(scaled, self._scale)  # s_pos
        below = scaled.sub_(above)  # s_neg, all zero behind a ReLU
        is_above = is_zero(below)
        lower = self._received(above, below, "U", "V", is_above=is_above)
        if not self._is_signed:
            return lower.mul_(self.x)
        return by_sign(self.x, lower, self._received(above, below, "V", "U", is_above=is_above))

    def _received(
        self, above: torch.Tensor, below: torch.Tensor, for_above: str, for_below: str, *, is_above: bool
    ) -> torch.Tensor:
        """What inputs of one sign receive from outputs of either sign, each through its own weight."""
        lower = adjoint(self.module, above, self.x, self._emphasised(for_above))
        return lower if is_above else lower.add_(adjoint(self.module, below, self.x, self._emphasised(for_below)))

    def _emphasised(self, name: str) -> torch.Tensor:
        part = _positive if name == "U" else _negative
        return self.weight(name, lambda weight: weight + self.rule.gamma * part(weight))


class Gamma(Rule):
    """Gamma rule (Montavon et al., Explainable AI, LNCS 11700, 2019, section 10.2.3), for positive inputs.

    R_in = x . (U *T s),   s = R / stab(x * U + b + g b+),   U = W + g W+

    Args:
        gamma: how much positive weights are emphasised.
    """

    def __init__(self, gamma: float = 0.25) -> None:
        super().__init__()
        self.gamma = gamma

    def copy(self) -> "Gamma":
        """Another hook with the same settings, for another layer."""
        return Gamma(self.gamma)

    def zennits(self, module: nn.Module) -> Hook:  # noqa: ARG002
        """The same rule for layers where the closed form does not hold."""
        return zennit_rules.Gamma(self.gamma)

    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> Step:
        """See the base class."""
        return _GammaStep(self, module, inputs, y if self.absorbs_norm else None)


class _GammaStep(Step):
    rule: Gamma

    def prepare(self) -> None:
        offset = bias(self.module)
        emphasised = linear_map(self.module, self.x, self._emphasised()) + offset
        self._scale = self.scale(stabilised(emphasised + self.rule.gamma * offset.clamp(min=0)))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return adjoint(self.module, upper * self._scale, self.x, self._emphasised()).mul_(self.x)

    def _emphasised(self) -> torch.Tensor:
        return self.weight("U", lambda weight: weight + self.rule.gamma * _positive(weight))


class Epsilon(Rule):
    """Epsilon rule (Bach et al., PLOS ONE 10(7), 2015): R_in = x . (W *T (R / stab(y))).

    A norm in evaluation mode is an affine map per channel. One that was merged into the layer before it, which has a
    rule of its own, is the identity; that rule absorbs it.
    """

    general = zennit_rules.Epsilon

    def fits(self, module: nn.Module) -> bool:
        """See the base class."""
        return super().fits(module) or (isinstance(module, BatchNorm) and not module.training and module.affine)

    def register(self, module: nn.Module) -> RemovableHandleList:
        """Attach the rule to one layer."""
        merged_into: list[Rule] = [
            linear.forward.rule
            for linear in getattr(module, "merged_into", ())
            if isinstance(linear.forward, Replacement) and linear.forward.rule is not None
        ]
        for rule in merged_into:
            rule.absorbs_norm = True
        return RemovableHandleList([Replacement(module, None)]) if merged_into else super().register(module)

    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> Step:
        """See the base class."""
        return (_NormEpsilonStep if isinstance(module, BatchNorm) else _EpsilonStep)(self, module, inputs, y)


class _EpsilonStep(Step):
    def prepare(self) -> None:
        self._scale = self.scale(stabilised(self.y))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return adjoint(self.module, upper * self._scale, self.x, self.weight("W", torch.Tensor.detach)).mul_(self.x)


class _NormEpsilonStep(Step):
    module: nn.BatchNorm2d

    def prepare(self) -> None:
        norm, shape = self.module, (-1, *[1] * (self.x.ndim - 2))
        assert norm.running_var is not None
        factor = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().view(shape)
        self._scale = factor * self.x / stabilised(self.y)

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper * self._scale


class Flat(Rule):
    """Flat rule (Lapuschkin et al., Nature Communications 10, 2019): every input of an output gets the same share."""

    general = zennit_rules.Flat

    def fits(self, module: nn.Module) -> bool:
        """See the base class."""
        return super().fits(module) or isinstance(module, Sum)

    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> Step:
        """See the base class."""
        if isinstance(module, Sum):
            return _FlatSumStep(self, module, inputs, None)
        return _FlatStep(self, module, inputs, y if self.absorbs_norm else None)


class _FlatSumStep(Step):
    def lower(self, upper: torch.Tensor) -> Tensors:
        return (upper / (len(self.inputs) + STABILIZER),) * len(self.inputs)


class _FlatStep(Step):
    """All channels of a group receive the same, so that one channel stands for them."""

    def prepare(self) -> None:
        x = self.x
        if isinstance(self.module, nn.Linear):
            self._scale = self.scale(x.new_full((1,), x.shape[-1] + STABILIZER))
            return
        assert isinstance(self.module, nn.Conv2d | nn.ConvTranspose2d)
        self._ones = x.new_ones(1, 1, *self.module.kernel_size)
        self._channels = x.shape[1] // self.module.groups
        count = self._channels * linear_map(self.module, x.new_ones(1, 1, *x.shape[2:]), self._ones, groups=1)
        self._scale = self.scale(stabilised(count))

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        scaled = upper * self._scale
        if isinstance(self.module, nn.Linear):
            return scaled.sum(dim=-1, keepdim=True).expand_as(self.x)
        assert isinstance(self.module, nn.Conv2d | nn.ConvTranspose2d)
        batch, groups = len(scaled), self.module.groups
        shared = scaled.view(batch, groups, -1, *scaled.shape[2:]).sum(dim=2).flatten(0, 1)[:, None]  # [B * G, 1, h, w]
        one = self.x[:, :1].expand(-1, groups, -1, -1).flatten(0, 1)[:, None]
        lower = adjoint(self.module, shared, one, self._ones, groups=1)  # [B * G, 1, h, w]
        return lower.view(batch, groups, 1, *self.x.shape[2:]).expand(-1, -1, self._channels, -1, -1).flatten(1, 2)


class Norm(Rule):
    """Relevance of sums and means, by contribution: R_in = x . (A *T (R / stab(A * x))) for the linear map A."""

    general = zennit_rules.Norm

    def fits(self, module: nn.Module) -> bool:  # noqa: ARG002
        """See the base class."""
        return True

    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> Step:
        """See the base class."""
        return (_NormSumStep if isinstance(module, Sum) else _NormStep)(self, module, inputs, y)


class _NormSumStep(Step):
    def prepare(self) -> None:
        self._scale = stabilised(self.y).reciprocal_()

    def lower(self, upper: torch.Tensor) -> Tensors:
        scaled = upper * self._scale
        return tuple(x * scaled for x in self.inputs)


class _NormStep(Step):
    def prepare(self) -> None:
        self._scale = stabilised(self.y).reciprocal_()

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        x = self.x.detach().requires_grad_()
        with torch.enable_grad():
            y = type(self.module).forward(self.module, x)
        return torch.autograd.grad(y, x, upper * self._scale)[0].mul_(self.x)


class Pass(Rule):
    """Relevance passes as it is."""

    general = zennit_rules.Pass

    def fits(self, module: nn.Module) -> bool:  # noqa: ARG002
        """See the base class."""
        return True

    def step(self, module: nn.Module, inputs: Tensors, y: torch.Tensor) -> Step:  # noqa: ARG002
        """See the base class."""
        return _PassStep(self, module, (), None)


class _PassStep(Step):
    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper


def agreeing(step: Step, is_signed: bool) -> torch.Tensor:
    """x+ * W+ + x- * W-: what speaks for an output; the second term is zero where no input is negative."""
    if not is_signed:
        return linear_map(step.module, step.x, step.weight("W+", _positive))
    above = linear_map(step.module, step.x.clamp(min=0), step.weight("W+", _positive))
    return above.add_(linear_map(step.module, step.x.clamp(max=0), step.weight("W-", _negative)))


def by_sign(x: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    """x+ . positive + x- . negative; `positive` is overwritten."""
    return positive.mul_(x.clamp(min=0)).addcmul_(x.clamp(max=0), negative)


def stabilised(denominator: torch.Tensor) -> torch.Tensor:
    """Z + 1e-6 with the sign of z, that of zero being positive."""
    without_sign = denominator + 0.0  # turns -0.0 into 0.0
    return without_sign.add_(torch.copysign(denominator.new_tensor(STABILIZER), without_sign))


def where_positive(values: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """The values where a condition is positive, else zero; on CPUs many times faster than with a mask."""
    out: torch.Tensor = torch.ops.aten.threshold_backward(values, condition, 0)
    return out


def has_negative(values: torch.Tensor) -> bool:
    """Whether any value is negative; a reduction, on CPUs many times faster than `any`."""
    return bool(values.amin() < 0)


def is_zero(values: torch.Tensor) -> bool:
    """Whether all values are zero; two reductions, since `aminmax` copies what is in channels last."""
    return bool((values.amin() == 0) & (values.amax() == 0))


def linear_map(module: nn.Module, x: torch.Tensor, weight: torch.Tensor, groups: int | None = None) -> torch.Tensor:
    """What a layer makes of `x` with another weight and without bias.

    Args:
        module: convolution, transposed convolution or fully connected layer.
        x: [B, C, h, w], or [B, ..., C] for a fully connected layer.
        weight: in the shape of the layer's own, but for the groups.
        groups: of channels, instead of the layer's own.
    """
    if isinstance(module, nn.Linear):
        return nn.functional.linear(x, weight)
    out: torch.Tensor = torch.ops.aten.convolution(x, weight, None, *_geometry(module, groups))
    return out


def adjoint(
    module: nn.Module, upper: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, groups: int | None = None
) -> torch.Tensor:
    """Gradient of <upper, linear_map(module, x, weight, groups)> with respect to x, in the shape of x."""
    if isinstance(module, nn.Linear):
        return upper @ weight
    if _skips_pixels(module):
        return _spread(nn.functional.conv2d(upper, weight.transpose(0, 1)), x, module.stride)
    backward = torch.ops.aten.convolution_backward
    lower: torch.Tensor = backward(upper, x, weight, None, *_geometry(module, groups), [True, False, False])[0]
    return lower


def bias(module: nn.Module) -> torch.Tensor:
    """Bias of a linear layer (zero if there is none) in a shape that broadcasts against its output."""
    weight, own = module.weight, module.bias
    assert isinstance(weight, torch.Tensor)
    if own is None:
        return weight.new_zeros(())
    assert isinstance(own, torch.Tensor)
    return own.detach().reshape(-1, *[1] * (weight.ndim - 2))  # [C, 1, 1] for pictures


def _pads_zeros(module: nn.Module) -> bool:
    """Whether a layer pads its input with a given number of zeros, or not at all."""
    return getattr(module, "padding_mode", "zeros") == "zeros" and not isinstance(getattr(module, "padding", 0), str)


def _spread(values: torch.Tensor, like: torch.Tensor, stride: Any) -> torch.Tensor:
    """Values at every so many rows and columns of a map, in the shape of `like`; zero in between."""
    spread = torch.zeros_like(like, dtype=values.dtype)
    spread[:, :, :: stride[0], :: stride[1]] = values
    return spread


def _skips_pixels(module: nn.Module) -> bool:
    """Whether a convolution sees single pixels and not all of them.

    oneDNN, as torch 2.15 has it, corrupts memory in the backward pass of such a one in channels last if it has less
    than 16 channels.
    """
    sees_pixels = isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.padding == (0, 0)
    return bool(sees_pixels and module.stride != (1, 1) and module.groups == 1)


def _geometry(module: nn.Module, groups: int | None) -> tuple[Any, ...]:
    """Stride, padding, dilation, whether transposed, output padding and groups of a convolution."""
    transposed = isinstance(module, ConvolutionTranspose)
    own = (module.stride, module.padding, module.dilation, transposed, module.output_padding)
    return *own, module.groups if groups is None else groups


def _positive(weight: torch.Tensor) -> torch.Tensor:
    return weight.clamp(min=0)


def _negative(weight: torch.Tensor) -> torch.Tensor:
    return weight.clamp(max=0)
