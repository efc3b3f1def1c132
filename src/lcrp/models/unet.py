"""UNet with a VGG13 encoder, sub-module names as segmentation_models_pytorch 0.3 publishes them.

Axes: B batch, C channel, K class, H W picture, h w feature map.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lcrp.models.layers import Concat, initialise_convolutions, scaled_channels
from lcrp.models.recognition import check_family

ENCODER = (64, 128, 256, 512, 512)  # channels of the five stages at width 1
DECODER = (256, 128, 64, 32, 16)
LEAST_DECODER = 8  # channels that narrow networks keep, so that the finest map can tell classes apart


class Encoder(nn.Module):
    """VGG13 without BatchNorm: five stages of two convolutions and a max pool (Simonyan and Zisserman, 2015)."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in channels:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2)]
            inputs = outputs
        self.features = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Six feature maps: the one before every pool, then the last pool's, at strides 1 to 32."""
        maps = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        return [*maps, x]


class DecoderBlock(nn.Module):
    """Nearest upsampling, concatenation with the encoder's map and two convolutions."""

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.concat = Concat() if skip else None
        self.conv1 = conv_block(inputs + skip, outputs)
        self.conv2 = conv_block(outputs, outputs)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """[B, C, h, w] to [B, C', 2h, 2w]."""
        x = self.upsample(x)
        if self.concat is not None:
            x = self.concat((x, skip))
        out: Tensor = self.conv2(self.conv1(x))
        return out


class Decoder(nn.Module):
    """Two convolutions at the coarsest map and five blocks up to the picture's size."""

    def __init__(self, encoder: tuple[int, ...], channels: tuple[int, ...]) -> None:
        super().__init__()
        self.center = nn.Sequential(conv_block(encoder[-1], encoder[-1]), conv_block(encoder[-1], encoder[-1]))
        inputs = (encoder[-1], *channels[:-1])
        skips = (*encoder[:0:-1], 0)
        self.blocks = nn.ModuleList(DecoderBlock(*sizes) for sizes in zip(inputs, skips, channels, strict=True))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Map at the picture's size from the encoder's maps; the finest of them is not used."""
        x: Tensor = self.center(maps[-1])
        for block, skip in zip(self.blocks, [*maps[-2:0:-1], None], strict=True):
            x = block(x, skip)
        return x


class UNet(nn.Module):
    """UNet (Ronneberger et al., MICCAI 2015) on VGG13: logits of every class for every pixel.

    Args:
        num_classes: number of classes K, background included.
        width: factor on the channels, rounded up to multiples of four, at least eight in the decoder; 1 as
            published.
    """

    def __init__(self, *, num_classes: int = 20, width: float = 1.0) -> None:
        super().__init__()
        encoder = tuple(scaled_channels(base, width, 4) for base in ENCODER)
        decoder = tuple(max(scaled_channels(base, width, 4), LEAST_DECODER) for base in DECODER)
        self.encoder = Encoder(encoder)
        self.decoder = Decoder(encoder, decoder)
        self.segmentation_head = nn.Sequential(nn.Conv2d(decoder[-1], num_classes, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K, H, W] of a picture [B, 3, H, W], normalised, sides multiples of 32."""
        logits: Tensor = self.segmentation_head(self.decoder(self.encoder(x)))
        return logits

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights for training from scratch."""
        initialise_convolutions(self, generator)

    @staticmethod
    def arguments_of(state: Mapping[str, Tensor]) -> dict[str, int | float]:
        """Constructor arguments of the network whose state this is.

        Raises:
            CheckpointError: if these are weights of another architecture or encoder.
        """
        check_family(state, "UNet with a VGG13 encoder")
        width = state["encoder.features.22.weight"].shape[0] / ENCODER[-1]
        return {"num_classes": state["segmentation_head.0.weight"].shape[0], "width": width}


def conv_block(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution without bias, BatchNorm and ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
