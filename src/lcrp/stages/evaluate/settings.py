"""What stage=evaluate is asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from lcrp.attribution.ablation import Ablation
from lcrp.attribution.methods import Method
from lcrp.errors import at_least, one_of, refuse


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """What is compared, and how closely.

    Attributes:
        methods: whose orders are followed.
        num_targets: decisions, one per picture, in pictures drawn at random.
        num_layers: spread evenly over the selected ones; None for all.
        num_steps: from no channel to all.
        ablations: what channels that are taken away become.
        seed: of the draw of pictures and of the random order.
        checks: whether the relevance itself is checked first.
    """

    methods: tuple[Method, ...]
    num_targets: int
    num_layers: int | None
    num_steps: int
    ablations: tuple[Ablation, ...]
    seed: int
    checks: bool = False

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        if not self.methods:
            yield "methods names none; write at least one, such as methods=[epsilon_plus_flat,gradcam]"
        for name in self.ablations:
            yield from one_of("ablations", name, get_args(Ablation))
        if not self.ablations or len(set(self.ablations)) < len(self.ablations):
            yield f"ablations={list(self.ablations)} must name at least one, and each once"
        for count in ("num_targets", "num_layers", "num_steps"):
            yield from at_least(count, getattr(self, count), 1)
        yield from at_least("seed", self.seed, 0)

    @property
    def needs_others(self) -> bool:
        """Whether channels become what they are in other pictures."""
        return bool(set(self.ablations) - {"zero"})

    def identity(self) -> dict[str, object]:
        """All of it but the number of targets, as plain values: more targets go on with what is kept."""
        return {
            "methods": [method.identity() for method in self.methods],
            "num_steps": self.num_steps,
            "ablations": list(self.ablations),
            "seed": self.seed,
        }
