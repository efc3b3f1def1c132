"""Where the configuration lies, and where a user's paths lead."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def config_dir() -> Path:
    """Absolute folder of the YAML files: inside an installed wheel, or beside `src` in a checkout."""
    inside, beside = _PACKAGE / "conf", _PACKAGE.parents[1] / "conf"
    return inside if (inside / "config.yaml").is_file() else beside


def absolute(path: str, folder: Path) -> Path:
    """`path` as a user meant it who gave the command in `folder`; ``~`` is the home folder."""
    return folder / Path(path).expanduser()
