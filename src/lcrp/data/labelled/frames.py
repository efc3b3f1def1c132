"""Whether pictures carry an orientation, and what annotations beside them refer to."""

from dataclasses import replace

from PIL import ExifTags, Image

from lcrp.data.labelled.source import Labelled
from lcrp.data.pictures import ON_ITS_SIDE

_LOOKED_AT = 500


def with_frame(read: Labelled) -> Labelled:
    """The same, its report telling of pictures that are to be turned."""
    step = max(1, len(read.keys) // _LOOKED_AT)
    looked, shown, stored, both = 0, 0, 0, 0
    for number in range(0, len(read.keys), step):
        try:
            with Image.open(read.path(number)) as opened:
                orientation, (width, height) = opened.getexif().get(ExifTags.Base.Orientation, 1), opened.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        looked += 1
        if orientation not in range(2, 9):
            continue
        turned = (width, height) if orientation in ON_ITS_SIDE else (height, width)
        annotated = tuple(int(side) for side in read.objects.sizes[number])
        fits = annotated[0] < 0 or annotated == turned
        is_stored = annotated == (height, width)
        both += fits and (is_stored or annotated[0] < 0)
        shown += fits and not (is_stored or annotated[0] < 0)
        stored += is_stored and not fits
    if not shown + stored + both:
        return read
    told = [f"{shown} by the sizes of their annotation"] * (shown > 0)
    told += [f"{both} because nothing speaks against it"] * (both > 0)
    parts = [f"are taken as shown: {', '.join(told)}"] * (shown + both > 0)
    parts += [f"as stored, by the sizes of their annotation: {stored}"] * (stored > 0)
    frame = f"of {looked} pictures looked at {shown + stored + both} are turned by EXIF; coordinates {'; '.join(parts)}"
    return replace(read, reading=replace(read.reading, frame=frame))
