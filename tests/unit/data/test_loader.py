from dataclasses import fields

import pytest
import torch

from lcrp.data.folder import FolderDataset
from lcrp.data.loader import batches_of, chunks, num_chunks
from lcrp.data.transforms import InputTransform
from lcrp.errors import DataError
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Annotation, Sample


class Numbers:
    """Pictures whose pixels are their index; some of them are broken."""

    name = "numbers"
    class_names = ("one",)
    transform = InputTransform(8, 6, "none")

    def __init__(self, length, broken=()):
        self.length = length
        self.broken = broken

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index in self.broken:
            raise DataError(f"picture {index} cannot be read (torn)")
        mask = torch.zeros(index % 3, 8, 6, dtype=torch.bool)
        return Sample(
            index=index,
            key=self.key(index),
            image=torch.full((3, 8, 6), float(index)),
            annotation=Annotation(
                boxes=torch.full((index % 3, 4), float(index)),
                labels=torch.zeros(index % 3, dtype=torch.int64),
                masks=mask,
                parts={"part": torch.ones(8, 6, dtype=torch.bool)},
            ),
            geometry=Geometry.identity((8, 6)),
        )

    def key(self, index):
        return f"{index:03d}"

    def index_of(self, key):
        return int(key)

    def fingerprint(self):
        return "numbers"


def same(first, second):
    """Whether two values are equal, tensors bit by bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second) and first.dtype == second.dtype
    if isinstance(first, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (Sample, Annotation)) or hasattr(first, "samples"):
        return all(same(getattr(first, field.name), getattr(second, field.name)) for field in fields(first))
    return first == second


def read(dataset, **options):
    return list(chunks(dataset, **{"batch_size": 4, "num_workers": 0, "on_error": "skip", **options}))


def test_chunks_are_consecutive_and_the_last_is_padded():
    batches = read(Numbers(10))
    assert [[sample.index for sample in batch.samples] for batch in batches] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9],
    ]
    assert {tuple(batch.images.shape) for batch in batches} == {(4, 3, 8, 6)}
    assert batches[2].images[:, 0, 0, 0].tolist() == [8, 9, 0, 0]
    assert num_chunks(10, 4) == 3
    assert num_chunks(8, 4) == 2
    assert num_chunks(0, 4) == 0


def test_broken_samples_are_collected_and_their_rows_are_zero():
    first, second = read(Numbers(6, broken=(1, 4, 5)))
    assert first.rows == (0, 2, 3)
    assert first.images[1].abs().sum() == 0
    assert [broken.sample for broken in first.broken] == [1]
    assert first.broken[0].key == "001"
    assert first.broken[0].reason == "picture 1 cannot be read (torn)"
    assert second.samples == ()
    assert second.images.shape == (4, 3, 8, 6)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_on_error_raise_stops_in_one_line(num_workers):
    with pytest.raises(DataError, match=r"^sample 5 '005': picture 5 cannot be read \(torn\)$") as caught:
        read(Numbers(8, broken=(5,)), on_error="raise", num_workers=num_workers)
    assert caught.value.with_mend().endswith(". Set stage.on_error=skip to go on without it")


def test_reasons_name_files_without_their_folders(tmp_path):
    """They are stored with the statistics, which other people read on other machines."""
    (tmp_path / "a b.png").write_bytes(b"no picture")
    (broken,) = read(FolderDataset(str(tmp_path), InputTransform(8, 6, "stretch"), ("x",)))[0].broken
    assert "a b.png" in broken.reason
    assert str(tmp_path) not in broken.reason


def test_chunks_are_the_same_for_any_worker_count():
    dataset = Numbers(11, broken=(2, 8))
    expected = read(dataset)
    for num_workers in (1, 2):
        batches = read(dataset, num_workers=num_workers)
        assert len(batches) == len(expected)
        assert all(map(same, expected, batches))
        assert all(sample.image.data_ptr() >= batch.images.data_ptr() for batch in batches for sample in batch.samples)


def test_a_start_or_end_in_the_middle_changes_no_chunk():
    everything = read(Numbers(11))
    assert all(map(same, everything[1:], read(Numbers(11), first_chunk=1)))
    assert all(map(same, everything[1:2], read(Numbers(11), first_chunk=1, end_chunk=2)))
    assert read(Numbers(11), first_chunk=3) == []
    assert len(read(Numbers(11), end_chunk=99)) == 3


def test_chosen_indices_keep_their_order():
    batches = read(Numbers(11), indices=[7, 3, 3, 1, 0])
    assert [[sample.index for sample in batch.samples] for batch in batches] == [[7, 3, 3, 1], [0]]


def test_reading_leaves_the_random_state_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    read(Numbers(5))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_of_given_samples_have_as_many_rows_as_samples_or_as_asked(num_workers):
    cut = [range(4, 7), [9], range(2)]
    found = list(batches_of(Numbers(10, broken=(5,)), cut, num_workers=num_workers, on_error="skip"))
    assert [len(batch.images) for batch in found] == [3, 1, 2]
    assert [[sample.index for sample in batch.samples] for batch in found] == [[4, 6], [9], [0, 1]]
    assert found[0].rows == (0, 2)
    assert not found[0].images[1].any()  # the broken one's
    assert [one.sample for one in found[0].broken] == [5]
    filled = batches_of(Numbers(10), cut, num_rows=3, num_workers=num_workers, on_error="skip")
    assert [len(batch.images) for batch in filled] == [3, 3, 3]
    with pytest.raises(DataError, match="sample 5 '005'"):
        list(batches_of(Numbers(10, broken=(5,)), cut, num_workers=num_workers, on_error="raise"))
