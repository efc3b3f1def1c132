"""Is tuned L-CRP more faithful than the default, the gradient and Grad-CAM? stage=tune on many networks.

    python benchmarks/tuning.py yolov6 unet                          embedded networks, on scenes
    python benchmarks/tuning.py yolov8n --checkpoints FOLDER --coco FOLDER --side 640 --device cuda
    python benchmarks/tuning.py --table                              of what was measured so far, runs nothing

Without names all embedded networks. What was measured is kept as JSON and not measured again; a stopped search goes on.
One process per network may run beside others, in the same folder. 'shuffled' is the embedded YOLO with its weights
shuffled within every layer, explained where it decides by chance.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import lcrp
from lcrp.decisions.explainer import Explainer

EMBEDDED = ("yolov5", "yolov6", "yolo", "ssd", "unet", "deeplabv3plus")
COCO = {
    "yolov5n": "yolov5n_v6.0_coco.pt",
    "yolov8n": "yolov8n_ul8.4.190.pt",
    "yolo11n": "yolo11n_ul8.4.190.pt",
    "yolo26n": "yolo26n_ul8.4.190.pt",
    "yolov8n-seg": "yolov8n-seg_ul8.4.190.pt",
}
MEASURES = ("channels", "pixels", "agreement")
OTHERS = ("gradient", "gradcam", "random")

Row = dict[str, Any]


def explainer_of(name: str, given: argparse.Namespace) -> Explainer:
    """The network of a name."""
    if name in COCO:
        side = None if given.side is None else (given.side, given.side)
        return lcrp.load(given.checkpoints / COCO[name], input=side, device=given.device)
    if name != "shuffled":
        return lcrp.load(f"embedded:{name}_scenes", device=given.device)
    explainer = lcrp.load("embedded:yolo_scenes", device=given.device, confidence=0.0)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in explainer.network.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view(parameter.shape))
    return replace(explainer, checkpoint_sha256="shuffled", unaccounted="accept")


def measured(name: str, given: argparse.Namespace) -> Row:
    """What stage=tune says of one network."""
    explainer = explainer_of(name, given)
    data: Any = {"name": "coco2017", "root": str(given.coco)} if name in COCO else "scenes"
    start = time.monotonic()
    found = lcrp.tune(
        explainer,
        data,
        num_targets=given.targets,
        num_confirmed=given.confirmed,
        num_layers=given.layers,
        minutes=given.minutes,
        seed=given.seed,
        targets="predicted" if name == "shuffled" else None,
        progress=quiet,
    )
    rows = {table: rows_of(found.tables[table]) for table in ("candidates", "confirmation")}
    return {
        "name": name,
        "seconds": time.monotonic() - start,
        "side": explainer.transform.height,
        "device": str(explainer.device),
        "default": explainer.composite.title,
        "sentences": list(found.sentences),
        "file": str(found.path),
        **rows,
    }


def quiet(done: int, total: int, description: str, unit: str) -> None:
    """A line now and then."""
    if done == total or done % 20 == 0:
        sys.stderr.write(f"{description}: {done}/{total} {unit}\n")


def rows_of(table: Any) -> list[Row]:
    """Rows of a table."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows()]


def lines(found: Sequence[Row]) -> Iterator[str]:
    """What was measured, as tables in Markdown: means with intervals, then wins and losses of what was chosen.

    A comparison is won (+) or lost (-) where the 95 % interval of the paired difference lies on one side of zero, which
    less than eight decisions never tell.
    """
    for measure in MEASURES:
        yield f"\n{measure}\n"
        yield f"| network | decisions | chosen | L-CRP chosen | default | {' | '.join(OTHERS)} |"
        yield f"|---|---|---|---|---|{'---|' * len(OTHERS)}"
        for one in found:
            rows = {row["method"]: row for row in one["confirmation"] if row["measure"] == measure}
            chosen = next(row for row in rows.values() if row["is_chosen"])
            default = rows.get(one["default"], chosen)
            cells = [told(rows[name]) + sign(rows[name]) if name in rows else "" for name in OTHERS]
            shown = [told(chosen), told(default) + ("" if default is chosen else sign(default)), *cells]
            yield f"| {one['name']} | {chosen['decisions']} | {chosen['method']} | {' | '.join(shown)} |"
    for other in ("default", *OTHERS):
        counts = [count(found, other, measure) for measure in MEASURES]
        listed = ", ".join(f"{m} {w} won {lost} lost" for m, (w, lost) in zip(MEASURES, counts, strict=True))
        yield f"\nchosen against {other}, of {len(found)}: {listed}"
    yield ""
    for one in found:
        looks = max(row["decisions"] for row in one["candidates"])
        yield (
            f"{one['name']} ({one['side']} pixels, {one['device']}): {one['seconds']:.0f} s, "
            f"{len(one['candidates'])} candidates, the last on {looks} decisions; {one['sentences'][0]}"
        )


def told(row: Row) -> str:
    """A mean with its interval."""
    return f"{row['mean']:.3f} ({row['mean_low']:.3f} to {row['mean_high']:.3f})"


def sign(row: Row) -> str:
    """Whether the chosen composite is ahead of a method (+) or behind (-)."""
    return " +" if row["lead_low"] > 0 else " -" if row["lead_high"] < 0 else ""


def count(found: Sequence[Row], other: str, measure: str) -> tuple[int, int]:
    """How often the chosen composite is ahead of another, and behind."""
    signs = []
    for one in found:
        name = one["default"] if other == "default" else other
        own = [row for row in one["confirmation"] if row["method"] == name and row["measure"] == measure]
        signs += [sign(row) for row in own if not row["is_chosen"]]
    return signs.count(" +"), signs.count(" -")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Those of networks, pictures and decisions."""
    parser.add_argument("--checkpoints", type=Path, default=Path(), help="folder of the COCO networks")
    parser.add_argument("--coco", type=Path, default=Path("datasets/coco2017"), help="folder of its pictures")
    parser.add_argument("--folder", type=Path, default=Path("outputs/tuning"), help="where results are kept")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", type=int, default=None, help="of the COCO networks' input")
    parser.add_argument("--targets", type=int, default=16, help="decisions of the search")
    parser.add_argument("--confirmed", type=int, default=40, help="other decisions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")


def main() -> None:
    """Tune networks, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join((*EMBEDDED, 'shuffled', *COCO))}")
    add_settings(parser)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=None, help="for each network; without it there is no end")
    parser.add_argument("--table", action="store_true", help="of what is there alone")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    every = (*EMBEDDED, "shuffled", *COCO)
    unknown = [name for name in given.names if name not in every]
    if unknown:
        parser.error(f"there is no network '{unknown[0]}'; there are {', '.join(every)}")
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in () if given.table else given.names or EMBEDDED:
        path = given.folder / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(measured(name, given)))
    paths = [given.folder / f"{name}.json" for name in every]
    sys.stdout.write("\n".join(lines([json.loads(path.read_text()) for path in paths if path.exists()])) + "\n")


if __name__ == "__main__":
    main()
