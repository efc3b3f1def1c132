"""Samples that are kept for a while: each is read once as long as there is room."""

import pytest
import torch
from colour_world import Squares

from lcrp.data.recalled import Recalled
from lcrp.errors import DataError
from lcrp.values.sample import Sample


class Counted(Squares):
    """Squares that say which were read."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.read: list[int] = []

    def __getitem__(self, index: int) -> Sample:
        self.read.append(index)
        return super().__getitem__(index)


def test_the_latest_are_not_read_again() -> None:
    dataset = Counted(4)
    size = Squares(4)[0].image.nbytes
    recalled = Recalled(dataset, num_bytes=2 * size)
    for index in (0, 1, 0, 2, 0, 1):
        assert torch.equal(recalled[index].image, Squares(4)[index].image)
    assert dataset.read == [0, 1, 2, 1]  # 1 made way for 2, since 0 was asked for later


def test_what_somebody_holds_is_not_read_again() -> None:
    """Else a picture that a reference holds would lie in memory twice."""
    dataset = Counted(3)
    recalled = Recalled(dataset, num_bytes=0)
    held = recalled[0]
    recalled[1]
    assert recalled[0] is held
    del held
    recalled[2]
    recalled[0]
    assert dataset.read == [0, 1, 2, 0]


def test_one_stays_though_it_is_larger_than_what_may_be_kept() -> None:
    dataset = Counted(2)
    recalled = Recalled(dataset, num_bytes=0)
    for index in (0, 0, 1, 1, 0):
        recalled[index]
    assert dataset.read == [0, 1, 0]


def test_what_cannot_be_read_is_tried_again() -> None:
    recalled = Recalled(dataset := Counted(2, broken=(1,)))
    for _ in range(2):
        with pytest.raises(DataError):
            recalled[1]
    assert dataset.read == [1, 1]
