"""What would have carried an object that a detector missed: concepts that carry found ones, and are weak here.

The logit of the object's class at its best box is explained, and so are objects of the class that are found. What a
concept of a layer lacks is the change of its activation a to that of the found object most like it in size, b, within
the box: to first order, giving it back adds sum (b - a) dz/da to the logit z. Whether that is so, the network itself
tells: the activation is given back, and what lies behind the layer is computed again.

Axes: C concept, V variant, h w places of a layer within the box.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from lcrp.attribution.ablation import outputs_with
from lcrp.attribution.engine import Attributor
from lcrp.attribution.task import annotation_of
from lcrp.composites.spec import GRADIENT
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.seen import LEAST_OPENED, Seen, box_task, fallen
from lcrp.evidence.matching import matching
from lcrp.models.library import LibraryNetwork, opened
from lcrp.values.geometry import Box
from lcrp.values.missed import AbsentConcept, Example, Lacking, Mechanism, Miss, Returned
from lcrp.values.prediction import Detections
from lcrp.values.sample import Sample

LISTED = 10  # absent concepts that are told
GIVEN_BACK = (1, 3)  # of them, that are given back together
SHOWN = 3  # of them, in a figure
EXAMPLES = 4  # found objects that show a concept
CARRIES = 0.01  # of all that speaks for found objects, from which on a concept carries them
SILENT = 1e-3  # of the largest change of a concept, up to which one counts as unchanged
NUM_RANDOM = 10  # sets of other concepts that are given back instead
TAKES_PART = 0.5  # of the largest share of relevance, from which on a layer is searched
PASSES = 0.5  # share of a found object's relevance that passes a layer, from which on it is compared there
PASSES_IN_PART = 0.2  # the same where no object is found of which as much passes: another level of the pyramid found it

Array = npt.NDArray[Any]
Place = tuple[slice, slice]


def searches(layers: Sequence[str]) -> list[tuple[tuple[str, ...], float]]:
    """Among which layers, in turn, concepts are looked for until some found object can be compared.

    The deeper half comes first, then all but the first quarter, whose concepts are edges and colours; then these for
    objects of which less passes them (another level of the pyramid found these).

    Args:
        layers: of the network, in the order in which they run.

    Returns:
        Layers, each with the share of a found object's relevance that must pass them.
    """
    deep, wide = tuple(layers[len(layers) // 2 :]), tuple(layers[len(layers) // 4 :])
    return [*([(deep, PASSES)] if deep != wide else []), (wide, PASSES), (wide, PASSES_IN_PART)]


def lacking(
    explainer: Explainer,
    sample: Sample,
    miss: Miss,
    here: Seen,
    found: Sequence[Seen],
    layers: Sequence[str],
    *,
    least: float = PASSES,
) -> Lacking | None:
    """What would have carried a missed object.

    It is compared with found objects whose relevance passes the same layer: those that another level of a pyramid
    found say nothing of it. Of the layers that most of its relevance passes, and that of some found object, the one is
    told at which the return of a single concept raises the score most.

    Args:
        explainer: the network.
        sample: the picture.
        miss: the object.
        here: how layers see it.
        found: how they see objects of its class that are found.
        layers: that may be told.
        least: share of a found object's relevance that passes a layer, from which on it is compared there.

    Returns:
        None where none of the layers shows concepts of it at places of the picture.
    """
    searched = _passed(here, layers)
    if not searched:
        return None
    told = Lacking(
        miss=miss,
        row=here.explained.row,
        box=sample.geometry.box_to_picture(here.explained.box or here.box),
        score=here.explained.confidence,
        logit=here.logit,
        threshold=_threshold(explainer),
        taken_for=_taken_for(miss, explainer.class_names),
        layer=max(searched, key=lambda layer: here.layer_shares[layer]),
        layer_share=0.0,
        things=fallen([one.things for one in found], here.things),
    )
    comparable = {layer: [one for one in found if abs(one.layer_shares.get(layer, 0.0)) >= least] for layer in searched}
    searched = [layer for layer in searched if comparable[layer]]
    if not searched:
        return _of_layer(told, here, told.layer)
    gradients = _gradients(explainer, sample, here, searched)
    with explainer.reader() as attributor:
        tries = [_Try(here, comparable[layer], layer, gradients[layer]) for layer in searched]
        first = [one.given_back(attributor, sample, miss, [one.first(1)])[0] for one in tries]
        scores = [-1.0 if math.isnan(score) else score for score, _ in first]  # NaN: no box is kept
        order = [
            (one.num_absent > 0, score, abs(here.layer_shares[one.layer]))
            for one, score in zip(tries, scores, strict=True)
        ]
        chosen = tries[order.index(max(order))]
        return _of_layer(
            told,
            here,
            chosen.layer,
            num_found=len(comparable[chosen.layer]),
            donor=chosen.donor.key,
            concepts=chosen.concepts(),
            examples=tuple(chosen.examples(comparable[chosen.layer])),
            returned=tuple(chosen.proof(attributor, sample, miss)),
        )


class _Try:
    """One layer's concepts, given back."""

    def __init__(self, here: Seen, found: Sequence[Seen], layer: str, gradient: torch.Tensor) -> None:
        self.layer, self._here = layer, here
        self.donor = min(found, key=lambda one: _unlike(one.box, here.box))
        own = here.patches[layer]
        given = interpolate(self.donor.patches[layer][None], size=own.shape[1:], mode="bilinear", align_corners=False)
        self._change = given[0] - own  # [C, h, w]
        self._gain = (self._change * gradient).sum(dim=(1, 2))
        self._found = torch.stack([one.added[layer] for one in found]).mean(dim=0)
        carries = self._found > CARRIES * self._found.clamp(min=0).sum()
        self._absent = carries & (self._found > here.added[layer]) & (self._gain > 0)
        self.num_absent = int(self._absent.sum())
        ranks = torch.where(self._absent, self._gain, -torch.inf)
        self._order = ranks.argsort(descending=True, stable=True)  # those that are not absent come last

    def concepts(self) -> tuple[AbsentConcept, ...]:
        """The absent ones: that carry found objects, less so this one, and whose return would add something."""
        listed = [concept for concept in self._order[:LISTED].tolist() if self._absent[concept]]
        here = self._here.added[self.layer]
        return tuple(
            AbsentConcept(
                concept=concept,
                found=float(self._found[concept]),
                here=float(here[concept]),
                gain=float(self._gain[concept]),
            )
            for concept in listed
        )

    def examples(self, found: Sequence[Seen]) -> Iterator[Example]:
        """Found objects in which the concepts that are shown count most."""
        absent = [one.concept for one in self.concepts()[:SHOWN]]
        speaking = [concept for concept in _speaking(self._here, self.layer) if concept >= 0]
        for concept in dict.fromkeys((*absent, *speaking)):
            for one in sorted(found, key=lambda seen: -float(seen.scores[self.layer][concept]))[:EXAMPLES]:
                if one.scores[self.layer][concept] > 0:
                    yield Example(
                        concept=concept,
                        sample=one.sample,
                        row=one.explained.row,
                        class_id=one.explained.target.class_id,
                        box=one.picture_box,
                    )

    def first(self, count: int) -> torch.Tensor:
        """Change [C, h, w] that gives back the first so many concepts."""
        return self._of(self._order[:count])

    def proof(self, attributor: Attributor, sample: Sample, miss: Miss) -> Iterator[Returned]:
        """What giving back does, beside random concepts by changes of the same norm."""
        generator = torch.Generator().manual_seed(miss.sample * 1009 + miss.number)
        for count in [count for count in GIVEN_BACK if count <= self.num_absent]:
            own = self.first(count)
            others = list(self._random(count, float(own.norm()), generator))
            (score, is_found), *random = self.given_back(attributor, sample, miss, [own, *others])
            yield Returned(
                num_concepts=count,
                score=score,
                is_found=is_found,
                num_random=len(random),
                num_random_found=sum(is_one for _, is_one in random),
            )
        ((score, is_found),) = self.given_back(attributor, sample, miss, [self._change])
        yield Returned(num_concepts=0, score=score, is_found=is_found)

    def given_back(
        self, attributor: Attributor, sample: Sample, miss: Miss, changes: Sequence[torch.Tensor]
    ) -> list[tuple[float, bool]]:
        """Score of the object's best box, and whether it is found, with each of several changes."""
        place = self._here.places[self.layer]
        values = self._here.patches[self.layer] + torch.stack(list(changes))
        output = outputs_with(attributor, sample.image[None], self.layer, place, values)
        task, box = box_task(attributor), self._here.box
        scored = [task.best_at(output, miss.class_id, box, image=number) for number in range(len(changes))]
        scores = [float("nan") if one is None else float(one.confidence[0]) for one in scored]
        return list(
            zip(scores, (_finds(one, sample, miss) for one in attributor.task.predictions(output)), strict=True)
        )

    def _of(self, concepts: torch.Tensor) -> torch.Tensor:
        """The change [C, h, w] of some concepts alone."""
        change = torch.zeros_like(self._change)
        change[concepts] = self._change[concepts]
        return change

    def _random(self, count: int, norm: float, generator: torch.Generator) -> Iterator[torch.Tensor]:
        """Changes of so many other concepts, drawn at random of those that change at all, each of a given norm."""
        norms = self._change.flatten(1).norm(dim=1)
        others = self._order[count:]
        others = others[norms[others] > SILENT * norms.max()]
        for _ in range(NUM_RANDOM if len(others) >= count else 0):
            change = self._of(others[torch.randperm(len(others), generator=generator)[:count]])
            yield change * (norm / change.norm())


