"""stage=truth beside a literal restatement, and with a detector that says what it is told to say."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import composite

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor, Trace
from lcrp.attribution.methods import Method
from lcrp.attribution.readout import box_readout
from lcrp.composites.composites import epsilon_plus_flat
from lcrp.composites.spec import GRADIENT
from lcrp.config.build import build_subject
from lcrp.config.compose import composed, composition
from lcrp.config.methods import methods
from lcrp.data.scenes import (
    CLASS_NAMES,
    COMPANIONS,
    CONTEXT_NAMES,
    OWN_CONTEXT,
    PARTS,
    Scene,
    ScenesDataset,
    with_context_swapped,
    without_part,
)
from lcrp.decisions.annotated_objects import AnnotatedObject, all_found, found
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import ConfigError, TargetError
from lcrp.evidence.intervals import bootstrap
from lcrp.runs.run import Run
from lcrp.stages.context.backgrounds import Sensitivities
from lcrp.stages.truth import truth as stage
from lcrp.stages.truth.interventions import MOST_PER_PICTURE, TruthTarget, truth_targets
from lcrp.stages.truth.tables import agreement, packed
from lcrp.stages.truth.truth import TruthSettings, concept_measures, truth
from lcrp.storage.evidence import read_evidence
from lcrp.storage.units import Arrays
from lcrp.values.evidence import Table
from lcrp.values.prediction import Detections, DetectorOutput
from lcrp.values.sample import Annotation
from lcrp.values.target import ExplainedTarget

LRP = Method(name="epsilon_plus_flat", reading="relevance", composite=composite(epsilon_plus_flat))
CAM = Method(name="gradcam", reading="gradcam", composite=GRADIENT)
STATISTICS = StatisticsSettings(
    targets="annotated", layers=(), top_n=1, top_n_per_class=1, batch_size=2, num_samples=None, record=False
)


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with composition():
        yield


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals take most of a short run's time, and are tested by themselves."""
    monkeypatch.setitem(bootstrap.__kwdefaults__, "num_draws", 20)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return subject_of("yolov5")


def subject_of(model: str) -> Subject:
    return build_subject(composed([f"model={model}"]), torch.device("cpu"), Path.cwd())


def settings_for(num_targets: int, *chosen: Method) -> TruthSettings:
    return TruthSettings(methods=chosen or (LRP, CAM), num_targets=num_targets, n_concepts=2, seed=0)


def run_in(folder: Path) -> Run:
    folder.mkdir()
    return Run(folder=folder, output_root=folder.parent / "outputs")


class Told:
    """Finds every planned object of a scene; in changed pictures it is as sure of object 0 as it is told."""

    def __init__(self, dataset: ScenesDataset, scene: Scene, sureness: dict[Scene, float]) -> None:
        self.task = DetectionTask(CLASS_NAMES, score="class", confidence=0.25, iou=0.9, max_detections=25)
        self.boxes = dataset.sample(scene).annotation.boxes  # type: ignore[union-attr]
        self.labels = dataset.sample(scene).annotation.labels  # type: ignore[union-attr]
        self.known = [(dataset.sample(changed).image, value) for changed, value in sureness.items()]

    def output(self, images: torch.Tensor) -> DetectorOutput:
        logits = torch.full((len(images), len(self.boxes), len(CLASS_NAMES)), -20.0)
        for row, image in enumerate(images):
            (sureness,) = [value for known, value in self.known if torch.equal(known, image)] or [0.5]
            for place, label in enumerate(self.labels.tolist()):
                logits[row, place, label] = float(torch.tensor(sureness).logit())
        return DetectorOutput(boxes=self.boxes.expand(len(images), -1, -1), class_logits=logits, objectness_logits=None)


def first_at_home(dataset: ScenesDataset, class_name: str) -> Scene:
    """The first picture whose object 0 is one of the class, alone, in its own context."""
    for index in range(len(dataset)):
        scene = dataset.scene(index)
        names = [item.class_name for item in scene.objects]
        if names == [class_name] and scene.context_of(0) == OWN_CONTEXT[class_name]:
            return scene
    raise AssertionError(f"no {class_name} is alone at home")


