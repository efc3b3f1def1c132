"""The table of all that recognises checkpoints: the first function that knows one counts."""

from collections.abc import Callable
from pathlib import Path

from lcrp.errors import CheckpointError
from lcrp.models.auto import built_in, smp, torchvision, transformers, yolo
from lcrp.models.auto.formats import check_format
from lcrp.models.auto.known import Known, UnknownNetworkError
from lcrp.models.auto.producers import producer_of, unknown
from lcrp.models.checkpoint import Checkpoint, glimpse
from lcrp.models.pretrained import is_pretrained, read_pretrained
from lcrp.models.settings_files import config_of

Recognise = Callable[[Checkpoint], Known | None]

RECOGNISE: tuple[Recognise, ...] = (
    transformers.recognise,
    smp.recognise_folder,
    yolo.recognise,
    built_in.recognise_yolov5,
    built_in.recognise_yolov6,
    built_in.recognise_ssd,
    built_in.recognise_unet,
    built_in.recognise_deeplabv3plus,
    torchvision.recognise,
    smp.recognise,
)


def recognised(path: Path) -> Known:
    """What a file or folder is taken for; nothing in it is run.

    Raises:
        CheckpointError: it is missing, damaged, no checkpoint, or of a network that does something else.
        UnknownNetworkError: it is of a network that is not known here.
    """
    check_format(path)
    found = _found(path)
    for recognise in RECOGNISE:
        known = recognise(found)
        if known is not None:
            return known
    raise UnknownNetworkError(unknown(found))


def _found(path: Path) -> Checkpoint:
    """What lies at a path; of a folder its settings alone.

    Raises:
        CheckpointError: it cannot be read.
    """
    if path.is_dir() and is_pretrained(path):  # its settings tell enough
        return Checkpoint(state={}, class_names=None, sha256="", path=path, config=config_of(path))
    if is_pretrained(path):
        return read_pretrained(path)
    try:
        return glimpse(path)
    except CheckpointError as error:
        written = producer_of(path)
        if written is None:
            raise
        raise CheckpointError(f"{error} (it was written by {written})") from error
