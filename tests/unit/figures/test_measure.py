"""Text that is made to fit."""

from lcrp.figures.measure import balanced, fitted_lines, fitted_size, shortened, text_width, wrapped


def test_long_text_is_shortened_in_the_middle_until_it_fits() -> None:
    text = "backbone.bottom_up.stages.3.blocks.17.attention.projection.conv3"
    short = shortened(text, 1.5, 8.0)
    assert text_width(short, 8.0) <= 1.5
    assert short.startswith("backbone")
    assert short.endswith("conv3")
    assert "…" in short
    assert shortened("conv", 1.5, 8.0) == "conv"


def test_font_size_shrinks_to_fit_but_not_below_the_smallest() -> None:
    text = "a line that is somewhat long"
    size = fitted_size(text, 1.4, 10.0, 5.0)
    assert 5.0 < size < 10.0
    assert text_width(text, size) <= 1.4
    assert fitted_size(text * 9, 1.4, 10.0, 5.0) == 5.0
    assert fitted_size("a", 1.4, 10.0, 5.0) == 10.0


def test_balanced_lines_leave_no_lone_word() -> None:
    text = "bottle 0.93: 41 % of the positive relevance lies outside the box"
    width = 1.02 * text_width(text.removesuffix(" box"), 12.0, "bold") * 1.04
    lines = wrapped(text, width, 12.0, "bold")
    assert lines[-1] == "box"
    even = balanced(lines, text, width, 12.0, "bold")
    assert len(even) == 2
    assert " ".join(even) == text
    first, second = (text_width(line, 12.0, "bold") for line in even)
    assert 0.7 < first / second < 1.4
    assert balanced(["a b"], "a b", 5.0, 12.0) == ["a b"]


def test_lines_break_between_words_and_keep_all_of_them() -> None:
    text = "a motorcycle with_side-car and/or a trailer"
    lines = wrapped(text, 0.9, 8.0)
    assert len(lines) > 2
    assert all(text_width(line, 8.0) <= 0.9 for line in lines)
    assert " ".join(lines).replace("_ ", "_").replace("- ", "-").replace("/ ", "/") == text


def test_a_word_that_is_longer_than_a_line_is_broken_and_not_lost() -> None:
    text = "Biodegradablepackagingmaterialofallkinds"
    lines = wrapped(text, 0.8, 8.0)
    assert "".join(lines) == text
    assert all(text_width(line, 8.0) <= 0.8 for line in lines)


def test_text_becomes_smaller_before_its_middle_is_left_out() -> None:
    assert fitted_lines("one line", 2.0, (9.0, 7.0), 1) == (9.0, ["one line"])
    size, lines = fitted_lines("somewhat longer than one line", 1.65, (9.0, 7.0), 1)
    assert size == 7.0
    assert "…" not in lines[0]
    size, lines = fitted_lines("far too long for that line, whatever the size of it", 1.6, (9.0, 7.0), 1)
    assert len(lines) == 1
    assert "…" in lines[0]
    assert text_width(lines[0], size) <= 1.6
