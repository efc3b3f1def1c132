"""What stage=missed looks at."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import inf

from lcrp.attribution.layers import AUTO
from lcrp.data.loader import Shard
from lcrp.decisions.misses import LEAST_SCORE
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import at_least, one_of, refuse, within
from lcrp.figures.saving import FORMATS


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedSettings:
    """Which detections count, and what is a candidate.

    Attributes:
        thresholds: of the detections.
        least_score: above which a box that is not detected is a candidate.
        class_names: only detections of these classes count; None for all.
        min_area: nor those of fewer pixels of the picture; of segmenters, regions of fewer pixels of the input.
        explained: so many of the misses of a detector are explained, each with a figure; None for all of them.
        layer: whose concepts are told; None takes, for every miss, the one at which a single concept tells most.
        formats: of the figures: 'png', 'svg', 'pdf'.
        shard: the part of the pictures that is looked at.
    """

    thresholds: Thresholds = field(default_factory=Thresholds)
    least_score: float = LEAST_SCORE
    class_names: tuple[str, ...] | None = None
    min_area: float = 0.0
    explained: int | None = 0
    layer: str | None = None
    formats: tuple[str, ...] = ("png",)
    shard: Shard = field(default_factory=Shard)

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        yield from within("least_score", self.least_score, 0, 1)
        yield from at_least("min_area", self.min_area, 0, is_count=False)
        for name in ("least_score", "min_area"):
            if getattr(self, name) in (None, inf):
                yield f"{name}={getattr(self, name)} is no number to compare with; leave it out"
        if self.layer == AUTO:
            yield "layer=auto goes by decisions, and a miss is none; left out, every miss has the layer that tells most"
        yield from at_least("explained", self.explained, 0)
        yield from (problem for name in self.formats or ("",) for problem in one_of("formats", name, FORMATS))
        if self.class_names is not None and not self.class_names:
            yield "class_names names none; leave it out, or write some such as class_names=[boat]"

    def identity(self) -> dict[str, object]:
        """What determines which objects are missed, as plain values."""
        names = None if self.class_names is None else sorted(self.class_names)
        own = {"least_score": self.least_score, "class_names": names, "min_area": self.min_area}
        return {**asdict(self.thresholds), **own}
