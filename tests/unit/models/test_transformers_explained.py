"""Networks of transformers, explained as they are: nothing of them changes, nothing goes astray, concepts add up."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers_small import DETECTORS, EVERY, MASK2FORMER, NAMES, SEGFORMER, SIDE, picture, saved, small

import lcrp
from lcrp.attribution.engine import Attributor
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.layers import layer_names
from lcrp.attribution.query_masks import QueryMaskTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites import composites
from lcrp.composites.operations.audit import passed_as_gradient, passed_by_contribution
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import CompositeSpec
from lcrp.errors import ConfigError, LayerError
from lcrp.models.transformers_readers import library_network

PLUS = CompositeSpec(name="epsilon_plus_flat", build=composites.epsilon_plus_flat)
EPSILON = CompositeSpec(name="epsilon", build=lambda _: composites.lrp(Epsilon()))
CASES = [(name, "class") for name in EVERY] + [(MASK2FORMER, "mask")]
MEAN = [0.45] * 3


def task_of(architecture: str, score: str = "class"):
    if architecture in DETECTORS:
        return KeptDetectionTask(NAMES, confidence=0.3)
    return QueryMaskTask(NAMES, score=score) if architecture == MASK2FORMER else SegmentationTask(NAMES)


def only_concepts(relevance, concepts):
    kept = torch.zeros_like(relevance)
    kept[:, concepts] = relevance[:, concepts]
    return kept


class Sample:
    index, key, annotation = 0, "one", None


@pytest.mark.parametrize(("architecture", "score"), CASES)
def test_relevance_is_accounted_for_and_the_network_is_left_as_it_was(architecture, score):
    """In float64 to 1e-9 of the seed: input, biases and stabiliser take all of it, and no operation lacks a rule."""
    network, task = small(architecture).double(), task_of(architecture, score)
    bare, x = library_network(network, architecture), picture()[None].double()
    plain = network(x - MEAN[0])
    state = {key: value.clone() for key, value in network.state_dict().items()}
    for spec in (EPSILON, PLUS):
        with Attributor(bare, spec, task, layers=[], mean=MEAN, std=[1] * 3) as attributor:
            prediction = task.predictions(attributor.output(x))[0]
            trace = attributor.forward(x)
            (again,) = task.predictions(trace.output)
            explained = task.predicted_targets(again, Sample())[0]
            assert explained == approximately(task.predicted_targets(prediction, Sample())[0])
            logits, seed = task.seed(trace.output, explained[:1])
            assert not passed_as_gradient(logits)
            assert not passed_by_contribution(logits)
            found = trace.attribute(logits, seed)
        (ledger,) = found.ledgers
        assert ledger.seed == pytest.approx(1, abs=1e-9)
        assert ledger.missing_share < 1e-9, ledger
        assert ledger.cut == 0
        assert found.heatmap.any()
    after = network(x - MEAN[0])
    assert all(torch.equal(value, after[key]) for key, value in plain.items() if isinstance(value, torch.Tensor))
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def approximately(explained):
    class Near:
        def __eq__(self, others):
            same = [(one.target, one.row) for one in explained] == [(one.target, one.row) for one in others]
            return same and all(abs(a.score - b.score) < 1e-9 for a, b in zip(explained, others, strict=True))

    return Near()


@pytest.mark.parametrize("architecture", EVERY)
def test_concepts_of_every_layer_add_up_to_the_layer(architecture):
    network = library_network(small(architecture).double(), architecture)
    task, x = task_of(architecture), picture()[None].double()
    with Attributor(network, PLUS, task, layers=layer_names(network), mean=MEAN, std=[1] * 3) as attributor:
        trace = attributor.forward(x)
        explained = task.predicted_targets(task.predictions(trace.output)[0], Sample())[0][:1]
        relevance = trace.explain(explained).relevance
        tokens = [name for name in network.token_layers if relevance[name].any()]
        assert len(tokens) > 0.5 * len(network.token_layers)
        for layer in [*tokens, layer_names(network)[0]]:
            of_layer = relevance[layer]
            assert of_layer.shape[2:].numel() > 1
            whole = trace.conditional(layer, of_layer)
            groups = torch.arange(of_layer.shape[1]).chunk(3)
            parts = sum(trace.conditional(layer, only_concepts(of_layer, group)) for group in groups)
            assert whole.any()
            torch.testing.assert_close(parts, whole, rtol=1e-7, atol=1e-10 * float(whole.abs().max()))


def test_query_layers_show_no_concepts():
    """They have no places."""
    network = library_network(small("DetrForObjectDetection"), "DetrForObjectDetection")
    names = layer_names(network)
    assert "model.encoder.layers.0.mlp.fc1" in names
    assert "model.decoder.layers.1.encoder_attn.v_proj" in names
    assert not any(name.startswith("model.decoder") and "mlp" in name for name in names)
    with pytest.raises(LayerError, match=r"layer 'model\.decoder\.layers\.0\.mlp\.fc1' is not in DetrFor"):
        lcrp.load(network.library, input=SIDE, layer="model.decoder.layers.0.mlp.fc1")


@pytest.mark.parametrize("architecture", EVERY)
def test_folders_and_objects_are_explained_alike(architecture, tmp_path):
    weaker = {"confidence": 0.3} if architecture in DETECTORS else {}
    given = {"input": (SIDE, SIDE, "stretch"), "mean": MEAN, "std": [1] * 3, **weaker}
    by_folder = lcrp.load(saved(architecture, tmp_path / "it's"), **given)
    network = small(architecture)
    by_object = lcrp.load(network, **given)
    assert by_folder.class_names == by_object.class_names == NAMES
    found = [lcrp.explain(one, picture()) for one in (by_folder, by_object)]
    assert found[0]
    for one, other in zip(*found, strict=True):
        assert (one.class_name, one.score, one.layer) == (other.class_name, other.score, other.layer)
        assert (one.heatmap == other.heatmap).all()


def test_a_query_is_explained_through_what_it_took_from_the_tokens():
    """The library detaches it, for the sake of training: all of a decision went there."""
    network = small("RTDetrForObjectDetection").double()
    bare, task, x = library_network(network, type(network).__name__), task_of(DETECTORS[1]), picture()[None].double()
    for one in network.model.decoder.layers:  # they read nothing of tokens afterwards
        one.encoder_attn.value_proj.weight.zero_()
        one.encoder_attn.value_proj.bias.zero_()
    with Attributor(bare, EPSILON, task, layers=[], mean=MEAN, std=[1] * 3) as attributor:
        trace = attributor.forward(x)
        explained = task.predicted_targets(task.predictions(trace.output)[0], Sample())[0][:1]
        found = trace.explain(explained)
    assert found.heatmap.any()
    assert found.ledgers[0].cut == 0


def test_the_quality_that_is_added_to_a_logit_is_left_out():
    network = small("DFineForObjectDetection")
    network.model.decoder.lqe_layers[-1].reg_conf.layers[-1].bias.add_(1)
    (kept,) = library_network(network, type(network).__name__)(picture()[None]).pictures
    out = network(picture()[None])
    assert torch.equal(kept.scores, out.logits[0].sigmoid().flatten().topk(10).values)
    quality = out.logits[0] - kept.logits
    torch.testing.assert_close(quality, quality[:, :1].expand_as(quality))
    assert quality.abs().min() > 0.1


@pytest.mark.parametrize("architecture", ["BertModel", "ViTForImageClassification"])
def test_objects_of_other_architectures_are_refused(architecture):
    library = pytest.importorskip("transformers", reason="pip install lcrp[transformers]")
    kind = getattr(library, architecture)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    with pytest.raises(ConfigError, match=f"{architecture} of transformers is not known; those that run are DetrFor"):
        lcrp.load(kind(kind.config_class(**sizes)), class_names=["a"])


def test_what_does_not_fit_an_object_is_refused():
    network = small(SEGFORMER)
    with pytest.raises(ConfigError, match="does segmentation: leave task='detection' out"):
        lcrp.load(network, task="detection")
    with pytest.raises(ConfigError, match="knows 3 classes, but 1 class_names are given"):
        lcrp.load(network, class_names=["a"])


def test_a_missing_library_is_asked_for(tmp_path, monkeypatch):
    folder = saved(SEGFORMER, tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"needs transformers .*pip install lcrp\[transformers\]"):
        lcrp.load(folder)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["RTDetrForObjectDetection", SEGFORMER, MASK2FORMER])  # queries, pixels, both
def test_figures_are_drawn_by_the_command_line(architecture, tmp_path: Path):
    saved(architecture, tmp_path / "own")
    words = ["model=transformers", "model.checkpoint=own", "dataset=scenes", "statistics.targets=predicted"]
    words += [f"model.input.height={SIDE}", f"model.input.width={SIDE}", "statistics.num_samples=2"]
    words += ["model.confidence=0.2", "model.max_detections=2"] if architecture in DETECTORS else []
    for stage in (["stage=glocal"], ["stage=render", "stage.samples=[0]", "stage.n_references=2"]):
        done = subprocess.run(
            [sys.executable, "-m", "lcrp", *words, *stage], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(".png")
