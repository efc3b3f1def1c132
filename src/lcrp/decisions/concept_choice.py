"""Which concepts of which layer are shown, and by what they are ranked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import torch

from lcrp.decisions.neuron_maps import Mode
from lcrp.errors import LayerError, is_whole, one_of, refuse, within

MAX_CONCEPTS = 8
MAX_REFERENCES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ConceptChoice:
    """Which concepts of which layer are shown, and by what they are ranked.

    Attributes:
        mode: 'relevance' for the decision, or 'activation' in the picture.
        layer: name of the layer; None takes the model's own choice.
        n_concepts: the highest-ranked so many, of those above 0.
        n_references: reference samples shown per concept.
        concepts: these concepts instead, in this order.
    """

    mode: Mode
    layer: str | None
    n_concepts: int
    n_references: int
    concepts: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        yield from one_of("mode", self.mode, get_args(Mode))
        if self.concepts is None:
            yield from within("n_concepts", self.n_concepts, 1, MAX_CONCEPTS, is_count=True)
        elif not 1 <= len(self.concepts) <= MAX_CONCEPTS:
            yield f"concepts={list(self.concepts)} are {len(self.concepts)}; a figure shows 1 to {MAX_CONCEPTS}"
        elif not all(map(is_whole, self.concepts)):
            yield f"concepts={list(self.concepts)} are no whole numbers; write channels of the layer"
        elif len(set(self.concepts)) < len(self.concepts):
            yield f"concepts={list(self.concepts)} names one twice; write each once"
        yield from within("n_references", self.n_references, 0, MAX_REFERENCES, is_count=True)


def top_concepts(scores: torch.Tensor, choice: ConceptChoice, layer: str, *, is_contrast: bool = False) -> list[int]:
    """The concepts that are shown, from scores [C]: the highest ones (ties: the lower id first), or those asked for.

    Of the highest ones only those above 0 carried the decision; where there are none, the highest one is shown. Where
    two classes are contrasted (or a side of a box is explained), half of those shown are the lowest ones below 0, which
    speak for the other class (or pull the side inwards).

    Raises:
        LayerError: a concept that was asked for is not in the layer.
    """
    if choice.concepts is None:
        order = scores.argsort(descending=True, stable=True)
        num_positive = int((scores > 0).sum())
        if is_contrast:
            num_negative = min(int((scores < 0).sum()), max(choice.n_concepts // 2, choice.n_concepts - num_positive))
            highest = order[: min(choice.n_concepts - num_negative, num_positive)].tolist()
            return [*highest, *reversed(order[len(order) - num_negative :].tolist())]
        return [int(concept) for concept in order[: min(choice.n_concepts, max(1, num_positive))]]
    for concept in choice.concepts:
        if not 0 <= concept < len(scores):
            raise LayerError(
                f"concept {concept} is not in layer '{layer}': it has {len(scores)} concepts, 0 to {len(scores) - 1}.",
                mend="Set stage.concepts.",
            )
    return list(choice.concepts)
