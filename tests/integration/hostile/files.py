"""Files that lcrp wrote, as they never should be: statistics, folders of zennit-crp, provenance."""

import json
import pickle
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hostile.case import Command, Other

LAYER = "model.2.cv3.conv"
UNREADABLE = "cannot be read"
NO_FORMAT = "is no lcrp-statistics file"
NUM_FLIPS = 24

Change = Callable[[h5py.File], object]


def statistics() -> list[Command]:
    """Statistics files that `stage=merge` reads."""
    table = f"layers/{LAYER}/relevance"
    return [
        *(_cut(share) for share in (0.0, 0.001, 0.1, 0.5, 0.9, 0.999)),
        _file("text", lambda path: path.write_text("no statistics"), UNREADABLE),
        _file("zeros", lambda path: path.write_bytes(bytes(1 << 16)), UNREADABLE),
        _file("a folder", _folder, "is no file"),
        _file("a named pipe that nobody writes to", _pipe, "is no file"),
        _file("a link to itself", _circle, "cannot be read|there is no file"),
        _file("HDF5 of something else", _other, NO_FORMAT),
        _changed("of another format of lcrp", lambda file: file.attrs.modify("format", "lcrp-explanation"), NO_FORMAT),
        _changed("of a newer version", lambda file: file.attrs.modify("format_version", 99), "has version 99"),
        _changed("of an older version", lambda file: file.attrs.modify("format_version", 1), "has version 1"),
        _changed("whose version is text", _attribute("format_version", "two"), UNREADABLE),
        _changed("without a format", lambda file: file.attrs.__delitem__("format"), NO_FORMAT),
        *(
            _changed(f"without {name}", lambda file, name=name: file.attrs.__delitem__(name), UNREADABLE)
            for name in ("format_version", "config", "config_hash", "class_names", "num_samples", "coverage")
        ),
        _changed("whose settings are a program", _attribute("config", PROGRAM), UNREADABLE),
        _changed("whose settings are ten billion laughs", _attribute("config", LAUGHS), "is no mapping of less than"),
        _changed("whose settings are no YAML", _attribute("config", "a: [b"), UNREADABLE),
        _changed("whose settings are a list", _attribute("config", "[1, 2]"), UNREADABLE),
        _changed("whose settings are others", _attribute("config", "a: 1"), "is of another configuration"),
        _changed("with a negative number of samples", _attribute("num_samples", -3), UNREADABLE),
        _changed("with a number of samples that is text", _attribute("num_samples", "many"), UNREADABLE),
        _changed("that covers samples beyond the last", _attribute("coverage", [[0, 99]]), UNREADABLE),
        _changed("that covers samples backwards", _attribute("coverage", [[2, 0]]), UNREADABLE),
        _changed("that covers samples twice", _attribute("coverage", [[0, 2], [1, 2]]), UNREADABLE),
        _changed("that covers a text", _attribute("coverage", "all"), UNREADABLE),
        *(
            _changed(f"without /{name}", lambda file, name=name: file.__delitem__(name), UNREADABLE)
            for name in ("targets", "skipped_targets", "skipped", "layer_names", "layers", f"layers/{LAYER}", table)
        ),
        *(
            _changed(f"without /{table}/{name}", lambda file, name=name: file[table].__delitem__(name), UNREADABLE)
            for name in ("score", "sample", "filled", "peak")
        ),
        _changed("without moments", lambda file: file[f"layers/{LAYER}"].__delitem__("moments"), UNREADABLE),
        _changed(
            "without a map's size", lambda file: file[f"layers/{LAYER}"].attrs.__delitem__("map_size"), UNREADABLE
        ),
        _changed("with a map's size of three numbers", _map_size([1, 2, 3]), UNREADABLE),
        _changed("with a map's size of zero", _map_size([0, 0]), UNREADABLE),
        _changed("with scores that are texts", _replaced("score", np.array([[b"a"]])), UNREADABLE),
        _changed("with scores of one axis", _replaced("score", np.zeros(3, np.float32)), UNREADABLE),
        _changed("with scores for another number of concepts", _other_concepts, UNREADABLE),
        _changed("with scores that are not numbers (NaN)", _filled_with("score", np.nan), UNREADABLE),
        _changed("with more entries than places", _filled_with("filled", 9999), UNREADABLE),
        _changed("with a negative number of entries", _filled_with("filled", -1), UNREADABLE),
        _changed("with negative samples", _filled_with("sample", -7), UNREADABLE),
        _changed("with samples beyond the last", _filled_with("sample", 1_000_000), UNREADABLE),
        _changed("with neurons beyond the map", _filled_with("peak", 1_000_000), UNREADABLE),
        _changed("with classes beyond the last", _filled_with("class_id", 30_000), UNREADABLE),
        _changed("with a group in place of a table", _group, UNREADABLE),
        _changed("with a link to itself", _link(lambda file: h5py.SoftLink(file[table].name)), UNREADABLE),
        _changed("with a link to nowhere", _link(lambda _: h5py.SoftLink("/nowhere")), UNREADABLE),
        _changed("with a link into another file", _link(lambda _: h5py.ExternalLink("/etc/hostname", "/")), UNREADABLE),
        _changed("bomb: scores of 4 TB declared", _declared, "declares"),
        _changed("layer names without layers", _unknown_layers, UNREADABLE),
    ]


