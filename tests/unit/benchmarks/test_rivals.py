"""Rivals restated as derivatives: each is what its formula says, and the network's output stays what it is."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers_small import NAMES, SEGFORMER, SIDE, picture, small

import contests
import libraries
from lcrp.attribution.engine import Attributor
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites import composites
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import CompositeSpec
from lcrp.models.transformers_readers import library_network
from lcrp.models.yolo.blocks import Attention
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample
from rivals import EPSILON, EfficientAttnLRP, YoloHeatmaps, attnlrp_heatmap, yolo_heatmap
from subjects import Logits, subject

DOUBLE = torch.float64
RT_DETR = "RTDetrForObjectDetection"


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


def pulled_back(function: Callable[..., Tensor], upper: Tensor, *inputs: Tensor, under: Any) -> tuple[Tensor, ...]:
    """What reaches the inputs; the output is that of the function alone."""
    leaves = [one.clone().requires_grad_() for one in inputs]
    with under:
        y = function(*leaves)
    torch.testing.assert_close(y, function(*inputs), rtol=0, atol=0)
    return torch.autograd.grad(y, leaves, upper, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize(
    ("function", "factor"),
    [
        (functional.gelu, lambda x: torch.distributions.Normal(0.0, 1.0).cdf(x)),
        (nn.GELU(), lambda x: torch.distributions.Normal(0.0, 1.0).cdf(x)),
        (functional.silu, torch.sigmoid),
        (nn.SiLU(), torch.sigmoid),
        (functional.relu, lambda x: (x > 0).to(x)),
    ],
)
def test_activations_have_the_derivative_of_their_share(
    function: Callable[[Tensor], Tensor], factor: Callable[[Tensor], Tensor]
) -> None:
    """f(x) / x in closed form: Phi(x), sigmoid(x), whether x is positive."""
    x, upper = noise(2, 7), noise(2, 7, seed=2)
    (found,) = pulled_back(function, upper, x, under=EfficientAttnLRP())
    torch.testing.assert_close(found, upper * factor(x), rtol=1e-8, atol=1e-12)
    (plain,) = torch.autograd.grad(function(x.requires_grad_()), x, upper)
    assert function in (functional.relu,) or not torch.allclose(found, plain, rtol=0.01)


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norms_hold_their_deviation_constant(affine: bool) -> None:
    norm = nn.LayerNorm(8, elementwise_affine=affine, eps=0.01, dtype=DOUBLE)
    if affine:
        norm.weight.data, norm.bias.data = noise(8, seed=3), noise(8, seed=4)

    def written_out(x: Tensor) -> Tensor:
        centred = x - x.mean(dim=-1, keepdim=True)
        y = centred / (x.var(dim=-1, unbiased=False, keepdim=True) + norm.eps).sqrt().detach()
        return y * norm.weight + norm.bias if affine else y

    x, upper = noise(2, 5, 8), noise(2, 5, 8, seed=2)
    (found,) = pulled_back(norm, upper, x, under=EfficientAttnLRP())
    x.requires_grad_()
    (expected,) = torch.autograd.grad(written_out(x), x, upper)
    torch.testing.assert_close(found, expected)
    (plain,) = torch.autograd.grad(norm(x), x, upper)
    assert not torch.allclose(found, plain, rtol=0.01)


@pytest.mark.parametrize("is_fused", [True, False])
def test_queries_and_keys_get_a_quarter_of_the_gradient_and_values_half(is_fused: bool) -> None:
    def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if is_fused:
            return functional.scaled_dot_product_attention(query, key, value, scale=0.3)
        return torch.matmul((torch.matmul(query, key.transpose(2, 3)) * 0.3).softmax(dim=-1), value)

    query, key, value = (noise(2, 2, 6, 4, seed=seed).requires_grad_() for seed in (3, 4, 5))
    upper = noise(2, 2, 6, 4, seed=2)
    plain = torch.autograd.grad(attention(query, key, value), (query, key, value), upper)
    found = pulled_back(attention, upper, *(one.detach() for one in (query, key, value)), under=EfficientAttnLRP())
    for one, whole, factor in zip(found, plain, (0.25, 0.25, 0.5), strict=True):
        torch.testing.assert_close(one, whole * factor)


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_attention_of_segformer_as_it_would_be_written_by_hand(implementation: str) -> None:
    """From its input on: projections as they are, q and k a quarter, v half."""
    network = small(SEGFORMER).double()
    network.set_attn_implementation(implementation)
    (attention,) = [
        one for name, one in network.named_modules() if name.endswith("stages.3.blocks.0.attention")
    ]  # keys and values of all places
    heads, size = attention.num_attention_heads, attention.head_dim

    def by_hand(x: Tensor) -> Tensor:
        def projected(linear: nn.Linear, factor: float) -> Tensor:
            y = linear(x)
            y = factor * y + (1 - factor) * y.detach()
            return y.unflatten(2, (heads, size)).transpose(1, 2)

        query, key = projected(attention.q_proj, 0.25), projected(attention.k_proj, 0.25)
        weights = (query @ key.mT / size**0.5).softmax(dim=-1)
        seen = weights @ projected(attention.v_proj, 0.5)
        return attention.o_proj(seen.transpose(1, 2).flatten(2))

    x = noise(1, 4, heads * size)
    upper = noise(1, 4, heads * size, seed=2)
    leaf = x.clone().requires_grad_()
    with EfficientAttnLRP():
        y = attention(leaf, 2, 2)[0]
    (found,) = torch.autograd.grad(y, leaf, upper)
    (expected,) = torch.autograd.grad(by_hand(x.requires_grad_()), x, upper)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)  # the eager softmax is float32


def test_sampled_values_and_their_weights_take_half_each_and_places_nothing() -> None:
    """As in deformable attention, whose places depend on the picture."""

    def seen(x: Tensor, places: Tensor, weights: Tensor) -> Tensor:
        return 3.0 * (functional.grid_sample(x, places.tanh(), align_corners=False) * weights)

    inputs = [noise(1, 2, 4, 4), noise(1, 3, 3, 2, seed=3), noise(1, 1, 3, 3, seed=4)]
    upper = noise(1, 2, 3, 3, seed=2)
    of_values, of_places, of_weights = pulled_back(seen, upper, *inputs, under=EfficientAttnLRP())
    plain = torch.autograd.grad(seen(*(one.requires_grad_() for one in inputs)), inputs, upper)
    torch.testing.assert_close(of_values, plain[0] / 2)
    torch.testing.assert_close(of_weights, plain[2] / 2)
    assert not of_places.any()
    assert plain[1].all()


@pytest.mark.parametrize("architecture", [SEGFORMER, RT_DETR])
def test_a_transformer_answers_as_without_and_nothing_is_left_behind(architecture: str) -> None:
    network, x = small(architecture), picture()[None] - 0.45

    def gradient() -> Tensor:
        leaf = x.clone().requires_grad_()
        (found,) = torch.autograd.grad(network(leaf).logits[0, 0].sum(), leaf)
        return found

    expected, plain = network(x).logits, gradient()
    with EfficientAttnLRP():
        torch.testing.assert_close(network(x.clone().requires_grad_()).logits, expected, rtol=0, atol=0)
        assert (gradient() - plain).norm() > 0.1 * plain.norm() > 0
    assert torch.equal(gradient(), plain)


def test_heatmap_of_segformer_is_that_of_lcrp_by_the_same_rules() -> None:
    """Epsilon everywhere, AttnLRP, interpolations by what they contribute: relevance by rules is input times this."""
    network, task, x = library_network(small(SEGFORMER).double(), SEGFORMER), SegmentationTask(NAMES), picture()[None]
    x = x.double()
    spec = CompositeSpec(
        name="same",
        build=lambda _: composites.lrp(Epsilon(1e-12), epsilon=1e-12, attention="attn", resize="contribution"),
    )
    sample = Sample(index=0, key="0", image=x[0], annotation=None, geometry=Geometry.identity((SIDE, SIDE)))
    with Attributor(network, spec, task, layers=[], mean=[0.45] * 3, std=[1.0] * 3) as attributor:
        trace = attributor.forward(x)
        explained = task.predicted_targets(task.predictions(trace.output)[0], sample)[0][:1]
        expected = trace.attribute(*task.seed(trace.output, explained)).heatmap

    def seeded(x: Tensor) -> tuple[Tensor, Tensor]:
        logits, relevance = task.seed(network(x), explained)
        return logits, torch.where(relevance == 0, 0, relevance / logits.detach())

    found = attnlrp_heatmap(seeded, x - 0.45)
    assert found.shape == expected.shape == (1, SIDE, SIDE)
    assert (found - expected).norm() < 1e-3 * expected.norm()


CONVOLUTIONS = [
    {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "padding": 1},
    {"in_channels": 4, "out_channels": 6, "kernel_size": 1},
    {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1, "groups": 4},
    {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "stride": 2, "padding": 1},
]


@pytest.mark.parametrize("settings", CONVOLUTIONS)
@pytest.mark.parametrize("has_bias", [True, False])
def test_convolutions_share_relevance_by_positive_inputs_and_weights(settings: dict[str, Any], has_bias: bool) -> None:
    """R_i = sum_j x_i+ w_ij+ / z_j R_j over the convolution's matrix; a bias takes nothing, so that sums are kept."""
    convolution = nn.Conv2d(**settings, bias=has_bias, dtype=DOUBLE)
    convolution.weight.data = noise(*convolution.weight.shape, seed=5)
    x = noise(1, 4, 6, 6)
    y = convolution(x)
    upper = noise(*y.shape, seed=2)
    (found,) = pulled_back(convolution, upper, x, under=YoloHeatmaps())

    basis = torch.eye(x.numel(), dtype=DOUBLE).view(-1, *x.shape[1:])
    columns = functional.conv2d(
        basis, convolution.weight.clamp(min=0), None, convolution.stride, convolution.padding, 1, convolution.groups
    ).flatten(1)  # [inputs, outputs]
    z = x.flatten().clamp(min=0)[:, None] * columns
    expected = (z / (z.sum(dim=0) + EPSILON)) @ upper.flatten()
    torch.testing.assert_close(found.flatten(), expected)
    reached = z.sum(dim=0) > 0
    torch.testing.assert_close(found.sum(), upper.flatten()[reached].sum(), rtol=1e-4, atol=1e-4)
    assert (found[x < 0] == 0).all()


