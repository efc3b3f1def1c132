"""Relevance that broke on its way back is an error, never a number."""

import re
from collections.abc import Sequence

import torch

from lcrp.errors import ConfigError, LayerError


def check_finite(names: Sequence[str], sums: torch.Tensor) -> None:
    """One look at the sums [N] of all layers, input first; names the one nearest to the output where relevance broke.

    A sum tells of every value that is not finite, and costs far less than a look at each of them.
    """
    finite = sums.isfinite()
    if not finite.all():
        name = [name for name, fine in zip(names, finite.tolist(), strict=True) if not fine][-1]
        raise LayerError(f"relevance at '{name}' is NaN or infinite: weights, input or number format are to blame")


def check_differentiable(output: torch.Tensor) -> None:
    """Refuse an output that no relevance can go back from.

    Raises:
        ConfigError: it was computed without gradients.
    """
    if not output.requires_grad:
        raise ConfigError(
            "the network's output carries no gradient, so relevance cannot go back from it: forward must not use "
            "no_grad, inference_mode, detach or whole numbers"
        )


def check_no_transform(error: Exception) -> None:
    """Say in our words what torch refuses.

    Raises:
        ConfigError: the network takes gradients while it runs.
    """
    if "functorch transforms" in str(error):
        raise ConfigError(
            "the network calls torch.func (grad, jvp or the like) while it runs; under the rules of a composite it "
            "would get relevance instead of gradients: such a network is explained by composite=gradient only"
        ) from error


def check_no_checkpoint(error: RuntimeError) -> None:
    """Say in our words what torch refuses.

    Raises:
        ConfigError: the network computes a part anew in backward passes, in the one way that torch cannot do here.
    """
    if "use_reentrant" in str(error):
        raise ConfigError(
            "a part of the network runs under torch.utils.checkpoint with use_reentrant=True, through which no "
            "relevance passes: give use_reentrant=False"
        ) from error


def reason_of(error: RuntimeError) -> str:
    """Why torch refused an operation, in one line without places in its own sources.

    For example ``roi_align: input should have the same type as rois``.
    """
    line = str(error).strip().partition("\n")[0]
    found = re.fullmatch(r"(?P<name>[^,/]*), \S*/\S+:\d+, (?P<reason>.*)", line)
    if found is None:
        return re.sub(r"\s*\(?\S*/\S+\.(cpp|cu|h|cuh|py):\d+\)?[,:]?", "", line)
    name = re.sub(r"(_(forward|backward))?(_kernel)?$", "", found["name"])
    reason = found["reason"].replace(f'"{found["name"]}" ', "")
    return f"{name}: {reason}" if name.isidentifier() else reason
