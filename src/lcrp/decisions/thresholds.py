"""Which decisions of a picture are shown, and what of them, whatever the settings of the statistics are."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from lcrp.attribution.task import Task
from lcrp.errors import refuse

UNREADABLE = " by a network that selects its boxes itself (YOLOv8, YOLO11 and YOLO26 tell of the sides of boxes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Thresholds of decisions, and what is explained of them; None takes the network's own.

    They select what is shown and are part of no identity: statistics stay those of the network's own thresholds, and
    so do the items of reference samples.

    Attributes:
        confidence: least confidence of a detection.
        iou: overlap from which on the weaker of two detections of a class is left out.
        max_detections: at most so many, the most confident.
        read: what is explained: the logit of the 'class', of 'objectness', those of the 'mask', or a side of the box.
        instead: name or id of a class whose logit is taken off: why this class and not that one.
    """

    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    read: str | None = None
    instead: str | int | None = None

    def of(self, task: Task) -> Task:
        """The task with these thresholds.

        Raises:
            ConfigError: it knows no such threshold, or the value makes no sense.
        """
        wanted = {name: value for name, value in asdict(self).items() if value is not None}
        if not wanted:
            return task
        settings = task.identity()
        kind, _ = settings.pop("name"), settings.pop("signed", None)
        known = (*settings, *getattr(task, "options", ()))
        foreign = [name for name in wanted if name not in known]
        why = {"read": UNREADABLE if kind == "detection" else ""}
        refuse(f"{name}={wanted[name]} says nothing to {kind}{why.get(name, '')}; leave it out" for name in foreign)
        build: Callable[..., Task] = type(task)
        return build(task.class_names, **settings | wanted)
