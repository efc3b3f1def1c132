import hashlib
import io
import logging
import zipfile
from pathlib import Path

import pytest
from file_server import FileServer

from lcrp.data.published import ARCHIVES, Archive
from lcrp.errors import DataError
from lcrp.runs.run import Run
from lcrp.stages.download import DownloadSettings, download

NAME = "val2017.zip"
PICTURES = {f"val2017/{number}.jpg": bytes([number]) * 5000 for number in range(3)}


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


CONTENT = zipped({**PICTURES, "train2017/9.jpg": b"not wanted"})
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    publish(monkeypatch, MD5)
    with FileServer(files={NAME: CONTENT}) as running:
        yield running


def publish(monkeypatch, md5):
    archive = Archive(url=f"http://nowhere.invalid/{NAME}", size="15 kB", contents={"val2017": 3}, md5=md5)
    monkeypatch.setitem(ARCHIVES, "coco2017", (archive,))


@pytest.fixture
def fetch(server, tmp_path):
    def run(dataset="coco2017", keep=False, root=tmp_path / "coco"):
        settings = DownloadSettings(dataset=dataset, root=root, url_base=server.url, keep_archives=keep)
        return download(settings, Run(folder=tmp_path, output_root=tmp_path / "outputs"))

    return run


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_dataset_is_fetched_and_unpacked_and_nothing_else_remains(fetch, server, tmp_path):
    assert fetch() == [tmp_path / "coco"]
    assert files_in(tmp_path / "coco") == PICTURES  # nor val2017.zip, nor its train2017
    assert [path.name for path in (tmp_path / "coco").iterdir()] == ["val2017"]
    assert server.requests == [(NAME, None)]


def test_what_is_there_is_not_fetched_again(fetch, server, caplog):
    fetch()
    with caplog.at_level(logging.INFO):
        fetch()
    assert len(server.requests) == 1
    assert "coco/val2017 is there already" in caplog.text


def test_a_folder_that_lacks_a_picture_is_completed(fetch, tmp_path):
    fetch()
    (tmp_path / "coco/val2017/1.jpg").unlink()
    (tmp_path / "coco/val2017/0.jpg").write_bytes(b"cut off")
    fetch()
    assert files_in(tmp_path / "coco") == PICTURES


def test_a_transfer_goes_on_where_it_broke_off(fetch, server, tmp_path):
    server.breaks_after = 6000
    with pytest.raises(DataError, match=r"/mirror/val2017\.zip broke off beyond .* MB of .*; run the command again"):
        fetch()
    assert (tmp_path / "coco/val2017.zip.part").read_bytes() == CONTENT[:6000]
    fetch()
    assert server.requests == [(NAME, None), (NAME, "bytes=5999-")]
    assert files_in(tmp_path / "coco") == PICTURES


def test_a_server_without_ranges_sends_all_of_it(fetch, server, tmp_path):
    server.ranges = False
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco/val2017.zip.part").write_bytes(CONTENT[:6000])
    fetch()
    assert files_in(tmp_path / "coco") == PICTURES


@pytest.mark.parametrize("part", [CONTENT, CONTENT + b"more", b"", CONTENT[:1]], ids=["all", "more", "none", "one"])
def test_whatever_an_earlier_try_left_the_file_gets_whole(fetch, tmp_path, part):
    """A complete part asks for no bytes, which servers answer by an error."""
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco/val2017.zip.part").write_bytes(part)
    fetch()
    assert files_in(tmp_path / "coco") == PICTURES


def test_a_wrong_checksum_names_both_and_removes_the_file(fetch, server, tmp_path):
    server.files[NAME] = b"<html>moved</html>"
    found = hashlib.md5(server.files[NAME]).hexdigest()
    with pytest.raises(DataError, match=f"its md5 is {found}, not {MD5}; it is deleted"):
        fetch()
    assert files_in(tmp_path / "coco") == {}


def test_without_a_published_checksum_the_archive_itself_is_checked(fetch, server, monkeypatch, tmp_path):
    publish(monkeypatch, None)
    server.files[NAME] = CONTENT.replace(b"\x01" * 5000, b"\x01" * 4999 + b"\x02")
    with pytest.raises(DataError, match=r"val2017\.zip cannot be unpacked \(Bad CRC-32.*; delete it"):
        fetch()
    (tmp_path / "coco" / NAME).unlink()
    server.files[NAME] = CONTENT
    fetch()
    assert files_in(tmp_path / "coco") == PICTURES


def test_archives_can_be_kept(fetch, tmp_path):
    fetch(keep=True)
    assert files_in(tmp_path / "coco") == {**PICTURES, NAME: CONTENT}


def test_an_archive_that_is_there_is_taken_if_it_is_the_published_one(fetch, server, tmp_path):
    """A user's own file is never deleted."""
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco" / NAME).write_bytes(b"something else")
    with pytest.raises(DataError, match=f"coco/val2017.zip is not the published val2017.zip: its md5 is .*, not {MD5}"):
        fetch()
    assert files_in(tmp_path / "coco") == {NAME: b"something else"}
    (tmp_path / "coco" / NAME).write_bytes(CONTENT)
    fetch()
    assert server.requests == []
    assert files_in(tmp_path / "coco") == PICTURES


def test_an_archive_without_all_pictures_is_not_enough(fetch, server, monkeypatch):
    publish(monkeypatch, None)
    server.files[NAME] = zipped({"val2017/0.jpg": b"0"})
    with pytest.raises(DataError, match=r"val2017\.zip holds only 1 of 3 files of val2017"):
        fetch()


def test_what_the_server_refuses_is_named(fetch, server, tmp_path):
    server.files.clear()
    with pytest.raises(DataError, match=rf"^{server.url}/val2017\.zip answers 404 Not Found; .* stage\.url_base"):
        fetch()
    assert files_in(tmp_path / "coco") == {}


def test_no_network_is_one_line(monkeypatch, tmp_path):
    publish(monkeypatch, MD5)
    with FileServer() as gone:
        url = gone.url
    settings = DownloadSettings(dataset="coco2017", root=tmp_path, url_base=url, keep_archives=False)
    with pytest.raises(DataError, match=r"val2017\.zip could not be fetched: Connection refused; run the command"):
        download(settings, Run(folder=tmp_path, output_root=tmp_path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_one_line(fetch, tmp_path):
    (tmp_path / "coco").mkdir()
    (tmp_path / "coco/val2017.zip.part").symlink_to("/dev/full")
    with pytest.raises(DataError, match=r"val2017\.zip could not be fetched: No space left on device; run"):
        fetch()


def test_a_folder_that_cannot_be_made_is_one_line(fetch, tmp_path):
    (tmp_path / "coco").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"coco cannot be made: File exists; set dataset\.root"):
        fetch()


def test_an_account_is_said_to_be_needed(fetch, tmp_path):
    with pytest.raises(DataError, match=rf"register at https://www\.cityscapes.*gtFine.* into {tmp_path}/coco$"):
        fetch(dataset="cityscapes")


def test_other_datasets_have_nothing_to_download(fetch, server, caplog):
    with caplog.at_level(logging.INFO):
        assert fetch(dataset="scenes", root=None) == []
        assert fetch(dataset="mine") == []
    assert "'scenes' has nothing to download; public ones are coco2017, coco2014, voc2012" in caplog.text
    assert "'mine' has nothing to download" in caplog.text
    assert server.requests == []
