"""model.layer=auto: the layer through which most of the relevance of a network's decisions passes.

Axes: C concept, h w feature map.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from math import exp, isclose, log, nan
from statistics import fmean

from torch.nn.modules.conv import _ConvNd

from lcrp.attribution.layers import AUTO, layer_names
from lcrp.attribution.trace import Trace
from lcrp.composites.composites import epsilon_gamma_flat
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import CompositeSpec
from lcrp.composites.table import RuleTable
from lcrp.data.dataset import Dataset
from lcrp.decisions.beside import without_background
from lcrp.decisions.counting import GrowingCount, StartCounting
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.subject import TargetChoice
from lcrp.errors import DataError, LayerError, TargetError, nearest
from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget

NUM_DECISIONS = 16  # that are looked at
NUM_PICTURES = 64  # in which they are looked for
NEARLY_ALL = 0.99  # of a layer's relevance, in a single channel: the output that is explained shows no concepts
ENOUGH = 0.5  # of the relevance, that a layer of the deeper half carries, or earlier ones take part
AS_MUCH = 0.9  # of the largest share, from which on layers count as carrying as much

_GAMMA = CompositeSpec(name="epsilon_gamma_flat", build=epsilon_gamma_flat)

Layers = Mapping[str, int]  # number of channels by name, in the order in which layers run
Shares = Mapping[str, float]  # of a decision's relevance, by layer


def chosen_layer(
    explainer: Explainer,
    samples: Iterable[Sample],
    targets: TargetChoice = "predicted",
    start_counting: StartCounting | None = None,
) -> ChosenLayer | None:
    """The layer that 'auto' stands for, by the first 16 decisions about samples.

    Of the layers whose output has places, and that lie in the deeper half of these by the order in which they run, the
    one that carries most of every decision's relevance: the geometric mean of min(|R|, 1) of seeds of 1, which is small
    for layers that some decisions hardly pass, such as those of one level of a detector's pyramid or head. Of those
    that carry as much (90 % of it) the one with the most channels, of these the deepest. Earlier layers take part where
    none of these carries half of the relevance; the plain mean counts where every layer is left out by some decision,
    the output that is explained where there is nothing else.

    Args:
        explainer: the network; epsilon_gamma_flat takes the place of a composite whose relevance is no share, as that
            of gradients is none, nor that of epsilon in convolutions, where relevance for and against cancels.
        samples: read in order until there are decisions enough, 64 at most.
        targets: which decisions; what is annotated where it is, else what is predicted.
        start_counting: opens a count of what is looked at, as `Run.progress` does.

    Returns:
        None if nothing is decided in these samples.

    Raises:
        LayerError: no layer has places and carries relevance.
    """
    gives_shares = _gives_shares(explainer)
    explainer = replace(
        explainer,
        composite=explainer.composite if gives_shares else _GAMMA,
        unaccounted="accept",  # explaining itself tells
    )
    with GrowingCount(start_counting, "choosing the layer", "explanations") as count:
        count.extend(NUM_DECISIONS)
        found = _chosen(explainer, iter(samples), targets, count)
    return found if found is None or gives_shares else replace(found, rules=_GAMMA.name)


def _gives_shares(explainer: Explainer) -> bool:
    """Whether what a layer holds under its composite is about a share of the decision."""
    rules = explainer.composite(explainer.network) if explainer.composite.is_lrp else None
    if not isinstance(rules, RuleTable):
        return explainer.composite.is_lrp
    layers = [name for name, module in explainer.network.named_modules() if isinstance(module, _ConvNd)]
    return not any(isinstance(rules.rule("convolution", name), Epsilon) for name in layers)


def _chosen(
    explainer: Explainer, waiting: Iterator[Sample], targets: TargetChoice, count: GrowingCount
) -> ChosenLayer | None:
    first = next(waiting, None)
    if first is None:
        return None
    layers = layers_with_places(explainer, first)
    kept: list[Sample] = []
    found: list[Shares] = []
    every = list(layers)
    for part, with_output, least in ((deeper_half(layers), False, ENOUGH), (every, False, 0.0), (every, True, 0.0)):
        looked_at = islice(kept or chain([first], waiting), NUM_PICTURES)
        if found:
            count.extend(NUM_DECISIONS)
        kept, found, is_linearised = _measured(
            explainer, part, looked_at, targets, with_output=with_output, count=count
        )
        count.extend(len(found) - NUM_DECISIONS)
        if not found:
            return None
        best = _best(layers, part, found, _geometric, least)
        if best is None and not least:
            best = _best(layers, part, found, fmean, least)
        if best is not None:
            return replace(best, share=nan) if is_linearised else best
    raise LayerError(
        f"no layer of {explainer.name} carries relevance of its decisions; with places are {nearest('', layers)}"
    )


def _best(
    layers: Layers,
    names: Sequence[str],
    found: Sequence[Shares],
    mean_of: Callable[[Sequence[float]], float],
    least: float,
) -> ChosenLayer | None:
    """The layer that carries most of the relevance, if it is more than `least`."""
    shares = {name: [min(abs(one.get(name, 0.0)), 1.0) for one in found] for name in names}
    mean = {name: mean_of(own) for name, own in shares.items()}
    most = max(mean.values(), default=0.0)
    if most <= least:
        return None
    as_much = [name for name in names if mean[name] >= AS_MUCH * most]
    best = max(reversed(as_much), key=lambda name: layers[name])
    return ChosenLayer(name=best, share=fmean(shares[best]), num_decisions=len(found))


def _geometric(values: Sequence[float]) -> float:
    return exp(fmean(map(log, values))) if all(values) else 0.0


def _measured(
    explainer: Explainer,
    layers: Sequence[str],
    samples: Iterable[Sample],
    targets: TargetChoice,
    *,
    with_output: bool,
    count: GrowingCount,
) -> tuple[list[Sample], list[Shares], bool]:
    """The samples about which something is decided, the shares of each of their first decisions, whether linearised.

    Raises:
        LayerError: relevance cannot be read in any of them.
    """
    kept: list[Sample] = []
    found: list[Shares] = []
    refused: LayerError | None = None
    is_linearised = False
    with explainer.attributor(layers) as attributor:
        for sample in samples:
            try:
                trace = attributor.forward(sample.image[None])
                is_linearised = trace.is_linearised
                decisions = _decisions(explainer, trace, sample, targets)[: NUM_DECISIONS - len(found)]
                for shares in layer_shares(trace, decisions, with_output=with_output):
                    found.append(shares)
                    count.advance()
            except LayerError as error:  # in this picture one of the layers takes no part
                refused = error
                continue
            kept += [sample] if decisions else []
            if len(found) >= NUM_DECISIONS:
                break
    if refused is not None and not found:
        raise refused
    return kept, found, is_linearised


def layers_with_places(explainer: Explainer, sample: Sample) -> Layers:
    """Layers whose concepts lie somewhere: maps of more than one place and channel, at which relevance can be read.

    Raises:
        LayerError: there is none.
    """
    names = layer_names(explainer.network)
    with explainer.attributor(names) as attributor:
        maps = attributor.readable(sample.image[None])
    layers = {name: one.shape[1] for name, one in maps.items() if one.shape[1] > 1 and one.shape[2:].numel() > 1}
    if not layers:
        kind = type(explainer.network).__name__
        raise LayerError(f"no layer of {kind} shows concepts at places of a map; its layers: {nearest('', names)}")
    return layers


def deeper_half(layers: Layers) -> list[str]:
    """The layers that run last."""
    return list(layers)[len(layers) // 2 :]


def layer_shares(trace: Trace, decisions: Sequence[ExplainedTarget], *, with_output: bool = False) -> Iterator[Shares]:
    """What each decision's relevance sums to in every recorded layer, as shares of the logit's size.

    Of sides that are linearised it is what moves them, whatever the direction: sum_c |R_c| by that of the bins' logits.

    Args:
        trace: of the picture.
        decisions: about it.
        with_output: whether layers are told of which a single channel holds all of it, or several all that was put on
            them to be set against each other; these are the output that is explained, and show no concepts.
    """
    for one in decisions:
        shares = {}
        put = trace.put_on([one]) if trace.is_contrast else 0.0
        for layer, relevance in trace.explain([one]).relevance.items():
            by_channel = relevance[0].double().sum(dim=(1, 2))  # [C]
            size = float(by_channel.abs().sum())
            spread = float(relevance.double().abs().sum())  # logits of a class may have either sign over its mask
            is_put = any(isclose(one, put, rel_tol=1e-3) for one in (size, spread))
            is_output = is_put or by_channel.abs().max() >= NEARLY_ALL * size
            if with_output or not is_output:
                shares[layer] = size / put if trace.is_linearised else float(by_channel.sum())
        yield shares


def with_chosen(explainer: Explainer, chosen: ChosenLayer) -> Explainer:
    """The same, its 'auto' named."""
    layer = chosen.name if explainer.layer == AUTO else explainer.layer
    return replace(explainer, layer=layer, chosen=chosen)


def is_auto(explainer: Explainer, layers: Iterable[str | None]) -> bool:
    """Whether one of these layers, None for the explainer's own, stands for a choice that is still to be made."""
    names = (explainer.layer if name is None else name for name in layers)
    return explainer.chosen is None and AUTO in names


