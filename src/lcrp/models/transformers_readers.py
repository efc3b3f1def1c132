"""What detectors and segmenters of transformers decide, as the library's own post-processing decides it.

Axes: B batch, Q query, K class, L column of logits, D detection, H W picture, h w feature map.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lcrp.errors import CheckpointError
from lcrp.models.library import LibraryNetwork, Reader
from lcrp.models.transformers_names import ARCHITECTURES, DETECTION, SEGMENTATION
from lcrp.values.prediction import KeptBoxes, KeptOutput, OwnSelection, at_least_float32
from lcrp.values.query_masks import QueryMasks

NO_NAME = "N/A"  # of columns that no object has, in the published networks of COCO
_SOFTMAX = "DetrForObjectDetection"  # a column for 'no object' is the last one
_QUALITY = "DFineForObjectDetection"  # a quality of the box is added to class logits


def names_of(config: Any) -> list[str]:
    """Names of all columns of the class logits, but for that of 'no object'.

    Raises:
        CheckpointError: they are not numbered from 0 on.
    """
    named = {int(number): str(name) for number, name in config.id2label.items()}
    if sorted(named) != list(range(len(named))):
        numbers = ", ".join(map(str, sorted(named)[:3]))
        raise CheckpointError(
            f"id2label numbers its {len(named)} classes {numbers}, ..., and columns are counted from 0: which is which "
            "cannot be told",
            mend=f"Number them 0 to {len(named) - 1} in config.json, in the order of the columns.",
        )
    return [named[number] for number in range(len(named))]


def class_names_of(network: Any, architecture: str) -> tuple[str, ...]:
    """Names of a network's classes, index = class id, without columns that no object has."""
    names = names_of(network.config)
    return tuple(one for one in names if ARCHITECTURES[architecture].task != DETECTION or one != NO_NAME)


