"""Constants of a network, and what is made of them once for as long as they are the same."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from lcrp.composites.operations.fingerprint import Fingerprint

Made = TypeVar("Made")


class Constants:
    """Keeps what is made of the parameters and buffers of a network.

    Args:
        network: whose.

    Attributes:
        owners: name of the module that holds a parameter or buffer, by its id.
    """

    def __init__(self, network: nn.Module) -> None:
        self.owners = _owners(network)
        self._fingerprint = Fingerprint((*network.parameters(), *network.buffers()))
        self._made: dict[tuple[object, ...], tuple[object, Any]] = {}

    def __call__(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """What is made of constants, the same as before if they are.

        Args:
            key: all that it is made of: parameters and buffers of the network, maps, numbers.
            make: makes it.
        """
        tensors = [part for part in key if isinstance(part, torch.Tensor)]
        if not all(id(tensor) in self.owners for tensor in tensors):
            return make()
        names = tuple(id(part) if isinstance(part, torch.Tensor) else part for part in key)
        state = tuple((tensor._version, tensor.data_ptr()) for tensor in tensors)
        before, made = self._made.get(names, (None, None))
        if before == state:
            known: Made = made
            return known
        if before is not None:
            self.forget()
        new = make()
        self._made[names] = (state, new)
        return new

    def have_changed(self) -> bool:
        """Whether any is another one than when this was asked before, also where no version tells."""
        return self._fingerprint.has_changed()

    def forget(self) -> None:
        """All that was made is made again."""
        self._made.clear()


def _owners(network: nn.Module) -> Mapping[int, str]:
    """Name of the module that holds a parameter or buffer, by its id; only those that one module holds."""
    owners: dict[int, str] = {}
    shared = set()
    for name, module in network.named_modules():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            shared |= {id(tensor)} & owners.keys()
            owners[id(tensor)] = name
    return {key: name for key, name in owners.items() if key not in shared}
