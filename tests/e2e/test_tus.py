"""Owns: the promises of the tus door: every MUST of tus 1.0.0 that it advertises, broken connections, crashes.
Must not know: how the engine keeps bytes."""

import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time

import pytest

from api import (UNKNOWN, ask, check_problem, complete, content, get, initiate, send_chunk, status, try_chunk, wait_for_job,
                 wait_until)
from event_source import EventSource
from media_files import PHOTOS
from raw_http import Connection, exchange, request
from tus import TYPE, append, call, checksum, create, head, metadata, offset, patch, upload_id
from watcher import Watcher

CHUNK = 64 * 1024
ROUNDS = 100 if os.environ.get("FILEPROC_SLOW") == "yes" else 12
DATA = random.Random(1).randbytes(150 * 1024).hex().encode()


def file_of(daemon, path):
    """What the upload has become."""
    upload = status(daemon, upload_id(path))
    assert upload["status"] == "completed", upload
    return get(daemon, f"/v1/files/{upload['file_id']}"), upload


def check_completed(daemon, path, data):
    file, upload = file_of(daemon, path)
    assert content(daemon, file["id"]) == data
    if file["sha256"] is not None:
        assert file["sha256"] == hashlib.sha256(data).hexdigest()
    return upload


# ---- core

def test_options_tell_what_there_is_to_anybody(server):
    for path in ("/v1/tus", f"/v1/tus/{UNKNOWN}"):
        for headers in ({}, {"Tus-Resumable": "0.2.2"}):
            reply = ask(server, "OPTIONS", path, headers=headers)
            assert reply.status_code == 204
            assert reply.headers["Tus-Version"] == "1.0.0" and reply.headers["Tus-Resumable"] == "1.0.0"
            assert int(reply.headers["Tus-Max-Size"]) > 0
            assert reply.headers["Tus-Extension"].split(",") == [
                "creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum", "termination",
                "checksum-trailer", "concatenation", "concatenation-unfinished"]
            assert reply.headers["Tus-Checksum-Algorithm"].split(",") == ["sha1", "sha256", "md5", "crc32c"]


def test_an_upload_of_unknown_length_is_at_0_percent(daemon):
    path = create(daemon)
    append(daemon, path, 0, b"x" * 1000)
    with Watcher(daemon.url.replace("http", "ws") + f"/v1/uploads/{upload_id(path)}/progress") as socket_:
        assert json.loads(socket_.recv())["percentage"] == 0
    with EventSource(daemon, f"/v1/uploads/{upload_id(path)}/events") as stream:
        assert stream.event()[1]["percentage"] == 0
    assert status(daemon, upload_id(path))["percentage"] == 0


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1", "1.0.0, 1.0.0", ""])
def test_other_versions_are_not_processed(server, version):
    path = create(server, 10)
    for method, where in (("POST", "/v1/tus"), ("HEAD", path), ("PATCH", path), ("DELETE", path)):
        reply = call(server, method, where, {"Tus-Resumable": version, "Upload-Length": "5", "Upload-Offset": "0",
                                             "Content-Type": TYPE}, data=b"x" if method == "PATCH" else None)
        assert reply.status_code == 412 and reply.headers["Tus-Version"] == "1.0.0"
        assert method == "HEAD" or "1.0.0" in reply.json()["detail"]
        assert "Location" not in reply.headers and "Upload-Offset" not in reply.headers
    assert offset(server, path) == 0


def test_an_upload_in_pieces_becomes_a_file_with_a_job(server):
    path = create(server, len(DATA), headers={"Upload-Metadata": metadata(filename="ä.txt", user_id="somebody", colour="red")})
    at = 0
    for size in (1, 999, 70000, len(DATA)):
        assert offset(server, path) == at
        at = append(server, path, at, DATA[at:at + size])
    assert at == len(DATA)
    upload = check_completed(server, path, DATA)
    assert upload["filename"] == "ä.txt" and upload["user_id"] == "somebody" and upload["metadata"] == {"colour": "red"}
    assert wait_for_job(server, upload["processing_job_id"])["state"] == "succeeded"
    headers = head(server, path)
    assert headers["Upload-Offset"] == headers["Upload-Length"] == str(len(DATA))
    assert "Upload-Expires" not in headers


