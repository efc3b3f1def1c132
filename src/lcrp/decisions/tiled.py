"""Decisions about a photograph that is seen tile by tile: those of all tiles joined, each explained on its own tile.

Axes: N detection.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torchvision.ops import batched_nms, box_area, box_iou

from lcrp.attribution.task import Task
from lcrp.decisions.beside import without_background
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.explained import explained
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.references import ReferenceSource
from lcrp.decisions.selection import Selection, class_id_of
from lcrp.errors import TargetError
from lcrp.values.explanation import Explanation
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

DEFAULT_IOU = 0.45  # above which detections of two tiles are one, for networks that need no NMS themselves
MOST_WITHIN = 0.7  # of a detection that a tile's edge cuts, within a larger one of its class: then it is a piece of it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """A decision about a tile; its box [4] lies in the photograph."""

    tile: Sample
    one: ExplainedTarget
    box: torch.Tensor | None


def explained_tiles(
    explainer: Explainer,
    tiles: Sequence[Sample],
    selection: Selection,
    choice: ConceptChoice,
    *,
    title: str = "",
    references: ReferenceSource | None = None,
    start_counting: StartCounting | None = None,
) -> list[Explanation]:
    """Explanations of the decisions about one photograph that were asked for, best first, each on the tile that has it.

    Detections of all tiles are joined by the network's own NMS; of an object that an edge cuts, the whole one stays.

    Args:
        explainer: the network and what belongs to it.
        tiles: of the photograph.
        selection: which decisions.
        choice: which concepts of which layer.
        title: as `explained` takes it.
        references: likewise.
        start_counting: likewise.

    Raises:
        TargetError: the decisions asked for are not there.
        LayerError: there is no such layer, or it has no such concept.
    """
    task = selection.thresholds.of(explainer.task)
    class_id = class_id_of(selection.class_name, task.class_names)
    joined = _joined(task, _decisions(explainer, task, tiles))
    return [
        _placed(explanation, found, joined)
        for found in _chosen(task, joined, selection, class_id)
        for explanation in explained(
            explainer,
            found.tile,
            _exactly(selection, found),
            choice,
            title=title,
            references=references,
            start_counting=start_counting,
        )
    ]


def _decisions(explainer: Explainer, task: Task, tiles: Sequence[Sample]) -> list[_Found]:
    """All that is decided about all tiles."""
    found = []
    with explainer.reader() as reader:
        for tile in tiles:
            (prediction,) = task.predictions(reader.output(tile.image[None]))
            for one in without_background(task, task.predicted_targets(prediction, tile)[0]):
                box = (
                    None
                    if one.box is None
                    else torch.from_numpy(tile.geometry.boxes_to_picture(np.array([one.box]))[0])
                )
                found.append(_Found(tile=tile, one=one, box=box))
    return found


def _joined(task: Task, decisions: Sequence[_Found]) -> list[_Found]:
    """The decisions, most confident first, each detection once: on a tile that shows all of it, else the most."""
    ordered = sorted(decisions, key=lambda found: -found.one.confidence)  # stable
    placed = [found for found in ordered if found.box is not None]
    if not placed:
        return ordered
    boxes = torch.stack([found.box for found in placed if found.box is not None])
    num_cuts = torch.tensor([_num_cuts(found, box) for found, box in zip(placed, boxes, strict=True)])
    scores = torch.tensor([found.one.confidence for found in placed], dtype=torch.float64) - num_cuts
    classes = torch.tensor([found.one.target.class_id for found in placed])
    iou = task.identity().get("iou")
    kept = batched_nms(boxes, scores, classes, iou if isinstance(iou, float) else DEFAULT_IOU).sort().values
    is_piece = (num_cuts[kept] > 0) & _lies_within(boxes[kept], classes[kept])
    return [placed[row] for row in kept[~is_piece].tolist()]


def _lies_within(boxes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Which boxes [N, 4] lie mostly within a larger one of their class, [N]."""
    low, high = torch.maximum(boxes[:, None, :2], boxes[:, :2]), torch.minimum(boxes[:, None, 2:], boxes[:, 2:])
    areas = box_area(boxes)
    inner = (high - low).clamp_min(0).prod(dim=2) / areas[:, None]
    counts = (areas > areas[:, None]) & (classes == classes[:, None])
    within: torch.Tensor = ((inner >= MOST_WITHIN) & counts).any(dim=1)
    return within


