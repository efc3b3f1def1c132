"""Content for the explorer's page, made up: of any size, with names as a hostile person would choose them."""

from dataclasses import replace
from functools import cache

import numpy as np

from lcrp.evidence.intervals import Interval
from lcrp.evidence.naming import Proposal
from lcrp.page.audit import THUMBNAIL, AuditedContent, SwappedContent
from lcrp.page.content import (
    Comparison,
    Content,
    ContextContent,
    DecisionContent,
    Finding,
    LayerContent,
    PictureContent,
    Proposed,
    ReferenceContent,
)
from lcrp.page.maps import coarse_mask
from lcrp.page.misses import MissedConcept, MissedContent, OutlineContent
from lcrp.page.pictures import SIDE, photograph, strip
from lcrp.values.evidence import Table
from lcrp.values.statistics import Moments, TopTable

LAYER = "backbone.block.conv"
ELSEWHERE = "backbone.not.shown"  # layer of every other miss
NUM_MISSES = 3
NUM_AUDITED = 2
ALARM = {"kind": "box off", "class": "car", "iou": 0.43}
OWN = 24  # concepts with references of single classes
HOSTILE = (
    "<img src=x onerror=globalThis.hacked=1>",
    "</script><script>globalThis.hacked=2</script>",
    "\u202eevil\u202c \u2067rtl",
    "x" * 300,
    "🦄👩‍🚀 emoji",
    "';globalThis.hacked=3;'\"&amp;",
)


def made_up(
    *,
    num_concepts: int = 24,
    num_references: int = 6,
    num_decisions: int = 12,
    names: tuple[str, ...] = ("boat", "car", "kite"),
) -> Content:
    """A page's content."""
    generator = np.random.default_rng(0)
    moments, ranking = _statistics(generator, num_concepts, len(names))
    keys = [f"{names[number % len(names)]}/{number:05d}" for number in range(64)]
    references = {
        concept: tuple(_reference(ranking, keys, concept, rank) for rank in range(num_references))
        for concept in range(num_concepts)
    }
    of_class = {
        (concept, class_id): tuple(
            _reference(ranking, keys, concept, int(rank))
            for rank in np.flatnonzero(ranking.class_id[concept] == class_id)[:4]
        )
        for concept in range(min(num_concepts, OWN))
        for class_id in range(len(names))
        if (concept + class_id) % 5
    }
    layer = LayerContent(
        name=LAYER,
        moments=moments,
        ranking=ranking,
        references=references,
        strips={concept: _strip(concept % 7, num_references) for concept in range(num_concepts)},
        of_class=of_class,
        context=_context(generator, num_concepts, len(names)),
        proposed=Proposed(proposals=tuple(_proposal(one, names) for one in range(num_concepts)), num_decisions=96),
    )
    further = {concept: layer.further(concept) for concept, _ in of_class}
    layer = replace(
        layer, further_strips={concept: _strip(concept % 5, len(some)) for concept, some in further.items() if some}
    )
    decisions = tuple(_decision(generator, number, num_concepts, names) for number in range(num_decisions))
    decisions = tuple(replace(one, alarm=ALARM) if number == 1 else one for number, one in enumerate(decisions))
    misses = tuple(_miss(generator, number, num_concepts, names) for number in range(min(num_decisions, NUM_MISSES)))
    pictures = tuple(
        PictureContent(name=f"{keys[number % 64]} {number}", image=_photograph(number % 5), size=(240, 320))
        for number in range(num_decisions)
    )
    return Content(
        title=f"made up · {names[0]}",
        facts={
            "model": names[0], "dataset": "made up", "num_targets": 64, "num_samples": 64,
            "checkpoint_sha256": "0" * 64, "settings": {"a": 1}, "versions": {"lcrp": "0"},
        },
        class_names=names,
        layers=(layer, replace(layer, name="backbone.other", context=None, proposed=None)),
        layer=LAYER,
        pictures=pictures,
        decisions=decisions,
        misses=misses,
        audited=tuple(_audited(len(names) - 1 - number, names) for number in range(NUM_AUDITED)),
        findings=(
            Finding(name="audit", sentences=_verdicts(names), source="run", tables=_audit(names)),
            Finding(name="missed", sentences=("3 of 24 objects are missed.",), source="run", tables=_missed(names)),
            Finding(name="context", sentences=(f"Most for {names[0]}.",), source="run",
                    tables=(Table(name="validation", columns={"layer": [LAYER], "value": [float("nan")]}),)),
            Finding(name="evaluate", command="lcrp stage=evaluate"),
        ),
        names={LAYER: {3: names[0]}},
        comparison=Comparison(
            title=names[-1], source="other.h5", layer=LAYER,
            match=np.where(np.arange(num_concepts) % 5 == 0, -1, np.arange(num_concepts)[::-1]).astype(np.int32),
            overlap=generator.random(num_concepts), mean=moments.mean()[:, ::-1].copy(),
            references={concept: references[concept][:3] for concept in range(min(num_concepts, OWN))},
            strips={concept: _strip(concept % 3, 3) for concept in range(min(num_concepts, OWN))},
        ),
    )  # fmt: skip