def told(class_name: str, sureness: dict[str, float]) -> TruthTarget:
    """What is found of a lone object, when the network is as sure as told once a context or part is another."""
    dataset = ScenesDataset("val")
    scene = first_at_home(dataset, class_name)
    by_scene = {scene: sureness[""]}
    for name, value in sureness.items():
        if name in CONTEXT_NAMES:
            by_scene[with_context_swapped(scene, name, number=0)] = value
        elif name:
            by_scene[without_part(scene, 0, name)] = value
    (one,) = truth_targets(Told(dataset, scene, by_scene), dataset, scene)  # type: ignore[arg-type]
    return one


def test_reliance_is_what_the_network_says_of_each_changed_picture() -> None:
    sureness = {"": 0.9, "road": 0.8, "grass": 0.3, "sky": 0.6, "sand": 0.5, "boat.hull": 0.26, "boat.sail": 0.7}
    found = told("boat", sureness)
    row = stage._target_row(found, {}, None)
    assert row["readout"] == pytest.approx(0.9)
    assert row["context_reliance"] == pytest.approx(0.9 - (0.8 + 0.3 + 0.6 + 0.5) / 4)
    shares = {LRP.name: np.array([0.5, 0.1, 0.2, 0.3])}
    parts = {one["part"]: one for one in stage._part_rows(found, shares)}
    assert parts["boat.hull"]["reliance"] == pytest.approx(0.9 - 0.26)
    assert parts["boat.sail"]["reliance"] == pytest.approx(0.9 - 0.7)
    assert [one[f"share_{LRP.name}"] for one in parts.values()] == [0.1, 0.2, 0.3]
    assert all(one["is_companion"] == 0 for one in parts.values())


def test_a_detection_that_vanishes_is_reliance() -> None:
    """Below the detection threshold there is nothing to match, but still a read-out."""
    contexts = dict.fromkeys((name for name in CONTEXT_NAMES if name != "water"), 1e-6)
    row = stage._target_row(told("boat", {"": 0.9, **contexts}), {}, None)
    assert row["context_reliance"] == pytest.approx(0.9, abs=1e-4)


def test_a_companion_is_a_part_that_lies_outside_the_object() -> None:
    found = told("kite", {"": 0.9, "kite.person": 0.4})
    parts = {one.name: one for one in found.parts}
    assert not (parts["kite.person"].mask & found.planned.mask.numpy()).any()
    assert (parts["kite.diamond"].mask & ~found.planned.mask.numpy()).sum() == 0
    rows = {one["part"]: one for one in stage._part_rows(found, {})}
    assert rows["kite.person"]["is_companion"] == 1
    assert rows["kite.person"]["reliance"] == pytest.approx(0.5)


def test_a_part_is_that_of_its_own_object() -> None:
    """Annotations name parts over all objects; of two boats each has its own hull."""
    dataset = ScenesDataset("val")
    scene = next(
        scene
        for scene in map(dataset.scene, range(len(dataset)))
        if [item.class_name for item in scene.objects] == ["boat", "boat"]
    )
    found = truth_targets(Told(dataset, scene, {scene: 0.9}), dataset, scene)  # type: ignore[arg-type]
    assert len(found) == MOST_PER_PICTURE
    hulls = [next(part.mask for part in one.parts if part.name == "boat.hull") for one in found]
    assert not (hulls[0] & hulls[1]).any()
    for one, hull in zip(found, hulls, strict=True):
        assert hull.any()
        assert not (hull & ~one.planned.mask.numpy()).any()


