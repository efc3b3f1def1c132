"""L-CRP: which learned concepts carried one decision of a detector or a segmenter.

In three lines::

    import lcrp

    explainer = lcrp.load("embedded:yolov6_scenes")
    for explanation in lcrp.explain(explainer, "photo.jpg"):
        print(explanation)

Names are imported when they are first used, so that ``import lcrp`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lcrp.api.auditing import Audit, audit
    from lcrp.api.drawing import draw_explanation, figure, read_explanation
    from lcrp.api.explaining import explain
    from lcrp.api.explanation import Concept, Explanation
    from lcrp.api.loading import load
    from lcrp.api.measuring import Result, context, evaluate
    from lcrp.api.missing import Missed, missed
    from lcrp.api.passing import statistics
    from lcrp.api.statistics import ConceptStatistics, Statistics
    from lcrp.api.tuning import Tuned, tune
    from lcrp.decisions.explainer import Explainer
    from lcrp.errors import LcrpError

__version__ = "0.1.0"

_HOMES = {
    "Audit": "lcrp.api.auditing",
    "Concept": "lcrp.api.explanation",
    "ConceptStatistics": "lcrp.api.statistics",
    "Explainer": "lcrp.decisions.explainer",
    "Explanation": "lcrp.api.explanation",
    "LcrpError": "lcrp.errors",
    "Missed": "lcrp.api.missing",
    "Result": "lcrp.api.measuring",
    "Statistics": "lcrp.api.statistics",
    "Tuned": "lcrp.api.tuning",
    "audit": "lcrp.api.auditing",
    "context": "lcrp.api.measuring",
    "draw_explanation": "lcrp.api.drawing",
    "evaluate": "lcrp.api.measuring",
    "explain": "lcrp.api.explaining",
    "figure": "lcrp.api.drawing",
    "load": "lcrp.api.loading",
    "missed": "lcrp.api.missing",
    "read_explanation": "lcrp.api.drawing",
    "statistics": "lcrp.api.passing",
    "tune": "lcrp.api.tuning",
}

__all__ = [
    "Audit",
    "Concept",
    "ConceptStatistics",
    "Explainer",
    "Explanation",
    "LcrpError",
    "Missed",
    "Result",
    "Statistics",
    "Tuned",
    "__version__",
    "audit",
    "context",
    "draw_explanation",
    "evaluate",
    "explain",
    "figure",
    "load",
    "missed",
    "read_explanation",
    "statistics",
    "tune",
]


def __getattr__(name: str) -> object:
    """A public name, imported from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'lcrp' has no attribute '{name}'")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
