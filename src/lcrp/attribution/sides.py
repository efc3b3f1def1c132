"""How far out a side of a box lies, where its distance is expected over bins (YOLOv8, YOLO11).

A distance d = sum_q v_q p_q, p = softmax(l), is no sum of its logits l, so that no relevance adds up to it. What is
explained is the sum of logits that changes as the distance does, to first order, with the softmax held constant:

    sum_q w_q l_q,  w_q = dd / dl_q = p_q (v_q - d)

Logits of bins further out than the side weigh positively, of those nearer to the middle negatively, and all weights sum
to 0, as a constant added to all logits moves nothing. Relevance is a share of the distance: what has 0.1 pushes the
side outwards by a tenth of the distance. Where p is even around d, both halves cancel in the sum, which is therefore no
number to go by; what lies where, and on which side of zero, is.

(Relevance p_q v_q / d, the share of each bin in the expectation, sums to 1, and is positive even on bins whose logits
pull the side inwards.)

Axes: Q bin.
"""

import torch

from lcrp.errors import TargetError
from lcrp.values.prediction import DistanceBins

LINEARISED = "sides are expected over bins: explained to first order, their softmax held constant"
SIDES = ("left", "top", "right", "bottom")


def is_linearised(task: object, output: object) -> bool:
    """Whether what a task explains of an output is a distance expected over bins: relevance sums to no part of it."""
    return getattr(task, "read", None) in SIDES and getattr(output, "bins", None) is not None


def side_sizes(bins: DistanceBins, place: tuple[int, ...]) -> torch.Tensor:
    """Sizes of the relevance put on the logits of a side's bins, w_q |l_q| / d, [Q]: positive of those further out.

    Args:
        bins: of all rows.
        place: (picture, row, side).

    Raises:
        TargetError: the side lies where it does whatever a logit is: all weights are 0.
    """
    logits = bins.logits[place].detach()
    probability, values = logits.softmax(dim=0), bins.values.to(logits)
    distance = (probability * values).sum()
    weights = probability * (values - distance)
    if not (weights != 0).any():
        raise TargetError("the side lies where it does whatever the picture shows: the network has no doubt of its bin")
    return weights * logits.abs() / distance
