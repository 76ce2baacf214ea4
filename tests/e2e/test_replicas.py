"""Owns: two daemons on one database, one S3 store and one Redis: an upload may go to either at any time, watchers see it at both, and
what a lost, frozen or emptied Redis does to it.
Must not know: how leases and messages are kept."""

import hashlib
import json
import os
import pathlib
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))

import ietf  # noqa: E402
import tus  # noqa: E402
from api import (all_items, ask, check_problem, complete, content, get, initiate, send_chunk, status, try_chunk,  # noqa: E402
                 try_complete, wait_until)
from companion import PART, Upload  # noqa: E402
from daemon_process import Daemon  # noqa: E402
from event_source import EventSource  # noqa: E402
from raw_http import Connection, request  # noqa: E402
from redis_server import RedisServer, installed  # noqa: E402
from replicas import Replicas, needs_servers  # noqa: E402
from watcher import Watcher  # noqa: E402

pytestmark = [needs_servers, pytest.mark.skipif(not installed(), reason="needs Redis")]
AWAY_SECONDS = 20 if os.environ.get("FILEPROC_SLOW") == "yes" else 4
CHUNK = 64 * 1024


@pytest.fixture
def redis(tmp_path):
    own = RedisServer(tmp_path / "redis").start()
    yield own
    own.stop()


@pytest.fixture
def pair(tmp_path, redis):
    """The two daemons; they run no jobs, which these tests don't ask for."""
    own = Replicas(tmp_path, "--chunk-size", "64KiB", REDIS_URL=redis.uri).start()
    yield own.daemons
    wrong = own.end()
    assert wrong is None, wrong


def some_bytes(size):
    return random.Random(size).randbytes(size)


def piece(data, index):
    return data[index * CHUNK:(index + 1) * CHUNK]


def check_file(daemon, done, data):
    assert content(daemon, done["file_id"]) == data
    assert done["sha256"] in (None, hashlib.sha256(data).hexdigest())


def test_parts_go_straight_to_the_store_whichever_daemon_is_asked(pair):
    data = some_bytes(2 * PART + 4711)
    upload, parts = Upload(pair[0], type="text/plain"), []
    for number in (1, 2, 3):
        upload.daemon = pair[number % 2]
        parts.append(upload.put(number, data[(number - 1) * PART:number * PART]))
        assert len(upload.ask("GET").json()) == number
    with ThreadPoolExecutor(4) as pool:
        at = [copy(upload) for _ in range(4)]
        for index, one in enumerate(at):
            one.daemon = pair[index % 2]
        replies = list(pool.map(lambda one: one.try_complete(parts), at))
    assert {reply.status_code for reply in replies} <= {200, 503}, [reply.text for reply in replies]
    done = upload.complete(parts)
    assert all(reply.json()["file_id"] == done["file_id"] for reply in replies if reply.status_code == 200)
    for daemon in pair:
        assert content(daemon, done["file_id"]) == data and status(daemon, upload.id)["status"] == "completed"
    assert len(list(all_items(pair[0], "/v1/files"))) == 1


def send_at_last(daemon, upload_id, index, data, seconds=60):
    """As a client does that is told to come back; answers how often it was."""
    deadline, refused = time.monotonic() + seconds, 0
    while True:
        reply = try_chunk(daemon, upload_id, index, data)
        if reply.status_code == 200:
            return refused
        check_problem(reply, 503, "busy")
        assert time.monotonic() < deadline, "the chunk is never taken"
        refused += 1
        time.sleep(0.1)


def test_an_upload_alternates_between_two_daemons(pair):
    data = some_bytes(10 * CHUNK + 4711)
    session = initiate(pair[0], len(data))
    for index in range(session["total_chunks"]):
        reply = send_chunk(pair[index % 2], session["upload_id"], index, piece(data, index))
        assert reply["chunks_uploaded"] == index + 1
        for daemon in pair:
            assert status(daemon, session["upload_id"])["chunks_uploaded"] == index + 1
    check_problem(try_chunk(pair[0], session["upload_id"], 1, b"x" * CHUNK), 409, "chunk_conflict")  # the other's chunk
    send_chunk(pair[0], session["upload_id"], 1, piece(data, 1))
    done = complete(pair[1], session["upload_id"])
    assert done["sha256"] == hashlib.sha256(data).hexdigest(), "each goes on with the digest where the other stopped"
    again = complete(pair[0], session["upload_id"])
    assert again["file_id"] == done["file_id"]
    for daemon in pair:
        check_file(daemon, done, data)
        assert status(daemon, session["upload_id"])["status"] == "completed"


