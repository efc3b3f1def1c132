"""The forerunner's recorded passes over sixteen photographs: the folder it wrote, and the same subject for us."""

import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import nn
from zennit.canonizers import SequentialMergeBatchNorm

from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.attribution.task import Task
from lcrp.composites.composites import epsilon_gamma_flat, epsilon_plus_flat
from lcrp.composites.spec import CompositeSpec
from lcrp.composites.table import RuleTable
from lcrp.data.transforms import InputTransform
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.subject import Subject
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Annotation, Sample

GREY = 114
Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Case:
    """One golden pass.

    Attributes:
        composite: the model's composite.
        task: how its decisions are read.
        pixels: a photograph as the forerunner resizes it.
        mean: of the normalisation.
        std: of the normalisation.
    """

    composite: Callable[..., RuleTable]
    task: Callable[[int], Task]
    pixels: Callable[[Pixels], Pixels]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def source_pixels(count: int, full: int) -> tuple[Array, Array]:
    """Pixel before each new one along an axis, and the fraction of the way to the next."""
    place = ((np.arange(count) + 0.5) * (full / count) - 0.5).astype(np.float32)
    before = np.floor(place)
    return before.astype(np.int64), place - before


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Bilinear interpolation in OpenCV's fixed point arithmetic, without antialiasing."""
    columns, fraction = source_pixels(width, pixels.shape[1])
    fraction = np.where((columns < 0) | (columns >= pixels.shape[1] - 1), 0, fraction)[:, None]
    left, right = (pixels[:, np.clip(columns + step, 0, pixels.shape[1] - 1)].astype(np.int64) for step in (0, 1))
    wide = left * np.rint((1 - fraction) * 2048).astype(np.int64) + right * np.rint(fraction * 2048).astype(np.int64)
    rows, fraction = source_pixels(height, pixels.shape[0])
    upper, lower = (wide[np.clip(rows + step, 0, pixels.shape[0] - 1)] >> 4 for step in (0, 1))
    upper_weight, lower_weight = (
        np.rint(weight * 2048).astype(np.int64)[:, None, None] for weight in (1 - fraction, fraction)
    )
    tall = ((upper * upper_weight) >> 16) + ((lower * lower_weight) >> 16)
    return ((tall + 2) >> 2).clip(0, 255).astype(np.uint8)


def stretched(pixels: Pixels) -> Pixels:
    return resized(pixels, 256, 512)


def letterboxed(pixels: Pixels) -> Pixels:
    ratio = 640 / max(pixels.shape[:2])
    height, width = (int(side * ratio) for side in pixels.shape[:2])
    if ratio != 1:
        pixels = resized(pixels, height, width)
    top, left = round((640 - height) / 2 - 0.1), round((640 - width) / 2 - 0.1)
    framed = np.full((640, 640, 3), GREY, dtype=np.uint8)
    framed[top : top + height, left : left + width] = pixels
    return framed


CASES = {
    "unet": Case(
        composite=epsilon_plus_flat,
        task=lambda num_classes: SegmentationTask(names(num_classes)),
        pixels=stretched,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    "yolov6n": Case(
        composite=epsilon_gamma_flat,
        task=lambda num_classes: DetectionTask(names(num_classes)),
        pixels=letterboxed,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    ),
}


def names(num_classes: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(num_classes))


class Photographs:
    """The photographs and annotations of a golden pass."""

    name = "photographs"

    def __init__(self, folder: Path, files: list[str], annotations: dict[str, Array], case: Case, num_classes: int):
        self.images = [
            case.pixels(np.asarray(Image.open(folder / file).convert("RGB"), dtype=np.uint8)) for file in files
        ]
        self.files, self.annotations, self.class_names = files, annotations, names(num_classes)
        self.transform = InputTransform(*self.images[0].shape[:2], "none")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample:
        labels, class_mask = torch.zeros(0, dtype=torch.int64), None
        if "classes" in self.annotations:
            labels = torch.tensor([number for number in self.annotations["classes"][index].tolist() if number >= 0])
        else:
            class_mask = torch.from_numpy(self.annotations["masks"][index].astype(np.int64))
        image = torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 255
        return Sample(
            index=index,
            key=self.key(index),
            image=image,
            annotation=Annotation(boxes=torch.zeros(len(labels), 4), labels=labels, class_mask=class_mask),
            geometry=Geometry.identity((image.shape[1], image.shape[2])),
        )

    def key(self, index: int) -> str:
        return self.files[index]

    def index_of(self, key: str) -> int:
        return self.files.index(key)

    def fingerprint(self) -> str:
        return "photographs"


def merge_as_the_forerunner(network: nn.Module) -> ExitStack:
    """Merge BatchNorm by zennit 0.4.6, in the network's present dtype; closing what is returned undoes it.

    eps stays in the norms that are left, which scale by 1 / sqrt(1 + eps) and are explained by themselves, behind what
    is recorded of the layer. Turning the batch over twice in between keeps them from being merged for a second time.
    """
    undo = ExitStack()
    for merged in SequentialMergeBatchNorm().apply(network):
        norm = merged.batch_norm
        undo.callback(merged.remove)
        undo.callback(norm.register_forward_pre_hook(lambda _, inputs: (inputs[0].flip(0).flip(0),)).remove)
    return undo


def recorded_pass(name: str, shared: Path, network: nn.Module, folder: Path, layer: str = "") -> tuple[Subject, Path]:
    """Model, photographs and composite of a pass, and the folder that the forerunner wrote, unpacked in `folder`."""
    case = CASES[name]
    with tarfile.open(shared / "goldens" / f"glocal_{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    stored = dict(np.load(folder / f"{name}_dataset.npz"))
    num_classes = 20 if name == "unet" else 80
    files = [str(file) for file in stored.pop("files")]
    dataset = Photographs(shared / "data" / "coco2017" / "val2017", files, stored, case, num_classes)
    merge_as_the_forerunner(network)
    explainer = Explainer(
        name=name,
        network=network,
        task=case.task(num_classes),
        composite=CompositeSpec(name="golden", build=case.composite),
        transform=dataset.transform,
        mean=case.mean,
        std=case.std,
        layer=layer,
        checkpoint="golden",
        checkpoint_sha256="",
    )
    return Subject(explainer=explainer, dataset=dataset, num_workers=0), folder / f"{name}_bs6_ck100"
