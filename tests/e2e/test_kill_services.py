"""Owns: the proof that five daemons lose nothing either: each is killed with SIGKILL in turn while clients upload through two
fileproc-upload; every file is there once, every job ended once, every event was delivered under one id.
Must not know: how the daemons keep their data."""

import hashlib
import itertools
import os
import random
import threading
import time

import pytest
import requests

import cluster
import test_kill
from api import get, upload, wait_until
from daemon_process import HELPER

ROUNDS = 50 if os.environ.get("FILEPROC_SLOW") == "yes" else 10
CHUNK = 5 << 20  # what an S3 server takes as a part
pytestmark = pytest.mark.skipif(not cluster.available(), reason="no PostgreSQL, Redis, RabbitMQ and S3 server")


class Client(test_kill.Client):
    """Sends every request to any fileproc-upload, and again while that is down, or waits for what a dead one held."""

    def __init__(self, daemons, seed, stop):
        super().__init__(None, seed, stop, CHUNK)
        self.daemons = daemons

    def again(self, reply):
        return reply.status_code == 503 or reply.status_code == 409 and reply.json()["code"] in ("chunk_superseded", "lease_lost")

    def once(self, method, path, **arguments):
        return requests.request(method, self.rng.choice(self.daemons).url + path, timeout=30, **arguments)

    def ask(self, method, path, **arguments):
        deadline = time.monotonic() + 90
        while True:
            try:
                reply = self.once(method, path, **arguments)
                if not self.again(reply) or time.monotonic() > deadline:
                    return reply
            except requests.RequestException:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def one_file(self):
        if self.rng.random() < 0.3:
            data, mime_type = test_kill.jpeg(self.rng), "image/jpeg"
        else:  # mostly small; a large one has chunks at both
            most = CHUNK if self.rng.random() < 0.15 else 32 * 1024
            data, mime_type = self.rng.randbytes(self.rng.randint(1, most)).hex().encode(), "text/plain"
        session = self.ask("POST", "/v1/uploads/initiate", json={"filename": "under fire", "size": len(data), "mime_type": mime_type})
        assert session.status_code == 201, session.text
        session = session.json()
        for number, index in enumerate(self.rng.sample(range(session["total_chunks"]), session["total_chunks"]), 1):
            reply = self.ask("PUT", f"/v1/uploads/{session['upload_id']}/chunk?chunk_index={index}",
                             files={"file": data[index * CHUNK:(index + 1) * CHUNK]})
            assert reply.status_code == 200, reply.text
            assert reply.json()["chunks_uploaded"] == number, "an acknowledged chunk is gone"
        reply = self.ask("POST", f"/v1/uploads/{session['upload_id']}/complete")
        assert reply.status_code == 200, reply.text
        done = reply.json()
        assert done["file_id"] not in self.completed
        self.completed[done["file_id"]] = (hashlib.sha256(data).hexdigest(), mime_type, done["processing_job_id"])


def test_nothing_is_lost_when_each_of_the_five_is_killed_in_turn(tmp_path):
    from broker import Subscriber
    own = cluster.Cluster(tmp_path / "services", replicas=2, FILEPROC_HELPER=str(HELPER), FILEPROC_JOB_BACKOFF_BASE="50ms",
                          FILEPROC_JOB_MAX_ATTEMPTS="200", FILEPROC_JOB_LEASE="3s", FILEPROC_REAP_INTERVAL="1s", FILEPROC_REAP_GRACE="20s",
                          FILEPROC_WORKERS="2").start()
    subscriber = Subscriber(own.env["RABBITMQ_URL"])
    try:
        live_through(own, subscriber)
    finally:
        wrong = own.end()
    assert wrong is None, wrong


def live_through(own, subscriber):
    rng, stop = random.Random(5), threading.Event()
    uploads = [one for one in own.all if one.program.name == "fileproc-upload"]
    clients = [Client(uploads, seed, stop) for seed in range(3)]
    for client in clients:
        client.start()
    for _, victim in zip(range(ROUNDS), itertools.cycle(own.all)):
        time.sleep(rng.uniform(0.05, 0.6))
        victim.kill()
        time.sleep(rng.uniform(0, 0.3))
        victim.restart()
    time.sleep(0.5)
    stop.set()
    for client in clients:
        client.join(120)
        assert client.failure is None, client.failure
    completed = {file_id: facts for client in clients for file_id, facts in client.completed.items()}
    assert len(completed) > ROUNDS, "there was no load"
    check_files(own, completed)
    jobs = check_jobs(own, completed)
    check_events(subscriber, completed, jobs)
    began = time.monotonic()
    upload(uploads[0], b"afterwards")
    assert time.monotonic() - began < 5, "something stale still blocks"


def check_files(own, completed):
    """Each is there once, byte for byte, and nothing else is."""
    metadata = own["metadata"]
    assert sorted(file["id"] for file in test_kill.all_items(metadata, "/v1/files")) == sorted(completed)
    for file_id, (sha256, _, _) in completed.items():
        content = requests.get(f"{metadata.url}/v1/files/{file_id}/content", timeout=30).content
        assert hashlib.sha256(content).hexdigest() == sha256


def check_jobs(own, completed):
    """Each file has one job, which has succeeded, and each derivative once."""
    processing = own["processing"]
    unfinished = lambda: [job for job in test_kill.all_items(processing, "/v1/jobs") if job["state"] in ("queued", "running")]
    wait_until(lambda: not unfinished(), 120, "jobs do not end")
    jobs = {job["id"]: job for job in test_kill.all_items(processing, "/v1/jobs")}
    assert sorted(job["file_id"] for job in jobs.values()) == sorted(completed)
    for file_id, (_, mime_type, job_id) in completed.items():
        assert jobs[job_id]["state"] == "succeeded" and jobs[job_id]["file_id"] == file_id, jobs[job_id]
        derivatives = get(own["metadata"], f"/v1/files/{file_id}/derivatives")["items"]
        assert len(derivatives) == (2 if mime_type == "image/jpeg" else 0)
    return jobs


def check_events(subscriber, completed, jobs, seen=None):
    """seen: the ids of those that came before, {(type, subject): id}."""
    wanted = {("fileproc.file.created", file_id) for file_id in completed} | {("fileproc.job.finished", job_id) for job_id in jobs}
    ids = {} if seen is None else seen

    def all_told():
        for _, key, event in subscriber.events():
            assert ids.setdefault((key, event["subject"]), event["id"]) == event["id"], "an event changed its id"
        return wanted <= ids.keys()
    wait_until(all_told, 60, "events are missing")
    assert ids.keys() == wanted, "events of what did not happen"
