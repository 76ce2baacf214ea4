"""Owns: the end of a daemon: SIGTERM loses neither requests nor jobs, and the next start is quick."""

import threading
import time

import pytest
import requests

from api import ask, check_problem, complete, content, get, initiate, send_chunk, status, upload, wait_for_job, wait_until
from media_files import slow_picture
from raw_http import Connection, request

CHUNK = 5 * 1024 * 1024


def put(upload_id, length):
    return request("PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index=0", "Content-Type: application/octet-stream",
                   f"Content-Length: {length}")


def test_a_slow_chunk_in_flight_ends_with_200_and_is_kept(daemon):
    upload_id = initiate(daemon, 2000)["upload_id"]
    with Connection(daemon) as slow:
        slow.send(put(upload_id, 2000) + b"x" * 1000)
        time.sleep(0.2)
        daemon.signal_end()
        time.sleep(0.5)
        assert daemon.running(), "it did not wait for a request"
        check_problem(ask(daemon, "POST", "/v1/uploads/initiate", json={}), 503, "draining")
        assert ask(daemon, "GET", "/livez").status_code == 200 and ask(daemon, "GET", "/readyz").status_code == 503
        assert ask(daemon, "GET", "/health").json()["status"] == "draining"
        slow.send(b"x" * 1000)
        reply = slow.reply()
        assert reply.status_code == 200 and reply.json()["chunks_uploaded"] == 1
    assert daemon.process.wait(15) == 0
    daemon.restart()
    assert status(daemon, upload_id)["chunks_uploaded"] == 1
    assert content(daemon, complete(daemon, upload_id)["file_id"]) == b"x" * 2000


@pytest.mark.daemon_options("--drain-timeout", "1s")
def test_a_request_that_never_ends_does_not_hold_up_the_end(daemon):
    upload_id = initiate(daemon, 2000)["upload_id"]
    with Connection(daemon) as stuck:
        stuck.send(put(upload_id, 2000) + b"x")
        time.sleep(0.2)
        began = time.monotonic()
        assert daemon.terminate() == 0
        assert time.monotonic() - began < 10
    daemon.restart()
    assert status(daemon, upload_id)["chunks_uploaded"] == 0


def test_a_running_job_goes_back_to_the_queue_and_succeeds_after_the_restart(daemon):
    done = upload(daemon, slow_picture(1400), "slow.jpg", "image/jpeg")
    wait_for_job(daemon, done["processing_job_id"])
    steps = [{"name": f"s{n}", "operation": "image.convert", "params": {"format": "avif", "quality": 60 + n}} for n in range(2)]
    job = ask(daemon, "POST", f"/v1/files/{done['file_id']}/jobs", json={"pipeline": {"steps": steps}}).json()
    wait_until(lambda: get(daemon, f"/v1/jobs/{job['id']}")["state"] == "running", 20)
    began = time.monotonic()
    assert daemon.terminate() == 0 and time.monotonic() - began < 10
    assert daemon.left_behind() is None
    daemon.restart()
    job = wait_for_job(daemon, job["id"], 120)
    assert job["state"] == "succeeded" and job["attempt"] == 1, job
    derivatives = get(daemon, f"/v1/files/{done['file_id']}/derivatives")["items"]
    assert len([d for d in derivatives if d["operation"] == "image.convert"]) == 2


def test_a_killed_daemon_s_job_is_done_by_the_next_one(daemon):
    done = upload(daemon, slow_picture(2000), "slow.jpg", "image/jpeg")
    wait_until(lambda: get(daemon, f"/v1/jobs/{done['processing_job_id']}")["state"] == "running", 20)
    daemon.kill()
    assert daemon.left_behind() is None, "helpers end with their parent"
    daemon.options += ["--job-lease", "3s", "--job-backoff-base", "10ms"]
    daemon.restart()
    job = wait_for_job(daemon, done["processing_job_id"], 60)
    assert job["state"] == "succeeded" and job["attempt"] <= 2, job
    assert len(get(daemon, f"/v1/files/{done['file_id']}/derivatives")["items"]) == 2


def test_a_second_signal_ends_at_once(daemon):
    upload_id = initiate(daemon, 2000)["upload_id"]
    with Connection(daemon) as stuck:
        stuck.send(put(upload_id, 2000) + b"x")
        time.sleep(0.2)
        daemon.signal_end()
        time.sleep(0.3)
        began = time.monotonic()
        daemon.signal_end()
        assert daemon.process.wait(5) == 128 + 15 and time.monotonic() - began < 2
    daemon.restart()
    assert status(daemon, upload_id)["status"] == "initiated"


def test_the_start_after_a_kill_is_quick_with_thousands_of_open_uploads(daemon):
    session, started = requests.Session(), []

    def many():
        own = requests.Session()
        for _ in range(750):
            reply = own.post(daemon.url + "/v1/uploads/initiate", timeout=20,
                             json={"filename": "a.txt", "size": 2000, "mime_type": "text/plain"})
            assert reply.status_code == 201
            started.append(reply.json()["upload_id"])
            if len(started) % 4 == 0:
                own.put(f"{daemon.url}/v1/uploads/{started[-1]}/chunk?chunk_index=0", data=b"x" * 2000, timeout=20,
                        headers={"Content-Type": "application/octet-stream"})

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 3000
    daemon.kill()
    began = time.monotonic()
    daemon.restart()
    assert time.monotonic() - began < 2
    for upload_id in started[::500]:
        assert session.get(f"{daemon.url}/v1/uploads/{upload_id}/status", timeout=20).json()["status"] in (
            "initiated", "uploading")


def test_everything_is_there_after_a_restart(daemon):
    done = upload(daemon, b"stays", user_id="ann")
    wait_for_job(daemon, done["processing_job_id"])
    half = initiate(daemon, CHUNK + 10)["upload_id"]
    send_chunk(daemon, half, 1, b"0123456789")
    before = [get(daemon, path) for path in ("/v1/files", "/v1/jobs")]
    assert daemon.terminate() == 0
    daemon.restart()
    assert [get(daemon, path) for path in ("/v1/files", "/v1/jobs")] == before
    assert (status(daemon, half)["status"], status(daemon, half)["chunks_uploaded"]) == ("uploading", 1)
    send_chunk(daemon, half, 0, b"x" * CHUNK)
    assert content(daemon, complete(daemon, half)["file_id"]) == b"x" * CHUNK + b"0123456789"
    assert complete(daemon, done["upload_id"]) == done
