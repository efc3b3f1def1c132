"""Every choice of groups composes, and what is not in the schema is refused."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose
from omegaconf import DictConfig

from lcrp.config.build import statistics_settings
from lcrp.config.check import checked
from lcrp.config.checkpoints import OFFICIAL_FILES, official_class_names
from lcrp.config.compose import composed_node, composition
from lcrp.config.dataset import CocoDataset
from lcrp.config.model import Input
from lcrp.config.paths import config_dir
from lcrp.config.root import Config
from lcrp.config.stages import STAGES
from lcrp.config.stages.download import DownloadStage
from lcrp.config.stages.render import RenderStage
from lcrp.errors import ConfigError


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


GIVEN = {
    "folder": ["dataset.path=pictures"],
    "auto": ["dataset.path=pictures"],
    "yolo": ["dataset.path=data.yaml"],
    "coco": ["dataset.annotations=labels.json"],
    "voc": ["dataset.root=export"],
    "masks": ["dataset.images=pictures", "dataset.masks=masks", "dataset.class_names=[background,boat]"],
    "import": ["stage.folder=crp"],
    "export": ["stage.folder=crp"],
    "verify": ["run=made"],
}  # what a choice leaves to the user


@pytest.fixture(autouse=True, scope="module")
def hydra() -> Iterator[None]:
    with composition():
        yield


def composed(*overrides: str) -> Config:
    return checked(composed_node(overrides))


def raw(*overrides: str) -> DictConfig:
    return compose("config", overrides=list(overrides), return_hydra_config=True)


MODELS = [name for name in choices("model") if name != "auto"]  # which stands for one of the others
PAIRS = list(itertools.product(MODELS, choices("dataset")))
UNSUITED = {
    *itertools.product(("unet", "deeplabv3plus", "smp"), ("coco2014", "coco2017")),
    *itertools.product(("yolo", "yolov5", "yolov6", "ssd", "torchvision", "transformers"), ("voc2012", "cityscapes")),
}


@pytest.mark.parametrize(("model", "dataset"), PAIRS)
def test_every_model_and_dataset_compose(model: str, dataset: str) -> None:
    config = composed(f"model={model}", f"dataset={dataset}", "statistics.targets=predicted", *GIVEN.get(dataset, []))
    assert (config.model.name, config.dataset.name) == (model, dataset)


@pytest.mark.parametrize(("model", "dataset"), PAIRS)
def test_annotations_that_the_model_cannot_meet_are_refused(model: str, dataset: str) -> None:
    overrides = (f"model={model}", f"dataset={dataset}", *GIVEN.get(dataset, []))
    if (model, dataset) in UNSUITED:
        with pytest.raises(
            ConfigError, match=f"'{dataset}' annotates (boxes|class masks), which '{model}' .*predicted"
        ):
            composed(*overrides)
    else:
        composed(*overrides)
    composed(*overrides, "stage=export", "stage.folder=x")


def test_every_stage_is_listed_and_has_a_file() -> None:
    """Whoever adds one writes conf/stage/NAME.yaml, config/stages/NAME.py and a line in the list."""
    assert {*choices("stage"), "own"} == set(STAGES)


@pytest.mark.parametrize("stage", choices("stage"))
def test_every_stage_composes_and_names_itself(stage: str) -> None:
    assert composed(f"stage={stage}", *GIVEN.get(stage, [])).stage.name == stage


@pytest.mark.parametrize("composite", choices("composite"))
def test_every_composite_composes_and_wins_over_the_models_choice(composite: str) -> None:
    config = composed("model=yolov6", f"composite={composite}")
    assert config.composite["name"] == composite
    assert config.composite["_target_"].endswith(f".{composite}")


@pytest.mark.parametrize("path", sorted((config_dir() / "dataset_model").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_pair_belongs_to_a_dataset_and_a_model(path: Path) -> None:
    """A misspelt pair would silently never be used."""
    dataset, _, model = path.stem.rpartition("_")
    assert dataset in choices("dataset")
    assert model in choices("model")
    assert composed(f"model={model}", f"dataset={dataset}", *GIVEN.get(dataset, [])).model.checkpoint is not None


def test_without_arguments_the_embedded_pictures_are_analysed() -> None:
    config = composed()
    assert (config.stage.name, config.model.name, config.dataset.name) == ("glocal", "yolov6", "scenes")
    assert config.model.checkpoint == "embedded:yolov6_scenes"
    assert config.model.input == Input(height=256, width=256, resize="letterbox", multiple_of=32)


SCENES, BACKBONE = (256, 256, "letterbox"), "backbone.ERBlock_5.0.rbr_dense.conv"
OFFICIAL = {  # of every model but on scenes: checkpoint, input, layer, composite
    "yolo": (None, (640, 640, "letterbox"), "auto", "epsilon_gamma_flat"),
    "yolov5": ("official:yolov5m", (640, 640, "letterbox"), "model.8.cv3.conv", "epsilon_plus_flat"),
    "yolov6": ("official:yolov6s", (640, 640, "letterbox"), BACKBONE, "epsilon_gamma_flat"),
    "ssd": ("official:ssd512", (512, 512, "stretch"), "backbone.vgg.28", "epsilon_plus_flat"),
    "unet": ("official:unet", (256, 512, "stretch"), "encoder.features.15", "epsilon_plus_flat"),
    "deeplabv3plus": (
        *("official:deeplabv3plus", (513, 513, "shorter_crop"), "backbone.layer4.0.conv3", "epsilon_plus_flat"),
    ),
    "smp": ("random", (512, 512, "letterbox"), "auto", "epsilon_plus_flat"),
    "torchvision": ("official", (800, 800, "letterbox"), "auto", "epsilon_plus_flat"),
    "transformers": (None, (640, 640, "stretch"), "auto", "epsilon_plus_flat"),
}
EMBEDDED = {
    "yolov5": ("embedded:yolov5_scenes", SCENES, "model.6.cv3.conv", "epsilon_plus_flat"),
    "yolov6": ("embedded:yolov6_scenes", SCENES, "backbone.ERBlock_4.0.rbr_dense.conv", "epsilon_gamma_flat"),
    "yolo": ("embedded:yolo_scenes", SCENES, "model.6.cv2.conv", "epsilon_gamma_flat"),
    "ssd": ("embedded:ssd_scenes", SCENES, "backbone.vgg.21", "epsilon_plus_flat"),
    "unet": ("embedded:unet_scenes", SCENES, "encoder.features.15", "epsilon_plus_flat"),
    "deeplabv3plus": ("embedded:deeplabv3plus_scenes", SCENES, "backbone.layer4.0.conv3", "epsilon_plus_flat"),
    "smp": ("random", SCENES, "auto", "epsilon_plus_flat"),
}


@pytest.mark.parametrize(("model", "dataset"), PAIRS)
def test_what_alters_numbers_is_what_was_published(model: str, dataset: str) -> None:
    """Statistics of earlier versions would no longer be found, and figures would differ."""
    given = () if (model, dataset) not in UNSUITED else ("statistics.targets=predicted",)
    config = composed(f"model={model}", f"dataset={dataset}", *given, *GIVEN.get(dataset, []))
    size = (config.model.input.height, config.model.input.width, config.model.input.resize)
    found = (config.model.checkpoint, size, config.model.layer, config.composite["name"])
    assert found == (EMBEDDED if dataset == "scenes" and model in EMBEDDED else OFFICIAL)[model]
    assert config.statistics.targets == ("predicted" if given or dataset == "folder" else "annotated")
    thresholds = (config.model.confidence, config.model.iou, config.model.max_detections, config.model.min_area)
    own_iou = {"torchvision": None, "transformers": None, "yolo": 0.7}.get(model, 0.45)  # None: the network's own NMS
    confidence = 0.5 if model == "transformers" else 0.25
    is_segmenter = model in ("unet", "deeplabv3plus", "smp")
    assert thresholds == ((None, None, None, 1) if is_segmenter else (confidence, own_iou, 25, None))


def test_the_composite_follows_the_model() -> None:
    assert composed("model=yolov6").composite["name"] == "epsilon_gamma_flat"
    assert composed("model=yolov5").composite["name"] == "epsilon_plus_flat"
    assert composed("model=unet").composite["name"] == "epsilon_plus_flat"


def test_coco_brings_official_checkpoints_and_their_input() -> None:
    config = composed("model=yolov5", "dataset=coco2017")
    assert config.model.checkpoint == "official:yolov5m"
    assert config.model.input == Input(height=640, width=640, resize="letterbox", multiple_of=32)


@pytest.mark.parametrize(
    ("experiment", "parts"),
    [
        ("deeplab_horse", ("deeplabv3plus", "voc2012", "epsilon_plus_flat", 401, "horse", "backbone.layer4.0.conv3")),
        ("unet_rider", ("unet", "cityscapes", "epsilon_plus_flat", 22, "rider", "encoder.features.15")),
        (
            "yolov6_person",
            ("yolov6", "coco2017", "epsilon_gamma_flat", 140, "person", "backbone.ERBlock_5.0.rbr_dense.conv"),
        ),
    ],
)
def test_every_experiment_is_one_word(experiment: str, parts: tuple[object, ...]) -> None:
    config = composed(f"+experiment={experiment}")
    assert isinstance(config.stage, RenderStage)
    assert config.stage.make_statistics
    assert config.stage.samples is not None
    found = (config.model.name, config.dataset.name, config.composite["name"], *config.stage.samples)
    assert (*found, config.stage.class_name, config.model.layer) == parts
    assert config.statistics.layers == [config.model.layer]
    assert str(config.model.checkpoint).startswith("official:")
    names = official_class_names(str(config.model.checkpoint))
    assert config.stage.class_name in names


def test_every_experiment_has_a_test() -> None:
    assert choices("experiment") == ["deeplab_horse", "unet_rider", "yolov6_person"]


def test_official_checkpoints_know_their_classes() -> None:
    names = {name: official_class_names(f"official:{name}") for name in ("ssd512", "deeplabv3plus", "unet")}
    assert {name: len(found) for name, found in names.items()} == {"ssd512": 80, "deeplabv3plus": 21, "unet": 20}
    assert (names["ssd512"][0], names["deeplabv3plus"][13], names["unet"][12]) == ("person", "horse", "rider")


@pytest.mark.parametrize(
    ("dataset", "model", "side"),
    [("coco2017", "ssd", (512, 512)), ("voc2012", "deeplabv3plus", (513, 513)), ("cityscapes", "unet", (256, 512))],
)
def test_the_published_pairs_have_their_input(dataset: str, model: str, side: tuple[int, int]) -> None:
    config = composed(f"model={model}", f"dataset={dataset}")
    assert config.model.checkpoint is not None
    assert config.model.checkpoint.removeprefix("official:") in OFFICIAL_FILES
    assert (config.model.input.height, config.model.input.width) == side


def test_coco2014_is_coco2017_with_other_pictures() -> None:
    for model in ("yolov5", "yolov6"):
        older, newer = (composed(f"model={model}", f"dataset=coco{year}") for year in (2014, 2017))
        assert older.model == newer.model
        assert isinstance(older.dataset, CocoDataset)
        assert (older.dataset.images, older.dataset.annotations) == ("val2014", "annotations/instances_val2014.json")


@pytest.mark.parametrize("dataset", choices("dataset"))
def test_every_dataset_composes_with_the_download(dataset: str) -> None:
    """Also a folder without a path: there is nothing to download."""
    config = composed("stage=download", f"dataset={dataset}")
    assert isinstance(config.stage, DownloadStage)
    assert config.dataset.name == dataset


@pytest.mark.parametrize(("dataset", "key"), [("voc2012", "split"), ("cityscapes", "split")])
def test_splits_that_do_not_exist_are_refused(dataset: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"^dataset\.{key}='test' is unknown; nearest: .*'train'"):
        composed(f"dataset={dataset}", f"dataset.{key}=test")


def test_a_mirror_is_an_address() -> None:
    with pytest.raises(ConfigError, match=r"^stage.url_base='/data/mirror' is no address; write http"):
        composed("stage=download", "stage.url_base=/data/mirror")


def test_statistics_stay_when_the_stage_changes() -> None:
    glocal, render = (composed(f"stage={stage}", "statistics.top_n=7") for stage in ("glocal", "render"))
    assert glocal.statistics == render.statistics
    assert glocal.model == render.model


def test_run_folders_tell_stage_model_and_dataset() -> None:
    config = raw("stage=render", "model=unet")
    folder = Path(config.hydra.run.dir)
    assert folder.parent == Path("outputs/runs")
    assert folder.name.endswith("_render_unet_scenes")


def test_run_folders_of_own_pictures_do_not_name_a_dataset() -> None:
    """Figures of a photograph lay in a folder of 'scenes', none of which they showed."""
    given = ("stage=render", "model=unet", "stage.image='my, photo.jpg'", "hydra.job.num=4")
    hydra = raw(*given).hydra
    assert hydra.run.dir.endswith("_render_unet_pictures")
    assert hydra.sweep.subdir == "4_render_unet_pictures"
    assert raw("stage=glocal", "model=unet").hydra.run.dir.endswith("_glocal_unet_scenes")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("stage=render", "model=unet", "dataset=auto", "dataset.path='my boats/x.yaml'"), "render_unet_my-boats"),
        (("stage=inspect", "model=yolov5", "dataset=auto", "dataset.path=boats"), "inspect_boats"),
        (("stage=inspect", "dataset=coco", "dataset.annotations=a/boats/annotations/x.json"), "inspect_boats"),
        (("stage=glocal", "model=yolov5", "dataset=folder", "dataset.path='boats/**/*.jpg'"), "glocal_yolov5_boats"),
        (("stage=glocal", "model=yolov5", "dataset=yolo", "dataset.path=/data.yaml"), "glocal_yolov5_yolo"),
        (("stage=inspect", "dataset=voc2012", "dataset.root=/x/VOC"), "inspect_voc2012"),
        (("stage=inspect", "dataset=yolo", "dataset.path=a/b", "dataset.name=mine"), "inspect_mine"),
        (("stage=clean",), "clean"),
        (("stage=download", "dataset=coco2017"), "download_coco2017"),
    ],
)
def test_run_folders_are_named_after_what_is_looked_at(given: tuple[str, ...], name: str) -> None:
    """Of anybody's data they said 'auto', and of stages without a network which network."""
    hydra = raw(*given, "hydra.job.num=4").hydra
    assert re.fullmatch(rf"[0-9_-]+_{name}", Path(hydra.run.dir).name)
    assert hydra.sweep.subdir == f"4_{name}"


