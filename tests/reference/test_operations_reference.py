"""Every operation against its formula, restated literally: weights as dense matrices, sums written out.

x input, A matrix of what is linear in it, R relevance of the output, stab(z) = z + 1e-6 (sign z, with sign 0 = 1).
"""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from ruled import ruled
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import roi_align

from lcrp.composites import composites
from lcrp.composites.rules import Epsilon, Flat, Norm, ZPlus
from lcrp.composites.table import RuleTable
from lcrp.models.layers import l2_norm

Function = Callable[..., Tensor]
DOUBLE = torch.float64
TABLE = composites.lrp(ZPlus())
BY_CONTRIBUTION = composites.lrp(ZPlus(), resize="contribution")
ATTN = composites.lrp(ZPlus(), attention="attn")
FLAT = composites.all_flat(nn.Identity())


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def stab(z: Tensor) -> Tensor:
    return z + 1e-6 * torch.where(z < 0, -1.0, 1.0).to(z)


def explained(function: Function, inputs: Sequence[Tensor], table: RuleTable) -> tuple[list[Tensor], Tensor]:
    """Relevance of all inputs, and that of the output which was drawn for it."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    with ruled(nn.Identity(), table):
        y = function(*leaves)
    torch.testing.assert_close(y.detach(), function(*inputs), rtol=1e-12, atol=1e-12)
    upper = torch.randn(y.shape, generator=torch.Generator().manual_seed(9), dtype=DOUBLE)
    torch.autograd.grad(y, leaves, -upper, retain_graph=True, allow_unused=True)  # what rounds share stays as it is
    found = torch.autograd.grad(y, leaves, upper, allow_unused=True)
    return [torch.zeros_like(x) if one is None else one for one, x in zip(found, leaves, strict=True)], upper


def agrees(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= 1e-10 * max(float(other.norm()), 1e-6)


def matrix(function: Function, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """A map that is linear up to a constant, as matrix [outputs, inputs] and constant [outputs], by unit vectors."""
    units = torch.eye(math.prod(shape), dtype=DOUBLE)
    with torch.no_grad():
        constant = function(torch.zeros(*shape, dtype=DOUBLE)).flatten()
        columns = [function(unit.reshape(shape)).flatten() - constant for unit in units]
    return torch.stack(columns, dim=1), constant


def by_contribution(a: Tensor, b: Tensor, x: Tensor, upper: Tensor) -> Tensor:
    """x . (A^T (R / stab(A x + b)))."""
    return (x.flatten() * (a.T @ (upper.flatten() / stab(a @ x.flatten() + b)))).reshape(x.shape)


# Linear operations: by what every value contributes.

MAP, TOKENS, LINE, VOLUME = (2, 4, 5, 6), (2, 5, 4), (2, 3, 8), (1, 2, 4, 4, 4)
BOXES = torch.tensor([[0, 0.5, 1, 4, 3.5], [1, 2, 0, 5, 4]], dtype=DOUBLE)
PLACES = torch.rand(2, 3, 4, 2, generator=torch.Generator().manual_seed(3), dtype=DOUBLE) * 2.4 - 1.2
LEFT, RIGHT, ADDED = drawn(2, 3, 5, seed=4), drawn(4, 3, seed=5), drawn(6, seed=6)
LINEAR: dict[str, tuple[Function, Sequence[int], RuleTable]] = {
    "avg_pool1d": (lambda x: functional.avg_pool1d(x, 3, 2, 1), LINE, TABLE),
    "avg_pool2d": (lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False), MAP, TABLE),
    "avg_pool3d": (lambda x: functional.avg_pool3d(x, 2), VOLUME, TABLE),
    "adaptive_avg_pool1d": (lambda x: functional.adaptive_avg_pool1d(x, 3), LINE, TABLE),
    "adaptive_avg_pool2d": (lambda x: functional.adaptive_avg_pool2d(x, (2, 4)), MAP, TABLE),
    "adaptive_avg_pool3d": (lambda x: functional.adaptive_avg_pool3d(x, (1, 2, 3)), VOLUME, TABLE),
    "mean": (lambda x: x.mean((1, 3)), MAP, TABLE),
    "mean of all": (lambda x: x.mean(), MAP, TABLE),
    "sum of an axis": (lambda x: torch.sum(x, dim=1, keepdim=True), MAP, TABLE),
    "cumsum": (lambda x: x.cumsum(2), MAP, TABLE),
    "grid_sample": (lambda x: functional.grid_sample(x, PLACES, align_corners=False), MAP, TABLE),
    "roi_align": (lambda x: roi_align(x, BOXES, (2, 3), 0.9, 2, aligned=True), MAP, TABLE),
    "matmul with a constant behind": (lambda x: x @ RIGHT, TOKENS, TABLE),
    "matmul with a constant before": (lambda x: torch.matmul(LEFT, x), TOKENS, TABLE),
    "einsum with a constant": (lambda x: torch.einsum("bnc,cd->bdn", x, RIGHT), TOKENS, TABLE),
    "einsum with a list": (lambda x: torch.einsum("bnc,cd->bdn", [x, RIGHT]), TOKENS, TABLE),
    "bmm with a constant": (lambda x: torch.bmm(LEFT, x), TOKENS, TABLE),
    "plus a constant": (lambda x: x + ADDED, MAP, TABLE),
    "a constant less it": (lambda x: ADDED - x, MAP, TABLE),
    **{
        f"{mode} by contribution": (
            lambda x, mode=mode: functional.interpolate(x, scale_factor=1.7, mode=mode, align_corners=False),
            shape,
            BY_CONTRIBUTION,
        )
        for mode, shape in (("linear", LINE), ("bilinear", MAP), ("bicubic", MAP), ("trilinear", VOLUME))
    },
    "antialiased": (
        lambda x: functional.interpolate(x, (3, 4), mode="bilinear", align_corners=False, antialias=True),
        MAP,
        BY_CONTRIBUTION,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_linear_operations_go_by_contribution(name: str) -> None:
    function, shape, table = LINEAR[name]
    x = drawn(*shape)
    found, upper = explained(function, [x], table)
    agrees(found, [by_contribution(*matrix(function, shape), x, upper)])


@pytest.mark.parametrize("mode", ["linear", "bilinear", "bicubic", "trilinear", "nearest", "nearest-exact"])
def test_resizes_go_by_their_weights(mode: str) -> None:
    """As in zennit: what is interpolated takes relevance by its weight, whatever it is."""
    shape = {"linear": LINE, "trilinear": VOLUME}.get(mode, MAP)

    def resized(x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=1.7, mode=mode)

    found, upper = explained(resized, [drawn(*shape)], TABLE)
    agrees(found, [(matrix(resized, shape)[0].T @ upper.flatten()).reshape(shape)])


# Normalisations: linear, once their deviation is a constant.

SCALE, SHIFT = drawn(4, seed=11), drawn(4, seed=12)
NORMS: dict[str, tuple[Function, Sequence[int], Callable[[Tensor], Tensor], bool, Callable[[Tensor], Tensor]]] = {
    # function, shape, what belongs together as rows [groups, values] of numbered values, centred, channel of a number
    "layer_norm": (
        lambda x: functional.layer_norm(x, (4,), SCALE, SHIFT),
        TOKENS, lambda n: n.reshape(-1, 4), True, lambda n: n % 4,
    ),
    "rms_norm": (
        lambda x: functional.rms_norm(x, (4,), SCALE, 1e-5),
        TOKENS, lambda n: n.reshape(-1, 4), False, lambda n: n % 4,
    ),
    "group_norm": (
        lambda x: functional.group_norm(x, 2, SCALE, SHIFT),
        MAP, lambda n: n.reshape(4, -1), True, lambda n: n // 30 % 4,
    ),
    "instance_norm": (
        lambda x: functional.instance_norm(x, weight=SCALE, bias=SHIFT),
        MAP, lambda n: n.reshape(8, -1), True, lambda n: n // 30 % 4,
    ),
    "batch_norm of the batch": (
        lambda x: functional.batch_norm(x, None, None, SCALE, SHIFT, training=True),
        MAP, lambda n: n.transpose(0, 1).reshape(4, -1), True, lambda n: n // 30 % 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NORMS)
def test_normalisations_go_by_contribution(name: str) -> None:
    """A = diag(weight / deviation) (1 - 1 / n) within what is normalised together."""
    function, shape, rows, is_centred, channel = NORMS[name]
    x = drawn(*shape)
    found, upper = explained(function, [x], TABLE)
    numbers = torch.arange(x.numel()).reshape(shape)
    flat, a = x.flatten(), torch.zeros(x.numel(), x.numel(), dtype=DOUBLE)
    for group in rows(numbers):
        size = len(group)
        own = flat[group]
        mean = own.mean() if is_centred else 0
        deviation = ((own - mean).square().mean() + 1e-5).sqrt()
        centring = torch.eye(size, dtype=DOUBLE) - (1 / size if is_centred else 0)
        a[group[:, None], group[None, :]] = (SCALE[channel(group)] / deviation)[:, None] * centring
    constant = SHIFT[channel(numbers.flatten())] if is_centred else torch.zeros(x.numel(), dtype=DOUBLE)
    agrees(found, [by_contribution(a, constant, x, upper)])


# Scalings of channels by constants: merged into the linear map before them, or by themselves.


def norm_of(channels: int, kind: type[nn.Module]) -> nn.Module:
    norm = kind(channels).double().eval()
    for number, values in enumerate((norm.weight, norm.bias, norm.running_mean)):
        values.data = drawn(channels, seed=20 + number)
    norm.running_var = drawn(channels, seed=23).square() + 0.1
    return norm


def linear_layer(kind: str) -> tuple[nn.Module, type[nn.Module], Sequence[int]]:
    torch.manual_seed(5)
    if kind == "linear":
        return nn.Linear(6, 3).double(), nn.BatchNorm1d, (2, 6)
    if kind == "transposed":
        return nn.ConvTranspose2d(4, 3, 2, 2).double(), nn.BatchNorm2d, (1, 4, 3, 3)
    if kind == "one axis":
        return nn.Conv1d(2, 3, 3, padding=1).double(), nn.BatchNorm1d, (2, 2, 6)
    return nn.Conv2d(2, 3, 3, padding=1).double(), nn.BatchNorm2d, (2, 2, 4, 5)


def z_plus(a: Tensor, b: Tensor, x: Tensor, upper: Tensor) -> Tensor:
    above, below = x.clamp(min=0), x.clamp(max=0)
    s = upper / stab(a.clamp(min=0) @ above + a.clamp(max=0) @ below + b.clamp(min=0))
    return above * (a.clamp(min=0).T @ s) + below * (a.clamp(max=0).T @ s)


@pytest.mark.parametrize("kind", ["conv", "one axis", "transposed", "linear"])
@pytest.mark.parametrize("rule", [ZPlus(), Epsilon()])
@pytest.mark.parametrize("is_norm", [True, False])
def test_scalings_behind_a_linear_map_are_merged_into_it(kind: str, rule: ZPlus | Epsilon, is_norm: bool) -> None:
    """The rule holds for the matrix of both; a norm, by epsilon itself, scales relevance by y / stab(y) before."""
    layer, norm, shape = linear_layer(kind)
    layer.requires_grad_(requires_grad=False)
    behind = norm_of(3, norm).requires_grad_(requires_grad=False) if is_norm else None
    ones = [1] * (len(shape) - 2)
    factor, offset = drawn(3, seed=31).view(-1, *ones), drawn(3, seed=32).view(-1, *ones)

    def both(x: Tensor) -> Tensor:
        y = layer(x)
        return y * factor + offset if behind is None else behind(y)

    x = drawn(*shape)
    families = {"convolution": rule, "linear": rule, "norm": Epsilon(), "sum": Norm()}
    found, upper = explained(both, [x], RuleTable(families=families))  # type: ignore[arg-type]
    a, b = matrix(both, shape)
    y, upper = a @ x.flatten() + b, upper.flatten()
    upper = upper * y / stab(y) if is_norm else upper
    literal = z_plus(a, b, x.flatten(), upper) if isinstance(rule, ZPlus) else None
    agrees(found, [by_contribution(a, b, x, upper) if literal is None else literal.reshape(shape)])


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d])
def test_a_norm_alone_is_a_linear_map(kind: type[nn.Module]) -> None:
    """Of a diagonal: by epsilon."""
    norm = norm_of(4, kind).requires_grad_(requires_grad=False)
    shape = {nn.BatchNorm1d: (2, 4), nn.BatchNorm2d: MAP, nn.BatchNorm3d: (1, 4, 2, 2, 3)}[kind]  # type: ignore[index]
    x = drawn(*shape)
    found, upper = explained(norm, [x], TABLE)
    agrees(found, [by_contribution(*matrix(norm, shape), x, upper)])


# Sums, products, quotients.


def shared(parts: Sequence[Tensor], constant: Tensor | float, upper: Tensor) -> list[Tensor]:
    """Every summand takes x R / stab(sum), added up where it was broadcast."""
    share = upper / stab(sum(parts) + constant)
    return [(part * share) for part in parts]


def test_sums_and_differences_go_by_contribution() -> None:
    a, b, c = drawn(2, 4, 3, seed=1), drawn(2, 1, 3, seed=2), drawn(3, seed=3)
    found, upper = explained(lambda a, b, c: a - b + c + 0.5, [a, b, c], TABLE)
    parts = [a, -b.expand_as(a), c.expand_as(a)]
    of_a, of_b, of_c = shared(parts, 0.5, upper)
    agrees(found, [of_a, of_b.sum(1, keepdim=True), of_c.sum((0, 1))])


def test_sums_of_other_writing_are_sums() -> None:
    a, b = drawn(2, 3, seed=1), drawn(2, 3, seed=2)

    def in_place(a: Tensor, b: Tensor) -> Tensor:
        total = a.clone()
        total += b
        return total

    for function in (torch.add, Tensor.add, lambda a, b: torch.stack([a, b]).sum(0), in_place):
        found, upper = explained(function, [a, b], TABLE)
        agrees(found, shared([a, b], 0.0, upper))
    found, upper = explained(lambda a, b: torch.stack([a, b]).mean(0), [a, b], TABLE)
    agrees(found, shared([a / 2, b / 2], 0.0, upper))


def test_products_are_halved_and_gates_take_nothing() -> None:
    a, b = drawn(2, 4, 3, seed=1), drawn(2, 1, 3, seed=2)
    nothing = torch.zeros_like(b)
    found, upper = explained(lambda a, b: a * b, [a, b], TABLE)
    agrees(found, [upper / 2, (upper / 2).sum(1, keepdim=True)])
    for gate in (torch.sigmoid, torch.tanh, functional.hardsigmoid, lambda b: b.softmax(-1)):
        found, upper = explained(lambda a, b, gate=gate: a * gate(b), [a, b], TABLE)
        agrees(found, [upper, nothing])
    found, upper = explained(lambda a, b: a / (2 + b.square()), [a, b], TABLE)
    agrees(found, [upper, nothing])
    found, upper = explained(lambda a: functional.glu(a, dim=1), [a], TABLE)
    agrees(found, [torch.cat([upper, torch.zeros_like(upper)], dim=1)])


def test_scalings_pass_but_where_they_are_zero() -> None:
    a, factor = drawn(2, 4, 3), torch.tensor([2.0, 0, -1], dtype=DOUBLE)
    found, upper = explained(lambda a: a * factor, [a], TABLE)
    agrees(found, [torch.where(factor != 0, upper, 0)])
    found, upper = explained(lambda a: a / -3, [a], TABLE)
    agrees(found, [upper])


PASSING: dict[str, Function] = {
    "relu": torch.relu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "hardswish": functional.hardswish,
    "leaky_relu": functional.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "clamp": lambda x: x.clamp(-0.5, 0.5),
    "pow": lambda x: x**2,
    "abs": torch.abs,
    "neg": torch.neg,
    "normalize": lambda x: functional.normalize(x, dim=1),
    "l2_norm": lambda x: l2_norm(x, torch.ones(4, dtype=DOUBLE)),
}


@pytest.mark.parametrize("name", PASSING)
def test_functions_of_single_values_pass_relevance_as_it_is(name: str) -> None:
    found, upper = explained(PASSING[name], [drawn(*MAP)], TABLE)
    agrees(found, [upper])


# Products of matrices, softmax, attention.


def half_of(a: Tensor, b: Tensor, upper: Tensor, share: float = 0.5) -> tuple[Tensor, Tensor]:
    """What both factors of y_ij = sum_k a_ik b_kj take of it, every term written out."""
    scaled = upper / stab(torch.einsum("bik,bkj->bij", a, b))
    terms = a[:, :, :, None] * b[:, None] * scaled[:, :, None] * share  # [B, i, k, j]
    return terms.sum(3), terms.sum(1)


PRODUCTS: dict[str, Function] = {
    "matmul": torch.matmul,
    "@": lambda a, b: a @ b,
    "bmm": torch.bmm,
    "einsum": lambda a, b: torch.einsum("bik,bkj->bij", a, b),
}


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("table", [TABLE, ATTN], ids=["cp", "attn"])
def test_both_factors_of_a_product_of_matrices_take_half(name: str, table: RuleTable) -> None:
    a, b = drawn(2, 3, 4, seed=1), drawn(2, 4, 5, seed=2)
    found, upper = explained(PRODUCTS[name], [a, b], table)
    agrees(found, half_of(a, b, upper))


@pytest.mark.parametrize("function", [torch.baddbmm, torch.addmm])
def test_what_is_added_to_a_product_of_matrices_is_a_summand(function: Function) -> None:
    """First the sum is shared out, then the product's share between its factors."""
    c, a, b = drawn(1, 3, 5, seed=3), drawn(1, 3, 4, seed=1), drawn(1, 4, 5, seed=2)
    inputs = [c, a, b] if function is torch.baddbmm else [c[0], a[0], b[0]]
    found, upper = explained(function, inputs, TABLE)
    upper = upper.reshape(1, 3, 5)
    of_c, of_product = shared([c, a @ b], 0.0, upper)
    expected = [of_c, *half_of(a, b, of_product)]
    agrees(found, [one.reshape(x.shape) for one, x in zip(expected, inputs, strict=True)])


