"""Stage evaluate in a world small enough to know every number."""

import csv
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import colour_world
import numpy as np
import pytest
import torch
from colour_world import Squares
from torch import nn
from toy import composite

from lcrp.attribution.methods import Method
from lcrp.composites.closed_form import Rule, Step
from lcrp.composites.composites import all_flat, epsilon_plus_flat, gradient
from lcrp.composites.spec import GRADIENT, BuiltComposite
from lcrp.composites.table import RuleTable
from lcrp.errors import ConfigError, Interrupted, TargetError
from lcrp.stages.evaluate.check import Check
from lcrp.stages.evaluate.checks import sanity_checks
from lcrp.stages.evaluate.evaluate import evaluate, spread
from lcrp.stages.evaluate.flipping import Flipping
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.storage.evidence import read_evidence
from lcrp.values.evidence import Table
from lcrp.values.sample import Sample

METHODS = (
    Method(name="lrp", reading="relevance", composite=composite(epsilon_plus_flat)),
    Method(name="gradcam", reading="gradcam", composite=GRADIENT),
    Method(name="activation", reading="activation", composite=GRADIENT),
    Method(name="random", reading="random", composite=GRADIENT),
)
SETTINGS = EvaluateSettings(methods=METHODS, num_targets=6, num_layers=1, num_steps=4, ablations=("zero",), seed=0)
STATISTICS = replace(colour_world.statistics(), layers=("2",), batch_size=2)


def rows(table: Table, **wanted: object) -> list[dict[str, object]]:
    named = [dict(zip(table.columns, row, strict=True)) for row in table.rows()]
    return [row for row in named if all(row[key] == value for key, value in wanted.items())]


def evidence(folder: Path) -> dict[str, Table]:
    return read_evidence(folder / "run" / "evaluate.h5")


def test_areas_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    """The class's logit at a pixel is its colour's concept plus a tenth of the grey one; no other concept matters.

    Of four channels L-CRP takes the colour first, then grey: the mean logit in the mask goes from c + g to g to 0.
    """
    subject = colour_world.subject()
    evaluate(subject, STATISTICS, SETTINGS, colour_world.run(tmp_path))
    found = rows(evidence(tmp_path)["targets"], method="lrp")
    assert len(found) == 5  # the first picture has nothing but background, which is no decision about an object
    with torch.no_grad():
        for row in found:
            image = subject.dataset[row["sample"]].image[None]  # type: ignore[index]
            concepts = subject.explainer.network[:3](image)[0]  # type: ignore[index]
            class_id = colour_world.CLASS_NAMES.index(str(row["class"]))
            mask = subject.explainer.network(image)[0].argmax(dim=0) == class_id
            colour = float(concepts[(2, 0, 1)[class_id]][mask].mean())
            grey = 0.1 * float(concepts[3][mask].mean())
            # changes at 0, 1/4, 1/2, 3/4 and 1 of the channels: 0, -c, -(c + g), -(c + g), -(c + g)
            flipping = 0.25 * (colour / 2 + (2 * colour + grey) / 2 + 2 * (colour + grey))
            insertion = 0.25 * (colour / 2 + (2 * colour + grey) / 2 + 2 * (colour + grey))
            assert row["flipping"] == pytest.approx(flipping, rel=1e-5)
            assert row["insertion"] == pytest.approx(insertion, rel=1e-5)
            # the least relevant first: nothing, nothing, g, then all
            assert row["reverse_flipping"] == pytest.approx(
                0.25 * (grey / 2 + (2 * grey + colour) / 2), rel=1e-4, abs=1e-6
            )


def test_the_right_order_beats_chance_and_the_verdict_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    evaluate(
        colour_world.subject(Squares(13)), STATISTICS, replace(SETTINGS, num_targets=12), colour_world.run(tmp_path)
    )
    summary = evidence(tmp_path)["summary"]
    (best,) = rows(summary, layer="all layers", method="lrp", measure="flipping")
    (chance,) = rows(summary, layer="all layers", method="random", measure="flipping")
    assert best["low"] > chance["high"]  # type: ignore[operator]
    assert best["num_targets"] == 12
    assert "On colours, lrp orders concepts best of 4 methods" in caplog.text
    assert "more than a random order" in caplog.text
    assert "L-CRP loses clearly nowhere" in caplog.text


def test_files_hold_what_they_say(tmp_path: Path) -> None:
    written = evaluate(colour_world.subject(), STATISTICS, SETTINGS, colour_world.run(tmp_path))
    assert [path.name for path in written] == [
        "curves.png",
        "evaluate.h5",
        "summary.csv",
        "curves.csv",
        "targets.csv",
        "verdict.csv",
    ]
    assert all(path.stat().st_size for path in written)
    with written[2].open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    table = evidence(tmp_path)["summary"]
    assert [float(line["value"]) for line in lines] == pytest.approx(table.columns["value"], nan_ok=True)
    (needed,) = rows(table, layer="2", method="lrp", measure="share_for_80_percent")
    assert needed["value"] == pytest.approx(0.25)  # one of four concepts carries more than 80 %


