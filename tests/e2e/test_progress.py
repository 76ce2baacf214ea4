"""Owns: watching an upload over a WebSocket: first state, echo, many watchers, slow ones, the limit, the end."""

import json
import os
import resource
import socket
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from api import UNKNOWN, ask, check_problem, complete, initiate, send_chunk, try_chunk, upload
from raw_http import Connection, exchange, request
from watcher import Watcher

CHUNK = 64 * 1024
MANY = 5000
HANDSHAKE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng=="]


def watch(server, upload_id, **options):
    return Watcher(f"ws://127.0.0.1:{server.port}/v1/uploads/{upload_id}/progress", **options)


def state(socket_, seconds=10):
    return json.loads(socket_.recv(timeout=seconds))


def states_until(socket_, last):
    """The states that came, up to the one with that many chunks; several changes may come as one."""
    seen = [state(socket_)]
    while seen[-1]["chunks_uploaded"] < last:
        seen.append(state(socket_))
    return seen


def test_a_watcher_gets_the_state_at_once_and_every_change(server):
    session = initiate(server, 4 * CHUNK)
    send_chunk(server, session["upload_id"], 2, b"x" * CHUNK)
    with watch(server, session["upload_id"]) as socket_:
        assert state(socket_) == {"upload_id": session["upload_id"], "chunks_uploaded": 1, "total_chunks": 4,
                                  "percentage": 25.0, "status": "uploading"}
        for sent, index in enumerate((0, 1, 3), 2):
            send_chunk(server, session["upload_id"], index, b"x" * CHUNK)
            shown = state(socket_)
            assert (shown["chunks_uploaded"], shown["percentage"]) == (sent, sent * 25.0)
        complete(server, session["upload_id"])
        assert state(socket_)["status"] == "completed"