def library_network(network: Any, architecture: str) -> LibraryNetwork:
    """A network of the library, behind the forward pass that lcrp expects."""
    kind = ARCHITECTURES[architecture]
    reader: Reader
    if kind.task == DETECTION:
        names = names_of(network.config)
        reader = QueryReader(
            columns=tuple(column for column, name in enumerate(names) if name != NO_NAME),
            has_nothing=architecture == _SOFTMAX,
            width=network.config.d_model,
            has_quality=architecture == _QUALITY,
        )
    else:
        reader = MapReader() if kind.task == SEGMENTATION else QueryMaskReader()
    return LibraryNetwork(network, reader, tokens=kind.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryReader:
    """Reads detectors whose queries each say a class and a box; pictures go through one by one.

    A row of class logits is a query. The best class of every query is kept (softmax, 'no object' left out), or the Q
    best pairs of query and class (sigmoid). There is no NMS. Thresholds are the task's.

    Attributes:
        columns: of the class logits that have a name; index = class id. Others are left out.
        has_nothing: whether the last column is 'no object', and probabilities are a softmax.
        width: channels of a query. What queries take over from tokens is detached by the library, for the sake of
            training; relevance passes there all the same.
        has_quality: whether a quality of the box is added to the class logits (D-FINE). It takes part in the score; the
            logit that is explained is that of the class alone.
        takes_one: pictures go through one by one.
        least: score above which every pair of query and class is given; None for the library's own selection.
    """

    columns: tuple[int, ...]
    has_nothing: bool
    width: int
    has_quality: bool = False
    takes_one: bool = True
    least: float | None = None

    def read(self, library: nn.Module, x: Tensor) -> KeptOutput:
        """What is kept of pictures [B, 3, H, W]."""
        pictures = tuple(self._kept(library, x[row : row + 1]) for row in range(len(x)))
        return KeptOutput(pictures=pictures, selection=OwnSelection())

    def opened(self, least: float) -> "QueryReader":
        """The same without selection: every pair of query and class with a score above `least`."""
        return replace(self, least=least)

    def _kept(self, library: nn.Module, picture: Tensor) -> KeptBoxes:
        """What is kept of one picture [1, 3, H, W]."""
        with _class_scores(library, self.has_quality) as explained, _Attached(self.width):
            out = library.forward(picture, return_dict=True)
        logits = explained[-1] if explained else out.logits
        with torch._C.DisableTorchFunction():  # what is read off it is no part of the decision
            decided, boxes = at_least_float32(out.logits.detach()), out.pred_boxes.detach()[0]
            probabilities, scores, rows, labels = self._decided(decided[0])
            height, width = picture.shape[-2:]
            boxes = _corners(boxes) * boxes.new_tensor([width, height, width, height])
            columns = torch.tensor(self.columns, device=boxes.device)
            class_ids = torch.full(decided.shape[-1:], -1, device=boxes.device)
            class_ids[columns] = torch.arange(len(columns), device=boxes.device)
            is_named = class_ids[labels] >= 0
            if self.least is not None:
                is_named &= scores > self.least
        return KeptBoxes(
            boxes=boxes[rows[is_named]],
            class_ids=class_ids[labels[is_named]],
            scores=scores[is_named],
            rows=rows[is_named],
            logits=logits.flatten(0, 1),
            columns=columns,
            probabilities=probabilities[:, columns],
            places=boxes,
        )

    def _decided(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Probabilities [Q, K] of class logits [Q, L]; score, query and column of every detection."""
        if self.has_nothing:
            probabilities = logits.softmax(-1)[:, :-1]
            scores, labels = probabilities.max(-1)
            return probabilities, scores, torch.arange(len(logits), device=logits.device), labels
        probabilities = logits.sigmoid()
        scores, index = probabilities.flatten().topk(len(logits) if self.least is None else logits.numel())
        return probabilities, scores, index // logits.shape[1], index % logits.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapReader:
    """Reads segmenters that return coarse logits, which are made as large as the picture, as the library does it."""

    takes_one: bool = False

    def read(self, library: nn.Module, x: Tensor) -> Tensor:
        """Logits [B, K, H, W] of pictures [B, 3, H, W]."""
        logits = library.forward(x, return_dict=True).logits
        return functional.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryMaskReader:
    """Reads segmenters whose queries each say a class and a mask; pictures go through one by one."""

    takes_one: bool = True

    def read(self, library: nn.Module, x: Tensor) -> QueryMasks:
        """Classes and masks of the queries for pictures [B, 3, H, W]."""
        found = [library.forward(x[row : row + 1], return_dict=True) for row in range(len(x))]
        return QueryMasks(
            class_logits=_joined([one.class_queries_logits for one in found]),
            mask_logits=_joined([one.masks_queries_logits for one in found]),
            size=(x.shape[-2], x.shape[-1]),
        )


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))


def _corners(boxes: Tensor) -> Tensor:
    """Boxes (centre, size) [Q, 4] as (left, top, right, bottom)."""
    x, y, width, height = boxes.unbind(-1)
    return torch.stack([x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height], dim=-1)


class _Attached(TorchFunctionMode):
    """Within its context queries stay what they are where they are detached: values from which others follow.

    Args:
        width: channels of a query; boxes have four.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """One call of a function of torch."""
        if func is Tensor.detach and args[0].ndim and args[0].shape[-1] == self._width:
            return args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def _class_scores(library: Any, has_quality: bool) -> Iterator[list[Tensor]]:
    """Within the block the class logits are noted before a quality is added to them; the last ones count."""
    noted: list[Tensor] = []

    def note(module: nn.Module, inputs: object, output: Tensor) -> None:  # noqa: ARG001
        noted.append(output)

    heads = library.model.decoder.class_embed if has_quality else ()
    handles = [head.register_forward_hook(note) for head in heads]
    try:
        yield noted
    finally:
        for handle in handles:
            handle.remove()