def test_one_detection_is_found_for_one_object() -> None:
    """Two boats overlap, and the one box that is predicted lies closer to the second."""
    dataset = ScenesDataset("val")
    whole = dataset[0]
    boxes = torch.tensor([[20.0, 20.0, 60.0, 60.0], [22.0, 20.0, 62.0, 60.0], [100.0, 100.0, 120.0, 120.0]])
    annotation = Annotation(boxes=boxes, labels=torch.zeros(3, dtype=torch.int64))
    objects = [
        AnnotatedObject(sample=whole, annotation=annotation, number=number, mask=torch.ones(1, 1, dtype=torch.bool))
        for number in range(3)
    ]
    task = DetectionTask(CLASS_NAMES, score="class", confidence=0.25, iou=0.9, max_detections=25)
    logits = torch.full((1, 2, len(CLASS_NAMES)), -20.0)
    logits[:, :, 0] = 2.0
    predicted = torch.tensor([[[23.0, 20.0, 63.0, 60.0], [101.0, 100.0, 121.0, 120.0]]])
    (prediction,) = task.predictions(DetectorOutput(boxes=predicted, class_logits=logits, objectness_logits=None))
    alone = [found(task, prediction, one, 0) for one in objects]
    assert [one is not None and one.row for one in alone] == [0, 0, 1]
    decisions = all_found(task, prediction, objects, [0, 0, 0])
    assert [one and one.row for one in decisions] == [None, 0, 1]
    assert [one and one.row for one in all_found(task, prediction, objects[::-1], [0, 0, 0])] == [1, 0, None]


def test_concepts_are_measured_by_hand() -> None:
    heatmap = np.array([[6.0, -9.0, 1.0], [0.0, 3.0, 0.0]])  # R+ sums to 10
    top, left = np.zeros((2, 2, 3), dtype=bool)
    top[0], left[:, 0] = True, True
    found = concept_measures(heatmap, ["top", "left"], np.stack([left, top])[::-1], left)
    assert found == {
        "purity": pytest.approx(0.7),
        "factor": "top",
        "purity_even": pytest.approx(1 / 2),
        "factor_area": pytest.approx(1 / 2),
        "mass": pytest.approx(0.6),
        "rank_accuracy": pytest.approx(1 / 2),  # of 6 (left) and 3 (not)
        "object_area": pytest.approx(1 / 3),
    }
    empty = concept_measures(-heatmap.clip(min=0), ["top", "left"], np.stack([top, left]), left)
    assert empty["factor"] == ""
    assert np.isnan(empty["purity"])


def test_agreement_leaves_out_what_is_unknown() -> None:
    columns = {
        "sample": np.arange(6),
        "share_a": np.array([0.1, 0.2, 0.3, 0.4, np.nan, 0.0]),
        "context_reliance": np.array([0.0, 0.1, 0.2, 0.9, -1.0, np.nan]),
    }
    assert agreement(Table(name="targets", columns=columns), "share_a", "context_reliance").value == pytest.approx(1.0)


@pytest.mark.parametrize("model", ["yolov5", pytest.param("unet", marks=pytest.mark.slow)])
def test_tables_equal_a_literal_restatement(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: Subject
) -> None:
    """Reliance by the plain network, shares by one target at a time."""
    monkeypatch.setattr(stage, "PICTURES_PER_UNIT", 2)
    subject = subject if model == "yolov5" else subject_of(model)
    (path, *others) = truth(subject, STATISTICS, settings_for(2), run_in(tmp_path / "run"))
    assert {one.name for one in others} == {
        *(f"{name}.csv" for name in ("targets", "parts", "concepts", "methods", "summary")), "truth.png"
    }  # fmt: skip
    tables = read_evidence(path)
    targets, dataset = tables["targets"].columns, subject.dataset
    assert isinstance(dataset, ScenesDataset)
    assert len(targets["sample"]) == 2
    assert np.asarray(targets["is_home"]).any()
    order = np.random.default_rng(0).permutation(len(dataset))
    assert int(targets["sample"][0]) in order[:4].tolist()
    for row in range(2):
        scene, number = dataset.scene(int(targets["sample"][row])), int(targets["object"][row])
        others_of = [name for name in CONTEXT_NAMES if name != scene.context_of(number)]
        home_swaps = [with_context_swapped(scene, name, number=number) for name in others_of]
        swapped = [readout(subject, scene, number, changed) for changed in home_swaps]
        value = readout(subject, scene, number, scene)
        assert targets["readout"][row] == pytest.approx(value, abs=1e-5)
        if targets["is_home"][row]:
            assert targets["context_reliance"][row] == pytest.approx(value - np.mean(swapped), abs=1e-5)
            assert targets[f"share_{LRP.name}"][row] == pytest.approx(share(subject, scene, number), abs=1e-4)
            logits, relevance = zip(*on_context(subject, scene, number, [scene, *home_swaps]), strict=True)
            assert targets["logit_fall"][row] == pytest.approx(logits[0] - np.mean(logits[1:]), abs=1e-4)
            assert targets["relevance_fall"][row] == pytest.approx(relevance[0] - np.mean(relevance[1:]), abs=1e-4)
        mine = [
            (name, reliance)
            for sample, item, name, reliance in zip(
                *(tables["parts"].columns[key] for key in ("sample", "object", "part", "reliance")), strict=True
            )
            if (int(sample), int(item)) == (scene.index, number)
        ]
        class_name = scene.objects[number].class_name
        assert {name for name, _ in mine} <= {*PARTS[class_name], *COMPANIONS.get(class_name, ())}
        for name, reliance in mine:
            without = readout(subject, scene, number, without_part(scene, number, name))
            assert reliance == pytest.approx(value - without, abs=1e-5)
    assert len(tables["concepts"].columns["rank"]) == 2 * 2
    assert (np.asarray(tables["concepts"].columns["purity"]) <= 1).all()


