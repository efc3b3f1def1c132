"""Content packed: one JSON index, blocks of arrays, and pictures, as much of it as a size allows.

The first block holds all numbers; each decision's maps are a block of their own, unpacked when they are looked at.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lcrp.evidence.reliance import LEAST
from lcrp.page.arrays import Blocks
from lcrp.page.audit import fitting
from lcrp.page.content import Content, DecisionContent, LayerContent, LeftOut, ReferenceContent
from lcrp.page.entries import Entry, added, num_fitting, size_of
from lcrp.page.fitting import HOW, fitting_strips

FORMAT: Final = "lcrp-page"
VERSION: Final = 1
BASE64 = 4 / 3  # bytes in the page for every byte
AUDITED = 0.2  # of the page, at most, shows swapped surroundings
RESERVED = 200_000  # bytes of the program, the style and the frame

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What the page holds.

    Attributes:
        index: JSON: what there is, and where its arrays and pictures are.
        blocks: of arrays, gzip.
        images: WebP.
    """

    index: Mapping[str, Any]
    blocks: tuple[bytes, ...]
    images: tuple[bytes, ...]


def packed(content: Content, max_bytes: float = math.inf) -> Packed:
    """Content as the page holds it.

    Where it would be larger than allowed, first the pictures of the concepts that count least go, then the last
    misses and decisions; `left_out` of the index says so.
    """
    room = (max_bytes - RESERVED) / BASE64 - len(_core(content, content.decisions).packed[0])
    audited = fitting(content.audited, room * AUDITED)
    room -= sum(len(one.strip or b"") for one in audited)
    entries = [Entry.of(one) for one in (*content.decisions, *content.misses)]
    photographs = [one.image for one in content.pictures]
    kept = num_fitting(entries, photographs, room)
    entries = entries[:kept]
    strips = fitting_strips(content.layers, content.comparison, room - size_of(entries, photographs))
    num_decisions = len(content.decisions)
    left_out = (*content.left_out, *_told(content, kept, len(audited)), *strips.left_out)
    misses = content.misses[: max(0, kept - num_decisions)]
    content = replace(content, decisions=content.decisions[:kept], misses=misses, left_out=left_out)
    blocks = _core(content, content.decisions)
    images: list[bytes] = []
    shown = {one.content.picture for one in entries}
    picture_images = [
        None if image is None or number not in shown else added(images, image)
        for number, image in enumerate(photographs)
    ]
    numbers = {
        name: {place: added(images, image) for place, image in getattr(strips, name).items()}
        for name in ("references", "others", "further")
    }
    decisions = [one.index(f"d{number}", blocks, images) for number, one in enumerate(entries[:num_decisions])]
    missed = [one.index(f"m{number}", blocks, images) for number, one in enumerate(entries[num_decisions:])]
    index = {
        **_head(content),
        "layers": [
            _layer_index(
                layer,
                *(
                    {concept: image for (at, concept), image in numbers[name].items() if at == number}
                    for name in ("references", "further")
                ),
            )
            for number, layer in enumerate(content.layers)
        ],
        "other": _other(content, {concept: image for (_, concept), image in numbers["others"].items()}),
        "pictures": [
            {"name": one.name, "size": list(one.size), "image": image, "photograph": one.photograph or None}
            for one, image in zip(content.pictures, picture_images, strict=True)
        ],
        "decisions": decisions,
        "misses": missed,
        "audit": {
            "least": LEAST,
            "objects": [one.index(None if one.strip is None else added(images, one.strip)) for one in audited],
        },
        "arrays": blocks.index,
        "num_blocks": len(blocks.packed),
        "num_images": len(images),
    }
    return Packed(index=plain(index), blocks=tuple(blocks.packed), images=tuple(images))


def _core(content: Content, decisions: Sequence[DecisionContent]) -> Blocks:
    blocks, arrays = Blocks(), dict[str, Array]()
    for number, layer in enumerate(content.layers):
        arrays |= {f"l{number}.{name}": values for name, values in _layer_arrays(layer)}
    if decisions and all(one.shares is not None for one in decisions):
        arrays["d.shares"] = np.stack([np.asarray(one.shares, dtype=np.float32) for one in decisions])
    if content.comparison is not None:
        for name in ("match", "overlap", "mean"):
            arrays[f"other.{name}"] = getattr(content.comparison, name)
        known = content.comparison.references
        lists = [known.get(concept, ()) for concept in range(content.comparison.mean.shape[1])]
        arrays |= {f"other.{name}": values for name, values in _reference_arrays("ref", lists)}
    blocks.add(arrays)
    return blocks


