"""Owns: who may write to an upload when several want to: a stuck, stopped or dead writer holds up nobody and spoils nothing, at one daemon
and between two, with Redis and without it.
Must not know: how leases are kept."""

import hashlib
import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))

from api import check_problem, complete, content, get, initiate, send_chunk, status, try_chunk  # noqa: E402
from media_files import PHOTOS  # noqa: E402
from raw_http import Connection, request  # noqa: E402
from redis_server import RedisServer, installed  # noqa: E402
from replicas import Replicas, needs_servers  # noqa: E402
from tus import TYPE, append, create, offset, patch, upload_id  # noqa: E402
from watcher import Watcher  # noqa: E402

PROXY = pathlib.Path(__file__).parents[1] / "support" / "tcp_proxy.py"
CHUNK = 64 * 1024
LEASE = 10  # seconds
DATA = random.Random(20).randbytes(40 * CHUNK).hex().encode()[:40 * CHUNK]


@pytest.fixture(params=["redis", "database"])
def pair(request, tmp_path):
    """Two daemons on one database and one store, which know of each other by Redis, or by the database alone."""
    if request.param == "redis" and not installed():
        pytest.skip("needs Redis")
    redis = RedisServer(tmp_path / "redis").start() if request.param == "redis" else None
    own = Replicas(tmp_path, "--chunk-size", "64KiB", REDIS_URL=redis.uri if redis else "").start()
    yield own.daemons
    wrong = own.end()
    if redis:
        redis.stop()
    assert wrong is None, wrong


