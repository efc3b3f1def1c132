"""Settings composed from the YAML files without a command line, for Python and tests."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime
from hydra.errors import HydraException
from hydra.version import VersionBase
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from lcrp.config.auto import named
from lcrp.config.auto_data import named_data
from lcrp.config.check import checked
from lcrp.config.messages import one_line
from lcrp.config.paths import config_dir
from lcrp.config.root import Config
from lcrp.config.schemas import register_schemas
from lcrp.errors import ConfigError

VERSION_BASE = "1.3"  # of Hydra's behaviour
_ONE_AT_A_TIME = threading.RLock()  # Hydra keeps one configuration per process


@contextmanager
def composition() -> Iterator[None]:
    """Within the block Hydra composes the configuration of lcrp.

    What a program has that uses Hydra itself is laid aside and put back. May be nested; other threads wait.
    """
    with _ONE_AT_A_TIME:
        before = GlobalHydra.instance().hydra, VersionBase.instance().version_base, JobRuntime.instance().get("name")
        GlobalHydra.instance().clear()
        register_schemas()
        try:
            with initialize_config_dir(str(config_dir()), job_name="lcrp", version_base=VERSION_BASE):
                yield
        finally:
            GlobalHydra.instance().hydra, VersionBase.instance().version_base, name = before
            JobRuntime.instance().set("name", name)


def composed(overrides: Sequence[str] = (), *folders: Path) -> Config:
    """The settings of a command, checked: what ``lcrp model=unet device=cuda`` would run with.

    Args:
        overrides: as on the command line, for example ``["model=unet", "device=cuda"]``.
        folders: a person's own ones with further YAML files, as ``--config-dir`` names them.

    Raises:
        ConfigError: settings are unknown, missing or make no sense; the message names all of them.
    """
    with composition():
        return checked(composed_node(named(named_data(overrides, Path.cwd()), Path.cwd()), *folders))


def composed_node(overrides: Sequence[str], *folders: Path, name: str = "config") -> DictConfig:
    """The settings of a command as Hydra composes them, within `composition` or a running command.

    Args:
        overrides: as on the command line.
        folders: a person's own ones with further YAML files.
        name: of the YAML file that all begins with.

    Raises:
        ConfigError: Hydra refuses an override.
    """
    paths = ",".join(f"'file://{folder.resolve()}'" for folder in folders)
    own = [f"hydra.searchpath=[{paths}]"] if folders else []
    try:
        return compose(name, overrides=[*own, *overrides])
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise ConfigError(one_line(error)) from error
