"""stage=explore: one HTML file, or a folder, that says why a network decides as it does.

Decision -> concepts -> references -> other decisions that use the concept -> what happens without it: all linked, and
opened by a double click, offline.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lcrp.attribution.layers import AUTO
from lcrp.data.dataset import Dataset
from lcrp.data.tiles import TiledDataset
from lcrp.decisions.explained import layer_of, title_of
from lcrp.decisions.explainer import Explainer
from lcrp.decisions.selection import class_id_of
from lcrp.decisions.subject import StatisticsSettings, Subject
from lcrp.errors import StoreError
from lcrp.page.content import Comparison, Content, Finding, LeftOut
from lcrp.page.html import folder_files, one_file
from lcrp.page.pack import Packed, packed
from lcrp.runs.provenance import commit, versions
from lcrp.runs.run import Run
from lcrp.stages.explore.audited import audited
from lcrp.stages.explore.compared import comparison
from lcrp.stages.explore.concepts import Gatherer
from lcrp.stages.explore.decided import Decided, decided
from lcrp.stages.explore.measured import Tables, context_of, finding, measured
from lcrp.stages.explore.misses import with_misses
from lcrp.stages.explore.named import proposed_names
from lcrp.stages.explore.others import with_references
from lcrp.stages.explore.settings import ExploreSettings
from lcrp.stages.glocal.statistics_file import layers_and_statistics
from lcrp.stages.missed.missed import background_of
from lcrp.storage.atomic import replacing
from lcrp.storage.location import is_imported
from lcrp.storage.statistics import StatisticsFile
from lcrp.values.statistics import StatisticsHeader

FILE, FOLDER = "explore.html", "explore"
MEGABYTE = 1e6
UNTOLD = ("model", "pytorch_model")  # names of files of weights that say nothing

log = logging.getLogger(__name__)


def explore(subject: Subject, statistics: StatisticsSettings, settings: ExploreSettings, run: Run) -> list[Path]:
    """Write the page.

    Args:
        subject: the network, its dataset and the composite.
        statistics: how the concept statistics were made.
        settings: what is shown, and how large it may grow.
        run: where the file goes, and where what other stages measured lies.

    Returns:
        The page.

    Raises:
        LcrpError: there are no statistics, layers or pictures as asked for, or the page cannot be written.
    """
    model = subject.explainer
    if model.layer != AUTO and not settings.layers:
        layer_of(model, None)  # refused before statistics are made
    class_id_of(settings.selection.class_name, model.class_names)
    target = _target(settings, run)
    subject, layers, path = layers_and_statistics(
        subject,
        statistics,
        run,
        layers=settings.layers or (model.layer,),
        given=settings.statistics[0] if settings.statistics else None,
        is_made=settings.make_statistics,
    )
    log.info("concepts from %s", path)
    with StatisticsFile(path, class_names=model.class_names) as file:
        header = file.header
    if is_imported(header):
        raise StoreError(
            f"'{path}' is imported and holds no mean relevance: make statistics with the same settings",
            mend="Run stage=glocal.",
        )
    own = layer_of(subject.explainer, None)
    shown = own if own in layers else layers[0]
    model.names_of(shown)  # says whose names there are
    compared = _compared(settings, path, shown)  # refused before anything is computed
    found = decided(subject, settings, shown, statistics.num_samples, run)
    evidence = {name: measured(name, getattr(settings, name, None), header, run.output_root) for name in _COMMANDS}
    missed = evidence["missed"]
    seen = with_misses(subject, settings, found, {} if missed is None else missed[1], run)
    gatherer = Gatherer(subject, statistics, settings, path, run)
    tables = None if evidence["context"] is None else evidence["context"][1]
    shown_layers = tuple(
        gatherer.layer(
            name, None if tables is None else context_of(name, tables), found.shares() if name == shown else None
        )
        for name in layers
    )
    moments = next(one.moments for one in shown_layers if one.name == shown)
    proposed = proposed_names(
        *(subject, shown, moments), num_decisions=settings.num_decisions, statistics=statistics, run=run
    )
    shown_layers = tuple(replace(one, proposed=proposed) if one.name == shown else one for one in shown_layers)
    content = Content(
        title=_title(subject),
        facts=_facts(subject, header, path, found),
        class_names=model.class_names,
        names=model.concept_names,
        layers=shown_layers,
        layer=shown,
        pictures=seen.pictures,
        decisions=seen.decisions,
        misses=seen.misses,
        audited=audited(evidence["audit"], is_pictured=settings.pictures),
        findings=tuple(_findings(evidence, path, background_of(model.task))),
        left_out=tuple(_left_out(settings, found, has_spread=any(one.spread is not None for one in shown_layers))),
        comparison=None
        if compared is None
        else with_references(
            *(compared, settings.statistics[1], subject.dataset),
            concepts=sorted(next(one.references for one in shown_layers if one.name == shown)),
            run=run,
            is_pictured=settings.pictures,
        ),
    )
    page = packed(content, settings.max_megabytes * MEGABYTE)
    for one in page.index["left_out"]:
        log.info("left out: %s (%s)", one["what"], one["how"])
    return [_written(page, target, is_folder=settings.folder)]


_COMMANDS = {  # of stages whose findings are shown
    "audit": "lcrp stage=audit",
    "missed": "lcrp stage=missed",
    "context": "lcrp stage=context",
    "evaluate": "lcrp stage=evaluate stage.checks=true",
}


def _target(settings: ExploreSettings, run: Run) -> Path:
    """Where the page goes."""
    if settings.output is None:
        return run.folder / (FOLDER if settings.folder else FILE)
    if settings.folder and _is_a_persons(settings.output):
        raise StoreError(
            f"'{settings.output}' is there and holds no page: nothing is written over it",
            mend="Set stage.output to a new folder.",
        )
    if not settings.folder and settings.output.is_dir():
        raise StoreError(f"'{settings.output}' is a folder", mend="Set stage.output to a file, such as audit.html.")
    return settings.output


def _compared(settings: ExploreSettings, path: Path, layer: str) -> Comparison | None:
    """The layer beside that of the other file, if there is one."""
    if len(settings.statistics) < 2:
        return None
    with StatisticsFile(path) as file:
        return comparison(settings.statistics[1], file.header, layer, file.layer(layer))


def _is_a_persons(folder: Path) -> bool:
    """Whether something is there that is no folder of a page, and not empty."""
    if not folder.exists() or (folder / "index.html").is_file():
        return False
    return not folder.is_dir() or any(folder.iterdir())


def _findings(
    evidence: Mapping[str, tuple[Path, Tables] | None], path: Path, background: Sequence[str]
) -> list[Finding]:
    """What other stages found, and what became of the relevance of the statistics' decisions."""
    with StatisticsFile(path) as file:
        ledger = file.ledger()
    summary = None if ledger is None else ledger.summary()
    sentences = () if summary is None else (str(summary).capitalize() + ".",)
    first = Finding(name="ledger", sentences=sentences, source=path.name)
    return [first, *(finding(name, found, _COMMANDS[name], background) for name, found in evidence.items())]


