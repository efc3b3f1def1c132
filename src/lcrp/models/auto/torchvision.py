"""State dicts of torchvision's detectors and segmenters: the builder whose network has the same keys and shapes."""

import re
from collections.abc import Mapping

from torch import Tensor

from lcrp.models.auto.known import Known, classes
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.torchvision import TorchvisionNetwork, network_names, skeleton
from lcrp.models.torchvision_names import is_segmenter

NAME = "model.network.name"
# key that is there -> beginnings of the names of builders
_KINDS = {
    "rpn.head.cls_logits.weight": ("fasterrcnn_", "maskrcnn_", "keypointrcnn_"),
    "rpn.head.conv.0.0.weight": ("fasterrcnn_", "maskrcnn_", "keypointrcnn_"),
    "head.classification_head.cls_logits.weight": ("retinanet_", "fcos_"),
    "head.classification_head.module_list.0.weight": ("ssd300_",),
    "head.classification_head.module_list.0.1.weight": ("ssdlite320_",),
    "classifier.4.weight": ("deeplabv3_", "fcn_"),
    "classifier.low_classifier.weight": ("lraspp_",),
}
# layers with as many rows as there are classes, or times that
_BY_CLASSES = re.compile(
    r"cls_score|bbox_pred|cls_logits|mask_fcn_logits|kps_score|classification_head\.module_list|"
    r"classifier\.4\.|(low|high)_classifier"
)
_LEFT_OUT = re.compile(r"\.num_batches_tracked$|^aux_classifier\.")

Shapes = Mapping[str, tuple[int, ...]]


def recognise(found: Checkpoint) -> Known | None:
    """A detector or segmenter of torchvision, as its builders make it for any number of classes."""
    beginnings = next((names for key, names in _KINDS.items() if key in found.state), None)
    if beginnings is None or found.config:
        return None
    own = _shapes(found.state)
    fitting = [name for name in network_names() if name.startswith(beginnings) and _shapes(skeleton(name)) == own]
    if not fitting:
        return None
    told = TorchvisionNetwork.arguments_of(found.state)
    count = told["num_classes"] if is_segmenter(fitting[0]) else int(str(told["num_columns"])) - 1
    what, counted = " or ".join(fitting), classes(int(str(count)), found.class_names)
    quoted = ", ".join(f"'{name}'" for name in fitting)
    return Known(
        family="torchvision",
        what=f"torchvision's {what}, {counted}",
        sign="the keys and shapes of its state dict",
        settings={NAME: fitting[0]} if len(fitting) == 1 else {},
        untold={} if len(fitting) == 1 else {NAME: f"{quoted} have the same"},
    )


def _shapes(state: Mapping[str, Tensor]) -> Shapes:
    """Shapes by key, those that the number of classes decides but for their first axis."""
    return {
        key: tuple(value.shape[1:] if _BY_CLASSES.search(key) else value.shape)
        for key, value in state.items()
        if not _LEFT_OUT.search(key)
    }
