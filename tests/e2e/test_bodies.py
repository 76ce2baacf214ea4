"""Owns: limits that are known before a body is read, and Expect: 100-continue without a wait."""

import time

import pytest

from api import ask, check_problem, initiate, status
from raw_http import Connection, request

CHUNK = 64 * 1024


def put(upload_id, length, *headers):
    return request("PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index=0", "Content-Type: application/octet-stream",
                   f"Content-Length: {length}", *headers)


def test_expect_100_continue_costs_no_second(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with Connection(server) as connection:
        began = time.monotonic()
        connection.send(put(upload_id, CHUNK, "Expect: 100-continue"))
        assert connection.line() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert time.monotonic() - began < 0.5
        connection.send(b"x" * CHUNK)
        assert connection.reply().status_code == 200


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "X-None: 0"])
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server, expect):
    upload_id = initiate(server, CHUNK)["upload_id"]
    for length in (CHUNK + 1, 10 ** 12, 2 ** 62):
        with Connection(server) as connection:
            began = time.monotonic()
            connection.send(put(upload_id, length, expect))
            problem = check_problem(connection.reply(), 413, "body_too_large")
            assert time.monotonic() - began < 1 and str(CHUNK) in problem["detail"]
    assert status(server, upload_id)["chunks_uploaded"] == 0


def test_a_file_that_is_sent_as_one_chunk_is_told_how_large_chunks_are(server):
    """Also where the body is a form, which may be longer than the chunk in it."""
    upload_id = initiate(server, 3 * CHUNK - 1)["upload_id"]
    path = f"/v1/uploads/{upload_id}/chunk?chunk_index="
    problem = check_problem(ask(server, "PUT", path + "0", files={"file": b"x" * 3 * CHUNK}), 413, "body_too_large")
    assert f"{CHUNK} bytes" in problem["detail"] and "chunk_size" in problem["detail"], problem
    small = initiate(server, 3)["upload_id"]
    problem = check_problem(ask(server, "PUT", f"/v1/uploads/{small}/chunk?chunk_index=0", files={"file": b"x" * 100000}), 400,
                            "chunk_length_invalid")
    assert "Chunk 0 has 3 bytes" in problem["detail"], problem


def test_whatever_else_is_known_to_be_wrong_is_said_before_100_continue(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    unknown = "01890000-0000-7000-8000-000000000000"
    for data, code, reason in ((put(upload_id, CHUNK - 1, "Expect: 100-continue"), 400, "chunk_length_invalid"),
                               (put(unknown, CHUNK, "Expect: 100-continue"), 404, "upload_not_found"),
                               (put(upload_id, CHUNK, "Expect: 100-continue", "Content-Digest: sha-256=nonsense"), 400, "bad_request"),
                               (request("POST", "/v1/uploads/initiate", "Content-Type: text/plain", "Content-Length: 10",
                                        "Expect: 100-continue"), 415, "unsupported_media_type"),
                               (request("POST", "/v1/uploads/initiate", "Content-Type: application/json",
                                        "Content-Length: 99999999", "Expect: 100-continue"), 413, "body_too_large")):
        with Connection(server) as connection:
            connection.send(data)
            check_problem(connection.reply(), code, reason)


def test_who_goes_on_sending_still_reads_the_answer(server):
    """A client that sends without waiting must see 413, not a reset connection."""
    upload_id = initiate(server, CHUNK)["upload_id"]
    with Connection(server) as connection:
        connection.send(put(upload_id, 256 * CHUNK))
        connection.send(b"x" * 256 * CHUNK)  # more than any socket's buffer takes
        check_problem(connection.reply(), 413, "body_too_large")


def test_a_connection_goes_on_after_a_small_refused_body(server):
    with Connection(server) as connection:
        connection.send(request("POST", "/nowhere", "Content-Length: 1000", body=b"x" * 1000))
        check_problem(connection.reply(), 404, "not_found")
        connection.send(request("GET", "/livez"))
        assert connection.reply().status_code == 200


@pytest.mark.daemon_options("--request-timeout", "500ms", "--keep-alive-timeout", "300ms")
def test_who_stops_in_the_middle_does_not_hold_a_thread(daemon):
    upload_id = initiate(daemon, 1000)["upload_id"]
    with Connection(daemon) as stalled:
        began = time.monotonic()
        stalled.send(put(upload_id, 1000) + b"x" * 10)
        check_problem(stalled.reply(), 400, "body_incomplete")
        assert stalled.is_closed() and time.monotonic() - began < 5
    with Connection(daemon) as idle:
        idle.send(request("GET", "/livez"))
        assert idle.reply().status_code == 200
        assert idle.is_closed(3), "an idle connection stays"


@pytest.mark.daemon_options("--request-timeout", "1s")
def test_a_slow_sender_is_served_as_long_as_it_sends(daemon):
    upload_id = initiate(daemon, 60)["upload_id"]
    with Connection(daemon) as slow:
        slow.send(put(upload_id, 60))
        for _ in range(20):
            slow.send(b"abc")
            time.sleep(0.1)
        assert slow.reply().status_code == 200
