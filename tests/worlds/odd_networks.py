"""Networks written in every odd way that comes to mind, unlike any library's."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torchvision.ops import deform_conv2d

CLASSES = 3


class Shared(nn.Module):
    """One convolution, norm and activation that run three times, and a head with the stem's weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3)
        self.norm, self.act = nn.BatchNorm2d(6), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.stem(x))
        for _ in range(3):
            x = self.act(self.norm(self.conv(x)))
        return functional.conv_transpose2d(x, self.stem.weight).mean((2, 3))


class InPlace(nn.Module):
    """Sums, activations, scalings and parts that are written into what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.act, self.head = nn.BatchNorm2d(6), nn.SiLU(inplace=True), nn.Conv2d(6, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.one(x))
        x += self.norm(self.other(x))
        x.relu_().mul_(0.5)
        canvas = torch.zeros(x.shape[0], 6, x.shape[2] + 2, x.shape[3], dtype=x.dtype)
        canvas[:, :, 1:-1] = x
        canvas[:, :2].clamp_(max=1)
        return self.head(canvas)


class Views(nn.Module):
    """Axes, parts and copies of a map, mixed by a grouped and a pointwise map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mix, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        tokens = self.mix(x.flatten(2).mT)
        x = (
            tokens.mT.unflatten(2, x.shape[2:])
            .contiguous()
            .view(len(x), 4, 2, *x.shape[2:])
            .transpose(1, 2)
            .flatten(1, 2)
        )
        one, other = torch.roll(x, 1, 3).chunk(2, dim=1)
        x = torch.cat((one.flip(2), other, other[:, [1, 0]].repeat(1, 2, 1, 1)), dim=1)
        x = functional.pixel_unshuffle(x[..., ::2, ::2][..., :2, :2], 2)
        x = torch.stack(x.unbind(1)[::-1], dim=1).squeeze(-1)
        return self.head(x.reshape(len(x), -1)[:, :32].expand(-1, 32))


class Functional(nn.Module):
    """No module but itself: bare parameters and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.ParameterList([torch.randn(6, 3, 3, 3) / 5, torch.randn(6, 1, 3, 3) / 3, torch.randn(CLASSES, 6)])
        self.b = nn.ParameterList([torch.randn(6), torch.randn(6), torch.randn(CLASSES)])
        self.scale = nn.Parameter(torch.rand(6) + 0.5)
        self.register_buffer("mean", torch.randn(6))
        self.register_buffer("var", torch.rand(6) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        x = functional.conv2d(x, self.w[0], self.b[0], stride=2)
        x = functional.relu6(functional.batch_norm(x, self.mean, self.var, self.scale, self.b[1]))
        x = torch.conv2d(x, self.w[1], padding=1, groups=6) * self.scale[:, None, None] + x
        x = functional.max_pool2d(functional.layer_norm(x, x.shape[1:]), 2)
        x = functional.interpolate(functional.normalize(x, dim=1), size=(9, 7), mode="bilinear")
        x = functional.dropout(functional.group_norm(x, 2), training=self.training)
        return functional.linear(functional.adaptive_avg_pool2d(x, 1).flatten(1), self.w[2], self.b[2])


class Dictionary(nn.Module):
    """Answers a dictionary of lists of tuples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head, self.other = nn.Conv2d(3, 6, 3), nn.Conv2d(6, CLASSES, 1), nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> dict[str, object]:
        x = self.conv(x).relu()
        return {"levels": [(self.head(x), self.other(x))], "shape": x.shape}


class Several(nn.Module):
    """Answers a tuple, of which the first counts; an expert per picture is chosen by a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.choice = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
        self.experts = nn.ModuleList([nn.Linear(4, CLASSES), nn.Linear(4, CLASSES)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.tanh(self.conv(x)).amax((2, 3))
        weights = self.choice(x).softmax(-1)
        answers = torch.stack([expert(x) for expert in self.experts], dim=1)
        return (answers * weights.unsqueeze(-1)).sum(1), weights


class Line(nn.Module):
    """Convolutions over one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv1d(3, 6, 7, stride=4), nn.Conv1d(6, 6, 3, padding="same", dilation=2)
        self.norm, self.up, self.head = nn.BatchNorm1d(6), nn.ConvTranspose1d(6, 4, 2, 2), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool1d(self.stem(x.flatten(2)), 2)
        x = self.up(functional.hardswish(self.norm(self.conv(x))))
        return self.head(functional.avg_pool1d(x, 4).mean(-1))


class Volume(nn.Module):
    """Convolutions over three axes, of a picture as one slice beside its mirror image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv3d(3, 4, (2, 3, 3)), nn.BatchNorm3d(4), nn.Conv3d(4, CLASSES, 1)
        self.up = nn.ConvTranspose3d(4, 4, (1, 2, 2), (1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.stack([x, x.flip(3), x], dim=2)
        x = functional.leaky_relu(self.norm(self.conv(x)))
        x = functional.max_pool3d(self.up(functional.avg_pool3d(x, (1, 4, 4))), (1, 2, 2))
        return self.head(functional.interpolate(x, size=(2, 5, 5), mode="trilinear")).sum(2)


class Encoder(nn.Module):
    """torch's own layers of a transformer, with a mask, an embedding and a class token."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.token = nn.Conv2d(3, 8, 16, 16), nn.Parameter(torch.randn(1, 1, 8))
        self.position = nn.Embedding(17, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
        self.cross, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(len(x), -1, -1), self.patches(x).flatten(2).mT], dim=1)
        x = self.layer(x + self.position.weight[: x.shape[1]])
        hidden = torch.zeros(len(x), x.shape[1], dtype=torch.bool)
        hidden[:, -1] = True
        found, _ = self.cross(x[:, :1], x, x, key_padding_mask=hidden)
        return self.head(found[:, 0])


class Parametrised(nn.Module):
    """Weights that are computed, and convolutions whose kernels are moved by the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = parametrizations.weight_norm(nn.Conv2d(3, 4, 3, padding=1))
        self.offset = nn.Conv2d(4, 18, 3, padding=1)
        self.weight = nn.Parameter(torch.randn(4, 4, 3, 3) / 6)
        self.head = parametrizations.orthogonal(nn.Linear(4, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.softplus(functional.avg_pool2d(self.conv(x), 4))
        x = deform_conv2d(x, self.offset(x), self.weight, padding=1)
        return self.head(torch.einsum("bchw->bc", x) / x[0, 0].numel())


ODD: Mapping[str, Callable[[], nn.Module]] = {
    f"odd {kind.__name__.lower()}": kind
    for kind in (
        Shared,
        InPlace,
        Views,
        Functional,
        Dictionary,
        Several,
        Line,
        Volume,
        Encoder,
        Parametrised,
    )
}
