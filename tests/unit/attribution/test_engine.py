"""The engine against zennit-crp, and the state it leaves a network in."""

import weakref
from functools import partial

import pytest
import torch
from crp.attribution import CondAttribution
from crp.concepts import ChannelConcept
from torch import nn
from toy import named
from zennit.core import Composite
from zennit.rules import Epsilon, ZPlus

from lcrp.attribution.concepts import only_concept, only_neuron
from lcrp.attribution.engine import Attributor
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.composites import early_gamma_flat, epsilon_gamma_flat, epsilon_plus_flat, gradient
from lcrp.errors import LayerError
from lcrp.models.layers import Concat
from lcrp.values.target import ExplainedTarget, Target
from zennits import ExactMerge, Sum, generalised_gamma, zennits_composite

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
LAYERS = ["first.0", "left", "right", "unused", "head"]
EARLY = partial(early_gamma_flat, gamma=0.25)  # of five convolutions, two are the first third


def zennits_early(network):
    """zennit's epsilon rule for all but the first two convolutions."""
    gamma = zennits_composite(generalised_gamma)(network).module_map
    later = ("right", "unused", "head")
    return Composite(
        lambda context, name, module: Epsilon() if name in later else gamma(context, name, module),
        canonizers=[ExactMerge()],
    )


ZENNITS = {  # our composites of zennit's own rules
    epsilon_plus_flat: zennits_composite(ZPlus),
    epsilon_gamma_flat: zennits_composite(generalised_gamma),
    EARLY: zennits_early,
    gradient: lambda _: Composite(canonizers=[ExactMerge()]),
}


class Network(nn.Module):
    """Parallel paths, a norm to merge, a sum, an in-place activation and a layer off the path: 12 x 12 to 12 x 12."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.left = nn.Conv2d(6, 5, 3, padding=1)
        self.right = nn.Conv2d(6, 5, 1)
        self.add = Sum()
        self.act = nn.SiLU()
        self.join = Concat()
        self.unused = nn.Conv2d(5, 2, 1)
        self.head = nn.Conv2d(11, 3, 1)

    def forward(self, x):
        x = self.first(x)
        y = self.act(self.add(self.left(x), self.right(x)))
        self.unused(y)
        return self.head(self.join((y, x)))


@pytest.fixture
def network():
    torch.manual_seed(3)
    network = Network().double()
    with torch.no_grad():
        network.first[1].running_mean.uniform_(-1, 1)
        network.first[1].running_var.uniform_(0.5, 2)
        network.head.bias += 1
    return network


@pytest.fixture
def images():
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


TASK = SegmentationTask(("a", "b", "c"))


def attributor(network, composite=epsilon_plus_flat, layers=LAYERS):
    return Attributor(network, composite, TASK, layers=layers, mean=MEAN, std=STD)


def targets(trace):
    """The largest class of every image."""
    found = TASK.predictions(trace.output)
    labels = [int(one.labels.flatten().mode().values) for one in found]
    return [
        TASK.find(one, named(index, "k"), label, 0)
        for index, (one, label) in enumerate(zip(found, labels, strict=True))
    ]


def normalised(images):
    mean, std = (torch.tensor(values, dtype=images.dtype)[:, None, None] for values in (MEAN, STD))
    return ((images - mean) / std).requires_grad_()


def oracle(network, images, composite, seed, conditions, **arguments):
    """zennit-crp's conditional attribution with a given seed; `network` must be in evaluation mode."""
    theirs = ZENNITS[composite](network)
    return CondAttribution(network)(normalised(images), conditions, theirs, init_rel=seed, **arguments)


