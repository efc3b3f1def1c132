"""Why this class and not that one: the difference of two logits at one place, as relevance for the one and the other.

Relevance that a rule shares in proportion to contributions is linear in the relevance put on the output, so that the
difference z_t - z_o of the logits of two classes is explained by one round: z_t / |z_t - z_o| on the one and
-z_o / |z_t - z_o| on the other. What is positive speaks for class t, what is negative for class o, and all of it sums
to the sign of the difference. Rules that look at no sign (z+ at the output) cannot tell, and are refused.

Axes: N logit of a class.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from lcrp.attribution.class_masks import class_mask
from lcrp.errors import TargetError, nearest
from lcrp.values.prediction import ClassMap
from lcrp.values.target import ExplainedTarget


def other_class(instead: str | int | None, class_names: Sequence[str]) -> int | None:
    """Class id of a name or id; None for None, and as long as no class names are known.

    Raises:
        TargetError: there is no such class, or no other one.
    """
    if instead is None or not class_names:
        return None
    if len(class_names) < 2:
        raise TargetError(f"instead={instead} needs another class, and the network knows '{class_names[0]}' alone")
    if isinstance(instead, str) and instead in class_names:
        return list(class_names).index(instead)
    text = str(instead)
    if text.isdecimal() and int(text) < len(class_names):
        return int(text)
    raise TargetError(
        f"class '{instead}' is not known to the model; nearest: {nearest(text, class_names)}, or an id from 0 to "
        f"{len(class_names) - 1}.",
        mend="Set stage.instead.",
    )


def check_other(explained: int, other: int, class_names: Sequence[str]) -> None:
    """Refuse to contrast a class with itself.

    Raises:
        TargetError: they are the same.
    """
    if explained == other:
        raise TargetError(f"the decision is for '{class_names[other]}' itself: name another class instead of which")


def contrast(own: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sizes of the relevance put on logits [N] of a class, positive, and of another, negative.

    |z_t| / |sum (z_t - z_o)| and -|z_o| / |sum (z_t - z_o)|; where rules follow the signs of logits these are put on.

    Raises:
        TargetError: the logits are the same, and there is nothing to explain.
    """
    difference = (own - other).double().sum().abs()
    if not difference > 0:
        raise TargetError("the logits of the two classes are the same there: nothing speaks for one and not the other")
    return (own.abs() / difference).to(own), (-other.abs() / difference).to(other)


def beside(
    explained: ExplainedTarget, instead: int, class_names: Sequence[str], confidences: torch.Tensor
) -> ExplainedTarget:
    """A decision that knows the class with which it is contrasted, and how confident the network is of that, of [K]."""
    return replace(explained, instead=class_names[instead], instead_confidence=float(confidences[instead]))


def contrasted_mask(
    prediction: ClassMap, explained: ExplainedTarget, instead: int, class_names: Sequence[str], like: torch.Tensor
) -> torch.Tensor:
    """Relevance on the logits of a class and of another in the mask of the one, [K, H, W] as `like`.

    Args:
        prediction: of the picture.
        explained: the class's mask, or a part of it.
        instead: the other class.
        class_names: index = class id.
        like: logits of the picture.

    Raises:
        TargetError: the classes are the same, or the other one has no logit.
    """
    class_id, first = explained.target.class_id, prediction.has_bare_background
    check_other(class_id, instead, class_names)
    if not prediction.has_logit(instead):
        raise TargetError(f"'{class_names[instead]}' has no logit of its own that could be contrasted")
    mask = class_mask(prediction, class_id, explained.within)
    own, other = (prediction.logits[one - first][mask] for one in (class_id, instead))
    seed = torch.zeros_like(like)
    seed[class_id - first][mask], seed[instead - first][mask] = (one.to(seed) for one in contrast(own, other))
    return seed
