"""Are proposed names of concepts right? Named from one half of the pictures of `scenes`, judged on the other half.

    python benchmarks/names.py --models unet,yolov6

The judge is the generator: every class, part and context that is seen is taken out of the picture, and the one whose
removal lowers the concept's relevance most is the truth, of concepts whose fall stands out (95 % interval of its lead
over the next one). Networks with random weights should get no names.
"""

import argparse
import logging
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from lcrp.config.build import build_subject
from lcrp.config.compose import composed, composition
from lcrp.data.scenes import CLASS_NAMES, CONTEXT_NAMES, ScenesDataset
from lcrp.data.scenes.names import PART_NAMES
from lcrp.decisions.sightings import PER_PICTURE, sightings
from lcrp.decisions.subject import Subject
from lcrp.evidence.naming import Proposal, Sighting, proposals
from lcrp.evidence.standing_out import Foremost, foremost
from lcrp.runs.run import Run
from lcrp.stages.truth.removals import Falls, concept_falls

LEVELS = {
    "classes, parts, contexts": (*CLASS_NAMES, *PART_NAMES, *CONTEXT_NAMES),
    "classes, contexts": (*CLASS_NAMES, *CONTEXT_NAMES),
    "parts, contexts": (*PART_NAMES, *CONTEXT_NAMES),
}
RUN = Run(folder=Path(), output_root=Path(), on_progress=lambda *_: None)


def main(arguments: Sequence[str]) -> int:
    """Print how often names are right, for trained networks, and how often there are none, for random ones."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", default="unet,yolov6", help="embedded ones, separated by commas")
    parser.add_argument("--split", default="val", help="val, or train")
    parser.add_argument("--pictures", type=int, default=200, help="of each half")
    parser.add_argument("--seeds", type=int, default=3, help="random networks of each model")
    parser.add_argument("--random-pictures", type=int, default=100, help="named from, of random networks")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    for model in given.models.split(","):
        start = time.perf_counter()
        trained(model, given.split, given.pictures)
        if given.seeds:
            random_weights(model, given.split, given.random_pictures, given.seeds)
        print(f"{model}: {time.perf_counter() - start:.0f} s", flush=True)
    return 0


def trained(model: str, split: str, num_pictures: int) -> None:
    """Names of a trained network's concepts beside what removals say."""
    subject = _subject(model, split)
    order = np.random.default_rng(0).permutation(len(subject.dataset))
    half = min(num_pictures, len(order) // 2)
    named_from, judged_on = order[:half].tolist(), order[half : 2 * half].tolist()
    seen = list(_sightings(subject, named_from))
    falls = _falls(subject, judged_on)
    print(f"\n{model}: named from {len(seen)} decisions, judged on {len(falls)}, layer {subject.explainer.layer}")
    for level, things in LEVELS.items():
        found = proposals(seen, things)
        for reading in ("lost", "signed"):
            truth = foremost([getattr(one, reading) for one in falls], [one.sample for one in falls], things)
            told("relevance lost" if reading == "lost" else "fall, with sign", level, found, truth)
    found = proposals(seen)
    print(f"  {sum(one.fits for one in found)} of {len(found)} concepts have a name that fits", flush=True)


def told(reading: str, level: str, found: Sequence[Proposal], truth: Sequence[Foremost]) -> None:
    """Print the share of names that are right, of concepts whose fall stands out."""
    if not truth:
        print(f"  {level} ({reading}): too few pictures")
        return
    pairs = [(name, true) for name, true in zip(found, truth, strict=True) if true.stands_out]
    fitting = [pair for pair in pairs if pair[0].fits]
    rows = {"best name": pairs, "that fits": fitting}
    cells = [f"{name} {_top1(some)}" for name, some in rows.items()]
    named, true = ([one.name for one in side] for side in zip(*pairs, strict=True)) if pairs else ([], [])
    chance = sum(named.count(one) * true.count(one) for one in set(true)) / max(1, len(pairs)) ** 2
    print(f"  {level} ({reading}): {len(pairs)} of {len(truth)} stand out; {'; '.join(cells)}; chance {chance:.2f}")
    wrong = [f"{name.name} for {true.name}" for name, true in pairs if name.name != true.name]
    print(f"    truth: {_counted(true)}; wrong: {_counted(wrong) or 'none'}", flush=True)


def random_weights(model: str, split: str, num_pictures: int, num_seeds: int) -> None:
    """How many concepts of networks with random weights get no name."""
    subject = _subject(model, split, "model.checkpoint=random", *_DECIDING.get(model, ()))
    order = np.random.default_rng(0).permutation(len(subject.dataset))[:num_pictures].tolist()
    num_unnamed = num_concepts = 0
    for seed in range(num_seeds):
        torch.manual_seed(seed)
        for module in subject.explainer.network.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        found = proposals(list(_sightings(subject, order)))
        num_unnamed += sum(not one.fits for one in found)
        num_concepts += len(found)
        print(f"  random weights {seed}: {_counted([one.name for one in found if one.fits]) or 'no names'}", flush=True)
    print(f"  no name fits: {wilson(num_unnamed, num_concepts)} of {num_concepts} concepts of random networks")


_DECIDING = dict.fromkeys(("yolov5", "yolov6", "yolo", "ssd"), ("model.confidence=0",))  # else they decide nothing


def _subject(model: str, split: str, *more: str) -> Subject:
    with composition():
        return build_subject(composed([f"model={model}", f"dataset.split={split}", *more]), torch.device("cpu"), Path())


def _sightings(subject: Subject, samples: Sequence[int]) -> Iterator[Sighting]:
    num = PER_PICTURE * len(samples)
    return sightings(subject, subject.explainer.layer, RUN.progress, num_decisions=num, batch_size=8, samples=samples)


def _falls(subject: Subject, samples: Sequence[int]) -> list[Falls]:
    dataset, layer = subject.dataset, subject.explainer.layer
    assert isinstance(dataset, ScenesDataset)
    with subject.explainer.attributor([layer]) as attributor:
        return [one for index in samples for one in concept_falls(attributor, dataset, index, layer)]


def _top1(pairs: Sequence[tuple[Proposal, Foremost]]) -> str:
    return wilson(sum(name.name == true.name for name, true in pairs), len(pairs)) + f" of {len(pairs)}"


def wilson(count: int, total: int) -> str:
    """A share with Wilson's 95 % interval."""
    if not total:
        return "not known"
    z, share = 1.96, count / total
    middle, width = share + z**2 / (2 * total), z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    low, high = ((middle + sign * width) / (1 + z**2 / total) for sign in (-1, 1))
    return f"{share:.2f} ({low:.2f} to {high:.2f})"


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {list(names).count(name)}" for name in sorted(set(names)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
