"""Whatever else torch offers: explained as it should be, or named, or refused in one line."""

import gc
import logging
import math

import numpy as np
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from traps import EPSILON, Everything, Written, assert_the_same, explained, explained_unchanged, pictures, plain_output

from lcrp.attribution.concepts import only_concept
from lcrp.attribution.engine import Attributor
from lcrp.composites.composites import epsilon_plus_flat, gradient
from lcrp.composites.operations.mode import OperationRules
from lcrp.composites.spec import CompositeSpec
from lcrp.composites.table import RuleTable
from lcrp.errors import ConfigError, LayerError

GENERATOR = torch.Generator().manual_seed(4)
WEIGHT = torch.randn(6, 6, dtype=torch.float64, generator=GENERATOR)
OFFSET = torch.randn(6, dtype=torch.float64, generator=GENERATOR)
UPPER = torch.ones(4, 4).triu(1).bool()


def between(how):
    """A network with something between its two layers."""
    return lambda network, x: network.head(how(network.conv(x)))


def rows(y):
    return y.reshape(-1, 6)


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx, upper):
        (x,) = ctx.saved_tensors
        gate = x.sigmoid()
        return upper * (gate + x * gate * (1 - gate))


SAME = {
    "add with alpha": (lambda y: torch.add(y, y.flip(2), alpha=2), lambda y: y + y.flip(2) * 2),
    "sub with alpha": (lambda y: torch.sub(y, y.flip(2), alpha=2), lambda y: y - y.flip(2) * 2),
    "add_ with alpha": (lambda y: y.add_(y.flip(2), alpha=2), lambda y: y + y.flip(2) * 2),
    "add of a constant with alpha": (lambda y: torch.add(y.relu(), OFFSET, alpha=2), lambda y: y.relu() + OFFSET * 2),
    "rsub": (lambda y: torch.rsub(y, y.flip(2)), lambda y: y.flip(2) - y),
    "constant less a signal": (lambda y: 1 - y.relu(), lambda y: y.relu() * -1 + 1),
    "addcmul": (
        lambda y: torch.addcmul(y, y.flip(2), y.flip(3), value=0.5),
        lambda y: y + y.flip(2) * y.flip(3) * 0.5,
    ),
    "addcdiv": (lambda y: torch.addcdiv(y, y.flip(2), OFFSET), lambda y: y + y.flip(2) / OFFSET),
    "lerp": (lambda y: torch.lerp(y, y.flip(2), 0.3), lambda y: y * 0.7 + y.flip(2) * 0.3),
    "lerp_ by a gate": (
        lambda y: y.clone().lerp_(y.flip(2), y.sigmoid()),
        lambda y: y * (1 - y.sigmoid()) + y.flip(2) * y.sigmoid(),
    ),
    "addmm": (lambda y: torch.addmm(OFFSET, rows(y), WEIGHT), lambda y: rows(y) @ WEIGHT + OFFSET),
    "addmm of two signals": (
        lambda y: torch.addmm(rows(y.flip(2)), rows(y), WEIGHT, beta=2, alpha=0.5),
        lambda y: rows(y) @ WEIGHT * 0.5 + rows(y.flip(2)) * 2,
    ),
    "addmm by names": (
        lambda y: torch.addmm(input=OFFSET, mat1=rows(y), mat2=WEIGHT),
        lambda y: rows(y) @ WEIGHT + OFFSET,
    ),
    "baddbmm": (lambda y: torch.baddbmm(y[0], y[0], y[0]), lambda y: y[0] @ y[0] + y[0]),
    "mul by names": (lambda y: torch.mul(input=y, other=y.flip(2)), lambda y: y * y.flip(2)),
    "cat by names": (
        lambda y: torch.cat(tensors=[y[:, :2], y[:, :2].detach() * 0], dim=1),
        lambda y: torch.cat([y[:, :2], torch.zeros(1, 2, 6, 6, dtype=y.dtype)], dim=1),
    ),
    "floor_divide": (lambda y: y // 0.3, lambda y: (y / 0.3).floor()),
    "div with rounding": (lambda y: torch.div(y, 0.3, rounding_mode="trunc"), lambda y: (y / 0.3).trunc()),
    "power of a constant": (lambda y: 2**y, lambda y: (y * math.log(2)).exp()),
    "einsum": (
        lambda y: torch.einsum("bchw,dc->bdhw", y, WEIGHT[:4, :4]),
        lambda y: (WEIGHT[:4, :4] @ y.flatten(2)).reshape(y.shape),
    ),
    "einsum of a list": (
        lambda y: torch.einsum("bchw,dc->bdhw", [y, WEIGHT[:4, :4]]),
        lambda y: (WEIGHT[:4, :4] @ y.flatten(2)).reshape(y.shape),
    ),
    "torch.ops.aten.silu": (torch.ops.aten.silu, functional.silu),
    "torch.ops.aten.add": (lambda y: torch.ops.aten.add.Tensor(y, y.flip(2), alpha=2), lambda y: y + y.flip(2) * 2),
    "dropout that returns its input": (
        lambda y: functional.relu_(functional.dropout(y, 0.5, training=False)) + y,
        lambda y: y.relu() + y.relu(),
    ),
    "mask with zeros": (
        lambda y: y.relu() * (torch.arange(6) % 2),
        lambda y: torch.where(torch.arange(6) % 2 > 0, y.relu(), 0.0),
    ),
    "masked attention": (
        lambda y: functional.scaled_dot_product_attention(*[y.flatten(2)] * 3, attn_mask=~UPPER).reshape(y.shape),
        lambda y: (
            (y.flatten(2) * (1 / 6) @ y.flatten(2).transpose(1, 2) + torch.where(UPPER, -math.inf, 0.0)).softmax(-1)
            @ y.flatten(2)
        ).reshape(y.shape),
    ),
    "a gate by views and factors": (
        lambda y: y * (y.mean((2, 3), keepdim=True).sigmoid().view(1, 4, 1, 1).expand_as(y) * 2),
        lambda y: y * y.mean((2, 3), keepdim=True).sigmoid() * 2,
    ),
    "F.normalize": (
        lambda y: functional.normalize(y, dim=1),
        lambda y: y / y.square().sum(1, keepdim=True).sqrt(),
    ),
    "checkpoint": (lambda y: checkpoint(functional.silu, y, use_reentrant=False), functional.silu),
    "a decision of Python": (lambda y: y * 2 if y.mean() > -100 else y * 3, lambda y: y * 2),
    "item": (lambda y: y.relu() * float(y.max().item() > -100), lambda y: y.relu() * 1.0),
    "reflect": (
        lambda y: functional.pad(y, (1, 0, 1, 0), mode="reflect")[:, :, 1:, 1:],
        lambda y: y[:, :, :, :],
    ),
    "maximum of a constant": (
        lambda y: torch.maximum(y, OFFSET),
        lambda y: torch.where(y > OFFSET, y, OFFSET),
    ),
    "where by names": (
        lambda y: torch.where(y > 0, input=y, other=OFFSET),
        lambda y: torch.where(y > 0, y, OFFSET),
    ),
    "in another precision": (lambda y: y.to(torch.float64).relu(), lambda y: y.relu()),
}


@pytest.mark.parametrize("name", SAME)
def test_another_way_to_write_it_is_explained_alike(name):
    """Output, heatmap and what constants take are those of the reference; nothing is left to the gradient."""
    how, reference = SAME[name]
    shaped = [lambda y, way=way: way(y).reshape(y.shape) for way in (how, reference)]
    written, computed = map(between, shaped)
    found = assert_the_same(written, computed, but_for=(1e-3, 1e-3))
    assert not found.contributions


CONSTANTS = {  # some of the places that the head reads
    "cat": lambda y: torch.cat([torch.ones_like(y[:, :2].detach()), y[:, 2:]], dim=1),
    "stack": lambda y: torch.stack([torch.ones_like(y[:, 0].detach()), *y.unbind(1)[1:]], dim=1),
    "where": lambda y: torch.where(y > 0, y, 0.3),
    "where of a constant": lambda y: torch.where(y > 0, OFFSET, y),
    "masked_fill": lambda y: y.masked_fill(y > 0, 0.3),
    "masked_scatter": lambda y: y.masked_scatter(y > 0, torch.ones_like(y.detach())),
    "index_fill": lambda y: y.index_fill(1, torch.tensor([0]), 0.3),
    "index_put": lambda y: y.index_put((torch.tensor([0]), torch.tensor([1])), OFFSET[0]),
    "scatter": lambda y: y.scatter(1, torch.zeros(1, 1, 6, 6, dtype=torch.long), 0.3),
    "slice_scatter": lambda y: y.slice_scatter(OFFSET.expand(1, 1, 6, 6), 1, 0, 1),
    "select_scatter": lambda y: y.select_scatter(OFFSET.expand(1, 6, 6), 1, 0),
    "pad by a value": lambda y: functional.pad(y[..., 1:], (1, 0), value=0.7),
    "pad by zeros": lambda y: functional.pad(y[..., 1:], (1, 0)),
    "maximum": lambda y: torch.maximum(y, OFFSET),
    "max of two": lambda y: torch.max(y, OFFSET),
    "minimum": lambda y: torch.minimum(y, OFFSET),
    "tril": torch.tril,
    "setitem": lambda y: _with_item(y.clone()),
    "setitem into zeros": lambda y: _into_zeros(y),
    "copy_": lambda y: _copied(y.clone()),
    "max_unpool2d": lambda y: functional.max_unpool2d(*functional.max_pool2d(y, 2, return_indices=True), 2),
    "unfold with padding": lambda y: (
        functional.unfold(y, 3, padding=1)[:, 4::9].reshape(y.shape)
        + functional.unfold(y, 3, padding=1)[:, ::9].reshape(y.shape)
    ),
}


def _with_item(y):
    y[..., 0] = 1.0
    return y


def _into_zeros(y):
    made = torch.zeros_like(y.detach())
    made[..., 1:] = y[..., 1:]
    return made


def _copied(y):
    y[:, 0].copy_(OFFSET)
    return y


@pytest.mark.parametrize("name", CONSTANTS)
def test_relevance_that_lies_on_constants_is_theirs(name):
    """Nothing is missing, though less than the seed reaches the convolution."""
    how = CONSTANTS[name]
    network = Written(lambda network, x: functional.conv2d(how(network.conv(x).exp() - 1), network.head.weight))
    found = explained_unchanged(network, layers=("conv",))
    arrived = float(found.attribution.relevance["conv"].sum())
    assert abs(found.ledger.seed - arrived) > 1e-2 * found.ledger.seed
    assert found.ledger.missing_share < 1e-9


def test_constants_in_the_picture_itself():
    """What the network writes into the picture before its first layer is no picture."""

    def forward(network, x):
        x[:, 0] = 1.0
        return network.head(network.conv(x))

    def computed(network, x):
        return network.head(network.conv(torch.cat([torch.ones_like(x[:, :1]), x[:, 1:]], dim=1)))

    spec = CompositeSpec(name="epsilon_plus_flat", build=epsilon_plus_flat)
    assert_the_same(forward, computed, spec)


CUT = "relevance is cut in the network"
CUTS = {
    "detach": (lambda y: y + y.flip(2).detach(), {"detach": 1}),
    "data": (lambda y: y + y.flip(2).data, {"data": 1}),
    "detach_": (lambda y: y + y.flip(2).clone().detach_(), {"detach": 1}),
    "numpy": (lambda y: y + torch.from_numpy(y.numpy() * 2), {"numpy": 1}),
    "asarray": (lambda y: y + torch.from_numpy(np.asarray(y) * 2), {"numpy": 1}),
    "no_grad": (lambda y: y + _without_grad(y), {"no_grad": 1}),
    "item": (lambda y: y * y.max().item(), {}),
    "tolist": (lambda y: y * torch.tensor(y.tolist(), dtype=y.dtype), {}),
    "a function of its own": (lambda y: y + _Swish.apply(y) * 0, {}),
    "nothing": (lambda y: y + y.flip(2), {}),
}


def _without_grad(y):
    with torch.no_grad():
        return y.flip(2)


@pytest.mark.parametrize("name", CUTS)
def test_where_relevance_is_cut_it_is_said(name, caplog):
    """detach, data and the like are constants, as they are in training; how often they are used is told."""
    how, expected = CUTS[name]
    network = Written(between(how))
    with caplog.at_level(logging.INFO):
        found = explained_unchanged(network)
    assert found.engine._rules.cuts == expected
    told = [record for record in caplog.records if CUT in record.getMessage()]
    assert len(told) == len(expected)
    for record, (way, count) in zip(told, expected.items(), strict=True):
        assert record.getMessage().startswith(f"{CUT}: {way} ({count}): ")
        assert (record.levelno == logging.WARNING) == (abs(found.ledger.cut) > 1e-6 * abs(found.ledger.seed))
        assert ("went there" in record.getMessage()) == (record.levelno == logging.WARNING)
    assert found.ledger.missing_share < 1e-3


NAMED = {  # no rule: passed by contribution, or as gradient, and named
    "logsumexp": lambda y: y * 0 + y.logsumexp(1, keepdim=True),
    "cumprod": lambda y: y.cumprod(1),
    "norm": lambda y: y * 0 + y.norm(dim=1, keepdim=True),
    "vector_norm": lambda y: y * 0 + torch.linalg.vector_norm(y, dim=1, keepdim=True),
    "tensordot": lambda y: torch.tensordot(y, WEIGHT, dims=1),
    "multi_dot": lambda y: torch.linalg.multi_dot([y[0, 0], y[0, 1], y[0, 2]]).expand(y.shape),
    "kron": lambda y: torch.kron(y, torch.ones(1, 1, 1, 1, dtype=y.dtype)),
    "Swish": _Swish.apply,
    "vmap": torch.vmap(lambda y: functional.silu(y) * 2),
    "script": lambda y: _scripted(y),
}
NAMES = {"norm": "linalg_vector_norm", "vector_norm": "linalg_vector_norm", "multi_dot": "linalg_multi_dot"}
NAMES |= {"Swish": "_Swish", "vmap": "Silu", "script": "Sigmoid"}


def _scripted(y):
    made = torch.jit.trace(
        lambda values: values * torch.sigmoid(values), torch.zeros_like(y.detach()), check_trace=False
    )
    return made(y)


def complained(network):
    """What an explanation is refused with, if it is."""
    try:
        explained(network)
    except LayerError as error:
        return str(error)
    return None


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("name", NAMED)
def test_what_has_no_rule_is_named(name, caplog):
    """In the one warning, and in the error if relevance goes astray."""
    network = Written(between(NAMED[name]))
    with caplog.at_level(logging.WARNING):
        complaint = complained(network)
    assert complaint is None or "operations without a rule passed as gradient" in complaint
    (told,) = [record.getMessage() for record in caplog.records if "without a rule" in record.getMessage()]
    assert f"{NAMES.get(name, name)} (" in told


def test_reentrant_checkpoints_are_refused_in_one_line():
    network = Written(between(lambda y: checkpoint(functional.silu, y, use_reentrant=True)))
    with pytest.raises(
        ConfigError, match="checkpoint with use_reentrant=True, through which no relevance passes: give"
    ):
        explained(network)


def _by_grad(network, x):
    y = network.conv(x)
    with torch.enable_grad():
        (found,) = torch.autograd.grad(y.square().sum(), y, create_graph=True)
    return network.head(y * found.detach())


def _by_backward(network, x):
    y = network.conv(x)
    with torch.enable_grad():
        leaf = y.detach().requires_grad_()
        leaf.square().sum().backward()
    return network.head(y * leaf.grad)


def _by_backward_of_several(network, x):
    y = network.conv(x)
    with torch.enable_grad():
        leaf = y.detach().requires_grad_()
        torch.autograd.backward([leaf.square().sum()])
    return network.head(y * leaf.grad)


def _by_func(network, x):
    y = network.conv(x)
    return network.head(y * torch.func.grad(lambda values: values.square().sum())(y.detach()))


GRADIENTS = {
    "torch.autograd.grad": _by_grad,
    "Tensor.backward": _by_backward,
    "torch.autograd.backward": _by_backward_of_several,
    "torch.func.grad": _by_func,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_within_a_network_are_refused_in_one_line(name):
    """They would be relevance; where no rule is in the way, they are what they are."""
    network = Written(GRADIENTS[name])
    with pytest.raises(ConfigError, match=r"while it runs; under the rules of a composite .* composite=gradient only"):
        explained(network)
    found = explained(network, composite=CompositeSpec(name="gradient", build=gradient, conserves=False, is_lrp=False))
    y = network.conv(pictures() - 0.5)
    torch.testing.assert_close(found.output, network.head(y * (2 * y)), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("part", ["all", "in place", "one module"])
def test_compiled_networks_are_explained_as_they_are_written(part):
    """Compiled graphs know of no rules: the network runs as it is written, and is compiled again afterwards."""

    def forward(network, x):
        return network.head(functional.silu(network.inner(network.conv(x))) + 1)

    network = Written(forward, inner=nn.Conv2d(4, 4, 1))
    expected = explained(network)
    if part == "all":
        network = torch.compile(network, backend="eager")
    elif part == "in place":
        network.compile(backend="eager")
    else:
        network.inner = torch.compile(network.inner, backend="eager")
    found = explained(network)
    assert torch.equal(found.heatmap, expected.heatmap)
    assert not found.gradients


@pytest.mark.parametrize(
    "wrap",
    [
        torch.nn.utils.parametrizations.weight_norm,
        torch.nn.utils.parametrizations.spectral_norm,
        torch.nn.utils.parametrizations.orthogonal,
    ],
)
def test_weights_that_are_computed(wrap):
    """They belong to the layer that runs, and change with every pass."""
    torch.manual_seed(0)
    network = Written(between(lambda y: y)).eval()
    plain_layer = nn.Conv2d(4, 4, 1).double()
    wrapped = wrap(nn.Conv2d(4, 4, 1).double()).eval()
    with torch.no_grad():
        plain_layer.weight.copy_(wrapped.weight)
        plain_layer.bias.copy_(wrapped.bias)
    found = []
    for inner in (wrapped, plain_layer):
        network._forward = lambda network, x: network.head(network.inner(network.conv(x)))
        network.inner = inner
        found.append(explained(network, layers=("inner",)))
    one, other = found
    torch.testing.assert_close(one.heatmap, other.heatmap, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(
        one.attribution.relevance["inner"], other.attribution.relevance["inner"], rtol=1e-8, atol=1e-10
    )


def test_automatic_casts():
    """Rules compute in the precision of the weights; the ledger is as strict as the casts let it be."""

    def without_casts(network, x):
        y = functional.silu(network.norm(network.conv(x)))
        y = network.inner(y) + y
        y = y.softmax(1) * y
        y = y.flatten(2) @ y.flatten(2).transpose(1, 2)
        return network.head(y.float()[..., None])

    def cast(network, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = functional.silu(network.norm(network.conv(x)))
            y = network.inner(y) + y
            y = y.softmax(1) * y
            y = y.flatten(2) @ y.flatten(2).transpose(1, 2)
        return network.head(y.float()[..., None])

    modules = {"norm": nn.BatchNorm2d(4), "inner": nn.Conv2d(4, 4, 1)}
    network = Written(cast, **modules).float()
    x = pictures().float()
    found = explained(network, x)
    assert found.ledger.missing_share < 0.02
    exact = Written(lambda network, x: without_casts(network, x), **modules).float()
    exact.load_state_dict(network.state_dict())
    expected = explained(exact, x).heatmap
    assert functional.cosine_similarity(found.heatmap.flatten(), expected.flatten(), dim=0) > 0.99


def test_torchs_wrong_gradient_of_norms_is_never_met():
    """torch 2.14, CPU: BatchNorm, one picture that does not lie in channels last, a gradient that does."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8).double()
    nn.init.uniform_(norm.weight, 0.5, 2)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.2, 2)
    rest = nn.Linear(8, 3).double()

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.rest = norm, rest

        def forward(self, x):
            y = torch.cat([x, x, x], dim=1)[:, :8].contiguous().square()
            return self.rest(self.norm(y).flatten(2).transpose(1, 2)).tanh()

    network = Network().eval()
    spec = CompositeSpec(name="gradient", build=gradient, conserves=False, is_lrp=False)
    found = explained(network, composite=spec)
    x = (pictures() - 0.5).requires_grad_()
    y = torch.cat([x, x, x], dim=1)[:, :8].square()
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    y = (y - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
    (expected,) = torch.autograd.grad(rest(y.flatten(2).transpose(1, 2)).tanh().sum(), x)
    torch.testing.assert_close(found.heatmap, expected.sum(1), rtol=1e-9, atol=1e-12)


def test_names_that_mean_two_functions():
    """F.batch_norm and torch.batch_norm share a name and take their arguments in another order."""
    norm = nn.BatchNorm2d(4)

    def by_function(network, x):
        one = network.norm
        y = network.conv(x).relu()
        return network.head(functional.batch_norm(y, one.running_mean, one.running_var, one.weight, one.bias))

    def by_torch(network, x):
        one = network.norm
        y = network.conv(x).relu()
        normed = torch.batch_norm(
            y, one.weight, one.bias, one.running_mean, one.running_var, False, 0.1, one.eps, False
        )
        return network.head(normed)

    for how in (by_function, by_torch):
        assert_the_same(how, lambda network, x: network.head(network.norm(network.conv(x).relu())), norm=norm)


def test_tensors_that_others_stand_for_live_as_long_as_the_pass():
    """Else another tensor could get the id of one, and be taken for what stands for it."""

    def forward(network, x):
        total = network.conv(x)
        for _ in range(50):
            part = total.clone()
            part.relu_()
            del part
            gc.collect(0)
            total = total + 0.01
        return network.head(total)

    def computed(network, x):
        total = network.conv(x)
        for _ in range(50):
            total = total + 0.01
        return network.head(total)

    assert_the_same(forward, computed)


@pytest.mark.parametrize("masks", [True, False])
def test_attention_that_sees_not_everything(masks):
    """-inf in a softmax: no NaN, no relevance from what is masked."""

    def forward(network, x):
        y = network.conv(x).flatten(2)
        scores = y @ y.transpose(1, 2)
        hidden = scores.masked_fill(UPPER, -math.inf) if masks else scores + torch.where(UPPER, -math.inf, 0.0)
        return network.head((hidden.softmax(-1) @ y).reshape(1, 4, 6, 6))

    found = explained(Written(forward))
    assert found.heatmap.isfinite().all()
    assert found.ledger.missing_share < 1e-9
    assert not found.gradients


class Attending(nn.Module):
    """Attention as torch has it; its output layer is never called as a module."""

    def __init__(self, layers=0):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers) if layers else nn.Identity()

    def forward(self, x):
        y = self.conv(x).flatten(2).transpose(1, 2)
        return self.encoder(self.attention(y, y, y, need_weights=False)[0])


@pytest.mark.parametrize("layers", [0, 2])
def test_torchs_own_attention_is_explained_and_its_output_layer_recorded(layers):
    """It has a fast path, which no rule sees, and a layer by whose weights alone it is known."""
    torch.manual_seed(0)
    network = Attending(layers).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    plain = plain_output(network)
    names = ["attention.out_proj", *(f"encoder.layers.{n}.self_attn.out_proj" for n in range(layers))]
    found = explained(network, layers=tuple(names))
    torch.testing.assert_close(found.output, plain, rtol=1e-10, atol=1e-12)
    assert found.ledger.missing_share < 1e-9
    assert not found.gradients
    for name in names:
        assert found.attribution.activation[name].flatten(2).shape == (1, 4, 36)
        assert found.attribution.relevance[name].any()
    with torch.no_grad():
        y = network.conv(pictures() - 0.5).flatten(2).transpose(1, 2)
        own = network.attention(y, y, y)[0]
    torch.testing.assert_close(found.attribution.activation["attention.out_proj"].flatten(2)[0].T, own[0])


class Shared(nn.Module):
    """One layer that is called n times, side by side or one call behind another."""

    def __init__(self, behind=False):
        super().__init__()
        self.conv, self.shared, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
        self.behind = behind

    def forward(self, x):
        y = self.conv(x).relu()
        if self.behind:
            return self.head(self.shared(self.shared(y).relu()))
        levels = (y, functional.avg_pool2d(y, 2), functional.avg_pool2d(y, 3))
        return torch.cat([self.head(self.shared(level).relu()).flatten(2) for level in levels], dim=2)


def test_maps_of_single_concepts_of_all_calls_add_up_to_the_joint_one():
    torch.manual_seed(0)
    network = Shared().double()
    for parameter in network.parameters():
        nn.init.normal_(parameter)
    with Attributor(network, EPSILON, Everything(), layers=("shared",), mean=(0.5,) * 3, std=(1.0,) * 3) as engine:
        trace = engine.forward(pictures())
        found = trace.attribute(trace.output, torch.ones_like(trace.output))
        relevance = found.relevance["shared"]
        assert relevance.shape == (1, 4, 1, 36 + 9 + 4)
        parts = [trace.conditional("shared", only_concept(relevance, torch.tensor([c]))) for c in range(4)]
    torch.testing.assert_close(sum(parts), found.heatmap, rtol=1e-9, atol=1e-12)
    assert sum(bool(part.any()) for part in parts) > 1


def test_calls_one_behind_another_are_refused_in_one_line():
    with pytest.raises(LayerError, match="layer 'shared' is used more than once in a forward pass, and one use lies"):
        explained(Shared(behind=True).double(), layers=("shared",))


def test_deformable_convolutions_look_where_they_look():
    """By contribution of the values; where they lie is no evidence."""
    torch.manual_seed(0)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.offsets = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 18, 1)
            self.deformed = torchvision.ops.DeformConv2d(4, 2, 3, padding=1)

        def forward(self, x):
            return self.deformed(self.conv(x), self.offsets(x))

    found = explained(Network().double(), layers=("offsets", "conv"))
    assert not found.attribution.relevance["offsets"].any()
    assert found.attribution.relevance["conv"].any()
    assert found.ledger.missing_share < 1e-9


def test_opening_leaves_torch_as_it_is():
    """Functions of torch are copied, not altered."""
    before = functional.normalize.__globals__["has_torch_function_variadic"]
    network = Written(between(lambda y: functional.normalize(y, dim=1)))
    explained(network)
    assert functional.normalize.__globals__["has_torch_function_variadic"] is before
    assert isinstance(OperationRules(network, RuleTable(families={})), OperationRules)


@pytest.mark.parametrize("transposed", [False, True])
def test_torchs_operator_of_all_convolutions(transposed):
    """It takes its arguments in another order than conv2d does."""
    inner = (nn.ConvTranspose2d if transposed else nn.Conv2d)(4, 4, 1)
    rest = ([1, 1], [0, 0], [1, 1], transposed, [0, 0], 1)

    def forward(network, x):
        y = network.conv(x)
        return network.head(torch.ops.aten.convolution(y, network.inner.weight, network.inner.bias, *rest))

    assert_the_same(forward, lambda network, x: network.head(network.inner(network.conv(x))), inner=inner)
