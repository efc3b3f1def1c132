"""Networks of transformers: read from their folders, told from others, and deciding as the library does."""

import json
import logging
from pathlib import Path

import pytest
import torch
from transformers_small import DETECTORS, EVERY, MASK2FORMER, NAMES, SEGFORMER, SIDE, picture, saved, small

import lcrp
from lcrp.attribution.kept import KeptDetectionTask
from lcrp.attribution.query_masks import QueryMaskTask
from lcrp.config.compose import composed
from lcrp.config.model import Model
from lcrp.config.network import TrainedNetwork, trained_network
from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.transformers import recognise
from lcrp.models.transformers_readers import library_network

CPU = torch.device("cpu")


def settings(folder: Path, *overrides: str) -> Model:
    return composed(["model=transformers", f"model.checkpoint='{folder}'", "dataset=scenes", *overrides]).model


def built(folder: Path, *overrides: str) -> TrainedNetwork:
    return trained_network(settings(folder, *overrides), None, CPU, folder)


def rewritten(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("architecture", EVERY)
def test_a_folder_is_the_network_that_was_saved(architecture, tmp_path, capfd, caplog):
    """Its weights are under their old names there; nothing is said, and no bar is drawn."""
    network = small(architecture)
    saved(architecture, tmp_path)
    capfd.readouterr()
    found = built(tmp_path)
    assert recognise(tmp_path) == recognise(network) == architecture
    assert found.class_names == NAMES
    assert type(found.network.library) is type(network)
    own = network.state_dict()
    assert own.keys() == found.network.state_dict().keys()
    assert all(torch.equal(value, own[key]) for key, value in found.network.state_dict().items())
    assert capfd.readouterr() == ("", "")
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("architecture", "old"),
    [
        ("DetrForObjectDetection", "model.backbone.conv_encoder.model.embedder"),
        ("RTDetrForObjectDetection", "model.encoder.encoder.0.layers.0.self_attn.out_proj"),
        (SEGFORMER, "segformer.encoder.block.0.0.attention.self.query"),
    ],
)
def test_names_of_old_and_new_versions_load(architecture, old, tmp_path):
    from safetensors.torch import load_file, save_file

    saved(architecture, tmp_path)
    path, network = tmp_path / "model.safetensors", small(architecture)
    assert any(key.startswith(old) for key in load_file(path))
    state = {key: value.contiguous().clone() for key, value in network.state_dict().items()}
    assert not any(key.startswith(old) for key in state)
    save_file(state, path)
    found = built(tmp_path).network.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in state.items())


@pytest.mark.parametrize("way", ["pickled", "parts"])
def test_weights_in_other_files_load(way, tmp_path):
    network = small(SEGFORMER)
    saved(SEGFORMER, tmp_path)
    if way == "pickled":
        (tmp_path / "model.safetensors").unlink()
        torch.save(network.state_dict(), tmp_path / "pytorch_model.bin")
    else:
        (tmp_path / "model.safetensors").unlink()
        network.save_pretrained(tmp_path, max_shard_size="20KB")
        assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    own = network.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in built(tmp_path).network.state_dict().items())


@pytest.mark.parametrize("where", ["/etc/passwd", "../model.safetensors", 3])
def test_parts_elsewhere_are_refused(where, tmp_path):
    saved(SEGFORMER, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": where}}))
    with pytest.raises(CheckpointError, match="names no files of its folder as weight_map"):
        built(tmp_path)


@pytest.mark.parametrize("change", ["missing", "left over", "misshapen"])
def test_weights_that_do_not_fit_are_told_and_never_made_up(change, tmp_path):
    from safetensors.torch import load_file, save_file

    saved("RTDetrForObjectDetection", tmp_path)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    key = "model.encoder.lateral_convs.0.conv.weight"
    if change == "missing":
        del state[key]
        expected = f"do not fit RTDetrForObjectDetection; missing: '{key}'"
    elif change == "left over":
        state["model.other.weight"] = torch.ones(1)
        expected = "not in the network: 'model.other.weight'"
    else:
        state[key] = state[key][:3].contiguous()
        expected = rf"of another shape: '{key}' \(file \(3, 16, 1, 1\), network \(16, 16, 1, 1\)\)"
    save_file(state, path)
    with pytest.raises(CheckpointError, match=expected) as caught:
        built(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"architectures": ["BertModel"]}, "holds BertModel; those that run are DetrForObjectDetection, RTDetrFor"),
        ({"architectures": ["YolosForObjectDetection"]}, "holds YolosForObjectDetection; those that run are"),
        ({"architectures": [], "model_type": "vit"}, "holds vit; those that run are"),
        ({"backbone_config": {"model_type": "what"}}, "cannot build DetrForObjectDetection as '.*' says it: "),
        ({"backbone_config": None, "backbone": "microsoft/resnet-50"}, "backbone 'microsoft/resnet-50' of the Hub"),
        ({"decoder_layers": 1}, "do not fit DetrForObjectDetection; not in the network: 'model.decoder.layers.1"),
    ],
)
def test_folders_that_cannot_be_met_are_refused_in_one_line(given, message, tmp_path):
    saved("DetrForObjectDetection", tmp_path)
    rewritten(tmp_path, **given)
    with pytest.raises(CheckpointError, match=message) as caught:
        built(tmp_path)
    assert "\n" not in str(caught.value)