def test_sweep_folder_does_not_depend_on_what_is_swept() -> None:
    """Jobs of one sweep would be scattered over several folders."""
    for swept in ("stage=render", "model=unet", "composite=gradient", "statistics.top_n=3"):
        sweep = raw(swept, "hydra.job.num=4").hydra.sweep
        assert re.fullmatch(r"multirun/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", sweep.dir)
    assert raw("stage=render", "model=unet", "hydra.job.num=4").hydra.sweep.subdir == "4_render_unet_scenes"


@pytest.mark.parametrize(
    ("override", "key", "known"),
    [
        ("+foo=1", "foo", "'model'"),
        ("++statistics.topn=1", "statistics.topn", "did you mean 'statistics.top_n'"),
        ("+stage.x=1", "stage.x", "'overwrite'"),
        ("+model.input.depth=1", "model.input.depth", "'width'"),
    ],
)
def test_added_keys_are_refused_with_the_known_ones(override: str, key: str, known: str) -> None:
    """Hydra's ``+`` opens the schema."""
    with pytest.raises(ConfigError, match=f"^'{key}' is not a setting; .*{known}"):
        composed(override)


def test_arguments_of_a_network_can_be_added() -> None:
    assert composed("+model.network.extra=1").model.network["extra"] == 1


def test_settings_of_a_composite_are_given_by_its_file_and_by_the_command_line() -> None:
    assert composed("composite=epsilon_gamma_flat").composite["gamma"] == 0.25
    assert composed("composite=epsilon_gamma_flat", "composite.gamma=0.5").composite["gamma"] == 0.5


