"""Measures of evidence against numbers worked out by hand."""

import math

import numpy as np
import pytest

from lcrp.evidence.complexity import deviation, share_for_most
from lcrp.evidence.correlation import pearson, ranks, rmse, spearman
from lcrp.evidence.curves import channel_counts, flipping_area, insertion_area
from lcrp.evidence.intervals import (
    CORRELATION,
    POSITIVE,
    Interval,
    bootstrap,
    mean_interval,
    share_interval,
    standard_error,
)


def test_steps_go_from_no_channel_to_all():
    assert channel_counts(10, 5).tolist() == [0, 2, 4, 6, 8, 10]
    assert channel_counts(3, 15)[[0, -1]].tolist() == [0, 3]


def test_areas_of_curves_by_hand():
    share = np.array([0.0, 0.5, 1.0])
    readout = np.array([[4.0, 1.0, 0.0], [2.0, 2.0, 2.0]])
    # f(x) - f(0) = 0, -3, -4: trapezoids -0.75 and -1.75
    np.testing.assert_allclose(flipping_area(share, readout), [2.5, 0.0])
    # the same numbers from the end: 0, 1, 4 over the empty network
    np.testing.assert_allclose(insertion_area(share, readout[:, ::-1]), [0.25 + 1.25, 0.0])


def test_steps_that_are_not_even_weigh_by_their_width():
    assert flipping_area(np.array([0.0, 0.25, 1.0]), np.array([[1.0, 0.0, 0.0]])).tolist() == [0.125 + 0.75]


def test_share_for_most_counts_the_strongest_concepts_whatever_their_sign():
    vectors = np.array([[0.5, -0.3, 0.1, 0.1], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(share_for_most(vectors), [0.5, 0.25, 0.0, 1.0])


def test_deviation_is_taken_within_classes():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5], [0.9, 0.1]])
    # class 0: std of (1, 0) is sqrt(1/2) in both concepts; class 1: 0; class 2 has one sample
    assert deviation(vectors, np.array([0, 0, 1, 1, 2])) == pytest.approx(math.sqrt(0.5) / 2)
    assert math.isnan(deviation(vectors[:2], np.array([0, 1])))


def test_correlations_by_hand():
    first = np.array([1.0, 2.0, 3.0])
    assert pearson(first, np.array([2.0, 4.0, 6.0])) == pytest.approx(1.0)
    assert pearson(first, np.array([0.0, 1.0, 0.0])) == pytest.approx(0.0)
    assert spearman(first, np.array([1.0, 100.0, 10000.0])) == pytest.approx(1.0)
    assert rmse(np.array([0.0, 0.0]), np.array([3.0, 4.0])) == pytest.approx(math.sqrt(12.5))
    assert ranks(np.array([5.0, 1.0, 5.0, 7.0])).tolist() == [2.5, 1.0, 2.5, 4.0]
    assert math.isnan(pearson(first, np.ones(3)))
    assert math.isnan(spearman(first[:1], first[:1]))


def test_interval_draws_images_and_not_rows():
    values = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    images = np.array([7, 7, 7, 7, 9])
    interval = mean_interval(values, images)
    assert interval.value == pytest.approx(0.2)
    assert (interval.low, interval.high) == (0.0, 1.0)  # draws of two images hold one image twice, half of the time


def test_interval_of_one_image_tells_nothing_and_the_draws_repeat():
    lone = mean_interval(np.array([1.0, 2.0]), np.array([3, 3]))
    assert lone.value == 1.5
    assert math.isnan(lone.low)
    values, images = np.random.default_rng(1).normal(size=40), np.arange(40)
    assert mean_interval(values, images) == mean_interval(values, images)


