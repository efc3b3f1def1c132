"""Checks every setting once, before anything is built, and reports all that is wrong together."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lcrp.config import schema
from lcrp.config.messages import known_settings, one_line, unknown_setting
from lcrp.errors import ConfigError, nearest

TASKS = ("detection", "segmentation")
SCORES = ("class", "objectness")
RESIZES = ("letterbox", "stretch", "none", "shorter_crop")
SEEDS = ("positive_logit", "ones", "prob", "logit")
TARGETS = ("annotated", "predicted")
PRECISIONS = ("float32", "tf32", "bfloat16")
ON_ERROR = ("skip", "raise")
SPLITS = ("train", "val")
VOC_SPLITS = ("train", "trainval", "val")
MODES = ("relevance", "activation")
FORMATS = ("png", "svg", "pdf")
ABLATIONS = ("zero", "mean", "resample")
DEVICE = re.compile(r"cpu|cuda(:\d+)?")
STRIDE = 32  # sides of the input of these networks are multiples of it
STRIDED = ("lcrp.models.yolov5.", "lcrp.models.yolov6.", "lcrp.models.unet.")
DETECTOR_KEYS = ("score", "confidence", "iou", "max_detections")
SEGMENTER_KEYS = ("min_area",)

Problems = Iterator[str]


def checked(config: DictConfig) -> schema.Config:
    """The composed configuration as plain dataclasses.

    Raises:
        ConfigError: settings are unknown, missing or make no sense; the message names all of them.
    """
    try:
        if OmegaConf.get_type(config.stage) is schema.DownloadStage and OmegaConf.is_missing(config.dataset, "path"):
            config.dataset.path = ""  # the user's own pictures: whatever they are, there is nothing to download
        _raise_all([*_unknown(config, ""), *_missing(config)])
        settings = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere
        raise ConfigError(one_line(error)) from error
    assert isinstance(settings, schema.Config)
    problems = [*_root(settings), *_statistics(settings.statistics), *_model(settings.model)]
    for key, part in (("dataset", settings.dataset), ("stage", settings.stage)):
        if type(part) in _CHECKS:
            problems += _CHECKS[type(part)](key, part)
    problems += [*_composite(settings.composite), *_annotations(settings), *_shard(settings), *_run(settings)]
    _raise_all(problems)
    return settings


def _raise_all(problems: list[str]) -> None:
    if problems:
        raise ConfigError("; ".join(problems))


def _unknown(node: DictConfig, prefix: str) -> Problems:
    """Keys outside the schema, which ``+key=`` and ``++key=`` get past Hydra."""
    known = known_settings(OmegaConf.get_type(node))
    for key in map(str, node):
        path = f"{prefix}{key}"
        if key not in known and not key.startswith("_"):
            yield unknown_setting(path, known)
        elif not OmegaConf.is_missing(node, key) and isinstance(OmegaConf.get_type(node, key), type):
            child = node._get_node(key)
            if isinstance(child, DictConfig) and OmegaConf.get_type(child) is not dict:
                yield from _unknown(child, f"{path}.")


def _missing(config: DictConfig) -> Problems:
    for key in sorted(OmegaConf.missing_keys(config)):
        yield f"'{key}' has no value; write {key}=..."


def _root(config: schema.Config) -> Problems:
    if not DEVICE.fullmatch(config.device):
        yield f"device='{config.device}' is unknown; choose 'cpu', 'cuda' or 'cuda:0', 'cuda:1', ..."
    yield from _choice("precision", config.precision, PRECISIONS)
    if config.precision == "tf32" and not config.device.startswith("cuda"):
        yield "precision=tf32 is a way of GPUs to compute; write device=cuda too, or precision=float32"
    if config.precision != "float32" and isinstance(config.stage, schema.TrainStage):
        yield f"stage=train learns in float32, not in precision={config.precision}"
    yield from _at_least("threads", config.threads, 1)
    yield from _at_least("workers", config.workers, 0)


def _composite(composite: dict[str, Any]) -> Problems:
    for key in ("_target_", "name"):
        if not isinstance(composite.get(key), str):
            yield f"'composite.{key}' has no value; write composite.{key}=..."
    for key in ("is_lrp", "conserves"):
        if not isinstance(composite.get(key, True), bool):
            yield f"composite.{key}={composite[key]!r} must be true or false"


def _shard(config: schema.Config) -> Problems:
    index, count = config.shard.index, config.shard.count
    yield from _at_least("shard.count", count, 1)
    if count >= 1:
        yield from _within("shard.index", index, 0, count - 1)
    if count > 1 and not isinstance(config.stage, schema.GlocalStage):
        yield f"shard.count={count} says nothing to stage={config.stage.name}; it cuts stage=glocal"


def _run(config: schema.Config) -> Problems:
    if isinstance(config.stage, schema.VerifyStage) and config.run is None:
        yield "stage=verify needs the folder of an earlier run; write run=outputs/runs/..."
    if config.run is not None and not isinstance(config.stage, schema.VerifyStage):
        yield f"run='{config.run}' says nothing to stage={config.stage.name}; stage=verify looks at it"


def _statistics(statistics: schema.Statistics) -> Problems:
    yield from _choice("statistics.targets", statistics.targets, TARGETS)
    yield from _choice("statistics.seed", statistics.seed, SEEDS)
    for name in ("top_n", "top_n_per_class", "batch_size", "num_samples"):
        yield from _at_least(f"statistics.{name}", getattr(statistics, name), 1)


def _annotations(config: schema.Config) -> Problems:
    """What a dataset's annotation can tell of, where annotated targets are asked for."""
    kind, suited = _ANNOTATIONS.get(type(config.dataset), ("", config.model.task))
    asked = schema.GlocalStage | schema.RenderStage | schema.ContextStage | schema.EvaluateStage
    needs_targets = isinstance(config.stage, asked)
    if needs_targets and config.statistics.targets == "annotated" and config.model.task != suited:
        yield (
            f"dataset '{config.dataset.name}' annotates {kind}, which '{config.model.name}' ({config.model.task}) does "
            "not predict; write statistics.targets=predicted to explain whatever it does predict"
        )