def test_a_constant_that_is_added_to_a_product_of_matrices_keeps_its_share() -> None:
    a, b, c = drawn(3, 4, seed=1), drawn(4, 5, seed=2), drawn(5, seed=3)
    for inputs in ([a], [a, c]):
        found, upper = explained(lambda a, c=c: torch.addmm(c, a, b, beta=2, alpha=0.5), inputs, TABLE)
        of_product, of_c = shared([a @ b / 2, (2 * c).expand(3, 5)], 0.0, upper)
        of_a, _ = half_of(a[None], b[None], of_product[None], share=1)
        agrees(found, [of_a[0], of_c.sum(0)][: len(inputs)])


def test_softmax_by_its_expansion() -> None:
    x = drawn(2, 3, 4)
    found, upper = explained(lambda x: x.softmax(-1), [x], ATTN)
    y = x.exp() / x.exp().sum(-1, keepdim=True)
    expected = torch.stack(
        [x[..., i] * (upper[..., i] - y[..., i] * sum(upper[..., j] for j in range(4))) for i in range(4)], dim=-1
    )
    agrees(found, [expected])


@pytest.mark.parametrize("mask", ["none", "causal", "added"])
@pytest.mark.parametrize("is_fused", [True, False])
def test_attention_by_constant_weights_and_by_the_expansion(mask: str, is_fused: bool) -> None:
    query, key, value = (drawn(2, 3, 4, seed=seed) for seed in (1, 2, 3))
    added = drawn(3, 3, seed=4)
    allowed = torch.ones(3, 3, dtype=torch.bool).tril()

    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if is_fused:
            given = added if mask == "added" else None
            return functional.scaled_dot_product_attention(query, key, value, given, is_causal=mask == "causal")
        scores = (query * 0.5) @ key.transpose(1, 2)
        scores = scores.masked_fill(~allowed, -math.inf) if mask == "causal" else scores
        scores = scores + added if mask == "added" else scores
        return scores.softmax(-1) @ value

    products = torch.einsum("bid,bjd->bij", query / 2, key)
    scores = products + (added if mask == "added" else 0)
    is_seen = allowed if mask == "causal" else torch.ones_like(allowed)
    weights = scores.exp() * is_seen / (scores.exp() * is_seen).sum(-1, keepdim=True)

    found, upper = explained(attention, [query, key, value], TABLE)
    _, of_values = half_of(weights, value, upper, share=1)
    agrees(found, [torch.zeros_like(query), torch.zeros_like(key), of_values])

    found, upper = explained(attention, [query, key, value], ATTN)
    of_weights, of_values = half_of(weights, value, upper)
    of_scores = torch.where(is_seen, scores, 0) * (of_weights - weights * of_weights.sum(-1, keepdim=True))
    of_products = products * of_scores / stab(scores) if mask == "added" else of_scores
    of_query, of_key = half_of(query / 2, key.transpose(1, 2), of_products)
    agrees(found, [of_query, of_key.transpose(1, 2), of_values])


