"""stage=tune on a network whose best rule is known: relevance must avoid a pair of channels that cancel each other.

The class of a pixel is its colour. Behind the grey concept lie two channels that the logits add and subtract fifty
times: taking grey away changes nothing. z+ and gamma see what is added alone and take grey for the reason; epsilon does
not.
"""

import csv
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import colour_world
import numpy as np
import pytest
import torch
import toy
from colour_world import CLASS_NAMES, SIDE, Squares
from torch import nn

from lcrp.attribution.ablation import ablated_outputs
from lcrp.composites.composites import epsilon_flat
from lcrp.composites.rules import Epsilon
from lcrp.composites.spec import CompositeSpec
from lcrp.composites.table import RuleTable
from lcrp.composites.tuned import tuned
from lcrp.data.loader import Shard
from lcrp.decisions.subject import Subject
from lcrp.errors import ConfigError, Interrupted, LayerError, TargetError
from lcrp.evidence.halving import rungs
from lcrp.stages.tune.candidates import Depth, candidates, depth_of
from lcrp.stages.tune.comparison import Confirmation
from lcrp.stages.tune.measures import Decision, Look
from lcrp.stages.tune.planning import Plan, planned
from lcrp.stages.tune.settings import TuneSettings
from lcrp.stages.tune.tune import tune
from lcrp.storage.evidence import read_evidence
from lcrp.storage.tuned import network_hash, read_tuned

SETTINGS = TuneSettings(num_targets=4, num_confirmed=8, num_layers=1, minutes=None, seed=0)
STATISTICS = replace(colour_world.statistics(), layers=("0",))
TIMES_CANCELLED = 50.0


def network() -> nn.Module:
    """Colours, grey as often again, and a pair of copies of grey that cancel each other in every logit."""
    first, middle, last = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(5, 3, 1)
    with torch.no_grad():
        for module in (first, middle, last):
            module.weight.zero_()
            module.bias.zero_()  # type: ignore[union-attr]
        for colour in range(3):
            first.weight[colour, colour] = 1.0
            middle.weight[colour, colour] = 1.0
        first.weight[3, :] = 0.5
        middle.weight[3, 3] = middle.weight[4, 3] = 1.0
        for class_id, colour in enumerate((2, 0, 1)):
            last.weight[class_id, colour] = 1.0
            last.weight[class_id, 3], last.weight[class_id, 4] = TIMES_CANCELLED, -TIMES_CANCELLED
    return nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), last)


def subject(default: CompositeSpec | None = None, length: int = 15) -> Subject:
    """The network on squares, explained by epsilon_plus_flat if nothing else is asked for."""
    explainer = toy.explainer(network(), CLASS_NAMES, SIDE, name="colours")
    return toy.subject(explainer if default is None else replace(explainer, composite=default), Squares(length))


