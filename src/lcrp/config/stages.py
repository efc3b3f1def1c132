"""From a stage's settings to the value that its function takes."""

from functools import singledispatch
from pathlib import Path

from lcrp.config import schema
from lcrp.config.methods import methods
from lcrp.config.paths import absolute
from lcrp.decisions.concept_choice import ConceptChoice
from lcrp.decisions.selection import Selection
from lcrp.errors import ConfigError
from lcrp.stages.context.context import ContextSettings
from lcrp.stages.download import DownloadSettings
from lcrp.stages.evaluate.flipping import EvaluateSettings
from lcrp.stages.exchange import ExportSettings, ImportSettings
from lcrp.stages.glocal.glocal import GlocalSettings
from lcrp.stages.merge import MergeSettings
from lcrp.stages.render import RenderSettings
from lcrp.stages.train import TrainSettings
from lcrp.stages.truth.truth import TruthSettings
from lcrp.storage.crp_folder import Convention
from lcrp.training.trainer import Schedule


@singledispatch
def stage_settings(stage: schema.Stage, origin: Path) -> object:  # noqa: ARG001
    """The settings of a stage, a user's paths made absolute.

    Args:
        stage: checked settings.
        origin: folder where the command was given.
    """
    raise ConfigError(f"stage '{stage.name}' names no schema: its file must begin with /schema/stage@_here_: NAME")


@stage_settings.register
def _(stage: schema.GlocalStage, origin: Path) -> GlocalSettings:
    return GlocalSettings(
        output=_absolute(stage.output, origin),
        on_error=stage.on_error,  # type: ignore[arg-type]
        overwrite=stage.overwrite,
        checkpoint_minutes=stage.checkpoint_minutes,
    )


@stage_settings.register
def _(stage: schema.MergeStage, origin: Path) -> MergeSettings:
    shards = None if stage.shards is None else tuple(absolute(shard, origin) for shard in stage.shards)
    return MergeSettings(shards=shards, output=_absolute(stage.output, origin))


@stage_settings.register
def _(stage: schema.RenderStage, origin: Path) -> RenderSettings:
    selection = Selection(
        image=None if stage.image is None else str(absolute(stage.image, origin)),
        samples=None if stage.samples is None else tuple(stage.samples),
        class_name=stage.class_name,
        item=stage.item,
        rank=stage.rank,
        min_iou=stage.min_iou,
        box=None if stage.box is None else tuple(stage.box),  # type: ignore[arg-type]
        max_targets=stage.max_targets,
    )
    choice = ConceptChoice(
        mode=stage.mode,  # type: ignore[arg-type]
        layer=stage.layer,
        n_concepts=stage.n_concepts,
        n_references=stage.n_references,
        concepts=None if stage.concepts is None else tuple(stage.concepts),
    )
    return RenderSettings(
        selection=selection,
        choice=choice,
        formats=tuple(stage.formats),
        distinct_pictures=stage.distinct_pictures,
        statistics=_absolute(stage.statistics, origin),
        make_statistics=stage.make_statistics,
    )


@stage_settings.register
def _(stage: schema.ContextStage, origin: Path) -> ContextSettings:
    return ContextSettings(
        layers=tuple(stage.layers),
        n_concepts=stage.n_concepts,
        n_references=stage.n_references,
        num_samples_per_class=stage.num_samples_per_class,
        min_pixels=stage.min_pixels,
        class_name=stage.class_name,
        context_class=stage.context_class,
        num_flipped=stage.num_flipped,
        seed=stage.seed,
        statistics=_absolute(stage.statistics, origin),
        make_statistics=stage.make_statistics,
    )


@stage_settings.register
def _(stage: schema.EvaluateStage, origin: Path) -> EvaluateSettings:  # noqa: ARG001
    return EvaluateSettings(
        methods=methods(stage.methods),
        num_targets=stage.num_targets,
        num_layers=stage.num_layers,
        num_steps=stage.num_steps,
        ablations=tuple(stage.ablations),  # type: ignore[arg-type]
        seed=stage.seed,
        checks=stage.checks,
    )


@stage_settings.register
def _(stage: schema.TruthStage, origin: Path) -> TruthSettings:  # noqa: ARG001
    return TruthSettings(
        methods=methods(stage.methods),
        num_targets=stage.num_targets,
        n_concepts=stage.n_concepts,
        seed=stage.seed,
    )


@stage_settings.register
def _(stage: schema.ImportStage, origin: Path) -> ImportSettings:
    return ImportSettings(
        folder=absolute(stage.folder, origin), convention=_convention(stage), overwrite=stage.overwrite
    )


@stage_settings.register
def _(stage: schema.ExportStage, origin: Path) -> ExportSettings:
    return ExportSettings(
        folder=absolute(stage.folder, origin),
        convention=_convention(stage),
        statistics=_absolute(stage.statistics, origin),
    )


def train_settings(stage: schema.TrainStage, default_output: Path, origin: Path) -> TrainSettings:
    """Settings of the training; the weights go to `default_output` if the user names no file."""
    schedule = Schedule(
        epochs_at=tuple((side, count) for side, count in stage.epochs_at),
        batch_size=stage.batch_size,
        learning_rate=stage.learning_rate,
        weight_decay=stage.weight_decay,
        seed=stage.seed,
    )
    return TrainSettings(schedule=schedule, output=_absolute(stage.output, origin) or default_output)


def download_settings(stage: schema.DownloadStage, dataset: schema.Dataset, origin: Path) -> DownloadSettings:
    """What to fetch, and where it goes: into the dataset's `root`."""
    return DownloadSettings(
        dataset=dataset.name,
        root=_absolute(getattr(dataset, "root", None), origin),
        url_base=stage.url_base,
        keep_archives=stage.keep_archives,
    )


def _convention(stage: schema.ExchangeStage) -> Convention:
    return Convention(layer_prefix=stage.layer_prefix, first_class=stage.first_class)


def _absolute(path: str | None, origin: Path) -> Path | None:
    return None if path is None else absolute(path, origin)
