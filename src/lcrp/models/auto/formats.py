"""Files and folders that are no checkpoint of torch: what they are, by their first bytes, and what to give instead.

Nothing is unpacked or run.
"""

import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lcrp.errors import CheckpointError
from lcrp.models.pretrained import SAFETENSORS
from lcrp.models.settings_files import CONFIG
from lcrp.models.unpickling import MAX_ENTRIES

HEAD_BYTES = 4096
MAX_LISTED = 3
WEIGHTS = (".pt", ".pth", ".ckpt", SAFETENSORS)
_EXPORTED = "explaining needs the network's layers, which it has no longer; give the .pt or .pth that it was made from"
_OTHER_LIBRARY = "only networks of PyTorch are explained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What can be seen of a file from outside.

    Attributes:
        head: its first bytes.
        suffix: of its name, in small letters.
        size: in bytes.
    """

    head: bytes
    suffix: str
    size: int

    @property
    def text(self) -> str:
        """The first bytes as text, without leading white space, in small letters."""
        return self.head.decode("utf-8", "replace").lstrip("\ufeff \r\n\t").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of files.

    Attributes:
        name: as a person calls it.
        advice: why it does not do, and what does.
        is_it: whether a file looks like one.
    """

    name: str
    advice: str
    is_it: Callable[[Look], bool]


def _starts(*magics: bytes) -> Callable[[Look], bool]:
    return lambda look: look.head.startswith(magics)


def _called(*suffixes: str) -> Callable[[Look], bool]:
    return lambda look: look.suffix in suffixes


def _is_onnx(look: Look) -> bool:
    """A protobuf whose first field is a small version, and whose second names the producer."""
    is_model = len(look.head) > 2 and look.head[0] == 0x08 and look.head[1] < 32 and look.head[2] in (0x12, 0x3A)
    return is_model and look.suffix not in (".mlmodel",)


def _is_engine(look: Look) -> bool:
    """TensorRT's own magic, or its suffix: Ultralytics puts its metadata in front."""
    return look.head.startswith((b"ftrt", b"ptrt")) or look.suffix in (".engine", ".trt", ".plan")


def _is_safetensors(look: Look) -> bool:
    """Eight bytes that say how long the JSON is which follows."""
    is_one = look.head[8:9] == b"{" and int.from_bytes(look.head[:8], "little") <= look.size
    return is_one and look.suffix != SAFETENSORS


_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")

# The first that fits counts.
FORMATS: tuple[Format, ...] = (
    Format(
        name="a pointer of git-lfs, which stands for the file",
        advice="fetch the file itself by 'git lfs pull', or download it",
        is_it=_starts(b"version https://git-lfs"),
    ),
    Format(
        name="a web page",
        advice="the download went wrong: the address was of a page, or asked for a login; fetch the file itself",
        is_it=lambda look: look.text.startswith(("<!doctype html", "<html", "<head")),
    ),
    Format(
        name="a network of OpenVINO",
        advice=_EXPORTED,
        is_it=lambda look: look.text.startswith("<?xml") and "<net" in look.text,
    ),
    Format(name="ONNX", advice=_EXPORTED, is_it=lambda look: look.suffix == ".onnx" or _is_onnx(look)),
    Format(name="TensorFlow Lite", advice=_EXPORTED, is_it=lambda look: look.head[4:8] == b"TFL3"),
    Format(name="an engine of TensorRT", advice=_EXPORTED, is_it=_is_engine),
    Format(name="a network of CoreML", advice=_EXPORTED, is_it=_called(".mlmodel")),
    Format(
        name="HDF5, as Keras writes weights and lcrp statistics", advice=_OTHER_LIBRARY, is_it=_starts(b"\x89HDF\r\n")
    ),
    Format(
        name="a file of safetensors under another name",
        advice=f"rename it to end in {SAFETENSORS}",
        is_it=_is_safetensors,
    ),
    Format(name="a graph of TensorFlow", advice=_OTHER_LIBRARY, is_it=_called(".pb")),
    Format(name="weights of Darknet", advice=_OTHER_LIBRARY, is_it=_called(".weights")),
    Format(name="weights of Caffe", advice=_OTHER_LIBRARY, is_it=_called(".caffemodel")),
    Format(name="weights of Paddle", advice=_OTHER_LIBRARY, is_it=_called(".pdparams", ".pdmodel")),
    Format(name="weights of ncnn or OpenVINO", advice=_EXPORTED, is_it=_called(".bin.xml", ".param")),
    Format(name="a picture", advice="it is what stage.image names", is_it=_starts(*_PICTURES)),
    Format(
        name="a packed archive",
        advice="unpack it and give the file in it",
        is_it=lambda look: (
            look.head.startswith((b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))
            or look.head[257:262] == b"ustar"
        ),
    ),
    Format(
        name="text",
        advice="a checkpoint is what torch.save wrote",
        is_it=lambda look: look.suffix in (".yaml", ".yml", ".json", ".txt", ".py", ".cfg"),
    ),
)
_FOLDERS: tuple[tuple[str, str, str], ...] = (  # pattern of a file in it, what it is, advice
    ("Manifest.json", "a network of CoreML", _EXPORTED),
    ("saved_model.pb", "a SavedModel of TensorFlow", _EXPORTED),
    ("*.xml", "a network of OpenVINO", _EXPORTED),
    ("*.ncnn.param", "a network of ncnn", _EXPORTED),
    ("*.pdmodel", "a network of Paddle", _EXPORTED),
    ("data.pkl", "an unpacked checkpoint", "give the file that torch.save wrote"),
)
_ZIPS: tuple[tuple[Callable[[str], bool], str, str], ...] = (  # of a name in it, what it is, advice
    (
        lambda name: name.endswith("/constants.pkl") or "/code/" in name,
        "a TorchScript program",
        "its layers cannot be told apart any more; give the checkpoint that it was made from, or save its state_dict",
    ),
    (lambda name: name.endswith("Manifest.json"), "a packed network of CoreML", _EXPORTED),
    (lambda name: name == "model.weights.h5", "a network of Keras", _OTHER_LIBRARY),
    (lambda name: name.endswith(".npy"), "arrays of NumPy", _OTHER_LIBRARY),
)


