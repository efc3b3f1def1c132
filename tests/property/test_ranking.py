"""Ranking depends on the set of targets alone: any split, any order, any merge gives the same bits."""

from dataclasses import fields
from functools import reduce

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given, settings

from lcrp.ranking.accumulator import LayerShape, StatisticsAccumulator
from lcrp.ranking.top import Ranked, candidates, entry_keys, merge
from lcrp.values.attribution import ConceptScores
from lcrp.values.target import Target

CPU = torch.device("cpu")
TARGETS = st.builds(Target, sample=st.integers(0, 9), class_id=st.integers(0, 3), item=st.integers(0, 1))
SHAPES = {"a": LayerShape(num_concepts=3, map_size=(2, 2)), "b": LayerShape(num_concepts=1, map_size=(1, 1))}
Chunk = tuple[list[Target], dict[str, ConceptScores], dict[str, ConceptScores], list[int]]


def tied_score(*numbers: int) -> float:
    """One of few values, determined by the numbers: ties everywhere, but each target has one score."""
    return (hash(numbers) % 5 - 2) / 4


def table(targets: set[Target], size: int) -> Ranked:
    """Top table of two concepts."""
    ordered = sorted(targets)
    score = torch.tensor([[tied_score(t.sample, t.class_id, t.item, c) for c in range(2)] for t in ordered])
    keys = entry_keys(ordered, CPU)
    found = candidates(score.view(-1, 2), torch.zeros(len(ordered), 2), keys, [list(range(len(ordered)))])
    return merge(Ranked.empty(2, size, device=CPU), found, size)


def equal(first: Ranked, second: Ranked) -> bool:
    return all(torch.equal(getattr(first, name), getattr(second, name)) for name in ("score", "key", "peak"))


SETS = st.sets(TARGETS, min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(a=SETS, b=SETS, c=SETS, size=st.integers(1, 12))
def test_merging_tables_is_commutative_associative_and_idempotent(
    a: set[Target], b: set[Target], c: set[Target], size: int
) -> None:
    first, second, third = (table(targets, size) for targets in (a, b, c))
    assert equal(merge(first, second, size), merge(second, first, size))
    left = merge(merge(first, second, size), third, size)
    assert equal(left, merge(first, merge(second, third, size), size))
    assert equal(left, table(a | b | c, size))
    assert equal(merge(first, first, size), first)


def chunk(targets: list[Target]) -> Chunk:
    """A chunk whose scores are determined by its targets; images in reverse order of their samples."""
    samples = sorted({target.sample for target in targets}, reverse=True)
    relevance, activation = {}, {}
    for name, shape in SHAPES.items():
        concepts = range(shape.num_concepts)
        rows = [[tied_score(t.sample, t.class_id, t.item, c) for c in concepts] for t in targets]
        images = [[tied_score(sample, c) for c in concepts] for sample in samples]
        relevance[name] = ConceptScores(
            score=torch.tensor(rows),
            peak=torch.tensor([t.sample for t in targets])[:, None].expand(-1, shape.num_concepts),
        )
        activation[name] = ConceptScores(
            score=torch.tensor(images), peak=torch.tensor(samples)[:, None].expand(-1, shape.num_concepts)
        )
    return targets, relevance, activation, [samples.index(target.sample) for target in targets]


def accumulated(chunks: list[list[Target]]) -> StatisticsAccumulator:
    found = StatisticsAccumulator(SHAPES, top_n=4, top_n_per_class=2, device=CPU)
    for targets in chunks:
        if targets:
            found.update(*chunk(targets))
    return found


def merged(first: StatisticsAccumulator, second: StatisticsAccumulator) -> StatisticsAccumulator:
    first.merge(second)
    return first


def assert_same(first: StatisticsAccumulator, second: StatisticsAccumulator) -> None:
    for (name, ours), (other_name, theirs) in zip(first.results(), second.results(), strict=True):
        assert name == other_name
        for part in ("relevance", "relevance_by_class", "activation", "activation_by_class", "moments"):
            for field in fields(getattr(ours, part)):
                values = (getattr(getattr(layer, part), field.name) for layer in (ours, theirs))
                np.testing.assert_array_equal(*values, strict=True, err_msg=f"{name} {part} {field.name}")


@settings(max_examples=40, deadline=None)
@given(data=st.data(), targets=st.lists(TARGETS, min_size=1, max_size=40, unique=True))
def test_any_split_and_any_order_of_chunks_gives_the_same_statistics(
    data: st.DataObject, targets: list[Target]
) -> None:
    whole = accumulated([targets])
    places = data.draw(st.lists(st.integers(0, 4), min_size=len(targets), max_size=len(targets)))
    split = [[t for t, place in zip(targets, places, strict=True) if place == number] for number in range(5)]
    assert_same(accumulated(split), whole)
    assert_same(reduce(merged, [accumulated([part]) for part in data.draw(st.permutations(split))]), whole)


@settings(max_examples=25, deadline=None)
@given(targets=st.lists(TARGETS, min_size=1, max_size=30, unique=True), cut=st.integers(0, 30))
def test_stored_statistics_can_be_gone_on_with(targets: list[Target], cut: int) -> None:
    first = accumulated([targets[:cut]])
    restored = StatisticsAccumulator.from_statistics(dict(first.results()), top_n=4, top_n_per_class=2, device=CPU)
    if targets[cut:]:
        restored.update(*chunk(targets[cut:]))
    assert_same(restored, accumulated([targets]))
