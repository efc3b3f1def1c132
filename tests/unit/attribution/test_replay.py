"""What runs again for other values beside the whole function, which runs every time."""

import random
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

import lcrp
from lcrp.attribution.ablation import ablated_outputs
from lcrp.attribution.engine import Attributor
from lcrp.attribution.replay.replayed import Replayed
from lcrp.attribution.replay.rows import RowsError, RowsOnce
from lcrp.data.scenes import ScenesDataset
from lcrp.decisions.auto import layers_with_places
from lcrp.decisions.explainer import Explainer

Function = Callable[[torch.Tensor], torch.Tensor]


class Computed(TorchDispatchMode):
    """Counts the values that convolutions give."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.count += result.numel() if func is torch.ops.aten.convolution.default else 0
        return result


def computed(function: Function, values: torch.Tensor) -> int:
    with Computed() as seen:
        function(values)
    return seen.count


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def after_three_calls(function: Function, *shape: int) -> Replayed:
    """The function, called with three values, each time with the result of a plain call."""
    again = Replayed(function)
    for seed in range(3):
        values = drawn(*shape, seed=seed)
        torch.testing.assert_close(again(values.clone()), function(values.clone()), rtol=0, atol=1e-12)
    return again


class Branches(nn.Module):
    """Two levels, a path up and down, and norms; the result reads one place of either."""

    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        self.down, self.norm = nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8)
        self.act, self.pool = nn.SiLU(inplace=inplace), nn.MaxPool2d(3, stride=1, padding=1)
        self.up, self.side = nn.Upsample(scale_factor=2), nn.Conv2d(12, 6, 3, padding=2, dilation=2)
        self.small, self.large = nn.Conv2d(8, 5, 1), nn.Conv2d(6, 5, 3, padding=1)

    def forward(self, maps: torch.Tensor) -> list[torch.Tensor]:
        """Logits [B, N, 5] of both levels."""
        low = self.pool(self.act(self.norm(self.down(maps))))
        first, second = self.act(self.side(torch.cat([self.up(low), maps], dim=1))).chunk(2, dim=1)
        high = self.large(torch.cat([second, first * 2], dim=1))
        return [one.flatten(2).transpose(1, 2) for one in (self.small(low), high)]


def branches(*, inplace: bool) -> Branches:
    torch.manual_seed(0)
    network = Branches(inplace=inplace).double().eval()
    network.norm.running_mean.normal_()
    network.norm.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("row", [0, 37, 255, 256, 256 + 31, 256 + 32 * 15 + 16, 256 + 1023])
def test_a_place_is_the_same_and_no_other_is_computed(row: int, *, inplace: bool) -> None:
    network = branches(inplace=inplace)

    def read(maps: torch.Tensor) -> torch.Tensor:
        return torch.cat(network(maps), dim=1)[:, row, 2].double()

    again = after_three_calls(read, 3, 4, 32, 32)
    assert again.is_cut
    assert 0 < computed(again, drawn(3, 4, 32, 32)) < computed(read, drawn(3, 4, 32, 32)) / 10


def test_what_does_not_depend_on_it_runs_once() -> None:
    network, other = branches(inplace=True), drawn(1, 4, 32, 32, seed=9)
    again = after_three_calls(lambda maps: maps.sum() * torch.cat(network(other), dim=1).sum(), 1, 4)
    assert again.is_cut
    assert computed(again, drawn(1, 4)) == 0


def test_a_pool_tells_where_its_values_come_from() -> None:
    pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

    def read(maps: torch.Tensor) -> torch.Tensor:
        return unpool(*pool(maps * maps))[:, :, 5, 6].sum(dim=1)

    after_three_calls(read, 2, 4, 16, 16)


def test_maps_of_three_axes_are_cut_too() -> None:
    network = nn.Conv2d(4, 4, 3, padding=1).double()

    def read(maps: torch.Tensor) -> torch.Tensor:
        return network(maps.exp() + maps[0].cos())[:, :, 5, 6].sum(dim=1)

    again = after_three_calls(read, 2, 4, 16, 16)
    assert again.is_cut
    assert computed(again, drawn(2, 4, 16, 16)) == 2 * 4


def test_places_that_depend_on_values_are_all_read() -> None:
    def read(maps: torch.Tensor) -> torch.Tensor:
        flat = (maps * 2).flatten(1)
        return flat[torch.arange(2), flat.argmax(dim=1)]

    assert after_three_calls(read, 2, 4, 8, 8).is_cut


def test_everything_is_read_where_everything_counts() -> None:
    network = branches(inplace=True)
    again = after_three_calls(lambda maps: torch.cat(network(maps), dim=1).softmax(dim=1).mean(dim=1), 2, 4, 32, 32)
    assert again.is_cut


def written_after_a_view(maps: torch.Tensor) -> torch.Tensor:
    whole = maps * 2
    part = whole[:, :2]
    whole.mul_(maps.abs() + 1)
    return (part[:, :, 3, 3] + whole[:, 2:, 4, 4]).sum(dim=1)


def written_in_part(maps: torch.Tensor) -> torch.Tensor:
    whole = maps * 2
    whole[:, 1] = whole[:, 0].exp()
    return whole[:, :, 5, 6].sum(dim=1)


@pytest.mark.parametrize("function", [written_after_a_view, written_in_part])
def test_what_is_written_in_place_is_written_again(function: Function) -> None:
    assert after_three_calls(function, 2, 4, 8, 8).is_cut


def looked_at(maps: torch.Tensor) -> torch.Tensor:
    return maps.sum(dim=(1, 2, 3)) * (2 if maps[0, 0, 0, 0].item() > 0 else 3)


def looked_at_by_numpy(maps: torch.Tensor) -> torch.Tensor:
    return maps.sum(dim=(1, 2, 3)) * float(maps.numpy().max())


def written_into_a_constant(maps: torch.Tensor) -> torch.Tensor:
    buffer = torch.zeros(2, 8, 8, 8, dtype=torch.float64)
    buffer[:, ::2] = maps
    return buffer.cumsum(dim=1)[:, -1, 2, 2]


@pytest.mark.parametrize("function", [looked_at, looked_at_by_numpy, written_into_a_constant])
def test_what_cannot_be_told_runs_whole(function: Function) -> None:
    assert not after_three_calls(function, 2, 4, 8, 8).is_cut


def test_other_shapes_run_whole() -> None:
    again = after_three_calls(lambda maps: maps.mean(dim=(2, 3))[:, 0], 2, 4, 8, 8)
    other = drawn(5, 4, 6, 6)
    torch.testing.assert_close(again(other), other.mean(dim=(2, 3))[:, 0])


def layers_at_random(seed: int) -> Iterator[nn.Module]:
    """Local layers whose sizes, strides, margins and dilations are drawn."""
    draw, channels = random.Random(seed), 4
    for _ in range(draw.randint(2, 5)):
        kernel, dilation = draw.choice([1, 2, 3, 5]), draw.choice([1, 1, 2])
        match draw.randint(0, 5):
            case 0 | 1:
                wide = draw.choice([4, 6])
                sizes = (kernel, draw.choice([1, 3])), draw.choice([1, 2]), draw.randint(0, 2)
                yield nn.Conv2d(channels, wide, sizes[0], sizes[1], sizes[2], dilation, groups=draw.choice([1, 2]))
                channels = wide
            case 2:
                yield nn.MaxPool2d(kernel, draw.choice([1, 2]), min(kernel // 2, draw.randint(0, 1)), ceil_mode=True)
            case 3:
                yield nn.Upsample(scale_factor=draw.choice([2, 3]))
            case 4:
                yield nn.BatchNorm2d(channels)
            case 5:
                yield draw.choice(
                    [nn.ReLU(inplace=True), nn.SiLU(), nn.AvgPool2d(2), nn.ConvTranspose2d(channels, channels, 2, 2)]
                )


@pytest.mark.parametrize("seed", range(40))
def test_layers_at_random(seed: int) -> None:
    torch.manual_seed(seed)
    network = nn.Sequential(*layers_at_random(seed)).double().eval()
    with torch.no_grad():
        size = network(drawn(1, 4, 24, 20)).shape
    draw = random.Random(seed)
    place = draw.randrange(size[2]), draw.randrange(size[3])
    assert after_three_calls(lambda maps: network(maps)[:, :, place[0], place[1]].sum(dim=1), 2, 4, 24, 20).is_cut


@pytest.fixture(scope="module", params=["yolov5", "yolov6", "yolo", "ssd", "unet"])
def explainer(request: pytest.FixtureRequest) -> Explainer:
    return lcrp.load(request.param)


def test_networks_with_channels_taken_away(explainer: Explainer) -> None:
    sample = ScenesDataset("val", transform=explainer.transform)[3]
    image, task = sample.image[None], explainer.task
    layers = list(layers_with_places(explainer, sample))
    with explainer.reader() as attributor:
        prediction = task.predictions(attributor.output(image))[0]
        one = task.predicted_targets(prediction, sample)[0][0]
        mask = task.region(prediction, one, sample).inside
        for layer in (layers[len(layers) // 3], layers[len(layers) // 2]):
            taken_away(attributor, image, layer, lambda output: task.logits(output, [one] * 4, mask.expand(4, -1, -1)))


def taken_away(attributor: Attributor, image: torch.Tensor, layer: str, read: Function) -> None:
    sizes: list[int] = []

    def noted(output: torch.Tensor, axis: int) -> torch.Tensor:
        sizes.append(output.shape[axis])
        return output

    attributor.altered(image, layer, noted)

    def function(keep: torch.Tensor) -> torch.Tensor:
        return read(ablated_outputs(attributor, image, layer, keep, torch.zeros(1, sizes[0], 1, 1)))

    again, generator = Replayed(function), torch.Generator().manual_seed(0)
    for share in (0.5, 0.1, 0.9):
        keep = torch.rand(4, sizes[0], generator=generator) < share
        expected = function(keep)
        torch.testing.assert_close(again(keep), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert again.is_cut
    assert not attributor._order.is_own  # it would be slow from then on


def expanded(row: torch.Tensor, count: int) -> torch.Tensor:
    return row[:1].expand(count, *row.shape[1:])


@pytest.mark.parametrize("inplace", [False, True])
def test_rows_that_are_one_are_computed_once(*, inplace: bool) -> None:
    network, maps = branches(inplace=inplace), expanded(drawn(1, 4, 32, 32), 5)
    whole = torch.cat(network(maps.contiguous()), dim=1)
    with torch.no_grad(), RowsOnce():
        once = torch.cat(network(maps.clone()), dim=1)
    torch.testing.assert_close(once, whole, rtol=0, atol=1e-12)
    assert once.stride(0) == 0


@pytest.mark.parametrize(
    "kernel",
    [
        lambda maps: maps + drawn(5, 4, 8, 8),
        lambda maps: torch.cat([maps, drawn(5, 4, 8, 8)], dim=1),
        lambda maps: torch.cat([maps, drawn(5, 4, 8, 8)], dim=0),
        lambda maps: nn.functional.batch_norm(maps, None, None, training=True) + drawn(5, 1, 1, 1),
        lambda maps: nn.functional.dropout(maps + 0, 0.5),
        lambda maps: maps.flatten(1).cumsum(dim=0),
        lambda maps: maps.transpose(1, 2).reshape(20, 64).reshape(5, 4, 64).softmax(dim=0) * drawn(5, 1, 1),
        lambda maps: maps.where(drawn(5, 4, 1, 1) > 0, 0),
    ],
)
def test_rows_that_differ_stay_different(kernel: Function) -> None:
    maps = expanded(drawn(1, 4, 8, 8), 5)
    torch.manual_seed(0)
    whole = kernel(maps.contiguous())
    torch.manual_seed(0)
    with torch.no_grad(), RowsOnce():
        found = kernel(maps)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)
    assert not torch.equal(found[0], found[-1])


@pytest.mark.parametrize(
    "write", [lambda maps: maps[:, 1].mul_(drawn(5, 1, 1)), lambda maps: maps.add_(drawn(5, 1, 1, 1))]
)
def test_rows_that_are_one_are_not_written_apart(write: Function) -> None:
    with torch.no_grad(), RowsOnce(), pytest.raises(RowsError):
        write(expanded(drawn(1, 4, 8, 8), 5) * 2)


@pytest.mark.parametrize("place", [0, slice(1, None)])
@pytest.mark.parametrize("is_constant", [False, True])
def test_rows_that_are_written_apart_are_never_taken_for_one(place: int | slice, *, is_constant: bool) -> None:
    def read(values: torch.Tensor) -> torch.Tensor:
        maps = drawn(1, 4).expand(3, 4) * 2 if is_constant else values * 2
        maps[place] = 3.0
        return (maps + values).sum(dim=1)

    assert after_three_calls(read, 3, 4).is_checked is not is_constant


def test_rows_that_are_written_one_by_one_are_recorded_one_by_one() -> None:
    offset = drawn(3, 4)

    def read(values: torch.Tensor) -> torch.Tensor:
        maps = drawn(1, 4).expand(3, 4) * 2
        maps = maps + values
        maps[:, 1] += offset[:, 1]
        return maps.sin().sum(dim=1)

    assert after_three_calls(read, 3, 4).is_checked


class Orders(TorchDispatchMode):
    """Whether the maps that a kernel gives lie in channels last, call by call."""

    def __init__(self, kernel: object) -> None:
        super().__init__()
        self.kernel, self.found = kernel, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func is self.kernel:
            self.found.append(result.is_contiguous(memory_format=torch.channels_last))
        return result


def test_half_of_the_channels_of_constant_maps_stays_channels_last_beside_others():
    """As half of a convolution's output does that goes by: other kernels are twenty times slower in another order."""
    weight = drawn(6, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    picture = drawn(1, 4, 8, 8).contiguous(memory_format=torch.channels_last)

    def read(values: torch.Tensor) -> torch.Tensor:
        first, second = nn.functional.conv2d(picture.expand(3, -1, -1, -1), weight, padding=1).chunk(2, 1)
        return torch.cat((first, second * values[:, :, None, None]), dim=1).sin().sum(dim=(1, 2, 3))

    again = after_three_calls(read, 3, 3)
    assert again.is_checked
    with Orders(torch.ops.aten.cat.default) as seen:
        again(drawn(3, 3))
    assert seen.found == [True]


@pytest.mark.parametrize("is_like_checked", [False, True])
def test_a_function_that_writes_the_values_that_it_is_given_is_told_rightly(*, is_like_checked: bool) -> None:
    def read(values: torch.Tensor) -> torch.Tensor:
        return values.mul_(2).sum(dim=1)

    again = Replayed(read, is_like_checked=is_like_checked)
    for seed in range(3):
        values = drawn(3, 4, seed=seed)
        expected = 2 * values.sum(dim=1)
        torch.testing.assert_close(again(values), expected, rtol=0, atol=1e-12)


def test_values_of_a_call_may_lie_in_a_list():
    again = after_three_calls(lambda maps: torch.cat([maps[:, :1], maps[:, :1].sin(), drawn(3, 1)], dim=1).sum(1), 3, 4)
    assert again.is_checked


def test_a_tape_like_a_checked_one_is_compared_for_its_first_tensor():
    again, calls = Replayed(lambda values: calls.append(values) or values.sin() * 2, is_like_checked=True), []
    first, second = drawn(3, seed=0), drawn(3, seed=1)
    assert torch.equal(again(first), first.sin() * 2)
    assert torch.equal(again(second), second.sin() * 2)
    assert again.is_checked
    assert len(calls) == 1


def test_a_tape_that_is_wrong_for_its_first_tensor_runs_nothing(monkeypatch):
    monkeypatch.setattr("lcrp.attribution.replay.replayed._Tape.run", lambda _, values: values)
    again = Replayed(torch.sin, is_like_checked=True)
    for seed in range(3):
        assert torch.equal(again(drawn(3, seed=seed)), drawn(3, seed=seed).sin())
    assert not again.is_checked


def test_a_result_may_be_a_map() -> None:
    weight = drawn(6, 4, 3, 3)
    again = after_three_calls(lambda maps: nn.functional.conv2d(maps, weight, padding=1)[:, :, 3:6, 2:4], 3, 4, 8, 8)
    assert again.is_cut
