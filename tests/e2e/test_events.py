"""Owns: server-sent events: the state at once, replay, jobs, filters, many watchers, slow ones, the limit, the end."""

import concurrent.futures
import http.client
import json
import subprocess
import time

import pytest

from api import UNKNOWN, ask, check_problem, complete, initiate, send_chunk, try_chunk, upload, wait_for_job, wait_until
from event_source import EventSource
from media_files import PHOTOS

CHUNK = 64 * 1024


def watch(server, upload_id, **options):
    stream = EventSource(server, f"/v1/uploads/{upload_id}/events", **options)
    assert stream.status == 200, stream.status
    return stream


def watch_all(server, query="", **options):
    stream = EventSource(server, f"/v1/events{query}", **options)
    assert stream.status == 200, stream.status
    return stream


def watchers(server):
    [line] = [line for line in ask(server, "GET", "/metrics").text.splitlines() if line.startswith("fileproc_progress_watchers ")]
    return int(line.split()[1])


def dropped(server):
    [line] = [line for line in ask(server, "GET", "/metrics").text.splitlines()
              if line.startswith("fileproc_event_streams_dropped_total ")]
    return int(line.split()[1])


def nothing_comes(stream, seconds=0.5):
    try:
        return stream.event(seconds) is None
    except TimeoutError:
        return True


def test_the_state_comes_at_once_and_then_every_change(server):
    session = initiate(server, 4 * CHUNK)
    upload_id = session["upload_id"]
    send_chunk(server, upload_id, 2, b"x" * CHUNK)
    with watch(server, upload_id) as stream:
        assert stream.headers["content-type"] == "text/event-stream" and stream.headers["cache-control"] == "no-store"
        assert "content-length" not in stream.headers and stream.headers["connection"] == "close"
        assert stream.event()[:2] == ("upload", {"upload_id": upload_id, "chunks_uploaded": 1, "total_chunks": 4, "percentage": 25.0,
                                                 "status": "uploading"})
        for sent, index in enumerate((0, 1, 3), 2):
            send_chunk(server, upload_id, index, b"x" * CHUNK)
            name, shown, _ = stream.event()
            assert (name, shown["chunks_uploaded"], shown["percentage"]) == ("upload", sent, sent * 25.0)
        done = complete(server, upload_id)
        name, shown, _ = stream.event()
        assert (name, shown["status"], shown["file_id"]) == ("upload", "completed", done["file_id"])


def test_the_upload_s_job_is_seen_to_its_end(server):
    data = PHOTOS[0].read_bytes()
    session = initiate(server, len(data), "photo.jpg", "image/jpeg")
    with watch(server, session["upload_id"]) as stream:
        for index in range(session["total_chunks"]):
            send_chunk(server, session["upload_id"], index, data[index * CHUNK:(index + 1) * CHUNK])
        done = complete(server, session["upload_id"])
        seen = stream.until(lambda name, shown: name == "job" and shown["state"] == "succeeded")
        jobs = [shown for name, shown, _ in seen if name == "job"]
        assert {shown["job_id"] for shown in jobs} == {done["processing_job_id"]}
        assert {shown["file_id"] for shown in jobs} == {done["file_id"]}
        assert "running" in {shown["state"] for shown in jobs} and jobs[-1]["progress"] == 1
        completed = [place for place, (name, shown, _) in enumerate(seen) if shown.get("status") == "completed"]
        assert len(completed) == 1 and all(name == "upload" for name, _, _ in seen[:completed[0]])
        assert seen[completed[0]][1]["job_id"] == done["processing_job_id"]
    with watch(server, session["upload_id"]) as late:
        assert late.event()[1]["status"] == "completed"
        assert late.event()[:2] == ("job", jobs[-1])


def test_numbers_grow_by_what_is_behind_them(server):
    upload_id = initiate(server, 3 * CHUNK)["upload_id"]
    with watch(server, upload_id) as stream:
        stream.event()
        ids = []
        for index in range(3):
            send_chunk(server, upload_id, index, b"x" * CHUNK)
            ids.append(stream.event()[2])
    marks, numbers = zip(*(text.split("-") for text in ids))
    assert len(set(marks)) == 1 and sorted(map(int, numbers)) == list(map(int, numbers)) and len(set(numbers)) == 3


def test_who_comes_back_gets_what_he_missed(server):
    upload_id = initiate(server, 5 * CHUNK)["upload_id"]
    with watch(server, upload_id) as stream:
        stream.event()
        send_chunk(server, upload_id, 0, b"x" * CHUNK)
        last_seen = stream.event()[2]
    for index in (1, 2, 3):
        send_chunk(server, upload_id, index, b"x" * CHUNK)
    with watch(server, upload_id, last_seen=last_seen) as stream:
        assert [stream.event()[1]["chunks_uploaded"] for _ in range(3)] == [2, 3, 4]
        send_chunk(server, upload_id, 4, b"x" * CHUNK)
        assert stream.event()[1]["chunks_uploaded"] == 5
        last_seen = stream.last_id
    with watch(server, upload_id, last_seen=last_seen) as stream:
        assert stream.event()[1]["chunks_uploaded"] == 5  # nothing was missed; the state is told all the same
        assert nothing_comes(stream)


