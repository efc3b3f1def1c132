"""The concept phase of stage=audit, class by class: relevance, then scores without each of a few concepts.

Axes: N decision, V picture, C concept, K candidate.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.attribution.engine import Attributor
from lcrp.composites.spec import GRADIENT
from lcrp.decisions.annotated_objects import AnnotatedObject
from lcrp.decisions.subject import Subject
from lcrp.evidence.intervals import mean_interval
from lcrp.stages.audit.carriers import (
    at_own_place,
    candidates,
    fall,
    mean_of_known,
    padded,
    relevance_rows,
    scores_without,
    taylor_rows,
)
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.objects import Objects, annotated, decisions
from lcrp.stages.audit.tables import interval_columns
from lcrp.values.evidence import Table
from lcrp.values.sample import Sample

Array = npt.NDArray[Any]
Work = Callable[[], Mapping[str, Array]]
Make = Callable[[int], tuple[Sample, list[Ground]] | None]

MOST_DECISIONS = 12  # of a class
MOST_GROUNDS = 3  # pictures without the class, per decision


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassConcepts:
    """What is known of a class's concepts.

    Attributes:
        class_id: the class.
        samples: [N] pictures of its decisions.
        relevance: [N, V, C] in logits, in its own picture, the placebo, and pictures without the class.
        taylor: [N, V, C] what the logit would lose without each, to first order.
        outside: [N, V] of what surrounds the object.
        share: [N, V] of the positive relevance that lies there.
        chosen: K concepts without which the fall shrinks most, to first order.
        scores: [N, V] of the decisions.
        without: [N, K, V] the same once each of the chosen is set to zero.
    """

    class_id: int
    samples: Array
    relevance: Array
    taylor: Array
    outside: Array
    share: Array
    chosen: tuple[int, ...] = ()
    scores: Array | None = None
    without: Array | None = None

    def candidates(self, count: int) -> list[int]:
        """The concepts that are worth setting to zero."""
        return candidates(self.taylor, count)

    def cuts(self) -> Array:
        """How much smaller the fall of the score is without each of the chosen, [N, K]."""
        assert self.scores is not None
        assert self.without is not None
        return fall(self.scores)[:, None] - fall(np.moveaxis(self.without, 1, 2))

    def losses(self) -> Array:
        """What the score loses without each of the chosen, [N, K, V]."""
        assert self.scores is not None
        assert self.without is not None
        lost: Array = self.scores[:, None] - self.without
        return lost

    @property
    def carrier(self) -> int | None:
        """The concept without which the fall is smallest, of those that surely cut it and that usual surroundings need.

        The whole 95 % interval of the cut lies above 0, and setting it to zero costs the score over the placebo: what
        only lifts scores elsewhere carries nothing. None where there is no such concept.
        """
        if not self.chosen or self.without is None:
            return None
        cuts, usual = self.cuts(), self.losses()[:, :, 1].mean(axis=0)
        places = [
            place
            for place in range(len(self.chosen))
            if usual[place] > 0 and mean_interval(cuts[:, place], self.samples).low > 0
        ]
        return self.chosen[max(places, key=lambda place: cuts[:, place].mean())] if places else None


class ConceptWork:
    """Looks at the concepts of classes.

    Args:
        subject: network and pictures; concepts are those of its layer.
        objects: of the dataset.
        make: an object's picture and its grounds, by its place among the objects.
    """

    def __init__(self, subject: Subject, objects: Objects, make: Make) -> None:
        self._explainer, self._objects, self._make = subject.explainer, objects, make

    def relevance(self, places: Sequence[int]) -> dict[str, Array]:
        """A few decisions of one class: `samples`, `relevance`, `taylor`, `outside` and `share`."""
        layer = self._explainer.layer
        made = []
        with self._explainer.attributor([layer], composite=GRADIENT) as attributor:
            for place, sample, grounds in self._each(places):
                explained = self._decision(attributor, place, sample)
                if explained is not None:
                    made.append((sample, explained, grounds, taylor_rows(attributor, layer, explained, grounds)))
        samples, parts = [], []
        with self._explainer.attributor([layer]) as attributor:
            for sample, explained, grounds, first in made:
                samples.append(sample.index)
                parts.append({**relevance_rows(attributor, layer, sample, explained, grounds), **first})
        if not parts:
            return {"samples": np.zeros(0, dtype=np.int64)}
        return {"samples": np.array(samples), **padded(parts, 2 + MOST_GROUNDS)}

    def without(self, places: Sequence[int], concepts: Sequence[int]) -> dict[str, Array]:
        """Scores of a few decisions of one class: `scores`, and `without` each of the concepts."""
        parts = []
        with self._explainer.reader() as attributor:
            for place, sample, grounds in self._each(places):
                if self._decision(attributor, place, sample) is None:
                    continue
                class_id = int(self._objects.class_id[place])
                plain = scores_without(attributor, self._explainer.layer, [None], class_id, grounds)
                silent = scores_without(attributor, self._explainer.layer, concepts, class_id, grounds)
                parts.append({"scores": plain, "without": silent.T[None]})
        found = padded(parts, 2 + MOST_GROUNDS)
        return {"scores": found["scores"], "without": np.moveaxis(found["without"], 1, 2)}

    def _each(self, places: Sequence[int]) -> Iterator[tuple[int, Sample, list[Ground]]]:
        for place in places:
            made = self._make(place)
            if made is not None:
                grounds = at_own_place(made[1])[: 2 + MOST_GROUNDS]
                if len(grounds) > 2:
                    yield place, made[0], grounds

    def _decision(self, attributor: Attributor, place: int, sample: Sample) -> Any:
        """The decision for an object in its own picture; None where rules leave it undecided."""
        task = attributor.task
        annotation = annotated(sample, task)
        assert annotation is not None
        assert annotation.masks is not None
        number, class_id = int(self._objects.number[place]), int(self._objects.class_id[place])
        item = AnnotatedObject(sample=sample, annotation=annotation, number=number, mask=annotation.masks[number])
        prediction = task.predictions(attributor.output(sample.image[None]))[0]
        return decisions(task, prediction, [item], [class_id])[0]


def concepts_table(found: Sequence[ClassConcepts], names: Sequence[str], layer: str) -> Table:
    """What concepts lose, and what the score loses without them, in usual surroundings and in others."""
    lines: list[dict[str, Any]] = []
    for one in found:
        if one.scores is None or one.without is None:
            continue
        lost = one.losses()
        cuts = one.cuts()
        falls = fall(one.relevance)
        order = np.argsort(-cuts.mean(axis=0), kind="stable").tolist()
        for place in order:
            concept = one.chosen[place]
            lines.append(
                {
                    "class": names[one.class_id],
                    "layer": layer,
                    "concept": concept,
                    "is_carrier": int(concept == one.carrier),
                    "relevance": float(one.relevance[:, 0, concept].mean()),
                    "relevance_fall": float(falls[:, concept].mean()),
                    "taylor_fall": float(fall(one.taylor)[:, concept].mean()),
                    "usual_loss": float(lost[:, place, 1].mean()),
                    "unusual_loss": float(mean_of_known(lost[:, place, 2:]).mean()),
                    "cut": mean_interval(cuts[:, place], one.samples),
                    "decisions": len(one.samples),
                }
            )
    columns: dict[str, Any] = {
        name: [line[name] for line in lines]
        for name in ("class", "layer", "concept", "is_carrier", "relevance", "relevance_fall", "taylor_fall")
    }
    columns |= {name: [line[name] for line in lines] for name in ("usual_loss", "unusual_loss", "decisions")}
    columns = {name: values if name in ("class", "layer") else np.array(values) for name, values in columns.items()}
    return Table(name="concepts", columns=columns | interval_columns("cut", [line["cut"] for line in lines]))


def surroundings_table(found: Sequence[ClassConcepts], names: Sequence[str]) -> Table:
    """Relevance outside the object, in its own picture and in pictures without its class."""
    shown = [one for one in found if len(one.samples)]
    parts = {
        "share": [(one.share[:, 0], one) for one in shown],
        "share_unusual": [(mean_of_known(one.share[:, 2:]), one) for one in shown],
        "relevance": [(one.outside[:, 0], one) for one in shown],
        "relevance_fall": [(fall(one.outside), one) for one in shown],
    }
    columns: dict[str, Any] = {
        "class": [names[one.class_id] for one in shown],
        "decisions": np.array([len(one.samples) for one in shown], dtype=np.int64),
    }
    for name, values in parts.items():
        columns |= interval_columns(name, [mean_interval(column, one.samples) for column, one in values])
    return Table(name="surroundings", columns=columns)
