"""L-CRP's composites from zennit's own rules, on modules: what lcrp is measured against, and compared with in tests.

zennit sees modules alone. Additions, which lcrp's networks write as operators, are therefore done by modules in the
networks that it explains; BatchNorm is merged as zennit does it, but exactly: zennit 0.4.6 leaves eps in the norm.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from zennit import rules as zennit_rules
from zennit.canonizers import SequentialMergeBatchNorm
from zennit.core import BasicHook, Composite, Hook, stabilize
from zennit.types import Activation, AvgPool, BatchNorm, Convolution, Linear

from lcrp.models import deeplabv3plus, yolov5, yolov6
from lcrp.models.layers import L2Norm

Tensors = tuple[torch.Tensor, ...]


class Sum(nn.Module):
    """An addition that zennit sees."""

    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        """The sum of all."""
        for other in others:
            first = first + other
        return first


class _Yolov5Bottleneck(yolov5.Bottleneck):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.cv2(self.cv1(x))
        return self.sum(x, out) if self.shortcut else out


class _RepVGGBlock(yolov6.RepVGGBlock):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.rbr_reparam is not None:
            return super().forward(x)
        branches = [branch for branch in (self.rbr_dense, self.rbr_1x1, self.rbr_identity) if branch is not None]
        out: torch.Tensor = self.nonlinearity(self.sum(*(branch(x) for branch in branches)))
        return out


class _DeepLabBottleneck(deeplabv3plus.Bottleneck):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu2(self.bn2(self.conv2(out)))))
        summed: torch.Tensor = self.relu3(self.sum(self.downsample(x), out))
        return summed


_SUMMING: tuple[type[nn.Module], ...] = (_Yolov5Bottleneck, _RepVGGBlock, _DeepLabBottleneck)


def with_sums(network: nn.Module) -> nn.Module:
    """The network itself, the additions of its blocks done by modules from now on; lcrp's numbers stay as they are."""
    for module in list(network.modules()):
        for kind in _SUMMING:
            if type(module) is kind.__mro__[1]:
                module.__class__ = kind
                module.sum = Sum()
    return network


class ExactMerge(SequentialMergeBatchNorm):  # type: ignore[misc]
    """zennit's merging of BatchNorm, eps in the norm that is left behind put right."""

    def register(self, linears: tuple[nn.Module, ...], batch_norm: nn.Module) -> None:
        """Merge, and make the norm the identity."""
        self.eps = batch_norm.eps
        super().register(linears, batch_norm)
        batch_norm.eps = 0.0  # type: ignore[assignment]

    def remove(self) -> None:
        """Undo it."""
        super().remove()
        self.batch_norm.eps = self.eps


def zennits_composite(
    convolution: Callable[[], Hook], first: Callable[[], Hook] | None = zennit_rules.Flat
) -> Callable[[nn.Module], Composite]:
    """Our composites from zennit's own rules.

    Args:
        convolution: makes the rule of convolutions.
        first: makes that of the first linear layer; None for that of its kind.
    """

    def build(network: nn.Module) -> Composite:
        hooks: dict[str, Hook | None] = {}
        is_first = first is not None
        for name, module in network.named_modules():
            if isinstance(module, Linear) and is_first and first is not None:
                hooks[name], is_first = first(), False
            else:
                found = (rule for types, rule in rules if isinstance(module, types))
                hooks[name] = next(found, None)
        return Composite(lambda _, name, __: hooks.get(name), canonizers=[ExactMerge()])

    rules: Sequence[tuple[tuple[type, ...], Hook]] = (
        ((Activation, L2Norm), zennit_rules.Pass()),
        ((Sum,), SumNorm()),
        ((AvgPool,), zennit_rules.Norm()),
        ((Convolution,), convolution()),
        ((nn.Linear, BatchNorm), zennit_rules.Epsilon()),
    )
    return build


class SumNorm(Hook):  # type: ignore[misc]
    """The norm rule for sums of several inputs; zennit's own takes one."""

    def forward(self, module: nn.Module, input: Tensors, output: torch.Tensor) -> None:  # noqa: A002, ARG002
        """Keep what is divided."""
        self.stored_tensors["input"], self.stored_tensors["output"] = input, output.detach()

    def backward(self, module: nn.Module, grad_input: object, grad_output: Tensors) -> Tensors:  # noqa: ARG002
        """Relevance of every summand."""
        share = grad_output[0] / stabilize(self.stored_tensors["output"])
        return tuple(summand.detach() * share for summand in self.stored_tensors["input"])


def generalised_gamma() -> Hook:
    """The rule of L-CRP for YOLOv6, written for zennit's engine: five modified calls of the layer."""
    gamma = 0.25

    def emphasised(low: float | None, high: float | None, *, with_bias: bool) -> Callable[..., torch.Tensor]:
        def modify(weight: torch.Tensor, name: str) -> torch.Tensor:
            if name == "bias" and not with_bias:
                return torch.zeros_like(weight)
            return weight + gamma * weight.clamp(min=low, max=high)

        return modify

    def mapped(upper: torch.Tensor, outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        above = torch.where(outputs[4] > 0, upper, 0) / stabilize(outputs[0] + outputs[1])
        below = torch.where(outputs[4] < 0, upper, 0) / stabilize(outputs[2] + outputs[3])
        return [above, above, below, below, torch.zeros_like(upper)]

    return BasicHook(
        input_modifiers=[lambda x: x.clamp(min=0), lambda x: x.clamp(max=0)] * 2 + [lambda x: x],
        param_modifiers=[
            emphasised(0, None, with_bias=True),
            emphasised(None, 0, with_bias=False),
            emphasised(None, 0, with_bias=True),
            emphasised(0, None, with_bias=False),
            lambda weight, _: weight,
        ],
        output_modifiers=[lambda y: y] * 5,
        gradient_mapper=mapped,
        reducer=lambda inputs, gradients: sum(x * g for x, g in zip(inputs[:4], gradients[:4], strict=True)),
    )
