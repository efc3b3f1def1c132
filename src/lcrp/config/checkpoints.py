"""Where a model's weights come from: a file of the user's, an official one, one that comes with lcrp, or none."""

import urllib.error
from dataclasses import dataclass
from pathlib import Path

import torch

from lcrp.config.paths import absolute
from lcrp.data import cityscapes, voc
from lcrp.data.coco import CLASS_NAMES as COCO_CLASS_NAMES
from lcrp.errors import CheckpointError, nearest
from lcrp.models.checkpoint import PUBLISHED, Checkpoint, embedded_checkpoint, read_checkpoint
from lcrp.models.pretrained import is_pretrained, read_pretrained

RANDOM, EMBEDDED, OFFICIAL = "random", "embedded:", "official:"
YOLOV5 = "https://github.com/ultralytics/yolov5/releases/download/v7.0"
YOLOV6 = "https://github.com/meituan/YOLOv6/releases/download/0.1.0"
SSD = "https://github.com/lufficc/SSD/releases/download/1.2"
DEEPLAB = "https://www.dropbox.com/s/dgxyd3jkyz24voa/best_deeplabv3plus_resnet50_voc_os16.pth"
UNET = "https://datacloud.hhi.fraunhofer.de/s/2wK2ARSWoSSdJ6p"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFile:
    """A published checkpoint.

    Attributes:
        url: where it is.
        file_name: what it is called in the cache; with the release, which file names leave out.
        class_names: of the dataset that it was trained on.
        sha256: as its authors publish it; None where they do not.
        is_page: whether the URL is a page where a person chooses the file, so that it cannot be fetched.
    """

    url: str
    file_name: str
    class_names: tuple[str, ...] = COCO_CLASS_NAMES
    sha256: str | None = None
    is_page: bool = False


def _official_files() -> dict[str, OfficialFile]:
    hashes = {name: sha256 for sha256, name in PUBLISHED.items()}
    files = {}
    for name in ("yolov5n", "yolov5s", "yolov5m", "yolov5l", "yolov5x"):
        url = f"{YOLOV5}/{name}.pt"
        files[name] = OfficialFile(url=url, file_name=f"{name}_7.0.pt", sha256=hashes.get(name))
    for name in ("yolov6n", "yolov6t", "yolov6s"):  # known hashes are those of copies, not of the files themselves
        files[name] = OfficialFile(url=f"{YOLOV6}/{name}.pt", file_name=f"{name}_0.1.0.pt")
    for name in ("ssd300", "ssd512"):
        file_name = f"vgg_{name}_coco_trainval35k.pth"
        files[name] = OfficialFile(url=f"{SSD}/{file_name}", file_name=file_name)
    files["deeplabv3plus"] = OfficialFile(
        url=f"{DEEPLAB}?dl=1", file_name=DEEPLAB.rsplit("/", 1)[-1], class_names=voc.CLASS_NAMES
    )
    files["unet"] = OfficialFile(
        url=UNET, file_name="smp_unet_vgg13_cityscapes.pth", class_names=cityscapes.CLASS_NAMES, is_page=True
    )
    return files


OFFICIAL_FILES = _official_files()


def find_checkpoint(name: str, origin: Path) -> Checkpoint | None:
    """The checkpoint that `model.checkpoint` names; None for random weights.

    Args:
        name: 'random', 'embedded:NAME', 'official:NAME', or the path of a file or of a folder with config.json.
        origin: folder to which paths are relative.

    Raises:
        CheckpointError: there is none of that name, it cannot be fetched, or its file is not what it should be.
    """
    if name == RANDOM:
        return None
    if name.startswith(EMBEDDED):
        return read_checkpoint(embedded_checkpoint(name.removeprefix(EMBEDDED)))
    if name.startswith(OFFICIAL):
        return read_checkpoint(fetch_official(name.removeprefix(OFFICIAL)))
    path = absolute(name, origin)
    return read_pretrained(path) if is_pretrained(path) else read_checkpoint(path)


def official_class_names(name: str) -> tuple[str, ...]:
    """Names of the classes that an official checkpoint was trained on."""
    return OFFICIAL_FILES[name.removeprefix(OFFICIAL)].class_names


def fetch_official(name: str) -> Path:
    """Path of an official checkpoint in the cache, downloaded if it is not there yet.

    Raises:
        CheckpointError: there is none of that name, or it cannot be fetched.
    """
    if name not in OFFICIAL_FILES:
        raise CheckpointError(f"no official checkpoint is called '{name}'; nearest: {nearest(name, OFFICIAL_FILES)}")
    official = OFFICIAL_FILES[name]
    path = Path(torch.hub.get_dir()) / "checkpoints" / "lcrp" / official.file_name
    if path.is_file():
        return path
    if official.is_page:
        raise CheckpointError(
            f"checkpoint '{OFFICIAL}{name}' is fetched by hand: take {official.file_name} from {official.url} and put "
            f"it at {path}, or name it by model.checkpoint=PATH"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(official.url, str(path), hash_prefix=official.sha256, progress=False)
    except (OSError, RuntimeError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise CheckpointError(
            f"checkpoint '{OFFICIAL}{name}' could not be fetched ({reason}); put {official.url} at {path}, "
            "or name a file by model.checkpoint=PATH"
        ) from error
    return path
