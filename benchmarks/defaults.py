"""Which composite serves a family best as its default? Composites side by side, in the measures of stage=tune.

    python benchmarks/defaults.py yolo                                   the embedded YOLO11, on scenes
    python benchmarks/defaults.py yolov8n yolo11n --checkpoints FOLDER --coco FOLDER --side 640 --seed 1

Networks are those of tuning.py, and decisions those on which it confirms with the same settings. The first composite is
what the others are set against: + or - where they are ahead of it or behind by the paired 95 % interval.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from lcrp.api.data import given_data
from lcrp.api.passing import subject_of
from lcrp.composites import composites
from lcrp.composites.spec import CompositeSpec
from lcrp.evidence.confirming import differences
from lcrp.evidence.intervals import mean_interval
from lcrp.stages.tune.candidates import Candidate
from lcrp.stages.tune.looks import Looks
from lcrp.stages.tune.measures import measures
from lcrp.stages.tune.settings import TuneSettings
from lcrp.stages.tune.tune import drawn
from lcrp.stages.tune.work import closely, compared
from lcrp.storage.units import Units
from tuning import COCO, EMBEDDED, MEASURES, add_settings, explainer_of, sign, told

COMPARED = ("epsilon_gamma_flat", "early_gamma_flat", "epsilon_flat")


def scores_of(name: str, given: argparse.Namespace) -> tuple[list[str], Any]:
    """Names of the methods, and their scores on every decision, [S, D, M]."""
    explainer = explainer_of(name, given)
    data = given_data({"name": "coco2017", "root": str(given.coco)} if name in COCO else "scenes", explainer)
    subject = subject_of(explainer, data)
    counts = {"num_targets": given.targets, "num_confirmed": given.confirmed, "num_layers": 2}
    settings = TuneSettings(**counts, minutes=None, seed=given.seed)
    layers, decisions = drawn(subject, data.statistics, settings)
    pool = [CompositeSpec(name=one, build=getattr(composites, one)) for one in given.composites]
    methods = compared([Candidate(label=one.title, composite=one) for one in pool])
    units = Units(given.folder, f"defaults_{name}", {"of": subject.identity, "seed": given.seed}, version=1)
    found = []
    with Looks(subject, units, layers, decisions, given.seed) as looks:
        for number in range(given.targets, len(decisions)):
            sys.stderr.write(f"{name}: decision {number - given.targets + 1} of {len(decisions) - given.targets}\n")
            found.append([measures(arrays) for _, arrays in looks.found(closely(methods, number))])
    return [one.name for one in methods], np.array(found).transpose(1, 0, 2)


def lines(name: str, scores: Any) -> Iterator[str]:
    """A row per measure: means with intervals, and who is ahead of the first, or behind."""
    images = np.arange(scores.shape[1])
    leads = [differences(one, scores[0], images) for one in scores]
    for place, measure in enumerate(MEASURES):
        cells = []
        for number, one in enumerate(scores):
            mean, lead = mean_interval(one[:, place], images), leads[number][place]
            row = {"mean": mean.value, "mean_low": mean.low, "mean_high": mean.high}
            row |= {"lead_low": lead.low, "lead_high": lead.high}  # of itself 0
            cells.append(told(row) + sign(row))
        yield f"| {name} | {measure} | {' | '.join(cells)} |"


def main() -> None:
    """Measure networks, and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=(*EMBEDDED, *COCO))
    parser.add_argument("--composites", nargs="+", default=COMPARED, help="names of lcrp's own")
    add_settings(parser)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for number, name in enumerate(given.names):
        methods, scores = scores_of(name, given)
        head = [f"| network | measure | {' | '.join(methods)} |", "|---|---|" + "---|" * len(methods)]
        sys.stdout.write("\n".join([*head[: 0 if number else 2], *lines(name, scores)]) + "\n")


if __name__ == "__main__":
    main()
