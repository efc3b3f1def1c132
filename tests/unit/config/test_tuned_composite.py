"""composite=tuned: the file of a network is found, checked and taken."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

import lcrp
from lcrp.config.composite import TUNED
from lcrp.config.tuned import with_composite_of
from lcrp.decisions.subject import StatisticsSettings, Subject, statistics_key
from lcrp.errors import ConfigError, LcrpError
from lcrp.storage.tuned import Tuned, network_hash, read_tuned, write_tuned

UNET, YOLO = "embedded:unet_scenes", "embedded:yolov6_scenes"
SETTINGS = {"rule": "gamma 0.5", "layers": {"epsilon": ["encoder.features.0"]}, "first": None, "attention": "cp"}


@pytest.fixture(scope="module")
def network() -> str:
    """What the embedded UNet is."""
    return network_hash(lcrp.load(UNET).identity()["model"])  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files lie below the current folder."""
    monkeypatch.chdir(tmp_path)


def written(network: str, path: str | Path = "mine.yaml", **other: Any) -> Path:
    fields: dict[str, Any] = {"composite": "tuned", "settings": SETTINGS, "network_name": "unet", "network": network}
    write_tuned(Path(path), Tuned(**fields | other))
    return Path(path)


def test_what_is_written_is_read(network: str) -> None:
    tuned = Tuned(composite="tuned", settings=SETTINGS, network_name="unet", network=network, evidence={"seed": 3})
    write_tuned(Path("deep/tuned.yaml"), tuned)
    assert read_tuned(Path("deep/tuned.yaml")) == tuned


def test_rules_of_a_file_are_taken_and_are_part_of_the_statistics(network: str) -> None:
    found = lcrp.load(UNET, composite=written(network))
    assert found.composite.name == "tuned"
    assert found.composite.settings == SETTINGS
    other = lcrp.load(UNET, composite=written(network, settings=SETTINGS | {"rule": "gamma 0.1"}))
    assert lcrp.load(UNET, composite="mine.yaml").composite == other.composite

    def place(explainer: lcrp.Explainer) -> object:
        dataset: Any = None
        identity = explainer.identity()
        subject = Subject(explainer=explainer, dataset=dataset, num_workers=0, dataset_name="d", identity=identity)
        settings = StatisticsSettings(
            targets="predicted", layers=(), top_n=1, top_n_per_class=1, batch_size=1, num_samples=None, record=False
        )
        return statistics_key(subject, settings).config()

    assert place(found) != place(other)