def _reference(ranking: TopTable, keys: list[str], concept: int, rank: int) -> ReferenceContent:
    return ReferenceContent(
        key=keys[int(ranking.sample[concept, rank])],
        sample=int(ranking.sample[concept, rank]),
        class_id=int(ranking.class_id[concept, rank]),
        item=0,
        score=float(ranking.score[concept, rank]),
        box=(0.2, -0.3, 1.4, 0.8) if rank % 2 else None,
    )


def _statistics(generator: np.random.Generator, num_concepts: int, num_classes: int) -> tuple[Moments, TopTable]:
    shares = generator.normal(0.5 / num_concepts, 1.0 / num_concepts, (64, num_concepts))
    owner = np.arange(64) % num_classes
    total = [np.round(shares[owner == row].sum(axis=0) * 2**32) for row in range(num_classes)]
    square = [np.round((shares[owner == row] ** 2).sum(axis=0) * 2**32) for row in range(num_classes)]
    moments = Moments(
        class_ids=np.arange(num_classes, dtype=np.int32),
        count=np.bincount(owner).astype(np.int64),
        total=np.stack(total).astype(np.int64),
        square_high=np.stack(square).astype(np.int64),
        square_low=np.zeros((num_classes, num_concepts), dtype=np.int64),
    )
    order = np.argsort(-shares, axis=0)[:40].T
    ranking = TopTable(
        score=np.take_along_axis(shares.T, order, axis=1).astype(np.float32),
        sample=order.astype(np.int64),
        class_id=owner[order].astype(np.int32),
        item=np.zeros(order.shape, dtype=np.int32),
        peak=np.zeros(order.shape, dtype=np.int32),
        filled=np.full(num_concepts, 40, dtype=np.int32),
    )
    return moments, ranking


def _proposal(concept: int, names: tuple[str, ...]) -> Proposal:
    """A name for every fourth concept, none that fits for the others, and nothing at all for concept 1."""
    if concept == 1:
        return Proposal()
    auroc = Interval(value=0.5 + 0.01 * concept, low=0.5, high=0.9)
    return Proposal(name=names[concept % len(names)], fits=concept % 4 == 2, value=0.01 * concept, auroc=auroc)


