"""Sizes as a person reads them."""

_STEP = 1000.0
_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_text(num_bytes: float) -> str:
    """For example ``248 MB`` or ``1.4 GB``."""
    size, unit = float(num_bytes), 0
    while size >= _STEP - 0.5 and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit > 0 and size < 9.95 else f"{size:.0f} {_UNITS[unit]}"