class Branches(nn.Module):
    """A layer of its own for every colour."""

    def __init__(self) -> None:
        super().__init__()
        self.blue, self.red, self.green = (nn.Conv2d(3, 1, 1, bias=False) for _ in range(3))
        with torch.no_grad():
            for colour, branch in ((2, self.blue), (0, self.red), (1, self.green)):
                branch.weight.copy_(torch.eye(3)[colour].view(1, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((self.blue(x), self.red(x), self.green(x)), dim=1)


def branches() -> Subject:
    """These, on squares."""
    return toy.subject(toy.explainer(Branches(), CLASS_NAMES, SIDE, name="branches"), Squares(15))


def last_rule(path: Path) -> object:
    """The rule of the last layer, of what a file holds."""
    found = read_tuned(path)
    assert found.composite == "tuned" or found.composite == "epsilon_flat"
    build: Any = tuned if found.composite == "tuned" else epsilon_flat
    table = CompositeSpec(name="own", build=build, settings=found.settings)(network())
    assert isinstance(table, RuleTable)
    return table.rule("convolution", "4")


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "run" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_relevance_is_tuned_to_avoid_what_cancels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    files = tune(subject(), STATISTICS, SETTINGS, colour_world.run(tmp_path))
    assert isinstance(last_rule(files[0]), Epsilon)
    assert "it is ahead of the default 'epsilon_plus_flat'" in caplog.text
    confirmed = {(row["method"], row["measure"]): row for row in rows(tmp_path, "confirmation")}
    chosen = next(row["method"] for row in confirmed.values() if row["is_chosen"] == "True")
    assert float(confirmed[chosen, "agreement"]["mean"]) > float(confirmed["epsilon_plus_flat", "agreement"]["mean"])
    assert float(confirmed["epsilon_plus_flat", "channels"]["lead_low"]) > 0
    assert {row["decisions"] for row in confirmed.values()} == {"8"}
    assert rows(tmp_path, "candidates")[0]["decisions"] == "4"
    found = read_tuned(files[0])
    assert found.network == network_hash(subject().explainer.identity()["model"])  # type: ignore[arg-type]
    assert found.evidence["seed"] == 0
    assert (tmp_path / "run" / "tune.png").stat().st_size > 10_000


def test_the_default_stays_where_nothing_beats_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    files = tune(subject(toy.composite(epsilon_flat)), STATISTICS, SETTINGS, colour_world.run(tmp_path))
    found = read_tuned(files[0])
    assert (found.composite, found.settings) == ("epsilon_flat", {})
    assert "the default 'epsilon_flat' stays" in caplog.text or "'epsilon_flat' in the search: it stays" in caplog.text


def test_an_own_default_that_stays_is_the_networks_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could find the builder again by a name."""

    def own(network: nn.Module) -> RuleTable:
        return epsilon_flat(network)

    files = tune(subject(toy.composite(own)), STATISTICS, SETTINGS, colour_world.run(tmp_path))
    assert read_tuned(files[0]).composite is None
    assert "'own' is nothing that a file can name" in caplog.text


def test_a_stopped_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing that was looked at is looked at again, and the outcome is that of a run in one go."""
    caplog.set_level("INFO")
    whole = tmp_path / "whole"
    whole.mkdir()
    sizes: list[int] = []

    def outputs(attributor: Any, images: torch.Tensor, layer: str, keep: torch.Tensor, fill: torch.Tensor) -> Any:
        sizes.append(len(keep))
        return ablated_outputs(attributor, images, layer, keep, fill)

    monkeypatch.setattr("lcrp.attribution.ablated_logits.ablated_outputs", outputs)
    expected = tune(subject(), STATISTICS, SETTINGS, colour_world.run(whole))
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    looked, scores = [], Look.scores

    def counted(self: Look, *args: Any) -> Any:
        looked.append(args[0].name)
        if len(looked) == 29:  # within a decision
            signal.raise_signal(signal.SIGINT)
        return scores(self, *args)

    monkeypatch.setattr(Look, "scores", counted)
    with pytest.raises(Interrupted, match="what is done is kept"):
        tune(subject(), STATISTICS, SETTINGS, colour_world.run(stopped))
    assert len(looked) == 29
    again = tune(subject(), STATISTICS, SETTINGS, colour_world.run(stopped))
    assert caplog.text.count("going on with what is kept") == 1
    assert len(set(sizes)) == 1  # the same arithmetic
    num_looks = 24 + 6 + 2 * 3 + 8 * 5
    assert len(looked) == num_looks
    assert again[0].read_bytes() == expected[0].read_bytes()
    first, second = (read_evidence(files[1]) for files in (expected, again))
    for name, table in first.items():
        assert list(table.rows()) == list(second[name].rows())


@pytest.mark.parametrize("num_rounds", [1, 3])
def test_parts_find_what_one_run_finds(
    num_rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They share what is known to be needed, none of it twice; the last run does the rest and writes the result."""
    caplog.set_level("INFO")
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    expected = tune(subject(), STATISTICS, SETTINGS, colour_world.run(tmp_path / "whole"))
    looked, scores = [], Look.scores

    def counted(self: Look, *args: Any) -> Any:
        looked.append(args[0].name)
        return scores(self, *args)

    monkeypatch.setattr(Look, "scores", counted)
    run, counts = colour_world.run(tmp_path / "parts"), []
    for index in [0, 1, 2] * num_rounds:
        part = replace(SETTINGS, shard=Shard(index=index, count=3))
        assert tune(subject(), STATISTICS, part, run) == []
        counts.append(len(looked))
    # rungs of 24, 0, 6 and 6 looks; four methods at 2, 3 and 3 of 8 decisions
    assert counts[:3] == [8 + 4 * 2, 8 + 4 * 2 + 8 + 4 * 3, 8 + 4 * 2 + 2 * (8 + 4 * 3) + 2]
    assert "part 1 of 3 is done as far as the search goes, which waits for 16 looks of other parts" in caplog.text
    assert not (run.folder / "tuned.yaml").exists()
    is_done = "part 3 of 3 is done; when all are, the same command without shard writes tuned.yaml" in caplog.text
    assert is_done == (num_rounds == 3)
    again = tune(subject(), STATISTICS, SETTINGS, run)
    assert len(looked) == 24 + 6 + 2 * 3 + 8 * 5
    assert (counts[-1] == len(looked)) == (num_rounds == 3)
    assert again[0].read_bytes() == expected[0].read_bytes()
    first, second = (read_evidence(files[1]) for files in (expected, again))
    for name, table in first.items():
        assert list(table.rows()) == list(second[name].rows())


def test_parts_need_a_plan_that_does_not_depend_on_time() -> None:
    with pytest.raises(ConfigError, match=r"^minutes=20 plans by the time .*; write stage\.minutes=null"):
        replace(SETTINGS, minutes=20, shard=Shard(index=0, count=2))


def test_layers_are_the_same_for_all_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other pictures come first, whose decisions other layers lead to."""

    seen: list[tuple[list[str], int]] = []

    def looks(_: object, __: object, layers: list[str], decisions: list[Decision], ___: object) -> None:
        seen.append((layers, decisions[0].explained.target.class_id))
        raise KeyboardInterrupt

    monkeypatch.setattr("lcrp.stages.tune.tune.Looks", looks)
    statistics = replace(STATISTICS, layers=("red", "green"), batch_size=1)
    for seed in range(4):
        with pytest.raises(KeyboardInterrupt):
            tune(branches(), statistics, replace(SETTINGS, seed=seed), colour_world.run(tmp_path))
    assert len({class_id for _, class_id in seen}) == 2
    assert len({tuple(layers) for layers, _ in seen}) == 1


def test_layers_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    statistics = replace(STATISTICS, layers=("blue",))  # decisions are red or green
    with pytest.raises(LayerError, match="none of the layers leads to a decision of branches; choose others"):
        tune(branches(), statistics, SETTINGS, colour_world.run(tmp_path))


def usual(depth: Depth) -> set[str]:
    """Candidates with a flat start and rules ever closer to the gradient."""
    every = candidates(toy.composite(epsilon_flat), depth, 10_000, 0)
    return {one.label for one in every if one.is_usual}


def test_candidates_begin_with_the_default_and_are_drawn_by_the_seed() -> None:
    explainer = subject().explainer
    depth = depth_of(explainer, Squares()[1].image)
    assert depth.thirds == (("0",), ("2",), ("4",))
    assert (depth.has_linear, depth.has_attention, depth.has_gates) == (False, False, False)
    found = candidates(toy.composite(epsilon_flat), depth, 24, 0)
    assert [one.label for one in found[:9]] == [
        "epsilon_flat",
        "gamma 0.25 / epsilon / epsilon, flat first",
        "z_plus / gamma 0.25 / epsilon, flat first",
        "gamma 0.25 / gamma 0.25 / epsilon, flat first",
        "z_plus / z_plus / epsilon, flat first",
        "epsilon_plus_flat",
        "epsilon_gamma_flat",
        "early_gamma_flat",
        "epsilon_plus",
    ]
    assert found == candidates(toy.composite(epsilon_flat), depth, 24, 0)
    assert found[:12] == candidates(toy.composite(epsilon_flat), depth, 12, 0)
    assert found[9:] != candidates(toy.composite(epsilon_flat), depth, 24, 1)[9:]
    assert all(one.is_usual for one in found[9:])
    assert {"z_plus / gamma 1 / gamma 0.1, flat first", "gamma 0.5, flat first"} <= usual(depth)
    assert not {"epsilon / gamma 0.1 / epsilon, flat first", "z_plus / gamma 1 / gamma 0.1"} & usual(depth)
    every = candidates(toy.composite(epsilon_flat), depth, 10_000, 0)
    assert len(every) == len({one.label for one in every}) == 5 + 6**3 * 2 - 5  # what is named is no draw


def test_attention_is_searched_where_there_is_some() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.keys, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 4), nn.Conv2d(4, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            tokens = x.flatten(2).transpose(1, 2)
            weights = (self.keys(tokens) @ tokens.transpose(1, 2)).softmax(dim=-1)
            return self.head((weights @ tokens).transpose(1, 2).reshape(x.shape))

    explainer = toy.explainer(Attends(), CLASS_NAMES, 4)
    depth = depth_of(explainer, torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert depth.thirds == (("stem",), ("keys",), ("head",))
    assert (depth.has_linear, depth.has_attention) == (True, True)
    labels = {one.label for one in candidates(explainer.composite, depth, 10_000, 0)}
    assert {"z_plus / epsilon / z_plus, attn", "z_plus, flat first"} <= labels


def test_gates_are_searched_where_there_are_some() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            return self.head(x * x.sigmoid())

    explainer = toy.explainer(Gated(), CLASS_NAMES, 4)
    depth = depth_of(explainer, torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0)))
    assert (depth.has_attention, depth.has_gates) == (False, True)
    every = {one.label: one.composite.settings for one in candidates(explainer.composite, depth, 10_000, 0)}
    assert every["z_plus / epsilon / z_plus, gates half"]["gate"] == "half"
    assert every["z_plus / epsilon / z_plus"]["gate"] == "constant"


@pytest.mark.parametrize(("minutes", "expected"), [(1000, (24, 16, 40)), (20, (6, 8, 8))])
def test_what_does_not_fit_into_the_time_is_left_out(minutes: float, expected: tuple[int, int, int]) -> None:
    own = np.array([0.5, 2.8, 2.4])
    plan = planned(minutes, 13.0, own, (16, 40), 5)
    assert (plan.rungs[0].num_candidates, plan.rungs[-1].num_decisions, plan.num_confirmed) == expected


def test_no_decision_is_begun_when_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Machines become slower than they were when the plan was made; the fewest that tell are looked at all the same."""
    caplog.set_level("INFO")
    plan = Plan(rungs=rungs(3, 2), num_confirmed=10)
    monkeypatch.setattr("lcrp.stages.tune.tune.planned", lambda *_: plan)
    settings = replace(SETTINGS, minutes=1e-9, num_confirmed=10)
    tune(subject(), STATISTICS, settings, colour_world.run(tmp_path))
    assert "the time is over: 8 decisions instead of 10" in caplog.text
    assert {row["decisions"] for row in rows(tmp_path, "confirmation")} == {"8"}


@pytest.mark.parametrize(("length", "num_samples", "mend"), [(4, None, ""), (9, 4, "Set statistics.num_samples=null.")])
def test_too_few_decisions_are_refused(tmp_path: Path, length: int, num_samples: int | None, mend: str) -> None:
    """What is told to be set is not set yet."""
    told = "colours decides . times in squares, one per picture: too little .*; give more pictures$"
    statistics = replace(STATISTICS, num_samples=num_samples)
    with pytest.raises(TargetError, match=told) as error:
        tune(subject(length=length), statistics, SETTINGS, colour_world.run(tmp_path))
    assert error.value.mend == mend


def test_few_decisions_are_shared(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tune(subject(length=6), STATISTICS, SETTINGS, colour_world.run(tmp_path))
    assert "5 decisions instead of 12: these pictures hold no more" in caplog.text
    assert "is not better for certain, as it takes 8 decisions to tell" in caplog.text
    assert {row["decisions"] for row in rows(tmp_path, "confirmation")} == {"3"}


def test_what_keeps_a_winner_from_being_chosen_is_told_by_its_measures() -> None:
    """Ahead in one and behind in another, each for certain: 'not better by its intervals' would be said of neither."""
    winner = np.zeros((8, 3)) + np.linspace(-0.01, 0.01, 8)[:, None]
    winner[:, 1] -= 3.5
    winner[:, 2] += 0.6
    scores, images = np.stack((winner, 0 * winner)), np.arange(8)
    found = Confirmation(names=["a", "b"], default=1, scores=scores, images=images, unit="logits")
    assert not found.is_kept
    assert found.headline == "The default 'b' stays: 'a' is behind it in pixels"
    assert "the winner of the search, 'a', is ahead in agreement, but behind in pixels: " in found.sentences()[0]
    winner[:, 2] = -1.0
    behind = replace(found, scores=np.stack((winner, 0 * winner)))
    assert "'a', is behind in pixels and agreement: " in behind.sentences()[0]
    assert behind.headline == "The default 'b' stays: 'a' is behind it in pixels and agreement"


def test_a_lead_that_is_no_proof_is_told_as_such() -> None:
    """Its 95 % interval lies above zero, but it is one of four ways to be ahead."""
    winner = np.zeros((8, 3))
    winner[::2, 1] = 0.4
    scores, images = np.stack((winner, 0 * winner)), np.arange(8)
    found = Confirmation(names=["a", "b"], default=1, scores=scores, images=images, unit="of IoU times score")
    assert found.leads(0, 1)[1].low > 0
    assert not found.is_kept
    assert found.headline == "The default 'b' stays: 'a' is not better for certain"
    gradient = replace(found, names=["gradient", "random"], default=0)
    assert len(gradient.sentences()) == 2  # nothing is compared with itself
    assert "for certain, as it takes wider intervals than these to tell, with 4 ways to be" in found.sentences()[0]
    assert ") logits in flipping" in found.sentences()[0]
    assert ") of IoU times score in deleting" in found.sentences()[0]
    assert "0.000 (0.000 to 0.000) of rank correlation" in found.sentences()[0]  # neither +0.000 nor -0.000


@pytest.mark.parametrize(
    "wrong",
    [{"minutes": 0.0}, {"minutes": np.inf}, {"minutes": "1"}, {"num_targets": 1}, {"num_layers": 0}, {"seed": -1}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))}=.* is (too small|no time)"):
        replace(SETTINGS, **wrong)
