"""Objects that stage=audit put before other grounds, as the explorer shows them."""

import logging
from itertools import groupby
from pathlib import Path
from typing import Any

from lcrp.page.audit import AuditedContent, SwappedContent
from lcrp.stages.explore.measured import Tables

SIDES = ("left", "top", "right", "bottom")

log = logging.getLogger(__name__)


def audited(found: tuple[Path, Tables] | None, *, is_pictured: bool) -> tuple[AuditedContent, ...]:
    """What the audit's table 'shown' says, with the pictures that lie beside it.

    Args:
        found: file and tables of stage=audit; None where there are none.
        is_pictured: whether pictures are shown.
    """
    if found is None or "shown" not in found[1]:
        return ()
    path, table = found[0], found[1]["shown"]
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows())
    return tuple(
        _object(path.parent, list(own), is_pictured=is_pictured) for _, own in groupby(rows, lambda row: row["file"])
    )


def _object(folder: Path, rows: list[dict[str, Any]], *, is_pictured: bool) -> AuditedContent:
    first = rows[0]
    return AuditedContent(
        class_name=first["class"],
        key=first["key"],
        size=(first["height"], first["width"]),
        swapped=tuple(
            SwappedContent(
                ground=row["ground"],
                label=row["label"],
                score=row["score"],
                outcome=row["outcome"],
                box=tuple(row[side] for side in SIDES),
            )
            for row in rows
        ),
        strip=_strip(folder / Path(first["file"])) if is_pictured else None,
    )


def _strip(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        log.warning("objects in other surroundings are shown without a picture: %s", error)
        return None
