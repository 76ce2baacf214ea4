"""Owns: the promises of checksums that come behind the body at the tus door: checksum-trailer.
Must not know: how a body is read."""

import base64
import hashlib
import json
import pathlib
import random
import subprocess
import time

import pytest

from api import check_problem, content, status
from raw_http import Connection, request
from tus import TYPE, checksum, create, metadata, offset, upload_id

TOP = pathlib.Path(__file__).parents[2]
DATA = random.Random(11).randbytes(300 * 1024).hex().encode()


def chunked(data, trailer, piece=70000):
    """The body in chunks, and what stands behind it."""
    parts = [data[at:at + piece] for at in range(0, len(data), piece)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"


def field(data, algorithm="sha1"):
    return f"Upload-Checksum: {checksum(data, algorithm)}\r\n".encode()


def head(path, at, *lines):
    return request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {TYPE}", f"Upload-Offset: {at}",
                   "Transfer-Encoding: chunked", "Trailer: Upload-Checksum", *lines)


def patch(daemon, path, at, body, *lines, pieces=1, before=b""):
    """In so many pieces, with a while between them; `before` is sent on the connection first."""
    whole = head(path, at, *lines) + body
    with Connection(daemon) as connection:
        if before:
            connection.send(before)
            connection.reply()
        step = -(-len(whole) // pieces)
        for begin in range(0, len(whole), step):
            connection.send(whole[begin:begin + step])
            if pieces > 1:
                time.sleep(0.02)
        return connection.reply()


def check_file(daemon, path, data):
    state = status(daemon, upload_id(path))
    assert state["status"] == "completed", state
    assert content(daemon, state["file_id"]) == data


@pytest.mark.parametrize("pieces", [1, 2, 7, 40])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_the_checksum_may_come_behind_the_body(server, pieces, algorithm):
    path = create(server, len(DATA))
    first = DATA[:1000]
    reply = patch(server, path, 0, chunked(first, field(first, algorithm)), pieces=pieces)
    assert reply.status_code == 204 and reply.headers["Upload-Offset"] == "1000"
    reply = patch(server, path, 1000, chunked(DATA[1000:], b"X-Other: 1\r\n" + field(DATA[1000:], algorithm)), pieces=pieces)
    assert reply.status_code == 204, reply.text
    check_file(server, path, DATA)


def test_other_bytes_are_dropped(server):
    path = create(server, len(DATA))
    for pieces in (1, 5):
        check_problem(patch(server, path, 0, chunked(DATA, field(b"other")), pieces=pieces), 460, "digest_mismatch")
        assert offset(server, path) == 0
    assert patch(server, path, 0, chunked(DATA, field(DATA))).status_code == 204
    check_file(server, path, DATA)


@pytest.mark.parametrize("trailer, code", [(b"", "bad_request"), (b"X: 1\r\n", "bad_request"),
                                           (b"Upload-Checksum: sha1\r\n", "bad_request"),
                                           (b"Upload-Checksum: sha512 YQ==\r\n", "digest_unsupported"),
                                           (b"Upload-Checksum : sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\r\n", "bad_request"),
                                           (field(b"x") * 2, "bad_request"), (b"\tfolded\r\n", "bad_request"),
                                           (b"X: " + b"a" * 3000 + b"\r\n", "body_incomplete")])
def test_what_was_announced_must_come(server, trailer, code):
    path = create(server, 10)
    check_problem(patch(server, path, 0, chunked(b"x", trailer)), 400, code)
    assert offset(server, path) == 0


@pytest.mark.parametrize("body", [b"nonsense", b"1\r\nxx\r\n0\r\n\r\n", b"1\nx\n0\n\n", b"-1\r\n", b"ffffffffffffffffff\r\n"])
def test_a_broken_coding_keeps_nothing(server, body):
    path = create(server, 10)
    check_problem(patch(server, path, 0, body), 400, "body_incomplete")
    assert offset(server, path) == 0


def test_a_connection_that_breaks_keeps_nothing(server):
    path = create(server, len(DATA))
    with Connection(server) as connection:
        connection.send(head(path, 0) + chunked(DATA, field(DATA))[:-40])
    time.sleep(0.2)
    assert offset(server, path) == 0


def test_too_many_bytes_are_refused(server):
    path = create(server, 10)
    check_problem(patch(server, path, 0, chunked(b"x" * 11, field(b"x" * 11))), 413)
    assert offset(server, path) == 0


def test_it_is_found_behind_other_requests_of_the_connection(server):
    """Requests whose lengths are known; behind one of which it isn't the client is told to come again."""
    path = create(server, 10)
    known = request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {TYPE}", "Upload-Offset: 0", "Content-Length: 3") + b"abc"
    reply = patch(server, path, 3, chunked(b"def", field(b"def")), before=known)
    assert reply.status_code == 204, reply.text
    looked = request("HEAD", path, "Tus-Resumable: 1.0.0")
    assert patch(server, path, 6, chunked(b"g", field(b"g")), before=looked, pieces=3).status_code == 204
    unknown = request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {TYPE}", "Upload-Offset: 7",
                      "Transfer-Encoding: chunked") + b"1\r\nh\r\n0\r\n\r\n"
    reply = patch(server, path, 8, chunked(b"ij", field(b"ij")), before=unknown)
    check_problem(reply, 503, "busy")
    assert "Retry-After" in reply.headers and reply.headers["Connection"] == "close" and offset(server, path) == 8
    assert patch(server, path, 8, chunked(b"ij", field(b"ij"))).status_code == 204
    check_file(server, path, b"abcdefghij")


def test_an_expectation_is_answered(server):
    path = create(server, len(DATA))
    with Connection(server) as connection:
        connection.send(head(path, 0, "Expect: 100-continue"))
        assert connection.line() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(chunked(DATA, field(DATA)))
        assert connection.reply().status_code == 204
    check_file(server, path, DATA)


def test_it_may_come_with_the_creation(server):
    with Connection(server) as connection:
        connection.send(request("POST", "/v1/tus", "Tus-Resumable: 1.0.0", "Upload-Length: 5", f"Content-Type: {TYPE}",
                                f"Upload-Metadata: {metadata()}", "Transfer-Encoding: chunked", "Trailer: upload-checksum")
                        + chunked(b"hello", field(b"hello")))
        reply = connection.reply()
    assert reply.status_code == 201 and reply.headers["Upload-Offset"] == "5"
    check_file(server, reply.headers["Location"], b"hello")


def test_node_sends_trailers(server):
    """A client of others: Node.js, which sends head and first chunk together."""
    path = create(server, len(DATA))
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    script = f"""
      const request = require("node:http").request({{ host: "127.0.0.1", port: {server.port}, path: "{path}", method: "PATCH", headers: {{
        "Tus-Resumable": "1.0.0", "Content-Type": "{TYPE}", "Upload-Offset": "0", "Transfer-Encoding": "chunked",
        "Trailer": "Upload-Checksum" }} }}, (reply) => console.log(JSON.stringify([reply.statusCode, reply.headers["upload-offset"]])));
      process.stdin.on("data", (data) => request.write(data));
      process.stdin.on("end", () => {{ request.addTrailers({{ "Upload-Checksum": "sha256 {digest}" }}); request.end(); }});
    """
    done = subprocess.run(["node", "-e", script], input=DATA, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout) == [204, str(len(DATA))]
    check_file(server, path, DATA)
