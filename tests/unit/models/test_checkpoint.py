"""Checkpoints: what is read, what is refused, and that nothing in a file is ever run."""

import argparse
import io
import logging
import os
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lcrp.errors import CheckpointError
from lcrp.models import checkpoint as checkpoint_module
from lcrp.models import unpickling
from lcrp.models.checkpoint import (
    Checkpoint,
    embedded_checkpoint,
    glimpse,
    load_state,
    read_checkpoint,
    save_checkpoint,
)
from lcrp.models.deeplabv3plus import DeepLabV3Plus
from lcrp.models.ssd import SSD
from lcrp.models.unet import UNet
from lcrp.models.yolo.family import yolo
from lcrp.models.yolov5 import YOLOv5
from lcrp.models.yolov6 import YOLOv6


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3, bias=False), bn=nn.BatchNorm2d(4)))


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[object], Path]:
    """Write an object with torch.save; the path of the file."""

    def save(content: object) -> Path:
        path = tmp_path / "weights.pt"
        torch.save(content, path)
        return path

    return save


@pytest.fixture
def upstream() -> Iterator[types.ModuleType]:
    """A module 'models.yolo' with a Model, as a training script has it; gone again when the file is read."""
    package, module = types.ModuleType("models"), types.ModuleType("models.yolo")
    model = type("Model", (nn.Sequential,), {"__module__": "models.yolo", "__qualname__": "Model"})
    module.Model = model  # type: ignore[attr-defined]
    sys.modules["models"], sys.modules["models.yolo"] = package, module
    yield module
    sys.modules.pop("models", None)
    sys.modules.pop("models.yolo", None)


