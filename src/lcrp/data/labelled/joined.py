"""Any dataset with the classes of a network, joined by name.

Axes: N object, H W picture.
"""

from dataclasses import replace

import torch

from lcrp.data.dataset import Dataset, fingerprint_of
from lcrp.data.labelled.join import Join
from lcrp.data.transforms import InputTransform
from lcrp.values.sample import Annotation, Sample


class JoinedDataset:
    """The samples of another dataset; objects of classes that the network does not know are left out."""

    def __init__(self, dataset: Dataset, join: Join) -> None:
        """Join a dataset.

        Args:
            dataset: the samples.
            join: which class of the network each of its classes is.
        """
        self._dataset, self._join = dataset, join
        self.class_names, self.annotated_names = join.names, join.annotated_names

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self._dataset.name

    @property
    def transform(self) -> InputTransform:
        """How a picture becomes the model's input."""
        return self._dataset.transform

    @property
    def reading(self) -> object:
        """What was read of it; None where nothing is said."""
        return getattr(self._dataset, "reading", None)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index` with the network's labels; DataError if it cannot be read."""
        sample = self._dataset[index]
        return sample if sample.annotation is None else replace(sample, annotation=self._joined(sample.annotation))

    def key(self, index: int) -> str:
        """Name of sample `index`."""
        return self._dataset.key(index)

    def index_of(self, key: str) -> int:
        """Index of the sample called `key`; DataError if there is none."""
        return self._dataset.index_of(key)

    def fingerprint(self) -> str:
        """Hash of the samples and of what their classes are called; empty if nothing is known of the samples."""
        own = self._dataset.fingerprint()
        return fingerprint_of(own, (), {"classes": list(self._join.data_names)}) if own else ""

    def _joined(self, annotation: Annotation) -> Annotation:
        labels = torch.from_numpy(self._join.labels(annotation.labels.numpy()))
        known, mask = labels >= 0, annotation.class_mask
        return replace(
            annotation,
            boxes=annotation.boxes[known],
            labels=labels[known],
            masks=None if annotation.masks is None else annotation.masks[known],
            class_mask=None if mask is None else torch.from_numpy(self._join.class_mask(mask.numpy())),
        )
