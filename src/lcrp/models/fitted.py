"""What a family makes of a checkpoint before its network is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import nn

from lcrp.models.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A checkpoint as its network takes it.

    Attributes:
        checkpoint: with the network's own keys.
        arguments: of the constructor, as far as the checkpoint tells.
        activation: by which classes are told, if it tells.
        build: makes the network that the checkpoint describes, in place of the constructor; None for that one.
        task: which decisions the network makes, if the checkpoint tells.
        side: of the square pictures it was trained with, in pixels, if the checkpoint tells.
    """

    checkpoint: Checkpoint
    arguments: Mapping[str, object]
    activation: Literal["softmax", "sigmoid"] | None = None
    build: Callable[..., nn.Module] | None = None
    task: str | None = None
    side: int | None = None
