"""Explaining leaves a network as it was, whatever it does to itself; its weights are read as they are now."""

import copy
import threading
from collections import deque

import pytest
import torch
from torch import nn
from torch.nn import functional
from traps import EPSILON, Everything, Written, explained, pictures, plain_output

import lcrp
from lcrp.attribution.engine import Attributor
from lcrp.attribution.plain import alone_with
from lcrp.composites.composites import epsilon_gamma_flat, epsilon_plus_flat
from lcrp.composites.operations.fingerprint import Fingerprint
from lcrp.composites.spec import CompositeSpec

PLUS = CompositeSpec(name="epsilon_plus_flat", build=epsilon_plus_flat)
GAMMA = CompositeSpec(name="epsilon_gamma_flat", build=epsilon_gamma_flat)


def training_statistics(network, x):
    norm = network.norm
    y = functional.batch_norm(network.conv(x), norm.running_mean, norm.running_var, training=True)
    return network.head(y)


def training_mode(network, x):
    network.norm.train()
    return network.head(network.norm(network.conv(x)))


def instance_statistics(network, x):
    norm = network.norm
    y = functional.instance_norm(network.conv(x), norm.running_mean, norm.running_var, use_input_stats=True)
    return network.head(y)


def buffer_by_data(network, x):
    network.norm.running_mean.data.add_(1)
    return network.head(network.norm(network.conv(x)))


def buffer_in_a_view(network, x):
    part = network.memory[:, :2]
    network.memory.mul_(0.5).add_(network.conv(x))
    return network.head(network.memory) + part


def buffer_replaced(network, x):
    network.memory = network.memory + network.conv(x)
    return network.head(network.memory)


def weight_by_data(network, x):
    network.head.weight.data.mul_(2)
    return network.head(network.conv(x))


def weight_of_another_place(network, x):
    network.head.weight.data = functional.normalize(network.head.weight.data, dim=1)
    return network.head(network.conv(x))


def weight_without_grad(network, x):
    with torch.no_grad():
        network.conv.weight.copy_(network.conv.weight * 2)
        network.head.weight[0] = 0.5
        network.head.bias.zero_()
    return network.head(network.conv(x))


def weight_in_place(network, x):
    network.head.bias.add_(1)
    network.head.weight[:, 0] = 0.5
    return network.head(network.conv(x))


def weight_by_array(network, x):
    network.head.weight.numpy()[:] = 0.25
    return network.head(network.conv(x))


def weight_by_chance(network, x):
    nn.init.normal_(network.head.bias)
    network.head.weight.uniform_()
    return network.head(network.conv(x))


def weight_by_out(network, x):
    torch.mul(network.head.weight, 2.0, out=network.head.weight)
    return network.head(network.conv(x))


def weight_by_foreach(network, x):
    torch._foreach_mul_([network.head.weight, network.head.bias], 2.0)
    return network.head(network.conv(x))


def weight_from_the_picture(network, x):
    y = network.conv(x)
    network.head.bias.copy_(y.detach().mean((0, 2, 3))[:2])
    return network.head(y)


def weight_replaced(network, x):
    network.head.weight = nn.Parameter(network.head.weight * 2, requires_grad=False)
    return network.head(network.conv(x))


def module_replaced(network, x):
    head, network.head = network.head, nn.Identity()
    return head(network.conv(x))


def counters(network, x):
    network.count += 1
    network.scale *= 2.0
    network.flags["seen"] = network.count
    network.history.append(network.count)
    network.recent.append(network.count)
    network.names.add(str(network.count))
    network.table.add_(1)
    network.cache = network.conv(x)
    network.first = x.shape
    return network.head(network.cache) * network.count + network.table


def made(forward):
    network = Written(forward, norm=nn.BatchNorm2d(4))
    network.register_buffer("memory", torch.ones(1, 4, 6, 6, dtype=torch.float64))
    network.count, network.scale, network.cache = 0, 1.5, None
    network.flags, network.history, network.recent, network.names = {"seen": 0}, [0], deque([1], maxlen=1), {"0"}
    network.table = torch.zeros(1, dtype=torch.float64)
    return network.eval()


ALTERING = [
    *(training_statistics, training_mode, instance_statistics, buffer_by_data, buffer_in_a_view, buffer_replaced),
    *(weight_by_data, weight_of_another_place, weight_without_grad, weight_in_place, weight_by_array),
    *(weight_by_chance, weight_by_out, weight_by_foreach, weight_from_the_picture, weight_replaced),
    *(module_replaced, counters),
]


