"""Words for networks that are not known here: who wrote the file, what it may be, and what helps."""

import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from lcrp.models.auto.known import classes
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.recognition import UNLIKE, looks_like
from lcrp.models.unpickling import MAX_PICKLE_BYTES

PAGE = "docs/how-to/own_network.md"
FIRST_KEYS = 3

# text in the pickle, or beginning of a name in it -> who wrote it
_WRITTEN: tuple[tuple[str, str], ...] = (
    ("pytorch-lightning_version", "Lightning"),
    ("mmdet.", "mmdetection"),
    ("mmdet_version", "mmdetection"),
    ("mmseg.", "mmsegmentation"),
    ("mmseg_version", "mmsegmentation"),
    ("mmyolo.", "mmyolo"),
    ("mmengine.", "mmengine (OpenMMLab)"),
    ("mmengine_version", "mmengine (OpenMMLab)"),
    ("mmcv_version", "mmcv (OpenMMLab)"),
    ("detectron2.", "detectron2"),
    ("matching_heuristics", "detectron2"),
    ("fvcore.", "detectron2"),
    ("super_gradients.", "super-gradients"),
    ("segmentation_models_pytorch.", "segmentation_models_pytorch, as a whole object"),
    ("torchvision.", "torchvision, as a whole object"),
    ("transformers.", "transformers, as a whole object"),
    ("timm.", "timm, as a whole object"),
    ("fastai.", "fastai"),
    ("keras.", "Keras"),
    ("__main__.", "a script, as a whole object of a class of its own"),
)
_OF_NETWORKS = ("ultralytics.nn.tasks.", "models.yolo.", "yolov6.models.", "nets.", "models.")

# beginning of a key -> what such networks are
_KEYS: tuple[tuple[str, str], ...] = (
    ("bbox_head.", "a detector of mmdetection"),
    ("decode_head.", "a segmenter of mmsegmentation"),
    ("proposal_generator.", "a detector of detectron2"),
    ("sem_seg_head.", "a segmenter of detectron2"),
    ("backbone.backbone.stem.conv.conv.", "YOLOX"),
    ("transformer.decoder.", "a detector like DETR"),
    ("backbone.first_conv.", "FastestDet, of which docs/how-to/fastestdet.md tells"),
    ("backbone.body.", "a detector of torchvision on another backbone"),
    ("rpn.", "a detector of torchvision on another backbone"),
    ("model.diffusion_model.", "a network that makes pictures"),
    ("fc.weight", "a network that classifies whole pictures"),
    ("head.fc.", "a network that classifies whole pictures"),
    ("heads.head.", "a network that classifies whole pictures"),
    ("classifier.6.weight", "a network that classifies whole pictures"),
)


def producer_of(path: Path) -> str | None:
    """Who wrote a file of torch.save, told by the names and texts in its pickle, of which nothing is run.

    Returns:
        For example 'ultralytics as a PoseModel' or 'Lightning'; None if nothing tells.
    """
    texts = _texts(path)
    for beginning in _OF_NETWORKS:
        kind = next((one for one in texts if one.startswith(beginning) and one.endswith("Model")), None)
        if kind is not None:
            return f"{kind.partition('.')[0]} as a {kind.rpartition('.')[2]}"
    return next((who for sign, who in _WRITTEN if any(_has(one, sign) for one in texts)), None)


def unknown(found: Checkpoint) -> str:
    """One line about a checkpoint of a network that is not known here."""
    first = ", ".join(f"'{key}'" for key in list(found.state)[:FIRST_KEYS])
    like = _like(found.state)
    writer = producer_of(found.path)
    settings = [f"'{name}'" for name in list(found.config)[:FIRST_KEYS]]
    facts = [
        f"written by {writer}" if writer else "",
        f"it looks like {like}" if like else "",
        classes(len(found.class_names), found.class_names) if found.class_names else "",
        f"its first keys are {first}" if first else "",
        f"its config.json is of no library that is known, with {', '.join(settings)}" if settings else "",
    ]
    told = "; ".join(one for one in facts if one)
    return (
        f"'{found.path}' is of a network that lcrp does not know ({told}); "
        f"with the code of the network it can be explained as any torch.nn.Module: {PAGE} tells how"
    )


def _like(state: Mapping[str, Tensor]) -> str | None:
    """What a network may be, by the signs of families or the beginnings of its keys."""
    found = looks_like(state)
    if not found.startswith(UNLIKE):
        return found
    return next((what for beginning, what in _KEYS if any(key.startswith(beginning) for key in state)), None)


def _has(text: str, sign: str) -> bool:
    return text.startswith(sign) if sign.endswith(".") else text == sign


def _texts(path: Path) -> list[str]:
    """Names and texts in the pickle of a file of torch.save, in order; none if it has no such pickle."""
    if not path.is_file():  # opening a pipe would wait for ever
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            entry = next(one for one in archive.infolist() if one.filename.partition("/")[2] == "data.pkl")
            pickled = archive.read(entry) if entry.file_size <= MAX_PICKLE_BYTES else b""
        return [_text(opcode.name, argument) for opcode, argument, _ in pickletools.genops(pickled)]
    except Exception:  # whatever a damaged file makes of it: then it tells nothing
        return []


def _text(opcode: str, argument: object) -> str:
    if opcode == "GLOBAL":
        return str(argument).replace(" ", ".")
    return argument if isinstance(argument, str) else ""