def _passed(here: Seen, layers: Sequence[str]) -> list[str]:
    """The layers that most of an object's relevance passes, in the order in which they run."""
    shares = {layer: min(abs(here.layer_shares[layer]), 1.0) for layer in layers if layer in here.layer_shares}
    return [layer for layer, share in shares.items() if share >= TAKES_PART * max(shares.values()) > 0]


def _unlike(one: Box, other: Box) -> float:
    """How far two boxes differ in width and height: |log w / w'| + |log h / h'|."""
    sides = [(box[2] - box[0] + 1.0, box[3] - box[1] + 1.0) for box in (one, other)]
    return sum(abs(math.log(first / second)) for first, second in zip(*sides, strict=True))


def _gradients(explainer: Explainer, sample: Sample, here: Seen, layers: Sequence[str]) -> dict[str, torch.Tensor]:
    """Derivatives [C, h, w] of an object's logit with respect to layers, within its box."""
    with (
        explainer.attributor(layers, composite=GRADIENT) as attributor,
        opened(attributor.network, LEAST_OPENED),
    ):
        relevance = attributor.forward(sample.image[None]).explain([here.explained]).relevance
        found = {}
        for layer in layers:
            rows, columns = here.places[layer]
            found[layer] = relevance[layer][0][:, rows, columns].float().cpu()
        return found


