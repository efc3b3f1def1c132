"""What stage=context found, in words."""

import logging
import math
from collections.abc import Sequence

from lcrp.stages.context.case_study import Outcome
from lcrp.stages.context.report import ClassSummary, Findings, LayerFindings

log = logging.getLogger(__name__)

LISTED_CLASSES, LISTED_CONCEPTS, LISTED_DETECTIONS = 8, 5, 3


def log_findings(findings: Findings, cases: Sequence[Outcome], class_id: int, keys: Sequence[str]) -> None:
    """Say the most important in a few lines; arguments as those of `tables`."""
    log.info(
        "share of positive relevance outside the object, by class (95 %s interval, of several pictures), beside the "
        "area outside:",
        "%",
    )
    for one in findings.classes[:LISTED_CLASSES]:
        log.info("  %-14s %s", one.name, _class_line(one))
    for row in range(min(LISTED_DETECTIONS, len(keys))):
        class_name = findings.class_names[int(findings.detections["class_id"][row])]
        outside, area = (findings.detections[name][row] for name in ("outside", "outside_area"))
        log.info("  %-14s %s   area %.2f   %s", class_name, _number(outside), area, keys[row])
    for layer in findings.layers:
        _log_layer(layer, findings.class_names)
    for case in cases:
        log.info(
            "  %s: %d %s concept%s (context score %.2f) set to zero: logit changes by %s in %d picture%s %s context",
            findings.class_names[class_id],
            len(case.flipped.concepts),
            case.flipped.group,
            "s" if len(case.flipped.concepts) > 1 else "",
            case.flipped.context,
            case.change,
            case.num_targets,
            "" if case.num_targets == 1 else "s",
            "with" if case.is_with else "without",
        )


def log_no_case(name: str, num_decisions: int, min_pixels: int) -> None:
    """Say why a class has no case study."""
    log.info(
        "no case study of %s: none of its decisions (%d) is found again with an object of stage.min_pixels=%d pixels",
        name,
        num_decisions,
        min_pixels,
    )


def _class_line(one: ClassSummary) -> str:
    concepts = [_number(value) for value in one.concepts]
    count = f"{one.num_detections} decision{'s' if one.num_detections > 1 else ''}"
    if one.num_detections < one.num_found:
        count = f"{one.num_detections} of {one.num_found} decisions, the others not drawn or too small"
    return f"{one.outside}   area {one.outside_area:.2f}   concepts {', '.join(concepts)}   {count}"


def _number(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:z.2f}"


def _log_layer(layer: LayerFindings, names: Sequence[str]) -> None:
    pairs = layer.pairs
    log.info("%s: concepts with the highest context scores:", pairs.layer)
    for pair in layer.by_context()[:LISTED_CONCEPTS].tolist():
        log.info(
            "  %-14s concept %-4d context %.2f   sensitivity %s   relevance %.3f",
            names[int(pairs.class_id[pair])],
            pairs.concept[pair],
            layer.context[pair],
            _number(layer.sensitivity[pair]),
            pairs.relevance[pair],
        )
    found = layer.agreement
    if found.num_pairs:
        log.info(
            "%s: context score against sensitivity: Pearson %s, Spearman %s, RMSE %s; %d pairs of class and concept, "
            "%d images",
            pairs.layer,
            found.pearson,
            found.spearman,
            found.rmse,
            found.num_pairs,
            found.num_images,
        )
