"""Networks of segmentation_models_pytorch, as the library builds and stores them, without its pretrained encoders.

The library is imported where it is needed: lcrp runs without it.
"""

import copy
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

import torch
from torch import Tensor, nn

from lcrp.errors import CheckpointError, ConfigError, nearest
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.fitted import Fitted

LIBRARY = "segmentation_models_pytorch"
PARTS = ("encoder", "decoder", "segmentation_head")  # of every network; a head for whole pictures is left aside
_WRAPPED = re.compile(r"(^|\.)_orig_mod\.")  # torch.compile
_PREFIX = re.compile(
    r"^((?:module\.|model\.|net\.|network\.)*)segmentation_head\."
)  # Lightning, data parallel training
_OF_OUTPUTS: Mapping[str, Literal["softmax", "sigmoid"] | None] = {  # activations that a network may end in
    "Identity": None,
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "LogSoftmax": "softmax",
    "ArgMax": "softmax",
}
_BY_NAME: Mapping[object, Literal["softmax", "sigmoid"] | None] = {  # the same, as settings name them
    None: None,
    "identity": None,
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "softmax2d": "softmax",
    "logsoftmax": "softmax",
    "argmax": "softmax",
    "argmax2d": "softmax",
}


class Segmenter:
    """Builds networks of the library: logits [B, K, H, W] of normalised pictures [B, 3, H, W]."""

    __name__ = LIBRARY
    mend = "model.network.architecture, encoder and options must be those of the file."

    def __call__(
        self,
        *,
        num_classes: int,
        architecture: str = "unet",
        encoder: str = "resnet34",
        options: Mapping[str, object] | None = None,
    ) -> nn.Module:
        """A network with random weights.

        Args:
            num_classes: channels K of the output.
            architecture: the decoder's kind, such as unet, fpn, deeplabv3plus.
            encoder: such as resnet34, efficientnet-b0, mit_b0, tu-convnext_tiny.
            options: further arguments of the library's class, such as decoder_channels.

        Raises:
            ConfigError: the library is missing, or knows no such network.
        """
        library = _library()
        kinds = library.MODEL_ARCHITECTURES_MAPPING
        if str(architecture).lower() not in kinds:
            raise ConfigError(
                f"model.network.architecture='{architecture}' is unknown; nearest: {nearest(architecture, kinds)}"
            )
        names = library.encoders.get_encoder_names()
        if encoder not in names and not encoder.startswith(("tu-", "timm-")):
            raise ConfigError(
                f"model.network.encoder='{encoder}' is unknown; nearest: {nearest(encoder, names)}, or "
                "tu-NAME of timm's"
            )
        try:
            network: nn.Module = library.create_model(
                architecture, encoder_name=encoder, encoder_weights=None, classes=num_classes, **(options or {})
            )
        except Exception as error:  # whatever the library says of settings that do not go together
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(f"{LIBRARY} cannot build {architecture} on {encoder}: {reason}") from error
        return network

    def fitted(self, checkpoint: Checkpoint) -> Fitted:
        """A checkpoint with the network's own keys, whatever it was wrapped in while it was trained.

        Raises:
            CheckpointError: these are no weights of such a network, or it does not take pictures in colour.
        """
        state = own_state(checkpoint)
        head = [value for key, value in state.items() if key.startswith("segmentation_head.") and value.ndim == 4]
        if not checkpoint.config:
            arguments: dict[str, object] = {"num_classes": len(head[-1])}
            return Fitted(checkpoint=replace(checkpoint, state=state), arguments=arguments, activation=None)
        config = {key: value for key, value in checkpoint.config.items() if not key.startswith("_")}
        if config.pop("in_channels", 3) != 3:
            raise CheckpointError(
                f"the network in '{checkpoint.path}' takes {checkpoint.config['in_channels']} channels, and no RGB"
            )
        activation = config.pop("activation", None)
        if activation not in _BY_NAME:
            raise CheckpointError(f"the network in '{checkpoint.path}' ends in '{activation}', which tells no classes")
        arguments = {
            "architecture": str(checkpoint.config.get("_model_class", "")).lower(),
            "encoder": config.pop("encoder_name", "resnet34"),
            "num_classes": config.pop("classes", 1),
        }
        arguments["options"] = {key: config[key] for key in config if key not in ("aux_params", "encoder_weights")}
        return Fitted(checkpoint=replace(checkpoint, state=state), arguments=arguments, activation=_BY_NAME[activation])


segmenter = Segmenter()


def skeleton(*, num_classes: int, architecture: str, encoder: str) -> dict[str, Tensor]:
    """The state of a network as far as it can be had without its values.

    Raises:
        ConfigError: as the network itself.
    """
    _library()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that the library will drop
        try:
            with torch.device("meta"):
                network = segmenter(num_classes=num_classes, architecture=architecture, encoder=encoder)
        except ConfigError:  # some encoders read values while they are built
            network = segmenter(num_classes=num_classes, architecture=architecture, encoder=encoder)
    return network.state_dict()


def is_of_library(network: nn.Module) -> bool:
    """Whether an object is a network of the library, told by the names of its types' modules."""
    modules = [kind.__module__ for kind in type(network).__mro__]
    return any(module.partition(".")[0] == LIBRARY for module in modules) and hasattr(network, "segmentation_head")


def with_logits(network: nn.Module) -> tuple[nn.Module, Literal["softmax", "sigmoid"] | None]:
    """A network of the library as one that returns logits of pixels, and by what it tells classes, if it says so.

    The network itself if it returns nothing else; else another view of the same parts, which leaves out what follows
    on the logits, and a head for whole pictures.

    Raises:
        ConfigError: it ends in something that tells no classes.
    """
    head = network.get_submodule("segmentation_head")
    name, last = next(((name, one) for name, one in head.named_children() if hasattr(one, "activation")), ("", None))
    kind = type(getattr(last, "activation", nn.Identity())).__name__
    if kind not in _OF_OUTPUTS:
        raise ConfigError(
            f"the network {type(network).__name__} ends in {kind}, not in logits: build it with activation=None"
        )
    if kind == "Identity" and getattr(network, "classification_head", None) is None:
        return network, None
    bare = _with_children(head, {name: nn.Identity()} if name else {})
    return _with_children(network, {"segmentation_head": bare, "classification_head": None}), _OF_OUTPUTS[kind]


def _with_children(module: nn.Module, children: Mapping[str, nn.Module | None]) -> nn.Module:
    """The same module, but for some of its children; the others are shared."""
    view = copy.copy(module)
    view._modules = {**module._modules, **children}
    return view


def own_state(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The state by the network's own keys: what was put in front of them and beside them is left out.

    Raises:
        CheckpointError: it is of no such network.
    """
    state = {_WRAPPED.sub(r"\1", key): value for key, value in checkpoint.state.items()}
    prefix = next((found[1] for key in state if (found := _PREFIX.match(key))), None)
    if prefix is None:
        first = ", ".join(f"'{key}'" for key in list(state)[:3])
        raise CheckpointError(
            f"checkpoint '{checkpoint.path}' holds no network of {LIBRARY}: no key begins with 'segmentation_head.', "
            f"the first are {first}"
        )
    names = tuple(f"{prefix}{part}." for part in PARTS)
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(names)}


def has_library() -> bool:
    """Whether the library is installed."""
    return find_spec(LIBRARY) is not None


def _library() -> ModuleType:
    try:
        import segmentation_models_pytorch
    except ModuleNotFoundError as error:
        raise ConfigError(f"this network needs {LIBRARY} (no module '{error.name}'): pip install lcrp[smp]") from error
    library: ModuleType = segmentation_models_pytorch
    return library
