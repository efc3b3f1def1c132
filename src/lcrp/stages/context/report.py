"""What stage=context found: summaries and tables.

Axes: T detection, K class, P pair of a class and a concept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lcrp.evidence.context import Agreement, Terms
from lcrp.evidence.intervals import Interval, mean_interval
from lcrp.stages.context.case_study import Outcome
from lcrp.stages.context.pairs import LayerPairs
from lcrp.values.evidence import Table

Array = npt.NDArray[Any]

DETECTION_COLUMNS = ("sample", "class_id", "item", "confidence", "outside", "outside_area")
MEASURES = ("pearson", "spearman", "rmse")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFindings:
    """What is known of a layer's pairs of a class and a concept.

    Attributes:
        pairs: which they are.
        scores: terms of the context scores.
        changes: terms of the sensitivities.
        context: [P] context scores; NaN where no reference sample tells.
        sensitivity: [P] change of the relevance by replaced backgrounds; NaN where no decision tells.
        agreement: of the two.
    """

    pairs: LayerPairs
    scores: Terms
    changes: Terms
    context: Array
    sensitivity: Array
    agreement: Agreement

    def by_context(self) -> Array:
        """Numbers of the pairs whose context score is known, the highest first."""
        order = np.argsort(-self.context, kind="stable")
        return order[~np.isnan(self.context[order])]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSummary:
    """How much a class leans on its context.

    Attributes:
        class_id: the class.
        name: its name.
        num_detections: decisions that sum it up.
        num_found: decisions that were looked at.
        outside: mean share of their positive relevance outside the object.
        outside_area: mean share of the picture outside the object.
        concepts: per layer, mean context score of its concepts, weighted by their relevance for the class.
    """

    class_id: int
    name: str
    num_detections: int
    num_found: int
    outside: Interval
    outside_area: float
    concepts: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything but the case study.

    Attributes:
        class_names: of the model.
        layers: in order.
        detections: columns [T] of all decisions that were looked at, those with most relevance outside first.
        classes: those that lean on their context most first.
    """

    class_names: tuple[str, ...]
    layers: tuple[LayerFindings, ...]
    detections: Mapping[str, Array]
    classes: tuple[ClassSummary, ...]