def test_what_no_rule_knows_goes_by_contribution() -> None:
    """logsumexp: its Jacobian is a softmax."""
    x = drawn(2, 4)
    found, upper = explained(lambda x: x.logsumexp(-1), [x], TABLE)
    y = x.exp().sum(-1).log()
    agrees(found, [x * (x - y[:, None]).exp() * (upper / stab(y))[:, None]])


# What moves values: relevance goes where they came from.

INDEX = torch.tensor([2, 0, 0])
MOVES: dict[str, Function] = {
    # of a map and of one constant in place of all others
    "view and permute": lambda x, _: x.permute(0, 2, 3, 1).reshape(2, -1, 4),
    "flatten, expand": lambda x, _: x[:, :1].expand(-1, 3, -1, -1).flatten(1),
    "cat": lambda x, c: torch.cat([x, x.flip(3), c.expand_as(x)], dim=1),
    "stack": lambda x, c: torch.stack([x, c.expand_as(x), x]),
    "index": lambda x, _: x[:, INDEX],
    "mask": lambda x, _: x[x > 0],
    "gather": lambda x, _: x.gather(1, INDEX.view(1, 3, 1, 1).expand(2, 3, 5, 6)),
    "index_select": lambda x, _: x.index_select(2, INDEX),
    "where": lambda x, c: torch.where(ADDED > 0, x, c.to(x)),
    "masked_fill": lambda x, c: x.masked_fill(ADDED > 0, float(c)),
    "pad with a constant": lambda x, c: functional.pad(x, (1, 2, 0, 1), value=float(c)),
    "pad with its reflection": lambda x, _: functional.pad(x, (1, 2, 0, 1), mode="reflect"),
    "pad with its edge": lambda x, _: functional.pad(x, (1, 2, 0, 1), mode="replicate"),
    "pad in circles": lambda x, _: functional.pad(x, (1, 2, 0, 1), mode="circular"),
    "roll": lambda x, _: x.roll((1, 2), (2, 3)),
    "split": lambda x, _: torch.cat(x.split([1, 3], dim=1)[::-1], dim=1),
    "chunk": lambda x, _: x.chunk(2, dim=1)[1],
    "unfold": lambda x, _: functional.unfold(x, 2),
    "pixel_shuffle": lambda x, _: functional.pixel_shuffle(x, 2),
    "repeat_interleave": lambda x, _: x.repeat_interleave(2, dim=2),
    "nearest": lambda x, _: functional.interpolate(x, scale_factor=2),
    "max_pool2d": lambda x, _: functional.max_pool2d(x, 2),
    "max_pool1d": lambda x, _: functional.max_pool1d(x.flatten(2), 3),
    "max_pool3d": lambda x, _: functional.max_pool3d(x, 2),
    "adaptive_max_pool2d": lambda x, _: functional.adaptive_max_pool2d(x, (2, 3)),
    "amax": lambda x, _: x.amax((2, 3)),
    "max": lambda x, _: x.max(dim=1).values,
    "topk": lambda x, _: x.topk(2, dim=3).values,
    "sort": lambda x, _: x.sort(dim=3).values,
}