def flips() -> list[Other]:
    """Single bits that are turned over anywhere in a statistics file, by seed."""
    outcome = "error, or the same numbers where the bit means nothing"
    return [Other(name=f"statistics: one bit turned over (seed {seed})", outcome=outcome) for seed in range(NUM_FLIPS)]


def flipped(path: Path, seed: int) -> None:
    """Turn one bit of a file over."""
    generator, content = random.Random(seed), bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def exchange() -> list[Command]:
    """Folders of zennit-crp that `stage=import` reads."""
    return [
        _imported("a pickle in place of an array", _written("data", pickle.dumps(print)), "is no array"),
        _imported(
            "an array of pickled objects", _array("data", np.array([[print]], dtype=object)), "is no array|holds"
        ),
        _imported("an array cut short", _shortened, "is no array"),
        _imported("an empty file", _written("data", b""), "is no array"),
        _imported("an array that declares 4 EB", _vast, "is no array"),
        _imported("a header that is a program", _program_header, "is no array"),
        _imported("samples that are texts", _array("data", np.array([["a"]])), "not whole numbers"),
        _imported("samples of one axis", _array("data", np.zeros(3, np.int64)), "has 1 axes"),
        _imported(
            "samples of another number of concepts", _array("data", np.zeros((3, 99), np.int64)), "has 99 concepts"
        ),
        _imported("samples beyond the last", _shifted("data", 1_000_000), "names sample"),
        _imported("negative neurons", _shifted("rf", -1_000_000), "names neuron"),
        _imported("scores that are not numbers (NaN)", _shifted("rel", np.nan), "not finite numbers"),
        _imported("no scores", lambda stem: _part(stem, "rel").unlink(), "is missing"),
        _imported("no folder", lambda stem: shutil.rmtree(stem.parent.parent), "there is no folder"),
        _imported("a file in place of the folder", _not_a_folder, "there is no folder"),
    ]


def provenance() -> list[Command]:
    """What `stage=verify` reads."""
    foreign = ["model.network._target_=subprocess.Popen", "+model.network.args=[touch,canary]"]
    hidden = ["model.network._target_=lcrp.cli.os.mkdir", "+model.network.path=canary"]
    return [
        _verified("no folder", None, "has no provenance.json"),
        _verified("an empty file", "", UNREADABLE),
        _verified("no JSON", "{", UNREADABLE),
        _verified("no UTF-8", "\udcff", UNREADABLE),
        _verified("lists nested 100,000 deep", "[" * 100_000, UNREADABLE),
        _verified("a list", "[]", "is no provenance of lcrp"),
        _verified("a command that is a text", json.dumps({"command": "rm"}), "is no provenance of lcrp"),
        _verified("settings that are a number", _command_of(7), "is no provenance of lcrp"),
        _verified("settings that are numbers", _command_of([7]), "is no provenance of lcrp"),
        _verified("settings that do not exist", _command_of(["a.b=1"]), "is not a setting"),
        _verified("a folder that is a number", json.dumps({"command": {"overrides": [], "folder": 7}}), "provenance"),
        _verified(
            "a run that looks at itself", _command_of(["stage=verify", "run=run"]), "looked at another run itself"
        ),
        _verified("a network that starts programs", _command_of(foreign), "is not lcrp's own"),
        _verified("a network that is a function behind lcrp's name", _command_of(hidden), "is not lcrp's own"),
        _verified(
            "files that are a number",
            json.dumps({"command": {"overrides": ["model.checkpoint=random"]}, "written": 7}),
            "is no provenance of lcrp",
        ),
    ]


PROGRAM = "!!python/object/apply:os.system ['touch canary']"
LAUGHS = "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 11))


