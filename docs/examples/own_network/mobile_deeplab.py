"""A network that is not lcrp's own: torchvision's DeepLabV3 on MobileNetV3."""

from torch import Tensor, nn
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large


class MobileDeepLab(nn.Module):
    """What lcrp asks of a segmenter: `forward` gives the logits of every class for every pixel.

    Args:
        num_classes: filled in by lcrp: the number of class names.
    """

    def __init__(self, *, num_classes: int) -> None:
        super().__init__()
        self.network = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K, H, W] of normalised pictures [B, 3, H, W]."""
        logits: Tensor = self.network(x)["out"]
        return logits
