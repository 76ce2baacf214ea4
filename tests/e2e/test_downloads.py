"""Owns: downloads: ranges, entity tags, and headers that keep a browser from running what somebody uploaded."""

import re
import urllib.parse

import pytest

from api import UNKNOWN, ask, check_problem, content, get, upload, wait_for_job
from raw_http import exchange, request

DATA = b"0123456789abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\n" * 1600


@pytest.fixture(scope="module")
def file_id(shared_daemon):
    done = upload(shared_daemon, DATA, "letters.txt")
    wait_for_job(shared_daemon, done["processing_job_id"])  # afterwards its detected type is known
    return done["file_id"]


def fetch(server, file_id, method="GET", **headers):
    return ask(server, method, f"/v1/files/{file_id}/content",
               headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_a_whole_download_says_what_it_is(server, file_id):
    reply = fetch(server, file_id)
    assert reply.status_code == 200 and reply.content == DATA
    assert reply.headers["Content-Length"] == str(len(DATA)) and reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["Content-Type"] == "text/plain" and reply.headers["ETag"].startswith('"')
    head = fetch(server, file_id, "HEAD")
    assert head.status_code == 200 and head.content == b""
    for name in ("Content-Length", "ETag", "Content-Type", "Content-Disposition", "Content-Security-Policy"):
        assert head.headers[name] == reply.headers[name]


@pytest.mark.parametrize("wanted, first, last", [
    ("bytes=0-0", 0, 0), ("bytes=10-19", 10, 19), ("bytes=102390-", 102390, 102399), ("bytes=-5", 102395, 102399),
    ("bytes=0-999999999999", 0, 102399), ("bytes=-999999999", 0, 102399), ("bytes = 1-2", 1, 2), ("BYTES=1-2", 1, 2),
    ("bytes=1-99999999999999999999999", 1, 102399)])
def test_one_range_is_answered_with_206(server, file_id, wanted, first, last):
    reply = fetch(server, file_id, Range=wanted)
    assert reply.status_code == 206 and reply.content == DATA[first:last + 1]
    assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert reply.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("wanted", ["bytes=102400-", "bytes=999999999-", "bytes=-0", "bytes=99999999999999999999999-"])
def test_a_range_behind_the_end_is_416(server, file_id, wanted):
    reply = fetch(server, file_id, Range=wanted)
    check_problem(reply, 416, "range_not_satisfiable")
    assert reply.headers["Content-Range"] == f"bytes */{len(DATA)}"


@pytest.mark.parametrize("wanted", ["bytes=5-4", "bytes=a-b", "bytes=", "bytes=-", "lines=1-2", "bytes=1-2,4-5", "bytes=--1", "",
                                    "bytes=1-2x"])
def test_what_is_no_single_range_is_ignored(server, file_id, wanted):
    reply = fetch(server, file_id, Range=wanted)
    assert reply.status_code == 200 and reply.content == DATA


def test_if_range_guards_a_range(server, file_id):
    etag = fetch(server, file_id).headers["ETag"]
    assert fetch(server, file_id, Range="bytes=0-1", If_Range=etag).status_code == 206
    for other in ('"other"', "W/" + etag, "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert fetch(server, file_id, Range="bytes=0-1", If_Range=other).status_code == 200


def test_if_none_match_saves_the_bytes(server, file_id):
    etag = fetch(server, file_id).headers["ETag"]
    for same in (etag, "W/" + etag, f'"a", {etag}', "*"):
        reply = fetch(server, file_id, If_None_Match=same)
        assert reply.status_code == 304 and reply.content == b"" and reply.headers["ETag"] == etag
    assert fetch(server, file_id, "HEAD", If_None_Match=etag).status_code == 304
    assert fetch(server, file_id, If_None_Match=etag, Range="bytes=0-1").status_code == 304
    for other in ('"other"', etag.strip('"'), ""):
        assert fetch(server, file_id, If_None_Match=other).status_code == 200


def test_a_range_of_an_empty_file(server):
    empty = upload(server, b"")["file_id"]
    assert fetch(server, empty).content == b""
    check_problem(fetch(server, empty, Range="bytes=0-"), 416, "range_not_satisfiable")
    check_problem(fetch(server, empty, Range="bytes=-1"), 416, "range_not_satisfiable")


def test_a_resumed_download_is_whole(server, file_id):
    parts = b""
    while len(parts) < len(DATA):
        parts += fetch(server, file_id, Range=f"bytes={len(parts)}-{len(parts) + 30000}").content
    assert parts == DATA


def test_unknown_files_are_not_found(server):
    for path in ("", "/content", "/derivatives"):
        check_problem(ask(server, "GET", f"/v1/files/{UNKNOWN}{path}"), 404, "file_not_found")
        check_problem(ask(server, "GET", f"/v1/files/nonsense{path}"), 404, "file_not_found")
    check_problem(ask(server, "DELETE", f"/v1/files/{UNKNOWN}"), 404, "file_not_found")
    check_problem(ask(server, "POST", f"/v1/files/{UNKNOWN}/jobs", json={}), 404, "file_not_found")


# ---- what a browser makes of it ----


@pytest.mark.parametrize("name", ["plain.txt", "two words.txt", 'quote"d.txt', "semi;colon.txt", "per%41cent.txt", "Ærøskøbing €.txt",
                                  "日本語.txt", "😀.txt", "back`tick'.txt", "x" * 250 + ".txt", "a=b, c.txt", "é" * 255])
def test_every_name_comes_back_and_can_break_no_header(server, name):
    file_id = upload(server, b"x", name)["file_id"]
    disposition = fetch(server, file_id).headers["Content-Disposition"]
    match = re.fullmatch(r"""(inline|attachment); filename="([ !#$&-:<-\[\]-~]*)"; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+)""",
                         disposition)
    assert match, disposition
    assert urllib.parse.unquote(match.group(3)) == name
    assert get(server, f"/v1/files/{file_id}")["filename"] == name


def test_a_name_can_not_add_a_header(server):
    for name in ("a\r\nSet-Cookie: x=y", "a\nb", "a\x7fb", "a\u2028b"):
        reply = ask(server, "POST", "/v1/uploads/initiate", json={"filename": name, "size": 0, "mime_type": "text/plain"})
        if name != "a\u2028b":
            check_problem(reply, 422, "filename_invalid")


@pytest.mark.daemon_options("--allowed-mime-types", "*")
def test_active_content_is_a_download_without_rights(daemon):
    page = b"<html><script>alert(1)</script></html>"
    vector = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for data, name, mime_type in ((page, "a.html", "text/html"), (vector, "a.svg", "image/svg+xml"), (page, "a.xml", "text/xml"),
                                  (page, "a.xhtml", "application/xhtml+xml"), (b"alert(1)", "a.js", "text/javascript"),
                                  (page, "a", "application/octet-stream"), (page, "a.mhtml", "multipart/related")):
        reply = fetch(daemon, upload(daemon, data, name, mime_type)["file_id"])
        assert reply.status_code == 200 and reply.content == data
        assert reply.headers["Content-Disposition"].startswith("attachment;"), mime_type
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in reply.headers["Content-Security-Policy"] and "default-src 'none'" in reply.headers[
            "Content-Security-Policy"]
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_harmless_types_are_shown_in_place(server, file_id):
    reply = fetch(server, file_id)
    assert reply.headers["Content-Disposition"].startswith("inline;") and reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in reply.headers["Content-Security-Policy"] and reply.headers["Cache-Control"].startswith("private")


def test_a_page_that_calls_itself_text_is_a_download_once_its_bytes_were_looked_at(server):
    page = b"<!DOCTYPE html>\n<html><head><title>x</title></head><body><script>alert(1)</script></body></html>\n"
    done = upload(server, page, "page.txt", "text/plain")
    wait_for_job(server, done["processing_job_id"])
    assert get(server, f"/v1/files/{done['file_id']}")["detected_mime_type"] == "text/html"
    reply = fetch(server, done["file_id"])
    assert reply.headers["Content-Type"] == "text/plain" and reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Content-Disposition"].startswith("attachment;")


def test_a_strange_head_does_not_break_a_download(server, file_id):
    reply = exchange(server, request("GET", f"/v1/files/{file_id}/content", "Range: bytes=0-1", "Range: bytes=2-3"))
    assert reply.status_code in (200, 206)
    reply = exchange(server, request("GET", f"/v1/files/{file_id}/content", "Range: bytes=0-1", version="1.0"))
    assert reply.status_code == 206 and content(server, file_id) == DATA
