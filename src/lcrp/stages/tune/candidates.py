"""What is searched: the rule of linear maps by thirds of a network's depth, its start, attention and gates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import nn

from lcrp.composites.closed_form import Rule
from lcrp.composites.composites import (
    early_gamma_flat,
    epsilon_flat,
    epsilon_gamma_flat,
    epsilon_plus,
    epsilon_plus_flat,
    lrp,
)
from lcrp.composites.families import LINEAR_MAPS, Family
from lcrp.composites.rules import Epsilon
from lcrp.composites.settings import Attention, Gate
from lcrp.composites.spec import CompositeSpec
from lcrp.composites.table import RuleTable
from lcrp.composites.tuned import tuned
from lcrp.decisions.explainer import Explainer

RULES = ("z_plus", "gamma 1", "gamma 0.5", "gamma 0.25", "gamma 0.1", "epsilon")  # ever closer to the gradient
ADVISED = (  # Montavon et al. 2019: z+ or gamma near the picture, epsilon near the output
    ("gamma 0.25", "epsilon", "epsilon"),
    ("z_plus", "gamma 0.25", "epsilon"),
    ("gamma 0.25", "gamma 0.25", "epsilon"),
    ("z_plus", "z_plus", "epsilon"),
)
FIRST = ("flat", None)
NAME = "tuned"
NAMED = {
    one.__name__: one for one in (epsilon_plus_flat, epsilon_gamma_flat, early_gamma_flat, epsilon_flat, epsilon_plus)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What of a network the space of candidates depends on.

    Attributes:
        thirds: names of the layers with linear maps, in the order in which they run, in three parts.
        has_linear: whether there are others than convolutions.
        has_attention: whether weights of attention are a softmax.
        has_gates: whether signals are multiplied by gates.
    """

    thirds: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    has_linear: bool
    has_attention: bool
    has_gates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A composite that may be chosen.

    Attributes:
        label: what it is, in few words.
        composite: it.
        is_usual: whether it starts flat and its rules come closer to the gradient towards the output.
    """

    label: str
    composite: CompositeSpec
    is_usual: bool = False


def depth_of(explainer: Explainer, image: torch.Tensor) -> Depth:
    """The linear maps of a network, in the order in which they run for a picture [3, H, W]."""
    layers: dict[str, None] = {}
    seen: set[Family] = set()

    class Seen(RuleTable):
        """The rules of epsilon, which note what they are asked for."""

        def rule(self, family: Family, layer: str, *, is_first: bool = False) -> Rule | None:
            seen.add(family)
            if family in LINEAR_MAPS and layer:
                layers[layer] = None
            return RuleTable.rule(self, family, layer, is_first=is_first)

    def build(network: nn.Module) -> RuleTable:  # noqa: ARG001
        return Seen(families=lrp(Epsilon()).families)

    with explainer.attributor((), composite=build) as attributor:
        attributor.forward(image[None])
    names = list(layers)
    first, second = (round(len(names) * share / 3) for share in (1, 2))
    return Depth(
        thirds=(tuple(names[:first]), tuple(names[first:second]), tuple(names[second:])),
        has_linear="linear" in seen,
        has_attention={"softmax", "matrix_product"} <= seen,
        has_gates="gate" in seen,
    )


def candidates(default: CompositeSpec, depth: Depth, count: int, seed: int) -> list[Candidate]:
    """The default, what is advised, the other composites of L-CRP, and draws of all there are, `count` in all at most.

    Drawn are first those with a flat start whose rules come closer to the gradient towards the output, as is advised.

    Args:
        default: of the network.
        depth: of the network.
        count: of candidates; fewer ones are the first of these.
        seed: of the draws.
    """
    named = [CompositeSpec(name=name, build=build) for name, build in NAMED.items() if name != default.name]
    first, *others = (Candidate(label=one.title, composite=one) for one in (default, *named))
    advised = [_candidate(words, "flat", depth) for words in ADVISED]
    pool = list(_pool(depth))
    drawn = [pool[place] for place in np.random.default_rng(seed).permutation(len(pool)).tolist()]
    usual_first = sorted(drawn, key=lambda one: not one.is_usual)
    return [first, *advised, *others, *usual_first][:count]


def _pool(depth: Depth) -> Iterator[Candidate]:
    """All combinations that are neither advised nor among the named composites."""
    attentions: tuple[Attention, ...] = ("cp", "attn") if depth.has_attention else ("cp",)
    gates: tuple[Gate, ...] = ("constant", "half") if depth.has_gates else ("constant",)
    for words, first, attention, gate in product(product(RULES, repeat=3), FIRST, attentions, gates):
        is_default = attention == "cp" and gate == "constant"
        is_advised = words in ADVISED and first == "flat"
        is_named = (words, first) == _EARLY or (
            (words[0], first) in _NAMED_RULES and len(set(words)) == 1 and not depth.has_linear
        )
        if not (is_default and (is_advised or is_named)):
            yield _candidate(words, first, depth, attention, gate)


_EARLY = (("gamma 1", "epsilon", "epsilon"), "flat")  # early_gamma_flat, but for where the first third ends
_NAMED_RULES = (("z_plus", "flat"), ("gamma 0.25", "flat"), ("epsilon", "flat"), ("z_plus", None))


def _candidate(
    words: Sequence[str], first: str | None, depth: Depth, attention: Attention = "cp", gate: Gate = "constant"
) -> Candidate:
    layers: dict[str, list[str]] = {}
    for word, names in zip(words[1:], depth.thirds[1:], strict=True):
        if word != words[0]:
            layers.setdefault(word, []).extend(names)
    settings: Mapping[str, Any] = {
        "rule": words[0],
        "layers": layers,
        "first": first,
        "attention": attention,
        **({"gate": gate} if depth.has_gates else {}),
    }
    label = words[0] if len(set(words)) == 1 else " / ".join(words)
    label += ", flat first" if first else ""
    label += f", {attention}" if attention != "cp" else ""
    label += f", gates {gate}" if gate != "constant" else ""
    places = [RULES.index(word) for word in words]
    spec = CompositeSpec(name=NAME, build=tuned, settings=settings)
    return Candidate(label=label, composite=spec, is_usual=first == "flat" and places == sorted(places))
