"""Networks that write into memory, by whatever means torch has, are explained as the same ones that do not."""

import copy
import gc
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from torch import nn
from traps import EPSILON, Everything, Written, assert_the_same, explained, explained_unchanged, pictures, plain_output

from lcrp.attribution.engine import Attributor
from lcrp.composites.composites import epsilon_gamma_flat, epsilon_plus_flat, gradient
from lcrp.composites.spec import CompositeSpec
from lcrp.errors import ConfigError
from lcrp.values.prediction import DetectorOutput

ZERO = torch.zeros((), dtype=torch.float64)


def after_a_map_has_read(write):
    """A head reads the maps before and after something is written into them."""

    def forward(network, x):
        y = network.conv(x)
        z = network.head(y)
        returned = write(y)
        return z + network.head(y if returned is None else returned)

    return forward


def first_row(y):
    """Where the first row is."""
    mask = torch.zeros(y.shape[2:], dtype=torch.bool)
    mask[0] = True
    return mask


def set_item(y):
    y[:, :, 0] = 0.5


def set_signal(y):
    y[:, :2] = y[:, 2:].clone()


def add_to_item(y):
    y[:, 0] += y[:, 1]


def scale_a_view(y):
    part = y[:, :2]
    part *= 2


def scale_a_view_then_add(y):
    scale_a_view(y)
    y += 1


def by_out(y):
    torch.add(y, y.flip(2), out=y)


def by_out_of_another(y):
    out = torch.empty_like(y.detach())
    torch.mul(y, 2.0, out=out)
    return out


def parts_of_one_operation(y):
    first, _ = y.chunk(2, dim=1)
    first.relu_()


def part_of_unbind(y):
    first, *_ = y.unbind(1)
    first += 1


def through_detached(y):
    y.detach().mul_(2)
    return y


def indexed(y, value):
    return torch.where(first_row(y), value, y)


