"""Where a network takes a value out of what depends on the picture: relevance does not pass, which is counted."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def detached(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Without derivatives, by detach or data: in the same memory, so that what is written into one is in both."""
    x = args[0]
    if not is_signal(x):
        return func(*args, **kwargs)
    mode.cuts["data" if func == torch.Tensor.data.__get__ else "detach"] += 1  # type: ignore[attr-defined]
    mode.written.shares(x)
    return x.detach()  # data would hide from the count of versions what is written into it


def detached_in_place(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Without derivatives from now on, by ``detach_``."""
    x = args[0]
    if not is_signal(x):
        return func(*args, **kwargs)
    return mode.written.instead(x, detached(mode, func, args, kwargs))


def array(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """An array of numpy, which refuses signals: a constant, as it is where the network runs without derivatives."""
    x = args[0]
    if not is_signal(x):
        return func(*args, **kwargs)
    mode.cuts["numpy"] += 1
    mode.written.shares(x)
    return func(x.detach(), *args[1:], **kwargs)


def number(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:  # noqa: ARG001
    """Numbers, by item, float and the like: Python decides by them, or computes with them, as constants."""
    return func(*(arg.detach() if is_signal(arg) else arg for arg in args), **kwargs)


def grad_enabled(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """The network turns derivatives on or off; what torch does by itself, as for functions of our own, is not seen."""
    mode.is_cut = not args[0]
    return func(*args, **kwargs)


def without_grad(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """A call without derivatives."""
    if func is torch._C._set_grad_enabled:
        return grad_enabled(mode, func, args, kwargs)
    out = func(*args, **kwargs)
    is_new = isinstance(out, torch.Tensor) and out.is_floating_point() and not out.requires_grad
    if mode.is_cut and is_new and any(map(is_signal, args)):
        mode.cuts["no_grad"] += 1
    return out
