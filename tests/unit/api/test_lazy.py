"""``import lcrp``: quick, without torch, and its names stay what they are whatever is imported later."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import lcrp


def test_import_loads_neither_torch_nor_anything_that_takes_long() -> None:
    heavy = "{'torch', 'numpy', 'hydra', 'omegaconf', 'matplotlib', 'h5py', 'PIL', 'pandas'}"
    code = f"import sys, lcrp; print(sorted({heavy} & set(sys.modules)), lcrp.__version__)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["[]", lcrp.__version__]


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lcrp' has no attribute 'explian'"):
        _ = lcrp.explian  # type: ignore[attr-defined]


def test_every_public_name_is_there_and_listed() -> None:
    assert set(lcrp.__all__) <= set(dir(lcrp))
    for name in lcrp.__all__:
        assert getattr(lcrp, name) is not None


def test_functions_stay_functions_once_all_modules_are_imported() -> None:
    """A module at the top of the package that bears a function's name would take its place after its first import."""
    names = [module.name for module in pkgutil.walk_packages(lcrp.__path__, "lcrp.") if module.name != "lcrp.__main__"]
    for name in names:
        importlib.import_module(name)
    assert not set(lcrp.__all__) & {name.split(".")[1] for name in names}
    for name in lcrp.__all__:
        assert not inspect.ismodule(getattr(lcrp, name))
