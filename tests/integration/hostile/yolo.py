"""Files with the names of YOLO's libraries: pickles that would run something, and networks that cannot be.

Every network is that of a good file, with one thing in its description changed.
"""

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from hostile.case import Command
from hostile.checkpoints import CANARY, REFUSED, SMALL
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.part import Part
from lcrp.models.yolo.published import network_part
from lcrp.models.yolo.tables import size_of

HUGE = 10**9
UNREAD = "cannot be read"
EMPTY = "holds no weights"
BUILT = "cannot be built|cannot be run"
SHAPE = "of another shape"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def called(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def built(thing: bytes, **state: bytes) -> bytes:
    return thing + b"}(" + b"".join(text(key) + value for key, value in state.items()) + b"ub"


TOUCH = text("touch {canary}")
GETATTR = name("__builtin__", "getattr")
MODEL = name("ultralytics.nn.tasks", "DetectionModel")
CONV = name("ultralytics.nn.modules.conv", "Conv")
SPACE = name("ultralytics.utils", "IterableSimpleNamespace")
OBJECT = MODEL + b")\x81"
DICT = b"ccollections\nOrderedDict\n)R"
STORED = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ"
REBUILD = name("torch._utils", "_rebuild_tensor_v2")

# Names beside the listed ones, each called with a command.
FOREIGN = {
    "parse_model of tasks, which evaluates texts": ("ultralytics.nn.tasks", "parse_model"),
    "torch_safe_load of tasks": ("ultralytics.nn.tasks", "torch_safe_load"),
    "attempt_load_weights of tasks": ("ultralytics.nn.tasks", "attempt_load_weights"),
    "ultralytics.YOLO": ("ultralytics", "YOLO"),
    "check_requirements, which installs": ("ultralytics.utils.checks", "check_requirements"),
    "safe_download": ("ultralytics.utils.downloads", "safe_download"),
    "os through a listed module": ("ultralytics.nn.modules.conv", "os.system"),
    "os through contextlib of tasks": ("ultralytics.nn.tasks", "contextlib.os.system"),
    "os through a listed class": ("ultralytics.nn.tasks", "DetectionModel.__init__.__globals__"),
    "subclasses of a listed class": ("ultralytics.nn.modules.conv", "Conv.__subclasses__"),
    "forward of a listed class": ("torch.nn.modules.conv", "Conv2d.forward"),
    "getattr's own self": ("builtins", "getattr.__self__"),
    "eval behind a listed module's name": ("models.yolo", "eval"),
    "attempt_download of experimental": ("models.experimental", "attempt_download"),
    "a class of early releases that is none": ("ultralytics.nn.modules", "os"),
    "vars": ("__builtin__", "vars"),
    "apply of Python 2": ("__builtin__", "apply"),
    "type": ("builtins", "type"),
    "map": ("__builtin__", "map"),
    "a name with a zero byte": ("builtins", "getattr\0"),
    "pathlib's os": ("pathlib", "os.system"),
    "numpy's load": ("numpy.lib.npyio", "load"),
    "numpy's frombuffer": ("numpy.core.multiarray", "frombuffer"),
    "a file of pathlib": ("pathlib", "PosixPath.write_text"),
    "a namespace's update": ("ultralytics.utils", "IterableSimpleNamespace.__init__"),
}

# Programs of listed names alone: stand-ins keep what they are given, and do nothing.
PROGRAMS = {
    "getattr of a text": (called(GETATTR, text("touch"), text("upper")), EMPTY),
    "getattr of getattr's module": (called(GETATTR, GETATTR, text("__self__")), EMPTY),
    "what getattr gives, called": (called(called(GETATTR, GETATTR, text("__self__")), TOUCH), UNREAD),
    "getattr of a class's globals, called": (
        called(called(GETATTR, called(GETATTR, CONV, text("__init__")), text("__globals__")), TOUCH),
        UNREAD,
    ),
    "getattr of subclasses, called": (called(called(GETATTR, CONV, text("__subclasses__"))), UNREAD),
    "getattr of os, by name": (called(GETATTR, called(GETATTR, text("os"), text("system")), TOUCH), EMPTY),
    "a name in letters of another alphabet": (name("ultralytics.nn.t\u0430sks", "DetectionModel"), UNREAD),
    "a layer that is called": (called(OBJECT, TOUCH), UNREAD),
    "a network that is constructed": (called(MODEL, TOUCH), EMPTY),
    "a network with another class": (built(OBJECT, __class__=GETATTR, _modules=DICT), EMPTY),
    "a network with a __setstate__ of its own": (built(OBJECT, __setstate__=GETATTR, __reduce__=GETATTR), EMPTY),
    "a dictionary with another class": (built(DICT, __class__=CONV), EMPTY),
    "a class whose state is set": (built(MODEL, forward=GETATTR), UNREAD),
    "a namespace with attributes of objects": (built(SPACE + b")\x81", __dict__=b"}", __class__=GETATTR), EMPTY),
    "numpy's scalar with a pickle inside": (
        called(name("numpy.core.multiarray", "scalar"), called(name("numpy", "dtype"), text("O8")), TOUCH),
        EMPTY,
    ),
    "numpy's array with objects inside": (
        built(called(name("numpy._core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"K\0"), x=TOUCH),
        EMPTY,
    ),
    "a path that is opened": (called(GETATTR, called(name("pathlib", "PosixPath"), text("{canary}")), TOUCH), EMPTY),
    "a path of Windows": (called(name("pathlib._local", "WindowsPath"), text("{canary}")), EMPTY),
    "a text that no codec encodes": (called(name("_codecs", "encode"), TOUCH, text("os.system")), UNREAD),
    "a tensor whose storage is a text": (called(REBUILD, TOUCH, b"K\0", b"(K\x01t", b"(K\x01t", b"\x89", b"}"), UNREAD),
    "a tensor with negative strides": (
        called(REBUILD, STORED, b"K\0", b"(K\x02t", b"(J\xff\xff\xff\xfft", b"\x89", DICT),
        UNREAD,
    ),
    "modules of a dictionary that holds itself": (b"}q\x01" + text("_modules") + b"h\x01s", EMPTY),
    "tuples that double 60 times": (b"N" + b"q\x01h\x01\x86" * 60, EMPTY),
    "a number of a million digits": (b"\x8b" + struct.pack("<i", 400_000) + b"\x7f" * 400_000, UNREAD),
}


def with_settings(path: str, **settings: object) -> Callable[[Part], Part]:
    def change(layers: Part) -> Part:
        from pickled import changed, says

        return changed(layers, path, says(**settings))  # type: ignore[arg-type]

    return change


def with_part(path: str, **parts: Part | None) -> Callable[[Part], Part]:
    """Other parts of a part; None takes one away."""

    def change(layers: Part) -> Part:
        from pickled import changed

        def inner(part: Part) -> Part:
            joint = {**part.parts, **parts}
            return replace(part, parts={key: one for key, one in joint.items() if one is not None})

        return changed(layers, path, inner) if path else inner(layers)

    return change


def of_kind(path: str, kind: str, **settings: object) -> Callable[[Part], Part]:
    def change(layers: Part) -> Part:
        from pickled import changed

        return changed(layers, path, lambda part: replace(part, kind=kind, settings={**part.settings, **settings}))

    return change


def endless(layers: Part) -> Part:
    """Modules in modules, 40 deep."""
    part = Part(kind="Sequential")
    for _ in range(40):
        part = Part(kind="Sequential", parts={"0": part})
    return with_part("", **{"2": part})(layers)


def many_layers(layers: Part) -> Part:
    conv = Part(kind="Identity")
    return Part(kind="Sequential", parts={str(number): conv for number in range(15_000)} | {"x": layers.parts["22"]})


NAN, INF = float("nan"), float("inf")
BRANCH = "22.cv2.0.2"
NETWORKS: dict[str, tuple[Callable[[Part], Part], str]] = {
    "a pyramid that pools 10^9 times": (with_settings("9", n=HUGE), "SPPF pools 1000000000 times"),
    "a pyramid that pools -1 times": (with_settings("9", n=-1), "SPPF pools -1 times"),
    "a pool of 10,000 pixels": (with_settings("9.m", kernel_size=10_001, padding=5000), "no number of pixels"),
    "a pool that does not keep the size": (with_settings("9.m", stride=2), BUILT),
    "a convolution of 10^6 channels": (with_settings("0.conv", out_channels=10**6), BUILT),
    "a convolution of 10^6 channels and its norm": (
        lambda part: with_settings("21.cv2.bn", num_features=10**6)(
            with_settings("21.cv2.conv", out_channels=10**6)(part)
        ),
        f"{BUILT}|{SHAPE}",
    ),
    "a convolution of -1 channels": (with_settings("0.conv", out_channels=-1), BUILT),
    "a convolution of 10^400 channels": (with_settings("0.conv", out_channels=10**400), "no number of this kind"),
    "a kernel of 10^4": (with_settings("1.conv", kernel_size=(10**4, 10**4)), "no number of pixels"),
    "a kernel of 0": (with_settings("1.conv", kernel_size=(0, 0)), f"{BUILT}|{SHAPE}"),
    "a kernel in words": (with_settings("1.conv", kernel_size="3"), "'kernel_size' is '3', and no number of pixels"),
    "a negative stride": (with_settings("1.conv", stride=(-2, -2)), "no number of pixels"),
    "a stride of 0": (with_settings("1.conv", stride=(0, 0)), BUILT),
    "a stride that is not its head's": (with_settings("1.conv", stride=(1, 1)), BUILT + "|strides are"),
    "a padding in words": (with_settings("1.conv", padding="same"), "'padding' is 'same', and no number of pixels"),
    "a padding by reflection": (with_settings("1.conv", padding_mode="reflect"), "pads by 'reflect'"),
    "a dilation of 10^6": (with_settings("1.conv", dilation=(10**6, 1)), "no number of pixels"),
    "groups of 0": (with_settings("1.conv", groups=0), BUILT),
    "groups that do not divide": (with_settings("1.conv", groups=7), BUILT),
    "groups in words": (with_settings("1.conv", groups="all"), "'groups' is 'all', and no number"),
    "groups that are no number": (with_settings("1.conv", groups=NAN), "no number of this kind"),
    "a norm whose epsilon is NaN": (with_settings("1.bn", eps=NAN), "'eps' is nan"),
    "a norm whose epsilon is negative": (with_settings("1.bn", eps=-1.0), "no small number"),
    "a norm of 0 channels": (with_settings("1.bn", num_features=0), BUILT + "|" + SHAPE),
    "an activation that is none": (of_kind("1.act", "PReLU"), "the block PReLU is not known here"),
    "a slope that is infinite": (of_kind("1.act", "LeakyReLU", negative_slope=INF), "no number of this kind"),
    "a slope in words": (of_kind("1.act", "LeakyReLU", negative_slope="0.1"), "'negative_slope' is '0.1'"),
    "a sum in words": (with_settings("2.m.0", add="False"), "'add' is 'False', and neither true nor false"),
    "a block that is not known": (of_kind("2", "GhostBottleneck"), "the block GhostBottleneck is not known here"),
    "a block without its parts": (of_kind("2", "C2PSA"), BUILT),
    "a block's list that is a chain": (of_kind("2.m", "Sequential"), "has no list of blocks"),
    "layers in 40 others": (endless, "nested without end"),
    "15,000 layers": (many_layers, "more than 10000"),
    "no layers": (lambda part: replace(part, parts={}), "has no layers|holds no weights"),
    "layers that are no list": (lambda part: replace(part, kind="ModuleList"), "holds no list of layers"),
    "a head that is missing": (with_part("", **{"22": None}), "none of the heads"),
    "a head in the middle": (lambda part: with_part("", **{"5": part.parts["22"]})(part), "reads layer 15, which"),
    "a layer that reads itself": (with_settings("2", f=2), "reads layer 2, which is not there"),
    "a layer that reads a later one": (with_settings("2", f=9), "reads layer 9, which is not there"),
    "a layer that reads before the picture": (with_settings("2", f=-9), "reads layer -9, which is not there"),
    "a layer that reads a text": (with_settings("2", f="last"), "reads layer 'last', which is not there"),
    "a layer that reads nothing": (with_settings("2", f=()), BUILT),
    "a join of 10^6 layers": (with_settings("11", f=(-1,) * 10**6), "reads 1000000 layers"),
    "a join along another axis": (with_settings("11", d=2), "joins along axis 2"),
    "a join along axis 10^9": (with_settings("11", d=HUGE), "joins along axis 1000000000"),
    "resizing by 0": (with_settings("10", scale_factor=0.0), BUILT),
    "resizing by 10^6": (with_settings("10", scale_factor=1e6), BUILT),
    "resizing by NaN": (with_settings("10", scale_factor=NAN), "no number of this kind"),
    "resizing to a size": (with_settings("10", size=10**6), "only factors are known"),
    "resizing in a way that is none": (with_settings("10", mode="magic"), "'mode' is 'magic'; known are"),
    "10^9 classes": (with_settings("22", nc=HUGE), "its head says that there are 1000000000 classes"),
    "classes in words": (with_settings("22", nc="three"), "'nc' is 'three', and no number"),
    "a megabyte of words": (with_settings("22", nc="x" * 10**6), "xxx..., and no number"),
    "words with line breaks": (with_settings("22", nc="a\nb\rc"), r"'a\nb\rc', and no number"),
    "other classes than weights": (with_settings("22", nc=5), "there are 5 classes, but makes 3"),
    "10^6 bins of a distance": (with_settings("22", reg_max=10**6), "its 'dfl' has other bins"),
    "no bins of a distance": (with_settings("22", reg_max=0), BUILT),
    "distances of other bins": (with_settings("22.dfl.conv", in_channels=4), "its 'dfl' has other bins"),
    "distances of one bin": (with_settings("22.dfl.conv", in_channels=1), "its 'dfl' has other bins"),
    "distances without bins": (with_part("22", dfl=None), BUILT),
    "a branch that is missing": (with_part("22", cv3=None), BUILT),
    "a branch of two levels": (with_part("22.cv2", **{"2": None}), BUILT),
    "a branch of other channels": (with_settings(BRANCH, out_channels=7), BUILT),
    "strides of 0": (with_settings("22", stride=(0.0, 0.0, 0.0)), "the network was never run"),
    "strides of NaN": (with_settings("22", stride=(8.0, NAN, 32.0)), "the network was never run"),
    "strides without end": (with_settings("22", stride=(8.0, 16.0, INF)), "the network was never run"),
    "strides below 0": (with_settings("22", stride=(-8.0, 16.0, 32.0)), "the network was never run"),
    "strides in words": (with_settings("22", stride=("8", "16", "32")), "the network was never run"),
    "strides of other layers": (with_settings("22", stride=(4.0, 8.0, 16.0)), "strides are (4, 8, 16), but its layers"),
    "two strides": (with_settings("22", stride=(8.0, 16.0)), BUILT),
    "attention without heads": (with_settings("10.m.0.attn", num_heads=0), BUILT),
    "attention of 10^9 heads": (with_settings("10.m.0.attn", num_heads=HUGE), BUILT),
    "attention of other heads": (with_settings("10.m.0.attn", num_heads=3), BUILT),
    "attention whose scale is NaN": (with_settings("10.m.0.attn", scale=NAN), "no number of this kind"),
    "areas of 0": (with_settings("6.m.0.0.attn", area=0), BUILT),
    "areas of 7": (with_settings("6.m.0.0.attn", area=7), BUILT),
}
VERSIONS = {"attention": "11", "areas": "12"}  # by the first word


@cache
def good(version: str) -> tuple[Part, dict[str, torch.Tensor]]:
    """A good file's description and weights."""
    part = network_part(version, size_of(version, "n"), 3, "detect")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = YOLO(part).half().state_dict()
    return part, state


def of_network(change: Callable[[Part], Part], version: str = "8", **options: object) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        import pickled

        part, state = good(version)
        names = options.get("names", {0: "a", 1: "b", 2: "c"})
        changed = options.get("state", lambda state: state)(state)  # type: ignore[operator]
        pickled.write(path, change(part), changed, package="ultralytics", names=names)

    return write


def of_program(program: bytes) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        import zipfile

        filled = program
        canary = str(path.with_name(CANARY))
        for template in (TOUCH, text("{canary}")):
            inner = template[5:].decode().replace("{canary}", canary)
            filled = filled.replace(template, text(inner))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("best/data.pkl", b"\x80\x02}" + text("model") + filled + b"s.")
            archive.writestr("best/data/0", bytes(4))
            archive.writestr("best/version", b"3\n")

    return write


def damaged(change: Callable[[bytearray], bytes]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        of_network(_same)(path)
        path.write_bytes(change(bytearray(path.read_bytes())))

    return write


def overwritten(content: bytearray, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    return bytes(content).replace(old, new, 1)


def cases() -> list[Command]:
    """All of them."""
    return [
        *(_command(f"{one}, called", of_program(called(name(*path), TOUCH)), REFUSED) for one, path in FOREIGN.items()),
        *(_command(one, of_program(program), error) for one, (program, error) in PROGRAMS.items()),
        *(
            _command(one, of_network(change, VERSIONS.get(one.split()[0], "8")), error)
            for one, (change, error) in NETWORKS.items()
        ),
        _command("names of a million classes", of_network(_same, names=["a"] * 10**6), "1000000 class names"),
        _command("names of two classes for three", of_network(_same, names=["a", "b"]), "2 class names are known"),
        _command("a weight that is NaN", of_network(_same, state=_with_nan), "holds NaN or infinity"),
        _command(
            "a weight that is missing", of_network(_same, state=_without_last), "missing: 'model.3.bn.running_mean'"
        ),
        *(
            _command(f"a download that ended at {share:.0%}", damaged(_cut(share)), "damaged or cut short")
            for share in (0.1, 0.5, 0.99)
        ),
        _command("a page in its place", damaged(lambda _: b"<!DOCTYPE html>"), "is a web page"),
        _command(
            "another magic number",
            damaged(lambda content: overwritten(content, b"PK\x03\x04", b"PX\x03\x04")),
            "damaged|is no checkpoint|cannot be read",
        ),
        _command(
            "a class renamed in the file",
            damaged(lambda content: overwritten(content, b"block\nC2f\n", b"block\neval")),
            "fails its checksum",
        ),
    ]


def _same(part: Part) -> Part:
    return part


def _cut(share: float) -> Callable[[bytearray], bytes]:
    return lambda content: bytes(content[: int(share * len(content))])


def _command(title: str, write: Callable[[Path], object], error: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        write(folder / "best.pt")
        return ["model=yolo", "model.checkpoint=best.pt", "statistics.num_samples=1", *SMALL]

    return Command(name=f"YOLO: {title}", prepare=prepare, error=error)


def _with_nan(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value * NAN if key == "model.3.conv.weight" else value for key, value in state.items()}


def _without_last(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key != "model.3.bn.running_mean"}
