"""What the figure of carrying concepts shows: numbers, a decision with and without its context, references.

Axes: N decision, V picture, C concept, H W picture.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.concepts import only_concept
from lcrp.attribution.elsewhere import Elsewhere
from lcrp.attribution.engine import Attributor
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.references import reference_samples, reference_source, seen_through
from lcrp.decisions.subject import StatisticsSettings, statistics_key
from lcrp.errors import StoreError
from lcrp.evidence.intervals import Interval, mean_interval
from lcrp.runs.run import Run
from lcrp.stages.audit.carriers import at_own_place, mean_of_known
from lcrp.stages.audit.concepts import ClassConcepts, ConceptWork
from lcrp.stages.audit.grounds import Ground
from lcrp.stages.audit.reading import Rows
from lcrp.stages.audit.views import ground_view
from lcrp.stages.audit.work import AuditWork
from lcrp.storage.location import find_statistics
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.audit import CarrierView, GroundView, Kind, Loss
from lcrp.values.evidence import Table
from lcrp.values.explanation import Reference
from lcrp.values.shares import MINUS
from lcrp.values.target import ExplainedTarget

Array = npt.NDArray[Any]

MOST_CLASSES = 6
PER_CLASS = 3  # concepts
NUM_REFERENCES = 8


class Carrying:
    """Shows the concepts of classes that need their context.

    Args:
        work: the audit.
        rows: of its decisions.
        tables: of it, those of concepts among them.
    """

    def __init__(self, work: AuditWork, rows: Rows, tables: Mapping[str, Table]) -> None:
        self._work, self._rows = work, rows
        verdicts, concepts, carriers = tables["verdicts"].columns, tables["concepts"], tables["carriers"]
        self._difference = dict(zip(verdicts["class_id"], verdicts["difference"], strict=True))
        self._concepts = [dict(zip(concepts.columns, row, strict=True)) for row in concepts.rows()]
        groups = [dict(zip(carriers.columns, row, strict=True)) for row in carriers.rows()]
        self._groups = {row["class"]: row for row in groups if row["is_sure"] and " " in row["concepts"]}
        self._subject, self._objects = work.subject, work.objects
        self._looking = ConceptWork(work.subject, work.objects, work.made)

    def views(
        self, concepts: Sequence[ClassConcepts], statistics: StatisticsSettings, run: Run
    ) -> tuple[CarrierView, ...]:
        """Concepts of the classes that lose most, those that carry most first.

        Where concept statistics fit, references are those of the whole dataset, else the audited decisions in which a
        concept counts most.

        Args:
            concepts: of every class.
            statistics: as they would have been made.
            run: where these lie.
        """
        wanted = [(one, row) for one in self._in_order(concepts) for row in self._named(one)]
        if not wanted:
            return ()
        layer = self._subject.explainer.layer
        with self._subject.explainer.attributor([layer]) as attributor:
            known = self._ranked(attributor, [row["concept"] for _, row in wanted], statistics, run)
            return tuple(self._view(attributor, one, row, known.get(row["concept"], ())) for one, row in wanted)

    def _in_order(self, concepts: Sequence[ClassConcepts]) -> list[ClassConcepts]:
        """Classes whose concepts were set to zero, the largest differences first."""
        tried = [one for one in concepts if one.without is not None]
        return sorted(tried, key=lambda one: -self._difference[one.class_id])[:MOST_CLASSES]

    def _named(self, one: ClassConcepts) -> list[dict[str, Any]]:
        """Rows of the concepts that carry the class, or else of the one that comes nearest to it."""
        name = self._subject.explainer.class_names[one.class_id]
        own = [row for row in self._concepts if row["class"] == name]
        return [row for row in own if row["is_carrier"]][:PER_CLASS] or own[:1]

    def _view(
        self, attributor: Attributor, one: ClassConcepts, row: Mapping[str, Any], known: Sequence[Reference]
    ) -> CarrierView:
        concept = int(row["concept"])
        place = one.chosen.index(concept)
        relevance = one.relevance[:, :, concept]
        usual, others = relevance[:, 1].mean(), mean_of_known(relevance[:, 2:]).mean()
        explainer = self._subject.explainer
        name = explainer.names_of(explainer.layer).get(concept, "")
        return CarrierView(
            class_name=explainer.class_names[one.class_id],
            difference=float(self._difference[one.class_id]),
            title=f"{name} (concept {concept})" if name else f"concept {concept}",
            is_carrier=bool(row["is_carrier"]),
            group=_group_words(self._groups.get(row["class"])),
            cut=(row["cut"], row["cut_low"], row["cut_high"]),
            relevance_share=float((usual - others) / usual) if usual > 0 else math.nan,
            usual=_loss(one, place, slice(1, 2)),
            others=_loss(one, place, slice(2, None)),
            num_decisions=int(one.proves.sum()),
            seen=self._seen(attributor, one, concept),
            references=tuple(known) or tuple(self._own_references(attributor, one, concept)),
        )

    def _ranked(
        self, attributor: Attributor, concepts: Sequence[int], statistics: StatisticsSettings, run: Run
    ) -> dict[int, tuple[Reference, ...]]:
        """References from concept statistics; none where none fit."""
        subject, layer = self._subject, self._subject.explainer.layer
        try:
            path = find_statistics(run.output_root, statistics_key(subject, statistics))
            with StatisticsFile(path) as file:
                if layer not in file.layer_names:
                    return {}
            choice = ConceptChoice(mode="relevance", layer=layer, n_concepts=1, n_references=NUM_REFERENCES)
            names = subject.explainer.class_names
            source = reference_source(path, subject.dataset, names, choice, batch_size=statistics.batch_size)
        except StoreError:
            return {}
        found = reference_samples(attributor, source, sorted(set(concepts)))
        return {concept: references.shown for concept, references in found.items()}

    def _own_references(self, attributor: Attributor, one: ClassConcepts, concept: int) -> Iterator[Reference]:
        """Audited decisions of the class in which the concept counts most."""
        layer = self._subject.explainer.layer
        shares = one.relevance[:, 0, concept] / np.abs(one.relevance[:, 0]).sum(axis=1)
        for number in np.argsort(-shares, kind="stable")[:NUM_REFERENCES].tolist():
            if not shares[number] > 0:
                continue
            place = int(one.places[number])
            made = self._work.made(place)
            explained = None if made is None else self._looking.decision(attributor, place, made[0])
            if made is None or explained is None:
                continue
            trace = attributor.forward(made[0].image[None])
            relevance = trace.relevance(layer, [explained])
            seen = seen_through(trace, layer, made[0], relevance, concept)
            yield replace(seen, class_name=self._subject.explainer.class_names[one.class_id], class_id=one.class_id)

    def _seen(self, attributor: Attributor, one: ClassConcepts, concept: int) -> tuple[GroundView, ...]:
        """The decision in which the concept's relevance falls most, in its own picture and in the worst other one."""
        falls = one.relevance[:, 1, concept] - mean_of_known(one.relevance[:, 2:, concept])
        place = int(one.places[int(np.argmax(falls))])
        made = self._work.made(place)
        if made is None:
            return ()
        sample, grounds = made
        explained = self._looking.decision(attributor, place, sample)
        said = np.flatnonzero(self._rows.place == place).tolist()
        if explained is None or len(said) != len(grounds):  # a picture could be read then, and cannot now
            return ()
        row_of = {id(ground): row for ground, row in zip(grounds, said, strict=True)}
        near = at_own_place(grounds)
        others = [ground for ground in near if ground.kind is Kind.UNUSUAL]
        worst = min(others, key=lambda ground: float(self._rows.score[row_of[id(ground)]]))
        shown = [near[0], worst]
        heatmaps = self._heatmaps(attributor, explained, shown, concept)
        names = self._subject.explainer.class_names
        return tuple(
            ground_view(sample, ground, row_of[id(ground)], self._rows, names, heatmap)
            for ground, heatmap in zip(shown, heatmaps, strict=True)
        )

    def _heatmaps(
        self, attributor: Attributor, explained: ExplainedTarget, grounds: Sequence[Ground], concept: int
    ) -> Array:
        """[V, H, W] relevance through a concept, seeded with the logits at the same rows or pixels of every picture."""
        layer, heatmaps, elsewhere = self._subject.explainer.layer, [], Elsewhere(attributor, explained)
        for ground in grounds:
            trace = attributor.forward(ground.image[None])
            output, weights = elsewhere.weights(trace)
            relevance = trace.seeded_relevance(layer, output, weights * output.detach())
            kept = only_concept(relevance, torch.tensor([concept], device=relevance.device))
            heatmaps.append(trace.conditional(layer, kept)[0].double().cpu().numpy())
        return np.stack(heatmaps)


def _loss(one: ClassConcepts, place: int, pictures: slice) -> Loss:
    """Of the decisions that prove, as everything that is told of taking a concept away."""
    assert one.without is not None
    own = one.proves
    lost = mean_interval(mean_of_known(one.losses(one.without)[own, place, pictures]), one.samples[own])
    score = mean_interval(mean_of_known(one.scores[own, pictures]), one.samples[own]).value
    return Loss(score=score, value=lost.value, low=lost.low, high=lost.high)


def _group_words(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    cut = Interval(value=row["cut"], low=row["cut_low"], high=row["cut_high"])
    listed = row["concepts"].replace(" ", ", ")
    return (
        f"concepts {listed} together carry {cut} of it: without them the score is less by {row['usual_loss']:z.2f} in "
        f"usual surroundings, and by {row['unusual_loss']:z.2f} in pictures without the class".replace("-", MINUS)
    )