class Proxy:
    """A connection through it can be made half-open: nothing moves any more, and nobody is told."""

    def __init__(self, daemon):
        self.process = subprocess.Popen([sys.executable, PROXY, f"127.0.0.1:{daemon.port}"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)

    def rule(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().startswith("ok")


def patch_head(path, at, length):
    return request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {TYPE}", f"Upload-Offset: {at}", f"Content-Length: {length}")


def begin_patch(daemon, path, at, arrives):
    """A PATCH of all the rest, of which only some arrives."""
    connection = Connection(daemon)
    connection.send(patch_head(path, at, len(DATA) - at) + DATA[at:at + arrives])
    time.sleep(0.3)
    return connection


def stop(daemon):
    """Until no thread runs any more: the signal reaches one after the other."""
    daemon.process.send_signal(signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{daemon.process.pid}/task")
    deadline = time.monotonic() + 10
    while any((task / "stat").read_text().rpartition(")")[2].split()[0] not in "TZ" for task in tasks.iterdir()):
        assert time.monotonic() < deadline, "the daemon does not stop"
        time.sleep(0.01)


def within(seconds, function, *arguments):
    began = time.monotonic()
    result = function(*arguments)
    assert time.monotonic() - began < seconds, "somebody was waited for"
    return result


def check_whole(daemon, path):
    shown = status(daemon, upload_id(path))
    assert shown["status"] == "completed"
    assert content(daemon, shown["file_id"]) == DATA
    assert get(daemon, f"/v1/files/{shown['file_id']}")["sha256"] in (None, hashlib.sha256(DATA).hexdigest())


def append_at_last(daemon, path, at, data, seconds):
    """As a client does that is told to come back; answers how long it took."""
    began = time.monotonic()
    while (reply := patch(daemon, path, at, data)).status_code != 204:
        check_problem(reply, 503, "busy")
        assert time.monotonic() - began < seconds, "the upload is never taken over"
        time.sleep(0.2)
    return time.monotonic() - began


def send_at_last(daemon, upload, index, data):
    began = time.monotonic()
    while (reply := try_chunk(daemon, upload, index, data)).status_code != 200:
        check_problem(reply, 503, "busy")
        assert time.monotonic() - began < LEASE + 5, "the chunk is never taken"


# ---- one daemon

def test_a_newcomer_ends_the_request_that_is_stuck(server):
    """Its thread is free at once, and its client, should it live, learns that its place is taken."""
    path = create(server, len(DATA))
    append(server, path, 0, DATA[:CHUNK])
    with Proxy(server) as proxy:
        with begin_patch(proxy, path, CHUNK, CHUNK // 2) as stuck:
            proxy.rule("stall")
            assert within(1, offset, server, path) == CHUNK
            assert within(2, append, server, path, CHUNK, DATA[CHUNK:2 * CHUNK]) == 2 * CHUNK
            proxy.rule("pass")
            check_problem(stuck.reply(), 409, "chunk_superseded")
            assert stuck.is_closed()
    append(server, path, 2 * CHUNK, DATA[2 * CHUNK:])
    check_whole(server, path)


@pytest.mark.daemon_options("--http-threads", "4")
def test_stuck_requests_do_not_use_up_the_threads(daemon):
    """A client whose network comes and goes begins again and again; four threads serve it all the same."""
    path = create(daemon, len(DATA))
    stuck = [begin_patch(daemon, path, 0, 1000) for _ in range(12)]
    assert within(2, append, daemon, path, 0, DATA) == len(DATA)
    for connection in stuck:
        connection.socket.close()
    check_whole(daemon, path)


def test_a_chunk_that_is_stuck_is_taken_over(server):
    path = create(server, len(DATA))
    head = request("PUT", f"/v1/uploads/{upload_id(path)}/chunk?chunk_index=0", "Content-Type: application/octet-stream",
                   f"Content-Length: {CHUNK}")
    with Connection(server) as stuck:
        size = status(server, upload_id(path))["chunk_size"]
        head = head.replace(str(CHUNK).encode(), str(size).encode())
        stuck.send(head + DATA[:1000])
        time.sleep(0.3)
        within(2, send_chunk, server, upload_id(path), 0, DATA[:size])
        assert offset(server, path) == size
        check_problem(stuck.reply(), 409, "chunk_superseded")


def test_what_the_documents_show_works(server, tmp_path):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "uploads.md").read_text()
    block = re.search(r"## When a connection hangs.*?```sh\n(.*?)```", text, re.S)
    assert block, "docs/uploads.md shows it no more"
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0].read_bytes())
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.group(1).replace("localhost:8000", f"127.0.0.1:{server.port}")],
                          cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    state = json.loads(done.stdout)
    assert state["status"] == "completed" and content(server, state["file_id"]) == PHOTOS[0].read_bytes()


# ---- two daemons

@needs_servers
def test_a_stuck_writer_at_the_other_daemon_holds_up_nobody(pair):
    a, b = pair
    path = create(a, len(DATA))
    append(a, path, 0, DATA[:3 * CHUNK])
    with Proxy(a) as proxy:
        with begin_patch(proxy, path, 3 * CHUNK, CHUNK) as stuck:
            proxy.rule("stall")
            for daemon in pair:
                assert within(1, offset, daemon, path) == 3 * CHUNK
            assert within(2, append, b, path, 3 * CHUNK, DATA[3 * CHUNK:5 * CHUNK]) == 5 * CHUNK
            for daemon in pair:
                assert within(1, offset, daemon, path) == 5 * CHUNK
            assert within(2, append, a, path, 5 * CHUNK, DATA[5 * CHUNK:7 * CHUNK]) == 7 * CHUNK  # and comes back
            proxy.rule("pass")
            assert stuck.reply().status_code == 409
    assert offset(b, path) == 7 * CHUNK
    append(a, path, 7 * CHUNK, DATA[7 * CHUNK:])
    for daemon in pair:
        check_whole(daemon, path)


