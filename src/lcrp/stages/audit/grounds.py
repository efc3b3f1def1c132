"""What is put behind an object, and where: the grounds of one decision.

At its own place: its own surroundings, blurred and put back (the placebo), other pictures without its class, and
synthetic grounds. At the places of other objects of its class: their surroundings, and the same pictures without it.
All annotated objects of these pictures are filled from what surrounds them: none hides the object, or stands beside it.

Axes: N object, V picture, H W picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import interpolate

from lcrp.stages.audit.cutting import MARGIN, Cutout, blurred, filled, grown, pixels_of, way_to
from lcrp.stages.audit.objects import Objects
from lcrp.stages.audit.synthetic import synthetic_grounds
from lcrp.values.audit import Kind
from lcrp.values.geometry import Box
from lcrp.values.sample import Annotation, Sample

Load = Callable[[int], torch.Tensor | None]

MOST_COMPANY = 3  # other classes of a picture
MOST_COVERED = 0.5  # share of a ground that objects may cover: what is filled is no surrounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """An object before one ground.

    Attributes:
        kind: of the ground.
        is_own_place: whether it was left where it stood; False of one that goes to another's place, even where it fills
            the picture and cannot move.
        source: index of the picture that is the ground; the number of a synthetic one; the class that is taken away.
        image: [3, H, W].
        cutout: the object as it stands there.
    """

    kind: Kind
    is_own_place: bool
    source: int
    image: torch.Tensor
    cutout: Cutout


def drawn_grounds(objects: Objects, place: int, count: int, seed: int) -> list[tuple[int, int]]:
    """Other objects of an object's class, each with a picture without the class, drawn at random; fewer if there are.

    Args:
        objects: of the dataset.
        place: of the object among them.
        count: at most.
        seed: of the draw, which depends on nothing but it and the object.
    """
    sample, class_id = int(objects.sample[place]), int(objects.class_id[place])
    generator = np.random.default_rng([seed, sample, int(objects.number[place])])
    is_of_class = objects.class_id == class_id
    bare = objects.pictures[objects.covered <= MOST_COVERED]
    hosts = np.flatnonzero(is_of_class & (objects.sample != sample) & np.isin(objects.sample, bare))
    without = np.setdiff1d(bare, objects.sample[is_of_class])
    pairs = zip(generator.permutation(hosts).tolist(), generator.permutation(without).tolist(), strict=False)
    return list(pairs)[:count]


class Grounds:
    """Puts objects before other grounds.

    Args:
        objects: of the dataset.
        load: the visible part [3, h, w] of a picture without its objects, by its index; None if it cannot be read.
        num_synthetic: of the synthetic grounds.
        seed: of their noises.
    """

    def __init__(self, objects: Objects, load: Load, *, num_synthetic: int, seed: int) -> None:
        self._objects, self._load, self._num_synthetic, self._seed = objects, load, num_synthetic, seed

    def of(self, sample: Sample, annotation: Annotation, number: int, pairs: Sequence[tuple[int, int]]) -> list[Ground]:
        """Object `number` of a picture before all its grounds; those that cannot be read are left out.

        Args:
            sample: the picture.
            annotation: its objects.
            number: of one.
            pairs: other objects of its class, and pictures without it, as `drawn_grounds` gives them.
        """
        return list(self._of(sample, annotation, number, pairs))

    def _of(
        self, sample: Sample, annotation: Annotation, number: int, pairs: Sequence[tuple[int, int]]
    ) -> Iterator[Ground]:
        cutout = cutout_of(sample, annotation, number)
        placebo = _in_content(sample, blurred(bare_content(sample, annotation)))
        yield _ground(Kind.OWN, sample.index, sample.image, cutout)
        yield _ground(Kind.PLACEBO, sample.index, placebo, cutout)
        for class_id in company(annotation, number):
            yield _ground(Kind.COMPANY, class_id, bare(sample.image, annotation, class_id), cutout)
        for host, without in pairs:
            source = int(self._objects.sample[host])
            parts = self._load(source), self._load(without)
            if parts[0] is None or parts[1] is None:
                continue
            usual, unusual = (_in_content(sample, part) for part in parts if part is not None)
            moved = cutout.moved(*way_to(cutout.box, self._place(host, sample), sample.geometry.content()))
            yield _ground(Kind.UNUSUAL, without, unusual, cutout)
            yield _ground(Kind.USUAL, source, usual, moved, is_own_place=False)
            yield _ground(Kind.UNUSUAL, without, unusual, moved, is_own_place=False)
        top, left, bottom, right = sample.geometry.content()
        synthetic = synthetic_grounds((bottom - top, right - left), self._num_synthetic, self._seed)
        for kind, image in enumerate(synthetic):
            yield _ground(Kind.SYNTHETIC, kind, _in_content(sample, image), cutout)

    def _place(self, host: int, sample: Sample) -> Box:
        """The box of another object where its picture becomes the ground of a picture, xyxy in pixels of the input."""
        top, left, bottom, right = sample.geometry.content()
        shares = self._objects.box[host] * np.array([right - left, bottom - top] * 2) + np.array([left, top] * 2)
        x0, y0, x1, y1 = shares.tolist()
        return x0, y0, x1, y1


def cutout_of(sample: Sample, annotation: Annotation, number: int) -> Cutout:
    """Object `number` of a picture."""
    assert annotation.masks is not None
    left, top, right, bottom = annotation.boxes[number].tolist()
    return Cutout.of(sample.image, annotation.masks[number], (left, top, right, bottom))


def bare(image: torch.Tensor, annotation: Annotation, class_id: int | None = None) -> torch.Tensor:
    """A picture [3, H, W] without its objects, or without those of one class: filled from what surrounds them."""
    assert annotation.masks is not None
    masks = annotation.masks if class_id is None else annotation.masks[annotation.labels == class_id]
    return filled(image, grown(masks.any(dim=0), pixels_of(MARGIN, image))) if len(masks) else image


def _ground(kind: Kind, source: int, image: torch.Tensor, cutout: Cutout, *, is_own_place: bool = True) -> Ground:
    return Ground(kind=kind, is_own_place=is_own_place, source=source, image=cutout.before(image), cutout=cutout)


def bare_content(sample: Sample, annotation: Annotation) -> torch.Tensor:
    """The visible part [3, h, w] of a picture without its objects, and without the bars around it."""
    top, left, bottom, right = sample.geometry.content()
    assert annotation.masks is not None
    masks = annotation.masks[:, top:bottom, left:right]
    return bare(sample.image[:, top:bottom, left:right], replace(annotation, masks=masks))


def company(annotation: Annotation, number: int) -> list[int]:
    """Other classes in an object's picture, the nearest first (between boxes), at most `MOST_COMPANY`."""
    left, top, right, bottom = annotation.boxes.double().T
    own = annotation.boxes[number].double()
    across = torch.maximum(left - own[2], own[0] - right).clamp_min(0)
    down = torch.maximum(top - own[3], own[1] - bottom).clamp_min(0)
    order = (across**2 + down**2).argsort(stable=True)
    labels = [label for label in annotation.labels[order].tolist() if label != int(annotation.labels[number])]
    return list(dict.fromkeys(labels))[:MOST_COMPANY]


def _in_content(sample: Sample, ground: torch.Tensor) -> torch.Tensor:
    """A ground [3, h, w] in the place of a picture's visible part; the bars around it stay."""
    top, left, bottom, right = sample.geometry.content()
    size = (bottom - top, right - left)
    image = sample.image.clone()
    fits = tuple(ground.shape[1:]) == size
    fitted = ground if fits else interpolate(ground[None], size=size, mode="bilinear", antialias=True)[0]
    image[:, top:bottom, left:right] = fitted
    return image
