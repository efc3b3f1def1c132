"""``lcrp.explain``: which concepts carried the decisions about pictures."""

import logging
from collections.abc import Iterator, Sequence
from operator import index
from typing import Any, TypedDict, Unpack, overload

from lcrp.api.asking import Asked, Explanations, chosen_by, references_of
from lcrp.api.door import python_words
from lcrp.api.explainers import Rules, with_composite, with_layer
from lcrp.api.explanation import Explanation
from lcrp.api.given import plain_number
from lcrp.api.loading import Model, load
from lcrp.api.pictures import UNNAMED, GivenPicture, pictures_of, samples_of, shown_pictures
from lcrp.api.runs import shared_run
from lcrp.api.statistics import Statistics
from lcrp.attribution.detection import Read
from lcrp.decisions.auto import is_auto, read_samples, with_chosen
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.doubts import losses_in, tell_losses
from lcrp.decisions.explained import title_of
from lcrp.decisions.neuron_maps import Mode
from lcrp.decisions.selection import Selection, class_id_of
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError, DataError, LcrpError, TargetError
from lcrp.runs.progress import OnProgress
from lcrp.values.geometry import Box

log = logging.getLogger(__name__)

COUNTED = ("explain", "pictures")  # how progress calls it


class ExplainSettings(TypedDict, total=False):
    """Keywords of `explain`; it says what they mean."""

    target: object
    class_name: str | int | None
    item: int | None
    rank: int | None
    box: Sequence[float] | None
    layer: str | None
    composite: Rules | None
    mode: Mode
    n_concepts: int
    concepts: Sequence[int] | None
    statistics: Statistics | None
    n_references: int
    confidence: float | None
    iou: float | None
    max_detections: int | None
    read: Read | None
    instead: str | int | None
    rectangle: bool
    max_targets: int
    bgr: bool
    progress: OnProgress | None


@overload
def explain(model: Model, image: GivenPicture, **settings: Unpack[ExplainSettings]) -> Explanations: ...


@overload
def explain(
    model: Model, image: list[Any] | tuple[Any, ...], **settings: Unpack[ExplainSettings]
) -> list[Explanations]: ...


@overload
def explain(model: Model, image: Iterator[Any], **settings: Unpack[ExplainSettings]) -> Iterator[Explanations]: ...


