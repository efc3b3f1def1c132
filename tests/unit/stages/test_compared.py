"""Two statistics files: concepts are matched by the decisions that rank them highest."""

import numpy as np

from lcrp.stages.explore.compared import matched, overlaps
from lcrp.values.statistics import TopTable


def _table(samples: list[list[int]], scores: list[list[float]] | None = None) -> TopTable:
    sample = np.array(samples, dtype=np.int64)
    zero = np.zeros(sample.shape, dtype=np.int32)
    score = np.ones(sample.shape) if scores is None else np.array(scores)
    filled = np.full(len(sample), sample.shape[1], dtype=np.int32)
    return TopTable(score=score.astype(np.float32), sample=sample, class_id=zero, item=zero, peak=zero, filled=filled)


def test_overlap_is_the_jaccard_index_written_out() -> None:
    ours, theirs = _table([[1, 2, 3], [4, 5, 6]]), _table([[3, 2, 9, 1], [7, 8, 6, 4]])
    sets = [[set(row) for row in table.sample[:, :3].tolist()] for table in (ours, theirs)]
    wanted = [[len(one & other) / len(one | other) for other in sets[1]] for one in sets[0]]
    assert np.allclose(overlaps(ours, theirs), wanted)


def test_decisions_that_a_concept_speaks_against_do_not_count() -> None:
    """Small datasets rank every decision: each concept would overlap with each other one."""
    ours = _table([[1, 2], [2, 1]], [[0.5, -0.1], [0.5, -0.1]])
    assert overlaps(ours, ours).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_no_concept_is_matched_twice() -> None:
    overlap = np.array([[0.9, 0.8, 0.0], [0.95, 0.1, 0.0], [0.0, 0.0, 0.0]])
    assert matched(overlap).tolist() == [1, 0, -1]