@pytest.mark.parametrize("ablation", ["mean", "resample"])
def test_other_ablations_put_in_what_other_pictures_have(tmp_path: Path, ablation: str) -> None:
    settings = replace(SETTINGS, ablations=("zero", ablation))  # type: ignore[arg-type]
    evaluate(colour_world.subject(), STATISTICS, settings, colour_world.run(tmp_path))
    areas = {
        kind: [row["flipping"] for row in rows(evidence(tmp_path)["targets"], method="lrp", ablation=kind)]
        for kind in ("zero", ablation)
    }
    assert len(areas[ablation]) == 5
    assert areas[ablation] != areas["zero"]


@pytest.mark.parametrize("ablation", ["mean", "resample"])
def test_a_picture_without_others_beside_it_is_left_out(tmp_path: Path, ablation: str) -> None:
    """Its own activation would be put in, and nothing would change."""
    settings = replace(SETTINGS, ablations=(ablation,))  # type: ignore[arg-type]
    dataset = Squares(7)
    lone = np.random.default_rng(settings.seed).permutation(7)[-1]  # of chunks of two
    assert lone > 0
    evaluate(colour_world.subject(dataset), STATISTICS, settings, colour_world.run(tmp_path))
    found = set(evidence(tmp_path)["targets"].columns["sample"])
    assert found == set(range(1, 7)) - {lone}


def test_what_is_stopped_goes_on_to_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed, stopped = tmp_path / "a", tmp_path / "b"
    undisturbed.mkdir(), stopped.mkdir()
    expected = evaluate(colour_world.subject(), STATISTICS, SETTINGS, colour_world.run(undisturbed))[1].read_bytes()
    made: list[str] = []
    whole = Flipping.unit

    def unit(self: Flipping, name: str) -> dict[str, np.ndarray]:
        made.append(name)
        if len(made) == 2:
            signal.raise_signal(signal.SIGTERM)
        return whole(self, name)

    monkeypatch.setattr(Flipping, "unit", unit)
    with pytest.raises(Interrupted, match="stopped by SIGTERM; what is done is kept"):
        evaluate(colour_world.subject(), STATISTICS, SETTINGS, colour_world.run(stopped))
    assert made == ["000000", "000001"]
    again = evaluate(colour_world.subject(), STATISTICS, SETTINGS, colour_world.run(stopped))[1].read_bytes()
    assert made == ["000000", "000001", "000002"]
    assert again == expected


def test_more_targets_go_on_with_those_that_are_there(tmp_path: Path) -> None:
    few = replace(SETTINGS, num_targets=3)
    run = colour_world.run(tmp_path)
    evaluate(colour_world.subject(), STATISTICS, few, run)
    first = rows(evidence(tmp_path)["targets"], method="lrp")
    dataset = Squares()
    evaluate(colour_world.subject(dataset), STATISTICS, SETTINGS, run)
    assert rows(evidence(tmp_path)["targets"], method="lrp")[:3] == first
    assert dataset.num_read == 4  # the third chunk, and the first one, to see which layers lead somewhere


def test_broken_pictures_are_left_out(tmp_path: Path) -> None:
    evaluate(colour_world.subject(Squares(6, broken=(1, 2))), STATISTICS, SETTINGS, colour_world.run(tmp_path))
    assert sorted(set(evidence(tmp_path)["targets"].columns["sample"])) == [3, 4, 5]  # type: ignore[type-var]


