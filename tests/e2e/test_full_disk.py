"""Owns: a full disk: 507 with Retry-After, nothing acknowledged is lost, and work goes on once there is room."""

import os
import random
import subprocess

import pytest

from api import (ask, check_problem, complete, content, get, initiate, send_chunk, status, try_chunk, try_complete, try_initiate,
                 wait_for_job, wait_until)
from daemon_process import Daemon
from raw_http import Connection

CHUNK = 1 << 20
DISK = 32  # MiB, of which 8 are kept for the database


@pytest.fixture
def small_disk(tmp_path, request):
    """A daemon whose data folder is a file system of a few MiB."""
    folder = tmp_path / "fileprocd"
    (folder / "data").mkdir(parents=True)
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", folder / "data"], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    own = Daemon(folder, "--chunk-size", str(CHUNK), "--reap-interval", "300ms")
    try:
        own.start()
        yield own
        assert own.end() is None, own.log_text()[-4000:]
    finally:
        if own.running():
            own.kill()
        subprocess.run(["umount", folder / "data"], check=True)


def fill(daemon, data, upload_id):
    """Sends chunks until the disk is full: (how many were acknowledged, the refusal)."""
    for index in range(len(data) // CHUNK):
        reply = try_chunk(daemon, upload_id, index, data[index * CHUNK:(index + 1) * CHUNK])
        if reply.status_code != 200:
            return index, reply
    raise AssertionError("the disk does not get full")


def test_a_full_disk_answers_507_and_loses_nothing(small_disk):
    data = random.Random(1).randbytes(40 * CHUNK)
    session = initiate(small_disk, len(data))
    upload_id = session["upload_id"]
    acknowledged, reply = fill(small_disk, data, upload_id)
    problem = check_problem(reply, 507, "storage_full")
    assert "space" in problem["detail"] and acknowledged > DISK // 3
    assert status(small_disk, upload_id)["chunks_uploaded"] == acknowledged

    # Reading, probing and, after a kill, starting go on.
    assert ask(small_disk, "GET", "/livez").status_code == 200
    reply = ask(small_disk, "GET", "/health")
    assert reply.status_code == 503 and reply.json()["dependencies"]["disk"] == "full"
    assert get(small_disk, "/v1/files") == {"items": [], "next": None}
    small_disk.kill()
    small_disk.restart(wait=False)
    wait_alive(small_disk)
    assert status(small_disk, upload_id)["chunks_uploaded"] == acknowledged

    # With room again the same upload goes on.
    enlarge(small_disk, 160)
    for index in range(acknowledged, 40):
        send_chunk(small_disk, upload_id, index, data[index * CHUNK:(index + 1) * CHUNK])
    done = complete(small_disk, upload_id)
    assert content(small_disk, done["file_id"]) == data


def wait_alive(daemon):
    from api import wait_until
    import requests

    def up():
        try:
            return requests.get(daemon.url + "/livez", timeout=5).status_code == 200
        except requests.ConnectionError:
            assert daemon.running(), daemon.log_text()[-2000:]
            return False
    wait_until(up, 20)


def enlarge(daemon, mebibytes):
    subprocess.run(["mount", "-o", f"remount,size={mebibytes}m", daemon.data], check=True)


def test_sessions_and_completion_on_a_full_disk(small_disk):
    first = initiate(small_disk, 3 * CHUNK)["upload_id"]
    for index in range(3):
        send_chunk(small_disk, first, index, b"x" * CHUNK)
    filler = small_disk.data / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError:
            pass
    for _ in range(3):
        reply = try_initiate(small_disk, size=10)
        if reply.status_code != 201:  # the database may have room in its own file
            check_problem(reply, 507, "storage_full")
    reply = try_complete(small_disk, first)
    if reply.status_code != 200:
        check_problem(reply, 507, "storage_full")
    filler.unlink()
    done = complete(small_disk, first)
    assert content(small_disk, done["file_id"]) == b"x" * 3 * CHUNK
    assert wait_for_job(small_disk, done["processing_job_id"])["state"] == "succeeded"


def test_cancelling_makes_room(small_disk):
    data = random.Random(2).randbytes(40 * CHUNK)
    upload_id = initiate(small_disk, len(data))["upload_id"]
    fill(small_disk, data, upload_id)
    assert ask(small_disk, "DELETE", f"/v1/uploads/{upload_id}").status_code == 200
    again = initiate(small_disk, 8 * CHUNK)["upload_id"]
    for index in range(8):
        send_chunk(small_disk, again, index, data[index * CHUNK:(index + 1) * CHUNK])
    assert content(small_disk, complete(small_disk, again)["file_id"]) == data[:8 * CHUNK]


def test_an_object_of_unknown_length_needs_only_its_own_room(small_disk):
    """The most that it might have, 100 MiB, is more than the disk."""
    def put(mebibytes):
        return ask(small_disk, "PUT", "/v1/objects/unknown", data=iter([b"x" * CHUNK] * mebibytes))

    assert put(1).status_code == 201
    check_problem(put(40), 507, "storage_full")
    assert ask(small_disk, "GET", "/v1/objects/unknown").content == b"x" * CHUNK
    assert put(4).status_code == 200


def test_a_chunk_that_broke_off_leaves_its_room_to_the_next_try(small_disk):
    upload_id = initiate(small_disk, CHUNK)["upload_id"]
    disk = os.statvfs(small_disk.data)
    with open(small_disk.data / "filler", "wb") as out:
        os.posix_fallocate(out.fileno(), 0, disk.f_bavail * disk.f_frsize - 8 * CHUNK - CHUNK * 3 // 2)
    for _ in range(3):
        with Connection(small_disk) as connection:
            connection.send(f"PUT /v1/uploads/{upload_id}/chunk?chunk_index=0 HTTP/1.1\r\nHost: localhost\r\n"
                            f"Content-Type: application/octet-stream\r\nContent-Length: {CHUNK}\r\n\r\n")
            connection.send(b"y" * (CHUNK - 1000))
    # The server may hear of a broken connection late, and take its request for the newer one.
    wait_until(lambda: try_chunk(small_disk, upload_id, 0, b"x" * CHUNK).status_code != 409)
    assert content(small_disk, complete(small_disk, upload_id)["file_id"]) == b"x" * CHUNK
