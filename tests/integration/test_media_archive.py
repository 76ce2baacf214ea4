"""Owns: the tests of archive.list, bombs and tricks included.
Must not know: libarchive."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile

import pytest

FILES = {"readme.txt": b"hello\n", "docs/a.txt": b"a" * 1000, "docs/ünï.bin": bytes(range(256))}


def make_zip(path, files=None, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as z:
        for name, data in (files or FILES).items():
            z.writestr(zipfile.ZipInfo(name, (2020, 5, 17, 12, 0, 0)), data, method)
    return path


def make_tar(path, files=None, mode="w", extra=()):
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as t:
        for name, data in (files or FILES).items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1589716800
            t.addfile(member, io.BytesIO(data))
        for member in extra:
            t.addfile(member)
    return path


def listing(answer):
    assert answer.output.mime_type == "application/json"
    return answer.output.json["entries"]


def listed(helper, path, **arguments):
    answer = helper.run(path, "archive.list", **arguments)
    entries = listing(answer)
    assert answer.result["entries"] == len(entries) == answer.output.info["entries"]
    return answer.result, entries


@pytest.mark.parametrize("kind, compression", [
    ("zip", "none"), ("tar", "none"), ("tar.gz", "gzip"), ("tar.xz", "xz"), ("tar.bz2", "bzip2")])
def test_what_is_in_it(helper, tmp_path, kind, compression):
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        make_zip(path)
    else:
        make_tar(path, mode="w:" + kind.partition(".")[2])
    result, entries = listed(helper, path)
    assert result == {"format": kind[:3], "compression": compression, "entries": 3, "files": 3, "directories": 0, "links": 0,
                      "unpacked_bytes": 1262, "encrypted": False, "suspicious_paths": False, "names": list(FILES)}
    assert [(e["name"], e["kind"], e["size"]) for e in entries] == [(n, "file", len(d)) for n, d in FILES.items()]
    assert all(e["modified_at"].startswith("2020-05-17T") for e in entries)


def test_kinds_of_entries(helper, tmp_path):
    members = []
    for name, kind, target in [("d", tarfile.DIRTYPE, ""), ("s", tarfile.SYMTYPE, "/etc/passwd"), ("h", tarfile.LNKTYPE, "readme.txt"),
                               ("p", tarfile.FIFOTYPE, "")]:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        members.append(member)
    result, entries = listed(helper, make_tar(tmp_path / "k.tar", extra=members))
    assert (result["files"], result["directories"], result["links"]) == (3, 1, 2)
    assert [e["kind"] for e in entries[3:]] == ["directory", "link", "link", "other"]


def test_an_empty_archive(helper, tmp_path):
    with zipfile.ZipFile(tmp_path / "e.zip", "w"):
        pass
    result, entries = listed(helper, tmp_path / "e.zip", declared="application/zip")
    assert entries == [] and result["entries"] == 0


TRICKS = ["/etc/passwd", "../../up.txt", "a/../../b", "C:\\windows\\x", "..\\..\\x", "bell\x07name", "line\nbreak", "\x1b[31mred", "x" * 3000]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("trick", TRICKS)
def test_path_tricks_are_shown_and_cleaned(helper, tmp_path, kind, trick):
    path = tmp_path / f"t.{kind}"
    (make_zip if kind == "zip" else make_tar)(path, {"ok.txt": b"1", trick: b"2"})
    result, entries = listed(helper, path)
    assert len(entries) == 2 and entries[0]["name"] == "ok.txt"
    shown = entries[1]["name"]
    assert shown.isprintable() and len(shown.encode()) <= 1024 and len(result["names"][1].encode()) <= 256
    assert result["suspicious_paths"] is (trick[:1] in "/.aC")
    if "/" in trick:
        assert shown == trick


def test_names_in_no_known_encoding(helper, tmp_path):
    path = make_zip(tmp_path / "n.zip", {"abcdef.txt": b"1"})
    path.write_bytes(path.read_bytes().replace(b"abcdef", b"ab\xff\xfeef"))
    _, entries = listed(helper, path)
    assert entries[0]["name"].startswith("ab") and entries[0]["name"].isprintable()


def test_an_encrypted_entry_is_told(helper, tmp_path):
    data = bytearray(make_zip(tmp_path / "x.zip", {"secret.txt": b"words"}).read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        where = data.index(mark) + at
        data[where:where + 2] = struct.pack("<H", struct.unpack("<H", data[where:where + 2])[0] | 1)
    (tmp_path / "x.zip").write_bytes(data)
    result, entries = listed(helper, tmp_path / "x.zip")
    assert result["encrypted"] is True and entries[0]["encrypted"] is True


def test_a_jar_and_a_document_are_archives(helper, tmp_path):
    path = tmp_path / "b.docx"
    make_zip(path, {"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>"})
    declared = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    result, _ = listed(helper, path, declared=declared)
    assert result["format"] == "zip"


@pytest.mark.parametrize("module, suffix, name", [(gzip, "gz", "gzip"), (lzma, "xz", "xz"), (bz2, "bz2", "bzip2")])
def test_a_single_compressed_file(helper, tmp_path, module, suffix, name):
    path = tmp_path / f"one.txt.{suffix}"
    path.write_bytes(module.compress(b"words\n" * 1000))
    result, entries = listed(helper, path)
    assert (result["format"], result["compression"], result["unpacked_bytes"]) == ("none", name, 6000)
    assert len(entries) == 1


# bombs

def claiming(path, size, count=1):
    """A zip whose directory says that its files are that large."""
    make_zip(path, {f"f{i}": b"x" for i in range(count)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + place:at + place + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    return path


def test_a_zip_that_claims_too_much(helper, tmp_path):
    path = claiming(tmp_path / "b.zip", 3 << 30, 4)
    detail = helper.run(path, "archive.list").failed("archive_bomb")["detail"]
    assert "unpack" in detail


def test_a_zip_with_an_absurd_ratio(helper, tmp_path):
    answer = helper.run(claiming(tmp_path / "r.zip", 1 << 30), "archive.list")
    assert "1000" in answer.failed("archive_bomb")["detail"] and not answer.outputs


def test_a_real_bomb_costs_nothing(helper, tmp_path):
    path = tmp_path / "real.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        with z.open("zeros", "w") as f:
            for _ in range(300):
                f.write(bytes(1 << 20))
    helper.run(path, "archive.list").failed("archive_bomb")


def test_too_many_entries(helper, tmp_path):
    path = make_zip(tmp_path / "m.zip", {f"{i}": b"" for i in range(300)}, zipfile.ZIP_STORED)
    assert listed(helper, path)[0]["entries"] == 300
    detail = helper.run(path, "archive.list", limits={"max_entries": 299}).failed("archive_bomb")["detail"]
    assert "299" in detail
    tar = make_tar(tmp_path / "m.tar", {f"{i}": b"" for i in range(300)})
    helper.run(tar, "archive.list", limits={"max_entries": 299}).failed("archive_bomb")


def test_a_hundred_thousand_entries_are_listed(helper, tmp_path):
    path = make_zip(tmp_path / "m.zip", {f"folder/{i}": b"" for i in range(100_000)}, zipfile.ZIP_STORED)
    result, entries = listed(helper, path)
    assert len(entries) == 100_000 and len(result["names"]) == 100


def test_archives_in_archives_are_entries(helper, tmp_path):
    inner = make_zip(tmp_path / "0.zip", {"zeros": bytes(10 << 20)})
    for level in range(1, 4):
        inner = make_zip(tmp_path / f"{level}.zip", {f"{i}.zip": inner.read_bytes() for i in range(10)})
    result, _ = listed(helper, inner)
    assert result["entries"] == 10


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_bomb_in_a_plain_gz(helper, tmp_path, levels):
    """Also packed several times: libarchive unpacks all of it."""
    path = tmp_path / "b.gz"
    data = gzip.compress(b"a" * (400 << 20), 6)
    for _ in range(levels - 1):
        data = gzip.compress(data, 9)
    path.write_bytes(data)
    helper.run(path, "archive.list").failed("archive_bomb")
    helper.run(path, "archive.list", limits={"max_unpacked_bytes": 1 << 20}).failed("archive_bomb")


@pytest.mark.parametrize("kind", ["gz", "xz", "bz2"])
def test_a_bomb_in_a_compressed_tar(helper, tmp_path, kind):
    path = tmp_path / f"b.tar.{kind}"
    make_tar(path, {"small": b"1", "zeros": bytes(60 << 20)}, mode=f"w:{kind}")
    helper.run(path, "archive.list", limits={"max_unpacked_bytes": 50 << 20}).failed("archive_bomb")


def test_a_tar_entry_that_claims_the_world(helper, tmp_path):
    member = tarfile.TarInfo("huge")
    member.size = 8 << 40
    with open(tmp_path / "h.tar", "wb") as f:
        f.write(member.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    helper.run(tmp_path / "h.tar", "archive.list").failed("archive_bomb")


def test_a_sparse_tar_entry_that_claims_the_world(helper, tmp_path):
    member = tarfile.TarInfo("sparse")
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(8 << 50),
                          "GNU.sparse.map": f"0,512,{4 << 50},512"}
    member.size = 1024
    with open(tmp_path / "s.tar", "wb") as f:
        f.write(member.tobuf(tarfile.PAX_FORMAT) + bytes(1024 + 10240))
    helper.run(tmp_path / "s.tar", "archive.list").failed("archive_bomb")


def test_a_listing_larger_than_allowed(helper, tmp_path):
    path = make_zip(tmp_path / "l.zip", {f"{i:0200}": b"" for i in range(200)}, zipfile.ZIP_STORED)
    answer = helper.run(path, "archive.list", limits={"max_output_bytes": 10_000})
    answer.failed("output_too_large")


# damage

@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz", "tar"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.85])
def test_cut_off(helper, tmp_path, kind, part):
    import random

    files = {f"{i}.bin": random.Random(i).randbytes(4000) for i in range(20)}
    path = tmp_path / f"c.{kind}"
    if kind == "zip":
        make_zip(path, files)
    else:
        make_tar(path, files, mode="w:" + kind.partition(".")[2])
    data = path.read_bytes()
    path.write_bytes(data[:int(len(data) * part)])
    answer = helper.run(path, "archive.list")
    answer.failed("media_damaged")
    assert not answer.outputs


@pytest.mark.parametrize("kind, first", [("docx", "word/document.xml"), ("xlsx", "xl/workbook.xml")])
def test_a_cut_off_document_is_damaged(helper, tmp_path, kind, first):
    """libmagic knows from its first entries that it is no mere zip."""
    path = make_zip(tmp_path / f"d.{kind}", {"[Content_Types].xml": b"<Types/>" * 9, "_rels/.rels": b"<r/>", first: b"<w/>" * 900})
    path.write_bytes(path.read_bytes()[:-30])
    declared = helper.run(path, "file.type").result["mime_type"]
    assert declared.startswith("application/vnd.openxml")
    helper.run(path, "archive.list", declared=declared).failed("media_damaged")


def test_links_in_a_zip(helper, tmp_path):
    path = tmp_path / "l.zip"
    with zipfile.ZipFile(path, "w") as z:
        link = zipfile.ZipInfo("link")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        z.writestr(link, "/etc/passwd")
    result, entries = listed(helper, path)
    assert result["links"] == 1 and entries[0]["kind"] == "link"