def one_line(error: pytest.ExceptionInfo[CheckpointError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("file", "names"), [("yolov5n_face.pt", ("face",)), ("yolov5n_helmet_vest.pt", ("helmet", "vest"))]
)
def test_files_of_other_trainers_are_read(shared: Path, file: str, names: tuple[str, ...]) -> None:
    read = read_checkpoint(shared / "checkpoints" / file)
    arguments = YOLOv5.arguments_of(read.state)
    assert read.class_names == names
    assert arguments == {"num_classes": len(names), "depth": 0.33, "width": 0.25}
    network = YOLOv5(**arguments).eval()
    load_state(network, read)
    assert {value.dtype for value in read.state.values()} == {torch.float32, torch.int64}
    assert "models" not in sys.modules
    with torch.no_grad():
        assert network(torch.full((1, 3, 64, 64), 0.5)).boxes.isfinite().all()


def test_a_file_of_release_6_0_is_a_published_one(shared: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read = read_checkpoint(shared / "checkpoints" / "yolov5n_v6.0_coco.pt")
    assert checkpoint_module.PUBLISHED[read.sha256] == "yolov5n_6.0"
    assert not caplog.records


def test_the_buffer_of_release_6_0_that_follows_from_the_anchors_is_left_out(
    shared: Path, saved: Callable[[object], Path]
) -> None:
    read = read_checkpoint(shared / "checkpoints" / "yolov5n_v6.0_coco.pt")
    assert "model.24.anchor_grid" in read.state
    network = YOLOv5(**YOLOv5.arguments_of(read.state))
    load_state(network, read)
    assert torch.equal(network.state_dict()["model.24.anchors"], read.state["model.24.anchors"])
    for changed in (read.state["model.24.anchor_grid"] * 1.01, torch.zeros(3)):
        other = read_checkpoint(saved(dict(read.state) | {"model.24.anchor_grid": changed}))
        with pytest.raises(CheckpointError, match=r"'model.24.anchor_grid' in checkpoint .* contradicts the values"):
            load_state(network, other)


@pytest.mark.parametrize("anchors", [torch.zeros(4, 3, 2), torch.zeros(6)])
def test_anchors_of_another_shape_are_told_as_such(anchors: torch.Tensor, saved: Callable[[object], Path]) -> None:
    network = YOLOv5(num_classes=2, depth=0.1, width=0.05)
    read = read_checkpoint(saved(network.state_dict() | {"model.24.anchors": anchors}))
    with pytest.raises(CheckpointError, match=r"'model.24.anchors'"):
        load_state(network, read)


OF_ULTRALYTICS = {
    "yolov8n_ul8.4.190.pt": "YOLOv8",
    "yolo11n_ul8.4.190.pt": "YOLO11",
    "yolo26n_ul8.4.190.pt": "YOLO26",
    "yolov8n-seg_ul8.4.190.pt": "YOLOv8",
}


@pytest.mark.parametrize("file", OF_ULTRALYTICS)
def test_files_of_ultralytics_are_sent_to_the_family_that_reads_them(shared: Path, file: str) -> None:
    read = read_checkpoint(shared / "checkpoints" / file)
    with pytest.raises(CheckpointError, match=f"they look like {OF_ULTRALYTICS[file]}$") as told:
        YOLOv5.arguments_of(read.state)
    assert told.value.mend == "Write model=yolo."
    assert yolo.fitted(read).build is not None


@pytest.mark.parametrize(
    "prefixes", [("model.",), ("net.",), ("_orig_mod.",), ("module.", "_orig_mod."), ("_orig_mod.", "model.")]
)
def test_prefixes_of_wrappers_are_dropped(saved: Callable[[object], Path], prefixes: tuple[str, ...]) -> None:
    state = YOLOv5(num_classes=2, width=0.05).state_dict()
    wrapped = {"".join(prefixes) + key: value for key, value in state.items()}
    assert list(read_checkpoint(saved({"state_dict": wrapped, "epoch": 3})).state) == list(state)


def test_prefixes_that_a_network_has_itself_stay(saved: Callable[[object], Path]) -> None:
    state = {f"model.net.{key}": value for key, value in tiny().state_dict().items()}
    assert list(read_checkpoint(saved(state)).state) == list(state)
    wrapped = {f"module._orig_mod.{key}": value for key, value in state.items()}
    assert list(read_checkpoint(saved(wrapped)).state) == list(state)


def test_blocks_that_are_unknown_are_no_matter_of_state_dicts(
    saved: Callable[[object], Path], upstream: types.ModuleType
) -> None:
    block = type("CBAM", (nn.Module,), {"__module__": "models.yolo", "__qualname__": "CBAM"})
    upstream.CBAM = block  # type: ignore[attr-defined]
    with pytest.raises(
        CheckpointError, match=r"'models\.yolo\.CBAM'.*network of your own: docs/how-to/own_network.md"
    ) as told:
        read_checkpoint(saved({"model": upstream.Model(block())}))
    assert "state_dict" not in one_line(told)
    with pytest.raises(
        CheckpointError, match=r"If its network is known here, .*torch.save\(model.state_dict\(\), FILE\)$"
    ):
        read_checkpoint(saved({"model": tiny().state_dict(), "extra": Payload(os.system, "true")}))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model_state": state, "cur_itrs": 3, "optimizer_state": {"state": {}}},
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": None},
        lambda state: {"model": {key: value + 1 for key, value in state.items()}, "ema": state},
        lambda state: {"module." + key: value for key, value in state.items()},
        lambda state: {key: value.half() if value.is_floating_point() else value for key, value in state.items()},
    ],
)
def test_state_dicts_are_found_in_their_containers(saved: Callable[[object], Path], wrap: Callable) -> None:
    state = tiny().half().float().state_dict()
    read = read_checkpoint(saved(wrap(state)))
    assert list(read.state) == list(state)
    assert all(torch.equal(read.state[key], value) for key, value in state.items())
    assert read.class_names is None