@pytest.mark.parametrize("composite", [epsilon_plus_flat, epsilon_gamma_flat, EARLY, gradient])
def test_heatmap_and_layers_are_those_of_zennit_crp(network, images, composite):
    """A layer with a norm behind it is read behind the norm, where zennit has the norm's own output."""
    with attributor(network, composite) as engine:
        trace = engine.forward(images)
        seed = TASK.seed(trace.output, targets(trace))[1]
        found = trace.explain(targets(trace))
    network.eval()
    network.first[2].inplace = False
    behind = {layer: "first.1" if layer == "first.0" else layer for layer in LAYERS}
    expected = oracle(network, images, composite, seed, [{}, {}], record_layer=list(behind.values()))
    torch.testing.assert_close(found.heatmap, expected.heatmap, rtol=1e-10, atol=1e-14)
    for layer, its in behind.items():
        torch.testing.assert_close(found.relevance[layer], expected.relevances[its], rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(found.activation[layer], expected.activations[its], rtol=1e-12, atol=1e-14)
    assert not found.relevance["unused"].any()
    assert found.relevance["left"].any()
    assert not found.heatmap.requires_grad
    assert not found.activation["left"].requires_grad


def test_conditional_heatmaps_are_those_of_zennit_crp(network, images):
    """A different concept, and a different neuron, per image; paths around the layer are excluded."""
    concepts = torch.tensor([4, 1])
    with attributor(network) as engine:
        trace = engine.forward(images)
        seed = TASK.seed(trace.output, targets(trace))[1]
        relevance = trace.explain(targets(trace)).relevance["left"]
        peaks = relevance.abs().flatten(2).argmax(dim=2)[torch.arange(2), concepts]
        by_concept = trace.conditional("left", only_concept(relevance, concepts))
        by_neuron = trace.conditional("left", only_neuron(relevance, concepts, peaks))
    network.eval()
    for index in range(2):
        one = slice(index, index + 1)
        condition = [{"left": [int(concepts[index])]}]
        expected = oracle(network, images[one], epsilon_plus_flat, seed[one], condition)
        torch.testing.assert_close(by_concept[one], expected.heatmap, rtol=1e-9, atol=1e-14)
        condition = [{"left": {int(concepts[index]): [int(peaks[index])]}}]
        expected = oracle(
            network, images[one], epsilon_plus_flat, seed[one], condition, mask_map=ChannelConcept.mask_rf
        )
        torch.testing.assert_close(by_neuron[one], expected.heatmap, rtol=1e-9, atol=1e-14)
    assert all(heatmap.any() for heatmap in (*by_concept, *by_neuron))


def test_concepts_of_a_layer_add_up_to_what_passes_through_it(network, images):
    with attributor(network) as engine:
        trace = engine.forward(images)
        relevance = trace.explain(targets(trace)).relevance["left"]
        total = trace.conditional("left", relevance)
        parts = [trace.conditional("left", only_concept(relevance, torch.tensor([c, c]))) for c in range(5)]
    torch.testing.assert_close(sum(parts), total, rtol=1e-9, atol=1e-14)


def test_rounds_are_independent_and_repeatable(network, images):
    """Several rounds over one forward pass equal single rounds over fresh ones, bit for bit."""
    with attributor(network, epsilon_gamma_flat) as engine:
        trace = engine.forward(images)
        first, second = targets(trace)
        rounds = [trace.explain(pair) for pair in ([first, None], [None, second], [first, second], [first, None])]
        fresh = engine.forward(images).explain([first, None])
    assert torch.equal(rounds[0].heatmap, fresh.heatmap)
    assert torch.equal(rounds[0].heatmap, rounds[3].heatmap)
    assert torch.equal(rounds[0].heatmap + rounds[1].heatmap, rounds[2].heatmap)
    assert not rounds[0].heatmap[1].any()
    assert not rounds[0].relevance["left"][1].any()


def everything(network):
    state = {name: (id(tensor), tensor.detach().clone()) for name, tensor in network.state_dict(keep_vars=True).items()}
    modules = {
        name: (
            module.training,
            getattr(module, "inplace", None),
            getattr(module, "eps", None),
            len(module._forward_hooks),
            len(module._forward_pre_hooks),
            sorted(vars(module)),
        )
        for name, module in network.named_modules()
    }
    gradients = {name: (parameter.requires_grad, parameter.grad) for name, parameter in network.named_parameters()}
    return state, modules, gradients


def assert_untouched(network, before):
    state, modules, gradients = everything(network)
    assert state.keys() == before[0].keys()
    for name, (identity, tensor) in state.items():
        assert identity == before[0][name][0], name
        assert torch.equal(tensor, before[0][name][1]), name
    assert modules == before[1]
    assert gradients == before[2]


@pytest.mark.parametrize("composite", [epsilon_plus_flat, epsilon_gamma_flat, ZENNITS[epsilon_plus_flat]])
@pytest.mark.parametrize("fails", [False, True], ids=["normally", "after an error"])
def test_network_is_untouched_afterwards(network, images, composite, fails):
    """Parameters, buffers, eps, hooks, modes: all as before, in a network that was being trained."""
    network.train()
    network.right.requires_grad_(False)
    before = everything(network)
    try:
        with attributor(network, composite) as engine:
            trace = engine.forward(images)
            trace.explain(targets(trace))
            if fails:
                raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert_untouched(network, before)


def test_network_is_untouched_after_a_failed_start(network):
    def broken(network):
        composite = ZENNITS[epsilon_plus_flat](network)
        composite.module_map = lambda *_: 1 / 0
        return composite

    before = everything(network)
    for composite in (broken, lambda _: 1 / 0):
        with pytest.raises(ZeroDivisionError), attributor(network, composite):
            pass
        assert_untouched(network, before)


def test_output_inside_the_context_is_the_plain_one(network, images):
    network.eval()
    with torch.no_grad():
        plain = network(normalised(images))
    with attributor(network) as engine:
        torch.testing.assert_close(engine.forward(images).output, plain, rtol=1e-12, atol=1e-14)


def test_a_trace_ends_with_the_next_one_and_with_the_context(network, images):
    with attributor(network) as engine:
        old = engine.forward(images)
        seeded = TASK.seed(old.output, targets(old))
        new = engine.forward(images)
        with pytest.raises(RuntimeError, match="this trace is over"):
            old.attribute(*seeded)
        seeded = TASK.seed(new.output, targets(new))
    with pytest.raises(RuntimeError, match="this trace is over"):
        new.attribute(*seeded)


def test_a_trace_that_is_over_holds_no_memory(network, images):
    with attributor(network) as engine:
        old = engine.forward(images)
        output = weakref.ref(old.output.boxes if hasattr(old.output, "boxes") else old.output)
        engine.forward(images)
        assert output() is None


def test_images_follow_the_networks_dtype(network, images):
    with attributor(network.float()) as engine:
        trace = engine.forward(images)
        assert trace.explain(targets(trace)).heatmap.dtype == torch.float32


def test_unknown_layers(network, images):
    with pytest.raises(LayerError, match="layer 'lef' is not in Network; nearest: 'left'"):
        attributor(network, layers=["lef"])
    with attributor(network, layers=["left"]) as engine:
        trace = engine.forward(images)
        with pytest.raises(LayerError, match="layer 'right' is not recorded; nearest: 'left'"):
            trace.conditional("right", torch.zeros(2, 5, 12, 12))


def test_layers_that_do_not_run_once_are_refused(images):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.idle = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(self.conv(x))

    for layer, message in (("conv", "'conv' is used more than once"), ("idle", "'idle' takes no part in the forward")):
        with attributor(Shared(), layers=[layer]) as engine, pytest.raises(LayerError, match=message):
            engine.forward(images)


class SharedHead(nn.Module):
    """One head on the maps of two levels, [B, K, 144 + 36]."""

    def __init__(self):
        super().__init__()
        self.stem, self.head, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1), nn.Conv1d(3, 2, 1)

    def forward(self, x):
        x = self.stem(x).relu()
        levels = x, nn.functional.avg_pool2d(x, 2)
        return self.last(torch.cat([self.head(level).flatten(2) for level in levels], dim=2))


