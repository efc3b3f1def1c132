"""stage=verify: whether a run's inputs, versions and files are still what they were."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from lcrp.errors import StoreError
from lcrp.runs.provenance import commit, file_sha256, versions
from lcrp.runs.run import Run
from lcrp.storage.atomic import write_json
from lcrp.storage.location import differences

log = logging.getLogger(__name__)

REPORT_FILE = "verification.json"
_OF_THE_MOMENT = frozenset({"command", "host", "threads", "wall_seconds", "peak_memory_mib", "written"})


def verify(folder: Path, recorded: Mapping[str, object], facts: Mapping[str, object], run: Run) -> Path:
    """Compare a run with what the same command would find now; its files by their sha256.

    Args:
        folder: of the run.
        recorded: its provenance.
        facts: what the same settings give now: device, checkpoint and dataset hashes, as provenance has them.
        run: has the folder of the report.

    Returns:
        The report.

    Raises:
        StoreError: something is different; all of it is named.
    """
    then = {name: value for name, value in recorded.items() if name not in _OF_THE_MOMENT}
    now: dict[str, object] = json.loads(json.dumps({"versions": versions(), "commit": commit(), **facts}, default=str))
    written = cast(Mapping[str, str], recorded.get("written", {}))
    changed = [*differences(then, now), *_changed_files(written)]
    path = run.folder / REPORT_FILE
    write_json(path, {"run": str(folder), "changed": changed, "files": len(written)})
    if changed:
        what = "1 thing" if len(changed) == 1 else f"{len(changed)} things"
        raise StoreError(f"{what} changed since '{folder}': {'; '.join(changed)}")
    log.info("verify: nothing changed since '%s': settings, versions, inputs and %d files", folder, len(written))
    return path


def _changed_files(written: Mapping[str, str]) -> list[str]:
    changed = []
    for name, sha256 in written.items():
        path = Path(name)
        if not path.is_file():
            changed.append(f"'{name}' is gone")
        elif file_sha256(path) != sha256:
            changed.append(f"'{name}' has another content")
    return changed
