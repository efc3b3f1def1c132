"""LRP rules that zennit does not have, or not in closed form.

Notation: x input, W weight, b bias, y output, R relevance of the output; * the layer's linear map without bias, *T its
adjoint; a+ = max(a, 0), a- = min(a, 0).
"""

from typing import Any

import torch
from torch import nn
from zennit import rules
from zennit.core import Hook, RemovableHandleList
from zennit.types import ConvolutionTranspose

from lcrp.errors import LayerError

Tensors = tuple[torch.Tensor, ...]
STABILIZER = 1e-6  # added to the absolute value of denominators, as zennit does


class ZPlus(Hook):  # type: ignore[misc]
    """z+ rule (Montavon et al., Pattern Recognition 65, 2017, section 4), for inputs of either sign, in closed form.

        R_in = x+ . (W+ *T s) + x- . (W- *T s),   s = R / stab(x+ * W+ + x- * W- + b+)

    The second terms vanish where no input is negative, and are left out there. zennit has the same rule; its general
    engine takes two maps forward and two adjoints for each round of relevance, this one a map for all of them and an
    adjoint for each.
    """

    def copy(self) -> "ZPlus":
        """Another hook, for another layer."""
        return ZPlus()

    def register(self, module: nn.Module) -> RemovableHandleList:
        """Attach the rule to one layer; where it pads with other than a given number of zeros, zennit's form of it."""
        if not _pads_zeros(module):
            return rules.ZPlus().register(module)
        return super().register(module)

    def forward(self, module: nn.Module, input: Tensors, output: torch.Tensor) -> None:  # noqa: A002, ARG002
        """Keep what the backward rounds need; the first of them adds the denominator."""
        self.stored_tensors.update(input=input[0].detach(), denominator=None)

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Tensors) -> Tensors:  # noqa: ARG002
        """Relevance of the input from that of the output."""
        x, weight, upper = self.stored_tensors["input"], _weight(module), grad_output[0]
        if self.stored_tensors["denominator"] is None:
            self.stored_tensors["denominator"] = self._denominator(module, x, upper)
        scaled = upper / self.stored_tensors["denominator"]
        lower = x.clamp(min=0) * adjoint(module, scaled, x, weight.clamp(min=0))
        if bool((x < 0).any()):
            lower = lower + x.clamp(max=0) * adjoint(module, scaled, x, weight.clamp(max=0))
        return (lower,)

    def _denominator(self, module: nn.Module, x: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
        """Stabilised denominator of every output."""
        weight = _weight(module)
        agreeing = linear_map(module, x.clamp(min=0), weight.clamp(min=0))
        if bool((x < 0).any()):
            agreeing = agreeing + linear_map(module, x.clamp(max=0), weight.clamp(max=0))
        return agreeing + _bias(module, upper).clamp(min=0) + STABILIZER


class GeneralisedGamma(Hook):  # type: ignore[misc]
    """Generalised gamma rule, the one for inputs of either sign (Andeol et al. 2021; L-CRP's rule for YOLOv6).

    With U = W + g W+ and V = W + g W-:

        R_in = x+ . (U *T s_pos + V *T s_neg) + x- . (V *T s_pos + U *T s_neg)
        s_pos = R / stab(x+ * U + x- * V + b + g b+)  where y > 0, else 0
        s_neg = R / stab(x+ * V + x- * U + b + g b-)  where y < 0, else 0

    Computed with two maps forward and two adjoints: with z = x+ * W+ + x- * W-, the denominators are
    y + g (z + b+) and y + g (y - b - z + b-), and

        R_in = x . (1 + g/2) (W *T (s_pos + s_neg)) + |x| . (g/2) (|W| *T (s_pos - s_neg)).

    Args:
        gamma: how much the favoured sign is emphasised.
        stabilizer: added to the absolute value of the denominators.
    """

    def __init__(self, gamma: float = 0.25, stabilizer: float = STABILIZER) -> None:
        super().__init__()
        self.gamma = gamma
        self.stabilizer = stabilizer

    def copy(self) -> "GeneralisedGamma":
        """Another hook with the same settings, for another layer."""
        return GeneralisedGamma(self.gamma, self.stabilizer)

    def register(self, module: nn.Module) -> RemovableHandleList:
        """Attach the rule to one layer.

        Raises:
            LayerError: the layer pads its input with something other than a given number of zeros.
        """
        if not _pads_zeros(module):
            raise LayerError(f"the gamma rule needs a layer with numeric zero padding, not {module}")
        return super().register(module)

    def forward(self, module: nn.Module, input: Tensors, output: torch.Tensor) -> None:  # noqa: A002, ARG002
        """Keep what the backward rounds need; the first of them adds the denominator."""
        self.stored_tensors.update(input=input[0].detach(), output=output.detach(), denominator=None)

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Tensors) -> Tensors:  # noqa: ARG002
        """Relevance of the input from that of the output."""
        x, y = self.stored_tensors["input"], self.stored_tensors["output"]
        if self.stored_tensors["denominator"] is None:
            self.stored_tensors["denominator"] = self._denominator(module, x, y)
        scaled = grad_output[0] / self.stored_tensors["denominator"] * (y != 0)  # s_pos + s_neg
        weight = _weight(module)
        signed = adjoint(module, scaled, x, weight)
        absolute = adjoint(module, scaled * y.sign(), x, weight.abs())
        return (x * (1 + self.gamma / 2) * signed + x.abs() * (self.gamma / 2) * absolute,)

    def _denominator(self, module: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Stabilised denominator of every output, according to its sign."""
        weight = _weight(module)
        agreeing = linear_map(module, x.clamp(min=0), weight.clamp(min=0))
        agreeing = agreeing + linear_map(module, x.clamp(max=0), weight.clamp(max=0))
        bias = _bias(module, y)
        above = y + self.gamma * (agreeing + bias.clamp(min=0))
        below = y + self.gamma * (y - bias - agreeing + bias.clamp(max=0))
        return torch.where(y > 0, above + self.stabilizer, below - self.stabilizer)


def linear_map(module: nn.Module, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """What a layer makes of `x` with another weight and without bias.

    Args:
        module: convolution, transposed convolution or fully connected layer.
        x: [B, C, h, w], or [B, ..., C] for a fully connected layer.
        weight: in the shape of the layer's own.
    """
    if isinstance(module, nn.Linear):
        return nn.functional.linear(x, weight)
    out: torch.Tensor = torch.ops.aten.convolution(x, weight, None, *_geometry(module))
    return out


def adjoint(module: nn.Module, upper: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Gradient of <upper, linear_map(module, x, weight)> with respect to x, in the shape of x."""
    if isinstance(module, nn.Linear):
        return upper @ weight
    backward = torch.ops.aten.convolution_backward
    lower: torch.Tensor = backward(upper, x, weight, None, *_geometry(module), [True, False, False])[0]
    return lower


def _pads_zeros(module: nn.Module) -> bool:
    """Whether a layer pads its input with a given number of zeros, or not at all."""
    return getattr(module, "padding_mode", "zeros") == "zeros" and not isinstance(getattr(module, "padding", 0), str)


def _geometry(module: nn.Module) -> tuple[Any, ...]:
    """Stride, padding, dilation, whether transposed, output padding and groups of a convolution."""
    transposed = isinstance(module, ConvolutionTranspose)
    return module.stride, module.padding, module.dilation, transposed, module.output_padding, module.groups


def _weight(module: nn.Module) -> torch.Tensor:
    assert isinstance(module.weight, torch.Tensor)
    return module.weight.detach()


def _bias(module: nn.Module, output: torch.Tensor) -> torch.Tensor:
    """Bias (zero if there is none) in a shape that broadcasts against the layer's output."""
    if module.bias is None:
        return output.new_zeros(())
    assert isinstance(module.bias, torch.Tensor)
    bias = module.bias.detach()
    return bias if isinstance(module, nn.Linear) else bias.reshape(-1, *[1] * (output.ndim - 2))  # [C, 1, 1]
