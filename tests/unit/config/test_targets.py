"""What ``_target_`` names is found, told and called by name."""

import sys
from pathlib import Path

import pytest

from lcrp.config.targets import call, check_arguments, is_own, locate, takes
from lcrp.errors import ConfigError


def target(network: object, *, width: float = 1.0, depth: int) -> tuple[object, ...]:
    return (network, width, depth)


def test_classes_and_functions_are_located() -> None:
    assert locate("lcrp.models.unet.UNet", "key").__name__ == "UNet"
    assert locate(f"{__name__}.target", "key") is target


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.Net", r"^key='nowhere.Net' cannot be imported \(.*nowhere.*\); its folder must be on PYTHONPATH"),
        ("lcrp.models.unet.Unet", r"^key='lcrp.models.unet.Unet' cannot be imported"),
        ("lcrp.data.voc.NAME", r"^key='lcrp.data.voc.NAME' is neither a class nor a function"),
    ],
)
def test_what_is_not_there_is_told_with_the_setting(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        locate(path, "key")


def test_a_module_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_module.py").write_text("raise RuntimeError('no\\nway')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be imported .*no way"):
        locate("failing_module.thing", "key")
    assert "failing_module" not in sys.modules


def test_own_code_is_what_lcrp_defines() -> None:
    assert is_own("lcrp.models.unet.UNet")
    assert not is_own("lcrp.models.unet.nn.Conv2d")  # imported there
    assert not is_own("torch.nn.Conv2d")
    assert not is_own("lcrp.nowhere.Net")
    assert not is_own("lcrpx.Net")


def test_arguments_are_given_by_name() -> None:
    assert call(target, {"network": 1, "depth": 2}, "model.network") == (1, 1.0, 2)
    assert takes(target, "width")
    assert not takes(target, "height")


def test_unknown_and_missing_arguments_are_told() -> None:
    with pytest.raises(ConfigError, match=r"^key: target: .*unexpected keyword argument 'widht'; nearest: 'width'"):
        call(target, {"network": 1, "depth": 2, "widht": 3}, "key")
    with pytest.raises(ConfigError, match=r"^key: target: missing a .*'depth'; it takes network, width, depth"):
        call(target, {"network": 1}, "key")
    check_arguments(target, {"depth": 2}, "key", first="network")
    with pytest.raises(ConfigError, match=r"^key: target: .*; nearest: 'depth', 'width'$"):
        check_arguments(target, {"depht": 2}, "key", first="network")
