"""Products of matrices, and attention, which is made of them."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.origin import Origin, is_gate, note
from lcrp.composites.operations.signals import (
    Arguments,
    Function,
    Options,
    is_signal,
    name_of,
    without_gradient,
)
from lcrp.composites.operations.values import Local, Softmax

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def matrices(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Products of matrices, by contribution: two signals take half each, but for weights of attention.

    These are constants (CP-LRP), unless softmax has a rule (AttnLRP).
    """
    signals = [number for number, arg in enumerate(args) if is_signal(arg)]
    rule = mode.rule("matrix_product")
    if not signals or rule is None:
        return mode.native(func, args, kwargs)
    factors = signals
    if mode.rule("softmax") is None:
        factors = [number for number in signals if not is_gate(args[number])] or signals
    kept = [None if number in factors else mode.kept.values(arg) for number, arg in enumerate(args)]

    def product(*values: torch.Tensor) -> torch.Tensor:
        placed = list(kept)
        for number, value in zip(factors, values, strict=True):
            placed[number] = value
        out: torch.Tensor = func(*(_constant(arg) for arg in placed), **kwargs)
        return out

    share = 1 / len(factors)
    operation = Local(function=product, shares=(share,) * len(factors), is_map=True)
    inputs = tuple(args[number] for number in factors)
    return mode.explained(rule, operation, inputs, without_gradient(func, args, kwargs))


def added(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Sums beta x + alpha a @ b, taken apart so that every part has its rule."""
    if mode.rule("matrix_product") is None or not any(map(is_signal, (*args, *kwargs.values()))):
        return mode.native(func, args, kwargs)
    with mode:
        return _added(_PRODUCTS[name_of(func)], *args, **kwargs)


def _added(
    product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    input: torch.Tensor,  # noqa: A002
    one: torch.Tensor | None = None,
    other: torch.Tensor | None = None,
    *,
    beta: float = 1,
    alpha: float = 1,
    **named: torch.Tensor,
) -> torch.Tensor:
    """Named arguments are mat1 and mat2, or the like, in this order."""
    given = (*(value for value in (one, other) if value is not None), *named.values())
    made = product(*given)
    made = made if alpha == 1 else made * alpha
    return made if beta == 0 else made + (input if beta == 1 else input * beta)


_PRODUCTS: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "addmm": torch.matmul,
    "addmv": torch.matmul,
    "baddbmm": torch.matmul,
    "addbmm": lambda one, other: torch.matmul(one, other).sum(0),
    "addr": torch.outer,
}


def einsum(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Einstein's sums, their operands one by one or as a list."""
    equation, *operands = args
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = list(operands[0])
    return matrices(mode, lambda *values: func(equation, *values), tuple(operands), kwargs)


def softmax(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Softmax: a gate where it is a factor; relevance goes on to its input only if there is a rule for that."""
    x = args[0] if args else kwargs.get("input")
    if not isinstance(x, torch.Tensor) or not is_signal(x):
        return mode.native(func, args, kwargs)
    rule = mode.rule("softmax")
    if rule is None:
        y = mode.native(func, args, kwargs)
    else:
        y = mode.explained(rule, Softmax(dim=_dim(args, kwargs)), (x,), without_gradient(func, args, kwargs))
    return note(y, Origin(is_gate=True, version=y._version))


def scaled_dot_product(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Attention in one function, taken apart so that every part has its rule."""
    if mode.rule("matrix_product") is None or not any(map(is_signal, args)):
        return mode.native(func, args, kwargs)
    with mode:
        return _attention(*args, **kwargs)


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001 (networks are in evaluation mode)
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """softmax(scale q k^T + mask) v."""
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        places = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        attn_mask = places.tril()
    if attn_mask is None:
        return torch.matmul(scores.softmax(dim=-1), value)
    is_hidden = ~attn_mask if attn_mask.dtype == torch.bool else attn_mask == -math.inf
    sees_nothing = is_hidden.all(dim=-1, keepdim=True)  # then torch's own attention is zero
    scores = scores.masked_fill(is_hidden, -math.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    if not sees_nothing.any():
        return torch.matmul(scores.softmax(dim=-1), value)
    weights = scores.masked_fill(sees_nothing, 0.0).softmax(dim=-1)
    return torch.matmul(weights.masked_fill(sees_nothing, 0.0), value)


def _dim(args: Arguments, kwargs: Options) -> int:
    return int(kwargs["dim"] if "dim" in kwargs else args[1])


def _constant(value: Any) -> Any:
    """A factor that is no input, without its derivative."""
    return value.detach() if isinstance(value, torch.Tensor) and not value.is_leaf else value
