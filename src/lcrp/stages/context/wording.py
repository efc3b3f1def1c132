"""What stage=context found, in words."""

import logging
from collections.abc import Sequence

from lcrp.stages.context.case_study import Outcome
from lcrp.stages.context.report import Findings, LayerFindings

log = logging.getLogger(__name__)

LISTED_CLASSES, LISTED_CONCEPTS, LISTED_DETECTIONS = 8, 5, 3


def log_findings(findings: Findings, cases: Sequence[Outcome], class_id: int, keys: Sequence[str]) -> None:
    """Say the most important in a few lines; arguments as those of `tables`."""
    log.info("share of positive relevance outside the object, by class (95 %s interval), beside the area outside:", "%")
    for one in findings.classes[:LISTED_CLASSES]:
        text = ", ".join(f"{value:.2f}" for value in one.concepts)
        log.info("  %-14s %s   area %.2f   concepts %s", one.name, one.outside, one.outside_area, text)
    for row in range(min(LISTED_DETECTIONS, len(keys))):
        class_name = findings.class_names[int(findings.detections["class_id"][row])]
        shares = (findings.detections[name][row] for name in ("outside", "outside_area"))
        log.info("  %-14s %.2f   area %.2f   %s", class_name, *shares, keys[row])
    for layer in findings.layers:
        _log_layer(layer, findings.class_names)
    for case in cases:
        log.info(
            "  %s: %d %s concept%s (context score %.2f) set to zero: logit changes by %s in %d pictures %s context",
            findings.class_names[class_id],
            len(case.flipped.concepts),
            case.flipped.group,
            "s" if len(case.flipped.concepts) > 1 else "",
            case.flipped.context,
            case.change,
            case.num_targets,
            "with" if case.is_with else "without",
        )


def _log_layer(layer: LayerFindings, names: Sequence[str]) -> None:
    pairs = layer.pairs
    log.info("%s: concepts with the highest context scores:", pairs.layer)
    for pair in layer.by_context()[:LISTED_CONCEPTS].tolist():
        log.info(
            "  %-14s concept %-4d context %.2f   sensitivity %.2f   relevance %.3f",
            names[int(pairs.class_id[pair])],
            pairs.concept[pair],
            layer.context[pair],
            layer.sensitivity[pair],
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
