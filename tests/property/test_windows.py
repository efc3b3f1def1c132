"""Rounds computed only where relevance is: the same numbers, whatever the batch mates."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from repeatable import repeatable
from ruled import relevance as explained
from ruled import ruled, zennits
from torch import nn
from zennit import rules as zennit_rules

from lcrp.composites import closed_form, windowed, windows
from lcrp.composites.operations.linear_map import Geometry, LinearMap
from lcrp.composites.operations.values import Scaling
from lcrp.composites.rules import Epsilon, GeneralisedGamma, Norm, ZPlus
from lcrp.composites.table import RuleTable

RULES = {
    "z+": (ZPlus, zennit_rules.ZPlus),
    "epsilon": (Epsilon, zennit_rules.Epsilon),
}
MANY = repeatable(60)
seeds = st.integers(0, 2**16)


@pytest.fixture(autouse=True)
def small_maps_too(monkeypatch):
    monkeypatch.setattr(windows, "_SMALLEST", 1)


@st.composite
def convolutions(draw):
    groups = draw(st.integers(1, 2))
    pairs = [draw(st.tuples(st.integers(1, most), st.integers(1, most))) for most in (4, 3, 2)]
    kernel, stride, dilation = pairs
    padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
    layer = nn.Conv2d(
        groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3)), kernel, stride, padding, dilation, groups
    )
    return layer.double(), (draw(st.integers(10, 24)), draw(st.integers(10, 24)))


@st.composite
def boxes(draw):
    """Fractions of a map: first and last row, first and last column."""
    return [sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1)))) for _ in range(2)]


def boxed(relevance, box):
    """Zero outside a box, of which one pixel at least is left."""
    kept = torch.zeros_like(relevance)
    rows, columns = (
        slice(int(low * extent * 0.99), int(low * extent * 0.99) + 1 + int((high - low) * (extent - 1)))
        for (low, high), extent in zip(box, relevance.shape[-2:], strict=True)
    )
    kept[..., rows, columns] = relevance[..., rows, columns]
    return kept


def example(layer, size, seed, signed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(3, layer.in_channels, *size, dtype=torch.float64, generator=generator)
    x = (x if signed else x.clamp(min=0)).requires_grad_()
    return x, torch.randn(layer(x).shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("rule", RULES)
@MANY
@given(
    built=convolutions(),
    drawn=st.lists(boxes(), min_size=3, max_size=3),
    seed=seeds,
    signed=st.booleans(),
    is_for_few=st.booleans(),
)
def test_relevance_in_windows_is_zennits(rule, built, drawn, seed, signed, is_for_few):
    layer, size = built
    x, relevance = example(layer, size, seed, signed)
    relevance = torch.stack([boxed(one, box) for one, box in zip(relevance, drawn, strict=True)])
    ours = explained(layer, RULES[rule][0](), x, relevance, few=is_for_few)
    theirs = zennits(RULES[rule][1](), layer, x, relevance)
    assert (ours - theirs).norm() <= 1e-10 * theirs.norm()


@MANY
@given(built=convolutions(), drawn=st.lists(boxes(), min_size=3, max_size=3), seed=seeds, signed=st.booleans())
def test_generalised_gamma_in_windows_is_that_of_whole_maps(built, drawn, seed, signed):
    layer, size = built
    x, relevance = example(layer, size, seed, signed)
    relevance = torch.stack([boxed(one, box) for one, box in zip(relevance, drawn, strict=True)])
    ours = explained(layer, GeneralisedGamma(), x, relevance)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closed_form, "can_have_windows", lambda *_: False)
        whole = explained(layer, GeneralisedGamma(), x, relevance)
    assert (ours - whole).norm() <= 1e-10 * whole.norm()


@pytest.mark.parametrize("rule", [ZPlus, GeneralisedGamma, Epsilon])
@MANY
@given(built=convolutions(), drawn=st.lists(boxes(), min_size=3, max_size=3), seed=seeds, is_for_few=st.booleans())
def test_neither_batch_mates_nor_other_rounds_change_a_bit(rule, built, drawn, seed, is_for_few):
    layer, size = built
    x, relevance = (values.detach().float() for values in example(layer, size, seed, signed=True))
    layer.float()
    relevance = torch.stack([boxed(one, box) for one, box in zip(relevance, drawn, strict=True)])
    x.requires_grad_()
    with ruled(layer, rule(), few=is_for_few):
        y = layer(x)
    (together,) = torch.autograd.grad(y, x, relevance, retain_graph=True)
    for row in range(3):
        alone = torch.zeros_like(relevance)
        alone[row] = relevance[row]
        (found,) = torch.autograd.grad(y, x, alone, retain_graph=True)
        assert torch.equal(found[row], together[row])


def test_only_the_window_is_computed(monkeypatch):
    layer, areas, adjoint = nn.Conv2d(4, 4, 3, padding=1), [], LinearMap.adjoint

    def watched(linear, upper, *rest, **options):
        areas.append(tuple(upper.shape[2:]))
        return adjoint(linear, upper, *rest, **options)

    monkeypatch.setattr(LinearMap, "adjoint", watched)
    x = torch.rand(1, 4, 64, 64, requires_grad=True)
    relevance = torch.zeros(1, 4, 64, 64)
    relevance[:, :, 30:33, 10] = 1
    explained(layer, ZPlus(), x, relevance)
    assert areas == [(4, 4)]


class Sums(nn.Module):
    """Of three."""

    def forward(self, one, two, three):
        return one + two + three


class Branches(nn.Module):
    """A chain of branches that meet, so that relevance is passed on and added up."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.last = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x):
        return self.last(self.wide(x) + self.narrow(x) + x)


