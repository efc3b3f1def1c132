"""Runs of the Python door: they lie where those of the command line lie, and say the same of themselves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import torch

from lcrp.decisions.subject import Subject
from lcrp.runs.progress import OnProgress
from lcrp.runs.provenance import PROVENANCE_FILE, write_provenance
from lcrp.runs.run import OUTPUTS, Run
from lcrp.storage.atomic import unwritable
from lcrp.storage.lock import in_use
from lcrp.values.names import safe_name


def shared_run(on_progress: OnProgress | None) -> Run:
    """A run that leaves nothing of its own: what it makes lies where all runs find it."""
    root = Path.cwd() / OUTPUTS
    return Run(folder=root, output_root=root, on_progress=on_progress)


@contextmanager
def own_run(name: str, subject: Subject, on_progress: OnProgress | None) -> Iterator[Run]:
    """A run with a folder of its own, and with its provenance once the block has ended well.

    Data that cannot be recognised again shares nothing with other runs, which may be of other data.

    Args:
        name: of what is done.
        subject: what it is done to.
        on_progress: is told how far it is.

    Raises:
        StoreError: the folder cannot be made.
    """
    root = Path.cwd() / OUTPUTS
    model, dataset = subject.explainer.name, subject.dataset_name or subject.dataset.name
    names = "_".join(map(safe_name, (name, model, dataset)))
    folder = root / "runs" / f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}_{names}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    began = time.monotonic()
    shared = root if subject.dataset.fingerprint() else folder
    run = Run(folder=folder, output_root=shared, on_progress=on_progress)
    with in_use(folder / PROVENANCE_FILE):
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
