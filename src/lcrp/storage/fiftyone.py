"""A dataset folder that FiftyOne loads: pictures, decisions as detections, and a heatmap of each.

``fiftyone.Dataset.from_dir(dataset_dir=FOLDER, dataset_type=fiftyone.types.FiftyOneDataset)``

samples.json, metadata.json         the samples, in the layout without a version, whose schema FiftyOne finds itself
data/                               the pictures
fields/relevance_N/, region_N/      heatmap and mask of the N-th decision of a picture, grey PNGs

In a heatmap 128 is no relevance, 255 the most that any pixel of the decision has for it, 1 as much against it. Boxes
are [left, top, width, height] in shares of the picture, as FiftyOne has them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lcrp.values.explanation import Mask, Verdict
from lcrp.values.geometry import Box
from lcrp.values.names import safe_name, unique_name

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionDocument:
    """A decision.

    Attributes:
        class_name: its class.
        confidence: in [0, 1].
        box: (left, top, right, bottom) in pixels of the picture; of a mask, that around it.
        mask: [H, W] of the decision; None for a box.
        heatmap: [H, W] relevance.
        outside: share of the positive relevance outside the object.
        concepts: (name, share of the layer's relevance), the most relevant ones.
        verdict: what the annotation says; None where there is none.
    """

    class_name: str
    confidence: float
    box: Box
    mask: Mask | None
    heatmap: npt.NDArray[np.floating]
    outside: float
    concepts: tuple[tuple[str, float], ...]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureDocument:
    """A picture and the decisions about it.

    Attributes:
        name: of the picture, as a person knows it.
        picture: [H, W, 3] uint8.
        decisions: about it.
    """

    name: str
    picture: Array
    decisions: tuple[DecisionDocument, ...]


def write_fiftyone(folder: Path, pictures: Iterable[PictureDocument], class_names: Sequence[str]) -> int:
    """Write the dataset into a folder that is there, one picture after the other.

    Returns:
        The number of decisions.
    """
    taken: set[str] = set()
    samples, count = [], 0
    for one in pictures:
        samples.append(_sample(folder, one, unique_name(safe_name(Path(one.name).stem), taken)))
        count += len(one.decisions)
    metadata = {"media_type": "image", "info": {"class_names": list(class_names)}}
    _write_json(folder / "metadata.json", metadata)
    _write_json(folder / "samples.json", {"samples": samples})
    return count


def _sample(folder: Path, one: PictureDocument, stem: str) -> dict[str, object]:
    path = _save(one.picture, folder, "data", f"{stem}.png")
    sample: dict[str, object] = {"filepath": path, "name": one.name, "tags": []}
    detections = []
    for number, decision in enumerate(one.decisions, start=1):
        heatmap = _save(_grey(decision.heatmap), folder, f"fields/relevance_{number}", f"{stem}.png")
        sample[f"relevance_{number}"] = {"_cls": "Heatmap", "map_path": heatmap, "range": [0, 255]}
        if decision.mask is not None:
            mask = _save(255 * decision.mask.astype(np.uint8), folder, f"fields/region_{number}", f"{stem}.png")
            sample[f"region_{number}"] = {"_cls": "Segmentation", "mask_path": mask}
        detections.append(_detection(decision, number, one.picture.shape))
    sample["decisions"] = {"_cls": "Detections", "detections": detections}
    return sample


def _detection(decision: DecisionDocument, number: int, shape: Sequence[int]) -> dict[str, object]:
    height, width = shape[:2]
    left, top, right, bottom = decision.box
    return {
        "_cls": "Detection",
        "label": decision.class_name,
        "confidence": float(decision.confidence),
        "bounding_box": [left / width, top / height, (right - left) / width, (bottom - top) / height],
        "heatmap": f"relevance_{number}",
        "outside": float(decision.outside),
        "concepts": [name for name, _ in decision.concepts],
        "shares": [float(share) for _, share in decision.concepts],
        "tags": [decision.verdict] if decision.verdict else [],
    }


def _grey(heatmap: npt.NDArray[np.floating]) -> Array:
    largest = float(np.abs(heatmap).max()) or 1.0
    return np.round(128 + 127 * heatmap / largest).astype(np.uint8)


def _save(pixels: Array, folder: Path, place: str, name: str) -> str:
    (folder / place).mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / place / name)
    return f"{place}/{name}"


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
