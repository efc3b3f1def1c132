"""YOLOv8, YOLO11, YOLO26 and their relatives: from settings or a file to a network.

A file of the library says of every module what it is made of, and is obeyed. A state dict does not: tables of the
published networks say it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from torch import Tensor

from lcrp.errors import CheckpointError, ConfigError, one_of, refuse
from lcrp.models.checkpoint import Checkpoint, check_fit
from lcrp.models.fitted import Fitted
from lcrp.models.layers import depth_of
from lcrp.models.recognition import FAMILIES, check_family, looks_like, num_blocks
from lcrp.models.unpickling import Inert
from lcrp.models.yolo.build import PIXEL_HEADS, UNUSED
from lcrp.models.yolo.heads import Head
from lcrp.models.yolo.network import YOLO
from lcrp.models.yolo.part import Part, described
from lcrp.models.yolo.published import network_part
from lcrp.models.yolo.sketch import sketch
from lcrp.models.yolo.tables import VERSIONS, Size, size_of

Task = Literal["detect", "segment", "semantic"]
BODY = "model."  # before every key
GREATEST_STRIDE, MAX_SIDE = 32, 8192  # pixels
_SEMANTIC = "semantic"
_UNUSED = tuple(f".{name}." for name in UNUSED)


class Family:
    """Builds networks of the family."""

    __name__ = "YOLO"
    mend = (
        "Give the file that the library wrote; a state dict alone does not say of what other than published networks."
    )

    def __call__(
        self,
        *,
        num_classes: int,
        version: str = "11",
        scale: str = "n",
        task: Task = "detect",
        head: Head | None = None,
    ) -> YOLO:
        """A fresh network of the published layout.

        Args:
            num_classes: K.
            version: 5u, 8, 10, 11, 12 or 26.
            scale: n, s, m, l or x.
            task: boxes, boxes with masks, or classes of pixels.
            head: which head answers; None for the one-to-one head where there is one.

        Raises:
            ConfigError: there is no such network.
        """
        refuse([*one_of("model.network.task", task, get_args(Task)), *_head_problems(head)])
        part = network_part(str(version), size_of(str(version), scale), num_classes, task)
        return YOLO(part, head)

    def fitted(self, checkpoint: Checkpoint) -> Fitted:
        """The network that a file describes, or that a state dict belongs to.

        Raises:
            CheckpointError: it is of another family, or has a block that is not known here.
        """
        other = looks_like(checkpoint.state)
        if FAMILIES.get(other, "yolo") != "yolo":
            check_family(checkpoint.state, "YOLO", "YOLOv8 or newer")
        part = _described(checkpoint) or _from_keys(checkpoint)
        last = list(part.parts.values())[-1]
        state = {key: value for key, value in checkpoint.state.items() if not any(one in key for one in _UNUSED)}
        used = replace(checkpoint, state=state)

        def build(*, head: Head | None = None, task: Task = "detect", **_: Any) -> YOLO:
            refuse(_head_problems(head))
            if (task == _SEMANTIC) != (last.kind in PIXEL_HEADS):
                right = _SEMANTIC if last.kind in PIXEL_HEADS else "detect"
                raise ConfigError(
                    f"model.network.task={task} is not what '{checkpoint.path.name}' was trained for; "
                    f"write model.network.task={right}"
                )
            return YOLO(part, head)

        try:
            check_fit(sketch(part), used)
        except CheckpointError as error:
            told = str(error) if checkpoint.path.name in str(error) else f"checkpoint '{checkpoint.path}': {error}"
            raise CheckpointError(told, mend="" if checkpoint.module else self.mend) from error
        arguments = {"num_classes": last.count("nc"), "layers": part.sha256(), "version": None, "scale": None}
        return Fitted(checkpoint=used, arguments=arguments, build=build, side=trained_side(checkpoint.module))


yolo = Family()


def trained_side(module: Inert | None) -> int | None:
    """Pixels of the square pictures that a network was trained with, if its file tells; the library predicts with them.

    A multiple of the greatest stride, as the library rounds it.
    """
    content = module.content if module is not None else None
    written = content.get("args") if isinstance(content, dict) else None
    settings = written.content if isinstance(written, Inert) else written
    side = settings.get("imgsz") if isinstance(settings, dict) else None
    if not isinstance(side, int) or not 0 < side <= MAX_SIDE:
        return None
    return -(-side // GREATEST_STRIDE) * GREATEST_STRIDE


def _head_problems(head: str | None) -> list[str]:
    return [] if head is None else list(one_of("model.head", head, get_args(Head)))


def _described(checkpoint: Checkpoint) -> Part | None:
    """The layers as the file describes them; None if it holds tensors alone."""
    if checkpoint.module is None:
        return None
    found = described(checkpoint.module).parts.get("model")
    if found is None or found.kind != "Sequential":
        raise CheckpointError(f"checkpoint '{checkpoint.path}' holds no list of layers")
    return found


def _from_keys(checkpoint: Checkpoint) -> Part:
    """The layers of the published network to which a state dict belongs.

    Raises:
        CheckpointError: it belongs to none.
    """
    state = checkpoint.state
    found = told(state)
    if found is None:
        first = ", ".join(f"'{key}'" for key in list(state)[:3])
        raise CheckpointError(
            f"checkpoint '{checkpoint.path}' holds no network of YOLO {', '.join(VERSIONS)}: its first keys are {first}"
        )
    return network_part(found.version, found.size, found.num_classes, found.task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What keys and shapes tell of a published network."""

    version: str
    size: Size
    num_classes: int
    task: Task


