"""Networks as a person has them: told apart by what they are, left as they were, refused in one line."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from colour_world import CLASS_NAMES, SIDE
from torch import nn

import lcrp
from lcrp.api.explainers import as_it_stands, with_composite
from lcrp.api.networks import architecture_of, weights_sha256
from lcrp.attribution.layers import check_layers
from lcrp.errors import CheckpointError, ConfigError, LayerError
from lcrp.models.checkpoint import embedded_checkpoint

OWN = {"task": "segmentation", "class_names": CLASS_NAMES, "input": (SIDE, SIDE, "none")}


class Scaled(nn.Module):
    """A convolution and a number that no weight holds."""

    def __init__(self, factor: float = 2.0, answer: object = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        nn.init.constant_(self.conv.weight, 0.1)
        nn.init.constant_(self.conv.bias, 1.0)  # type: ignore[arg-type]
        self.factor, self.answer = factor, answer

    def forward(self, x: torch.Tensor) -> object:
        return self.norm(self.conv(x)) * self.factor if self.answer is None else self.answer


class Other(Scaled):
    """The same under another name."""


def snapshot(module: nn.Module) -> dict[str, object]:
    """All that a person could miss."""
    state = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [one.training for one in module.modules()]
    flags = [(one.requires_grad, one.device, one.dtype, one.data_ptr()) for one in module.parameters()]
    hooks = [
        (len(one._forward_hooks), len(one._forward_pre_hooks), len(one._backward_hooks)) for one in module.modules()
    ]
    return {"state": state, "modes": modes, "flags": flags, "hooks": hooks}


def assert_same(before: dict[str, object], after: dict[str, object]) -> None:
    states = (before.pop("state"), after.pop("state"))
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())  # type: ignore[index,attr-defined]
    assert before == after


def test_a_module_is_left_as_it_was(squares: list[np.ndarray]) -> None:
    module = Scaled().train()
    module.conv.eval()
    before = snapshot(module)
    explainer = lcrp.load(module, **OWN)
    lcrp.explain(explainer, squares[1])
    assert explainer.network is module
    assert_same(before, snapshot(module))


def test_a_module_may_be_trained_on_between_explanations(module: nn.Module, squares: list[np.ndarray]) -> None:
    explainer = lcrp.load(module, **OWN)
    first = lcrp.explain(explainer, squares[1], class_name="boat")[0]
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    module(torch.rand(1, 3, SIDE, SIDE)).square().mean().backward()
    optimiser.step()
    second = lcrp.explain(explainer, squares[1], class_name="boat")[0]
    assert not np.array_equal(first.heatmap, second.heatmap)
    assert as_it_stands(explainer).identity() != explainer.identity()


def test_another_precision_takes_a_copy(module: nn.Module, squares: list[np.ndarray]) -> None:
    before = snapshot(module)
    explainer = lcrp.load(module, precision="bfloat16", **OWN)
    assert next(explainer.network.parameters()).dtype == torch.bfloat16
    assert lcrp.explain(explainer, squares[1], class_name="boat")[0].heatmap.dtype == np.float32
    assert_same(before, snapshot(module))


def test_identity_is_weights_operations_and_class() -> None:
    module = Scaled()
    twin = Scaled(factor=3.0)
    twin.load_state_dict(module.state_dict())
    other = Other()
    other.load_state_dict(module.state_dict())
    size = (8, 8)
    assert weights_sha256(module) == weights_sha256(twin) == weights_sha256(other)
    assert architecture_of(module, size) == architecture_of(copy.deepcopy(module), size)
    assert architecture_of(module, size)["operations"] != architecture_of(twin, size)["operations"]
    assert architecture_of(module, size)["operations"] == architecture_of(other, size)["operations"]
    assert architecture_of(module, size) != architecture_of(other, size)


def test_the_hash_of_weights_knows_names_types_and_bytes() -> None:
    module = nn.Conv2d(3, 3, 1)
    first = weights_sha256(module)
    with torch.no_grad():
        module.bias[0] += 1e-7 + module.bias[0].abs() * 1e-6
    assert weights_sha256(module) != first
    assert weights_sha256(module) != weights_sha256(copy.deepcopy(module).half())
    assert weights_sha256(module) != weights_sha256(nn.Sequential(module))
    assert weights_sha256(Scaled().bfloat16())  # no numpy type, and a scalar among the buffers


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, r"Scaled does not say what it does: give task='detection' or 'segmentation' and class_names"),
        ({"task": "segmentation"}, r"give task=.* and class_names"),
        ({"task": "detektion", "class_names": CLASS_NAMES}, r"task 'detektion' is unknown; nearest: 'detection'"),
        (OWN | {"class_names": ("a", "b")}, r"knows 3 classes, but 2 class_names are given"),
        (OWN | {"task": "detection"}, r"returns a tensor \[1, 3, 24, 24\], but detection needs .*DetectorOutput"),
        (OWN | {"layer": "con"}, r"layer 'con' is not in Scaled; nearest: 'conv'"),
        (OWN | {"input": (8, 8, "stretched")}, r"'stretched' is unknown.*'stretch'"),
        (OWN | {"input": 0}, r"0"),
        (OWN | {"input": (64,)}, r"input=\(64,\) is no size: give the side in pixels, \(height, width\) or"),
        (OWN | {"input": 64.5}, r"input=64.5 is no size"),
        (OWN | {"std": (1, 1)}, r"std has 2 values"),
        (OWN | {"composite": "epsilon"}, r"composite 'epsilon' does not exist; nearest: 'epsilon_"),
        (OWN | {"composite": {"attention": "attn"}}, r"composite=.'attention': 'attn'. has no name: give one, such as"),
        (OWN | {"composite": {"name": "all_flat", "attention": "attn"}}, r"attention"),
        (
            OWN | {"composite": {"name": "epsilon_flat", "epsilon": [1]}},
            r"epsilon=\[1\] is neither a word nor a number",
        ),
        (OWN | {"precision": "half"}, r"precision"),
        (OWN | {"unaccounted": "acept"}, r"unaccounted='acept' is unknown.*'accept'|unaccounted.*accept"),
        (OWN | {"checkpoint": "best.pt"}, r"a module has its weights already"),
    ],
)
def test_what_a_module_lacks_is_said_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(lcrp.LcrpError, match=message) as caught:
        lcrp.load(Scaled(), **settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert "model." not in str(caught.value)
    assert "stage" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"out": torch.zeros(1, 3, 8, 8)}, r"returns a dict with 'out', but segmentation needs logits \[B, K, H, W\]"),
        (torch.zeros(1, 3), r"returns a tensor \[1, 3\]"),
        (torch.zeros(1, 1, 8, 8), r"knows 1 classes, but 3"),
    ],
)
def test_a_wrong_answer_is_refused(answer: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lcrp.load(Scaled(answer=answer), **OWN)


def test_one_channel_is_told_by_a_sigmoid() -> None:
    """argmax over one channel would call the whole picture the object."""
    network = nn.Sequential(nn.Conv2d(3, 1, 1))
    for names in (["boat"], ["background", "boat"]):
        explainer = lcrp.load(network, task="segmentation", class_names=names, input=8, threshold=0.4)
        assert explainer.class_names == ("background", "boat")
        assert explainer.task.identity()["threshold"] == 0.4
    with pytest.raises(ConfigError, match=r"threshold=0\.4 says nothing to a softmax"):
        lcrp.load(network, task="segmentation", class_names=["boat"], input=8, activation="softmax", threshold=0.4)


def test_a_module_that_fails_is_named() -> None:
    with pytest.raises(ConfigError, match=r"Linear fails on one picture of 512 x 512 pixels, \[1, 3, H, W\]: .*mat1"):
        lcrp.load(nn.Linear(3, 3), task="segmentation", class_names=["boat", "car"])


def test_a_module_without_parameters_or_convolutions_has_nothing_to_explain() -> None:
    with pytest.raises(ConfigError, match=r"Identity has no parameters"):
        lcrp.load(nn.Identity(), **OWN)
    with pytest.raises(LayerError, match=r"Linear has no Conv2d"):
        check_layers(nn.Linear(3, 3))


def test_the_layer_of_a_module_is_chosen_when_something_is_decided(module: nn.Module) -> None:
    assert lcrp.load(module, **OWN).layer == "auto"
    assert lcrp.load(module, layer="0", **OWN).layer == "0"


def test_an_explainer_is_taken_as_it_is(explainer: lcrp.Explainer) -> None:
    assert lcrp.load(explainer) is explainer
    with pytest.raises(ConfigError, match=r"has its settings already"):
        lcrp.load(explainer, confidence=0.3)


@pytest.mark.parametrize("model", [None, 3, ["yolov6"]])
def test_what_is_no_network_is_refused(model: object) -> None:
    with pytest.raises(ConfigError, match=r"is no network: give a path"):
        lcrp.load(model)  # type: ignore[arg-type]


def test_an_embedded_network_is_that_of_the_command_line() -> None:
    explainer = lcrp.load("embedded:yolov6_scenes")
    assert (explainer.name, explainer.checkpoint) == ("yolov6", "yolov6_scenes.pt")
    assert (explainer.transform.height, explainer.transform.resize) == (256, "letterbox")
    assert explainer.layer == "backbone.ERBlock_4.0.rbr_dense.conv"
    assert explainer.composite.name == "epsilon_gamma_flat"
    assert repr(explainer) == (
        "yolov6 (yolov6_scenes.pt): 6 classes, input 256x256, layer backbone.ERBlock_4.0.rbr_dense.conv, "
        "epsilon_gamma_flat"
    )
    assert lcrp.load("yolov6").identity() == explainer.identity()
    assert lcrp.load("yolov6", checkpoint="embedded:yolov6_scenes").identity() == explainer.identity()


@pytest.mark.parametrize("family", ["ssd", "unet"])
def test_a_file_tells_its_family(family: str, tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    shutil.copy(embedded_checkpoint(f"{family}_scenes"), path)
    explainer = lcrp.load(path, input=256)
    assert explainer.name == family
    assert explainer.class_names[-1] == "bird"
    assert (explainer.transform.height, explainer.transform.width) == (256, 256)


def test_settings_of_a_family_can_be_changed() -> None:
    explainer = lcrp.load("yolov6", confidence=0.5, iou=0.3, mean=[0.1, 0.2, 0.3], input=(64, 96, "stretch"))
    settings = explainer.task.identity()
    assert (settings["confidence"], settings["iou"]) == (0.5, 0.3)
    assert explainer.mean == (0.1, 0.2, 0.3)
    assert explainer.transform.description() == {"height": 64, "width": 96, "resize": "stretch"}


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match=r"not know \(its first keys are 'weight'\).*any torch.nn.Module"):
        lcrp.load(path)
    with pytest.raises(CheckpointError, match=r"is not there; nearest in .*'best.pt'"):
        lcrp.load(tmp_path / "beast.pt")


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("embedded:yolov7_scenes", {}, r"no checkpoint 'yolov7_scenes' comes with lcrp; nearest: 'yolov"),
        ("official:yolov7", {}, r"no official checkpoint is called 'yolov7'; nearest: 'yolov"),
        ("best.pt", {"checkpoint": "last.pt"}, r"'best.pt' is a checkpoint itself: give the family's name"),
        ("yolov6", {"task": "segmentation"}, r"yolov6 does detection: leave task='segmentation' out"),
        ("yolov6", {"confidence": 3.0}, r"confidence"),
        ("yolov6", {"device": "gpu"}, r"device='gpu' is unknown"),
        ("yolov6", {"class_names": ["boat"]}, r"the model has 6 classes, but 1 class names are known"),
    ],
)
def test_wrong_settings_name_no_setting_of_the_command_line(
    model: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(lcrp.LcrpError, match=message) as caught:
        lcrp.load(model, **settings)  # type: ignore[arg-type]
    assert "model." not in str(caught.value)


def test_a_detector_of_ones_own_is_explained_as_that_of_lcrp_is() -> None:
    known = lcrp.load("embedded:yolov5_scenes")
    own = lcrp.load(known.network, task="detection", class_names=known.class_names, input=256, layer=known.layer)
    assert own.task.identity() == known.task.identity()
    picture = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    pair = [lcrp.explain(one, picture, confidence=1e-6, max_targets=1)[0] for one in (known, own)]
    assert pair[0].box == pair[1].box
    assert np.array_equal(pair[0].heatmap, pair[1].heatmap)


def test_rules_are_chosen_with_their_settings() -> None:
    """As on the command line, and they identify what is made with them."""
    chosen = {"name": "epsilon_plus_flat", "attention": "attn", "epsilon": 1e-5}
    explainer = lcrp.load("embedded:unet_scenes", composite=chosen)
    assert explainer.composite.settings == {"epsilon": 1e-5, "attention": "attn", "resize": "gradient"}
    plain = lcrp.load("embedded:unet_scenes", composite="epsilon_plus_flat")
    assert plain.identity() != explainer.identity()
    assert with_composite(plain, chosen).identity() == explainer.identity()


class Twice(torch.autograd.Function):
    """Twice its input."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return 2 * x

    @staticmethod
    def backward(ctx: object, *gradients: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return 2 * gradients[0]


class Doubled(nn.Module):
    """A network, and then a function whose derivative is no relevance."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Twice.apply(self.network(x))  # type: ignore[no-any-return,no-untyped-call]


def test_what_the_error_advises_can_be_done(module: nn.Module, squares: list[np.ndarray]) -> None:
    network = Doubled(module)
    with pytest.raises(LayerError, match=r"50.0% of the relevance is unaccounted for.*gradient: Twice") as refused:
        lcrp.explain(lcrp.load(network, **OWN), squares[1], class_name="boat")
    assert "unaccounted=accept" in refused.value.mend
    explained = lcrp.explain(lcrp.load(network, unaccounted="accept", **OWN), squares[1], class_name="boat")
    assert explained[0].ledger is not None
    assert explained[0].ledger.missing_share > 0.1
