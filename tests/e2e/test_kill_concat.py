"""Owns: the proof that a SIGKILL loses nothing of an upload in pieces at the tus door: while they are filled, while the final one is
announced, and while the bytes are put together; at one daemon with files, and at two on servers.
Must not know: how the engine puts bytes together, and how the daemons keep their data."""

import collections
import hashlib
import http.client
import random
import threading
import time

import pytest
import requests

import tus
from api import all_items, content, get, status, wait_until
from replicas import ALL, FILES, POSTGRESQL, SLOW, on
from test_kill_doors import ENOUGH, at_last
from test_tus_concat import partial, try_final

LIFE = 15  # seconds of an unfinished upload with files, of which nobody has to wait for the lease of a dead one
CASES = [on(FILES, 100), on(POSTGRESQL, 100), on(ALL, 100)] if SLOW else [on(FILES, 12), on(POSTGRESQL, 2)]
MOMENTS = {"filling": 0.1, "announcing": 0.03, "joining": 0.05}  # how long after the beginning of each the daemon dies at the latest


class Whole:
    """One file in pieces, what its client knows, and what was told to whoever asked."""

    def __init__(self, store, rng, number):
        self.store, self.rng, self.name = store, rng, f"whole {number}.txt"
        most = 4 << 20
        self.pieces = [rng.randbytes(rng.choice([0, 1, rng.randint(2, 100_000), rng.randint(1, most), most]))
                       for _ in range(rng.randint(2, 6))]
        self.order = [*range(len(self.pieces)), *rng.sample(range(len(self.pieces)), rng.randint(0, 1))]  # one may be there twice
        self.data = b"".join(self.pieces[index] for index in self.order)
        self.paths = [partial(self.daemon(), size=len(piece)) for piece in self.pieces]
        self.told, self.final = [0] * len(self.pieces), None

    def daemon(self):
        """Whoever runs; a client alone in the world finds nobody there."""
        return self.rng.choice(self.store.alive() or self.store.daemons)

    # ---- the client

    def announce(self):
        headers = {"Upload-Metadata": tus.metadata(filename=self.name)}
        reply = at_last(lambda: try_final(self.daemon(), [self.paths[index] for index in self.order], headers))
        assert reply.status_code == 201, reply.text
        assert self.final in (None, reply.headers["Location"]), "the same request made another upload"
        self.final = reply.headers["Location"]

    def append(self, index, end):
        """From where it is. The other daemon may first be behind, until it finds what is there."""
        reply = self.look(index)
        while reply.status_code == 200 and (at := int(reply.headers["Upload-Offset"])) < end:
            reply = at_last(lambda: tus.patch(self.daemon(), self.paths[index], at, self.pieces[index][at:end]))
            assert reply.status_code in (204, 409), reply.text
            if reply.status_code == 204:
                self.told[index] = int(reply.headers["Upload-Offset"])
            reply = self.look(index)

    def look(self, index):
        """What is shown of a piece is there, whatever happens next."""
        before = self.told[index]
        reply = at_last(lambda: tus.call(self.daemon(), "HEAD", self.paths[index]))
        if reply.status_code == 200:
            shown = int(reply.headers["Upload-Offset"])
            assert before <= shown <= len(self.pieces[index]), f"{before} was told, {shown} is there"
            self.told[index] = max(self.told[index], shown)
        return reply

    def watch(self, over):
        """Somebody else, who looks at the pieces all the time."""
        rng = random.Random(1)
        while not over.is_set():
            self.look(rng.randrange(len(self.pieces)))
            time.sleep(rng.uniform(0, 0.003))

    def fill(self, reached):
        """In any order, a piece of a piece at a time; the very last bytes are those that put all together."""
        left = [index for index, piece in enumerate(self.pieces) if piece]
        while left:
            index = self.rng.choice(left)
            end = min(self.told[index] + self.rng.randint(1, 1 << 20), len(self.pieces[index]))
            if end == len(self.pieces[index]):
                left.remove(index)
                if not left and self.final:
                    reached("joining")
            self.append(index, end)

    def live(self, unfinished, reached):
        reached("filling")
        if unfinished:
            reached("announcing")
            self.announce()
        self.fill(reached)
        if not self.final:
            reached("announcing")
            reached("joining")
            self.announce()

    # ---- after the kill

    def found(self):
        """What the kill has left of it: for the count, since each moment must have had its kills."""
        if not self.final:
            return "unannounced"
        shown = status(self.daemon(), tus.upload_id(self.final))
        return "in the middle" if shown["status"] == "uploading" else shown["status"]

    def go_on(self):
        """As its client does, who repeats what was not answered."""
        for index, piece in enumerate(self.pieces):
            self.append(index, len(piece))
        self.announce()
        self.announce()
        wait_until(lambda: "Upload-Offset" in tus.head(self.daemon(), self.final), 30, "it is never put together")

    def check(self):
        for daemon in self.store.alive():
            assert tus.head(daemon, self.final)["Upload-Offset"] == str(len(self.data))
            shown = status(daemon, tus.upload_id(self.final))
            assert shown["status"] == "completed", shown
            digest = hashlib.sha256(self.data).hexdigest()
            assert hashlib.sha256(content(daemon, shown["file_id"])).hexdigest() == digest
            assert get(daemon, f"/v1/files/{shown['file_id']}")["sha256"] in (None, digest)
            assert [file["id"] for file in all_items(daemon, "/v1/files") if file["filename"] == self.name] == [shown["file_id"]]
        return shown["file_id"]

    def left(self):
        """The pieces that are still there."""
        return [path for path in self.paths if tus.call(self.daemon(), "HEAD", path).status_code != 410]


