"""How a picture becomes a model's input, together with what is known of it.

Axes: N object, H W picture or input. Boxes are xyxy in pixels.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TypeVar, get_args

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from lcrp.errors import ConfigError, DataError, at_least, one_of, refuse, within
from lcrp.values.geometry import Geometry, ResizeName, Tile
from lcrp.values.sample import VOID, Annotation

GREY = 114  # of the bars beside a letterboxed picture, as YOLOv5 and YOLOv6
STRIDE = 32  # of which the sides of a rectangle are multiples

_Tensor = TypeVar("_Tensor", bound=torch.Tensor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiles:
    """How pictures are cut into overlapping squares.

    Attributes:
        size: side of a tile, in pixels of the picture.
        overlap: of two neighbours, at least, as a share of the side, in [0, 0.9].
    """

    size: int
    overlap: float

    def __post_init__(self) -> None:
        refuse([*at_least("tiles.size", self.size, 32), *within("tiles.overlap", self.overlap, 0, 0.9)])

    def of(self, picture_size: tuple[int, int]) -> list[list[Tile]]:
        """The tiles of a picture (height, width), row by row: as few as overlap enough, evenly spread, all within."""
        rows, columns = (self._spans(length) for length in picture_size)
        return [
            [Tile(top=top, left=left, bottom=bottom, right=right) for left, right in columns] for top, bottom in rows
        ]

    def _spans(self, length: int) -> list[tuple[int, int]]:
        if length <= self.size:
            return [(0, length)]
        count = 1 + math.ceil((length - self.size) / (self.size * (1 - self.overlap)))
        starts = [round(number * (length - self.size) / (count - 1)) for number in range(count)]
        return [(start, start + self.size) for start in starts]


@dataclass(frozen=True, slots=True)
class InputTransform:
    """Places a picture in an input of fixed size, with its boxes and masks.

    Pictures are resized bilinearly with antialiasing (torchvision), masks to the nearest pixel's centre. The forerunner
    resizes with OpenCV (area when shrinking, bilinear when enlarging): pixels differ slightly, sizes and paddings
    do not.

    - 'letterbox': the longer side fills the input, size (int(h r), int(w r)); centred on grey 114, with bars of
      round(d - 0.1) and round(d + 0.1) pixels (YOLOv5 and YOLOv6 preprocessing).
    - 'stretch': both sides fill the input, the aspect ratio is lost (SSD, Cityscapes).
    - 'shorter_crop': the shorter side fills the input, the rest is cut off around the centre (VOC).
    - 'none': the picture has the input's size already.
    - 'rect': as 'letterbox', of the size (round(h r), round(w r)), with bars up to the next multiple of 32 alone, as
      newer YOLOs predict: inputs are as wide or as high as their pictures need.

    Attributes:
        height: of the input, in pixels.
        width: of the input, in pixels.
        resize: which of the above.
        tiles: how pictures are cut before; None leaves them whole.
    """

    height: int
    width: int
    resize: ResizeName = "letterbox"
    tiles: Tiles | None = None

    def __post_init__(self) -> None:
        sides = (*at_least("height", self.height, 1), *at_least("width", self.width, 1))
        refuse([*one_of("resize", self.resize, get_args(ResizeName)), *sides])

    def __call__(
        self, picture: torch.Tensor, annotation: Annotation | None
    ) -> tuple[torch.Tensor, Annotation | None, Geometry]:
        """Input image, annotation in the input's pixels, and where the picture lies in the input.

        Objects that the crop cuts away, and boxes without area, are dropped.

        Args:
            picture: [3, H, W] uint8 RGB.
            annotation: what is in it, in pixels of the picture.

        Returns:
            Image [3, height, width] float32 in [0, 1]; annotation; geometry.

        Raises:
            DataError: if resize is 'none' and the picture has another size.
            ConfigError: pictures are to be cut before (`lcrp.data.tiles.tiled`).
        """
        if self.tiles is not None:
            raise ConfigError(
                "tiles are cut before pictures are placed: make the dataset with lcrp.data.tiles.tiled, or load without"
            )
        geometry, size = self._placement((picture.shape[-2], picture.shape[-1]))
        pads = self._pads(geometry, size)

        def place(values: _Tensor, fill: int) -> _Tensor:
            return _placed(values, size, pads, fill)

        image = place(tv_tensors.Image(picture), GREY).as_subclass(torch.Tensor).float() / 255
        moved = None if annotation is None else _place_annotation(annotation, geometry, place)
        return image, moved, geometry

    def as_rectangle(self) -> "InputTransform":
        """The same without the bars that a square needs.

        Raises:
            ConfigError: pictures are not letterboxed.
        """
        if self.resize == "rect":
            return self
        if self.resize != "letterbox":
            raise ConfigError(f"rectangle=true needs letterboxed pictures; here they are placed by '{self.resize}'")
        return replace(self, resize="rect")

    @property
    def is_of_one_size(self) -> bool:
        """Whether all inputs have the same size."""
        return self.resize != "rect"

    def description(self) -> dict[str, object]:
        """Plain values that determine the numbers, for fingerprints and files."""
        found: dict[str, object] = {"height": self.height, "width": self.width, "resize": self.resize}
        return found if self.tiles is None else found | {"tiles": asdict(self.tiles)}

    def _placement(self, picture_size: tuple[int, int]) -> tuple[Geometry, tuple[int, int]]:
        """Where a picture goes, and its size (height, width) after resizing."""
        height, width = picture_size
        input_size = self._size
        vertical, horizontal = self.height / height, self.width / width
        size = (self.height, self.width)
        if self.resize == "none" and picture_size != size:
            raise DataError(
                f"the picture has {height}x{width} pixels, the model takes {self.height}x{self.width} as they are; "
                "set the model's input.resize to 'letterbox', 'stretch' or 'shorter_crop'"
            )
        if self.resize == "letterbox":
            ratio = min(vertical, horizontal)
            size = (max(1, int(height * ratio)), max(1, int(width * ratio)))
            offset = tuple(float(round((full - part) / 2 - 0.1)) for full, part in zip(self._size, size, strict=True))
        elif self.resize == "rect":
            ratio = min(vertical, horizontal)
            size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
            input_size = (-(-size[0] // STRIDE) * STRIDE, -(-size[1] // STRIDE) * STRIDE)
            offset = tuple(float(round((full - part) / 2 - 0.1)) for full, part in zip(input_size, size, strict=True))
        elif self.resize == "shorter_crop":
            by_height = vertical >= horizontal
            size = (
                (self.height, max(self.width, int(self.height * width / height)))
                if by_height
                else (max(self.height, int(self.width * height / width)), self.width)
            )
            offset = tuple(-float(round((part - full) / 2)) for full, part in zip(self._size, size, strict=True))
        else:
            offset = (0.0, 0.0)
        geometry = Geometry(
            picture_size=picture_size,
            input_size=input_size,
            scale=(size[0] / height, size[1] / width),
            offset=(offset[0], offset[1]),
            resize=self.resize,
        )
        return geometry, size

    @property
    def _size(self) -> tuple[int, int]:
        return (self.height, self.width)

    def _pads(self, geometry: Geometry, size: tuple[int, int]) -> list[int]:
        """Pixels added at left, top, right and bottom; negative ones are cut off."""
        top, left = (int(value) for value in geometry.offset)
        height, width = geometry.input_size
        return [left, top, width - size[1] - left, height - size[0] - top]


class WholePicture(InputTransform):
    """Leaves pictures and annotations as they are: others cut and place them."""

    def __init__(self) -> None:
        super().__init__(height=1, width=1, resize="none")

    def __call__(
        self, picture: torch.Tensor, annotation: Annotation | None
    ) -> tuple[torch.Tensor, Annotation | None, Geometry]:
        """The picture [3, H, W] in [0, 1], its annotation, and that it is as it was."""
        return picture.float() / 255, annotation, Geometry.identity((picture.shape[-2], picture.shape[-1]))


def _placed(values: _Tensor, size: tuple[int, int], pads: list[int], fill: int) -> _Tensor:
    """A picture, mask or boxes after resizing to `size` and padding or cutting by `pads`."""
    if tuple(functional.get_size(values)) != size:
        values = _resized(values, size)
    left, top, right, bottom = pads
    if min(pads) < 0:
        return functional.crop(values, -top, -left, size[0] + top + bottom, size[1] + left + right)  # type: ignore[no-any-return]
    if max(pads) > 0:
        return functional.pad(values, pads, fill=fill)  # type: ignore[no-any-return]
    return values


def _resized(values: _Tensor, size: tuple[int, int]) -> _Tensor:
    """Bilinear for pictures. A mask takes the class at the pixel's centre; torchvision's shifts it by up to half."""
    if not isinstance(values, tv_tensors.Mask):
        resized = functional.resize(values, list(size), interpolation=v2.InterpolationMode.BILINEAR, antialias=True)
        return resized  # type: ignore[no-any-return]
    stack = values.as_subclass(torch.Tensor).reshape(-1, *values.shape[-2:])  # [N, H, W]
    moved = functional.resize(stack, list(size), interpolation=v2.InterpolationMode.NEAREST_EXACT)
    return tv_tensors.wrap(moved.reshape(*values.shape[:-2], *size), like=values)  # type: ignore[no-any-return]


def _place_annotation(
    annotation: Annotation, geometry: Geometry, place: Callable[[torch.Tensor, int], torch.Tensor]
) -> Annotation:
    """The annotation in input pixels; `place` moves one tensor, with the fill for what lies beside the picture."""

    def placed_mask(mask: torch.Tensor, fill: int) -> torch.Tensor:
        raw = mask.to(torch.uint8) if mask.dtype == torch.bool else mask
        moved = place(tv_tensors.Mask(raw), fill).as_subclass(torch.Tensor)
        return moved.to(mask.dtype)

    boxes = tv_tensors.BoundingBoxes(
        annotation.boxes.to(torch.float32).reshape(-1, 4),
        format=tv_tensors.BoundingBoxFormat.XYXY,
        canvas_size=geometry.picture_size,
    )
    moved_boxes = place(boxes, 0).as_subclass(torch.Tensor)
    kept = (moved_boxes[:, 2:] > moved_boxes[:, :2]).all(dim=1)
    masks, class_mask, context = annotation.masks, annotation.class_mask, annotation.context
    return replace(
        annotation,
        boxes=moved_boxes[kept],
        labels=annotation.labels[kept],
        masks=None if masks is None else placed_mask(masks[kept], 0),
        class_mask=None if class_mask is None else placed_mask(class_mask, VOID),
        parts={name: placed_mask(part, 0) for name, part in annotation.parts.items()},
        context=None if context is None else placed_mask(context, VOID),
    )