def test_head_tells_offset_length_and_metadata_as_they_came(server):
    given = "filename YS50eHQ=,empty,filetype dGV4dC9wbGFpbg==,raw //4="
    path = create(server, 100, headers={"Upload-Metadata": given})
    headers = head(server, path)
    assert headers["Upload-Offset"] == "0" and headers["Upload-Length"] == "100"
    assert headers["Upload-Metadata"] == given
    assert "Upload-Defer-Length" not in headers


@pytest.mark.parametrize("path", [f"/v1/tus/{UNKNOWN}", "/v1/tus/nonsense"])
def test_what_is_not_there_has_no_offset(server, path):
    for method in ("HEAD", "PATCH", "DELETE"):
        reply = call(server, method, path, {"Upload-Offset": "0", "Content-Type": TYPE})
        assert reply.status_code == 404 and "Upload-Offset" not in reply.headers


def test_another_offset_is_a_conflict_and_changes_nothing(server):
    path = create(server, 100)
    append(server, path, 0, b"x" * 40)
    for wrong in (0, 39, 41, 100, 101, 2 ** 62):
        check_problem(patch(server, path, wrong, b"y"), 409, "offset_mismatch")
    assert offset(server, path) == 40


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "0x1", "1 2", "nonsense"])
def test_numbers_are_numbers(server, value):
    path = create(server, 100)
    check_problem(call(server, "PATCH", path, {"Content-Type": TYPE, "Upload-Offset": value}, data=b"x"), 400)
    check_problem(call(server, "POST", "/v1/tus", {"Upload-Length": value, "Upload-Metadata": metadata()}), 400)
    assert offset(server, path) == 0


ONCE = {
    "POST": ("Tus-Resumable: 1.0.0", "Upload-Length: 5", "Upload-Metadata: a YQ==", "Upload-Concat: partial"),
    "PATCH": ("Tus-Resumable: 1.0.0", "Upload-Offset: 0", "Upload-Length: 5", f"Upload-Checksum: {checksum(b'hello')}",
              "X-HTTP-Method-Override: PATCH"),
}
DEFERRED = ("Tus-Resumable: 1.0.0", "Upload-Defer-Length: 1", f"Upload-Metadata: {metadata()}")


def exact(daemon, method, path, lines):
    return exchange(daemon, request(method, path, *lines, f"Content-Type: {TYPE}", "Content-Length: 5", body=b"hello"))


def check_repeated(daemon, method, path, lines, name):
    reply = exact(daemon, method, path, lines)
    assert name in check_problem(reply, 400, "header_repeated")["detail"]
    assert reply.headers["Tus-Resumable"] == "1.0.0"


@pytest.mark.parametrize("method, lines, i", [(method, lines, i) for method, lines in [*ONCE.items(), ("POST", DEFERRED)]
                                              for i in range(len(lines))])
def test_headers_that_stand_twice_are_refused(server, method, lines, i):
    """Also when they say the same: nobody knows which of them was meant."""
    path = create(server, 5) if method == "PATCH" else "/v1/tus"
    name = lines[i].split(":")[0]
    check_repeated(server, method, path, [*lines, lines[i]], name)
    check_repeated(server, method, path, [*lines, f"{name.lower()}: 7"], name)
    if method == "PATCH":
        assert offset(server, path) == 0


def test_headers_that_stand_once_are_taken(server):
    assert exact(server, "POST", "/v1/tus", ONCE["POST"]).status_code == 201
    assert exact(server, "POST", "/v1/tus", DEFERRED).status_code == 201
    assert exact(server, "PATCH", create(server, 5), ONCE["PATCH"]).status_code == 204


def test_offset_and_type_are_needed(server):
    path = create(server, 100)
    check_problem(call(server, "PATCH", path, {"Content-Type": TYPE}, data=b"x"), 400)
    for wrong in (None, "application/octet-stream", "text/plain"):
        check_problem(call(server, "PATCH", path, {"Content-Type": wrong, "Upload-Offset": "0"}, data=b"x"), 415)
    assert offset(server, path) == 0


def test_bytes_beyond_the_length_are_refused_and_nothing_is_kept(server):
    path = create(server, 100)
    append(server, path, 0, b"x" * 40)
    check_problem(patch(server, path, 40, b"y" * 61), 413)
    check_problem(patch(server, path, 40, iter([b"y" * 30, b"y" * 31])), 413)  # chunked: nobody knows before
    assert offset(server, path) == 40
    assert append(server, path, 40, iter([b"y" * 30, b"y" * 30])) == 100
    check_completed(server, path, b"x" * 40 + b"y" * 60)


