"""stage=audit: differences are what the grounds say; parts and resumed runs tell the same; what cannot be audited."""

import csv
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.data.loader import Shard
from lcrp.data.scenes import COMPANIONS
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import ConfigError, DataError, TargetError
from lcrp.runs.run import Run
from lcrp.stages.audit.audit import audit
from lcrp.stages.audit.carriers import at_own_place
from lcrp.stages.audit.concepts import ConceptWork
from lcrp.stages.audit.cutting import Cutout, grown
from lcrp.stages.audit.differences import decisions
from lcrp.stages.audit.grounds import Ground, Grounds, Scenery, company, drawn_grounds, usual_company, widened
from lcrp.stages.audit.objects import Objects, annotated, companions_in
from lcrp.stages.audit.reading import Rows, _of_boxes, rows_of, scores
from lcrp.stages.audit.settings import AuditSettings
from lcrp.stages.audit.tables import POOLED
from lcrp.stages.audit.views import shown_objects
from lcrp.stages.audit.work import AuditWork
from lcrp.storage.evidence import read_evidence
from lcrp.values.audit import Kind, Outcome
from lcrp.values.candidates import Candidates, Fate
from lcrp.values.evidence import Table
from lcrp.values.sample import Annotation, Sample

STATISTICS = StatisticsSettings(
    targets="annotated", layers=(), top_n=1, top_n_per_class=1, batch_size=8, num_samples=24, record=False
)
FEW = AuditSettings(num_objects=3, num_grounds=2, num_synthetic=1, n_concepts=2)


def _silent(*told: object) -> None:
    """Progress that nobody sees."""


def a_run(folder: Path, name: str = "run") -> Run:
    (folder / name).mkdir()
    return Run(folder=folder / name, output_root=folder, on_progress=_silent)


@pytest.fixture(scope="module")
def detector() -> Subject:
    explainer = lcrp.load("embedded:yolov5_scenes")
    return subject_of(explainer, given_data("scenes", explainer))


