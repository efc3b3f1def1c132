"""Modified weights, made once."""

from collections.abc import Callable

import torch
from torch import nn


class ModifiedWeights:
    """Modified weights of a layer by name."""

    def __init__(self) -> None:
        self._source: tuple[torch.Tensor, int, int] | None = None
        self._made: dict[str, torch.Tensor] = {}

    def get(self, module: nn.Module, name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The weight of that name, as it was made from the layer's, or made anew if that is another one by now."""
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        version, address = weight._version, weight.data_ptr()
        if self._source is None or self._source[0] is not weight or self._source[1:] != (version, address):
            self._source, self._made = (weight, version, address), {}
        if name not in self._made:
            self._made[name] = make(weight.detach())
        return self._made[name]
