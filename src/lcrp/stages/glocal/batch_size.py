"""What statistics.batch_size=auto stands for: as many samples as the GPU's free memory holds.

It is found once. Whoever comes later takes the size of the statistics, their parts and checkpoints that are there: a
chunk is what a pass is cut by, so that another size is another pass.
"""

import gc
import logging
from collections.abc import Callable
from dataclasses import replace

import torch

from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import AUTO, layer_names
from lcrp.data.transforms import InputTransform
from lcrp.decisions.auto import read_samples
from lcrp.decisions.rounds import chunk_of
from lcrp.decisions.subject import StatisticsSettings, Subject, statistics_key
from lcrp.runs.run import Run
from lcrp.stages.glocal.findings import Findings
from lcrp.storage.location import known_batch_size
from lcrp.values.sample import Sample
from lcrp.values.sizes import size_text
from lcrp.values.target import ExplainedTarget

log = logging.getLogger(__name__)

DEFAULT = 8  # on CPUs, whose memory does not depend on it
_MOST = 64  # larger ones are hardly faster
_STEP = 8  # from which on sizes are multiples of it
_USED = 0.8  # of the free memory
_LOOKED_AT = 16  # samples among which one is looked for in which something is decided
_ROUNDS = 2  # over a forward pass that is measured


def batch_size(subject: Subject, statistics: StatisticsSettings, run: Run) -> int:
    """Samples per chunk, told and noted in the run's provenance.

    Args:
        subject: model, dataset and composite.
        statistics: how statistics are made; their own `batch_size` says nothing.
        run: has the folder of what runs share.
    """
    size = known_batch_size(run.output_root, statistics_key(subject, statistics))
    if size is not None:
        log.info("batch size auto: %d, as of the statistics, parts or checkpoints that are there", size)
    else:
        size = _measured(subject, statistics) or DEFAULT
        log.info("batch size auto: %d", size)
    run.notes["batch_size"] = size
    return size


def _measured(subject: Subject, statistics: StatisticsSettings) -> int | None:
    """By the memory that one and two samples take; None where it cannot be told, or does not depend on them."""
    device = subject.explainer.device
    layers = layer_names(subject.explainer.network, [layer for layer in statistics.layers if layer != AUTO])
    if not _is_measurable(device):
        return None
    with subject.explainer.attributor(layers) as attributor:
        if attributor.takes_one:
            return None
        found = _decided(subject, attributor, statistics.num_samples)
    if found is None:
        return None

    def peak(count: int) -> int:
        with subject.explainer.attributor(layers) as attributor:
            return _peak(device, lambda: _chunk(attributor, statistics, *found, count))

    peak(1)  # what torch and its libraries set up once
    one, two = peak(1), peak(2)
    each, free = max(1, two - one), _free(device)
    fitting = int((_USED * free - max(0, one - each)) / each)
    log.info("a sample takes %s of the %s that are free on %s", size_text(each), size_text(free), device)
    whole = fitting - fitting % _STEP if fitting > _STEP else fitting  # so that equal GPUs find equal sizes
    return min(_MOST, max(1, whole))


def _decided(
    subject: Subject, attributor: Attributor, num_samples: int | None
) -> tuple[torch.Tensor, list[ExplainedTarget]] | None:
    """A picture [3, H, W] of the largest size, and decisions about it."""
    task = subject.explainer.task
    for number, sample in enumerate(read_samples(subject.dataset, num_samples)):
        if number == _LOOKED_AT:
            break
        image = _of_largest_size(sample, subject.dataset.transform)
        prediction = task.predictions(attributor.forward(image[None]).output)[0]
        targets = task.predicted_targets(prediction, sample)[0][:_ROUNDS]
        if targets:
            return image, targets
    return None


def _of_largest_size(sample: Sample, transform: InputTransform) -> torch.Tensor:
    image = torch.zeros(3, transform.height, transform.width)
    _, height, width = sample.image.shape
    image[:, :height, :width] = sample.image
    return image


def _chunk(
    attributor: Attributor,
    statistics: StatisticsSettings,
    image: torch.Tensor,
    targets: list[ExplainedTarget],
    count: int,
) -> None:
    """A chunk of so many samples, as a pass treats it."""
    chunk = chunk_of(attributor, image.expand(count, -1, -1, -1).to(attributor.device))
    queues = [[replace(one, target=replace(one.target, sample=row)) for one in targets] for row in range(count)]
    found = Findings(statistics)
    found.add(found.explained(attributor, chunk, queues, range(count)))


def _is_measurable(device: torch.device) -> bool:
    return device.type == "cuda"


def _peak(device: torch.device, run: Callable[[], None]) -> int:
    """Bytes that a call takes at once."""
    gc.collect()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    return torch.cuda.max_memory_allocated(device) - before


def _free(device: torch.device) -> int:
    """Bytes of the device that this process may have."""
    gc.collect()
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
