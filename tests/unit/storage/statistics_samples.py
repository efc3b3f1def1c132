"""Small statistics to store."""

from pathlib import Path

import numpy as np

from lcrp.storage.statistics import write_statistics
from lcrp.values.ledger import Ledger
from lcrp.values.statistics import LayerStatistics, Moments, StatisticsHeader, TargetLog, TopTable
from lcrp.values.target import ExplainedTarget, SkippedSample, SkippedTarget, Target

CLASS_NAMES = ("boat", "car", "Käfer")
CONFIG: dict[str, object] = {
    "model": {"name": "toy", "checkpoint_sha256": "abc", "kwargs": {"width": 0.25}},
    "dataset": {"fingerprint": "f00"},
    "statistics": {"top_n": 4, "layers": []},
}


def header(*, complete: bool = True, config: dict[str, object] | None = None) -> StatisticsHeader:
    return StatisticsHeader(
        config=CONFIG if config is None else config,
        config_hash="c0ffee",
        class_names=CLASS_NAMES,
        dataset_fingerprint="f00",
        num_samples=9,
        coverage=((0, 9),) if complete else ((0, 4), (6, 9)),
    )


def log() -> TargetLog:
    box = ExplainedTarget(
        target=Target(sample=7, class_id=2, item=1),
        key="ü/7.jpg",
        score=0.1 + 0.2,
        confidence=0.5,
        box=(1.5, 2.0, 3.0, 4.25),
        row=12,
    )
    mask = ExplainedTarget(target=Target(sample=3, class_id=0), key="3.jpg", score=1.0, confidence=1.0, area=77)
    skipped = SkippedTarget(target=Target(sample=1, class_id=1), key="1.jpg", reason="not detected")
    broken = SkippedSample(sample=8, key="caf\udce9.jpg", reason="truncated")  # a file name that is no UTF-8
    one, other = (ledger(seed=seed, reached=seed / 4) for seed in (2.0, 3.0))
    return TargetLog(
        explained=(box, mask),
        skipped_targets=(skipped,),
        skipped_samples=(broken,),
        ledgers=((box.target, one), (mask.target, other)),
    )


def ledger(*, seed: float = 2.0, reached: float = 0.5, largest: float = 5.0) -> Ledger:
    constants, stabiliser = seed / 2, seed / 8
    return Ledger(
        seed=seed, reached=reached, constants=constants, stabiliser=stabiliser, largest=largest, conserves=True
    )


def table(rng: np.random.Generator, shape: tuple[int, ...], class_id: np.ndarray | None, *, item: bool) -> TopTable:
    """Random entries; about half of every row is padding."""
    filled = rng.integers(0, shape[-1] + 1, shape[:-1]).astype(np.int32)
    is_entry = np.arange(shape[-1]) < filled[..., None]

    def column(values: np.ndarray, dtype: type) -> np.ndarray:
        return np.where(is_entry, values, -1).astype(dtype)

    no_class = np.full(shape, -1)
    return TopTable(
        score=np.where(is_entry, rng.random(shape), 0.0).astype(np.float32),
        sample=column(rng.integers(0, 9, shape), np.int64),
        class_id=column(no_class if class_id is None else np.broadcast_to(class_id, shape), np.int32),
        item=column(rng.integers(0, 9, shape) if item else no_class, np.int32),
        peak=column(rng.integers(0, 12, shape), np.int32),
        filled=filled,
    )


def layer(seed: int = 0, num_concepts: int = 5, class_ids: tuple[int, ...] = (0, 2)) -> LayerStatistics:
    rng = np.random.default_rng(seed)
    num_classes = len(class_ids)
    of_row = np.array(class_ids, dtype=np.int32)[:, None, None]
    sums = [rng.integers(-(2**60), 2**60, (num_classes, num_concepts)) for _ in range(3)]
    return LayerStatistics(
        map_size=(3, 4),
        relevance=table(rng, (num_concepts, 4), rng.integers(0, 3, (num_concepts, 4)), item=True),
        relevance_by_class=table(rng, (num_classes, num_concepts, 2), of_row, item=True),
        activation=table(rng, (num_concepts, 4), None, item=False),
        activation_by_class=table(rng, (num_classes, num_concepts, 2), of_row, item=False),
        moments=Moments(
            class_ids=np.array(class_ids, dtype=np.int32),
            count=rng.integers(1, 9, num_classes),
            total=sums[0],
            square_high=sums[1],
            square_low=sums[2],
        ),
    )


def write(path: Path, *, complete: bool = True, config: dict[str, object] | None = None) -> Path:
    """A file of two layers, the later name first."""
    layers = [("neck.conv", layer(0)), ("head.conv", layer(1, num_concepts=2))]
    records = {"head.conv": np.array([[0.5, 0.25], [0.125, -1.0]], dtype=np.float16)}
    write_statistics(path, header(complete=complete, config=config), log(), layers, records=records)
    return path
