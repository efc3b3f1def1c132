"""What a file's modules say beside their tensors, obeyed by a network that was built from the tensors' shapes.

Shapes tell how large a network is, not what it does with its weights: activations, the epsilon of BatchNorm, residual
sums, pools and resizing are the modules' own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import nn

from lcrp.errors import CheckpointError
from lcrp.models.layers import Concat, ConvBlock, SpatialPyramid
from lcrp.models.yolo.build import ACTIVATIONS, build, eps_of
from lcrp.models.yolo.part import Part

MAX_LISTED = 3
MEND = "Only networks of the published layout are built: docs/how-to/own_network.md"
_UNLIKE = "the file's network is not the one that its weights are published with: "
_GEOMETRY = ("kernel_size", "stride", "padding", "dilation")
_NAMES: Mapping[type, tuple[str, ...]] = {  # of classes in files, where they are not our own
    ConvBlock: ("Conv", "SimConv"),
    SpatialPyramid: ("SPPF", "SimSPPF"),
    nn.BatchNorm2d: ("BatchNorm2d", "SyncBatchNorm"),
    nn.Upsample: ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"),
}
_ACTIVATIONS = (nn.SiLU, nn.ReLU)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a file says that shapes do not.

    Attributes:
        unlike: that cannot be obeyed, in words.
        unusual: that is obeyed and differs from the published networks, in words.
        changes: make a network obey.
    """

    unlike: list[str] = field(default_factory=list)
    unusual: list[str] = field(default_factory=list)
    changes: list[Callable[[], object]] = field(default_factory=list)


