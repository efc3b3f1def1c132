"""The accumulator against a slow literal restatement in plain Python."""

from fractions import Fraction

import torch

from lcrp.ranking.accumulator import LayerShape, StatisticsAccumulator
from lcrp.values.attribution import ConceptScores
from lcrp.values.statistics import LayerStatistics, TopTable
from lcrp.values.target import Target

CPU = torch.device("cpu")
CONCEPTS, CLASSES, SAMPLES, TOP, TOP_PER_CLASS = 3, 4, 60, 7, 3
Row = tuple[float, int, int, int, int]


def best(entries: list[Row], size: int) -> list[Row]:
    """Entries (score, sample, class, item, peak) by score down, then sample, class and item up."""
    return sorted(entries, key=lambda entry: (-entry[0], *entry[1:4]))[:size]


def stored(table: TopTable, *index: int) -> list[Row]:
    columns = (table.score, table.sample, table.class_id, table.item, table.peak)
    rows = zip(*(column[index].tolist() for column in columns), strict=True)
    return list(rows)[: int(table.filled[index])]


def drawn(seed: int) -> tuple[list[Target], torch.Tensor, torch.Tensor]:
    """Targets, their relevance scores with many ties, and the activation scores of all samples."""
    generator = torch.Generator().manual_seed(seed)
    targets = [
        Target(sample=sample, class_id=class_id, item=item)
        for sample in range(SAMPLES)
        for class_id in range(CLASSES)
        for item in range(2)
        if torch.rand((), generator=generator) < 0.3
    ]
    relevance = torch.randint(-3, 4, (len(targets), CONCEPTS), generator=generator) / 7
    return targets, relevance, torch.randint(-3, 4, (SAMPLES, CONCEPTS), generator=generator) / 7


def accumulated(targets: list[Target], relevance: torch.Tensor, activation: torch.Tensor) -> LayerStatistics:
    """Chunks of eight samples, the last ones first."""
    found = StatisticsAccumulator(
        {"conv": LayerShape(num_concepts=CONCEPTS, map_size=(9, 9))},
        top_n=TOP,
        top_n_per_class=TOP_PER_CLASS,
        device=CPU,
    )
    for start in reversed(range(0, SAMPLES, 8)):
        rows = [row for row, target in enumerate(targets) if start <= target.sample < start + 8]
        peak = torch.tensor([targets[row].sample + targets[row].item for row in rows])[:, None]
        images = activation[start : start + 8]
        found.update(
            [targets[row] for row in rows],
            {"conv": ConceptScores(score=relevance[rows], peak=peak.expand(-1, CONCEPTS))},
            {"conv": ConceptScores(score=images, peak=torch.full(images.shape, 5))},
            [targets[row].sample - start for row in rows],
        )
    return dict(found.results())["conv"]


def test_tables_and_moments_are_those_of_a_literal_sort() -> None:
    targets, relevance, activation = drawn(0)
    layer = accumulated(targets, relevance, activation)
    assert layer.moments.class_ids.tolist() == list(range(CLASSES))
    samples = sorted({target.sample for target in targets})
    for concept in range(CONCEPTS):
        entries = [
            (relevance[row, concept].item(), t.sample, t.class_id, t.item, t.sample + t.item)
            for row, t in enumerate(targets)
        ]
        active = {sample: activation[sample, concept].item() for sample in samples}
        assert stored(layer.relevance, concept) == best(entries, TOP)
        assert stored(layer.activation, concept) == best([(active[s], s, -1, -1, 5) for s in samples], TOP)
        for class_id in range(CLASSES):
            of_class = [entry for entry in entries if entry[2] == class_id]
            assert stored(layer.relevance_by_class, class_id, concept) == best(of_class, TOP_PER_CLASS)
            active_of_class = [(active[s], s, class_id, -1, 5) for s in sorted({entry[1] for entry in of_class})]
            assert stored(layer.activation_by_class, class_id, concept) == best(active_of_class, TOP_PER_CLASS)
            assert_moments(layer, class_id, concept, [entry[0] for entry in of_class])


def assert_moments(layer: LayerStatistics, class_id: int, concept: int, values: list[float]) -> None:
    numbers = [round(Fraction(value) * 2**32) for value in values]
    moments = layer.moments
    assert moments.count[class_id] == len(numbers)
    assert moments.total[class_id, concept] == sum(numbers)
    square = int(moments.square_high[class_id, concept]) * 2**32 + int(moments.square_low[class_id, concept])
    assert square == sum(number**2 for number in numbers)
