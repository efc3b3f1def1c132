"""The decisions of one picture, explained."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from lcrp.attribution.layers import layer_names
from lcrp.decisions.auto import deeper_half, layer_shares, layers_with_places, named
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.decision import explained_decisions
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.neuron_maps import StartCounting
from lcrp.decisions.references import ReferenceSource, reference_samples
from lcrp.decisions.selection import Selection
from lcrp.errors import LayerError, nearest
from lcrp.values.explanation import Explanation, Reference
from lcrp.values.sample import Sample

LEAST_LAYER_SHARE = 0.1  # of a decision; below, the layer is not what to look at
MOST_BETTER = 3  # layers that are named instead

log = logging.getLogger(__name__)


def explained(
    explainer: Explainer,
    sample: Sample,
    selection: Selection,
    choice: ConceptChoice,
    *,
    title: str = "",
    data_names: Sequence[str] | None = None,
    references: ReferenceSource | None = None,
    start_counting: StartCounting | None = None,
) -> list[Explanation]:
    """Explanations of the decisions of one picture that were asked for, with all that a figure shows.

    This is the one way from a picture to its explanations; the command line and Python both take it. The network is
    altered within the call alone, and bit for bit what it was afterwards.

    Args:
        explainer: the network and what belongs to it.
        sample: the picture, in the network's input.
        selection: which decisions.
        choice: which concepts of which layer; without a layer the explainer's.
        title: model, weights, data and composite in words.
        data_names: class names of the dataset that the picture comes from; None for a person's own.
        references: where reference samples come from, for the same layer and mode; None shows none.
        start_counting: opens a count of the reference heatmaps that are to be computed, as `Run.progress` does.

    Raises:
        TargetError: the decisions asked for are not there.
        LayerError: there is no such layer, or it has no such concept.
    """
    layer = layer_of(explainer, choice.layer)
    with explainer.attributor([layer]) as attributor:
        with attributor.reading_by(selection.thresholds.of(explainer.task)):
            found = explained_decisions(attributor, sample, selection, replace(choice, layer=layer), data_names)
        shown = sorted({part.concept for one in found for part in one.concepts})
        by_concept: dict[int, tuple[Reference, ...]] = {}
        if references is not None:  # by the explainer's own thresholds: items of the ranking are counted by them
            by_concept = reference_samples(attributor, references, shown, sample, start_counting)
    complete = []
    for one in found:
        concepts = tuple(replace(part, references=by_concept.get(part.concept, ())) for part in one.concepts)
        share = one.layer_share if explainer.composite.is_lrp else float("nan")  # gradients are no relevance
        complete.append(replace(one, title=title, concepts=concepts, layer_share=share))
    _warn_of_layer(explainer, sample, complete)
    return complete


def _warn_of_layer(explainer: Explainer, sample: Sample, found: Sequence[Explanation]) -> None:
    """Say so if the concepts shown are hardly what a decision was made of, and where more of it passes."""
    weak = [one for one in found if abs(one.layer_share) < LEAST_LAYER_SHARE]
    if not weak:
        return
    try:
        named = _better_layers(explainer, sample, weak)
    except LayerError:  # advice alone: some layer runs twice, or not at all, or holds no finite relevance
        named = [[] for _ in weak]
    for explanation, better in zip(weak, named, strict=True):
        share = explanation.layer_share
        log.warning(
            "%s: %s of the relevance of '%s' passes through layer '%s', the rest takes other ways; choose a layer that "
            "leads to this decision%s",
            explanation.source,
            f"{share:.1%}" if share else "nothing",
            explanation.class_name,
            explanation.layer,
            f": {', '.join(better)}" if better else "",
        )


def _better_layers(explainer: Explainer, sample: Sample, found: Sequence[Explanation]) -> list[list[str]]:
    """For every decision the layers of the deeper half through which most of it passes, with their shares."""
    deep = deeper_half(layers_with_places(explainer, sample))
    with explainer.attributor(deep) as attributor:
        trace = attributor.forward(sample.image[None])
        better = []
        for shares in layer_shares(trace, [one.explained for one in found]):
            best = sorted(shares, key=lambda layer: -shares[layer])[:MOST_BETTER]
            better.append([f"'{layer}' ({shares[layer]:.0%})" for layer in best if shares[layer] >= LEAST_LAYER_SHARE])
    return better


def layer_of(explainer: Explainer, name: str | None) -> str:
    """The layer that is asked for, or the explainer's own; 'auto' is the one that was chosen.

    Raises:
        LayerError: the network has no such layer, or none was chosen.
    """
    layer = named(explainer, name)
    names = layer_names(explainer.network)
    if layer not in names:
        raise LayerError(
            f"layer '{layer}' is not in {explainer.name}; nearest: {nearest(layer, names)}.", mend="Set stage.layer."
        )
    return layer


def title_of(explainer: Explainer, *data: str) -> str:
    """Model, weights, data and composite in words.

    Args:
        explainer: the network.
        data: where pictures and references come from; empty texts are left out.
    """
    weights = explainer.checkpoint if explainer.checkpoint_sha256 else "random weights"
    return " · ".join(part for part in (explainer.name, weights, *data, explainer.composite.name) if part)
