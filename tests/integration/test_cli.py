"""The command line: folders, errors in one line, sweeps."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conftest import TINY, Outcome
from lcrp import __version__
from lcrp.config import checkpoints
from lcrp.config.paths import config_dir
from lcrp.errors import DataError

CommandLine = Callable[..., Outcome]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        # what Hydra refuses before a run begins
        (
            ["model=yolo7"],
            r"model 'yolo7' does not exist; nearest: 'yolo', .* more; did you mean: lcrp model=yolo$",
        ),
        (["composite=epsilon_gamma"], r"composite 'epsilon_gamma' does not exist; nearest: 'epsilon_gamma_flat'"),
        (["stage=renders"], r"stage 'renders' does not exist; nearest: 'render'.*; did you mean: lcrp stage=render$"),
        (["render", "photo.jpg"], r"'render' is not .*; did you mean: lcrp stage=render stage.image=photo.jpg$"),
        (["my photo.jpg"], r"'my photo.jpg' is not .*: lcrp stage=render 'stage.image=my photo.jpg'$"),
        (["-m", "glocal", "model=ssd,unet"], r"'glocal' is not .*: lcrp -m stage=glocal model=ssd,unet$"),
        (["dataset=coco2018"], r"dataset 'coco2018' does not exist; nearest: 'coco201[47]', 'coco201[47]'"),
        (["modle=yolov6"], r"'modle' is not a setting; did you mean 'model'\?"),
        (["dataset=coco2017", "dataset.path=x"], r"'dataset.path' is not a setting; did you mean 'dataset.root'\?"),
        (["statistics.topn=3"], r"'statistics.topn' is not a setting; did you mean 'statistics.top_n'\?"),
        (["stage.overwrit=true"], r"'stage.overwrit' is not a setting; did you mean 'stage.overwrite'\?"),
        (["stage.samples=[3]"], r"'stage.samples' is not a setting; 'stage' has "),
        (["dataset.root=x"], r"'dataset.root' is not a setting; 'dataset' has "),
        (["model.network.widht=1"], r"'model.network.widht' is not a setting; did you mean 'model.network.width'\?"),
        (["statistics.top_n=abc"], r"'statistics.top_n': Value 'abc' of type 'str' could not be converted to Integer"),
        (["statistics.top_n=null"], r"'statistics.top_n' cannot be null"),
        (["statistics.layers=conv"], r"'statistics.layers': "),
        (["statistics=[1]"], r"'statistics': "),
        (["~statistics.seed"], r"'statistics.seed': "),
        (["model"], r"'model' is not a setting of the form key=value"),
        (["model=["], r"'model=\[' is not a setting of the form key=value"),
        (["model=3"], r"a group takes the name of one of its options, such as model=yolov6"),
        (["--resolve"], r"The --resolve flag can only be used in conjunction with --cfg or --help"),
        (["model=yolov5,yolov6"], r"'model=yolov5,yolov6' has several values; -m runs them all"),
        (["--config-dir", "nowhere"], r"Additional config directory '.*nowhere' not found"),
        (["--config-name", "other"], r"Cannot find primary config 'other'"),
        (["--models", "yolov6"], r"unrecognized arguments: --models; settings are given as key=value"),
        (["-m", "model=yolov5,yolov7"], r"model 'yolov7' does not exist"),
        # what the checks refuse
        (["statistics.batch_size=-1"], r"statistics.batch_size=-1 is too small"),
        (["device=gpu"], r"device='gpu' is unknown"),
        (["+top_n=1"], r"'top_n' is not a setting"),
        (["dataset=folder"], r"'dataset.path' has no value"),
        (["dataset=voc2012", "dataset.split=test"], r"dataset.split='test' is unknown"),
        (["stage=download", "stage.url_base=here"], r"stage.url_base='here' is no address"),
        # what is not there
        (["model.checkpoint=missing.pt"], r"missing.pt' is not there"),
        (["model.checkpoint=embedded:yolo"], r"no checkpoint 'yolo' comes with lcrp"),
        (["model.checkpoint=official:yolov7"], r"no official checkpoint is called 'yolov7'; nearest: 'yolov"),
        (["model=unet", "model.checkpoint=official:unet"], r"is fetched by hand: take smp_unet_vgg13_cityscapes.pth"),
        (["model.checkpoint=null"], r"model.checkpoint has no value"),
        (["dataset=coco2017", "dataset.root=missing"], r"coco2017 misses missing/annotations"),
        (["dataset=coco2014", "dataset.root=missing"], r"coco2014 misses .*'lcrp stage=download dataset=coco2014 data"),
        (["dataset=voc2012", "model=unet"], r"voc2012 misses datasets/voc2012/VOCdevkit.*; download http"),
        (["dataset=cityscapes", "model=unet"], r"cityscapes misses .*; Cityscapes needs an account"),
        (["stage=download", "dataset=cityscapes"], r"Cityscapes needs an account: register at https://www.citysc"),
        (
            ["stage=download", "dataset=coco2017", "stage.url_base=http://127.0.0.1:1"],
            r"http://127.0.0.1:1/annotations_trainval2017.zip could not be fetched: Connection refused",
        ),
        (["dataset=folder", "dataset.path=missing", "model.class_names=[a]", *TINY], r"missing' is not there"),
        (["dataset=folder", "dataset.path=.", *TINY[1:]], r"nothing says what the model's classes are called"),
        (["dataset=folder", "dataset.path=.", "model.class_names=[a]", *TINY], r"holds no pictures"),
        ([*TINY, "statistics.layers=[model.99.conv]"], r"layer 'model.99.conv' is not in YOLOv5; nearest: "),
        ([*TINY, "model.layer=Auto"], r"layer 'Auto' is not in yolov5; did you mean 'auto', .*\? Set model.layer\."),
        ([*TINY, "stage=render", "stage.image=photo.jpg"], r"photo.jpg' is not there"),
        (
            [*TINY, "stage=render"],
            r"there are no statistics .*\. Make them: lcrp stage=glocal model=yolov5 model.checkpoint=random ",
        ),
        ([*TINY, "model.class_names=[a,b]", "+model.network.num_classes=3"], r"has 3 classes, but 2 class names"),
        ([*TINY, "+model.network.shape=3"], r"model.network: YOLOv5: got an unexpected keyword argument 'shape'"),
        (["model.network._target_=nowhere.Net", *TINY[1:]], r"model.network._target_='nowhere.Net' cannot be imported"),
        ([*TINY, "+dataset.options.size=3"], r"dataset: ScenesDataset: got an unexpected keyword argument 'size'"),
        (["stage=import"], r"'stage.folder' has no value; write stage.folder=\.\.\."),
        ([*TINY, "stage=import", "stage.folder=crp"], r"there is no folder 'crp'\. Set stage\.folder"),
        ([*TINY, "stage=context"], r"there are no statistics .*: lcrp stage=glocal model=yolov5"),
        ([*TINY, "stage=context", "stage.class_name=boot"], r"class 'boot' is not known to the model; nearest: 'boat'"),
        ([*TINY, "stage=context", "stage.layers=[nowhere]"], r"layer 'nowhere' is not in YOLOv5; nearest: "),
        (["stage=train", "dataset=coco2017"], r"stage=train learns the embedded pictures, not 'coco2017'"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_a_users_mistake_is_one_line(lcrp: CommandLine, arguments: list[str], message: str) -> None:
    outcome = lcrp(*arguments)
    assert outcome.code == 1
    assert len(outcome.err) == 1, outcome.err
    assert re.match(f"lcrp: error: .*{message}", outcome.err[0]), outcome.err[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_is_one_line(lcrp: CommandLine) -> None:
    outcome = lcrp(*TINY, "device=cuda")
    assert (outcome.code, len(outcome.err)) == (1, 1)
    assert "torch finds no CUDA device; use device=cpu" in outcome.err[0]


def test_full_errors_are_raised(lcrp: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """HYDRA_FULL_ERROR=1 asks for the traceback."""
    lcrp("--version")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(DataError, match="misses"):
        lcrp("dataset=coco2017", "dataset.root=missing")


def test_an_official_checkpoint_that_cannot_be_fetched_says_what_to_do(
    lcrp: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(checkpoints.torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(checkpoints.torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    outcome = lcrp("model.checkpoint=official:yolov6s")
    assert outcome.code == 1
    assert len(outcome.err) == 1
    assert "releases/download/0.1.0/yolov6s.pt" in outcome.err[0]
    assert str(Path("cache", "checkpoints", "lcrp", "yolov6s_0.1.0.pt")) in outcome.err[0]  # of the current folder
    assert str(tmp_path) not in outcome.err[0]


def test_a_folder_without_permission_is_one_line(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("a file where the folder should be")
    outcome = lcrp()
    assert (outcome.code, len(outcome.err)) == (1, 1)
    assert "outputs" in outcome.err[0]


def test_interruption_is_one_line(lcrp: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lcrp.cli.checked", interrupt)
    outcome = lcrp()
    assert (outcome.code, outcome.err) == (130, ["lcrp: interrupted"])


def test_help_fits_a_page_and_tells_the_choices(lcrp: CommandLine) -> None:
    outcome = lcrp("--help")
    text = "\n".join(outcome.out)
    assert (outcome.code, outcome.err) == (0, [])
    assert len(outcome.out) <= 60
    assert max(map(len, outcome.out)) <= 100
    for command in ("lcrp stage=glocal model=yolov6", "lcrp stage=render model=yolov6", "lcrp -m stage=glocal model="):
        assert command in text
    for key in ("unaccounted", "composite.attention", "composite.resize"):
        assert f" {key}=" in text
    for path in config_dir().glob("*/*.yaml"):
        if path.parent.name != "dataset_model":
            assert f" {path.stem} " in text.replace("*", " "), f"--help does not tell of {path.stem}"


def test_version(lcrp: CommandLine) -> None:
    assert lcrp("--version").out == [f"lcrp {__version__}"]


@pytest.mark.parametrize("dataset", ["scenes", "folder"])
def test_what_needs_no_download_says_so_in_one_line(lcrp: CommandLine, dataset: str) -> None:
    outcome = lcrp("stage=download", f"dataset={dataset}")
    assert (outcome.code, outcome.err, len(outcome.out)) == (0, [], 1)
    assert f"dataset '{dataset}' has nothing to download" in outcome.out[0]


def test_settings_can_be_shown_without_a_run(lcrp: CommandLine, tmp_path: Path) -> None:
    outcome = lcrp("--cfg", "job", "statistics.top_n=7")
    assert outcome.code == 0
    assert "  top_n: 7" in outcome.out
    assert not list(tmp_path.iterdir())


def test_a_run_leaves_its_settings_log_and_provenance(lcrp: CommandLine, tmp_path: Path) -> None:
    outcome = lcrp(*TINY)
    assert (outcome.code, outcome.err) == (0, [])
    (folder,) = (tmp_path / "outputs" / "runs").iterdir()
    assert folder.name.endswith("_glocal_yolov5_scenes")
    assert {".hydra", "lcrp.log", "provenance.json"} <= {path.name for path in folder.iterdir()}
    statistics = Path(outcome.out[-1])  # relative to the folder where the command was given
    assert statistics.is_file()
    assert statistics.parent == Path("outputs", "statistics", "yolov5_scenes_epsilon_plus_flat")
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["versions"]["torch"] == torch.__version__.split("+")[0]
    assert provenance["command"]["overrides"] == list(TINY)
    assert provenance["model"]["checkpoint_sha256"] == ""
    assert len(provenance["dataset"]["fingerprint"]) == 64
    assert provenance["wall_seconds"] > 0
    assert provenance["peak_memory_mib"] > 0
    log = (folder / "lcrp.log").read_text()
    assert f"threads: {provenance['threads']} (" in log
    assert "glocal: 0/2 samples" in log
    assert str(tmp_path) not in log


def test_render_finds_what_glocal_wrote_also_from_another_folder(lcrp: CommandLine, tmp_path: Path) -> None:
    """A sweep's jobs and single runs share one place for statistics, whatever their own folders are."""
    assert lcrp("-m", *TINY).code == 0
    assert list((tmp_path / "multirun").glob("*/0_glocal_yolov5_scenes/provenance.json"))
    outcome = lcrp("stage=render", *TINY, "stage.samples=[0]", "stage.n_references=1", "hydra.job.chdir=true")
    assert (outcome.code, outcome.err) == (0, [])
    assert Path(outcome.out[-1]).suffix == ".png"
    assert Path(outcome.out[-1]).is_file()