def test_who_comes_back_to_everything_gets_what_he_missed(server):
    mine = initiate(server, 3 * CHUNK)["upload_id"]
    with watch_all(server) as stream:
        name, data, last_seen = stream.event()
        assert (name, data) == ("ready", {})
    for index in range(3):
        send_chunk(server, mine, index, b"x" * CHUNK)
    with watch_all(server, last_seen=last_seen) as stream:
        seen = stream.until(lambda name, shown: name == "ready")
    assert [shown["chunks_uploaded"] for name, shown, _ in seen if shown.get("upload_id") == mine] == [1, 2, 3]


@pytest.mark.parametrize("last_seen", ["0000000000000001-7", "7", "nonsense", "x" * 200, "{own}-18446744073709551615", "{own}-1x", "{own}-01"])
def test_what_another_process_numbered_is_reset(server, last_seen):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with watch(server, upload_id) as stream:
        last_seen = last_seen.replace("{own}", stream.event()[2].split("-")[0])
    with watch(server, upload_id, last_seen=last_seen) as stream:
        assert stream.event()[:2] == ("reset", {"reason": "other_process"})
        assert stream.event()[1]["status"] == "initiated"
    with watch_all(server, last_seen=last_seen) as stream:
        assert stream.event()[:2] == ("reset", {"reason": "other_process"})
        assert stream.event()[0] == "ready"