@needs_servers
def test_a_stopped_daemon_that_wakes_up_spoils_nothing(pair):
    """It holds the lease, with a PATCH under way, and sleeps until long after the upload was taken over and is complete."""
    a, b = pair
    path = create(a, len(DATA))
    append(a, path, 0, DATA[:2 * CHUNK])
    with begin_patch(a, path, 2 * CHUNK, CHUNK) as asleep:
        stop(a)
        try:
            asleep.send(b"\0" * (len(DATA) - 3 * CHUNK))  # other bytes than those that count in the end
            assert within(1, offset, b, path) == 2 * CHUNK
            assert append_at_last(b, path, 2 * CHUNK, DATA[2 * CHUNK:5 * CHUNK], 3) < 3
        finally:
            a.process.send_signal(signal.SIGCONT)
        assert asleep.reply().status_code in (409, 503)
    assert offset(a, path) == 5 * CHUNK
    append(b, path, 5 * CHUNK, DATA[5 * CHUNK:])
    for daemon in pair:
        check_whole(daemon, path)


@needs_servers
def test_a_chunk_of_a_stopped_daemon_is_fenced(pair):
    """Chunks are not taken over at once; when the lease of the sleeper is over they are."""
    a, b = pair
    path = create(a, len(DATA))
    size = CHUNK
    head = request("PUT", f"/v1/uploads/{upload_id(path)}/chunk?chunk_index=0", "Content-Type: application/octet-stream",
                   f"Content-Length: {size}")
    with Connection(a) as asleep:
        asleep.send(head + b"\0" * 1000)
        time.sleep(0.3)
        stop(a)
        try:
            asleep.send(b"\0" * (size - 1000))
            send_at_last(b, upload_id(path), 0, DATA[:size])
        finally:
            a.process.send_signal(signal.SIGCONT)
        answer = asleep.reply()
        assert answer.status_code in (503, 409), (answer.text, a.log_text()[-3000:], b.log_text()[-3000:])  # 409: it had not begun yet
    for index in range(1, 40):
        send_at_last(pair[index % 2], upload_id(path), index, DATA[index * size:(index + 1) * size])
    assert content(a, complete(a, upload_id(path))["file_id"]) == DATA


@needs_servers
def test_the_uploads_of_a_killed_daemon_go_on_at_the_other(pair):
    a, b = pair
    path = create(a, len(DATA))
    append(a, path, 0, DATA[:3 * CHUNK])
    with begin_patch(a, path, 3 * CHUNK, CHUNK):
        a.kill()
        assert within(1, offset, b, path) == 3 * CHUNK
        assert append_at_last(b, path, 3 * CHUNK, DATA[3 * CHUNK:], 3) < 3
    check_whole(b, path)
    a.start()
    check_whole(a, path)


@needs_servers
def test_an_upload_alternates_between_the_daemons(pair):
    path = create(pair[0], len(DATA))
    for index in range(40):
        if index % 3:
            send_chunk(pair[index % 2], upload_id(path), index, DATA[index * CHUNK:(index + 1) * CHUNK])
        else:
            append(pair[index % 2], path, index * CHUNK, DATA[index * CHUNK:(index + 1) * CHUNK])
        assert [status(one, upload_id(path))["chunks_uploaded"] for one in pair] == [index + 1] * 2
    shown = status(pair[1], upload_id(path))
    if shown["status"] != "completed":
        complete(pair[1], upload_id(path))
    for daemon in pair:
        check_whole(daemon, path)


@needs_servers
def test_a_watcher_sees_what_happens_at_the_other_daemon(pair):
    a, b = pair
    upload = initiate(a, 3 * CHUNK)["upload_id"]
    with Watcher(f"ws://127.0.0.1:{b.port}/v1/uploads/{upload}/progress") as socket_:
        seen = [json.loads(socket_.recv(timeout=10))["chunks_uploaded"]]
        for index in range(3):
            send_chunk(a, upload, index, DATA[index * CHUNK:(index + 1) * CHUNK])
        complete(a, upload)
        while (shown := json.loads(socket_.recv(timeout=20)))["status"] != "completed":
            seen.append(shown["chunks_uploaded"])
        assert seen == sorted(set(seen)) and seen[0] == 0 and shown["chunks_uploaded"] == 3
