"""model.layer=auto: the layer where most of the decisions passes, however the network is built."""

import re
from collections.abc import Iterator
from dataclasses import replace
from math import isnan
from pathlib import Path

import colour_world
import forked
import pytest
import torch
import toy
from colour_world import CLASS_NAMES, SIDE, Squares
from torch import nn

import lcrp
from lcrp.composites.composites import early_gamma_flat, epsilon_flat, epsilon_gamma_flat
from lcrp.composites.spec import GRADIENT
from lcrp.data.scenes import draw, plan
from lcrp.decisions.auto import NUM_DECISIONS, chosen_layer, layers_of, layers_with_places, named, read_samples
from lcrp.decisions.auto import with_chosen as knowing
from lcrp.decisions.thresholds import Thresholds
from lcrp.errors import LayerError
from lcrp.runs.run import Run
from lcrp.values.chosen_layer import ChosenLayer
from lcrp.values.geometry import Geometry
from lcrp.values.sample import Sample


def samples(length: int = 20, broken: tuple[int, ...] = ()) -> Iterator[Sample]:
    return read_samples(Squares(length, broken), None)


def test_the_deep_wide_layer_that_hardly_takes_part_is_not_chosen() -> None:
    found = chosen_layer(forked.explainer(), samples())
    assert found is not None
    assert (found.name, found.num_decisions) == ("strong", NUM_DECISIONS)
    assert found.share == pytest.approx(1 - forked.FAINT, abs=1e-4)
    assert str(found) == "'strong', through which 97% of the relevance of the first 16 decisions passes"


@pytest.mark.parametrize("asked", [{"instead": "horse"}, {"instead": "boat"}, {"read": "left"}])
def test_logits_that_are_set_against_each_other_are_no_concepts(asked: dict[str, str]) -> None:
    """The classes' own logits were the layer of a contrast; a decision for the other class itself ended the choice."""
    explainer = lcrp.load("embedded:yolo_scenes")
    explainer = replace(explainer, task=Thresholds(**asked).of(explainer.task))
    photographs = [
        Sample(index=0, key=str(number), image=boat, annotation=None, geometry=Geometry.identity((256, 256)))
        for number in (34, 36)
        for boat in [torch.from_numpy(draw(plan("val", number)).image).permute(2, 0, 1) / 255]
    ]
    found = chosen_layer(explainer, photographs)
    assert found is not None
    assert not re.search(r"\.cv[23]\.\d\.2$", found.name)
    assert isnan(found.share) == ("read" in asked)


def test_the_first_decisions_by_index_choose_whatever_comes_after() -> None:
    shorter = chosen_layer(forked.explainer(), samples(17))
    assert shorter == chosen_layer(forked.explainer(), samples(20))
    dataset = Squares(40)
    assert chosen_layer(forked.explainer(), read_samples(dataset, None)) == shorter
    assert dataset.num_read <= NUM_DECISIONS + 2