def test_layers_that_lead_nowhere_do_not_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A layer beside the way to the output: whatever is flipped there, nothing changes."""
    caplog.set_level("INFO")
    subject = colour_world.subject()
    subject.explainer.network.append(Aside())  # type: ignore[operator]
    settings = replace(SETTINGS, num_layers=None)
    evaluate(subject, replace(STATISTICS, layers=("2", "5.aside")), settings, colour_world.run(tmp_path))
    (row,) = rows(evidence(tmp_path)["summary"], layer="5.aside", method="lrp", measure="flipping")
    assert row["num_targets"] == 0
    assert np.isnan(row["value"])  # type: ignore[call-overload]
    assert " 25%" in next(line for line in caplog.text.splitlines() if " lrp  " in line)  # of layer '2' alone
    (mean,) = rows(evidence(tmp_path)["summary"], layer="all layers", method="lrp", measure="flipping")
    (layer,) = rows(evidence(tmp_path)["summary"], layer="2", method="lrp", measure="flipping")
    assert mean["value"] == layer["value"]


def test_a_users_own_gradient_is_not_taken_for_the_plain_one(tmp_path: Path) -> None:
    """Methods are told apart by what they compute, whatever they are called: flat relevance needs all channels."""
    method = Method(name="gradient", reading="relevance", composite=composite(all_flat))
    settings = replace(SETTINGS, methods=(method,))
    evaluate(colour_world.subject(), STATISTICS, settings, colour_world.run(tmp_path))
    (needed,) = rows(evidence(tmp_path)["summary"], layer="2", measure="share_for_80_percent")
    assert needed["value"] == pytest.approx(1.0)


def test_layers_are_chosen_among_those_that_lead_somewhere(tmp_path: Path) -> None:
    subject = colour_world.subject()
    subject.explainer.network.append(Aside())  # type: ignore[operator]
    settings = replace(SETTINGS, num_layers=1)
    evaluate(subject, replace(STATISTICS, layers=("2", "5.aside")), settings, colour_world.run(tmp_path))
    assert set(evidence(tmp_path)["targets"].columns["layer"]) == {"2"}
    with pytest.raises(TargetError, match="that these layers lead to"):
        evaluate(subject, replace(STATISTICS, layers=("5.aside",)), settings, colour_world.run(tmp_path))


class Aside(nn.Module):
    """Computes something of its input and returns the input."""

    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Conv2d(3, 4, 1)

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        self.aside(logits)
        return logits * 1.0


class Empty(Squares):
    """Pictures that cannot be read."""

    def __getitem__(self, index: int) -> Sample:
        return Squares(6, broken=tuple(range(6)))[index]


def test_nothing_to_evaluate_is_told(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="colours decides nothing in squares that these layers lead to"):
        evaluate(colour_world.subject(Empty()), STATISTICS, SETTINGS, colour_world.run(tmp_path))


def test_annotations_of_other_classes_are_refused(tmp_path: Path) -> None:
    class Others(Squares):
        class_names = ("background", *map(str, range(9)))

    annotated = replace(STATISTICS, targets="annotated")
    with pytest.raises(
        ConfigError, match=r"is annotated with 10 classes \(background, 0, 1, \.\.\.\), but colours knows"
    ):
        evaluate(colour_world.subject(Others()), annotated, SETTINGS, colour_world.run(tmp_path))


def test_one_picture_has_no_other_to_take_from(tmp_path: Path) -> None:
    settings = replace(SETTINGS, ablations=("resample",))
    with pytest.raises(ConfigError, match="ablations 'mean' and 'resample' need other pictures"):
        evaluate(colour_world.subject(), replace(STATISTICS, batch_size=1), settings, colour_world.run(tmp_path))


def test_layers_are_spread_over_all_but_the_ends() -> None:
    names = [str(number) for number in range(9)]
    assert spread(names, 2) == ["3", "6"]
    assert spread(names, 4) == ["1", "3", "5", "7"]
    assert spread(names, 9) == names


def checks_of(build: Callable[..., BuiltComposite]) -> Iterator[Check]:
    subject = colour_world.subject()
    subject = replace(subject, explainer=replace(subject.explainer, composite=composite(build)))
    flipping = Flipping(subject, STATISTICS, SETTINGS, ["2"])
    images, found = flipping.chunk(0)
    yield from sanity_checks(subject.explainer, images, found)


def test_relevance_by_rules_passes_all_checks() -> None:
    found = {check.name: check for check in checks_of(epsilon_plus_flat)}
    assert all(check.is_fine for check in found.values() if check.name != "parameter randomisation")
    assert found["conservation"].value < 1e-4
    assert found["stability in float64"].value == 1.0


def test_the_gradient_is_not_conserved(caplog: pytest.LogCaptureFixture) -> None:
    found = {check.name: check for check in checks_of(gradient)}
    assert not found["conservation"].is_fine
    assert "conservation FAILS" in caplog.text


def test_what_does_not_look_at_the_weights_is_found_out() -> None:
    """Relevance that the architecture alone spreads is the same for shuffled weights."""
    found = {check.name: check for check in checks_of(flat_but_the_last)}
    assert not found["parameter randomisation"].is_fine
    assert found["parameter randomisation"].value == pytest.approx(1.0)


class NumberedStep(Step):
    """Relevance times the channel's number."""

    reads_input = False

    def lower(self, upper: torch.Tensor) -> torch.Tensor:
        return upper * torch.arange(1.0, upper.shape[1] + 1)[:, None, None].to(upper)


class Numbered(Rule):
    """Relevance in proportion to the channel's number."""

    def step_type(self, operation: object) -> type[Step]:  # noqa: ARG002
        return NumberedStep


def flat_but_the_last(network: nn.Module) -> RuleTable:
    """All flat, with relevance in proportion to the channel's number: it is the same whatever the weights are."""
    return replace(all_flat(network), layers={"3": Numbered()})


def test_a_layer_that_plays_no_part_passes_no_check(caplog: pytest.LogCaptureFixture) -> None:
    subject = colour_world.subject()
    subject.explainer.network.append(Aside())  # type: ignore[operator]
    subject = replace(subject, explainer=replace(subject.explainer, layer="5.aside"))
    flipping = Flipping(subject, STATISTICS, SETTINGS, ["2"])
    found = {check.name: check for check in sanity_checks(subject.explainer, *flipping.chunk(0))}
    assert not any(check.is_fine for name, check in found.items() if "stability" in name or "random" in name)
    assert "5.aside plays no part in these decisions: choose a layer that does" in caplog.text