def explain(
    model: Model,
    image: GivenPicture | Sequence[Any] | Iterator[Any],
    *,
    target: object = None,
    class_name: str | int | None = None,
    item: int | None = None,
    rank: int | None = None,
    box: Sequence[float] | None = None,
    layer: str | None = None,
    composite: Rules | None = None,
    mode: Mode = "relevance",
    n_concepts: int = 3,
    concepts: Sequence[int] | None = None,
    statistics: Statistics | None = None,
    n_references: int = 12,
    confidence: float | None = None,
    iou: float | None = None,
    max_detections: int | None = None,
    read: Read | None = None,
    instead: str | int | None = None,
    rectangle: bool = False,
    max_targets: int = 5,
    bgr: bool = False,
    progress: OnProgress | None = None,
) -> Explanations | list[Explanations] | Iterator[Explanations]:
    """Which concepts carried the decisions about a picture, where they sat, and how much lies outside the object.

    Without `target`, `class_name` and `box` the most confident decisions are explained, `max_targets` at most.

    Args:
        model: an explainer, or anything that `load` takes.
        image: path of a picture, turned as its EXIF orientation says; a folder or a pattern ('photos/*.jpg'); a
            picture of PIL; an array of uint8, H x W x 3, **RGB** (H x W is grey, H x W x 4 has alpha, uint16 counts by
            its high byte); a float tensor 3 x H x W with values from 0 to 1, rounded to 8 bits; a list of these; or a
            generator of these, such as the frames of a video.
        target: decisions by their boxes, as other tools return them: `Detections` of supervision, `Results` or `Boxes`
            of ultralytics, or an earlier explanation. For a list of pictures a list of as many.
        class_name: name or id of the class whose decision is explained.
        item: rank among the detections of the class by class probability, 0 = best.
        rank: rank among the decisions of the class by confidence, 0 = the most confident; instead of `item`.
        box: (left, top, right, bottom) in pixels of the photograph: the detection that overlaps most, or the part
            within it of the class mask that covers most of it.
        layer: whose concepts are shown; None takes the explainer's. 'auto' is what the statistics say, else the layer
            through which most of the relevance of the first 16 decisions about these pictures passes.
        composite: rules, as `load` takes them; None takes the explainer's.
        mode: 'relevance' or 'activation': how concepts and their references are chosen.
        n_concepts: the highest-ranked so many, 1 to 8.
        concepts: these instead, in this order.
        statistics: from `lcrp.statistics`, of the same network: shows reference samples of every concept.
        n_references: reference samples per concept, 0 to 24.
        confidence: least confidence of detections, instead of the explainer's, in [0, 1].
        iou: overlap above which the weaker of two detections of a class is left out, likewise.
        max_detections: at most so many are kept, likewise.
        read: what of detections is explained: the logit of their 'class', of 'objectness', those of the 'mask' of
            detectors that predict masks, or how far out a side of the box lies ('left', 'top', 'right', 'bottom'; of
            YOLOv8, YOLO11 and YOLO26); None is the class, or what `load` was told.
        instead: name or id of a class: explains by how much the logit of a decision's class exceeds that of this one.
            Red speaks for the one, blue for the other, and concepts of both are shown.
        rectangle: show the network letterboxed pictures without the bars that make them square, up to multiples of 32
            pixels, as newer YOLOs predict.
        max_targets: at most so many decisions of one picture, where neither class nor box is given.
        bgr: arrays hold blue, green, red, as those of OpenCV.
        progress: called with (done, total, description, unit); by default a bar in a terminal or notebook, for more
            than one picture.

    Returns:
        A tuple of explanations, best first. A folder or pattern gives one flat tuple, each with its `source`; a list
        gives a list of tuples; a generator a generator of tuples. In a list and a generator a picture without such a
        decision has an empty tuple.

    Raises:
        TargetError: the decision asked for is not there; the message says what is.
        DataError: it is no picture, or cannot be read.
        LayerError: there is no such layer or concept.
        ConfigError: a setting makes no sense.
        StoreError: the statistics are those of another network.

    Example:
        >>> import lcrp
        >>> for explanation in lcrp.explain("embedded:yolov6_scenes", "boat.png"):
        ...     print(explanation)
        boat 0.7...: ... % of the relevance lies outside; concepts ...
    """
    with python_words():
        if statistics is not None and not isinstance(statistics, Statistics):
            raise ConfigError(f"a {type(statistics).__name__} is no statistics: give what lcrp.statistics returns")
        explainer = load(model)
        explainer = explainer if composite is None else with_composite(explainer, composite)
        explainer = with_layer(explainer, layer)
        if statistics is not None and is_auto(explainer, [None]):
            explainer = with_chosen(explainer, chosen_by(statistics, shared_run(progress)))
        choice = ConceptChoice(
            mode=mode,
            layer=explainer.layer,
            n_concepts=plain_number(n_concepts),
            n_references=0 if statistics is None else plain_number(n_references),
            concepts=None if concepts is None else _concepts(concepts),
        )
        selection = Selection(
            image=None,
            samples=None,
            class_name=plain_number(class_name),
            item=plain_number(item),
            rank=plain_number(rank),
            box=None if box is None else _box(box),
            max_targets=plain_number(max_targets),
            rectangle=rectangle,
            thresholds=Thresholds(
                confidence=plain_number(confidence),
                iou=plain_number(iou),
                max_detections=plain_number(max_detections),
                read=read,
                instead=plain_number(instead),
            ),
        )
        selection.thresholds.of(explainer.task)  # refused before any picture is read
        if target is not None and (class_name is not None or box is not None):
            raise ConfigError("target finds its own decisions: leave out class_name and box")
        shown = statistics if choice.n_references else None
        asked = Asked(
            explainer=explainer,
            selection=selection,
            choice=choice,
            references=references_of(shown, explainer, choice),
            title=title_of(explainer, "" if shown is None else f"references from {shown.subject.dataset.name}"),
            bgr=bgr,
            run=shared_run(progress),
        )
        class_id_of(class_name, explainer.class_names)  # refused before any picture is read
    if isinstance(image, Iterator):
        if target is not None:
            raise ConfigError("a generator has no list of targets beside it: call explain for every picture")
        return _of_stream(asked, image)
    if isinstance(image, list | tuple):
        return _of_list(asked, image, target)
    return _of_one(asked, image, target)


