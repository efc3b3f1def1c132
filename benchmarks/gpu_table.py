"""What `benchmarks/gpu.py` found, as a table."""

from collections.abc import Sequence

from timing import Report

GIB = 1 << 30


def table(report: Report, rows: Sequence[Report]) -> str:
    """Markdown: what was measured where, and a row per network and precision."""
    found = report["machine"]
    assert isinstance(found, dict)
    quick = " Only tried, on narrow networks and small inputs: these numbers say nothing." if report["quick"] else ""
    heads = ("network", "input", "precision", "images/s", "plain", "batch", "GiB", "ended", "render, s", "GiB")
    lines = [
        f"{found['device']}, torch {found['torch']}, {report['date']}.{quick} {report['how']}",
        "",
        f"| {' | '.join(heads)} |",
        f"|{' --- |' * len(heads)}",
        *map(cells, rows),
    ]
    return "\n".join(lines) + "\n"


def cells(row: Report) -> str:
    """A row of the table: the fastest batch of the pass, and the render."""
    glocal, drawn, size = row["glocal"], row["render"], row["input"]
    assert isinstance(glocal, dict)
    assert isinstance(drawn, dict)
    assert isinstance(size, list)
    best = max(glocal.get("batches", ()), key=speed, default=None)
    told = ("", "", "", "")
    if best:
        plain = best["plain seconds"]
        share = "" if plain is None else f"{plain / best['seconds']:.0%}"
        told = (f"{best['images per second']:.1f}", share, str(best["batch"]), gib(best["peak bytes"]))
    seconds = f"{drawn['seconds']:.2f}" if "seconds" in drawn else drawn["ended"]
    values = (row["model"], "x".join(map(str, size)), row["precision"], *told, glocal["ended"], seconds)
    return f"| {' | '.join(map(str, values))} | {gib(drawn.get('peak bytes'))} |"


def speed(batch: Report) -> float:
    """Images per second of a pass with batches of a size."""
    found = batch["images per second"]
    assert isinstance(found, float)
    return found


def gib(value: int | None) -> str:
    """Bytes in GiB, or nothing where they were not measured."""
    return "" if value is None else f"{value / GIB:.2f}"
