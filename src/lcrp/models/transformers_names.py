"""Architectures of transformers, and how their pictures are made, as their folders tell (no torch, no transformers)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lcrp.errors import CheckpointError
from lcrp.models.settings_files import read_settings

PREPROCESSOR = "preprocessor_config.json"
DETECTION, SEGMENTATION, QUERY_SEGMENTATION = "kept_detection", "segmentation", "query_segmentation"

_AS_IT_IS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One kind of network that runs, and what it is given where its folder does not say.

    Attributes:
        model_type: its name in config.json.
        task: which decisions it makes.
        side: of its input, in pixels.
        resize: how a picture becomes that.
        multiple_of: what sides must be.
        normalisation: mean and std of RGB in [0, 1].
        tokens: patterns of layers whose outputs are tokens that have places.
    """

    model_type: str
    task: str
    side: int
    resize: str
    multiple_of: int = 1
    normalisation: tuple[tuple[float, ...], tuple[float, ...]] = _IMAGENET
    tokens: tuple[str, ...]


_HYBRID = (  # one layer on the last level; what queries read of all levels
    "model.encoder.aifi.*.mlp.fc1",
    "model.encoder.aifi.*.mlp.layers.0",
    "model.encoder.aifi.*.final_layer_norm",
    "model.decoder.layers.*.encoder_attn.value_proj",
)
ARCHITECTURES: Mapping[str, Architecture] = {
    "DetrForObjectDetection": Architecture(
        model_type="detr",
        task=DETECTION,
        side=800,
        resize="letterbox",
        tokens=(
            "model.encoder.layers.*.mlp.fc1",
            "model.encoder.layers.*.final_layer_norm",
            "model.decoder.layers.*.encoder_attn.v_proj",
        ),
    ),
    **{
        name: Architecture(
            model_type=model_type,
            task=DETECTION,
            side=640,
            resize="stretch",
            multiple_of=32,
            normalisation=_AS_IT_IS,
            tokens=_HYBRID,
        )
        for name, model_type in (
            ("RTDetrForObjectDetection", "rt_detr"),
            ("RTDetrV2ForObjectDetection", "rt_detr_v2"),
            ("DFineForObjectDetection", "d_fine"),
        )
    },
    "SegformerForSemanticSegmentation": Architecture(
        model_type="segformer",
        task=SEGMENTATION,
        side=512,
        resize="stretch",
        tokens=(
            "segformer.stages.*.mlp.fc1",
            "segformer.stages.?.layer_norm",
            "decode_head.linear_projections.*.proj",
        ),
    ),
    "Mask2FormerForUniversalSegmentation": Architecture(
        model_type="mask2former",
        task=QUERY_SEGMENTATION,
        side=384,
        resize="letterbox",
        multiple_of=32,
        tokens=(
            "model.pixel_level_module.encoder.*.blocks.*.mlp.fc1",
            "model.pixel_level_module.encoder.*hidden_states_norms.*",
            "model.pixel_level_module.decoder.encoder.layers.*.fc1",
            "model.pixel_level_module.decoder.encoder.layers.*.final_layer_norm",
        ),
    ),
}


def named(config: Mapping[str, Any]) -> str | None:
    """The architecture that settings of a network are of; None if it is none of those that run."""
    names = config.get("architectures")
    if isinstance(names, list) and names:
        return next((name for name in names if name in ARCHITECTURES), None)
    kinds = {one.model_type: name for name, one in ARCHITECTURES.items()}
    return kinds.get(str(config.get("model_type")))


def preprocessing(folder: Path) -> Mapping[str, Any]:
    """What a folder says of how its pictures are made; nothing if it does not say it.

    Raises:
        CheckpointError: it cannot be read.
    """
    path = folder / PREPROCESSOR
    return read_settings(path) if path.is_file() else {}


def input_of(architecture: Architecture, told: Mapping[str, Any]) -> tuple[int, int, str]:
    """Height and width of a network's input, and how a picture becomes that.

    A side that is scaled by its shortest edge gives a square into which pictures are letterboxed.

    Args:
        architecture: the network's.
        told: its preprocessing, as its folder says it.

    Raises:
        CheckpointError: sizes are no numbers of pixels.
    """
    size = told.get("size") if told.get("do_resize", True) else None
    if isinstance(size, int):
        size = {"height": size, "width": size} if architecture.resize == "stretch" else {"shortest_edge": size}
    size = size if isinstance(size, Mapping) else {}
    height, width, resize = (architecture.side, architecture.side, architecture.resize)
    if {"height", "width"} <= size.keys():
        height, width, resize = size["height"], size["width"], "stretch"
    elif {"max_height", "max_width"} <= size.keys():
        height, width, resize = size["max_height"], size["max_width"], "letterbox"
    elif "shortest_edge" in size:
        height = width = size["shortest_edge"]
        resize = "letterbox"
    if not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise CheckpointError(f"{PREPROCESSOR} says size={dict(size)}, which are no pixels")
    step = architecture.multiple_of if resize == "letterbox" else 1
    return height + -height % step, width + -width % step, resize


def normalisation_of(architecture: Architecture, told: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """Mean and std of RGB in [0, 1].

    Raises:
        CheckpointError: they are no numbers.
    """
    mean, std = architecture.normalisation
    given = told.get("do_normalize", mean != _AS_IT_IS[0])
    mean, std = (told.get("image_mean") or _IMAGENET[0], told.get("image_std") or _IMAGENET[1]) if given else _AS_IT_IS
    if not told:
        mean, std = architecture.normalisation
    factor = told.get("rescale_factor", 1 / 255) if told.get("do_rescale", True) else 1.0
    try:
        scale = 255 * float(factor)  # of RGB in [0, 1], before the mean is subtracted
        return [float(one) / scale for one in mean], [float(one) / scale for one in std]
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"{PREPROCESSOR} says image_mean={mean}, image_std={std}, rescale_factor={factor}, which are no numbers"
        ) from error