def _num_cuts(found: _Found, box: torch.Tensor) -> int:
    """At how many sides a box ends where what is seen of its tile does, and the photograph does not."""
    left, top, right, bottom = box.tolist()
    return len(found.tile.geometry.cut_sides((left, top, right, bottom)))


def _chosen(task: Task, joined: Sequence[_Found], selection: Selection, class_id: int | None) -> list[_Found]:
    """Those that were asked for.

    Raises:
        TargetError: they are not there; the message says what is.
    """
    if not joined:
        raise TargetError("nothing to explain: the model predicts nothing in any tile.")
    if selection.box is not None:
        return [_at_box(task, joined, selection)]
    if class_id is None:
        return list(joined[: selection.max_targets])
    of_class = _of_class(joined, class_id)
    if selection.rank is None:
        of_class = _by_score(of_class)
    place = (selection.item or 0) if selection.rank is None else selection.rank
    if place >= len(of_class):
        name, count = task.class_names[class_id], len(of_class)
        listed = ", ".join(sorted({task.class_names[found.one.target.class_id] for found in joined}))
        missing = (
            f"no number {place} of '{name}' in all tiles: there are {count}" if count else f"no '{name}' in any tile"
        )
        raise TargetError(f"{missing}; found are {listed}")
    return [of_class[place]]


def _at_box(task: Task, joined: Sequence[_Found], selection: Selection) -> _Found:
    """The detection that overlaps a box most."""
    assert selection.box is not None
    placed = [found for found in joined if found.box is not None]
    if not placed:
        raise TargetError("a box means no class mask where a photograph is cut into tiles: give class_name instead")
    boxes = torch.stack([found.box for found in placed if found.box is not None])
    shares = box_iou(torch.tensor([selection.box], dtype=boxes.dtype), boxes)[0]
    middle = torch.tensor([(selection.box[0] + selection.box[2]) / 2, (selection.box[1] + selection.box[3]) / 2])
    distance = ((boxes[:, :2] + boxes[:, 2:]) / 2 - middle).norm(dim=1)
    best = int(shares.argmax() if shares.any() else distance.argmin())
    if not 0 < float(shares[best]) >= selection.min_iou:
        near, box = placed[best], [round(edge) for edge in boxes[best].tolist()]
        raise TargetError(
            f"no detection overlaps box {list(selection.box)} by an IoU of {selection.min_iou:g}; nearest: "
            f"'{task.class_names[near.one.target.class_id]}' at {box}, IoU {float(shares[best]):.2f}"
        )
    return placed[best]


def _placed(explanation: Explanation, found: _Found, joined: Sequence[_Found]) -> Explanation:
    """The explanation with the decision's places among those for its class about the whole photograph."""
    rivals = _of_class(joined, found.one.target.class_id)
    explained = explanation.explained
    target = replace(explained.target, item=_by_score(rivals).index(found))
    return replace(explanation, explained=replace(explained, target=target), rank=rivals.index(found))


def _of_class(joined: Sequence[_Found], class_id: int) -> list[_Found]:
    """Decisions for a class, most confident first: by their rank."""
    return [found for found in joined if found.one.target.class_id == class_id]


def _by_score(found: Sequence[_Found]) -> list[_Found]:
    """Decisions by their item."""
    return sorted(found, key=lambda one: -one.one.score)


def _exactly(selection: Selection, found: _Found) -> Selection:
    """What selects one decision on its tile."""
    target = found.one.target
    return replace(selection, class_name=target.class_id, item=target.item, rank=None, box=None)
