"""Which pictures go through the network together, and which of them share a forward pass.

Axes: B image, H W picture.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.trace import Trace
from lcrp.values.sample import Batch, Sample

Member = TypeVar("Member")

PIXELS_AT_ONCE = 1 << 18  # that go through a network together, on CPUs


def images_at_once(shape: Sequence[int], device: torch.device, *, takes_one: bool = False) -> int:
    """How many images of a batch [B, 3, H, W] go through the network together.

    CPUs are as fast with few, which bounds the memory: what all rounds share is kept for these alone.

    Args:
        shape: [B, 3, H, W].
        device: where the network lies.
        takes_one: whether the network takes one at a time (`Attributor.takes_one`).
    """
    num_images, _, height, width = shape
    if takes_one:
        return 1
    if device.type != "cpu":
        return num_images
    return max(1, min(num_images, PIXELS_AT_ONCE // (height * width)))


def few_images(images: torch.Tensor, attributor: Attributor) -> tuple[torch.Tensor, ...]:
    """Images [B, 3, H, W] in parts that go through the network together."""
    return torch.split(images, images_at_once(images.shape, attributor.device, takes_one=attributor.takes_one))


def few_samples(
    members: Iterable[Member], sample_of: Callable[[Member], Sample], most: int, attributor: Attributor
) -> Iterator[Sequence[Member]]:
    """What comes with one sample each, in parts whose inputs, of one size, go through the network together.

    Args:
        members: what is cut into parts; asked for as parts are.
        sample_of: the sample that one comes with.
        most: of a part.
        attributor: of the network.
    """
    by_size: dict[tuple[int, ...], list[Member]] = {}
    for member in members:
        shape = tuple(sample_of(member).image.shape)
        same = by_size.setdefault(shape, [])
        same.append(member)
        if len(same) == images_at_once((most, *shape), attributor.device, takes_one=attributor.takes_one):
            yield by_size.pop(shape)
    yield from by_size.values()


def by_picture(
    members: Iterable[Member], picture_of: Callable[[Member], int], num_rounds: Callable[[Member], int]
) -> list[Member]:
    """What comes with one picture each, that of one picture together; pictures with many rounds first.

    So they share forward passes, where pictures go through the network one by one (`LastPass`).

    Args:
        members: what is put in order.
        picture_of: the index of the picture that one comes with.
        num_rounds: that one takes.
    """
    most: dict[int, int] = {}
    found = list(members)
    for one in found:
        most[picture_of(one)] = max(most.get(picture_of(one), 0), num_rounds(one))
    return sorted(found, key=lambda one: (-most[picture_of(one)], picture_of(one), -num_rounds(one)))


class LastPass:
    """The last forward pass, for those who ask for the same samples again before anybody else passes any.

    Args:
        attributor: within its context.
    """

    def __init__(self, attributor: Attributor) -> None:
        self._attributor = attributor
        self._found: tuple[list[int], Trace] | None = None

    def of(self, samples: Sequence[Sample], *, is_for_few: bool = False) -> Trace:
        """The pass of some samples; `is_for_few` as of `Attributor.forward`."""
        indices = [sample.index for sample in samples]
        if self._found is None or self._found[0] != indices:
            images = torch.stack([sample.image for sample in samples])
            self._found = indices, self._attributor.forward(images, is_for_few=is_for_few)
        return self._found[1]


def parts_of(batch: Batch, device: torch.device, *, takes_one: bool = False) -> Iterator[Batch]:
    """The parts of a batch that go through the network together; those without a sample are left out.

    Args:
        batch: of samples.
        device: as of `images_at_once`.
        takes_one: as of `images_at_once`.
    """
    for same in batch.of_one_size():
        size = images_at_once(same.images.shape, device, takes_one=takes_one)
        for start in range(0, len(same.images), size):
            pairs = zip(same.samples, same.rows, strict=True)
            members = [(sample, row - start) for sample, row in pairs if start <= row < start + size]
            if members:
                samples, rows = zip(*members, strict=True)
                yield replace(same, samples=samples, rows=rows, images=same.images[start : start + size])
