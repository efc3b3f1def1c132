"""Runs of the Python door: they lie where those of the command line lie, and say the same of themselves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import torch

from lcrp.decisions.subject import Subject
from lcrp.runs.progress import OnProgress
from lcrp.runs.provenance import write_provenance
from lcrp.runs.run import Run

OUTPUTS = "outputs"  # of the present folder


def shared_run(on_progress: OnProgress | None) -> Run:
    """A run that leaves nothing of its own: what it makes lies where all runs find it."""
    root = Path.cwd() / OUTPUTS
    return Run(folder=root, output_root=root, on_progress=on_progress)


@contextmanager
def own_run(name: str, subject: Subject, on_progress: OnProgress | None) -> Iterator[Run]:
    """A run with a folder of its own, and with its provenance once the block has ended well.

    Args:
        name: of what is done.
        subject: what it is done to.
        on_progress: is told how far it is.
    """
    root = Path.cwd() / OUTPUTS
    model, dataset = subject.explainer.name, subject.dataset_name or subject.dataset.name
    folder = root / "runs" / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}_{name}_{model}_{dataset}".replace(" ", "-")
    folder.mkdir(parents=True)
    began = time.monotonic()
    run = Run(folder=folder, output_root=root, on_progress=on_progress)
    yield run
    facts = {
        "function": f"lcrp.{name}",
        "device": str(subject.explainer.device),
        "precision": subject.explainer.precision,
        "threads": torch.get_num_threads(),
        **subject.identity,
        **run.notes,
    }
    write_provenance(folder, facts, seconds=time.monotonic() - began)