def test_an_upload_over_tus_changes_the_daemon_in_the_middle_of_a_patch(pair):
    """The newcomer at the other daemon takes over at once; who was at work is refused."""
    data = some_bytes(20 * CHUNK).hex().encode()
    path = tus.create(pair[0])
    at = tus.append(pair[0], path, 0, data[:CHUNK + 100])
    assert tus.offset(pair[1], path) == at
    with Connection(pair[0]) as stuck:
        stuck.send(request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {tus.TYPE}", f"Upload-Offset: {at}",
                           f"Content-Length: {4 * CHUNK}") + b"x" * CHUNK)
        time.sleep(0.2)
        assert tus.offset(pair[1], path) == at
        began = time.monotonic()
        after = tus.append(pair[1], path, at, data[at:at + 1000], {"Upload-Length": str(len(data))})
        assert time.monotonic() - began < 2
        stuck.send(b"x" * 3 * CHUNK)
        check_problem(stuck.reply(), 503, "busy")
    for daemon in pair:
        assert tus.offset(daemon, path) == after and tus.head(daemon, path)["Upload-Length"] == str(len(data))
    tus.append(pair[0], path, after, data[after:])
    done = status(pair[1], tus.upload_id(path))
    assert done["status"] == "completed" and content(pair[1], done["file_id"]) == data


def test_a_resumable_upload_changes_the_daemon_in_the_middle_of_a_patch(pair):
    """Looking at the other daemon ends the request that was at work; the offset that is told there holds at both."""
    data = some_bytes(20 * CHUNK).hex().encode()
    path = ietf.created(pair[0], data[:CHUNK + 100])
    at = CHUNK + 100
    for turn in range(4):
        one, other = pair[turn % 2], pair[1 - turn % 2]
        with Connection(one) as stuck:
            stuck.send(ietf.patch_head(path, at, 4 * CHUNK, complete=False) + data[at:at + CHUNK])
            time.sleep(0.2)
            began = time.monotonic()
            assert ietf.offset(other, path) >= at
            at = ietf.offset(other, path)
            assert time.monotonic() - began < 4
            try:
                stuck.send(b"x" * 3 * CHUNK)
            except OSError:
                pass  # ended already
            at = ietf.append(other, path, at, data[at:at + 1000])
        for daemon in pair:
            assert ietf.offset(daemon, path) == at
    done = ietf.finish(pair[0], path, at, data[at:])
    for daemon in pair:
        assert ietf.complete_of(ietf.head(daemon, path)) is True and content(daemon, done["file_id"]) == data
        assert ietf.finish(daemon, path, len(data)) == done


def test_pieces_of_two_daemons_are_put_together(pair):
    """Each is begun at one daemon and ended at the other; the last byte comes where the whole is not known."""
    data = some_bytes(3 * CHUNK).hex().encode()
    pieces = data[:CHUNK + 7], data[CHUNK + 7:]
    paths = []
    for daemon, piece in zip(pair, pieces):
        reply = tus.call(daemon, "POST", "/v1/tus", {"Upload-Concat": "partial", "Upload-Length": str(len(piece))})
        paths.append(reply.headers["Location"])
        tus.append(daemon, paths[-1], 0, piece[:1000])
    headers = {"Upload-Concat": "final;" + " ".join(paths), "Upload-Metadata": tus.metadata()}
    reply = tus.call(pair[0], "POST", "/v1/tus", headers)
    assert reply.status_code == 201, reply.text
    path = reply.headers["Location"]
    assert tus.call(pair[1], "POST", "/v1/tus", headers).headers["Location"] == path, "the same request, at the other one"
    for daemon, place, piece in zip(reversed(pair), paths, pieces):
        assert "Upload-Offset" not in tus.head(daemon, path)
        tus.append(daemon, place, 1000, piece[1000:])
    for daemon in pair:
        assert tus.head(daemon, path)["Upload-Offset"] == str(len(data))
        assert content(daemon, status(daemon, tus.upload_id(path))["file_id"]) == data


def test_an_upload_goes_from_door_to_door_and_daemon_to_daemon(pair):
    """Begun over REST, continued over tus, looked at and finished over the IETF door."""
    data = some_bytes(3 * CHUNK).hex().encode()
    session = initiate(pair[0], len(data))
    send_chunk(pair[1], session["upload_id"], 0, data[:CHUNK])
    at = tus.append(pair[0], f"/v1/tus/{session['upload_id']}", CHUNK, data[CHUNK:CHUNK + 1000])
    path = f"{ietf.TARGET}/{session['upload_id']}"
    for daemon in pair:
        reply = ietf.head(daemon, path)
        assert reply.headers["Upload-Offset"] == str(at) and ietf.complete_of(reply) is False
    done = ietf.finish(pair[1], path, at, data[at:])
    assert content(pair[0], done["file_id"]) == data and tus.offset(pair[0], f"/v1/tus/{session['upload_id']}") == len(data)


