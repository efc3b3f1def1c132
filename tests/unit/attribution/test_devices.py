"""Nothing lies on the wrong device, found without one: forward passes, rules, decisions and rankings on fake tensors.

Left out, since they need data or torch's own engine: what autograd does between the rules, the order of detections (on
the CPU), tables as numpy arrays, and windows, which are for CPUs alone.
"""

import pytest
import torch
from pretended_cuda import CUDA, is_possible, moved, pretended_cuda
from small_networks import NAMES, NETWORKS, SIZE, attributor, decision, prepared, task_of
from torch import Tensor, nn
from waiting import counted_waits

from lcrp.attribution.concepts import only_concept, only_neuron
from lcrp.attribution.engine import Attributor
from lcrp.attribution.layers import layer_names
from lcrp.attribution.readout import box_readout, mask_readout
from lcrp.attribution.segmentation import SegmentationTask
from lcrp.composites.node import _Relevance, passed_on
from lcrp.composites.operations import mode
from lcrp.decisions.rounds import Chunk, chunk_of, explained_chunk
from lcrp.models.layers import Concat, L2Norm
from lcrp.ranking.accumulator import StatisticsAccumulator
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample

pytestmark = [
    pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor"),  # weights are told by it
    pytest.mark.skipif(not is_possible(), reason=f"torch {torch.__version__} asks the driver of fake tensors, too"),
]
RULES = {  # nodes of `EveryLayer`, by composite; a layer with a norm behind it has one for each
    "epsilon_plus_flat": 12,
    "epsilon_gamma_flat": 12,
    "early_gamma_flat": 12,
    "epsilon_flat": 12,
    "epsilon_plus": 12,
    "all_flat": 13,  # the max pool, too
    "gradient": 1,
}


class EveryLayer(nn.Module):
    """One layer of every kind that a rule is for."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.SiLU()
        self.strided = nn.Conv2d(4, 4, 1, stride=2, bias=False)
        self.grouped = nn.Conv2d(4, 8, 3, padding=1, groups=2)
        self.after = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.alone = nn.BatchNorm2d(4)
        self.l2_norm = L2Norm(4, 20.0)
        self.pool = nn.MaxPool2d(2)
        self.join = Concat()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = self.act(self.norm(self.first(x)))
        second = self.up(self.after(self.grouped(self.strided(first))))
        both = self.pool(self.l2_norm(self.alone(first + second)))
        return self.linear(self.mean(self.join([both, both])).flatten(1))


def check_rules(explaining: Attributor) -> int:
    """Run the backward function of every rule, and what it prepares, which sends nothing; how many there were."""
    outputs: list[Tensor] = []

    def watched(*arguments: object, **options: object) -> Tensor:
        outputs.append(passed_on(*arguments, **options))  # type: ignore[arg-type]
        return outputs[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mode, "passed_on", watched)
        explaining.forward(torch.rand(2, 3, SIZE, SIZE))
    with counted_waits(as_on_a_gpu=False) as waits:
        for output in outputs:
            found = _Relevance.backward(output.grad_fn, torch.ones_like(output))
            check_device(output, *(one for one in found if one is not None))
    assert not waits.found
    return len(outputs)


def check_device(*values: Tensor) -> None:
    assert len(values) > 1
    assert {one.device for one in values} == {CUDA}


def check_decisions(explaining: Attributor, chunk: Chunk) -> None:
    """What is read from an output, and seeded: all that a task does on the device."""
    task, output = explaining.task, chunk.trace.output
    explained = [decision(0), decision(1)]
    predictions = task.predictions(output)
    masks = torch.ones(2, SIZE, SIZE, dtype=torch.bool, device=CUDA)
    class_ids = torch.tensor([1, 1], device=CUDA)
    if isinstance(task, SegmentationTask):
        sample = Sample(
            index=0, key="", image=chunk.images[0], annotation=None, geometry=Geometry.identity((SIZE, SIZE))
        )
        assert len(task.predicted_targets(predictions[0], sample)[0]) == len(NAMES)
        assert task.match_box(predictions[0], sample, (0.0, 0.0, 9.0, 9.0)).target.class_id == 0
        check_device(
            task.object_mask(predictions[0], explained[0], (SIZE, SIZE)), mask_readout(output, masks, class_ids)
        )
    else:
        check_device(class_ids, box_readout(output, torch.ones(2, 4, device=CUDA), class_ids))
    check_device(*task.seed(output, explained), task.logits(output, explained, masks))


def check_rankings(explaining: Attributor, chunk: Chunk) -> None:
    """A chunk explained and ranked."""
    accumulator = StatisticsAccumulator(chunk.activations.shapes, device=CUDA)
    scores = explained_chunk(explaining, chunk, [[decision(0)], [decision(1)]], accumulator.least_relevance)
    targets = [one.target for one in scores.explained]
    accumulator.update(targets, scores.relevance, chunk.activations.scores, scores.images)
    check_device(*(part for layer in scores.relevance.values() for part in (layer.score, layer.peak)))


def check_conditional(explaining: Attributor, layer: str) -> None:
    """Heatmaps of a decision, of concepts and of a neuron."""
    trace = explaining.forward(torch.rand(2, 3, SIZE, SIZE))
    attribution = trace.explain([decision(0), None])
    relevance, concepts = attribution.relevance[layer], torch.tensor([1, 2], device=CUDA)
    one, neuron = only_concept(relevance, concepts), only_neuron(relevance, concepts, concepts)
    check_device(attribution.heatmap, trace.conditional(layer, one), trace.conditional(layer, neuron))


@pytest.mark.parametrize("number", [1.0, -1.0])
@pytest.mark.parametrize("composite", RULES)
def test_every_rule_stays_on_the_device(composite: str, number: float) -> None:
    network = EveryLayer().eval()
    with pretended_cuda(number), attributor(moved(network), composite, SegmentationTask(NAMES)) as explaining:
        assert check_rules(explaining) == RULES[composite]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_stays_on_the_device(name: str) -> None:
    composite, build = NETWORKS[name]
    network = prepared(build())
    task = task_of(name)
    with pretended_cuda(1.0), attributor(moved(network), composite, task) as explaining:
        assert check_rules(explaining) > len(layer_names(network))
        chunk = chunk_of(explaining, torch.rand(2, 3, SIZE, SIZE))
        check_decisions(explaining, chunk)
        check_rankings(explaining, chunk)
        check_conditional(explaining, layer_names(network)[-1])


def test_a_tensor_left_on_the_cpu_is_found() -> None:
    class Careless(EveryLayer):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.ones(3)

    with (
        pretended_cuda(1.0),
        attributor(moved(Careless().eval()), "epsilon_plus_flat", SegmentationTask(NAMES)) as explaining,
        pytest.raises(RuntimeError, match=r"two (different )?devices"),
    ):
        check_rules(explaining)
