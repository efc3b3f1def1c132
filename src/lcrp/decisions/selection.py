"""Which pictures and which of their decisions are explained."""

from collections.abc import Sequence
from dataclasses import dataclass

from lcrp.attribution.segmentation import BACKGROUND
from lcrp.attribution.task import Box, Prediction, Task
from lcrp.data.dataset import Dataset
from lcrp.errors import ConfigError, DataError, TargetError, nearest
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a user asked to be explained.

    Attributes:
        image: picture file, folder or glob to explain instead of the dataset's samples.
        samples: indices or keys; None takes all pictures of `image`, or the dataset's first sample with a target.
        class_name: name or id of the class; None takes everything that is predicted, best first.
        item: rank among the detections of the class, 0 = best; None is 0 where a class is given.
        box: (left, top, right, bottom) in pixels of the picture on disk; takes the detection that overlaps most, or
            the part within it of the class mask that covers most of it.
        max_targets: at most so many targets of one picture, where neither class nor box is given.
    """

    image: str | None
    samples: tuple[int | str, ...] | None
    class_name: str | int | None
    item: int | None
    box: Box | None
    max_targets: int

    def __post_init__(self) -> None:
        if self.box is not None and (self.class_name is not None or self.item is not None):
            raise ConfigError("stage.box finds its own class and item: leave out stage.class_name and stage.item.")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ConfigError(f"stage.box {list(self.box)} is empty: it is [left, top, right, bottom] in pixels.")
        if self.item is not None and self.class_name is None:
            raise ConfigError("stage.item counts the detections of one class: set stage.class_name too.")
        if self.max_targets < 1:
            raise ConfigError(f"stage.max_targets is {self.max_targets}, but at least 1 target must be explained.")


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
        f"or an id from 0 to {len(class_names) - 1}. Set {setting}."
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
        return [task.match_box(prediction, sample.index, sample.key, sample.geometry.box_to_input(selection.box))]
    if class_id is not None:
        return [task.find(prediction, sample.index, sample.key, class_id, selection.item or 0)]
    explained, _ = task.predicted_targets(prediction, sample)
    named = [one for one in explained if task.class_names[one.target.class_id] != BACKGROUND] or explained
    if not named:
        raise TargetError(f"nothing to explain in {sample.key}: the model predicts nothing there with confidence.")
    best_first = sorted(named, key=lambda one: -one.confidence)  # stable: ties keep the task's order
    return best_first[: selection.max_targets]


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
            f"such as '{dataset.key(0)}'. Set stage.samples."
        )
    return index