def obey(network: nn.Module, part: Part, also: Iterable[str] = ()) -> tuple[str, ...]:
    """Make a network do what its file's modules say.

    Args:
        network: of the published layout; its parts have the names of the file's.
        part: the file's description of it.
        also: what else is unlike the published layout, in words.

    Returns:
        What is not as published, in words.

    Raises:
        CheckpointError: the file says what cannot be obeyed; the network is not touched.
    """
    said = Said()
    for name, own in _parts(network):
        _follow(said, network, own, part.parts.get(name), name)
    said.unlike.extend(also)
    if said.unlike:
        more = len(said.unlike) - MAX_LISTED
        listed = ", ".join(said.unlike[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
        raise CheckpointError(f"{_UNLIKE}{listed}", mend=MEND)
    for change in said.changes:
        change()
    return tuple(f"{count} x {words}" if count > 1 else words for words, count in Counter(said.unusual).items())


def innermost(part: Part, path: str) -> Part:
    """The description of the network in one of its wrappers: the first that has parts at a path."""
    for _ in range(4):
        found: Part | None = part
        for name in path.split("."):
            found = None if found is None else found.parts.get(name)
        if found is not None or len(part.parts) != 1:
            break
        part = next(iter(part.parts.values()))
    return part


def _parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules in a module that files have, too."""
    is_list = isinstance(module, nn.Sequential | nn.ModuleList)
    for name, one in module.named_children():
        if is_list or not (isinstance(one, Concat) or name == "pools"):
            yield name, one


def _follow(said: Said, parent: nn.Module, own: nn.Module, part: Part | None, place: str) -> None:
    """Note what a part of a file says of a module and of those in it."""
    if part is None:
        said.unlike.append(f"it has no '{place}'")
        return
    try:
        _note(said, parent, own, part, place)
    except CheckpointError as error:
        said.unlike.append(f"'{place}': {error}")


def _note(said: Said, parent: nn.Module, own: nn.Module, part: Part, place: str) -> None:
    name = place.rpartition(".")[2]
    if isinstance(own, _ACTIVATIONS):
        _follow_activation(said, parent, own, part, place)
        return
    names = _NAMES.get(type(own), (type(own).__name__,))
    bases = [one.__name__ for one in type(own).__mro__ if one in (nn.Sequential, nn.ModuleList)]
    if part.kind not in (*names, *bases):
        said.unlike.append(f"'{place}' is {part.kind} and not {names[0]}")
        return
    if isinstance(own, nn.Conv2d | nn.ConvTranspose2d):
        said.unlike.extend(f"'{place}' has {words}" for words in _geometry(own, part))
    elif isinstance(own, nn.BatchNorm2d):
        _follow_norm(said, own, part)
    elif isinstance(own, nn.Upsample):
        _follow_upsampling(said, parent, own, part, name)
    elif isinstance(own, Concat) and part.count("d", 1) != 1:
        said.unlike.append(f"'{place}' joins along axis {part.count('d', 1)} and not along channels")
    elif isinstance(own, SpatialPyramid):
        _follow_pools(said, own, part, place)
    elif hasattr(own, "shortcut"):
        _follow_sum(said, own, part)
    children = dict(_parts(own))
    for child, module in children.items():
        _follow(said, own, module, part.parts.get(child), f"{place}.{child}")
    known = {*children, *(["m"] if isinstance(own, SpatialPyramid) else [])}
    extra = {child: one.kind for child, one in part.parts.items() if child not in known and one.kind != "Identity"}
    said.unlike.extend(f"'{place}' has a part '{child}' ({kind})" for child, kind in extra.items())


def _follow_activation(said: Said, parent: nn.Module, own: nn.Module, part: Part, place: str) -> None:
    if part.kind not in ACTIVATIONS:
        said.unlike.append(f"'{place}' is {part.kind}, and known are {', '.join(ACTIVATIONS)}")
        return
    found = build(part)
    said.changes.append(lambda: parent.add_module(place.rpartition(".")[2], found))
    if repr(found) != repr(own):
        said.unusual.append(f"{found} in place of {own}")


def _follow_norm(said: Said, own: nn.BatchNorm2d, part: Part) -> None:
    eps = eps_of(part)
    said.changes.append(lambda: setattr(own, "eps", eps))
    if eps != own.eps:
        said.unusual.append(f"BatchNorm of eps {eps:g} in place of {own.eps:g}")


def _follow_upsampling(said: Said, parent: nn.Module, own: nn.Upsample, part: Part, name: str) -> None:
    found = build(part)
    assert isinstance(found, nn.Upsample)
    if found.scale_factor != own.scale_factor:
        said.unlike.append(f"Upsample by {found.scale_factor} and not {own.scale_factor}")
    said.changes.append(lambda: parent.add_module(name, found))
    if (found.mode, found.align_corners) != (own.mode, own.align_corners):
        said.unusual.append(f"{found} in place of {own}")


def _follow_pools(said: Said, own: SpatialPyramid, part: Part, place: str) -> None:
    pool = part.parts.get("m")
    if pool is None or pool.kind != "MaxPool2d":
        said.unlike.append(f"'{place}' has no MaxPool2d 'm'")
        return
    found = [build(pool) for _ in own.pools]
    kernel, stride, padding, dilation = (pool.pair(name) for name in _GEOMETRY)
    if stride != (1, 1) or any(2 * p != d * (k - 1) for k, p, d in zip(kernel, padding, dilation, strict=True)):
        said.unlike.append(f"'{place}' pools by {found[0]}, which does not keep the size")
    said.changes.append(lambda: setattr(own, "pools", nn.ModuleList(found)))
    if kernel != (5, 5) or dilation != (1, 1):
        said.unusual.append(f"pools of {kernel[0]}x{kernel[1]} in place of 5x5")


def _follow_sum(said: Said, own: nn.Module, part: Part) -> None:
    given = part.switch("add", default=bool(own.shortcut))
    if given != own.shortcut:
        said.unusual.append(f"{part.kind} {'with' if given else 'without'} a residual sum")
    said.changes.append(lambda: setattr(own, "shortcut", given))


def _geometry(own: nn.Conv2d | nn.ConvTranspose2d, part: Part) -> Iterator[str]:
    for name in _GEOMETRY:
        if part.pair(name) != getattr(own, name):
            yield f"{name} {part.pair(name)} and not {getattr(own, name)}"
    if part.count("groups", 1) != own.groups:
        yield f"groups {part.count('groups', 1)} and not {own.groups}"
    if part.settings.get("padding_mode", "zeros") != own.padding_mode:
        yield f"padding_mode {part.settings['padding_mode']} and not {own.padding_mode}"
    if ("bias" in part.parameters) != (own.bias is not None):
        yield f"{'a' if own.bias is None else 'no'} bias"
