"""What a network keeps for itself: weights, buffers, and whatever it stores on its modules while it runs."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from lcrp.composites.operations.memory import has_equal, memory_of

_TORCHS = frozenset(vars(nn.Module()))  # what every module has
_REGISTERED = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_OWN = f"{__name__.partition('.')[0]}."  # modules of this package begin with


class OwnState:
    """All of a network as it is now, to be given back: tensors, and what is stored on modules or in their containers.

    Buffers are copied at once, since C++ writes into them unseen; other tensors when the network is about to write.

    Args:
        network: whose forward passes may alter it, as counters and running means do.
    """

    def __init__(self, network: nn.Module) -> None:
        self._modules = [_Stored(module) for module in network.modules()]
        self._tensors = list(_tensors(network))
        self._places = [one.detach() for one in self._tensors]
        self._had_gradient = [one.requires_grad for one in self._tensors]
        self._in_memory: dict[int, list[int]] = {}
        for number, one in enumerate(self._tensors):
            self._in_memory.setdefault(memory_of(one), []).append(number)
        self._before: dict[int, torch.Tensor] = {}
        for buffer in network.buffers():
            self.about_to_write(buffer)

    def about_to_write(self, tensor: torch.Tensor) -> None:
        """Something may be written into the memory of a tensor: if it is of the network, it is copied."""
        for number in self._in_memory.get(memory_of(tensor), ()):
            if number not in self._before:
                self._before[number] = self._places[number].clone()

    def give_back(self) -> None:
        """All of it is as it was."""
        for stored in self._modules:
            stored.give_back()
        with torch.no_grad():
            tensors = zip(self._tensors, self._places, self._had_gradient, strict=True)
            for number, (tensor, place, had_gradient) in enumerate(tensors):
                if memory_of(tensor) != memory_of(place) and not _is_copy(tensor, place):
                    tensor.data = place
                if tensor.requires_grad and not had_gradient:
                    (tensor if tensor._base is None else tensor._base).detach_()
                before = self._before.get(number)
                is_dense = place.layout is torch.strided
                if before is not None and not (is_dense and has_equal(place, before)):
                    place.copy_(before)


class _Stored:
    """What is stored on a module, and in its lists, dictionaries and sets; and which hooks it has."""

    def __init__(self, module: nn.Module) -> None:
        own = vars(module)
        self._hooks = [(own[name], frozenset(own[name])) for name in _HOOKS]
        containers = [value for name, value in own.items() if name not in _TORCHS or name in _REGISTERED]
        self._kept = [(one, one.copy()) for one in (own, *containers) if isinstance(one, list | dict | set | deque)]

    def give_back(self) -> None:
        for now, before in self._kept:
            if not _is_same(now, before):
                now.clear()
                (now.extend if isinstance(now, list | deque) else now.update)(before)
        for hooks, known in self._hooks:  # some networks hook themselves when they first run, and note that they did
            for key in [one for one, hook in hooks.items() if one not in known and not _is_own(hook)]:
                del hooks[key]


def _tensors(network: nn.Module) -> Iterator[torch.Tensor]:
    """Parameters, buffers, and tensors that are stored on modules; each once."""
    stored = (value for module in network.modules() for value in vars(module).values())
    plain = (value for value in stored if isinstance(value, torch.Tensor) and not value.requires_grad)
    yield from {id(one): one for one in (*network.parameters(), *network.buffers(), *plain)}.values()


def _is_own(hook: object) -> bool:
    """Whether a hook is of this package, which removes its own."""
    return str(getattr(hook, "__module__", "")).startswith(_OWN)


def _is_same(now: Any, before: Any) -> bool:
    """Whether a container holds the same things, in the same order."""
    if len(now) != len(before):
        return False
    if isinstance(now, dict):
        return all(a is b and now[a] is before[b] for a, b in zip(now, before, strict=True))
    return now == before if isinstance(now, set) else all(a is b for a, b in zip(now, before, strict=True))


def _is_copy(tensor: torch.Tensor, place: torch.Tensor) -> bool:
    """Whether a tensor holds the same in another order of memory, in which the network runs."""
    return tensor.shape == place.shape and tensor.dtype == place.dtype and has_equal(tensor, place)
