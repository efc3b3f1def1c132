"""Networks of segmentation_models_pytorch: built, read from what was saved of them, and told from others."""

import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import lcrp
from lcrp.config.checkpoints import find_checkpoint
from lcrp.config.compose import composed
from lcrp.config.model import Model
from lcrp.config.network import TrainedNetwork, trained_network
from lcrp.data.scenes.dataset import ScenesDataset
from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.checkpoint import embedded_checkpoint, read_checkpoint
from lcrp.models.smp import is_of_library, segmenter, with_logits

CPU = torch.device("cpu")
SMALL = {"decoder_channels": [16, 16, 8, 8, 8]}


@pytest.fixture(scope="module")
def library():
    return pytest.importorskip("segmentation_models_pytorch", reason="pip install lcrp[smp]")


def settings(checkpoint: object, names: tuple[str, ...] = ("background", "boat"), **network: object) -> Model:
    model = composed(["model=smp", "dataset=scenes", "model.network.encoder=resnet18"]).model
    model.network |= {"options": SMALL, **network}
    model.checkpoint, model.class_names = str(checkpoint), list(names)
    return model


def built(model: Model, folder: Path) -> TrainedNetwork:
    return trained_network(model, None, CPU, folder)


def unet(library, **options):
    torch.manual_seed(1)
    return library.Unet("resnet18", encoder_weights=None, **SMALL, **options)


def test_random_weights_are_the_same_each_time(library, tmp_path):
    one, other = (built(settings("random"), tmp_path) for _ in range(2))
    assert isinstance(one.network, library.Unet)
    assert one.activation is None
    for key, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[key])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(
    ("activation", "names", "channels", "told"),
    [
        (None, ("background", "boat"), 2, None),
        ("sigmoid", ("background", "boat"), 1, "sigmoid"),
        ("sigmoid", ("boat", "car"), 2, "sigmoid"),
        (None, ("boat",), 1, "sigmoid"),
    ],
)
def test_the_head_goes_by_activation_and_names(tmp_path, activation, names, channels, told):
    model = settings("random", names)
    model.activation = activation
    found = built(model, tmp_path)
    assert found.network(torch.zeros(1, 3, 32, 32)).shape == (1, channels, 32, 32)
    assert found.activation == told


@pytest.mark.parametrize("safe", [True, False])
def test_a_folder_of_save_pretrained_is_built_from_its_own_settings(library, tmp_path, safe):
    """Its sigmoid is told and left out: what is explained are logits."""
    network = unet(library, classes=1, activation="sigmoid", aux_params={"classes": 2}).eval()
    network.save_pretrained(tmp_path / "saved")
    if not safe:
        (tmp_path / "saved" / "model.safetensors").unlink()
        torch.save(network.state_dict(), tmp_path / "saved" / "pytorch_model.bin")
    model = settings(tmp_path / "saved", ("boat",), architecture="fpn", encoder="resnet50")
    found = built(model, tmp_path)
    assert found.activation == "sigmoid"
    assert found.arguments["architecture"] == "unet"
    x = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(found.network(x).sigmoid(), network(x)[0])
    model.activation = "softmax"
    with pytest.raises(ConfigError, match="activation=softmax contradicts the network, which ends in a sigmoid"):
        built(model, tmp_path)


@pytest.mark.parametrize(
    "prefix", ["", "model.", "net.", "module.", "_orig_mod.", "model._orig_mod.", "_orig_mod.net."]
)
def test_what_training_put_in_front_of_keys_is_left_out(library, tmp_path, prefix):
    network = unet(library, classes=2).eval()
    state = {f"{prefix}{key}": value for key, value in network.state_dict().items()}
    torch.save({"state_dict": {**state, "loss.weight": torch.ones(2)}, "epoch": 3}, tmp_path / "last.ckpt")
    found = built(settings(tmp_path / "last.ckpt"), tmp_path)
    for key, value in network.state_dict().items():
        assert torch.equal(found.network.state_dict()[key], value), key


