"""What the words 'detection', 'kept_detection', 'segmentation' ... of the configuration stand for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.query_masks import QueryMaskTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.attribution.task import Task
from lcrp.config.root import Config
from lcrp.training.losses import detection_objective, segmentation_objective
from lcrp.training.quality import BoxQuality, MaskQuality, Quality
from lcrp.training.trainer import Objective

ClassNames = Sequence[str]

DETECTION = ("score", "confidence", "iou", "max_detections")
KEPT_DETECTION = ("confidence", "max_detections")
SEGMENTATION = ("min_area",)
QUERY_SEGMENTATION = ("min_area", "score")
HEADS = ("activation", "threshold")  # of segmenters; null is read off the network


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskKind:
    """One kind of task.

    Attributes:
        settings: of the model that its decisions depend on.
        options: further ones, which may have no value.
        task: reads the decisions that are explained, as the settings say.
        examined: reads all that a network predicts, when its quality is measured.
        objective: what training makes small.
        quality: how good predictions are.
        has_background: whether class 0 is the background.
        predicts: 'detection' or 'segmentation', what datasets say that they annotate.
    """

    settings: tuple[str, ...]
    options: tuple[str, ...]
    task: Callable[[Config, ClassNames], Task]
    examined: Callable[[ClassNames], Task]
    objective: Objective
    quality: Callable[[ClassNames], Quality]
    has_background: bool
    predicts: str


def build_task(config: Config, class_names: ClassNames) -> Task:
    """How decisions are selected and seeded; an activation that the settings leave open is told by a threshold."""
    return TASKS[config.model.task].task(config, class_names)


def _detection(config: Config, class_names: ClassNames) -> Task:
    return DetectionTask(class_names, **{key: getattr(config.model, key) for key in DETECTION})


def _kept_detection(config: Config, class_names: ClassNames) -> Task:
    return KeptDetectionTask(class_names, **{key: getattr(config.model, key) for key in KEPT_DETECTION})


def _query_segmentation(config: Config, class_names: ClassNames) -> Task:
    own = {key: getattr(config.model, key) for key in QUERY_SEGMENTATION}
    return QueryMaskTask(class_names, **own | {"seed": config.statistics.seed})


def _segmentation(config: Config, class_names: ClassNames) -> Task:
    own = {key: getattr(config.model, key) for key in SEGMENTATION + HEADS}
    own["activation"] = own["activation"] or ("softmax" if own["threshold"] is None else "sigmoid")
    return SegmentationTask(class_names, **own | {"seed": config.statistics.seed})


TASKS: Mapping[str, TaskKind] = {
    "detection": TaskKind(
        settings=DETECTION,
        options=(),
        task=_detection,
        examined=lambda names: DetectionTask(names, confidence=0.001, iou=0.6, max_detections=100),
        objective=detection_objective,
        quality=BoxQuality,
        has_background=False,
        predicts="detection",
    ),
    "kept_detection": TaskKind(
        settings=KEPT_DETECTION,
        options=(),
        task=_kept_detection,
        examined=lambda names: KeptDetectionTask(names, confidence=0.0, max_detections=100),
        objective=detection_objective,
        quality=BoxQuality,
        has_background=False,
        predicts="detection",
    ),
    "segmentation": TaskKind(
        settings=SEGMENTATION,
        options=HEADS,
        task=_segmentation,
        examined=SegmentationTask,
        objective=segmentation_objective,
        quality=MaskQuality,
        has_background=True,
        predicts="segmentation",
    ),
    "query_segmentation": TaskKind(
        settings=QUERY_SEGMENTATION,
        options=(),
        task=_query_segmentation,
        examined=QueryMaskTask,
        objective=segmentation_objective,
        quality=MaskQuality,
        has_background=True,
        predicts="segmentation",
    ),
}