def test_a_block_is_transparent_but_for_its_convolution_and_its_sum() -> None:
    """Batch norm and SiLU leave relevance as it is; x + f(x) shares it as the positive parts are."""
    convolution, norm = nn.Conv2d(4, 4, 1, bias=False, dtype=DOUBLE), nn.BatchNorm2d(4, dtype=DOUBLE).eval()
    convolution.weight.data = noise(4, 4, 1, 1, seed=5)
    norm.running_mean, norm.running_var = noise(4, seed=6), noise(4, seed=7).square() + 0.5

    def branch(x: Tensor) -> Tensor:
        return functional.silu(norm(convolution(x)))

    x, upper = noise(1, 4, 3, 3), noise(1, 4, 3, 3, seed=2)
    (found,) = pulled_back(lambda x: x + branch(x), upper, x, under=YoloHeatmaps())
    own, other = x.clamp(min=0), branch(x).clamp(min=0)
    share = upper / (own + other + EPSILON)
    weight = convolution.weight.clamp(min=0)
    z = functional.conv2d(own, weight) + EPSILON
    expected = own * share + own * functional.conv_transpose2d(other * share / z, weight)
    torch.testing.assert_close(found, expected.detach())


def test_concatenated_pooled_and_enlarged_maps_have_their_gradients() -> None:
    def joined(x: Tensor) -> Tensor:
        pooled = functional.max_pool2d(x, 3, 1, 1)
        maps = torch.cat([x, pooled, functional.max_pool2d(pooled, 3, 1, 1)], dim=1)
        return functional.interpolate(maps, scale_factor=2, mode="nearest")

    x, upper = noise(1, 2, 4, 4), noise(1, 6, 8, 8, seed=2)
    (found,) = pulled_back(joined, upper, x, under=YoloHeatmaps())
    (expected,) = torch.autograd.grad(joined(x.requires_grad_()), x, upper)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(), upper.sum())


