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


def regional_detector() -> nn.Module:
    """A small Faster R-CNN with a convolution in its box head, which sees every region of interest by itself."""
    detection = torchvision.models.detection
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        backbone = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=4, padding=1), nn.ReLU()
        )
        backbone.out_channels = 16  # type: ignore[assignment]
        network = detection.FasterRCNN(
            backbone,
            min_size=64,
            max_size=96,
            rpn_anchor_generator=detection.rpn.AnchorGenerator(((16, 32),), ((1.0,),)),
            rpn_post_nms_top_n_test=12,
            box_roi_pool=torchvision.ops.MultiScaleRoIAlign(["0"], 7, 2),
            box_head=detection.faster_rcnn.FastRCNNConvFCHead((16, 7, 7), [16], [32]),
            box_predictor=detection.faster_rcnn.FastRCNNPredictor(32, NUM_CLASSES + 1),
            box_score_thresh=0.0,
        )
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.1)
    return network.eval()


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
