"""Where the public datasets are published, and what each of them consists of."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lcrp.errors import DataError

_COCO = "http://images.cocodataset.org"
_VOC = "VOCdevkit/VOC2012"


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A published file and what a dataset needs of it.

    Attributes:
        url: where it is.
        size: for messages, as '816 MB'.
        contents: files and folders to unpack, below the dataset's root, with the number of files that each holds.
        md5: of the archive; None where no trustworthy one is known.
    """

    url: str
    size: str
    contents: Mapping[str, int]
    md5: str | None = None

    @property
    def file_name(self) -> str:
        """Last part of the address."""
        return self.url.rpartition("/")[2]


ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "coco2017": (
        Archive(
            url=f"{_COCO}/annotations/annotations_trainval2017.zip",
            size="253 MB",
            contents={"annotations/instances_val2017.json": 1},
            md5="f4bbac642086de4f52a3fdda2de5fa2c",
        ),
        Archive(
            url=f"{_COCO}/zips/val2017.zip",
            size="816 MB",
            contents={"val2017": 5000},
            md5="442b8da7639aecaf257c1dceb8ba8c80",
        ),
    ),
    "coco2014": (
        Archive(  # public sources disagree on its md5
            url=f"{_COCO}/annotations/annotations_trainval2014.zip",
            size="253 MB",
            contents={"annotations/instances_val2014.json": 1},
        ),
        Archive(
            url=f"{_COCO}/zips/val2014.zip",
            size="6.7 GB",
            contents={"val2014": 40504},
            md5="a3d79f5ed8d289b7a7554ce06a5782b3",
        ),
    ),
    "voc2012": (
        Archive(
            url="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
            size="2.0 GB",
            contents={
                f"{_VOC}/ImageSets/Segmentation": 3,
                f"{_VOC}/JPEGImages": 17125,
                f"{_VOC}/SegmentationClass": 2913,
            },
            md5="6cd6e144f989b92b3379bac3b3de84fd",
        ),
    ),
}

BY_HAND = {  # what only a person may fetch
    "cityscapes": (
        "Cityscapes needs an account: register at https://www.cityscapes-dataset.com, download "
        "leftImg8bit_trainvaltest.zip (11 GB) and gtFine_trainvaltest.zip (241 MB), and unpack both into {root}"
    ),
}
MINIVAL = "http://datasets.d2.mpi-inf.mpg.de/hosang17cvpr/coco_minival2014.tar.gz"


def source(name: str, path: str) -> str | None:
    """Address and size of the archive that holds `path`, as 'http://... (816 MB)'; None if none does.

    Args:
        name: of the dataset.
        path: of a file or folder, below the dataset's root.
    """
    for archive in ARCHIVES.get(name, ()):
        if any(path == part or path.startswith(f"{part}/") for part in archive.contents):
            return f"{archive.url} ({archive.size})"
    return None


def missing(name: str, root: Path, path: str) -> DataError:
    """Error that says how to come by a file or folder that is not there.

    Args:
        name: of the dataset.
        root: its folder.
        path: what is missing, below `root`.
    """
    address = source(name, path)
    if address:
        command = shlex.join(["lcrp", "stage=download", f"dataset={name}", f"dataset.root={root}"])
        mend = f"download {address} and unpack it into {root} ('{command}' does that)"
    elif name == "coco2014" and "minival" in path:
        mend = f"download {MINIVAL} and unpack it into {root / 'annotations'}"
    else:
        mend = BY_HAND.get(name, "put it there").format(root=root)
    return DataError(f"{name} misses {root / path}; {mend}, or set dataset.root to the folder that holds it")
