"""YOLOv8 and newer: descriptions are obeyed, and what is not known is refused by name."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from lcrp.errors import CheckpointError, ConfigError
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.yolo.build import build
from lcrp.models.yolo.family import yolo
from lcrp.models.yolo.heads import DFL, Detect
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.part import Part
from lcrp.models.yolo.published import conv, network_part
from lcrp.models.yolo.tables import size_of
from lcrp.models.yolov5 import YOLOv5
from lcrp.values.prediction import DetectorOutput

VERSIONS = ("5u", "8", "10", "11", "12", "26")


def small(version: str, task: str = "detect", num_classes: int = 3) -> YOLO:
    network = YOLO(network_part(version, size_of(version, "n"), num_classes, task))  # type: ignore[arg-type]
    network.initialise(torch.Generator().manual_seed(0))
    return network.eval().requires_grad_(False)


def with_layer(part: Part, number: int, layer: Part) -> Part:
    return replace(part, parts={**part.parts, str(number): layer})


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_answers(version: str) -> None:
    network = small(version)
    output = network(torch.rand(2, 3, 64, 96))
    assert isinstance(output, DetectorOutput)
    rows = (8 * 12) + (4 * 6) + (2 * 3)
    assert output.boxes.shape == (2, rows, 4)
    assert output.class_logits.shape == (2, rows, 3)
    assert output.is_one_to_one == (version in ("10", "26"))
    assert network.cell_centres(64, 96).shape == (rows, 2)


def test_rows_lie_level_after_level_row_by_row() -> None:
    centres = small("11").cell_centres(64, 96)
    assert centres[:2].tolist() == [[4.0, 4.0], [12.0, 4.0]]
    assert centres[12].tolist() == [4.0, 12.0]
    assert centres[96].tolist() == [8.0, 8.0]
    assert centres[-1].tolist() == [80.0, 48.0]


def test_a_box_is_its_cell_with_four_sides() -> None:
    """Sides 1, 2, 3, 4 strides: biases alone speak, one bin each."""
    network = small("8")
    head = network.head
    assert isinstance(head, Detect)
    for branch in head.get_submodule("cv2"):
        branch[-1].weight.zero_()
        branch[-1].bias.fill_(-1e4)
        for side, bin_ in enumerate((1, 2, 3, 4)):
            branch[-1].bias[16 * side + bin_] = 0.0
    boxes = network(torch.rand(1, 3, 64, 64)).boxes[0]
    assert boxes[0].tolist() == [4 - 8, 4 - 16, 4 + 24, 4 + 32]
    assert boxes[-1].tolist() == [48 - 32, 48 - 64, 48 + 96, 48 + 128]


def test_values_of_bins_are_those_of_the_file() -> None:
    head = small("8").head
    dfl = head.get_submodule("dfl")
    assert isinstance(dfl, DFL)
    assert dfl.conv.get_buffer("weight").flatten().tolist() == list(range(16))
    assert not list(dfl.parameters())
    dfl.conv.get_buffer("weight").mul_(2)
    bins = torch.zeros(1, 4, 16, 1)
    bins[:, :, 5] = 1e4
    assert dfl(bins).flatten().tolist() == [10.0] * 4


@pytest.mark.parametrize("version", ["8", "11", "26"])
def test_masks_are_sums_of_prototypes(version: str) -> None:
    output = small(version, "segment")(torch.rand(1, 3, 64, 64))
    assert output.masks is not None
    assert output.masks.prototypes.shape == (1, 32, 16, 16)
    expected = (output.masks.coefficients[0, 7][:, None, None] * output.masks.prototypes[0]).sum(0)
    torch.testing.assert_close(output.masks.logits(0, torch.tensor([7]))[0], expected)
    assert output.masks.stride == 4


def test_pixels_get_classes() -> None:
    logits = small("26", "semantic", num_classes=5)(torch.rand(2, 3, 64, 96))
    assert logits.shape == (2, 5, 64, 96)


@pytest.mark.parametrize("kind", ["Identity", "ReLU", "LeakyReLU"])
def test_the_activation_is_the_files(kind: str) -> None:
    """The first activation of the pyramid moves scores by a few hundredths, and no box."""
    part = network_part("11", size_of("11", "n"), 3, "detect")
    settings = {"negative_slope": 0.1} if kind == "LeakyReLU" else {}
    pyramid = part.parts["9"]
    first = replace(
        pyramid.parts["cv1"], parts={**pyramid.parts["cv1"].parts, "act": Part(kind=kind, settings=settings)}
    )
    other = with_layer(part, 9, replace(pyramid, parts={**pyramid.parts, "cv1": first}))
    network, usual = YOLO(other).eval(), YOLO(part).eval()
    network.initialise(torch.Generator().manual_seed(0))
    usual.load_state_dict(network.state_dict())
    assert type(network.get_submodule("model.9.cv1.act")).__name__ == kind
    picture = torch.rand(1, 3, 64, 64)
    assert not torch.allclose(network(picture).class_logits, usual(picture).class_logits)


def test_a_convolution_with_a_fused_norm_is_built_without_one() -> None:
    part = conv(4, 8, 3)
    parts = {"conv": replace(part.parts["conv"], parameters=("weight", "bias")), "act": part.parts["act"]}
    module = build(replace(part, parts=parts))
    assert [name for name, _ in module.named_parameters()] == ["conv.weight", "conv.bias"]
    x = torch.rand(1, 4, 5, 5)
    torch.testing.assert_close(module(x), nn.functional.silu(module.get_submodule("conv")(x)))


def test_attention_is_that_of_the_places() -> None:
    """One head of one channel each for keys and values: weights over all places by hand."""
    parts = {name: Part(kind="Identity") for name in ("qkv", "proj")}
    attention = build(
        Part(
            kind="Attention",
            settings={"num_heads": 1, "key_dim": 1, "head_dim": 1, "scale": 0.5},
            parts={**parts, "pe": Part(kind="Identity")},
        )
    )
    x = torch.randn(1, 3, 1, 4)
    query, key, value = x[0, :, 0]
    weights = (0.5 * query[:, None] * key[None]).softmax(dim=1)
    torch.testing.assert_close(attention(x)[0, 0, 0], weights @ value + value)


def test_attention_of_several_heads_gives_channels_last_beside_a_literal_restatement() -> None:
    """In another order of memory, all that follows would be slower."""
    heads, key_dim, head_dim = 2, 3, 4
    parts = {name: Part(kind="Identity") for name in ("qkv", "proj", "pe")}
    settings = {"num_heads": heads, "key_dim": key_dim, "head_dim": head_dim, "scale": 0.7}
    attention = build(Part(kind="Attention", settings=settings, parts=parts))
    x = torch.randn(2, heads * (2 * key_dim + head_dim), 3, 5)
    for order in (torch.contiguous_format, torch.channels_last):
        found = attention(x.contiguous(memory_format=order))
        assert found.is_contiguous(memory_format=torch.channels_last)
        for image in range(2):
            expected = []
            for own in x[image].flatten(1).chunk(heads):  # [2 key_dim + head_dim, places]
                query, key, value = own.split([key_dim, key_dim, head_dim])
                expected.append(value @ (0.7 * query.T @ key).softmax(dim=1).T + value)
            torch.testing.assert_close(found[image].flatten(1), torch.cat(expected))


def test_an_unknown_block_is_named_with_its_layer() -> None:
    part = with_layer(network_part("8", size_of("8", "n"), 3, "detect"), 4, Part(kind="GhostConv"))
    with pytest.raises(CheckpointError, match=r"layer 4 of the network, GhostConv, cannot be built: .*not known here"):
        YOLO(part)


@pytest.mark.parametrize("source", [40, -9, True])
def test_a_layer_that_reads_what_is_not_there_is_refused(source: int) -> None:
    part = network_part("8", size_of("8", "n"), 3, "detect")
    broken = with_layer(part, 2, replace(part.parts["2"], settings={"f": source}))
    with pytest.raises(CheckpointError, match=r"layer 2 of the network, C2f, reads layer .*, which is not there"):
        YOLO(broken)


def test_a_network_without_a_head_is_refused() -> None:
    part = Part(kind="Sequential", parts={"0": conv(3, 8, 3)})
    with pytest.raises(CheckpointError, match="ends in Conv, which is none of the heads"):
        YOLO(part)


def test_a_network_that_was_never_run_knows_no_strides() -> None:
    part = network_part("8", size_of("8", "n"), 3, "detect")
    head = replace(part.parts["22"], settings={**part.parts["22"].settings, "stride": (0.0, 0.0, 0.0)})
    with pytest.raises(CheckpointError, match="'stride' is"):
        YOLO(with_layer(part, 22, head))


def test_the_head_is_chosen() -> None:
    network = YOLO(network_part("26", size_of("26", "n"), 3, "detect")).eval()
    many = YOLO(network_part("26", size_of("26", "n"), 3, "detect"), "many").eval()
    many.load_state_dict(network.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    assert network(picture).is_one_to_one
    assert not many(picture).is_one_to_one
    assert not torch.equal(network(picture).class_logits, many(picture).class_logits)
    with pytest.raises(
        ConfigError, match=r"model.head='one2one' is not in this network: its only head is 'many'; leave"
    ):
        YOLO(network_part("8", size_of("8", "n"), 3, "detect"), "one2one")
    with pytest.raises(ConfigError, match=r"model.head='many' says nothing to a network that tells classes of pixels"):
        YOLO(network_part("26", size_of("26", "n"), 3, "semantic"), "many")


def test_the_title_says_which_head_answers_where_there_are_two() -> None:
    network = YOLO(network_part("8", size_of("8", "n"), 3, "detect"), "many")
    assert (network.title, network.has_choice) == ("", False)
    network = YOLO(network_part("26", size_of("26", "n"), 3, "detect"), "many")
    network.prepare()  # leaves one head out
    assert (network.title, network.has_choice) == ("head many", True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"version": "9"}, r"model.network.version=9 is not known; nearest: "),
        ({"version": "10", "scale": "x"}, r"model.network.scale=x is not known of YOLO 10; nearest: 'n'"),
        ({"task": "pose"}, r"model.network.task='pose' is unknown"),
        ({"head": "both"}, r"model.head='both' is unknown"),
    ],
)
def test_settings_that_lead_nowhere_are_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        yolo(num_classes=3, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "task"), [("5u", "detect"), ("8", "detect"), ("11", "segment"), ("26", "semantic"), ("10", "detect")]
)
def test_a_state_dict_alone_is_enough_of_published_networks(tmp_path, version: str, task: str) -> None:  # type: ignore[no-untyped-def]
    network = small(version, task)
    checkpoint = Checkpoint(state=network.state_dict(), class_names=None, sha256="", path=tmp_path / "own.pt")
    fitted = yolo.fitted(checkpoint)
    assert fitted.build is not None
    assert fitted.arguments["num_classes"] == 3
    assert fitted.build(task=task).state_dict().keys() == network.state_dict().keys()
    other = "detect" if task == "semantic" else "semantic"
    right = "semantic" if task == "semantic" else "detect"
    with pytest.raises(ConfigError, match=f"'own.pt' was trained for; write model.network.task={right}"):
        fitted.build(task=other)


def test_another_state_dict_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    state = {"conv.weight": torch.zeros(3)}
    with pytest.raises(
        CheckpointError, match=r"holds no network of YOLO 5u, 8, 10, 11, 12, 26: its first keys are 'conv.weight'"
    ):
        yolo.fitted(Checkpoint(state=state, class_names=None, sha256="", path=tmp_path / "own.pt"))


def test_yolov5u_is_yolov5_with_the_head_of_yolov8() -> None:
    """Its layers are those of YOLOv5, key by key and shape by shape."""
    for scale, depth, width in (("n", 0.33, 0.25), ("m", 0.67, 0.75), ("x", 1.33, 1.25)):
        with torch.device("meta"):
            network = YOLO(network_part("5u", size_of("5u", scale), 80, "detect"))
            older = YOLOv5(num_classes=80, depth=depth, width=width)
        shapes, expected = (
            {key: value.shape for key, value in one.state_dict().items() if not key.startswith("model.24.")}
            for one in (network, older)
        )
        assert shapes == expected
    network = YOLO(network_part("5u", size_of("5u", "n"), 80, "detect"))
    bins = 16  # which the library counts as parameters
    assert sum(one.numel() for one in network.parameters()) + bins == 2_654_816  # as published of yolov5nu
    network = small("5u")
    older = YOLOv5(num_classes=3, depth=0.33, width=0.25).eval()
    older.load_state_dict(network.state_dict(), strict=False)
    seen: list[list[torch.Tensor]] = []
    for one in (network, older):
        one.model[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        one(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert all(torch.allclose(a, b) for a, b in zip(*seen, strict=True))


@pytest.mark.parametrize("head", ["one2one", "many"])
def test_prepared_networks_have_no_branch_that_does_not_answer(head: str) -> None:
    """Statistics are of all convolutions: one that takes no part ends them."""
    network = YOLO(network_part("26", size_of("26", "n"), 3, "segment"), head).eval()  # type: ignore[arg-type]
    before = network(torch.ones(1, 3, 64, 64)).class_logits
    network.prepare()
    seen: list[nn.Module] = []
    for one in network.modules():
        one.register_forward_hook(lambda module, *_: seen.append(module))
    assert torch.equal(network(torch.ones(1, 3, 64, 64)).class_logits, before)
    assert all(one in seen for one in network.modules() if isinstance(one, nn.Conv2d))
