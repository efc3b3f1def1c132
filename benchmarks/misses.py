"""Misses whose reason is known: a part is removed or the context swapped, and an object is missed since.

For each: is what was taken away named first, and is the object found again when the first absent concept is given back?

`python benchmarks/misses.py embedded:yolov6_scenes --pictures 100 --misses 60`
"""

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import lcrp
from lcrp.attribution.engine import Attributor
from lcrp.data.scenes import (
    COMPANIONS,
    CONTEXT_NAMES,
    PARTS,
    Scene,
    ScenesDataset,
    plan,
    with_context_swapped,
    without_part,
)
from lcrp.decisions.auto import layers_with_places
from lcrp.decisions.lacking import lacking, searches
from lcrp.decisions.misses import Filter, Judged, candidates_in, judged
from lcrp.decisions.seen import Seen, found_object, missed_object, with_signs, without_detail
from lcrp.values.missed import Lacking, Mechanism, Miss
from lcrp.values.sample import Sample

FOUND = 16  # objects of a class, with which misses are compared


@dataclass(frozen=True, kw_only=True)
class Induced:
    """A miss, its picture, and what was taken away."""

    kind: str
    taken: str
    sample: Sample
    miss: Miss


def main() -> None:
    """Measure one network, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--misses", type=int, default=60)
    given = parser.parse_args()
    explainer = lcrp.load(given.model)
    dataset = ScenesDataset("val", transform=explainer.transform)
    known = [True] * len(dataset.class_names)
    with explainer.reader() as attributor:
        pictures = [_judged(attributor, dataset.sample(plan("val", index)), known) for index in range(given.pictures)]
        induced = [
            one for index in range(given.pictures) for one in _induced(attributor, dataset, pictures[index], index)
        ]
    random.Random(0).shuffle(induced)
    induced = induced[: given.misses]
    explainer = with_signs(explainer, dataset[0])
    told: list[tuple[Induced, Lacking | None]] = [(one, None) for one in induced]
    for layers, least in searches(list(layers_with_places(explainer, dataset[0]))):
        left = [place for place, (_, lack) in enumerate(told) if lack is None or not lack.num_found]
        found: dict[int, list[Seen]] = defaultdict(list)
        if left:
            with explainer.attributor(layers) as attributor:
                for picture in pictures:
                    for class_id, seen in _found(attributor, dataset, picture, found):
                        found[class_id].append(seen)
        for place in left:
            one = induced[place]
            others = [seen for seen in found[one.miss.class_id] if seen.sample != one.miss.sample]
            with explainer.attributor(layers) as attributor:
                here = missed_object(attributor, one.sample, one.miss, dataset.class_names)
            if here is not None:
                told[place] = (one, lacking(explainer, one.sample, one.miss, here, others, layers, least=least))
    _tell(given.model, told)


def _judged(attributor: Attributor, sample: Sample, known: Sequence[bool]) -> Judged:
    return judged(sample, candidates_in(attributor, sample.image[None])[0], Filter(), known)


def _changed(scene: Scene, number: int) -> Iterator[tuple[str, str, Scene]]:
    own = scene.context_of(number)
    for other in CONTEXT_NAMES:
        if other != own:
            yield "context", own, with_context_swapped(scene, other, number=number)
    class_name = scene.objects[number].class_name
    for part in (*PARTS[class_name], *COMPANIONS.get(class_name, ())):
        try:
            yield "part", part, without_part(scene, number, part)
        except ValueError:  # this one has none
            continue


def _induced(attributor: Attributor, dataset: ScenesDataset, whole: Judged, index: int) -> Iterator[Induced]:
    """Misses of objects that are found in the picture as it is."""
    scene = plan("val", index)
    for number, by in enumerate(whole.matching.detections.tolist()):
        if by < 0:
            continue
        for kind, taken, changed in _changed(scene, number):
            sample = dataset.sample(changed)
            if len(sample.annotation.boxes) != len(whole.objects):
                continue
            other = _judged(attributor, sample, [True] * len(dataset.class_names))
            for miss in other.misses():
                if miss.number == number:
                    yield Induced(kind=kind, taken=taken, sample=sample, miss=miss)


def _found(
    attributor: Attributor, dataset: ScenesDataset, picture: Judged, known: dict[int, list[Seen]]
) -> Iterator[tuple[int, Seen]]:
    sample = dataset[picture.sample]
    for number, by in enumerate(picture.matching.detections.tolist()):
        class_id = int(picture.labels[number])
        if by < 0 or len(known[class_id]) >= FOUND:
            continue
        row = int(picture.candidates.rows[picture.detections[by]])
        box = tuple(sample.annotation.boxes[number].tolist())
        one = found_object(attributor, sample, box, class_id, row, dataset.class_names)
        if one is not None:
            yield class_id, without_detail(one)


def _tell(model: str, told: Sequence[tuple[Induced, Lacking | None]]) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one, lack in told:
        for group in ("all", one.kind, str(one.miss.mechanism)):
            own = counts[group]
            own["misses"] += 1
            if lack is None:
                continue
            own["named first"] += bool(lack.things) and lack.things[0][0] == one.taken
            own["compared"] += bool(lack.returned)
            for back in lack.returned:
                name = {1: "first", 3: "three", 0: "all"}[back.num_concepts]
                own[name] += back.is_found
                own[f"of {name}"] += 1
                own[f"random {name}"] += back.num_random_found
                own[f"tries {name}"] += back.num_random
    for group, own in counts.items():
        back = ", ".join(
            f"{name} {own[name]}/{own[f'of {name}']} (random {own[f'random {name}']}/{own[f'tries {name}']})"
            for name in ("first", "three", "all")
        )
        named = f"named first {own['named first']}/{own['misses']}"
        print(f"{model} | {group}: {own['misses']} misses, {named}; given back {back}", flush=True)
    layers = Counter(lack.layer for _, lack in told if lack is not None)
    plain = [lack for one, lack in told if lack and lack.returned and one.miss.mechanism == Mechanism.BELOW_THRESHOLD]
    print(f"{model} | layers {layers.most_common(6)}; below threshold and compared {len(plain)}", flush=True)


if __name__ == "__main__":
    main()
