"""The tutorial runs from its first cell to its last, and shows what its words say."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PROJECT = Path(__file__).parents[2]
TUTORIAL = PROJECT / "docs" / "tutorial.ipynb"


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the kernel's client warns of its own
def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "src"))
    notebook = nbformat.read(TUTORIAL, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in shown)
    assert "boat 0.55: 2 % of the relevance lies outside; concepts 21, 17, 27" in text
    assert sum("image/png" in output.get("data", {}) for output in shown) == 4  # the picture and three figures
    told = [output.text for output in shown if output.get("name") == "stderr"]
    assert not [text for text in told if text.strip() and not re.search(r": \d+/\d+ ", text)], "progress alone"
    assert (tmp_path / "decision_0.png").is_file()
