"""Networks of libraries, as they are, behind the forward pass that lcrp expects.

Axes: B batch, D detection, R row of class logits, K class, L column of logits, H W picture.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from lcrp.errors import ConfigError
from lcrp.models.origin import Scored, ScoresSeen, rows_of
from lcrp.values.prediction import KeptBoxes, KeptOutput, OwnSelection, at_least_float32
from lcrp.values.query_masks import QueryMasks

log = logging.getLogger(__name__)


class Reader(Protocol):
    """Runs a library's network and makes of what it returns what lcrp reads."""

    @property
    def takes_one(self) -> bool:
        """Whether pictures go through the network one by one."""
        ...

    def read(self, library: nn.Module, x: Tensor) -> Tensor | KeptOutput | QueryMasks:
        """Logits [B, K, H, W], kept boxes, or classes and masks of queries, of pictures [B, 3, H, W]."""
        ...


@runtime_checkable
class Openable(Protocol):
    """A reader that can leave out the library's own selection of boxes."""

    def opened(self, least: float) -> Reader:
        """The same without selection: every box of a class with a score above `least`."""
        ...


@contextmanager
def opened(network: nn.Module, least: float) -> Iterator[bool]:
    """Within the block a library's detector gives all boxes with a score above `least`, as if it selected none.

    Args:
        network: any.
        least: score.

    Yields:
        Whether it does; networks that leave the selection to others, or whose own selection is not known, are as ever.
    """
    if not isinstance(network, LibraryNetwork) or not isinstance(network.reader, Openable):
        yield False
        return
    before = network.reader
    network.reader = before.opened(least)
    try:
        yield True
    finally:
        network.reader = before


class LibraryNetwork(nn.Module):
    """A library's network whose modules have the same names here: it is the same network, with another forward.

    Args:
        library: the network; its modules, parameters and buffers are shared, not copied.
        reader: runs it.
        tokens: shell patterns of layers whose outputs are tokens that have places, so that they show concepts as
            convolutions do.
    """

    def __init__(self, library: nn.Module, reader: Reader, *, tokens: Sequence[str] = ()) -> None:
        super().__init__()
        self._parameters, self._buffers = library._parameters, library._buffers
        self._modules = library._modules
        self._library = (library,)  # no module of this one, or names would have a prefix
        self.reader = reader
        self._tokens = tuple(tokens)

    @property
    def library(self) -> nn.Module:
        """The library's own object."""
        return self._library[0]

    @property
    def token_layers(self) -> frozenset[str]:
        """Names of layers whose outputs are tokens that have places."""
        names = [name for name, _ in self.named_modules()]
        return frozenset(name for name in names if any(fnmatchcase(name, pattern) for pattern in self._tokens))

    @property
    def takes_one_picture(self) -> bool:
        """Whether pictures go through the network one by one when they are explained."""
        return self.reader.takes_one

    def forward(self, x: Tensor) -> Tensor | KeptOutput | QueryMasks:
        """What the reader makes of pictures [B, 3, H, W]."""
        was_training, self.library.training = self.library.training, self.training
        try:
            return self.reader.read(self.library, x)
        finally:
            self.library.training = was_training


def library_of(network: nn.Module) -> nn.Module:
    """The library's own object that a network stands for; the network itself if it is none of a library."""
    return network.library if isinstance(network, LibraryNetwork) else network


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterReader:
    """Reads segmenters that return {'out': logits [B, K, H, W], ...} of normalised pictures."""

    takes_one: bool = False

    def read(self, library: nn.Module, x: Tensor) -> Tensor:
        """Logits [B, K, H, W]."""
        logits: Tensor = library.forward(x)["out"]
        return logits


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorReader:
    """Reads detectors that take a list of pictures in [0, 1] and select their boxes themselves.

    They return [{'boxes': [D, 4], 'labels': [D], 'scores': [D], ...}], have a backbone, and roi_heads if they classify
    proposals. Boxes, labels and scores are those of their own forward pass, thresholds and NMS. Pictures go through one
    by one, so that nothing of a picture lies beside parts of another.

    Attributes:
        num_columns: L of the class logits.
        columns: that of every class; index = class id. Detections of other columns are left out.
        told: columns of which it was said that they are.
        least: score above which every box is given, without NMS and bounds; None for the library's own selection.
    """

    num_columns: int
    columns: tuple[int, ...]
    takes_one: bool = True
    told: set[int] = field(default_factory=set, compare=False, repr=False)
    least: float | None = None

    def __post_init__(self) -> None:
        wrong = [column for column in self.columns if not 0 <= column < self.num_columns]
        if wrong:
            raise ConfigError(f"class column {wrong[0]} does not exist: there are 0 to {self.num_columns - 1}")

    def read(self, library: nn.Module, x: Tensor) -> KeptOutput:
        """What is kept of pictures [B, 3, H, W].

        Raises:
            ConfigError: they are in bfloat16, or a score cannot be traced back to a logit.
        """
        if x.dtype == torch.bfloat16:
            raise ConfigError(f"{type(library).__name__} has no NMS in bfloat16: explain it in float32")
        selecting = getattr(library, "roi_heads", library)
        with _unselective(selecting, self.least):
            pictures = tuple(self._kept(library, x[row]) for row in range(len(x)))
        return KeptOutput(pictures=pictures, selection=_selection(selecting))

    def opened(self, least: float) -> "DetectorReader":
        """The same without selection: every box of a class with a score above `least`."""
        return replace(self, least=least)

    def _kept(self, library: nn.Module, picture: Tensor) -> KeptBoxes:
        """What is kept of one picture [3, H, W]."""
        seen, proposed = ScoresSeen(self.num_columns), _Proposed()
        with seen, _watched(library, seen, proposed):
            (found,) = library.forward([picture])
        labels: Tensor = found["labels"].detach()
        columns = torch.tensor(self.columns, device=labels.device)
        class_ids = torch.full((self.num_columns,), -1, device=labels.device)
        class_ids[columns] = torch.arange(len(columns), device=labels.device)
        is_named = class_ids[labels] >= 0
        self._tell_unnamed(labels[~is_named])
        with torch._C.DisableTorchFunction():  # what is read off it is no part of the decision
            rows = rows_of(found["scores"], labels, seen.noted)
            probabilities = [at_least_float32(one.probabilities.detach()).flatten(0, -2) for one in seen.noted]
            boxes, scores = found["boxes"].detach(), found["scores"].detach()
            places = proposed.in_picture(picture.shape[-2:])
        return KeptBoxes(
            boxes=boxes[is_named],
            class_ids=class_ids[labels[is_named]],
            scores=scores[is_named],
            rows=rows.to(labels.device)[is_named],
            logits=_all_logits(library, seen.noted),
            columns=columns,
            probabilities=torch.cat(probabilities)[:, columns],
            places=places,
            num_unnamed=int((~is_named).sum()),
        )

    def _tell_unnamed(self, labels: Tensor) -> None:
        """Say, once for each column, that detections are left out since their class has no name."""
        new = sorted(set(labels.tolist()) - self.told)
        if new:
            listed = ", ".join(map(str, new))
            log.warning("detections of classes without a name are left out: columns %s of the class logits", listed)
            self.told.update(new)


