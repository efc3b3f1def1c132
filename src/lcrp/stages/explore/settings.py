"""What the explorer shows, and how large it may grow."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lcrp.decisions.concept_choice import MAX_CONCEPTS, MAX_REFERENCES
from lcrp.decisions.selection import Selection
from lcrp.errors import at_least, refuse, within

LEAST_MEGABYTES = 1
MOST_STATISTICS = 2  # files: shown, and compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreSettings:
    """What the explorer shows, and how large it may grow.

    Attributes:
        selection: of the decisions that are explained.
        layers: glob patterns of layer names; empty takes the model's own choice.
        num_decisions: explained at most.
        n_concepts: concepts of a decision that are shown on its picture.
        n_concepts_per_class: concepts whose reference samples are shown, those most relevant for each class.
        n_references: reference samples of each.
        n_references_per_class: of each and every class for which it is among these; 0: none of single classes.
        max_megabytes: of the file (or folder), in 10^6 bytes.
        pictures: whether photographs and crops are in it.
        folder: write a folder with pictures in files of their own, for large sets.
        statistics: file with the concept statistics, and another to compare with; empty finds the one that fits.
        make_statistics: where none fits, make them first, as stage=glocal does.
        context: context.h5 of a run of stage=context; None takes the newest that fits.
        evaluate: evaluate.h5 of a run of stage=evaluate; None takes the newest that fits.
        output: the file, or the folder; None is in the run's folder.
    """

    selection: Selection
    layers: tuple[str, ...] = ()
    num_decisions: int = 24
    n_concepts: int = 6
    n_concepts_per_class: int = 50
    n_references: int = 12
    n_references_per_class: int = 4
    max_megabytes: float = 25
    pictures: bool = True
    folder: bool = False
    statistics: tuple[Path, ...] = ()
    make_statistics: bool = False
    context: Path | None = None
    evaluate: Path | None = None
    output: Path | None = None

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        yield from at_least("num_decisions", self.num_decisions, 0)
        yield from within("n_concepts", self.n_concepts, 1, MAX_CONCEPTS, is_count=True)
        yield from at_least("n_concepts_per_class", self.n_concepts_per_class, 1)
        yield from within("n_references", self.n_references, 1, MAX_REFERENCES, is_count=True)
        yield from within("n_references_per_class", self.n_references_per_class, 0, MAX_REFERENCES, is_count=True)
        yield from within("max_megabytes", self.max_megabytes, LEAST_MEGABYTES, 4000)
        if len(self.statistics) > MOST_STATISTICS:
            yield f"statistics names {len(self.statistics)} files; write one, or two to compare: [A.h5,B.h5]"
