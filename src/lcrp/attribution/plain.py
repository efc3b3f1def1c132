"""Networks as they are explained."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from lcrp.models.library import library_of

_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_LOCKS_LOCK = threading.Lock()


@contextmanager
def alone_with(network: nn.Module) -> Iterator[None]:
    """A context in which no other thread alters the network, or another one with which it shares modules.

    A thread that comes second waits. Locks are taken in one order, so that no two threads wait for each other.
    """
    modules = sorted({id(one): one for one in (library_of(network), *network.modules())}.items())
    with _LOCKS_LOCK:
        locks = [_LOCKS.setdefault(module, threading.RLock()) for _, module in modules]
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(lock)
        yield


@contextmanager
def plain(network: nn.Module, *, out_of_place: bool) -> Iterator[None]:
    """Evaluation mode, no gradients, no hooks that wait for them; all given back afterwards.

    Args:
        network: to be explained.
        out_of_place: whether modules that work in place must not, as rules on modules need it.
    """
    training = [(module, module.training) for module in network.modules()]
    with_gradient = [parameter for parameter in network.parameters() if parameter.requires_grad]
    in_place = [module for module in network.modules() if out_of_place and getattr(module, "inplace", False) is True]
    hooks = [(registered, dict(registered)) for module in network.modules() for registered in _backward_hooks(module)]
    try:
        network.eval()
        for parameter in with_gradient:
            parameter.requires_grad_(False)
        for module in in_place:
            module.inplace = False  # type: ignore[assignment]
        for registered, _ in hooks:
            registered.clear()
        yield
    finally:
        for module, was_training in training:
            module.training = was_training
        for parameter in with_gradient:
            parameter.requires_grad_(True)
        for module in in_place:
            module.inplace = True  # type: ignore[assignment]
        for registered, before in hooks:
            registered.update(before)


def _backward_hooks(module: nn.Module) -> tuple[dict[int, Any], ...]:
    """What is to be called with gradients, which are relevance here; torch puts views around the module for it."""
    return module._backward_hooks, module._backward_pre_hooks