def test_statistics_go_to_zennit_crp_and_come_back(lcrp: CommandLine, tmp_path: Path) -> None:
    assert lcrp(*TINY).code == 0
    written = lcrp("stage=export", "stage.folder=crp", *TINY)
    assert (written.code, written.err, written.out[-1]) == (0, [], "crp")
    shutil.rmtree(tmp_path / "outputs" / "statistics")
    read = lcrp("stage=import", "stage.folder=crp", *TINY)
    assert (read.code, read.err) == (0, [])
    assert Path(read.out[-1]).is_file()
    again = lcrp("stage=import", "stage.folder=crp", *TINY)
    assert (again.code, len(again.err)) == (1, 1)
    assert "was imported before. stage.overwrite=true replaces it." in again.err[0]
    assert lcrp("stage=render", *TINY, "stage.samples=[0]", "stage.n_references=1").code == 0


def test_in_a_sweep_the_other_jobs_go_on(lcrp: CommandLine, tmp_path: Path) -> None:
    outcome = lcrp("-m", *TINY, "statistics.layers=[nowhere],[model.2.cv3.conv]")
    assert outcome.code == 1
    assert outcome.err[-1].startswith("lcrp: error: layer 'nowhere' is not in YOLOv5")
    assert not any("Traceback" in line for line in outcome.err)
    assert len(list((tmp_path / "outputs" / "statistics").rglob("*.h5"))) == 1


