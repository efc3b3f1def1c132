"""What is written into memory arrives wherever the same memory is read, as a signal or as a cut that is told."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from traps import Written, assert_the_same, explained, explained_unchanged, plain_output

from lcrp.composites.composites import epsilon_plus_flat
from lcrp.composites.spec import CompositeSpec

PLUS = CompositeSpec(name="epsilon_plus_flat", build=epsilon_plus_flat)
INDEX = torch.arange(4)


def between(how):
    """A network with something between its two layers."""
    return lambda network, x: network.head(how(network.conv(x)))


def canvas_of(y):
    return torch.zeros(y.shape, dtype=y.dtype)


def added_to_a_canvas(y):
    canvas = canvas_of(y)
    part = canvas[:, :2]
    canvas += y
    return y + part.repeat(1, 2, 1, 1)


def index_added_to_a_canvas(y):
    canvas = canvas_of(y)
    other = canvas.view(1, 4, 36)
    canvas.index_add_(1, INDEX, y)
    return other.view(y.shape) + y


def index_added_to_its_view(y):
    canvas = canvas_of(y).flatten(2)
    other = canvas.view(y.shape)
    canvas.index_add_(2, torch.arange(36), y.flatten(2))
    return other + y


def added_then_activated(y):
    canvas = canvas_of(y)
    other = canvas[:, :2]
    canvas += y
    canvas.relu_()
    return torch.cat([other, y[:, 2:]], dim=1)


def set_then_activated(y):
    canvas = canvas_of(y)
    other = canvas[:, :2]
    canvas[:] = y
    canvas.relu_()
    return torch.cat([other, y[:, 2:]], dim=1)


def one_view_of_two(y):
    canvas = canvas_of(y)
    one, other = canvas[:, :2], canvas[:, :2]
    one.add_(y[:, :2])
    canvas.mul_(2)
    return torch.cat([other, y[:, 2:]], dim=1)


VIEWS = {
    "canvas += y": (added_to_a_canvas, lambda y: y + y[:, :2].repeat(1, 2, 1, 1)),
    "canvas.index_add_": (index_added_to_a_canvas, lambda y: y + y),
    "a view of the canvas, index_add_": (index_added_to_its_view, lambda y: y + y),
    "canvas += y, canvas.relu_": (added_then_activated, lambda y: torch.cat([y[:, :2].relu(), y[:, 2:]], dim=1)),
    "canvas[:] = y, canvas.relu_": (set_then_activated, lambda y: torch.cat([y[:, :2].relu(), y[:, 2:]], dim=1)),
    "one view of two": (one_view_of_two, lambda y: torch.cat([y[:, :2] * 2, y[:, 2:]], dim=1)),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_a_constant_that_becomes_a_signal(name):
    """They were made before anything depended on the picture."""
    written, computed = VIEWS[name]
    found = assert_the_same(between(written), between(computed), but_for=(1e-4, 1e-4))
    assert not found.engine._rules.cuts


def test_a_canvas_that_nothing_else_reads_is_summed_as_written():
    """No copies, and all summands join one sum."""

    def written(y):
        canvas = canvas_of(y)
        canvas += y
        canvas += y.flip(2)
        return canvas

    assert not assert_the_same(between(written), between(lambda y: canvas_of(y) + y + y.flip(2))).engine._copies


def view_within(without_derivatives):
    def forward(y):
        with without_derivatives():
            part = y[:, :2]
        y.mul_(2)
        return y + part.repeat(1, 2, 1, 1)

    return forward


def no_grad_parts(y):
    with torch.no_grad():
        one, other = y.chunk(2, dim=1)
    y.mul_(2)
    return y + torch.cat([one, other], dim=1)


def no_grad_view_of_a_canvas(y):
    canvas = canvas_of(y)
    with torch.no_grad():
        part = canvas[:, :2]
    canvas += y
    return canvas + part.repeat(1, 2, 1, 1)


def detached_canvas(y):
    canvas = canvas_of(y)
    other = canvas.detach()
    canvas += y
    return canvas + other


def written_into_a_detached_canvas(y):
    canvas = canvas_of(y)
    other = canvas.detach()
    other += y
    return canvas + y


def data_of_a_canvas(y):
    canvas = canvas_of(y)
    canvas.data.add_(y)
    return canvas + y


def array_of_a_canvas(y):
    canvas = canvas_of(y)
    array = canvas.numpy()
    canvas += y
    return canvas + torch.from_numpy(array)


def doubled(y):
    return y * 2 + (y * 2).detach()[:, :2].repeat(1, 2, 1, 1)


CUT = {
    "no_grad": (view_within(torch.no_grad), doubled, {"no_grad": 1}),
    "no_grad, parts": (no_grad_parts, lambda y: y * 2 + (y * 2).detach(), {"no_grad": 1}),
    "inference_mode": (view_within(torch.inference_mode), doubled, {"inference_mode": 1}),
    "no_grad, canvas": (
        no_grad_view_of_a_canvas,
        lambda y: y + y.detach()[:, :2].repeat(1, 2, 1, 1),
        {"no_grad": 1},
    ),
    "detach, canvas": (detached_canvas, lambda y: y + y.detach(), {"detach": 1}),
    "detach, written into": (written_into_a_detached_canvas, lambda y: y.detach() + y, {"detach": 1}),
    "data, canvas": (data_of_a_canvas, lambda y: y.detach() + y, {"data": 1}),
    "numpy, canvas": (array_of_a_canvas, lambda y: y + y.detach(), {"numpy": 1}),
}


@pytest.mark.parametrize("name", CUT)
def test_views_that_hide_what_is_written_are_cuts_and_told(name):
    """They hold what was written, without its derivative; as many are counted as there are."""
    written, computed, cuts = CUT[name]
    one, other = Written(between(written)), Written(between(computed))
    plain = plain_output(one)
    found, expected = explained(one), explained(other)
    torch.testing.assert_close(found.output, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(expected.output, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=1e-3, atol=1e-3)  # but for stabilisers
    assert found.engine._rules.cuts == cuts
    assert found.ledger.missing_share < 1e-9


def copied_without_grad(y):
    canvas = canvas_of(y)
    with torch.no_grad():
        canvas.copy_(y)
    return y + canvas


def set_without_grad(y):
    canvas = canvas_of(y)
    with torch.no_grad():
        canvas[:, 0] = y[:, 0]
    return y + canvas


def overwritten_without_grad(y):
    with torch.no_grad():
        y[:, 0] = 0.5
    return y


def scaled_without_grad(y):
    with torch.no_grad():
        y.mul_(2)
    return y


def concatenated_without_grad(y):
    with torch.no_grad():
        parts = torch.cat([y, y], dim=1)
    return y + parts[:, :4]


def concatenated_for_inference(y):
    with torch.inference_mode():
        parts = torch.cat([y, y], dim=1)
        parts = parts * 2
    return y * parts[:, :4]


def foreign_data(y):
    canvas = canvas_of(y)
    canvas.data = y
    return y + canvas


def own_data(y):
    y.data = y.data * 2
    return y


def array_written(y):
    array = torch.zeros(y.shape, dtype=y.dtype).numpy()
    array[:] = y.detach().numpy()
    return y + torch.from_numpy(array)


TOLD = {
    "copy_ under no_grad": (copied_without_grad, "no_grad"),
    "setitem under no_grad": (set_without_grad, "no_grad"),
    "setitem of a constant under no_grad": (overwritten_without_grad, "no_grad"),
    "mul_ under no_grad": (scaled_without_grad, "no_grad"),
    "cat under no_grad": (concatenated_without_grad, "no_grad"),
    "cat in inference mode": (concatenated_for_inference, "inference_mode"),
    "data of a constant": (foreign_data, "data"),
    "data of a signal": (own_data, "data"),
    "an array": (array_written, "detach"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_written_without_derivatives_is_told(name):
    written, how = TOLD[name]
    network = Written(between(written))
    found = explained_unchanged(network)
    assert found.engine._rules.cuts[how] >= 1
    assert found.ledger.missing_share < 1e-9


def test_numpy_writes_into_what_rules_keep():
    """No version tells of it: the pass is done again, and rules keep copies."""

    def written(network, x):
        y = network.conv(x)
        z = network.head(y)
        y.numpy()[:, 0] = 0.5
        return z + network.head(y)

    def computed(network, x):
        y = network.conv(x)
        overwritten = torch.cat([torch.full_like(y[:, :1].detach(), 0.5), y[:, 1:]], dim=1)
        return network.head(y) + network.head(y + (overwritten - y).detach())

    one, other = Written(written), Written(computed)
    torch.testing.assert_close(explained(one).output, plain_output(one), rtol=1e-12, atol=1e-14)
    assert explained(one).engine._copies
    torch.testing.assert_close(explained(one).output, explained(other).output, rtol=1e-12, atol=1e-14)


def joined_gates(y):
    return torch.cat([y[:, :2].sigmoid(), y[:, 2:]], dim=1) * y.flip(1)


def stacked_gates(y):
    return torch.stack([y[:, :2].sigmoid(), y[:, 2:]], dim=1).flatten(1, 2) * y.flip(1)


def gates_in_a_canvas(y):
    canvas = canvas_of(y)
    canvas[:, :2] = y[:, :2].sigmoid()
    canvas[:, 2:].copy_(y[:, 2:].sigmoid())
    return canvas * y.flip(1)


def gates_overwritten(y):
    gates = y.sigmoid()
    gates[:] = y
    return gates * y.flip(1)


def gates_overwritten_behind_a_view(y):
    gates = y.sigmoid()
    part = gates[:, :]
    gates[:, :2].copy_(y[:, :2])
    return part * y.flip(1)


def gates_added_to(y):
    gates = y.sigmoid()
    part = gates[:, :]
    gates += y
    return part * y.flip(1)


def part_becomes_gates(y):
    z = y.clone()
    part = z[:, :2]
    part.sigmoid_()
    return torch.cat([part * y.flip(1)[:, :2], y[:, 2:]], dim=1)


PLAIN = {  # as if no gate were in it: halves for both factors
    "cat with values": joined_gates,
    "stack with values": stacked_gates,
    "overwritten": gates_overwritten,
    "overwritten behind a view": gates_overwritten_behind_a_view,
    "added to": gates_added_to,
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_not_all_gates_is_no_gate(name):
    """A product of two signals, of which both take a half."""
    seen = {}

    def forward(network, x):
        y = network.conv(x)
        z = PLAIN[name](y)
        seen["z"] = z
        return network.head(z)

    network = Written(forward)
    found = explained_unchanged(network)
    node = seen["z"].grad_fn
    assert len([one for one, _ in node.next_functions if one is not None]) == 2
    assert found.ledger.missing_share < 1e-9


GATES = {
    "in a canvas": (gates_in_a_canvas, lambda y: y.sigmoid() * y.flip(1)),
    "part of a tensor": (
        part_becomes_gates,
        lambda y: torch.cat([y[:, :2].sigmoid() * y.flip(1)[:, :2], y[:, 2:]], dim=1),
    ),
    "cat of gates": (
        lambda y: torch.cat([y[:, :2].sigmoid(), y[:, 2:].tanh(), OFFSET], dim=1)[:, :4] * y.flip(1),
        lambda y: torch.cat([y[:, :2].sigmoid() * y.flip(1)[:, :2], y[:, 2:].tanh() * y.flip(1)[:, 2:]], dim=1),
    ),
    "shaped like values": (
        lambda y: y.mean((2, 3), keepdim=True).sigmoid().expand_as(y) * y,
        lambda y: y.mean((2, 3), keepdim=True).sigmoid().repeat(1, 1, 6, 6) * y,
    ),
}
OFFSET = torch.ones(1, 1, 6, 6, dtype=torch.float64)


@pytest.mark.parametrize("name", GATES)
def test_gates_stay_gates_wherever_they_are_written(name):
    written, computed = GATES[name]
    assert_the_same(between(written), between(computed))


def test_features_beside_the_picture_are_no_picture():
    """The rule of the first layer would take nothing from them; it is that of layers between."""

    def joined(network, x):
        return network.wide(torch.cat([network.conv(x).relu(), x], dim=1))

    def by_a_layer(network, x):
        same = functional.conv2d(x, torch.eye(3, dtype=x.dtype)[:, :, None, None])
        return network.wide(torch.cat([network.conv(x).relu(), same], dim=1))

    one, other = (Written(how, wide=nn.Conv2d(7, 2, 3)) for how in (joined, by_a_layer))
    layers = ("conv",)
    found, expected = (explained(network, composite=PLUS, layers=layers).attribution for network in (one, other))
    torch.testing.assert_close(found.relevance["conv"], expected.relevance["conv"], rtol=1e-9, atol=1e-13)


def test_the_picture_into_which_features_are_written_is_no_picture():
    def written(network, x):
        x = x.clone()
        beside = x[:, :]
        x[:, :2] = network.conv(x)[:, :2]
        return network.wide(beside)

    def computed(network, x):
        features = network.conv(x)[:, :2]
        return network.wide(torch.cat([features, x[:, 2:]], dim=1))

    assert_the_same(written, computed, PLUS, wide=nn.Conv2d(3, 2, 3))
