"""Which architecture a state dict belongs to, told by its keys."""

from collections.abc import Mapping

from torch import Tensor

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
    ("YOLOv8 or newer", ("model.0.conv.weight", "model.22.dfl.conv.weight"), ()),
    ("YOLO11 or newer", ("model.0.conv.weight", "model.23.dfl.conv.weight"), ()),
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
    "YOLOv8 or newer": "yolo",
    "YOLO11 or newer": "yolo",
}


def looks_like(state: Mapping[str, Tensor]) -> str:
    """Name or description of the architecture that a state dict belongs to.

    Args:
        state: parameters and buffers by key; the tensors are not read.

    Returns:
        For example 'YOLOv5'; for unknown ones a phrase with the first keys.
    """
    for name, present, absent in _SIGNS:
        if all(key in state for key in present) and not any(key in state for key in absent):
            return name
    first = ", ".join(f"'{key}'" for key in list(state)[:3])
    return f"something else (its first keys are {first})" if first else "nothing: there is no tensor in them"


def num_blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered blocks, '0', '1', ..., follow `prefix` in the keys."""
    return len({key[len(prefix) :].split(".", 1)[0] for key in state if key.startswith(prefix)})
