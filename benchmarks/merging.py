"""What it takes to merge many shards: statistics as large as a network's, made up as they are read.

Nothing of the shards lies on the disk, so that any number of them fits; the merged file is written. Told are seconds
without those that it takes to make the numbers up, and the peak of the process's memory.
"""

import argparse
import json
import resource
import tempfile
import time
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from lcrp.stages.merge import merged
from lcrp.storage.statistics import StatisticsFile, write_statistics
from lcrp.values.statistics import LayerStatistics, Moments, StatisticsHeader, TargetLog, TopTable
from subjects import NAMES, subject

CLASSES, TOP, TOP_OF_CLASS = 80, 40, 15
SAMPLES = 400  # of a shard
TABLES = {"relevance": TOP, "relevance_by_class": TOP_OF_CLASS, "activation": TOP, "activation_by_class": TOP_OF_CLASS}

Layers = dict[str, tuple[int, int, int]]


class MadeUp:
    """Statistics of one layer in any shard: the same numbers for other samples."""

    def __init__(self, shapes: Layers) -> None:
        self._shapes, self._generator = shapes, np.random.default_rng(0)
        self._layer = lru_cache(maxsize=1)(self._made)
        self.seconds = 0.0

    def read(self, shard: int, name: str) -> LayerStatistics:
        """What shard number `shard` found in a layer; layer by layer is fastest."""
        began = time.perf_counter()
        layer = self._layer(name)
        tables = {kind: _moved(getattr(layer, kind), shard) for kind in TABLES}
        found = LayerStatistics(map_size=layer.map_size, moments=layer.moments, **tables)
        self.seconds += time.perf_counter() - began
        return found

    def _made(self, name: str) -> LayerStatistics:
        concepts, height, width = self._shapes[name]
        draw = self._generator
        tables = {}
        for kind, top in TABLES.items():
            leading = (CLASSES, concepts) if kind.endswith("class") else (concepts,)
            shape = (*leading, top)
            class_id = draw.integers(0, CLASSES, shape, dtype=np.int32)
            if kind.endswith("class"):
                class_id = np.broadcast_to(np.arange(CLASSES, dtype=np.int32)[:, None, None], shape)
            tables[kind] = TopTable(
                score=np.sort(draw.random(shape, dtype=np.float32), axis=-1)[..., ::-1],
                sample=self._samples(leading, top),
                class_id=class_id if kind.startswith("rel") else np.full(shape, -1, np.int32),
                item=np.zeros(shape, np.int32) if kind.startswith("rel") else np.full(shape, -1, np.int32),
                peak=draw.integers(0, height * width, shape, dtype=np.int32),
                filled=np.full(leading, top, np.int32),
            )
        sums = draw.integers(0, 1 << 32, (CLASSES, concepts))
        moments = Moments(
            class_ids=np.arange(CLASSES, dtype=np.int32),
            count=np.full(CLASSES, 9),
            total=sums,
            square_high=sums >> 8,
            square_low=sums,
        )
        return LayerStatistics(map_size=(height, width), moments=moments, **tables)

    def _samples(self, leading: tuple[int, ...], top: int) -> np.ndarray:
        """Different samples [..., N] for every concept."""
        step = SAMPLES // top
        jitter = self._generator.integers(0, step, (*leading, top))
        shift = self._generator.integers(0, SAMPLES, leading)
        return (np.arange(top) * step + jitter + shift[..., None]) % (step * top)


def _moved(table: TopTable, shard: int) -> TopTable:
    """The same entries for the samples of another shard, and other concepts in front."""
    columns = {
        name: np.roll(getattr(table, name), 37 * shard, axis=-2) for name in ("score", "class_id", "item", "peak")
    }
    if table.score.ndim == 3:
        columns["class_id"] = table.class_id
    return TopTable(sample=table.sample + SAMPLES * shard, filled=table.filled, **columns)


def shapes_of(name: str) -> Layers:
    """Channels and map size of every convolution of a network, at its published input size."""
    one, found = subject(name), {}

    def record(layer: str, module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:  # noqa: ARG001
        found[layer] = tuple(output.shape[1:])

    for layer, module in one.network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(partial(record, layer))
    with torch.no_grad():
        one.network(one.images(1))
    return found


def header(num_samples: int) -> StatisticsHeader:
    """Of a complete file."""
    return StatisticsHeader(
        config={},
        config_hash="",
        class_names=tuple(map(str, range(CLASSES))),
        dataset_fingerprint="",
        num_samples=num_samples,
        coverage=((0, num_samples),),
    )


def main() -> None:
    """Merge shards that are made up; write one and read it again."""
    parser = argparse.ArgumentParser(description="merge shards that are made up")
    parser.add_argument("--model", choices=NAMES, default="yolov5m")
    parser.add_argument("--shards", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes = shapes_of(options.model)
    nothing = TargetLog(explained=(), skipped_targets=(), skipped_samples=())
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        path, made_up = Path(folder) / "merged.h5", MadeUp(shapes)
        shards = [partial(made_up.read, shard) for shard in range(options.shards)]
        began = time.perf_counter()
        layers = merged(shards, list(shapes), (TOP, TOP_OF_CLASS))
        write_statistics(path, header(SAMPLES * options.shards), nothing, layers)
        merging = time.perf_counter() - began - made_up.seconds
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        with StatisticsFile(path) as file:
            for name in file.layer_names:
                file.layer(name)
        report = {
            "model": options.model,
            "shards": options.shards,
            "concepts": sum(shape[0] for shape in shapes.values()),
            "bytes of the file": path.stat().st_size,
            "seconds to merge and write": round(merging, 1),
            "seconds to read one file": round(time.perf_counter() - began, 1),
            "MiB at most": after // 1024,
            "MiB before": before // 1024,
        }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