def test_pickled_modules_give_their_state_without_being_imported(
    saved: Callable[[object], Path], upstream: types.ModuleType
) -> None:
    """Names as a dictionary, averaged weights first, leftovers of training scripts, buffers that are not saved."""
    model = upstream.Model(tiny(), nn.Identity(), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    model[0].register_buffer("scratch", torch.ones(1), persistent=False)
    model[0].register_buffer("anchors", torch.ones(2, 2))
    model.names = {1: "cat", 0: "dog"}
    average = upstream.Model(*model).half()
    average.names = model.names
    leftovers = {
        "opt": argparse.Namespace(weights=Path("runs") / "best.pt"),
        "best_fitness": np.float64(0.5),
        "history": np.arange(3.0),
        "seen": {1, 2},
        "shape": torch.Size([3]),
        "epoch": -1,
        "wandb_id": None,
    }
    path = saved({"model": None, "ema": average, "optimizer": None, **leftovers})
    expected = average.float().state_dict()
    del sys.modules["models"], sys.modules["models.yolo"]
    read = read_checkpoint(path)
    assert list(read.state) == list(expected)
    assert all(torch.equal(read.state[key], value) for key, value in expected.items())
    assert read.class_names == ("dog", "cat")
    assert "models" not in sys.modules


class Payload:
    """Pickles into a call of whatever it is given."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, ...]:
        return self.call[0], self.call[1:]


PAYLOADS: dict[str, tuple[Callable[[str], object], str]] = {
    "system": (lambda marker: Payload(os.system, f"touch {marker}"), f"'{os.system.__module__}.system'"),
    "eval": (lambda marker: Payload(eval, f"open({marker!r}, 'w')"), "'builtins.eval'"),
    "open": (lambda marker: Payload(open, marker, "w"), "open'"),
    "partial": (lambda marker: Payload(partial(os.system, f"touch {marker}")), "'functools.partial'"),
    "hub": (lambda marker: Payload(torch.hub.load, marker, "model"), "'torch.hub.load'"),
    "load": (lambda marker: Payload(torch.load, marker), "'torch.serialization.load'"),
    "getattr": (lambda marker: Payload(getattr, Payload(__import__, "os"), marker), "'builtins.__import__'"),
    "bytearray": (lambda _marker: bytearray(4), "'builtins.bytearray'"),
}


@pytest.mark.parametrize("kind", PAYLOADS)
@pytest.mark.parametrize("place", ["alone", "beside", "inside"])
def test_hostile_files_are_refused_by_name_and_not_run(
    tmp_path: Path, saved: Callable[[object], Path], kind: str, place: str
) -> None:
    marker = tmp_path / "ran"
    build, name = PAYLOADS[kind]
    payload = build(str(marker))
    state = tiny().state_dict()
    path = saved(
        {"alone": payload, "beside": {"model": state, "extra": payload}, "inside": {**state, "x": payload}}[place]
    )
    with pytest.raises(CheckpointError, match="is refused: it names") as error:
        read_checkpoint(path)
    assert name in one_line(error)
    assert not marker.exists()


def test_the_payloads_would_run(tmp_path: Path) -> None:
    """Guards the test above: an ordinary unpickler does create the marker."""
    marker = tmp_path / "ran"
    pickle.loads(pickle.dumps(PAYLOADS["system"][0](str(marker)), protocol=2))
    assert marker.exists()


def test_functions_beside_the_known_classes_are_refused(
    tmp_path: Path, saved: Callable[[object], Path], upstream: types.ModuleType
) -> None:
    """A name under 'models.' that is not on the list stays out, and a listed name is never the real thing."""
    marker = tmp_path / "ran"

    def run(_argument: int) -> None:
        marker.touch()

    run.__module__, run.__qualname__ = "models.yolo", "parse_model"
    upstream.parse_model = run  # type: ignore[attr-defined]
    path = saved({"model": Payload(run, 1)})
    with pytest.raises(CheckpointError, match=r"'models\.yolo\.parse_model'"):
        read_checkpoint(path)
    run.__qualname__ = "Detect"
    upstream.Detect = run  # type: ignore[attr-defined]
    path = saved({"model": Payload(run, 1)})
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_checkpoint(path)
    assert not marker.exists()


def test_nobody_is_told_to_run_what_a_file_says(tmp_path: Path) -> None:
    """Torch's own message has the advice to load without weights_only."""
    called = b"c__builtin__\ngetattr\nc__builtin__\ngetattr\nX\x01\x00\x00\x00a\x86RX\x01\x00\x00\x00b\x85R"
    path = tmp_path / "bad.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}X\x05\x00\x00\x00model" + called + b"s.")
        archive.writestr("archive/version", b"3\n")
    with pytest.raises(CheckpointError, match=r"cannot be read \(UnpicklingError: Trying to call reduce for") as told:
        read_checkpoint(path)
    assert "weights_only" not in one_line(told)
    assert " at 0x" not in one_line(told)


