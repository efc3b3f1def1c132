"""Which pictures of concepts fit into a page: those of the concepts that count most come first, without gaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lcrp.page.content import Comparison, LayerContent, LeftOut

HOW = "stage.max_megabytes=..., a larger number"

Place = tuple[int, int]  # number of the layer, concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """Strips of crops that fit.

    Attributes:
        references: of concepts.
        others: of the concepts of the statistics that are compared with; the first number means nothing.
        further: of single classes.
        left_out: what does not fit.
    """

    references: dict[Place, bytes]
    others: dict[Place, bytes]
    further: dict[Place, bytes]
    left_out: tuple[LeftOut, ...]


def fitting_strips(layers: Sequence[LayerContent], other: Comparison | None, room: float) -> Fitting:
    """Strips that fit into so many bytes: first those of all concepts, then the rest."""
    most = [_most_relevant(layer) for layer in layers]
    order = sorted(
        ((number, concept) for number, layer in enumerate(layers) for concept in layer.references),
        key=lambda place: (-most[place[0]][place[1]], place),
    )
    shown = {} if other is None else {(0, concept): strip for concept, strip in other.strips.items()}
    kinds = (
        ("pictures of the {} concepts that count least", [(one, layers[one[0]].strips.get(one[1])) for one in order]),
        ("pictures of {} concepts of the statistics that are compared with", list(shown.items())),
        (
            "pictures of single classes for the {} concepts that count least",
            [(one, layers[one[0]].further_strips.get(one[1])) for one in order],
        ),
    )
    kept: list[dict[Place, bytes]] = []
    left_out = []
    for words, strips in kinds:
        wanted = [(place, strip) for place, strip in strips if strip is not None]
        kept.append(dict(_first(wanted, room)))
        room -= sum(map(len, kept[-1].values()))
        if len(kept[-1]) < len(wanted):
            left_out.append(LeftOut(what=words.format(len(wanted) - len(kept[-1])), how=HOW))
            room = 0.0  # what counts less goes first
    references, others, further = kept
    return Fitting(references=references, others=others, further=further, left_out=tuple(left_out))


def _most_relevant(layer: LayerContent) -> list[float]:
    """Largest mean share of every concept for any class."""
    found: list[float] = np.nan_to_num(layer.moments.mean()).max(axis=0, initial=0.0).tolist()
    return found


def _first(wanted: Sequence[tuple[Place, bytes]], room: float) -> Iterator[tuple[Place, bytes]]:
    for place, strip in wanted:
        room -= len(strip)
        if room < 0.0:
            return
        yield place, strip