def check_format(path: Path) -> None:
    """Whether a path may be a checkpoint; whether it is one, reading it tells.

    Raises:
        CheckpointError: it is something else, or empty; the message names it and what to give instead.
    """
    if path.is_dir():
        _check_folder(path)
    elif path.is_file():
        _check_file(path)


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            look = Look(head=file.read(HEAD_BYTES), suffix=path.suffix.lower(), size=path.stat().st_size)
    except OSError as error:
        raise CheckpointError(f"checkpoint '{path}' cannot be opened: {error.strerror or error}") from error
    if look.head.startswith(b"PK\x03\x04") and zipfile.is_zipfile(path):
        _check_zip(path)
        return
    if look.size == 0:
        raise CheckpointError(f"checkpoint '{path}' is empty; fetch or copy it again")
    found = next((one for one in FORMATS if one.is_it(look)), None)
    if found is not None:
        raise _refusal(path, found.name, found.advice)


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:  # reading tells
        return
    if len(names) > MAX_ENTRIES:
        return
    for is_it, what, advice in _ZIPS:
        if any(map(is_it, names)):
            raise _refusal(path, what, advice)
    if any(name.endswith("data.pkl") for name in names):
        return
    weights = [name for name in names if name.endswith(WEIGHTS)]
    raise _refusal(
        path,
        "a zip file but no checkpoint",
        f"unpack it and give {_listed(weights)}"
        if weights
        else f"torch.save did not write it, in it are {_listed(names)}",
    )


def _check_folder(path: Path) -> None:
    if (path / CONFIG).is_file():
        return
    for pattern, what, advice in _FOLDERS:
        if any(path.glob(pattern)):
            raise _refusal(path, what, advice)
    within = sorted(str(one.relative_to(path)) for one in _weights_in(path))
    advice = f"give a file in it: {_listed(within)}" if within else "give the file of a checkpoint"
    raise _refusal(path, f"a folder without {CONFIG}, as save_pretrained writes it", advice)


def _weights_in(folder: Path) -> Iterable[Path]:
    """Checkpoints in a folder, and in the folders in it."""
    return (one for pattern in ("*", "*/*") for one in folder.glob(pattern) if one.suffix in WEIGHTS)


def _refusal(path: Path, what: str, advice: str) -> CheckpointError:
    return CheckpointError(f"'{path}' is {what}: {advice}")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return (", ".join(f"'{name}'" for name in names[:MAX_LISTED]) or "no files") + more
