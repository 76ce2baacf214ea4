"""Owns: the proof of the durability promises: fileprocd is killed with SIGKILL at random moments under load, and nothing is lost.
Must not know: how the daemon keeps its data; only the staging folder is looked into, at the end."""

import hashlib
import io
import os
import random
import threading
import time

import pytest
import requests

ROUNDS = 150 if os.environ.get("FILEPROC_SLOW") == "yes" else 50
CLIENTS = 4
CHUNK = 64 * 1024
LARGE_CHUNK = 2 << 20  # goes past the page cache


def jpeg(rng):
    from PIL import Image

    image = Image.effect_noise((320, 240), rng.uniform(20, 90)).convert("RGB")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


class Client(threading.Thread):
    """Uploads file after file; whatever was acknowledged is never sent again."""

    def __init__(self, daemon, seed, stop, chunk):
        super().__init__(daemon=True)
        self.target_daemon, self.rng, self.stop, self.chunk = daemon, random.Random(seed), stop, chunk
        self.completed = {}  # file id: (sha256, mime type, job id)
        self.uploads = []    # (upload id, file id) of everything completed
        self.failure = None

    def run(self):
        try:
            while not self.stop.is_set():
                self.one_file()
        except Exception as e:  # shown by the test
            self.failure = e

    def ask(self, method, path, **arguments):
        """The answer; asked again while the daemon is down."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return requests.request(method, self.target_daemon.url + path, timeout=20, **arguments)
            except requests.RequestException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def one_file(self):
        if self.rng.random() < 0.25:
            data, mime_type = jpeg(self.rng), "image/jpeg"
        else:
            data, mime_type = self.rng.randbytes(self.rng.randint(0, 8 * self.chunk)).hex().encode(), "text/plain"
        request = {"filename": "under fire", "size": len(data), "mime_type": mime_type}
        reply = self.ask("POST", "/v1/uploads/initiate", json=request)
        assert reply.status_code == 201, reply.text
        upload = reply.json()
        missing = list(range(upload["total_chunks"]))
        self.rng.shuffle(missing)
        acknowledged = 0
        for index in missing:
            chunk = data[index * self.chunk:(index + 1) * self.chunk]
            reply = self.ask("PUT", f"/v1/uploads/{upload['upload_id']}/chunk?chunk_index={index}",
                             files={"file": chunk})
            assert reply.status_code == 200, reply.text
            acknowledged += 1
            assert reply.json()["chunks_uploaded"] == acknowledged, "an acknowledged chunk is gone"
        reply = self.ask("POST", f"/v1/uploads/{upload['upload_id']}/complete")
        assert reply.status_code == 200, reply.text
        done = reply.json()
        assert done["file_id"] not in self.completed
        self.completed[done["file_id"]] = (hashlib.sha256(data).hexdigest(), mime_type, done["processing_job_id"])
        self.uploads.append((upload["upload_id"], done["file_id"]))


def all_items(daemon, path):
    cursor = None
    while True:
        page = requests.get(daemon.url + path, params={"limit": 200, "cursor": cursor}, timeout=20).json()
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.1)


OPTIONS = ("--job-backoff-base", "50ms", "--job-max-attempts", "200", "--reap-interval", "500ms", "--reap-grace", "1s")


@pytest.mark.daemon_options("--chunk-size", str(CHUNK), *OPTIONS)
def test_nothing_acknowledged_is_lost_when_the_daemon_is_killed(daemon):
    live_through(daemon, ROUNDS, CHUNK)


@pytest.mark.daemon_options("--chunk-size", str(LARGE_CHUNK), *OPTIONS)
def test_no_large_chunk_is_lost_when_the_daemon_is_killed(daemon):
    live_through(daemon, ROUNDS // 5, LARGE_CHUNK)


def live_through(daemon, rounds, chunk):
    rng, stop = random.Random(4), threading.Event()
    clients = [Client(daemon, seed, stop, chunk) for seed in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(rounds):
        time.sleep(rng.uniform(0.02, 0.5))
        daemon.kill()
        daemon.restart()
    time.sleep(0.5)
    stop.set()
    for client in clients:
        client.join(120)
        assert client.failure is None, client.failure
    completed = {file_id: facts for client in clients for file_id, facts in client.completed.items()}
    assert len(completed) > rounds, "there was no load"

    # Every completed file is in the catalog once, byte for byte, and nothing else is.
    listed = [file["id"] for file in all_items(daemon, "/v1/files")]
    assert sorted(listed) == sorted(completed)
    for file_id, (sha256, _, _) in completed.items():
        content = requests.get(f"{daemon.url}/v1/files/{file_id}/content", timeout=20).content
        assert hashlib.sha256(content).hexdigest() == sha256

    # Completing once more gives the same answer, not a second file.
    for upload_id, file_id in [client.uploads[-1] for client in clients]:
        again = requests.post(f"{daemon.url}/v1/uploads/{upload_id}/complete", timeout=20)
        assert again.status_code == 200 and again.json()["file_id"] == file_id

    # Every job ends, once, with each derivative once.
    unfinished = lambda: [j for j in all_items(daemon, "/v1/jobs") if j["state"] in ("queued", "running")]
    wait_until(lambda: not unfinished(), 120)
    jobs = {job["id"]: job for job in all_items(daemon, "/v1/jobs")}
    assert len(jobs) == len({job["file_id"] for job in jobs.values()})
    for file_id, (sha256, mime_type, job_id) in completed.items():
        job = jobs.pop(job_id)
        assert job["file_id"] == file_id and job["state"] == "succeeded", job
        file = requests.get(f"{daemon.url}/v1/files/{file_id}", timeout=20).json()
        assert file["sha256"] == sha256
        if mime_type == "image/jpeg":
            derivatives = list(all_items(daemon, f"/v1/files/{file_id}/derivatives"))
            assert len(derivatives) == 2, derivatives
    assert not jobs

    # The reaper leaves nothing staged, and no object that no file names.
    staging = daemon.data / "objects" / "staging"
    wait_until(lambda: not list(staging.iterdir()), 30)
    objects = [path for path in (daemon.data / "objects" / "objects").rglob("*") if path.is_file()]
    derived = sum(2 for _, mime_type, _ in completed.values() if mime_type == "image/jpeg")
    assert len(objects) == len(completed) + derived
