"""Whether a network that a file describes can be built and run, found out without memory."""

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError
from lcrp.models.yolo.heads import Detect
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.part import Part, shown
from lcrp.values.prediction import DetectorOutput

CELLS = 4  # of the coarsest map along a side
SIDE = 128  # of a picture for heads without strides


def sketch(part: Part) -> YOLO:
    """The network of a description, without memory: on the device `meta`, where it has run once.

    Raises:
        CheckpointError: it cannot be built or run, or its head says of strides and classes what is not so.
    """
    try:
        with torch.device("meta"):
            network = YOLO(part).eval()
            _run(network)
    except CheckpointError:
        raise
    except Exception as error:  # a description may be wrong in any way
        lines = str(error).strip().splitlines() or [""]
        raise CheckpointError(
            f"the network that it describes cannot be run ({type(error).__name__}: {shown(lines[0])})"
        ) from error
    return network


def _run(network: YOLO) -> None:
    head, seen = network.head, list[Tensor]()

    def note(_: nn.Module, inputs: tuple[list[Tensor]]) -> None:
        seen.extend(inputs[0])

    if not isinstance(head, Detect):
        network(torch.empty(1, 3, SIDE, SIDE))
        return
    side = CELLS * max(head.strides)
    handle = head.register_forward_pre_hook(note)
    for name in head.heads:
        seen.clear()
        head.choose(name)
        output = network(torch.empty(1, 3, side, side))
        assert isinstance(output, DetectorOutput)
        found = tuple(side / x.shape[2] for x in seen)
        if found != head.strides:
            raise CheckpointError(f"its head says that strides are {head.strides}, but its layers make them {found}")
        if output.class_logits.shape[2] != head.num_classes:
            raise CheckpointError(
                f"its head says that there are {head.num_classes} classes, but makes {output.class_logits.shape[2]}"
            )
    handle.remove()
