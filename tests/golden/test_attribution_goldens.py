"""Relevance of pixels and concepts against the forerunner's, on photographs.

The forerunner merges BatchNorm with zennit's canonizer, which leaves eps behind: so do we here. Its float64 results are
met to 1e-6, its float32 results within three times the error that it recorded of itself.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from forerunner_pass import merge_as_the_forerunner
from toy import named

from lcrp.attribution.concepts import only_concept, relevance_scores
from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites import composites
from lcrp.values.target import ExplainedTarget, Target

pytestmark = pytest.mark.golden

MODELS = ("yolov5n", "yolov6n", "ssd512", "unet", "deeplabv3plus")
NUM_CLASSES = {"yolov5n": 80, "yolov6n": 80, "ssd512": 80, "unet": 20, "deeplabv3plus": 21}
DEFAULTS = dict.fromkeys(MODELS, "EpsilonPlusFlat") | {"yolov6n": "EpsilonGammaFlat"}
SEGMENTERS = ("unet", "deeplabv3plus")
BUILDERS: dict[str, Callable] = {
    "EpsilonPlusFlat": composites.epsilon_plus_flat,
    "EpsilonGammaFlat": composites.epsilon_gamma_flat,
    "EpsilonFlat": composites.epsilon_flat,
    "EpsilonPlus": composites.epsilon_plus,
    "AllFlatComposite": composites.all_flat,
    "GradientComposite": composites.gradient,
    "GuidedBackpropComposite": composites.guided_backprop,
}
TOLERANCE = 1e-6  # relative L2, float64 with float64
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SSD_MEAN = (123.0, 117.0, 104.0)
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Explained:
    """What is compared of one target."""

    heatmap: np.ndarray
    channels: dict[str, np.ndarray]
    box: tuple[float, ...] | None
    score: float
    top: list[int]
    top_scores: list[float]
    conditional: list[np.ndarray]


class Golden:
    """The forerunner's results for one model, and ours."""

    def __init__(self, shared, model, network):
        self.model = model
        self.data = np.load(shared / "goldens" / f"{model}.npz")
        self.conditional = np.load(shared / "goldens" / f"{model}_cond_a.npz")
        self.network = network
        names = [str(number) for number in range(NUM_CLASSES[model])]
        self.task = SegmentationTask(names) if model in SEGMENTERS else DetectionTask(names)
        self.layers = layer_names(self.network)
        self.targets = [tuple(target) for target in self.data["targets"].tolist()]

    def images(self, index, dtype):
        """One image as the forerunner fed it: normalised in float32, whatever the precision of the network."""
        picture = torch.from_numpy(self.data["images_u8"][index : index + 1]).permute(0, 3, 1, 2).float()
        picture = picture - torch.tensor(SSD_MEAN)[:, None, None] if self.model == "ssd512" else picture / 255
        if self.model in SEGMENTERS:
            mean, std = (torch.tensor(values)[:, None, None] for values in IMAGENET)
            picture = (picture - mean) / std
        return picture.to(dtype)

    @contextmanager
    def attributor(self, composite, layers):
        """Explains the network as merged in its present dtype."""
        mean, std = PLAIN
        builder = BUILDERS[composite]
        attributor = Attributor(self.network, builder, self.task, layers=layers, mean=mean, std=std)
        with merge_as_the_forerunner(self.network), attributor as engine:
            yield engine

    def trace(self, engine, image, dtype):
        trace = engine.forward(self.images(image, dtype))
        return trace, self.task.predictions(trace.output)[0]

    def target(self, trace, prediction, number):
        """What the forerunner explains; for SSD the prior with the (k + 1)-th largest logit of a column, unselected."""
        image, class_id, item = self.targets[number]
        if self.model != "ssd512":
            return self.task.find(prediction, named(image, ""), class_id, item)
        values, rows = trace.output.class_logits[0, :, class_id].detach().topk(item + 1)
        if item == 0:
            assert int(rows[0]) == int(self.data[f"out_top_{image}"][1, class_id])
        return ExplainedTarget(
            target=Target(sample=image, class_id=class_id - 1),  # columns count the background
            key="",
            score=float(values[item]),
            confidence=0.0,
            box=tuple(trace.output.boxes[0, rows[item]].detach().tolist()),
            row=int(rows[item]),
        )

    def explained(self, trace, prediction, number):
        """Everything about one target."""
        target = self.target(trace, prediction, number)
        found = trace.explain([target])
        layer = self.cond_layer()
        scores = relevance_scores(found.relevance[layer]).score[0]
        top = scores.argsort(descending=True)[:3].tolist()
        wanted = number in self.conditional["target_index"].tolist()
        parts = [only_concept(found.relevance[layer], torch.tensor([one])) for one in top if wanted]
        return Explained(
            heatmap=found.heatmap[0].double().numpy(),
            channels={name: found.relevance[name].sum(dim=(0, 2, 3)).double().numpy() for name in self.layers},
            box=target.box,
            score=target.score,
            top=top,
            top_scores=scores[top].tolist(),
            conditional=[trace.conditional(layer, part)[0].double().numpy() for part in parts],
        )

    def recorded_layers(self):
        """Names of the forerunner's layers without the module that it wraps SSD in."""
        return [
            name.removeprefix("model.") if self.model == "ssd512" else name for name in self.data["layers"].tolist()
        ]

    def cond_layer(self):
        """The layer whose concepts are compared."""
        name = str(self.data["cond_layer"])
        return name.removeprefix("model.") if self.model == "ssd512" else name

    def channels(self, number):
        """Layer to the forerunner's channel sums of one target."""
        parts = np.split(self.data["chan_sum"][number], np.cumsum(self.data["layer_channels"])[:-1])
        return dict(zip(self.layers, parts, strict=True))