def _finds(prediction: Detections, sample: Sample, miss: Miss) -> bool:
    """Whether an object is found by what is detected, as `matching` has it."""
    annotation = annotation_of(sample)
    boxes = sample.geometry.boxes_to_picture(prediction.boxes.double().numpy())
    objects = sample.geometry.boxes_to_picture(annotation.boxes.double().numpy())
    found = matching(boxes, prediction.labels.numpy(), objects, annotation.labels.numpy())
    return bool(found.detections[miss.number] >= 0)


def _threshold(explainer: Explainer) -> float:
    """Above which a score is detected; NaN where a library's network has thresholds of its own."""
    has_own = isinstance(explainer.network, LibraryNetwork)
    return math.nan if has_own else float(getattr(explainer.task, "confidence", math.nan))


def _taken_for(miss: Miss, class_names: Sequence[str]) -> str:
    """Name of the class that the network says of an object, where it is another."""
    is_other = miss.mechanism == Mechanism.OTHER_CLASS and miss.candidate is not None
    return class_names[miss.candidate.class_id] if is_other and miss.candidate is not None else ""


def _speaking(here: Seen, layer: str) -> tuple[int, int]:
    """The concept that speaks most for an object, and the one that speaks most against it; -1 for none."""
    scores = here.scores[layer]
    most, least = int(scores.argmax()), int(scores.argmin())
    return (most if scores[most] > 0 else -1, least if scores[least] < 0 else -1)


def _of_layer(told: Lacking, here: Seen, layer: str, **known: Any) -> Lacking:
    most, least = _speaking(here, layer)
    share = here.layer_shares[layer]
    return replace(told, layer=layer, layer_share=share, speaks_for=most, speaks_against=least, **known)
