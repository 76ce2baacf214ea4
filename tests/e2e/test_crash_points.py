"""Owns: the proof that no moment is a bad one to die: one life of an upload, its job, and a deletion is ended at its Nth change of
the disk, for every N, by a kill or by a power cut; and the same with that change failing. Nothing that was acknowledged is lost,
everything happens once, and nothing is left behind.
Must not know: how the daemon keeps its data; only files are counted, at the end."""

import errno
import hashlib
import io
import os
import random
import time

import pytest
import requests

import daemon_process
import faulty_disk
from api import all_items, check_problem
from faulty_disk import FAIL, FAIL_ALWAYS, KILL, KILL_TORN, LOSE_BYTES, LOSE_NAMES, LOSE_SOME

EVERY = 1 if os.environ.get("FILEPROC_SLOW") == "yes" else 15
CHUNK = 4096
OPTIONS = ("--chunk-size", CHUNK, "--workers", 1, "--job-backoff-base", "10ms", "--job-backoff-cap", "50ms", "--job-max-attempts", 100,
           "--job-lease", "3s", "--reap-interval", "200ms", "--reap-grace", "2s", "--http-threads", 8)


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    if any(runtime in daemon_process.PROGRAM.read_bytes() for runtime in (b"libasan.so", b"libtsan.so")):
        pytest.skip("a sanitizer wants to be the first library of a process")
    return faulty_disk.build(tmp_path_factory.mktemp("faulty_disk"))


def jpeg(rng):
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((48, 32), rng.uniform(20, 90)).convert("RGB").save(out, "JPEG", quality=60)
    return out.getvalue()