def test_the_choice_is_counted_from_before_its_first_pass_on(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Nothing was said while a large network's layers were looked at, for minutes."""
    told: list[tuple[int, int, str, str]] = []
    run = Run(folder=tmp_path, output_root=tmp_path, on_progress=lambda *what: told.append(what))

    def watched() -> Iterator[Sample]:
        assert told == [(0, NUM_DECISIONS, "choosing the layer", "explanations")]
        yield from samples(4)

    caplog.set_level("INFO")
    found = chosen_layer(forked.explainer(), watched(), start_counting=run.progress)
    assert found is not None
    looked_at = 2 * found.num_decisions  # in the deeper half, and, since none carries half of them there, everywhere
    assert told[-1][:2] == (looked_at, looked_at)
    assert [done for done, *_ in told] == sorted(done for done, *_ in told)
    assert caplog.messages == [f"choosing the layer: {looked_at} explanations in 0:00"]


def test_pictures_that_cannot_be_read_are_passed_over() -> None:
    found = chosen_layer(forked.explainer(), samples(4, broken=(1,)))
    assert found is not None
    assert (found.name, found.num_decisions) == ("strong", 3)  # the first picture is background alone


def test_of_layers_that_carry_all_the_one_with_most_channels_is_chosen_then_the_deepest() -> None:
    def chain(*channels: int) -> nn.Module:
        layers: list[nn.Module] = []
        for inputs, outputs in zip((3, *channels), (*channels, 3), strict=True):
            layers += [nn.Conv2d(inputs, outputs, 1, bias=False), nn.ReLU()]
        network = nn.Sequential(*layers[:-1])
        for parameter in network.parameters():
            nn.init.uniform_(parameter, 0.1, 1.0, generator=torch.Generator().manual_seed(0))
        return network

    def choice(*channels: int) -> str:
        found = chosen_layer(toy.explainer(chain(*channels), CLASS_NAMES, SIDE), samples(4))
        assert found is not None
        assert found.share == pytest.approx(1, abs=1e-4)
        return found.name

    assert choice(4, 8, 8, 4) == "4"  # the deeper half begins there
    assert choice(4, 4, 5, 6, 6, 4) == "8"


def test_a_layer_of_some_decisions_alone_stands_behind_those_that_all_share() -> None:
    class Levels(nn.Module):
        """A layer for boats, of which there are most, and one for cars; both see colours."""

        def __init__(self) -> None:
            super().__init__()
            self.colours = nn.Conv2d(3, 6, 1, bias=False)
            self.boats, self.cars = nn.Conv2d(6, 8, 1, bias=False), nn.Conv2d(6, 8, 1, bias=False)
            with torch.no_grad():
                self.colours.weight[:, :, 0, 0] = torch.eye(3).repeat(2, 1)
                for layer, colour in ((self.boats, 0), (self.cars, 1)):
                    layer.weight.zero_()
                    layer.weight[:, [colour, colour + 3]] = 1.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.colours(x).relu()
            boats, cars = (layer(x).mean(1, keepdim=True) for layer in (self.boats, self.cars))
            return torch.cat([x[:, 2:3] + x[:, 5:], boats, cars], dim=1)

    explainer = toy.explainer(Levels(), CLASS_NAMES, SIDE)
    three_boats_and_a_car = [one for one in samples(6) if one.index in (1, 2, 3, 5)]
    found = chosen_layer(explainer, three_boats_and_a_car)
    assert found is not None
    assert found.name == "colours"


def test_layers_without_places_or_of_one_channel_are_not_chosen() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.gate = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
            self.one, self.last = nn.Conv2d(4, 1, 1), nn.Conv2d(1, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x).relu()
            x = x * self.gate(x.mean(dim=(2, 3), keepdim=True)).sigmoid()
            out: torch.Tensor = self.last(self.one(x).relu())
            return out

    explainer = toy.explainer(Gated(), CLASS_NAMES, SIDE)
    assert list(layers_with_places(explainer, next(samples()))) == ["first", "last"]


def test_layers_that_run_behind_themselves_or_not_at_all_are_passed_over() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.twice = nn.Conv2d(3, 9, 1), nn.Conv2d(3, 3, 1)
            self.good, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)
            for parameter in self.parameters():
                nn.init.uniform_(parameter, 0.1, 1.0, generator=torch.Generator().manual_seed(0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.last(self.good(self.twice(self.twice(x))))
            return out

    found = chosen_layer(toy.explainer(Odd(), CLASS_NAMES, SIDE), samples(3))
    assert found is not None
    assert found.name == "good"


def test_gradients_choose_by_relevance() -> None:
    found = [
        chosen_layer(replace(forked.explainer(), composite=one), samples())
        for one in (GRADIENT, toy.composite(epsilon_gamma_flat))
    ]
    assert found[1] is not None
    assert found[0] == replace(found[1], rules="epsilon_gamma_flat")
    assert str(found[0]).endswith(" of the first 16 decisions passes by epsilon_gamma_flat")


def test_layers_are_chosen_by_shares_where_relevance_cancels() -> None:
    """By epsilon the wide layer holds all of the decision, and 'strong' 1.2 of it, which 'against' takes back."""

    class Cancelling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(*(nn.Conv2d(3, 3, 1, bias=False) for _ in range(4)))
            self.wide, self.strong, self.against = (nn.Conv2d(3, 3 * n, 1, bias=False) for n in (4, 2, 2))
            self.head = nn.Conv2d(24, 3, 1, bias=False)
            with torch.no_grad():
                for one in (*self.stem, self.wide, self.strong, self.against):
                    one.weight[:, :, 0, 0] = torch.eye(3).repeat(len(one.weight) // 3, 1)
                logits = torch.tensor([*[0.25] * 4, *[0.6] * 2, *[-0.6] * 2]).kron(torch.eye(3))
                self.head.weight[:, :, 0, 0] = logits[[2, 0, 1]]  # blue is the background

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            out: torch.Tensor = self.head(torch.cat((self.wide(x), self.strong(x), self.against(x)), dim=1))
            return out

    explainer = toy.explainer(Cancelling(), CLASS_NAMES, SIDE)
    found = [
        chosen_layer(replace(explainer, composite=toy.composite(one)), samples(3))
        for one in (epsilon_gamma_flat, early_gamma_flat, epsilon_flat)
    ]
    assert [one and one.name for one in found] == ["strong"] * 3
    assert found[0] is not None
    assert found[1] == found[2] == replace(found[0], rules="epsilon_gamma_flat")


def test_the_network_is_left_as_it_was() -> None:
    explainer = forked.explainer()
    before = {name: value.clone() for name, value in explainer.network.state_dict().items()}
    chosen_layer(explainer, samples(3))
    assert all(torch.equal(before[name], value) for name, value in explainer.network.state_dict().items())
    assert not any(module._forward_hooks for module in explainer.network.modules())


def test_where_nothing_is_decided_nothing_is_chosen() -> None:
    assert chosen_layer(forked.explainer(), iter(())) is None


def test_a_network_without_places_is_refused_with_its_layers() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.all = nn.Conv2d(3, 3, SIDE)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.all(x).expand(-1, -1, SIDE, SIDE)
            return out

    with pytest.raises(LayerError, match="no layer of Whole shows concepts at places of a map; its layers: 'all'"):
        chosen_layer(toy.explainer(Whole(), CLASS_NAMES, SIDE), samples())


def test_auto_in_lists_is_the_chosen_layer() -> None:
    chosen = ChosenLayer(name="strong", share=0.97, num_decisions=16)
    explainer = knowing(forked.explainer(), chosen)
    assert explainer.layer == "strong"
    assert layers_of(explainer, ["auto", "w*"]) == ["strong", "wide"]
    assert named(knowing(forked.explainer("wide"), chosen), "auto") == "strong"
    assert named(knowing(forked.explainer("wide"), chosen), None) == "wide"
    with pytest.raises(LayerError, match="layer 'auto' goes by decisions, and colours decides nothing in no decisions"):
        layers_of(toy.explainer(colour_world.network(), CLASS_NAMES, SIDE, name="colours"), ["auto"])
