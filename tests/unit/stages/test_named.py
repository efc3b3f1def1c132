"""Names proposed for concepts, beside what the whole pass says of them."""

import numpy as np

from lcrp.evidence.intervals import Interval
from lcrp.evidence.naming import Proposal
from lcrp.stages.explore.named import agreeing
from lcrp.values.statistics import Moments

NAMES = ("background", "boat", "car")
SURE = Interval(value=0.9, low=0.8, high=1.0)


def moments(total):
    total = (np.array(total) * 2.0**32).astype(np.int64)  # of ten decisions for each class
    ids, count = np.arange(3, dtype=np.int32), np.full(3, 10)
    return Moments(class_ids=ids, count=count, total=total, square_high=total * 0, square_low=total * 0)


def test_a_class_is_no_name_for_a_concept_that_counts_more_for_another():
    found = tuple(Proposal(name=name, fits=True, value=0.1, auroc=SURE) for name in ("boat", "boat", "water"))
    told = agreeing(found, moments([[9, 9, 9], [1, 3, 1], [2, 2, 2]]), NAMES, backgrounds=[0])
    assert [one.fits for one in told] == [False, True, True]
    assert [one.name for one in told] == ["boat", "boat", "water"]


def test_classes_that_no_decision_was_for_say_nothing():
    found = (Proposal(name="boat", fits=True, value=0.1, auroc=SURE),)
    nothing = moments([[1], [1], [1]])
    empty = Moments(
        class_ids=nothing.class_ids, count=nothing.count * 0, total=nothing.total,
        square_high=nothing.square_high, square_low=nothing.square_low,
    )  # fmt: skip
    assert agreeing(found, empty, NAMES) == found
