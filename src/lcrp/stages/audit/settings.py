"""What stage=audit looks at, and how closely."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from lcrp.data.loader import Shard
from lcrp.errors import at_least, refuse
from lcrp.stages.audit.synthetic import NUM_SYNTHETIC


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """What is looked at, and how closely.

    Attributes:
        num_objects: decisions per class, drawn at random; what is not found is not audited.
        num_grounds: other pictures of each kind, per decision.
        num_synthetic: colours, gradients and soft noises, per decision.
        n_concepts: of the layer, per class that needs its context, are set to zero one by one; 0 for none.
        seed: of the draws.
        shard: the part of the decisions that is looked at.
    """

    num_objects: int = 40
    num_grounds: int = 4
    num_synthetic: int = NUM_SYNTHETIC
    n_concepts: int = 8
    seed: int = 0
    shard: Shard = field(default_factory=Shard)

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        least = {"num_objects": 1, "num_grounds": 2, "num_synthetic": 0, "n_concepts": 0, "seed": 0}
        for name, value in least.items():
            yield from at_least(name, getattr(self, name), value)
        if isinstance(self.num_synthetic, int) and self.num_synthetic > NUM_SYNTHETIC:
            yield f"num_synthetic={self.num_synthetic} is more than the {NUM_SYNTHETIC} that there are"

    def identity(self) -> dict[str, object]:
        """What determines the numbers, as plain values."""
        return {name: value for name, value in asdict(self).items() if name != "shard"}
