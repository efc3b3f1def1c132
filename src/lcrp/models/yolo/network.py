"""YOLOv8, YOLO11, YOLO26 and their relatives as networks.

Axes: B batch, K class, M row of the output, H W input.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.layers import initialise_convolutions
from lcrp.models.yolo.build import HEADS, build
from lcrp.models.yolo.heads import Detect, Head
from lcrp.models.yolo.part import Part, shown
from lcrp.values.prediction import DetectorOutput

MAX_SOURCES = 64  # layers that one reads
_PRIOR_OBJECTS = 5  # of every class in a picture of 640 x 640 pixels, of which an untrained network is sure
_PRIOR_SIDE = 640


class YOLO(nn.Module):
    """A network as its description says: layers, each of which reads earlier ones, and a head.

    Args:
        part: the list of layers, each with the setting 'f', the number or numbers of the layers that it reads (-1 for
            the one before).
        head: which of its heads answers; None for the one-to-one head where there is one.

    Raises:
        CheckpointError: a layer is not known here, reads what is not there, or the last one is no head.
        ConfigError: it has no such head.
    """

    def __init__(self, part: Part, head: Head | None = None) -> None:
        super().__init__()
        layers = list(part.parts.values())
        if not layers or layers[-1].kind not in HEADS:
            last = f"ends in {layers[-1].kind}" if layers else "has no layers"
            raise CheckpointError(f"the network {last}, which is none of the heads {', '.join(HEADS)}")
        self.sources = [_sources(layer, number) for number, layer in enumerate(layers)]
        self.model = nn.Sequential(*(_built(layer, number) for number, layer in enumerate(layers)))
        self._needed = {source for sources in self.sources for source in sources}
        if head is None:
            return
        if not isinstance(self.head, Detect):
            raise ConfigError(
                f"model.head='{head}' says nothing to a network that tells classes of pixels; leave it out"
            )
        self.head.choose(head)

    @property
    def has_choice(self) -> bool:
        """Whether it has several heads, of which one answers."""
        return isinstance(self.head, Detect) and self.head.has_choice

    @property
    def head(self) -> nn.Module:
        """The last layer."""
        return self.model[-1]

    @property
    def title(self) -> str:
        """Which head answers, if there are several."""
        return f"head {self.head.head}" if isinstance(self.head, Detect) and self.has_choice else ""

    def forward(self, x: Tensor) -> DetectorOutput | Tensor:
        """What the head makes of pictures.

        Args:
            x: [B, 3, H, W] RGB in [0, 1], sides multiples of the largest stride.

        Returns:
            Boxes and classes of all M rows, or logits [B, K, H, W] of pixels.
        """
        maps: dict[int, Tensor] = {-1: x}
        output: DetectorOutput | Tensor = x
        for number, (layer, sources) in enumerate(zip(self.model, self.sources, strict=True)):
            inputs = [maps[source] for source in sources]
            output = layer(inputs if _takes_several(layer, inputs) else inputs[0])
            if number in self._needed and isinstance(output, Tensor):
                maps[number] = output
        return output

    def cell_centres(self, height: int, width: int) -> Tensor:
        """Centre (x, y) of the cell of every output row, [M, 2] in pixels of an input of this size."""
        head = self.head
        assert isinstance(head, Detect)
        sizes = [(height // stride, width // stride) for stride in head.strides]
        return head.cells(sizes, next(self.parameters()))[0]

    def prepare(self) -> None:
        """Leave out what no decision passes."""
        if isinstance(self.head, Detect):
            self.head.leave_out()

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights for training from scratch."""
        initialise_convolutions(self, generator)
        head = self.head
        if isinstance(head, Detect):
            _set_prior(head)


@torch.no_grad()
def _set_prior(head: Detect) -> None:
    """Let every class start with the probability of a few objects in a picture, and every side with one stride."""
    for name in ("cv3", "one2one_cv3"):
        for last, stride in zip(_last_biases(head, name), head.strides, strict=False):
            cells = (_PRIOR_SIDE / stride) ** 2
            last.fill_(math.log(_PRIOR_OBJECTS / head.num_classes / cells))
    for name in ("cv2", "one2one_cv2"):
        for last in _last_biases(head, name):
            last.fill_(1.0)


def _last_biases(head: Detect, name: str) -> list[Tensor]:
    """Biases of a branch's last convolutions, level by level; none if the head has no such branch."""
    if name not in head._modules:
        return []
    return [one.get_parameter("2.bias") for one in head.get_submodule(name).children()]


def _built(layer: Part, number: int) -> nn.Module:
    try:
        return build(layer)
    except (CheckpointError, KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"layer {number} of the network, {layer.kind}, cannot be built: {error}") from error


def _sources(layer: Part, number: int) -> tuple[int, ...]:
    """Numbers of the layers that one reads; -1 for the picture."""
    given = layer.settings.get("f", -1)
    values: Sequence[object] = given if isinstance(given, tuple) else (given,)
    found = []
    if len(values) > MAX_SOURCES:
        raise CheckpointError(f"layer {number} of the network, {layer.kind}, reads {len(values)} layers")
    for one in values:
        if isinstance(one, bool) or not isinstance(one, int) or not -number - 1 <= one < number:
            raise CheckpointError(
                f"layer {number} of the network, {layer.kind}, reads layer {shown(one)}, which is not there"
            )
        found.append(one if one >= 0 else number + one)
    return tuple(found)


def _takes_several(layer: nn.Module, inputs: Sequence[Tensor]) -> bool:
    return len(inputs) > 1 or isinstance(layer, Detect)
