"""stage=tune: the composite that is most faithful to a network, chosen on few decisions and proved on others."""

import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lcrp import __version__
from lcrp.decisions.subject import StatisticsSettings, Subject, check_classes
from lcrp.errors import LayerError, TargetError
from lcrp.figures.tuning import draw_tuning
from lcrp.runs.run import Run
from lcrp.stages.evaluate.evaluate import compared_layers
from lcrp.stages.evaluate.flipping import NEUTRAL, Flipping
from lcrp.stages.evaluate.settings import EvaluateSettings
from lcrp.stages.settled import settled
from lcrp.stages.tune.candidates import NAMED, Candidate, candidates, depth_of
from lcrp.stages.tune.comparison import COMPARED, Confirmation, candidates_table
from lcrp.stages.tune.looks import Found, Looks
from lcrp.stages.tune.measures import Decision
from lcrp.stages.tune.planning import COUNTS, TRIED, Plan, planned, whole_plan
from lcrp.stages.tune.settings import TuneSettings
from lcrp.stages.tune.shares import look_at_share
from lcrp.stages.tune.work import asked_of, confirmed, searched
from lcrp.storage.evidence import write_evidence
from lcrp.storage.tuned import FILE, Tuned, network_hash, write_tuned
from lcrp.storage.units import Units
from lcrp.values.evidence import Table
from lcrp.values.paths import shown

log = logging.getLogger(__name__)

EVIDENCE_FILE, FIGURE_FILE = "tune.h5", "tune.png"
UNIT_VERSION = 1  # raised when kept results hold something else


