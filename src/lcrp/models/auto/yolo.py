"""Files of Ultralytics, and state dicts of its published networks."""

from collections.abc import Collection

from lcrp.errors import CheckpointError
from lcrp.models.auto.known import Known, classes
from lcrp.models.checkpoint import Checkpoint
from lcrp.models.layers import scaled_repeats
from lcrp.models.recognition import num_blocks
from lcrp.models.unpickling import Inert
from lcrp.models.yolo.family import BODY, Told, told, trained_side
from lcrp.models.yolo.tables import VERSIONS, Size

PRODUCER = "ultralytics"
# what the library calls a network, and what that does which is not explained
_OTHERS = {
    "PoseModel": "finds key points",
    "OBBModel": "finds rotated boxes",
    "ClassificationModel": "classifies whole pictures",
    "DepthModel": "estimates depth",
    "WorldModel": "finds whatever a text names",
    "YOLOEModel": "finds whatever a text names",
    "YOLOESegModel": "finds whatever a text names",
    "RTDETRDetectionModel": "is a transformer (RT-DETR)",
}
_EXPLAINED = "lcrp explains its detect, segment and semantic networks"
_SIDE = 640  # of the input, where nothing says another
_SEMANTIC = {"model.network.task": "semantic"}  # whose decisions have other settings


def recognise(found: Checkpoint) -> Known | None:
    """A detector or segmenter of the library, by the class in its file or by its layers.

    Raises:
        CheckpointError: it is of the library, and does something else.
    """
    module = found.module
    is_written = module is not None and module.package == PRODUCER
    published = None if module is not None and not is_written else told(found.state)
    if module is not None and is_written:
        kind = type(module).__name__
        _refuse_others(found, f"as a {kind}", _OTHERS.get(kind))
        names, sign = found.class_names, f"its class {PRODUCER}.{kind}"
        name, count = _name(module, published), _num_classes(module, published)
    elif module is None:
        _refuse_others(found, "", _other_head(found))
        if published is None:
            return None
        names, name, count = found.class_names, _published_name(published), published.num_classes
        sign = f"its {num_blocks(found.state, BODY)} layers with weights"
    else:
        return None
    counted = f", {classes(count, names)}" if count is not None else ""
    is_semantic = published is not None and published.task == "semantic"
    is_semantic = is_semantic or (module is not None and type(module).__name__ == "SemanticSegmentationModel")
    side = trained_side(module)
    size = {} if side in (None, _SIDE) else {"model.input.height": str(side), "model.input.width": str(side)}
    settings = (_SEMANTIC if is_semantic else {}) | size
    return Known(family="yolo", what=f"{name}{counted}", sign=sign, settings=settings)


def _refuse_others(found: Checkpoint, written: str, does: str | None) -> None:
    if does is not None:
        by = f"written by {PRODUCER} {written}".rstrip() if written else f"of {PRODUCER}"
        raise CheckpointError(f"'{found.path}' is a network {by}, which {does}; {_EXPLAINED}")


def _other_head(found: Checkpoint) -> str | None:
    """What a state dict's network does, if it is one that is not explained."""
    layers = {key.split(".")[1] for key in found.state if key.startswith(BODY)}
    last = max((int(one) for one in layers if one.isdigit()), default=-1)
    head = f"{BODY}{last}."
    if f"{head}linear.weight" in found.state and f"{BODY}0.conv.weight" in found.state:
        return _OTHERS["ClassificationModel"]
    has_third = f"{head}cv4.0.0.conv.weight" in found.state or f"{head}one2one_cv4.0.0.conv.weight" in found.state
    if has_third and not any(key.startswith(f"{head}proto.") for key in found.state):
        return "finds key points or rotated boxes"
    return None


def _name(module: Inert, published: Told | None) -> str:
    """As the library calls it: by its published layers, or by the file that describes it."""
    if published is not None:
        return _published_name(published)
    content = module.content if isinstance(module.content, dict) else {}
    described = content.get("yaml")
    file = described.get("yaml_file") if isinstance(described, dict) else None
    return f"a network of {PRODUCER}" + (f" ({file})" if isinstance(file, str) else "")


def _num_classes(module: Inert, published: Told | None) -> int | None:
    if published is not None:
        return published.num_classes
    content = module.content if isinstance(module.content, dict) else {}
    names = content.get("names")
    return len(names) if isinstance(names, dict | list) else None


def _published_name(published: Told) -> str:
    """For example YOLO11n-seg; without a letter if no published scale is such."""
    number, after = published.version.removesuffix("u"), "u" if published.version.endswith("u") else ""
    version = f"v{number}" if number in ("5", "8", "10") else number
    known = VERSIONS[published.version]
    bases = {row.repeats for row in known.rows}
    scale = next((name for name, size in known.scales.items() if _is_of(published.size, size, bases)), "")
    ending = {"detect": "", "segment": "-seg", "semantic": "-sem"}[published.task]
    return f"YOLO{version}{scale}{after}{ending}"


def _is_of(size: Size, published: tuple[float, float, int], bases: Collection[int]) -> bool:
    """Whether a size builds the layers of a published one."""
    depth, width, most = published
    repeats = all(scaled_repeats(base, depth) == scaled_repeats(base, size.depth) for base in bases)
    return repeats and (width, most) == (size.width, size.most)