def test_what_does_not_fit_is_said_in_one_line(library, tmp_path):
    torch.save(unet(library, classes=2).state_dict(), tmp_path / "two.pt")
    with pytest.raises(
        CheckpointError, match=r"does not fit Unet; missing: 'encoder\.layer1\.2.* and 70 more"
    ) as caught:
        built(settings("two.pt", encoder="resnet34"), tmp_path)
    assert "model.network.architecture" in caught.value.mend
    assert "\n" not in caught.value.with_mend()
    with pytest.raises(CheckpointError, match=r"of another shape: 'decoder\.blocks\.0.* \(file \(16, "):
        built(settings("two.pt", options=None), tmp_path)
    with pytest.raises(ConfigError, match="the model has 2 classes, but 3 class names"):
        built(settings("two.pt", ("background", "boat", "car")), tmp_path)
    torch.save({"conv.weight": torch.ones(1, 1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"begins with 'segmentation_head\.', the first are 'conv\.weight'"):
        built(settings("other.pt"), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in_channels": 1}, "takes 1 channels, and no RGB"),
        ({"activation": "tanh"}, "ends in 'tanh', which tells no classes"),
        ({"_model_class": "Unett"}, r"architecture='unett' is unknown; nearest: 'unet'"),
    ],
)
def test_settings_in_a_folder_that_cannot_be_met_are_refused(library, tmp_path, change, message):
    unet(library, classes=2).save_pretrained(tmp_path / "saved")
    path = tmp_path / "saved" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(lcrp.LcrpError, match=message):
        built(settings("saved"), tmp_path)


def test_damaged_folders_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json' cannot be read as JSON"):
        find_checkpoint(".", tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="holds a list, not settings by name"):
        find_checkpoint(".", tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        find_checkpoint(".", tmp_path)


@pytest.mark.usefixtures("library")
def test_damaged_safetensors_are_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      junk")
    with pytest.raises(CheckpointError, match=r"a\.safetensors' cannot be read"):
        find_checkpoint("a.safetensors", tmp_path)
    with pytest.raises(CheckpointError, match=r"b\.safetensors' is not there; nearest: 'a\.safetensors'"):
        find_checkpoint("b.safetensors", tmp_path)


@pytest.mark.usefixtures("library")
def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match=r"encoder='resnet19' is unknown; nearest: 'resnet18'.* tu-NAME"):
        segmenter(num_classes=2, encoder="resnet19")
    with pytest.raises(ConfigError, match="cannot build unetplusplus on mit_b0: UnetPlusPlus is not support"):
        segmenter(num_classes=2, architecture="unetplusplus", encoder="mit_b0")
    with pytest.raises(ConfigError, match=r"cannot build unet on tu-nonsense: Unknown model"):
        segmenter(num_classes=2, encoder="tu-nonsense")


def test_a_missing_library_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "segmentation_models_pytorch", None)
    with pytest.raises(ConfigError, match=r"needs segmentation_models_pytorch .*pip install lcrp\[smp\]"):
        segmenter(num_classes=2)


def test_an_object_is_left_as_it_was(library):
    """A sigmoid at its end and a head for whole pictures are left out of another view of the same parts."""
    network = unet(library, classes=1, activation="sigmoid", aux_params={"classes": 2})
    before = {key: value.clone() for key, value in network.state_dict().items()}
    explainer = lcrp.load(network, class_names=["boat"], input=64)
    assert explainer.class_names == ("background", "boat")
    assert explainer.layer == "auto"
    assert {one.layer for one in lcrp.explain(explainer, torch.rand(3, 64, 64))} <= set(dict(network.named_modules()))
    assert network.training
    assert network.classification_head is not None
    assert isinstance(network.segmentation_head[2].activation, nn.Sigmoid)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    x, (view, told) = torch.rand(1, 3, 64, 64), with_logits(network.eval())
    assert told == "sigmoid"
    torch.testing.assert_close(view(x).sigmoid(), network(x)[0])
    assert with_logits(unet(library, classes=2))[1] is None
    with pytest.raises(ConfigError, match="ends in Tanh, not in logits"):
        with_logits(unet(library, activation="tanh"))


def test_an_object_needs_names_alone(library, tmp_path):
    with pytest.raises(ConfigError, match=r"Unet does not say what it does: give class_names=\[\.\.\.\]"):
        lcrp.load(unet(library))
    with pytest.raises(ConfigError, match="Unet knows 1 classes, but 2 class_names are given"):
        lcrp.load(unet(library), class_names=["boat", "car"], input=64)
    assert not is_of_library(nn.Conv2d(3, 3, 1))
    unet(library).save_pretrained(tmp_path / "saved")
    assert lcrp.load(tmp_path / "saved", class_names=["boat"], input=64).class_names == ("background", "boat")


def test_yolo_keys_keep_their_prefix(tmp_path):
    """'model.' belongs to the names of YOLOv5's layers."""
    torch.save({"model.0.conv.weight": torch.ones(1)}, tmp_path / "a.pt")
    assert list(read_checkpoint(tmp_path / "a.pt").state) == ["model.0.conv.weight"]


@pytest.mark.usefixtures("library")
def test_the_example_of_the_page_runs(capsys):
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "smp.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.S)
    torch.manual_seed(0)
    exec(compile(block, "smp.md", "exec"), {})
    assert "boat 0." in capsys.readouterr().out


def test_a_binary_segmenter_finds_what_its_sigmoid_says(tmp_path):
    """A softmax of one channel took the whole picture for the object, with confidence 1."""
    state = dict(read_checkpoint(embedded_checkpoint("unet_scenes")).state)
    for key in ("segmentation_head.0.weight", "segmentation_head.0.bias"):
        state[key] = (state[key][1:2] - state[key][:1]).clone()  # boat against background
    torch.save(state, tmp_path / "binary.pt")
    explainer = lcrp.load(tmp_path / "binary.pt", class_names=["boat"], input=256)
    scenes = ScenesDataset("val", segmentation=True)
    picture = next(one.image for one in map(scenes.__getitem__, range(60)) if (one.annotation.class_mask == 1).any())
    (found,) = lcrp.explain(explainer, picture)
    mean, std = (torch.tensor(values)[:, None, None] for values in (explainer.mean, explainer.std))
    with torch.no_grad():
        probability = explainer.network(((picture - mean) / std)[None])[0, 0].sigmoid()
    assert (found.class_name, found.class_id) == ("boat", 1)
    assert 0 < int(found.mask.sum()) < 65536 / 2
    assert abs(int(found.mask.sum()) - int((probability > 0.5).sum())) <= 2
    assert found.confidence == pytest.approx(float(probability[probability > 0.5].mean()), abs=1e-3)
