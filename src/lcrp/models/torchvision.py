"""Detectors and segmenters of torchvision, as they are.

The library is imported only where a network of it is built or recognised.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError, ConfigError, nearest
from lcrp.models.checkpoint import Checkpoint, read_checkpoint
from lcrp.models.library import DetectorReader, LibraryNetwork, SegmenterReader, num_columns_of
from lcrp.models.torchvision_names import is_segmenter

BACKGROUND = "__background__"
_UNUSED = (BACKGROUND, "N/A")  # columns of the published detectors that no object has
_ROWS = {  # key of a state dict whose tensor has a row per column of class logits, or so many times that many
    "roi_heads.box_predictor.cls_score.weight": 1,
    "head.classification_head.cls_logits.weight": 9,
    "head.classification_head.module_list.0.weight": 4,
    "head.classification_head.module_list.0.1.weight": 6,
    "classifier.4.weight": 1,
    "classifier.low_classifier.weight": 1,
}
_CENTRENESS = "head.regression_head.bbox_ctrness.weight"  # FCOS has one anchor per cell
_AUXILIARY = "aux_classifier."
_VARIANCE = ".running_var"
_UNKNOWN_EPSILON = (
    "the file's norms are frozen (FrozenBatchNorm2d), and it does not say what they add to variances: 1e-5 is taken, "
    "but 0 is right for networks that began as torchvision's COCO_V1 detectors; say which by "
    "model.network.norm_epsilon=0 or 1e-5"
)

log = logging.getLogger(__name__)


class TorchvisionNetwork(LibraryNetwork):
    """A detector or segmenter of `torchvision.models`, by the name of its builder.

    Args:
        name: for example 'fasterrcnn_resnet50_fpn' or 'deeplabv3_resnet50'.
        num_classes: number of named classes: of a detector without the background, of a segmenter with it.
        num_columns: of a detector's class logits; None for one more than classes, the background first. The 91 of the
            published detectors have 80 names.
        has_auxiliary: whether a segmenter has the auxiliary classifier that it was trained with.
        min_size: length in pixels to which a detector scales the shorter side of its input; None for the builder's.
        max_size: most pixels of the longer side; None for the builder's.
        norm_epsilon: that BatchNorm adds to variances; None for the builder's, 1e-5.
        is_frozen: whether the weights are of norms that were not trained (FrozenBatchNorm2d).
        is_official: take the published weights, and all that belongs to them.

    Raises:
        ConfigError: torchvision has no such network, or the numbers do not fit.
    """

    def __init__(
        self,
        *,
        name: str,
        num_classes: int,
        num_columns: int | None = None,
        has_auxiliary: bool = False,
        min_size: int | None = None,
        max_size: int | None = None,
        norm_epsilon: float | None = None,
        is_frozen: bool = False,
        is_official: bool = False,
    ) -> None:
        sizes = {key: side for key, side in (("min_size", min_size), ("max_size", max_size)) if side is not None}
        options: dict[str, Any] = {"weights": "DEFAULT"} if is_official else {"weights": None, "weights_backbone": None}
        if is_segmenter(name):
            if sizes:
                raise ConfigError(f"{name} takes inputs of any size: leave {next(iter(sizes))} out")
            options |= {} if is_official else {"num_classes": num_classes, "aux_loss": has_auxiliary}
            super().__init__(_built(name, options), SegmenterReader())
            return
        if sizes and name.startswith("ssd"):
            raise ConfigError(f"{name} scales its input to a size of its own: leave {next(iter(sizes))} out")
        total = num_classes + 1 if num_columns is None else num_columns
        options |= sizes if is_official else {"num_classes": total, **sizes}
        library = _built(name, options)
        if norm_epsilon is not None:
            _set_norm_epsilon(library, norm_epsilon)
        elif is_frozen and not is_official:
            log.warning("%s", _UNKNOWN_EPSILON)
        super().__init__(library, detector_reader(library, num_classes))

    @staticmethod
    def arguments_of(state: Mapping[str, Tensor]) -> dict[str, object]:
        """Constructor arguments that follow from a state dict."""
        for key, times in _ROWS.items():
            if key in state:
                rows = state[key].shape[0] // (1 if _CENTRENESS in state else times)
                if "classifier" in key.split(".")[0]:
                    return {"num_classes": rows, "has_auxiliary": any(one.startswith(_AUXILIARY) for one in state)}
                is_frozen = any(one.endswith(_VARIANCE) for one in state) and not any(map(_is_counter, state))
                return {"num_columns": rows, **({"is_frozen": True} if is_frozen else {})}
        return {}

    @staticmethod
    def official(name: str) -> Checkpoint:
        """The published weights of a network, from torch's cache or the internet, with the names of their classes.

        Raises:
            CheckpointError: they are neither there nor can they be fetched.
            ConfigError: torchvision has no such network, or no weights for it.
        """
        weights = _weights(name)
        path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
        if not path.is_file():
            try:
                weights.get_state_dict(progress=False, check_hash=True)
            except (OSError, RuntimeError) as error:
                reason = error.reason if isinstance(error, URLError) else error
                raise CheckpointError(
                    f"torchvision's weights of {name} could not be fetched ({reason}); put {weights.url} at {path}, "
                    "or name a file by model.checkpoint=PATH"
                ) from error
        found = read_checkpoint(path)
        names = tuple(weights.meta["categories"])
        kept = names if is_segmenter(name) else tuple(one for one in names if one not in _UNUSED)
        return Checkpoint(state=found.state, class_names=kept, sha256=found.sha256, path=path)


def detector_reader(library: nn.Module, num_classes: int) -> DetectorReader:
    """What reads a detector of torchvision.

    Args:
        library: the detector.
        num_classes: number of named classes.

    Raises:
        ConfigError: so many names do not fit its columns.
    """
    total = num_columns_of(library)
    return DetectorReader(num_columns=total, columns=class_columns(total, num_classes))


def class_columns(num_columns: int, num_classes: int) -> tuple[int, ...]:
    """Columns of class logits by class id: all but the first, which is the background; or those with a name in COCO.

    Raises:
        ConfigError: so many names do not fit.
    """
    if num_classes == num_columns - 1:
        return tuple(range(1, num_columns))
    published = _published_names()
    named = tuple(column for column, name in enumerate(published) if name not in _UNUSED)
    if (num_columns, num_classes) == (len(published), len(named)):
        return named
    also = f", or the {len(named)} of COCO" if num_columns == len(published) else ""
    raise ConfigError(
        f"the detector has {num_columns} columns of class logits, the first of them for the background, but "
        f"{num_classes} class names are given; give {num_columns - 1}{also}"
    )


def recognised(network: nn.Module) -> DetectorReader | SegmenterReader | None:
    """What reads a network of torchvision, told by its type's module; None for all other networks."""
    modules = [kind.__module__ for kind in type(network).__mro__]
    if any(name.startswith("torchvision.models.segmentation.") for name in modules):
        return SegmenterReader()
    if any(name.startswith("torchvision.models.detection.") for name in modules):
        total = num_columns_of(network)
        return DetectorReader(num_columns=total, columns=tuple(range(1, total)))
    return None


