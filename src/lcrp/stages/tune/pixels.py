"""Pixel deletion and insertion: how sure a network stays while pixels of a picture are replaced, in a heatmap's order.

Axes: V variant, X step, H W picture.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn.functional import conv2d, pad

from lcrp.attribution.ablated_logits import LookedAt
from lcrp.attribution.engine import Attributor
from lcrp.decisions.together import few_images

GREY = 0.5
BLUR = 1 / 20  # of the shorter side: sigma
Read = Callable[[torch.Tensor], torch.Tensor]  # of pictures [V, 3, H, W], how sure the network is [V]


def sureness(attributor: Attributor, decision: LookedAt) -> Read:
    """How sure a network is of a decision, whatever it decides.

    Detectors: the maximum over boxes of IoU with the decision's box times the probability of its class (D-RISE,
    Petsiuk et al. 2021). Segmenters: the mean logit of the class over the fixed region.

    Args:
        attributor: within its context; its composite leaves forward passes alone.
        decision: whose picture is replaced.
    """
    task, explained = attributor.task, decision.explained

    def read(images: torch.Tensor) -> torch.Tensor:
        found = []
        for part in few_images(images, attributor):
            output, masks = attributor.output(part), decision.mask.expand(len(part), -1, -1)
            if explained.box is None:
                found.append(task.logits(output, [explained] * len(part), masks))
            else:
                boxes = torch.tensor([explained.box]).expand(len(part), 4)
                class_ids = torch.full((len(part),), explained.target.class_id)
                found.append(task.readout(output, class_ids, boxes, masks))
        return torch.cat(found).double().cpu()

    return read


def fillings(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What pixels of a picture [3, H, W] become: the blurred picture, and grey."""
    sigma = max(1.0, BLUR * min(image.shape[1:]))
    reach = min(round(3 * sigma), min(image.shape[1:]) - 1)
    places = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights /= weights.sum()
    rows = conv2d(pad(image[:, None], (reach, reach, 0, 0), mode="reflect"), weights.view(1, 1, 1, -1))
    blurred = conv2d(pad(rows, (0, 0, reach, reach), mode="reflect"), weights.view(1, 1, -1, 1))
    return blurred[:, 0], torch.full_like(image, GREY)


def places_in_order(heatmap: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """Place of every pixel in the order of a heatmap [H, W], 0 for the most relevant; -1 outside the content [H, W]."""
    inside = content.flatten().nonzero()[:, 0]
    order = inside[heatmap.flatten()[inside].argsort(descending=True, stable=True)]
    places = torch.full((content.numel(),), -1, dtype=torch.int64, device=heatmap.device)
    places[order] = torch.arange(len(order), device=heatmap.device)
    return places.view_as(heatmap)


def pixel_curves(
    read: Read,
    image: torch.Tensor,
    fills: Sequence[torch.Tensor],
    ends: torch.Tensor,
    places: torch.Tensor,
    num_steps: int,
) -> torch.Tensor:
    """How sure the network is, [F, 2, X + 1], of deletion and of insertion, for each of F fillings.

    Args:
        read: of pictures.
        image: [3, H, W].
        fills: F pictures of what pixels become.
        ends: [1 + F] how sure it is of the picture, and of every one whose content is all filled.
        places: [H, W] as of `places_in_order`.
        num_steps: X.
    """
    total = int(places.max()) + 1
    counts = [round(total * step / num_steps) for step in range(1, num_steps)]
    variants = torch.stack(list(_between(image, fills, places, counts))) if counts else image.new_zeros(0, *image.shape)
    between = read(variants).view(len(fills), 2, len(counts)) if counts else ends.new_zeros(len(fills), 2, 0)
    full, filled = ends[:1].expand(len(fills)), ends[1:]
    first, last = torch.stack((full, filled), dim=1), torch.stack((filled, full), dim=1)  # [F, 2]
    return torch.cat((first[..., None], between, last[..., None]), dim=2)


def _between(
    image: torch.Tensor, fills: Sequence[torch.Tensor], places: torch.Tensor, counts: Sequence[int]
) -> Iterator[torch.Tensor]:
    """Pictures from which the first so many pixels are gone, then those where they are all that is there."""
    for fill in fills:
        for is_kept in (False, True):
            for count in counts:
                is_first = (places >= 0) & (places < count)
                yield torch.where((places >= 0) & (is_first != is_kept), fill, image)


def all_filled(image: torch.Tensor, fill: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """A picture [3, H, W] whose content [H, W] is all filled."""
    return torch.where(content, fill, image)
