"""Which rows the means of stage=truth are taken over."""

import numpy as np
import pytest

from lcrp.stages.truth.tables import MEASURES, summary_tables
from lcrp.values.evidence import Table


def test_means_over_targets_are_those_of_objects_in_their_own_context() -> None:
    """Targets are at home but for the last one; parts and concepts count wherever their object stands."""
    values = np.array([0.2, 0.4, 0.9])
    sample = {"sample": np.arange(3)}
    tables = {
        kind: Table(name=kind, columns=sample | {name: values for name, its in MEASURES.items() if its == kind})
        for kind in ("targets", "parts", "concepts")
    }
    shares = {"share_lrp": values, "is_home": np.array([1, 1, 0])}
    tables["targets"] = Table(name="targets", columns={**tables["targets"].columns, **shares})
    tables["parts"] = Table(name="parts", columns={**tables["parts"].columns, "share_lrp": values})
    summary = summary_tables(tables, ["lrp"])["summary"].columns
    found_means = dict(zip(summary["measure"], summary["value"], strict=True))
    for name, kind in MEASURES.items():
        assert found_means[name] == pytest.approx(0.3 if kind == "targets" else 0.5)