def tune(subject: Subject, statistics: StatisticsSettings, settings: TuneSettings, run: Run) -> list[Path]:
    """Choose the composite for a network by evidence.

    Args:
        subject: network and dataset; its composite is the default, which stays unless another one is better.
        statistics: which targets and layers; `batch_size` and `num_samples` count too.
        settings: how much is looked at.
        run: where files go.

    Returns:
        tuned.yaml, the numbers as HDF5 and CSV, and the figure; nothing where only a part was to be looked at.

    Raises:
        Interrupted: SIGINT or SIGTERM came; what was found so far is kept, and the same call goes on from there.
        TargetError: the model decides too little in these pictures.
        LayerError: none of the layers leads to a decision.
        ConfigError: annotated targets are asked for, and the classes of model and dataset differ.
    """
    began = time.monotonic()
    if statistics.targets == "annotated":
        check_classes(subject)
    subject = settled(subject, statistics, run, statistics.layers)
    layers, decisions = drawn(subject, statistics, settings)
    identity = {
        **subject.identity,
        "layers": layers,
        "targets": statistics.targets,
        "batch_size": statistics.batch_size,
        "num_samples": statistics.num_samples,
        "seed": settings.seed,
    }
    name = f"tune_{subject.explainer.name}_{subject.dataset_name or subject.dataset.name}"
    units = Units(run.output_root, name, identity, version=UNIT_VERSION)
    num_search = min(settings.num_targets, len(decisions) // 2)
    depth = depth_of(subject.explainer, subject.dataset[decisions[0].sample].image)
    pool = candidates(subject.explainer.composite, depth, COUNTS[0], settings.seed)
    with Looks(subject, units, layers, decisions, settings.seed) as looks:
        tried = [] if settings.minutes is None else _tried(looks, pool, run)
        plan = _plan(looks, tried, settings, (num_search, len(decisions) - num_search))
        others = range(num_search, num_search + plan.num_confirmed)
        if settings.shard.count > 1:
            look_at_share(looks, pool, plan, others, settings.shard, run)
            return []
        search = searched(looks, pool, plan, tried, run)
        end = math.inf if settings.minutes is None else began + 60 * settings.minutes
        confirmation = confirmed(looks, pool, search.order[0], others, run, end=end)
    told = confirmation.sentences()
    for line in told:
        log.info("%s", line)
    tables = [
        candidates_table(search, pool),
        confirmation.table(),
        Table(name="verdict", columns={"verdict": told}),
    ]
    title = f"{subject.explainer.name} on {subject.dataset.name}"
    tuned = _tuned(subject, pool[search.order[0]], confirmation, tables, settings)
    write_tuned(run.folder / FILE, tuned)
    files = write_evidence(run.folder / EVIDENCE_FILE, tables, title=title, settings=identity)
    draw_tuning(
        run.folder / FIGURE_FILE, *tables[:2], verdict=confirmation.headline, title=title, unit=confirmation.unit
    )
    use = "use it" if confirmation.is_kept else "the default with this evidence"
    log.info("%s: composite=tuned composite.file=%s", use, shown(run.folder / FILE))
    if tuned.composite is None:
        log.warning(
            "'%s' is nothing that a file can name: with composite=tuned the model's default is taken instead",
            subject.explainer.composite.title,
        )
    return [run.folder / FILE, *files, run.folder / FIGURE_FILE]


def drawn(subject: Subject, statistics: StatisticsSettings, settings: TuneSettings) -> tuple[list[str], list[Decision]]:
    """Layers that lead to decisions, and decisions for search and confirmation, one per picture, in random order.

    Raises:
        TargetError: there are not two of each.
        LayerError: none of the layers leads to any.
    """
    drawing = EvaluateSettings(
        methods=(NEUTRAL,),
        num_targets=settings.num_targets,
        num_layers=settings.num_layers,
        num_steps=1,
        ablations=("zero",),
        seed=settings.seed,
    )
    layers = compared_layers(subject, statistics, drawing)
    flipping = Flipping(subject, statistics, drawing, layers)
    wanted, found = settings.num_targets + settings.num_confirmed, list[Decision]()
    for number in range(flipping.num_chunks):
        _, chosen = flipping.chunk(number)
        found += [
            Decision(sample=one.explained.target.sample, explained=one.explained, mask=one.mask.cpu()) for one in chosen
        ]
        if len(found) >= wanted:
            break
    if found and not layers:
        raise LayerError(
            f"none of the layers leads to a decision of {subject.explainer.name}; choose others",
            mend="Set statistics.layers.",
        )
    if len(found) < 4:
        raise _too_little(subject, statistics, len(found))
    if len(found) < wanted:
        log.info("%d decisions instead of %d: these pictures hold no more", len(found), wanted)
    return layers, found[:wanted]


def _tried(looks: Looks, pool: Sequence[Candidate], run: Run) -> list[Found]:
    """The first looks, whose time tells how many others fit."""
    with run.progress(TRIED, "trial", "looks") as progress:
        found = looks.found([asked_of(one, 0) for one in pool[:TRIED]])
        return [arrays for _, arrays in progress.counted(found)]


def _too_little(subject: Subject, statistics: StatisticsSettings, num_found: int) -> TargetError:
    """What to say of too few decisions, with what may be done still."""
    others, mends = "", []
    if statistics.targets == "annotated":
        others = ", or take predicted targets"
        mends.append("statistics.targets=predicted")
    if statistics.num_samples is not None and statistics.num_samples < len(subject.dataset):
        mends.append("statistics.num_samples=null")
    return TargetError(
        f"{subject.explainer.name} decides {num_found} times in {subject.dataset.name}, one per picture: too little to "
        f"choose a composite on some and to prove it on others; give more pictures{others}",
        mend=f"Set {' or '.join(mends)}." if mends else "",
    )


def _plan(looks: Looks, tried: Sequence[Found], settings: TuneSettings, available: tuple[int, int]) -> Plan:
    """What fits into the time, by that of the first candidates; once made, it is kept to."""
    minutes = settings.minutes
    if minutes is None:
        plan = whole_plan(available)
    else:
        own = np.median([arrays["seconds"] for arrays in tried], axis=0)
        shared = float(tried[0]["shared_seconds"][0])
        name = f"plan_{minutes}_{available[0]}_{available[1]}".replace(".", "-")
        num_methods = 2 + len(COMPARED)
        plan = Plan.of(looks.kept(name, lambda _: planned(minutes, shared, own, available, num_methods).arrays()))
    first, last = plan.rungs[0], plan.rungs[-1]
    log.info(
        "search: %d candidates on %d, the last %d on %d decisions; confirmation: %d other decisions",
        *(first.num_candidates, first.num_decisions, last.num_candidates, last.num_decisions, plan.num_confirmed),
    )
    if plan.num_confirmed < available[1]:
        log.info("more decisions (%d) were asked for, which take longer than minutes=%s", available[1], minutes)
    return plan


def _tuned(
    subject: Subject, winner: Candidate, confirmation: Confirmation, tables: Sequence[Table], settings: TuneSettings
) -> Tuned:
    """What the file says."""
    explainer = subject.explainer
    chosen = winner.composite if confirmation.is_kept else explainer.composite
    is_known = chosen.name == "tuned" or chosen.build is NAMED.get(chosen.name)
    rows = [dict(zip(tables[1].columns, row, strict=True)) for row in tables[1].rows()]
    evidence = {
        "verdict": confirmation.sentences()[0],
        "default": explainer.composite.title,
        "search": {"candidates": len(list(tables[0].rows())), "decisions": max(tables[0].columns["decisions"])},
        "confirmation": [{name: _plain(value) for name, value in row.items()} for row in rows],
        "dataset": subject.dataset.name,
        "seed": settings.seed,
        "lcrp": __version__,
    }
    return Tuned(
        composite=chosen.name if is_known else None,
        settings=dict(chosen.settings) if is_known else {},
        network_name=explainer.name,
        network=network_hash(explainer.identity()["model"]),  # type: ignore[arg-type]
        evidence=evidence,
    )


def _plain(value: object) -> object:
    return round(value, 5) + 0.0 if isinstance(value, float) else value  # + 0.0: no -0.0
