"""The command line: Hydra composes the configuration, a stage does the work.

A user's error ends as one line on stderr and exit code 1; HYDRA_FULL_ERROR=1 shows the traceback.
"""

import logging
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import FrameType
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from lcrp import __version__, hydra_errors
from lcrp.config.auto import AUTO, known_checkpoint, named, tell, with_family
from lcrp.config.auto_data import known_layout, named_data, tell_layout, with_layout
from lcrp.config.check import checked
from lcrp.config.commands import Command, key
from lcrp.config.compose import composed_node
from lcrp.config.help import help_pages
from lcrp.config.intent import meant, own_folders
from lcrp.config.messages import one_line
from lcrp.config.own_pictures import of_own_pictures
from lcrp.config.paths import config_dir
from lcrp.config.schemas import register_schemas
from lcrp.errors import ConfigError, Interrupted, LcrpError
from lcrp.runs.machine import keep_freed_memory
from lcrp.runs.run import OUTPUTS, Run
from lcrp.runs.threads import chosen_threads
from lcrp.storage.lock import in_use
from lcrp.values.paths import shown, without_current_folder

log = logging.getLogger(__name__)

EXIT_ERROR, EXIT_SIGNAL = 1, 128  # to the latter the signal's number is added


class JobError(CompactHydraException):
    """A user's error in one job of a sweep: Hydra goes on with the other jobs and reports it at the end."""


def main() -> None:
    """Run ``lcrp``: exit code 0, 1 after an error, 130 or 143 if interrupted or terminated."""
    if threading.current_thread() is threading.main_thread():  # others get no signals
        signal.signal(signal.SIGTERM, _terminate)
    try:
        if "--version" in sys.argv[1:]:
            sys.stdout.write(f"lcrp {__version__}\n")
            return
        given = hydra_errors.parsed(sys.argv[1:])
        folders = own_folders(given.config_dir, given.overrides)
        if given.help and (page := help_pages(given.overrides, folders)):
            sys.stdout.write(f"{page}\n")
            return
        _refuse_words(given.overrides, folders)
        register_schemas()
        overrides = of_own_pictures(given.overrides)
        sys.argv[1:] = [
            *_flags(given.overrides),
            *(overrides if given.cfg is None else named(named_data(overrides, Path.cwd()), Path.cwd())),
        ]
        with hydra_errors.raised():
            _app()
    except MissingConfigException as error:
        _refuse(error, _hint(given.overrides, folders))
    except Interrupted as stop:
        _stop(f"lcrp: {without_current_folder(str(stop))}", EXIT_SIGNAL + stop.signal)
    except KeyboardInterrupt:
        _stop("lcrp: interrupted", EXIT_SIGNAL + signal.SIGINT)
    except SystemExit as stop:
        if stop.__cause__ is None:
            raise
        _refuse(stop.__cause__)
    except Exception as error:
        _refuse(error)


@hydra.main(version_base="1.3", config_path=str(config_dir()), config_name="config")
def _app(config: DictConfig) -> None:
    """One job: a single run, or one of a sweep."""
    logging.captureWarnings(True)
    is_single = HydraConfig.get().mode == RunMode.RUN
    try:
        _perform(config)
    except (LcrpError, OSError) as error:  # wrong settings and files, a full disk, a folder without permission
        if is_single:  # past Hydra, which would add lines of its own to an ordinary exception
            raise SystemExit(EXIT_ERROR) from error
        log.error("%s", one_line(error))
        raise JobError(one_line(error)) from error
    except Exception:
        if not is_single:  # Hydra reports the first failure of a sweep only, and only at its end
            log.exception("this job failed, the others go on")
        raise


def _perform(config: DictConfig) -> None:
    """Check the settings, build what the stage needs, run it, and name what it wrote."""
    config, overrides = _with_family(config)
    settings = checked(config)
    began = time.monotonic()
    import torch  # takes seconds: --help and wrong settings need not wait

    from lcrp.config.build import find_device, num_workers
    from lcrp.config.jobs import build_job
    from lcrp.runs.provenance import PROVENANCE_FILE, file_sha256, write_provenance

    hydra_config = HydraConfig.get()
    origin = Path(hydra_config.runtime.cwd)
    settings = replace(settings, device=str(find_device(settings.device)))  # what 'auto' stands for here
    threads = chosen_threads(
        settings.threads, found=_default_threads(), jobs=_parallel_jobs(), workers=num_workers(settings)
    )
    torch.set_num_threads(threads.count)
    keep_freed_memory()
    if settings.stage.takes in ("subject", "pupil"):  # the others compute nothing
        log.info("threads: %s", threads)
    run = Run(folder=Path(hydra_config.runtime.output_dir), output_root=origin / OUTPUTS, threads=threads)
    job = build_job(settings, origin, _command(overrides, origin))
    with in_use(run.folder / PROVENANCE_FILE), _told_of_device(settings.device):
        written = job.stage(run)
    facts = {
        "command": {"overrides": overrides, "folder": str(origin)},
        "device": settings.device,
        "precision": settings.precision,
        "threads": threads.count,
        **job.facts,
        **run.notes,
    }
    paths = [written] if isinstance(written, Path) else written
    hashes = {"written": {str(path): file_sha256(path) for path in paths if path.is_file()}}
    write_provenance(run.folder, facts | hashes, seconds=time.monotonic() - began)
    for path in paths:
        sys.stdout.write(f"{shown(path, origin)}\n")
    sys.stdout.flush()


