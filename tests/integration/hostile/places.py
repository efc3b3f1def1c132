"""Places where nothing can be written, and disks that are full."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hostile.case import Command

UNWRITABLE = "|".join(
    (
        *("cannot write", "is no file", "Not a directory", "File exists", "Permission denied", "Is a directory"),
        *("No such file", "File name too long", "Too many levels of symbolic links"),
    )
)

NO_FOLDER = "'outputs' is no folder; rename it, or work in another folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class FullDisk:
    """A command on a disk that takes files of so many bytes only.

    Attributes:
        name: what the command writes.
        arguments: of the command.
        limit: bytes.
    """

    name: str
    arguments: tuple[str, ...]
    limit: int

    @property
    def outcome(self) -> str:
        """Column of the table."""
        return "error: File too large"


def full_disks() -> list[FullDisk]:
    """Commands whose files do not fit; hydra's own files are smaller."""
    one, render = ("stage.samples=[0]", "stage.n_references=1"), ("stage=render", "stage.statistics=statistics.h5")
    return [
        *(
            FullDisk(name=f"disk full after {limit} bytes: statistics", arguments=("stage=glocal",), limit=limit)
            for limit in (0, 1_000, 20_000)
        ),
        FullDisk(name="disk full: a shard", arguments=("stage=glocal", "shard.count=2"), limit=9_000),
        *(
            FullDisk(
                name=f"disk full: a figure as {kind}", arguments=(*render, *one, f"stage.formats=[{kind}]"), limit=9_000
            )
            for kind in ("png", "svg", "pdf")
        ),
        FullDisk(
            name="disk full: merged statistics",
            arguments=("stage=merge", "stage.shards=[statistics.h5]", "stage.output=merged.h5"),
            limit=9_000,
        ),
        FullDisk(
            name="disk full: a folder of zennit-crp",
            arguments=("stage=export", "stage.folder=new", "stage.statistics=statistics.h5"),
            limit=100,
        ),
    ]


def unwritable() -> list[Command]:
    """Places that are no folders, or that nobody may write to."""
    outputs = {
        "a folder that is a file": _file,
        "a folder of the kernel": lambda _: "/proc/statistics.h5",
        "a folder without permission for anyone": lambda _: "/sys/kernel/statistics.h5",
        "a name of 300 letters": lambda _: "a" * 300,
        "an existing folder": _folder,
    }
    return [
        *(_command(name, place, "stage.output") for name, place in outputs.items()),
        _outputs("a file called outputs", lambda path: path.write_text(""), NO_FOLDER),
        _outputs("a link to nowhere called outputs", lambda path: path.symlink_to("nowhere/at/all"), NO_FOLDER),
        _outputs("a link to itself called outputs", lambda path: path.symlink_to(path), "cannot write 'outputs/runs"),
        _outputs("a folder of the kernel called outputs", lambda path: path.symlink_to("/proc"), "cannot write 'outp"),
    ]


def _command(name: str, place: Callable[[Path], str], setting: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        return ["stage=glocal", f"{setting}={place(folder)}"]

    return Command(name=f"place: {setting} is {name}", prepare=prepare, error=UNWRITABLE)


def _outputs(name: str, write: Callable[[Path], object], error: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        write(folder / "outputs")
        return ["stage=glocal"]

    return Command(name=f"place: {name}", prepare=prepare, error=error)


def _file(folder: Path) -> str:
    (folder / "file").write_text("")
    return "file/statistics.h5"


def _folder(folder: Path) -> str:
    (folder / "there").mkdir()
    return "there"