def test_attention_of_yolo_by_the_bilinear_rule_without_a_half_and_the_softmax_rule() -> None:
    """Two heads, in loops; projections are left out."""
    heads, key_dim, head_dim, side = 2, 2, 3, 2
    size = 2 * key_dim + head_dim
    given = SimpleNamespace(
        qkv=lambda x: x, proj=lambda x: x, pe=torch.zeros_like, num_heads=heads, key_dim=key_dim, scale=0.7
    )
    given.head_dim = head_dim
    x, upper = noise(1, heads * size, side, side), noise(1, heads * head_dim, side, side, seed=2)
    leaf = x.clone().requires_grad_()
    with YoloHeatmaps():
        y = Attention.forward(given, leaf)  # type: ignore[arg-type]
    (found,) = torch.autograd.grad(y, leaf, upper)

    expected = []
    for rows, above in zip(x[0].flatten(1).split(size), upper[0].flatten(1).split(head_dim), strict=True):
        query, key, value = rows.split([key_dim, key_dim, head_dim])  # [., N]
        scores = 0.7 * query.T @ key
        weights = scores.softmax(dim=1)
        seen = value @ weights.T  # [., N]
        parts = torch.einsum("pj,ij,pi->pij", value, weights, above / seen)
        of_weights = parts.sum(dim=0)
        of_scores = scores * (of_weights - weights * of_weights.sum(dim=1, keepdim=True))
        shares = torch.einsum("di,dj,ij->dij", 0.7 * query, key, of_scores / scores)
        expected.append(torch.cat([shares.sum(dim=2), shares.sum(dim=1), parts.sum(dim=1)]))
    torch.testing.assert_close(found[0].flatten(1), torch.cat(expected), rtol=1e-4, atol=1e-4)