@pytest.mark.parametrize("name", MOVES)
def test_moved_values_take_their_relevance_with_them(name: str) -> None:
    """The operation applied to ranks says where every value came from; constants keep what lies on them."""
    move = MOVES[name]
    x = drawn(*MAP)
    order = x.flatten().argsort()
    ranks = torch.empty(x.numel(), dtype=DOUBLE)
    ranks[order] = torch.arange(1, x.numel() + 1, dtype=DOUBLE)  # from 1 on: 0 is a constant
    ranks = ranks.reshape(x.shape)
    masked = (x > 0) if name == "mask" else None
    sources = (ranks[masked] if masked is not None else move(ranks, torch.tensor(0.0, dtype=DOUBLE))).long().flatten()
    found, upper = explained(lambda x: move(x, torch.tensor(0.3, dtype=DOUBLE)), [x], TABLE)
    expected = torch.zeros(x.numel() + 1, dtype=DOUBLE).index_add(0, sources, upper.flatten())
    agrees(found, [expected[ranks.long()]])


# Everything flat.

FLATTENED: dict[str, tuple[Function, Sequence[int]]] = {
    "avg_pool2d": (lambda x: functional.avg_pool2d(x, 2), MAP),
    "adaptive_avg_pool2d": (lambda x: functional.adaptive_avg_pool2d(x, (2, 4)), MAP),
    "mean": (lambda x: x.mean((2, 3)), MAP),
}


@pytest.mark.parametrize("name", FLATTENED)
def test_flat_pools_share_evenly(name: str) -> None:
    """As if every value were 1."""
    function, shape = FLATTENED[name]
    found, upper = explained(function, [drawn(*shape)], FLAT)
    a, b = matrix(function, shape)
    agrees(found, [by_contribution(a, b, torch.ones(shape, dtype=DOUBLE), upper)])


def test_flat_sums_share_evenly() -> None:
    a, b = drawn(2, 4, 3, seed=1), drawn(1, 3, seed=2)
    found, upper = explained(lambda a, b: a - b, [a, b], FLAT)
    share = upper / (2 + 1e-6)
    agrees(found, [share, share.sum((0, 1))[None]])


def test_flat_interpolations_share_by_their_weights() -> None:
    table = RuleTable(families={"resize": Flat(), "sampling": Flat()})
    for function in (lambda x: functional.interpolate(x, (7, 9), mode="bilinear"), LINEAR["roi_align"][0]):
        found, upper = explained(function, [drawn(*MAP)], table)
        agrees(found, [by_contribution(*matrix(function, MAP), torch.ones(MAP, dtype=DOUBLE), upper)])
