"""What is put behind an object, and where: the grounds of one decision.

At its own place: its own surroundings (the placebo), other pictures without its class, and synthetic grounds. At the
places of other objects of its class: their surroundings, and the same pictures without it. All annotated objects of
these pictures are filled from what surrounds them: none hides the object, or stands beside it. What is filled is
smooth, which a network may see; so grounds that are compared are filled at the same places.

Axes: N object, V picture, H W picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from torch.nn.functional import interpolate

from lcrp.evidence.reliance import FEWEST
from lcrp.stages.audit.cutting import MARGIN, Cutout, filled, grown, pixels_of, way_to
from lcrp.stages.audit.objects import Objects, companions_in
from lcrp.stages.audit.synthetic import synthetic_grounds
from lcrp.values.audit import Kind
from lcrp.values.geometry import Box
from lcrp.values.sample import Annotation, Sample

Load = Callable[[int], "Scenery | None"]

MOST_COMPANY = 3  # other classes of a picture
STRANGE = 3.0  # standard deviations, of how often classes come together
ENOUGH = 20  # pictures without a class and its company, for them to be drawn alone
MOST_COVERED = 0.5  # share of a ground that objects may cover: what is filled is no surrounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenery:
    """The visible part of a picture, and where its objects lie.

    Attributes:
        picture: [3, h, w].
        hole: [h, w] bool, the objects and a margin around them.
    """

    picture: torch.Tensor
    hole: torch.Tensor

    @classmethod
    def of(cls, sample: Sample, annotation: Annotation) -> "Scenery":
        """A picture without the bars around it."""
        top, left, bottom, right = sample.geometry.content()
        assert annotation.masks is not None
        hole = widened(annotation.masks[:, top:bottom, left:right].any(dim=0))
        return cls(picture=sample.image[:, top:bottom, left:right], hole=hole)

    def fitted(self, size: tuple[int, int]) -> "Scenery":
        """The same in another size (height, width)."""
        if tuple(self.hole.shape) == size:
            return self
        picture = interpolate(self.picture[None], size=size, mode="bilinear", antialias=True)[0]
        hole = interpolate(self.hole[None, None].float(), size=size, mode="bilinear")[0, 0] > 0
        return Scenery(picture=picture, hole=hole)

    def cleared(self, *holes: torch.Tensor) -> torch.Tensor:
        """The picture [3, h, w] without its objects, and filled in other holes [h, w], too."""
        return filled(self.picture, torch.stack([self.hole, *holes]).any(dim=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """An object before one ground.

    Attributes:
        kind: of the ground.
        is_own_place: whether it was left where it stood; False of one that goes to another's place, even where it fills
            the picture and cannot move.
        source: index of the picture that is the ground; the number of a synthetic one; place of the name of the class
            or the companion that is taken away.
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

    Pictures that hold the class's usual company are left out if others are enough: they show its context, too.

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
    lone = without[~np.isin(without, objects.sample[np.isin(objects.class_id, usual_company(objects, class_id))])]
    without = lone if len(lone) >= ENOUGH else without
    pairs = zip(generator.permutation(hosts).tolist(), generator.permutation(without).tolist(), strict=False)
    return list(pairs)[:count]


def usual_company(objects: Objects, class_id: int) -> list[int]:
    """Other classes that come with one in more pictures than by chance, as riders with cars.

    By chance their number is hypergeometric: more than `STRANGE` standard deviations above it, in `FEWEST` pictures.
    """
    count, own = len(objects.pictures), np.unique(objects.sample[objects.class_id == class_id])
    found = []
    for other in np.setdiff1d(objects.class_id, [class_id]).tolist():
        its = np.unique(objects.sample[objects.class_id == other])
        both, share = len(np.intersect1d(own, its)), len(its) / count
        spread = np.sqrt(len(own) * share * (1 - share) * (count - len(own)) / max(1, count - 1))
        if both >= FEWEST and both - len(own) * share > STRANGE * spread:
            found.append(other)
    return found


