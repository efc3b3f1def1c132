"""How a picture was placed in a model's input (no torch).

Boxes are xyxy in pixels: [N, 4] as (left, top, right, bottom).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Affine placement of a picture in the model input: input = picture * scale + offset.

    Attributes:
        picture_size: (height, width) of the picture as it lies on disk, in pixels.
        input_size: (height, width) of the model input, in pixels.
        scale: (vertical, horizontal) input pixels per picture pixel.
        offset: (top, left) of the picture in the input, in input pixels; negative after a centre crop.
    """

    picture_size: tuple[int, int]
    input_size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]

    @classmethod
    def identity(cls, size: tuple[int, int]) -> "Geometry":
        """Geometry of a picture that is the model input as it stands."""
        return cls(picture_size=size, input_size=size, scale=(1.0, 1.0), offset=(0.0, 0.0))

    def to_input(self, boxes: Boxes) -> Boxes:
        """Boxes [N, 4] of the picture in input pixels [N, 4]."""
        scale, offset = self._by_column()
        return np.asarray(boxes, dtype=np.float64) * scale + offset

    def to_picture(self, boxes: Boxes) -> Boxes:
        """Boxes [N, 4] of the model input in picture pixels [N, 4]."""
        scale, offset = self._by_column()
        return (np.asarray(boxes, dtype=np.float64) - offset) / scale

    def content(self) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the picture's visible part in the input, in whole pixels."""
        height, width = self.input_size
        top, left = (max(0, round(value)) for value in self.offset)
        bottom = min(height, round(self.offset[0] + self.picture_size[0] * self.scale[0]))
        right = min(width, round(self.offset[1] + self.picture_size[1] * self.scale[1]))
        return top, left, bottom, right

    def _by_column(self) -> tuple[Boxes, Boxes]:
        (vertical, horizontal), (top, left) = self.scale, self.offset
        return np.array([horizontal, vertical] * 2), np.array([left, top] * 2)