def test_empty_patch_is_none(server):
    path = create(server, 10)
    assert append(server, path, 0, b"") == 0
    append(server, path, 0, b"x" * 10)
    assert append(server, path, 10, b"") == 10
    check_problem(patch(server, path, 10, b"x"), 409, "upload_completed")


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_method_override_is_the_method(server, method):
    path = create(server, 10)
    headers = {"X-HTTP-Method-Override": "PATCH", "Content-Type": TYPE, "Upload-Offset": "0"}
    reply = call(server, method, path, headers, data=b"x" * 5)
    assert reply.status_code == 204 and reply.headers["Upload-Offset"] == "5"
    reply = call(server, method, path, {"X-HTTP-Method-Override": "HEAD"})
    assert reply.status_code == 200 and reply.headers["Upload-Offset"] == "5"
    reply = call(server, method, path, {"X-HTTP-Method-Override": "DELETE"})
    assert reply.status_code == 204
    check_problem(call(server, "PATCH", path, {"X-HTTP-Method-Override": "GET"}), 405)


# ---- creation

def test_location_is_relative_and_the_id_can_not_be_guessed(server):
    paths = {create(server, 10) for _ in range(20)}
    assert len(paths) == 20 and all(path.startswith("/v1/tus/") for path in paths)


def test_an_empty_upload_is_complete_at_once(server):
    path = create(server, 0)
    check_completed(server, path, b"")
    assert offset(server, path) == 0


@pytest.mark.parametrize("headers", [{}, {"Upload-Length": "5", "Upload-Defer-Length": "1"}, {"Upload-Defer-Length": "0"},
                                     {"Upload-Defer-Length": "true"}])
def test_length_or_its_deferral_is_needed(server, headers):
    check_problem(call(server, "POST", "/v1/tus", {"Upload-Metadata": metadata(), **headers}), 400)


def test_what_is_too_large_is_refused_at_once(server):
    limit = int(ask(server, "OPTIONS", "/v1/tus").headers["Tus-Max-Size"])
    for size in (limit + 1, 2 ** 63, 10 ** 30):
        check_problem(call(server, "POST", "/v1/tus", {"Upload-Length": str(size), "Upload-Metadata": metadata()}), 413,
                      "size_too_large")


@pytest.mark.parametrize("value", [",", "a b c", "filename", "filename YQ==,filename YQ==", "filename Y", "ä YQ==".encode()])
def test_metadata_is_read_strictly(server, value):
    if value == "filename":  # an empty value: no name
        assert call(server, "POST", "/v1/tus", {"Upload-Length": "1", "Upload-Metadata": "filename,filetype dGV4dC9wbGFpbg=="}
                    ).status_code == 201
    else:
        check_problem(call(server, "POST", "/v1/tus", {"Upload-Length": "1", "Upload-Metadata": value}), 400, "metadata_invalid")


def test_limits_are_those_of_the_other_door(server):
    for header, code in ((metadata(filetype="application/x-evil"), "type_not_allowed"), (None, "type_not_allowed")):
        check_problem(call(server, "POST", "/v1/tus", {"Upload-Length": "1", "Upload-Metadata": header}), 415, code)
    check_problem(call(server, "POST", "/v1/tus", {"Upload-Length": "1", "Upload-Metadata": metadata(filename="..")}), 422,
                  "filename_invalid")
    check_problem(call(server, "POST", "/v1/tus", {"Upload-Length": "1", "Upload-Metadata": "k " + "YWFh" * 2000}), 431)


# ---- creation-with-upload

def test_first_bytes_come_with_the_creation(server):
    reply = call(server, "POST", "/v1/tus", {"Upload-Length": "10", "Upload-Metadata": metadata(), "Content-Type": TYPE},
                 data=b"x" * 4)
    assert reply.status_code == 201 and reply.headers["Upload-Offset"] == "4" and reply.headers["Upload-Expires"]
    append(server, reply.headers["Location"], 4, b"y" * 6)
    check_completed(server, reply.headers["Location"], b"xxxxyyyyyy")
    path = create(server, len(DATA), DATA)
    check_completed(server, path, DATA)