def test_interval_of_a_mean_is_that_of_the_plain_bootstrap():
    generator = np.random.default_rng(3)
    values, images = generator.normal(size=30), generator.integers(9, size=30)
    of_image = [values[images == image] for image in np.unique(images)]
    draws = np.random.default_rng(0).integers(len(of_image), size=(1000, len(of_image)))
    means = [np.concatenate([of_image[image] for image in draw]).mean() for draw in draws]
    quick = mean_interval(np.append(values, np.nan), np.append(images, 99))
    assert (quick.value, quick.low, quick.high) == pytest.approx((values.mean(), *np.quantile(means, [0.025, 0.975])))


def test_interval_covers_the_mean_about_as_often_as_it_says():
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        interval = mean_interval(generator.normal(size=50), np.arange(50))
        covered += interval.low <= 0 <= interval.high
    assert 88 <= covered <= 98  # neither too narrow nor too wide


@pytest.mark.parametrize("per_class", [3, 15])
def test_interval_of_a_deviation_covers_its_expectation(per_class):
    """Draws that hold a sample twice deviate less: their own quantiles would lie below the number itself."""
    generator = np.random.default_rng(5)
    class_ids = np.repeat(np.arange(6), per_class)
    found = [
        bootstrap(
            deviation,
            [generator.normal(size=(len(class_ids), 4)), class_ids],
            np.arange(len(class_ids)),
            bounds=POSITIVE,
            num_draws=200,
        )
        for _ in range(60)
    ]
    assert all(one.low < one.value < one.high for one in found)
    expected = np.mean([one.value for one in found])
    assert sum(one.low <= expected <= one.high for one in found) >= 48


def test_interval_of_a_correlation_covers_it_and_ends_at_one():
    generator, found = np.random.default_rng(4), []
    for _ in range(60):
        first = generator.normal(size=60)
        second = 0.6 * first + 0.8 * generator.normal(size=60)
        found.append(bootstrap(pearson, [first, second], np.arange(60), bounds=CORRELATION, num_draws=200))
    assert sum(one.low <= 0.6 <= one.high for one in found) >= 50
    first = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 4.1])
    nearly = bootstrap(spearman, [first, first[[0, 1, 2, 3, 5, 4]]], np.arange(6), bounds=CORRELATION)
    assert nearly.low < nearly.value < nearly.high == 1.0


def test_an_interval_is_above_another_only_without_overlap():
    low, high = Interval(value=1.0, low=0.5, high=1.5), Interval(value=2.0, low=1.6, high=2.5)
    assert high.is_above(low)
    assert not low.is_above(high)
    assert not high.is_above(Interval(value=1.0, low=0.5, high=1.7))
    assert low.is_above(0.0)


def test_standard_error_by_hand():
    assert standard_error(np.array([1.0, 3.0])) == pytest.approx(1.0)
    assert math.isnan(standard_error(np.array([1.0])))


def test_an_interval_is_written_only_where_it_is_known():
    """It was written as ``0.00 (nan to nan)``."""
    assert str(Interval(value=0.0, low=np.nan, high=np.nan)) == "0.00"
    assert str(Interval(value=np.nan, low=np.nan, high=np.nan)) == "not known"
    assert str(Interval(value=0.5, low=0.25, high=0.75)) == "0.50 (0.25 to 0.75)"
    assert str(Interval(value=-0.001, low=-0.004, high=0.001)) == "0.00 (0.00 to 0.00)", "nothing is -0.00"
    assert str(Interval(value=-0.001, low=np.nan, high=np.nan)) == "0.00"


def test_none_of_a_few_is_no_certainty():
    """Wilson's interval of 0 of 20 pictures reaches 16 %, that of 20 of 20 begins at 84 %."""
    images = np.arange(40) // 2
    none, all_of_them = share_interval(np.zeros(40), images), share_interval(np.ones(40), images)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.161, abs=1e-3)
    assert (all_of_them.value, all_of_them.high) == (1.0, 1.0)
    assert all_of_them.low == pytest.approx(0.839, abs=1e-3)
    some = (images % 4 == 0).astype(float)
    assert share_interval(some, images) == mean_interval(some, images)