@pytest.fixture(scope="module")
def audited(detector: Subject, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("audited")
    return folder, audit(detector, STATISTICS, FEW, a_run(folder))


def rows(table: Table) -> list[dict[str, object]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows()]


def test_differences_are_what_the_grounds_say(audited: tuple[Path, list[Path]]) -> None:
    files = audited[1]
    with files[0].with_name("grounds.csv").open() as file:
        grounds = list(csv.DictReader(file))
    tables = read_evidence(files[0])
    for row in rows(tables["decisions"]):
        own = [one for one in grounds if (int(one["sample"]), int(one["object"])) == (row["sample"], row["object"])]

        def mean(kind: str, place: str, own: list[dict[str, str]] = own) -> float:
            found = [float(one["score"]) for one in own if (one["ground"], one["is_own_place"]) == (kind, place)]
            return sum(found) / len(found)

        at_home = mean("placebo", "1") - mean("unusual", "1")
        elsewhere = mean("usual", "0") - mean("unusual", "0")
        assert row["difference"] == pytest.approx((at_home + elsewhere) / 2)
        assert row["own"] == pytest.approx(mean("its own", "1"))
    for row in rows(tables["classes"])[:1]:
        values = np.array([one["own"] - one["placebo"] for one in rows(tables["decisions"])])  # type: ignore[operator]
        assert row["placebo_fall"] == pytest.approx(values.mean())
    shares = rows(tables["outcomes"])
    assert all(
        one["kept"] + one["below_threshold"] + one["removed"] + one["no_candidate"] == pytest.approx(1)
        for one in shares
    )  # type: ignore[operator]


def test_a_resumed_audit_and_one_in_parts_tell_the_same(
    detector: Subject, audited: tuple[Path, list[Path]], caplog: pytest.LogCaptureFixture
) -> None:
    folder, files = audited
    wanted = {path.name: path.read_bytes() for path in files if path.suffix == ".csv"}
    (kept,) = (folder / "evidence").glob("audit_yolov5_scenes_*")
    for path in kept.iterdir():
        path.unlink()
    for index in (0, 1):
        part = replace(FEW, shard=Shard(index=index, count=2))
        assert audit(detector, STATISTICS, part, a_run(folder, f"part{index}")) == []
    with caplog.at_level(logging.INFO):
        again = audit(detector, STATISTICS, FEW, a_run(folder, "again"))
    assert "going on with what is kept" in caplog.text
    assert {path.name: path.read_bytes() for path in again if path.suffix == ".csv"} == wanted
    assert "audit_classes.png" in {path.name for path in again}


def test_an_untouched_ground_changes_the_score_by_rounding_alone(detector: Subject) -> None:
    sample = detector.dataset[3]
    annotation = sample.annotation
    assert annotation is not None
    assert annotation.masks is not None
    cutout = Cutout.of(sample.image, annotation.masks[0], tuple(annotation.boxes[0].tolist()))
    grounds = [
        Ground(kind=Kind.OWN, is_own_place=True, source=3, image=image, cutout=cutout)
        for image in (sample.image, cutout.before(sample.image))
    ]
    with detector.explainer.reader() as attributor:
        found = scores(attributor, int(annotation.labels[0]), grounds, [True] * 6)
    assert found["score"][0] > 0.1
    assert found["score"][1] == pytest.approx(found["score"][0], rel=1e-4)
    assert found["outcome"][0] == found["outcome"][1]


def test_grounds_are_of_the_kinds_that_they_are_called(detector: Subject, tmp_path: Path) -> None:
    work = AuditWork(detector, STATISTICS, FEW, a_run(tmp_path))
    objects = work.objects
    for place in np.flatnonzero(objects.is_found)[:12].tolist():
        pairs = drawn_grounds(objects, place, 4, seed=0)
        assert pairs == drawn_grounds(objects, place, 4, seed=0)
        for host, without in pairs:
            assert objects.class_id[host] == objects.class_id[place]
            assert objects.sample[host] != objects.sample[place]
            assert objects.class_id[place] not in objects.class_id[objects.sample == without]
    made = work.made(int(np.flatnonzero(objects.is_found)[0]))
    assert made is not None
    for ground in made[1]:
        mask = ground.cutout.mask
        assert torch.allclose(ground.image[:, mask], ground.cutout.image[:, mask]), "the object is whole before all"


def test_grounds_that_are_compared_are_filled_at_the_same_places(detector: Subject, tmp_path: Path) -> None:
    """A smooth halo around the object in the one alone would be taken for its context."""
    work = AuditWork(detector, STATISTICS, FEW, a_run(tmp_path))
    place = int(np.flatnonzero(work.objects.is_found)[0])
    sample = detector.dataset[int(work.objects.sample[place])]
    assert sample.annotation is not None
    assert sample.annotation.masks is not None
    pairs = drawn_grounds(work.objects, place, 2, seed=0)
    size = sample.image.shape[1]
    noises = {}
    for number, index in enumerate({int(work.objects.sample[host]) for host, _ in pairs} | {one for _, one in pairs}):
        hole = torch.zeros(size, size, dtype=torch.bool)
        hole[10 * number : 10 * number + 8, 20:90] = True
        noise = torch.rand(3, size, size, generator=torch.Generator().manual_seed(number))
        noises[index] = Scenery(picture=noise, hole=hole)
    made = Grounds(work.objects, noises.__getitem__, num_synthetic=0, seed=0)
    grounds = made.of(sample, sample.annotation, int(work.objects.number[place]), pairs)
    pasted = [ground for ground in grounds if ground.kind in (Kind.USUAL, Kind.UNUSUAL)]
    filled = [(one.image != noises[one.source].picture).any(dim=0) for one in pasted]
    own_hole = widened(sample.annotation.masks.any(dim=0))
    for (host, without), at_home, usual, moved in zip(pairs, filled[::3], filled[1::3], filled[2::3], strict=True):
        assert bool(at_home[own_hole].all()), "where the placebo is filled, so is what it is compared with"
        hole = noises[int(work.objects.sample[host])].hole
        assert bool(usual[hole].all() and moved[hole].all())
        assert torch.equal(usual | noises[without].hole, moved), "both, and the objects of the other picture"


def objects_of(pictures: dict[int, list[int]]) -> Objects:
    """Classes of the objects in every picture."""
    pairs = [(sample, class_id) for sample, class_ids in pictures.items() for class_id in class_ids]
    count = len(pairs)
    return Objects(
        sample=np.array([sample for sample, _ in pairs]),
        number=np.zeros(count, dtype=np.int64),
        class_id=np.array([class_id for _, class_id in pairs]),
        box=np.zeros((count, 4)),
        is_found=np.ones(count, dtype=bool),
        is_boxed=np.zeros(count, dtype=bool),
        pictures=np.array(list(pictures)),
        covered=np.zeros(len(pictures)),
        false_alarms=np.zeros(len(pictures), dtype=np.int64),
        companions=np.zeros(0, dtype=np.str_),
    )


def test_pictures_with_the_usual_company_are_left_out_if_others_are_enough() -> None:
    """Riders come with cars, kites by chance: 20 pictures of riders and cars, 20 of cars, kites in every other one."""
    contents = [[0, 1]] * 20 + [[1]] * 20 + [[3]] * 60
    pictures = {index: [*own, 2] if index % 2 else own for index, own in enumerate(contents)}
    found = objects_of(pictures)
    assert usual_company(found, 0) == [1]
    assert usual_company(found, 2) == []
    without = {one for seed in range(40) for _, one in drawn_grounds(found, 0, 4, seed)}
    assert not without & set(range(40))
    few = objects_of({index: own for index, own in pictures.items() if index < 59})
    without = {one for seed in range(40) for _, one in drawn_grounds(few, 0, 4, seed)}
    assert without & set(range(20, 40)), "of 19 others alone too little is told"
    assert not without & set(range(20))
    rare = objects_of({0: [0, 1], 1: [0, 1], **{index: [2] for index in range(2, 90)}})
    assert usual_company(rare, 0) == [], "two pictures tell of no habit"


def test_of_classes_judged_together_objects_are_shown_too(detector: Subject, tmp_path: Path) -> None:
    work = AuditWork(detector, replace(STATISTICS, num_samples=12), FEW, a_run(tmp_path))
    known = work.rows()
    assert known is not None
    found, tables = work.tables(known)
    verdicts = tables["verdicts"]
    assert verdicts.columns["class"] == [POOLED]
    shown = shown_objects(found, known, verdicts, work.made, work.names)
    class_ids = dict(zip(found.place.tolist(), found.class_id.tolist(), strict=True))
    assert [one.class_name for one in shown] == [work.names[class_ids[one.place]] for one in shown]
    assert len({one.class_name for one in shown}) == len(shown) > 1
    differences = dict(zip(found.place.tolist(), found.difference.tolist(), strict=True))
    for one in shown:
        own = [differences[place] for place in class_ids if work.names[class_ids[place]] == one.class_name]
        assert differences[one.place] == sorted(value for value in own if value == value)[len(own) // 2]


def test_an_object_one_of_whose_grounds_is_gone_since_is_not_shown(detector: Subject, tmp_path: Path) -> None:
    work = AuditWork(detector, replace(STATISTICS, num_samples=12), FEW, a_run(tmp_path))
    known = work.rows()
    assert known is not None
    found, tables = work.tables(known)

    def fewer(place: int) -> tuple[Sample, list[Ground]] | None:
        made = work.made(place)
        return None if made is None else (made[0], made[1][:-1])

    assert shown_objects(found, known, tables["verdicts"], fewer, work.names) == ()


def test_brief_grounds_are_those_at_the_own_place(detector: Subject, tmp_path: Path) -> None:
    work = AuditWork(detector, STATISTICS, FEW, a_run(tmp_path))
    place = int(np.flatnonzero(work.objects.is_found)[0])
    every, brief = work.made(place), work.made(place, is_brief=True)
    assert every is not None
    assert brief is not None
    wanted = at_own_place(every[1])
    assert [(one.kind, one.source) for one in brief[1]] == [(one.kind, one.source) for one in wanted]
    for one, other in zip(brief[1], wanted, strict=True):
        assert torch.equal(one.image, other.image)


def test_an_object_that_cannot_move_has_a_difference(detector: Subject, tmp_path: Path) -> None:
    """What fills the picture goes to others' places, too, if these are its own."""
    work = AuditWork(detector, STATISTICS, FEW, a_run(tmp_path))
    place = int(np.flatnonzero(work.objects.is_found)[0])
    sample = detector.dataset[int(work.objects.sample[place])]
    size = sample.image.shape[1]
    whole = Annotation(
        boxes=torch.tensor([[0.0, 0, size, size]]),
        labels=torch.tensor([int(work.objects.class_id[place])]),
        masks=torch.ones(1, size, size, dtype=torch.bool),
    )
    pairs = drawn_grounds(work.objects, place, 2, seed=0)
    grey = Scenery(picture=torch.full((3, size, size), 0.5), hole=torch.zeros(size, size, dtype=torch.bool))
    grounds = Grounds(work.objects, lambda _: grey, num_synthetic=0, seed=0).of(sample, whole, 0, pairs)
    kinds = [(ground.kind, ground.is_own_place) for ground in grounds]
    wanted = [(Kind.UNUSUAL, True), (Kind.USUAL, False), (Kind.UNUSUAL, False)]
    assert kinds == [(Kind.OWN, True), (Kind.PLACEBO, True), *wanted, *wanted]
    with detector.explainer.reader() as attributor:
        found = Rows.joined([rows_of(attributor, place, int(whole.labels[0]), grounds, [True] * 6)])
    (difference,) = decisions(
        np.array([place]), work.objects.sample[[place]], work.objects.class_id[[place]], found
    ).difference
    assert np.isfinite(difference)
    assert [ground.kind for ground in at_own_place(grounds)] == [Kind.OWN, Kind.PLACEBO, Kind.UNUSUAL, Kind.UNUSUAL]


@pytest.mark.parametrize(
    ("fates", "outcome"),
    [
        ([], Outcome.GONE),
        ([Fate.BELOW_THRESHOLD, Fate.KEPT, Fate.NMS], Outcome.KEPT),
        ([Fate.BELOW_THRESHOLD], Outcome.BELOW),
        ([Fate.BELOW_THRESHOLD, Fate.NMS], Outcome.REMOVED),
        ([Fate.MAX_DETECTIONS], Outcome.REMOVED),
    ],
)
def test_what_nms_removes_does_not_fall_below_the_threshold(fates: list[Fate], outcome: Outcome) -> None:
    box = torch.tensor([2.0, 2, 8, 8])
    mask = torch.zeros(10, 10, dtype=torch.bool)
    cutout = Cutout(image=torch.zeros(3, 10, 10), mask=mask, opacity=mask.float(), box=(2.0, 2.0, 8.0, 8.0))
    ground = Ground(kind=Kind.UNUSUAL, is_own_place=True, source=0, image=cutout.image, cutout=cutout)
    count = len(fates)
    own = Candidates(
        rows=np.arange(count + 2),
        boxes=np.tile(box.double().numpy(), (count + 2, 1)),
        class_ids=np.array([1] * count + [0, 2]),
        scores=np.full(count + 2, 0.5),
        fates=np.array([*fates, Fate.KEPT, Fate.KEPT], dtype=np.int8),
        neighbours=np.full(count + 2, -1),
    )
    assert _of_boxes(own, ground, 1, np.array([True, True, False])) == (outcome, 1), "class 2 is not annotated"


def test_false_alarms_are_of_classes_that_the_data_annotates(detector: Subject, tmp_path: Path) -> None:
    sure = replace(detector.explainer, task=Thresholds(confidence=0.02).of(detector.explainer.task))
    few = replace(STATISTICS, num_samples=4)

    class Partly:
        """Scenes that tell of their first class alone."""

        annotated_names = (detector.dataset.class_names[0], *[""] * 5)

        def __getattr__(self, name: str) -> object:
            return getattr(detector.dataset, name)

        def __len__(self) -> int:
            return len(detector.dataset)

        def __getitem__(self, index: int) -> object:
            return detector.dataset[index]

    whole = AuditWork(replace(detector, explainer=sure, identity={"case": 1}), few, FEW, a_run(tmp_path, "whole"))
    subject = replace(detector, explainer=sure, dataset=Partly(), identity={"case": 2})
    partly = AuditWork(subject, few, FEW, a_run(tmp_path, "partly"))
    assert 0 <= partly.objects.false_alarms.sum() < whole.objects.false_alarms.sum()


def test_concepts_are_of_decisions_in_random_order(
    detector: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of the sorted places are of the dataset's first pictures alone."""
    seen: dict[int, list[int]] = {}

    def note(_: ConceptWork, places: Sequence[int]) -> dict[str, np.ndarray]:
        seen[int(work.objects.class_id[places[0]])] = list(places)
        return {"samples": np.zeros(0, dtype=np.int64)}

    monkeypatch.setattr(ConceptWork, "relevance", note)
    monkeypatch.setattr("lcrp.stages.audit.work.MOST_DECISIONS", 4)
    work = AuditWork(detector, STATISTICS, replace(FEW, num_objects=40), a_run(tmp_path))
    places = np.flatnonzero(work.objects.is_found)
    class_ids = work.objects.class_id[places]
    found = decisions(places, work.objects.sample[places], class_ids, Rows.joined([Rows.none()]))
    names = [detector.explainer.class_names[class_id] for class_id in np.unique(class_ids)]
    work.concepts(found, Table(name="verdicts", columns={"class": names, "verdict": ["cannot tell"] * len(names)}))
    for class_id, chosen in seen.items():
        own = places[class_ids == class_id]
        assert chosen == np.random.default_rng([0, class_id]).permutation(own)[:4].tolist()
    assert any(chosen != sorted(chosen) for chosen in seen.values())


def test_company_is_the_nearest_other_classes() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [50, 0, 60, 10], [12, 0, 20, 10], [14, 0, 20, 10], [90, 0, 99, 10]])
    annotation = Annotation(boxes=boxes.float(), labels=torch.tensor([0, 1, 2, 0, 3]))
    assert company(annotation, 0) == [2, 1, 3]


def test_companions_are_parts_beside_their_objects(detector: Subject) -> None:
    names = detector.explainer.class_names
    seen: dict[str, int] = {}
    for index in range(40):
        annotation = detector.dataset[index].annotation
        for name in companions_in(annotation, names):
            seen[name] = seen.get(name, 0) + 1
            own = annotation.masks[annotation.labels == names.index(name.split(".")[0])].any(dim=0)
            mask = annotation.parts[name]
            assert int((mask & ~own).sum()) * 2 >= int(mask.sum())
    assert set(seen) == {part for parts in COMPANIONS.values() for part in parts}


def test_a_companion_is_taken_away_and_its_object_stays(detector: Subject) -> None:
    sample = next(one for one in map(detector.dataset.__getitem__, range(40)) if "kite.string" in one.annotation.parts)
    names = (*detector.explainer.class_names, "horse.bar", "kite.person", "kite.string")
    number = sample.annotation.labels.tolist().index(names.index("kite"))
    found = Grounds(None, lambda _: None, names, num_synthetic=0, seed=0).of(sample, sample.annotation, number, [])
    images = {names[one.source]: one.image for one in found if one.kind is Kind.COMPANY}
    assert {"kite.person", "kite.string"} <= set(images)
    assert "horse.bar" not in images
    without, mask = images["kite.string"], sample.annotation.parts["kite.string"]
    is_own = sample.annotation.masks[number]
    assert float((without - sample.image)[:, mask & ~grown(is_own, 3)].abs().mean()) > 0.02
    torch.testing.assert_close(without[:, is_own], sample.image[:, is_own], rtol=0, atol=1e-6)


def test_objects_of_class_masks_are_their_connected_parts() -> None:
    explainer = lcrp.load("embedded:unet_scenes")
    subject = subject_of(explainer, given_data("scenes", explainer))
    sample = subject.dataset[0]
    assert sample.annotation is not None
    bare = replace(sample, annotation=Annotation(boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.int64)))
    class_mask = torch.zeros(256, 256, dtype=torch.int64)
    class_mask[10:20, 10:20], class_mask[40:50, 40:60], class_mask[100:110, 0:10] = 1, 1, 3
    assert bare.annotation is not None
    found = annotated(replace(bare, annotation=replace(bare.annotation, class_mask=class_mask)), explainer.task)
    assert found is not None
    assert found.masks is not None
    assert found.labels.tolist() == [1, 1, 3]
    assert [int(mask.sum()) for mask in found.masks] == [100, 200, 100]
    box = Annotation(boxes=torch.tensor([[1.0, 2, 4, 6]]), labels=torch.ones(1, dtype=torch.int64))
    boxed = annotated(replace(bare, annotation=box), explainer.task)
    assert boxed is not None
    assert boxed.masks is not None
    assert int(boxed.masks.sum()) == 12, "a box is its own mask"


