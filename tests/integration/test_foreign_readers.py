"""What stage=export writes, read by the tools themselves, each in an environment of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import colour_world
import pytest

from lcrp.decisions.selection import Selection
from lcrp.stages.export import ExportSettings, export

pytestmark = pytest.mark.slow

VIRELAY = """
import json, sys
from virelay.model import Project
project = Project(sys.argv[1])
(method,) = project.get_analysis_methods()
names = project.get_analysis_clustering_names(method), project.get_analysis_embedding_names(method)
analyses = [
    (one.human_readable_name, project.get_analysis(method, one.name, names[0][0], "spectral").embedding.shape[0])
    for one in project.get_analysis_categories(method)
]
rows = [project.get_attribution(index) for index in range(len(project.dataset))]
shapes = {one.data.shape for one in rows} | {project.get_sample(index).data.shape for index in range(len(rows))}
assert all(one.render_heatmap("blue-white-red").shape[:2] == one.data.shape[:2] for one in rows)
print(json.dumps([len(rows), [one.labels[0].name for one in rows], sorted(shapes), analyses]))
"""
FIFTYONE = """
import json, os, sys
import fiftyone.utils.data as readers
reader = readers.FiftyOneDatasetImporter(sys.argv[1])
assert reader._is_legacy_format_data()  # as Dataset.from_dir asks
with reader._to_legacy_importer() as samples:
    found = [
        (one.filepath, [(each.label, one[each.heatmap].map_path) for each in one.decisions.detections])
        for one in samples
    ]
assert all(os.path.isfile(path) for picture, each in found for path in (picture, *(heatmap for _, heatmap in each)))
print(json.dumps([[label for label, _ in each] for _, each in found]))
"""


def python_with(package: str, home: Path) -> str:
    """A Python that has a package; the test is left out where none can be installed."""
    python = home / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    made = subprocess.run([str(python), "-m", "pip", "install", "-q", package], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"{package} cannot be installed here: {made.stderr.strip().splitlines()[-1]}")
    return str(python)


def exported(home: Path, kind: str) -> Path:
    selection = Selection(image=None, samples=None, class_name=None, max_targets=5)
    settings = ExportSettings(folder=home / kind, format=kind, selection=selection, layer="2", num_decisions=40)  # type: ignore[arg-type]
    subject = colour_world.subject(colour_world.Squares(15))
    return export(subject, colour_world.statistics(), settings, colour_world.run(home))


def told(python: str, program: str, argument: Path, home: Path) -> object:
    environment = {**os.environ, "HOME": str(home), "FIFTYONE_DO_NOT_TRACK": "1"}
    run = [python, "-c", program, str(argument)]
    return json.loads(subprocess.run(run, capture_output=True, text=True, check=True, env=environment).stdout)


def test_virelay_opens_a_project(tmp_path):
    folder = exported(tmp_path, "virelay")
    python = python_with("virelay==0.6.1", tmp_path / "environment")
    length, names, shapes, analyses = told(python, VIRELAY, folder / "project.yaml", tmp_path)  # type: ignore[misc]
    assert length == len(names) >= 14
    assert shapes == [[128, 128, 3]]
    assert {name for name, _ in analyses} >= {"boat", "car"}
    assert sum(count for _, count in analyses) <= length
    assert names.count("boat") == names.count("car") == 7


def test_fiftyone_loads_a_dataset(tmp_path):
    """By its reader of folders alone: its datasets need MongoDB."""
    python = os.environ.get("LCRP_FIFTYONE")
    if not python:
        pytest.skip("FiftyOne brings a database: LCRP_FIFTYONE=PYTHON names an interpreter that has it")
    labels = told(python, FIFTYONE, exported(tmp_path, "fiftyone"), tmp_path)
    assert len(labels) == 15  # type: ignore[arg-type]
    assert sum("boat" in one for one in labels) == sum("car" in one for one in labels) == 7  # type: ignore[union-attr, attr-defined]