class Life:
    """What one client does, undeterred; whatever was acknowledged is never sent again."""

    def __init__(self, daemon, rng, faults_are_errors):
        self.daemon, self.rng, self.faults_are_errors = daemon, rng, faults_are_errors
        self.deaths = self.refusals = 0

    def ask(self, method, path, **arguments):
        deadline = time.monotonic() + 30
        while True:
            assert time.monotonic() < deadline, (method, path, self.refusals)
            try:
                reply = requests.request(method, self.daemon.url + path, timeout=20, **arguments)
            except requests.RequestException:
                assert not self.faults_are_errors and self.daemon.process.wait(10) == -9, "the daemon died of an error"
                self.daemon.restart_well()
                self.deaths += 1
                continue
            if reply.status_code < 500:
                return reply
            assert self.faults_are_errors, reply.text
            check_problem(reply, reply.status_code)
            self.refusals += 1
            if self.refusals % 3 == 0:
                self.daemon.disk.disarm()

    def get(self, path):
        reply = self.ask("GET", path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def send(self, data, filename, mime_type):
        """The path of an upload with all of its chunks."""
        reply = self.ask("POST", "/v1/uploads/initiate", json={"filename": filename, "size": len(data), "mime_type": mime_type})
        assert reply.status_code == 201, reply.text
        path = f"/v1/uploads/{reply.json()['upload_id']}"
        order = list(range(reply.json()["total_chunks"]))
        self.rng.shuffle(order)
        for sent, index in enumerate(order):
            reply = self.ask("PUT", f"{path}/chunk?chunk_index={index}", data=data[index * CHUNK:(index + 1) * CHUNK],
                             headers={"Content-Type": "application/octet-stream"})
            assert reply.status_code == 200, reply.text
            assert reply.json()["chunks_uploaded"] == sent + 1, "an acknowledged chunk is gone"
        return path

    def upload(self, *what):
        """(file id, job id)"""
        path = self.send(*what)
        reply = self.ask("POST", path + "/complete")
        assert reply.status_code == 200, reply.text
        done = reply.json()
        again = self.ask("POST", path + "/complete")
        assert again.status_code == 200 and again.json()["file_id"] == done["file_id"]
        assert again.json()["processing_job_id"] == done["processing_job_id"]
        return done["file_id"], done["processing_job_id"]

    def wait_for_job(self, job_id):
        deadline = time.monotonic() + 40
        while True:
            job = self.get(f"/v1/jobs/{job_id}")
            if job["state"] not in ("queued", "running"):
                assert job["state"] == "succeeded", job
                return
            assert time.monotonic() < deadline, job
            if self.faults_are_errors and time.monotonic() > deadline - 39.5:
                self.daemon.disk.disarm()  # no answer tells that a job has trouble
            time.sleep(0.01)

    def live(self):
        """Leaves one file behind: (id, its bytes)."""
        assert self.ask("DELETE", self.send(self.rng.randbytes(100), "not.txt", "text/plain")).status_code == 200
        text = self.rng.randbytes(CHUNK + 100).hex().encode()
        text_id, text_job = self.upload(text, "text.txt", "text/plain")
        self.wait_for_job(text_job)
        image_id, image_job = self.upload(jpeg(self.rng), "image.jpg", "image/jpeg")
        self.wait_for_job(image_job)
        derivatives = self.get(f"/v1/files/{image_id}/derivatives")["items"]
        assert len(derivatives) == 2, derivatives
        reply = self.ask("DELETE", f"/v1/files/{image_id}")
        assert reply.status_code == 204 or (reply.status_code == 404 and self.deaths + self.refusals), reply.text
        for file_id in (image_id, *[d["id"] for d in derivatives]):
            assert self.ask("GET", f"/v1/files/{file_id}").status_code == 404
        return text_id, text


def check_everything(daemon, kept):
    """Each file is there, once, byte for byte; every job has ended; nothing is staged, and no object lies there for nobody."""
    files = list(all_items(daemon, "/v1/files?limit=200"))
    assert sorted(f["id"] for f in files) == sorted(kept)
    for file in files:
        body = requests.get(f"{daemon.url}/v1/files/{file['id']}/content", timeout=20).content
        assert body == kept[file["id"]] and file["sha256"] == hashlib.sha256(body).hexdigest()
        jobs = requests.get(f"{daemon.url}/v1/jobs?file_id={file['id']}", timeout=20).json()["items"]
        assert [job["state"] for job in jobs] == ["succeeded"]
    for state in ("queued", "running"):
        assert requests.get(f"{daemon.url}/v1/jobs?state={state}", timeout=20).json()["items"] == []
    store = daemon.data / "objects"
    deadline = time.monotonic() + 20
    while True:
        staged = [p.name for p in (store / "staging").iterdir() if not p.name.startswith("spare-")]
        objects = sorted(p.name for p in (store / "objects").rglob("*") if p.is_file())
        if not staged and objects == sorted(kept):
            return
        assert time.monotonic() < deadline, (staged, set(objects) - set(kept), set(kept) - set(objects))
        time.sleep(0.1)


@pytest.fixture
def daemon(tmp_path, library):
    own = faulty_disk.FaultyDaemon(tmp_path, library, *OPTIONS)
    yield own
    if own.running():
        own.kill()


def sweep(daemon, what, every, first=1, **fault):
    """One life for each point: (how many points met their fate, deaths and refusals that the client saw)."""
    kept, met, seen = {}, 0, 0
    daemon.start()
    at = first
    while True:
        life = Life(daemon, random.Random(at), what in (FAIL, FAIL_ALWAYS))
        daemon.disk.arm(what, at, **fault)
        try:
            file_id, text = life.live()
        except AssertionError as e:
            raise AssertionError(f"at change {at} with {fault}: {e}") from e
        fired = daemon.disk.fired()
        daemon.disk.disarm()
        if fired and not life.faults_are_errors and daemon.process.poll() is None and not life.deaths:
            daemon.process.wait(10)  # it is about to
        if daemon.process.poll() is not None:  # in the background, after the last answer
            daemon.restart_well()
        kept[file_id] = text
        seen += life.deaths + life.refusals
        if not fired:
            break
        met += 1
        if met % 150 == 0:
            check_everything(daemon, kept)
        at += every
    check_everything(daemon, kept)
    assert daemon.end() is None
    return met, seen


KILLS = [(KILL, 0), (KILL_TORN, 0), (KILL, LOSE_BYTES), (KILL, LOSE_NAMES), (KILL, LOSE_BYTES | LOSE_NAMES),
         (KILL_TORN, LOSE_BYTES | LOSE_NAMES | LOSE_SOME)]


@pytest.mark.parametrize("number, what, lose", [(number, *kill) for number, kill in enumerate(KILLS)])
def test_no_moment_to_die_is_a_bad_one(daemon, number, what, lose):
    met, seen = sweep(daemon, what, EVERY, first=1 + 5 * number % EVERY, lose=lose)
    assert met * EVERY > 60 and seen > met / 2, (met, seen)


@pytest.mark.parametrize("number, what, error", [(number, what, error) for number, (what, error) in enumerate(
    [(FAIL, errno.EIO), (FAIL, errno.ENOSPC), (FAIL_ALWAYS, errno.EIO), (FAIL_ALWAYS, errno.ENOSPC)])])
def test_no_failing_change_does_harm(daemon, number, what, error):
    every = EVERY if what == FAIL else EVERY * 2  # a job that could not even say so waits for its lease
    met, _ = sweep(daemon, what, every, first=1 + 7 * number % every, error=error)
    assert met * every > 60