def test_creation_with_upload_has_the_rules_of_patch(server):
    headers = {"Upload-Length": "10", "Upload-Metadata": metadata(), "Content-Type": TYPE}
    check_problem(call(server, "POST", "/v1/tus", {**headers, "Content-Type": "text/plain"}, data=b"x"), 415)
    check_problem(call(server, "POST", "/v1/tus", headers, data=b"x" * 11), 413)
    reply = call(server, "POST", "/v1/tus", {**headers, "Upload-Checksum": checksum(b"other")}, data=b"x" * 10)
    check_problem(reply, 460)
    assert offset(server, reply.headers["Location"]) == 0  # it is there, and empty


def test_expect_100_continue_is_answered(server):
    with Connection(server) as connection:
        connection.send(request("POST", "/v1/tus", "Tus-Resumable: 1.0.0", "Upload-Length: 5", f"Content-Type: {TYPE}",
                                f"Upload-Metadata: {metadata()}", "Content-Length: 5", "Expect: 100-continue"))
        assert connection.line() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"hello")
        reply = connection.reply()
        assert reply.status_code == 201 and reply.headers["Upload-Offset"] == "5"


# ---- creation-defer-length

def test_length_can_come_later_and_once(server):
    path = create(server)
    headers = head(server, path)
    assert headers["Upload-Defer-Length"] == "1" and "Upload-Length" not in headers
    append(server, path, 0, b"x" * 40)
    assert status(server, upload_id(path))["size"] is None
    check_problem(patch(server, path, 40, b"y", {"Upload-Length": "39"}), 400, "length_invalid")
    check_problem(patch(server, path, 39, b"y", {"Upload-Length": "50"}), 409)
    assert "Upload-Defer-Length" in head(server, path)
    append(server, path, 40, b"y", {"Upload-Length": "50"})
    headers = head(server, path)
    assert headers["Upload-Length"] == "50" and "Upload-Defer-Length" not in headers
    check_problem(patch(server, path, 41, b"y", {"Upload-Length": "51"}), 400, "length_invalid")
    append(server, path, 41, b"y" * 9, {"Upload-Length": "50"})
    check_completed(server, path, b"x" * 40 + b"y" * 10)


def test_length_that_is_reached_completes(server):
    path = create(server)
    append(server, path, 0, b"x" * 40)
    append(server, path, 40, b"", {"Upload-Length": "40"})
    check_completed(server, path, b"x" * 40)


# ---- expiration and termination

