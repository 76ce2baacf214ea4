"""Owns: the proof that a SIGKILL loses nothing of an upload whose bytes come by chunks, or by chunks and PATCH at once, and that nothing is
shown that is not stored. For tus alone test_tus.py has it; for many files with their jobs test_kill.py.
Must not know: how the daemon keeps its data."""

import http.client
import os
import random
import threading
import time

import pytest
import requests

import test_tus
import tus
from api import check_problem, complete, content, get, initiate, send_chunk, status, try_chunk
from raw_http import Connection, request

ROUNDS = 100 if os.environ.get("FILEPROC_SLOW") == "yes" else 10
CHUNK = 64 * 1024
CHUNKS = 150
DATA = random.Random(7).randbytes(CHUNKS * CHUNK // 2 - 1000).hex().encode()  # the last chunk is shorter


def piece(index):
    return DATA[index * CHUNK:(index + 1) * CHUNK]


class Load:
    """One upload, what was acknowledged of it, and those who send to it until the daemon dies."""

    def __init__(self, daemon, doors, rng):
        self.daemon, self.doors, self.rng = daemon, doors, rng
        self.lock, self.finished, self.begun = threading.Lock(), 0, 0
        self.begin()

    def begin(self):
        self.upload_id = initiate(self.daemon, len(DATA))["upload_id"]
        self.path = f"/v1/tus/{self.upload_id}"
        self.acknowledged, self.offset = set(), 0
        self.begun += 1

    def send_chunks(self, seed):
        """Chunks in any order, most of them in pieces, so that the daemon dies in the middle of some."""
        rng = random.Random(seed)
        try:
            while missing := [index for index in range(CHUNKS) if index not in self.acknowledged]:
                index = rng.choice(missing)
                with Connection(self.daemon) as connection:
                    connection.send(request("PUT", f"/v1/uploads/{self.upload_id}/chunk?chunk_index={index}",
                                            "Content-Type: application/octet-stream", f"Content-Length: {len(piece(index))}"))
                    for at in range(0, len(piece(index)), CHUNK // 4):
                        connection.send(piece(index)[at:at + CHUNK // 4])
                        time.sleep(rng.uniform(0, 0.003))
                    reply = connection.reply()
                if reply.status_code == 200:
                    with self.lock:
                        self.acknowledged.add(index)
                else:  # by the other door, or by another sender
                    assert reply.json()["code"] in ("chunk_superseded", "chunk_conflict", "upload_completed"), reply.text
        except (OSError, http.client.HTTPException):
            pass

    def append(self, seed):
        rng = random.Random(seed)
        try:
            while True:
                at = tus.offset(self.daemon, self.path)
                if rng.random() < 0.3:
                    test_tus.slow_patch(self.daemon, self.path, at, DATA[:at + rng.randint(1, 1 << 20)], rng)
                    continue
                reply = tus.patch(self.daemon, self.path, at, DATA[at:at + rng.randint(1, 400_000)])
                if reply.status_code == 204:
                    with self.lock:
                        self.offset = max(self.offset, int(reply.headers["Upload-Offset"]))
                else:
                    assert reply.status_code == 409, reply.text
        except (OSError, requests.RequestException, http.client.HTTPException, AssertionError) as e:
            if isinstance(e, AssertionError) and self.daemon.running():
                raise

    def round(self):
        targets = [self.send_chunks] * 3 if self.doors == "rest" else [self.send_chunks, self.send_chunks, self.append]
        threads = [threading.Thread(target=target, args=(self.rng.random(),), daemon=True) for target in targets]
        for thread in threads:
            thread.start()
        time.sleep(self.rng.uniform(0.02, 0.5))
        self.daemon.kill()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        self.daemon.start()

    def check(self):
        """What was acknowledged is shown, and what is shown is there: the daemon compares it with what it is sent."""
        offset = tus.offset(self.daemon, self.path)  # which completes what is whole
        shown = status(self.daemon, self.upload_id)
        if shown["status"] == "completed":
            assert content(self.daemon, shown["file_id"]) == DATA
            self.finished += 1
            return self.begin()
        durable = {index for first, last in get(self.daemon, f"/v1/uploads/{self.upload_id}/chunks")["durable"]
                   for index in range(first, last + 1)}
        assert self.acknowledged <= durable, f"gone: {self.acknowledged - durable}"
        assert offset >= self.offset, "acknowledged bytes are gone"
        assert shown["chunks_uploaded"] == len(durable)
        assert set(range(offset // CHUNK)) <= durable
        for index in self.rng.sample(sorted(durable), min(3, len(durable))):
            check_problem(try_chunk(self.daemon, self.upload_id, index, piece(index)[:-1] + b"\0"), 409, "chunk_conflict")
            send_chunk(self.daemon, self.upload_id, index, piece(index))
        if len(durable) > CHUNKS * 0.8:
            return self.finish(durable)
        return None

    def finish(self, durable):
        for index in set(range(CHUNKS)) - durable:
            reply = try_chunk(self.daemon, self.upload_id, index, piece(index))
            if reply.status_code != 200:  # an append has bytes of its middle
                check_problem(reply, 409, "chunk_conflict")
        if (at := tus.offset(self.daemon, self.path)) < len(DATA):
            tus.append(self.daemon, self.path, at, DATA[at:])
        shown = status(self.daemon, self.upload_id)
        file_id = shown["file_id"] if shown["status"] == "completed" else complete(self.daemon, self.upload_id)["file_id"]
        assert content(self.daemon, file_id) == DATA
        self.finished += 1
        self.begin()


@pytest.mark.parametrize("doors", ["rest", "rest and tus"])
@pytest.mark.daemon_options("--chunk-size", "64KiB", "--workers", "0")
def test_nothing_is_lost_and_nothing_is_shown_that_is_not_stored(daemon, doors):
    load = Load(daemon, doors, random.Random(len(doors)))
    for _ in range(ROUNDS):
        load.round()
        load.check()
    load.finish({index for first, last in get(daemon, f"/v1/uploads/{load.upload_id}/chunks")["durable"]
                 for index in range(first, last + 1)})
    assert load.finished > 0
