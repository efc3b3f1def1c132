"""The verdict says what the numbers say, and no more."""

import numpy as np

from lcrp.evidence.verdict import Areas, over_layers, verdict

NAMES = ("plus", "gradcam", "random")
IMAGES = np.arange(40)


def areas(*means: tuple[float, float, float], spread: float = 0.1) -> Areas:
    """Two layers; areas of the three methods with these means at each."""
    generator = np.random.default_rng(0)
    noise = generator.normal(scale=spread, size=(len(means), len(NAMES), len(IMAGES)))
    values = np.array(means)[:, :, None] + noise - noise.mean(axis=2, keepdims=True)
    layers = [f"layer{number}" for number in range(len(means))]
    is_lrp = (True, False, False)
    return Areas(flipping=values, insertion=values, images=IMAGES, layers=layers, methods=NAMES, is_lrp=is_lrp)


def test_a_clear_winner_is_named_and_where_it_tells_most():
    text = verdict(areas((2.0, 1.0, 0.5), (5.0, 4.0, 0.5)), "unet")
    assert text.startswith(
        "On unet, plus orders concepts best of 3 methods: flipping them in its order costs the logit 3.5"
    )
    assert "not told apart" not in text
    assert "more than a random order" in text
    assert "its order tells most at layer layer1" in text
    assert "insertion agrees" in text
    assert text.endswith("L-CRP loses clearly nowhere.")


def test_where_it_loses_is_said_with_the_gap():
    text = verdict(areas((2.0, 3.0, 0.5), (3.0, 2.5, 0.5)), "unet")
    assert "On unet, gradcam orders concepts best" in text
    assert "L-CRP loses on average (to gradcam by 0.2" in text
    assert "at layer0 (to gradcam by 1.0" in text
    assert "at layer1" not in text.split("loses")[1]


def test_what_noise_hides_is_not_claimed():
    text = verdict(areas((2.0, 1.99, 1.98), (2.0, 1.99, 1.98), spread=1.0), "unet")
    assert "not told apart from it" in text
    assert "trust none of them" in text
    assert "L-CRP loses clearly nowhere" in text


def test_layers_that_lead_nowhere_do_not_count_in_the_mean():
    values = np.array([[[1.0, np.nan, np.nan]], [[3.0, 5.0, np.nan]]])  # two layers, one method, three targets
    np.testing.assert_array_equal(over_layers(values), [[2.0, 5.0, np.nan]])