def told(state: Mapping[str, Tensor]) -> Told | None:
    """Which published network a state dict belongs to, by its keys and shapes; None if to none of them."""
    numbers = (key.split(".")[1] for key in state if key.startswith(BODY))
    last = max((int(one) for one in numbers if one.isdecimal() and len(one) < 4), default=-1)
    version = _version(state, last)
    widths = [_channels(state, f"{BODY}{layer}.conv.weight") for layer in (0, 1)]
    deepest = _channels(state, f"{BODY}7.conv.weight") or _channels(state, f"{BODY}7.cv1.conv.weight")
    classes = next(
        (
            one
            for name in ("cv3.0.2", "one2one_cv3.0.2", "classifier.1")
            if (one := _channels(state, f"{BODY}{last}.{name}.weight"))
        ),
        None,
    )
    if version is None or not all(widths) or deepest is None or classes is None:
        return None
    width = (widths[1] or 0) / 128
    blocks = [(number, row) for number, row in enumerate(VERSIONS[version].rows) if row.repeats > 1 and number < last]
    found = [(row.repeats, num_blocks(state, f"{BODY}{number}.m.")) for number, row in blocks]
    depth = depth_of(found)
    if depth is None:
        return None
    size = Size(depth=depth, width=width, most=min(1024, round(deepest / width)))
    head = f"{BODY}{last}."
    task: Task = "detect"
    if f"{head}classifier.1.weight" in state:
        task = "semantic"
    elif any(key.startswith(f"{head}proto.") for key in state):
        task = "segment"
    return Told(version=version, size=size, num_classes=classes, task=task)


def _version(state: Mapping[str, Tensor], last: int) -> str | None:
    head = f"{BODY}{last}."
    has_dfl = f"{head}dfl.conv.weight" in state
    if last == 24 and has_dfl:
        return "5u"
    if last == 22 and has_dfl:
        return "8"
    if last == 21 and has_dfl:
        return "12"
    if last == 17 and f"{head}classifier.1.weight" in state:
        return "26"
    if last == 23 and has_dfl:
        return "10" if f"{BODY}5.cv1.conv.weight" in state else "11"
    return "26" if last == 23 and f"{head}one2one_cv2.0.2.weight" in state else None


def _channels(state: Mapping[str, Tensor], key: str) -> int | None:
    return state[key].shape[0] if key in state and state[key].ndim and len(state[key]) else None
