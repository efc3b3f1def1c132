"""Checkpoints that would run code, that are too large, damaged, or of something else."""

import gzip
import io
import pickle
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import torch
from PIL import Image

from hostile.case import Command

CANARY = "canary"  # file that code in a checkpoint would make
REFUSED = "is refused: it names"

# Module, name and arguments of a call; {canary} is the file that shows that it was made.
CALLS = {
    "os.system": ("os", "system", ("touch {canary}",)),
    "posix.system": ("posix", "system", ("touch {canary}",)),
    "os.popen": ("os", "popen", ("touch {canary}",)),
    "os.mkdir": ("os", "mkdir", ("{canary}",)),
    "os.execv": ("os", "execv", ("/usr/bin/touch", ["touch", "{canary}"])),
    "os.remove": ("os", "remove", ("{canary}",)),
    "subprocess.run": ("subprocess", "run", (["touch", "{canary}"],)),
    "subprocess.Popen": ("subprocess", "Popen", (["touch", "{canary}"],)),
    "subprocess.check_output": ("subprocess", "check_output", (["touch", "{canary}"],)),
    "eval": ("builtins", "eval", ("open('{canary}', 'w')",)),
    "exec": ("builtins", "exec", ("open('{canary}', 'w')",)),
    "compile": ("builtins", "compile", ("1", "{canary}", "eval")),
    "open": ("builtins", "open", ("{canary}", "w")),
    "__import__": ("builtins", "__import__", ("antigravity",)),
    "setattr": ("builtins", "setattr", ("text", "upper", 1)),
    "bytearray, of any size": ("builtins", "bytearray", (1 << 40,)),
    "Python 2's execfile": ("__builtin__", "execfile", ("{canary}",)),
    "importlib.import_module": ("importlib", "import_module", ("antigravity",)),
    "runpy.run_path": ("runpy", "run_path", ("{canary}",)),
    "shutil.rmtree": ("shutil", "rmtree", ("{canary}",)),
    "shutil.copyfile": ("shutil", "copyfile", ("/etc/hostname", "{canary}")),
    "pathlib.Path.touch": ("pathlib", "Path.touch", ("{canary}",)),
    "socket.create_connection": ("socket", "create_connection", (("127.0.0.1", 1),)),
    "urllib.request.urlretrieve": ("urllib.request", "urlretrieve", ("file:///etc/hostname", "{canary}")),
    "webbrowser.open": ("webbrowser", "open", ("file:///{canary}",)),
    "pickle.loads": ("pickle", "loads", (b"cos\nsystem\n(S'touch canary'\ntR.",)),
    "torch.load": ("torch.serialization", "load", ("{canary}",)),
    "torch.save": ("torch.serialization", "save", (1, "{canary}")),
    "torch.hub.load": ("torch.hub", "load", ("{canary}", "model")),
    "torch.jit.load": ("torch.jit", "load", ("{canary}",)),
    "torch.ops.load_library": ("torch._ops", "_Ops.load_library", ("{canary}",)),
    "torch.utils.cpp_extension.load": ("torch.utils.cpp_extension", "load", ("x", "{canary}")),
    "torch.Tensor, of any size": ("torch", "Tensor", (1 << 40,)),
    "torch.zeros, of any size": ("torch", "zeros", (1 << 40,)),
    "numpy.load": ("numpy", "load", ("{canary}",)),
    "numpy.memmap": ("numpy", "memmap", ("{canary}", "uint8", "w+", 0, (1,))),
    "ctypes.CDLL": ("ctypes", "CDLL", ("{canary}",)),
    "functools.partial": ("functools", "partial", (print, "x")),
    "operator.methodcaller": ("operator", "methodcaller", ("touch",)),
    "timeit.timeit": ("timeit", "timeit", ("open('{canary}', 'w')",)),
    "code.interact": ("code", "interact", ()),
    "sys.exit": ("sys", "exit", (0,)),
    "h5py.File": ("h5py", "File", ("{canary}", "w")),
}
AS_IT_IS = {  # raw pickles of protocol 0, without torch's zip file around them
    "a raw pickle": (b"cos\nsystem\n(S'touch {canary}'\ntR.", "is not a file that torch.save writes"),
    "a raw pickle of protocol 4": (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.", "is not a file that torch"),
}
OPCODES = {  # pickles in torch's zip file that name by other ways than GLOBAL
    "STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0etouch {canary}\x85R.",
    "INST": b"(S'touch {canary}'\nios\nsystem\n.",
    "EXT1": b"\x80\x02\x82\x01(S'touch {canary}'\ntR.",
    "EXT2": b"\x80\x02\x83\x01\x00(S'touch {canary}'\ntR.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00(S'touch {canary}'\ntR.",
}
DAMAGED = "is damaged|cannot be read|is not a file that torch.save writes|holds no weights|does not fit"


def cases() -> list[Command]:
    """All of them."""
    return [
        *(_command(f"pickle that calls {name}", _call(*call), REFUSED) for name, call in CALLS.items()),
        *(
            _command(f"pickle that names by the opcode {name}", _zipped(content), "is refused: torch.save does not")
            for name, content in OPCODES.items()
        ),
        *(_command(name, _written(content), error) for name, (content, error) in AS_IT_IS.items()),
        _command("pickle behind torch's old magic number", _legacy, "cannot be read"),
        _command("pickle cut in the middle, in a whole zip file", _zipped(b"\x80\x02}q\x00("), "cannot be read"),
        _command("pickle of noise", _zipped(random.Random(1).randbytes(500)), "cannot be read"),
        _command("persistent id that is no storage", _zipped(b"\x80\x02X\x01\x00\x00\x00xQ."), "cannot be read"),
        _command(
            "lists nested 100,000 deep",
            _zipped(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."),
            "holds no weights",
        ),
        _command("module that contains itself", _endless, "nested without end"),
        _command("empty file", _written(b""), "is empty"),
        _command("text", _written(b"no weights at all\n"), "is not a file that torch.save writes"),
        _command("PNG picture", _picture, "is a picture"),
        _command("HDF5 file", _hdf5, "is HDF5"),
        _command("gzip file", _written(gzip.compress(b"x" * 999)), "is a packed archive"),
        _command("tar archive", _tar, "is a packed archive"),
        _command("zip archive of something else", _archive({"a.txt": b"a"}), "is a zip file but no checkpoint"),
        _command("TorchScript program", _script, "is a TorchScript program"),
        _command("folder", lambda path: path.mkdir(), "is a folder"),
        _command("named pipe that nobody writes to", _pipe, "is not there"),
        _command("link to itself", lambda path: path.symlink_to(path), "is not there"),
        _command("zip bomb: 3 GB of zeros in 3 MB", _bomb, "unpacks to"),
        _command("zip file that declares 4 EB", _declared, "cannot be read|unpacks to|is damaged"),
        _command("20,001 entries", _archive({f"w/{number}": b"" for number in range(20_001)}), "entries, the limit is"),
        _command("two pickles in one file", _twins, "it is not what torch.save writes"),
        _command(
            "17 MB of pickle", _archive({"w/data.pkl": b"\x80\x02" + b"0" * (17 << 20)}), "describes its tensors in"
        ),
        _command("tensor of 10^13 numbers in 4 bytes", _stretched, "declares tensors of"),
        _command("tensor beyond its storage", _beyond, "cannot be read"),
        *(_command(f"cut short after {share:.0%}", _cut(share), DAMAGED) for share in (0.001, 0.1, 0.5, 0.9, 0.999)),
        *(_command(f"overwritten at {place:.0%}", _overwritten(place), DAMAGED) for place in (0, 0.01, 0.97, 0.999)),
        _command("no tensors", _saved(lambda _: {}), "holds no weights"),
        _command("a list of tensors", _saved(lambda state: list(state.values())), "holds no weights"),
        _command("one tensor", _saved(lambda state: next(iter(state.values()))), "holds no weights"),
        _command("numbers in place of tensors", _saved(lambda state: dict.fromkeys(state, 1)), "holds no weights"),
        _command("weights of another network", _saved(lambda _: {"a.weight": torch.ones(2)}), "does not know|fit"),
        _command("half of the weights", _saved(lambda state: dict(list(state.items())[::2])), "missing|does not know"),
        _command("weights too many", _saved(lambda state: state | {"extra": torch.ones(1)}), "not in the network"),
        _command("weights of another shape", _saved(_reshaped), "of another shape"),
        _command("complex weights", _saved(_each(lambda value: value.to(torch.complex64))), REFUSED),
        _command("sparse weights", _saved(_each(lambda value: value.to_sparse())), REFUSED),
        _command("weights without values (meta)", _saved(_each(lambda value: value.to("meta"))), REFUSED),
        _command(
            "weights that are not numbers (NaN)",
            _saved(_each(lambda value: value * float("nan"))),
            "holds NaN or infinity",
        ),
        _command("infinite weights", _saved(_each(lambda value: value / 0)), "holds NaN or infinity"),
    ]


def _command(name: str, write: Callable[[Path], object], error: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        write(folder / "weights.pt")
        return ["model=yolov5", "model.checkpoint=weights.pt", "statistics.num_samples=1", *SMALL]

    return Command(name=f"checkpoint: {name}", prepare=prepare, error=error)


SMALL = ("model.input.height=64", "model.input.width=64", "statistics.targets=predicted", "model.confidence=0.0000001")


class _Call:
    """Pickles into a call."""

    def __init__(self, module: str, name: str, arguments: tuple[object, ...]) -> None:
        self.module, self.name, self.arguments = module, name, arguments


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes calls of functions that need not exist."""

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Call):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
            super().save(obj.arguments)
            self.write(b"R")
        elif callable(obj) and not isinstance(obj, type):
            self.write(f"c{obj.__module__}\n{obj.__qualname__}\n".encode())
        else:
            super().save(obj, save_persistent_id)


def _call(module: str, name: str, arguments: tuple[object, ...]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        canary = str(path.with_name(CANARY))
        filled = tuple(_filled(argument, canary) for argument in arguments)
        buffer = io.BytesIO()
        _Pickler(buffer, protocol=2).dump({"model": _Call(module, name, filled)})
        _zipped(buffer.getvalue())(path)

    return write


def _filled(argument: object, canary: str) -> object:
    if isinstance(argument, list):
        return [_filled(one, canary) for one in argument]
    return argument.replace("{canary}", canary) if isinstance(argument, str) else argument


def _zipped(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        filled = content.replace(b"{canary}", str(path.with_name(CANARY)).encode())
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights/data.pkl", filled)
            archive.writestr("weights/version", b"3\n")

    return write


def _written(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def _archive(entries: dict[str, bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)

    return write


def _legacy(path: Path) -> None:
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    path.write_bytes(magic + b"cos\nsystem\n(S'touch %s'\ntR." % str(path.with_name(CANARY)).encode())


def _endless(path: Path) -> None:
    """A YOLOv5 module whose child is itself."""
    inner = b"cmodels.yolo\nModel\n)\x81q\x00}q\x01(X\x08\x00\x00\x00_modules}q\x02X\x01\x00\x00\x00ah\x00sub"
    _zipped(b"\x80\x02}X\x05\x00\x00\x00model" + inner + b"s.")(path)


def _picture(path: Path) -> None:
    Image.new("RGB", (8, 8)).save(path, format="PNG")


def _hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["weights"] = [1.0]


def _tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "weights")


def _script(path: Path) -> None:
    _archive({"w/data.pkl": b"\x80\x02N.", "w/constants.pkl": b"\x80\x02).", "w/version": b"3\n"})(path)


def _pipe(path: Path) -> None:
    import os

    os.mkfifo(path)


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("w/data/0", "w", force_zip64=True) as entry:
            for _ in range(3 << 6):
                entry.write(bytes(1 << 24))
        archive.writestr("w/data.pkl", b"\x80\x02N.")


def _declared(path: Path) -> None:
    """The archive's directory says that an entry is larger than anything."""
    _zipped(b"\x80\x02N.")(path)
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = struct.pack("<I", 0xFFFFFFFE)
    path.write_bytes(content)


def _twins(path: Path) -> None:
    _archive({"w/data.pkl": b"\x80\x02N.", "v/data.pkl": b"\x80\x02N."})(path)


def _stretched(path: Path) -> None:
    torch.save({"weight": torch.ones(1).expand(10**13)}, path)


def _beyond(path: Path) -> None:
    """The pickle says that a tensor is larger than its storage."""
    torch.save({"weight": torch.ones(7)}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    (name,) = [name for name in entries if name.endswith("data.pkl")]
    entries[name] = entries[name].replace(b"K\x07\x85", b"M\xff\x7f\x85")
    _archive(entries)(path)


def _embedded() -> bytes:
    from lcrp.models.checkpoint import embedded_checkpoint

    return embedded_checkpoint("yolov5_scenes").read_bytes()


def _cut(share: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = _embedded()
        path.write_bytes(content[: int(share * len(content))])

    return write


def _overwritten(place: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        content = bytearray(_embedded())
        start = int(place * len(content))
        content[start : start + 64] = bytes(64)
        path.write_bytes(content)

    return write


def _saved(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    """Another version of embedded weights."""

    def write(path: Path) -> None:
        content = torch.load(io.BytesIO(_embedded()), weights_only=True)
        torch.save(change(content["model_state"]), path)

    return write


def _each(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, torch.Tensor]], object]:
    return lambda state: {
        key: change(value.float()) if value.is_floating_point() else value for key, value in state.items()
    }


def _reshaped(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value[:, :1] if key == "model.2.cv1.conv.weight" else value for key, value in state.items()}