def distinct_detections(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Columns of all decisions, each once; those with most relevance outside the object first."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in DETECTION_COLUMNS}
    targets = np.stack([columns[name] for name in ("sample", "class_id", "item")], axis=1)
    _, first = np.unique(targets, axis=0, return_index=True)
    order = first[np.argsort(-columns["outside"][first], kind="stable")]
    return {name: values[order] for name, values in columns.items()}


def class_summaries(
    detections: Mapping[str, Array],
    drawn: Mapping[str, Array],
    layers: Sequence[LayerFindings],
    class_names: Sequence[str],
) -> tuple[ClassSummary, ...]:
    """Summaries of the classes of all decisions, those that lean on their context most first.

    Args:
        detections: of all decisions. Most are reference samples, where some concept is most relevant.
        drawn: those drawn at random; a class is summed up by them alone, if it has any.
        layers: have the concepts.
        class_names: of the model.
    """
    found = []
    for class_id in np.unique(detections["class_id"]).tolist():
        columns = drawn if class_id in drawn["class_id"] else detections
        rows = columns["class_id"] == class_id
        found.append(
            ClassSummary(
                class_id=class_id,
                name=class_names[class_id],
                num_detections=int(rows.sum()),
                num_found=int((detections["class_id"] == class_id).sum()),
                outside=mean_interval(columns["outside"][rows], columns["sample"][rows]),
                outside_area=float(columns["outside_area"][rows].mean()),
                concepts=tuple(_weighted(layer, class_id) for layer in layers),
            )
        )
    return tuple(sorted(found, key=lambda one: (np.isnan(one.outside.value), -one.outside.value)))


def studied_class(findings: Findings, changed: Sequence[Mapping[str, Array]]) -> int:
    """The class that leans on its context most, of those whose objects are large enough to be studied, if any are.

    Args:
        findings: have the classes.
        changed: decisions with replaced backgrounds, whose objects are large enough.
    """
    large = {class_id for part in changed for class_id in part["class_id"].tolist()}
    found = [one.class_id for one in findings.classes]
    return next((class_id for class_id in found if class_id in large), found[0])


def tables(findings: Findings, cases: Sequence[Outcome], class_id: int, keys: Sequence[str]) -> list[Table]:
    """All findings as tables.

    Args:
        findings: everything but the case study.
        cases: the case study.
        class_id: its class.
        keys: of the detections' samples, [T].
    """
    names = findings.class_names
    detections: dict[str, Any] = {
        "key": list(keys),
        "class": [names[one] for one in findings.detections["class_id"].tolist()],
        **findings.detections,
    }
    return [
        _classes_table(findings),
        _joined("concepts", [_concept_columns(layer, names) for layer in findings.layers]),
        Table(name="detections", columns=detections),
        _validation_table(findings.layers),
        _case_table(cases, names[class_id]),
        _joined("context_terms", [_term_columns(layer, layer.scores) for layer in findings.layers]),
        _joined("sensitivity_terms", [_term_columns(layer, layer.changes) for layer in findings.layers]),
    ]


def _weighted(layer: LayerFindings, class_id: int) -> float:
    """Mean context score of a class's concepts, weighted by their relevance; NaN without any."""
    members = layer.pairs.of_class(class_id)
    members = members[~np.isnan(layer.context[members])]
    if not len(members):
        return float("nan")
    return float(np.average(layer.context[members], weights=layer.pairs.relevance[members]))


def _classes_table(findings: Findings) -> Table:
    rows = [(layer, number, one) for number, layer in enumerate(findings.layers) for one in findings.classes]
    columns: dict[str, list[Any]] = {
        "layer": [layer.pairs.layer for layer, _, _ in rows],
        "class": [one.name for _, _, one in rows],
        "class_id": [one.class_id for _, _, one in rows],
        "num_detections": [one.num_detections for _, _, one in rows],
        "outside": [one.outside.value for _, _, one in rows],
        "outside_low": [one.outside.low for _, _, one in rows],
        "outside_high": [one.outside.high for _, _, one in rows],
        "outside_area": [one.outside_area for _, _, one in rows],
        "concepts_context": [one.concepts[number] for _, number, one in rows],
    }
    return Table(name="classes", columns=columns)


def _concept_columns(layer: LayerFindings, names: Sequence[str]) -> dict[str, Any]:
    pairs, order = layer.pairs, layer.by_context()
    size = len(pairs.concept)
    num_references, num_decisions = (np.bincount(terms.pair, minlength=size) for terms in (layer.scores, layer.changes))
    return {
        "layer": [pairs.layer] * len(order),
        "class": [names[class_id] for class_id in pairs.class_id[order].tolist()],
        "class_id": pairs.class_id[order],
        "concept": pairs.concept[order],
        "relevance": pairs.relevance[order],
        "context": layer.context[order],
        "num_references": num_references[order],
        "sensitivity": layer.sensitivity[order],
        "num_decisions": num_decisions[order],
    }


def _validation_table(layers: Sequence[LayerFindings]) -> Table:
    rows = [(layer, name, getattr(layer.agreement, name)) for layer in layers for name in MEASURES]
    columns: dict[str, list[Any]] = {
        "layer": [layer.pairs.layer for layer, _, _ in rows],
        "measure": [name for _, name, _ in rows],
        "value": [interval.value for _, _, interval in rows],
        "low": [interval.low for _, _, interval in rows],
        "high": [interval.high for _, _, interval in rows],
        "num_pairs": [layer.agreement.num_pairs for layer, _, _ in rows],
        "num_images": [layer.agreement.num_images for layer, _, _ in rows],
    }
    return Table(name="validation", columns=columns)


def _case_table(cases: Sequence[Outcome], class_name: str) -> Table:
    columns: dict[str, list[Any]] = {
        "layer": [case.flipped.layer for case in cases],
        "class": [class_name] * len(cases),
        "group": [case.flipped.group for case in cases],
        "concepts": [" ".join(map(str, case.flipped.concepts)) for case in cases],
        "context": [case.flipped.context for case in cases],
        "pictures": ["with" if case.is_with else "without" for case in cases],
        "change": [case.change.value for case in cases],
        "low": [case.change.low for case in cases],
        "high": [case.change.high for case in cases],
        "num_targets": [case.num_targets for case in cases],
    }
    return Table(name="case_study", columns=columns)


def _term_columns(layer: LayerFindings, terms: Terms) -> dict[str, Any]:
    return {
        "layer": [layer.pairs.layer] * len(terms.pair),
        "class_id": layer.pairs.class_id[terms.pair],
        "concept": layer.pairs.concept[terms.pair],
        "sample": terms.image,
        "value": terms.value,
        "weight": terms.weight,
    }


def _joined(name: str, parts: Sequence[Mapping[str, Any]]) -> Table:
    """One table from the columns of all layers."""
    columns = {
        column: [value for part in parts for value in part[column]]
        if isinstance(parts[0][column], list)
        else np.concatenate([part[column] for part in parts])
        for column in parts[0]
    }
    return Table(name=name, columns=columns)
