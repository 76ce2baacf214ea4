"""Owns: the promises of the door for Resumable Uploads for HTTP: every MUST for servers (the table is in
docs/internals/resumable-uploads.md), broken connections, crashes.
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

from api import (UNKNOWN, ask, check_problem, complete, content, get, initiate, send_chunk, status, try_complete, wait_for_job,
                 wait_until)
from ietf import (COMPLETED, INCONSISTENT, TARGET, TYPE, VERSION, append, check_mismatch, complete_of, create, created, digest,
                  finish, head, interim, limits, offset, patch, patch_head, post_head, upload_id)
from media_files import PHOTOS
from raw_http import Connection, request
import tus

CHUNK = 64 * 1024
ROUNDS = 100 if os.environ.get("FILEPROC_SLOW") == "yes" else 12
DATA = random.Random(1).randbytes(150 * 1024).hex().encode()
TOP = pathlib.Path(__file__).parents[2]
OLD, NEW = [3, 4, 5, 6], [7, 8, 9]
WRONG_NUMBERS = ["", "-1", "+1", "1.0", "?1", "0x1", "1 2", "1, 1", '"1"', "nonsense", "1000000000000000"]


def check_completed(daemon, path, data):
    upload = status(daemon, upload_id(path))
    assert upload["status"] == "completed", upload
    assert content(daemon, upload["file_id"]) == data
    return upload


def check_gone(daemon, path):
    """Rejected, whatever it is."""
    for reply in (ask(daemon, "HEAD", path), ask(daemon, "GET", path), patch(daemon, path, 0, b"x")):
        assert reply.status_code == 410 and "Upload-Offset" not in reply.headers


# ---- creation

def test_one_request_is_enough(server):
    for method in ("POST", "PUT", "PATCH"):
        reply = create(server, DATA, True, {"Content-Disposition": 'inline; filename="a.txt"'}, method)
        done = reply.json()
        assert reply.status_code == 200 and complete_of(reply) is True
        assert done["status"] == "completed" and done["filename"] == "a.txt" and done["size"] == len(DATA)
        assert content(server, done["file_id"]) == DATA
        assert wait_for_job(server, done["processing_job_id"])["state"] == "succeeded"


def test_an_upload_in_pieces_becomes_a_file(server):
    path = created(server)
    at = 0
    for size in (1, 999, 70000):
        assert offset(server, path) == at
        at = append(server, path, at, DATA[at:at + size])
    done = finish(server, path, at, DATA[at:])
    assert content(server, done["file_id"]) == DATA and done["sha256"] in (None, hashlib.sha256(DATA).hexdigest())


def test_a_creation_that_is_not_complete_tells_where_and_how_much(server):
    for data in (None, b"x" * 1000):
        reply = create(server, data)
        assert reply.status_code == 201 and complete_of(reply) is False
        assert re.fullmatch(r"/v1/resumable/[0-9a-f-]{36}", reply.headers["Location"])
        assert reply.headers["Upload-Offset"] == str(len(data or b""))
        assert limits(reply)["max-size"] > 0 and 0 < limits(reply)["max-age"] <= 3600
    assert len({created(server) for _ in range(20)}) == 20


def test_bytes_of_unknown_number_become_a_file(server):
    reply = create(server, iter([b"abc", b"def"]), True)
    assert reply.status_code == 200 and content(server, reply.json()["file_id"]) == b"abcdef"
    path = created(server, iter([b"abc"]))
    assert "Upload-Length" not in head(server, path).headers
    assert content(server, finish(server, path, 3, iter([b"def", b"ghi"]))["file_id"]) == b"abcdefghi"


def test_empty_files_are_files(server):
    assert content(server, create(server, b"", True).json()["file_id"]) == b""
    assert content(server, finish(server, created(server), 0)["file_id"]) == b""


def test_an_empty_request_can_complete(server):
    path = created(server, b"hello")
    assert complete_of(head(server, path)) is False
    assert content(server, finish(server, path, 5)["file_id"]) == b"hello"


def test_all_bytes_are_not_yet_complete(server):
    path = created(server, b"hello", {"Upload-Length": "5"})
    reply = head(server, path)
    assert reply.headers["Upload-Offset"] == reply.headers["Upload-Length"] == "5" and complete_of(reply) is False
    assert status(server, upload_id(path))["status"] == "uploading"
    assert finish(server, path, 5)["size"] == 5


@pytest.mark.parametrize("value, name", [
    ('inline; filename="a b.txt"', "a b.txt"), ("attachment; filename=a.txt", "a.txt"),
    ("inline; filename=\"EURO.txt\"; filename*=UTF-8''%e2%82%ac%20rates.txt", "\u20ac rates.txt"),
    ("inline; filename*=utf-8'en'a%27b.txt", "a'b.txt"), ("inline; filename=x; filename*=ISO-8859-1''%e4", "x"),
    ('inline; filename="../../etc/passwd"', "passwd"), ("inline", "unnamed"), (None, "unnamed")])
def test_the_name_comes_in_content_disposition(server, value, name):
    assert create(server, b"x", True, {"Content-Disposition": value}).json()["filename"] == name


def test_metadata_is_checked(server):
    check_problem(create(server, b"x", True, {"Content-Type": "application/x-evil"}), 415, "type_not_allowed")
    check_problem(create(server, b"x", True, {"Content-Type": None}), 415, "type_not_allowed")
    check_problem(create(server, b"x", True, {"Content-Disposition": 'inline; filename=".."'}), 422, "filename_invalid")
    check_problem(create(server, b"x", True, {"Content-Encoding": "gzip"}), 415, "unsupported_media_type")
    check_problem(create(server, b"x", True, {"Upload-Metadata": "k k k"}), 400, "metadata_invalid")
    check_problem(create(server, b"x", True, {"Tus-Resumable": "1.0.0"}), 400, "bad_request")


def test_metadata_come_once(server):
    twice = ["Upload-Metadata: a YQ=="] * 2
    with Connection(server) as connection:
        connection.send(request("POST", TARGET, "Upload-Complete: ?1", "Content-Length: 1", *twice, body=b"x"))
        reply = connection.reply()
    check_problem(reply, 400, "header_repeated")
    assert complete_of(reply) is False


def test_owner_and_metadata_are_kept(server):
    done = create(server, b"x", True, {"Upload-Metadata": tus.metadata(filename="ä.txt", colour="red")}, path=TARGET + "?user_id=me")
    state = status(server, done.json()["upload_id"])
    assert state["user_id"] == "me" and state["metadata"] == {"colour": "red"} and state["filename"] == "ä.txt"


# ---- what is no field is as if it were not there

@pytest.mark.parametrize("value", ["", "1", "true", "?2", "?", "?10", '"?1"', "?1, ?1", "?1;", "?T"])
def test_other_values_of_upload_complete_are_ignored(server, value):
    path = created(server)
    reply = patch(server, path, 0, b"x", headers={"Upload-Complete": value})
    check_problem(reply, 400, "bad_request")
    assert complete_of(reply) is False and offset(server, path) == 0
    reply = create(server, b"hello", headers={"Upload-Complete": value})  # a request like any other
    assert reply.status_code == 200 and complete_of(reply) is None and "Upload-Offset" not in reply.headers
    assert content(server, reply.json()["file_id"]) == b"hello"


@pytest.mark.parametrize("value", WRONG_NUMBERS)
def test_other_values_of_upload_offset_are_ignored(server, value):
    path = created(server)
    check_problem(patch(server, path, 0, b"x", headers={"Upload-Offset": value}), 400, "bad_request")
    assert offset(server, path) == 0


@pytest.mark.parametrize("value", WRONG_NUMBERS)
def test_other_values_of_upload_length_are_ignored(server, value):
    path = created(server, b"x", {"Upload-Length": value})
    assert "Upload-Length" not in head(server, path).headers
    append(server, path, 1, b"y", {"Upload-Length": value})
    assert "Upload-Length" not in head(server, path).headers


def test_fields_have_parameters_and_come_once(server):
    path = created(server)
    reply = patch(server, path, 0, b"x", headers={"Upload-Offset": "0;a=1 ", "Upload-Complete": "?0; b=tok"})
    assert reply.status_code == 204
    with Connection(server) as connection:
        connection.send(patch_head(path, 1, 1, "Upload-Offset: 1", complete=False) + b"x")
        check_problem(connection.reply(), 400, "bad_request")


def test_offset_completeness_and_type_are_needed(server):
    path = created(server)
    for name in ("Upload-Offset", "Upload-Complete"):
        check_problem(patch(server, path, 0, b"x", headers={name: None}), 400, "bad_request")
    for wrong in (None, "application/octet-stream", "application/offset+octet-stream"):
        reply = patch(server, path, 0, b"x", headers={"Content-Type": wrong})
        check_problem(reply, 415, "unsupported_media_type")
        assert reply.headers["Accept-Patch"] == TYPE and complete_of(reply) is False
    assert offset(server, path) == 0


# ---- length

def test_indications_of_the_length_must_match_in_a_request(server):
    reply = create(server, b"x" * 10, True, {"Upload-Length": "11"})
    check_problem(reply, 400, "length_invalid", INCONSISTENT)
    assert complete_of(reply) is False and "Location" not in reply.headers
    check_problem(create(server, b"x" * 10, False, {"Upload-Length": "9"}), 400, "length_invalid", INCONSISTENT)
    path = created(server, b"x" * 10)
    check_problem(patch(server, path, 10, b"y", True, {"Upload-Length": "12"}), 400, "length_invalid", INCONSISTENT)
    assert offset(server, path) == 10 and "Upload-Length" not in head(server, path).headers


def test_indications_of_the_length_must_match_between_requests(server):
    path = created(server, b"x" * 10, {"Upload-Length": "20"})
    for reply in (patch(server, path, 10, b"y", False, {"Upload-Length": "21"}), patch(server, path, 10, b"y" * 9, True),
                  patch(server, path, 10, None, True), patch(server, path, 10, iter([b"y" * 9]), True)):
        check_problem(reply, 400, "length_invalid", INCONSISTENT)
        assert complete_of(reply) is False
    at = offset(server, path)
    assert at == 19  # the chunked one was appended, and then it was not the end
    assert finish(server, path, 19, b"z", {"Upload-Length": "20"})["size"] == 20


def test_the_length_is_recorded_when_it_is_told(server):
    path = created(server, None, {"Upload-Length": "20"})
    assert head(server, path).headers["Upload-Length"] == "20"
    path = created(server)
    append(server, path, 0, b"x", {"Upload-Length": "20"})
    assert head(server, path).headers["Upload-Length"] == "20"
    path = created(server, b"xx")
    check_problem(patch(server, path, 2, b"y", False, {"Upload-Length": "1"}), 400, "length_invalid", INCONSISTENT)
    with Connection(server) as connection:  # by Content-Length, of a request that breaks off
        connection.send(patch_head(path, 2, 18) + b"yyy")
    wait_until(lambda: offset(server, path) == 5)
    reply = head(server, path)
    assert reply.headers["Upload-Length"] == "20" and complete_of(reply) is False


@pytest.mark.parametrize("body", [lambda: b"y" * 11, lambda: iter([b"y" * 6, b"y" * 5])], ids=["length", "chunked"])
def test_an_upload_that_goes_beyond_its_length_is_of_no_use_any_more(server, body):
    path = created(server, b"x" * 10, {"Upload-Length": "20"})
    reply = patch(server, path, 10, body())
    check_problem(reply, 400, "length_exceeded")
    assert complete_of(reply) is False
    check_gone(server, path)
    assert status(server, upload_id(path))["status"] == "cancelled"


def test_what_is_too_large_is_refused_with_the_limits(server):
    limit = limits(ask(server, "OPTIONS", TARGET))["max-size"]
    for reply in (create(server, headers={"Upload-Length": str(limit + 1)}),
                  create(server, headers={"Upload-Length": "9" * 15}),
                  patch(server, created(server), 0, b"x", headers={"Upload-Length": str(limit + 1)})):
        check_problem(reply, 413, "size_too_large")
        assert limits(reply)["max-size"] == limit and complete_of(reply) is False


@pytest.mark.daemon_options("--max-file-size", "1MiB", "--chunk-size", "64KiB")
def test_bytes_without_a_length_have_the_limits_of_a_file(daemon):
    path = created(daemon)
    reply = patch(daemon, path, 0, iter([b"x" * CHUNK] * 17))
    assert reply.status_code == 413 and limits(reply)["max-size"] == 1 << 20
    reply = patch(daemon, path, 0, b"x" * (17 * CHUNK))
    assert reply.status_code == 413
    assert finish(daemon, path, offset(daemon, path), b"x")["size"] > 0


# ---- offset

def test_another_offset_is_a_conflict_and_changes_nothing(server):
    path = created(server, b"x" * 40, {"Upload-Length": "100"})
    for wrong in (0, 39, 41, 100, 101, 10 ** 15 - 1):
        for last in (False, True):
            check_mismatch(patch(server, path, wrong, b"y", last), 40, wrong)
    assert offset(server, path) == 40


def test_an_upload_resource_tells_its_state(server):
    path = created(server, b"x" * 40, {"Upload-Length": "100"})
    for method in ("HEAD", "GET"):
        reply = ask(server, method, path)
        assert reply.status_code == 204 and reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Upload-Offset"] == "40" and reply.headers["Upload-Length"] == "100"
        assert complete_of(reply) is False and limits(reply)["max-size"] > 0 and limits(reply)["max-age"] > 0
    finish(server, path, 40, b"y" * 60)
    for method in ("HEAD", "GET"):
        reply = ask(server, method, path)
        assert reply.status_code == 204 and reply.headers["Upload-Offset"] == reply.headers["Upload-Length"] == "100"
        assert complete_of(reply) is True and limits(reply)["max-size"] > 0


@pytest.mark.parametrize("path", [f"{TARGET}/{UNKNOWN}", f"{TARGET}/nonsense"])
def test_what_is_not_there_has_no_offset(server, path):
    for reply in (ask(server, "HEAD", path), ask(server, "GET", path), patch(server, path, 0, b"x"), ask(server, "DELETE", path)):
        assert reply.status_code == 404 and "Upload-Offset" not in reply.headers and complete_of(reply) in (None, False)


@pytest.mark.daemon_options("--session-timeout", "1s")
def test_expired_uploads_are_gone(daemon):
    path = created(daemon, b"x")
    time.sleep(1.2)
    check_gone(daemon, path)
    assert ask(daemon, "HEAD", path, headers={VERSION: "6"}).status_code == 404


@pytest.mark.expect_server_errors
def test_an_upload_whose_bytes_are_lost_takes_nothing_more(daemon):
    path = created(daemon, b"x" * 1000, {"Upload-Length": "2000"})
    daemon.kill()
    os.truncate(daemon.data / "objects" / "staging" / f"{upload_id(path)}.data", 10)
    daemon.start()
    for _ in range(2):
        assert ask(daemon, "HEAD", path).status_code == 410
        for at in (0, 10, 1000):
            reply = patch(daemon, path, at, b"y")
            assert reply.status_code >= 400 and "Upload-Offset" not in reply.headers


# ---- completion

def test_the_final_answer_is_given_again(server):
    path = created(server, b"hello")
    done = finish(server, path, 5, b" world")
    assert finish(server, path, 11) == done and finish(server, path, 11, None, {"Upload-Length": "11"}) == done
    assert try_complete(server, upload_id(path)).json() == done


def test_a_complete_upload_takes_nothing_more(server):
    path = created(server, b"hello")
    finish(server, path, 5, b" world")
    check_mismatch(patch(server, path, 5, b" world", True), 11, 5)  # the request whose answer was lost, once more
    check_problem(patch(server, path, 11, b"!", True), 400, "length_invalid", INCONSISTENT)
    check_problem(patch(server, path, 11, b"!", False), 400, "length_invalid", INCONSISTENT)
    check_problem(patch(server, path, 11, None, True, {"Upload-Length": "12"}), 400, "length_invalid", INCONSISTENT)
    check_problem(patch(server, path, 11, None, False), 400, "upload_completed", COMPLETED)
    check_completed(server, path, b"hello world")


def test_a_file_that_was_deleted_is_gone(server):
    path = created(server, b"hello")
    done = finish(server, path, 5)
    assert ask(server, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204
    check_gone(server, path)


# ---- cancellation

def test_a_cancelled_upload_is_gone(server):
    path = created(server, b"hello")
    assert ask(server, "DELETE", path).status_code == 204
    check_gone(server, path)
    assert ask(server, "DELETE", path).status_code == 204
    path = created(server, b"hello")
    file_id = finish(server, path, 5)["file_id"]
    check_problem(ask(server, "DELETE", path), 409, "upload_completed")
    assert content(server, file_id) == b"hello"


def test_cancelling_ends_a_request_that_is_under_way(server):
    path = created(server, None, {"Upload-Length": "1000"})
    with Connection(server) as slow:
        slow.send(patch_head(path, 0, 1000) + b"x" * 10)
        time.sleep(0.1)
        began = time.monotonic()
        assert ask(server, "DELETE", path).status_code == 204
        assert slow.reply().status_code in (409, 410) and slow.is_closed()
        assert time.monotonic() - began < 3
    check_gone(server, path)


# ---- limits

def test_options_tell_the_limits(server):
    for path in (TARGET, f"{TARGET}/{UNKNOWN}"):
        reply = ask(server, "OPTIONS", path)
        assert reply.status_code == 200 and reply.headers["Accept-Patch"] == TYPE
        assert set(limits(reply)) == {"max-size", "max-age"} and all(limits(reply).values())
    assert {"POST", "PUT", "PATCH"} < set(ask(server, "OPTIONS", TARGET).headers["Allow"].split(", "))
    assert set(limits(ask(server, "OPTIONS", TARGET, headers={VERSION: "6"}))) == {"max-size", "expires"}


def test_no_limit_is_passed_that_was_told(server):
    told = limits(ask(server, "OPTIONS", TARGET))
    reply = create(server, headers={"Upload-Length": str(told["max-size"])})
    assert reply.status_code == 201 and limits(reply)["max-size"] == told["max-size"]
    assert limits(head(server, reply.headers["Location"])) == pytest.approx(limits(reply), abs=2)
    ask(server, "DELETE", reply.headers["Location"])


# ---- 104

@pytest.mark.parametrize("version", OLD + NEW)
def test_a_creation_is_announced_to_who_knows_what_that_is(server, version):
    flags = ("Upload-Incomplete: ?1",) if version == 3 else ()
    with Connection(server) as connection:
        connection.send(post_head(5, *flags, version=version, complete=False) + b"hello")
        fields = interim(connection)
        reply = connection.reply()
    assert fields[VERSION] == str(version) and set(fields) == {VERSION, "Location", "Upload-Limit"}
    assert re.fullmatch(r"max-size=\d+, (max-age|expires)=\d+", fields["Upload-Limit"])
    assert reply.status_code == 201 and reply.headers["Location"] == fields["Location"]
    assert head(server, fields["Location"]).headers["Upload-Offset"] == "5"


@pytest.mark.parametrize("version", [None, "", "1", "2", "10", "99", "8.0", '"8"', "?1", "-8", "8, 8", "eight"])
def test_who_does_not_say_that_it_knows_hears_no_104(server, version):
    with Connection(server) as connection:
        connection.send(post_head(5, version=version) + b"hello")
        assert connection.line().startswith(b"HTTP/1.1 200 OK\r\n")


def test_no_104_without_upload_complete_or_for_http_1_0(server):
    for head_ in (request("POST", TARGET, "Content-Type: text/plain", "Content-Length: 1", f"{VERSION}: 8"),
                  request("POST", TARGET, "Content-Type: text/plain", "Content-Length: 1", f"{VERSION}: 8", "Upload-Complete: ?1",
                          version="1.0")):
        with Connection(server) as connection:
            connection.send(head_ + b"x")
            assert b" 200 OK\r\n" in connection.line()


def test_100_continue_comes_beside_104(server):
    with Connection(server) as connection:
        connection.send(post_head(5, "Expect: 100-continue"))
        assert interim(connection)["Location"]
        assert connection.line() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"hello")
        reply = connection.reply()
    assert reply.status_code == 200 and complete_of(reply) is True


def test_interim_responses_tell_what_is_durable(server):
    """Of a creation, and of an append that goes on."""
    step, size, path = 32 << 20, 70 << 20, None
    for at in (0, step + (1 << 20)):
        with Connection(server) as connection:
            if path is None:
                connection.send(post_head(size))
                path = interim(connection)["Location"]
            else:
                connection.send(patch_head(path, at, size - at, f"{VERSION}: 8"))
            connection.send(bytes(step + (1 << 19)))
            time.sleep(1.2)
            connection.send(bytes(1 << 19))
            fields = interim(connection)
            assert set(fields) == {VERSION, "Upload-Offset"} and at + step - CHUNK <= int(fields["Upload-Offset"]) <= at + step + CHUNK
        wait_until(lambda: offset(server, path) == at + step + (1 << 20))
    assert ask(server, "DELETE", path).status_code == 204


# ---- digests

@pytest.mark.parametrize("algorithm", ["sha-256", "sha", "md5"])
def test_content_digest_decides_about_exactly_its_bytes(server, algorithm):
    path = created(server, DATA[:1000], {"Content-Digest": digest(DATA[:1000], algorithm)})
    for body in (DATA[1000:], iter([DATA[1000:5000], DATA[5000:]])):
        reply = patch(server, path, 1000, body, True, {"Content-Digest": digest(b"other", algorithm)})
        check_problem(reply, 400, "digest_mismatch")
        assert complete_of(reply) is False and offset(server, path) == 1000
    done = finish(server, path, 1000, DATA[1000:], {"Content-Digest": digest(DATA[1000:], algorithm)})
    assert content(server, done["file_id"]) == DATA


def test_a_creation_with_a_wrong_content_digest_can_go_on(server):
    reply = create(server, b"hello", True, {"Content-Digest": digest(b"other")})
    check_problem(reply, 400, "digest_mismatch")
    assert complete_of(reply) is False and offset(server, reply.headers["Location"]) == 0
    finish(server, reply.headers["Location"], 0, b"hello", {"Content-Digest": digest(b"hello")})


@pytest.mark.parametrize("name", ["Content-Digest", "Repr-Digest"])
def test_digests_that_can_not_be_checked_are_refused(server, name):
    for value, code in (("sha-512=:AAAA:", "digest_unsupported"), ("sha-256=AAAA", "bad_request"), ("", "bad_request"),
                        ("sha-256=:AAAA:", "bad_request"), ("sha-256", "bad_request"), ("sha-256=:A:,", "bad_request")):
        reply = create(server, b"hello", True, {name: value})
        check_problem(reply, 400, code)
        assert complete_of(reply) is False and "Location" not in reply.headers
        if code == "digest_unsupported":
            assert "sha-256=10" in reply.headers[f"Want-{name}"]
    check_problem(create(server, b"hello", True, {"Repr-Digest": digest(b"hello", "md5")}), 400, "digest_unsupported")
    with Connection(server) as connection:  # several lines are one dictionary
        connection.send(post_head(5, "Content-Digest: sha-512=:AAAA:", f"Content-Digest: {digest(b'other')}", version=None) + b"hello")
        check_problem(connection.reply(), 400, "digest_mismatch")


def test_repr_digest_is_insisted_on(server):
    path = created(server, b"hello", {"Repr-Digest": digest(b"hello world")})
    reply = patch(server, path, 5, b" there", True)
    check_problem(reply, 422, "sha256_mismatch")
    assert complete_of(reply) is True  # the answer of the target: sending more does not help
    reply = patch(server, path, 11, None, True)
    check_problem(reply, 422, "sha256_mismatch")
    assert complete_of(reply) is True and ask(server, "HEAD", path).status_code == 410
    path = created(server, b"hello", {"Repr-Digest": digest(b"hello world")})
    assert finish(server, path, 5, b" world")["size"] == 11


def test_a_digest_that_is_wanted_is_given(server):
    assert create(server, DATA, True, {"Want-Repr-Digest": "sha-256=1, sha-512=3"}).headers["Repr-Digest"] == digest(DATA)
    for value in ("sha-256=0", "sha-512=3", "nonsense,", "sha-256"):
        assert "Repr-Digest" not in create(server, DATA, True, {"Want-Repr-Digest": value}).headers
    path = created(server, DATA[:10], {"Want-Repr-Digest": "sha-256=1"})
    for reply in (patch(server, path, 10, DATA[10:], True), head(server, path)):
        assert reply.headers["Repr-Digest"] == digest(DATA)


# ---- older drafts

def old(version, last=False):
    """Headers of an older dialect, for patch()."""
    if version == 3:
        return {VERSION: "3", "Upload-Incomplete": "?0" if last else "?1", "Upload-Complete": None}
    return {VERSION: str(version)}


@pytest.mark.parametrize("version", OLD)
def test_older_drafts_are_spoken(server, version):
    with Connection(server) as connection:  # requests takes 104 for the answer
        connection.send(request("POST", TARGET, "Content-Type: text/plain", "Content-Length: 5", f"{VERSION}: {version}",
                                "Upload-Incomplete: ?1" if version == 3 else "Upload-Complete: ?0", body=b"hello"))
        interim(connection)
        reply = connection.reply()
    name, path = "Upload-Incomplete" if version == 3 else "Upload-Complete", reply.headers["Location"]
    assert reply.status_code == 201 and reply.headers[name] == ("?1" if version == 3 else "?0")
    assert reply.headers["Upload-Offset"] == "5"
    kind = {"Content-Type": None} if version < 6 else {}
    reply = patch(server, path, 5, b" wor", headers={**old(version), **kind})
    assert reply.status_code == 201 and reply.headers["Upload-Offset"] == "9" and reply.headers[name] == ("?1" if version == 3 else "?0")
    reply = patch(server, path, 5, b" wor", headers={**old(version), **kind})
    assert reply.status_code == 409 and reply.headers["Upload-Offset"] == "9"
    reply = head(server, path, {VERSION: str(version)})
    assert reply.headers["Upload-Offset"] == "9" and reply.headers[name] == ("?1" if version == 3 else "?0")
    reply = patch(server, path, 9, b"ld", True, {**old(version, True), **kind})
    assert reply.status_code == 200 and reply.headers["Upload-Offset"] == "11" and reply.headers[name] == ("?0" if version == 3 else "?1")
    reply = head(server, path, {VERSION: str(version)})
    assert reply.headers["Upload-Length"] == "11" and reply.headers[name] == ("?0" if version == 3 else "?1")
    check_completed(server, path, b"hello world")


@pytest.mark.parametrize("version", OLD + [7])
def test_older_drafts_forbid_appending_to_a_complete_upload(server, version):
    path = created(server, b"hello")
    finish(server, path, 5)
    for data in (None, b"x"):
        reply = patch(server, path, 5, data, True, old(version, True))
        check_problem(reply, 400, "upload_completed", COMPLETED)
        assert reply.headers["Upload-Offset"] == "5"
    check_completed(server, path, b"hello")


@pytest.mark.parametrize("version", OLD)
def test_older_drafts_refuse_fields_where_they_have_no_place(server, version):
    path = created(server, b"hello")
    for method in ("HEAD", "DELETE"):
        for headers in ({"Upload-Offset": "0"}, {"Upload-Incomplete": "?0"} if version == 3 else {"Upload-Complete": "?1"}):
            assert ask(server, method, path, headers={VERSION: str(version), **headers}).status_code == 400
    assert offset(server, path) == 5
    assert ask(server, "DELETE", path, headers={VERSION: str(version)}).status_code == 204
    for method in ("HEAD", "DELETE"):
        assert ask(server, method, path, headers={VERSION: str(version)}).status_code in (404, 204)
    assert patch(server, path, 5, b"x", headers=old(version)).status_code == 404


@pytest.mark.parametrize("version", OLD)
def test_older_drafts_complete_with_the_last_byte_of_a_known_length(server, version):
    path = created(server, b"hello", {"Upload-Length": "11"})
    reply = patch(server, path, 5, b" world", headers={**old(version), **({"Content-Type": None} if version < 6 else {})})
    assert reply.status_code == 200 and reply.json()["status"] == "completed"
    path = created(server, b"hello", {"Upload-Length": "5"})
    assert head(server, path, {VERSION: str(version)}).headers["Upload-Length"] == "5"
    check_completed(server, path, b"hello")


@pytest.mark.parametrize("version", [5, 6])
def test_older_drafts_stop_at_the_length(server, version):
    path = created(server, b"x" * 10, {"Upload-Length": "20"})
    for body in (b"y" * 11, iter([b"y" * 6, b"y" * 5])):
        reply = patch(server, path, 10, body, headers=old(version))
        check_problem(reply, 400, "length_exceeded")
        assert 10 <= int(reply.headers["Upload-Offset"]) <= 20
    at = offset(server, path)
    assert finish(server, path, at, b"y" * (20 - at))["size"] == 20


def test_the_type_is_needed_since_interop_6(server):
    for version, status_ in ((5, 201), (6, 415), (7, 415), (8, 415), (9, 415)):
        reply = patch(server, created(server), 0, b"x", headers={**old(version), "Content-Type": None})
        assert reply.status_code == status_, (version, reply.text)


# ---- CORS

@pytest.mark.daemon_options("--cors-origins", "https://app.example.com")
def test_pages_may_use_the_door(daemon):
    origin = {"Origin": "https://app.example.com"}
    path = create(daemon, headers=origin).headers["Location"]
    for where, method in ((TARGET, "POST"), (path, "PATCH"), (path, "HEAD"), (path, "DELETE")):
        reply = ask(daemon, "OPTIONS", where, headers={**origin, "Access-Control-Request-Method": method})
        assert reply.status_code == 200 and method in reply.headers["Access-Control-Allow-Methods"]
        allowed = reply.headers["Access-Control-Allow-Headers"].lower().split(", ")
        for name in ("upload-complete", "upload-offset", "upload-length", "upload-draft-interop-version", "upload-incomplete",
                     "content-type", "content-disposition", "content-digest", "repr-digest", "want-repr-digest"):
            assert name in allowed
    reply = ask(daemon, "HEAD", path, headers=origin)
    exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
    for name in ("Location", "Upload-Offset", "Upload-Length", "Upload-Complete", "Upload-Incomplete", "Upload-Limit", "Repr-Digest"):
        assert name in exposed


# ---- the other doors

def test_an_upload_goes_from_door_to_door(server):
    """Begun over REST, continued over tus, looked at here, and finished here or over tus."""
    data = DATA[:3 * CHUNK + 100]
    for last in ("ietf", "tus", "rest"):
        session = initiate(server, len(data))
        send_chunk(server, session["upload_id"], 0, data[:CHUNK])
        path = f"{TARGET}/{session['upload_id']}"
        over_tus = f"/v1/tus/{session['upload_id']}"
        at = tus.append(server, over_tus, CHUNK, data[CHUNK:CHUNK + 1000])
        reply = head(server, path)
        assert reply.headers["Upload-Offset"] == str(at) == str(CHUNK + 1000) and reply.headers["Upload-Length"] == str(len(data))
        assert complete_of(reply) is False
        if last == "ietf":
            finish(server, path, at, data[at:])
        elif last == "tus":
            tus.append(server, over_tus, at, data[at:])
        else:
            append(server, path, at, data[at:])
            complete(server, session["upload_id"])
        assert complete_of(head(server, path)) is True and tus.offset(server, over_tus) == len(data)
        check_completed(server, path, data)


def test_pieces_of_tus_can_be_looked_at_and_sent_here(server):
    reply = tus.call(server, "POST", "/v1/tus", {"Upload-Concat": "partial", "Upload-Length": "11"})
    over_tus, path = reply.headers["Location"], f"{TARGET}/{upload_id(reply.headers['Location'])}"
    final = tus.call(server, "POST", "/v1/tus", {"Upload-Concat": f"final;{over_tus}", "Upload-Metadata": tus.metadata()})
    whole = f"{TARGET}/{upload_id(final.headers['Location'])}"
    assert complete_of(head(server, whole)) is False and patch(server, whole, 0, b"x").status_code == 403
    append(server, path, 0, b"hello")
    check_problem(patch(server, path, 5, b" world", True), 409, "upload_partial")
    for headers in ({}, {VERSION: "6"}):
        reply = head(server, path, headers)
        assert reply.headers["Upload-Offset"] == "11" and complete_of(reply) is False
    assert tus.offset(server, over_tus) == 11
    wait_until(lambda: complete_of(head(server, whole)))
    check_completed(server, whole, b"hello world")


def test_an_upload_begun_here_is_finished_over_rest(server):
    data = DATA[:2 * CHUNK + 100]
    path = created(server, data[:CHUNK + 10], {"Upload-Length": str(len(data))})
    for index in (2, 1):
        send_chunk(server, upload_id(path), index, data[index * CHUNK:(index + 1) * CHUNK])
    assert offset(server, path) == len(data)
    complete(server, upload_id(path))
    check_completed(server, path, data)


# ---- broken connections, concurrency, crashes

def test_an_optimistic_creation_that_broke_off_goes_on(server):
    for sent in (0, 10, 100_000):
        with Connection(server) as connection:
            connection.send(post_head(len(DATA)))
            path = interim(connection)["Location"]
            connection.send(DATA[:sent])
        wait_until(lambda: offset(server, path) == sent)
        reply = head(server, path)
        assert complete_of(reply) is False and reply.headers["Upload-Length"] == str(len(DATA))
        assert content(server, finish(server, path, sent, DATA[sent:])["file_id"]) == DATA


def test_an_append_that_broke_off_keeps_what_came(server):
    path = created(server)
    at = 0
    for sent in (10, 100_000):
        with Connection(server) as connection:
            connection.send(patch_head(path, at, len(DATA) - at) + DATA[at:at + sent])
        wait_until(lambda: offset(server, path) == at + sent)
        at += sent
        assert complete_of(head(server, path)) is False
    finish(server, path, at, DATA[at:])
    check_completed(server, path, DATA)


def test_a_conventional_request_that_broke_off_leaves_nothing(server):
    before = [file["id"] for file in get(server, "/v1/files")["items"]]
    with Connection(server) as connection:
        connection.send(request("POST", TARGET, "Content-Type: text/plain", "Content-Length: 1000") + b"x" * 10)
        connection.socket.shutdown(1)
        reply = connection.reply()
        check_problem(reply, 400, "body_incomplete")
    assert complete_of(reply) is None
    assert status(server, upload_id(reply.headers["Location"]))["status"] == "cancelled"
    assert [file["id"] for file in get(server, "/v1/files")["items"]] == before


def test_looking_ends_a_stuck_append_and_keeps_what_it_brought(server):
    path = created(server, None, {"Upload-Length": str(len(DATA))})
    for checked in (False, True):
        with Connection(server) as stuck:
            fields = (f"Content-Digest: {digest(DATA)}",) if checked else ()
            at = offset(server, path)
            stuck.send(patch_head(path, at, len(DATA) - at, *fields) + DATA[at:at + 100_000])
            time.sleep(0.2)
            began = time.monotonic()
            assert offset(server, path) == (at if checked else at + 100_000)
            assert time.monotonic() - began < 2
            reply = stuck.reply()
            check_problem(reply, 409, "chunk_superseded")
            assert complete_of(reply) is False
    finish(server, path, 100_000, DATA[100_000:])
    check_completed(server, path, DATA)


def test_an_append_ends_the_one_before(server):
    path = created(server, None, {"Upload-Length": str(len(DATA))})
    with Connection(server) as stuck:
        stuck.send(patch_head(path, 0, len(DATA)) + DATA[:1000])
        time.sleep(0.1)
        check_mismatch(patch(server, path, 500, DATA[500:], True), 1000, 500)  # what came was kept
        check_problem(stuck.reply(), 409, "chunk_superseded")
    with Connection(server) as stuck:
        stuck.send(patch_head(path, 1000, len(DATA) - 1000) + b"?" * 500)
        time.sleep(0.1)
        finish(server, path, 1000, DATA[1000:])  # where the upload is, although more of it has arrived
        check_problem(stuck.reply(), 409, "chunk_superseded")
    check_completed(server, path, DATA)


def test_an_offset_that_was_told_is_accepted(server):
    """Although requests of before are still under way, and their bytes arrive late."""
    rng = random.Random(4)
    path, seen = created(server, None, {"Upload-Length": str(len(DATA))}), 0
    stuck = []
    while seen < len(DATA):
        connection = Connection(server)
        stuck.append(connection)
        connection.send(patch_head(path, seen, len(DATA) - seen) + DATA[seen:seen + rng.randint(0, 20_000)])
        if rng.random() < 0.5:
            time.sleep(rng.uniform(0, 0.03))
        at = offset(server, path)
        assert at >= seen
        try:
            connection.send(b"?" * 5000)
        except OSError:
            pass
        size = rng.randint(1, 40_000)
        if at + size >= len(DATA):
            finish(server, path, at, DATA[at:])
            seen = len(DATA)
        else:
            seen = append(server, path, at, DATA[at:at + size])
    for connection in stuck:
        connection.socket.close()
    check_completed(server, path, DATA)


def test_many_at_once_end_in_one_file(server):
    """Everybody appends where the upload is; whoever comes too late is told so."""
    path = created(server, None, {"Upload-Length": str(len(DATA))})

    def client(seed):
        rng = random.Random(seed)
        while (at := offset(server, path)) < len(DATA):
            try:
                reply = patch(server, path, at, DATA[at:at + rng.randint(1, 40000)])
                assert reply.status_code in (204, 409), reply.text
            except ConnectionError:
                pass  # ended by another one

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert offset(server, path) == len(DATA)
    finish(server, path, len(DATA))
    check_completed(server, path, DATA)


def slow_patch(daemon, path, at, data, rng):
    """Sends in pieces until the daemon dies."""
    try:
        with Connection(daemon) as connection:
            connection.send(patch_head(path, at, len(data) - at, f"{VERSION}: 9"))
            while at < len(data):
                size = rng.randint(1, 300_000)
                connection.send(data[at:at + size])
                at += size
                time.sleep(rng.uniform(0, 0.004))
            connection.reply()
    except (OSError, http.client.HTTPException):
        pass


@pytest.mark.daemon_options("--chunk-size", "64KiB", "--max-file-size", "300MiB")
def test_killed_in_the_middle_of_an_append_the_upload_goes_on(daemon):
    """What was acknowledged is there, an offset is never beyond what is stored, and a long PATCH does not begin anew."""
    rng = random.Random(5)
    data = rng.randbytes(35 << 20).hex().encode()
    size = {"Upload-Length": str(len(data))}
    path, seen, steps, done = created(daemon, None, size), 0, 0, []
    for number in range(ROUNDS):
        reply = head(daemon, path)
        at = int(reply.headers["Upload-Offset"])
        assert at >= seen, "acknowledged bytes are gone"
        steps += at > seen  # by a PATCH that nobody answered
        if at == len(data):
            if complete_of(reply) is False:
                finish(daemon, path, at)
            done.append(path)
            path, at = created(daemon, None, size), 0
        else:
            assert complete_of(reply) is False
        last = at + rng.randint(1, 1_000_000)
        seen = append(daemon, path, at, data[at:last]) if rng.random() < 0.5 and last < len(data) else at
        sender = threading.Thread(target=slow_patch, args=(daemon, path, seen, data, rng))
        sender.start()
        time.sleep(rng.uniform(0.02, 1 if steps else 1 + number / 4))  # a slow machine needs longer
        daemon.kill()
        sender.join()
        daemon.start()
    at = offset(daemon, path)
    assert at >= seen and steps > 0
    finish(daemon, path, at, data[at:])
    for one in [*done[-3:], path]:
        check_completed(daemon, one, data)


# ---- documents

def test_what_the_documents_show_works(server, tmp_path):
    block = re.search(r"## The IETF door.*?```sh\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S)
    assert block, "docs/uploads.md shows it no more"
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{server.port}")
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0].read_bytes())
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    state = json.loads(done.stdout)
    assert state["status"] == "completed" and state["filename"] == "photo.jpg"
    assert content(server, state["file_id"]) == PHOTOS[0].read_bytes()
    received = [line for line in server.log_text().splitlines() if '"path":"/v1/resumable' in line.replace(" ", "")]
    assert '"received":10000,' in "".join(received).replace(" ", ""), "the first request's bytes were kept"


def test_every_must_has_a_test_that_is_there():
    text = (TOP / "docs" / "internals" / "resumable-uploads.md").read_text()
    named = re.findall(r"`(test_\w+)`", text)
    assert len(named) > 25
    assert not [name for name in named if name not in globals()]
