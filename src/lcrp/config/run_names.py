"""What folders of runs are called: the stage, the network where there is one, and the data that is looked at."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from lcrp.config.root import Stage
from lcrp.values.names import safe_name
from lcrp.values.paths import folder_named

_OWN = ("auto", "folder", "yolo", "coco", "own_coco", "voc", "own_voc", "masks")  # layouts that hold anybody's data
_PLACES = ("path", "root", "annotations", "images")  # settings that say where it lies
_LONGEST = 40  # bytes
PICTURES = "pictures"


def register_resolver() -> None:
    """Tell OmegaConf how folders of runs are called; a second time changes nothing."""
    OmegaConf.register_new_resolver("run_name", _run_name, replace=True)


def _run_name(_root_: DictConfig) -> str:
    """'render_yolov6_scenes', 'inspect_my-boats', 'clean'; a person's own data by the name of its folder."""
    kind = OmegaConf.get_type(_root_.stage)
    takes = kind.takes if isinstance(kind, type) and issubclass(kind, Stage) else "subject"
    parts = [str(_root_.stage.name)]
    if takes in ("subject", "pupil"):
        parts.append(str(_root_.model.name))
    if takes in ("subject", "pupil", "dataset"):
        parts.append(_shown_data(_root_))
    return "_".join(parts)


def _shown_data(root: DictConfig) -> str:
    """The dataset that is looked at, or pictures of a person's own."""
    if OmegaConf.select(root, "stage.image", default=None) is not None:
        return PICTURES
    name = str(root.dataset.name)
    given = {place: OmegaConf.select(root.dataset, place, default=None) for place in _PLACES}
    path = next((value for value in given.values() if value), None)
    if name not in _OWN or path is None:
        return name
    return safe_name(folder_named(Path(str(path))) or name, _LONGEST)
