"""What the log says of explanations that tell little of their decision, and what to look at instead."""

import logging
from collections.abc import Mapping, Sequence
from math import isnan

from lcrp.decisions.auto import deeper_half, layer_shares, layers_with_places
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.explainer import Explainer
from lcrp.errors import LayerError
from lcrp.values.explanation import MOSTLY, Explanation
from lcrp.values.sample import Sample
from lcrp.values.shares import CANCEL, cancels, percent

LEAST_LAYER_SHARE = 0.1  # of a decision; below, the layer is not what to look at
LEAST_TOLD = 0.0005  # below, nothing passes
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
    for one in found:
        is_relevance = not isnan(one.layer_share)  # else gradients, or activation
        losses = one.ledger.losses() if one.ledger is not None and is_relevance else ""
        if one.ledger is not None and losses:
            level = logging.WARNING if one.ledger.is_lost else logging.INFO
            log.log(level, "%s: of the relevance of '%s' %s", one.source, one.class_name, losses)
        if one.against >= MOSTLY:
            log.info(
                "%s: %s of the relevance in the picture speaks against '%s'; what lies outside is told of the rest",
                *(one.source, percent(one.against), one.class_name),
            )
        if choice.concepts is None and len(one.concepts) < min(choice.n_concepts, one.num_concepts):
            log.info(
                "%s: %d of %d concepts are shown for '%s': no other of layer '%s' has positive %s",
                *(one.source, len(one.concepts), choice.n_concepts, one.class_name, one.layer, one.mode),
            )
    _tell_of_layers(explainer, sample, [one for one in found if one.layer_share < LEAST_LAYER_SHARE])


def _tell_of_layers(explainer: Explainer, sample: Sample, weak: Sequence[Explanation]) -> None:
    """Say so if the concepts shown are hardly what a decision was made of, and where more of it passes."""
    if not weak:
        return
    try:
        better = _better_layers(explainer, sample, weak)
    except LayerError:  # advice alone: some layer holds no finite relevance
        better = [{} for _ in weak]
    for explanation, shares in zip(weak, better, strict=True):
        names = ", ".join(f"'{layer}' ({share:.0%})" for layer, share in shares.items())
        advice = (
            f"choose a layer that leads to this decision: {names}" if names else "no layer with places carries more"
        )
        signs = f"; {CANCEL}" if cancels(explanation.layer_share, *shares.values()) else ""
        log.warning("%s; %s%s", _doubt(explanation), advice, signs)


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


def _better_layers(explainer: Explainer, sample: Sample, found: Sequence[Explanation]) -> list[Mapping[str, float]]:
    """For every decision the layers through which most of it passes, with their shares: deep ones where there are."""
    layers = layers_with_places(explainer, sample)
    deep, every = deeper_half(layers), list(layers)
    decisions = [one.explained for one in found]
    with explainer.attributor(every) as attributor:
        shares = layer_shares(attributor.forward(sample.image[None]), decisions)
        return [
            _best({name: one[name] for name in deep if name in one}) or _best(one, least=abs(explanation.layer_share))
            for one, explanation in zip(shares, found, strict=True)
        ]


def _best(shares: Mapping[str, float], least: float = 0.0) -> Mapping[str, float]:
    """The largest shares of a tenth at least, and more than another."""
    best = sorted(shares, key=lambda layer: -shares[layer])[:MOST_BETTER]
    return {layer: shares[layer] for layer in best if shares[layer] >= max(LEAST_LAYER_SHARE, least)}
