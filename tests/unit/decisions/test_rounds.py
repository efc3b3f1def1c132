"""How targets share forward passes."""

import itertools

import pytest
import torch

from lcrp.decisions.rounds import FORWARD_COST, Pass, images_at_once, parts_of, planned_passes
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Batch, Sample


def cost(counts, begins):
    """Of passes that begin at given rounds; the first is for all images."""
    total = 0.0
    for start, end in itertools.pairwise((*begins, max(counts))):
        images = len(counts) if start == 0 else sum(count > start for count in counts)
        total += images * (FORWARD_COST + end - start)
    return total


@pytest.mark.parametrize(
    "counts", [[1], [3, 3, 3], [1, 0, 0, 0], [25, 1, 1, 1], [2, 1, 1, 1, 1, 1, 1, 1], [6, 4, 4, 1, 0, 2], [9, 9, 1, 1]]
)
def test_passes_hold_every_target_once_and_no_plan_is_cheaper(counts):
    passes = planned_passes(counts)
    held = [(row, number) for one in passes for number in one.rounds for row in one.images if number < counts[row]]
    assert sorted(held) == [(row, number) for row, count in enumerate(counts) for number in range(count)]
    assert passes[0].images == tuple(range(len(counts)))
    rounds = range(1, max(counts))
    plans = [(0, *later) for size in range(4) for later in itertools.combinations(rounds, size)]
    assert cost(counts, [one.rounds.start for one in passes]) == min(cost(counts, plan) for plan in plans)


def test_full_rounds_share_one_pass_and_crowds_have_their_own():
    assert planned_passes([3, 3]) == [Pass(images=(0, 1), rounds=range(3))]
    assert planned_passes([20, 1, 1, 1]) == [
        Pass(images=(0, 1, 2, 3), rounds=range(1)),
        Pass(images=(0,), rounds=range(1, 20)),
    ]


@pytest.mark.parametrize(("side", "count"), [(64, 16), (256, 8), (512, 2), (640, 1)])
def test_cpus_take_few_images_at_once(side, count):
    assert images_at_once((16, 3, side, side), torch.device("cpu")) == count
    assert images_at_once((16, 3, side, side), torch.device("cuda")) == 16


def test_parts_hold_every_sample_once_in_its_row():
    """Of nine rows at four at once, with a broken one and a padded end."""
    images = torch.arange(9.0)[:, None, None, None].expand(9, 3, 256, 512)
    rows = (0, 1, 3, 4)
    samples = tuple(
        Sample(index=row, key=str(row), image=images[row], annotation=None, geometry=Geometry.identity((256, 512)))
        for row in rows
    )
    batch = Batch(samples=samples, rows=rows, images=images, broken=(), chunk=0)
    parts = list(parts_of(batch, torch.device("cpu")))
    assert [len(part.images) for part in parts] == [4, 4]  # the third has no samples
    for part in parts:
        for sample, row in zip(part.samples, part.rows, strict=True):
            assert part.images[row, 0, 0, 0] == sample.index
    assert [sample.index for part in parts for sample in part.samples] == list(rows)