@contextmanager
def _told_of_device(name: str) -> Iterator[None]:
    """What a device cannot do within the block is told with what to set.

    Raises:
        ConfigError: its memory is too small, or it lacks an operation.
    """
    import torch

    try:
        yield
    except (TypeError, RuntimeError, MemoryError) as error:
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error):
            mend = "lower statistics.batch_size, or model.input.height and model.input.width"
            raise ConfigError(f"device '{name}' is out of memory; {mend}") from error
        if name != "mps" or "MPS" not in str(error):
            raise
        raise ConfigError(f"device 'mps' lacks what this needs ({one_line(error)}); write device=cpu") from error


def _with_family(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """The job's settings and what was written of them, both with what 'auto' stands for as model and as dataset.

    Raises:
        LcrpError: checkpoint or files do not tell it.
    """
    given = HydraConfig.get()
    overrides = list(given.overrides.task)
    is_model, is_data = (given.runtime.choices.get(group) == AUTO for group in ("model", "dataset"))
    if not (is_model or is_data):
        return config, overrides
    origin = Path(given.runtime.cwd)
    if is_data:
        if OmegaConf.is_missing(config.dataset, "path"):
            raise ConfigError("dataset=auto tells the layout by what lies at dataset.path; write dataset.path=...")
        path, layout = config.dataset.path, known_layout(config.dataset.path, config.dataset.split, origin)
        overrides = with_layout(overrides, layout, origin)
        tell_layout(path, layout, origin)
    if is_model:
        known = known_checkpoint(config.model.checkpoint, origin)
        overrides = with_family(overrides, known)
        tell(config.model.checkpoint, known)
    config = composed_node([*_searched(), *overrides], name=str(given.job.config_name))
    if given.output_subdir is not None:  # what Hydra wrote there was of auto
        folder = Path(given.runtime.output_dir) / given.output_subdir
        OmegaConf.save(config, folder / "config.yaml")
        OmegaConf.save(OmegaConf.create(overrides), folder / "overrides.yaml")
    return config, overrides


def _searched() -> list[str]:
    """Where settings are found besides, as the command says it."""
    return [one for one in HydraConfig.get().overrides.hydra if key(one) == "hydra.searchpath"]


def _command(overrides: Sequence[str], origin: Path) -> Command:
    """What was written, in a sweep what this job alone would be."""
    given = HydraConfig.get()
    sources = [Path(one.path) for one in given.runtime.config_sources if one.provider == "command-line"]
    return Command(
        program=_program(),
        flags=[part for folder in sources for part in ("--config-dir", shown(folder, origin))],
        overrides=[*_searched(), *overrides],
    )


@cache
def _default_threads() -> int:
    """Threads that torch takes by itself, asked before any job of a sweep has changed them."""
    import torch

    return torch.get_num_threads()


def _parallel_jobs() -> int | None:
    """Jobs of a sweep that joblib's launcher runs at the same time, as it counts them."""
    found = HydraConfig.get()
    return found.launcher.get("n_jobs", 1) if found.mode == RunMode.MULTIRUN else 1


def _refuse_words(overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """Say what is meant by words that are no settings, if that can be told.

    Raises:
        ConfigError: there are such words.
    """
    words = [word for word in overrides if "=" not in word and not word.startswith("~")]
    hint = _hint(overrides, folders)
    if words and hint:
        raise ConfigError(f"'{words[0]}' is not a setting of the form key=value{hint}")


def _hint(overrides: Sequence[str], folders: Sequence[Path]) -> str:
    """The command that is meant, if it is another one."""
    wanted = meant(overrides, folders)
    is_other = wanted != list(overrides) and all("=" in one or one.startswith("~") for one in wanted)
    return f"; did you mean: {shlex.join([*_program(), *_flags(overrides), *wanted])}" if is_other else ""


def _flags(overrides: Sequence[str]) -> list[str]:
    """What was written besides settings."""
    return [argument for argument in sys.argv[1:] if argument not in overrides]


def _program() -> tuple[str, ...]:
    """How this program was called."""
    return ("lcrp",) if Path(sys.argv[0]).stem == "lcrp" else ("python", "-m", "lcrp")


def _refuse(error: BaseException, hint: str = "") -> NoReturn:
    """One line for what a user can mend; all else, and all where tracebacks are asked for, is raised."""
    if hydra_errors.wants_traceback() or not hydra_errors.is_users_mistake(error):
        raise error
    _stop(f"lcrp: error: {one_line(error)}{hint}", EXIT_ERROR)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    """What SIGTERM does where no stage heeds it: the same as SIGINT, files are closed and locks let go."""
    raise Interrupted("terminated", signal=number)


def _stop(line: str, code: int) -> NoReturn:
    sys.stderr.write(line + "\n")
    raise SystemExit(code)
