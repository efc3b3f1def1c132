"""Which function of torch is which operation.

Functions are looked up as objects, never by a name alone: every one that is meant stands here, with the modules in
which it is found. What is not here is no operation that a rule knows.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torchvision import ops as _registered  # noqa: F401 (its operations)

from lcrp.composites.operations import (
    attention,
    cuts,
    gradients,
    linear,
    moves,
    norms,
    order,
    places,
    pointwise,
    pools,
    products,
    sampling,
    sums,
    written,
)
from lcrp.models.layers import l2_norm

Handler = Callable[..., Any]  # the mode, the function, its positional and its named arguments

OPENED = ("torch.nn.functional", "torch.functional", "torch._tensor")  # modules whose Python functions are opened


def _found(names: str) -> Iterator[Any]:
    """The functions of these names, wherever torch has them; those in Python are opened, but for maxima."""
    for name in names.split():
        for space in (torch, Tensor, torch._C.TensorBase, functional, torch._C._nn, torch.ops.aten):
            found = getattr(space, name, None)
            if callable(found) and ("max_pool" in name or not isinstance(found, FunctionType)):
                yield found
                yield from _overloads(found)


def _overloads(found: Any) -> Iterator[Any]:
    """Of one of torch.ops."""
    if isinstance(found, torch._ops.OpOverloadPacket):
        yield from (getattr(found, name) for name in found.overloads())  # type: ignore[no-untyped-call]


_FAMILIES: tuple[tuple[Handler, str], ...] = (
    (linear.convolution, "conv1d conv2d conv3d"),
    (linear.transposed_convolution, "conv_transpose1d conv_transpose2d conv_transpose3d"),
    (linear.fully_connected, "linear"),
    (norms.batch_norm, "batch_norm"),
    (norms.layer_norm, "layer_norm"),
    (norms.rms_norm, "rms_norm"),
    (norms.group_norm, "group_norm"),
    (norms.instance_norm, "instance_norm"),
    (sums.add, "add __add__ __radd__"),
    (sums.subtract, "sub subtract __sub__"),
    (sums.subtract_from, "rsub"),
    (sums.add_product, "addcmul"),
    (sums.add_quotient, "addcdiv"),
    (sums.between, "lerp"),
    (products.multiply, "mul multiply __mul__ __rmul__"),
    (products.divide, "div divide true_divide __truediv__"),
    (products.floored, "floor_divide"),
    (attention.matrices, "matmul __matmul__ __rmatmul__ mm bmm mv dot vdot inner outer ger"),
    (attention.added, "addmm addmv baddbmm addbmm addr"),
    (attention.softmax, "softmax"),
    (attention.scaled_dot_product, "scaled_dot_product_attention"),
    (pools.average, "mean sum sum_to_size cumsum col2im"),
    (pools.average, "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d"),
    (pools.largest, "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d"),
    (sampling.resize, "upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d"),
    (sampling.resize, "_upsample_bilinear2d_aa _upsample_bicubic2d_aa"),
    (sampling.repeated, "upsample_nearest1d upsample_nearest2d upsample_nearest3d"),
    (sampling.repeated, "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d"),
    (sampling.sample, "grid_sampler"),
    (moves.joined, "cat concat concatenate stack hstack vstack dstack"),
    (moves.padded, "constant_pad_nd pad"),
    (moves.chosen, "where masked_fill"),
    (places.put, "index_put put"),
    (places.reduced, "scatter scatter_reduce index_reduce"),
    (places.scattered, "index_add scatter_add"),
    (
        moves.parted,
        "chunk unsafe_chunk split unsafe_split split_with_sizes unsafe_split_with_sizes tensor_split unbind",
    ),
    (
        written.booked,
        "tril triu max min maximum minimum fmax fmin max_unpool2d max_unpool3d masked_scatter index_fill index_copy",
    ),
    (written.booked, "select_scatter slice_scatter diagonal_scatter im2col"),
    (written.written, "copy_ fill_ zero_ fill_diagonal_ __setitem__"),
    (order.shown, order.NAMES),
    (order.either, order.EITHER),
    (written.renamed_axes, "transpose_ t_ swapaxes_ swapdims_ squeeze_ unsqueeze_"),
    (written.filled, "apply_ map_ map2_ random_ normal_ uniform_ exponential_ cauchy_ geometric_ log_normal_"),
    (cuts.detached, "detach"),
    (cuts.detached_in_place, "detach_"),
    (cuts.array, "numpy"),
    (cuts.number, "item tolist __float__ __int__ __bool__ __index__ __complex__"),
    (pointwise.relu, "relu"),
    (pointwise.gate, "sigmoid tanh hardsigmoid rsqrt reciprocal"),
    (pointwise.power, "pow __pow__"),
    (pointwise.gated, "glu"),
    (pointwise.clamped, "clamp clip clamp_min clamp_max"),
    (pointwise.activation, "silu gelu hardswish mish relu6 hardtanh leaky_relu elu selu celu softplus log_sigmoid"),
    (pointwise.activation, "hardshrink softshrink threshold prelu exp expm1 log log1p sqrt"),
    (pointwise.activation, "square abs neg sin cos erf log_softmax"),
    (pointwise.activation, "round floor ceil trunc fix frac sign sgn nan_to_num exp2 log2 log10 tan asin acos atan"),
    (pointwise.activation, "sinh cosh asinh acosh atanh erfc erfinv lgamma digamma logit absolute negative"),
)


_NO_VALUES = ("requires_grad_", "resize_", "resize_as_", "set_", "share_memory_", "as_strided_", "rename_")  # written


def _handlers() -> Mapping[Any, Handler]:
    found = {func: handler for handler, names in _FAMILIES for func in _found(names)}
    named = {l2_norm: norms.l2_norm, torch.einsum: attention.einsum, torch._VF.einsum: attention.einsum}  # type: ignore[attr-defined]
    vision = torch.ops.torchvision
    sampled = (vision.roi_align, vision.roi_align.default)
    deformable = (vision.deform_conv2d, vision.deform_conv2d.default)
    others = {
        Tensor.data.__get__: cuts.detached,  # type: ignore[attr-defined]
        Tensor.data.__set__: cuts.data_replaced,  # type: ignore[attr-defined]
        torch._C._set_grad_enabled: cuts.grad_enabled,
        torch.autograd.grad: gradients.gradient,
        torch.autograd.backward: gradients.gradient,
        Tensor.backward: gradients.gradient,
        Tensor.__rsub__: sums.subtract_from,
        Tensor.__floordiv__: products.floored,
        torch.ops.aten.convolution: linear.either_convolution,
        torch.ops.aten.convolution.default: linear.either_convolution,
    }
    return {
        **found,
        **named,
        **others,
        **_each(),
        **{found: written.filled for name, found in vars(torch.nn.init).items() if name[-1] == "_" != name[0]},
        **dict.fromkeys(sampled, sampling.sample),
        **dict.fromkeys(deformable, sampling.deformable),
    }


def _each() -> Mapping[Any, Handler]:
    """Functions that do the same to every tensor of a list."""
    names = [name.removeprefix("_foreach_") for name in dir(torch) if name.startswith("_foreach_")]
    return {
        getattr(torch, f"_foreach_{name}"): partial(written.each, getattr(Tensor, name))
        for name in names
        if callable(getattr(Tensor, name, None))
    }


def _in_place() -> Mapping[Any, tuple[Any, Handler]]:
    """Functions that write into their first argument: the one that does not, and its handler."""
    found: dict[Any, tuple[Any, Handler]] = {}
    for handler, names in _FAMILIES:
        for name in names.split():
            for space in (torch, Tensor, torch._C.TensorBase, torch._C._nn, torch.ops.aten):
                plain = getattr(Tensor, name, None) or getattr(torch._C._nn, name, None)
                writing = getattr(space, f"{name}_", None)
                if callable(writing) and plain is not None and not isinstance(writing, FunctionType):
                    found |= dict.fromkeys((writing, *_overloads(writing)), (plain, handler))
    for name in dir(Tensor):
        writing, plain = getattr(Tensor, name), getattr(Tensor, name[:-1], None)
        is_writing = name[-1] == "_" != name[0] and callable(plain) and not isinstance(writing, FunctionType)
        if is_writing and writing not in HANDLERS and name not in _NO_VALUES:
            for one in (writing, getattr(torch, name, writing)):
                found.setdefault(one, (plain, HANDLERS.get(plain, _native)))
    return found


def _native(mode: Any, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Without a rule."""
    return mode.native(func, args, kwargs)


HANDLERS: Mapping[Any, Handler] = _handlers()
IN_PLACE: Mapping[Any, tuple[Any, Handler]] = _in_place()
KNOWN = frozenset(HANDLERS)  # functions that have a rule, or are left to the gradient knowingly
_MADE = "zeros_like ones_like full_like empty_like rand_like randn_like randint_like"
SHAPED = frozenset(_found(f"{_MADE} new_zeros new_ones new_full new_empty new_tensor"))  # of another's shape, no value
LIKE_ANOTHER = frozenset(_found("expand_as view_as reshape_as type_as to"))  # hold values of the first alone
