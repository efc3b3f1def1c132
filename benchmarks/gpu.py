"""What a GPU gives: networks at their published sizes in float32, tf32 and bfloat16: `make bench-gpu`.

Told are images per second of a dataset pass (chunks, their detections and masks, all targets, all rankings) with
batches of 8 and then four times as many until the memory ends; how much of that time the plain network takes for two
forward passes and three gradients of the same batch, as much as three targets need at least; seconds of a decision with
its concepts and reference samples; and the peak of the memory that torch allocates. Weights are random. So that
decisions exist all the same, the confidence from which detectors detect is that of the first picture's 300th box (more
boxes, where some are equal); of the targets, detections or classes, three per image are explained. Pictures are a few
embedded ones, stretched to the input and repeated. It ends when the time is over, and says what it left out.
"""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import torch

from bench import machine
from contests import CONCEPTS, REFERENCES, reference_table, render_of_lcrp
from gpu_table import cells, speed, table
from lcrp.attribution.detection import DetectionTask
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.attribution.trace import ROUNDS_LOOKED_AT
from lcrp.config.build import set_precision
from lcrp.data.scenes.dataset import ScenesDataset
from lcrp.data.transforms import InputTransform
from lcrp.decisions.rounds import Chunk, Queue, chunk_of
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.values.geometry import Geometry
from lcrp.values.prediction import DetectorOutput
from lcrp.values.sample import Sample
from passes import gather
from subjects import MEAN, NAMES, STD, Pictures, Subject, subject
from timing import Report, timed

