"""Objects of a class mask: its connected parts.

Axes: N part, H W picture.
"""

import numpy as np
import numpy.typing as npt
import torch

from lcrp.values.sample import VOID, Annotation


def objects_of(class_mask: npt.NDArray[np.int64], background: int | None = 0) -> Annotation:
    """A box, a label and a mask for every connected part of every class (8 neighbours), without background and void.

    Args:
        class_mask: [H, W].
        background: its class; None if it has none.
    """
    boxes, labels, masks = [], [], []
    for class_id in np.unique(class_mask).tolist():
        if class_id in (VOID, background):
            continue
        parts = connected(class_mask == class_id)
        for number in range(1, int(parts.max()) + 1):
            mask = parts == number
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            labels.append(class_id)
            masks.append(mask)
    empty = np.zeros((0, *class_mask.shape), dtype=np.bool_)
    return Annotation(
        boxes=torch.tensor(np.array(boxes), dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=torch.from_numpy(np.stack(masks) if masks else empty),
    )


def connected(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """[H, W] number of the connected part of every pixel, from 1 on; 0 outside.

    Runs of pixels in rows are joined with those that they touch in the row above.
    """
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(padded, axis=1)  # [H, W + 1]
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    parent = list(range(len(rows)))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    first = np.searchsorted(rows, np.arange(len(mask) + 1))
    for row in range(1, len(mask)):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            if starts[above] <= ends[here] and starts[here] <= ends[above]:
                one, other = root(int(above)), root(int(here))
                parent[max(one, other)] = min(one, other)
            if ends[above] < ends[here]:
                above += 1
            else:
                here += 1
    roots = np.array([root(one) for one in range(len(rows))], dtype=np.int64)
    numbers = np.unique(roots, return_inverse=True)[1] + 1 if len(roots) else roots
    labels = np.zeros(mask.shape, dtype=np.int64)
    labels[mask] = np.repeat(numbers, ends - starts)
    return labels