def _layer_arrays(layer: LayerContent) -> Iterator[tuple[str, Array]]:
    moments, ranking = layer.moments, layer.ranking
    yield "class_ids", moments.class_ids
    yield "count", moments.count
    yield "mean", moments.mean()
    yield "deviation", np.sqrt(moments.variance())
    for name in ("score", "sample", "class_id", "item", "filled"):
        yield f"top.{name}", getattr(ranking, name)
    for name, values in _reference_arrays("ref", [layer.references.get(one, ()) for one in range(layer.num_concepts)]):
        yield name, values
    pairs = sorted(layer.of_class)
    yield "own.concept", np.array([concept for concept, _ in pairs], dtype=np.int32)
    yield "own.class", np.array([class_id for _, class_id in pairs], dtype=np.int32)
    yield "own.place", np.array([place for pair in pairs for place in _places(layer, *pair)], dtype=np.int32)
    for name, values in _reference_arrays("own", [layer.of_class[pair] for pair in pairs]):
        yield name, values
    if layer.context is not None:
        yield "context.class_id", layer.context.class_id
        yield "context.concept", layer.context.concept
        for name in ("context", "low", "high", "sensitivity"):
            yield f"context.{name}", getattr(layer.context, name).astype(np.float64)
    if layer.spread is not None:
        yield "spread", layer.spread.quantiles.astype(np.float32)
    if layer.likeness is not None:
        yield "like.concept", layer.likeness.concept
        yield "like.correlation", layer.likeness.correlation.astype(np.float32)
    if layer.proposed is not None:
        found = layer.proposed.proposals
        yield "proposed.fits", np.array([one.fits for one in found], dtype=np.uint8)
        yield "proposed.value", np.array([one.value for one in found])
        for name in ("value", "low", "high"):
            yield f"proposed.auroc_{name}", np.array([getattr(one.auroc, name) for one in found], dtype=np.float64)


def _reference_arrays(name: str, lists: Sequence[Sequence[ReferenceContent]]) -> Iterator[tuple[str, Array]]:
    """Columns of references, those of one list after those of the other, and where each list starts."""
    flat = [one for references in lists for one in references]
    yield f"{name}.start", np.cumsum([0, *map(len, lists)]).astype(np.int32)
    for column in ("sample", "class_id", "item"):
        yield f"{name}.{column}", np.array([getattr(one, column) for one in flat], dtype=np.int32)
    yield f"{name}.score", np.array([one.score for one in flat], dtype=np.float32)
    boxes = [one.box or (math.nan,) * 4 for one in flat]
    yield f"{name}.box", np.array(boxes, dtype=np.float32).reshape(-1, 4)


def _places(layer: LayerContent, concept: int, class_id: int) -> Iterator[int]:
    """Where the crops of a class's references lie: in the concept's strip, or (-1 - place) in its further one."""
    places = {one.target: place for place, one in enumerate(layer.references.get(concept, ()))}
    places |= {one.target: -1 - place for place, one in enumerate(layer.further(concept))}
    return (places[one.target] for one in layer.of_class[concept, class_id])


def _head(content: Content) -> dict[str, Any]:
    layers = [layer.name for layer in content.layers]
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": content.title,
        "facts": dict(content.facts),
        "classes": list(content.class_names),
        "layer": layers.index(content.layer) if content.layer in layers else None,
        "keys": {str(one.sample): one.key for references in _all_references(content) for one in references},
        "findings": [
            {
                "name": one.name,
                "sentences": list(one.sentences),
                "command": one.command,
                "source": one.source,
                "tables": [
                    {"name": table.name, "columns": list(table.columns), "rows": [list(row) for row in table.rows()]}
                    for table in one.tables
                ],
            }
            for one in content.findings
        ],
        "names": {
            layer: {str(concept): name for concept, name in of_layer.items()}
            for layer, of_layer in content.names.items()
        },
        "left_out": [asdict(one) for one in content.left_out],
    }


def _all_references(content: Content) -> Iterator[Sequence[ReferenceContent]]:
    for layer in content.layers:
        yield from layer.references.values()
        yield from layer.of_class.values()
    if content.comparison is not None:
        yield from content.comparison.references.values()
    for miss in content.misses:
        if miss.missed is not None:
            yield from (one.references for one in miss.missed.concepts)


def _other(content: Content, images: Mapping[int, int]) -> dict[str, Any] | None:
    """What is compared with."""
    other = content.comparison
    if other is None:
        return None
    layer = [layer.name for layer in content.layers].index(other.layer)
    return {
        "title": other.title,
        "source": other.source,
        "layer": layer,
        "num_concepts": other.mean.shape[1],
        "images": {str(concept): number for concept, number in images.items()},
    }


def plain(value: Any) -> Any:
    """Nested values as JSON knows them; numbers that are none, or beyond all bounds, are None."""
    match value:
        case dict() | Mapping():
            return {str(name): plain(one) for name, one in value.items()}
        case list() | tuple() | np.ndarray():
            return [plain(one) for one in value]
        case np.generic():
            return plain(value.item())
        case float():
            return value if math.isfinite(value) else None
        case _:
            return value


def _layer_index(layer: LayerContent, images: Mapping[int, int], further: Mapping[int, int]) -> dict[str, Any]:
    found = layer.proposed
    return {
        "name": layer.name,
        "num_concepts": layer.num_concepts,
        "images": {str(concept): number for concept, number in images.items()},
        "further": {str(concept): number for concept, number in further.items()},
        "like_decisions": None if layer.likeness is None else layer.likeness.num_decisions,
        "proposed": found and {"names": [one.name for one in found.proposals], "decisions": found.num_decisions},
    }


def _told(content: Content, num_kept: int, num_audited: int) -> Iterator[LeftOut]:
    num_decisions, num_misses = len(content.decisions), len(content.misses)
    if num_kept < num_decisions:
        yield LeftOut(what=f"{num_decisions - num_kept} of {num_decisions} explained decisions", how=HOW)
    if num_kept < num_decisions + num_misses:
        missing = min(num_misses, num_decisions + num_misses - num_kept)
        yield LeftOut(what=f"{missing} of {num_misses} explained misses", how=HOW)
    if num_audited < len(content.audited):
        num_missing = len(content.audited) - num_audited
        yield LeftOut(what=f"{num_missing} of {len(content.audited)} objects in other surroundings", how=HOW)