def test_a_setting_that_a_composite_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^'composite\.gmma' is not a setting; did you mean 'composite\.gamma'\?"):
        composed("composite=epsilon_gamma_flat", "composite.gmma=0.5")


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        composed("statistics.batch_size=-1", "device=gpu", "model.confidence=3")
    message = str(caught.value)
    assert "statistics.batch_size=-1 is too small; the least is 1" in message
    assert "device='gpu' is unknown" in message
    assert "model.confidence=3.0 is out of range" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("statistics.targets=all", r"statistics.targets='all' is unknown; nearest: 'annotated'"),
        ("statistics.seed=zplus", r"statistics.seed='zplus' is unknown"),
        ("statistics.num_samples=0", r"statistics.num_samples=0 is too small"),
        ("+composite.is_lrp=often", r"composite.is_lrp='often' must be true or false"),
        ("~composite.name", r"'composite.name' has no value; write composite.name="),
        ("threads=0", r"threads=0 is too small"),
        ("workers=-1", r"workers=-1 is too small"),
        ("device=cuda:x", r"device='cuda:x' is unknown"),
        ("precision=float16", r"precision='float16' is unknown; nearest: 'bfloat16'"),
        ("precision=tf32", r"precision=tf32 is a way of GPUs to compute; write device=cuda too"),
        ("model.task=naming", r"model.task='naming' is unknown"),
        ("model.score=box", r"model.score='box' is unknown"),
        ("model.iou=null", r"'model.iou' has no value, but detection needs it"),
        ("model.min_area=4", r"'model.min_area' says nothing to model 'yolov6'"),
        ("model.input.height=250", r"model.input.height=250 is not a multiple of 32"),
        ("model.input.resize=zoom", r"model.input.resize='zoom' is unknown"),
        ("model.mean=[0.5]", r"model.mean has 1 values"),
        ("model.std=[1,0,1]", r"model.std=.* is divided by"),
        ("~model.network._target_", r"'model.network._target_' has no value"),
        ("dataset.split=test", r"dataset.split='test' is unknown"),
        ("dataset.context_bias=2", r"dataset.context_bias=2.0 is out of range"),
        ("stage.on_error=stop", r"stage.on_error='stop' is unknown"),
        ("statistics.seed=${nothing}", r"'statistics.seed': .*'nothing' not found"),
    ],
)
def test_values_that_make_no_sense_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed(override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stage.mode=gradient", r"stage.mode='gradient' is unknown"),
        ("stage.formats=[png,bmp]", r"stage.formats='bmp' is unknown"),
        ("stage.box=[3,3,1,9]", r"stage.box=.* is no box"),
        ("stage.confidence=3", r"stage.confidence=3.0 is out of range; write a value from 0 to 1"),
        ("stage.max_detections=0", r"stage.max_detections=0 is too small; the least is 1"),
        ("stage.samples=[1.5]", r"stage.samples: 1.5 is neither an index nor a key"),
        ("stage.n_concepts=0", r"stage.n_concepts=0 is out of range; write a value from 1 to 8"),
    ],
)
def test_render_settings_that_make_no_sense_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed("stage=render", override)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stage.n_concepts=0", r"stage.n_concepts=0 is too small; the least is 1"),
        ("stage.n_references=0", r"stage.n_references=0 is too small"),
        ("stage.num_samples_per_class=-1", r"stage.num_samples_per_class=-1 is too small; the least is 0"),
        ("stage.min_pixels=0", r"stage.min_pixels=0 is too small"),
        ("stage.num_flipped=0", r"stage.num_flipped=0 is too small"),
        ("stage.seed=-1", r"stage.seed=-1 is too small"),
        ("dataset=voc2012", r"dataset 'voc2012' annotates class masks, which 'yolov6' \(detection\) does not predict"),
    ],
)
def test_context_settings_that_make_no_sense_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        composed("stage=context", override)


@pytest.mark.parametrize("stage", ["import", "export"])
def test_an_exchange_needs_a_folder_and_counts_from_zero(stage: str) -> None:
    with pytest.raises(ConfigError, match=r"'stage.folder' has no value; write stage.folder=\.\.\."):
        composed(f"stage={stage}")
    with pytest.raises(ConfigError, match=r"stage.first_class=-1 is too small; the least is 0"):
        composed(f"stage={stage}", *GIVEN[stage], "stage.first_class=-1")


def test_samples_keep_their_type() -> None:
    stage = composed("stage=render", "stage.samples=[3,val-00007]").stage
    assert isinstance(stage, RenderStage)
    assert stage.samples == [3, "val-00007"]


def test_a_batch_size_is_a_number_or_auto() -> None:
    assert composed("statistics.batch_size=16").statistics.batch_size == 16
    config = composed("statistics.batch_size=auto")
    assert config.statistics.batch_size == "auto"
    assert statistics_settings(config.statistics).batch_size == 8
    with pytest.raises(ConfigError, match=r"^'statistics\.batch_size' must be a whole number, or auto, not 'most'"):
        composed("statistics.batch_size=most")
