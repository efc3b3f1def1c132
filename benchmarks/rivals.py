"""Two rivals whose rules are written as derivatives: autograd computes relevance while they are switched on.

Both are restated here from descriptions of what they do, to measure what it costs; neither is its authors' code, and
their authors' numbers were not compared. They replace functions of torch in one forward pass, wherever
a network calls them, and nothing of the network itself; what they do not name keeps its derivative.

Axes: B image, H W picture; N, M, P sizes of a product of matrices.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode

EPSILON = 1e-6
LXT_EPSILON = 1e-10  # of f(x) / x, as its authors have it

Operation = Callable[..., Any]
Seeded = Callable[[Tensor], tuple[Tensor, Tensor]]  # a picture to the logits that are explained, and their seed


class _Replaced(TorchFunctionMode):
    """Calls of some functions of torch go to others while it is entered."""

    rules: Mapping[Operation, Operation]

    def __torch_function__(
        self, func: Operation, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> object:
        return self.rules.get(func, func)(*args, **(kwargs or {}))


def attnlrp_heatmap(seeded: Seeded, x: Tensor) -> Tensor:
    """Input times gradient under `EfficientAttnLRP`, [B, H, W] of pictures [B, 3, H, W]; seeds are gradients."""
    x = x.detach().requires_grad_()
    with EfficientAttnLRP():
        logits, seed = seeded(x)
    (gradient,) = torch.autograd.grad(logits, x, seed)
    return (x.detach() * gradient).sum(dim=1)


def yolo_heatmap(seeded: Seeded, x: Tensor) -> Tensor:
    """What reaches the picture under `YoloHeatmaps`, [B, H, W] of pictures [B, 3, H, W]; seeds are relevance."""
    x = x.detach().requires_grad_()
    with YoloHeatmaps():
        logits, seed = seeded(x)
    (relevance,) = torch.autograd.grad(logits, x, seed)
    return relevance.sum(dim=1)


class _Scaled(Function):
    """x, its gradient times a factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor, None]:
        return upper * ctx.factor, None


class _Activation(Function):
    """f(x), with the derivative f(x) / x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Operation) -> Tensor:
        y: Tensor = function(x)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        return upper * (y / (x + LXT_EPSILON)), None


class _LayerNorm(Function):
    """A layer norm, its standard deviation a constant: one kernel forwards, as in the plain network."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        y, _, inverse = torch.native_layer_norm(x, shape, weight, bias, eps)
        ctx.save_for_backward(weight, inverse)
        ctx.axes = tuple(range(-len(shape), 0))
        return y

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        weight, inverse = ctx.saved_tensors
        scaled = (upper if weight is None else upper * weight) * inverse
        return scaled - scaled.mean(dim=ctx.axes, keepdim=True), None, None, None, None


def _layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    normed: Tensor = _LayerNorm.apply(x, list(shape), weight, bias, eps)
    return normed


def _gelu(x: Tensor, approximate: str = "none") -> Tensor:
    activated: Tensor = _Activation.apply(x, lambda x: functional.gelu(x, approximate=approximate))
    return activated


def _attention(query: Tensor, key: Tensor, value: Tensor, *args: Any, **options: Any) -> Tensor:
    """The product of three, by the kernel of the plain network."""
    query, key, value = _Scaled.apply(query, 0.25), _Scaled.apply(key, 0.25), _Scaled.apply(value, 0.5)
    return functional.scaled_dot_product_attention(query, key, value, *args, **options)


def _halved(function: Operation) -> Operation:
    """Both factors of a product take half, where both depend on the picture; q and k of plain attention a quarter."""

    def product(first: Tensor, second: Any) -> Tensor:
        if _depend(first, second):
            first, second = _Scaled.apply(first, 0.5), _Scaled.apply(second, 0.5)
        made: Tensor = function(first, second)
        return made

    return product


def _sampled(x: Tensor, places: Tensor, *args: Any, **options: Any) -> Tensor:
    return functional.grid_sample(x, places.detach(), *args, **options)


