"""stage=truth: do heatmaps say what decisions depend on? `scenes` knows, since it can draw its pictures anew.

The same scene is drawn with another context below an object, or without one of the object's parts. How much less sure
the network then is of the object is the causal reliance; the share of positive relevance that a method puts on the
context, or on the part, should rank targets as the reliance does.

Axes: B target, C concept, F planted factor, H W picture, h w feature map.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from lcrp.attribution.concepts import only_concept, relevance_scores
from lcrp.attribution.methods import Method, by_composite, noise_for, positive_heatmaps
from lcrp.attribution.trace import Trace
from lcrp.composites.spec import CompositeSpec
from lcrp.data.scenes import OWN_CONTEXT, PARTS, ScenesDataset
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import ConfigError, TargetError, at_least, refuse
from lcrp.evidence.localisation import areas, rank_accuracy, shares
from lcrp.figures.truth import draw_truth
from lcrp.runs.kept_units import kept_units
from lcrp.runs.run import Run
from lcrp.stages.settled import settled
from lcrp.stages.truth.contexts import ContextFall, context_fall
from lcrp.stages.truth.interventions import Mask, TruthTarget, truth_targets
from lcrp.stages.truth.tables import Row, joined_tables, packed, sentences, summary_tables
from lcrp.storage.evidence import write_evidence
from lcrp.storage.units import Arrays, Units
from lcrp.values.attribution import Attribution

log = logging.getLogger(__name__)

REPORT_FILE, FIGURE_FILE = "truth.h5", "truth.png"
PICTURES_PER_UNIT = 4
UNIT_VERSION = 1  # raised when kept results hold something else

Shares = dict[str, npt.NDArray[np.float64]]  # of every method, on the own context and on every part: [1 + parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthSettings:
    """What is compared, and on how much.

    Attributes:
        methods: whose heatmaps are compared with what interventions say.
        num_targets: stop after so many objects that the model finds.
        n_concepts: the highest-ranked so many concepts of every target are looked at.
        seed: of the order of the pictures, and of the method 'random'.
    """

    methods: tuple[Method, ...]
    num_targets: int
    n_concepts: int
    seed: int

    def __post_init__(self) -> None:
        none = () if self.methods else ("methods names none; write at least one, such as methods=[epsilon_plus_flat]",)
        counts = (*at_least("num_targets", self.num_targets, 1), *at_least("n_concepts", self.n_concepts, 1))
        refuse([*none, *counts, *at_least("seed", self.seed, 0)])


def truth(subject: Subject, statistics: StatisticsSettings, settings: TruthSettings, run: Run) -> list[Path]:
    """Compare the shares of relevance with what interventions on the scenes say.

    Args:
        subject: model, `scenes` and composite; concepts are those of the model's layer under this composite.
        statistics: only `batch_size` counts here.
        settings: which methods, and how many targets.
        run: where tables and figure go.

    Returns:
        The HDF5 file, its tables as CSV, and the figure.

    Raises:
        ConfigError: the dataset is not `scenes`, or the model has other classes.
        TargetError: the model finds none of the objects.
    """
    dataset, model = subject.dataset, subject.explainer
    if not isinstance(dataset, ScenesDataset):
        raise ConfigError(f"stage=truth draws pictures anew, which {dataset.name} cannot; use dataset=scenes")
    if model.class_names != dataset.class_names:
        raise ConfigError(
            f"stage=truth looks for the objects of {dataset.name}, but {model.name} has other classes than "
            f"{', '.join(dataset.class_names)}; choose a checkpoint that fits"
        )
    subject = settled(subject, statistics, run, [None])
    model = subject.explainer
    names = [method.name for method in settings.methods]
    order = np.random.default_rng(settings.seed).permutation(len(dataset))
    identity = _identity(subject, statistics, settings)
    units = Units(run.output_root, f"truth_{model.name}", identity, version=UNIT_VERSION)
    gathered: list[Arrays] = []

    def work(unit: str) -> Arrays:
        number = int(unit.rpartition("_")[2])
        chosen = order[number * PICTURES_PER_UNIT : (number + 1) * PICTURES_PER_UNIT].tolist()
        return _unit(subject, dataset, settings, chosen, statistics.batch_size)

    with run.progress(settings.num_targets, "truth", "targets") as progress:
        for unit in kept_units(units, _needed(gathered, len(order), settings.num_targets), work):
            progress.advance(min(_num_targets([unit]), settings.num_targets - _num_targets(gathered)))
            gathered.append(unit)
    num_found = _num_targets(gathered)
    if not num_found:
        raise TargetError(f"{model.name} finds none of the objects of {dataset.name}")
    if num_found < settings.num_targets:
        log.info("%d targets instead of %d: these pictures hold no more", num_found, settings.num_targets)
    tables = joined_tables(gathered, settings.num_targets)
    tables |= summary_tables(tables, names)
    title = f"{model.name} ({model.checkpoint}), {dataset.name}, {model.composite.title}, layer {model.layer}"
    written = write_evidence(
        run.folder / REPORT_FILE, list(tables.values()), title=title, settings=plain_settings(settings)
    )
    for line in sentences(tables):
        log.info("%s", line)
    shown = subject.explainer.composite.name if subject.explainer.composite.name in names else names[0]
    draw_truth(run.folder / FIGURE_FILE, tables["methods"], tables["targets"], method=shown, title=title)
    return [*written, run.folder / FIGURE_FILE]


def plain_settings(settings: TruthSettings) -> dict[str, object]:
    """The settings as plain values, without the number of targets: it only tells where to stop."""
    return {
        "methods": [method.identity() for method in settings.methods],
        "n_concepts": settings.n_concepts,
        "seed": settings.seed,
    }


def _identity(subject: Subject, statistics: StatisticsSettings, settings: TruthSettings) -> dict[str, object]:
    own = {"layer": subject.explainer.layer, "batch_size": statistics.batch_size, **plain_settings(settings)}
    return {**subject.identity, "truth": own}


def _needed(gathered: Sequence[Arrays], num_pictures: int, num_targets: int) -> Iterator[str]:
    """Names of the units, until enough targets are found."""
    for number in range(-(-num_pictures // PICTURES_PER_UNIT)):
        if _num_targets(gathered) >= num_targets:
            return
        yield f"pictures_{number:05d}"


def _num_targets(gathered: Sequence[Arrays]) -> int:
    return sum(len(unit.get("targets.sample", ())) for unit in gathered)


def _unit(
    subject: Subject, dataset: ScenesDataset, settings: TruthSettings, indices: Sequence[int], batch_size: int
) -> Arrays:
    """Everything about the targets of a few pictures."""
    targets: list[TruthTarget] = []
    with subject.explainer.reader() as plain:  # which leaves the forward pass alone
        for index in indices:
            targets += truth_targets(plain, dataset, dataset.scene(index))
    found: list[Shares] = [{} for _ in targets]
    falls: list[ContextFall | None] = []
    concepts: list[Row] = []
    own = subject.explainer.composite
    first: dict[CompositeSpec, list[Method]] = {own: []}  # since it explains the concepts
    for composite, methods in (first | by_composite(settings.methods)).items():
        with subject.explainer.attributor([subject.explainer.layer], composite=composite) as attributor:
            at_once = 1 if attributor.takes_one else batch_size
            for start in range(0, len(targets), at_once):
                batch = targets[start : start + at_once]
                trace = attributor.forward(torch.stack([one.planned.sample.image for one in batch]))
                attribution = trace.explain([one.explained for one in batch])
                for method in methods:
                    values = _shares(method, attribution, subject.explainer.layer, batch, settings.seed)
                    for one, shared in zip(found[start : start + at_once], values, strict=True):
                        one[method.name] = shared
                if composite == own:
                    concepts += _concept_rows(trace, attribution, subject.explainer.layer, batch, settings.n_concepts)
            if composite == own:
                falls = [context_fall(attributor, one) if one.swapped else None for one in targets]
    rows = {
        "targets": [_target_row(*row) for row in zip(targets, found, falls, strict=True)],
        "parts": [row for pair in zip(targets, found, strict=True) for row in _part_rows(*pair)],
        "concepts": concepts,
    }
    return packed(rows)


def _shares(
    method: Method, attribution: Attribution, layer: str, batch: Sequence[TruthTarget], seed: int
) -> list[npt.NDArray[np.float64]]:
    """Shares of one method on context and parts of every target, B times [1 + parts]."""
    shape = tuple(attribution.activation[layer].shape[-2:])
    noise = torch.stack([noise_for(one.explained, shape, seed) for one in batch])  # [B, h, w]
    heatmaps = positive_heatmaps(method, attribution, layer, noise).cpu().numpy()  # [B, H, W]
    return [shares(heatmap, one.masks) for one, heatmap in zip(batch, heatmaps, strict=True)]


def _identity_of(target: TruthTarget) -> Row:
    """What its rows in all tables begin with."""
    planned = target.planned
    return {"sample": planned.sample.index, "object": planned.number, "class": target.class_name}


def _target_row(target: TruthTarget, found: Shares, fall: ContextFall | None) -> Row:
    """The row of one target; `fall` is that of an object in its own context."""
    is_home = bool(target.swapped)
    unknown = float("nan")
    return {
        **_identity_of(target),
        "key": target.planned.sample.key,
        "context": target.context_name,
        "is_home": int(is_home),
        "confidence": target.explained.confidence,
        "readout": target.readout,
        "context_reliance": target.readout - float(np.mean(target.swapped)) if is_home else unknown,
        "context_area": float(target.context.mean()),
        "logit_fall": unknown if fall is None else fall.logit,
        "relevance_fall": unknown if fall is None else fall.relevance,
        **{f"share_{name}": float(shared[0]) if is_home else unknown for name, shared in found.items()},
    }


def _part_rows(target: TruthTarget, found: Shares) -> Iterator[Row]:
    for number, part in enumerate(target.parts, start=1):
        yield {
            **_identity_of(target),
            "part": part.name,
            "is_companion": int(part.name not in PARTS[target.class_name]),
            "reliance": target.readout - part.readout,
            "area": float(part.mask.mean()),
            **{f"share_{name}": float(shared[number]) for name, shared in found.items()},
        }


def _concept_rows(
    trace: Trace, attribution: Attribution, layer: str, batch: Sequence[TruthTarget], n_concepts: int
) -> list[Row]:
    """Purity and localisation of the top concepts of every target."""
    relevance = attribution.relevance[layer]
    scores = relevance_scores(relevance).score  # [B, C]
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :n_concepts]
    factors = [_factors(one) for one in batch]
    rows: list[list[Row]] = [[] for _ in batch]
    for rank in range(order.shape[1]):
        heatmaps = trace.conditional(layer, only_concept(relevance, order[:, rank])).cpu().numpy()  # [B, H, W]
        for place, (one, heatmap) in enumerate(zip(batch, heatmaps, strict=True)):
            concept = int(order[place, rank])
            row: Row = {"rank": rank, "concept": concept, "score": float(scores[place, concept])}
            rows[place].append(
                {**_identity_of(one), **row, **concept_measures(heatmap, *factors[place], one.planned.mask.numpy())}
            )
    return [row for of_target in rows for row in of_target]


def _factors(target: TruthTarget) -> tuple[list[str], Mask]:
    """What is planted in a picture: parts and companions of all objects, and the own context where it is seen."""
    parts = target.planned.annotation.parts
    masks = {name: mask.numpy() for name, mask in parts.items()} | {OWN_CONTEXT[target.class_name]: target.context}
    return list(masks), np.stack(list(masks.values()))


def concept_measures(heatmap: npt.NDArray[np.floating], names: Sequence[str], factors: Mask, mask: Mask) -> Row:
    """Purity max_F sum(R+ M_F) / sum(R+) and localisation of one concept, each beside that of an even heatmap.

    Args:
        heatmap: [H, W] conditional on the concept.
        names: of the planted factors.
        factors: [F, H, W] their masks.
        mask: [H, W] the object.
    """
    inside, area = shares(heatmap, factors), areas(factors)
    chosen = int(inside.argmax())  # the first if there is no positive relevance: then all are NaN
    return {
        "purity": float(inside[chosen]),
        "factor": "" if np.isnan(inside[chosen]) else names[chosen],
        "purity_even": float(area.max()),
        "factor_area": float(area[chosen]),
        "mass": float(shares(heatmap, mask[None])[0]),
        "rank_accuracy": rank_accuracy(heatmap, mask),
        "object_area": float(mask.mean()),
    }