def test_newer_pickle_protocols_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.pt"
    torch.save({"model": OrderedDict()}, path, pickle_protocol=4)
    with pytest.raises(CheckpointError, match="STACK_GLOBAL"):
        read_checkpoint(path)


def test_modules_that_contain_themselves_end(saved: Callable[[object], Path]) -> None:
    """An exponential tree of shared modules would be walked for ever."""
    module = nn.Sequential()
    for _ in range(40):
        module = nn.Sequential(module, module)
    with pytest.raises(CheckpointError, match="nested without end"):
        read_checkpoint(saved(module))
    loop = nn.Sequential()
    loop._modules["again"] = loop
    with pytest.raises(CheckpointError, match="nested without end"):
        read_checkpoint(saved(loop))


def test_sizes_are_capped(tmp_path: Path, saved: Callable[[object], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The declared sizes count: an expanded tensor or a packed zip is small on disk and large in memory."""
    huge = torch.zeros(1).expand(1 << 16, 1 << 14)
    with pytest.raises(CheckpointError, match="declares tensors of 4294967296 bytes"):
        read_checkpoint(saved({"weight": huge}))
    monkeypatch.setattr(unpickling, "MAX_FILE_BYTES", 1 << 16)
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, protocol=2))
        archive.writestr("archive/data/0", bytes(1 << 20))
    with pytest.raises(CheckpointError, match="unpacks to 10485"):
        read_checkpoint(packed)
    with pytest.raises(CheckpointError, match="the limit is 65536"):
        read_checkpoint(saved({"weight": torch.zeros(1 << 15)}))
    monkeypatch.setattr(unpickling, "MAX_ENTRIES", 3)
    with pytest.raises(CheckpointError, match="entries, the limit is 3"):
        read_checkpoint(saved(tiny().state_dict()))
    monkeypatch.setattr(unpickling, "MAX_ENTRIES", 100)
    monkeypatch.setattr(unpickling, "MAX_PICKLE_BYTES", 10)
    with pytest.raises(CheckpointError, match="describes its tensors in"):
        read_checkpoint(saved(tiny().state_dict()))


def _whole() -> bytes:
    buffer = io.BytesIO()
    torch.save(tiny().state_dict(), buffer)
    return buffer.getvalue()


def _zip(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries.items():
            archive.writestr(f"archive/{name}.pkl", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: b"", "is empty"),
        (lambda: b"<!doctype html><title>Not found</title>", "is no checkpoint"),
        (lambda: _whole()[:-200], "is damaged or cut short"),
        (lambda: _whole()[:40], "is damaged or cut short"),
        (lambda: pickle.dumps({"a": 1}), "is no checkpoint"),
        (lambda: _zip(other=b""), "is a zip file but no checkpoint"),
        (lambda: _zip(data=b"", constants=b""), "is a TorchScript program"),
        (lambda: _zip(data=b"garbage"), "cannot be read"),
        (lambda: _zip(data=b"\x80\x02."), "cannot be read"),
        (lambda: _zip(data=pickle.dumps([1, 2], protocol=2)), "cannot be read"),
    ],
)
def test_damaged_files_get_one_line(tmp_path: Path, content: Callable[[], bytes], reason: str) -> None:
    path = tmp_path / "bad.pt"
    path.write_bytes(content())
    with pytest.raises(CheckpointError, match=reason) as error:
        read_checkpoint(path)
    assert "bad.pt" in one_line(error)


@pytest.mark.parametrize("read", [read_checkpoint, glimpse])
def test_a_name_of_the_hub_is_told_how_it_is_fetched(
    read: Callable[[Path], Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"Hub: hf download facebook/detr-r50 --local-dir detr-r50$") as caught:
        read(tmp_path / "facebook/detr-r50")
    assert caught.value.with_mend().endswith(" --local-dir detr-r50. Then write model.checkpoint=detr-r50")
    (tmp_path / "runs").mkdir()
    for path in ("runs/best", "facebook/best.pt", "detr-r50", "a/b/c"):
        with pytest.raises(CheckpointError, match=r"is not there; nearest in"):
            read(tmp_path / path)


def test_missing_files_name_their_neighbours(tmp_path: Path) -> None:
    (tmp_path / "yolov5n.pt").touch()
    with pytest.raises(CheckpointError, match=r"is not there; nearest in .*'yolov5n\.pt'"):
        read_checkpoint(tmp_path / "yolov5m.pt")
    with pytest.raises(CheckpointError, match="is not there"):
        read_checkpoint(tmp_path / "nowhere" / "yolov5m.pt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [{"epoch": 3}, [1, 2], {"model": None, "ema": None}, {}, nn.ReLU()])
def test_files_without_weights_are_refused(saved: Callable[[object], Path], content: object) -> None:
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_checkpoint(saved(content))


PUBLISHED_LAYOUTS = {
    "SSD with momentum": (
        lambda: SSD(num_classes=80, size=300, width=0.03),
        lambda state: {
            "model": state,
            "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]},
            "scheduler": {"milestones": (1, 2), "last_epoch": 3},
            "iteration": 400_000,
        },
    ),
    "DeepLabV3+ with its score": (
        lambda: DeepLabV3Plus(num_classes=21, width=0.03),
        lambda state: {
            "cur_itrs": 30_000,
            "model_state": state,
            "optimizer_state": {"state": {}, "param_groups": []},
            "scheduler_state": {"last_epoch": 1},
            "best_score": np.float64(0.772),
        },
    ),
    "UNet alone": (lambda: UNet(num_classes=20, width=0.03), lambda state: state),
}


@pytest.mark.parametrize("layout", PUBLISHED_LAYOUTS)
def test_published_layouts_are_read_and_loaded(saved: Callable[[object], Path], layout: str) -> None:
    build, wrap = PUBLISHED_LAYOUTS[layout]
    network = build()
    checkpoint = read_checkpoint(saved(wrap(network.state_dict())))
    rebuilt = type(network)(**type(network).arguments_of(checkpoint.state))
    load_state(rebuilt, checkpoint)
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in rebuilt.state_dict().items())


def test_sparse_tensors_are_refused(saved: Callable[[object], Path]) -> None:
    with pytest.raises(CheckpointError, match=r"_rebuild_sparse_tensor"):
        read_checkpoint(saved({"weight": torch.eye(3).to_sparse()}))


def test_old_files_give_state_dicts_only(tmp_path: Path) -> None:
    path, state = tmp_path / "old.pt", tiny().state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert all(torch.equal(value, state[key]) for key, value in read_checkpoint(path).state.items())
    torch.save({"model": Payload(os.system, "true")}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"it names '\w+\.system'.*only plain state_dicts are read") as error:
        read_checkpoint(path)
    one_line(error)


def test_files_of_ones_own_are_named_once(
    saved: Callable[[object], Path], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tiny().state_dict())
    with caplog.at_level(logging.INFO):
        read = read_checkpoint(path)
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert read.sha256 in caplog.text
    caplog.clear()
    monkeypatch.setitem(checkpoint_module.PUBLISHED, read.sha256, "tiny")
    read_checkpoint(path)
    assert not caplog.records


def _checkpoint(state: dict[str, torch.Tensor]) -> Checkpoint:
    return Checkpoint(state=state, class_names=None, sha256="", path=Path("some.pt"))


def test_misfits_are_listed_both_ways_and_change_nothing() -> None:
    network = nn.Sequential(*(nn.Linear(2, 2) for _ in range(8)))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = {f"other.{index}": torch.zeros(1) for index in range(12)}
    state |= {"0.weight": torch.zeros(3, 2), "0.bias": torch.ones(2)}
    with pytest.raises(CheckpointError) as error:
        load_state(network, _checkpoint(state))
    text = one_line(error)
    assert "'some.pt' does not fit Sequential" in text
    assert "missing: '1.weight', '1.bias'" in text
    assert "and 4 more; not in the network: 'other.0'" in text
    assert "'other.9' and 2 more; of another shape: '0.weight' (file (3, 2), network (2, 2))" in text
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.int64])
def test_whole_numbers_in_place_of_weights_are_refused(dtype: torch.dtype) -> None:
    """They would be taken as they stand, without their scale."""
    network = nn.Linear(2, 2)
    with pytest.raises(
        CheckpointError, match=r"'weight' in checkpoint 'some.pt' holds \w+ numbers: quantised"
    ) as error:
        load_state(network, _checkpoint(network.state_dict() | {"weight": torch.ones(2, 2).to(dtype)}))
    one_line(error)


def test_numbers_of_8_bits_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"'weight' in checkpoint 'some.pt' holds float8_e4m3fn numbers") as error:
        checkpoint_module.as_float32({"weight": torch.ones(2, 2).to(torch.float8_e4m3fn)}, Path("some.pt"))
    one_line(error)


@pytest.mark.parametrize("factor", [0.0, -1.0])
def test_anchors_without_a_side_are_refused(factor: float) -> None:
    state = YOLOv5(num_classes=2, width=0.125).state_dict()
    state["model.24.anchors"][1, 0, 0] *= factor
    with pytest.raises(CheckpointError, match=r"model.24.anchors holds \S+: no box has such a side") as error:
        YOLOv5.arguments_of(state)
    one_line(error)


def test_missing_batch_counts_are_tolerated() -> None:
    network, state = tiny(), {key: value + 1 for key, value in tiny().state_dict().items()}
    del state["bn.num_batches_tracked"]
    load_state(network, _checkpoint(state))
    assert all(torch.equal(network.state_dict()[key], value) for key, value in state.items())
    del state["bn.bias"]
    with pytest.raises(CheckpointError, match=r"missing: 'bn\.bias'$"):
        load_state(network, _checkpoint(state))


@pytest.mark.parametrize(
    "network",
    [YOLOv5(num_classes=2, width=0.125), YOLOv6(num_classes=2, width=0.0625), UNet(num_classes=2, width=0.0625)],
    ids=["yolov5", "yolov6", "unet"],
)
def test_saved_weights_come_back(tmp_path: Path, network: nn.Module) -> None:
    path = tmp_path / "deep" / "own.pt"
    save_checkpoint(path, network, class_names=("a", "b"))
    plain = torch.load(path, weights_only=True)
    assert set(plain) == {"model_state", "class_names"}
    assert {value.dtype for value in plain["model_state"].values()} <= {torch.float16, torch.int64}
    read = read_checkpoint(path)
    rebuilt = type(network)(**type(network).arguments_of(read.state))
    load_state(rebuilt, read)
    assert read.class_names == ("a", "b")
    for key, value in network.state_dict().items():
        expected = value.half().float() if value.is_floating_point() else value
        assert torch.equal(rebuilt.state_dict()[key], expected)
    assert sorted(item.name for item in path.parent.iterdir()) == ["own.pt"]


def test_saving_is_reproducible_exact_on_demand_and_finite(tmp_path: Path) -> None:
    network = tiny()
    save_checkpoint(tmp_path / "a.pt", network, class_names=["x"])
    save_checkpoint(tmp_path / "b.pt", network, class_names=["x"])
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    save_checkpoint(tmp_path / "c.pt", network, class_names=["x"], half=False)
    read = read_checkpoint(tmp_path / "c.pt")
    assert torch.equal(read.state["conv.weight"], network.conv.weight)
    network.bn.running_var.fill_(1e6)
    with pytest.raises(CheckpointError, match=r"'bn\.running_var' has values that are not finite as torch\.float16"):
        save_checkpoint(tmp_path / "a.pt", network, class_names=["x"])
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_embedded_checkpoints_are_found_by_name_and_not_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoint_module, "WEIGHTS_FOLDER", tmp_path)
    save_checkpoint(tmp_path / "unet_scenes.pt", tiny(), class_names=["x"])
    assert embedded_checkpoint("unet_scenes") == tmp_path / "unet_scenes.pt"
    with caplog.at_level(logging.INFO):
        read_checkpoint(embedded_checkpoint("unet_scenes"))
    assert not caplog.records
    with pytest.raises(CheckpointError, match="no checkpoint 'unet_scene' comes with lcrp; nearest: 'unet_scenes'"):
        embedded_checkpoint("unet_scene")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        embedded_checkpoint("../unet_scenes")
