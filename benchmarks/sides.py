"""Does what has relevance for a side of a box move it? Channels taken away one by one, and the side measured.

    python benchmarks/sides.py best.pt photos/ --layer model.18.cv2.conv

Of a YOLOv8 or YOLO11, whose sides are expectations over bins, and of every channel of a layer: how far the side goes
inwards where the channel is 0, in strides, beside its relevance by the read-out of lcrp, by the share of each bin in
the expectation (p v / d), for the class, and beside the side's own gradient times activation, which is not conserved.

Axes: C channel, D box, Q bin.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import lcrp
from lcrp.attribution.sides import SIDES
from lcrp.composites.composites import early_gamma_flat, epsilon_flat, epsilon_gamma_flat
from lcrp.composites.spec import CompositeSpec
from lcrp.data.folder import FolderDataset
from lcrp.decisions.explainer import Explainer

Array = npt.NDArray[np.floating]

RULES = {"epsilon_flat": epsilon_flat, "epsilon_gamma_flat": epsilon_gamma_flat, "early_gamma_flat": early_gamma_flat}
MOST_BOXES = 3
LEAST_CONFIDENCE, LEAST_AREA = 0.4, 40 * 40  # pixels of the input
LEAST_MOVED = 0.02  # strides, by some channel
STRONGEST = 10  # channels whose signs are compared
AT_ONCE = 8


def main() -> None:
    """Print, for every read-out, means over sides of boxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--side", type=int, default=416)
    given = parser.parse_args()
    explainer = lcrp.load(given.checkpoint, input=(given.side, given.side))
    found = [row for image in _pictures(explainer, given) for row in _of_picture(explainer, given.layer, image)]
    print(f"{len(found)} sides; rank correlation with what they do, equal signs of the strongest {STRONGEST}")
    for name in found[0]:
        ranks, signs = np.mean([row[name] for row in found], axis=0)
        print(f"{name:28} {ranks:6.2f} {signs:6.2f}")


def _pictures(explainer: Explainer, given: argparse.Namespace) -> Iterator[torch.Tensor]:
    """Pictures [1, 3, H, W] with a large confident object, drawn at random."""
    dataset = FolderDataset(given.folder, explainer.transform, explainer.class_names)
    order = np.random.default_rng(0).permutation(len(dataset))
    shown = (dataset[int(index)].image[None] for index in order)
    return islice((image for image in shown if _rows(explainer, image)), given.pictures)


def _rows(explainer: Explainer, image: torch.Tensor) -> list[int]:
    """Rows of the most confident boxes that are no specks."""
    with torch.no_grad():
        (found,) = explainer.task.predictions(explainer.network(image))
    width, height = (found.boxes[:, 2:] - found.boxes[:, :2]).T
    chosen = (found.confidence > LEAST_CONFIDENCE) & (width * height > LEAST_AREA)
    return found.rows[chosen][:MOST_BOXES].tolist()


def _of_picture(explainer: Explainer, layer: str, image: torch.Tensor) -> Iterator[dict[str, tuple[float, float]]]:
    """Of every side: how well each read-out says what happens."""
    places = [(row, side) for row in _rows(explainer, image) for side in range(len(SIDES))]
    moved = _moved(explainer.network, layer, image, places)  # [places, C]
    said = {
        name: parts for rules in RULES for name, parts in _relevance(explainer, layer, image, places, rules).items()
    }
    said["gradient x activation"] = _slopes(explainer.network, layer, image, places)
    for number, move in enumerate(moved):
        if np.abs(move).max() >= LEAST_MOVED:
            yield {name: _agreement(parts[number], move) for name, parts in said.items()}


def _agreement(said: Array, moved: Array) -> tuple[float, float]:
    strongest = np.abs(said).argsort()[-STRONGEST:]
    ranks = [values.argsort().argsort() for values in (said, moved)]
    return float(np.corrcoef(*ranks)[0, 1]), float((np.sign(said[strongest]) == np.sign(moved[strongest])).mean())


def _relevance(
    explainer: Explainer, layer: str, image: torch.Tensor, places: list[tuple[int, int]], rules: str
) -> dict[str, Array]:
    """Relevance [places, C] of a layer's channels: of the side as lcrp reads it, of p v / d, and of the class."""
    found: dict[str, list[Array]] = {f"{rules}, {what}": [] for what in ("side", "p v / d", "class")}
    spec = CompositeSpec(name=rules, build=RULES[rules])
    with replace(explainer, composite=spec).attributor([layer]) as attributor:
        trace = attributor.forward(image)
        bins, classes = trace.output.bins, trace.output.class_logits
        for row, side in places:
            logits, values = bins.logits.detach()[0, row, side], bins.values
            probability = logits.softmax(dim=0)
            distance = (probability * values).sum()
            best = int(classes.detach()[0, row].argmax())
            seeds = (
                (bins.logits, (row, side), probability * (values - distance) * logits / distance),
                (bins.logits, (row, side), probability * values / distance),
                (classes, (row, best), classes.detach()[0, row, best].sign()),
            )
            for own, (output, place, relevance) in zip(found.values(), seeds, strict=True):
                seed = torch.zeros_like(output)
                seed[(0, *place)] = relevance
                own.append(trace.seeded_relevance(layer, output, seed)[0].sum(dim=(1, 2)).numpy())
    return {name: np.stack(own) for name, own in found.items()}


def _slopes(network: nn.Module, layer: str, image: torch.Tensor, places: list[tuple[int, int]]) -> Array:
    """Gradient of the distance times activation, [places, C]."""
    kept: list[torch.Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda _module, _inputs, out: kept.append(out))
    sides = network(image.clone().requires_grad_()).sides
    hook.remove()
    slopes = [torch.autograd.grad(sides[0, *place], kept[0], retain_graph=True)[0] for place in places]
    return np.stack([(slope * kept[0].detach())[0].sum(dim=(1, 2)).numpy() for slope in slopes])


@torch.no_grad()
def _moved(network: nn.Module, layer: str, image: torch.Tensor, places: list[tuple[int, int]]) -> Array:
    """How far every side goes inwards without each channel, [places, C] in strides."""
    kept: list[torch.Tensor] = []
    module, rows = network.get_submodule(layer), [row for row, _ in places]
    hook = module.register_forward_hook(lambda _module, _inputs, out: kept.append(out))
    columns = [side for _, side in places]
    before = network(image).sides[:, rows, columns]
    hook.remove()
    after = []
    for part in torch.ones(kept[0].shape[1]).diag().split(AT_ONCE):
        without = (1 - part)[:, :, None, None]
        hook = module.register_forward_hook(lambda _module, _inputs, out, without=without: out * without)
        after.append(network(image.expand(len(part), -1, -1, -1)).sides[:, rows, columns])
        hook.remove()
    return (before - torch.cat(after)).T.numpy()


if __name__ == "__main__":
    main()
