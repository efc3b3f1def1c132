"""What the small worlds are made of: explainers of small networks."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from lcrp.attribution.segmentation import SegmentationTask
from lcrp.attribution.task import Task
from lcrp.composites.composites import epsilon_plus_flat
from lcrp.composites.spec import BuiltComposite, CompositeSpec
from lcrp.data.dataset import Dataset
from lcrp.data.transforms import InputTransform
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.subject import Subject
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

ZEROS, ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def composite(build: Callable[..., BuiltComposite], *, is_lrp: bool = True, **settings: object) -> CompositeSpec:
    """A composite named after its builder."""
    return CompositeSpec(name=getattr(build, "__name__", "own"), build=build, settings=settings, is_lrp=is_lrp)


def named(index: int, key: str, size: tuple[int, int] = (4, 4)) -> Sample:
    """A black picture of which only place and name matter."""
    image = torch.zeros(3, *size)
    return Sample(index=index, key=key, image=image, annotation=None, geometry=Geometry.identity(size))


def explainer(
    network: nn.Module,
    task: Task | Sequence[str],
    side: int,
    *,
    name: str = "toy",
    build: Callable[..., BuiltComposite] = epsilon_plus_flat,
    layer: str = "2",
    mean: tuple[float, ...] = ZEROS,
    std: tuple[float, ...] = ONES,
) -> Explainer:
    """A network on pictures of one size; class names alone mean that it segments."""
    return Explainer(
        name=name,
        network=network.eval(),
        task=SegmentationTask(task) if isinstance(task, Sequence) else task,
        composite=composite(build),
        transform=InputTransform(side, side, "none"),
        mean=mean,
        std=std,
        layer=layer,
        checkpoint="random",
        checkpoint_sha256="",
    )


def subject(of: Explainer, dataset: Dataset, identity: Mapping[str, object] | None = None) -> Subject:
    """An explainer on a dataset."""
    return Subject(explainer=of, dataset=dataset, num_workers=0, identity=dict(identity or {"model": of.name}))
