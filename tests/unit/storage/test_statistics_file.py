"""Statistics files: what comes back, equal bytes, and one line for everything that can be wrong with a file."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import statistics_samples as samples

from lcrp.errors import StoreError
from lcrp.storage import schema
from lcrp.storage.statistics import StatisticsFile, read_header, write_statistics
from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.statistics import LayerStatistics, TargetLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return samples.write(tmp_path / "statistics.h5")


def test_everything_comes_back(path: Path) -> None:
    with StatisticsFile(path, class_names=samples.CLASS_NAMES) as file:
        assert file.header == samples.header()
        assert file.layer_names == ("neck.conv", "head.conv")
        for name, expected in (("neck.conv", samples.layer(0)), ("head.conv", samples.layer(1, num_concepts=2))):
            found = file.layer(name)
            assert found.map_size == (3, 4)
            for part in ("relevance", "relevance_by_class", "activation", "activation_by_class", "moments"):
                for field in fields(getattr(found, part)):
                    values = (getattr(getattr(layer, part), field.name) for layer in (found, expected))
                    np.testing.assert_array_equal(*values, strict=True, err_msg=f"{part}.{field.name}")


@pytest.mark.parametrize("rules", ["", "epsilon_gamma_flat"])
def test_the_chosen_layer_comes_back(tmp_path: Path, rules: str) -> None:
    path, chosen = tmp_path / "chosen.h5", ChosenLayer(name="conv", share=0.75, num_decisions=16, rules=rules)
    write_statistics(path, replace(samples.header(), chosen=chosen), samples.log(), [("conv", samples.layer())])
    assert read_header(path).chosen == chosen


def test_targets_come_back_in_order_and_records_follow_them(path: Path) -> None:
    with StatisticsFile(path) as file:
        log = file.targets()
        box, mask = samples.log().explained
        assert log.explained == (mask, box)
        assert log.skipped_targets == samples.log().skipped_targets
        assert log.skipped_samples == samples.log().skipped_samples
        assert file.record("head.conv").tolist() == [[0.125, -1.0], [0.5, 0.25]]
        with pytest.raises(StoreError, match=r"no record of layer 'neck.conv'; recorded: 'head.conv'"):
            file.record("neck.conv")


def test_ledgers_come_back_row_by_row_and_in_sum(path: Path) -> None:
    with StatisticsFile(path) as file:
        assert file.targets().ledgers == tuple(sorted(samples.log().ledgers, key=lambda pair: pair[0]))
        moments = file.ledger()
    assert moments is not None
    assert moments.class_ids.tolist() == [0, 2]
    found = moments.summary()
    assert found is not None
    assert (found.count, found.cancelling) == (2, 0)
    assert found.mean == {"reached": 0.25, "constants": 0.5, "cut": 0.0, "stabiliser": 0.125, "missing": 0.125}
    assert found.deviation["reached"] == 0
    assert found.largest_missing == 0.375 / 5


def test_a_file_whose_ledgers_know_of_no_cuts_still_reads(path: Path) -> None:
    """Files of earlier versions: the sums are there without the column, and no rows count."""
    with StatisticsFile(path) as file:
        expected = file.ledger()
    with h5py.File(path, "r+") as file:
        names = list(file["ledger"].attrs["shares"])
        kept = [number for number, name in enumerate(names) if name != "cut"]
        for column in ("total", "square"):
            values = file[f"ledger/{column}"][:, kept]
            del file[f"ledger/{column}"]
            file[f"ledger/{column}"] = values
        file["ledger"].attrs["shares"] = np.array([names[number] for number in kept], dtype=h5py.string_dtype())
        del file["ledger/decisions/cut"]
    with StatisticsFile(path) as file:
        np.testing.assert_array_equal(file.ledger().total, expected.total)
        assert file.targets().ledgers == ()


def test_a_file_without_ledgers_still_reads(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["ledger"]
    with StatisticsFile(path) as file:
        assert file.ledger() is None
        assert file.targets().ledgers == ()


def test_the_frame_of_boxes_is_told(path: Path) -> None:
    with h5py.File(path) as file:
        assert "pixels of the network's input" in file["targets"].attrs["frame"]


def test_a_layer_without_a_class_and_an_empty_log_come_back(tmp_path: Path) -> None:
    path = tmp_path / "empty.h5"
    log = TargetLog(explained=(), skipped_targets=(), skipped_samples=())
    write_statistics(path, samples.header(), log, [("conv", samples.layer(class_ids=()))])
    with StatisticsFile(path) as file:
        assert file.layer("conv").relevance_by_class.score.shape == (0, 5, 2)
        assert file.targets() == log


def test_equal_content_gives_equal_bytes(tmp_path: Path, path: Path) -> None:
    assert samples.write(tmp_path / "again.h5").read_bytes() == path.read_bytes()
    log = samples.log()
    turned = replace(log, explained=log.explained[::-1], ledgers=log.ledgers[::-1])
    layers = [("neck.conv", samples.layer(0)), ("head.conv", samples.layer(1, num_concepts=2))]
    records = {"head.conv": np.array([[0.125, -1.0], [0.5, 0.25]], dtype=np.float16)}
    write_statistics(tmp_path / "turned.h5", samples.header(), turned, layers, records=records)
    assert (tmp_path / "turned.h5").read_bytes() == path.read_bytes()


def test_an_error_while_layers_are_made_leaves_the_old_file(path: Path) -> None:
    def broken() -> Iterator[tuple[str, LayerStatistics]]:
        yield "conv", samples.layer()
        raise RuntimeError("no more layers")

    before = path.read_bytes()
    with pytest.raises(RuntimeError, match="no more layers"):
        write_statistics(path, samples.header(), samples.log(), broken())
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_every_array_is_checksummed_and_compressed(path: Path) -> None:
    def check(name: str, node: h5py.Dataset | h5py.Group) -> None:
        if isinstance(node, h5py.Dataset):
            assert (node.fletcher32, node.compression, node.shuffle) == (True, "gzip", True), name

    with h5py.File(path) as file:
        file.visititems(check)
        assert file.attrs["format"] == "lcrp-statistics"
        assert file["layers/neck.conv/relevance/sample"].dtype == np.int32
        assert set(file["layers/neck.conv/activation"]) == {"score", "sample", "peak", "filled"}


def test_without_compression_the_checksum_stays(tmp_path: Path) -> None:
    path = tmp_path / "plain.h5"
    write_statistics(path, samples.header(), samples.log(), [("conv", samples.layer())], compress=False)
    with h5py.File(path) as file:
        score = file["layers/conv/relevance/score"]
        assert (score.fletcher32, score.compression) == (True, None)


def test_an_incomplete_file_has_a_header_only(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "part.h5", complete=False)
    assert not read_header(path).complete
    with pytest.raises(StoreError, match=r"incomplete.*finish its pass"):
        StatisticsFile(path)


def test_other_classes_are_refused(path: Path) -> None:
    with pytest.raises(StoreError, match=r"3 classes, the model has 2; they differ in 'Käfer'"):
        StatisticsFile(path, class_names=("boat", "car"))
    with pytest.raises(StoreError, match="they differ in 'their order'"):
        StatisticsFile(path, class_names=("car", "boat", "Käfer"))


def test_an_unknown_layer_names_the_nearest(path: Path) -> None:
    with StatisticsFile(path) as file, pytest.raises(StoreError, match=r"no layer 'neck.cnv'; nearest: 'neck.conv'"):
        file.layer("neck.cnv")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def zero_tail(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))


def no_hdf5(path: Path) -> None:
    path.write_text("epoch,loss\n")


def other_format(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format"] = "keras"


def other_version(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = schema.VERSION + 1


def no_format(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = 1


def damaged_yaml(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["config"] = "{["


def without_layers(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["layers"]


def unknown_class_in_ledger(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["ledger/class_ids"][...] = [0, 99]


def ledger_of_one_share(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["ledger/total"]
        file["ledger/total"] = np.zeros((2, 1))


def corrupted_chunk(path: Path) -> None:
    with h5py.File(path) as file:
        dataset = file["layers/neck.conv/relevance/score"]
        place = dataset.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 30] ^= 0xFF
    path.write_bytes(content)


def read_all(path: Path) -> None:
    with StatisticsFile(path) as file:
        for name in file.layer_names:
            file.layer(name)
        file.targets()
        file.ledger()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "there is no file"),
        (truncate, "truncated file"),
        (zero_tail, "damaged"),
        (no_hdf5, "file signature not found"),
        (other_format, "is no lcrp-statistics file .its format is 'keras'"),
        (no_format, "is no lcrp-statistics file .its format is None"),
        (other_version, "has version 4 of the format lcrp-statistics, but this lcrp reads version 3"),
        (damaged_yaml, "its config is no YAML"),
        (without_layers, "cannot be read"),
        (corrupted_chunk, "cannot be read"),
        (unknown_class_in_ledger, "names the classes .0, 99., of 3"),
        (ledger_of_one_share, "of different shapes"),
    ],
)
def test_what_is_wrong_is_one_line(path: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(path)
    with pytest.raises(StoreError, match=message) as caught:
        read_all(path)
    assert len(str(caught.value).splitlines()) == 1
    assert str(path) in str(caught.value)


def test_reading_creates_nothing(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with StatisticsFile(path) as file:
        file.layer("neck.conv")
    with pytest.raises(StoreError):
        read_header(tmp_path / "absent" / "x.h5")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
