"""Where the time goes: kinds of operations in a chunk of a dataset pass, in a figure and in an evaluated decision.

Axes: C concept, H W picture.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

import contests
import libraries
from lcrp.attribution.ablated_logits import AblatedLogits, LookedAt
from lcrp.attribution.engine import Attributor
from lcrp.composites.spec import GRADIENT
from lcrp.evidence.curves import channel_counts
from subjects import MEAN, STD, Pictures, subject, targets
from timing import timed

Work = Callable[[], object]
KINDS = {  # parts of the names of kernels, in the order in which they are looked for
    "convolutions and products": ("conv", "mm", "attention", "::linear"),
    "sums and extremes": ("sum", "amax", "amin", "::max", "::min", "sort", "topk", "mean", "any", "all", "norm"),
    "moving and filling": (
        *("copy", "cat", "fill", "zero", "index", "gather", "pad", "slice", "select", "as_strided", "empty", "resize"),
        *("expand", "view", "stack", "permute", "where", "unique", "nonzero"),
    ),
    "element by element": ("aten::",),
    "Python and autograd": ("",),
}
WHAT = ("pass", "figure", "evaluate")
STEPS = 10  # of a curve
TURNS = 3


def main() -> None:
    """Print a table: seconds, and the share of every kind."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--models", nargs="+", default=["yolov6s", "yolov5m", "yolo11n", "deeplabv3plus", "segformer"])
    parser.add_argument("--what", nargs="+", choices=WHAT, default=list(WHAT))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| " + " | ".join(("", "seconds", *KINDS)) + " |")
    print("|---" * (2 + len(KINDS)) + "|")
    for name in options.models:
        for what in options.what:
            if what != "pass" and name in libraries.NETWORKS:
                continue
            with _work(name, what) as work:
                seconds, shares = shared(work)
            cells = [f"{share:.0%}" for share in shares.values()]
            print("| " + " | ".join((f"{name}, {what}", f"{seconds:.2f}", *cells)) + " |", flush=True)


def shared(work: Work) -> tuple[float, dict[str, float]]:
    """Median seconds without a profiler, and the share of every kind in the time with one; it runs once before."""
    work()
    seconds = statistics.median(timed(work) for _ in range(TURNS))
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(TURNS):
            work()
    times = dict.fromkeys(KINDS, 0.0)
    for event in found.key_averages():
        times[kind_of(event.key)] += event.self_cpu_time_total
    return seconds, {kind: own / sum(times.values()) for kind, own in times.items()}


def kind_of(kernel: str) -> str:
    """The first kind of which a kernel's name says so."""
    name = kernel if kernel.startswith("aten::") else ""
    return next(kind for kind, parts in KINDS.items() if any(part in name for part in parts))


@contextmanager
def _work(name: str, what: str) -> Iterator[Work]:
    if name in libraries.NETWORKS:
        with libraries.rounds(name, 3) as work:
            yield work
        return
    one = subject(name)
    if what == "pass":
        with contests.attributor_of_all(one) as attributor:
            started = contests.gathered(attributor, one.images(1), 3, None)
            yield partial(contests.gathered, attributor, one.images(1), 3, started)
    elif what == "figure":
        pictures = Pictures(one.images(1 + contests.CONCEPTS * contests.REFERENCES))
        attributor = Attributor(one.network, one.composite, one.task, layers=[one.layer], mean=MEAN, std=STD)
        ranking = contests.reference_table(one, attributor, pictures, contests.REFERENCES)
        with tempfile.TemporaryDirectory() as folder:
            numbered = count()
            yield lambda: contests.render_of_lcrp(
                one, attributor, pictures, ranking, Path(folder) / str(next(numbered))
            )
    else:
        with Attributor(one.network, GRADIENT.build, one.task, layers=[one.layer], mean=MEAN, std=STD) as attributor:
            yield partial(evaluated, attributor, one.images(1), one.layer)


def evaluated(attributor: Attributor, images: torch.Tensor, layer: str) -> None:
    """A curve of one decision of an image [1, 3, H, W]: channels of a layer taken away, and kept."""
    with torch.no_grad():
        output = attributor.output(images)
    (decision,) = targets(output, 0, 1)
    num_concepts = attributor.forward(images).activation[layer].shape[1]
    looked_at = LookedAt(image=images[0], explained=decision, mask=torch.ones(images.shape[2:], dtype=torch.bool))
    logits = AblatedLogits(attributor, layer, torch.zeros(num_concepts, 1, 1), looked_at)
    for seed in range(7):  # methods
        order = torch.rand(num_concepts, generator=torch.Generator().manual_seed(seed))
        logits.curves(order, channel_counts(num_concepts, STEPS).tolist())


if __name__ == "__main__":
    main()
