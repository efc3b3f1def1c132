"""YOLOv8, YOLO11 and YOLO26 as their library builds and runs them: keys, shapes, raw outputs."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lcrp.models.checkpoint import load_state, read_checkpoint
from lcrp.models.recognition import FAMILIES, looks_like
from lcrp.models.yolo.build import UNUSED
from lcrp.models.yolo.family import told, yolo
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.published import network_part
from lcrp.models.yolo.tables import size_of

TASKS = {"": "detect", "-seg": "segment", "-sem": "semantic"}
NAMES = [f"yolov8{scale}" for scale in "nsmlx"]
NAMES += [f"yolo{version}{scale}" for version in (11, 26) for scale in "nsmlx"]
NAMES += [f"{name}-seg" for name in ("yolov8n", "yolov8s", "yolo11n", "yolo11s", "yolo26n", "yolo26s")]
NAMES += ["yolo26n-sem", "yolov10n", "yolo12n"]
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