def readout(subject: Subject, scene: Scene, number: int, changed: Scene) -> float:
    """How sure the plain network is of an object of `scene` in `changed`."""
    dataset, model = subject.dataset, subject.explainer
    assert isinstance(dataset, ScenesDataset)
    annotation = dataset.sample(scene).annotation
    assert annotation is not None
    mean, std = (torch.tensor(values)[:, None, None] for values in (model.mean, model.std))
    with torch.no_grad():
        output = model.network(((dataset.sample(changed).image - mean) / std)[None])
    if isinstance(output, DetectorOutput):
        return float(box_readout(output, annotation.boxes[number][None], annotation.labels[number][None])[0])
    label = int(annotation.labels[number])
    assert annotation.class_mask is not None
    return float(output.softmax(dim=1)[0, label][annotation.class_mask == label].mean())


def share(subject: Subject, scene: Scene, number: int) -> float:
    """Share of positive relevance on the own context, one target alone, by loops over the masks."""
    sample = subject.dataset[scene.index]
    with lrp(subject) as attributor:
        trace = attributor.forward(sample.image[None])
        target = target_of(subject, scene, number, trace)
        heatmap = trace.explain([target]).heatmap[0].clamp(min=0)
    return float(heatmap[own_context(subject, scene, number)].sum() / heatmap.sum())


def on_context(subject: Subject, scene: Scene, number: int, pictures: list[Scene]) -> list[tuple[float, float]]:
    """Logit of a decision of `scene` in each picture, and its relevance on the own context; picture by picture."""
    dataset = subject.dataset
    assert isinstance(dataset, ScenesDataset)
    own, results = own_context(subject, scene, number), []
    with lrp(subject) as attributor:
        trace = attributor.forward(dataset.sample(scene).image[None])
        target = target_of(subject, scene, number, trace)
        class_id = target.target.class_id
        if isinstance(trace.output, torch.Tensor):
            first = trace.output[0].detach()
            weights = first[class_id].clamp(min=0) * (first.argmax(dim=0) == class_id)
            weights = weights / weights.sum()
        for changed in pictures:
            trace = attributor.forward(dataset.sample(changed).image[None])
            if isinstance(trace.output, torch.Tensor):
                seed = torch.zeros_like(trace.output)
                seed[0, class_id] = weights * trace.output[0, class_id].detach()
                logit, heatmap = seed.sum(), trace.attribute(trace.output, seed).heatmap[0]
            else:
                (logit,) = subject.explainer.task.logits(trace.output, [target], torch.zeros(0))
                heatmap = logit * trace.explain([target]).heatmap[0]
            results.append((float(logit), float(heatmap[own].sum())))
    return results


def lrp(subject: Subject) -> Attributor:
    return subject.explainer.attributor((), composite=epsilon_plus_flat)