def test_what_is_sent_comes_back(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with watch(server, upload_id) as socket_:
        assert state(socket_)["status"] == "initiated"
        for text in ("ping", "", "å" * 100, "x" * 60000, '{"type": "heartbeat"}'):
            socket_.send(text)
            assert socket_.recv(timeout=10) == text
        socket_.send(["in ", "several ", "pieces"])
        assert socket_.recv(timeout=10) == "in several pieces"
        socket_.ping()


def test_several_watchers_see_the_same_and_one_may_come_back(server):
    upload_id = initiate(server, 3 * CHUNK)["upload_id"]
    with watch(server, upload_id) as first, watch(server, upload_id) as second:
        assert state(first) == state(second)
        send_chunk(server, upload_id, 0, b"x" * CHUNK)
        assert state(first)["chunks_uploaded"] == state(second)["chunks_uploaded"] == 1
        second.close()
        send_chunk(server, upload_id, 1, b"x" * CHUNK)
        assert state(first)["chunks_uploaded"] == 2
        with watch(server, upload_id) as again:
            assert state(again)["chunks_uploaded"] == 2
            send_chunk(server, upload_id, 2, b"x" * CHUNK)
            assert state(again)["chunks_uploaded"] == state(first)["chunks_uploaded"] == 3


def test_a_watcher_of_another_upload_hears_nothing(server):
    mine, other = initiate(server, 2 * CHUNK)["upload_id"], initiate(server, 2 * CHUNK)["upload_id"]
    with watch(server, mine) as socket_:
        state(socket_)
        send_chunk(server, other, 0, b"x" * CHUNK)
        with pytest.raises(TimeoutError):
            socket_.recv(timeout=0.5)


def test_a_finished_upload_can_be_watched(server):
    done = upload(server, b"text")
    with watch(server, done["upload_id"]) as socket_:
        assert state(socket_) == {"upload_id": done["upload_id"], "chunks_uploaded": 1, "total_chunks": 1, "percentage": 100.0,
                                  "status": "completed"}
    empty = upload(server, b"")
    with watch(server, empty["upload_id"]) as socket_:
        assert state(socket_)["percentage"] == 100.0


def test_cancelling_is_seen(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with watch(server, upload_id) as socket_:
        state(socket_)
        ask(server, "DELETE", f"/v1/uploads/{upload_id}")
        assert state(socket_)["status"] == "cancelled"


def test_what_is_no_websocket_is_told_so(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    path = f"/v1/uploads/{upload_id}/progress"
    reply = ask(server, "GET", path)
    check_problem(reply, 426, "upgrade_required")
    assert reply.headers["Sec-WebSocket-Version"] == "13"
    for dropped in HANDSHAKE[:3]:
        check_problem(exchange(server, request("GET", path, *[line for line in HANDSHAKE if line != dropped])), 426)
    check_problem(exchange(server, request("GET", path, *HANDSHAKE[:3])), 400, "bad_request")
    check_problem(exchange(server, request("GET", path, *HANDSHAKE[:3], "Sec-WebSocket-Key: short")), 400, "bad_request")
    with pytest.raises(InvalidHandshake):
        watch(server, UNKNOWN)


def test_a_page_of_a_stranger_can_not_watch(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    path = f"/v1/uploads/{upload_id}/progress"
    check_problem(exchange(server, request("GET", path, *HANDSHAKE, "Origin: https://evil.example")), 403, "origin_not_allowed")
    for origin in ("https://app.example.com", f"http://127.0.0.1:{server.port}"):
        with watch(server, upload_id, origin=origin) as socket_:
            assert state(socket_)


@pytest.mark.parametrize("frame, code", [
    (b"\x82\x84\0\0\0\0data", 1003),           # binary
    (b"\x81\xff" + b"\0\0\0\0\0\2\0\0" + bytes(4) + bytes(1 << 17), 1009),  # a text of 128 KiB
    (b"\xc1\x84\0\0\0\0data", 1002),           # compressed, which nobody has agreed on
    (b"\x81\x82\0\0\0\0\xc3\x28", 1007),       # no UTF-8
    (b"\x01\x81\0\0\0\0\xc3" + b"\x80\x81\0\0\0\0\x28", 1007),  # the same in two fragments
    (b"\x88\x80\0\0\0\0", None),               # a close
], ids=["binary", "too long", "compressed", "no UTF-8", "no UTF-8 in fragments", "close"])
def test_frames_that_end_the_connection(server, frame, code):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with Connection(server) as connection:
        connection.send(request("GET", f"/v1/uploads/{upload_id}/progress", *HANDSHAKE))
        assert connection.line().startswith(b"HTTP/1.1 101 ")
        connection.send(frame)
        data = b""
        connection.socket.settimeout(5)
        try:
            while piece := connection.socket.recv(4096):
                data += piece
        except ConnectionResetError:
            pass
        assert (b"\x88\x02" + code.to_bytes(2, "big") if code else b"\x88\x00") in data
    assert ask(server, "GET", "/livez").status_code == 200


@pytest.mark.daemon_options("--chunk-size", "1KiB")
def test_a_watcher_that_does_not_read_holds_up_nobody(daemon):
    size = 1500 * 1024
    upload_id = initiate(daemon, size)["upload_id"]
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", daemon.port))
    slow.sendall(request("GET", f"/v1/uploads/{upload_id}/progress", *HANDSHAKE))
    with watch(daemon, upload_id) as fast, slow:
        began, slowest = time.monotonic(), 0
        for index in range(1500):
            before = time.monotonic()
            send_chunk(daemon, upload_id, index, b"x" * 1024)
            slowest = max(slowest, time.monotonic() - before)
        assert slowest < 2 and time.monotonic() - began < 60
        seen = [shown["chunks_uploaded"] for shown in states_until(fast, 1500)]
        assert seen == sorted(seen)


@pytest.mark.daemon_options("--max-watchers", "3")
def test_too_many_watchers_get_503_and_uploads_go_on(daemon):
    upload_id = initiate(daemon, CHUNK)["upload_id"]
    sockets = [watch(daemon, upload_id) for _ in range(3)]
    for socket_ in sockets:
        state(socket_)
    check_problem(exchange(daemon, request("GET", f"/v1/uploads/{upload_id}/progress", *HANDSHAKE)), 503, "busy")
    assert try_chunk(daemon, upload_id, 0, b"x" * CHUNK).status_code == 200
    sockets.pop().close()
    deadline = time.monotonic() + 10
    while True:
        try:
            sockets.append(watch(daemon, upload_id))
            break
        except InvalidHandshake:
            assert time.monotonic() < deadline, "a place does not become free"
            time.sleep(0.05)
    for socket_ in sockets:
        socket_.close()


def test_watchers_that_vanish_give_their_places_back(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    for _ in range(3):
        for _ in range(25):
            with Connection(server) as connection:
                connection.send(request("GET", f"/v1/uploads/{upload_id}/progress", *HANDSHAKE))
                assert connection.line().startswith(b"HTTP/1.1 101 ")
        watchers = lambda: [line for line in ask(server, "GET", "/metrics").text.splitlines()
                            if line.startswith("fileproc_progress_watchers ")]
        deadline = time.monotonic() + 10
        while watchers() != ["fileproc_progress_watchers 0"]:
            assert time.monotonic() < deadline, watchers()
            time.sleep(0.05)


def test_sigterm_ends_watchers(daemon):
    upload_id = initiate(daemon, CHUNK)["upload_id"]
    with watch(daemon, upload_id) as socket_:
        state(socket_)
        began = time.monotonic()
        daemon.signal_end()
        with pytest.raises(ConnectionClosed) as closed:
            socket_.recv(timeout=10)
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1001
        assert daemon.process.wait(20) == 0 and time.monotonic() - began < 8


def thread_count(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/task"))


def open_many(daemon, upload_id, count):
    """So many watchers, each with its first state read."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    head, sockets = request("GET", f"/v1/uploads/{upload_id}/progress", *HANDSHAKE), []
    for _ in range(count):
        sockets.append(socket.create_connection(("127.0.0.1", daemon.port), 20))
        sockets[-1].sendall(head)
    for one in sockets:
        data = b""
        while b'"status"' not in data:
            data += one.recv(1024)
        assert data.startswith(b"HTTP/1.1 101 "), data
    return sockets


@pytest.mark.daemon_options("--chunk-size", "1KiB", "--http-threads", "16")
def test_thousands_watch_and_hold_no_threads(daemon):
    """One thread serves them all; who connects next is served as if there were nobody, and all see what happens."""
    idle, busy = initiate(daemon, 1024)["upload_id"], initiate(daemon, 2048)["upload_id"]
    threads = thread_count(daemon)
    before = daemon.memory_mib()
    sockets = open_many(daemon, idle, MANY - 500) + open_many(daemon, busy, 500)
    each = (daemon.memory_mib() - before) * 1024 / MANY
    assert each < 50 or "ASAN_OPTIONS" in os.environ, f"{each} KiB for a watcher"
    assert thread_count(daemon) <= threads
    began = time.monotonic()
    for index in range(2):
        send_chunk(daemon, busy, index, b"x" * 1024)
    assert time.monotonic() - began < 2
    for one in sockets[-500:]:
        data = b""
        while b'"chunks_uploaded":2' not in data:
            data += one.recv(1024)
    for one in sockets:
        one.close()
    deadline = time.monotonic() + 20
    while "fileproc_progress_watchers 0\n" not in ask(daemon, "GET", "/metrics").text:
        assert time.monotonic() < deadline, "places do not come back"
        time.sleep(0.1)
