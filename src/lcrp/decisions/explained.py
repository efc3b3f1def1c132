"""The decisions of one picture, explained."""

from collections.abc import Sequence
from dataclasses import replace

from lcrp.attribution.layers import layer_names, no_layer
from lcrp.decisions.auto import named
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.counting import StartCounting
from lcrp.decisions.decision import explained_decisions
from lcrp.decisions.doubts import tell_doubts
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.references import References, ReferenceSource, reference_samples
from lcrp.decisions.selection import Selection
from lcrp.errors import LayerError
from lcrp.values.explanation import Explanation
from lcrp.values.sample import Sample


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

    This is the one way from a picture to its explanations; the command line and Python both take it, and tell at their
    end what was lost of all of them (`tell_losses`). The network is altered within the call alone, and bit for bit what
    it was afterwards.

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
    layer, task = layer_of(explainer, choice.layer), selection.thresholds.of(explainer.task)
    with explainer.attributor([layer]) as attributor:
        with attributor.reading_by(task):
            found = explained_decisions(attributor, sample, selection, replace(choice, layer=layer), data_names)
        shown = sorted({part.concept for one in found for part in one.concepts})
        by_concept: dict[int, References] = {}
        if references is not None:  # by the explainer's own thresholds: items of the ranking are counted by them
            by_concept = reference_samples(attributor, references, shown, sample, start_counting)
    names = explainer.names_of(layer)
    complete = []
    for one in found:
        pairs = [(part, by_concept.get(part.concept, References())) for part in one.concepts]
        concepts = tuple(
            replace(part, references=given.shown, lost=given.lost, name=names.get(part.concept, ""))
            for part, given in pairs
        )
        share = one.layer_share if explainer.composite.is_lrp else float("nan")  # gradients are no relevance
        complete.append(replace(one, title=title, concepts=concepts, layer_share=share))
    tell_doubts(replace(explainer, task=task), sample, complete, choice)  # of what was read, not of the class alone
    return complete


def layer_of(explainer: Explainer, name: str | None) -> str:
    """The layer that is asked for, or the explainer's own; 'auto' is the one that was chosen.

    Raises:
        LayerError: the network has no such layer, or none was chosen.
    """
    layer = named(explainer, name)
    names = layer_names(explainer.network)
    if layer not in names:
        setting = "model.layer" if name is None else "stage.layer"
        raise LayerError(no_layer(layer, explainer.name, names), mend=f"Set {setting}.")
    return layer


def title_of(explainer: Explainer, *data: str) -> str:
    """Model, weights, data and composite in words.

    Args:
        explainer: the network.
        data: where pictures and references come from; empty texts are left out.
    """
    weights = explainer.checkpoint if explainer.checkpoint_sha256 else "random weights"
    network = str(getattr(explainer.network, "title", ""))
    return " · ".join(part for part in (explainer.name, weights, network, *data, explainer.composite.title) if part)
