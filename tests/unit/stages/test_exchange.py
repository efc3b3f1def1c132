"""Statistics to zennit-crp's folders and back: equal tables, readable by zennit-crp itself, damage told in one line."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path

import colour_world
import numpy as np
import paper_world
import pytest
import torch

from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.selection import Selection
from lcrp.decisions.subject import StatisticsSettings
from lcrp.errors import LayerError, StoreError
from lcrp.runs.run import Run
from lcrp.stages.context.context import context
from lcrp.stages.exchange import CrpExport, ImportSettings, export_statistics, import_statistics
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.stages.render import RenderSettings, render
from lcrp.storage.crp_folder import Convention
from lcrp.storage.explanation import read_explanation
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.explanation import Explanation
from lcrp.values.statistics import LayerStatistics, TopTable

STATISTICS = colour_world.statistics()  # 5 per concept, 3 per class
WHOLE = replace(STATISTICS, top_n=40, top_n_per_class=40)
TABLES = ("relevance", "relevance_by_class", "activation", "activation_by_class")
LAYER = "2"
SELECTION = Selection(image=None, samples=(1,), class_name="boat", item=None, box=None, max_targets=5)


def exported(run: Run, statistics: StatisticsSettings = STATISTICS, convention: Convention | None = None) -> Path:
    """A folder for zennit-crp, made from a pass of our own."""
    subject = colour_world.subject()
    glocal(subject, statistics, GlocalSettings(), run)
    settings = CrpExport(folder=run.folder / "crp", convention=convention or Convention())
    return export_statistics(subject, statistics, settings, run)


def imported(folder: Path, home: Path, statistics: StatisticsSettings = STATISTICS, **settings: object) -> Path:
    """A statistics file where nobody has made any before."""
    home.mkdir(exist_ok=True)
    return import_statistics(
        colour_world.subject(),
        statistics,
        ImportSettings(folder=folder, **settings),  # type: ignore[arg-type]
        colour_world.run(home),
    )


def layers_of(path: Path) -> dict[str, LayerStatistics]:
    with StatisticsFile(path) as file:
        return {name: file.layer(name) for name in file.layer_names}


def assert_equal_tables(found: TopTable, expected: TopTable) -> None:
    for column in fields(TopTable):
        values, wanted = getattr(found, column.name), getattr(expected, column.name)
        assert values.dtype == wanted.dtype, column.name
        np.testing.assert_array_equal(values, wanted, err_msg=column.name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn in their own tests."""

    def write(explanation: Explanation, paths: Sequence[Path], *, num_references: int) -> None:  # noqa: ARG001
        for path in paths:
            path.write_bytes(b"figure")

    monkeypatch.setattr("lcrp.stages.render.draw_explanation", write)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return colour_world.run(tmp_path)


def strip(folder: Path) -> Path:
    """The folder without what zennit-crp would not have written."""
    for kind in ("class", "item"):
        for file in folder.rglob(f"*_{kind}.npy"):
            file.unlink()
    return folder


@pytest.mark.parametrize("statistics", [STATISTICS, WHOLE], ids=["cut", "whole"])
def test_export_then_import_gives_equal_tables(run: Run, tmp_path: Path, statistics: StatisticsSettings) -> None:
    ours = layers_of(glocal(colour_world.subject(), statistics, GlocalSettings(), run))
    found = layers_of(imported(exported(run, statistics), tmp_path / "other", statistics))
    assert list(found) == list(ours) == ["0", "2", "4"]
    for name, layer in ours.items():
        assert found[name].map_size == layer.map_size
        np.testing.assert_array_equal(found[name].moments.class_ids, layer.moments.class_ids)
        for table in TABLES:
            assert_equal_tables(getattr(found[name], table), getattr(layer, table))


