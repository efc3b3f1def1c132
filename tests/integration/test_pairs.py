"""Every model explains a batch of every dataset, on random weights where no small ones come along."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Outcome
from lcrp.config.paths import config_dir
from lcrp.data.coco import CATEGORY_IDS, CLASS_NAMES
from lcrp.storage.statistics import StatisticsFile

CommandLine = Callable[..., Outcome]

SIDE = 64
KEYS = ("000000000001", "000000000002")
LIBRARIES = {"smp", "torchvision", "transformers", "auto"}  # whose networks have tests of their own
MODELS = sorted({path.stem for path in (config_dir() / "model").glob("*.yaml")} - LIBRARIES)
LAYOUTS = {"auto", "coco", "masks", "voc", "yolo"}  # of a person's own data, which have tests of their own
DATASETS = sorted({path.stem for path in (config_dir() / "dataset").glob("*.yaml")} - LAYOUTS)
DETECTORS = ("ssd", "yolo", "yolov5", "yolov6")
ANNOTATED = {  # the models that predict what is annotated
    "coco2014": DETECTORS,
    "coco2017": DETECTORS,
    "voc2012": ("unet", "deeplabv3plus"),
    "cityscapes": ("unet", "deeplabv3plus"),
    "scenes": tuple(MODELS),
    "folder": tuple(MODELS),  # nothing is: whatever is predicted is explained
}
SMALL_INPUT = (f"model.input.height={SIDE}", f"model.input.width={SIDE}")
SMALL = {  # random weights detect every class when hardly any confidence is asked for
    "ssd": ("model.network.size=256", "model.input.height=256", "model.input.width=256", "model.network.width=0.0625"),
    "yolo": (*SMALL_INPUT, "model.network.scale=p", "model.layer=model.6.cv2.conv"),
    "yolov5": (*SMALL_INPUT, "model.network.depth=0.1", "model.network.width=0.05"),
    "yolov6": (*SMALL_INPUT, "model.network.depth=0.1", "model.network.width=0.0625"),
    "unet": (*SMALL_INPUT, "model.network.width=0.0625"),
    "deeplabv3plus": (*SMALL_INPUT, "model.network.width=0.0625"),
}


def write_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(path.name)).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def write_mask(path: Path, values: np.ndarray) -> None:
    """Stripes of all values, so that whatever is predicted is annotated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stripes = values.astype(np.uint8)[np.arange(SIDE) * len(values) // SIDE]
    Image.fromarray(np.repeat(stripes[None], SIDE, axis=0)).save(path)


def write_coco(root: Path, year: int) -> None:
    images = [{"id": int(key), "file_name": f"{key}.jpg", "height": SIDE, "width": SIDE} for key in KEYS]
    boxes = [
        {"id": int(key), "image_id": int(key), "category_id": 19, "bbox": [8, 8, 40, 40], "area": 1600, "iscrowd": 0}
        for key in KEYS
    ]
    categories = [{"id": number, "name": name} for number, name in zip(CATEGORY_IDS, CLASS_NAMES, strict=True)]
    for image in images:
        write_picture(root / f"val{year}" / str(image["file_name"]))
    path = root / f"annotations/instances_val{year}.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"categories": categories, "images": images, "annotations": boxes}), encoding="utf-8")


def write_voc(root: Path) -> None:
    base = root / "VOCdevkit/VOC2012"
    for key in KEYS:
        write_picture(base / f"JPEGImages/{key}.jpg")
        write_mask(base / f"SegmentationClass/{key}.png", np.arange(21))
    listed = base / "ImageSets/Segmentation/val.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{key}\n" for key in KEYS), encoding="utf-8")


def write_cityscapes(root: Path) -> None:
    for key in KEYS:
        name = f"ulm_{key}"
        write_picture(root / f"leftImg8bit/val/ulm/{name}_leftImg8bit.png")
        write_mask(root / f"gtFine/val/ulm/{name}_gtFine_labelIds.png", np.arange(34))


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of datasets, two pictures each, laid out as they are published."""
    folder = tmp_path_factory.mktemp("datasets")
    for year in (2014, 2017):
        write_coco(folder / f"coco{year}", year)
    write_voc(folder / "voc2012")
    write_cityscapes(folder / "cityscapes")
    for key in KEYS:
        write_picture(folder / f"folder/{key}.png")
    return folder


def settings(model: str, dataset: str, roots: Path) -> list[str]:
    found = [f"model={model}", f"dataset={dataset}", "statistics.num_samples=2", "statistics.batch_size=2"]
    found += ["statistics.layers=[${model.layer}]"]
    if model in DETECTORS:
        found += ["model.confidence=0.0000001", "model.max_detections=2"]
    if dataset == "scenes":
        return found  # with the weights that come along
    found += ["model.checkpoint=random", *SMALL[model]]
    place = "path" if dataset == "folder" else "root"
    found += [f"dataset.{place}={roots / dataset}"]
    return [*found, "model.class_names=[thing,stuff]"] if dataset == "folder" else found


@pytest.mark.parametrize(("model", "dataset"), list(itertools.product(MODELS, DATASETS)))
def test_a_batch_of_every_pair_is_explained(lcrp: CommandLine, roots: Path, model: str, dataset: str) -> None:
    arguments = settings(model, dataset, roots)
    if model not in ANNOTATED[dataset]:
        refused = lcrp(*arguments)
        assert refused.code == 1
        assert len(refused.err) == 1
        assert "statistics.targets=predicted" in refused.err[0]
        arguments.append("statistics.targets=predicted")
    outcome = lcrp(*arguments)
    assert outcome.code == 0, outcome.err
    with StatisticsFile(Path(outcome.out[-1])) as statistics:
        explained = statistics.targets().explained
        (layer,) = (statistics.layer(name) for name in statistics.layer_names)
    assert {one.target.sample for one in explained} <= {0, 1}
    assert explained
    assert layer.relevance.score.any() or dataset != "scenes"  # the layer shown by default carries the decisions
