"""What a network would say at lower thresholds, where it decides nothing."""

from lcrp.attribution.task import NetworkOutput, Task
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import TargetError
from lcrp.values.prediction import Detections, KeptOutput

WEAKER = 5  # times less confidence is what a person is told to try where nothing is found
_SHARES = (1 / WEAKER, 0.02, 1e-3, 0.0)  # of the threshold, one after another: all boxes at once take long
_EVERY = 100_000  # detections


def with_best(
    error: TargetError, task: Task, output: NetworkOutput, class_id: int | None, *, is_placed: bool
) -> TargetError:
    """The error with the best score that there is, and a threshold that takes it; of boxes only.

    Args:
        error: that nothing, or nothing of a class, is decided.
        task: whose confidence hides it.
        output: of the network for one picture.
        class_id: of which class; None for any.
        is_placed: whether it was looked for at a place: then the best elsewhere is no answer.
    """
    confidence = task.identity().get("confidence")
    if error.mend or not isinstance(confidence, float):
        return error
    if is_placed:
        return _mended(str(error), confidence / WEAKER)
    text = str(error).rstrip(".")
    if bool(task.seeded(output).isnan().any()):
        return TargetError(f"{text}; its scores are no numbers (NaN): what its weights compute grows beyond all bounds")
    for share in _SHARES:
        weaker = Thresholds(confidence=share * confidence, max_detections=_EVERY).of(task)
        found = _best(weaker.predictions(output)[0], class_id)
        if found is not None:
            score, label = found
            if score <= confidence:
                text = f"{text}; the best score there is: '{task.class_names[label]}' {score:.2g}"
            return _mended(text, min(confidence / WEAKER, 0.9 * score))
    if isinstance(output, KeptOutput):
        return TargetError(f"{text}; the network itself keeps no such box, whatever its score")
    return TargetError(f"{text}; every score there is is 0")


def _mended(text: str, confidence: float) -> TargetError:
    return TargetError(text, mend=f"Write stage.confidence={confidence:.2g} to take weaker decisions, too.")


def _best(prediction: Detections, class_id: int | None) -> tuple[float, int] | None:
    """The highest confidence, and its class."""
    members = [
        (confidence, label)
        for confidence, label in zip(prediction.confidence.tolist(), prediction.labels.tolist(), strict=True)
        if class_id in (None, label)
    ]
    return max(members, default=None)
