"""What is no checkpoint is called by its name, with what to give instead, in one line."""

import io
import json
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from lcrp.errors import CheckpointError
from lcrp.models.auto.formats import check_format
from lcrp.models.auto.table import recognised

EXPORTED = "give the .pt or .pth that it was made from"


def packed(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"0")
    return buffer.getvalue()


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("best.pt"))
    return buffer.getvalue()


ONNX = b"\x08\x08\x12\x07pytorch\x1a\x052.6.0"
FILES: dict[str, tuple[str, bytes, str]] = {
    "onnx": ("best.onnx", ONNX, f"is ONNX: .*{EXPORTED}"),
    "onnx by another name": ("best.pt", ONNX, "is ONNX: "),
    "torchscript": ("best.torchscript", packed("best/data.pkl", "best/constants.pkl", "best/code/a.py"), "TorchScript"),
    "tensorrt": ("best.engine", b"\x10\0\0\0{}", f"is an engine of TensorRT: .*{EXPORTED}"),
    "tensorrt by another name": ("best.pt", b"ftrt\0\0", "is an engine of TensorRT: "),
    "tflite": ("best.tflite", b"\x1c\0\0\0TFL3\0", "is TensorFlow Lite: "),
    "coreml": ("best.mlmodel", b"\x08\x07\x12\x02", "is a network of CoreML: "),
    "openvino": ("best.xml", b'<?xml version="1.0"?>\n<net name="m">', f"is a network of OpenVINO: .*{EXPORTED}"),
    "openvino weights": ("best.bin", b"\x01\x02\x03\x04", "is no checkpoint: it is not a file that torch.save writes"),
    "tensorflow": ("best.pb", b"\x0a\x02ab", "is a graph of TensorFlow: only networks of PyTorch"),
    "keras": ("best.h5", b"\x89HDF\r\n\x1a\n", "is HDF5, as Keras writes weights .*only networks of PyTorch"),
    "keras 3": ("best.keras", packed("metadata.json", "config.json", "model.weights.h5"), "is a network of Keras: "),
    "numpy": ("best.npz", packed("a.npy"), "is arrays of NumPy: "),
    "darknet": ("yolov4.weights", b"\0\0\0\0\2\0\0\0", "is weights of Darknet: "),
    "page": ("best.pt", b"\n<!DOCTYPE html><html><head>", "is a web page: the download went wrong"),
    "git-lfs": ("best.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 5\n", "git lfs pull"),
    "empty": ("best.pt", b"", "is empty; fetch or copy it again"),
    "half": ("best.pt", packed("best/data.pkl", "best/data/0")[:60], r"is damaged or cut short \(60 bytes\)"),
    "zip of weights": ("best.zip", packed("runs/best.pt", "a.txt"), "unpack it and give 'runs/best.pt'"),
    "zip of something": (
        "best.pt",
        packed("a.txt", "b.txt"),
        "did not write it, in it are 'a.txt', 'b.txt'",
    ),
    "gzip": ("best.pt.gz", b"\x1f\x8b\x08", "is a packed archive: unpack it"),
    "tar": ("best.tar", tar(), "is a packed archive: unpack it"),
    "picture": ("photo.pt", b"\x89PNG\r\n", "is a picture: it is what stage.image names"),
    "safetensors": (
        "best.pt",
        b"\x02\0\0\0\0\0\0\0{}",
        "under another name: rename it to end in .safetensors",
    ),
    "settings": ("best.yaml", b"nc: 3\n", "is text: a checkpoint is what torch.save wrote"),
    "pickle": ("best.pkl", pickle.dumps({"model": 1}), "is no checkpoint: it is not a file that torch.save writes"),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_no_checkpoints(kind: str, tmp_path: Path) -> None:
    name, content, message = FILES[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as refused:
        recognised(tmp_path / name)
    assert f"'{tmp_path / name}'" in str(refused.value)
    assert "\n" not in str(refused.value)


FOLDERS = {
    "coreml": ("best.mlpackage", ["Manifest.json"], f"is a network of CoreML: .*{EXPORTED}"),
    "savedmodel": ("best_saved_model", ["saved_model.pb"], "is a SavedModel of TensorFlow: "),
    "openvino": ("best_openvino_model", ["best.xml", "best.bin"], "is a network of OpenVINO: "),
    "ncnn": ("best_ncnn_model", ["model.ncnn.param"], "is a network of ncnn: "),
    "unpacked": ("best", ["data.pkl", "version"], "is an unpacked checkpoint: give the file that torch.save wrote"),
    "run": ("train3", ["weights/best.pt", "weights/last.pt", "args.yaml"], "'weights/best.pt', 'weights/last.pt'"),
    "pictures": ("photos", ["a.jpg"], "is a folder without config.json.*: give the file of a checkpoint"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_folders_that_are_no_checkpoints(kind: str, tmp_path: Path) -> None:
    name, files, message = FOLDERS[kind]
    for one in files:
        path = tmp_path / name / one
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(CheckpointError, match=message):
        recognised(tmp_path / name)


def test_what_torch_writes_is_let_through(tmp_path: Path) -> None:
    """Whatever it is called, and in the format before release 1.6."""
    state = nn.Conv2d(3, 4, 1).state_dict()
    torch.save(state, tmp_path / "a.bin")
    torch.save(state, tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    for path in tmp_path.iterdir():
        check_format(path)
    check_format(tmp_path / "not there")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"pytorch-lightning_version": "2.4", "state_dict": {"a.weight": torch.zeros(1)}}, "written by Lightning"),
        ({"meta": {"mmdet_version": "3.3"}, "state_dict": {"bbox_head.w": torch.zeros(1)}}, "written by mmdetection"),
        ({"bbox_head.w": torch.zeros(1)}, "looks like a detector of mmdetection"),
        ({"model": {"proposal_generator.a": torch.zeros(1)}, "matching_heuristics": True}, "written by detectron2"),
        ({"backbone.first_conv.0.weight": torch.zeros(1)}, "looks like FastestDet, of which docs/how-to/fastestdet.md"),
        ({"layer4.0.conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(1)}, "classifies whole pictures"),
        ({"model_state": {"w": torch.zeros(1)}, "class_names": ["a", "b"]}, r"2 classes \(a, b\)"),
        ({"w.a": torch.zeros(1), "w.b": torch.zeros(1)}, "its first keys are 'w.a', 'w.b'"),
    ],
)
def test_networks_that_are_not_known_are_described(content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match=message) as refused:
        recognised(tmp_path / "best.pt")
    assert "docs/how-to/own_network.md tells how" in str(refused.value)


class Mine(nn.Module):
    """A whole object in a file."""


def test_refused_files_name_their_writer(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "callbacks": Mine(), "pytorch-lightning_version": "2.4"}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"is refused: it names .*\(it was written by Lightning\)"):
        recognised(tmp_path / "last.ckpt")


def test_folders_of_other_libraries(tmp_path: Path) -> None:
    folder = tmp_path / "vit"
    folder.mkdir()
    settings = {"model_type": "vit", "architectures": ["ViTForImageClassification"]}
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=r"of transformers with ViTForImageClassification; those that run are "):
        recognised(folder)
    settings = {"model_type": "detr", "architectures": ["DetrForObjectDetection"], "id2label": {"0": "a", "1": "b"}}
    (folder / "config.json").write_text(json.dumps(settings))
    known = recognised(folder)
    assert (known.family, known.what) == ("transformers", "transformers' DetrForObjectDetection, 2 classes (a, b)")
    (folder / "config.json").write_text(json.dumps({"hidden": 3}))
    with pytest.raises(CheckpointError, match=r"config.json is of no library that is known, with 'hidden'\)"):
        recognised(folder)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="is not there"):
        recognised(tmp_path / "best.pt")


def test_a_damaged_archive_is_left_to_the_reader(tmp_path: Path) -> None:
    """Its end may say that it is one, and its list of entries be noise."""
    content = bytearray(packed("best/data.pkl", "best/data/0"))
    place = content.index(b"PK\x01\x02")
    content[place : place + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "best.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="cannot be read"):
        recognised(tmp_path / "best.pt")
