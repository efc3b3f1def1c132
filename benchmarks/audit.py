"""Does stage=audit find what the generator of `scenes` knows? By masks alone, every embedded checkpoint.

The generator draws the pictures of the audited decisions anew: the context under an object is each of the four others,
and what always comes with it (a kite's person and string, a horse's bar) is not drawn: 'alone'. How far the score falls
is what a decision needs of its surroundings. A pair of network and class is positive where the whole 95 % interval of
the mean lies above 0.03. Beside it 'context': the context alone is another one, as stage=truth does it.

    python benchmarks/audit.py yolov6_scenes yolov6_scenes_unbiased ...      all of them without names
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lcrp
from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.api.runs import own_run
from lcrp.data.scenes import COMPANIONS, CONTEXT_NAMES, OWN_CONTEXT, Scene, with_context_swapped, without_part
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.decisions.together import few_images
from lcrp.evidence.correlation import spearman
from lcrp.evidence.intervals import mean_interval
from lcrp.evidence.reliance import LEAST
from lcrp.stages.audit.audit import audit
from lcrp.stages.audit.settings import AuditSettings
from lcrp.storage.evidence import read_evidence

NAMES = ("yolov5", "yolov6", "yolo", "ssd", "unet", "deeplabv3plus")
CHECKPOINTS = tuple(f"{name}_scenes{end}" for end in ("", "_unbiased") for name in NAMES)
NUM_RANDOM = 10  # groups of concepts that the carriers are compared with
NUM_SILENCED = 12  # decisions of a class whose concepts are taken away

Row = dict[str, Any]


def rows_of(tables: Any, name: str) -> list[Row]:
    """Rows of a table."""
    return [dict(zip(tables[name].columns, row, strict=True)) for row in tables[name].rows()]


def swapped(scene: Scene, number: int, *, is_alone: bool) -> Iterator[Scene]:
    """The scene with each other context under an object, without what always comes with it if it is to be alone."""
    name = scene.objects[number].class_name
    for part in COMPANIONS.get(name, ()) if is_alone else ():
        scene = without_part(scene, number, part)
    for context in CONTEXT_NAMES:
        if context != OWN_CONTEXT[name]:
            yield with_context_swapped(scene, context, number=number)


class Generator:
    """What the generator says of decisions.

    Args:
        subject: network and `scenes`.
        path: where the falls are kept, which no method of the audit alters.
    """

    def __init__(self, subject: Subject, path: Path) -> None:
        self._explainer, self._dataset, self._path = subject.explainer, subject.dataset, path
        self._known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def reliance(self, attributor: Any, row: Row, *, is_alone: bool) -> float:
        """How far the score of a decision falls."""
        key = f"{row['sample']} {row['object']} {'alone' if is_alone else 'context'}"
        if key not in self._known:
            self._known[key] = reliance(self.scores(attributor, row, self.pictures(row, is_alone=is_alone)))
        return self._known[key]

    def keep(self) -> None:
        """Write what is known."""
        self._path.write_text(json.dumps(self._known))

    def pictures(self, row: Row, *, is_alone: bool) -> torch.Tensor:
        """The picture of a decision, then with other contexts, [V, 3, H, W]."""
        sample = self._dataset[row["sample"]]
        scene = self._dataset.scene(row["sample"])
        others = [self._dataset.sample(one).image for one in swapped(scene, row["object"], is_alone=is_alone)]
        return torch.stack([sample.image, *others])

    def is_home(self, row: Row) -> bool:
        """Whether its object stands in its own context."""
        return self._dataset.scene(row["sample"]).context_of(row["object"]) == OWN_CONTEXT[row["class"]]

    def scores(self, attributor: Any, row: Row, pictures: torch.Tensor, group: Sequence[int] = ()) -> np.ndarray:
        """How sure the network is of the object in every picture, perhaps without concepts."""
        annotation = self._dataset[row["sample"]].annotation
        box, mask = annotation.boxes[row["object"]], annotation.masks[row["object"]]
        class_id, layer = self._explainer.class_names.index(row["class"]), self._explainer.layer

        def silence(output: torch.Tensor, axis: int) -> torch.Tensor:
            return output.index_fill(axis, torch.tensor(group), 0)

        found = []
        for part in few_images(pictures, attributor):
            output = attributor.altered(part, layer, silence) if len(group) else attributor.output(part)
            ids = torch.full((len(part),), class_id)
            found += attributor.task.readout(
                output, ids, box.expand(len(part), 4), mask.expand(len(part), *mask.shape)
            ).tolist()
        return np.array(found)


def reliance(scores: np.ndarray) -> float:
    """How far the score falls on average."""
    return float(scores[0] - scores[1:].mean())


def measured(checkpoint: str, settings: AuditSettings, num_samples: int | None, folder: Path) -> Row:
    """The audit of one checkpoint beside what the generator says."""
    explainer = lcrp.load(f"embedded:{checkpoint}")
    given = given_data("scenes", explainer)
    subject = subject_of(explainer, given)
    statistics: StatisticsSettings = replace(given.statistics, num_samples=num_samples, batch_size=8)
    start = time.monotonic()
    with own_run("audit", subject, None) as run:
        tables = read_evidence(audit(subject, statistics, settings, run)[0])
    seconds = time.monotonic() - start
    generator, decisions = Generator(subject, folder / f"generator_{checkpoint}.json"), rows_of(tables, "decisions")
    with explainer.reader() as attributor:
        for row in decisions:
            if not generator.is_home(row):
                continue
            for name, is_alone in (("alone", True), ("context", False)):
                if is_alone or row["class"] in COMPANIONS:
                    row[name] = generator.reliance(attributor, row, is_alone=is_alone)
            row.setdefault("context", row["alone"])
        generator.keep()
        carriers = [_carried(generator, attributor, row, decisions) for row in rows_of(tables, "carriers")]
    return {
        "checkpoint": checkpoint,
        "seconds": seconds,
        "decisions": decisions,
        "carriers": carriers,
        **{name: rows_of(tables, name) for name in ("verdicts", "classes", "surroundings", "outcomes", "concepts")},
    }


def _carried(generator: Generator, attributor: Any, carrier: Row, decisions: Sequence[Row]) -> Row:
    """How far the generator's reliance falls without the carriers, and without each of ten other such groups."""
    own = [row for row in decisions if row["class"] == carrier["class"] and "alone" in row]
    chosen = [own[place] for place in np.random.default_rng(1).permutation(len(own))[:NUM_SILENCED]]
    layer = carrier["layer"]
    module = dict(attributor.network.named_modules())[layer]
    named = [int(concept) for concept in carrier["concepts"].split()]
    others, generated = np.setdiff1d(np.arange(module.out_channels), named), np.random.default_rng(0)
    groups, cuts = [named, *(generated.permutation(others)[: len(named)].tolist() for _ in range(NUM_RANDOM))], []
    for row in chosen:
        pictures = generator.pictures(row, is_alone=True)
        plain = reliance(generator.scores(attributor, row, pictures))
        cuts.append([plain - reliance(generator.scores(attributor, row, pictures, one)) for one in groups])
    mean = np.array(cuts).mean(axis=0)
    kept = {name: carrier[name] for name in ("class", "concepts")}
    return {**kept, "cut": float(mean[0]), "others": mean[1:].tolist()}


