"""What lowers a concept's relevance most: by hand, and its interval beside draws one by one."""

import numpy as np
import pytest

from lcrp.evidence.intervals import NUM_DRAWS
from lcrp.evidence.standing_out import foremost


def test_the_largest_mean_fall_by_hand() -> None:
    """A mean over all decisions, instead of those with the thing, would favour what is seen often."""
    falls = [{"sky": np.array([0.1, 0.4]), "road": np.array([0.0, 0.3])} for _ in range(20)]
    falls += [{"boat": np.array([0.3, 0.1])} for _ in range(5)]
    first, second = foremost(falls, range(25))
    assert (first.name, first.stands_out) == ("boat", True)
    assert first.fall == pytest.approx(0.3)
    assert first.lead == pytest.approx(0.2)
    assert second.name == "sky"


def test_what_is_seen_in_few_pictures_does_not_count() -> None:
    falls = [{"sky": np.array([0.1]), "road": np.array([0.0])} for _ in range(6)] + [{"boat": np.array([9.0])}] * 20
    assert foremost(falls, [*range(6), *[7, 8] * 10])[0].name == "sky"
    assert foremost(falls, [*range(6), *[7, 8] * 10], ["boat", "sky"]) == ()  # nothing to compare with


def test_a_lead_that_pictures_do_not_share_does_not_stand_out() -> None:
    generator = np.random.default_rng(0)
    falls = [{"sky": generator.normal(0.2, 1.0, 1), "road": generator.normal(0.0, 1.0, 1)} for _ in range(12)]
    assert not foremost(falls, range(12))[0].stands_out


def test_the_interval_beside_draws_one_by_one() -> None:
    """Pictures are drawn, and with each all its decisions."""
    generator = np.random.default_rng(1)
    samples = np.repeat(np.arange(10), 2)
    falls = [
        {"sky": generator.normal(1.0, 1.0, 1)} | ({"road": generator.normal(0.0, 1.0, 1)} if n % 3 else {})
        for n in range(20)
    ]
    found = foremost(falls, samples.tolist())[0]
    leads = []
    for drawn in np.random.default_rng(0).integers(10, size=(NUM_DRAWS, 10)):
        rows = [row for picture in drawn for row in np.flatnonzero(samples == picture)]
        sky = [float(falls[row]["sky"][0]) for row in rows]
        road = [float(falls[row]["road"][0]) for row in rows if "road" in falls[row]]
        leads.append(np.mean(sky) - np.mean(road))
    assert found.name == "sky"
    assert found.lead_low == pytest.approx(np.quantile(leads, 0.025))
