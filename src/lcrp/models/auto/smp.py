"""Networks of segmentation_models_pytorch: folders of its save_pretrained, and state dicts alone."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from lcrp.errors import ConfigError
from lcrp.models.auto.known import Known, classes
from lcrp.models.auto.smp_encoders import ENCODERS
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.smp import LIBRARY, has_library, own_state, skeleton

FAMILY = "smp"
MODEL_CLASS = "_model_class"  # in a folder's config.json
ARCHITECTURE, ENCODER = "model.network.architecture", "model.network.encoder"
# key that is there -> architecture; the first counts
_DECODERS = {
    "decoder.blocks.x_0_0.conv1.0.weight": "unetplusplus",
    "decoder.center.top_conv.weight": "manet",
    "decoder.blocks.0.block.0.0.weight": "linknet",
    "decoder.p5.weight": "fpn",
    "decoder.psp.blocks.0.pool.1.0.weight": "pspnet",
    "decoder.aspp.0.convs.0.0.weight": "deeplabv3plus",
    "decoder.aspp.convs.0.0.weight": "deeplabv3",
    "decoder.fpa.branch1.1.conv.weight": "pan",
    "decoder.feature_norms.0.weight": "upernet",
    "decoder.mlp_stage.0.linear.weight": "segformer",
    "decoder.projection_blocks.0.project.0.weight": "dpt",
    "decoder.blocks.0.conv1.0.weight": "unet",
}
_HEAD = "segmentation_head."
_COUNTER = ".num_batches_tracked"


def recognise_folder(found: Checkpoint) -> Known | None:
    """A folder of save_pretrained: its config.json says all."""
    if MODEL_CLASS not in found.config:
        return None
    count, encoder = found.config.get("classes", 1), found.config.get("encoder_name", "resnet34")
    counted = classes(count, None) if isinstance(count, int) else f"{count} classes"
    what = f"{LIBRARY}'s {found.config[MODEL_CLASS]} on {encoder}, {counted}"
    return Known(family=FAMILY, what=what, sign="its config.json")


def recognise(found: Checkpoint) -> Known | None:
    """A state dict: its decoder by the keys, its encoder by the tensors, both as far as the library builds the same."""
    if found.config or not any(_HEAD in key for key in found.state):
        return None
    state = own_state(found)
    architecture = next((name for key, name in _DECODERS.items() if key in state), None)
    heads = [value for key, value in state.items() if key.startswith(_HEAD) and value.ndim == 4]
    if architecture is None or not heads:
        return None
    num_classes = len(heads[-1])
    encoders = _encoders(state)
    fitting = [name for name in encoders if _is_built(state, architecture, name, num_classes)]
    settings, untold = {ARCHITECTURE: architecture}, {}
    if len(fitting) == 1:
        settings[ENCODER], name = fitting[0], fitting[0]
    elif fitting:
        name, untold[ENCODER] = " or ".join(fitting), f"{' and '.join(fitting)} have the same tensors"
    elif encoders:
        name, untold["model.network.options"] = (
            encoders[0],
            "its layers are not those that the library builds by itself",
        )
        settings[ENCODER] = encoders[0]
    else:
        name, untold[ENCODER] = "an encoder", "none of the library's has such tensors, it may be tu-NAME of timm's"
    return Known(
        family=FAMILY,
        what=f"{LIBRARY}'s {architecture} on {name}, {classes(num_classes, found.class_names)}",
        sign="the keys and shapes of its encoder and decoder",
        settings=settings,
        untold=untold,
    )


def _encoders(state: Mapping[str, Tensor]) -> Sequence[str]:
    """Names of the encoders with as many tensors and values."""
    own = [value for key, value in state.items() if key.startswith("encoder.") and not key.endswith(_COUNTER)]
    return ENCODERS.get((len(own), sum(value.numel() for value in own)), ())


def _is_built(state: Mapping[str, Tensor], architecture: str, encoder: str, num_classes: int) -> bool:
    """Whether the library builds the same by these names."""
    try:
        built = skeleton(num_classes=num_classes, architecture=architecture, encoder=encoder)
    except ConfigError:
        if not has_library():
            raise
        return False
    return _shapes(built) == _shapes(state)


def _shapes(state: Mapping[str, Tensor]) -> Mapping[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items() if not key.endswith(_COUNTER)}