def main() -> None:
    """Measure checkpoints, and keep what was measured as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="*", default=CHECKPOINTS)
    parser.add_argument("--num-samples", type=int, default=None)
    parser.add_argument("--num-objects", type=int, default=40)
    parser.add_argument("--num-grounds", type=int, default=4)
    parser.add_argument("--num-synthetic", type=int, default=1)
    parser.add_argument("--num-concepts", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=Path("outputs/audit_benchmark"))
    arguments = parser.parse_args()
    settings = AuditSettings(
        num_objects=arguments.num_objects,
        num_grounds=arguments.num_grounds,
        num_synthetic=arguments.num_synthetic,
        n_concepts=arguments.num_concepts,
    )
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for checkpoint in arguments.checkpoints:
        path = arguments.folder / f"{checkpoint}.json"
        if not path.exists():
            path.write_text(json.dumps(measured(checkpoint, settings, arguments.num_samples, arguments.folder)))
    kept = [arguments.folder / f"{checkpoint}.json" for checkpoint in CHECKPOINTS]
    found = [json.loads(path.read_text()) for path in kept if path.exists()]
    sys.stdout.write("\n".join(lines(found)) + "\n")


def pairs_of(one: Row, truth: str) -> list[Row]:
    """Every class of a checkpoint: what the generator says, and what the audit says."""
    pairs = []
    shares = {row["class"]: row["share"] for row in one["surroundings"]}
    for verdict in one["verdicts"]:
        rows = [row for row in one["decisions"] if row["class"] == verdict["class"] and truth in row]
        known = mean_interval(np.array([row[truth] for row in rows]), np.array([row["sample"] for row in rows]))
        pairs.append(
            {
                "checkpoint": one["checkpoint"],
                **verdict,
                "truth": known,
                "is_positive": known.low > LEAST,
                "share": shares.get(verdict["class"], float("nan")),
            }
        )
    return pairs


def auroc(pairs: Sequence[Row], name: str) -> float:
    """How well a number tells positive pairs from others."""
    known = [pair for pair in pairs if not np.isnan(pair[name])]
    first = np.array([pair[name] for pair in known if pair["is_positive"]])
    second = np.array([pair[name] for pair in known if not pair["is_positive"]])
    if not len(first) or not len(second):
        return float("nan")
    above, equal = first[:, None] > second[None], first[:, None] == second[None]
    return float((above + 0.5 * equal).mean())


def lines(found: Sequence[Row]) -> Iterator[str]:
    """What was measured, as tables in Markdown."""
    for truth in ("alone", "context"):
        pairs = [pair for one in found for pair in pairs_of(one, truth)]
        yield f"\ngenerator: {truth}\n"
        yield "| checkpoint | class | generator | audit | verdict | positive |"
        yield "|---|---|---|---|---|---|"
        for pair in pairs:
            told = f"{pair['difference']:.3f} ({pair['low']:.3f} to {pair['high']:.3f})"
            known = pair["truth"]
            told_known = f"{known.value:.3f} ({known.low:.3f} to {known.high:.3f})"
            is_positive = "yes" if pair["is_positive"] else ""
            cells = (pair["checkpoint"], pair["class"], told_known, told, pair["verdict"], is_positive)
            yield f"| {' | '.join(cells)} |"
        needs = [pair for pair in pairs if pair["verdict"] == "needs its context"]
        negatives = [pair for pair in pairs if not pair["is_positive"]]
        false = [pair for pair in needs if not pair["is_positive"]]
        yield (
            f"AUROC {auroc(pairs, 'difference'):.3f} (share of relevance outside {auroc(pairs, 'share'):.3f}); "
            f"{len(pairs) - len(negatives)} positive pairs, {len(needs) - len(false)} of them found; false alarms "
            f"{len(false)} of {len(negatives)}: {[(one['checkpoint'], one['class']) for one in false]}"
        )
        ordered, apart = 0, 0
        for one in pairs:
            other = next(
                (
                    pair
                    for pair in pairs
                    if pair["checkpoint"] == f"{one['checkpoint']}_unbiased" and pair["class"] == one["class"]
                ),
                None,
            )
            if other is not None and one["truth"].low > other["truth"].high:
                apart += 1
                ordered += one["difference"] > other["difference"]
        yield f"biased above unbiased in {ordered} of {apart} classes where the generator's intervals are apart"
        for one in found:
            rows = [row for row in one["decisions"] if truth in row and not np.isnan(row["difference"])]
            own = [row["placebo"] - row["unusual"] for row in rows]
            known_values = np.array([row[truth] for row in rows])
            both = [row["difference"] for row in rows]
            first, second = (spearman(np.array(values), known_values) for values in (own, both))
            yield (
                f"{one['checkpoint']}: {len(rows)} decisions, Spearman of the fall at its place {first:.2f}, of the "
                f"difference {second:.2f}"
            )
    for one in found:
        (whole,) = [row for row in one["classes"] if row["class"] == "all"]
        fall = f"{whole['placebo_fall']:.3f} ({whole['placebo_fall_low']:.3f} to {whole['placebo_fall_high']:.3f})"
        yield f"{one['checkpoint']}: placebo's fall {fall}; the audit took {one['seconds']:.0f} s"
    carriers = [{**carrier, "checkpoint": one["checkpoint"]} for one in found for carrier in one["carriers"]]
    for one in carriers:
        named, most = f"{one['checkpoint']} {one['class']}: {one['concepts']}", max(one["others"])
        yield f"{named} cuts {one['cut']:.3f}, others at most {most:.3f}"
    if carriers:
        best = sum(carrier["cut"] > max(carrier["others"]) for carrier in carriers)
        yield f"carrying concepts cut most of eleven groups in {best} of {len(carriers)} pairs"


if __name__ == "__main__":
    main()
