"""Less exact numbers: another file of statistics, nearly the same relevance."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Outcome
from lcrp.config.build import set_precision
from lcrp.storage.statistics import StatisticsFile

CommandLine = Callable[..., Outcome]
ROUGH = 0.15  # relative L2 error of mean relevance that bfloat16 may have; measured are 0.003 and 0.05


@pytest.mark.parametrize("model", ["yolov6", "unet"])
def test_bfloat16_finds_nearly_the_same_relevance(lcrp: CommandLine, model: str) -> None:
    means: list[tuple[str, np.ndarray]] = []
    for precision in ("float32", "bfloat16"):
        outcome = lcrp(f"model={model}", f"precision={precision}", "statistics.num_samples=8")
        assert outcome.code == 0, outcome.err
        with StatisticsFile(Path(outcome.out[-1])) as file:
            layer = {"yolov6": "backbone.ERBlock_5.0.rbr_dense.conv", "unet": "encoder.features.15"}[model]
            means.append((outcome.out[-1], file.layer(layer).moments.mean()))
    (exact_path, exact), (rough_path, rough) = means
    assert exact_path != rough_path
    error = np.linalg.norm(rough - exact) / np.linalg.norm(exact)
    assert 0 < error < ROUGH


def test_gpus_multiply_exactly_unless_told_otherwise() -> None:
    for name, is_allowed in (("tf32", True), ("bfloat16", False), ("float32", False)):
        set_precision(name)
        assert torch.backends.cudnn.allow_tf32 is is_allowed
        assert torch.backends.cuda.matmul.allow_tf32 is is_allowed


def test_training_is_exact(lcrp: CommandLine) -> None:
    outcome = lcrp("stage=train", "precision=bfloat16")
    assert outcome.code == 1
    assert outcome.err[-1] == "lcrp: error: stage=train learns in float32, not in precision=bfloat16"