def test_other_things_than_folders_are_refused(tmp_path):
    torch.save(small(SEGFORMER).state_dict(), tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt' is a file; a network of transformers is a folder with config"):
        trained_network(settings(tmp_path / "a.pt"), None, CPU, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="empty' is a folder"):
        built(tmp_path / "empty")
    model = settings(tmp_path)
    model.checkpoint = "random"
    with pytest.raises(ConfigError, match=r"is what its folder says: write model\.checkpoint=FOLDER"):
        trained_network(model, ("a",), CPU, tmp_path)
    with pytest.raises(ConfigError, match=r"model\.checkpoint has no value"):
        trained_network(composed(["model=transformers", "dataset=scenes"]).model, None, CPU, tmp_path)


def test_a_folder_of_another_task_than_its_settings_is_refused(tmp_path):
    """As where a command is given elsewhere, so that its relative path leads nowhere when settings are composed."""
    saved(SEGFORMER, tmp_path)
    model = composed(["model=transformers", "dataset=scenes"]).model
    model.checkpoint = str(tmp_path)
    with pytest.raises(ConfigError, match=r"model\.task=kept_detection, but '.*' does segmentation"):
        trained_network(model, None, CPU, tmp_path)


def test_nothing_in_a_folder_is_run(tmp_path):
    """Code beside the weights is left alone, also where config.json asks for it."""
    saved(SEGFORMER, tmp_path)
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    rewritten(tmp_path, auto_map={"AutoConfig": "own.Own", "AutoModelForSemanticSegmentation": "own.Own"})
    built(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("architecture", "told", "size", "mean"),
    [
        ("RTDetrForObjectDetection", None, (640, 640, "stretch"), 0.0),
        ("DetrForObjectDetection", None, (800, 800, "letterbox"), 0.485),
        (
            "DetrForObjectDetection",
            {"size": {"shortest_edge": 480, "longest_edge": 800}},
            (480, 480, "letterbox"),
            0.485,
        ),
        ("DetrForObjectDetection", {"do_normalize": False}, (800, 800, "letterbox"), 0.0),
        (SEGFORMER, {"size": {"height": 256, "width": 512}, "image_mean": [0.5] * 3}, (256, 512, "stretch"), 0.5),
        (SEGFORMER, {"size": 640, "do_rescale": False, "image_mean": [127.5] * 3}, (640, 640, "stretch"), 0.5),
        (MASK2FORMER, {"size": {"shortest_edge": 500}}, (512, 512, "letterbox"), 0.485),
    ],
)
def test_pictures_are_made_as_the_folder_says(architecture, told, size, mean, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": [architecture]}))
    if told is not None:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(told))
    model = settings(tmp_path)
    assert (model.input.height, model.input.width, model.input.resize) == size
    assert model.mean[0] == pytest.approx(mean)
    assert model.score == ("class" if architecture == MASK2FORMER else None)


@pytest.mark.parametrize("text", ["{", '{"image_mean": ["a"]}', '{"size": {"height": "x", "width": 2}}'])
def test_preprocessing_that_cannot_be_read_is_refused(text, tmp_path):
    saved(SEGFORMER, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json.*(as JSON|which are no)"):
        built(tmp_path)


@pytest.mark.parametrize("architecture", DETECTORS)
@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_detections_are_those_of_the_library(architecture, threshold):
    from transformers import DetrImageProcessor, RTDetrImageProcessor

    network = small(architecture)
    kind = DetrImageProcessor if architecture == "DetrForObjectDetection" else RTDetrImageProcessor
    x = picture()[None]
    wide = torch.cat([x, x.flip(3)], dim=3)
    (theirs,) = kind().post_process_object_detection(
        network(wide), threshold=threshold, target_sizes=[(SIDE, 2 * SIDE)]
    )
    task = KeptDetectionTask(NAMES, confidence=threshold, max_detections=300)
    (ours,) = task.predictions(library_network(network, architecture)(wide))
    order = theirs["scores"].argsort(descending=True, stable=True)
    assert len(order) > 0 or threshold == 0.5
    assert torch.equal(ours.confidence, theirs["scores"][order])
    assert torch.equal(ours.labels, theirs["labels"][order])
    torch.testing.assert_close(ours.boxes, theirs["boxes"][order])


def test_columns_without_an_object_are_left_out():
    network = small("RTDetrForObjectDetection")
    network.config.id2label = {0: "boat", 1: "N/A", 2: "kite"}
    explainer = lcrp.load(network, input=SIDE, confidence=0.0)
    assert explainer.class_names == ("boat", "kite")
    (kept,) = explainer.network(picture()[None]).pictures
    assert kept.columns.tolist() == [0, 2]
    assert kept.class_ids.max() <= 1


@pytest.mark.parametrize("numbers", [(1, 2, 3), (0, 1, 10), (-1, 0, 1)])
def test_classes_that_are_not_numbered_from_0_are_refused(numbers):
    """Sorted, they would name other columns than theirs."""
    network = small("RTDetrForObjectDetection")
    network.config.id2label = dict(zip(numbers, ("boat", "car", "kite"), strict=True))
    with pytest.raises(CheckpointError, match=rf"id2label numbers its 3 classes {', '.join(map(str, numbers))}, "):
        lcrp.load(network, input=SIDE)


@pytest.mark.parametrize("architecture", [SEGFORMER, MASK2FORMER])
def test_masks_are_those_of_the_library(architecture):
    from transformers import Mask2FormerImageProcessor, SegformerImageProcessor

    network = small(architecture)
    kind = Mask2FormerImageProcessor if architecture == MASK2FORMER else SegformerImageProcessor
    x = picture()[None]
    wide = torch.cat([x, x.flip(3)], dim=3)
    (theirs,) = kind().post_process_semantic_segmentation(network(wide), target_sizes=[(SIDE, 2 * SIDE)])
    explainer = lcrp.load(network, input=(SIDE, 2 * SIDE))
    (ours,) = explainer.task.predictions(explainer.network(wide))
    assert torch.equal(ours.labels, theirs)
    assert len(theirs.unique()) > 1


@pytest.mark.parametrize("score", ["class", "mask"])
def test_a_region_is_explained_by_the_queries_that_own_it(score):
    """Compared with a literal restatement, cell by cell."""
    network = library_network(small(MASK2FORMER), MASK2FORMER)
    output = network(picture()[None])
    task = QueryMaskTask(NAMES, score=score, seed="ones")
    (prediction,) = task.predictions(output)
    explained = lcrp_targets(task, prediction)[0]
    logits, seed = task.seed(output, [explained])
    mask = prediction.labels == explained.target.class_id
    probabilities = output.class_logits[0].softmax(-1)[:, explained.target.class_id]
    expected = torch.zeros_like(seed[0])
    height, width = output.mask_logits.shape[-2:]
    for y in range(height):
        for x in range(width):
            share = mask[4 * y : 4 * y + 4, 4 * x : 4 * x + 4].sum() / mask.sum()
            owner = int((probabilities * output.mask_logits[0, :, y, x].sigmoid()).argmax())
            at = (owner, explained.target.class_id) if score == "class" else (owner, y, x)
            expected[at] += share
    torch.testing.assert_close(seed[0], expected)
    assert seed.sum() == pytest.approx(1, abs=1e-5)
    mean = task.logits(output, [explained], mask[None])
    torch.testing.assert_close(mean, (expected * logits[0]).sum()[None])
    assert 0 < float(task.readout(output, torch.tensor([explained.target.class_id]), None, mask[None])) <= 1


def lcrp_targets(task, prediction):
    class Sample:
        index, key, annotation = 0, "one", None

    return task.predicted_targets(prediction, Sample())[0]