PRECISIONS = ("float32", "tf32", "bfloat16")
TARGETS, CANDIDATES, DRAWN = 3, 300, 8  # explained per image; boxes before NMS; pictures
BELOW = 1 - 1e-6  # of a confidence: the box that has it is kept
TURNS = 3  # of a measurement, unless its time is over
FIRST, TIMES = 8, 4  # batch, and how many times as many the next one has
SHARES = {"glocal": 4, "render": 1}  # of the time
QUICK_SCALE, QUICK_BATCH, QUICK_REFERENCES = 0.25, 2, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A network at a precision.

    Attributes:
        one: the network on the device.
        images: [N, 3, H, W] pictures, on the CPU.
        device: where it runs.
        is_quick: whether it is only tried.
    """

    one: Subject
    images: torch.Tensor
    device: torch.device
    is_quick: bool

    def batch(self, size: int) -> torch.Tensor:
        """Pictures [size, 3, H, W] on the device, repeated if there are fewer."""
        return self.images[torch.arange(size) % len(self.images)].to(self.device)

    def attributor(self, layers: Sequence[str], task: DetectionTask | SegmentationTask) -> Attributor:
        """Explains the network by its composite."""
        return Attributor(self.one.network, self.one.composite, task, layers=layers, mean=MEAN, std=STD)

    def seconds(self, run: Callable[[], object]) -> float:
        """Seconds until the device has done what a call asks for."""

        def finished() -> None:
            run()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        return timed(finished)


class Clock:
    """The time that is left, shared by what is still to be measured."""

    def __init__(self, seconds: float, num_rows: int) -> None:
        self._end = time.monotonic() + seconds
        self._num_shares = num_rows * sum(SHARES.values())

    def next_end(self, what: str) -> float:
        """When the next measurement is to end."""
        left = self._end - time.monotonic()
        ends = time.monotonic() + left * SHARES[what] / self._num_shares
        self._num_shares -= SHARES[what]
        return ends


def main() -> None:
    """Measure, write all numbers and a table, print the table."""
    parser = argparse.ArgumentParser(description="images per second, seconds of a figure and memory on a GPU")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--models", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, help="all, or float32 where it is quick")
    parser.add_argument("--minutes", type=float, default=5.0, help="after which it ends")
    parser.add_argument("--quick", action="store_true", help="tries the code on narrow networks and small inputs")
    parser.add_argument("--output", type=Path, default=Path("outputs/gpu.json"), help="the table lies beside it (.md)")
    options = parser.parse_args()
    device = torch.device(options.device)
    wanted = options.precisions or (PRECISIONS[:1] if options.quick else PRECISIONS)
    precisions = [one for one in wanted if one != "tf32" or device.type == "cuda"]
    clock = Clock(60 * options.minutes - 10, len(options.models) * len(precisions))  # 10 s to build and to end
    report: Report = {
        "machine": {**machine(), "device": device_name(device), "cuda": torch.version.cuda},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "how": " ".join((__doc__ or "").split("\n\n")[1].split()),
        "quick": options.quick,
    }
    rows: list[Report] = []
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        for precision in precisions:
            rows.append(row := measured(name, precision, device, clock, is_quick=options.quick))
            print(cells(row), flush=True)
            options.output.write_text(json.dumps(report | {"rows": rows}, indent=2) + "\n", encoding="utf-8")
    text = table(report, rows)
    options.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


def measured(name: str, precision: str, device: torch.device, clock: Clock, *, is_quick: bool) -> Report:
    """All that is measured of one network at one precision."""
    one = subject(name, QUICK_SCALE if is_quick else 1.0)
    one.network.to(device, torch.bfloat16 if precision == "bfloat16" else torch.float32)
    setting = Setting(one=one, images=pictures(one.size), device=device, is_quick=is_quick)
    set_precision(precision)
    try:
        found: Report = {"model": name, "input": list(one.size), "precision": precision}
        for what, measure in (("glocal", dataset_pass), ("render", render)):
            end = clock.next_end(what)
            found[what] = measure(setting, end) if end > time.monotonic() else {"ended": "no time was left"}
            release(device)
        return found
    finally:
        set_precision("float32")


def dataset_pass(setting: Setting, end: float) -> Report:
    """Images per second of a dataset pass, with larger batches until memory or time end."""
    batches: list[Report] = []
    ended, last, task = "", 0.0, task_with_decisions(setting)
    size, times = (QUICK_BATCH, 1) if setting.is_quick else (FIRST, TIMES)
    with setting.attributor(layer_names(setting.one.network), task) as attributor:
        for _ in range(0 if setting.is_quick else -(-ROUNDS_LOOKED_AT // TARGETS)):
            Chunks(attributor, task, setting.batch(1)).explain()
        while not ended:
            if time.monotonic() + 2 * times * last > end:  # once to warm up
                ended = f"no time for {size}"
                continue
            try:
                batches.append(chunk_speed(setting, Chunks(attributor, task, setting.batch(size)), end))
                last = float(batches[-1]["seconds"])  # type: ignore[arg-type]
                size *= times
                if times < TIMES:
                    ended = "quick" if setting.is_quick else f"memory ends at {size}"
            except torch.OutOfMemoryError:
                if times < TIMES or not batches:
                    ended = f"memory ends at {size}"
                size, times = size // 2, TIMES // 2  # half as many may fit
            attributor.forward(setting.batch(1))  # lets the pass before go
            release(setting.device)
    for best in sorted(batches, key=speed)[-1:]:
        best["plain seconds"] = plain_seconds(setting, setting.batch(int(best["batch"])), end)  # type: ignore[call-overload]
    return {"batches": batches, "ended": ended}


class Chunks:
    """The same images again and again, explained and ranked as those of a pass.

    Attributes:
        counts: targets per image of every chunk.
    """

    def __init__(self, attributor: Attributor, task: DetectionTask | SegmentationTask, images: torch.Tensor) -> None:
        self.images = images
        self.counts: list[float] = []
        self._attributor, self._task = attributor, task
        self._accumulator: StatisticsAccumulator | None = None

    def explain(self) -> None:
        """One chunk."""
        size, made = len(self.images), chunk_of(self._attributor, self.images)
        queues = decisions(self._task, made, len(self.counts) * size)
        shapes = made.activations.shapes
        self._accumulator = self._accumulator or StatisticsAccumulator(shapes, device=self.images.device)
        gather(self._attributor, made, queues, self._accumulator)
        self.counts.append(sum(map(len, queues)) / size)


def plain_seconds(setting: Setting, images: torch.Tensor, end: float) -> float | None:
    """Seconds of two forward passes and three gradients of the network as it is; None where the memory ends."""
    network = setting.one.network
    dtype = next(network.parameters()).dtype

    def run() -> None:
        x = images.to(dtype).requires_grad_()
        with torch.no_grad():
            network(x)
        output = network(x)
        logits = output.class_logits if isinstance(output, DetectorOutput) else output
        for turn in range(TARGETS):
            torch.autograd.grad(logits, x, torch.ones_like(logits), retain_graph=turn + 1 < TARGETS)

    try:
        return repeated(setting, run, end)[0]
    except torch.OutOfMemoryError:
        return None


def chunk_speed(setting: Setting, chunks: Chunks, end: float) -> Report:
    """A pass in chunks of so many images."""
    size = len(chunks.images)
    seconds, peak = repeated(setting, chunks.explain, end)
    return {
        "batch": size,
        "images per second": size / seconds,
        "seconds": seconds,
        "peak bytes": peak,
        "targets per image": sum(chunks.counts) / len(chunks.counts),
    }


def render(setting: Setting, end: float) -> Report:
    """Seconds of a decision with three concepts and their references, none of them known, without the drawing."""
    one, num_references = setting.one, QUICK_REFERENCES if setting.is_quick else REFERENCES
    shown = Pictures(setting.images[torch.arange(1 + CONCEPTS * num_references) % len(setting.images)])
    attributor = setting.attributor([one.layer], one.task)
    try:
        ranking = reference_table(one, attributor, shown, num_references)

        def draw() -> None:
            with tempfile.TemporaryDirectory() as folder:
                render_of_lcrp(one, attributor, shown, ranking, Path(folder))

        seconds, peak = repeated(setting, draw, end)
    except torch.OutOfMemoryError:
        return {"ended": "memory ends"}
    return {"seconds": seconds, "peak bytes": peak, "references": CONCEPTS * num_references}


def repeated(setting: Setting, run: Callable[[], object], end: float) -> tuple[float, int | None]:
    """Median seconds of a call after one that warms up, and the peak of the device's memory in bytes."""
    if setting.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(setting.device)
    setting.seconds(run)
    seconds = [setting.seconds(run)]
    while len(seconds) < (1 if setting.is_quick else TURNS) and time.monotonic() + seconds[-1] < end:
        seconds.append(setting.seconds(run))
    peak = torch.cuda.max_memory_allocated(setting.device) if setting.device.type == "cuda" else None
    return median(seconds), peak


