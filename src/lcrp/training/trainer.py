"""A small trainer: AdamW, warm-up and cosine, growing pictures, averaged weights; every epoch can be resumed.

Axes: P picture, B batch, H W picture.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lcrp.errors import ConfigError, StoreError, at_least, refuse
from lcrp.training.losses import Losses
from lcrp.training.pictures import Pictures, Truth, augmented_batch

log = logging.getLogger(__name__)

WARM_UP = 0.05  # share of all steps over which the learning rate rises
FINAL_RATE = 0.02  # of the learning rate, at the end
AVERAGING_DECAY = 0.998  # of the averaged weights, per step
LARGEST_GRADIENT = 10.0  # norm to which gradients are clipped
NORMALISATION_PICTURES = 640  # from which BatchNorm statistics are taken at the end

Objective = Callable[[nn.Module, torch.Tensor, Truth], Losses]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long, with what and how fast a network is trained.

    Attributes:
        epochs_at: (longer side of the pictures in pixels, number of epochs), in this order. Most is learned from
            small pictures at a fraction of the cost (progressive learning, Tan and Le, EfficientNetV2, ICML 2021).
        batch_size: pictures per step.
        learning_rate: its maximum.
        weight_decay: of the weights of convolutions.
        seed: of the initial weights, the order of the pictures and their augmentation.
    """

    epochs_at: tuple[tuple[int, int], ...]
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int

    def __post_init__(self) -> None:
        refuse(self._problems())

    def _problems(self) -> Iterator[str]:
        is_list = all(len(pair) == 2 for pair in self.epochs_at)
        sides = [pair[0] for pair in self.epochs_at if pair]
        if not is_list or not sides or min(sides) < 32 or any(side % 32 for side in sides) or self.num_epochs < 1:
            yield (
                f"epochs_at={[list(pair) for pair in self.epochs_at]} is no list of [longer side of the pictures (a "
                "multiple of 32), epochs] with at least one epoch in all"
            )
        yield from at_least("batch_size", self.batch_size, 2)
        if not self.learning_rate > 0:
            yield f"learning_rate={self.learning_rate} must be positive"

    @property
    def num_epochs(self) -> int:
        """Epochs in all."""
        return sum(count for _, count in self.epochs_at)

    def side(self, epoch: int) -> int:
        """Longer side of the pictures in an epoch."""
        sides = [side for side, count in self.epochs_at for _ in range(count)]
        return sides[epoch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is learned.

    Attributes:
        pictures: to learn from.
        normalise: [B, 3, H, W] in [0, 1] to the network's input.
        objective: losses of the network on normalised images and what is in them.
        state_path: file that keeps the state after every epoch, so that a broken-off training goes on.
        advance: told after every step how many pictures are done.
    """

    pictures: Pictures
    normalise: Callable[[torch.Tensor], torch.Tensor]
    objective: Objective
    state_path: Path
    advance: Callable[[int], None]


def fit(network: nn.Module, lesson: Lesson, schedule: Schedule) -> nn.Module:
    """Train a network and return its averaged copy.

    Epochs depend on the schedule, the pictures and their own number alone, so a training that was broken off gives,
    on the same machine and threads, the same weights as one that was not.

    Args:
        network: with fresh weights; trained in place.
        lesson: what is learned.
        schedule: how.

    Returns:
        The exponential moving average of the network, its BatchNorm statistics taken anew, in evaluation mode.

    Raises:
        StoreError: if the kept state does not belong to this training.
        ConfigError: if training diverges.
    """
    network.train().requires_grad_()
    arrange_memory(network)
    optimizer = torch.optim.AdamW(_parameter_groups(network, schedule.weight_decay), lr=schedule.learning_rate)
    average = AveragedModel(network, avg_fn=moving_average, use_buffers=True)
    parts: Mapping[str, nn.Module | torch.optim.Optimizer] = {
        "network": network,
        "optimizer": optimizer,
        "average": average,
    }
    first = _load(lesson.state_path, parts, schedule)
    for epoch in range(first, schedule.num_epochs):
        means = _train_epoch(network, lesson, schedule, epoch, optimizer, average)
        _save(lesson.state_path, parts, schedule, epoch + 1)
        listed = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
        log.info("epoch %d/%d at %d px: %s", epoch + 1, schedule.num_epochs, schedule.side(epoch), listed)
    trained: nn.Module = average.module
    renew_batch_norm(trained, lesson, schedule.batch_size)
    return trained.eval().requires_grad_(False)


def learning_rate(schedule: Schedule, step: int, num_steps: int) -> float:
    """Rate at a step: a linear rise over the first steps, then half a cosine."""
    warm_up = max(1, round(WARM_UP * num_steps))
    if step < warm_up:
        return schedule.learning_rate * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, num_steps - warm_up)
    return schedule.learning_rate * (FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * progress)) / 2)


def moving_average(average: torch.Tensor, current: torch.Tensor, count: torch.Tensor | int) -> torch.Tensor:
    """Exponential moving average whose memory grows with the number of steps, as YOLOv5's does."""
    decay = min(AVERAGING_DECAY, (1 + float(count)) / (10 + float(count)))
    return average + (current - average) * (1 - decay)


def arrange_memory(network: nn.Module) -> None:
    """Channels last, which is faster on CPUs, unless the network has a strided 1x1 convolution.

    oneDNN, as torch 2.15 has it, corrupts memory in the backward pass of a strided 1x1 convolution of less than 16
    channels in channels last.
    """
    strided = any(
        isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.stride != (1, 1)
        for module in network.modules()
    )
    if not strided:
        network.to(memory_format=torch.channels_last)


@torch.no_grad()
def renew_batch_norm(network: nn.Module, lesson: Lesson, batch_size: int) -> None:
    """Take BatchNorm statistics anew, over unaltered pictures (Wu and Johnson, arXiv 2105.07576, section 3).

    Averaged weights do not fit averaged statistics, and the last sizes of the pictures are what counts.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    network.train()
    count = min(NORMALISATION_PICTURES, len(lesson.pictures))
    for rows in torch.split(torch.arange(count), batch_size):
        network(lesson.normalise(lesson.pictures.images[rows].float() / 255))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _train_epoch(
    network: nn.Module,
    lesson: Lesson,
    schedule: Schedule,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel,
) -> dict[str, float]:
    """One pass over the pictures; means of the losses by name."""
    steps_per_epoch = len(lesson.pictures) // min(schedule.batch_size, len(lesson.pictures))
    totals: dict[str, float] = {}
    for step, (images, truth) in enumerate(_batches(lesson.pictures, schedule, epoch)):
        rate = learning_rate(schedule, epoch * steps_per_epoch + step, schedule.num_epochs * steps_per_epoch)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = lesson.objective(network, lesson.normalise(images), truth)
        loss = torch.stack(list(losses.values())).sum()
        if not bool(loss.isfinite()):
            raise ConfigError(f"training diverged in epoch {epoch + 1}; lower stage.learning_rate")
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        average.update_parameters(network)
        for name, value in losses.items():
            totals[name] = totals.get(name, 0.0) + float(value.detach())
        lesson.advance(len(images))
    return {name: value / steps_per_epoch for name, value in totals.items()}


def _batches(pictures: Pictures, schedule: Schedule, epoch: int) -> Iterator[tuple[torch.Tensor, Truth]]:
    """Batches of an epoch in random order; the rest that fills no batch is left out."""
    generator = torch.Generator().manual_seed(schedule.seed * 1_000_003 + epoch)
    order = torch.randperm(len(pictures), generator=generator)
    size = min(schedule.batch_size, len(pictures))
    for rows in torch.split(order[: len(order) // size * size], size):
        yield augmented_batch(pictures, rows, schedule.side(epoch), generator)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Kernels decay, biases and the factors of BatchNorm do not."""
    kernels = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    return [{"params": kernels, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _load(path: Path, parts: Mapping[str, nn.Module | torch.optim.Optimizer], schedule: Schedule) -> int:
    """Restore the kept state, if there is one; number of epochs that are done."""
    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state["schedule"] != _plain(schedule):
        raise StoreError(f"the state kept in {path} belongs to another training; delete it to start afresh")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    log.info("going on after epoch %d of %d (%s)", state["epoch"], schedule.num_epochs, path)
    return int(state["epoch"])


def broken_off(path: Path) -> tuple[int, int | None]:
    """Epochs that a training had done when it was broken off, and its CPU threads if it says so; 0 if there is none."""
    if not path.is_file():
        return 0, None
    state = torch.load(path, weights_only=True)
    return int(state["epoch"]), state.get("threads")


def _save(path: Path, parts: Mapping[str, nn.Module | torch.optim.Optimizer], schedule: Schedule, epoch: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    state = {name: part.state_dict() for name, part in parts.items()}
    facts = {"epoch": epoch, "schedule": _plain(schedule), "threads": torch.get_num_threads()}
    torch.save(facts | state, partial)
    partial.replace(path)


def _plain(schedule: Schedule) -> str:
    return repr(sorted(asdict(schedule).items()))