CASES = {
    "setitem of a constant": (set_item, lambda y: indexed(y, ZERO + 0.5)),
    "setitem of a signal": (set_signal, lambda y: torch.cat([y[:, 2:], y[:, 2:]], dim=1)),
    "setitem by a mask": (lambda y: y.__setitem__((..., first_row(y)), 0.5), lambda y: indexed(y, ZERO + 0.5)),
    "copy_ of a signal": (lambda y: y.copy_(y.flip(2).clone()), lambda y: y.flip(2)),
    "copy_ of a constant into a view": (lambda y: [y[:, :, 0].copy_(ZERO + 0.5)], lambda y: indexed(y, ZERO + 0.5)),
    "fill_ of a view": (lambda y: [y[:, :, 0].fill_(0.5)], lambda y: indexed(y, ZERO + 0.5)),
    "zero_ of a view": (lambda y: [y[:, :, 0].zero_()], lambda y: indexed(y, ZERO)),
    "masked_fill_": (lambda y: y.masked_fill_(first_row(y), 0.25), lambda y: indexed(y, ZERO + 0.25)),
    "masked_fill_ of a view": (
        lambda y: [y[:, :].masked_fill_(first_row(y), 0.25)],
        lambda y: indexed(y, ZERO + 0.25),
    ),
    "index_put_": (
        lambda y: y.index_put_((torch.tensor([0]), torch.tensor([1])), ZERO + 0.5),
        lambda y: torch.cat([y[:, :1], torch.full_like(y[:, :1].detach(), 0.5), y[:, 2:]], dim=1),
    ),
    "index_fill_": (lambda y: y.index_fill_(2, torch.tensor([0]), 0.5), lambda y: indexed(y, ZERO + 0.5)),
    "index_copy_": (
        lambda y: y.index_copy_(2, torch.tensor([0]), torch.full_like(y[:, :, :1].detach(), 0.5)),
        lambda y: indexed(y, ZERO + 0.5),
    ),
    "masked_scatter_": (
        lambda y: y.masked_scatter_(first_row(y), torch.full((4, 6), 0.5, dtype=y.dtype)),
        lambda y: indexed(y, ZERO + 0.5),
    ),
    "tril_": (lambda y: y.tril_(), lambda y: torch.where(torch.ones(6, 6).tril().bool(), y, ZERO)),
    "relu_ of a view": (
        lambda y: [y[:, :2].relu_()],
        lambda y: torch.cat([y[:, :2].relu(), y[:, 2:]], dim=1),
    ),
    "a view times a constant": (scale_a_view, lambda y: torch.cat([y[:, :2] * 2, y[:, 2:]], dim=1)),
    "a view times a constant, then all": (
        scale_a_view_then_add,
        lambda y: torch.cat([y[:, :2] * 2, y[:, 2:]], dim=1) + 1,
    ),
    "one of several views": (parts_of_one_operation, lambda y: torch.cat([y[:, :2].relu(), y[:, 2:]], dim=1)),
    "clamp_ and add_": (
        lambda y: y.clamp_(min=0).add_(y.flip(2)),
        lambda y: y.clamp(min=0) + y.clamp(min=0).flip(2),
    ),
    "foreach": (lambda y: torch._foreach_mul([y], 2.0)[0], lambda y: y * 2),
    "foreach in place": (lambda y: torch._foreach_mul_([y], 2.0), lambda y: y * 2),
    "foreach with lists": (lambda y: torch._foreach_add([y], [y.flip(2)], alpha=2)[0], lambda y: y + 2 * y.flip(2)),
    "out=": (by_out, lambda y: y + y.flip(2)),
    "out= of another tensor": (by_out_of_another, lambda y: y * 2),
    "transpose_": (lambda y: y.transpose_(2, 3), lambda y: y.transpose(2, 3)),
    "functions without a rule": (lambda y: y.logit_(eps=0.1), lambda y: y.logit(eps=0.1)),
    "relu_ of what is flattened too": (
        lambda y: (y.flatten(2), y.relu_())[0].reshape(y.shape),
        lambda y: y.relu(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_explained_as_if_it_were_computed(name):
    write, compute = CASES[name]

    def written(y):
        returned = write(y)
        return returned if isinstance(returned, torch.Tensor) else None

    assert_the_same(after_a_map_has_read(written), after_a_map_has_read(compute))


@pytest.mark.parametrize("composite", [epsilon_plus_flat, epsilon_gamma_flat])
def test_other_rules_keep_copies_too(composite):
    """z+ keeps inputs, gamma inputs and outputs."""
    spec = CompositeSpec(name="lrp", build=composite)
    written, computed = after_a_map_has_read(set_signal), after_a_map_has_read(CASES["setitem of a signal"][1])
    found = assert_the_same(written, computed, spec)
    assert found.engine._copies


def test_contributions_of_several_summands_written_at_once():
    """index_add_: the first channel and the second, or their sum, which has another stabiliser."""

    def written(y):
        y.index_add_(1, torch.tensor([0]), y[:, 1:2].clone())

    def computed(y):
        return torch.cat([y[:, :1] + y[:, 1:2], y[:, 1:]], dim=1)

    one, other = (explained(Written(after_a_map_has_read(how))) for how in (written, computed))
    torch.testing.assert_close(one.heatmap, other.heatmap, rtol=1e-4, atol=1e-4)
    assert not one.contributions
    assert one.ledger.missing_share < 1e-9


def test_an_element_of_a_sum_is_added_to():
    """y[:, 0] += y[:, 1] reads a view, adds to it and writes it back."""
    assert_the_same(
        after_a_map_has_read(add_to_item),
        after_a_map_has_read(lambda y: torch.cat([y[:, :1] + y[:, 1:2], y[:, 1:]], dim=1)),
    )


def test_parts_that_one_operation_made():
    """torch lets none of them be written into while it keeps derivatives."""
    assert_the_same(
        after_a_map_has_read(part_of_unbind),
        after_a_map_has_read(lambda y: torch.cat([y[:, :1] + 1, y[:, 1:]], dim=1)),
    )


def test_what_is_written_into_a_detached_tensor_changes_the_signal():
    """They are the same memory: the output is right, and where relevance is cut is counted."""
    network = Written(after_a_map_has_read(through_detached))
    found = explained_unchanged(network)
    assert found.engine._rules.cuts == {"detach": 1}


def test_a_norm_behind_a_map_whose_input_was_overwritten():
    """Merged norms hang on the input of the map, as it was then."""

    def written(network, x):
        x = network.stem(x)
        y = network.conv(x)
        x.copy_(x.flip(3).clone())
        return network.head(network.norm(y)) + x[:, :2]

    def computed(network, x):
        x = network.stem(x)
        return network.head(network.norm(network.conv(x))) + x.flip(3)[:, :2]

    modules = {"stem": nn.Conv2d(3, 3, 1), "norm": nn.BatchNorm2d(4)}
    assert assert_the_same(written, computed, **modules).engine._copies


def test_a_map_that_was_written_into_is_not_merged_with_what_follows():
    """It is no output of the map any more."""

    def written(network, x):
        y = network.conv(x)
        y[:, :, 0] = 0.5
        return network.head(network.norm(y))

    def computed(network, x):
        y = network.conv(x)
        return network.head(network.norm(indexed(y, ZERO + 0.5)))

    assert_the_same(written, computed, norm=nn.BatchNorm2d(4))


def test_a_sum_whose_summands_were_overwritten():
    """Another summand joins the sum before; they are kept as they were."""

    def written(network, x):
        y = network.conv(x)
        total = y + y.flip(2)
        y.copy_(y.flip(3).clone())
        return network.head(total + y.relu())

    def computed(network, x):
        y = network.conv(x)
        return network.head(y + y.flip(2) + y.flip(3).relu())

    assert_the_same(written, computed)


@pytest.mark.parametrize(
    ("write", "compute"),
    [
        (lambda x: x.mul_(2).sub_(0.5), lambda x: x * 2 - 0.5),
        (lambda x: x[:, 0].fill_(1.0), lambda x: torch.cat([torch.ones_like(x[:, :1]), x[:, 1:]], dim=1)),
        (lambda x: x.copy_(x.flip(3).clone()), lambda x: x.flip(3)),
    ],
    ids=["mul_", "fill_ of a channel", "copy_"],
)
def test_networks_write_into_the_picture(write, compute):
    """It is theirs: the caller's is as it was."""

    def written(network, x):
        write(x)
        return network.head(network.conv(x))

    network, images = Written(written), pictures()
    before = images.clone()
    found = explained(network, images)
    assert torch.equal(images, before)
    expected = explained(Written(lambda network, x: network.head(network.conv(compute(x)))))
    torch.testing.assert_close(found.output, expected.output, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=1e-9, atol=1e-13)
    assert found.ledger.missing_share < 1e-9


def test_a_module_returns_what_was_written_into_its_output():
    """A module that calls a function in place and returns the tensor that it had before."""

    class Inside(nn.Module):
        def forward(self, x):
            nn.functional.relu_(x)
            return x

    def written(network, x):
        return network.head(network.inside(network.conv(x)))

    def statement(network, x):
        y = network.head(network.conv(x))
        y.relu_()
        return y

    assert_the_same(written, lambda network, x: network.head(network.conv(x).relu()), inside=Inside())
    assert_the_same(statement, lambda network, x: network.head(network.conv(x)).relu())


def test_networks_that_overwrite_nothing_keep_no_copies():
    """Activations in place, values written into fresh memory: all of it in one pass."""
    passes = []

    def forward(network, x):
        passes.append(1)
        y = network.conv(x).relu_()
        y += y.flip(2)
        padded = torch.zeros(1, 4, 8, 8, dtype=x.dtype)
        padded[:, :, 1:7, 1:7] = y
        return network.head(padded)

    found = explained(Written(forward))
    assert len(passes) == 1
    assert not found.engine._copies


def test_once_overwritten_copies_are_kept_at_once():
    passes = []

    def forward(network, x):
        passes.append(1)
        return after_a_map_has_read(set_signal)(network, x)

    network = Written(forward)
    with Attributor(network, EPSILON, Everything(), layers=(), mean=(0.0,) * 3, std=(1.0,) * 3) as engine:
        for _ in range(3):
            engine.forward(pictures())
    assert len(passes) == 1 + 3


def test_recorded_layers_are_as_they_were_before_something_was_written_into_them():
    """Activation and relevance are those of the layer's own output."""

    def written(network, x):
        y = network.act(network.conv(x))
        y[:, :, 0] = 0.5
        return network.head(y)

    def computed(network, x):
        return network.head(indexed(network.act(network.conv(x)), ZERO + 0.5))

    layers = ("conv", "act", "head")
    one, other = (explained(Written(how, act=nn.Softplus()), layers=layers).attribution for how in (written, computed))
    for layer in layers:
        torch.testing.assert_close(one.activation[layer], other.activation[layer], rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(one.relevance[layer], other.relevance[layer], rtol=1e-9, atol=1e-13)
    assert not one.relevance["act"][:, :, 0].any()


def test_maps_that_are_read_as_they_arise_are_read_once():
    """Though the pass is done again where rules' memory was overwritten."""

    def forward(network, x):
        y = network.conv(x)
        z = network.head(y)
        if x.mean() > 0:  # the first picture does not show it
            y[:, :, 0] = 0.5
        return z + y[:, :2]

    read = []
    network = Written(forward)
    images = torch.stack([pictures()[0] * 0, pictures()[0] + 2])
    with Attributor(network, EPSILON, Everything(), layers=("head",), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
        engine.forward(images, lambda name, _: read.append(name))
        assert engine._copies
    assert read == ["head"]


class Counting(nn.Module):
    """Writes into its own buffers, replaces one, and stores what it has seen."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(4, 1, 1))
        self.register_buffer("memory", torch.zeros(1, 4, 6, 6))
        self.register_buffer("replaced", torch.zeros(()))
        self.seen = None

    def forward(self, y):
        out = y * self.mean
        self.mean.mul_(0.9).add_(y.detach().mean((0, 2, 3)).view(4, 1, 1))
        self.memory.copy_(out)
        self.replaced = self.replaced + y.mean()
        self.seen = y
        return out + self.memory


@pytest.mark.parametrize("fails", [False, True], ids=["normally", "after an error"])
def test_a_networks_own_memory_is_given_back(fails):
    """Buffers that a forward pass alters hold what they held, and nothing of the picture."""

    def forward(network, x):
        out = network.head(network.counting(network.conv(x)))
        if fails:
            raise ZeroDivisionError
        return out

    network = Written(forward, counting=Counting())
    buffers = dict(network.named_buffers())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if fails:
        with pytest.raises(ZeroDivisionError):
            explained(network)
    else:
        found = explained(network)
        assert found.ledger.missing_share < 1e-9
        copied = copy.deepcopy(network)
        torch.testing.assert_close(plain_output(copied), found.output, rtol=1e-12, atol=1e-14)
    for name, tensor in network.named_buffers():
        assert tensor is buffers[name]
        assert not tensor.requires_grad
        assert torch.equal(tensor, before[name])
    assert network.counting.seen is None


def test_a_weight_that_is_overwritten_after_it_was_used():
    def written(network, x):
        y = network.conv(x)
        z = nn.functional.conv2d(y, network.kernel)
        network.kernel.mul_(2)
        return z

    network = Written(written)
    network.register_buffer("kernel", torch.rand(2, 4, 1, 1, dtype=torch.float64))
    found = explained(network)
    computed = Written(lambda computed, x: nn.functional.conv2d(computed.conv(x), network.kernel))
    expected = explained(computed)
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=1e-9, atol=1e-13)
    assert found.engine._copies


def test_the_gradient_of_what_is_written():
    spec = CompositeSpec(name="gradient", build=gradient, conserves=False, is_lrp=False)

    def forward(network, x):
        y = network.conv(x)
        y[:, :, 0] = 0.5
        first, _ = y.chunk(2, dim=1)
        first.mul_(3)
        return network.head(y).sigmoid()

    network = Written(forward)
    found = explained(network, composite=spec)
    x = (pictures() - 0.5).requires_grad_()
    y = torch.where(first_row(x), ZERO + 0.5, network.conv(x))
    output = network.head(torch.cat([y[:, :2] * 3, y[:, 2:]], dim=1)).sigmoid()
    (expected,) = torch.autograd.grad(output.sum(), x)
    torch.testing.assert_close(found.heatmap, expected.sum(1), rtol=1e-9, atol=1e-13)


def test_a_dataclass_holds_what_its_tensors_have_become():
    """As detectors of one's own return their output."""

    def forward(network, x):
        z = network.head(network.conv(x))
        z.mul_(3)
        return DetectorOutput(boxes=z, class_logits=z, objectness_logits=None)

    network = Written(forward)
    with Attributor(network, EPSILON, Everything(), layers=(), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
        output = engine.forward(pictures()).output
        torch.testing.assert_close(output.class_logits, engine.output(pictures()).class_logits)


def test_layers_are_looked_at_and_altered_where_copies_are_needed():
    """One of several views of one operation is written into, which torch refuses unless rules keep copies."""

    def forward(network, x):
        first, second = network.conv(x).chunk(2, dim=1)
        first.mul_(2)
        return network.head(torch.cat([first, second], dim=1))

    network = Written(forward)
    doubled = torch.tensor([2.0, 2.0, 1.0, 1.0], dtype=torch.float64).view(4, 1, 1)
    for look in ("readable", "altered"):
        with Attributor(network, EPSILON, Everything(), layers=("conv",), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
            if look == "readable":
                plain = network.conv(engine.normalised(pictures()))
                torch.testing.assert_close(engine.readable(pictures())["conv"], plain)
            else:
                output = engine.altered(pictures(), "conv", lambda y, _: torch.ones_like(y))
                expected = network.head(doubled.expand(1, 4, *output.shape[2:]))
                torch.testing.assert_close(output, expected.expand_as(output))


class _List(list):
    pass


class _Mapping(OrderedDict):
    pass


class _Tuple(tuple):
    __slots__ = ()


class _Named(NamedTuple):
    logits: object


class _Further(_Named):
    __slots__ = ()


class _Slots:
    __slots__ = ("logits",)

    def __init__(self, logits):
        self.logits = logits


@dataclass(frozen=True, slots=True)
class _Frozen:
    logits: object


CONTAINERS = {
    "a list of its own kind": (lambda z: _List([z]), lambda out: out[0]),
    "a mapping of its own kind": (lambda z: _Mapping(logits=z), lambda out: out["logits"]),
    "a mapping in a dict": (lambda z: {"out": _Mapping(logits=[z])}, lambda out: out["out"]["logits"][0]),
    "a tuple of its own kind": (lambda z: _Tuple([z]), lambda out: out[0]),
    "a named tuple": (_Named, lambda out: out.logits),
    "what a named tuple became": (_Further, lambda out: out.logits),
    "an object": (lambda z: SimpleNamespace(logits=z), lambda out: out.logits),
    "an object in an object": (
        lambda z: SimpleNamespace(inner=SimpleNamespace(logits=(z,))),
        lambda out: out.inner.logits[0],
    ),
    "an object with slots": (_Slots, lambda out: out.logits),
    "a frozen dataclass with slots": (_Frozen, lambda out: out.logits),
    "a queue": (lambda z: deque([z]), lambda out: out[0]),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_whatever_holds_a_tensor_holds_what_it_has_become(name):
    """As the network returns it, and as one of its modules does."""
    wrap, unwrap = CONTAINERS[name]

    class Inner(nn.Module):
        def forward(self, z):
            out = wrap(z)
            z.mul_(3)
            return out

    def returned(network, x):
        return network.inner(network.head(network.conv(x)))

    for forward, read in ((returned, unwrap), (lambda network, x: unwrap(returned(network, x)), lambda out: out)):
        network = Written(forward, inner=Inner())
        plain = read(plain_output(network))
        with Attributor(network, EPSILON, Everything(), layers=(), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
            output = read(engine.forward(pictures()).output)
        torch.testing.assert_close(output.detach(), plain, rtol=1e-12, atol=1e-14)
        assert output.requires_grad


def test_a_container_that_cannot_be_made_anew_is_refused_in_one_line():
    class Odd(tuple):
        __slots__ = ()

        def __new__(cls, one, other):
            return super().__new__(cls, (one, other))

    def forward(network, x):
        z = network.head(network.conv(x))
        out = Odd(z, z)
        z.mul_(3)
        return out

    with pytest.raises(ConfigError, match="returns tensors in a Odd, which cannot be made anew"):
        explained(Written(forward))


def test_named_tuples_of_tensors_are_given_to_functions_as_they_are_now():
    class Pair(NamedTuple):
        one: torch.Tensor
        other: torch.Tensor

    def written(network, x):
        y = network.conv(x)
        pair = Pair(y[:, :2].clone(), y[:, 2:].clone())
        pair.one.relu_()
        return network.head(torch.cat(pair, dim=1))

    assert_the_same(
        written,
        lambda network, x: network.head(torch.cat([network.conv(x)[:, :2].relu(), network.conv(x)[:, 2:]], dim=1)),
    )


def test_a_pass_leaves_no_circle_that_holds_its_maps():
    """Python finds circles late: passes of large detectors took all memory until then."""
    maps = []

    def forward(network, x):
        y = network.conv(x)
        y.relu_()
        maps.append(weakref.ref(y))
        return network.head(y)

    gc.collect()
    gc.disable()
    try:
        assert explained(Written(forward)).heatmap.any()
        assert maps
        assert all(one() is None for one in maps)
    finally:
        gc.enable()
