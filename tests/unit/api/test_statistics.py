"""``lcrp.statistics``: made once, found again, read in terms of classes and concepts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import lcrp
from lcrp.errors import ConfigError, DataError, LayerError, StoreError, TargetError


class Pairs(torch.utils.data.Dataset[tuple[object, object]]):
    """Squares with what is in them, as a person's own dataset of torch gives them."""

    def __init__(self, squares: list[np.ndarray], annotations: list[object]) -> None:
        self.squares, self.annotations = squares, annotations

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, index: int) -> tuple[object, object]:
        return self.squares[index], self.annotations[index]


class KnownPairs(Pairs):
    """The same, which says when it has changed."""

    def fingerprint(self) -> str:
        return "squares, first edition"


@pytest.fixture
def found(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> lcrp.Statistics:
    return lcrp.statistics(explainer, squares, layers="2")


def class_masks(squares: list[np.ndarray]) -> list[object]:
    """Class of every pixel by its strongest colour, blue, red, green."""
    return [torch.from_numpy(np.array([1, 2, 0])[square.argmax(axis=2)]) for square in squares]


def test_it_says_itself_in_a_line(found: lcrp.Statistics) -> None:
    assert repr(found) == f"concept statistics of Sequential on 6 samples of pictures: {found.path}"
    assert (found.layers, found.num_samples, found.class_names) == (("2",), 6, ("background", "boat", "car"))


def test_the_same_pictures_find_the_same_file(
    found: lcrp.Statistics, explainer: lcrp.Explainer, squares: list[np.ndarray], own_folder: Path
) -> None:
    made = found.path.stat().st_mtime_ns
    again = lcrp.statistics(explainer, [square.copy() for square in squares], layers=["2"])
    assert (again.path, again.path.stat().st_mtime_ns) == (found.path, made)
    assert found.path.is_relative_to(own_folder / "outputs" / "statistics")
    assert lcrp.statistics(explainer, squares[:5], layers="2").path != found.path


def test_a_network_that_was_trained_on_never_finds_stale_statistics(
    found: lcrp.Statistics, module: nn.Module, explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    with torch.no_grad():
        module[0].weight[0, 0, 1, 1] *= 1.01  # type: ignore[index]
    assert lcrp.statistics(explainer, squares, layers="2").path != found.path


def test_the_concepts_that_count_most_for_a_class(found: lcrp.Statistics) -> None:
    red, *_ = found.top("boat")
    assert (red.id, red.layer) == (0, "2")
    assert [one.id for one in found.top("car", n=1)] == [1]
    assert found.top(1) == found.top("boat")
    assert red.count == {"background": 6, "boat": 3, "car": 2}
    assert red.mean["boat"] > 0.5 > red.mean["car"]
    assert "concept 0 of 2: boat" in repr(red)
    with pytest.raises(TargetError, match=r"class 'bot' is not known to the model"):
        found.top("bot")


def test_what_became_of_the_relevance_is_told_of_all_and_of_a_class(found: lcrp.Statistics) -> None:
    whole, boat = found.ledger(), found.ledger("boat")
    assert whole is not None
    assert boat is not None
    assert whole.count == 11  # decisions about six squares, all of them looked at
    assert 0 < boat.count < whole.count
    assert sum(whole.mean.values()) == pytest.approx(1)
    assert whole.largest_missing < 1e-3
    with pytest.raises(TargetError, match="goat"):
        found.ledger("goat")


def test_a_concept_tells_where_it_counts(found: lcrp.Statistics) -> None:
    green = found.concept("2", 1)
    assert {sample.class_name for sample in green.references[:2]} == {"car"}
    assert {sample.sample for sample in green.references[:2]} == {2, 4}
    assert green.references[0].key == "picture 3"
    assert all(6 <= sample.peak[0] < 14 for sample in green.references[:2])
    assert {sample.class_name for sample in green.activating} == {""}


def test_what_is_not_there_is_named(found: lcrp.Statistics) -> None:
    with pytest.raises(LayerError, match=r"concept 4 is not in layer '2': it has 4 concepts, 0 to 3"):
        found.concept("2", 4)
    with pytest.raises(StoreError, match=r"has no layer '0'; nearest: '2'") as caught:
        found.concept("0", 1)
    assert "statistics.layers" not in str(caught.value)


def test_a_frame_has_one_row_a_concept_and_class(found: lcrp.Statistics) -> None:
    pytest.importorskip("pandas")
    table = found.to_dataframe()
    assert list(table.columns) == ["layer", "class_name", "count", "concept", "mean", "deviation"]
    assert len(table) == 3 * 4
    red = table[(table.class_name == "boat") & (table.concept == 0)].iloc[0]
    assert red["mean"] == found.concept("2", 0).mean["boat"]


def test_explanations_take_their_references_from_it(
    found: lcrp.Statistics, explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    (one,) = lcrp.explain(explainer, squares[1], class_name="boat", statistics=found, n_references=2)
    references = one.concepts[0].references
    assert len(references) == 2
    assert references[0].class_name == "boat"
    assert one.title.endswith("references from pictures · epsilon_plus_flat")
    (bare,) = lcrp.explain(explainer, squares[1], class_name="boat", statistics=found, n_references=0)
    assert "references" not in bare.title


def test_data_that_nobody_can_recognise_has_a_file_of_its_own(
    explainer: lcrp.Explainer, squares: list[np.ndarray], own_folder: Path
) -> None:
    pairs = Pairs(squares, class_masks(squares))
    first, second = (lcrp.statistics(explainer, pairs, layers="2") for _ in range(2))
    assert first.path != second.path
    assert first.path.is_relative_to(own_folder / "outputs" / "runs")
    assert (first.path.parent / "provenance.json").is_file()
    assert first.concept("2", 0).count == {"background": 6, "boat": 3, "car": 2}


def test_data_with_a_fingerprint_is_found_again(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    pairs = KnownPairs(squares, class_masks(squares))
    first, second = (lcrp.statistics(explainer, pairs, layers="2") for _ in range(2))
    assert first.path == second.path
    assert first.settings.targets == "annotated"


def test_annotations_of_any_usual_form_are_taken(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    boxes = {"boxes": np.array([[1, 2, 9, 9]]), "labels": np.array([1])}
    assert lcrp.statistics(explainer, Pairs(squares, [None] * 6), layers="2").settings.targets == "predicted"
    made = lcrp.statistics(explainer, KnownPairs(squares, [boxes] * 6), layers="2", targets="predicted")
    annotation = made.subject.dataset[0].annotation
    assert annotation is not None
    assert annotation.boxes.tolist() == [[1.0, 2.0, 9.0, 9.0]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere", r"'.*nowhere' is not there; give a picture, a folder"),
        ({"name": "szenes"}, r"there is no dataset 'szenes'; nearest: 'scenes'"),
        ({"name": "scenes", "splitt": "val"}, r"dataset 'scenes' has no setting 'splitt'; nearest: 'split'"),
        ({"name": "scenes", "split": "test"}, r"split='test' is unknown; nearest: 'train', 'val'"),
        ({"name": "scenes", "split": 3}, r"dataset 'scenes': split=3 is no str"),
        ({"name": "scenes", "context_bias": "0.5"}, r"context_bias='0.5' is no float"),
        ({"name": "folder"}, r"dataset 'folder' needs a path"),
        (3, r"a int is no data: give the name of a dataset"),
        ([np.zeros((4, 4))], r"array of float64 is no picture"),
    ],
)
def test_what_is_no_data_is_refused(data: object, message: str, explainer: lcrp.Explainer) -> None:
    with pytest.raises((DataError, ConfigError), match=message) as caught:
        lcrp.statistics(explainer, data)
    assert "dataset." not in str(caught.value)


def test_pairs_that_are_none_are_named(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    class Single(Pairs):
        def __getitem__(self, index: int) -> object:  # type: ignore[override]
            return self.squares[index]

    with pytest.raises(DataError, match=r"Single gives a ndarray for sample 0, not \(picture, annotation\)"):
        lcrp.statistics(explainer, Single(squares, []))
    with pytest.raises(DataError, match=r"a str is no annotation: give None"):
        lcrp.statistics(explainer, Pairs(squares, ["boat"] * 6))


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"boxes": [[1, 2, 3, 4]] * 2, "labels": [1]}, r"the boxes \(xyxy\) .* are \[2, 4\], .* need \[1, 4\]"),
        ({"boxes": [[1, 2, 3, 4, 5]], "labels": [1]}, r"are \[1, 5\]"),
        ({"boxes": [[1, 2], [3]], "labels": [1]}, r"are no arrays"),
        ({"boxes": [[1, 2, 3, 4]], "labels": [3]}, r"has class 3, there are 0 to 2"),
        ({"boxes": [[1, 2, 3, 4]], "labels": [-1]}, r"has class -1"),
        ({"boxes": [[1, 2, 3, 4]], "labels": [1], "masks": np.ones((1, 3, 5))}, r"the masks .* are \[1, 3, 5\]"),
        (torch.zeros(3, 5), r"the class mask .* are \[3, 5\], .* need \[24, 24\]"),
        (np.full((24, 24), 77), r"has class 77"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(
    annotation: object, message: str, explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    """They ended in tracebacks; a class of -1 was taken for the last one, a mask of another size was cut."""
    with pytest.raises(DataError, match=message) as caught:
        lcrp.statistics(explainer, Pairs(squares, [annotation] * 6))
    assert "\n" not in str(caught.value)


def test_class_masks_may_be_arrays_of_numpy(explainer: lcrp.Explainer, squares: list[np.ndarray]) -> None:
    masks = [np.where(mask == 2, 255, mask) for mask in class_masks(squares)]  # type: ignore[call-overload]
    found = lcrp.statistics(explainer, Pairs(squares, list(masks)), layers="2")
    assert found.concept("2", 0).count == {"background": 6, "boat": 3}


def test_wrong_settings_name_no_setting_of_the_command_line(
    explainer: lcrp.Explainer, squares: list[np.ndarray]
) -> None:
    with pytest.raises(LayerError, match=r"layer 'conv' is not in Sequential"):
        lcrp.statistics(explainer, squares, layers="conv")
    with pytest.raises(ConfigError, match=r"evaluate|methods: there is no 'magic'") as caught:
        lcrp.evaluate(explainer, squares, methods=["magic"])
    assert "stage" not in str(caught.value)