def state(network):
    """All that can be told of it."""
    tensors = {name: one.clone() for name, one in network.state_dict().items()}
    objects = {name: id(one) for name, one in (*network.named_parameters(), *network.named_buffers())}
    flags = [(name, module.training, sorted(vars(module))) for name, module in network.named_modules()]
    gradients = [one.requires_grad for one in (*network.parameters(), *network.buffers())]
    plain = {
        name: copy.deepcopy(value) for name, value in vars(network).items() if name[0] != "_" and name != "forward"
    }
    return tensors, objects, flags, gradients, plain


@pytest.mark.parametrize("composite", [EPSILON, GAMMA], ids=["epsilon", "gamma"])
@pytest.mark.parametrize("forward", ALTERING, ids=lambda forward: forward.__name__)
def test_a_network_is_bit_for_bit_what_it_was(forward, composite):
    """And it says what it says by itself."""
    network = made(forward)
    torch.manual_seed(0)
    plain = plain_output(copy.deepcopy(network))
    network.train()
    before = state(network)
    torch.manual_seed(0)
    found = explained(network, composite=composite)
    torch.testing.assert_close(found.output, plain, rtol=1e-12, atol=1e-14)
    tensors, *rest = state(network)
    assert tensors.keys() == before[0].keys()
    for name, one in tensors.items():
        assert torch.equal(one, before[0][name]), name
    assert rest == list(before[1:])


def test_a_pass_that_is_done_again_begins_where_the_first_one_did():
    """Rules' memory is overwritten; counters and weights are altered once all the same."""

    def forward(network, x):
        network.count += 1
        network.head.weight.data.mul_(2)
        y = network.conv(x)
        z = network.head(y)
        y[:, 0] = 0.5
        return (z + network.head(y)) * network.count

    network = made(forward)
    plain = plain_output(copy.deepcopy(network))
    found = explained(network)
    assert found.engine._copies
    torch.testing.assert_close(found.output, plain, rtol=1e-12, atol=1e-14)