def test_classes_are_found_again_by_sample_score_and_neuron(run: Run, tmp_path: Path) -> None:
    """As zennit-crp writes it, the table over all classes does not tell them."""
    ours = layers_of(glocal(colour_world.subject(), WHOLE, GlocalSettings(), run))
    found = layers_of(imported(strip(exported(run, WHOLE)), tmp_path / "other", WHOLE))
    for name, layer in ours.items():
        assert len(np.unique(layer.relevance.class_id)) == 3
        assert_equal_tables(found[name].relevance, layer.relevance)


def test_a_class_that_is_in_no_table_is_unknown(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = strip(exported(run, WHOLE))
    for file in folder.glob(f"RelStats_sum_normed/{LAYER}/1_rel.npy"):
        np.save(file, np.load(file) + 0.5)
    with caplog.at_level(logging.WARNING):
        found = layers_of(imported(folder, tmp_path / "other", WHOLE))
    assert set(np.unique(found[LAYER].relevance.class_id)) == {-1, 0, 2}
    assert set(np.unique(found["0"].relevance.class_id)) == {0, 1, 2}
    num_unknown = (found[LAYER].relevance.class_id < 0).sum()
    assert f"the class of {num_unknown} of" in caplog.text


def test_the_file_says_where_it_comes_from_and_what_it_holds(run: Run, tmp_path: Path) -> None:
    asked = replace(WHOLE, record=True)
    with StatisticsFile(imported(exported(run), tmp_path / "other", asked)) as file:
        header, log, moments = file.header, file.targets(), file.layer(LAYER).moments
    stated = header.config["statistics"]
    assert isinstance(stated, dict)
    assert (stated["origin"], stated["top_n"], stated["top_n_per_class"]) == ("zennit-crp", 5, 3)
    assert not stated["record"]
    assert header.dataset_fingerprint == colour_world.Squares().fingerprint()
    assert (log.explained, log.skipped_targets, log.skipped_samples) == ((), (), ())
    assert not moments.count.any()
    assert np.isnan(moments.mean()).all()
    assert np.isnan(moments.variance()).all()


def test_what_is_longer_is_cut(run: Run, tmp_path: Path) -> None:
    ours = layers_of(glocal(colour_world.subject(), STATISTICS, GlocalSettings(), run))
    whole = exported(replace(run, output_root=tmp_path / "whole"), WHOLE)
    found = layers_of(imported(whole, tmp_path / "other", STATISTICS))
    for name, layer in ours.items():
        for table in TABLES:
            assert_equal_tables(getattr(found[name], table), getattr(layer, table))


def test_less_than_was_asked_for_is_told(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        imported(exported(run), tmp_path / "other", WHOLE)
    assert "3 layers and statistics.top_n=5 statistics.top_n_per_class=3" in caplog.text


def references(run: Run, statistics: StatisticsSettings, mode: str) -> list[list[tuple[object, ...]]]:
    choice = ConceptChoice(mode=mode, layer=LAYER, n_concepts=3, n_references=4)  # type: ignore[arg-type]
    settings = RenderSettings(selection=SELECTION, choice=choice)
    (figure,) = render(colour_world.subject(), statistics, settings, run)
    explanation = read_explanation(figure.with_suffix(".h5"))
    return [
        [(one.sample, one.class_name, one.score, one.heatmap.tolist()) for one in concept.references]
        for concept in explanation.concepts
    ]


@pytest.mark.parametrize("mode", ["relevance", "activation"])
def test_render_works_without_a_pass_of_its_own(run: Run, tmp_path: Path, mode: str) -> None:
    other = tmp_path / "other"
    imported(exported(run), other)
    found = references(colour_world.run(other), STATISTICS, mode)
    counts = {"relevance": [3, 4], "activation": [4] * len(found)}  # the first concept counts in no fourth picture
    assert [len(concept) for concept in found] == counts[mode]
    assert found == references(run, STATISTICS, mode)
    assert found == references(colour_world.run(other), WHOLE, mode)  # the only statistics that fit


def test_render_leaves_unknown_classes_out(run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, other = strip(exported(run, WHOLE)), tmp_path / "other"
    for file in folder.glob(f"RelStats_sum_normed/{LAYER}/2_rel.npy"):
        np.save(file, np.load(file) + 0.5)
    imported(folder, other, WHOLE)
    with caplog.at_level(logging.WARNING):
        found = references(colour_world.run(other), WHOLE, "relevance")
    assert {one[1] for concept in found for one in concept} == {"background", "boat"}
    assert "reference samples some are left out" in caplog.text


def test_imported_and_own_statistics_stay_apart(run: Run) -> None:
    folder = exported(run)
    settings = ImportSettings(folder=folder)
    path = import_statistics(colour_world.subject(), STATISTICS, settings, run)
    own = glocal(colour_world.subject(), STATISTICS, GlocalSettings(), run)
    assert own != path
    with pytest.raises(StoreError, match="was imported before"):
        import_statistics(colour_world.subject(), STATISTICS, settings, run)
    before = path.read_bytes()
    again = import_statistics(colour_world.subject(), STATISTICS, replace(settings, overwrite=True), run)
    assert again.read_bytes() == before


def test_names_and_numbers_of_another_convention(run: Run, tmp_path: Path) -> None:
    convention = Convention(layer_prefix="model.", first_class=1)
    folder = exported(run, WHOLE, convention)
    assert (folder / "RelMax_sum_normed" / "model.2_data.npy").exists()
    assert np.load(folder / "RelStats_sum_normed" / "targets.npy").tolist() == ["1", "2", "3"]
    found = layers_of(imported(strip(folder), tmp_path / "other", WHOLE, convention=convention))
    ours = layers_of(glocal(colour_world.subject(), WHOLE, GlocalSettings(), run))
    for name, layer in ours.items():
        assert_equal_tables(found[name].relevance, layer.relevance)


def test_layers_are_chosen_and_stated(run: Run, tmp_path: Path) -> None:
    folder = exported(run)
    chosen = replace(STATISTICS, layers=("0", "4"))
    assert list(layers_of(imported(folder, tmp_path / "chosen", chosen))) == ["0", "4"]
    for file in folder.glob("R*Max_sum_normed/4_*.npy"):
        file.unlink()
    path = imported(folder, tmp_path / "fewer")
    assert list(layers_of(path)) == ["0", "2"]
    with StatisticsFile(path) as file:
        assert file.header.config["statistics"]["layers"] == ["0", "2"]  # type: ignore[index]
    with pytest.raises(StoreError, match="has no layer '4'; nearest: "):
        imported(folder, tmp_path / "other", chosen)
    with pytest.raises(LayerError, match="layer '7' is not in"):
        imported(folder, tmp_path / "other", replace(STATISTICS, layers=("7",)))


def test_the_folder_above_holds_one_run(run: Run, tmp_path: Path) -> None:
    folder = exported(run)
    above = tmp_path / "crp_outputs"
    shutil.copytree(folder, above / "toy_squares")
    (above / "notes").mkdir()
    assert layers_of(imported(above, tmp_path / "other")).keys() == {"0", "2", "4"}
    shutil.copytree(folder, above / "toy_circles")
    with pytest.raises(StoreError, match=r"holds several runs \('toy_\w+', 'toy_\w+'\); name one"):
        imported(above, tmp_path / "more")


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return (Path.touch, (self.path,))


def altered(part: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def alter(folder: Path) -> None:
        path = folder / f"{part}.npy"
        np.save(path, change(np.load(path)))

    return alter


MAX, STATS = "RelMax_sum_normed/2", "RelStats_sum_normed/2/1"
DAMAGES = {
    "no layer file": (lambda folder: (folder / f"{MAX}_rf.npy").unlink(), r"2_rf\.npy' is missing"),
    "no class file": (lambda folder: (folder / f"{STATS}_data.npy").unlink(), r"1_data\.npy' is missing"),
    "no targets": (lambda folder: (folder / "ActStats_max_normed/targets.npy").unlink(), r"targets\.npy' is missing"),
    "no folder": (lambda folder: shutil.rmtree(folder / "ActMax_max_normed"), "lacks ActMax_max_normed; zennit-crp"),
    "nothing": (lambda folder: shutil.rmtree(folder / "RelMax_sum_normed"), "is no folder of zennit-crp: it lacks"),
    "no layers": (
        lambda folder: [file.unlink() for file in (folder / "RelMax_sum_normed").iterdir()],
        "holds no layers",
    ),
    "other layer": (
        lambda folder: np.save(folder / "RelMax_sum_normed/9_data.npy", np.zeros((1, 4), dtype=np.int64)),
        r"layer '9' in .* is not in colours; nearest: '.*Choose the folder's model",
    ),
    "channels": (altered(f"{MAX}_rel", lambda values: values[:, :3]), r"2_rel\.npy' has 3 concepts, .* has 4"),
    "rows": (altered(f"{MAX}_rel", lambda values: values[1:]), r"2_rel\.npy' is \(4, 4\), but 2_data\.npy is \(5, 4\)"),
    "no rows": (altered(f"{MAX}_data", lambda values: values[:0]), r"2_data\.npy' holds no samples"),
    "axes": (altered(f"{MAX}_data", np.ravel), r"2_data\.npy' has 1 axes .*, 2 are expected"),
    "dtype": (altered(f"{MAX}_data", np.float32), r"2_data\.npy' holds float32, not whole numbers"),
    "score dtype": (altered(f"{STATS}_rel", np.int64), r"1_rel\.npy' holds int64, not floating point numbers"),
    "nan": (altered(f"{STATS}_rel", lambda values: values * np.nan), r"1_rel\.npy' holds scores that are not finite"),
    "sample": (altered(f"{MAX}_data", lambda values: values + 6), r"names sample \d+, there are 0 to 5; is this the"),
    "neuron": (altered(f"{MAX}_rf", lambda values: values * 0 + 576), r"neuron 576, there are 0 to 575; see model\."),
    "twice": (altered(f"{STATS}_data", lambda values: values * 0 + 2), "names sample 2 twice for one concept"),
    "class": (
        altered("RelStats_sum_normed/targets", lambda values: np.array([*values, "7"])),
        r"names class 7, the model has the classes 0 to 2; .*where its classes begin",
    ),
    "class text": (altered("RelStats_sum_normed/targets", lambda _: np.array(["a"])), "does not hold class numb"),
    "no classes": (
        altered("ActStats_max_normed/targets", lambda values: values[:0]),
        r"targets\.npy' names no classes",
    ),
    "text file": (lambda folder: (folder / f"{MAX}_data.npy").write_text("0 1"), "is no array of whole numbers: "),
    "truncated": (
        lambda folder: (folder / f"{MAX}_rf.npy").write_bytes((folder / f"{MAX}_rf.npy").read_bytes()[:-8]),
        r"2_rf\.npy' is no array of whole numbers: ",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_told_in_one_line(run: Run, tmp_path: Path, damage: Callable[[Path], object], message: str) -> None:
    folder = exported(run)
    damage(folder)
    with pytest.raises(StoreError, match=message) as caught:
        imported(folder, tmp_path / "other")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "other").rglob("*.h5"))


def test_nothing_in_a_folder_is_executed(run: Run, tmp_path: Path) -> None:
    folder, sprung = exported(run), tmp_path / "sprung"
    for part in ("data", "rel", "rf", "class"):
        whole = (folder / f"{MAX}_{part}.npy").read_bytes()
        np.save(folder / f"{MAX}_{part}.npy", np.array([[Trap(sprung)]], dtype=object), allow_pickle=True)
        with pytest.raises(StoreError, match=rf"2_{part}\.npy' is no array of .* numbers: "):
            imported(folder, tmp_path / "other")
        (folder / f"{MAX}_{part}.npy").write_bytes(whole)
    assert not sprung.exists()


def test_export_leaves_alone_what_is_there(run: Run) -> None:
    folder = exported(run)
    before = sorted(folder.rglob("*"))
    with pytest.raises(StoreError, match="is there already and is left alone; name a new folder"):
        exported(run)
    assert sorted(folder.rglob("*")) == before
    assert not list(run.folder.glob(".*"))


def test_export_without_statistics_says_how_to_make_them(run: Run) -> None:
    settings = CrpExport(folder=run.folder / "crp")
    subject = replace(colour_world.subject(), command="lcrp stage=glocal model=colours")
    with pytest.raises(StoreError, match="there are no statistics in ") as caught:
        export_statistics(subject, STATISTICS, settings, run)
    assert caught.value.mend == "Make them: lcrp stage=glocal model=colours"
    assert not settings.folder.exists()


class CrpSquares:
    """The pictures as zennit-crp asks for them; notes which are asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        self.asked.append(int(index))
        return colour_world.Squares()[int(index)].image, 0


class NoAttribution:
    device = "cpu"


@pytest.mark.parametrize(("mode", "max_target"), [("relevance", "sum"), ("activation", "max")])
def test_zennit_crp_reads_an_export(run: Run, monkeypatch: pytest.MonkeyPatch, mode: str, max_target: str) -> None:
    """Its 0.6.0 reads the class list with np.int, which numpy has removed."""
    from crp.visualization import FeatureVisualization

    monkeypatch.setattr(np, "int", int, raising=False)
    folder = exported(run)
    (ours,) = (layer for name, layer in layers_of(next(run.output_root.rglob("*.h5"))).items() if name == LAYER)
    overall, by_class = getattr(ours, mode), getattr(ours, f"{mode}_by_class")
    pictures = CrpSquares()
    reader = FeatureVisualization(NoAttribution(), pictures, {}, max_target=max_target, abs_norm=True, path=folder)
    for concept in range(4):
        reader.get_max_reference(concept, LAYER, mode, (0, 40), plot_fn=None)
        assert sorted(pictures.asked) == sorted(overall.sample[concept].tolist())
        pictures.asked.clear()
        for row, class_id in enumerate(ours.moments.class_ids.tolist()):
            reader.get_stats_reference(concept, LAYER, class_id, mode, (0, 40), plot_fn=None)
            num_entries = by_class.filled[row, concept]
            assert sorted(pictures.asked) == sorted(by_class.sample[row, concept, :num_entries].tolist())
            pictures.asked.clear()
        classes, scores = reader.compute_stats(concept, LAYER, mode, top_N=3, mean_N=3)
        means = [by_class.score[row, concept, : by_class.filled[row, concept]].mean() for row in range(3)]
        np.testing.assert_allclose(scores, sorted(means, reverse=True), rtol=1e-5)
        assert sorted(classes.tolist()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("mode", "folder_name"), [("relevance", "RelMax_sum_normed"), ("activation", "ActMax_max_normed")]
)
def test_zennit_crps_loaders_see_our_columns(run: Run, mode: str, folder_name: str) -> None:
    from crp.helper import load_maximization

    folder = exported(run)
    table = getattr(layers_of(next(run.output_root.rglob("*.h5")))[LAYER], mode)
    sample, score, peak = load_maximization(folder / folder_name, LAYER)
    assert [values.dtype for values in (sample, score, peak)] == [np.int64, np.float32, np.int64]
    for values, ours in ((sample, table.sample), (score, table.score), (peak, table.peak)):
        np.testing.assert_array_equal(values, ours.T)


def test_context_scores_need_means_that_imported_statistics_do_not_hold(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "other"
    imported(exported(run), home)
    settings = replace(paper_world.CONTEXT, layers=(LAYER,), make_statistics=False)
    with pytest.raises(StoreError, match="is imported and holds no mean relevance: make statistics"):
        context(colour_world.subject(), STATISTICS, settings, colour_world.run(home))
