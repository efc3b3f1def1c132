"""Hostile and broken input: a clear line or a counted skip; never a hang, a traceback, half a file or foreign code.

hostile/outcomes.md lists every input of these tests with its outcome.
"""

import re
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest
from hostile import annotations, checkpoints, files, labelled, masks, pictures, places, settings, table, yolo
from hostile.case import Command, Item
from hypothesis import Phase, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from conftest import TINY, Outcome
from lcrp.config.compose import composed
from lcrp.errors import LcrpError

CommandLine = Callable[..., Outcome]
LONGEST = 600  # seconds, after which it hangs rather than being slowed by what else the machine does
SMALL = ("model.input.height=64", "model.input.width=64")
STATISTICS = (*TINY, *SMALL)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # libraries warn of what is broken


@pytest.fixture(autouse=True)
def in_time() -> Iterator[None]:
    """What hangs fails."""

    def fail(*_: object) -> None:
        raise TimeoutError(f"not done after {LONGEST} seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def good(lcrp: CommandLine, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test's own folder, with statistics and a folder of zennit-crp that are in order."""
    stored = tmp_path_factory.getbasetemp() / "good"
    if not stored.exists():
        assert lcrp(*STATISTICS, "stage.output=statistics.h5").code == 0
        assert lcrp(*STATISTICS, "stage=export", "stage.folder=crp", "stage.statistics=statistics.h5").code == 0
        shutil.rmtree(tmp_path / "outputs")
        shutil.copytree(tmp_path, stored)
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    return tmp_path


def named(cases: list[Command]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def written(folder: Path) -> set[Path]:
    """Every file but those that tell of a run, and locks, which are empty."""
    found = {path for path in folder.rglob("*") if not path.is_dir() and path.suffix != ".lock"}
    return {path for path in found if "runs" not in path.relative_to(folder).parts[:2]}


def check_refused(lcrp: CommandLine, folder: Path, error: str, *arguments: str) -> None:
    """One line that says what is wrong, and nothing else."""
    before = written(folder)
    outcome = lcrp(*arguments)
    assert outcome.code == 1, outcome
    lines = [line for line in outcome.err if "Warning" not in line]
    assert not any("Traceback" in line for line in [*outcome.err, *outcome.out])
    assert lines[-1].startswith("lcrp: error: "), outcome.err
    assert sum(line.startswith("lcrp: error: ") for line in lines) == 1
    assert any(part in lines[-1] for part in error.split("|")), lines[-1]
    assert written(folder) == before
    assert not (folder / checkpoints.CANARY).exists()


@named(checkpoints.cases() + yolo.cases())
def test_checkpoints_are_refused(lcrp: CommandLine, tmp_path: Path, case: Command) -> None:
    check_refused(lcrp, tmp_path, case.error, *case.prepare(tmp_path))


@named(annotations.files() + masks.commands())
def test_datasets_are_refused(lcrp: CommandLine, tmp_path: Path, case: Command) -> None:
    check_refused(lcrp, tmp_path, case.error, *case.prepare(tmp_path), *SMALL)


@named(files.statistics() + files.exchange())
def test_files_are_refused(lcrp: CommandLine, good: Path, case: Command) -> None:
    check_refused(lcrp, good, case.error, *STATISTICS, *case.prepare(good))


@named(files.provenance())
def test_provenance_is_refused(lcrp: CommandLine, tmp_path: Path, case: Command) -> None:
    check_refused(lcrp, tmp_path, case.error, *case.prepare(tmp_path))


@named(places.unwritable())
def test_unwritable_places_are_told(lcrp: CommandLine, good: Path, case: Command) -> None:
    check_refused(lcrp, good, case.error, *STATISTICS, *case.prepare(good))


@pytest.mark.parametrize("case", places.full_disks(), ids=lambda case: case.name)
def test_full_disks_are_told(lcrp: CommandLine, good: Path, case: places.FullDisk) -> None:
    with disk_of(case.limit):
        check_refused(lcrp, good, "File too large", *STATISTICS, *case.arguments)


@contextmanager
def disk_of(limit: int) -> Iterator[None]:
    """No file may grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("seed", range(files.NUM_FLIPS))
def test_a_bit_turned_over_is_found_or_means_nothing(lcrp: CommandLine, good: Path, seed: int) -> None:
    merge = (*STATISTICS, "stage=merge", "stage.shards=[statistics.h5]")
    assert lcrp(*merge, "stage.output=expected.h5").code == 0
    files.flipped(good / "statistics.h5", seed)
    outcome = lcrp(*merge, "stage.output=merged.h5")
    if outcome.code == 0:
        assert (good / "merged.h5").read_bytes() == (good / "expected.h5").read_bytes()
    else:
        assert outcome.err[-1].startswith("lcrp: error: ")
        assert not (good / "merged.h5").exists()


Skips = dict[str, str]
_passes: dict[str, tuple[Skips, list[str]]] = {}


def passed(lcrp: CommandLine, name: str, folder: Path, write: Callable[[Path], object], *arguments: str) -> Skips:
    """Key and reason of every sample that one pass over a dataset skipped; made once."""
    if name not in _passes:
        write(folder)
        outcome = lcrp(
            *arguments,
            *SMALL,
            "statistics.targets=predicted",
            "statistics.num_samples=null",
            "stage.output=statistics.h5",
        )
        assert outcome.code == 0, outcome.err
        assert not any("Traceback" in line for line in outcome.err)
        assert not (folder / checkpoints.CANARY).exists()
        with h5py.File(folder / "statistics.h5") as file:
            rows = file["skipped"]
            texts = [[text.decode("utf-8", "surrogateescape") for text in rows[key][()]] for key in ("key", "reason")]
        log = "\n".join(path.read_text() for path in folder.glob("outputs/runs/*/lcrp.log"))
        _passes[name] = dict(zip(*texts, strict=True)), log.splitlines()
    return _passes[name][0]


def check_item(item: Item, skips: Skips) -> None:
    if item.skipped:
        assert item.skipped in skips[item.key]
    else:
        assert item.key not in skips


def named_items(items: list[Item]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("item", items, ids=[item.name for item in items])


def write_pictures(folder: Path) -> None:
    (folder / "pictures").mkdir()
    for item in pictures.cases():
        item.write(folder / "pictures")
    for name, write in pictures.ABSENT.items():
        write(folder / "pictures" / name)


@pytest.fixture
def of_pictures(lcrp: CommandLine, tmp_path: Path) -> Skips:
    arguments = (*TINY, "dataset=folder", "dataset.path=pictures", "model.class_names=[a]")
    return passed(lcrp, "pictures", tmp_path, write_pictures, *arguments)


@named_items(pictures.cases())
def test_pictures_are_read_or_skipped(of_pictures: Skips, item: Item) -> None:
    check_item(item, of_pictures)


def test_what_is_no_picture_is_passed_over(of_pictures: Skips) -> None:
    assert set(of_pictures) == {item.key for item in pictures.cases() if item.skipped}


@pytest.fixture
def of_annotations(lcrp: CommandLine, tmp_path: Path) -> Skips:
    arguments = (*TINY, "dataset=coco2017", "dataset.root=coco")
    return passed(lcrp, "annotations", tmp_path, annotations.write_samples, *arguments)


@named_items(annotations.samples())
def test_annotations_are_read_or_skipped(of_annotations: Skips, item: Item) -> None:
    check_item(item, of_annotations)
    if item.left_out:
        number = int(item.key.removesuffix(".png"))
        told = [line for line in _passes["annotations"][1] if "left out" in line and item.left_out in line]
        assert len(told) == 1
        count = sum(other.left_out == item.left_out for other in annotations.samples())
        assert re.search(rf": {count} (objects|outlines) are left out", told[0])
        assert number in map(int, re.findall(r"annotation (\d+)", told[0])) or count > 5


@pytest.fixture
def of_masks(lcrp: CommandLine, tmp_path: Path) -> Skips:
    arguments = (*masks.VOC_ARGUMENTS, "model.checkpoint=random", "statistics.layers=[backbone.conv1]")
    return passed(lcrp, "masks", tmp_path, masks.write_voc, *arguments)


@named_items(masks.voc_samples())
def test_masks_are_read_or_skipped(of_masks: Skips, item: Item) -> None:
    check_item(item, of_masks)


@pytest.mark.parametrize("case", labelled.cases(), ids=lambda case: case.name)
def test_labelled_sets_are_read_or_refused(tmp_path: Path, case: labelled.Labels) -> None:
    """Without a network, which knows nothing of layouts."""
    said = ""
    try:
        dataset = case.build(tmp_path)
        for index in range(len(dataset)):
            dataset[index]
    except LcrpError as error:
        said = str(error)
        assert "\n" not in said
        assert case.error or case.told.endswith("are not there"), said
    assert case.error in said
    if case.told:
        assert case.told in dataset.reading.text()  # type: ignore[attr-defined]
    assert not (tmp_path / checkpoints.CANARY).exists()


@pytest.mark.parametrize("setting", settings.cases(), ids=lambda setting: " ".join((*setting.choices, setting.key)))
def test_settings_of_wrong_types_are_told(setting: settings.Setting) -> None:
    for value in setting.wrong:
        message = refusal([*setting.choices, f"{setting.key}={value}"])
        assert message is not None, value
        assert f"'{setting.key}" in message or f"{setting.key}=" in message, message


def refusal(overrides: list[str]) -> str | None:
    """What is said of settings; None if they are taken. Whatever the command line does not catch is raised."""
    try:
        composed(["model.checkpoint=random", *overrides])
    except LcrpError as error:
        message = str(error)
    else:
        return None
    assert "\n" not in message
    return message


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(st.characters(codec="ascii"), max_size=3)), max_size=3),
    st.dictionaries(st.sampled_from(["a", "_target_", "0"]), st.integers(), max_size=2),
)


@settings_of_hypothesis(max_examples=150, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(setting=st.sampled_from(settings.cases()), value=values)
def test_whatever_a_setting_is_given_is_taken_or_refused_in_a_line(setting: settings.Setting, value: object) -> None:
    refusal([*setting.choices, f"{setting.key}={as_override(value)}"])


def as_override(value: object) -> str:
    """A value as Hydra's command line writes it."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, list):
        return "[" + ",".join(map(as_override, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{as_override(one)}" for key, one in value.items()) + "}"
    return {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))


def test_the_table_lists_every_input() -> None:
    assert (Path(table.__file__).parent / "outcomes.md").read_text(encoding="utf-8") == table.text()
