"""Figures of what stage=context found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lcrp.figures.context import draw_classes, draw_clouds, draw_concepts
from lcrp.stages.context.report import Findings, LayerFindings
from lcrp.stages.context.scores import ConceptMap, ContextScores
from lcrp.values.context import ContextClass, ContextCloud, ContextConcept, ContextReference
from lcrp.values.names import safe_name
from lcrp.values.target import Target

NUM_CONCEPTS, NUM_REFERENCES = 6, 6  # shown per layer, and per concept


def write_figures(findings: Findings, looking: ContextScores, folder: Path, title: str) -> list[Path]:
    """Draw classes, the concepts of every layer that lean on the context most, and scores against sensitivities.

    Args:
        findings: what is drawn.
        looking: works out the heatmaps of the concepts that are shown.
        folder: where the figures go.
        title: model, dataset and composite in words.

    Returns:
        The figures.
    """
    figures = [folder / "context_classes.png"]
    draw_classes(
        [
            ContextClass(
                name=one.name,
                outside=one.outside.value,
                low=one.outside.low,
                high=one.outside.high,
                area=one.outside_area,
            )
            for one in findings.classes
        ],
        title,
        figures[0],
    )
    clouds = [_cloud(layer, findings.class_names) for layer in findings.layers if layer.agreement.num_pairs]
    if clouds:
        figures.append(folder / "context_sensitivity.png")
        draw_clouds(clouds, title, figures[-1])
    for number, layer in enumerate(findings.layers):
        concepts = _concepts(findings, number, looking)
        if concepts:
            safe = safe_name(layer.pairs.layer)
            figures.append(folder / f"context_concepts_{safe}.png")
            draw_concepts(concepts, f"{title} · layer {layer.pairs.layer}", figures[-1])
    return figures


def _cloud(layer: LayerFindings, names: Sequence[str]) -> ContextCloud:
    known = ~np.isnan(layer.context + layer.sensitivity)
    found = layer.agreement
    return ContextCloud(
        layer=layer.pairs.layer,
        class_names=tuple(names[class_id] for class_id in layer.pairs.class_id[known].tolist()),
        context=layer.context[known],
        sensitivity=layer.sensitivity[known],
        note=f"r = {found.pearson}",
    )


def _concepts(findings: Findings, number: int, looking: ContextScores) -> list[ContextConcept]:
    """The concepts of a layer with the highest context scores, with their reference samples."""
    pairs, context = findings.layers[number].pairs, findings.layers[number].context
    shown = findings.layers[number].by_context()[:NUM_CONCEPTS].tolist()
    wanted: dict[Target, list[list[int]]] = {}
    for pair in shown:
        for target in pairs.references[pair][:NUM_REFERENCES]:
            wanted.setdefault(target, [[] for _ in findings.layers])[number].append(pair)
    maps = {(one.pair, one.found.explained.target): one for one in looking.maps(wanted)}
    return [
        ContextConcept(
            class_name=findings.class_names[int(pairs.class_id[pair])],
            concept=int(pairs.concept[pair]),
            context=float(context[pair]),
            relevance=float(pairs.relevance[pair]),
            references=tuple(
                _reference(maps[pair, target])
                for target in pairs.references[pair][:NUM_REFERENCES]
                if (pair, target) in maps
            ),
        )
        for pair in shown
    ]


def _reference(one: ConceptMap) -> ContextReference:
    sample = one.found.sample
    top, left, bottom, right = sample.geometry.content()
    return ContextReference(
        picture=sample.image.permute(1, 2, 0).numpy()[top:bottom, left:right],
        heatmap=one.heatmap.float().cpu().numpy()[top:bottom, left:right],
        mask=one.found.region.inside.numpy()[top:bottom, left:right],
        outside=one.outside,
        pixel_aspect=sample.geometry.pixel_aspect,
    )