def test_a_users_own_configuration_folder(lcrp: CommandLine, tmp_path: Path) -> None:
    """Own models inherit a schema by naming one of lcrp's models first."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    (tmp_path / "mine" / "experiment").mkdir()
    (tmp_path / "mine" / "model" / "own.yaml").write_text(
        "defaults: [yolov5, _self_]\nname: own\nnetwork: {width: 0.1}\n"
    )
    (tmp_path / "mine" / "experiment" / "figure.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: own\nstatistics:\n  top_n: 3\n"
    )
    outcome = lcrp("--config-dir", "mine", "--cfg", "job", "+experiment=figure")
    assert (outcome.code, outcome.err) == (0, [])
    assert "  name: own" in outcome.out
    assert "    width: 0.1" in outcome.out
    assert "  top_n: 3" in outcome.out


def test_hydras_searchpath_finds_a_users_folder_too(lcrp: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "mine" / "composite").mkdir(parents=True)
    (tmp_path / "mine" / "composite" / "own.yaml").write_text("_target_: my.composite\nname: own\n")
    outcome = lcrp(f"hydra.searchpath=[file://{tmp_path}/mine]", "composite=own", "--cfg", "job", "-p", "composite")
    assert outcome.code == 0
    assert "name: own" in outcome.out


def test_python_m_lcrp_runs_from_any_folder(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-m", "lcrp", "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "lcrp stage=glocal" in done.stdout


def test_what_is_left_is_listed_and_deleted(lcrp: CommandLine, tmp_path: Path) -> None:
    assert lcrp(*TINY).code == 0
    listed = lcrp("stage=clean")
    assert (listed.code, listed.err) == (0, [])
    text = "\n".join(listed.out)
    assert "_glocal_yolov5_scenes: ended well" in text
    assert ".h5: complete" in text
    assert "2 things, " in text
    done = lcrp("stage=clean", "stage.delete=[outputs/runs/*,outputs/statistics/yolov5_scenes_epsilon_plus_flat]")
    assert (done.code, done.err) == (0, [])
    assert not list((tmp_path / "outputs" / "statistics").iterdir())
    assert len(list((tmp_path / "outputs" / "runs").iterdir())) == 1  # its own
    refused = lcrp("stage=clean", "stage.delete=[../x]")
    assert (refused.code, len(refused.err)) == (1, 1)
    assert "'../x' is not deleted: it is not below 'outputs' or 'multirun'" in refused.err[0]
