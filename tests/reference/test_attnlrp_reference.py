"""Attention against AttnLRP's own formulas (Achtibat et al., ICML 2024), written here as its library LXT does them.

That library adds its stabiliser without a sign and elsewhere, so that numbers agree as far as stabilisers do not count.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from ruled import ruled
from torch import Tensor, nn
from torch.nn import functional

from lcrp.composites import composites

EPSILON = 1e-6
DOUBLE = torch.float64


class Explicit(torch.autograd.Function):
    """An operation whose derivative is given: inputs, output and relevance to relevance of the inputs."""

    @staticmethod
    def forward(
        ctx: Any, rule: Callable[..., tuple[Tensor, ...]], function: Callable[..., Tensor], *x: Tensor
    ) -> Tensor:
        y = function(*x)
        ctx.rule = rule
        ctx.save_for_backward(*x, y)
        return y

    @staticmethod
    def backward(ctx: Any, upper: Tensor) -> tuple[Tensor | None, ...]:
        *x, y = ctx.saved_tensors
        return None, None, *ctx.rule(*x, y, upper)


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    """The epsilon rule."""
    return Explicit.apply(
        lambda x, y, r: (x * (r / (y + EPSILON) @ layer.weight),),
        lambda x: functional.linear(x, layer.weight, layer.bias),
        x,
    )


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Proposition 3.3: every factor of a_ik b_kj takes a_ik b_kj R_ij / (2 y_ij)."""

    def rule(a: Tensor, b: Tensor, y: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        scaled = r / (2 * y + EPSILON)
        return a * (scaled @ b.mT), b * (a.mT @ scaled)

    return Explicit.apply(rule, torch.matmul, a, b)


def softmax(x: Tensor) -> Tensor:
    """Proposition 3.1: x_i (R_i - y_i sum_j R_j)."""
    return Explicit.apply(lambda x, y, r: (x * (r - y * r.sum(-1, keepdim=True)),), lambda x: torch.softmax(x, -1), x)


def add(a: Tensor, b: Tensor) -> Tensor:
    """The epsilon rule of a sum."""
    return Explicit.apply(lambda a, b, y, r: (a * r / (y + EPSILON), b * r / (y + EPSILON)), torch.add, a, b)


def mul(a: Tensor, b: Tensor) -> Tensor:
    """Section 3.2, the uniform rule: both factors take half."""
    return Explicit.apply(lambda a, b, y, r: (r / 2, r / 2), torch.mul, a, b)  # noqa: ARG005


def layer_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Proposition 3.4: the deviation is a constant, and the rest is linear."""

    def rule(x: Tensor, y: Tensor, r: Tensor) -> tuple[Tensor]:
        deviation = (x.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
        scaled = norm.weight * r / (y + EPSILON) / deviation
        return (x * (scaled - scaled.mean(-1, keepdim=True)),)

    return Explicit.apply(rule, norm.forward, x)


def scaled(x: Tensor, by: float) -> Tensor:
    """Constants take nothing."""
    return Explicit.apply(lambda x, y, r: (r,), lambda x: x / by, x)  # noqa: ARG005


class Block(nn.Module):
    """A block of a transformer: attention of two heads and a product of two branches, each around a residual path."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(8), nn.LayerNorm(8)
        self.query, self.key, self.value, self.out, self.one, self.other, self.last = (
            nn.Linear(8, 8) for _ in range(7)
        )

    def forward(self, x: Tensor) -> Tensor:
        normed = self.first(x)
        query, key, value = (self.heads(layer(normed)) for layer in (self.query, self.key, self.value))
        weights = (query @ key.mT / 2).softmax(-1)
        x = x + self.out((weights @ value).transpose(1, 2).flatten(2))
        normed = self.second(x)
        return x + self.last(self.one(normed) * self.other(normed))

    def explicit(self, x: Tensor) -> Tensor:
        normed = layer_norm(x, self.first)
        query, key, value = (self.heads(linear(normed, layer)) for layer in (self.query, self.key, self.value))
        weights = softmax(scaled(matmul(query, key.mT), 2))
        x = add(x, linear(matmul(weights, value).transpose(1, 2).flatten(2), self.out))
        normed = layer_norm(x, self.second)
        return add(x, linear(mul(linear(normed, self.one), linear(normed, self.other)), self.last))

    @staticmethod
    def heads(x: Tensor) -> Tensor:
        return x.unflatten(2, (2, 4)).transpose(1, 2)


OPERATIONS: dict[
    str, tuple[Callable[[Block], Callable[..., Tensor]], Callable[[Block], Callable[..., Tensor]], int]
] = {
    "linear": (lambda block: block.out, lambda block: lambda x: linear(x, block.out), 1),
    "matmul": (lambda _: lambda a, b: a @ b.mT, lambda _: lambda a, b: matmul(a, b.mT), 2),
    "softmax": (lambda _: lambda x: x.softmax(-1), lambda _: softmax, 1),
    "add": (lambda _: torch.add, lambda _: add, 2),
    "mul": (lambda _: torch.mul, lambda _: mul, 2),
    "layer_norm": (lambda block: block.first, lambda block: lambda x: layer_norm(x, block.first), 1),
    "block": (lambda block: block, lambda block: block.explicit, 1),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_relevance_is_that_of_attnlrp(name: str) -> None:
    torch.manual_seed(4)
    block = Block().double().requires_grad_(requires_grad=False)
    for norm in (block.first, block.second):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.uniform_(norm.bias, -0.5, 0.5)
    ours, theirs, count = OPERATIONS[name]
    inputs = [torch.randn(2, 5, 8, dtype=DOUBLE, requires_grad=True) for _ in range(count)]
    with ruled(block, composites.epsilon_flat(block, attention="attn")):
        y = ours(block)(*inputs)
    expected = theirs(block)(*inputs)
    torch.testing.assert_close(y, expected)
    upper = torch.rand_like(y) / math.sqrt(y.numel())
    found = torch.autograd.grad(y, inputs, upper)
    for one, other in zip(found, torch.autograd.grad(expected, inputs, upper), strict=True):
        assert (one - other).norm() <= 1e-3 * other.norm()
        assert other.any()