class Grounds:
    """Puts objects before other grounds.

    Args:
        objects: of the dataset.
        load: a picture and where its objects lie, by its index; None if it cannot be read.
        names: of the network's classes and, behind them, of companions.
        num_synthetic: of the synthetic grounds.
        seed: of their noises.
    """

    def __init__(
        self, objects: Objects, load: Load, names: Sequence[str] = (), *, num_synthetic: int, seed: int
    ) -> None:
        self._objects, self._load, self._names = objects, load, tuple(names)
        self._synthetic = lru_cache(maxsize=2)(partial(synthetic_grounds, count=num_synthetic, seed=seed))  # by size

    def of(
        self,
        sample: Sample,
        annotation: Annotation,
        number: int,
        pairs: Sequence[tuple[int, int]],
        *,
        is_brief: bool = False,
    ) -> list[Ground]:
        """Object `number` of a picture before all its grounds; those that cannot be read are left out.

        Args:
            sample: the picture.
            annotation: its objects.
            number: of one.
            pairs: other objects of its class, and pictures without it, as `drawn_grounds` gives them.
            is_brief: whether only its own picture, the placebo, and pictures without the class at its own place.
        """
        return list(self._of(sample, annotation, number, pairs, is_brief))

    def _of(
        self, sample: Sample, annotation: Annotation, number: int, pairs: Sequence[tuple[int, int]], is_brief: bool
    ) -> Iterator[Ground]:
        top, left, bottom, right = content = sample.geometry.content()
        size = (bottom - top, right - left)
        cutout, own = cutout_of(sample, annotation, number), Scenery.of(sample, annotation)
        yield _ground(Kind.OWN, sample.index, sample.image, cutout)
        yield _ground(Kind.PLACEBO, sample.index, _in_content(sample, own.cleared()), cutout)
        for class_id in () if is_brief else company(annotation, number):
            yield _ground(Kind.COMPANY, class_id, bare(sample.image, annotation, class_id), cutout)
        for name, mask in () if is_brief else self._companions(annotation, number):
            yield _ground(Kind.COMPANY, name, filled(sample.image, widened(mask)), cutout)
        for host, without in pairs:
            source = int(self._objects.sample[host])
            usual, unusual = (None if one is None else one.fitted(size) for one in map(self._load, (source, without)))
            if usual is None or unusual is None:
                continue
            yield _ground(Kind.UNUSUAL, without, _in_content(sample, unusual.cleared(own.hole)), cutout)
            if is_brief:
                continue
            moved = cutout.moved(*way_to(cutout.box, self._place(host, sample), content))
            around = widened(moved.mask[top:bottom, left:right])
            at_host = usual.cleared(around), unusual.cleared(usual.hole, around)
            for kind, index, ground in zip((Kind.USUAL, Kind.UNUSUAL), (source, without), at_host, strict=True):
                yield _ground(kind, index, _in_content(sample, ground), moved, is_own_place=False)
        for step, image in enumerate(() if is_brief else self._synthetic(size)):
            yield _ground(Kind.SYNTHETIC, step, _in_content(sample, image), cutout)

    def _companions(self, annotation: Annotation, number: int) -> Iterator[tuple[int, torch.Tensor]]:
        """What lies beside an object and is annotated as a part of its class: place of its name, and mask [H, W]."""
        own = int(annotation.labels[number])
        class_name = self._names[own] if own < len(self._names) else ""
        for name in companions_in(annotation, self._names):
            if name.startswith(f"{class_name}."):
                yield self._names.index(name), annotation.parts[name]

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


def bare(image: torch.Tensor, annotation: Annotation, class_id: int) -> torch.Tensor:
    """A picture [3, H, W] without its objects of one class: filled from what surrounds them."""
    assert annotation.masks is not None
    return filled(image, widened(annotation.masks[annotation.labels == class_id].any(dim=0)))


def widened(mask: torch.Tensor) -> torch.Tensor:
    """Objects [H, W] bool with a margin around them, which is filled, too."""
    return grown(mask, pixels_of(MARGIN, mask)) if mask.any() else mask


def _ground(kind: Kind, source: int, image: torch.Tensor, cutout: Cutout, *, is_own_place: bool = True) -> Ground:
    return Ground(kind=kind, is_own_place=is_own_place, source=source, image=cutout.before(image), cutout=cutout)


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
    image = sample.image.clone()
    image[:, top:bottom, left:right] = ground
    return image