def test_chunks_side_by_side_through_both(pair):
    data = some_bytes(24 * CHUNK)
    session = initiate(pair[1], len(data))
    failures = []

    def send(first):
        try:
            for index in range(first, 24, 4):
                send_at_last(pair[index % 2], session["upload_id"], index, piece(data, index))
        except BaseException as failure:
            failures.append(failure)
    threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failures, failures
    check_file(pair[1], complete(pair[0], session["upload_id"]), data)


def test_one_completion_counts(pair):
    for size in (0, 100, 3 * CHUNK):
        data = some_bytes(size)
        session = initiate(pair[0], size)
        for index in range(session["total_chunks"]):
            send_chunk(pair[index % 2], session["upload_id"], index, piece(data, index))
        replies = []
        threads = [threading.Thread(target=lambda d=d: replies.append(try_complete(d, session["upload_id"]))) for d in pair * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert [reply.status_code for reply in replies] == [200] * 4, [reply.text for reply in replies]
        assert len({reply.json()["file_id"] for reply in replies}) == 1
        check_file(pair[0], replies[0].json(), data)


def test_a_key_holds_at_both(pair):
    """Of those who begin, and then complete, at the same moment at both, one does it."""
    def at_both(path, key, **arguments):
        answers = []
        threads = [threading.Thread(target=lambda one=one: answers.append(
            ask(one, "POST", path, headers={"Idempotency-Key": key}, **arguments))) for one in pair * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    for number in range(10):
        body = {"filename": "a.txt", "size": 0, "mime_type": "text/plain", "user_id": f"owner {number}"}
        answers = at_both("/v1/uploads/initiate", f"begin-{number}", json=body)
        assert {a.status_code for a in answers} == {201} and len({a.content for a in answers}) == 1, [a.text for a in answers]
        path = f"/v1/uploads/{answers[0].json()['upload_id']}/complete"
        answers = at_both(path, f"end-{number}")
        assert {a.status_code for a in answers} <= {200, 409} and len({a.content for a in answers if a.status_code == 200}) == 1
        for one in pair:
            reply = ask(one, "POST", path, headers={"Idempotency-Key": f"end-{number}"})
            assert reply.status_code == 200 and reply.content in {a.content for a in answers}
            assert len(get(one, "/v1/files", params={"owner": f"owner {number}"})["items"]) == 1


def watch(daemon, upload_id):
    return Watcher(f"ws://127.0.0.1:{daemon.port}/v1/uploads/{upload_id}/progress")


def see(socket_, chunks, state="uploading", seconds=10):
    """Waits until the watcher is told so; it never hears of less than before."""
    last, deadline = -1, time.monotonic() + seconds
    while True:
        shown = json.loads(socket_.recv(timeout=max(deadline - time.monotonic(), 0.01)))
        assert shown["chunks_uploaded"] >= last
        last = shown["chunks_uploaded"]
        if (last, shown["status"]) == (chunks, state):
            return


def test_a_watcher_sees_what_happens_at_the_other_daemon(pair):
    upload_id = initiate(pair[0], 4 * CHUNK)["upload_id"]
    with watch(pair[1], upload_id) as far, watch(pair[0], upload_id) as near:
        for index in range(4):
            send_chunk(pair[0], upload_id, index, b"x" * CHUNK)
            for socket_ in (far, near):
                see(socket_, index + 1)
        complete(pair[0], upload_id)
        for socket_ in (far, near):
            see(socket_, 4, "completed")
    other = initiate(pair[1], CHUNK)["upload_id"]
    with watch(pair[0], other) as far:
        see(far, 0, "initiated")
        ask(pair[1], "DELETE", f"/v1/uploads/{other}")
        see(far, 0, "cancelled")


def wait_until_heard(far, near):
    """From its first stream on, but not at once, a daemon hears what the others tell."""
    with EventSource(far, "/v1/events") as stream:
        for _ in range(40):
            marker = initiate(near, CHUNK)["upload_id"]
            try:
                while stream.event(0.5)[1].get("upload_id") != marker:
                    pass
                return
            except TimeoutError:
                pass
    raise AssertionError("the other daemon is not heard")


def test_event_streams_have_what_happens_at_the_other_daemons(pair, tmp_path):
    """Uploads at two, jobs at a third."""
    worker = Daemon(tmp_path / "worker", "--workers", "1", env=pair[0].env, program="fileproc-processing").start()
    try:
        wait_until_heard(pair[1], pair[0])
        upload_id = initiate(pair[0], 2 * CHUNK, user_id="ann")["upload_id"]
        with EventSource(pair[1], f"/v1/uploads/{upload_id}/events") as one, EventSource(pair[1], "/v1/events") as all_, \
                EventSource(pair[1], "/v1/events?owner=ann") as hers, EventSource(pair[1], "/v1/events?owner=bob") as his:
            for index in range(2):
                send_chunk(pair[0], upload_id, index, b"x" * CHUNK)
            done = complete(pair[0], upload_id)
            ended = lambda name, shown: name == "job" and shown["state"] == "succeeded"
            for stream in (one, all_, hers):
                seen = stream.until(ended)
                assert {shown["chunks_uploaded"] for name, shown, _ in seen if name == "upload"} >= {2}
                [completed] = [shown for name, shown, _ in seen if shown.get("status") == "completed"]
                assert (completed["file_id"], completed["job_id"]) == (done["file_id"], done["processing_job_id"])
                assert {shown["job_id"] for name, shown, _ in seen if name == "job"} == {done["processing_job_id"]}
            assert his.event()[0] == "ready"
            with pytest.raises(TimeoutError):
                his.event(0.5)
            last_seen = all_.last_id
        other = initiate(pair[0], CHUNK)["upload_id"]
        send_chunk(pair[0], other, 0, b"x" * CHUNK)
        time.sleep(1)  # nobody watches, and it is heard all the same
        with EventSource(pair[1], "/v1/events", last_seen=last_seen) as all_:
            seen = all_.until(lambda name, _: name == "ready")
            assert [shown["chunks_uploaded"] for _, shown, _ in seen if shown.get("upload_id") == other] == [0, 1], seen
    finally:
        assert worker.end() is None


def test_event_streams_say_that_redis_was_away(pair, redis):
    wait_until_heard(pair[1], pair[0])
    upload_id = initiate(pair[0], 2 * CHUNK)["upload_id"]
    with EventSource(pair[1], f"/v1/uploads/{upload_id}/events") as one, EventSource(pair[1], "/v1/events") as all_:
        assert all_.event()[0] == "ready"
        redis.stop()
        ask(pair[0], "DELETE", f"/v1/uploads/{upload_id}")
        redis.start()
        wait_until(lambda: ask(pair[0], "DELETE", f"/v1/uploads/{upload_id}").status_code == 200)
        all_.until(lambda name, shown: name == "reset" and shown["reason"] == "gap")
        assert one.until(lambda _, shown: shown["status"] == "cancelled")


def test_cancelling_at_one_stops_the_other(pair):
    upload_id = initiate(pair[0], 2 * CHUNK)["upload_id"]
    send_chunk(pair[0], upload_id, 0, b"x" * CHUNK)
    assert ask(pair[1], "DELETE", f"/v1/uploads/{upload_id}").status_code == 200
    check_problem(try_chunk(pair[0], upload_id, 1, b"x" * CHUNK), 409, "upload_cancelled")
    assert status(pair[0], upload_id)["status"] == "cancelled"


def test_health_names_redis_with_its_latency(pair, redis):
    for daemon in pair:
        health = get(daemon, "/health")
        assert health["dependencies"]["redis"] == "connected" and 0 < health["latency_ms"]["redis"] < 1000
    redis.stop()
    wait_until(lambda: ask(pair[0], "GET", "/readyz").status_code == 503, 10, "readiness does not turn red")
    health = ask(pair[0], "GET", "/health").json()
    assert health["status"] == "unhealthy" and health["dependencies"]["redis"] == "disconnected"
    assert ask(pair[0], "GET", "/livez").status_code == 200
    redis.start()
    wait_until(lambda: ask(pair[0], "GET", "/readyz").status_code == 200, 10, "readiness does not come back")


def test_a_daemon_that_has_no_redis_says_what_that_means(pair, tmp_path):
    line = "without REDIS_URL watchers hear late of what other daemons do"
    alone = Daemon(tmp_path / "alone", "--workers", "0", env={**pair[0].env, "REDIS_URL": ""}).start()
    wrong = alone.end()
    assert line in alone.log_text() and line not in pair[0].log_text() and not wrong, wrong


def test_without_redis_reading_works_and_writing_asks_to_come_back(pair, redis):
    data = some_bytes(3 * CHUNK)
    upload_id = initiate(pair[0], len(data))["upload_id"]
    send_chunk(pair[0], upload_id, 0, piece(data, 0))
    redis.stop()
    time.sleep(0.1)
    for daemon in pair:
        for _ in range(3):
            began = time.monotonic()
            check_problem(try_chunk(daemon, upload_id, 1, piece(data, 1)), 503, "busy")
            assert status(daemon, upload_id)["chunks_uploaded"] == 1
            assert time.monotonic() - began < 3
    assert initiate(pair[1], CHUNK)["upload_id"]
    time.sleep(AWAY_SECONDS)
    redis.start()
    send_at_last(pair[1], upload_id, 1, piece(data, 1))
    send_at_last(pair[0], upload_id, 2, piece(data, 2))
    check_file(pair[0], complete(pair[1], upload_id), data)


@pytest.mark.parametrize("trouble", ["killed", "frozen", "flushed"])
def test_uploads_and_watchers_survive_the_trouble_of_redis(pair, redis, trouble):
    data = some_bytes(120 * CHUNK)
    upload_id, failures, sent = initiate(pair[0], len(data))["upload_id"], [], []

    def send():
        try:
            for index in range(120):
                send_at_last(pair[index // 3 % 2], upload_id, index, piece(data, index))
                sent.append(index)
        except BaseException as failure:
            failures.append(failure)
    sender = threading.Thread(target=send)
    with watch(pair[0], upload_id) as one, watch(pair[1], upload_id) as two:
        sender.start()
        wait_until(lambda: len(sent) > 10 or failures, 20)
        if trouble == "flushed":
            for _ in range(10):
                redis.flush()
                time.sleep(0.1)
        elif trouble == "frozen":
            redis.freeze()
            time.sleep(AWAY_SECONDS)
            redis.freeze(False)
        else:
            redis.stop()
            time.sleep(AWAY_SECONDS)
            redis.start()
        sender.join(120)
        assert not failures and len(sent) == 120, failures
        done = complete(pair[1], upload_id)
        for socket_ in (one, two):
            see(socket_, 120, "completed", 45)
    check_file(pair[0], done, data)


def test_a_killed_daemon_blocks_its_uploads_for_no_longer_than_its_lease(pair):
    data = some_bytes(40 * CHUNK)
    upload_id = initiate(pair[0], len(data))["upload_id"]
    stop, sent = threading.Event(), []

    def send():
        try:
            for index in range(40):
                send_chunk(pair[0], upload_id, index, piece(data, index))
                sent.append(index)
        except Exception:
            stop.set()
    sender = threading.Thread(target=send)
    sender.start()
    wait_until(lambda: len(sent) > 5, 20)
    pair[0].kill()
    sender.join(30)
    began = time.monotonic()
    for index in range(40):
        send_at_last(pair[1], upload_id, index, piece(data, index))
        assert index > 0 or time.monotonic() - began < 14
    assert status(pair[1], upload_id)["chunks_uploaded"] == 40
    check_file(pair[1], complete(pair[1], upload_id), data)
    pair[0].start()


def test_two_daemons_count_the_requests_of_a_client_together(tmp_path, redis):
    both = [Daemon(tmp_path / name, "--workers", "0", "--rate-limit", "10", "--rate-limit-owner", "2", "--rate-window", "1h",
                   env={"REDIS_URL": redis.uri}).start() for name in ("a", "b")]
    try:
        for n in range(10):
            reply = ask(both[n % 2], "GET", "/v1/files")
            assert reply.status_code == 200 and reply.headers["RateLimit"].startswith(f'"client";r={9 - n};t=')
        for daemon in both:
            reply = ask(daemon, "GET", "/v1/files")
            check_problem(reply, 429, "rate_limited")
            assert 0 < int(reply.headers["Retry-After"]) <= 7200
            assert reply.headers["RateLimit-Policy"] == '"client";q=10;w=3600'
            assert ask(daemon, "GET", "/health").status_code == 200
        redis.flush()
        request = {"filename": "a", "size": 1, "mime_type": "text/plain", "user_id": "ann"}
        replies = [ask(both[n % 2], "POST", "/v1/uploads/initiate", json=request) for n in range(3)]
        assert [reply.status_code for reply in replies] == [201, 201, 429]
        assert ask(both[0], "POST", "/v1/uploads/initiate", json={**request, "user_id": "bob"}).status_code == 201
        redis.stop()
        for _ in range(20):
            assert ask(both[0], "GET", "/v1/files").status_code == 200, "without Redis nobody is counted"
    finally:
        assert [one.end() for one in both] == [None, None]