def test_answers_tell_when_an_upload_expires(server):
    reply = call(server, "POST", "/v1/tus", {"Upload-Length": "10", "Upload-Metadata": metadata()})
    path = reply.headers["Location"]
    for value in (reply.headers["Upload-Expires"], patch(server, path, 0, b"x").headers["Upload-Expires"],
                  head(server, path)["Upload-Expires"]):
        assert time.strptime(value, "%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.daemon_options("--session-timeout", "1s")
def test_expired_uploads_are_gone(daemon):
    path = create(daemon, 10)
    append(daemon, path, 0, b"x")
    time.sleep(1.2)
    for method in ("HEAD", "PATCH", "DELETE"):
        reply = call(daemon, method, path, {"Content-Type": TYPE, "Upload-Offset": "1"})
        assert reply.status_code == 410 and "Upload-Offset" not in reply.headers


def test_termination_frees_and_forgets(server):
    path = create(server, 10)
    append(server, path, 0, b"x")
    assert call(server, "DELETE", path).status_code == 204
    for method in ("HEAD", "PATCH", "DELETE"):
        reply = call(server, method, path, {"Content-Type": TYPE, "Upload-Offset": "1"})
        assert reply.status_code == 410 and "Upload-Offset" not in reply.headers
    path = create(server, 5, b"hello")
    file, _ = file_of(server, path)
    assert call(server, "DELETE", path).status_code == 204
    check_problem(ask(server, "GET", f"/v1/files/{file['id']}"), 404)
    assert call(server, "HEAD", path).status_code == 410


def test_termination_ends_a_patch_that_is_under_way(server):
    path = create(server, 100)
    with Connection(server) as slow:
        slow.send(patch_head(path, 0, 100) + b"x" * 10)
        time.sleep(0.1)
        assert call(server, "DELETE", path).status_code == 204
        slow.send(b"x" * 90)
        check_problem(slow.reply(), 410, "upload_cancelled")


# ---- checksum

@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_checksum_decides_about_exactly_its_bytes(server, algorithm):
    path = create(server, len(DATA))
    append(server, path, 0, DATA[:1000])
    for body in (DATA[1000:], iter([DATA[1000:5000], DATA[5000:]])):
        check_problem(patch(server, path, 1000, body, {"Upload-Checksum": checksum(b"other", algorithm)}), 460, "digest_mismatch")
        assert offset(server, path) == 1000
    append(server, path, 1000, DATA[1000:], {"Upload-Checksum": checksum(DATA[1000:], algorithm)})
    check_completed(server, path, DATA)


def test_checksum_in_the_protocol_s_own_example(server):
    for value in ("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "crc32c yZRlqg=="):
        path = create(server, 11)
        append(server, path, 0, b"hello world", {"Upload-Checksum": value})
        check_completed(server, path, b"hello world")


@pytest.mark.parametrize("value", ["", "sha1", "sha1 ", "sha1 nonsense", "sha512 YQ==", "md5 Kq5sNclPz7QV2+lfQIuc6R7oRu0="])
def test_checksums_that_can_not_be_checked_are_refused(server, value):
    path = create(server, 11)
    check_problem(patch(server, path, 0, b"hello world", {"Upload-Checksum": value}), 400)
    assert offset(server, path) == 0


# ---- CORS

@pytest.mark.daemon_options("--cors-origins", "https://app.example.com")
def test_pages_may_use_the_door(daemon):
    origin = {"Origin": "https://app.example.com"}
    path = call(daemon, "POST", "/v1/tus", {"Upload-Length": "5", "Upload-Metadata": metadata(), **origin}).headers["Location"]
    for where, method in (("/v1/tus", "POST"), (path, "PATCH"), (path, "HEAD"), (path, "DELETE")):
        reply = ask(daemon, "OPTIONS", where, headers={**origin, "Access-Control-Request-Method": method})
        assert reply.status_code == 204 and method in reply.headers["Access-Control-Allow-Methods"]
        allowed = reply.headers["Access-Control-Allow-Headers"].lower().split(", ")
        for name in ("tus-resumable", "upload-length", "upload-offset", "upload-metadata", "upload-defer-length",
                     "upload-checksum", "upload-concat", "x-http-method-override", "content-type", "x-request-id"):
            assert name in allowed
    reply = call(daemon, "HEAD", path, origin)
    exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
    for name in ("Location", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Expires", "Upload-Defer-Length",
                 "Upload-Concat", "Tus-Version", "Tus-Resumable", "Tus-Max-Size", "Tus-Extension", "Tus-Checksum-Algorithm"):
        assert name in exposed


# ---- the other door

def test_an_upload_begun_over_rest_is_finished_over_tus(server):
    data = DATA[:3 * CHUNK + 100]
    for first in (0, 1, 2):
        session = initiate(server, len(data))
        send_chunk(server, session["upload_id"], first, data[first * CHUNK:(first + 1) * CHUNK])
        path = f"/v1/tus/{session['upload_id']}"
        at = offset(server, path)
        assert at == (CHUNK if first == 0 else 0)
        append(server, path, at, data[at:])
        check_completed(server, path, data)


def test_an_upload_begun_over_tus_is_finished_over_rest(server):
    data = DATA[:2 * CHUNK + 100]
    path = create(server, len(data))
    append(server, path, 0, data[:CHUNK + 10])
    state = status(server, upload_id(path))
    assert state["chunks_uploaded"] == 1 and state["bytes_received"] == CHUNK + 10
    check_problem(try_chunk(server, upload_id(path), 1, b"other".ljust(CHUNK)), 409, "chunk_conflict")
    for index in (2, 1):
        send_chunk(server, upload_id(path), index, data[index * CHUNK:(index + 1) * CHUNK])
    complete(server, upload_id(path))
    check_completed(server, path, data)


# ---- broken connections, crashes

def patch_head(path, at, length, *headers):
    return request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {TYPE}", f"Upload-Offset: {at}",
                   f"Content-Length: {length}", *headers)


def test_a_patch_that_broke_off_keeps_what_came(server):
    path = create(server, len(DATA))
    at = 0
    for sent in (10, 100_000):
        with Connection(server) as connection:
            connection.send(patch_head(path, at, len(DATA) - at) + DATA[at:at + sent])
        wait_until(lambda: offset(server, path) == at + sent)
        at += sent
    append(server, path, at, DATA[at:])
    check_completed(server, path, DATA)


def test_a_chunked_patch_that_broke_off_keeps_nearly_all(server):
    path = create(server, len(DATA))
    with Connection(server) as connection:
        connection.send(request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {TYPE}", "Upload-Offset: 0",
                                "Transfer-Encoding: chunked"))
        for at in range(0, 200_000, 10_000):
            connection.send(b"%x\r\n%b\r\n" % (10_000, DATA[at:at + 10_000]))
    at = wait_until(lambda: offset(server, path))
    assert 200_000 - 32 * 1024 <= at <= 200_000
    append(server, path, at, DATA[at:])
    check_completed(server, path, DATA)


