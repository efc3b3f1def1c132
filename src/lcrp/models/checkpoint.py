"""Checkpoints: published and user-trained weights in, small plain files out."""

import hashlib
import io
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError, nearest
from lcrp.models.content import weights_in
from lcrp.models.misfits import misfits
from lcrp.models.unpickling import MAX_FILE_BYTES, Inert, read_inert
from lcrp.values.paths import shown

_log = logging.getLogger(__name__)

WEIGHTS_FOLDER = Path(__file__).parent / "weights"
COUNTER = ".num_batches_tracked"  # of norms; may be missing
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors")
HALF_BYTES = 2  # of a number in the least precision in which weights are kept unquantised
HALF_PRECISION = 2e-3  # by how much two values that were rounded to float16 may differ, relatively

# sha256 of published files: of YOLOv5 those of release 7.0, and of earlier ones by release; of YOLOv6 those of 0.1.0.
PUBLISHED = {
    "edd2e5cc4e3caa4b508168b51d9dc529da58b37813e0d2c8b49aba06aa3472dc": "yolov5n_6.0",
    "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3": "yolov5n",
    "8b3b748c1e592ddd8868022e8732fde20025197328490623cc16c6f24d0782ee": "yolov5s",
    "61d933360ba5a7733a36764996c800287d973889d875227f5beedd2473a97a56": "yolov5m",
    "2f603b7354c25454d1270663a14d8ddc1eea98e5eebc1d84ce0c6e3150fa155f": "yolov5l",
    "a33dcf6137aad6f952ea5e78e94a2a559697161579c00e292e91470157d1aac9": "yolov6n",
    "a7b05fef6f9bdf1fc9f8c201bf50f6ac3ce77b7a91ece9ab32d2e2b6b8518723": "yolov6s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Weights as they lie in a file.

    Attributes:
        state: parameters and buffers by key; floating point ones in float32.
        class_names: names of the classes, if the file has them.
        sha256: of the file.
        path: the file.
        config: with which the network was built, if the file tells.
        module: the network itself as the file describes it, nothing of it run; None if the file holds tensors alone.
    """

    state: Mapping[str, Tensor]
    class_names: tuple[str, ...] | None
    sha256: str
    path: Path
    config: Mapping[str, object] = field(default_factory=dict)
    module: Inert | None = None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint without running anything in it.

    Understood are pickled YOLOv5 and YOLOv6 modules as their releases and trainers save them (the averaged weights,
    `ema`, before `model`), state dicts, and state dicts under 'model', 'model_state', 'state_dict' or
    'model_state_dict'. What wrappers put before every key is dropped: 'module.', '_orig_mod.', and 'model.' or 'net.'
    before the keys of a family known here.

    Raises:
        CheckpointError: if the file is missing, damaged, too large, unsafe, or holds no weights.
    """
    with _opened(path) as file:
        content = read_inert(file, path)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    state, names, module = weights_in(content, path)
    if sha256 not in PUBLISHED and path.resolve().parent != WEIGHTS_FOLDER.resolve():
        _log.info("checkpoint '%s' is a file of your own (sha256 %s)", path.name, sha256)
    return Checkpoint(state=as_float32(state, path), class_names=names, sha256=sha256, path=path, module=module)


def glimpse(path: Path) -> Checkpoint:
    """What lies in a file, to tell what network it is of: values as they are, without the file's sha256.

    Raises:
        CheckpointError: as `read_checkpoint`.
    """
    with _opened(path) as file:
        state, names, module = weights_in(read_inert(file, path), path)
    return Checkpoint(state=state, class_names=names, sha256="", path=path, module=module)


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    if not path.exists():
        _check_hub(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        choices = sorted(other.name for other in path.parent.glob("*.pt*")) if path.parent.is_dir() else []
        raise CheckpointError(f"checkpoint '{path}' {what}; nearest in '{path.parent}': {nearest(path.name, choices)}")
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"checkpoint '{path}' cannot be opened: {error.strerror or error}") from error


def _check_hub(path: Path) -> None:
    """What to do with a name of the Hugging Face Hub, which looks like a path that leads nowhere.

    Raises:
        CheckpointError: it may be one.
    """
    name = shown(path.absolute())
    if not _HUB_NAME.fullmatch(name) or path.suffix in _WEIGHTS or path.parent.exists():
        return
    raise CheckpointError(
        f"checkpoint '{path}' is not there: files and folders of this machine are read, and nothing is fetched. If it "
        f"is a name of the Hugging Face Hub: hf download {name} --local-dir {path.name}",
        mend=f"Then write model.checkpoint={path.name}",
    )


def load_state(network: nn.Module, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Copy a checkpoint's weights into a network; every key must fit.

    BatchNorm's `num_batches_tracked` may be missing. What the network's `derived` says to follow from the other values
    may be there, if it agrees with them. What the file's modules say beside their tensors is obeyed by networks that
    have `obey`. The network is not touched if anything does not fit.

    Returns:
        What the file says that is not as published, in words.

    Raises:
        CheckpointError: if keys are missing, left over or of another shape; at most ten of each are listed.
    """
    state = check_fit(network, checkpoint)
    unusual: tuple[str, ...] = ()
    if checkpoint.module is not None and isinstance(network, Obeys):
        try:
            unusual = network.obey(checkpoint.module)
        except CheckpointError as error:
            raise CheckpointError(f"checkpoint '{checkpoint.path}': {error}", mend=error.mend) from error
    network.load_state_dict(dict(state), strict=False)
    return unusual


def check_fit(network: nn.Module, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The weights that a network takes from a checkpoint; it may be without memory, on the device `meta`.

    Raises:
        CheckpointError: as `load_state`.
    """
    own, state = network.state_dict(), _without_derived(network, checkpoint)
    problems = misfits(
        missing=[key for key in own if key not in state and not key.endswith(COUNTER)],
        unknown=[key for key in state if key not in own],
        differing=[
            (key, tuple(state[key].shape), tuple(value.shape))
            for key, value in own.items()
            if key in state and state[key].shape != value.shape
        ],
    )
    if problems:
        name = type(network).__name__
        raise CheckpointError(f"checkpoint '{checkpoint.path}' does not fit {name}; {problems}")
    for key, value in own.items():
        if value.is_floating_point() and key in state and not state[key].is_floating_point():
            raise _quantised(key, checkpoint.path, state[key].dtype)
    return state


@runtime_checkable
class Obeys(Protocol):
    """A network that does what the modules in its files say."""

    def obey(self, module: Inert) -> tuple[str, ...]:
        """Do it; gives what is not as published, in words."""
        ...


@runtime_checkable
class HasDerived(Protocol):
    """A network whose files may hold more than its state."""

    def derived(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Values that a file may hold beside the state, as they follow from it, by key."""
        ...


def _without_derived(network: nn.Module, checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The state without values that follow from others: `derived` of the network says which, and from what."""
    derived = network.derived(checkpoint.state) if isinstance(network, HasDerived) else {}
    for key, expected in derived.items():
        found = checkpoint.state.get(key, expected)
        if found.shape != expected.shape or not torch.allclose(found, expected, rtol=HALF_PRECISION):
            raise CheckpointError(
                f"'{key}' in checkpoint '{checkpoint.path}' contradicts the values that it follows from: the file is "
                "damaged, or was changed by hand"
            )
    return {key: value for key, value in checkpoint.state.items() if key not in derived}


def save_checkpoint(path: Path, network: nn.Module, *, class_names: Sequence[str], half: bool = True) -> None:
    """Write a network's weights as {'model_state', 'class_names'}: plain tensors and texts.

    Equal weights give equal bytes, whatever the file is called. The file appears whole or not at all.

    Args:
        path: file to write; its folder is made.
        network: the network, not prepared for explaining.
        class_names: names of its classes; index = class id.
        half: store floating point numbers as float16.

    Raises:
        CheckpointError: if a weight is not finite in the stored precision.
    """
    state = {}
    for key, value in network.state_dict().items():
        narrow = value.detach().cpu()
        if half and narrow.is_floating_point():
            narrow = narrow.half()
        if narrow.is_floating_point() and not bool(narrow.isfinite().all()):
            raise CheckpointError(f"'{key}' has values that are not finite as {narrow.dtype}; '{path}' is not written")
        state[key] = narrow.contiguous().clone()
    buffer = io.BytesIO()  # torch.save writes the name of a file into it
    torch.save({"model_state": state, "class_names": list(class_names)}, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(buffer.getvalue())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def embedded_checkpoint(name: str) -> Path:
    """Path of a checkpoint that comes with the package, for example 'yolov6_scenes'.

    Raises:
        CheckpointError: if there is none of that name.
    """
    choices = {file.stem: file for file in sorted(WEIGHTS_FOLDER.glob("*.pt"))}
    if name not in choices:
        raise CheckpointError(f"no checkpoint '{name}' comes with lcrp; nearest: {nearest(name, choices)}")
    return choices[name]


def _quantised(key: str, path: Path, dtype: torch.dtype) -> CheckpointError:
    kind = str(dtype).removeprefix("torch.")
    return CheckpointError(
        f"'{key}' in checkpoint '{path}' holds {kind} numbers: quantised weights are not read",
        mend="Give the weights as they were before, in float32 or float16.",
    )


def as_float32(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Own dense copies on the CPU, floating point numbers as float32."""
    for key, value in state.items():
        if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized or value.is_complex():
            raise CheckpointError(f"'{key}' in checkpoint '{path}' is not a plain dense tensor")
    declared = 4 * sum(value.numel() for value in state.values())
    if declared > MAX_FILE_BYTES:
        raise CheckpointError(
            f"checkpoint '{path}' declares tensors of {declared} bytes in float32, the limit is {MAX_FILE_BYTES}"
        )
    for key, value in state.items():
        if value.is_floating_point() and value.element_size() < HALF_BYTES:
            raise _quantised(key, path, value.dtype)
        if value.is_floating_point() and not value.isfinite().all():
            raise CheckpointError(f"'{key}' in checkpoint '{path}' holds NaN or infinity: its training failed")
    return {
        key: value.detach()
        .to(torch.float32 if value.is_floating_point() else value.dtype)
        .clone(memory_format=torch.contiguous_format)
        for key, value in state.items()
    }
