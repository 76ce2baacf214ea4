"""Owns: the proof that a SIGKILL loses nothing of an upload, whichever door its bytes come by, and that nothing is shown that is not
stored: at one daemon with files, and at two on servers, where the upload goes on at the other one. For many files with their jobs
test_kill.py has it, for uploads in pieces test_kill_concat.py.
Must not know: how the daemons keep their data."""

import hashlib
import http.client
import random
import threading
import time

import pytest
import requests

import ietf
import test_tus
import tus
from api import all_items, ask, check_problem, content, get, initiate, status, try_chunk, try_complete, wait_until
from raw_http import Connection, request
from replicas import ALL, FILES, POSTGRESQL, SLOW, on

CHUNK = 64 * 1024
CHUNKS = 150
DATA = random.Random(7).randbytes(CHUNKS * CHUNK // 2 - 1000).hex().encode()  # the last chunk is shorter
SHA256 = hashlib.sha256(DATA).hexdigest()
ENOUGH = 240  # seconds
LEASE = 10  # seconds for which a dead daemon holds up chunks
SENDERS = {"rest": ("chunks",) * 3, "rest and tus": ("chunks", "chunks", "tus"), "tus": ("tus",), "ietf": ("ietf",)}  # who sends at once
# Chunks may have to wait for the lease of the dead one, so there are fewer rounds of them.
CASES = [on(FILES, "rest", 100), on(FILES, "rest and tus", 100),
         *(on(store, doors, rounds) for store in (POSTGRESQL, ALL) for doors, rounds in
           (("tus", 100), ("ietf", 100), ("rest and tus", 100), ("rest", 20)))] if SLOW else \
    [on(FILES, "rest", 10), on(FILES, "rest and tus", 10), on(POSTGRESQL, "tus", 3), on(POSTGRESQL, "ietf", 3),
     on(ALL, "rest and tus", 3)]


def piece(index):
    return DATA[index * CHUNK:(index + 1) * CHUNK]


def at_last(asked, seconds=LEASE + 10):
    """The answer that a client gets who comes back when he is told to."""
    deadline = time.monotonic() + seconds
    while (reply := asked()).status_code == 503:
        assert time.monotonic() < deadline, f"it is never done: {reply.text}"
        time.sleep(0.1)
    return reply


class Load:
    """One upload, what was told of it, and those who send to it until a daemon dies."""

    def __init__(self, store, doors, rng):
        self.store, self.doors, self.rng = store, doors, rng
        self.lock, self.files, self.victim, self.stopped, self.failures = threading.Lock(), {}, None, False, []
        self.begin()

    def begin(self):
        daemon = self.rng.choice(self.store.alive())
        if self.doors == "tus":
            self.upload_id = tus.upload_id(tus.create(daemon, len(DATA)))
        elif self.doors == "ietf":
            self.upload_id = ietf.upload_id(ietf.created(daemon, None, {"Upload-Length": str(len(DATA))}))
        else:
            self.upload_id = initiate(daemon, len(DATA))["upload_id"]
        self.path = f"/v1/tus/{self.upload_id}"
        self.acknowledged, self.told = set(), 0

    def tell(self, offset):
        with self.lock:
            self.told = max(self.told, offset)

    # ---- those who are at work when the daemon dies

    def send(self, daemon, head, data, rng, steps):
        """One request, in pieces, so that the daemon dies in the middle of some; the answer."""
        with Connection(daemon) as connection:
            connection.send(head)
            for at in range(0, len(data), steps):
                connection.send(data[at:at + steps])
                time.sleep(rng.uniform(0, 0.003))
            return connection.reply()

    def chunks(self, daemon, rng):
        """In any order."""
        while not self.stopped and (missing := [index for index in range(CHUNKS) if index not in self.acknowledged]):
            index = rng.choice(missing)
            head = request("PUT", f"/v1/uploads/{self.upload_id}/chunk?chunk_index={index}", "Content-Type: application/octet-stream",
                           f"Content-Length: {len(piece(index))}")
            reply = self.send(daemon, head, piece(index), rng, CHUNK // 4)
            if reply.status_code == 200:
                with self.lock:
                    self.acknowledged.add(index)
            else:  # by the other door, by another sender, at the other daemon
                assert reply.json()["code"] in ("chunk_superseded", "chunk_conflict", "upload_completed", "busy"), reply.text

    def append(self, daemon, rng, offset, head):
        while not self.stopped and (at := offset(daemon)) < len(DATA):
            end = min(at + rng.randint(1, 400_000), len(DATA))
            reply = self.send(daemon, head(at, end - at), DATA[at:end], rng, rng.randint(10_000, 400_000))
            if reply.status_code in (200, 204):
                self.tell(int(reply.headers.get("Upload-Offset", end)))
            else:
                assert reply.status_code in (409, 503), reply.text

    def tus(self, daemon, rng):
        self.append(daemon, rng, lambda one: tus.offset(one, self.path),
                    lambda at, length: test_tus.patch_head(self.path, at, length))

    def ietf(self, daemon, rng):
        path = f"{ietf.TARGET}/{self.upload_id}"
        self.append(daemon, rng, lambda one: ietf.offset(one, path),
                    lambda at, length: ietf.patch_head(path, at, length, complete=at + length == len(DATA)))

    def watch(self, daemon, rng):
        """What is shown, at either daemon, must be there whatever happens next. A look over tus disturbs nobody."""
        for one in [daemon, *self.store.daemons] * 1000:
            if self.stopped:
                return
            try:
                reply = tus.call(one, "HEAD", self.path)
            except requests.RequestException:
                continue
            if reply.status_code == 200:
                self.tell(int(reply.headers["Upload-Offset"]))
            time.sleep(rng.uniform(0, 0.01))

    def run(self, what, daemon, seed):
        try:
            getattr(self, what)(daemon, random.Random(seed))
        except (OSError, requests.RequestException, http.client.HTTPException) as failure:
            if daemon is not self.victim:
                self.failures.append(failure)
        except BaseException as failure:
            self.failures.append(failure)

    # ---- a round

    def round(self):
        self.stopped, self.victim = False, self.rng.choice(self.store.daemons)
        threads = [threading.Thread(target=self.run, args=(what, self.rng.choice([self.victim, *self.store.daemons]), self.rng.random()))
                   for what in (*SENDERS[self.doors], "watch")]
        for thread in threads:
            thread.start()
        time.sleep(self.rng.uniform(0.02, 0.5 if self.store.kind == FILES else 0.25))
        self.victim.kill()
        self.stopped = True
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not self.failures, self.failures
        if len(self.store.daemons) == 1:
            self.victim.start()
        self.check()
        if not self.victim.running():
            self.victim.start()
            self.check_offset(self.victim)

    def check_offset(self, daemon):
        """Which completes what is whole."""
        offset = int(at_last(lambda: tus.call(daemon, "HEAD", self.path)).headers["Upload-Offset"])
        assert offset >= self.told, f"{self.told} was told, {offset} is there"
        return offset

    def check(self):
        """What was acknowledged is shown, and what is shown is there: the daemon compares it with what it is sent."""
        daemon = self.rng.choice(self.store.alive())
        offset = self.check_offset(daemon)
        shown = status(daemon, self.upload_id)
        if shown["status"] == "completed":
            return self.finished(shown["file_id"])
        durable = {index for first, last in get(daemon, f"/v1/uploads/{self.upload_id}/chunks")["durable"]
                   for index in range(first, last + 1)}
        assert self.acknowledged <= durable, f"gone: {self.acknowledged - durable}"
        # The other daemon goes by what the dead one last told, for as long as that may be alive.
        assert shown["chunks_uploaded"] == len(durable) or len(self.store.daemons) > 1 and shown["chunks_uploaded"] < len(durable)
        assert set(range(offset // CHUNK)) <= durable
        if self.store.kind == FILES or self.doors == "rest":  # S3 has only the digests of chunks
            self.compare(daemon, durable)
        self.go_on(daemon)
        if len(durable) > CHUNKS * 0.8:
            self.finish(daemon, durable)
        return None

    def compare(self, daemon, durable):
        for index in self.rng.sample(sorted(durable), min(3, len(durable))):
            other = piece(index)[:-1] + b"\0"
            check_problem(at_last(lambda: try_chunk(daemon, self.upload_id, index, other)), 409, "chunk_conflict")
            assert at_last(lambda: try_chunk(daemon, self.upload_id, index, piece(index))).status_code == 200

    def go_on(self, daemon):
        """At once, from what is shown on: had more been shown than there is, it would be refused, or the file be another."""
        if self.doors == "ietf":
            path = f"{ietf.TARGET}/{self.upload_id}"
            at = ietf.offset(daemon, path)
            assert at >= self.told
            if at + 50_000 < len(DATA):
                self.tell(ietf.append(daemon, path, at, DATA[at:at + 50_000]))
        elif "tus" in self.doors:
            self.append_at_last(daemon, 50_000)

    def finish(self, daemon, durable):
        if "rest" in self.doors:
            self.send_missing(daemon, durable)
        if (at := self.check_offset(daemon)) < len(DATA) and self.doors == "ietf":
            ietf.finish(daemon, f"{ietf.TARGET}/{self.upload_id}", at, DATA[at:])
        elif at < len(DATA):
            self.append_at_last(daemon, len(DATA))
        reply = at_last(lambda: try_complete(daemon, self.upload_id))
        assert reply.status_code == 200, reply.text
        self.finished(reply.json()["file_id"])

    def append_at_last(self, daemon, length):
        """The other daemon goes by what the dead one last told; an append finds what is there, and so does who asks again."""
        at = self.check_offset(daemon)
        reply = at_last(lambda: tus.patch(daemon, self.path, at, DATA[at:at + length]))
        if reply.status_code != 204:
            check_problem(reply, 409, "offset_mismatch")
            assert len(self.store.daemons) > 1 and self.check_offset(daemon) > at
            at = self.check_offset(daemon)
            reply = at_last(lambda: tus.patch(daemon, self.path, at, DATA[at:at + length]))
        assert reply.status_code == 204, reply.text
        self.tell(int(reply.headers["Upload-Offset"]))

    def send_missing(self, daemon, durable):
        for index in set(range(CHUNKS)) - durable:
            reply = at_last(lambda: try_chunk(daemon, self.upload_id, index, piece(index)))
            if reply.status_code != 200:  # an append has bytes of its middle, or was the last
                assert check_problem(reply, 409)["code"] in ("chunk_conflict", "upload_completed")

    def finished(self, file_id):
        assert file_id not in self.files
        for daemon in self.store.alive():
            assert hashlib.sha256(content(daemon, file_id)).hexdigest() == SHA256
            assert get(daemon, f"/v1/files/{file_id}")["sha256"] in (None, SHA256)
        self.files[file_id] = self.upload_id
        self.begin()

    def end(self):
        daemon = self.store.daemons[0]
        self.finish(daemon, {index for first, last in get(daemon, f"/v1/uploads/{self.upload_id}/chunks")["durable"]
                             for index in range(first, last + 1)})
        assert ask(daemon, "DELETE", f"/v1/uploads/{self.upload_id}").status_code == 200  # that has just begun
        assert sorted(file["id"] for file in all_items(daemon, "/v1/files")) == sorted(self.files)
        wait_until(lambda: not self.store.staged(), 30, "bytes of no upload stay")
        self.store.check_events("fileproc.file.created", self.files)


@pytest.mark.parametrize("store, doors, rounds", CASES, indirect=["store"])
@pytest.mark.daemon_options("--chunk-size", "64KiB", "--reap-interval", "1s", "--reap-grace", "2s")
def test_nothing_is_lost_and_nothing_is_shown_that_is_not_stored(store, doors, rounds):
    load, until, done = Load(store, doors, random.Random(len(doors))), time.monotonic() + ENOUGH, 0
    while done < rounds and time.monotonic() < until:
        load.round()
        done += 1
    load.end()
    assert load.files
    print(f"{done} rounds, {len(load.files)} files")