@MANY
@given(drawn=st.lists(boxes(), min_size=2, max_size=2), seed=seeds, is_for_few=st.booleans())
def test_passing_on_parts_alone_changes_no_bit(drawn, seed, is_for_few):
    generator = torch.Generator().manual_seed(seed)
    network = Branches()
    x = torch.randn(2, 3, 20, 24, generator=generator).requires_grad_()
    relevance = torch.randn(2, 2, 20, 24, generator=generator)
    relevance = torch.stack([boxed(one, box) for one, box in zip(relevance, drawn, strict=True)])
    found = []
    for passes_parts in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not passes_parts:
                joined = closed_form.joined
                patch.setattr(closed_form, "joined", lambda *maps, joined=joined: windowed.whole(joined(*maps)))
            table = RuleTable(families={"sum": Norm(), "convolution": ZPlus()})
            found.append(explained(network, table, x, relevance, few=is_for_few))
    assert torch.equal(*found)


@st.composite
def parts(draw):
    """Rows and columns of a 9 x 7 map."""
    ends = [sorted(draw(st.lists(st.integers(0, extent), min_size=2, max_size=2, unique=True))) for extent in (9, 7)]
    return tuple(slice(*both) for both in ends)


def drawn_maps(parts, seed):
    generator = torch.Generator().manual_seed(seed)
    maps = torch.zeros(len(parts), 3, 9, 7)
    for one, part in zip(maps, parts, strict=True):
        one[:, *part] = torch.randn(one[:, *part].shape, generator=generator)
    pieces = [one[None, :, *part] for one, part in zip(maps, parts, strict=True)]
    return maps, windowed.Windowed(pieces, parts, (9, 7))


@MANY
@given(one=st.lists(parts(), min_size=2, max_size=2), other=st.lists(parts(), min_size=2, max_size=2), seed=seeds)
def test_windowed_maps_stand_for_whole_ones(one, other, seed):
    (whole, part), (other_whole, other_part) = drawn_maps(one, seed), drawn_maps(other, seed + 1)
    assert part.shape == whole.shape
    assert torch.equal(windowed.whole(part), whole)
    both = part + other_part
    assert isinstance(both, windowed.Windowed)
    assert torch.equal(windowed.whole(both), whole + other_whole)
    for found in (part + other_whole, other_whole + part):
        assert not isinstance(found, windowed.Windowed)
        assert torch.equal(found, whole + other_whole)
    assert torch.equal(torch.cat([part, other_whole]), torch.cat([whole, other_whole]))
    assert torch.equal(torch.add(part, other_part, alpha=2), torch.add(whole, other_whole, alpha=2))
    assert isinstance(part[:, 1:], windowed.Windowed)
    assert torch.equal(windowed.whole(part[:, 1:]), whole[:, 1:])
    assert torch.equal(part[:, :, 1:], whole[:, :, 1:])