class EfficientAttnLRP(_Replaced):
    """AttnLRP as input times gradient, the "efficient" form of its library LXT.

    Restated from Arras et al. (2025, arXiv 2502.15886) and a description of LXT; for transformers' SegFormer and
    RT-DETR, which LXT has no recipe for. Activations have the derivative f(x) / x (that of ReLU is its own), layer
    norms hold their standard deviation constant, factors of a product take half of its gradient each: q and k a
    quarter, v half. Linear maps and batch norms stay as they are, which is the epsilon rule without a stabiliser.

    Ours alone: the places that RT-DETR's deformable attention samples are constants. The library detaches its queries,
    where a gradient ends: heatmaps of RT-DETR show what is left, and only their cost is of interest here.
    """

    rules: Mapping[Operation, Operation] = {
        functional.layer_norm: _layer_norm,
        functional.gelu: _gelu,
        functional.silu: lambda x, inplace=False: _Activation.apply(x, functional.silu),  # noqa: ARG005
        functional.scaled_dot_product_attention: _attention,
        functional.grid_sample: _sampled,
        torch.matmul: _halved(torch.matmul),
        torch.Tensor.matmul: _halved(torch.matmul),
        torch.Tensor.mul: _halved(torch.mul),
    }


class _Identity(Function):
    """y, whose relevance is that of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:  # noqa: ARG004
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return upper, None


class _ConvolutionZPlus(Function):
    """z+ of positive inputs: x+ times the adjoint of R / (w+ x+), by further calls of the layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = geometry
        return torch.conv2d(x, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        positive = x.clamp(min=0).requires_grad_()
        with torch.enable_grad():
            z = torch.conv2d(positive, weight.clamp(min=0), None, *ctx.geometry)
        (gradient,) = torch.autograd.grad(z, positive, upper / (z.detach() + EPSILON))
        return positive.detach() * gradient, None, None, *(None for _ in ctx.geometry)


class _SumZPlus(Function):
    """a + b, relevance shared as their positive parts are."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a + b

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (one.clamp(min=0) for one in ctx.saved_tensors)
        share = upper / (a + b + EPSILON)
        return a * share, b * share


class _Bilinear(Function):
    """A product [..., N, P] of matrices [..., N, M] and [..., M, P]; either takes all relevance, not half of it."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        y = torch.matmul(a, b)
        ctx.save_for_backward(a, b, y)
        return y

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor, Tensor]:
        a, b, y = ctx.saved_tensors
        share = upper / (y + EPSILON * torch.where(y < 0, -1.0, 1.0))
        return a * (share @ b.mT), b * (a.mT @ share)


class _Softmax(Function):
    """s = softmax(x), relevance x (R - s sum R)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        y = torch.softmax(x, dim)
        ctx.save_for_backward(x, y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        return x * (upper - y * upper.sum(dim=ctx.dim, keepdim=True)), None


def _passed(function: Operation) -> Operation:
    """What an operation of one map gives, relevance left as it is."""

    def transparent(x: Tensor, *args: Any, **options: Any) -> Tensor:
        if not x.requires_grad:
            return function(x, *args, **options)  # type: ignore[no-any-return]
        with torch.no_grad():
            y = function(x, *args, **options)
        passed: Tensor = _Identity.apply(x, y)
        return passed

    return transparent


def _sum(a: Tensor, b: Any) -> Tensor:
    total: Tensor = _SumZPlus.apply(a, b) if _depend(a, b) else torch.add(a, b)
    return total


def _scale(x: Tensor, factor: Any) -> Tensor:
    scaled: Tensor = torch.mul(x, factor) if isinstance(factor, Tensor) else _passed(torch.mul)(x, factor)
    return scaled


def _depend(first: Tensor, second: Any) -> bool:
    return first.requires_grad and isinstance(second, Tensor) and second.requires_grad


def _softmax(x: Tensor, dim: int) -> Tensor:
    shares: Tensor = _Softmax.apply(x, dim)
    return shares


class YoloHeatmaps(_Replaced):
    """The rules of yolo-heatmaps (akarasman, `yolo_lrp`), restated from a description; gradients are relevance.

    Convolutions: z+ of what is positive in their inputs (powers of one), without biases. Batch norms, SiLU and the
    scale of attention are transparent, residual sums shared as their positive parts are, concatenations split.
    Upsampling and max pools have their gradient, and what pools hand on is summed. Attention: bilinear rule, without
    the factor 2 that would keep sums, and the softmax rule of AttnLRP.

    The library does this by hooks of its own, seeds sigmoids of a class and clips heatmaps at a quantile; here autograd
    brings relevance to its place, and a logit is seeded.
    """

    rules: Mapping[Operation, Operation] = {
        torch.conv2d: _ConvolutionZPlus.apply,
        functional.batch_norm: _passed(functional.batch_norm),
        functional.silu: _passed(lambda x, inplace=False: functional.silu(x)),  # noqa: ARG005
        torch.Tensor.add: _sum,
        torch.Tensor.mul: _scale,
        torch.Tensor.matmul: _Bilinear.apply,
        torch.Tensor.softmax: _softmax,
    }