def layers_of(explainer: Explainer, patterns: Sequence[str]) -> list[str]:
    """Names of layers by patterns, of which 'auto' stands for the layer that was chosen.

    Raises:
        LayerError: a pattern matches no layer, or nothing was chosen.
    """
    return layer_names(explainer.network, [named(explainer, pattern) for pattern in patterns])


def named(explainer: Explainer, layer: str | None) -> str:
    """The layer that a name stands for: that of the explainer for None, the chosen one for 'auto'.

    Raises:
        LayerError: nothing was chosen yet.
    """
    name = explainer.layer if layer is None else layer
    if name != AUTO:
        return name
    if explainer.chosen is None:
        raise undecided(explainer, "no decisions")
    return explainer.chosen.name


def undecided(explainer: Explainer, where: str) -> LayerError:
    """Why 'auto' stands for nothing.

    Args:
        explainer: the network.
        where: what it was looked for in.
    """
    names = layer_names(explainer.network)
    return LayerError(
        f"layer 'auto' goes by decisions, and {explainer.name} decides nothing in {where}; name a layer, such as "
        f"{nearest('', names)}.",
        mend="Set model.layer.",
    )


def read_samples(dataset: Dataset, num_samples: int | None) -> Iterator[Sample]:
    """The first samples of a dataset, those left out that cannot be read."""
    count = len(dataset) if num_samples is None else min(num_samples, len(dataset))
    for index in range(count):
        try:
            yield dataset[index]
        except DataError:  # the pass tells of it
            continue


def _decisions(explainer: Explainer, trace: Trace, sample: Sample, targets: TargetChoice) -> list[ExplainedTarget]:
    """The decisions about a sample, in the order in which a pass explains them."""
    task = explainer.task
    prediction = task.predictions(trace.output)[0]
    read = task.annotated_targets if targets == "annotated" and sample.annotation else task.predicted_targets
    try:
        found, _ = read(prediction, sample)
    except TargetError:
        return []
    found = without_background(task, found) or found
    other = getattr(task, "instead", None)  # of which nothing can be said why it is not itself
    return [one for one in found if one.target.class_id != other]