def test_a_class_without_other_pictures_is_not_told_of(tmp_path: Path) -> None:
    found = _audit_of(tmp_path, replace(STATISTICS, num_samples=3))
    assert any("cannot tell" in line for line in found)


def _audit_of(folder: Path, statistics: StatisticsSettings) -> tuple[str, ...]:
    from lcrp.stages.audit.wording import sentences

    explainer = lcrp.load("embedded:yolov5_scenes")
    subject = subject_of(explainer, given_data("scenes", explainer))
    return tuple(sentences(read_evidence(audit(subject, statistics, FEW, a_run(folder))[0])))


def test_what_cannot_be_audited(detector: Subject, tmp_path: Path) -> None:
    class Without:
        """Pictures without annotation, or none at all."""

        name, class_names, transform = "bare", detector.dataset.class_names, detector.dataset.transform

        def __init__(self, is_broken: bool) -> None:
            self._is_broken = is_broken

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> object:
            if self._is_broken:
                raise DataError("no picture")
            return replace(detector.dataset[index], annotation=None)

        def key(self, index: int) -> str:
            return f"{index}.png"

        def fingerprint(self) -> str:
            return f"bare{self._is_broken}"

    for number, (is_broken, error, words) in enumerate(
        [(False, ConfigError, "bare has no annotations"), (True, DataError, "none of the pictures of bare can be read")]
    ):
        subject = replace(detector, dataset=Without(is_broken), identity={"case": number})
        with pytest.raises(error, match=words):
            audit(subject, STATISTICS, FEW, a_run(tmp_path, f"run{number}"))
    unsure = replace(detector.explainer, task=Thresholds(confidence=0.999).of(detector.explainer.task))
    subject = replace(detector, explainer=unsure, identity={"case": "unsure"})
    with pytest.raises(TargetError, match="finds none of the"):
        audit(subject, replace(STATISTICS, num_samples=4), FEW, a_run(tmp_path, "unsure"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_grounds": 1}, "num_grounds=1"),
        ({"num_synthetic": 16}, "more than the 15"),
        ({"num_objects": 0}, "num_objects=0"),
    ],
)
def test_settings_that_make_no_sense(given: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        AuditSettings(**given)
