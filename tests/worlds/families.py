"""Networks of libraries, as they are, with random weights and statistics of data: small ones of every family."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch
import torchvision
from odd_networks import ODD
from torch import nn
from torchvision import models
from torchvision.models import segmentation
from torchvision.models.convnext import CNBlockConfig
from torchvisions import NUM_CLASSES, torchvision_network

from lcrp.models.library import LibraryNetwork
from lcrp.models.torchvision import detector_reader

SIDE = 64
CLASSES = 3
MEAN = 0.45
SMALL = {"min_size": 64, "max_size": 64}  # to which detectors scale pictures
LESS_SMALL = {"min_size": 128, "max_size": 128}  # for one that finds nothing in such
LARGER = {"efficientnet_v2": 128, "smp dpt tu-vit_tiny_patch16_224": 224, "smp pan resnet18": 128}  # sides of pictures


def smp(architecture: str, encoder: str) -> nn.Module:
    """A segmenter of segmentation_models_pytorch; the test is skipped where the library is missing."""
    library = pytest.importorskip("segmentation_models_pytorch", reason="pip install lcrp[smp]")
    return library.create_model(architecture, encoder_name=encoder, encoder_weights=None, classes=CLASSES)


def _unloaded(build: Callable[..., nn.Module]) -> Callable[[], nn.Module]:
    return partial(build, weights=None, weights_backbone=None, num_classes=CLASSES)


def detector(name: str, **options: int) -> nn.Module:
    """A detector of torchvision, read as lcrp reads them; its own BatchNorms have statistics of data."""
    library = torchvision_network(name, **options)
    return LibraryNetwork(library, detector_reader(library, NUM_CLASSES))


QUICK: Mapping[str, Callable[[], nn.Module]] = {
    "resnet18": models.resnet18,
    "small convnext": lambda: models.ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)]),
    "small vit": lambda: models.VisionTransformer(SIDE, 16, 2, 2, 32, 64),
    "small swin": lambda: models.SwinTransformer([4, 4], 16, [1, 2], [2, 2], [4, 4]),
    "smp fpn efficientnet-b0": partial(smp, "fpn", "efficientnet-b0"),
    "smp unet mit_b0": partial(smp, "unet", "mit_b0"),
}
SLOW: Mapping[str, Callable[[], nn.Module]] = {
    **ODD,
    **{
        f"detector {name}": partial(detector, name, **options)
        for name, options in (
            ("fasterrcnn_resnet50_fpn", SMALL),
            ("fasterrcnn_mobilenet_v3_large_320_fpn", SMALL),
            ("maskrcnn_resnet50_fpn", SMALL),
            ("retinanet_resnet50_fpn", SMALL),
            ("retinanet_resnet50_fpn_v2", SMALL),
            ("fcos_resnet50_fpn", LESS_SMALL),
            ("ssd300_vgg16", {}),
            ("ssdlite320_mobilenet_v3_large", {}),
        )
    },
    "resnet50": models.resnet50,
    "mobilenet_v3": models.mobilenet_v3_small,
    "efficientnet": models.efficientnet_b0,
    "efficientnet_v2": models.efficientnet_v2_s,
    "densenet": models.densenet121,
    "shufflenet": models.shufflenet_v2_x0_5,
    "convnext": models.convnext_tiny,
    "vit": partial(models.vit_b_32, image_size=SIDE),
    "swin": models.swin_t,
    "deeplabv3": _unloaded(segmentation.deeplabv3_mobilenet_v3_large),
    "fcn": _unloaded(segmentation.fcn_resnet50),
    "lraspp": _unloaded(segmentation.lraspp_mobilenet_v3_large),
    **{
        f"smp {architecture} {encoder}": partial(smp, architecture, encoder)
        for architecture, encoder in (
            ("unet", "resnet18"),
            ("unet", "tu-mobilenetv3_small_100"),
            ("unet", "tu-regnety_002"),
            ("unetplusplus", "efficientnet-b0"),
            ("manet", "mobilenet_v2"),
            ("linknet", "resnet18"),
            ("fpn", "tu-resnest14d"),
            ("pspnet", "resnet18"),
            ("pan", "resnet18"),
            ("deeplabv3", "mobilenet_v2"),
            ("deeplabv3plus", "mobilenet_v2"),
            ("upernet", "tu-convnext_tiny"),
            ("segformer", "mit_b0"),
            ("dpt", "tu-vit_tiny_patch16_224"),
        )
    },
}


def network_and_picture(name: str, dtype: torch.dtype) -> tuple[nn.Module, torch.Tensor]:
    """A network in evaluation mode with parameters that are all in play, and a picture [1, 3, H, W] in [0, 1].

    The network takes it less `MEAN`; a detector of a library as it is.
    """
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries
        network = (QUICK | SLOW)[name]().to(dtype)
    side = LARGER.get(name, SIDE)
    x = torch.rand(1, 3, side, side, dtype=dtype)
    if not isinstance(network, LibraryNetwork):
        _brought_to_life(network, x - MEAN)
    return network.eval().requires_grad_(False), x


@torch.no_grad()
def _brought_to_life(network: nn.Module, x: torch.Tensor) -> None:
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():  # such heads would answer zero
            parameter.normal_(0, 0.05)
    calibrate(network, x)
    for key, parameter in network.named_parameters():
        if key.endswith(("bias", "class_token", "pos_embedding", "cls_token", "pos_embed")):
            parameter.normal_(0, 0.1)


def calibrate(network: nn.Module, x: torch.Tensor) -> None:
    """Statistics of two pictures for every BatchNorm."""
    norms = [one for one in network.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    network.train()
    for module in network.modules():
        if isinstance(module, nn.Dropout | torchvision.ops.StochasticDepth):
            module.eval()
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    if norms:
        network(torch.cat([x, x.flip(3)]))
