"""Which layers of a network are analysed."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from lcrp.errors import LayerError, nearest

AUTO = "auto"  # in place of a layer's name: that through which most of the decisions passes


def layer_names(network: nn.Module, patterns: Sequence[str] = ()) -> list[str]:
    """Names of layers with concepts, in module order: every `nn.Conv2d`, and what a network says of its token layers.

    Args:
        network: any network, prepared for explaining.
        patterns: shell patterns ('backbone.*', '*.conv'); a layer is selected if one of them matches. None selects all.

    Raises:
        LayerError: a pattern matches no layer.
    """
    tokens = getattr(network, "token_layers", ())
    names = [name for name, one in network.named_modules() if isinstance(one, nn.Conv2d) or name in tokens]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise LayerError(
                f"{no_layer(pattern, type(network).__name__, names)} "
                "Give the name of a Conv2d, or a pattern such as 'backbone.*'."
            )
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def no_layer(layer: str, where: str, names: Sequence[str]) -> str:
    """That a layer is not in a network, and what was meant perhaps."""
    if str(layer).strip().lower() == AUTO:
        return f"layer '{layer}' is not in {where}; did you mean '{AUTO}', that through which most decisions pass?"
    return f"layer '{layer}' is not in {where}; nearest: {nearest(layer, names)}."


def check_layers(network: nn.Module) -> None:
    """Whether a network has layers with concepts.

    Raises:
        LayerError: there is no convolution.
    """
    if not layer_names(network):
        raise LayerError(f"the network {type(network).__name__} has no Conv2d: there are no concepts to show")
