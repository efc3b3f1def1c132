"""Settings of a network and of its decisions."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import MISSING

from lcrp.config.values import Problems, filled, told
from lcrp.errors import at_least, one_of

if TYPE_CHECKING:
    from lcrp.data.transforms import Tiles


def tiles_of(settings: "Input") -> "Tiles | None":
    """How pictures are cut before they are placed."""
    from lcrp.data.transforms import Tiles

    if settings.tiles is None:
        return None
    size = settings.tiles["size"]
    return Tiles(size=int(size) if float(size).is_integer() else size, overlap=settings.tiles.get("overlap", 0.2))


@dataclass
class Input:
    """How a picture becomes the network's input."""

    height: int = MISSING
    width: int = MISSING
    resize: str = MISSING
    multiple_of: int = 1
    tiles: Any = None  # a mapping, which OmegaConf cannot put in place of None where it has a type

    def problems(self) -> Problems:
        """What is wrong with them."""
        from lcrp.data.transforms import InputTransform

        yield from told("model.input.", lambda: filled(InputTransform, self, Path(), {"tiles": None}))
        if self.tiles is not None:
            names = set(self.tiles) if isinstance(self.tiles, dict) else set()
            values = self.tiles.values() if names else ()
            if "size" in names <= {"size", "overlap"} and all(type(value) in (int, float) for value in values):
                yield from told("model.input.", lambda: tiles_of(self))
            else:
                yield f"model.input.tiles={self.tiles!r} is no tiling; write {{size: PIXELS, overlap: SHARE}}"
        yield from at_least("model.input.multiple_of", self.multiple_of, 1)
        for name, side in (("height", self.height), ("width", self.width)):
            if side % max(1, self.multiple_of):
                yield f"model.input.{name}={side} is not a multiple of {self.multiple_of}, as this network needs it"


@dataclass
class Model:
    """A network, its checkpoint and how its decisions are selected."""

    name: str = MISSING
    task: str = MISSING
    network: dict[str, Any] = MISSING
    head: str | None = None
    checkpoint: str | None = None
    class_names: list[str] | None = None
    input: Input = field(default_factory=Input)
    mean: list[float] = MISSING
    std: list[float] = MISSING
    layer: str = MISSING
    score: str | None = None
    confidence: float | None = None
    iou: float | None = None
    max_detections: int | None = None
    min_area: int | None = None
    activation: str | None = None
    threshold: float | None = None

    def problems(self) -> Problems:
        """What is wrong with them, but for what decisions depend on."""
        yield from self.input.problems()
        if "_target_" not in self.network:
            yield "'model.network._target_' has no value; it names the network's class"
        for key in ("mean", "std"):
            if len(getattr(self, key)) != 3:
                yield f"model.{key} has {len(getattr(self, key))} values; write one per RGB channel: [r,g,b]"
            if not all(map(math.isfinite, getattr(self, key))):
                yield f"model.{key}={getattr(self, key)} is not finite; write one number per RGB channel: [r,g,b]"
        if any(value <= 0 for value in self.std):
            yield f"model.std={self.std} is divided by; write positive values"

    def task_problems(self) -> Problems:
        """Whether the task is known and has its own settings, and no others."""
        from lcrp.config.tasks import TASKS

        yield from one_of("model.task", self.task, TASKS)
        if self.task not in TASKS:
            return
        own = TASKS[self.task].settings
        for name in own:
            if getattr(self, name) is None:
                yield f"'model.{name}' has no value, but {TASKS[self.task].predicts} needs it; write model.{name}=..."
        own += TASKS[self.task].options
        every = (name for kind in TASKS.values() for name in kind.settings + kind.options)
        reason = "which selects its boxes itself" if "kept" in self.task else f"which does {self.task}"
        for name in dict.fromkeys(name for name in every if name not in own):
            if getattr(self, name) is not None:
                yield f"'model.{name}' says nothing to model '{self.name}', {reason}; leave it out"
