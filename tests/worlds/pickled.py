"""Files as training scripts of YOLO pickle them, made from descriptions: classes with the old names, nothing else.

The classes exist while a file is written; none is there when it is read.
"""

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from lcrp.models.yolo.part import Part, Setting
from lcrp.models.yolo.published import convolution, network_part
from lcrp.models.yolo.tables import size_of

TORCH = {
    "Conv2d": "conv",
    "ConvTranspose2d": "conv",
    "BatchNorm2d": "batchnorm",
    "MaxPool2d": "pooling",
    "Upsample": "upsampling",
    "Sequential": "container",
    "ModuleList": "container",
    "Identity": "linear",
    **dict.fromkeys(("SiLU", "ReLU", "LeakyReLU", "Hardswish", "GELU", "Mish", "PReLU"), "activation"),
}
HEADS = ("Detect", "Segment", "SemanticSegment")
CONVOLUTIONS = ("Conv", "DWConv", "Concat")


def home(kind: str, package: str) -> str:
    """Module in which a class lies."""
    if kind in TORCH:
        return f"torch.nn.modules.{TORCH[kind]}"
    if package == "yolov6":
        blocks = {"Model": "models.yolo", "Detect": "models.effidehead", "EfficientRep": "models.efficientrep"}
        return f"yolov6.{blocks.get(kind, 'models.reppan' if kind == 'RepPANNeck' else 'layers.common')}"
    if package == "models":
        return "models.yolo" if kind in (*HEADS, "Model") else "models.common"
    if kind == "DetectionModel":
        return "ultralytics.nn.tasks"
    place = "head" if kind in HEADS else "conv" if kind in CONVOLUTIONS else "block"
    return f"ultralytics.nn.modules.{place}"


@contextmanager
def _classes(names: Mapping[str, str]) -> Iterator[dict[str, type]]:
    """Empty classes of these names in these modules, which exist within the block."""
    made, before = {}, {name: sys.modules.get(name) for name in _packages(names.values())}
    for module in before:
        if not module.startswith("torch"):
            sys.modules[module] = types.ModuleType(module)
    for kind, module in names.items():
        if module.startswith("torch"):
            made[kind] = getattr(sys.modules[module], kind)
        else:
            made[kind] = type(kind, (), {"__module__": module, "__qualname__": kind})
            setattr(sys.modules[module], kind, made[kind])
    try:
        yield made
    finally:
        for module, old in before.items():
            if module.startswith("torch"):
                continue
            if old is None:
                del sys.modules[module]
            else:
                sys.modules[module] = old


def _packages(modules: object) -> set[str]:
    return {".".join(parts[: end + 1]) for one in modules for parts in [one.split(".")] for end in range(len(parts))}  # type: ignore[attr-defined]


def _kinds(part: Part) -> set[str]:
    return {part.kind}.union(*map(_kinds, part.parts.values()))


def _module(part: Part, state: Mapping[str, torch.Tensor], prefix: str, classes: Mapping[str, type]) -> object:
    """An object that pickles as the described module does."""
    own = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
    own = {key: value for key, value in own.items() if "." not in key}
    parameters = {key: nn.Parameter(value) for key, value in own.items() if key in part.parameters}
    made = object.__new__(classes[part.kind])
    made.__dict__.update(
        training=False,
        _parameters=parameters,
        _buffers={key: value for key, value in own.items() if key not in parameters},
        _non_persistent_buffers_set=set(),
        _modules={name: _module(one, state, f"{prefix}{name}.", classes) for name, one in part.parts.items()},
        **{name: list(value) if isinstance(value, tuple) else value for name, value in part.settings.items()},
    )
    return made


def write(
    path: Path,
    part: Part,
    state: Mapping[str, torch.Tensor],
    *,
    package: str = "models",
    names: object = ("a", "b"),
    **attributes: object,
) -> Path:
    """Write the file of a network: its layers, or all of a YOLOv6, the weights, and further attributes."""
    kind = "DetectionModel" if package == "ultralytics" else "Model"
    root = part if part.kind == kind else Part(kind=kind, parts={"model": part})
    with _classes({kind: home(kind, package) for kind in _kinds(root)}) as classes:
        model = _module(root, state, "", classes)
        model.__dict__.update(names=names, **attributes)
        torch.save({"epoch": -1, "model": model, "ema": None}, path)
    return path


def yolov5(num_classes: int = 2) -> Part:
    """The layers of a YOLOv5n as its file describes them."""
    layers = network_part("5u", size_of("5u", "n"), num_classes, "detect")
    convs = [convolution(channels, 3 * (5 + num_classes)) for channels in (64, 128, 256)]
    head = Part(
        kind="Detect",
        settings={"nc": num_classes, "na": 3, "nl": 3, "f": (17, 20, 23), "stride": (8.0, 16.0, 32.0)},
        parts={"m": Part(kind="ModuleList", parts={str(level): one for level, one in enumerate(convs)})},
    )
    return changed(layers, "24", lambda _: head)


def changed(part: Part, path: str, change: object) -> Part:
    """A description with the part at a path, such as '9.cv1.act', changed."""
    first, _, rest = path.partition(".")
    inner = part.parts[first]
    made = changed(inner, rest, change) if rest else change(inner)  # type: ignore[operator]
    return replace(part, parts={**part.parts, first: made})


def everywhere(part: Part, kind: str, change: object) -> Part:
    """A description with all parts of a kind changed."""
    parts = {name: everywhere(one, kind, change) for name, one in part.parts.items()}
    made = replace(part, parts=parts)
    return change(made) if made.kind == kind else made  # type: ignore[operator,no-any-return]


def says(**settings: Setting) -> object:
    """A change: other settings."""
    return lambda part: replace(part, settings={**part.settings, **settings})


def yolov6(network: nn.Module, kind: str = "Model") -> Part:
    """The description of a YOLOv6 of ours, as its file would hold it."""
    names = {"SpatialPyramid": "SimSPPF", "Branch": "Sequential"}
    parts = {name: yolov6(one, type(one).__name__) for name, one in network.named_children() if name != "pools"}
    parts = {name: one for name, one in parts.items() if one.kind != "Concat"}
    if kind == "ConvBlock":
        kind = "SimConv" if parts["act"].kind == "ReLU" else "Conv"
    if kind == "SpatialPyramid":
        settings: dict[str, Setting] = {"kernel_size": 5, "stride": 1, "padding": 2, "dilation": 1}
        parts["m"] = Part(kind="MaxPool2d", settings=settings)
    own = vars(network).items() if type(network).__module__.startswith("torch.") else ()
    plain = {
        name: value
        for name, value in own
        if name[0] != "_" and name != "training" and isinstance(value, int | float | str | tuple)
    }
    return Part(
        kind=names.get(kind, kind),
        settings=plain,
        parts=parts,
        parameters=tuple(name for name, _ in network.named_parameters(recurse=False)),
    )