def send_many(daemon, upload_id, count):
    """Chunks of 1 KiB over one connection; answers how long the slowest took."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    slowest = 0
    for index in range(count):
        before = time.monotonic()
        connection.request("PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index={index}", b"x" * 1024,
                           {"Content-Type": "application/octet-stream"})
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()
        slowest = max(slowest, time.monotonic() - before)
    connection.close()
    return slowest


@pytest.mark.daemon_options("--chunk-size", "1KiB")
def test_what_is_not_kept_any_more_is_reset_and_a_slow_watcher_is_dropped(daemon):
    """More changes than are kept, and more than the kernel holds for somebody who does not read."""
    count = 2500
    upload_id = initiate(daemon, count * 1024)["upload_id"]
    with watch_all(daemon) as stream:
        last_seen = stream.event()[2]
    slow = EventSource(daemon, "/v1/events", receive_buffer=4096)
    with watch(daemon, upload_id) as fast, slow, concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(fast.until, lambda _, shown: shown["chunks_uploaded"] == count)
        assert send_many(daemon, upload_id, count) < 2
        assert [shown["chunks_uploaded"] for _, shown, _ in reading.result(20)] == list(range(count + 1))
        wait_until(lambda: dropped(daemon) == 1, what="the slow one is not dropped")
        wait_until(lambda: watchers(daemon) == 1, what="its place does not become free")
    with watch_all(daemon, last_seen=last_seen) as stream:
        assert stream.event()[:2] == ("reset", {"reason": "too_old"})
        assert stream.event()[0] == "ready"


def test_two_watchers_see_the_same_and_others_nothing(server):
    mine, other = (initiate(server, 2 * CHUNK)["upload_id"] for _ in range(2))
    with watch(server, mine) as first, watch(server, mine) as second, watch(server, other) as third:
        assert first.event()[:2] == second.event()[:2]
        assert third.event()[1]["upload_id"] == other
        for index in range(2):
            send_chunk(server, mine, index, b"x" * CHUNK)
            assert first.event() == second.event()
        assert nothing_comes(third)


def test_cancelling_is_seen(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with watch(server, upload_id) as stream:
        stream.event()
        ask(server, "DELETE", f"/v1/uploads/{upload_id}")
        assert stream.event()[1]["status"] == "cancelled"


def test_everything_can_be_narrowed_to_a_type_and_an_owner(server):
    with watch_all(server, "?type=job") as jobs, watch_all(server, "?type=upload") as uploads, \
            watch_all(server, "?owner=events-ann") as ann:
        assert {stream.event()[0] for stream in (jobs, uploads, ann)} == {"ready"}
        others = upload(server, PHOTOS[0].read_bytes(), "photo.jpg", "image/jpeg", user_id="events-bob")
        hers = upload(server, PHOTOS[0].read_bytes(), "photo.jpg", "image/jpeg", user_id="events-ann")
        for done in (others, hers):
            wait_for_job(server, done["processing_job_id"])
        ended = lambda name, shown: name == "job" and shown["state"] == "succeeded" and shown["file_id"] == hers["file_id"]
        assert {name for name, _, _ in jobs.until(ended)} == {"job"}
        seen = ann.until(ended)
        assert {shown["upload_id"] for name, shown, _ in seen if name == "upload"} == {hers["upload_id"]}
        assert {shown["job_id"] for name, shown, _ in seen if name == "job"} == {hers["processing_job_id"]}
        seen = uploads.until(lambda name, shown: shown.get("file_id") == hers["file_id"])
        assert {name for name, _, _ in seen} == {"upload"}
        assert {others["upload_id"], hers["upload_id"]} <= {shown["upload_id"] for _, shown, _ in seen}


def test_bad_requests_are_told_so(server):
    check_problem(ask(server, "GET", f"/v1/uploads/{UNKNOWN}/events"), 404, "upload_not_found")
    check_problem(ask(server, "GET", "/v1/events?type=review"), 422, "parameter_invalid")
    check_problem(ask(server, "POST", "/v1/events"), 405, "method_not_allowed")
    reply = ask(server, "HEAD", "/v1/events")
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "text/event-stream"


def test_curl_sees_events(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    done = subprocess.run(["curl", "-sN", "--max-time", "2", f"{server.url}/v1/uploads/{upload_id}/events"], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 28, done  # its own limit
    lines = done.stdout.split("\n")
    assert lines[0].startswith("id: ") and lines[1] == "event: upload"
    assert json.loads(lines[2].removeprefix("data: "))["status"] == "initiated"


def test_a_page_of_an_allowed_origin_may_watch(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with ask_stream(server, upload_id, "https://app.example.com") as reply:
        assert reply.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    with ask_stream(server, upload_id, "https://evil.example") as reply:
        assert "Access-Control-Allow-Origin" not in reply.headers


def ask_stream(server, upload_id, origin):
    return ask(server, "GET", f"/v1/uploads/{upload_id}/events", headers={"Origin": origin}, stream=True)


@pytest.mark.daemon_options("--max-streams", "3")
def test_too_many_watchers_get_503_and_uploads_go_on(daemon):
    upload_id = initiate(daemon, CHUNK)["upload_id"]
    streams = [watch(daemon, upload_id), watch_all(daemon), watch(daemon, upload_id)]
    for stream in streams:
        stream.event()
    check_problem(ask(daemon, "GET", f"/v1/uploads/{upload_id}/events"), 503, "busy")
    check_problem(ask(daemon, "GET", "/v1/events"), 503, "busy")
    assert try_chunk(daemon, upload_id, 0, b"x" * CHUNK).status_code == 200
    streams.pop().close()
    wait_until(lambda: watchers(daemon) == 2, 10, "a place does not become free")
    streams.append(watch(daemon, upload_id))
    for stream in streams:
        stream.close()
    wait_until(lambda: watchers(daemon) == 0, 10, "places do not become free")


@pytest.mark.daemon_options("--http-threads", "4", "--max-streams", "150")
def test_streams_hold_none_of_the_server_s_threads(daemon):
    upload_id = initiate(daemon, CHUNK)["upload_id"]
    streams = [watch(daemon, upload_id) for _ in range(150)]
    for stream in streams:
        assert stream.event()[1]["status"] == "initiated"
    assert try_chunk(daemon, upload_id, 0, b"x" * CHUNK).status_code == 200
    for stream in streams:
        assert stream.event()[1]["chunks_uploaded"] == 1
    check_problem(ask(daemon, "GET", "/v1/events"), 503, "busy")
    for stream in streams:
        stream.close()
    wait_until(lambda: watchers(daemon) == 0, 10, "places do not become free")


def test_a_silent_stream_has_a_heartbeat(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with watch(server, upload_id) as stream:
        stream.event()
        began = time.monotonic()
        stream.socket.settimeout(20)
        assert stream.block() == [":"] and time.monotonic() - began > 10
        send_chunk(server, upload_id, 0, b"x" * CHUNK)
        assert stream.event()[1]["chunks_uploaded"] == 1


def test_sigterm_ends_watchers(daemon):
    upload_id = initiate(daemon, CHUNK)["upload_id"]
    stuck = EventSource(daemon, "/v1/events", receive_buffer=4096)
    with watch(daemon, upload_id) as stream, watch_all(daemon) as everything, stuck:
        stream.event()
        everything.event()
        began = time.monotonic()
        daemon.signal_end()
        assert stream.event() is None and everything.event() is None
        assert daemon.process.wait(20) == 0 and time.monotonic() - began < 8


@pytest.mark.daemon_options("--chunk-size", "1KiB")
def test_sigterm_does_not_wait_for_one_who_does_not_read(daemon):
    upload_id = initiate(daemon, 1500 * 1024)["upload_id"]
    stuck = EventSource(daemon, "/v1/events", receive_buffer=4096)
    with stuck:
        send_many(daemon, upload_id, 1500)
        assert watchers(daemon) == 1
        began = time.monotonic()
        daemon.signal_end()
        assert daemon.process.wait(20) == 0 and time.monotonic() - began < 4
