"""From the score of a kept detection back to the row of class logits that it came from, by data flow.

Axes: D detection, R row of class logits, L column of logits.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lcrp.errors import ConfigError

AT_ONCE = 100  # detections that are numbered together: so many are told apart in bfloat16, too

_SCORING = frozenset(
    [
        torch.sigmoid,
        torch.special.expit,
        Tensor.sigmoid,
        functional.sigmoid,
        torch.softmax,
        torch.special.softmax,
        Tensor.softmax,
        functional.softmax,
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Logits [..., L] of which a sigmoid or softmax was taken, and the probabilities."""

    logits: Tensor
    probabilities: Tensor


class ScoresSeen(TorchFunctionMode):
    """Notes the sigmoids and softmaxes of class logits, within its context.

    What follows them can be traced back to them, even in a forward pass without derivatives.

    Args:
        num_columns: L of class logits; several where it may be one of these.

    Attributes:
        noted: what was seen so far.
        is_noting: whether it looks; a gate within a backbone is no score.
    """

    def __init__(self, *num_columns: int) -> None:
        super().__init__()
        self.noted: list[Scored] = []
        self.is_noting = False
        self._num_columns = num_columns
        self._undo = ExitStack()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._undo.close()
        super().__exit__(kind, error, traceback)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """One call of a function of torch."""
        out = func(*args, **(kwargs or {}))
        if not self.is_noting or func not in _SCORING or not isinstance(out, Tensor):
            return out
        if out.ndim == 0 or out.shape[-1] not in self._num_columns:
            return out
        if not self.noted:
            self._undo.enter_context(torch.enable_grad())
            self._undo.enter_context(torch.autograd.graph.saved_tensors_hooks(_same, _same))
        probabilities = out if out.requires_grad else out.detach().requires_grad_()
        logits = args[0] if args else (kwargs or {})["input"]
        self.noted.append(Scored(logits=logits, probabilities=probabilities))
        return probabilities


def last_of(noted: Sequence[Scored]) -> list[Scored]:
    """Of what was noted what no other came from: a gate within the network is no score.

    Args:
        noted: in the order in which it was seen.
    """
    last = []
    for number, one in enumerate(noted):
        later = [other.logits for other in noted[number + 1 :] if other.logits.requires_grad]
        seeds = [torch.ones_like(logits) for logits in later]
        used = (
            torch.autograd.grad(later, [one.probabilities], seeds, retain_graph=True, allow_unused=True)
            if later
            else (None,)
        )
        if used[0] is None:
            last.append(one)
    return last


def rows_of(scores: Tensor, columns: Tensor, noted: Sequence[Scored]) -> Tensor:
    """Rows of class logits from which scores came, [D] int64 on the CPU.

    Selection moves scores and changes none, or multiplies them by other factors: what goes back from numbered scores
    arrives, divided by what goes back from ones, as the number.

    Args:
        scores: [D], as the network returns them, computed from the probabilities.
        columns: [D] int64, the column of logits that each must come from.
        noted: probabilities that may be behind them; their rows are counted through.

    Raises:
        ConfigError: a score does not come from one place.
    """
    rows = torch.full((len(scores),), -1, dtype=torch.int64)
    counts = torch.zeros_like(rows)
    expected = columns.cpu()
    for start in range(0, len(scores) if scores.requires_grad else 0, AT_ONCE):
        chosen = torch.zeros(len(scores))
        chosen[start : start + AT_ONCE] = 1
        weights, numbers = (
            torch.autograd.grad(
                scores, [one.probabilities for one in noted], seed.to(scores), retain_graph=True, allow_unused=True
            )
            for seed in (chosen, chosen * (torch.arange(len(scores)) - start + 1))
        )
        before = 0
        for one, weight, number in zip(noted, weights, numbers, strict=True):
            num_columns = one.probabilities.shape[-1]
            if weight is not None:
                row, column = weight.reshape(-1, num_columns).nonzero(as_tuple=True)
                ratio = (number.double() / weight.double()).reshape(-1, num_columns)[row, column]
                found = (ratio.round().long() - 1 + start).clamp(0, len(rows) - 1).cpu()
                fits = expected[found] == column.cpu()
                rows[found[fits]] = before + row.cpu()[fits]
                counts += torch.bincount(found, minlength=len(rows))
            before += one.probabilities.numel() // num_columns
    if not bool((counts == 1).all() and (rows >= 0).all()):
        raise ConfigError(
            f"the way back from {int(((counts != 1) | (rows < 0)).sum())} of {len(rows)} scores to a class logit was "
            "not found: they are no sigmoid or softmax of logits that end in one column per class"
        )
    return rows


def _same(tensor: Tensor) -> Tensor:
    return tensor
