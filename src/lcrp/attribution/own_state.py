"""What a network keeps for itself: buffers, and whatever it stores on its modules while it runs."""

import torch
from torch import nn


class OwnState:
    """Buffers as they are now, to be given back; what of a picture is stored on modules is let go.

    Args:
        network: whose forward passes may alter them, as counters and running means do.
    """

    def __init__(self, network: nn.Module) -> None:
        self._modules = [(module, dict(vars(module)), dict(module._buffers)) for module in network.modules()]
        buffers = (one for one in network.buffers() if one is not None)
        self._buffers = [(one, one.detach().clone(), one._version) for one in buffers]

    def give_back(self) -> None:
        """All of it is as it was."""
        for module, attributes, buffers in self._modules:
            for name, value in list(vars(module).items()):
                if isinstance(value, torch.Tensor) and value.requires_grad and attributes.get(name) is not value:
                    _put(vars(module), attributes, name)
            module._buffers.clear()
            module._buffers.update(buffers)
        for number, (buffer, before, version) in enumerate(self._buffers):
            if buffer._version != version or buffer.requires_grad:
                with torch.no_grad():
                    buffer.detach_().copy_(before)
                self._buffers[number] = buffer, before, buffer._version


def _put(now: dict[str, object], before: dict[str, object], name: str) -> None:
    if name in before:
        now[name] = before[name]
    else:
        del now[name]