_OPEN = {"nms_thresh": 2.0, "detections_per_img": 1 << 40, "topk_candidates": 1 << 40}


def _selection(selecting: nn.Module) -> OwnSelection:
    """How a module of the library selects."""
    found = (getattr(selecting, name, None) for name in ("score_thresh", "nms_thresh", "detections_per_img"))
    confidence, iou, limit = found
    return OwnSelection(confidence=confidence, iou=iou, max_detections=limit)


@contextmanager
def _unselective(selecting: nn.Module, least: float | None) -> Iterator[None]:
    """Within the block a module of the library drops nothing above a score; None changes nothing."""
    wanted = {"score_thresh": least, **_OPEN}
    before = {} if least is None else {name: getattr(selecting, name) for name in wanted if hasattr(selecting, name)}
    try:
        for name in before:
            setattr(selecting, name, wanted[name])
        yield
    finally:
        for name, value in before.items():
            setattr(selecting, name, value)


def _all_logits(library: nn.Module, noted: Sequence[Scored]) -> Tensor:
    """All class logits [R, L]; R is the same for every picture of one size."""
    logits = torch.cat([one.logits.flatten(0, -2) for one in noted])
    proposals = getattr(getattr(library, "rpn", None), "post_nms_top_n", None)
    missing = 0 if proposals is None else proposals() - len(logits)
    return pad(logits, (0, 0, 0, missing)) if missing > 0 else logits


@contextmanager
def _watched(library: nn.Module, seen: ScoresSeen, proposed: "_Proposed") -> Iterator[None]:
    """Within the block scores are noted once all features are there, and proposals, too."""

    def begin(module: nn.Module, *values: object) -> None:  # noqa: ARG001
        seen.is_noting = True

    heads = getattr(library, "roi_heads", None)
    if heads is None:
        handles = [library.get_submodule("backbone").register_forward_hook(begin)]
    else:
        handles = [heads.register_forward_pre_hook(begin), heads.register_forward_pre_hook(proposed.note)]
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


class _Proposed:
    """The proposals of a two-stage detector, and the size of the picture that they lie in."""

    def __init__(self) -> None:
        self._boxes: Tensor | None = None
        self._size = (1, 1)

    def note(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:  # noqa: ARG002
        """Called before proposals are classified, with (features, proposals, sizes, ...)."""
        (self._boxes,), (self._size,) = inputs[1], inputs[2]

    def in_picture(self, size: Sequence[int]) -> Tensor | None:
        """The proposals [M, 4] in a picture of `size` (height, width), detached; None if there was nothing to note."""
        if self._boxes is None:
            return None
        vertical, horizontal = (full / resized for full, resized in zip(size, self._size, strict=True))
        return self._boxes.detach() * self._boxes.new_tensor([horizontal, vertical] * 2)


def num_columns_of(library: nn.Module) -> int:
    """Columns of a detector's class logits, the background included.

    Raises:
        ConfigError: the detector is built in another way than torchvision's.
    """
    for read in _COLUMNS:
        try:
            return int(read(library))
        except AttributeError:
            continue
    raise ConfigError(
        f"{type(library).__name__} does not tell how many classes it has: there is neither "
        "roi_heads.box_predictor.cls_score nor head.classification_head with num_classes or num_columns"
    )


_COLUMNS: tuple[Callable[[Any], int], ...] = (
    lambda network: network.roi_heads.box_predictor.cls_score.out_features,
    lambda network: network.head.classification_head.num_classes,
    lambda network: network.head.classification_head.num_columns,
)
