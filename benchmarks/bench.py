"""How fast lcrp is, beside the plain network, its rivals and zennit-crp, and what it needs: `make bench`.

Everything is measured in one process, the rivals in turn; memory in processes of its own. Told are medians and
quartiles; a ratio is the median of the ratios within each turn.
"""

import argparse
import json
import platform
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch

import contests
import libraries
from lcrp.runs.provenance import versions
from memory import memory
from subjects import NAMES, subject
from timing import Report
from trained import growth, precision

EVERY = (*NAMES, *libraries.NETWORKS)
WHAT = ("attribution", "pass", "glocal", "render", "memory", "growth", "precision")
ROWS = {  # of the table: what is measured, which of its ratios
    "one target, lcrp / plain gradient": ("attribution", "lcrp / plain"),
    "one target, zennit / plain gradient": ("attribution", "zennit / plain"),
    "one target, yolo-heatmaps' rules restated / plain gradient": ("attribution", "yolo-heatmaps / plain"),
    "one target, LXT's efficient form / plain gradient": ("attribution", "lxt / plain"),
    "a further target / the first": ("attribution", "further target / first"),
    "dataset pass, 3 targets per image, lcrp / 2 forward passes and 3 gradients": ("pass, 3 targets", "lcrp / floor"),
    "the same, pictures side by side": ("pass, 3 targets", "side by side / floor"),
    "dataset pass, 1 target per image, zennit-crp / lcrp": ("glocal, 1 targets", "zennit-crp / lcrp"),
    "dataset pass, 3 targets per image, zennit-crp / lcrp": ("glocal, 3 targets", "zennit-crp / lcrp"),
    "dataset pass, 8 targets per image, zennit-crp / lcrp": ("glocal, 8 targets", "zennit-crp / lcrp"),
    "figure with 36 references, zennit-crp / lcrp": ("render", "zennit-crp / lcrp"),
    "the same figure again / the first time": ("render", "cached / cold"),
    "memory of a dataset pass / plain gradient": ("memory", "lcrp / plain"),
    "time per image after 2,000 / at first": ("growth", "late / early"),
}


def main() -> None:
    """Measure what is asked for, write all numbers, print a table of the ratios."""
    parser = argparse.ArgumentParser(description="lcrp beside the plain network, its rivals and zennit-crp")
    parser.add_argument("--models", nargs="+", choices=EVERY, default=list(EVERY))
    parser.add_argument("--what", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--targets", nargs="+", type=int, default=[1, 3, 8], help="per image, for pass and glocal")
    parser.add_argument("--images", type=int, default=1, help="of a chunk, for pass, glocal and memory")
    parser.add_argument("--pictures", type=int, default=2_000, help="of the pass, for growth")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("outputs/bench.json"), help="numbers are added to it")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {"models": {}}
    report |= {"machine": machine(), "threads": options.threads, "turns": options.turns}
    for name in options.models:
        for title, measure in measurements(name, options):
            found = measure()
            print(name, title, summary(found), flush=True)
            report["models"].setdefault(name, {})[title] = found
            options.output.parent.mkdir(parents=True, exist_ok=True)
            options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(table(report["models"]))
    print(options.output)


def measurements(name: str, options: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Report]]]:
    """Titles of what is asked for of one model, and how each is measured."""
    turns = options.turns
    if name in libraries.NETWORKS:
        if "attribution" in options.what:
            yield "attribution", partial(libraries.attribution, name, turns)
        return
    one = subject(name)
    if "attribution" in options.what:
        yield "attribution", partial(contests.attribution, one, turns)
    for count in options.targets if "pass" in options.what else ():
        yield f"pass, {count} targets", partial(contests.dataset_pass, one, count, turns, num_images=options.images)
    for count in options.targets if "glocal" in options.what else ():
        yield f"glocal, {count} targets", partial(contests.glocal, one, count, turns, num_images=options.images)
    if "render" in options.what:
        yield "render", partial(contests.render, one, turns)
    if "memory" in options.what:
        yield "memory", partial(memory, name, options.images)
    if "growth" in options.what:
        yield "growth", partial(growth, name, options.pictures)
    if "precision" in options.what:
        yield "precision", partial(precision, name)


def summary(found: Report) -> str:
    """One line: every ratio with its quartiles."""
    parts = []
    for name, value in found.items():
        if isinstance(value, dict) and "median" in value:
            parts.append(f"{name} {value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})")
        elif isinstance(value, float):
            parts.append(f"{name} {value:.2g}")
    return ", ".join(parts)


def table(models: dict[str, Report]) -> str:
    """Markdown: a row per ratio, a column per model."""
    lines = [" | ".join(("", *models)), " | ".join(("---", *["---"] * len(models)))]
    for title, (what, name) in ROWS.items():
        cells = [cell(found.get(what), name) for found in models.values()]
        if any(cells):
            lines.append(" | ".join((title, *cells)))
    return "\n".join(f"| {line} |" for line in lines)


def cell(found: object, name: str) -> str:
    """A ratio's median, or nothing where it was not measured."""
    value = found.get(name) if isinstance(found, dict) else None
    if isinstance(value, dict):
        return f"{value['median']:.2f}"
    return f"{value:.2f}" if isinstance(value, float) else ""


def machine() -> dict[str, object]:
    """What the numbers depend on."""
    return {**versions(), "zennit-crp": version("zennit-crp"), "processor": platform.processor() or platform.machine()}


if __name__ == "__main__":
    main()