def _published_names() -> Sequence[str]:
    names: Sequence[str] = _weights("fasterrcnn_resnet50_fpn").meta["categories"]
    return names


def _weights(name: str) -> Any:
    """The published weights of a network, not yet read."""
    from torchvision import models

    _check_name(name)
    return models.get_model_weights(name).DEFAULT


def _built(name: str, options: Mapping[str, Any]) -> nn.Module:
    from torchvision import models

    _check_name(name)
    network: nn.Module = models.get_model(name, **options)
    return network


def _is_counter(key: str) -> bool:
    """Whether a key is one that norms have that are trained."""
    return key.endswith(".num_batches_tracked")


def _set_norm_epsilon(library: nn.Module, epsilon: float) -> None:
    from torchvision.ops.misc import FrozenBatchNorm2d

    for module in library.modules():
        if isinstance(module, nn.BatchNorm2d | FrozenBatchNorm2d):
            module.eps = epsilon


def network_names() -> Sequence[str]:
    """Names of all builders of detectors and segmenters."""
    from torchvision import models

    names: list[str] = models.list_models(models.detection) + models.list_models(models.segmentation)
    return names


def skeleton(name: str) -> Mapping[str, Tensor]:
    """The state of a network without its values."""
    with torch.device("meta"):
        return _built(name, {"weights": None, "weights_backbone": None}).state_dict()


def _check_name(name: str) -> None:
    known = network_names()
    if name not in known:
        raise ConfigError(f"torchvision has no detector or segmenter '{name}'; nearest: {nearest(name, known)}")
