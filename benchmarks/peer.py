"""zennit and zennit-crp doing the same work as lcrp: the same networks, rules, images and targets."""

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from crp.image import vis_opaque_img
from crp.visualization import FeatureVisualization
from torch import nn
from zennit.core import Composite

from subjects import Logits, Subject
from zennits import with_sums, zennits_composite

BATCH = 4  # references at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Neuron:
    """One neuron of a concept on one image."""

    image: int
    position: int


class TargetedImages(torch.utils.data.Dataset[tuple[torch.Tensor, list[int] | list[list[int]]]]):
    """Images [B, 3, H, W], each with the targets 0 to T - 1."""

    def __init__(self, images: torch.Tensor, num_targets: int) -> None:
        self.images, self.num_targets = images, num_targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, list[int] | list[list[int]]]:
        every = list(range(self.num_targets))
        return self.images[index], every if len(self) > 1 else [every]  # a lone image's targets are taken for a batch


class ManyTargets(FeatureVisualization):  # type: ignore[misc]
    """FeatureVisualization for images with several targets."""

    def multitarget_to_single(self, multi_target: np.ndarray) -> list[int]:
        """The targets one by one."""
        return [int(target) for target in multi_target]


def composite_of(one: Subject, network: nn.Module) -> Composite:
    """The subject's composite as zennit has it."""
    assert one.convolution is not None
    return zennits_composite(one.convolution)(network)


def heatmap_of_zennit(one: Subject, images: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Explains the first of two targets of one image, [1, H, W]; `one.network` is registered while it runs."""
    network = Logits(with_sums(one.network), 2)
    composite = composite_of(one, network)

    def run() -> torch.Tensor:
        x = images.clone().requires_grad_()
        with composite.context(network) as modified:
            output = modified(x)
            seed = torch.zeros_like(output)
            seed[0, 0] = 1
            (relevance,) = torch.autograd.grad(output, x, seed)
        return relevance.sum(dim=1)

    return run


def glocal_of_zennit_crp(one: Subject, images: torch.Tensor, num_targets: int, folder: Path) -> Callable[[], None]:
    """A pass of FeatureVisualization over images, with statistics of all convolutions, written to a folder."""
    network = Logits(with_sums(one.network), num_targets)
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]

    def run() -> None:
        concept = ChannelConcept()
        visualization = ManyTargets(
            CondAttribution(network),
            TargetedImages(images, num_targets),
            dict.fromkeys(layers, concept),
            path=str(folder),
        )
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            visualization.run(composite_of(one, network), 0, len(images), batch_size=len(images))

    return run


def render_of_zennit_crp(
    one: Subject, images: torch.Tensor, neurons: Mapping[int, Sequence[Neuron]]
) -> Callable[[], torch.Tensor]:
    """The first image's decision, its concepts one by one, and of each the references: attributed, masked, cropped.

    Returns:
        Heatmaps [N, H, W] of the first concept's references.
    """
    network = Logits(with_sums(one.network), 1)
    layer = f"network.{one.layer}"

    def run() -> torch.Tensor:
        attribution, composite = CondAttribution(network), composite_of(one, network)

        def heatmaps(rows: Sequence[int], conditions: list[dict[str, object]], **options: object) -> torch.Tensor:
            data = images[list(rows)].clone().requires_grad_()
            found: torch.Tensor = attribution(data, conditions, composite, **options).heatmap
            return found.detach()

        heatmaps([0], [{"y": [0]}])
        found = []
        for concept, its in neurons.items():
            heatmaps([0], [{"y": [0], layer: [concept]}])
            maps = []
            for start in range(0, len(its), BATCH):
                part = its[start : start + BATCH]
                conditions: list[dict[str, object]] = [{"y": [0], layer: {concept: [one.position]}} for one in part]
                maps.append(heatmaps([one.image for one in part], conditions, mask_map=ChannelConcept.mask_rf))
            found.append(torch.cat(maps))
            vis_opaque_img(images[[one.image for one in its]], found[-1], rf=True)
        return found[0]

    return run