def target_of(subject: Subject, scene: Scene, number: int, trace: Trace) -> ExplainedTarget:
    """The decision for an object of a picture, from its trace."""
    sample = subject.dataset[scene.index]
    assert sample.annotation is not None
    prediction = subject.explainer.task.predictions(trace.output)[0]
    if isinstance(prediction, Detections):
        left, top, right, bottom = sample.annotation.boxes[number].tolist()
        box = sample.geometry.box_to_picture((left, top, right, bottom))
        return subject.explainer.task.match_box(prediction, sample, box)
    class_id = subject.explainer.task.class_names.index(scene.objects[number].class_name)
    return subject.explainer.task.find(prediction, sample, class_id, 0)


def own_context(subject: Subject, scene: Scene, number: int) -> torch.Tensor:
    """[H, W] bool, by loops: where the class's own context is seen, with nothing before it."""
    annotation = subject.dataset[scene.index].annotation
    assert annotation is not None
    assert annotation.context is not None
    assert annotation.masks is not None
    hidden = torch.stack([*annotation.masks, *annotation.parts.values()]).any(dim=0).tolist()
    home = CONTEXT_NAMES.index(OWN_CONTEXT[scene.objects[number].class_name])
    return torch.tensor(
        [
            [name == home and not covered for name, covered in zip(*rows, strict=True)]
            for rows in zip(annotation.context.tolist(), hidden, strict=True)
        ]
    )


def told_unit(subject: object, dataset: object, settings: object, chosen: list[int], size: int) -> Arrays:  # noqa: ARG001
    """Two targets per picture, whose share is their reliance, each with one part and one concept."""
    places = [{"sample": picture, "object": number, "class": "boat"} for picture in chosen for number in (0, 1)]
    value = [0.1 + picture / 1000 + number / 10 for picture in chosen for number in (0, 1)]
    known = {"key": "val/0", "context": "water", "is_home": 1, "confidence": 0.9, "readout": 0.9, "context_area": 0.3}
    known |= {"logit_fall": 0.5, "relevance_fall": 0.2}
    measured = dict.fromkeys(("purity", "purity_even", "factor_area", "mass", "rank_accuracy", "object_area"), 0.5)
    share = f"share_{CAM.name}"
    return packed(
        {
            "targets": [
                {**place, **known, "context_reliance": one, share: one}
                for place, one in zip(places, value, strict=True)
            ],
            "parts": [
                {**place, "part": "boat.hull", "reliance": one, "area": 0.1, share: -one}
                for place, one in zip(places, value, strict=True)
            ],
            "concepts": [{**place, "rank": 0, "concept": 7, "score": 0.2, **measured} for place in places],
        }
    )


def test_more_targets_go_on_from_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: Subject, caplog: pytest.LogCaptureFixture
) -> None:
    """Units are kept: nothing is worked out twice, and first rows stay; other settings begin anew."""
    caplog.set_level(logging.INFO)
    worked: list[list[int]] = []

    def counted(subject: object, dataset: object, settings: object, chosen: list[int], size: int) -> Arrays:
        worked.append(chosen)
        return told_unit(subject, dataset, settings, chosen, size)

    monkeypatch.setattr(stage, "_unit", counted)
    monkeypatch.setattr(stage, "PICTURES_PER_UNIT", 1)
    few = read_evidence(truth(subject, STATISTICS, settings_for(3, CAM), run_in(tmp_path / "few"))[0])
    order = np.random.default_rng(0).permutation(500).tolist()
    assert worked == [[order[0]], [order[1]]]
    more = read_evidence(truth(subject, STATISTICS, settings_for(5, CAM), run_in(tmp_path / "more"))[0])
    assert "going on with what is kept" in caplog.text
    assert worked == [[order[0]], [order[1]], [order[2]]]
    for name in ("concepts", "parts", "targets"):
        assert len(few[name].columns["sample"]) == 3
        assert len(more[name].columns["sample"]) == 5
        for column, values in few[name].columns.items():
            np.testing.assert_array_equal(values, more[name].columns[column][:3])
    assert more["methods"].columns["context_agreement"][0] == pytest.approx(1.0)
    assert more["methods"].columns["parts_agreement"][0] == pytest.approx(-1.0)
    truth(subject, STATISTICS, replace(settings_for(1, CAM), n_concepts=1), run_in(tmp_path / "other"))
    assert worked[3:] == [[order[0]]]


