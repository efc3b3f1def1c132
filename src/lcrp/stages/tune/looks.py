"""Methods looked at on decisions, one after the other; everything is kept as soon as it is made."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from lcrp.attribution.engine import Attributor
from lcrp.attribution.methods import Method
from lcrp.decisions.subject import Subject
from lcrp.runs.kept_units import kept_units
from lcrp.stages.tune.measures import Decision, Look, Steps
from lcrp.storage.location import content_hash
from lcrp.storage.units import Units

Found = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A method that is looked at on a decision.

    Attributes:
        decision: its number.
        method: it.
        steps: how closely.
    """

    decision: int
    method: Method
    steps: Steps

    @property
    def unit(self) -> str:
        """Name of what is kept."""
        known = content_hash({"method": self.method.identity()[1:], "steps": [self.steps.channels, self.steps.pixels]})
        return f"look_{self.decision:05d}_{known[:16]}"


class Looks(AbstractContextManager["Looks"]):
    """Looks at methods, within a context.

    Args:
        subject: network and dataset.
        units: where results are kept.
        layers: whose concepts are ranked.
        decisions: by number.
        seed: of random orders.
    """

    def __init__(
        self, subject: Subject, units: Units, layers: Sequence[str], decisions: Sequence[Decision], seed: int
    ) -> None:
        self._subject, self._units, self._layers, self._seed = subject, units, layers, seed
        self._decisions = decisions
        self._reader: Attributor | None = None
        self._open: tuple[int, Look] | None = None

    def __enter__(self) -> Self:
        self._reader = self._subject.explainer.reader().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open = None
        if self._reader is not None:
            self._reader.__exit__(kind, error, traceback)

    @property
    def has_boxes(self) -> bool:
        """Whether decisions are boxes, and not masks."""
        return self._decisions[0].explained.box is not None

    def found(self, asked: Iterable[Asked]) -> Iterator[tuple[Asked, Found]]:
        """What every look tells; they are asked for one by one.

        Raises:
            Interrupted: somebody asked to stop; what was found is kept.
        """
        current: list[Asked] = []

        def names() -> Iterator[str]:
            for one in asked:
                current[:] = [one]
                yield one.unit

        for arrays in kept_units(self._units, names(), lambda _: self._work(current[0])):
            yield current[0], arrays

    def known(self, asked: Asked) -> Found | None:
        """What a look told that was made before; None if it was not."""
        return self._units.read(asked.unit)

    def kept(self, name: str, work: Any) -> Found:
        """Something else that is kept beside the looks."""
        return next(iter(kept_units(self._units, [name], work)))

    def _work(self, asked: Asked) -> Found:
        look = self._look(asked.decision)
        seconds = {"shared_seconds": look.shared["shared_seconds"]}
        return {**look.scores(asked.method, asked.steps), **seconds}

    def _look(self, number: int) -> Look:
        if self._open is None or self._open[0] != number:
            self._open = None
            assert self._reader is not None
            decision, name = self._decisions[number], f"decision_{number:05d}"
            known = self._units.read(name)
            sample = self._subject.dataset[decision.sample]
            explainer = self._subject.explainer
            look = Look(explainer, self._reader, self._layers, decision, sample, self._seed, known)
            if known is None:
                self._units.write(name, look.shared)
            self._open = number, look
        return self._open[1]
