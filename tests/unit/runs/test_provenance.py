"""Provenance: versions are told of installed packages, and of others that they are unknown."""

from importlib.metadata import PackageNotFoundError

import lcrp
from lcrp.runs.provenance import versions


def test_a_package_that_is_only_on_the_path_has_no_version(monkeypatch):
    """Copied sources are not installed: what was computed is kept all the same."""

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("lcrp.runs.provenance.metadata.version", missing)
    found = versions()
    assert found["lcrp"] == lcrp.__version__
    assert found["torch"] == "unknown"
