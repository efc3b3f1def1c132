"""YOLOv8, YOLO11 and YOLO26 as their library builds and runs them: keys, shapes, raw outputs."""

import copy
import gzip
import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.composites.arithmetic import stabilised
from lcrp.composites.composites import lrp
from lcrp.composites.rules import Epsilon, norm
from lcrp.composites.spec import CompositeSpec
from lcrp.models.checkpoint import load_state, read_checkpoint
from lcrp.models.recognition import FAMILIES, looks_like
from lcrp.models.yolo.build import UNUSED
from lcrp.models.yolo.family import told, yolo
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.published import network_part
from lcrp.models.yolo.tables import size_of
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

pytestmark = pytest.mark.golden

TASKS = {"": "detect", "-seg": "segment", "-sem": "semantic"}
NAMES = [f"yolov8{scale}" for scale in "nsmlx"]
NAMES += [f"yolo{version}{scale}" for version in (11, 26) for scale in "nsmlx"]
NAMES += [f"{name}-seg" for name in ("yolov8n", "yolov8s", "yolo11n", "yolo11s", "yolo26n", "yolo26s")]
NAMES += ["yolo26n-sem", "yolov10n", "yolo12n"]
TINY = 1e-15
NETWORKS = ("yolov8n", "yolo11n", "yolo26n", "yolov8n-seg")
TOLERANCES = {"yolov8n": 1.1e-4, "yolo26n": 2e-4}  # the recorded logits are float32: so far they are from float64's


@pytest.fixture(scope="module")
def manifests(shared: Path) -> dict[str, dict[str, list[int]]]:
    with gzip.open(shared / "manifests" / "ultralytics_manifests.json.gz", "rt") as file:
        found: dict[str, dict[str, list[int]]] = json.load(file)
    return found


def parsed(name: str) -> tuple[str, str, str]:
    """Version, scale and task of a network's name."""
    found = re.fullmatch(r"yolov?(\d+)([nslmx])(-\w+)?", name)
    assert found is not None
    return found[1], found[2], TASKS[found[3] or ""]


def test_no_manifest_is_left_out(manifests: dict[str, dict[str, list[int]]]) -> None:
    assert sorted(manifests) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_shapes_are_the_published_ones(manifests: dict[str, dict[str, list[int]]], name: str) -> None:
    version, scale, task = parsed(name)
    num_classes = 19 if task == "semantic" else 80
    with torch.device("meta"):
        network = YOLO(network_part(version, size_of(version, scale), num_classes, task))  # type: ignore[arg-type]
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    unused = [key for key in manifests[name] if any(f".{part}." in key for part in UNUSED)]
    assert own == {key: shape for key, shape in manifests[name].items() if key not in unused}


@pytest.mark.parametrize("name", NAMES)
def test_a_state_dict_tells_its_network(manifests: dict[str, dict[str, list[int]]], name: str) -> None:
    version, scale, task = parsed(name)
    state: dict[str, Tensor] = {key: torch.empty(shape, device="meta") for key, shape in manifests[name].items()}
    found = told(state)
    assert found is not None
    assert (found.version, found.task, found.num_classes) == (version, task, 19 if task == "semantic" else 80)
    with torch.device("meta"):
        network = YOLO(network_part(found.version, found.size, found.num_classes, found.task))
        published = YOLO(network_part(version, size_of(version, scale), found.num_classes, task))  # type: ignore[arg-type]
    assert [(key, value.shape) for key, value in network.state_dict().items()] == [
        (key, value.shape) for key, value in published.state_dict().items()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_its_family_is_told_by_its_keys(manifests: dict[str, dict[str, list[int]]], name: str) -> None:
    state: dict[str, Tensor] = {key: torch.empty(shape, device="meta") for key, shape in manifests[name].items()}
    kind = looks_like(state)
    assert kind.startswith(f"YOLO{parsed(name)[0]}") or kind.startswith(f"YOLOv{parsed(name)[0]}")
    assert FAMILIES[kind] == "yolo"


@pytest.mark.parametrize("name", NETWORKS)
def test_raw_outputs_are_the_librarys(shared: Path, name: str) -> None:
    """To 1e-4 in logits, 1e-3 pixels in boxes; where the recorded float32 itself is farther off, to its own error."""
    golden = np.load(shared / "goldens" / f"{name}.npz")
    fitted = yolo.fitted(read_checkpoint(shared / "checkpoints" / f"{name}_ul8.4.190.pt"))
    assert fitted.build is not None
    network = fitted.build().eval().requires_grad_(False)
    load_state(network, fitted.checkpoint)
    network.double()
    pictures = torch.from_numpy(golden["images_u8"]).permute(0, 3, 1, 2).double() / 255
    sides = []
    hook = network.head.register_forward_pre_hook(
        lambda head, given: sides.append(head.branch("cv2", given[0]))  # type: ignore[operator]
    )
    for number in range(len(pictures)):
        output = network(pictures[number : number + 1])
        rows = golden[f"rows_{number}"]
        logits, boxes = output.class_logits[0], output.boxes[0, rows]
        tolerance = TOLERANCES.get(name, 1e-4)
        np.testing.assert_allclose(logits[rows], golden[f"class_logits_{number}"], rtol=0, atol=tolerance)
        np.testing.assert_allclose(logits.sum(0), golden[f"class_sum_{number}"], rtol=1e-6, atol=0.02)
        np.testing.assert_allclose(sides[-1][0][:, rows].T, golden[f"raw_box_{number}"], rtol=0, atol=1e-4)
        if f"boxes_cxcywh_{number}" in golden:
            found = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), dim=1)
            np.testing.assert_allclose(found, golden[f"boxes_cxcywh_{number}"], rtol=0, atol=2e-3)
        if output.masks is not None:
            coefficients = output.masks.coefficients[0, rows]
            np.testing.assert_allclose(coefficients, golden[f"mask_coefficients_{number}"], rtol=0, atol=1e-4)
            thinned = output.masks.prototypes[0, :, ::4, ::4]
            np.testing.assert_allclose(thinned, golden[f"proto_{number}"], rtol=0, atol=1e-4)
    hook.remove()


