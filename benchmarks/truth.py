"""Which method says what decisions depend on, on all models, trained with and without bias: `make benchmark-truth`.

Every model runs stage=truth twice on the same pictures: with its own checkpoint, trained at context_bias 0.95, and with
one trained at 0.2, where only about a third of the objects stand in their own context. The first should lean more on
the context, and its heatmaps should say so.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lcrp.evidence.intervals import Interval
from lcrp.models.checkpoint import WEIGHTS_FOLDER
from lcrp.stages.truth.tables import interval
from lcrp.storage.evidence import read_evidence
from lcrp.values.evidence import Table

MODELS = ("yolov5", "yolov6", "yolo", "ssd", "unet", "deeplabv3plus")
KINDS = {"biased": "", "unbiased": "_unbiased"}  # ends of the checkpoints' names
OUTPUT = Path("outputs") / "truth"
SAME = ("dataset=scenes", "dataset.split=val", "dataset.context_bias=0.95")

Job = tuple[str, str]  # model and kind
Tables = dict[str, Table]


def main(overrides: Sequence[str]) -> int:
    """Run what can be run, and print the leaderboard; the number of runs that failed."""
    jobs = [(model, kind) for model in MODELS for kind in KINDS]
    there = [job for job in jobs if (WEIGHTS_FOLDER / f"{checkpoint(*job)}.pt").is_file()]
    missing = [checkpoint(*job) for job in jobs if job not in there]
    if missing:
        print(f"not there: {', '.join(missing)}; `make weights` trains them. Going on without.")
    results = {job: ran(overrides, job) for job in there}
    found = {job: tables for job, tables in results.items() if tables is not None}
    for kind in KINDS:
        of_kind = {model: tables for (model, its_kind), tables in found.items() if its_kind == kind}
        if of_kind:
            leaderboard(kind, "context", of_kind)
            leaderboard(kind, "parts", of_kind)
            falls = [summary(tables, "relevance_fall_agreement") for tables in of_kind.values()]
            print(f"{kind} checkpoints: rank correlation of the relevance that leaves the context when it is another")
            print(line("fall of relevance", [*map(str, falls), f"{mean(falls):.2f}"]))
    both = [model for model in MODELS if all((model, kind) in found for kind in KINDS)]
    if both:
        order({model: (found[model, "biased"], found[model, "unbiased"]) for model in both})
    return len(results) - len(found)


def checkpoint(model: str, kind: str) -> str:
    """Name of an embedded checkpoint."""
    return f"{model}_scenes{KINDS[kind]}"


def ran(overrides: Sequence[str], job: Job) -> Tables | None:
    """What stage=truth finds for one model and checkpoint; None if it failed."""
    model, kind = job
    folder = (OUTPUT / f"{model}_{kind}").resolve()
    own = ("stage=truth", f"model={model}", f"model.checkpoint=embedded:{checkpoint(*job)}", f"hydra.run.dir={folder}")
    done = subprocess.run(
        [sys.executable, "-m", "lcrp", *own, *SAME, *overrides], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        print(f"{model}, {kind}: {last}", flush=True)
        return None
    print(f"{model}, {kind}: {folder / 'truth.h5'}", flush=True)
    return read_evidence(folder / "truth.h5")


def leaderboard(kind: str, what: str, found: Mapping[str, Tables]) -> None:
    """Rank correlation with causal reliance, methods by models, the best on average first."""
    rows = {
        name: [interval(tables["methods"], row, f"{what}_agreement") for tables in found.values()]
        for row, name in enumerate(next(iter(found.values()))["methods"].columns["method"])
    }
    print(f"\n{kind} checkpoints: rank correlation of relevance on {what} with causal reliance (95 % intervals)")
    print(line("", [*found, "mean"]))
    for name, cells in sorted(rows.items(), key=lambda item: -mean(item[1])):
        print(line(str(name), [*map(str, cells), f"{mean(cells):.2f}"]))


def order(found: Mapping[str, tuple[Tables, Tables]]) -> None:
    """Whether the biased checkpoint leans more on the context, and whether the methods say so."""
    print("\nbiased beside unbiased checkpoint: is the first one higher, with 95 % intervals apart?")
    print(line("", list(found)))
    for name, measure in (("causal reliance", "context_reliance"), ("fall of relevance", "relevance_fall")):
        means = [tuple(summary(tables, measure) for tables in pair) for pair in found.values()]
        print(line(name, [verdict(*pair) for pair in means]))
    names = next(iter(found.values()))[0]["methods"].columns["method"]
    for row, name in enumerate(names):
        shares = [[interval(tables["methods"], row, "context_share") for tables in pair] for pair in found.values()]
        print(line(f"share, {name}", [verdict(*pair) for pair in shares]))


def summary(tables: Tables, measure: str) -> Interval:
    """A mean over all targets, by its name."""
    columns = tables["summary"].columns
    row = list(columns["measure"]).index(measure)
    return Interval(**{end: float(columns[end][row]) for end in ("value", "low", "high")})


def verdict(biased: Interval, unbiased: Interval) -> str:
    """For example ``yes  0.31 / 0.12``."""
    answer = "yes" if biased.is_above(unbiased) else "REVERSED" if unbiased.is_above(biased) else "no"
    return f"{answer}  {biased.value:.2f} / {unbiased.value:.2f}"


def mean(cells: Sequence[Interval]) -> float:
    """Mean of the values."""
    return sum(cell.value for cell in cells) / len(cells)


def line(name: str, cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"{name:<26}" + "".join(f"{cell:<24}" for cell in cells)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
