"""Networks of torchvision with random weights that decide something."""

from typing import Any

import torch
import torchvision
from torch import nn

NUM_CLASSES = 4
SMALL = {"min_size": 96, "max_size": 128}


def torchvision_network(name: str, **options: Any) -> nn.Module:
    """A network with BatchNorm statistics from data, and scores that are not all alike.

    Detectors have the background and `NUM_CLASSES` classes, segmenters `NUM_CLASSES`.
    """
    is_segmenter = name.startswith(("deeplab", "fcn", "lraspp"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        num_columns = NUM_CLASSES + (not is_segmenter)
        network = torchvision.models.get_model(
            name, weights=None, weights_backbone=None, num_classes=num_columns, **options
        )
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.weight.detach().std().item() < 0.02:  # heads are made near zero
                nn.init.normal_(module.weight, std=0.03)
        calibrate(network.eval(), torch.rand(2, 3, 96, 96))
    return network


def calibrate(network: nn.Module, pictures: torch.Tensor) -> None:
    """Take BatchNorm's statistics from pictures, the network else in evaluation mode."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean over all batches
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        network(pictures)
    network.eval()
