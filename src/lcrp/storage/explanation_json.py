"""Explanations as JSON: the numbers of one decision, in the photograph's frame."""

import math
from dataclasses import asdict

from lcrp.values.explanation import Annotated, ConceptExplanation, Explanation, OtherDecision, against
from lcrp.values.geometry import Geometry
from lcrp.values.ledger import Ledger


def explanation_json(explanation: Explanation) -> dict[str, object]:
    """The numbers of an explanation, without its maps, as plain nested values.

    Boxes (left, top, right, bottom) and areas are in pixels of the photograph; what is on the network's input goes to
    the photograph as (input - offset) / scale. What was not measured is None.
    """
    explained = explanation.explained
    box, share = explanation.picture_box, float(explanation.layer_share)
    return {
        "title": explanation.title,
        "source": explanation.source,
        "sample": explained.target.sample,
        "key": explained.key,
        "mode": explanation.mode,
        "class": explanation.class_name,
        "class_id": explained.target.class_id,
        "item": explained.target.item,
        "rank": explanation.rank,
        "score": float(explained.score),
        "confidence": float(explained.confidence),
        "read": explained.read or None,
        "is_linearised": explained.is_linearised,
        "instead": {"class": explained.instead, "confidence": explained.instead_confidence}
        if explained.instead
        else None,
        "box": box,
        "area": None if explained.area is None else int(explanation.picture_mask.sum()),
        "picture_size": explanation.geometry.picture_size,
        "input": _input_json(explanation.geometry),
        "outside": float(explanation.outside),
        "outside_area": float(explanation.outside_area),
        "against": explanation.against,
        "layer": explanation.layer,
        "layer_share": None if math.isnan(share) else share,
        "coverage": explanation.coverage,
        "ledger": _ledger_json(explanation.ledger),
        "concepts": [_concept_json(concept, explanation.geometry) for concept in explanation.concepts],
        "others": [_other_json(other, explanation.geometry) for other in explanation.others],
        "runners_up": [{"class": name, "confidence": float(value)} for name, value in explanation.runners_up],
        "annotated": _annotated_json(explanation.annotated),
    }


def _input_json(geometry: Geometry) -> dict[str, object]:
    """How the photograph, or its tile, was placed in the input: scale (vertical, horizontal), offset (top, left)."""
    (height, width), tile = geometry.input_size, geometry.tile
    return {
        "height": height,
        "width": width,
        "resize": geometry.resize,
        "scale": geometry.scale,
        "offset": geometry.offset,
    } | ({} if tile is None else {"tile": (tile.left, tile.top, tile.right, tile.bottom)})


def _other_json(other: OtherDecision, geometry: Geometry) -> dict[str, object]:
    return {
        "class": other.class_name,
        "confidence": float(other.confidence),
        "box": None if other.box is None else geometry.box_to_picture(other.box),
        "share": float(other.share),
    }


def _ledger_json(ledger: Ledger | None) -> dict[str, object] | None:
    """What became of the relevance; `missing` is in none of the others."""
    return None if ledger is None else {**asdict(ledger), "missing": ledger.missing}


def _annotated_json(annotated: Annotated | None) -> dict[str, object] | None:
    if annotated is None:
        return None
    return {"verdict": annotated.verdict, "class": annotated.class_name, "overlap": float(annotated.overlap)}


def _concept_json(concept: ConceptExplanation, geometry: Geometry) -> dict[str, object]:
    return {
        "concept": concept.concept,
        "name": concept.name or None,
        "share": float(concept.share),
        "outside": float(concept.outside),
        "against": against(concept.heatmap, geometry),
        "lost": asdict(concept.lost),
        "references": [
            {
                "key": reference.key,
                "sample": reference.sample,
                "class": reference.class_name,
                "score": float(reference.score),
                "is_explained_picture": reference.is_explained_picture,
            }
            for reference in concept.references
        ],
    }
