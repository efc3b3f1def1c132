import io
import tarfile
import zipfile

import pytest

from lcrp.data.fetch import lacking, unpack
from lcrp.data.published import ARCHIVES, Archive, missing, source
from lcrp.errors import DataError

TAR = pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="this Python unpacks no tar file (3.11.4 does)")


def archive(name):
    return Archive(url=f"http://nowhere.invalid/{name}", size="1 kB", contents={"data/pictures": 2, "data/list.txt": 1})


FILES = {"data/pictures/a.jpg": b"a", "data/pictures/b.jpg": b"b", "data/list.txt": b"a b", "data/else/c.jpg": b"c"}


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)


def write_tar(path, files, links=()):
    with tarfile.open(path, "w") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            opened.addfile(member)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.mark.parametrize(("name", "write"), [("data.zip", write_zip), pytest.param("data.tar", write_tar, marks=TAR)])
def test_only_what_is_needed_is_unpacked(folder, name, write):
    write(folder / name, FILES)
    assert lacking(archive(name), folder) == {"data/pictures": 0, "data/list.txt": 0}
    unpack(folder / name, archive(name), folder)
    assert lacking(archive(name), folder) == {}
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {name, *FILES} - {"data/else/c.jpg"}


@pytest.mark.parametrize(
    "member", ["../evil.txt", "data/pictures/../../../evil.txt", "/evil.txt", "data\\..\\evil.txt"]
)
def test_members_of_a_zip_that_lead_outside_are_refused(folder, member):
    write_zip(folder / "data.zip", {**FILES, member: b"evil"})
    with pytest.raises(DataError, match=r"data\.zip cannot be unpacked \(its member '.*evil\.txt' leads outside\)"):
        unpack(folder / "data.zip", archive("data.zip"), folder)
    assert [path.name for path in folder.iterdir()] == ["data.zip"]


@TAR
@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({"data/pictures/../../../evil.txt": b"evil"}, ()),
        ({}, [("data/pictures/link", "/etc/passwd")]),
        ({}, [("data/pictures/link", "../../../../secret")]),
    ],
)
def test_members_of_a_tar_that_lead_outside_are_refused(folder, files, links):
    write_tar(folder / "data.tar", {**FILES, **files}, links)
    with pytest.raises(DataError, match=r"data\.tar cannot be unpacked \(.*(outside|absolute)"):
        unpack(folder / "data.tar", archive("data.tar"), folder)
    assert [path.name for path in folder.iterdir()] == ["data.tar"]


def test_a_python_that_cannot_unpack_safely_keeps_the_archive(folder, monkeypatch):
    """Nothing is wrong with the file: it must not be called damaged."""
    write_tar(folder / "data.tar", FILES)
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with pytest.raises(DataError, match=r"data\.tar is kept, but Python unpacks .* 3\.11\.4 .*use a newer Python$"):
        unpack(folder / "data.tar", archive("data.tar"), folder)
    assert [path.name for path in folder.iterdir()] == ["data.tar"]


@pytest.mark.parametrize("name", ["data.zip", pytest.param("data.tar", marks=TAR)])
def test_a_file_that_is_no_archive_is_refused(folder, name):
    (folder / name).write_bytes(b"<html>moved</html>" * 100)
    with pytest.raises(DataError, match=rf"{name} cannot be unpacked \(.*; delete it and fetch it again"):
        unpack(folder / name, archive(name), folder)


def test_published_archives_have_names_and_addresses():
    for archives in ARCHIVES.values():
        for one in archives:
            assert one.url.startswith("http")
            assert one.file_name.endswith((".zip", ".tar"))
            assert one.md5 is None or len(one.md5) == 32
    assert [one.md5 for one in ARCHIVES["coco2014"]].count(None) == 1  # sources disagree on that of the annotations


def test_what_is_missing_comes_with_address_and_command(folder):
    assert source("coco2014", "val2014/a.jpg") == "http://images.cocodataset.org/zips/val2014.zip (6.7 GB)"
    assert source("coco2014", "val2014a") is None
    assert "'lcrp stage=download dataset=voc2012 dataset.root=" in str(
        missing("voc2012", folder, "VOCdevkit/VOC2012/JPEGImages")
    )
    assert "put it there, or set dataset.root to the folder that holds it" in str(missing("mine", folder, "val2017"))
    assert "coco_minival2014.tar.gz" in str(missing("coco2014", folder, "annotations/instances_minival2014.json"))