class Victim:
    """Runs a client and one who watches, and kills a daemon some time after the moment has come."""

    def __init__(self, whole, moment, rng):
        self.whole, self.moment, self.came, self.over, self.failures = whole, moment, threading.Event(), threading.Event(), []
        self.delay, unfinished = rng.uniform(0, MOMENTS[moment]), rng.random() < 0.5
        self.threads = [threading.Thread(target=self.run, args=what) for what in
                        ((whole.live, unfinished, self.reached), (whole.watch, self.over))]

    def run(self, what, *arguments):
        try:
            what(*arguments)
        except (OSError, requests.RequestException, http.client.HTTPException):
            pass  # killed; also a client of both may be at the dead one next
        except BaseException as failure:
            self.failures.append(failure)
        self.came.set()

    def reached(self, moment):
        if moment == self.moment:
            self.came.set()

    def kill(self, daemon):
        for thread in self.threads:
            thread.start()
        self.came.wait(60)
        time.sleep(self.delay)
        daemon.kill()
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self.threads) and not self.failures, self.failures


def one_round(store, rng, number):
    """(what the kill left, the file, pieces that nobody has removed)"""
    whole, victim = Whole(store, rng, number), rng.choice(store.daemons)
    Victim(whole, rng.choice([*MOMENTS, "joining"]), rng).kill(victim)
    if not store.alive():
        victim.start()
    found = whole.found()
    if rng.random() < 0.5 and not victim.running():  # else the other one has it all
        victim.start()
    whole.go_on()
    if not victim.running():
        victim.start()
    return found, whole.check(), whole.left()


@pytest.mark.parametrize("store, rounds", CASES, indirect=["store"])
@pytest.mark.daemon_options("--chunk-size", "64KiB", "--reap-interval", "1s", "--reap-grace", "2s", "--session-timeout", f"{LIFE}s")
def test_nothing_of_an_upload_in_pieces_is_lost(store, rounds):
    rng, until, files, left, found = random.Random(11), time.monotonic() + ENOUGH, [], [], collections.Counter()
    while len(files) < rounds and time.monotonic() < until:
        how, file_id, pieces = one_round(store, rng, len(files))
        found[how] += 1
        files.append(file_id)
        left += pieces
    print(len(files), "rounds,", dict(found), len(left), "left")
    assert rounds < 50 or all(found[how] for how in ("unannounced", "initiated", "completed")), found
    assert sorted(file["id"] for file in all_items(store.daemons[0], "/v1/files")) == sorted(files)
    store.check_events("fileproc.file.created", files)
    if SLOW or not left:  # whoever died between the file and the end of its pieces has left them to their time
        wait_until(lambda: all(tus.call(store.daemons[0], "HEAD", path).status_code == 410 for path in left), LIFE + 10, "pieces stay")
        wait_until(lambda: not store.staged(), 20, "bytes of pieces stay")
