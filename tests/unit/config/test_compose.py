"""Settings composed from Python: what `lcrp` would run with, whatever a program does with Hydra itself."""

import threading
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.version import VersionBase

from lcrp.config.compose import composed, composition
from lcrp.config.methods import methods
from lcrp.errors import ConfigError


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A person's folder beside lcrp's."""
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "own.yaml").write_text("defaults: [yolov5, _self_]\nname: own\nmax_detections: 3\n")
    return tmp_path / "conf"


def test_settings_are_those_of_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    config = composed(["model=unet", "statistics.top_n=7"])
    assert (config.model.name, config.model.checkpoint) == ("unet", "embedded:unet_scenes")
    assert config.statistics.top_n == 7
    assert capfd.readouterr() == ("", "")


def test_folders_of_a_persons_own_are_searched(own_folder: Path) -> None:
    config = composed(["model=own"], own_folder)
    assert (config.model.name, config.model.max_detections) == ("own", 3)
    with pytest.raises(ConfigError, match="model 'own' does not exist; nearest: "):
        composed(["model=own"])


@pytest.mark.parametrize("override", ["statistics.topn=3", "modle=unet", "model=3", "model=[", "statistics.top_n=0"])
def test_what_is_wrong_is_one_error_of_lcrp(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        composed([override])
    assert "\n" not in str(caught.value)


def test_a_program_that_uses_hydra_finds_its_configuration_again(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("number: 5\nname: ${hydra:job.name}\n")
    with initialize_config_dir(str(tmp_path), job_name="host", version_base="1.2"):
        assert composed().model.name == "yolov6"
        with pytest.raises(ConfigError):
            composed(["nothing=1"])
        assert compose("app", return_hydra_config=True).hydra.job.name == "host"
        assert compose("app").number == 5
        assert str(VersionBase.instance().version_base) == "1.2"


def test_nothing_of_hydra_is_left_behind() -> None:
    before = GlobalHydra.instance().is_initialized()
    composed()
    assert GlobalHydra.instance().is_initialized() == before


def test_compositions_may_be_nested() -> None:
    with composition():
        assert composed(["model=ssd"]).model.name == "ssd"
        assert [method.name for method in methods(["gradcam", "gradient"])] == ["gradcam", "gradient"]


def test_threads_compose_one_after_the_other() -> None:
    found: dict[str, str] = {}

    def work(model: str) -> None:
        found[model] = composed([f"model={model}"]).model.name

    threads = [threading.Thread(target=work, args=(model,)) for model in ("yolov5", "ssd", "unet", "yolov6")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {model: model for model in ("yolov5", "ssd", "unet", "yolov6")}
