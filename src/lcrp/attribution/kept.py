"""Detection by networks that select their boxes themselves: a decision is a box of the network's own.

Axes: B batch, D detection, R row of class logits, K class, L column of logits.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn.functional import pad
from torchvision.ops import batched_nms, box_iou

from lcrp.attribution.boxes import BoxDecisions, best_fit
from lcrp.attribution.contrast import check_other, contrast, other_class
from lcrp.attribution.nms import CLASS_SHIFT, suppressors
from lcrp.errors import ConfigError, at_least, refuse, within
from lcrp.values.candidates import Candidates, Fate
from lcrp.values.geometry import Box
from lcrp.values.prediction import Detections, KeptBoxes, KeptOutput, OwnSelection
from lcrp.values.target import ExplainedTarget

SAME_IOU = 0.5  # from which on a box of the same class is the same decision in another forward pass


class KeptDetectionTask(BoxDecisions):
    """Explains single detections of a network that applies thresholds and NMS itself.

    Kept are its boxes with a score > `confidence`, the `max_detections` most confident. Item k of class t is the k-th
    of them whose label is t. The seed is 1 at the class logit from which the score was computed, its sigmoid or
    softmax passed through.

    In another forward pass a decision is found again at the same row of class logits, if rows are anchors. Where rows
    are proposals, which are others in every picture, it is the box of its class that overlaps its box most, by an IoU
    of at least 0.5, else the proposal that overlaps its box most.

    `confidence` shows no box that the network's own threshold drops; that is a setting of the network.
    """

    options = ("instead",)  # settings without which a decision is the same

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        confidence: float = 0.25,
        max_detections: int = 25,
        instead: str | int | None = None,
    ) -> None:
        super().__init__(class_names, confidence=confidence)
        self.max_detections = max_detections
        self.instead = other_class(instead, self.class_names)
        refuse([*within("confidence", confidence, 0, 1), *at_least("max_detections", max_detections, 1)])

    def identity(self) -> dict[str, object]:
        """What decisions and seeds depend on, as plain values."""
        return {
            "name": "detection",
            "confidence": self.confidence,
            "max_detections": self.max_detections,
            "signed": True,
            **({} if self.instead is None else {"instead": self.instead}),
        }

    def predictions(self, output: KeptOutput) -> list[Detections]:
        """The boxes kept of every image, on the CPU, in at least float32.

        Raises:
            ConfigError: the class names do not fit the output.
        """
        return [self._prediction(picture) for picture in output.pictures]

    def _prediction(self, picture: KeptBoxes) -> Detections:
        if len(picture.columns) != len(self.class_names):
            raise ConfigError(
                f"the detector has {len(picture.columns)} classes, but {len(self.class_names)} class names are given"
            )
        return self._detections(picture, self._order(picture)[: self.max_detections])

    def _detections(self, picture: KeptBoxes, order: torch.Tensor) -> Detections:
        """Some of the network's own boxes."""
        scores = picture.scores[order].to(picture.probabilities)
        labels = picture.class_ids[order]
        probabilities = torch.zeros(len(order), len(self.class_names)).to(scores)  # a box is of its label alone
        probabilities[torch.arange(len(order), device=labels.device), labels] = scores
        return Detections(
            rows=picture.rows[order].cpu(),
            boxes=picture.boxes[order].to(scores).cpu(),
            confidence=scores.cpu(),
            labels=labels.cpu(),
            probabilities=probabilities.cpu(),
            objectness=torch.ones_like(scores).cpu(),
            beside=picture.probabilities[picture.rows[order]].cpu(),
        )

    def best_at(
        self, output: KeptOutput, class_id: int, box: Box, *, row: int | None = None, image: int = 0
    ) -> Detections | None:
        """As `BoxDecisions.best_at`, of the boxes that the network gives."""
        picture = output.pictures[image]
        of_class = picture.class_ids == class_id
        places = (of_class if row is None else of_class & (picture.rows == row)).nonzero()[:, 0]
        best = best_fit(picture.boxes[places], picture.scores[places], box) if len(places) else None
        return None if best is None else self._detections(picture, places[[best]])

    def _order(self, picture: KeptBoxes) -> torch.Tensor:
        """The network's own boxes above the threshold, most confident first."""
        order = picture.scores.argsort(descending=True, stable=True)
        return order[picture.scores[order] > self.confidence]

    def candidates(self, output: KeptOutput, opened: KeptOutput | None = None, *, least: float) -> list[Candidates]:
        """What might have been kept of every image, and what removed each.

        Args:
            output: of the network, as it selects.
            opened: of the network without its selection; None where it cannot be had, and only the boxes that it keeps
                itself are candidates.
            least: score above which `opened` gives boxes.
        """
        pairs = zip(output.pictures, output.pictures if opened is None else opened.pictures, strict=True)
        selection = OwnSelection() if opened is None or output.selection is None else output.selection
        known = [self._candidates(own, every, selection, least=least) for own, every in pairs]
        return known if opened is not None else [replace(one, is_complete=False) for one in known]

    def _candidates(self, own: KeptBoxes, every: KeptBoxes, selection: OwnSelection, *, least: float) -> Candidates:
        """Of one picture: `own` boxes of the network, and `every` one that it might have kept."""
        number = {pair: place for place, pair in enumerate(_pairs(own))}
        above = self._order(own).tolist()
        kept, late = set(above[: self.max_detections]), set(above[self.max_detections :])
        threshold = max(self.confidence, -1.0 if selection.confidence is None else selection.confidence)
        pairs, scores = _pairs(every), every.scores.tolist()
        fates: list[Fate] = []
        rows = []
        for place in sorted(range(len(pairs)), key=lambda one: (-scores[one], number.get(pairs[one], len(number)))):
            mine = number.get(pairs[place])
            if scores[place] <= least and mine not in kept:
                continue
            rows.append(place)
            if mine in kept:
                fates.append(Fate.KEPT)
            elif mine in late:
                fates.append(Fate.MAX_DETECTIONS)
            elif mine is not None or scores[place] <= threshold:
                fates.append(Fate.BELOW_THRESHOLD)
            else:
                fates.append(Fate.TOP_K)
        chosen = torch.tensor(rows, dtype=torch.int64, device=every.boxes.device)
        found = Candidates(
            rows=every.rows[chosen].cpu().numpy(),
            boxes=every.boxes[chosen].double().cpu().numpy(),
            class_ids=every.class_ids[chosen].cpu().numpy(),
            scores=every.scores[chosen].double().cpu().numpy(),
            fates=np.array(fates, dtype=np.int8),
            neighbours=np.full(len(fates), -1, dtype=np.int64),
        )
        return found if selection.iou is None else _with_neighbours(found, own, selection)

    def class_confidences(self, prediction: Detections, explained: ExplainedTarget) -> torch.Tensor:
        """What the network would score its box with for every class, [K]: score_t p_k / p_t for target t.

        Of a score that is a geometric mean of p_t and a centreness (FCOS) the root of p_k / p_t is taken.
        """
        row = int((prediction.rows == explained.row).nonzero()[0, 0])
        assert prediction.beside is not None
        found = prediction.beside[row]
        own = found[explained.target.class_id]
        if torch.isclose(own, own.new_tensor(explained.confidence), rtol=1e-4, atol=1e-6):
            return found
        return explained.confidence * (found / own).sqrt()

    def seeded(self, output: KeptOutput) -> torch.Tensor:
        """Class logits [B, R, L]."""
        most = max(len(picture.logits) for picture in output.pictures)
        with torch.enable_grad():  # whatever the caller is about
            return torch.stack([pad(one.logits, (0, 0, 0, most - len(one.logits))) for one in output.pictures])

    def seed(
        self, output: KeptOutput, explained: Sequence[ExplainedTarget | None]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """1 at the logit of every target, among class logits [B, R, L]; of two classes as `contrast`."""
        logits = self.seeded(output)
        seed = torch.zeros_like(logits)
        for image, one in enumerate(explained):
            if one is None:
                continue
            row, column = _place(output.pictures[image], one)
            if self.instead is None:
                seed[image, row, column] = 1
                continue
            check_other(one.target.class_id, self.instead, self.class_names)
            other = int(output.pictures[image].columns[self.instead])
            own = logits.detach()[image, row]
            seed[image, row, column], seed[image, row, other] = contrast(own[column], own[other])
        return logits, seed

    def logits(
        self,
        output: KeptOutput,
        explained: Sequence[ExplainedTarget],
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """The logit that is seeded for each of B targets, [B], where the decision is found again."""
        pairs = zip(output.pictures, explained, strict=True)
        return torch.stack([picture.logits.detach()[_place(picture, one)] for picture, one in pairs])

    def readout(
        self,
        output: KeptOutput,
        class_ids: torch.Tensor,
        boxes: torch.Tensor,
        masks: torch.Tensor,  # noqa: ARG002
    ) -> torch.Tensor:
        """How sure the detector is of class t at box b: max_j IoU(b, b_j) s_j over its kept boxes of class t.

        The read-out of D-RISE (Petsiuk et al. 2021, equation 4, without the class-vector term), of every box that the
        network keeps, also below the task's confidence; 0 if it keeps none.
        """
        found = []
        for picture, class_id, box in zip(output.pictures, class_ids.tolist(), boxes, strict=True):
            of_class = picture.class_ids == class_id
            overlap = _overlap(box.to(picture.boxes)[None], picture.boxes[of_class])
            products = overlap * picture.scores[of_class]
            found.append(torch.cat((products, products.new_zeros(1))).max())
        return torch.stack(found)


def _place(picture: KeptBoxes, explained: ExplainedTarget) -> tuple[int, int]:
    """Row and column of the logit of a target that was found in this forward pass, or in another."""
    column = int(picture.columns[explained.target.class_id])
    if picture.places is None:
        return explained.row, column
    box = picture.boxes.new_tensor([explained.box])
    of_class = picture.class_ids == explained.target.class_id
    overlap = _overlap(box, picture.boxes[of_class])
    if len(overlap) and float(overlap.max()) >= SAME_IOU:
        return int(picture.rows[of_class][overlap.argmax()]), column
    if not len(picture.places):
        return 0, column
    return int(_overlap(box, picture.places).argmax()), column


def _pairs(picture: KeptBoxes) -> list[tuple[int, int]]:
    """Row and class of every box, which no two boxes of a picture share."""
    return list(zip(picture.rows.tolist(), picture.class_ids.tolist(), strict=True))


def _with_neighbours(found: Candidates, own: KeptBoxes, selection: OwnSelection) -> Candidates:
    """The same, where those that the network's own NMS dropped know for which.

    What survives the library's own function, but is not among its boxes, came too late, or was one of too many before.
    """
    assert selection.iou is not None
    is_own = _is_own(found, own)
    contends = np.flatnonzero(is_own | (found.fates == Fate.TOP_K))
    boxes, labels = torch.from_numpy(found.boxes[contends]), torch.from_numpy(found.class_ids[contends])
    survivors = batched_nms(boxes, torch.from_numpy(found.scores[contends]), labels, selection.iou).numpy()
    is_full = selection.max_detections is not None and len(own.rows) + own.num_unnamed >= selection.max_detections
    fates, neighbours = found.fates.copy(), found.neighbours.copy()
    survives = np.isin(np.arange(len(contends)), survivors)
    if is_full:
        fates[contends[survives & ~is_own[contends]]] = Fate.MAX_DETECTIONS
    winners = survivors[is_own[contends[survivors]] | is_full]
    lost = np.flatnonzero(~is_own[contends] & ~survives)
    shifted = boxes + CLASS_SHIFT * labels[:, None]
    by = suppressors(shifted[lost], shifted[winners], selection.iou).numpy()
    lost, by = lost[by >= 0], by[by >= 0]
    fates[contends[lost]] = Fate.NMS
    neighbours[contends[lost]] = contends[winners[by]]
    return replace(found, fates=fates, neighbours=neighbours)


def _is_own(found: Candidates, own: KeptBoxes) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """[N] bool, candidates that the network kept itself."""
    pairs = set(_pairs(own))
    return np.array([pair in pairs for pair in zip(found.rows.tolist(), found.class_ids.tolist(), strict=True)], bool)


def _overlap(box: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """IoU of a box [1, 4] with others [N, 4]; 0 of two without area."""
    overlap: torch.Tensor = box_iou(box, others)[0].nan_to_num()
    return overlap