@MANY
@given(
    drawn=boxes(),
    size=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    channels=st.sampled_from([1, 3, 40]),
    order=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    is_slice=st.booleans(),
)
def test_a_window_is_found_wherever_one_is_worth_it(drawn, size, channels, order, is_slice):
    """Looked at are few lines first, and channels by several ways: compared with a look at every value."""
    values = boxed(-torch.ones(1, 2 * channels, *size), drawn).contiguous(memory_format=order)
    values = values[:, :channels] if is_slice else values
    found = windows.window_of(Scaling(factor=torch.ones(1)), values, None, size, size)
    places = (values != 0).any(dim=1)[0].nonzero()
    ends = zip(places.amin(dim=0).tolist(), places.amax(dim=0).tolist(), size, strict=True)
    rows, columns = (windows._rounded(*of_axis) for of_axis in ends)
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    if area > windows._LARGEST * size[0] * size[1]:
        assert found is None
        return
    assert found is not None
    assert found.upper == (rows, columns)
    part = (slice(max(0, rows.start - 1), rows.stop), slice(0, size[1]))
    again = windows.window_of(Scaling(factor=torch.ones(1)), values[:, :, *part], part, size, size)
    assert again == found


def test_windowed_maps_cannot_be_written_to():
    maps = drawn_maps([(slice(0, 2), slice(0, 2))], 0)[1]
    with pytest.raises(TypeError, match="cannot be written to"):
        maps.mul_(2)


def test_users_of_the_rules_get_ordinary_gradients():
    layer = nn.Conv2d(4, 4, 3, padding=1)
    x = torch.rand(1, 4, 64, 64, requires_grad=True)
    relevance = torch.zeros(1, 4, 64, 64)
    relevance[:, :, 30:33, 10] = 1
    with ruled(layer, ZPlus()):
        layer(x).backward(relevance)
    assert type(x.grad) is torch.Tensor
    assert x.grad.numpy().any()


def test_small_maps_are_computed_whole(monkeypatch):
    monkeypatch.undo()
    geometry = Geometry(stride=(1, 1), padding=(0, 0), dilation=(1, 1), output_padding=(0, 0), groups=1)
    convolution = LinearMap(weight=torch.zeros(4, 4, 3, 3), bias=None, geometry=geometry)
    assert windows.can_have_windows(convolution, torch.zeros(2, 64, 32, 32))
    assert not windows.can_have_windows(convolution, torch.zeros(64, 64, 16, 16))
    assert not windows.can_have_windows(LinearMap(weight=torch.zeros(4, 4), bias=None), torch.zeros(2, 1 << 20))


@repeatable(20)
@given(
    drawn=st.lists(boxes(), min_size=2, max_size=2),
    size=st.tuples(st.integers(10, 24), st.integers(10, 24)),
    seed=seeds,
    is_for_few=st.booleans(),
)
def test_sums_and_norms_have_the_same_bits_in_windows(drawn, size, seed, is_for_few):
    """They treat every pixel alone."""
    generator = torch.Generator().manual_seed(seed)
    maps = [torch.randn(2, 3, *size, generator=generator).requires_grad_() for _ in range(3)]
    relevance = torch.randn(2, 3, *size, generator=generator)
    relevance = torch.stack([boxed(one, box) for one, box in zip(relevance, drawn, strict=True)])
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean.uniform_(-1, 1, generator=generator)
    for layer, rule, inputs in ((Sums(), Norm(), maps), (norm, Epsilon(), maps[:1])):
        found = []
        for has_windows in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                if not has_windows:
                    patch.setattr(closed_form, "can_have_windows", lambda *_: False)
                with ruled(layer, rule, few=is_for_few):
                    y = layer(*inputs)
                found.append(torch.autograd.grad(y, inputs, relevance))
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
