"""What do context scores and replaced backgrounds agree about? Each choice of either alone is made otherwise.

    python benchmarks/context_scores.py embedded:ssd_scenes
    python benchmarks/context_scores.py yolov8n.pt --data coco --side 320 --objects 3 --classes 10 --per-class 8

Printed is Pearson's r over pairs of a class and a concept: as it is; within classes, their means taken off; of scores
in one half of the pictures with changes in the other, beside how well the halves agree with each other, which bounds
it; and freed from that noise: r / sqrt(r of scores * r of changes).

Axes: D decision, V variant, C concept, P pair.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.ops import box_iou

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.attribution.boxes import FITS
from lcrp.attribution.concepts import only_concept
from lcrp.attribution.engine import Attributor
from lcrp.data.dataset import Dataset
from lcrp.decisions.regions import outside_shares
from lcrp.decisions.together import few_images
from lcrp.evidence.context import relative_change
from lcrp.evidence.correlation import pearson
from lcrp.stages.context.backgrounds import variants
from lcrp.stages.context.scores import Found
from lcrp.values.region import Region
from lcrp.values.sample import Annotation
from lcrp.values.target import ExplainedTarget

Weighed = tuple[np.ndarray, np.ndarray]  # values and weights, both [P, D]

NUM_OTHERS, HALVINGS = 4, 60  # pictures without the class that become grounds; of the pictures
COLUMNS = "".join(f"{name:>8}" for name in ("r", "within", "halves", "scores", "changes", "freed"))
OBJECT, BOX = 0, 1  # what shares lie outside of
AGAIN, ROW = 0, 1  # the decision where it is found again, else nothing; the row, whatever it says
GROUNDS = {
    "noise alone": (0, 1, 4, 5),
    "black and one colour alone": (2, 3, 6, 7),
    "other pictures as grounds": range(8, 8 + NUM_OTHERS),
}


@dataclass(kw_only=True)
class Decision:
    """A decision with its object, and what is known of its concepts."""

    found: Found
    box: Region
    relevance: np.ndarray  # [C]
    outside: dict[int, tuple[float, float]]  # the object, and the box
    after: np.ndarray | None = None  # [2, V, C], before other grounds, found `AGAIN` and of the same `ROW`


def decisions(attributor: Attributor, data: Dataset, layer: str, num_pictures: int, most: int) -> Iterator[Decision]:
    """The decisions for annotated objects in the first pictures, at most so many of a class in each."""
    task = attributor.task
    for sample in (data[index] for index in range(min(num_pictures, len(data)))):
        trace = attributor.forward(sample.image[None])
        (prediction,) = task.predictions(trace.output)
        for class_id in () if sample.annotation is None else task.present_classes(sample.annotation):
            own = [] if task.is_background(class_id) else task.of_class(prediction, sample, class_id)
            for one in [one for one in own if _is_right(one, sample.annotation)][:most]:
                exact, box = (task.region(prediction, one, sample, is_exact=is_exact) for is_exact in (True, False))
                found = Found(sample=sample, explained=one, region=exact)
                yield Decision(found=found, box=box, relevance=_sums(trace.relevance(layer, [one]))[0], outside={})


def _is_right(one: ExplainedTarget, annotation: Annotation) -> bool:
    boxes = annotation.boxes[annotation.labels == one.target.class_id].double()
    return one.box is None or bool((box_iou(boxes, boxes.new_tensor([one.box])) >= FITS).any())


def look(attributor: Attributor, layer: str, one: Decision, concepts: Sequence[int]) -> None:
    """Where some concepts of a decision lie."""
    trace = attributor.forward(one.found.sample.image[None])
    relevance = trace.relevance(layer, [one.found.explained])
    for concept in concepts:
        heatmap = trace.conditional(layer, only_concept(relevance, torch.tensor([concept])))
        inside, box = (float(outside_shares(heatmap, [region])[0]) for region in (one.found.region, one.box))
        one.outside[concept] = inside, box


def change(attributor: Attributor, layer: str, one: Decision, others: Sequence[torch.Tensor]) -> None:
    """Relevance of a decision before other grounds: those of stage=context, then other pictures."""
    region, image, explained, task = one.found.region, one.found.sample.image, one.found.explained, attributor.task
    grounds = [torch.where(region.counted & ~region.inside, other, image)[None] for other in others]
    found: list[list[np.ndarray]] = [[], []]
    for part in few_images(torch.cat([variants(one.found, 0), *grounds]), attributor):
        trace = attributor.forward(part)
        again = [task.again(prediction, explained) for prediction in task.predictions(trace.output)]
        same = again if explained.box is None else [explained] * len(part)
        found[AGAIN].append(_sums(trace.relevance(layer, again)))
        found[ROW].append(_sums(trace.relevance(layer, same)))
    one.after = np.stack([np.concatenate(rows) for rows in found])


class Measured:
    """Scores and changes of the concepts of one layer."""

    def __init__(self, attributor: Attributor, data: Dataset, layer: str, given: argparse.Namespace) -> None:
        self.made = list(decisions(attributor, data, layer, given.pictures, given.objects))
        self.pictures = np.array([one.found.sample.index for one in self.made])
        self.classes = np.array([one.found.explained.target.class_id for one in self.made])
        shares = np.stack([one.relevance / np.abs(one.relevance).sum() for one in self.made])
        self.pairs, self.references, drawn = list[tuple[int, int]](), list[list[int]](), list[int]()
        for class_id, _ in Counter(self.classes.tolist()).most_common(given.classes):
            rows = np.flatnonzero(self.classes == class_id)
            large = [row for row in rows.tolist() if self.made[row].found.region.num_pixels >= given.min_pixels]
            drawn += np.random.default_rng(0).permutation(np.array(large, dtype=int))[: given.per_class].tolist()
            for concept in np.argsort(-shares[rows].mean(axis=0))[: given.concepts].tolist():
                self.pairs.append((class_id, concept))
                self.references.append(rows[np.argsort(-shares[rows, concept])][: given.references].tolist())
        for row, one in enumerate(self.made):
            class_id, is_drawn = self.classes[row], row in drawn
            members = zip(self.pairs, self.references, strict=True)
            wanted = {pair[1] for pair, rows in members if row in rows or (is_drawn and pair[0] == class_id)}
            look(attributor, layer, one, sorted(wanted))
            if is_drawn:
                fits = np.setdiff1d(self.pictures, self.pictures[self.classes == class_id])
                others = np.random.default_rng(row).permutation(fits)[:NUM_OTHERS].tolist()
                change(attributor, layer, one, [data[other].image for other in others])

    def scores(self, outside: int = OBJECT, *, of_drawn: bool = False) -> Weighed:
        """Shares outside, in the references of every pair; or in the decisions before other grounds, by relevance."""
        value, weight = np.zeros((2, len(self.pairs), len(self.made)))
        for place, ((class_id, concept), references) in enumerate(zip(self.pairs, self.references, strict=True)):
            drawn = [row for row in np.flatnonzero(self.classes == class_id) if self.made[row].after is not None]
            for row in drawn if of_drawn else references:
                one = self.made[row]
                if not np.isnan(one.outside[concept][outside]):
                    value[place, row] = one.outside[concept][outside]
                    weight[place, row] = max(one.relevance[concept], 0) if of_drawn else 1
        return value, weight

    def changes(self, grounds: Sequence[int] = range(8), seeded: int = AGAIN, *, of_found: bool = False) -> Weighed:
        """Relative change of the relevance of every pair; perhaps only where the decision is found again."""
        value, weight = np.zeros((2, len(self.pairs), len(self.made)))
        for row, one in enumerate(self.made):
            after = np.zeros(0) if one.after is None else one.after[seeded][np.isin(range(len(one.after[0])), grounds)]
            after = after[after.any(axis=-1)] if of_found else after
            if after.size:
                changed = relative_change(one.relevance[None], after[None])[0]
                for place, (class_id, concept) in enumerate(self.pairs):
                    if class_id == self.classes[row]:
                        value[place, row], weight[place, row] = changed[concept], max(one.relevance[concept], 0)
        return value, weight

    def told(self, name: str, scores: Weighed, changes: Weighed) -> None:
        """Print one line."""
        both = np.array([mean(scores), mean(changes)])
        known = ~np.isnan(both.sum(axis=0))
        both, owner = both[:, known], np.array([class_id for class_id, _ in self.pairs])[known]
        within = [both[:, owner == one] - both[:, owner == one].mean(axis=1, keepdims=True) for one in np.unique(owner)]
        crossed = np.mean(list(self._crossed(scores, changes)), axis=0)
        bound = np.sqrt(max(crossed[1] * crossed[2], 0))
        freed = crossed[0] / bound if bound else np.nan
        numbers = (pearson(*both), pearson(*np.concatenate(within, axis=1)), *crossed)
        sys.stdout.write(f"  {name:36}" + "".join(f"{number:8.2f}" for number in (*numbers, freed)) + "\n")

    def _crossed(self, scores: Weighed, changes: Weighed) -> Iterator[tuple[float, float, float]]:
        generator, pictures = np.random.default_rng(0), np.unique(self.pictures)
        for _ in range(HALVINGS):
            half = np.isin(self.pictures, generator.permutation(pictures)[: len(pictures) // 2])
            found = np.array([mean(which, rows) for which in (scores, changes) for rows in (half, ~half)])
            a, b, c, d = found[:, ~np.isnan(found.sum(axis=0))]
            yield (pearson(a, d) + pearson(b, c)) / 2, pearson(a, b), pearson(c, d)


def mean(weighed: Weighed, rows: np.ndarray | None = None) -> np.ndarray:
    """Weighted mean [P], perhaps of some decisions alone; NaN where nothing is known."""
    weight = weighed[1] if rows is None else weighed[1] * rows
    total = weight.sum(axis=1)
    return np.divide((weighed[0] * weight).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)


def _sums(relevance: torch.Tensor) -> np.ndarray:
    found: np.ndarray = relevance.double().sum(dim=(2, 3)).numpy()
    return found


def main() -> None:
    """Measure one layer of one network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", default="scenes")
    for name in ("layer", "composite"):
        parser.add_argument(f"--{name}", help="instead of the model's own")
    counts = {"pictures": 160, "objects": 1, "classes": 80, "concepts": 20, "references": 15, "per-class": 20}
    for name, default in {**counts, "min-pixels": 500, "side": None}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(1)
    side = None if given.side is None else (given.side, given.side)
    explainer = lcrp.load(given.model, composite=given.composite, layer=given.layer, input=side)
    subject = subject_of(explainer, given_data(given.data, explainer))
    with subject.explainer.attributor([explainer.layer]) as attributor:
        found = Measured(attributor, subject.dataset, explainer.layer, given)
    sys.stdout.write(f"{explainer.layer}, {len(found.pairs)} pairs, {len(found.made)} decisions\n{'':38}{COLUMNS}\n")
    scores, changes = found.scores(), found.changes()
    found.told("as it is", scores, changes)
    found.told("the object is its box", found.scores(BOX), changes)
    found.told("the same row, detected or not", scores, found.changes(seeded=ROW))
    found.told("both", found.scores(BOX), found.changes(seeded=ROW))
    found.told("only where it is found again", scores, found.changes(of_found=True))
    for name, grounds in GROUNDS.items():
        found.told(name, scores, found.changes(grounds))
    found.told("scores of the decisions that change", found.scores(of_drawn=True), changes)


if __name__ == "__main__":
    main()
