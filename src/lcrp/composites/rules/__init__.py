"""LRP rules in closed form.

Notation: x input, W weight, b bias, y output, R relevance of the output; * the linear map without bias, *T its
adjoint; a+ = max(a, 0), a- = min(a, 0); stab(z) = z + 1e-6 (sign z, with sign 0 = 1).
"""

from typing import Final

from lcrp.composites.closed_form import Rule
from lcrp.composites.rules.attention import AttentionSoftmax
from lcrp.composites.rules.epsilon import Epsilon
from lcrp.composites.rules.flat import Flat
from lcrp.composites.rules.gamma import GeneralisedGamma
from lcrp.composites.rules.guided import PositiveGradient
from lcrp.composites.rules.norm import Norm
from lcrp.composites.rules.passing import Halves, Moved, Pass
from lcrp.composites.rules.z_plus import ZPlus

__all__ = [
    "RULES",
    "AttentionSoftmax",
    "Epsilon",
    "Flat",
    "GeneralisedGamma",
    "Halves",
    "Moved",
    "Norm",
    "Pass",
    "PositiveGradient",
    "ZPlus",
]

RULES: Final[tuple[type[Rule], ...]] = (
    ZPlus,
    GeneralisedGamma,
    Epsilon,
    Flat,
    Norm,
    Pass,
    Halves,
    AttentionSoftmax,
    PositiveGradient,
)  # for tables to choose from
