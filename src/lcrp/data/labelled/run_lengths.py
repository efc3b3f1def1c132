"""Masks drawn by pycocotools, and COCO's run lengths, checked before it draws them: it trusts what it is given.

Axes: H W picture.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coding

Mask = npt.NDArray[np.bool_]


def packed(outline: Mapping[str, object]) -> tuple[bytes, tuple[int, int]]:
    """Compressed run lengths of an outline in COCO's form, and the size (height, width) that they fill.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: it is none, has no pixel, or does not fill its size.
    """
    height, width = (int(side) for side in outline["size"])  # type: ignore[attr-defined]
    counts = outline["counts"]
    if isinstance(counts, list):
        if not all(type(one) in (int, float) and one == int(one) for one in counts):
            raise ValueError("run lengths are no whole numbers")
        counts = [int(one) for one in counts]
        _check(counts, height * width)
        with _quiet():
            raw: bytes = coding.frPyObjects({"size": [height, width], "counts": counts}, height, width)["counts"]
        return raw, (height, width)
    raw = counts.encode("ascii") if isinstance(counts, str) else bytes(counts)  # type: ignore[call-overload]
    _check(unpacked(raw), height * width)
    return raw, (height, width)


def bounds(runs: bytes, size: tuple[int, int]) -> tuple[float, ...]:
    """Box xywh of compressed run lengths."""
    with _quiet():
        return tuple(float(one) for one in coding.toBbox({"size": list(size), "counts": runs}))


def filled(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """[H, W] bool, the pixels of polygons with x and y in turns, as pycocotools fills them."""
    with _quiet():
        mask: Mask = coding.decode(coding.merge(coding.frPyObjects(list(polygons), *size))).astype(np.bool_)
    return mask


def decoded(runs: bytes, size: tuple[int, int]) -> Mask:
    """[H, W] bool, the pixels of compressed run lengths."""
    with _quiet():
        mask: Mask = coding.decode({"size": list(size), "counts": runs}).astype(np.bool_)
    return mask


def unpacked(raw: bytes) -> npt.NDArray[np.int64]:
    """Run lengths of COCO's compressed form.

    Digits of five bits, lowest first, a sixth bit where more follow; from the third on, each is the difference to the
    one but one before.

    Raises:
        ValueError: it ends within a number, or a number has more than 12 digits.
    """
    digits = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - 48
    if not len(digits):
        return digits
    if digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        raise ValueError("the compressed form of run lengths is broken")
    ends = np.flatnonzero((digits & 32) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 11:
        raise ValueError("the compressed form of run lengths is broken")
    values = np.add.reduceat((digits & 31) << (5 * place), starts)
    values -= np.where(digits[ends] & 16, np.int64(1) << (5 * (place[ends] + 1)), 0)  # the sign
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _check(counts: Sequence[int] | npt.NDArray[np.int64], area: int) -> None:
    least, total = min(map(int, counts), default=0), sum(map(int, counts))
    if area <= 0 or least < 0 or total != area:
        raise ValueError(f"run lengths add up to {total}")
    if not any(map(int, counts[1::2])):
        raise ValueError("run lengths have no pixel")


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the block pycocotools 2.0 may not know numpy 2's copy keyword."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
