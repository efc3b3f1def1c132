"""Which layers of a network are analysed."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from lcrp.errors import LayerError, nearest

WIDEST = "widest"  # in place of a layer's name


def layer_names(network: nn.Module, patterns: Sequence[str] = ()) -> list[str]:
    """Names of the network's `nn.Conv2d` layers, in module order.

    Args:
        network: any network, prepared for explaining.
        patterns: shell patterns ('backbone.*', '*.conv'); a layer is selected if one of them matches. None selects all.

    Raises:
        LayerError: a pattern matches no layer.
    """
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise LayerError(
                f"layer '{pattern}' is not in {type(network).__name__}; nearest: {nearest(pattern, names)}. "
                "Give the name of a Conv2d, or a pattern such as 'backbone.*'."
            )
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def widest_layer(network: nn.Module) -> str:
    """Name of the convolution with the most channels, the last of several: usually where a backbone ends.

    Raises:
        LayerError: there is no convolution.
    """
    channels: dict[str, int] = {
        name: one.out_channels for name, one in network.named_modules() if isinstance(one, nn.Conv2d)
    }
    if not channels:
        raise LayerError(f"the network {type(network).__name__} has no Conv2d: there are no concepts to show")
    return max(reversed(channels), key=lambda name: channels[name])
