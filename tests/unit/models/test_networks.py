"""What all networks have in common, and the decoding of the detectors, at small widths."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import torch
from ruled import ruled
from torch import Tensor, nn

from lcrp.composites.closed_form import Rule
from lcrp.composites.rules import Norm
from lcrp.composites.table import RuleTable
from lcrp.errors import CheckpointError, ConfigError
from lcrp.models import deeplabv3plus, yolov5
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.layers import L2Norm
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolov5 import ANCHORS, YOLOv5
from lcrp.models.yolov6 import RepVGGBlock, YOLOv6
from lcrp.values.prediction import DetectorOutput

Builder = Callable[[], nn.Module]
BUILDERS: dict[str, Builder] = {
    "yolov5": lambda: YOLOv5(num_classes=3, depth=0.33, width=0.125),
    "yolov6": lambda: YOLOv6(num_classes=3, depth=0.25, width=0.125),
    "ssd": lambda: SSD(num_classes=3, size=256, width=0.0625),
    "unet": lambda: UNet(num_classes=4, width=0.0625),
    "deeplabv3plus": lambda: DeepLabV3Plus(num_classes=4, width=0.0625),
}
CLASSES = {"yolov5": YOLOv5, "yolov6": YOLOv6, "ssd": SSD, "unet": UNet, "deeplabv3plus": DeepLabV3Plus}
BLOCKS = (yolov5.Bottleneck, RepVGGBlock, deeplabv3plus.Bottleneck)  # that add


@pytest.fixture(params=sorted(BUILDERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def small(name: str) -> nn.Module:
    """Network with random weights and BatchNorm statistics, in evaluation mode."""
    generator = torch.Generator().manual_seed(7)
    network = BUILDERS[name]().eval()
    network.initialise(generator)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for value, low, high in ((module.running_var, 0.5, 1.5), (module.running_mean, -0.2, 0.2)):
                value.uniform_(low, high, generator=generator)
            nn.init.uniform_(module.weight, 0.7, 1.3, generator=generator)
            nn.init.uniform_(module.bias, -0.1, 0.1, generator=generator)
    return network


def leaves(module: nn.Module) -> Iterator[nn.Module]:
    """Modules without children in the order of registration, the order in which zennit pairs them."""
    children = list(module.children())
    if not children:
        yield module
    for child in children:
        yield from leaves(child)


def picture(height: int = 64, width: int = 96) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_arguments_are_read_off_the_state(name: str) -> None:
    for build in (lambda: small(name), CLASSES[name]):
        network = build()
        rebuilt = CLASSES[name](**CLASSES[name].arguments_of(network.state_dict()))
        shapes = {key: value.shape for key, value in network.state_dict().items()}
        assert {key: value.shape for key, value in rebuilt.state_dict().items()} == shapes


@pytest.mark.parametrize("other", sorted(BUILDERS))
def test_weights_of_another_architecture_are_refused(name: str, other: str) -> None:
    if name == other:
        return
    with pytest.raises(CheckpointError, match=r"do not belong to .*they look like (YOLO|SSD|UNet|DeepLab)"):
        CLASSES[name].arguments_of(BUILDERS[other]().state_dict())


def test_every_conv_has_its_batch_norm_right_behind_it(name: str) -> None:
    """A module registered in between would leave BatchNorm unmerged."""
    order = list(leaves(small(name)))
    without_bias = [(a, b) for a, b in pairwise(order) if isinstance(a, nn.Conv2d) and a.bias is None]
    assert without_bias or name == "ssd"
    assert all(isinstance(b, nn.BatchNorm2d) and b.num_features == a.out_channels for a, b in without_bias)
    with_bias = [b for a, b in pairwise(order) if isinstance(a, nn.Conv2d | nn.ConvTranspose2d) and a.bias is not None]
    assert not any(isinstance(b, nn.BatchNorm2d) for b in with_bias)


def test_no_module_is_used_twice_and_none_works_in_place(name: str) -> None:
    network, uses = small(name), {}

    def count(module: nn.Module, _arguments: object) -> None:
        uses[module] = uses.get(module, 0) + 1

    for module in leaves(network):
        module.register_forward_pre_hook(count)
        assert not getattr(module, "inplace", False)
    with torch.no_grad():
        network(picture())
    assert set(uses.values()) == {1}
    assert len(uses) == len(list(leaves(network)))


def test_double_precision_stays(name: str) -> None:
    output = small(name).double()(picture().double())
    values = [output] if isinstance(output, Tensor) else [output.boxes, output.class_logits, output.objectness_logits]
    assert all(value.dtype == torch.float64 for value in values if value is not None)


def test_initialise_is_drawn_from_the_generator_alone(name: str) -> None:
    states = []
    for seed in (3, 3, 4):
        network = BUILDERS[name]()
        network.initialise(torch.Generator().manual_seed(seed))
        states.append(network.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.parametrize("detector", ["yolov5", "yolov6"])
def test_fresh_detectors_believe_in_nothing(detector: str) -> None:
    """Without the prior on the biases, the negatives dominate the first epochs."""
    network = BUILDERS[detector]()
    network.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = network.eval()(torch.zeros(1, 3, 64, 64))
    assert output.class_logits.sigmoid().median().item() == pytest.approx(0.01, abs=0.003)
    assert output.objectness_logits.sigmoid().median().item() == pytest.approx(0.01, abs=0.003)


def test_a_fresh_ssd_believes_in_the_background() -> None:
    network = BUILDERS["ssd"]()
    network.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        output = network.eval()(torch.zeros(1, 3, 64, 64))
    assert output.class_logits.softmax(dim=2)[..., 0].median().item() == pytest.approx(0.99, abs=1e-4)


@pytest.mark.parametrize("detector", ["yolov5", "yolov6", "ssd"])
def test_rows_are_images_of_their_own(detector: str) -> None:
    network, images = small(detector).double(), picture().double()
    with torch.no_grad():
        both, alone = network(images), network(images[1:])
    torch.testing.assert_close(both.boxes[1:], alone.boxes)
    torch.testing.assert_close(both.class_logits[1:], alone.class_logits)


def test_yolov5_decodes_as_published() -> None:
    """Restated cell by cell: anchor-major channels, rows by level, anchor, row, column."""
    detect = small("yolov5").model[-1]
    generator = torch.Generator().manual_seed(2)
    maps = [torch.randn(1, conv.in_channels, 4 >> i, 8 >> i, generator=generator) for i, conv in enumerate(detect.m)]
    output: DetectorOutput = detect(maps)
    row = 0
    for level, stride in enumerate((8, 16, 32)):
        raw = detect.m[level](maps[level])[0].tolist()
        for anchor in range(3):
            for y in range(4 >> level):
                for x in range(8 >> level):
                    t = [raw[anchor * 8 + i][y][x] for i in range(8)]
                    s = [1 / (1 + math.exp(-value)) for value in t]
                    cx, cy = (2 * s[0] - 0.5 + x) * stride, (2 * s[1] - 0.5 + y) * stride
                    w, h = ((2 * s[2 + i]) ** 2 * ANCHORS[level][anchor][i] for i in range(2))
                    box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
                    assert output.boxes[0, row].tolist() == pytest.approx(box, rel=1e-4, abs=1e-3)
                    assert output.objectness_logits[0, row].item() == pytest.approx(t[4], rel=1e-5)
                    assert output.class_logits[0, row].tolist() == pytest.approx(t[5:], rel=1e-5)
                    row += 1
    assert row == output.boxes.shape[1]


def test_yolov6_decodes_as_published() -> None:
    """Restated cell by cell; classes come from the class branch, objectness from the box branch."""
    detect = small("yolov6").detect
    generator = torch.Generator().manual_seed(2)
    maps = [
        torch.randn(1, conv.in_channels, 4 >> i, 8 >> i, generator=generator) for i, conv in enumerate(detect.cls_preds)
    ]
    output: DetectorOutput = detect(maps)
    row = 0
    for level, stride in enumerate((8, 16, 32)):
        stem = detect.stems[level](maps[level])
        box_features = detect.reg_convs[level](stem)
        t = detect.reg_preds[level](box_features)[0].tolist()
        objectness = detect.obj_preds[level](box_features)[0, 0].tolist()
        classes = detect.cls_preds[level](detect.cls_convs[level](stem))[0]
        for y in range(4 >> level):
            for x in range(8 >> level):
                cx, cy = (t[0][y][x] + x) * stride, (t[1][y][x] + y) * stride
                w, h = math.exp(t[2][y][x]) * stride, math.exp(t[3][y][x]) * stride
                box = [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
                assert output.boxes[0, row].tolist() == pytest.approx(box, rel=1e-4, abs=1e-3)
                assert output.objectness_logits[0, row].item() == pytest.approx(objectness[y][x], rel=1e-5)
                assert output.class_logits[0, row].tolist() == pytest.approx(classes[:, y, x].tolist(), rel=1e-5)
                row += 1
    assert row == output.boxes.shape[1]


@pytest.mark.parametrize("detector", ["yolov5", "yolov6", "ssd"])
def test_cells_follow_the_rows(detector: str) -> None:
    """With zero weights in the head every box sits where the network says; a wrong order of rows would show."""
    network = small(detector)
    head = {
        "yolov5": lambda: network.model[-1].m,
        "yolov6": lambda: network.detect.reg_preds,
        "ssd": lambda: network.box_head.predictor.reg_headers,
    }[detector]()
    for conv in head:
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    centres = network.cell_centres(64, 96)
    with torch.no_grad():
        boxes = network(picture(64, 96)).boxes[0]
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    if detector == "yolov6":  # it counts from the cell's corner, and a box is as large as its cell
        stride = torch.tensor([side for side in (8.0, 16.0, 32.0) for _ in range(int(64 * 96 / side**2))])
        torch.testing.assert_close(size, stride[:, None].expand(-1, 2))
        centre = centre + stride[:, None] / 2
    torch.testing.assert_close(centre, centres)


def test_ssd_decodes_as_published() -> None:
    """Restated cell by cell: rows by level, row, column and prior; softmax columns with the background first."""
    network = small("ssd").double()
    with torch.no_grad():
        maps = network.backbone(torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(3)).double())
        output: DetectorOutput = network(
            torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(3)).double()
        )
        heads = network.box_head.predictor
        raw = [
            (classes(x)[0], boxes(x)[0])
            for classes, boxes, x in zip(heads.cls_headers, heads.reg_headers, maps, strict=False)
        ]
    scales, row = network.layout.scales, 0
    for level, (classes, offsets) in enumerate(raw):
        side = scales[level]
        shapes = [(side, side), (math.sqrt(side * scales[level + 1]),) * 2]
        for ratio in network.layout.ratios[level]:
            shapes += [(side * ratio**0.5, side / ratio**0.5), (side / ratio**0.5, side * ratio**0.5)]
        for y in range(classes.shape[1]):
            for x in range(classes.shape[2]):
                for prior, shape in enumerate(shapes):
                    if (x + y) % 5 == 0 or level > 2:
                        pw, ph = (min(value / 256, 1.0) for value in shape)
                        step = network.layout.strides[level] / 256
                        t = offsets[prior * 4 : prior * 4 + 4, y, x].tolist()
                        cx, cy = 0.1 * t[0] * pw + (x + 0.5) * step, 0.1 * t[1] * ph + (y + 0.5) * step
                        w, h = math.exp(0.2 * t[2]) * pw, math.exp(0.2 * t[3]) * ph
                        box = [256 * value for value in (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)]
                        assert output.boxes[0, row].tolist() == pytest.approx(box, rel=1e-6, abs=1e-6)
                        expected = classes[prior * 4 : prior * 4 + 4, y, x].tolist()
                        assert output.class_logits[0, row].tolist() == pytest.approx(expected)
                    row += 1
    assert row == output.boxes.shape[1]
    assert output.objectness_logits is None


def test_ssd_priors_are_the_published_ones() -> None:
    network = SSD(num_classes=1, size=512, width=0.03)
    priors = network.priors([(side, side) for side in (64, 32, 16, 8, 4, 2, 1)], (512, 512), torch.zeros(1).double())
    assert len(priors) == 24564
    assert priors[0].tolist() == pytest.approx([0.0078125, 0.0078125, 0.04, 0.04])
    assert priors[-1].tolist() == pytest.approx([0.5, 0.5, 0.6364, 1.0], abs=1e-4)


@pytest.mark.parametrize("size", [(512, 512), (640, 640), (384, 640), (256, 512)])
def test_ssd_priors_have_as_many_pixels_in_inputs_of_any_size(size: tuple[int, int]) -> None:
    """Before, boxes grew with the input, whatever was in it: of 640 pixels by a quarter."""
    network = SSD(num_classes=1, size=512, width=0.03)
    maps = [(size[0] // stride, size[1] // stride) for stride in (8, 16, 32)]
    priors = network.priors([*maps, (1, 1), (1, 1), (1, 1), (1, 1)], size, torch.zeros(1).double())
    pixels = priors[:, 2:] * torch.tensor(size[::-1])
    assert pixels[0].tolist() == pytest.approx([0.04 * 512] * 2)
    assert pixels[maps[0][0] * maps[0][1] * network.layout.num_priors[0]].tolist() == pytest.approx([0.1 * 512] * 2)
    assert priors[1, 0] * size[1] == 4  # the second prior of the first cell of eight pixels


def test_ssd_of_an_unknown_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="no SSD for inputs of 400 pixels"):
        SSD(size=400)


def test_l2_norm_is_the_formula() -> None:
    layer, x = L2Norm(3, 20.0), torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    expected = 20 * x / (x**2).sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(("stride", "inputs"), [(1, 8), (2, 8), (1, 3)])
def test_fused_block_equals_its_branches(stride: int, inputs: int) -> None:
    generator = torch.Generator().manual_seed(5)
    block = RepVGGBlock(inputs, 8, stride=stride).eval()
    for value in block.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.2, 1.0, generator=generator)
    x = torch.rand(2, inputs, 10, 10, generator=generator)
    with torch.no_grad():
        before = block(x)
        block.fuse()
        after = block(x)
    assert (block.rbr_identity, block.rbr_dense, block.rbr_1x1) == (None, None, None)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


def test_prepare_fuses_the_stem_alone_and_once() -> None:
    network, images = small("yolov6").double(), picture().double()
    with torch.no_grad():
        before = network(images)
        network.prepare()
        fused = network.backbone.stem.rbr_reparam
        network.prepare()
        after = network(images)
    assert network.backbone.stem.rbr_reparam is fused
    torch.testing.assert_close(after.class_logits, before.class_logits)
    linear = [key for key, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    assert linear[0] == "backbone.stem.rbr_reparam"
    assert sum(key.endswith("rbr_reparam") for key in linear) == 1
    assert fused.training is False


def summed(network: nn.Module, x: Tensor) -> dict[str, tuple[Tensor, ...]]:
    """The summands of every block that adds, by its name; what is added step by step is one sum."""
    found: dict[str, tuple[Tensor, ...]] = {}
    with ruled(network.eval(), RuleTable(families={"sum": Norm()})) as mode:
        explained = mode.explained

        def watched(rule: Rule, operation: object, inputs: tuple[Tensor, ...], y: Tensor) -> Tensor:
            if isinstance(network.get_submodule(mode.running.innermost), BLOCKS):
                found[mode.running.innermost] = inputs
            return explained(rule, operation, inputs, y)

        mode.explained = watched  # type: ignore[method-assign, assignment]
        network(x.requires_grad_())
    return found


@pytest.mark.parametrize(
    ("detector", "sums"),
    [
        ("yolov5", {2: 7}),
        ("yolov6", {2: 5 + 2, 3: 2 + 3 + 4 + 2 + 4 * 3 + 5 - 7}),
        ("deeplabv3plus", {2: 16}),
        ("ssd", {}),
    ],
)
def test_blocks_are_sums_of_their_branches(detector: str, sums: dict[int, int]) -> None:
    """All branches at once, as the forerunner's modules add them: one stabiliser, and not one for each addition.

    Of YOLOv6's blocks the five strided ones, and the two of the neck that change channels, have no identity branch.
    """
    network = small(detector)
    assert Counter(len(inputs) for inputs in summed(network, picture()).values()) == sums


def test_repvgg_adds_dense_pointwise_identity() -> None:
    """The order of the summands is that of the forerunner."""
    block, x = RepVGGBlock(4, 4).eval(), torch.rand(1, 4, 5, 5)
    nn.init.uniform_(block.rbr_identity.weight, 0.5, 1.0, generator=torch.Generator().manual_seed(0))
    (summands,) = summed(block, x).values()
    expected = (block.rbr_dense(x), block.rbr_1x1(x), block.rbr_identity(x))
    for found, one in zip(summands, expected, strict=True):
        torch.testing.assert_close(found, one)


def test_unet_keeps_the_size_and_reads_its_skips() -> None:
    network, seen = small("unet"), []
    for block in network.decoder.blocks:
        if block.concat is not None:
            block.concat.register_forward_pre_hook(lambda _module, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        assert network(picture()).shape == (2, 4, 64, 96)
    assert [tuple(skip.shape[1:]) for _, skip in seen] == [(32, 4, 6), (32, 8, 12), (16, 16, 24), (8, 32, 48)]
    assert all(up.shape[-2:] == skip.shape[-2:] for up, skip in seen)


def test_deeplab_keeps_the_size_at_any_side() -> None:
    network, seen = small("deeplabv3plus"), {}
    network.backbone.layer4.register_forward_hook(lambda _module, _arguments, output: seen.update(coarse=output.shape))
    with torch.no_grad():
        assert network(picture(65, 97)).shape == (2, 4, 65, 97)
    assert seen["coarse"][-2:] == (5, 7)


def test_output_stride_8_dilates_what_output_stride_16_strides() -> None:
    """Keys and shapes are the same; at 8 layer3 is dilated by 2 and layer4 by 4, each from its second block on."""
    usual = small("deeplabv3plus")
    fine = DeepLabV3Plus(num_classes=4, width=0.0625, output_stride=8).eval()
    fine.load_state_dict(usual.state_dict())
    coarse = fine.backbone(picture())[1]
    assert coarse.shape[-2:] == (8, 12)
    assert usual.backbone(picture())[1].shape[-2:] == (4, 6)
    for layer, first, rest in ((usual.backbone.layer3, 1, 2), (usual.backbone.layer4, 2, 4)):
        for number, block in enumerate(layer):
            for conv in (one for one in block.modules() if isinstance(one, nn.Conv2d)):
                conv.stride = (1, 1)
                if conv.kernel_size == (3, 3):
                    conv.dilation = conv.padding = (first, first) if number == 0 else (rest, rest)
    for branch, rate in zip(list(usual.classifier.aspp.convs)[1:4], (12, 24, 36), strict=True):
        branch[0].dilation = branch[0].padding = (rate, rate)
    assert torch.equal(fine(picture()), usual(picture()))
    with pytest.raises(ConfigError, match="output_stride=32 is unknown; choose 16 or 8"):
        DeepLabV3Plus(output_stride=32)