def test_yolo11_answers_as_without_and_relevance_of_a_logit_is_positive() -> None:
    one = subject("yolo11n", 0.25)
    network, x = Logits(one.network, 1), one.images(1)
    expected = network(x)

    def seeded(x: Tensor) -> tuple[Tensor, Tensor]:
        logits = network(x)
        return logits, torch.ones_like(logits)

    with YoloHeatmaps():
        torch.testing.assert_close(network(x.clone().requires_grad_()), expected, rtol=0, atol=0)
    found = yolo_heatmap(seeded, x)
    assert found.shape == (1, *one.size)
    assert 0 < found.sum() < 1  # where a depthwise convolution sees nothing positive, relevance is lost
    assert torch.equal(network(x), expected)


def test_rivals_are_measured_in_turn_with_lcrp(monkeypatch: pytest.MonkeyPatch) -> None:
    found = contests.attribution(subject("yolo11n", 0.1), 2)
    assert {"yolo-heatmaps / plain", "yolo-heatmaps / lcrp"} <= set(found)
    assert not [name for name in found if "zennit" in name]
    for name, architecture in (("segformer", SEGFORMER), ("rtdetr", RT_DETR)):
        network = small(architecture)
        monkeypatch.setitem(libraries.NETWORKS, name, lambda network=network: network)
        assert {"lxt / plain", "lxt / lcrp"} <= set(libraries.attribution(name, 2))
