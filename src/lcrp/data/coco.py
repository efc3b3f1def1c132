"""COCO as it is published: its 80 classes, and where its files lie."""

from dataclasses import replace
from pathlib import Path

from lcrp.data.labelled.coco import read_coco
from lcrp.data.labelled.dataset import LabelledDataset
from lcrp.data.labelled.frames import with_frame
from lcrp.data.published import missing, source
from lcrp.data.transforms import InputTransform

# fmt: off
CLASS_NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant",
    "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard",
    "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli",
    "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet",
    "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink",
    "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)
# fmt: on
_UNUSED_IDS = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
CATEGORY_IDS = tuple(number for number in range(1, 91) if number not in _UNUSED_IDS)  # index = class id


class CocoDataset(LabelledDataset):
    """Pictures with COCO's boxes and instance masks; crowds are left out.

    Sorted by file name, so that indices are the same on every machine. Pictures without annotation count too. Pixels
    are taken as stored (annotations refer to them), whatever the EXIF orientation. A file with other categories than
    the published ones is somebody's own: read by the names that it gives them, and turned as its sizes say.
    """

    def __init__(
        self,
        root: Path,
        transform: InputTransform,
        *,
        images: str = "val2017",
        annotations: str = "annotations/instances_val2017.json",
        name: str = "coco2017",
    ) -> None:
        """Read the annotations.

        Args:
            root: folder that holds both of the following.
            transform: how a picture becomes the model's input.
            images: folder of the pictures, below `root`.
            annotations: COCO's JSON file, below `root`.
            name: of the dataset, as it is published.

        Raises:
            DataError: if a file or folder is missing, or the annotations are not COCO's instances.
        """
        if not (root / annotations).is_file():
            raise missing(name, root, annotations)
        if not (root / images).is_dir():
            raise missing(name, root, images)
        published = dict(zip(CATEGORY_IDS, CLASS_NAMES, strict=True))
        origin = f"download {source(name, images) or f'the pictures of {annotations}'} again"
        read = read_coco(root / annotations, root / images, published)
        if read.class_names == tuple(published.values()):
            read = replace(read, frame="stored", is_clipped=False)
        else:  # somebody's own, in COCO's folders
            read = with_frame(read)
        super().__init__(name, transform, replace(read, origin=origin))
