"""Scenes as a dataset."""

from typing import Literal

import torch

from lcrp.data.dataset import Keyed, checked_index, fingerprint_of
from lcrp.data.scenes.draw import Drawing, draw
from lcrp.data.scenes.names import CLASS_NAMES, DRAWING_VERSION
from lcrp.data.scenes.plan import SPLITS, check_settings, plan
from lcrp.data.scenes.scene import Scene
from lcrp.data.transforms import InputTransform
from lcrp.values.sample import Annotation, Sample

SIZE = 256


class ScenesDataset(Keyed):
    """Procedural pictures of 256x256 pixels with boxes, masks, parts and contexts.

    Labels are 0 to 5 for detection; for segmentation they are 1 to 6, as in the class mask, and 0 is the background.
    """

    def __init__(
        self,
        split: Literal["train", "val"] = "val",
        *,
        context_bias: float = 0.95,
        segmentation: bool = False,
        transform: InputTransform | None = None,
    ) -> None:
        """Pictures of one split.

        Args:
            split: 'train' (5,000 pictures) or 'val' (500).
            context_bias: chance in [0, 1] that an object stands in its own context, else in any.
            segmentation: whether the background is class 0.
            transform: how a picture becomes the model's input; None leaves it as it is.

        Raises:
            ConfigError: there is no such split, or the bias is no probability.
        """
        check_settings(split, context_bias)
        self.split = split
        self.context_bias = context_bias
        self.segmentation = segmentation
        self.transform = transform or InputTransform(SIZE, SIZE, "none")
        self.name = f"scenes {split}"
        self.keys = tuple(f"{split}/{index:05d}" for index in range(SPLITS[split]))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, for segmentation with the background."""
        return ("background", *CLASS_NAMES) if self.segmentation else CLASS_NAMES

    def __getitem__(self, index: int) -> Sample:
        """Draw sample `index`."""
        return self.sample(self.scene(index))

    def scene(self, index: int) -> Scene:
        """Description of picture `index`, for interventions and ground truth."""
        checked_index(index, len(self), self.name)
        return plan(self.split, index, context_bias=self.context_bias, size=SIZE)

    def sample(self, scene: Scene) -> Sample:
        """Draw a scene, for example one with its context swapped, as a sample of this dataset."""
        drawing = draw(scene)
        picture = torch.from_numpy(drawing.image).permute(2, 0, 1)
        image, annotation, geometry = self.transform(picture, self._annotation(drawing))
        return Sample(
            index=scene.index, key=self.key(scene.index), image=image, annotation=annotation, geometry=geometry
        )

    def fingerprint(self) -> str:
        """Hash of all that determines the pictures."""
        options = {
            "drawing_version": DRAWING_VERSION,
            "split": self.split,
            "context_bias": self.context_bias,
            "segmentation": self.segmentation,
            "size": SIZE,
            "transform": self.transform.description(),
        }
        return fingerprint_of("scenes", ((key, 0) for key in self.keys), options)

    def _annotation(self, drawing: Drawing) -> Annotation:
        return Annotation(
            boxes=torch.from_numpy(drawing.boxes),
            labels=torch.from_numpy(drawing.labels + int(self.segmentation)),
            masks=torch.from_numpy(drawing.masks),
            class_mask=torch.from_numpy(drawing.class_mask),
            parts={name: torch.from_numpy(mask) for name, mask in drawing.parts.items()},
            context=torch.from_numpy(drawing.context),
        )
