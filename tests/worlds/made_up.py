"""Explanations of made-up decisions, for figures and files."""

from dataclasses import replace

import numpy as np

from lcrp.values.explanation import ConceptExplanation, Explanation, Reference
from lcrp.values.geometry import Geometry
from lcrp.values.target import ExplainedTarget, Target


def made_up_explanation(
    *, size: tuple[int, int] = (60, 80), num_concepts: int = 2, num_references: int = 2, **changes: object
) -> Explanation:
    """An explanation of a box in the middle of a picture of noise."""
    generator = np.random.default_rng(0)
    height, width = size
    mask = np.zeros(size, dtype=bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    explanation = Explanation(
        title="yolov6 · scenes · epsilon_gamma_flat",
        mode="relevance",
        layer="backbone.conv",
        explained=ExplainedTarget(
            target=Target(sample=3, class_id=0, item=1),
            key="val/00003",
            score=0.97,
            confidence=0.934,
            box=(width / 4, height / 4, width / 2, height / 2),
        ),
        class_name="boat",
        picture=generator.random((*size, 3)),
        source="00003.png",
        geometry=Geometry.identity(size),
        rank=1,
        layer_share=0.62,
        num_concepts=64,
        mask=mask,
        heatmap=generator.normal(size=size),
        outside=0.41,
        outside_area=0.78,
        concepts=tuple(_concept(number, size, num_references, generator) for number in range(num_concepts)),
    )
    return replace(explanation, **changes)


def _concept(
    concept: int, size: tuple[int, int], num_references: int, generator: np.random.Generator
) -> ConceptExplanation:
    references = tuple(
        Reference(
            key=f"val/{rank:05d}",
            sample=rank,
            class_name="boat",
            score=0.1 / (rank + 1),
            picture=generator.random((40, 48, 3)),
            heatmap=_spot((40, 48), (20, 10 + rank)),
        )
        for rank in range(num_references)
    )
    heatmap = generator.normal(size=size)
    return ConceptExplanation(concept=concept, share=0.124, heatmap=heatmap, outside=0.63, references=references)


def _spot(size: tuple[int, int], centre: tuple[int, int]) -> np.ndarray:
    heatmap = np.zeros(size)
    heatmap[centre] = 1.0
    return heatmap
