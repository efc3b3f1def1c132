"""Which architecture a state dict belongs to, told by its keys."""

from collections.abc import Mapping

from torch import Tensor

from lcrp.errors import CheckpointError

# (what it is, keys that must be there, keys that must not be there); the first that fits counts.
_SIGNS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "YOLOv6 0.1.0",
        (
            "backbone.stem.rbr_dense.conv.weight",
            "backbone.ERBlock_5.0.rbr_dense.conv.weight",
            "detect.obj_preds.0.weight",
            "detect.cls_preds.0.weight",
        ),
        (),
    ),
    (
        "a YOLOv6 whose RepVGG blocks are fused (saved for deployment); the training form is needed",
        ("backbone.stem.rbr_reparam.weight",),
        (),
    ),
    ("a later YOLOv6 release (0.2 or newer)", ("backbone.stem.rbr_dense.conv.weight",), ("detect.obj_preds.0.weight",)),
    ("a later YOLOv6 release (0.2 or newer)", ("backbone.stem.block.conv.weight", "detect.cls_preds.0.weight"), ()),
    ("YOLOv5 of release 5.0 or older", ("model.0.conv.conv.weight",), ()),
    ("a YOLOv5 with a segmentation head", ("model.24.m.0.weight", "model.24.proto.cv1.conv.weight"), ()),
    (
        "YOLOv5",
        ("model.0.conv.weight", "model.9.cv2.conv.weight", "model.24.m.0.weight", "model.24.anchors"),
        (),
    ),
    ("a YOLOv5 for large pictures (P6)", ("model.0.conv.weight", "model.33.anchors"), ()),
    *(
        (
            "a YOLO for key points or rotated boxes",
            ("model.0.conv.weight", f"model.{head}.cv4.0.0.conv.weight"),
            (f"model.{head}.proto.cv1.conv.weight",),
        )
        for head in (22, 23, 24)
    ),
    ("YOLOv5u (anchor-free)", ("model.0.conv.weight", "model.2.cv3.conv.weight", "model.24.dfl.conv.weight"), ()),
    ("YOLOv8", ("model.0.conv.weight", "model.2.m.0.cv1.conv.weight", "model.22.dfl.conv.weight"), ()),
    ("YOLOv9", ("model.0.conv.weight", "model.22.dfl.conv.weight"), ()),
    ("YOLOv10", ("model.0.conv.weight", "model.5.cv1.conv.weight", "model.23.dfl.conv.weight"), ()),
    ("YOLO11", ("model.0.conv.weight", "model.23.dfl.conv.weight"), ()),
    ("YOLO12", ("model.0.conv.weight", "model.21.dfl.conv.weight"), ()),
    ("YOLO26", ("model.0.conv.weight", "model.23.one2one_cv2.0.2.weight"), ()),
    ("YOLO26 for classes of pixels", ("model.0.conv.weight", "model.17.classifier.1.weight"), ()),
    (
        "UNet with a VGG13 encoder",
        ("encoder.features.22.weight", "decoder.center.0.0.weight", "segmentation_head.0.weight"),
        ("encoder.features.24.weight", "encoder.features.1.weight"),
    ),
    ("a UNet with another encoder", ("decoder.blocks.0.conv1.0.weight", "segmentation_head.0.weight"), ()),
    ("SSD on VGG-16", ("backbone.vgg.33.weight", "box_head.predictor.cls_headers.0.weight"), ()),
    (
        "DeepLabV3+ with a ResNet-50",
        ("backbone.layer3.5.conv3.weight", "backbone.layer4.0.conv3.weight", "classifier.aspp.project.0.weight"),
        ("backbone.layer3.6.conv3.weight",),
    ),
    ("a DeepLabV3+ with another backbone", ("classifier.aspp.project.0.weight",), ()),
)

FAMILIES = {  # name of a family's configuration, by what its state dicts look like
    "YOLOv5": "yolov5",
    "YOLOv6 0.1.0": "yolov6",
    "SSD on VGG-16": "ssd",
    "UNet with a VGG13 encoder": "unet",
    "DeepLabV3+ with a ResNet-50": "deeplabv3plus",
    "YOLOv5u (anchor-free)": "yolo",
    "YOLOv8": "yolo",
    "YOLOv10": "yolo",
    "YOLO11": "yolo",
    "YOLO12": "yolo",
    "YOLO26": "yolo",
    "YOLO26 for classes of pixels": "yolo",
}

SURE = ("module.", "_orig_mod.")  # of data parallel training and torch.compile
WRAPPERS = (*SURE, "model.", "net.", "network.")  # and of Lightning
MAX_WRAPPERS = 4
UNLIKE = ("something else", "nothing")  # with which words for what is not known begin


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without what wrappers of networks put before every key.

    What a network itself may have there is taken away only if the rest is known here.
    """
    found = sure = dict(state)
    for _ in range(MAX_WRAPPERS):
        if _known(found) is not None:
            return found
        prefix = next((one for one in WRAPPERS if found and all(key.startswith(one) for key in found)), None)
        if prefix is None:
            break
        is_sure = found is sure and prefix in SURE
        found = {key.removeprefix(prefix): value for key, value in found.items()}
        sure = found if is_sure else sure
    return sure if _known(found) is None else found


def check_family(state: Mapping[str, Tensor], kind: str, name: str | None = None) -> None:
    """Whether weights are of a kind.

    Args:
        state: parameters and buffers by key.
        kind: as `looks_like` calls it.
        name: as the message calls it; None for `kind`.

    Raises:
        CheckpointError: they are of another; it tells the family that reads them.
    """
    found = looks_like(state)
    if found != kind:
        mend = f"Write model={FAMILIES[found]}." if found in FAMILIES else ""
        raise CheckpointError(f"these weights do not belong to {name or kind}; they look like {found}", mend=mend)


def looks_like(state: Mapping[str, Tensor]) -> str:
    """Name or description of the architecture that a state dict belongs to.

    Args:
        state: parameters and buffers by key; the tensors are not read.

    Returns:
        For example 'YOLOv5'; for unknown ones a phrase with the first keys.
    """
    known = _known(state)
    if known is not None:
        return known
    first = ", ".join(f"'{key}'" for key in list(state)[:3])
    return f"something else (its first keys are {first})" if first else "nothing: there is no tensor in them"


def _known(state: Mapping[str, Tensor]) -> str | None:
    for name, present, absent in _SIGNS:
        if all(key in state for key in present) and not any(key in state for key in absent):
            return name
    return None


def num_blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered blocks, '0', '1', ..., follow `prefix` in the keys."""
    return len({key[len(prefix) :].split(".", 1)[0] for key in state if key.startswith(prefix)})
