"""Which pictures and which of their decisions are explained."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lcrp.attribution.task import Box, Prediction, Task
from lcrp.data.dataset import Dataset
from lcrp.data.transforms import InputTransform
from lcrp.decisions.beside import by_confidence, without_background
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import DataError, TargetError, at_least, nearest, refuse, within
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget, SkippedTarget

LISTED = 3  # classes that are told of


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a user asked to be explained.

    Attributes:
        image: picture file, folder or glob to explain instead of the dataset's samples.
        samples: indices or keys; None takes all pictures of `image`, or the dataset's first sample with a target.
        class_name: name or id of the class; None takes everything that is predicted, best first.
        item: place among the detections of the class by class probability, 0 = best; None is 0 where a class is given.
        box: (left, top, right, bottom) in pixels of the picture on disk; takes the detection that overlaps most, or
            the part within it of the class mask that covers most of it.
        max_targets: at most so many targets of one picture, where neither class nor box is given.
        rank: place among the decisions of the class by confidence, 0 = most confident, instead of `item`.
        min_iou: least IoU of a detection with the box that takes it.
        thresholds: of the decisions that are shown.
        rectangle: show the network pictures of `image` without the bars that make letterboxed ones square.
    """

    image: str | None
    samples: tuple[int | str, ...] | None
    class_name: str | int | None
    item: int | None = None
    box: Box | None = None
    max_targets: int
    rank: int | None = None
    min_iou: float = 0.5
    thresholds: Thresholds = field(default_factory=Thresholds)
    rectangle: bool = False

    def __post_init__(self) -> None:
        refuse(self._problems())

    def placing(self, transform: InputTransform) -> InputTransform:
        """How pictures at hand are placed, for a network whose input is made by `transform`.

        Raises:
            ConfigError: a rectangle is asked for, and it does not letterbox.
        """
        return transform.as_rectangle() if self.rectangle else transform

    def _problems(self) -> Iterator[str]:
        place = self.item if self.rank is None else self.rank
        if self.item is not None and self.rank is not None:
            yield f"item={self.item} goes by class probability and rank={self.rank} by confidence; give one of them"
        if self.box is not None:
            is_finite = len(self.box) == 4 and all(map(math.isfinite, self.box))
            if not is_finite or self.box[2] <= self.box[0] or self.box[3] <= self.box[1]:
                yield f"box={list(self.box)} is no box; write [left,top,right,bottom] in pixels of the picture"
            if self.class_name is not None or place is not None:
                yield "box finds its own decision; leave out class_name, item and rank"
        elif place is not None and self.class_name is None:
            name = "item" if self.rank is None else "rank"
            yield f"{name}={place} counts decisions of one class; write class_name too"
        for sample in self.samples or ():
            if isinstance(sample, bool) or not isinstance(sample, int | str):
                yield f"samples: {sample!r} is neither an index nor a key"
        for name, least in (("item", 0), ("rank", 0), ("max_targets", 1)):
            yield from at_least(name, getattr(self, name), least)
        yield from within("min_iou", self.min_iou, 0, 1)
        if self.class_name is not None and self.thresholds.instead == self.class_name:
            yield f"instead={self.class_name} is the class that is explained; name another, or leave it out"


def class_id_of(name: str | int | None, class_names: Sequence[str], setting: str = "stage.class_name") -> int | None:
    """Class id of a name or id that a setting gives; None for None.

    Raises:
        TargetError: there is no such class.
    """
    if name is None:
        return None
    if isinstance(name, str) and name in class_names:
        return class_names.index(name)
    text = str(name)
    if text.isdecimal() and int(text) < len(class_names):
        return int(text)
    raise TargetError(
        f"class '{name}' is not known to the model; nearest: {nearest(text, class_names)}, "
        f"or an id from 0 to {len(class_names) - 1}.",
        mend=f"Set {setting}.",
    )


def sample_indices(dataset: Dataset, samples: Sequence[int | str]) -> list[int]:
    """Indices of samples given by index or key.

    Raises:
        DataError: there is no such sample.
    """
    return [_index(dataset, sample) for sample in samples]


def chosen_targets(
    task: Task, prediction: Prediction, sample: Sample, selection: Selection, class_id: int | None
) -> list[ExplainedTarget]:
    """The decisions of one picture that a user asked for, best first.

    Raises:
        TargetError: what was asked for is not there; the message says what is.
    """
    if selection.box is not None:
        return [task.match_box(prediction, sample, selection.box, selection.min_iou)]
    if class_id is not None and selection.rank is not None:
        return [_ranked(task, prediction, sample, class_id, selection.rank)]
    if class_id is not None:
        return [task.find(prediction, sample, class_id, selection.item or 0)]
    explained, skipped = task.predicted_targets(prediction, sample)
    other = getattr(task, "instead", None)  # of which nothing can be said why it is not itself
    is_other = [one.target.class_id == other for one in explained]
    if explained and all(is_other) and other is not None:
        raise TargetError(
            f"every decision in {sample.key} is for '{task.class_names[other]}' itself: name another class"
        )
    explained = [one for one, is_own in zip(explained, is_other, strict=True) if not is_own]
    named = without_background(task, explained) or explained
    if not named:
        raise TargetError(f"nothing to explain in {sample.key}: {_nothing(task, skipped)}.")
    best_first = sorted(named, key=lambda one: -one.confidence)  # stable: ties keep the task's order
    return best_first[: selection.max_targets]


def _nothing(task: Task, skipped: Sequence[SkippedTarget]) -> str:
    """Why nothing is decided."""
    if skipped:
        reasons = [f"'{task.class_names[one.target.class_id]}': {one.reason}" for one in skipped[:LISTED]]
        return f"the model predicts nothing that can be explained ({'; '.join(reasons)})"
    confidence = task.identity().get("confidence")
    return "the model predicts nothing" + (f" above {confidence:g}" if isinstance(confidence, float) else "")


def _ranked(task: Task, prediction: Prediction, sample: Sample, class_id: int, rank: int) -> ExplainedTarget:
    found = by_confidence(task, prediction, sample, class_id)
    if rank < len(found):
        return found[rank]
    first = task.find(prediction, sample, class_id, 0)  # says what is there, if the class is not
    name = task.class_names[first.target.class_id]
    listed = ", ".join(f"{one.confidence:.2f}" for one in found)
    raise TargetError(f"no rank {rank} of '{name}' in {sample.key}: there are {len(found)}, of confidence {listed}")


def _index(dataset: Dataset, sample: int | str) -> int:
    if isinstance(sample, str):
        try:
            return dataset.index_of(sample)
        except DataError:
            if not sample.isdecimal():
                raise
    index = int(sample)
    if not 0 <= index < len(dataset):
        raise DataError(
            f"{dataset.name} has no sample {sample}: it has {len(dataset)}, from 0 to {len(dataset) - 1}, "
            f"such as '{dataset.key(0)}'.",
            mend="Set stage.samples.",
        )
    return index