def test_a_model_that_finds_nothing_is_an_error(tmp_path: Path, subject: Subject) -> None:
    task = DetectionTask(CLASS_NAMES, score="class", confidence=1.0, iou=0.45, max_detections=25)
    strict = replace(
        subject, explainer=replace(subject.explainer, task=task), dataset=Short("val"), identity={"strict": True}
    )
    with pytest.raises(TargetError, match="yolov5 finds none of the objects of scenes val"):
        truth(strict, STATISTICS, settings_for(1), run_in(tmp_path / "run"))


class Short(ScenesDataset):
    """The first pictures."""

    def __len__(self) -> int:
        return 2


def test_other_datasets_are_refused(tmp_path: Path, subject: Subject) -> None:
    class Photos:
        name = "photos"

    with pytest.raises(ConfigError, match=r"stage=truth draws pictures anew, which photos cannot; use dataset=scenes"):
        truth(replace(subject, dataset=Photos()), STATISTICS, settings_for(1), run_in(tmp_path / "run"))  # type: ignore[arg-type]


def test_a_network_of_other_classes_is_refused(tmp_path: Path, subject: Subject) -> None:
    """Their numbers would stand for other things."""
    task = DetectionTask(("helmet", "vest"), confidence=0.25, iou=0.45, max_detections=25)
    other = replace(subject, explainer=replace(subject.explainer, task=task))
    with pytest.raises(
        ConfigError, match=r"looks for the objects of .*, but .* has other classes than boat, car, kite"
    ):
        truth(other, STATISTICS, settings_for(1), run_in(tmp_path / "run"))


def test_methods_are_found_by_name_each_once() -> None:
    found = methods(["epsilon_plus_flat", "gradcam", "random", "epsilon_plus_flat", "gradient"])
    assert [(one.name, one.reading) for one in found] == [
        ("epsilon_plus_flat", "relevance"), ("gradcam", "gradcam"), ("random", "random"), ("gradient", "relevance")
    ]  # fmt: skip
    flat = composite(epsilon_plus_flat, epsilon=1e-6, attention="cp", resize="gradient")
    assert [one.composite for one in found] == [flat, GRADIENT, GRADIENT, GRADIENT]


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"^methods: there is no 'gradcm'; nearest: 'gradcam'"):
        methods(["gradcm"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stage.num_targets=0", "stage.num_targets=0 is too small; the least is 1"),
        ("stage.n_concepts=0", "stage.n_concepts=0 is too small; the least is 1"),
        ("stage.seed=-1", "stage.seed=-1 is too small; the least is 0"),
        ("stage.methods=[]", "stage.methods names none; write at least one"),
    ],
)
def test_settings_that_make_no_sense_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed(["stage=truth", override])


def test_the_background_of_a_detection_is_what_its_context_score_means(subject: Subject) -> None:
    """A background is replaced up to the object's outline, and so far relevance lies outside; else its box counts."""
    with subject.explainer.attributor([subject.explainer.layer]) as attributor:
        (prediction,) = attributor.task.predictions(attributor.forward(subject.dataset[0].image[None]).output)
        targets, _ = attributor.task.annotated_targets(prediction, subject.dataset[0])
        looking = Sensitivities(attributor, subject.dataset, [subject.explainer.layer], seed=0, min_pixels=1)
        columns = looking.unit([one.target for one in targets])
    regions = [attributor.task.region(prediction, one, subject.dataset[0]) for one in targets]
    exact = [attributor.task.region(prediction, one, subject.dataset[0], is_exact=True) for one in targets]
    assert columns["outside_area"].tolist() == [region.outside_area for region in exact]
    assert all(region.outside_area < other.outside_area for region, other in zip(regions, exact, strict=True))