def test_the_newest_of_this_network_is_taken(network: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    places = [f"outputs/runs/{name}/tuned.yaml" for name in ("first", "second", "third", "fourth")]
    written(network, places[0], settings=SETTINGS | {"rule": "gamma 0.1"})
    written(network, places[1])
    written("f" * 64, places[2])  # of another network
    Path(places[3]).parent.mkdir()
    Path(places[3]).write_text("{", encoding="utf-8")
    for second, place in enumerate(places):
        os.utime(place, (second, second))
    assert lcrp.load(UNET, composite="tuned").composite.settings == SETTINGS
    assert "second/tuned.yaml' (1 older for this network; composite.file=FILE takes another)" in caplog.text
    newest = {"composite": None, "settings": {}, "evidence": {"verdict": "the default 'own'\nstays: on 8"}}
    written(network, "multirun/today/0_tune/tuned.yaml", **newest)
    assert lcrp.load(UNET, composite="tuned").composite == lcrp.load(UNET).composite
    told = "0_tune/tuned.yaml' (2 older for this network; composite.file=FILE takes another), which says: the default"
    assert f"{told} 'own' stays: on 8" in caplog.text
    caplog.clear()
    lcrp.load(UNET, composite=places[0])
    assert caplog.messages[-1].endswith("first/tuned.yaml'")  # what was chosen has no others


@pytest.mark.parametrize(("model", "name"), [(UNET, "epsilon_plus_flat"), (YOLO, "epsilon_gamma_flat")])
def test_without_a_file_the_models_default_is_taken(model: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tuned, usual = lcrp.load(model, composite="tuned"), lcrp.load(model)
    assert tuned.composite == usual.composite
    assert tuned.composite.name == name
    assert f"was for this network: the default {name} is taken" in caplog.text


def test_the_default_that_stayed_is_taken_as_it_is(network: str) -> None:
    """So that its statistics are found again."""
    usual = lcrp.load(UNET)
    assert lcrp.load(UNET, composite=written(network, composite=None, settings={})).composite == usual.composite
    named = {"composite": "epsilon_plus_flat", "settings": dict(usual.composite.settings)}
    assert lcrp.load(UNET, composite=written(network, **named)).identity() == usual.identity()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"network": "f" * 64, "network_name": "mine"}, "was tuned for another network or other weights (mine)"),
        ({"settings": SETTINGS | {"layers": {"epsilon": ["nolayer"]}}}, "layer 'nolayer' is not in unet; nearest: "),
        ({"settings": SETTINGS | {"rule": "zplus"}}, "rule 'zplus' is unknown; nearest: 'z_plus'"),
        ({"settings": SETTINGS | {"layers": {"gama 1": ["encoder.*"]}}}, "rule 'gama 1' is unknown"),
        ({"settings": SETTINGS | {"layers": {"epsilon": "encoder.*"}}}, "is no list of layers with the rule 'epsilon'"),
        ({"settings": SETTINGS | {"layers": 3}}, "layers: 3 does not say which rule"),
        ({"settings": SETTINGS | {"attention": "full"}}, "attention='full' of the composite is unknown"),
        ({"settings": {}}, "missing a required argument: 'rule'"),
        ({"settings": SETTINGS | {"more": 1}}, "unexpected keyword argument 'more'"),
        ({"composite": "lrp"}, "composite='lrp' is unknown; nearest: "),
    ],
)
def test_what_cannot_be_used_is_one_line(network: str, other: dict[str, Any], words: str) -> None:
    path = written(**{"network": network} | other)
    with pytest.raises(LcrpError) as error:
        lcrp.load(UNET, composite=path)
    assert words in str(error.value)
    assert "mine.yaml' " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, "is no file of stage=tune"),
        ({"version": 2}, "has version 2, and this lcrp reads version 1"),
        ({"composite": 3}, "its composite is 3, and no name"),
        ({"settings": None}, "it lacks settings, or the network's name and hash"),
        ({"network": {"name": "unet"}}, "it lacks settings, or the network's name and hash"),
    ],
)
def test_damaged_files_are_told(network: str, change: dict[str, Any], words: str) -> None:
    path = written(network)
    content = yaml.safe_load(path.read_text(encoding="utf-8")) | change
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(LcrpError, match=words):
        lcrp.load(UNET, composite=path)


TIMES_TEN = [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 7)]


@pytest.mark.parametrize(
    "text",
    [
        *("{", "a: [", "\tx", "- a\n- b", "", "x" * 100, "!!python/object:os.system {}", "a: 2026-02-31"),
        *("&a [*a]", "\n".join(["format: lcrp-tuned", "a0: &a0 [x]", *TIMES_TEN, "version: *a6"])),
    ],
)
def test_broken_yaml_is_told_and_runs_nothing(text: str) -> None:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(LcrpError, match=r"mine.yaml' (cannot be read as YAML|is no file of stage=tune)"):
        lcrp.load(UNET, composite="mine.yaml")


def test_other_settings_say_nothing_to_it(network: str) -> None:
    settings = {"_target_": TUNED, "name": "tuned", "file": str(written(network)), "rule": "z_plus"}
    with pytest.raises(ConfigError, match=r"composite\.rule says nothing to composite=tuned, which takes a file alone"):
        with_composite_of(lcrp.load(UNET), settings, Path())
    with pytest.raises(ConfigError, match="composite 'tuned' belongs to one network"):
        lcrp.evaluate(UNET, "scenes", methods=["tuned"])


def test_weights_and_architecture_are_what_a_network_is(network: str) -> None:
    explainer = lcrp.load(UNET)
    model: Any = replace(explainer, checkpoint_sha256="0" * 64).identity()["model"]
    assert network_hash(model) != network
    model = replace(explainer, name="renamed", mean=(0.5, 0.5, 0.5)).identity()["model"]
    assert network_hash(model) == network
