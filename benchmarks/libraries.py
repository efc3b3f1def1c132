"""Networks of torchvision and transformers at their own sizes, with random weights: lcrp beside the plain gradient.

Those of transformers also beside LXT's efficient form, restated.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn
from torchvision.models import detection

import lcrp
from lcrp.attribution.layers import layer_names
from lcrp.decisions.explainer import Explainer
from lcrp.values.geometry import Geometry
from lcrp.values.normalisation import Normalisation
from lcrp.values.sample import Sample
from lcrp.values.target import ExplainedTarget
from rivals import attnlrp_heatmap
from timing import Report, in_turn, ratio, spreads, timed


def _torchvision(name: str) -> nn.Module:
    network: nn.Module = detection.__dict__[name](weights=None, weights_backbone=None)
    return network


def _transformers(name: str, **settings: int) -> nn.Module:
    import transformers

    config = getattr(transformers, name.partition("For")[0] + "Config")(**settings)
    network: nn.Module = getattr(transformers, name)(config)
    return network


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "fasterrcnn": partial(_torchvision, "fasterrcnn_resnet50_fpn"),
    "retinanet": partial(_torchvision, "retinanet_resnet50_fpn"),
    "segformer": partial(_transformers, "SegformerForSemanticSegmentation", num_labels=150),
    "rtdetr": partial(_transformers, "RTDetrForObjectDetection"),
}

WITH_ATTENTION = ("segformer", "rtdetr")


def attribution(name: str, turns: int) -> Report:
    """One target of one picture: the plain network's gradient of its logit, ours, LXT's; a further target of ours."""
    explainer = _explainer(name)
    size = explainer.transform.height, explainer.transform.width
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3))
    both = _decisions(explainer, image)[:2]
    normalise = Normalisation(mean=explainer.mean, std=explainer.std)

    def seeded(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return explainer.task.seed(explainer.network(x), both[:1])

    def plain() -> Mapping[str, float]:
        def gradient() -> None:
            x = normalise(image).requires_grad_()
            logit, seed = seeded(x)
            torch.autograd.grad(logit, x, seed)

        return {"plain": timed(gradient)}

    def ours() -> Mapping[str, float]:
        with explainer.attributor(()) as attributor:
            start = time.perf_counter()
            trace = attributor.forward(image)
            trace.explain(both[:1])
            first = time.perf_counter() - start
            return {"lcrp": first, "further target": timed(lambda: trace.explain(both[1:]))}

    def theirs() -> Mapping[str, float]:
        """The seed is that of the plain gradient: what is compared is what it takes."""
        return {"lxt": timed(lambda: attnlrp_heatmap(seeded, normalise(image)))}

    seconds = in_turn([plain, ours, *([theirs] if name in WITH_ATTENTION else [])], turns)
    found: Report = {
        "seconds": spreads(seconds),
        "lcrp / plain": ratio(seconds, "lcrp", "plain"),
        "further target / first": ratio(seconds, "further target", "lcrp"),
    }
    if "lxt" in seconds:
        found |= {f"lxt / {other}": ratio(seconds, "lxt", other) for other in ("plain", "lcrp")}
    return found


@contextmanager
def rounds(name: str, num_targets: int) -> Iterator[Callable[[], object]]:
    """A pass over one picture, and so many targets explained, with all layers recorded that relevance reaches."""
    explainer = _explainer(name)
    image = torch.rand(
        1, 3, explainer.transform.height, explainer.transform.width, generator=torch.Generator().manual_seed(3)
    )
    decisions = _decisions(explainer, image)[:num_targets]
    with explainer.attributor(layer_names(explainer.network)) as attributor:
        layers = list(attributor.readable(image))
    with explainer.attributor(layers) as attributor:

        def work() -> None:
            trace = attributor.forward(image)
            for one in decisions:
                trace.explain([one])

        yield work


def _explainer(name: str) -> Explainer:
    torch.manual_seed(0)
    network = NETWORKS[name]().eval().requires_grad_(False)
    is_detector = not hasattr(network, "decode_head")
    return lcrp.load(network, confidence=0.0 if is_detector else None, unaccounted="accept")


def _decisions(explainer: Explainer, image: torch.Tensor) -> Sequence[ExplainedTarget]:
    """What the network decides by chance."""
    geometry = Geometry.identity((image.shape[2], image.shape[3]))
    sample = Sample(index=0, key="0", image=image[0], annotation=None, geometry=geometry)
    with explainer.reader() as reader:
        (prediction,) = explainer.task.predictions(reader.output(image))
    found, _ = explainer.task.predicted_targets(prediction, sample)
    return found