def between_passes(change, composite):
    """Heatmaps of a network that is changed between two passes, and of one that was so from the start."""
    heatmaps = []
    for is_late in (True, False):
        network = Written(lambda network, x: network.head(network.norm(network.conv(x)).relu()), norm=nn.BatchNorm2d(4))
        if not is_late:
            change(network)
        with Attributor(network, composite, Everything(), layers=(), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
            for number in range(2):
                if is_late and number == 1:
                    change(network)
                trace = engine.forward(pictures())
                heatmap = trace.attribute(trace.output, torch.ones_like(trace.output)).heatmap
        heatmaps.append(heatmap)
    return heatmaps


def by_data(network):
    network.head.weight.data.mul_(torch.tensor([1, -1, 2, -2.0]).view(1, 4, 1, 1))


def by_another_place(network):
    network.head.weight.data = network.head.weight.data * torch.tensor([1, -1, 2, -2.0]).view(1, 4, 1, 1)


def by_array(network):
    network.head.weight.detach().numpy()[:, 1] *= -2


def norms_by_data(network):
    network.norm.running_mean.data.add_(torch.tensor([1, -1, 2, -2.0]))
    network.norm.weight.data.mul_(torch.tensor([1, -1, 2, -2.0]))


@pytest.mark.parametrize("composite", [EPSILON, PLUS, GAMMA], ids=["epsilon", "plus", "gamma"])
@pytest.mark.parametrize("change", [by_data, by_another_place, by_array, norms_by_data])
def test_weights_that_change_between_passes_are_read_anew(change, composite):
    """data and numpy write into memory without a version that tells of it."""
    found, expected = between_passes(change, composite)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("composite", [EPSILON, PLUS], ids=["epsilon", "plus"])
@pytest.mark.parametrize("way", ["data", "another place", "of a norm"])
def test_weights_that_depend_on_the_picture_are_read_anew(way, composite):
    def forward(network, x):
        scale = x.mean().item() * torch.tensor([1, -1, 2, -2.0], dtype=x.dtype)
        if way == "data":
            network.head.weight.data.copy_(scale.view(1, 4, 1, 1).expand(2, 4, 1, 1))
        elif way == "another place":
            network.head.weight.data = scale.view(1, 4, 1, 1).repeat(2, 1, 1, 1)
        else:
            network.norm.running_mean.data.copy_(scale)
        return network.head(network.norm(network.conv(x)).relu())

    images = (pictures() * 0 + 1, pictures() * 0.2, pictures())
    alone = explained(Written(forward, norm=nn.BatchNorm2d(4)), images[-1], composite=composite).heatmap
    network = Written(forward, norm=nn.BatchNorm2d(4))
    with Attributor(network, composite, Everything(), layers=(), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
        for one in images:
            trace = engine.forward(one)
            heatmap = trace.attribute(trace.output, torch.ones_like(trace.output)).heatmap
    torch.testing.assert_close(heatmap, alone, rtol=1e-12, atol=1e-14)


def test_weights_that_stay_are_prepared_once():
    """The look at them finds no change where there is none."""
    network = Written(lambda network, x: network.head(network.conv(x)))
    with Attributor(network, PLUS, Everything(), layers=(), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
        maps = []
        for _ in range(2):
            trace = engine.forward(pictures())
            trace.attribute(trace.output, torch.ones_like(trace.output))
            maps.append([one for _, one in engine._rules.constants._made.values()])
    assert len(maps[0]) == 2
    assert all(one is other for one, other in zip(*maps, strict=True))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(()),
        torch.zeros(3, 5),
        torch.zeros(64, 32, 3, 3),
        torch.zeros(64, 32, 3, 3).contiguous(memory_format=torch.channels_last),
        torch.zeros(8, 400).T,
        torch.zeros(20, 20)[:, ::2],
    ],
    ids=["number", "small", "kernel", "channels last", "transposed", "view"],
)
def test_changes_of_a_whole_tensor_or_of_one_channel_are_seen(tensor):
    seen = Fingerprint([tensor])
    assert seen.has_changed()
    assert not seen.has_changed()
    tensor.data.add_(1)
    assert seen.has_changed()
    assert not seen.has_changed()
    if tensor.ndim:
        tensor.data[0] += 1
        assert seen.has_changed()


def test_nothing_is_seen_where_there_is_nothing():
    seen = Fingerprint([])
    assert not seen.has_changed()
    whole = torch.ones(3, dtype=torch.int64)
    seen = Fingerprint([whole])
    assert not seen.has_changed()


class Remembering(nn.Module):
    """Counts its passes, and takes running statistics in them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.passes = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        self.conv.weight.data.mul_(1.5)
        return nn.functional.batch_norm(self.conv(x), self.norm.running_mean, self.norm.running_var, training=True)


def test_loading_leaves_a_network_as_it_was() -> None:
    network = Remembering()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lcrp.load(network, task="segmentation", class_names=["background", "boat"], input=8)
    assert network.passes == 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(one.requires_grad and one.is_leaf for one in network.parameters())


def test_networks_that_share_modules_wait_for_each_other() -> None:
    backbone = nn.Conv2d(3, 4, 1)
    one, other = nn.Sequential(backbone, nn.Conv2d(4, 2, 1)), nn.Sequential(backbone, nn.Conv2d(4, 3, 1))
    entered = threading.Event()

    def second() -> None:
        with alone_with(other):
            entered.set()

    thread = threading.Thread(target=second)
    with alone_with(one), alone_with(one):
        thread.start()
        assert not entered.wait(0.3)
    thread.join(10)
    assert entered.is_set()


def hooked(network, x):
    """Hooks itself when it first runs, and notes that it did, as networks of transformers do."""
    if not getattr(network, "is_hooked", False):
        network.is_hooked = True
        network.conv.register_forward_hook(lambda *values: network.seen.append(values[-1]))
    network.seen = []
    y = network.conv(x)
    return network.head(network.seen[-1]) + len(network.seen) * y.sum()


def test_hooks_that_a_network_gives_itself_are_taken_away():
    """It noted again and again that it had none yet, and had one more after every pass."""
    network = Written(hooked)
    network.seen = []
    network.eval()
    for _ in range(2):
        with Attributor(network, PLUS, Everything(), layers=["conv"], mean=[0] * 3, std=[1] * 3) as attributor:
            attributor.forward(pictures())
            assert len(network.seen) == 1
        assert not network.conv._forward_hooks
        assert not hasattr(network, "is_hooked")
