"""How fast lcrp is, beside the plain network and beside zennit and zennit-crp: `make bench`.

Everything is measured in one process, the rivals in turn, so that whatever slows the machine slows all of them. Told
are medians and quartiles; a ratio is the median of the ratios within each turn.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.stages.rounds import chunk_of, explained_chunk
from peer import glocal_of_zennit_crp, heatmap_of_zennit
from subjects import MEAN, NAMES, STD, Logits, Subject, subject, targets

Seconds = dict[str, list[float]]
Contender = Callable[[], Mapping[str, float]]  # one turn; seconds by name
Report = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of measured values: the median and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least two values."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median=median, low=low, high=high)


def in_turn(contenders: Sequence[Contender], turns: int) -> Seconds:
    """All contenders once to warm up, then in turn."""
    seconds: Seconds = {}
    for turn in range(turns + 1):
        for contender in contenders:
            measured = contender()
            for name, value in measured.items():
                seconds.setdefault(name, []).extend([value] if turn else [])
    return seconds


def ratio(seconds: Seconds, first: str, second: str) -> dict[str, float]:
    """How many times longer one takes than another."""
    return asdict(Spread.of([a / b for a, b in zip(seconds[first], seconds[second], strict=True)]))


def timed(run: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def attribution(one: Subject, turns: int) -> Report:
    """One target of one image: the plain network's gradient, ours, zennit's; and a further target of ours."""
    images, plain_network = one.images(1), Logits(one.network, 2)
    attributor = Attributor(one.network, one.composite, one.task, layers=(), mean=MEAN, std=STD)
    zennits = heatmap_of_zennit(one, images)
    heatmaps = {}

    def plain() -> Mapping[str, float]:
        def gradient(target: int) -> None:
            x = images.clone().requires_grad_()
            torch.autograd.grad(plain_network(x)[0, target], x)

        return {"plain": sum(timed(partial(gradient, target)) for target in (0, 1)) / 2}

    def ours() -> Mapping[str, float]:
        """Each of two targets once as the first and once as the further one: their paths differ in length."""
        first = further = 0.0
        with attributor:
            for number in (1, 0):
                start = time.perf_counter()
                trace = attributor.forward(images)
                both = targets(trace.output, 0, 2)
                heatmaps["lcrp"] = trace.explain([both[number]]).heatmap
                first += time.perf_counter() - start
                further += timed(partial(trace.explain, [both[1 - number]]))
        return {"lcrp": first / 2, "further target": further / 2}

    def theirs() -> Mapping[str, float]:
        def run() -> None:
            heatmaps["zennit"] = zennits()

        return {"zennit": timed(run)}

    seconds = in_turn([plain, ours, theirs], turns)
    return {
        "seconds": {name: asdict(Spread.of(values)) for name, values in seconds.items()},
        "lcrp / plain": ratio(seconds, "lcrp", "plain"),
        "zennit / plain": ratio(seconds, "zennit", "plain"),
        "zennit / lcrp": ratio(seconds, "zennit", "lcrp"),
        "further target / first": ratio(seconds, "further target", "lcrp"),
        "deviation from zennit": deviation(heatmaps["lcrp"], heatmaps["zennit"]),
    }


def deviation(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Relative L2 error of normalised heatmaps: the seeds differ by a factor for segmenters."""
    ours, theirs = ours / ours.norm(), theirs / theirs.norm()
    return float((ours - theirs).norm())


def glocal(one: Subject, num_targets: int, turns: int, *, num_images: int) -> Report:
    """A pass over a chunk with statistics of all convolutions: ours, and zennit-crp's FeatureVisualization."""
    images = one.images(num_images)
    attributor = Attributor(one.network, one.composite, one.task, layers=layer_names(one.network), mean=MEAN, std=STD)

    def ours() -> Mapping[str, float]:
        def run() -> None:
            with attributor:
                chunk = chunk_of(attributor, images)
                queues = [targets(chunk.trace.output, row, num_targets) for row in range(num_images)]
                accumulator = StatisticsAccumulator(chunk.activations.shapes, device=images.device)
                scores = explained_chunk(attributor, chunk, queues, accumulator.least_relevance)
                found = [one.target for one in scores.explained]
                accumulator.update(found, scores.relevance, chunk.activations.scores, scores.images)
                assert list(accumulator.results())

        return {"lcrp": timed(run)}

    def theirs() -> Mapping[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            return {"zennit-crp": timed(glocal_of_zennit_crp(one, images, num_targets, Path(folder)))}

    seconds = in_turn([ours, theirs], turns)
    return {
        "seconds": {name: asdict(Spread.of(values)) for name, values in seconds.items()},
        "zennit-crp / lcrp": ratio(seconds, "zennit-crp", "lcrp"),
    }


def main() -> None:
    """Measure what is asked for, print a table, write all numbers."""
    parser = argparse.ArgumentParser(description="lcrp beside the plain network, zennit and zennit-crp")
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--what", nargs="+", choices=("attribution", "glocal"), default=["attribution", "glocal"])
    parser.add_argument("--targets", nargs="+", type=int, default=[1, 3, 8], help="per image, for glocal")
    parser.add_argument("--images", type=int, default=2, help="of a chunk, for glocal")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("outputs/bench.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    report: Report = {"machine": machine(), "threads": options.threads, "turns": options.turns, "models": {}}
    for name in options.models:
        one, found = subject(name), {}
        if "attribution" in options.what:
            found["attribution"] = attribution(one, options.turns)
            print(name, "attribution", summary(found["attribution"]), flush=True)
        for count in options.targets if "glocal" in options.what else ():
            found[f"glocal, {count} targets"] = glocal(one, count, options.turns, num_images=options.images)
            print(name, f"glocal, {count} targets", summary(found[f"glocal, {count} targets"]), flush=True)
        report["models"][name] = found  # type: ignore[index]
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(options.output)


def summary(found: Report) -> str:
    """One line: every ratio with its quartiles."""
    parts = []
    for name, value in found.items():
        if isinstance(value, dict) and "median" in value:
            parts.append(f"{name} {value['median']:.2f} ({value['low']:.2f} to {value['high']:.2f})")
        elif isinstance(value, float):
            parts.append(f"{name} {value:.1e}")
    return ", ".join(parts)


def machine() -> dict[str, object]:
    """What the numbers depend on."""
    packages = ("lcrp", "torch", "torchvision", "zennit", "zennit-crp")
    return {
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        **{name: version(name) for name in packages},
    }


if __name__ == "__main__":
    main()