def task_with_decisions(setting: Setting) -> DetectionTask | SegmentationTask:
    """The network's task, so that there are decisions: a detector detects from its 300th box on."""
    task = setting.one.task
    if isinstance(task, SegmentationTask):
        return SegmentationTask(task.class_names)
    with setting.attributor((), task) as attributor:
        output = attributor.output(setting.batch(1))
    assert isinstance(output, DetectorOutput)
    confidence = (output.class_probabilities().amax(dim=2) * output.objectness())[0]
    least = confidence.topk(min(CANDIDATES, len(confidence) // 2)).values[-1]
    return DetectionTask(task.class_names, confidence=float(least) * BELOW, max_detections=TARGETS)


def decisions(task: DetectionTask | SegmentationTask, chunk: Chunk, first: int) -> list[Queue]:
    """The first three predicted targets of every image, whose first is sample `first`."""
    geometry = Geometry.identity((chunk.images.shape[2], chunk.images.shape[3]))
    queues: list[Queue] = []
    for row, prediction in enumerate(task.predictions(chunk.trace.output)):
        sample = Sample(
            index=first + row, key=str(first + row), image=chunk.images[row], annotation=None, geometry=geometry
        )
        queues.append(task.predicted_targets(prediction, sample)[0][:TARGETS])
    return queues


def pictures(size: tuple[int, int]) -> torch.Tensor:
    """Embedded pictures [N, 3, H, W] in the size of an input."""
    dataset = ScenesDataset("train", transform=InputTransform(*size, "stretch"))
    return torch.stack([dataset[index].image for index in range(DRAWN)])


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def device_name(device: torch.device) -> str:
    """The card, or the kind of device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
