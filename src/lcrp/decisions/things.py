"""Everything that is annotated in a picture: classes, parts, contexts.

Axes: H W picture.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.pixels import centred_pixels
from lcrp.attribution.segmentation import BACKGROUND
from lcrp.data.scenes import CONTEXT_NAMES
from lcrp.values.sample import VOID, Annotation, Sample

SURROUNDINGS = "surroundings"  # all that is no annotated object, where the data do not name contexts

Mask = npt.NDArray[np.bool_]


def things_seen(sample: Sample, class_names: Sequence[str]) -> dict[str, Mask]:
    """Everything in a picture that is annotated: classes, parts, contexts; masks [H, W] by name.

    Args:
        sample: the picture.
        class_names: of the annotation; index = label.

    Returns:
        Of a class its pixels, or its filled boxes; where contexts are not named, what surrounds all objects. Nothing
        where no object is annotated.
    """
    annotation = sample.annotation
    if annotation is None:
        return {}
    found = {name: mask for name, mask in _classes(annotation, class_names, sample.image) if mask.any()}
    if not found:
        return {}
    found |= {name: mask.numpy() for name, mask in annotation.parts.items() if mask.any()}
    covered = np.logical_or.reduce(list(found.values()))
    if annotation.context is None:
        contexts = {SURROUNDINGS: ~covered}
    else:
        context = annotation.context.numpy()
        contexts = {name: (context == number) & ~covered for number, name in enumerate(CONTEXT_NAMES)}
    return found | {name: mask for name, mask in contexts.items() if mask.any()}


def _classes(annotation: Annotation, class_names: Sequence[str], image: torch.Tensor) -> Iterator[tuple[str, Mask]]:
    if annotation.class_mask is not None and not len(annotation.boxes):
        labels = annotation.class_mask.numpy()
        for label in np.unique(labels[labels != VOID]).tolist():
            if class_names[label] != BACKGROUND:
                yield class_names[label], labels == label
        return
    for label in sorted(set(annotation.labels.tolist())):
        rows = annotation.labels == label
        if annotation.masks is not None:
            yield class_names[label], annotation.masks[rows].any(dim=0).numpy()
        else:
            filled = [centred_pixels(tuple(box), image[0]) for box in annotation.boxes[rows].tolist()]
            yield class_names[label], torch.stack(filled).any(dim=0).cpu().numpy()