def test_a_patch_with_a_checksum_that_broke_off_keeps_nothing(server):
    path = create(server, len(DATA))
    with Connection(server) as connection:
        connection.send(patch_head(path, 0, len(DATA), f"Upload-Checksum: {checksum(DATA)}") + DATA[:1000])
    time.sleep(0.3)
    assert offset(server, path) == 0
    append(server, path, 0, DATA, {"Upload-Checksum": checksum(DATA)})
    check_completed(server, path, DATA)


def test_a_stuck_patch_holds_up_nobody(server):
    path = create(server, len(DATA))
    with Connection(server) as stuck:
        stuck.send(patch_head(path, 0, len(DATA)) + DATA[:1000])
        time.sleep(0.1)
        began = time.monotonic()
        assert offset(server, path) == 0
        append(server, path, 0, DATA[:500])
        assert time.monotonic() - began < 2
        stuck.send(DATA[1000:])
        check_problem(stuck.reply(), 409, "chunk_superseded")
    assert offset(server, path) == 500
    append(server, path, 500, DATA[500:])
    check_completed(server, path, DATA)


def test_many_at_once_end_in_one_file(server):
    """Everybody appends where the upload is; whoever comes too late is told so."""
    path = create(server, len(DATA))

    def client(seed):
        rng = random.Random(seed)
        while (at := offset(server, path)) < len(DATA):
            reply = patch(server, path, at, DATA[at:at + rng.randint(1, 40000)])
            assert reply.status_code in (204, 409), reply.text

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    check_completed(server, path, DATA)


def slow_patch(daemon, path, at, data, rng):
    """Sends in pieces until the daemon dies."""
    try:
        with Connection(daemon) as connection:
            connection.send(patch_head(path, at, len(data) - at))
            while at < len(data):
                size = rng.randint(1, 300_000)
                connection.send(data[at:at + size])
                at += size
                time.sleep(rng.uniform(0, 0.004))
            connection.reply()
    except (OSError, http.client.HTTPException):
        pass


@pytest.mark.daemon_options("--chunk-size", "64KiB", "--max-file-size", "300MiB")
def test_killed_in_the_middle_of_a_patch_the_upload_goes_on(daemon):
    """What was acknowledged is there, an offset is never beyond what is stored, and a long PATCH does not begin anew."""
    rng = random.Random(5)
    data = rng.randbytes(35 << 20).hex().encode()
    path, seen, steps, done = create(daemon, len(data)), 0, 0, []
    for number in range(ROUNDS):
        at = offset(daemon, path)
        assert at >= seen, "acknowledged bytes are gone"
        steps += at > seen  # by a PATCH that nobody answered
        if at == len(data):
            done.append(path)
            path, at = create(daemon, len(data)), 0
        seen = append(daemon, path, at, data[at:at + rng.randint(1, 1_000_000)]) if rng.random() < 0.5 else at
        sender = threading.Thread(target=slow_patch, args=(daemon, path, seen, data, rng))
        sender.start()
        time.sleep(rng.uniform(0.02, 1 if steps else 1 + number / 4))  # a slow machine needs longer
        daemon.kill()
        sender.join()
        daemon.start()
    at = offset(daemon, path)
    assert at >= seen and steps > 0
    append(daemon, path, at, data[at:])
    for one in [*done[-3:], path]:
        check_completed(daemon, one, data)


# ---- documents, and clients of others

TOP = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize("title", ["## The tus door", "### In pieces, side by side"])
def test_what_the_documents_show_works(server, tmp_path, title):
    block = re.search(rf"{title}.*?```sh\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S)
    assert block, "docs/uploads.md shows it no more"
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{server.port}")
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0].read_bytes())
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    state = json.loads(done.stdout)
    assert state["status"] == "completed" and content(server, state["file_id"]) == PHOTOS[0].read_bytes()
