"""What the log says of explanations that tell little of their decision, and what to look at instead."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan

from lcrp.decisions.auto import deeper_half, layer_shares, layers_with_places
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.unseen import cut_objects, placing_in_words
from lcrp.errors import LayerError
from lcrp.values.explanation import MOSTLY, Explanation
from lcrp.values.ledger import Ledger, losses_of
from lcrp.values.sample import Sample
from lcrp.values.shares import CANCEL, cancels, percent

LEAST_LAYER_SHARE = 0.1  # of a decision; below, the layer is not what to look at
LEAST_TOLD = 0.0005  # below, nothing passes
GUIDE = "docs/how-to/where_relevance_goes.md"
MOSTLY_BIASES = 0.9  # of a decision, taken by biases
MOST_BETTER = 3  # layers that are named instead

log = logging.getLogger(__name__)


def tell_doubts(explainer: Explainer, sample: Sample, found: Sequence[Explanation], choice: ConceptChoice) -> None:
    """Say what makes explanations of a picture's decisions tell little.

    Args:
        explainer: the network.
        sample: the picture.
        found: the explanations.
        choice: what was to be shown.
    """
    placing = placing_in_words(sample.geometry)
    if placing:
        log.info("%s: %s", sample.key, placing)
    for one in found:
        for told in cut_objects(one):
            log.warning("%s: %s", one.source, told)
        if one.against >= MOSTLY:
            log.info(
                "%s: %s of the relevance in the picture speaks against '%s'; what lies outside is told of the rest",
                *(one.source, percent(one.against), one.class_name),
            )
        if choice.concepts is None and len(one.concepts) < min(choice.n_concepts, one.num_concepts):
            which = "no other" if one.concepts and one.concepts[0].share > 0.0 else "none"
            log.info(
                "%s: %d of %d concepts are shown for '%s': %s of layer '%s' has positive %s",
                *(one.source, len(one.concepts), choice.n_concepts, one.class_name, which, one.layer, one.mode),
            )
    _tell_of_layers(explainer, sample, [one for one in found if one.layer_share < LEAST_LAYER_SHARE])


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A decision of which half or more did not reach the picture.

    Attributes:
        source: the picture.
        class_name: the decision's class.
        ledger: where its relevance went.
    """

    source: str
    class_name: str
    ledger: Ledger


def losses_in(found: Iterable[Explanation]) -> list[Loss]:
    """What was lost of each of these decisions, if it is worth telling; gradients and activation lose nothing."""
    return [
        Loss(source=one.source, class_name=one.class_name, ledger=one.ledger)
        for one in found
        if one.ledger is not None and not isnan(one.layer_share) and one.ledger.losses()
    ]


def tell_losses(found: Sequence[Loss]) -> None:
    """Say in one line what biases and others took, whether of one decision or of many."""
    if not found:
        return
    first, lost = found[0], [one for one in found if one.ledger.is_lost]
    level = logging.WARNING if lost else logging.INFO
    if len(found) == 1:
        told = first.ledger.losses()
        usual = "" if lost else f"; {_usual([first])}"
        log.log(level, "%s: of the relevance of '%s' %s%s", first.source, first.class_name, told, usual)
        return
    nothing = (
        f"; of {len(lost)} next to nothing is left, '{lost[0].class_name}' in {lost[0].source} say" if lost else ""
    )
    log.log(
        level,
        "of the relevance of %d decisions %s; %s%s. See %s",
        *(len(found), losses_of([one.ledger for one in found]), _usual(found), nothing, GUIDE),
    )


def _usual(found: Sequence[Loss]) -> str:
    """What shares are of, and that large ones of biases are nothing to worry about."""
    is_of_biases = all(one.ledger.shares()[1] >= MOSTLY_BIASES and not one.ledger.is_lost for one in found)
    return "heatmaps and shares are of what is left" + (", as is usual in deep networks" if is_of_biases else "")


def _tell_of_layers(explainer: Explainer, sample: Sample, weak: Sequence[Explanation]) -> None:
    """Say so if the concepts shown are hardly what a decision was made of, and where more of it passes."""
    if not weak:
        return
    try:
        every = _layer_shares(explainer, sample, weak)
    except LayerError:  # some layer holds no finite relevance: there is nothing to advise
        every = [({}, {})] * len(weak)
    for explanation, (deep, shares) in zip(weak, every, strict=True):
        better = _best(deep) or _best(shares)
        names = ", ".join(f"'{layer}' ({share:.0%})" for layer, share in better.items())
        advice = f"; choose a layer that leads to this decision: {names}" if names else _no_better(explanation, shares)
        signs = f"; {CANCEL}" if cancels(explanation.layer_share, *better.values()) else ""
        log.warning("%s%s%s", _doubt(explanation), advice, signs)


def _no_better(explanation: Explanation, shares: Mapping[str, float]) -> str:
    """That no layer is worth looking at instead, and which one has the largest part in the decision all the same."""
    if not shares:
        return ""
    most = max(shares, key=lambda layer: abs(shares[layer]))
    is_larger = most != explanation.layer and abs(shares[most]) > abs(explanation.layer_share)
    against = ", all in all against it" if is_larger and shares[most] < 0.0 else ""
    largest = f", most passes through '{most}' ({shares[most]:.1%}{against})" if is_larger else ""
    return f"; no layer with places carries {LEAST_LAYER_SHARE:.0%} or more for it{largest}"


def _doubt(explanation: Explanation) -> str:
    share, source, layer = explanation.layer_share, explanation.source, explanation.layer
    if share < 0.0 and cancels(share):
        return (
            f"{source}: layer '{layer}' as a whole speaks against '{explanation.class_name}': {share:.1%} of its "
            "relevance passes through it"
        )
    much = f"{share:.1%}" if abs(share) >= LEAST_TOLD else "nothing"
    is_lost = explanation.ledger is not None and explanation.ledger.is_lost
    rest = "" if is_lost else ", the rest takes other ways"
    return f"{source}: {much} of the relevance of '{explanation.class_name}' passes through layer '{layer}'{rest}"


def _layer_shares(
    explainer: Explainer, sample: Sample, found: Sequence[Explanation]
) -> list[tuple[Mapping[str, float], Mapping[str, float]]]:
    """For every decision what passes through layers with places: through those of the deeper half, and through all."""
    layers = layers_with_places(explainer, sample)
    deep, every = deeper_half(layers), list(layers)
    decisions = [one.explained for one in found]
    with explainer.attributor(every) as attributor:
        shares = layer_shares(attributor.forward(sample.image[None]), decisions)
        return [({name: one[name] for name in deep if name in one}, one) for one in shares]


def _best(shares: Mapping[str, float]) -> Mapping[str, float]:
    """The largest shares, of a tenth at least."""
    best = sorted(shares, key=lambda layer: (shares[layer] > 1.0, -shares[layer]))[
        :MOST_BETTER
    ]  # more than all cancels
    return {layer: shares[layer] for layer in best if shares[layer] >= LEAST_LAYER_SHARE}