class Constant(nn.Module):
    """SiLU whose sigmoid is a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.sigmoid().detach()


def gates_held(network: YOLO) -> YOLO:
    """A copy in which gates and attention weights are constants, so that every logit is linear in the picture."""
    held = copy.deepcopy(network)
    for module in held.modules():
        for name, one in list(module.named_children()):
            if isinstance(one, nn.SiLU):
                setattr(module, name, Constant())
    return held


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "yolo26n"])
def test_a_logit_is_what_the_picture_and_the_biases_brought(
    shared: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Epsilon beside x * gradient, and biases beside b * gradient, in float64: both, and both together."""
    golden = np.load(shared / "goldens" / f"{name}.npz")
    fitted = yolo.fitted(read_checkpoint(shared / "checkpoints" / f"{name}_ul8.4.190.pt"))
    assert fitted.build is not None
    network = fitted.build().eval().requires_grad_(False)
    load_state(network, fitted.checkpoint)
    network.double()
    picture = torch.from_numpy(golden["images_u8"][:1]).permute(0, 3, 1, 2).double() / 255
    monkeypatch.setattr(norm, "stabilised", partial(stabilised, stabilizer=TINY))  # of sums, pools and products
    task = DetectionTask([str(number) for number in range(80)])
    composite = CompositeSpec(name="epsilon", build=lambda _: lrp(Epsilon(TINY), epsilon=TINY))
    with Attributor(network, composite, task, layers=[], mean=(0, 0, 0), std=(1, 1, 1)) as attributor:
        trace = attributor.forward(picture)
        kept = task.predictions(trace.output)[0]
        sample = Sample(index=0, key="", image=picture[0], annotation=None, geometry=Geometry.identity((640, 640)))
        chosen = task.predicted_targets(kept, sample)[0][0]
        found = trace.explain([chosen])
    assert found.ledgers is not None
    ledger = found.ledgers[0]

    inputs, held, softmax = picture.clone().requires_grad_(), gates_held(network), Tensor.softmax
    monkeypatch.setattr(Tensor, "softmax", lambda *given, **more: softmax(*given, **more).detach())
    logit = held(inputs).class_logits[0, chosen.row, chosen.target.class_id]
    (gradient,) = torch.autograd.grad(logit, inputs)
    literal = (inputs * gradient)[0].sum(0).detach()
    value = float(logit.detach())
    np.testing.assert_allclose(found.heatmap[0] * value, literal, rtol=0, atol=1e-6 * float(literal.abs().max()))
    assert ledger.seed == pytest.approx(1.0, rel=1e-12)
    assert ledger.reached * value == pytest.approx(float(literal.sum()), rel=1e-6)
    assert ledger.constants * value == pytest.approx(value - float(literal.sum()), rel=1e-6)
    assert abs(ledger.missing) < 1e-6
    assert ledger.cut == 0.0
    assert abs(ledger.stabiliser) < 1e-6