def _model(model: schema.Model) -> Problems:
    yield from _choice("model.task", model.task, TASKS)
    if model.task in TASKS:
        yield from _task_keys(model)
    yield from _input(model)
    if "_target_" not in model.network:
        yield "'model.network._target_' has no value; it names the network's class"
    for key in ("mean", "std"):
        if len(getattr(model, key)) != 3:
            yield f"model.{key} has {len(getattr(model, key))} values; write one per RGB channel: [r,g,b]"
    if any(value <= 0 for value in model.std):
        yield f"model.std={model.std} is divided by; write positive values"


def _task_keys(model: schema.Model) -> Problems:
    """Detectors have thresholds for boxes, segmenters one for areas; neither reads the other's."""
    needed, foreign = (DETECTOR_KEYS, SEGMENTER_KEYS) if model.task == "detection" else (SEGMENTER_KEYS, DETECTOR_KEYS)
    for name in needed:
        if getattr(model, name) is None:
            yield f"'model.{name}' has no value, but {model.task} needs it; write model.{name}=..."
    for name in foreign:
        if getattr(model, name) is not None:
            yield f"'model.{name}' says nothing to model '{model.name}', which does {model.task}; leave it out"
    if model.score is not None:
        yield from _choice("model.score", model.score, SCORES)
    yield from _within("model.confidence", model.confidence, 0, 1)
    yield from _within("model.iou", model.iou, 0, 1)
    yield from _at_least("model.max_detections", model.max_detections, 1)
    yield from _at_least("model.min_area", model.min_area, 1)


def _input(model: schema.Model) -> Problems:
    yield from _choice("model.input.resize", model.input.resize, RESIZES)
    is_strided = str(model.network.get("_target_", "")).startswith(STRIDED)
    for name, side in (("height", model.input.height), ("width", model.input.width)):
        yield from _at_least(f"model.input.{name}", side, 1)
        if is_strided and side % STRIDE:
            yield f"model.input.{name}={side} is not a multiple of {STRIDE}, as '{model.name}' needs it"


def _scenes(key: str, dataset: schema.ScenesDataset) -> Problems:
    yield from _choice(f"{key}.split", dataset.split, SPLITS)
    yield from _within(f"{key}.context_bias", dataset.context_bias, 0, 1)


def _voc(key: str, dataset: schema.VocDataset) -> Problems:
    yield from _choice(f"{key}.split", dataset.split, VOC_SPLITS)


def _cityscapes(key: str, dataset: schema.CityscapesDataset) -> Problems:
    yield from _choice(f"{key}.split", dataset.split, SPLITS)