def _file(name: str, write: Callable[[Path], object], error: str) -> Command:
    """`write` replaces a statistics file that is in order."""

    def prepare(folder: Path) -> list[str]:
        path = folder / "statistics.h5"
        write(path)
        return ["stage=merge", "stage.shards=[statistics.h5]", "stage.output=merged.h5"]

    return Command(name=f"statistics: {name}", prepare=prepare, error=error)


def _changed(name: str, change: Change, error: str) -> Command:
    def write(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return _file(name, write, error)


def _cut(share: float) -> Command:
    def write(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return _file(f"cut short after {share:.1%}", write, UNREADABLE)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    import os

    path.unlink()
    os.mkfifo(path)


def _circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _other(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["numbers"] = [1, 2]


def _attribute(name: str, value: Any) -> Change:
    def change(file: h5py.File) -> None:
        del file.attrs[name]
        file.attrs[name] = value

    return change


def _map_size(value: list[int]) -> Change:
    def change(file: h5py.File) -> None:
        file[f"layers/{LAYER}"].attrs["map_size"] = value

    return change


def _replaced(name: str, values: np.ndarray) -> Change:
    def change(file: h5py.File) -> None:
        group = file[f"layers/{LAYER}/relevance"]
        del group[name]
        group[name] = values

    return change


def _filled_with(name: str, value: float) -> Change:
    def change(file: h5py.File) -> None:
        values = file[f"layers/{LAYER}/relevance/{name}"][()]
        values[:] = value
        _replaced(name, values)(file)

    return change


def _other_concepts(file: h5py.File) -> None:
    values = file[f"layers/{LAYER}/relevance/score"][()]
    _replaced("score", np.concatenate([values, values]))(file)


def _group(file: h5py.File) -> None:
    group = file[f"layers/{LAYER}/relevance"]
    del group["score"]
    group.create_group("score")


def _link(target: Callable[[h5py.File], object]) -> Change:
    def change(file: h5py.File) -> None:
        link = target(file)
        del file[f"layers/{LAYER}/relevance"]
        file[f"layers/{LAYER}/relevance"] = link

    return change


def _declared(file: h5py.File) -> None:
    group = file[f"layers/{LAYER}/relevance"]
    del group["score"]
    group.create_dataset("score", shape=(1 << 20, 1 << 20), dtype=np.float32, chunks=(1, 1 << 18))


def _unknown_layers(file: h5py.File) -> None:
    del file["layer_names"]
    file["layer_names"] = np.array([b"model.0.conv"])


def _part(stem: Path, part: str) -> Path:
    return stem.with_name(f"{stem.name}_{part}.npy")


def _imported(name: str, change: Callable[[Path], object], error: str) -> Command:
    """`change` gets the stem of a layer's files in a folder of zennit-crp that is in order."""

    def prepare(folder: Path) -> list[str]:
        change(folder / "crp" / "RelMax_sum_normed" / LAYER)
        return ["stage=import", "stage.folder=crp"]

    return Command(name=f"zennit-crp: {name}", prepare=prepare, error=error)


def _written(part: str, content: bytes) -> Callable[[Path], object]:
    return lambda stem: _part(stem, part).write_bytes(content)


def _array(part: str, values: np.ndarray) -> Callable[[Path], object]:
    return lambda stem: np.save(_part(stem, part), values, allow_pickle=True)


def _shifted(part: str, by: float) -> Callable[[Path], object]:
    def change(stem: Path) -> None:
        values = np.load(_part(stem, part))
        np.save(_part(stem, part), (values + by).astype(values.dtype))

    return change


def _shortened(stem: Path) -> None:
    path = _part(stem, "data")
    path.write_bytes(path.read_bytes()[:-9])


def _header(stem: Path, header: bytes) -> None:
    padded = header.ljust(117) + b"\n"
    _part(stem, "data").write_bytes(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded)


def _vast(stem: Path) -> None:
    _header(stem, b"{'descr': '<i8', 'fortran_order': False, 'shape': (576460752303423487, 4)}")


def _program_header(stem: Path) -> None:
    _header(stem, b"{'descr': __import__('os').mkdir('canary'), 'fortran_order': False, 'shape': (1, 1)}")


def _not_a_folder(stem: Path) -> None:
    shutil.rmtree(stem.parent.parent)
    stem.parent.parent.write_text("")


def _command_of(overrides: Any) -> str:
    return json.dumps({"command": {"overrides": overrides, "folder": "."}})


def _verified(name: str, text: str | None, error: str) -> Command:
    def prepare(folder: Path) -> list[str]:
        if text is not None:
            (folder / "run").mkdir()
            (folder / "run/provenance.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        return ["stage=verify", "run=run"]

    return Command(name=f"provenance: {name}", prepare=prepare, error=error)
