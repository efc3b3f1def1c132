"""Weights that are not pickled: files of safetensors, and folders as `save_pretrained` writes them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lcrp.errors import CheckpointError, nearest
from lcrp.models.checkpoint import Checkpoint, as_float32, read_checkpoint
from lcrp.models.settings_files import CONFIG, config_of, read_settings
from lcrp.models.unpickling import MAX_FILE_BYTES

SAFETENSORS = ".safetensors"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # in order of preference
INDEX = ".index.json"  # of weights in parts


def is_pretrained(path: Path) -> bool:
    """Whether a path is a folder of `save_pretrained`, or a file of safetensors."""
    return path.suffix == SAFETENSORS or (path / CONFIG).is_file()


def read_pretrained(path: Path) -> Checkpoint:
    """Read weights from a folder with config.json and weights, or from a file of safetensors.

    Raises:
        CheckpointError: a file is missing, damaged or too large.
    """
    if not path.is_dir():
        return _read_safetensors(path)
    config = config_of(path)
    found = [_read_safetensors(one) if one.suffix == SAFETENSORS else read_checkpoint(one) for one in _weights(path)]
    hashes = " ".join(one.sha256 for one in found)
    both = hashlib.sha256(f"{hashes} {json.dumps(config, sort_keys=True)}".encode()).hexdigest()
    state = {key: value for one in found for key, value in one.state.items()}
    return Checkpoint(state=state, class_names=found[0].class_names, sha256=both, path=path, config=config)


def _weights(folder: Path) -> list[Path]:
    """The files of a folder in which its weights lie: one, or the parts that an index names.

    Raises:
        CheckpointError: there are none, or the index names files elsewhere.
    """
    whole = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if whole is not None:
        return [whole]
    index = next((folder / f"{name}{INDEX}" for name in WEIGHTS if (folder / f"{name}{INDEX}").is_file()), None)
    if index is None:
        raise CheckpointError(f"folder '{folder}' has a {CONFIG}, but neither {' nor '.join(WEIGHTS)}")
    names = read_settings(index).get("weight_map")
    parts = sorted(set(names.values())) if isinstance(names, dict) else []
    if not parts or any(not isinstance(part, str) or Path(part).name != part for part in parts):
        raise CheckpointError(f"'{index}' names no files of its folder as weight_map")
    return [folder / part for part in parts]


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
