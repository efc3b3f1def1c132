"""The parts of stage=audit: objects that are found, decisions before other grounds, concepts; all kept as made."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np

from lcrp.attribution.boxes import BoxDecisions
from lcrp.attribution.engine import Attributor
from lcrp.decisions.many import annotated_names
from lcrp.decisions.spans import batches, spans
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.decisions.together import parts_of
from lcrp.errors import ConfigError, DataError, TargetError
from lcrp.runs.kept_units import kept_units
from lcrp.runs.run import Run
from lcrp.stages.audit.concepts import MOST_DECISIONS, ClassConcepts, ConceptWork
from lcrp.stages.audit.differences import Decisions, decisions, logit
from lcrp.stages.audit.grounds import Ground, Grounds, Scenery, drawn_grounds
from lcrp.stages.audit.objects import Objects, annotated, objects_in
from lcrp.stages.audit.reading import Rows, rows_of
from lcrp.stages.audit.settings import AuditSettings
from lcrp.stages.audit.tables import (
    classes_table,
    company_table,
    decisions_table,
    false_alarms_table,
    grounds_table,
    outcomes_table,
    verdicts_table,
)
from lcrp.storage.units import Arrays, Units
from lcrp.values.audit import Verdict
from lcrp.values.evidence import Table
from lcrp.values.sample import Annotation, Sample

log = logging.getLogger(__name__)

DECISIONS_PER_UNIT = 4
BYTES_KEPT = 400e6  # of pictures that are grounds, in memory
UNIT_VERSION = 6  # raised when kept results hold something else


class AuditWork:
    """Everything that the parts of the stage share, and what each of them makes or takes from what is kept."""

    def __init__(self, subject: Subject, statistics: StatisticsSettings, settings: AuditSettings, run: Run) -> None:
        self.subject, self._statistics, self._settings, self._run = subject, statistics, settings, run
        self._known = [bool(name) for name in annotated_names(subject.dataset)]
        self.objects = self._found_objects()
        height, width = subject.dataset.transform.height, subject.dataset.transform.width
        sceneries = lru_cache(maxsize=max(16, int(BYTES_KEPT / (13 * height * width))))(self._scenery)
        self.names = (*subject.explainer.class_names, *self.objects.companion_names)  # of what may be taken away
        self._grounds = Grounds(
            self.objects, sceneries, self.names, num_synthetic=settings.num_synthetic, seed=settings.seed
        )

    def rows(self) -> Rows | None:
        """Drawn decisions before all their grounds; None where only a part was to be looked at."""
        names = {
            f"objects_{class_id:04d}_{start:06d}": drawn[start : start + DECISIONS_PER_UNIT]
            for class_id, drawn in self._drawn().items()
            for start in range(0, len(drawn), DECISIONS_PER_UNIT)
        }
        shard = self._settings.shard
        own = [list(names)[number] for number in shard.chunks(len(names))]
        own_settings = {name: value for name, value in self._settings.identity().items() if name != "n_concepts"}
        units = self._units("audit", own_settings)
        parts = []
        with (
            self.subject.explainer.reader() as attributor,
            self._run.progress(sum(len(names[name]) for name in own), "audit", "decisions") as progress,
        ):
            for name, part in zip(
                own, kept_units(units, own, lambda name: self._unit(attributor, names[name])), strict=True
            ):
                parts.append(part)
                progress.advance(len(names[name]))
        return Rows.joined(parts) if shard.count == 1 else None

    def tables(self, rows: Rows) -> tuple[Decisions, dict[str, Table]]:
        """Decisions, and all tables but those of concepts."""
        objects, names, key = self.objects, self.subject.explainer.class_names, self.subject.dataset.key
        places = np.unique(rows.place)
        found = decisions(places, objects.sample[places], objects.class_id[places], rows)
        keys = [key(sample) for sample in found.sample.tolist()]
        tables = [
            verdicts_table(found, found.means(rows, logit(rows.score)), names),
            classes_table(found, names),
            outcomes_table(found, rows, names),
            company_table(found, rows, self.names),
            decisions_table(found, objects, names, keys),
            grounds_table(found, objects, rows, self.names, key),
        ]
        if isinstance(self.subject.explainer.task, BoxDecisions):
            tables.append(false_alarms_table(found, objects, rows))
        return found, {table.name: table for table in tables}

    def concepts(self, found: Decisions, verdicts: Table) -> list[ClassConcepts]:
        """What is known of the concepts of every class with a verdict of its own; more of those that need context."""
        names, count = self.subject.explainer.class_names, self._settings.n_concepts
        told = dict(zip(verdicts.columns["class"], verdicts.columns["verdict"], strict=True))
        class_ids = [one for one in np.unique(found.class_id).tolist() if names[one] in told] if count else []
        units = self._units("audit_concepts", {**self._settings.identity(), "layer": self.subject.explainer.layer})
        looking = ConceptWork(self.subject, self.objects, partial(self.made, is_brief=True))
        drawn, kept = self._drawn(), set(found.place.tolist())
        known: list[ClassConcepts] = []
        with self._run.progress(len(class_ids), "concepts", "classes") as progress:
            for class_id in progress.counted(class_ids):
                places = [place for place in drawn[class_id] if place in kept][:MOST_DECISIONS]
                unit = f"relevance_{class_id:04d}"
                (arrays,) = kept_units(units, [unit], lambda _, own=places: looking.relevance(own))  # type: ignore[misc]
                if not len(arrays["samples"]):
                    continue
                one = ClassConcepts(class_id=class_id, **arrays)  # type: ignore[arg-type]
                numbers = one.candidates(count) if told[names[class_id]] == Verdict.NEEDS else []
                if numbers:
                    unit = f"without_{class_id:04d}"
                    (arrays,) = kept_units(
                        units,
                        [unit],
                        lambda _, own=places, some=numbers: looking.without(own, some),  # type: ignore[misc]
                    )
                    one = replace(one, chosen=tuple(numbers), **arrays)  # type: ignore[arg-type]
                known.append(one)
        return known

    def made(self, place: int, *, is_brief: bool = False) -> tuple[Sample, list[Ground]] | None:
        """An object's picture, and it before its grounds (`Grounds.of`); None if the picture cannot be read."""
        read = self._read(int(self.objects.sample[place]))
        if read is None:
            return None
        pairs = drawn_grounds(self.objects, place, self._settings.num_grounds, self._settings.seed)
        return read[0], self._grounds.of(*read, int(self.objects.number[place]), pairs, is_brief=is_brief)

    def drawn(self, class_id: int) -> list[int]:
        """Places of the decisions of a class that are looked at, in random order."""
        return self._drawn()[class_id]

    def _unit(self, attributor: Attributor, places: Sequence[int]) -> Arrays:
        """A few decisions before all their grounds."""
        parts = []
        for place in places:
            made = self.made(place)
            if made is not None:
                parts.append(rows_of(attributor, place, int(self.objects.class_id[place]), made[1], self._known))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else Rows.none()

    def _drawn(self) -> dict[int, list[int]]:
        """Places of the decisions that are looked at, by class, in random order."""
        drawn = {}
        for class_id in np.unique(self.objects.class_id).tolist():
            own = np.flatnonzero((self.objects.class_id == class_id) & self.objects.is_found)
            order = np.random.default_rng([self._settings.seed, class_id]).permutation(own)
            if len(order):
                drawn[class_id] = order[: self._settings.num_objects].tolist()
        return drawn

    def _found_objects(self) -> Objects:
        """All annotated objects, and whether each is found.

        Raises:
            DataError: no picture can be read.
            ConfigError: none is annotated.
            TargetError: no object is found.
        """
        name, stretches = self.subject.dataset.name, spans(self.subject, self._statistics)
        stretch_of = {f"pictures_{start:07d}_{end:07d}": (start, end) for start, end in stretches}
        units = self._units("audit_objects", {})
        parts = []
        with (
            self.subject.explainer.reader() as attributor,
            self._run.progress(sum(end - start for start, end in stretches), "objects", "pictures") as progress,
        ):
            for unit, part in zip(
                stretch_of,
                kept_units(units, stretch_of, lambda unit: self._stretch(attributor, stretch_of[unit])),
                strict=True,
            ):
                parts.append(part)
                progress.advance(stretch_of[unit][1] - stretch_of[unit][0])
        if not sum(int(part["num_read"][0]) for part in parts):
            raise DataError(f"none of the pictures of {name} can be read")
        found = Objects.joined(parts)
        if not len(found.pictures):
            raise ConfigError(f"{name} has no annotations: what is cut out and put elsewhere is an annotated object")
        if not found.is_found.any():
            raise TargetError(
                f"{self.subject.explainer.name} finds none of the {len(found.sample)} annotated objects of {name}"
            )
        return found

    def _stretch(self, attributor: Attributor, stretch: tuple[int, int]) -> Arrays:
        """The objects of a few pictures."""
        parts, num_read = [objects_in(attributor, None, self._known)], 0
        for batch in batches(self.subject, self._statistics, stretch):
            for broken in batch.broken:
                log.warning("%s is left out: %s", broken.key, broken.reason)
            num_read += len(batch.samples)
            device = self.subject.explainer.device
            few = parts_of(batch, device, takes_one=attributor.takes_one)
            parts += [objects_in(attributor, part, self._known) for part in few]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {**joined, "num_read": np.array([num_read])}

    def _read(self, index: int) -> tuple[Sample, Annotation] | None:
        """A picture and its objects; None if it cannot be read."""
        try:
            sample = self.subject.dataset[index]
        except DataError as error:
            log.debug("%s", error)
            return None
        annotation = annotated(sample, self.subject.explainer.task)
        return None if annotation is None else (sample, annotation)

    def _scenery(self, index: int) -> Scenery | None:
        read = self._read(index)
        return None if read is None else Scenery.of(*read)

    def _units(self, name: str, own: dict[str, object]) -> Units:
        model, dataset = self.subject.explainer.name, self.subject.dataset_name or self.subject.dataset.name
        counted = {"batch_size": self._statistics.batch_size, "num_samples": self._statistics.num_samples}
        identity = {**self.subject.identity, **counted, "own": own}
        return Units(self._run.output_root, f"{name}_{model}_{dataset}", identity, version=UNIT_VERSION)
