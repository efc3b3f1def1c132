"""Weights that are not pickled: files of safetensors, and folders as `save_pretrained` writes them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lcrp.errors import CheckpointError, nearest
from lcrp.models.checkpoint import Checkpoint, as_float32, read_checkpoint
from lcrp.models.unpickling import MAX_FILE_BYTES

CONFIG = "config.json"
SAFETENSORS = ".safetensors"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in order of preference
MAX_CONFIG_BYTES = 2**20


def is_pretrained(path: Path) -> bool:
    """Whether a path is a folder of `save_pretrained`, or a file of safetensors."""
    return path.suffix == SAFETENSORS or (path / CONFIG).is_file()


def config_of(path: Path) -> Mapping[str, object]:
    """With which settings the network in a folder was built; none for a file.

    Raises:
        CheckpointError: they cannot be read.
    """
    return _read_config(path / CONFIG) if path.is_dir() else {}


def read_pretrained(path: Path) -> Checkpoint:
    """Read weights from a folder with config.json and weights, or from a file of safetensors.

    Raises:
        CheckpointError: a file is missing, damaged or too large.
    """
    if not path.is_dir():
        return _read_safetensors(path)
    config = config_of(path)
    weights = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
    if weights is None:
        raise CheckpointError(f"folder '{path}' has a {CONFIG}, but neither {' nor '.join(WEIGHTS)}")
    found = _read_safetensors(weights) if weights.suffix == SAFETENSORS else read_checkpoint(weights)
    both = hashlib.sha256(f"{found.sha256} {json.dumps(config, sort_keys=True)}".encode()).hexdigest()
    return Checkpoint(state=found.state, class_names=found.class_names, sha256=both, path=path, config=config)


def _read_config(path: Path) -> Mapping[str, object]:
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise CheckpointError(f"'{path}' has {path.stat().st_size} bytes, the limit is {MAX_CONFIG_BYTES}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"'{path}' cannot be read as JSON ({error})") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"'{path}' holds a {type(config).__name__}, not settings by name")
    return config


def _read_safetensors(path: Path) -> Checkpoint:
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise CheckpointError(f"'{path}' is of the library safetensors: pip install safetensors") from error
    if not path.is_file():
        choices = sorted(other.name for other in path.parent.glob(f"*{SAFETENSORS}")) if path.parent.is_dir() else []
        raise CheckpointError(f"checkpoint '{path}' is not there; nearest: {nearest(path.name, choices)}")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise CheckpointError(f"checkpoint '{path}' has {path.stat().st_size} bytes, the limit is {MAX_FILE_BYTES}")
    try:
        state: Mapping[str, Tensor] = load_file(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except Exception as error:  # what the library raises of a damaged file
        reason = " ".join(str(error).split())
        raise CheckpointError(f"checkpoint '{path}' cannot be read ({reason})") from error
    return Checkpoint(state=as_float32(state, path), class_names=None, sha256=sha256, path=path)
