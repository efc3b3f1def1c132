"""Samples and batches: pictures with what is known of them.

Axes: B batch, N object, H W picture. Boxes are xyxy in input pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from lcrp.values.geometry import Geometry
from lcrp.values.target import SkippedSample

VOID = 255  # class of pixels that are of none, or belong to no picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a dataset says is in a picture, in the geometry of the model input.

    Attributes:
        boxes: [N, 4] float32.
        labels: [N] int64, indices into the dataset's class names.
        masks: [N, H, W] bool, one instance each; None where the dataset has none.
        class_mask: [H, W] int64, class of every pixel, or VOID; None where the dataset has none.
        parts: part masks by name ('boat.sail'), [H, W] bool each; empty where the dataset has none.
        context: [H, W] int64, index of the context texture ('water', ...); None where unknown.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor | None = None
    class_mask: torch.Tensor | None = None
    parts: Mapping[str, torch.Tensor] = field(default_factory=dict)
    context: torch.Tensor | None = None

    @property
    def has_classes_alone(self) -> bool:
        """Whether pixels have classes, and nothing says where objects are; not so where there simply is none."""
        return not len(self.boxes) and self.masks is None and self.class_mask is not None


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Sample:
    """One picture, ready for a model but for the normalisation.

    Attributes:
        index: place in the dataset.
        key: name that stays when the dataset grows (file name, or split and number).
        image: [3, H, W] float32 RGB in [0, 1].
        annotation: what is in it; None for a folder of pictures.
        geometry: how the picture on disk was placed in `image`.
    """

    index: int
    key: str
    image: torch.Tensor
    annotation: Annotation | None
    geometry: Geometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One chunk of consecutive samples, padded to a constant shape.

    Attributes:
        samples: the readable samples; `samples[i]` lies in row `rows[i]` of `images`.
        rows: row of each sample.
        images: [B, 3, H, W] float32 RGB in [0, 1]; rows of padding or of broken samples are zero. Without rows where
            the samples' inputs have sizes of their own.
        broken: samples that could not be read.
    """

    samples: tuple[Sample, ...]
    rows: tuple[int, ...]
    images: torch.Tensor
    broken: tuple[SkippedSample, ...]

    def of_one_size(self) -> tuple["Batch", ...]:
        """The batch in parts whose inputs are of one size, `images` with a row for every sample."""
        if len(self.images):
            return (self,)
        by_size: dict[tuple[int, ...], list[Sample]] = {}
        for sample in self.samples:
            by_size.setdefault(tuple(sample.image.shape), []).append(sample)
        return tuple(
            replace(
                self,
                samples=tuple(samples),
                rows=tuple(range(len(samples))),
                images=torch.stack([sample.image for sample in samples]),
            )
            for samples in by_size.values()
        )
