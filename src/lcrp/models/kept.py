"""Detectors of a person's own that select their boxes themselves, behind the forward pass that lcrp expects.

Axes: B batch, D detection, R row of class logits, K class, L column of logits, M proposal, H W picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lcrp.errors import ConfigError
from lcrp.models.library import LibraryNetwork
from lcrp.models.origin import Scored, ScoresSeen, last_of, rows_of
from lcrp.values.prediction import KeptBoxes, KeptOutput, at_least_float32

KEYS = ("boxes", "scores", "labels")
WANTED = (
    "a mapping for every picture: boxes [D, 4] (xyxy in input pixels), scores [D] and labels [D] (class ids) of the "
    "detections that are kept, and, if a row of the class logits is a proposal, proposals [M, 4]"
)


def keeps_boxes(output: object) -> bool:
    """Whether a network's output is that of a detector that selects its boxes itself."""
    found = output[0] if isinstance(output, list | tuple) and len(output) == 1 else output
    return isinstance(found, Mapping) and all(isinstance(found.get(key), Tensor) for key in KEYS)


def kept_detector(network: nn.Module, num_classes: int) -> LibraryNetwork:
    """A detector that selects its boxes itself; its modules, parameters and buffers are shared, not copied."""
    return LibraryNetwork(network, KeptReader(num_classes=num_classes))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReader:
    """Reads detectors that return the boxes they keep of normalised pictures [B, 3, H, W], which go in one by one.

    The logit of a detection is found by data flow: its score must be computed from a sigmoid or softmax of logits that
    end in one column per class, perhaps after one for the background.

    Attributes:
        num_classes: K.
    """

    num_classes: int
    takes_one: bool = True

    def read(self, library: nn.Module, x: Tensor) -> KeptOutput:
        """What is kept of pictures [B, 3, H, W].

        Raises:
            ConfigError: the network returns something else, or a score cannot be traced back to a logit.
        """
        return KeptOutput(pictures=tuple(self._kept(library, x[row : row + 1]) for row in range(len(x))))

    def _kept(self, library: nn.Module, picture: Tensor) -> KeptBoxes:
        """What is kept of one picture [1, 3, H, W]."""
        seen = ScoresSeen(self.num_classes, self.num_classes + 1)
        seen.is_noting = True
        with seen:
            found = library.forward(picture)
        with torch._C.DisableTorchFunction():  # what is read off it is no part of the decision
            return self._read(library, found, last_of(seen.noted))

    def _read(self, library: nn.Module, found: Any, noted: Sequence[Scored]) -> KeptBoxes:
        """What the output for one picture says."""
        if not keeps_boxes(found):
            raise ConfigError(f"{type(library).__name__} returns no boxes that are kept; wanted is {WANTED}")
        kept = found[0] if isinstance(found, list | tuple) else found
        labels, scores = self._checked(library, kept)
        noted, rows = self._traced(labels, scores, noted)
        first = noted[0].logits.shape[-1] - self.num_classes
        probabilities = [at_least_float32(one.probabilities.detach()).flatten(0, -2) for one in noted]
        proposals = kept.get("proposals")
        return KeptBoxes(
            boxes=kept["boxes"].detach(),
            class_ids=labels,
            scores=scores.detach(),
            rows=rows.to(labels.device),
            logits=torch.cat([one.logits.flatten(0, -2) for one in noted]),
            columns=torch.arange(first, first + self.num_classes, device=labels.device),
            probabilities=torch.cat(probabilities)[:, first:],
            places=None if proposals is None else proposals.detach(),
        )

    def _checked(self, library: nn.Module, kept: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Labels and scores, if they fit each other and the classes."""
        boxes, scores, labels = (kept[key] for key in KEYS)
        name, count = type(library).__name__, len(boxes)
        if boxes.shape != (count, 4) or scores.shape != (count,) or labels.shape != (count,):
            shapes = ", ".join(f"{key} {list(kept[key].shape)}" for key in KEYS)
            raise ConfigError(f"{name} returns {shapes}; wanted is {WANTED}")
        wrong = labels[(labels < 0) | (labels >= self.num_classes)]
        if len(wrong):
            raise ConfigError(
                f"{name} returns label {int(wrong[0])}, but classes go from 0 to {self.num_classes - 1}: labels are "
                "class ids, without the background"
            )
        return labels.detach().long(), scores

    def _traced(self, labels: Tensor, scores: Tensor, noted: Sequence[Scored]) -> tuple[list[Scored], Tensor]:
        """The class logits, and the row of each score in them.

        Raises:
            ConfigError: the way back is not found, or there are several.
        """
        problem = ConfigError(
            "no sigmoid or softmax of class logits is seen: it must be taken of a tensor whose last axis has "
            f"{self.num_classes} columns, or {self.num_classes + 1} with the background first"
        )
        for background in (0, 1):
            part = [one for one in noted if one.logits.shape[-1] == self.num_classes + background]
            if not part:
                continue
            try:
                return part, rows_of(scores, labels + background, part)
            except ConfigError as error:
                problem = error
        raise problem
