"""How the pages are built: `make docs`."""

import re
from textwrap import indent

from sphinx.application import Sphinx

from lcrp import __version__

project = "lcrp"
copyright = "The lcrp developers"  # noqa: A001 (Sphinx's own name)
release = __version__

extensions = ["myst_nb", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "reference/rooms/modules.rst"]
html_theme = "furo"
html_title = "lcrp"
html_static_path: list[str] = []

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

nb_execution_mode = "force"  # the tutorial is committed without outputs
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_output_stderr = "remove"  # progress

_LEFT_OUT = (
    *("__main__.py", "cli.py", "hydra_errors.py", "config"),
    "api",  # in reference/python.md, by the names that people use
    *("data/scenes/objects", "data/scenes/draw.py", "data/scenes/plan.py"),
)
apidoc_modules = [
    {
        "path": "../src/lcrp",
        "destination": "reference/rooms",
        "exclude_patterns": [f"../src/lcrp/{name}" for name in _LEFT_OUT],
        "module_first": True,
    }
]
apidoc_automodule_options = {"members"}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "ignore-module-all": True}
napoleon_use_ivar = True
default_role = "code"  # what docstrings put between single backticks

COLON = "\N{RATIO}"  # stands for a colon until napoleon, which takes words before one for a type, has passed


def _plain(_app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Docstrings are plain words: stars and bars of a formula are no markup, and tables of a file stay as they are."""
    lines[:] = [re.sub(r"(`[^`]*`)|([*|])", lambda sign: sign[1] or f"\\{sign[2]}", line) for line in lines]
    if what == "module":
        parts = "\n".join(lines).split("\n\n")
        lines[:] = "\n\n".join(_literal(part) if part.startswith("/") else part for part in parts).split("\n")
    if what in ("attribute", "data", "property"):
        lines[:] = [line.replace(":", COLON) for line in lines]


def _literal(part: str) -> str:
    return "::\n\n" + indent(part.replace("\\", ""), "    ")


def _with_colons(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _plain, priority=400)
    app.connect("autodoc-process-docstring", _with_colons, priority=600)  # napoleon has 500