def error(found, expected):
    """Relative L2 error; zero must meet zero exactly."""
    if not expected.any():
        return 0.0 if not found.any() else np.inf
    expected = expected.astype(np.float64)
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module", params=MODELS)
def golden(request, shared, golden_network):
    return Golden(shared, request.param, golden_network(request.param))


@pytest.fixture(scope="module")
def results(golden):
    """Every target in float64: one forward pass per image, one round per target."""
    golden.network.double()
    found = {}
    with golden.attributor(DEFAULTS[golden.model], golden.layers) as engine:
        for image in sorted({target[0] for target in golden.targets}):
            trace, prediction = golden.trace(engine, image, torch.float64)
            for number, target in enumerate(golden.targets):
                if target[0] == image:
                    found[number] = golden.explained(trace, prediction, number)
    return [found[number] for number in range(len(golden.targets))]


def test_layers(golden):
    assert golden.layers == golden.recorded_layers()


def test_heatmaps(golden, results):
    errors = [error(ours.heatmap, theirs) for ours, theirs in zip(results, golden.data["heatmap"], strict=True)]
    assert max(errors) <= TOLERANCE, errors


def test_relevance_of_every_channel(golden, results):
    for number, ours in enumerate(results):
        theirs = golden.channels(number)
        errors = {name: error(ours.channels[name], theirs[name]) for name in golden.layers}
        assert {name: value for name, value in errors.items() if value > TOLERANCE} == {}, f"target {number}"


def test_top_concepts(golden, results):
    """The forerunner's scores here come from its float32 run: they differ from its own float64 sums like that run."""
    place = golden.layers.index(golden.cond_layer())
    for number, ours in enumerate(results):
        assert ours.top == golden.data["top_concepts"][number].tolist()
        limit = max(1e-4, 3 * golden.data["chan_sum_float32_error"][number, place])
        np.testing.assert_allclose(ours.top_scores, golden.data["top_rel"][number], rtol=limit)


def test_conditional_heatmaps(golden, results):
    """Made by one call with three conditions, so that each carries a third of the seed; float32.

    No float32 error was recorded of these maps: the model's worst heatmap and the layer where they begin stand for it.
    """
    place = golden.layers.index(golden.cond_layer())
    for maps, number in zip(golden.conditional["heatmap"], golden.conditional["target_index"].tolist(), strict=True):
        layer_error = golden.data["chan_sum_float32_error"][number, place]
        limit = max(1e-4, 3 * golden.data["heatmap_float32_error"].max(), 3 * layer_error)
        for ours, theirs in zip(results[number].conditional, maps, strict=True):
            assert error(ours / 3, theirs) <= limit, number


def test_canonized_predictions(golden, shared, results):
    """The explained box and its score after zennit's merging; float32."""
    if not golden.model.startswith("yolo"):
        pytest.skip("recorded for yolov5n and yolov6n only: the others have no boxes or no BatchNorm")
    canonized = np.load(shared / "goldens" / f"{golden.model}_canon_pred.npz")
    for number, (image, class_id, _) in enumerate(golden.targets):
        place = int(canonized[f"explained_box_{number}"][0])
        np.testing.assert_allclose(results[number].box, canonized[f"boxes_canon_{image}"][place], atol=1e-2)
        assert results[number].score == pytest.approx(canonized[f"scores_canon_{image}"][place, class_id], abs=1e-4)
        assert results[number].score == pytest.approx(canonized[f"explained_score_{number}"][0], abs=1e-4)


@pytest.mark.parametrize("composite", BUILDERS)
def test_composites(golden, results, composite):
    """The first target's heatmap under every composite."""
    if golden.model not in ("unet", "yolov6n"):
        pytest.skip("recorded for unet and yolov6n only")
    if composite == DEFAULTS[golden.model]:
        heatmap = results[0].heatmap
    else:
        golden.network.double()
        with golden.attributor(composite, []) as engine:
            trace, prediction = golden.trace(engine, golden.targets[0][0], torch.float64)
            target = golden.target(trace, prediction, 0)
            heatmap = trace.explain([target]).heatmap[0].numpy()
    assert error(heatmap, golden.data[f"composite_{composite}"]) <= TOLERANCE


def test_float32(golden):
    """The first target in float32, within three times the forerunner's own error."""
    golden.network.float()
    with golden.attributor(DEFAULTS[golden.model], golden.layers) as engine:
        trace, prediction = golden.trace(engine, golden.targets[0][0], torch.float32)
        ours = golden.explained(trace, prediction, 0)
    assert error(ours.heatmap, golden.data["heatmap"][0]) <= max(1e-4, 3 * golden.data["heatmap_float32_error"][0])
    limits = np.maximum(1e-4, 3 * golden.data["chan_sum_float32_error"][0])
    for (name, theirs), limit in zip(golden.channels(0).items(), limits, strict=True):
        assert error(ours.channels[name], theirs) <= limit, name