def _facts(subject: Subject, header: StatisticsHeader, path: Path, found: Decided) -> dict[str, object]:
    """What the page says of itself."""
    explainer = subject.explainer
    with StatisticsFile(path) as file:
        log_of = file.targets()
    return {
        "model": explainer.name,
        "called": called(explainer),
        "checkpoint": explainer.checkpoint,
        "checkpoint_sha256": explainer.checkpoint_sha256,
        "composite": explainer.composite.name,
        "dataset": subject.dataset.name,
        "dataset_fingerprint": header.dataset_fingerprint,
        "data": header.reading,
        "statistics": path.name,
        "statistics_hash": header.config_hash,
        "num_samples": header.num_samples,
        "num_photographs": _num_photographs(subject.dataset, header.num_samples),
        "num_targets": len(log_of.explained),
        "num_skipped_targets": len(log_of.skipped_targets),
        "num_skipped_samples": len(log_of.skipped_samples),
        "num_pictures": found.num_tried,
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "versions": versions(),
        "commit": commit(),
        "settings": dict(header.config),
    }


def called(explainer: Explainer) -> str:
    """What a person calls the network: the file of its weights, if its name says anything."""
    is_file = bool(explainer.checkpoint_sha256) and Path(explainer.checkpoint).suffix != ""
    says_nothing = Path(explainer.checkpoint).stem in UNTOLD
    return explainer.checkpoint if is_file and not says_nothing else explainer.name


def _title(subject: Subject) -> str:
    """The network as a person calls it, then what it is, its data and the composite."""
    explainer = subject.explainer
    first, rest = called(explainer), title_of(explainer, subject.dataset.name).split(" · ")
    return " · ".join([first, *(part for part in rest if part != first)])


def _num_photographs(dataset: Dataset, num_samples: int) -> int:
    """Of so many samples, which may be tiles."""
    return dataset.num_pictures(num_samples) if isinstance(dataset, TiledDataset) else num_samples


def _left_out(settings: ExploreSettings, found: Decided, *, has_spread: bool) -> list[LeftOut]:
    told = []
    if not settings.pictures:
        told.append(LeftOut(what="photographs and crops", how="stage.pictures=true"))
    if not found.decisions:
        told.append(LeftOut(what="explained decisions", how="stage.num_decisions=24"))
    if not has_spread:
        told.append(
            LeftOut(
                what="how a concept's share is spread over all decisions, beyond its mean and deviation",
                how="make the statistics with statistics.record=true, and then this page with it",
            )
        )
    return told


def _written(page: Packed, target: Path, *, is_folder: bool) -> Path:
    """Write the file, or the folder."""
    if not is_folder:
        with replacing(target) as part, part.open("wb") as file:
            size = sum(map(file.write, one_file(page)))
        log.info("%.1f MB, opened by a double click: %s", size / MEGABYTE, target.name)
        return target
    for name in ("data", "pictures"):
        shutil.rmtree(target / name, ignore_errors=True)  # of an earlier page
    size = 0
    for name, content in folder_files(page):
        with replacing(target / name) as part:
            size += part.write_bytes(content)
    log.info("%.1f MB, open index.html in %s", size / MEGABYTE, target.name)
    return target / "index.html"