def _glocal(key: str, stage: schema.GlocalStage) -> Problems:
    yield from _choice(f"{key}.on_error", stage.on_error, ON_ERROR)
    yield from _at_least(f"{key}.checkpoint_minutes", stage.checkpoint_minutes, 0)


def _render(key: str, stage: schema.RenderStage) -> Problems:
    yield from _choice(f"{key}.mode", stage.mode, MODES)
    for entry in stage.formats:
        yield from _choice(f"{key}.formats", entry, FORMATS)
    for name, least in (("item", 0), ("max_targets", 1), ("n_concepts", 1), ("n_references", 0)):
        yield from _at_least(f"{key}.{name}", getattr(stage, name), least)
    if stage.box is not None and (len(stage.box) != 4 or stage.box[2] <= stage.box[0] or stage.box[3] <= stage.box[1]):
        yield f"{key}.box={stage.box} is no box; write [left,top,right,bottom] in pixels of the picture"
    for sample in stage.samples or ():
        if isinstance(sample, bool) or not isinstance(sample, int | str):
            yield f"{key}.samples: {sample!r} is neither an index nor a key"


def _evaluate(key: str, stage: schema.EvaluateStage) -> Problems:
    for entry in stage.ablations:
        yield from _choice(f"{key}.ablations", entry, ABLATIONS)
    for name in ("num_targets", "num_layers", "num_steps"):
        yield from _at_least(f"{key}.{name}", getattr(stage, name), 1)
    yield from _at_least(f"{key}.seed", stage.seed, 0)
    for name in ("methods", "ablations"):
        values = getattr(stage, name)
        if not values or len(set(values)) < len(values):
            yield f"{key}.{name}={values} must name at least one, and each once"


def _truth(key: str, stage: schema.TruthStage) -> Problems:
    if not stage.methods:
        yield f"{key}.methods is empty; name at least one, such as {key}.methods=[epsilon_plus_flat,gradcam]"
    for name, least in (("num_targets", 1), ("n_concepts", 1), ("seed", 0)):
        yield from _at_least(f"{key}.{name}", getattr(stage, name), least)


def _context(key: str, stage: schema.ContextStage) -> Problems:
    for name in ("n_concepts", "n_references", "min_pixels", "num_flipped"):
        yield from _at_least(f"{key}.{name}", getattr(stage, name), 1)
    for name in ("num_samples_per_class", "seed"):
        yield from _at_least(f"{key}.{name}", getattr(stage, name), 0)


def _exchange(key: str, stage: schema.ExchangeStage) -> Problems:
    yield from _at_least(f"{key}.first_class", stage.first_class, 0)


def _train(key: str, stage: schema.TrainStage) -> Problems:
    if any(len(pair) != 2 for pair in stage.epochs_at):
        yield f"{key}.epochs_at={stage.epochs_at} is no list of [longer side in pixels, epochs]"


def _download(key: str, stage: schema.DownloadStage) -> Problems:
    if stage.url_base is not None and not stage.url_base.startswith(("http://", "https://")):
        yield f"{key}.url_base='{stage.url_base}' is no address; write http://... or https://..."


def _choice(key: str, value: str, choices: Iterable[str]) -> Problems:
    if value not in choices:
        yield f"{key}='{value}' is unknown; nearest: {nearest(value, choices)}"


def _at_least(key: str, value: float | None, least: float) -> Problems:
    if value is not None and value < least:
        yield f"{key}={value} is too small; the least is {least}"


def _within(key: str, value: float | None, low: float, high: float) -> Problems:
    if value is not None and not low <= value <= high:
        yield f"{key}={value} is out of range; write a value from {low} to {high}"


_ANNOTATIONS: dict[type, tuple[str, str]] = {  # what is annotated, and the task that predicts it
    schema.CocoDataset: ("boxes", "detection"),
    schema.VocDataset: ("class masks", "segmentation"),
    schema.CityscapesDataset: ("class masks", "segmentation"),
}
_CHECKS: dict[type, Callable[[str, Any], Problems]] = {
    schema.ScenesDataset: _scenes,
    schema.VocDataset: _voc,
    schema.CityscapesDataset: _cityscapes,
    schema.GlocalStage: _glocal,
    schema.RenderStage: _render,
    schema.EvaluateStage: _evaluate,
    schema.TruthStage: _truth,
    schema.ContextStage: _context,
    schema.TrainStage: _train,
    schema.DownloadStage: _download,
    schema.ImportStage: _exchange,
    schema.ExportStage: _exchange,
}
