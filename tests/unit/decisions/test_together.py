"""Which pictures go through the network together, and which share a forward pass."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from lcrp.decisions import together
from lcrp.decisions.together import LastPass, by_picture, few_samples, images_at_once, parts_of
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Batch, Sample


def sample(index: int, side: int = 4) -> Sample:
    image = torch.full((3, side, side), float(index))
    return Sample(index=index, key=str(index), image=image, annotation=None, geometry=Geometry.identity((side, side)))


def test_what_comes_with_one_picture_is_together_and_pictures_with_many_rounds_come_first() -> None:
    """(picture, rounds): picture 7 has the longest; of two alike pictures the first comes first."""
    members = [(3, 2), (7, 1), (2, 2), (7, 5), (3, 1)]
    ordered = by_picture(members, lambda one: one[0], lambda one: one[1])
    assert ordered == [(7, 5), (7, 1), (2, 2), (3, 2), (3, 1)]


def test_the_same_samples_share_a_pass_until_others_come() -> None:
    told: list[tuple[float, bool]] = []

    class Passes:
        def forward(self, images: torch.Tensor, *, is_for_few: bool) -> object:
            told.append((float(images[0, 0, 0, 0]), is_for_few))
            return object()

    attributor: Any = Passes()
    last = LastPass(attributor)
    one = last.of([sample(1)], is_for_few=True)
    assert last.of([sample(1)]) is one
    both = last.of([sample(1), sample(2)])
    assert both is not one
    assert last.of([sample(2), sample(1)]) is not both
    assert told == [(1.0, True), (1.0, False), (2.0, False)]


@pytest.mark.parametrize(("side", "count"), [(64, 16), (256, 4), (512, 1), (640, 1)])
def test_cpus_take_few_images_at_once(side, count):
    assert images_at_once((16, 3, side, side), torch.device("cpu")) == count
    assert images_at_once((16, 3, side, side), torch.device("cuda")) == 16


def test_parts_hold_every_sample_once_in_its_row():
    """Of nine rows at four at once, with a broken one and a padded end."""
    images = torch.arange(9.0)[:, None, None, None].expand(9, 3, 256, 256)
    rows = (0, 1, 3, 4)
    samples = tuple(
        Sample(index=row, key=str(row), image=images[row], annotation=None, geometry=Geometry.identity((256, 256)))
        for row in rows
    )
    batch = Batch(samples=samples, rows=rows, images=images, broken=())
    parts = list(parts_of(batch, torch.device("cpu")))
    assert [len(part.images) for part in parts] == [4, 4]  # the third has no samples
    for part in parts:
        for sample, row in zip(part.samples, part.rows, strict=True):
            assert part.images[row, 0, 0, 0] == sample.index
    assert [sample.index for part in parts for sample in part.samples] == list(rows)


def test_few_samples_are_asked_for_as_parts_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of one size each, whole ones as soon as they are; those that are left at the end."""
    monkeypatch.setattr(together, "PIXELS_AT_ONCE", 2 * 8 * 8)
    asked: list[int] = []

    def members() -> Iterator[Sample]:
        for number, size in enumerate([8, 4, 8, 8, 4]):
            asked.append(number)
            yield sample(number, size)

    attributor: Any = Mock(device=torch.device("cpu"), takes_one=False)
    found = few_samples(members(), lambda one: one, 4, attributor)
    first = next(found)
    assert [one.index for one in first] == [0, 2]
    assert asked == [0, 1, 2]
    assert [[one.index for one in part] for part in found] == [[1, 4], [3]]
    attributor.takes_one = True
    assert [[one.index for one in part] for part in few_samples(members(), lambda one: one, 4, attributor)] == [
        [number] for number in range(5)
    ]
