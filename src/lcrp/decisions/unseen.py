"""What a network is not shown of a photograph, or shown squeezed, in words."""

from collections.abc import Iterator

from lcrp.errors import TargetError
from lcrp.values.explanation import Explanation
from lcrp.values.geometry import Geometry
from lcrp.values.shares import percent

LEAST_UNSEEN = 0.005  # of a photograph's area
SQUEEZED = 1.5  # times, from which on it is told


def placing_in_words(geometry: Geometry) -> str:
    """What the input does to a photograph that may hide its objects; empty if nothing.

    For example ``the input shows 56 % of the photograph, the middle (model.input.resize=shorter_crop)``.
    """
    setting, what = f"(model.input.resize={geometry.resize})", "photograph" if geometry.tile is None else "tile"
    left, top, right, bottom = geometry.seen()
    (first, last), (start, end) = (geometry.span(axis) for axis in (0, 1))
    shown = (right - left) * (bottom - top) / ((last - first) * (end - start))
    if shown < 1 - LEAST_UNSEEN:
        return f"the input shows {percent(shown)} of the {what}, the middle {setting}"
    squeezed = max(geometry.pixel_aspect, 1 / geometry.pixel_aspect)
    if squeezed < SQUEEZED:
        return ""
    axis = "width" if geometry.pixel_aspect > 1 else "height"
    return f"the input shows the {what} with its {axis} squeezed {squeezed:.1f} times {setting}"


def explaining_placing(error: TargetError, geometry: Geometry) -> TargetError:
    """The error that a decision is not there, and what the input does to the photograph, which may be why."""
    told = placing_in_words(geometry)
    if not told:
        return error
    whole = "Write model.input.resize=letterbox to show all of it." if geometry.resize == "shorter_crop" else ""
    return TargetError(f"{str(error).rstrip('.')}; {told}", mend=" ".join(filter(None, (whole, error.mend))))


def cut_objects(found: Explanation) -> Iterator[str]:
    """That the box of a decision ends where the input does, and the photograph goes on."""
    box, geometry = found.picture_box, found.geometry
    sides = () if box is None else geometry.cut_sides(box)
    if not sides:
        return
    where = f"the box of '{found.class_name}' ends at the {' and the '.join(sides)} where"
    if geometry.tile is None or geometry.resize == "shorter_crop":
        yield f"{where} the input does, and the object may go on"
    else:
        yield (
            f"{where} its tile does, and the object may go on: no tile shows more of it; "
            "model.input.tiles with a larger size or overlap may"
        )