def _of_one(asked: Asked, image: Any, target: object) -> Explanations:
    """Explanations of a picture, or of all pictures of a folder or pattern, one after the other."""
    with python_words():
        explainer, selections = asked.explainer, asked.selections(target)
        transform = asked.selection.placing(explainer.transform)
        pictures = pictures_of(image, transform, explainer.class_names, bgr=asked.bgr)
        asked = asked.settled(read_samples(pictures, None))
        shown = shown_pictures(pictures)
        if len(shown) == 1:
            return _told(asked.answer(shown[0](), selections))
        found: list[Explanation] = []
        refused: list[LcrpError] = []
        with asked.run.progress(len(shown), *COUNTED) as progress:
            for read in progress.counted(shown):
                try:
                    found += asked.answer(read(), selections)
                except (TargetError, DataError) as error:
                    log.warning("%s", error)
                    refused.append(error)
        if not found:
            raise TargetError(f"nothing to explain in {len(shown)} pictures; the first: {refused[0]}")
        return _told(tuple(found))


def _of_list(asked: Asked, images: Sequence[object], target: object) -> list[Explanations]:
    """Explanations of every picture of a list."""
    with python_words():
        targets: Sequence[object] = [None] * len(images)
        if target is not None:
            if not isinstance(target, list | tuple) or len(target) != len(images):
                raise ConfigError(f"{len(images)} pictures need a list of as many targets")
            targets = target
        selections = [asked.selections(one) for one in targets]
        samples = [asked.shown(image, f"{UNNAMED} {number}") for number, image in enumerate(images)]
        asked = asked.settled(samples_of(samples))
        with asked.run.progress(len(images), *COUNTED) as progress:
            pairs = progress.counted(zip(samples, selections, strict=True))
            found = [asked.answer_if_there(*pair) for pair in pairs]
        _told(tuple(one for of_picture in found for one in of_picture))
        return found


def _of_stream(asked: Asked, images: Iterator[object]) -> Iterator[Explanations]:
    """Explanations of pictures as they come."""
    for number, image in enumerate(images):
        with python_words():
            sample = asked.shown(image, f"{UNNAMED} {number}")
            asked = asked.settled(samples_of([sample]))
            found = _told(asked.answer_if_there(sample, asked.selections(None)))
        yield found


def _told(found: Explanations) -> Explanations:
    """The same explanations, once the log says what was lost of their decisions."""
    tell_losses(losses_in(one.value for one in found))
    return found


def _box(box: Sequence[float]) -> Box:
    try:
        left, top, right, bottom = (float(edge) for edge in box)
    except (TypeError, ValueError):
        message = f"box {box!r} is no box: give (left, top, right, bottom) in pixels of the photograph"
        raise ConfigError(message) from None
    return left, top, right, bottom


def _concepts(concepts: Sequence[int]) -> tuple[int, ...]:
    try:
        return tuple(index(concept) for concept in concepts)
    except TypeError:
        raise ConfigError(f"concepts={concepts!r} is no list of whole numbers, channels of the layer") from None