def test_a_layer_that_is_used_side_by_side_is_one(images):
    """Its places are those of all calls, in their order; relevance restarts at all of them at once."""
    torch.manual_seed(1)
    network = SharedHead().double()
    with attributor(network, epsilon_gamma_flat, ["head"]) as engine:
        trace = engine.forward(images)
        seed = torch.rand_like(trace.output)
        found = trace.attribute(trace.output, seed)
        relevance = found.relevance["head"]
        total = trace.conditional("head", relevance)
        parts = [trace.conditional("head", only_concept(relevance, torch.tensor([c, c]))) for c in range(3)]
        activation = trace.activation["head"]
    with torch.no_grad():
        x = network.stem(normalised(images)).relu()
        expected = [network.head(level).flatten(2) for level in (x, nn.functional.avg_pool2d(x, 2))]
    torch.testing.assert_close(activation, torch.cat(expected, dim=2)[:, :, None], rtol=1e-12, atol=1e-14)
    assert relevance.shape == (2, 3, 1, 144 + 36)
    assert relevance[..., :144].any()
    assert relevance[..., 144:].any()
    torch.testing.assert_close(total, found.heatmap, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(sum(parts), total, rtol=1e-9, atol=1e-14)


def test_maps_of_a_layer_used_side_by_side_are_read_once(images):
    """When all of its calls are there, in both directions."""
    torch.manual_seed(1)
    network, read = SharedHead().double(), []
    with attributor(network, epsilon_gamma_flat, ["head", "stem"]) as engine:
        kept = engine.forward(images)
        chosen = [ExplainedTarget(target=Target(sample=n, class_id=0), key="k", score=1, confidence=1) for n in (0, 1)]
        kept_relevance = {name: kept.attribute(*whole_seed(kept.output)).relevance[name] for name in ("head", "stem")}
        kept_activation = kept.activation
        engine.task = WholeSeed()
        trace = engine.forward(images, lambda name, maps: read.append((name, maps)))
        assert not trace.activation
        assert [name for name, _ in read] == ["stem", "head"]
        for name, maps in read:
            assert torch.equal(maps, kept_activation[name])
        read.clear()
        trace.read_relevance(chosen, lambda name, maps: read.append((name, maps)))
        assert len(trace.ledgers()) == 1
        assert not trace.ledgers()
    assert [name for name, _ in read] == ["head", "stem"]
    for name, maps in read:
        torch.testing.assert_close(maps, kept_relevance[name], rtol=1e-12, atol=1e-15)


def whole_seed(output):
    return output, torch.ones_like(output)


class WholeSeed:
    """A task that seeds all outputs."""

    seeds_logits = False

    def seed(self, output, explained):  # noqa: ARG002
        return whole_seed(output)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_relevance_that_is_not_finite_is_an_error(network, images, value):
    with torch.no_grad():
        network.left.weight[0, 0, 0, 0] = value
    with attributor(network) as engine:
        trace = engine.forward(images.abs() + 1)
        seed = torch.ones_like(trace.output)
        with pytest.raises(LayerError, match="relevance at 'right' is NaN or infinite"):
            trace.attribute(trace.output, seed)