def _context(generator: np.random.Generator, num_concepts: int, num_classes: int) -> ContextContent:
    concept = np.repeat(np.arange(min(num_concepts, 12)), num_classes)
    value = generator.random(len(concept))
    return ContextContent(
        class_id=np.tile(np.arange(num_classes), len(concept) // num_classes),
        concept=concept,
        context=value,
        low=np.maximum(value - 0.1, 0.0),
        high=np.where(value > 0.9, np.nan, np.minimum(value + 0.1, 1.0)),
        sensitivity=np.where(value > 0.5, np.nan, value),
    )


def _decision(
    generator: np.random.Generator, number: int, num_concepts: int, names: tuple[str, ...]
) -> DecisionContent:
    shares = generator.normal(0.0, 1.0 / num_concepts, num_concepts).astype(np.float32)
    shown = np.argsort(-shares)[:6].tolist()
    rows, columns = np.mgrid[0:48, 0:64] / 64
    maps = np.stack([
        np.exp(-40 * ((rows - generator.random()) ** 2 + (columns - generator.random()) ** 2)) * sign
        for sign in (1.0, 0.5, -0.5, 0.2, 0.1, 0.3, 0.2)
    ])  # fmt: skip
    class_id = number % len(names)
    is_mask = number % 4 == 3
    verdict = ("hit", "false alarm", "unlabelled")[number % 3]
    facts = {
        "sample": number, "class": names[class_id], "class_id": class_id, "item": 0, "rank": 0, "score": 0.8,
        "confidence": float(0.3 + 0.6 * generator.random()), "box": None if is_mask else [10.0, 20.0, 200.0, 180.0],
        "area": 900 if is_mask else None, "outside": float(generator.random()), "outside_area": 0.8, "against": 0.1,
        "layer": LAYER, "layer_share": float(generator.random()), "coverage": 0.4, "key": names[0],
        "ledger": {"seed": 1.0, "reached": 0.7, "constants": 0.3},
        "concepts": [
            {"concept": one, "share": float(shares[one]), "outside": float(generator.random())} for one in shown
        ],
        "others": [{"class": names[0], "confidence": 0.5, "box": None, "share": 0.1}], "runners_up": [],
        "annotated": {"verdict": verdict, "class": names[class_id], "overlap": 0.6},
    }  # fmt: skip
    mask = coarse_mask(rows + columns > 0.9) if is_mask else None
    box = None if is_mask else (0.1, 0.2, 0.6, 0.75)
    return DecisionContent(picture=number, facts=facts, box=box, mask=mask, maps=maps, shares=shares)


def _miss(generator: np.random.Generator, number: int, num_concepts: int, names: tuple[str, ...]) -> DecisionContent:
    """A missed object, of the class of the decision about its picture; the layer of every other one is not shown."""
    like = _decision(generator, number, num_concepts, names)
    concepts = like.facts["concepts"][:4]
    name, key = names[number % len(names)], names[0]
    text = f"adds +0.16 to the logit here, +0.80 where a {name} is found; given back: +2.62"
    reference = ReferenceContent(key=key, sample=number, class_id=number % len(names), item=-1, score=0.2)
    missed = MissedContent(
        number=1,
        mechanism=("below threshold", "lost to a neighbour")[number % 2],
        headline=f"Missed {name} — its best box scores 0.16, and more than 0.25 is needed",
        notes=(f"With concept 7 as in a found {name} it is found (0.52)", "Concepts are of layer x"),
        heading=f"What is weak here, and carries a {name} where one is found",
        references_heading=f"Where a {name} is found, and it counts most",
        concepts=tuple(
            MissedConcept(concept=one["concept"], text=text, references=(reference,) * 3, strip=_strip(number, 3))
            for one in concepts
        ),
        outlines=(
            OutlineContent(text="its best box 0.16", box=(0.1, 0.2, 0.5, 0.6)),
            *([OutlineContent(text="preferred 0.53", box=(0.3, 0.2, 0.6, 0.6))] if number % 2 else []),
        ),
        absent=tuple((one["concept"], 0.8, 0.16, 2.62) for one in concepts),
    )
    layer = ELSEWHERE if number % 2 else LAYER
    facts = {**like.facts, "confidence": 0.16, "layer": layer, "concepts": concepts, "annotated": None}
    box = (0.2, 0.3, 0.7, 0.9)
    return replace(like, facts=facts, box=box, mask=None, maps=like.maps[:5], shares=None, missed=missed)


def _audited(number: int, names: tuple[str, ...]) -> AuditedContent:
    """An object of class `number` before six grounds, lost before the last two."""
    kinds = ("its own", "placebo", "without company", "usual", "unusual", "synthetic")
    outcomes = ("kept", "kept", "kept", "kept", "below threshold", "no candidate")
    swapped = tuple(
        SwappedContent(
            ground=kind,
            label=f"{kind} {names[-1]}",
            score=0.9 - 0.15 * place,
            outcome=outcome,
            box=(0.2, 0.3, 0.6, 0.7),
        )
        for place, (kind, outcome) in enumerate(zip(kinds, outcomes, strict=True))
    )
    pictures = [_noise(2000 + number * 6 + place, (120, 160)) for place in range(len(kinds))]
    return AuditedContent(
        class_name=names[number], key=names[0], size=(240, 320), swapped=swapped, strip=strip(pictures, THUMBNAIL)
    )


def _verdicts(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*(f"'{name}': the score falls." for name in names), "The placebo costs a decision 0.03 of its score.")


def _audit(names: tuple[str, ...]) -> tuple[Table, ...]:
    """What stage=audit told: class n loses 0.1 n; the first does not need its context, one cannot be told."""
    count = len(names)
    fall = [0.1 * number for number in range(count)]
    verdicts = ["does not", "cannot tell", *["needs its context"] * (count - 2)]
    of = {"class": list(names)}
    interval = {"low": [one - 0.05 for one in fall], "high": [float("nan"), *(one + 0.05 for one in fall[1:])]}
    interval["low"][0] = float("nan")
    kinds = ("usual", "unusual", "placebo", "synthetic")
    shares = {"kept": 0.5, "below_threshold": 0.3, "removed": 0.0, "no_candidate": 0.2}
    needing = names[2:]
    return (
        Table(name="verdicts", columns={
            **of, "class_id": list(range(count)), "verdict": verdicts, "difference": fall, **interval,
            "objects": [12] * count, "pictures": [11] * count, "needed": [0] * count,
        }),
        Table(name="classes", columns={**of, "placebo_fall": [0.04] * count}),
        Table(name="outcomes", columns={
            "class": [name for name in names for _ in kinds], "ground": list(kinds) * count,
            **{name: [value] * (count * len(kinds)) for name, value in shares.items()},
        }),
        Table(name="company", columns={
            **of, "without": [*names[1:], names[0]], "objects": [3] * count, "pictures": [3] * count,
            "fall": fall, "fall_low": interval["low"], "fall_high": interval["high"],
        }),
        Table(name="concepts", columns={
            "class": [name for name in needing for _ in (5, 6)], "layer": [LAYER, ELSEWHERE] * len(needing),
            "concept": [5, 6] * len(needing), "is_carrier": [1, 1] * len(needing),
            "usual_loss": [0.14, 0.01] * len(needing), "unusual_loss": [-0.02, 0.01] * len(needing),
            "cut": [0.16, 0.0] * len(needing), "cut_low": [0.05, float("nan")] * len(needing),
            "cut_high": [0.2, float("nan")] * len(needing), "decisions": [12, 12] * len(needing),
        }),
        Table(name="carriers", columns={
            "class": list(needing), "layer": [LAYER] * len(needing), "concepts": ["5 6"] * len(needing),
            "is_sure": [1] * len(needing), "usual_loss": [0.3] * len(needing), "unusual_loss": [-0.01] * len(needing),
            "decisions": [12] * len(needing), "cut": [0.31] * len(needing),
            "cut_low": [0.12] * len(needing), "cut_high": [0.44] * len(needing),
        }),
    )  # fmt: skip


def _missed(names: tuple[str, ...]) -> tuple[Table, ...]:
    """What stage=missed counted: of class n, n of 8 objects and n of 9 detections."""
    count = [sum(range(len(names))), *range(len(names))]
    share = [one / 8 for one in count]
    interval = {"share": share, "low": [one / 2 for one in share], "high": [float("nan"), *share[1:]]}
    of = {"class": ["all", *names]}
    return (
        Table(name="classes", columns={**of, "objects": [8] * len(count), "missed": count, **interval}),
        Table(
            name="mechanisms", columns={**of, "mechanism": ["below threshold"] * len(count), "count": count} | interval
        ),
        Table(name="detections", columns={**of, "detections": [9] * len(count), "false_alarms": count, **interval}),
        Table(name="alarm_kinds", columns={**of, "kind": ["box off"] * len(count), "count": count, **interval}),
    )


@cache
def _strip(seed: int, count: int) -> bytes:
    return strip([_noise(seed * count + number, (SIDE, SIDE)) for number in range(count)])


@cache
def _photograph(seed: int) -> bytes:
    return photograph(_noise(1000 + seed, (240, 320)))


def _noise(seed: int, size: tuple[int, int]) -> np.ndarray:
    """A picture that compresses about as well as a photograph: a crop takes 1.5 kB, a photograph 12."""
    generator = np.random.default_rng(seed)
    coarse = np.kron(generator.random((size[0] // 8, size[1] // 8, 3)), np.ones((8, 8, 1)))
    return 0.9 * coarse + 0.1 * np.kron(generator.random((size[0] // 2, size[1] // 2, 1)), np.ones((2, 2, 3)))
