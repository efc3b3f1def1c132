"""Whether pictures carry an orientation, and what annotations beside them refer to."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import ExifTags, Image

from lcrp.data.labelled.source import Labelled
from lcrp.data.pictures import ON_ITS_SIDE

_LOOKED_AT = 500


def with_frame(read: Labelled) -> Labelled:
    """The same, its report telling of pictures that are to be turned."""

    def size(number: int) -> tuple[int, int] | None:
        height, width = (int(side) for side in read.objects.sizes[number])
        return (height, width) if height > 0 else None

    frame = told_frame(len(read.keys), read.path, size)
    return replace(read, reading=replace(read.reading, frame=frame)) if frame else read


def told_frame(count: int, path: Callable[[int], Path], size: Callable[[int], tuple[int, int] | None]) -> str:
    """What is to be said of pictures that EXIF turns; empty if none of those looked at is.

    Args:
        count: of the pictures.
        path: of each.
        size: height and width of each as annotated; None where they are not known.
    """
    step = max(1, count // _LOOKED_AT)
    looked, shown, stored, both = 0, 0, 0, 0
    for number in range(0, count, step):
        try:
            with Image.open(path(number)) as opened:
                orientation, (width, height) = opened.getexif().get(ExifTags.Base.Orientation, 1), opened.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        looked += 1
        if orientation not in range(2, 9):
            continue
        turned = (width, height) if orientation in ON_ITS_SIDE else (height, width)
        annotated = size(number)
        fits = annotated in (None, turned)
        is_stored = annotated == (height, width)
        both += fits and (is_stored or annotated is None)
        shown += fits and not (is_stored or annotated is None)
        stored += is_stored and not fits
    if not shown + stored + both:
        return ""
    told = [f"{shown} by the sizes of their annotation"] * (shown > 0)
    told += [f"{both} because nothing speaks against it"] * (both > 0)
    parts = [f"are taken as shown: {', '.join(told)}"] * (shown + both > 0)
    parts += [f"as stored, by the sizes of their annotation: {stored}"] * (stored > 0)
    return f"of {looked} pictures looked at {shown + stored + both} are turned by EXIF; coordinates {'; '.join(parts)}"
