"""Proposed names: by hand, beside loops, and by chance."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from lcrp.evidence.naming import LEAST_PICTURES, Proposal, Sighting, auroc, proposals


def sighting(sample: int, own: str, shares: Sequence[float], **beyond: Sequence[float]) -> Sighting:
    return Sighting(
        sample=sample, own=own, shares=np.array(shares), beyond={name: np.array(v) for name, v in beyond.items()}
    )


def by_hand() -> list[Sighting]:
    """Boats on water, cars on roads; concept 0 is for boats, 1 is the water below, 2 is there for all alike."""
    boats = [
        sighting(n, "boat", [0.4, 0.5 + 0.01 * n, 0.1], boat=[0.9, 0.0, 0.0], water=[-0.2, 0.6, 0.0]) for n in range(8)
    ]
    cars = [
        sighting(9 + n, "car", [-0.1, 0.02, 0.1], car=[0.5, 0.0, 0.0], road=[0.0, 0.0, 0.0], water=[0.0, 0.5, 0.0])
        for n in range(8)
    ]
    return [*boats, *cars]


def test_names_by_hand() -> None:
    """Relevance against the decision, or an even map, would else count for a name."""
    boat, water, none = proposals(by_hand())
    assert (boat.name, boat.fits) == ("boat", True)
    assert boat.value == pytest.approx(0.4)  # the object itself: all of the share, wherever it lies
    assert boat.auroc.value == 1.0
    assert (water.name, water.fits) == ("boat", True)
    assert not none.fits  # as much for cars as for boats
    assert none.auroc.value == pytest.approx(0.5)


def test_only_some_names_may_be_proposed() -> None:
    """Of water the mean is over both kinds of pictures: 8 times 0.6 * (0.5 + n / 100), 8 times 0.5 * 0.02."""
    water = proposals(by_hand(), ["water", "road"])[1]
    assert water.name == "water"
    assert water.value == pytest.approx(np.mean([*(0.6 * (0.5 + 0.01 * n) for n in range(8)), *[0.01] * 8]))
    assert not water.fits  # it is seen everywhere: nothing tells whether the concept needs it


def test_a_name_on_which_little_rests_does_not_fit() -> None:
    """A concept may count more where the sky is seen, and yet look everywhere: random networks have such."""
    for beyond, fits in ((0.3, False), (0.4, True)):
        seen = [sighting(n, "", [0.4 + 0.01 * n], boat=[0.0], sky=[beyond]) for n in range(9)]
        others = [sighting(20 + n, "", [0.1 + 0.01 * n], boat=[0.0]) for n in range(9)]
        (found,) = proposals([*seen, *others])
        assert (found.name, found.fits, found.auroc.value) == ("sky", fits, 1.0)


def test_few_pictures_propose_nothing_however_many_decisions() -> None:
    """Decisions of one picture are no independent witnesses."""
    some = [sighting(n % (LEAST_PICTURES - 1), "boat", [0.5], boat=[0.5]) for n in range(100)]
    assert proposals(some) == (Proposal(),)
    cars = [sighting(50 + n, "car", [0.0], car=[0.0]) for n in range(40)]
    assert not proposals([*some, *cars])[0].fits
    assert proposals([]) == ()


def test_auroc_beside_loops() -> None:
    """Ranks and placements are a fast way to say: count the pairs."""
    generator = np.random.default_rng(0)
    values = np.round(generator.normal(size=40), 1)  # with ties
    label, pictures = generator.random(40) < 0.4, generator.integers(15, size=40)

    def above(one: float, other: float) -> float:
        return float(one > other) + 0.5 * float(one == other)

    with_it, without = values[label], values[~label]
    area = np.mean([[above(one, other) for other in without] for one in with_it])
    influence = np.array(
        [
            (np.mean([above(value, other) for other in without]) - area) / len(with_it) if is_with
            else (np.mean([above(one, value) for one in with_it]) - area) / len(without)
            for value, is_with in zip(values, label, strict=True)
        ]
    )  # fmt: skip
    known = sorted(set(pictures.tolist()))
    variance = sum(influence[pictures == one].sum() ** 2 for one in known) * len(known) / (len(known) - 1)
    assert auroc(values, label, pictures) == pytest.approx((area, variance**0.5))


def test_the_error_of_pictures_is_that_of_pictures() -> None:
    """Taken for independent, copies of a decision would narrow the interval."""
    generator = np.random.default_rng(1)
    values, label = generator.normal(size=30), np.arange(30) % 2 == 0
    once = auroc(values, label, np.arange(30))
    copies = auroc(np.tile(values, 5), np.tile(label, 5), np.tile(np.arange(30), 5))
    assert copies == pytest.approx(once)


def test_means_beside_loops() -> None:
    sightings = made_up(np.random.default_rng(2), num_concepts=5)
    found = proposals(sightings)
    for concept, proposal in enumerate(found):
        means = {}
        for name in ("boat", "car", "water"):
            values = []
            for one in sightings:
                share = max(float(one.shares[concept]), 0.0)
                if one.own == name:
                    values.append(share)
                elif name in one.beyond:
                    values.append(share * float(one.beyond[name][concept]))
            means[name] = np.mean(values)
        assert proposal.name == max(means, key=lambda name: means[name])
        assert proposal.value == pytest.approx(means[proposal.name])


def test_concepts_that_follow_nothing_get_no_name() -> None:
    """At most a few of 200, although the best of three things is taken for each."""
    found = proposals(made_up(np.random.default_rng(3), num_concepts=200))
    assert sum(one.fits for one in found) <= 0.05 * 200


def made_up(generator: np.random.Generator, num_concepts: int) -> list[Sighting]:
    def beyond(*names: str) -> Mapping[str, Sequence[float]]:
        return {name: generator.normal(0.0, 0.2, num_concepts).tolist() for name in names}

    return [
        sighting(n // 2, own, generator.normal(0.05, 0.1, num_concepts).tolist(), **beyond(own, "water"))
        for n in range(80)
        for own in [("boat", "car")[n % 3 == 0]]
    ]
