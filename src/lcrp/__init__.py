"""L-CRP: which learned concepts carried one decision of a detector or a segmenter.

Names are imported when they are first used, so that ``import lcrp`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lcrp.errors import LcrpError

__version__ = "0.1.0"

_HOMES = {"LcrpError": "lcrp.errors"}

__all__ = ["LcrpError", "__version__"]


def __getattr__(name: str) -> object:
    """A public name, imported from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lcrp' has no attribute '{name}'")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
