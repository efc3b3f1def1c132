"""Samples that are asked for again soon."""

from collections import OrderedDict
from weakref import WeakValueDictionary

from lcrp.data.dataset import Dataset
from lcrp.values.sample import Sample

BYTES = 1 << 28  # of the pictures that are kept


class Recalled:
    """Samples of a dataset, of which those that were asked for last, or that somebody holds, are not read again.

    Args:
        dataset: whose samples they are.
        num_bytes: of the pictures that are kept, about; the latest one stays in any case.
    """

    def __init__(self, dataset: Dataset, num_bytes: int = BYTES) -> None:
        self._dataset, self._most = dataset, num_bytes
        self._kept: OrderedDict[int, Sample] = OrderedDict()
        self._held: WeakValueDictionary[int, Sample] = WeakValueDictionary()  # no picture lies in memory twice
        self._size = 0

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; DataError if its picture cannot be read, each time anew."""
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        sample = self._held.get(index)
        if sample is None:
            sample = self._held[index] = self._dataset[index]
        self._kept[index] = sample
        self._size += sample.image.nbytes
        while self._size > self._most and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.image.nbytes
        return sample
