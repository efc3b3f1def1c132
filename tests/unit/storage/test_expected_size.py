"""The size of a statistics file is known within a factor of two before it is there."""

from dataclasses import replace
from pathlib import Path

import noise_world
import pytest
from noise_world import Noise

from lcrp.runs.run import Run
from lcrp.stages.glocal import glocal as glocal_module
from lcrp.stages.glocal.glocal import GlocalSettings, glocal
from lcrp.storage.expected_size import Extent
from lcrp.storage.location import checkpoint_path
from lcrp.storage.statistics import StatisticsFile

# As stage=glocal wrote them.
UNET = Extent(
    num_layers=23,
    num_concepts=647,
    num_classes=7,
    num_samples=40,
    num_targets=113,
    top_n=40,
    top_n_per_class=15,
    record=False,
)
YOLOV6 = replace(UNET, num_layers=63, num_concepts=2521, num_classes=6, num_targets=68)
YOLOV5M = replace(UNET, num_layers=82, num_concepts=19149, num_classes=80, num_samples=5000, num_targets=15000)


@pytest.mark.parametrize(("extent", "size"), [(UNET, 2_717_337), (YOLOV6, 7_420_077), (YOLOV5M, 248e6)])
def test_files_that_were_written(extent: Extent, size: float) -> None:
    assert 0.8 < extent.file_bytes / size < 1.2


@pytest.mark.parametrize("record", [False, True])
def test_a_file_and_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, record: bool) -> None:
    statistics = replace(noise_world.STATISTICS, record=record)
    subject = noise_world.subject(Noise(length=25))
    sizes: list[int] = []
    keep = glocal_module.keep

    def measured(found: object, job: glocal_module.Job, first: int) -> bool:
        is_kept = keep(found, job, first)
        sizes.append(job.checkpoint.stat().st_size)
        return is_kept

    monkeypatch.setattr(glocal_module, "keep", measured)
    run = Run(folder=tmp_path, output_root=tmp_path)
    path = glocal(subject, statistics, GlocalSettings(checkpoint_minutes=0), run)
    assert not checkpoint_path(path).exists()
    with StatisticsFile(path) as file:
        extent = Extent(
            num_layers=len(file.layer_names),
            num_concepts=sum(len(file.layer(name).relevance.filled) for name in file.layer_names),
            num_classes=3,
            num_samples=25,
            num_targets=len(file.targets().explained),
            top_n=statistics.top_n,
            top_n_per_class=statistics.top_n_per_class,
            record=record,
        )
    assert 0.5 < extent.file_bytes / path.stat().st_size < 2
    assert 0.5 < extent.checkpoint_bytes / sizes[-1] < 2


def test_size_follows_what_is_kept() -> None:
    assert replace(YOLOV5M, top_n_per_class=30).file_bytes > 1.8 * YOLOV5M.file_bytes
    assert replace(YOLOV5M, record=True).file_bytes - YOLOV5M.file_bytes == pytest.approx(2 * 15000 * 19149)
    assert YOLOV5M.checkpoint_bytes > 2 * YOLOV5M.file_bytes
    assert YOLOV5M.table_bytes == 2 * 16 * 19149 * (40 + 15 * 80)
