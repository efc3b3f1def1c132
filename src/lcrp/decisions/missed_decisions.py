"""Missed objects as a figure shows them: the best box explained, absent concepts, and found objects that have them.

Axes: B batch (one picture), C concept, H W picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lcrp.attribution.engine import Attributor
from lcrp.attribution.pixels import touched_pixels
from lcrp.data.dataset import Dataset
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.decision import View, explanation_of
from lcrp.decisions.explained import title_of
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.lacking import SHOWN
from lcrp.decisions.references import seen_through
from lcrp.decisions.seen import LEAST_OPENED, box_task, with_signs
from lcrp.errors import DataError
from lcrp.models.library import opened
from lcrp.values.explanation import Explanation, Reference
from lcrp.values.missed import Example, Lacking


def explained_miss(explainer: Explainer, dataset: Dataset, lacking: Lacking) -> Explanation:
    """A missed object, explained by its best box.

    Args:
        explainer: the network.
        dataset: in which it was missed, and others were found.
        lacking: what would have carried it.

    Raises:
        DataError: its picture cannot be read.
    """
    miss, sample = lacking.miss, dataset[lacking.miss.sample]
    explainer = with_signs(explainer, sample)
    absent = [one.concept for one in lacking.concepts[:SHOWN]]
    shown = tuple(dict.fromkeys((*absent, *lacking.speaking)))
    choice = ConceptChoice(mode="relevance", layer=lacking.layer, n_concepts=len(shown), n_references=0, concepts=shown)
    box = sample.geometry.box_to_input(miss.box)
    height, width = sample.image.shape[-2:]
    with explainer.attributor([lacking.layer]) as attributor:
        task = box_task(attributor)
        prediction = attributor.task.predictions(attributor.output(sample.image[None]))[0]
        with opened(attributor.network, LEAST_OPENED):
            trace = attributor.forward(sample.image[None])
            weak = task.best_at(trace.output, miss.class_id, box, row=lacking.row)
            assert weak is not None, "the same pass found it"
            view = View(sample=sample, trace=trace, prediction=prediction, layer=lacking.layer, data_names=None)
            found = explanation_of(
                attributor,
                view,
                task.weak(weak, sample, miss.class_id),
                choice,
                weak=weak,
                mask=touched_pixels(box, (height, width)).numpy(),
            )
        references = _references(attributor, dataset, lacking)
    names, known = explainer.names_of(lacking.layer), {one.concept: one for one in lacking.concepts}
    concepts = tuple(
        replace(
            one,
            references=tuple(references.get(one.concept, ())),
            name=names.get(one.concept, ""),
            absent=known.get(one.concept) if one.concept in absent else None,
        )
        for one in found.concepts
    )
    return replace(found, title=title_of(explainer, dataset.name), concepts=concepts, missed=lacking)


def _references(attributor: Attributor, dataset: Dataset, lacking: Lacking) -> Mapping[int, Sequence[Reference]]:
    """Found objects in which concepts count, by concept."""
    by_object: dict[tuple[int, int], list[Example]] = {}
    for one in lacking.examples:
        by_object.setdefault((one.sample, one.row), []).append(one)
    found: dict[Example, Reference] = {}
    for (index, _), examples in by_object.items():
        try:
            sample = dataset[index]
        except DataError:  # the pass told of it
            continue
        trace = attributor.forward(sample.image[None])
        task, first = box_task(attributor), examples[0]
        box = sample.geometry.box_to_input(first.box)
        prediction = task.best_at(trace.output, first.class_id, box, row=first.row)
        if prediction is None:
            continue
        relevance = trace.explain([task.weak(prediction, sample, first.class_id)]).relevance[lacking.layer]
        for one in examples:
            seen = seen_through(trace, lacking.layer, sample, relevance, one.concept)
            class_name = attributor.task.class_names[one.class_id]
            found[one] = replace(seen, class_name=class_name, class_id=one.class_id)
    by_concept: dict[int, list[Reference]] = {}
    for one in lacking.examples:
        if one in found:
            by_concept.setdefault(one.concept, []).append(found[one])
    return by_concept
