import itertools

import pytest
import torch
from torch import nn

from lcrp.errors import ConfigError, StoreError
from lcrp.training import trainer
from lcrp.training.losses import segmentation_losses
from lcrp.training.pictures import Pictures, Truth
from lcrp.training.trainer import Lesson, Schedule, fit, learning_rate, moving_average

SCHEDULE = Schedule(epochs_at=((32, 2), (64, 2)), batch_size=4, learning_rate=0.02, weight_decay=0.01, seed=3)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1))


def pictures():
    """Bright squares on dark ground; the class mask says where."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.zeros(12, 64, 64, dtype=torch.uint8)
    for row, corner in enumerate(torch.randint(0, 40, (12,), generator=generator).tolist()):
        mask[row, corner : corner + 20, corner : corner + 20] = 1
    images = (mask[:, None] * 150 + 50).expand(-1, 3, -1, -1).contiguous()
    truth = Truth(boxes=torch.zeros(12, 1, 4), labels=torch.full((12, 1), -1), class_mask=mask)
    return Pictures(images=images, truth=truth)


def nothing(count):
    del count


def lesson(path, advance=nothing):
    return Lesson(
        pictures=pictures(),
        normalise=lambda images: images - 0.5,
        objective=lambda net, images, truth: segmentation_losses(net(images), truth),
        state_path=path / "state.pt",
        advance=advance,
    )


def test_training_learns_and_counts_pictures(tmp_path):
    done = []
    trained = fit(network(), lesson(tmp_path, done.append), SCHEDULE)
    assert sum(done) == 48
    assert not trained.training
    assert not any(parameter.requires_grad for parameter in trained.parameters())
    known = pictures()
    with torch.no_grad():
        labels = trained(known.images.float() / 255 - 0.5).argmax(1)
    assert (labels == known.truth.class_mask).float().mean() > 0.95


def test_a_training_that_was_broken_off_gives_the_same_weights(tmp_path):
    whole = fit(network(), lesson(tmp_path / "whole"), SCHEDULE)

    def stop(count, seen=[]):  # noqa: B006 - counts over calls
        seen.append(count)
        if sum(seen) > 30:  # in the third epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network(), lesson(tmp_path / "parts", stop), SCHEDULE)
    done = []
    resumed = fit(network(), lesson(tmp_path / "parts", done.append), SCHEDULE)
    assert sum(done) == 24
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_state_of_another_training_is_refused(tmp_path):
    fit(network(), lesson(tmp_path), SCHEDULE)
    other = Schedule(epochs_at=((32, 3),), batch_size=4, learning_rate=0.02, weight_decay=0.01, seed=3)
    with pytest.raises(StoreError, match=r"state.pt belongs to another training; delete it"):
        fit(network(), lesson(tmp_path), other)


def test_divergence_is_told(tmp_path):
    wild = Schedule(epochs_at=((32, 2),), batch_size=4, learning_rate=1e30, weight_decay=0.0, seed=3)
    with pytest.raises(ConfigError, match=r"training diverged in epoch \d; lower stage.learning_rate"):
        fit(network(), lesson(tmp_path), wild)


def test_batch_norm_statistics_are_those_of_the_averaged_network(tmp_path):
    trained = fit(network(), lesson(tmp_path), SCHEDULE)
    with torch.no_grad():
        maps = trained[0](pictures().images.float() / 255 - 0.5)
    assert torch.allclose(trained[1].running_mean, maps.mean(dim=(0, 2, 3)), atol=1e-3)
    assert trained[1].momentum == 0.1


def test_the_learning_rate_rises_and_falls():
    rates = [learning_rate(SCHEDULE, step, 100) for step in range(100)]
    assert rates[:5] == pytest.approx([0.004, 0.008, 0.012, 0.016, 0.02])
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[4:]))
    assert rates[-1] == pytest.approx(0.02 * trainer.FINAL_RATE, rel=0.05)


def test_the_average_forgets_its_beginning():
    average = torch.zeros(1)
    for count in range(1, 101):
        average = moving_average(average, torch.ones(1), torch.tensor(count))
    assert average > 0.99999
    assert moving_average(torch.zeros(1), torch.ones(1), 100_000) == pytest.approx(1 - trainer.AVERAGING_DECAY)


@pytest.mark.parametrize("epochs_at", [(), ((32, 0),), ((100, 1),), ((0, 1),)])
def test_a_schedule_without_epochs_or_with_odd_sizes_is_refused(epochs_at):
    with pytest.raises(ConfigError, match=r"^epochs_at=\[.*\] is no list of \[longer side"):
        Schedule(epochs_at=epochs_at, batch_size=4, learning_rate=0.1, weight_decay=0, seed=0)


def test_batch_size_and_rate_must_be_positive():
    with pytest.raises(ConfigError, match=r"^batch_size=1 is too small; the least is 2; learning_rate=0 must be"):
        Schedule(epochs_at=((32, 1),), batch_size=1, learning_rate=0, weight_decay=0, seed=0)
