"""The verdict says what the numbers say, and no more."""

from dataclasses import replace

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


def test_without_a_random_order_nothing_is_above_it():
    both = areas((2.0, 1.0, 0.5), (5.0, 4.0, 0.5))
    two = replace(
        both, flipping=both.flipping[:, :2], insertion=both.insertion[:, :2], methods=NAMES[:2], is_lrp=(True, False)
    )
    text = verdict(two, "unet")
    assert "its order tells most at layer layer1 (5.0" in text
    assert "random" not in text


def test_where_a_random_order_is_best_no_layer_tells_most():
    text = verdict(areas((0.5, 1.0, 2.0), (0.5, 1.0, 2.0)), "unet")
    assert "no method beats a random order here: trust none of them" in text
    assert "tells most" not in text


def test_a_lone_method_is_not_called_the_best():
    three = areas((2.0, 1.0, 0.5))
    lone = replace(
        three, flipping=three.flipping[:, :1], insertion=three.insertion[:, :1], methods=("plus",), is_lrp=(True,)
    )
    assert verdict(lone, "unet").startswith("On unet, plus alone was asked for: flipping them in its order costs")


def test_one_image_tells_nothing_of_others():
    three = areas((2.0, 1.0, 0.5))
    text = verdict(
        replace(three, flipping=three.flipping[..., :1], insertion=three.insertion[..., :1], images=IMAGES[:1]), "unet"
    )
    assert text.endswith("; one image tells nothing of others.")
    assert "trust none" not in text


def test_a_method_whose_scores_are_all_zero_is_named() -> None:
    text = verdict(replace(areas((2.0, 1.0, 0.5)), silent=("plus",)), "unet")
    assert "; of plus all scores are zero, the order is that of the channels; " in text


def test_scores_that_are_all_zero_name_no_best_method() -> None:
    """It called the first of them the best."""
    three = areas((0.0, 0.0, 0.0), spread=0.0)
    text = verdict(three, "ssdlite")
    assert text == (
        "On ssdlite, taking concepts of these layers away changes no logit: the scores of all 3 methods are zero, no "
        "order is best."
    )


def test_differences_that_are_written_as_nothing_name_no_best_method() -> None:
    """It read 'best of 3 methods: flipping them costs the logit 0.00'."""
    text = verdict(areas((0.004, 0.002, -0.001), spread=0.0), "unet")
    assert "changes a logit by less than 0.005 on average" in text
    assert "best of" not in text
    assert "best of 3 methods" in verdict(areas((0.04, 0.02, -0.01), spread=0.0), "unet")
