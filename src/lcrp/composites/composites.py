"""Composites: which rule explains which operation of a network.

The mappings are those of L-CRP (Dreyer et al. 2023, section 3.2 and supplement). Operations that are not named here
(max pooling, upsampling, concatenation) propagate as the gradient does. Wherever constants scale the channels of a
linear map, as BatchNorm does in evaluation mode, they are merged into it, exactly.

`gamma` and `epsilon` are those of the rules; `attention` and `resize` are told of at `lrp`. Every function takes the
network first, for composites that look at it.
"""

from dataclasses import replace
from glob import escape

from torch import nn
from torch.nn.modules.conv import _ConvNd

from lcrp.composites.arithmetic import STABILIZER
from lcrp.composites.closed_form import Rule
from lcrp.composites.families import Family
from lcrp.composites.rules import (
    AttentionSoftmax,
    Epsilon,
    Flat,
    GeneralisedGamma,
    Halves,
    Norm,
    Pass,
    PositiveGradient,
    ZPlus,
)
from lcrp.composites.settings import Attention, Gate, Resize, attention_by, gate_by, resize_by
from lcrp.composites.table import RuleTable


def epsilon_plus_flat(
    network: nn.Module,  # noqa: ARG001
    *,
    epsilon: float = STABILIZER,
    attention: Attention = "cp",
    resize: Resize = "gradient",
) -> RuleTable:
    """Flat for the first layer, z+ for convolutions, epsilon for the rest; the default but for YOLOv6 and YOLO."""
    return lrp(ZPlus(), epsilon=epsilon, first=Flat(), attention=attention, resize=resize)


def epsilon_gamma_flat(
    network: nn.Module,  # noqa: ARG001
    *,
    gamma: float = 0.25,
    epsilon: float = STABILIZER,
    attention: Attention = "cp",
    resize: Resize = "gradient",
) -> RuleTable:
    """Flat for the first layer, generalised gamma for convolutions, epsilon for the rest; YOLO's default."""
    return lrp(GeneralisedGamma(gamma), epsilon=epsilon, first=Flat(), attention=attention, resize=resize)


def early_gamma_flat(
    network: nn.Module,
    *,
    gamma: float = 1.0,
    epsilon: float = STABILIZER,
    attention: Attention = "cp",
    resize: Resize = "gradient",
) -> RuleTable:
    """Flat for the first layer, generalised gamma for the rest of the first third of all linear maps, epsilon behind.

    Robust near the picture and close to the gradient towards the output, as Montavon et al. (2019) advise. Linear
    maps are convolutions and fully connected layers, in the order in which the network lists them.
    """
    robust, epsilons = GeneralisedGamma(gamma), Epsilon(epsilon)
    table = lrp(robust, epsilon=epsilon, first=Flat(), attention=attention, resize=resize)
    maps = [name for name, module in network.named_modules() if isinstance(module, (_ConvNd, nn.Linear))]
    later = {escape(name): epsilons for name in maps[round(len(maps) / 3) :]}
    return replace(table, families={**table.families, "linear": robust}, layers=later)


def epsilon_flat(
    network: nn.Module,  # noqa: ARG001
    *,
    epsilon: float = STABILIZER,
    attention: Attention = "cp",
    resize: Resize = "gradient",
) -> RuleTable:
    """Flat for the first layer, epsilon for the rest, convolutions included."""
    return lrp(Epsilon(epsilon), epsilon=epsilon, first=Flat(), attention=attention, resize=resize)


def epsilon_plus(
    network: nn.Module,  # noqa: ARG001
    *,
    epsilon: float = STABILIZER,
    attention: Attention = "cp",
    resize: Resize = "gradient",
) -> RuleTable:
    """z+ for convolutions, the first too, epsilon for the rest."""
    return lrp(ZPlus(), epsilon=epsilon, attention=attention, resize=resize)


def all_flat(network: nn.Module) -> RuleTable:  # noqa: ARG001
    """Flat for every linear layer, pool and sum: what the architecture alone says of where relevance goes."""
    flat, passing = Flat(), Pass()
    return RuleTable(
        families={
            "convolution": flat,
            "linear": flat,
            "pool": flat,
            "max_pool": flat,
            "sum": flat,
            "activation": passing,
            "norm": passing,
            "l2_norm": passing,
            "scale": passing,
            "gate": passing,
            "quotient": passing,
            "product": Halves(),
        }
    )


def gradient(network: nn.Module) -> RuleTable:  # noqa: ARG001
    """The plain gradient, but for L2 normalisation, which passes relevance on as it is."""
    return RuleTable(families={"l2_norm": Pass()})


def guided_backprop(network: nn.Module) -> RuleTable:  # noqa: ARG001
    """The gradient, stopped at every ReLU where it is negative (Springenberg et al. 2015)."""
    return RuleTable(families={"relu": PositiveGradient(), "l2_norm": Pass()})


def lrp(
    convolution: Rule,
    *,
    epsilon: float = STABILIZER,
    first: Rule | None = None,
    attention: Attention = "cp",
    resize: Resize = "gradient",
    gate: Gate = "constant",
) -> RuleTable:
    """The rules of every composite of L-CRP.

    Args:
        convolution: the rule of convolutions.
        epsilon: stabiliser of the epsilon rule, for fully connected layers and norms.
        first: the rule of the linear maps that the picture reaches first; None for that of their kind.
        attention: 'cp' for CP-LRP (Ali et al. 2022), where the weights of attention are constants and the values take
            all relevance; 'attn' for AttnLRP (Achtibat et al. 2024), where both factors of every product of matrices
            take half, and softmax passes it on by its first-order expansion, which makes or loses some.
        resize: 'gradient' for interpolations as zennit passes them, 'contribution' for the share that every value has
            in what it is interpolated to.
        gate: 'constant' where a signal that is multiplied by a sigmoid, tanh or softmax takes all relevance (Arras et
            al. 2017), 'half' where both take half (AttnLRP).

    Raises:
        ConfigError: a setting makes no sense.
    """
    chosen: dict[Family, Rule] = {}
    if attention_by(attention) == "attn":
        chosen["softmax"] = AttentionSoftmax()
    if resize_by(resize) == "contribution":
        chosen["resize"] = Norm()
    if gate_by(gate) == "constant":
        chosen["gate"] = Pass()  # without a rule of its own, it is a product
    return RuleTable(
        families={
            "convolution": convolution,
            "linear": Epsilon(epsilon),
            "norm": Epsilon(epsilon),
            "normalisation": Norm(),
            "sum": Norm(),
            "pool": Norm(),
            "sampling": Norm(),
            "matrix_product": Norm(),
            "unknown": Norm(),
            "activation": Pass(),
            "scale": Pass(),
            "quotient": Pass(),
            "l2_norm": Pass(),
            "product": Halves(),
            **chosen,
        },
        first=first,
    )
