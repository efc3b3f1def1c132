"""Where a network takes a value out of what depends on the picture: relevance does not pass, which is counted."""

from typing import TYPE_CHECKING, Any

import torch

from lcrp.composites.operations.order import SHOWING
from lcrp.composites.operations.origin import is_cut, mark_cut
from lcrp.composites.operations.signals import Arguments, Function, Options, is_signal, is_writing, leaves

if TYPE_CHECKING:
    from lcrp.composites.operations.mode import OperationRules


def detached(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Without derivatives, by detach or data: in the same memory, so that what is written into one is in both."""
    x, how = args[0], "data" if func == _DATA else "detach"
    if not isinstance(x, torch.Tensor):
        return func(*args, **kwargs)
    out = x.detach()  # data would hide from the count of versions what is written into it
    if is_signal(x):
        mode.cuts[how] += 1
        mode.written.shares(x if x._base is None else x._base)
        mark_cut(out)
    else:
        mode.written.alias(x, out, how)
        if is_cut(x):
            mark_cut(out)
    return out


def data_replaced(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Another memory for a tensor, by data: no version tells of it."""
    if any(map(is_signal, args)):
        mode.cuts["data"] += 1
    mode.constants.forget()
    mode.kept.overwritten()
    return func(*args, **kwargs)


def detached_in_place(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """Without derivatives from now on, by ``detach_``."""
    x = args[0]
    if not is_signal(x):
        return func(*args, **kwargs)
    return mode.written.instead(x, detached(mode, func, args, kwargs))


def array(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> Any:
    """An array of numpy, which refuses signals: a constant, as it is where the network runs without derivatives."""
    x = args[0]
    out = func(x.detach(), *args[1:], **kwargs)
    if is_signal(x):
        mode.cuts["numpy"] += 1
        mode.written.shares(x if x._base is None else x._base)
    else:
        mode.written.about_to_write(x)
        mode.written.alias(x, out, "numpy")
    mode.kept.note_array(x)
    return out


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
    if func in SHOWING:
        mode.written.order.matters = True
    if torch.is_inference_mode_enabled():
        with torch.inference_mode(mode=False), torch.no_grad():  # tensors of which torch allows everything
            return _cut(mode, func, args, kwargs, "inference_mode")
    if mode.is_cut:
        return _cut(mode, func, args, kwargs, "no_grad")
    _tell(mode, func, args, kwargs)
    return func(*args, **kwargs)


def _tell(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options) -> bool:
    """Whether a call writes into tensors; whoever must know is told."""
    if not _writes(func, kwargs):
        return False
    for target in leaves((kwargs.get("out"), *args[:1]), {}):
        if isinstance(target, torch.Tensor) and not is_signal(target):
            mode.written.about_to_write(target)
    return True


def _cut(mode: "OperationRules", func: Function, args: Arguments, kwargs: Options, how: str) -> Any:
    """A call for which the network turned derivatives off."""
    handle = _OF_MEMORY.get(func)
    if handle is not None:
        return handle(mode, func, args, kwargs)
    is_written = _tell(mode, func, args, kwargs)
    out = func(*args, **kwargs)
    made = out if isinstance(out, list | tuple) else (out,)
    new = [one for one in made if isinstance(one, torch.Tensor) and not any(one is arg for arg in args)]
    is_told = any(one.is_floating_point() for one in new) or is_written
    if is_told and any(map(is_signal, leaves(args, kwargs))):
        mode.cuts[how] += 1
        for one in new:
            mark_cut(one)
    if not any(one._is_view() for one in new):
        return out
    parts = [_apart(mode, one, how) if any(one is part for part in new) else one for one in made]
    return parts[0] if isinstance(out, torch.Tensor) else type(out)(parts)


def _apart(mode: "OperationRules", view: Any, how: str) -> Any:
    """A view as a constant in the same memory; torch refuses one whose base is written into with derivatives."""
    base = view._base
    if base is None:
        return view
    out = view.detach()
    if is_signal(base):
        mode.written.shares(base)
        mark_cut(out)
    else:
        mode.written.alias(base, out, how)
    return out


def _writes(func: Function, kwargs: Options) -> bool:
    """Whether a call writes into an argument."""
    return is_writing(func) or kwargs.get("out") is not None


_DATA: Function = torch.Tensor.data.__get__  # type: ignore[attr-defined]
_OF_MEMORY = {
    _DATA: detached,
    torch.Tensor.data.__set__: data_replaced,  # type: ignore[attr-defined]
    torch.Tensor.detach: detached,
    torch.Tensor.numpy: array,
}
