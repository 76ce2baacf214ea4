"""Owns: Idempotency-Key over HTTP: the same request is answered once more and done once, also when the daemon is killed in between.
Must not know: how keys are kept."""

import hashlib
import os
import random
import sqlite3
import threading
import uuid

import pytest
import requests

from api import TIMEOUT, ask, check_problem, content, get, initiate, send_chunk, status, upload

CHUNK = 64 * 1024  # of the server fixture
ROUNDS = 40 if os.environ.get("FILEPROC_SLOW") == "yes" else 8


def begin(daemon, key, size=10, **members):
    body = {"filename": "file.txt", "size": size, "mime_type": "text/plain", **members}
    return ask(daemon, "POST", "/v1/uploads/initiate", json=body, headers={"Idempotency-Key": key})


def end(daemon, upload_id, key):
    return ask(daemon, "POST", f"/v1/uploads/{upload_id}/complete", headers={"Idempotency-Key": key})


def quoted():
    return f'"{uuid.uuid4()}"'


def check_replayed(again, first):
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers.get("Location") == first.headers.get("Location")
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers


def test_the_same_request_gets_the_same_answer(server):
    key = quoted()
    first = begin(server, key, user_id="keys", metadata={"a": [1, 2]})
    assert first.status_code == 201
    check_replayed(begin(server, key, metadata={"a": [1, 2]}, user_id="keys"), first)
    check_replayed(begin(server, key.strip('"'), user_id="keys", metadata={"a": [1, 2]}), first)
    upload_id = first.json()["upload_id"]
    send_chunk(server, upload_id, 0, b"0123456789")
    assert status(server, upload_id)["chunks_uploaded"] == 1
    check_replayed(begin(server, key, user_id="keys", metadata={"a": [1, 2]}), first)
    done = end(server, upload_id, quoted())
    assert done.status_code == 200 and "Idempotency-Replayed" not in done.headers
    check_replayed(begin(server, key, user_id="keys", metadata={"a": [1, 2]}), first)


def test_another_request_under_the_key_is_refused(server):
    key = quoted()
    first = begin(server, key)
    for other in ({"size": 11}, {"filename": "other.txt"}, {"metadata": {}}, {"mime_type": "text/csv"}, {"sha256": "0" * 64}):
        check_problem(begin(server, key, **other), 422, "idempotency_reused")
    check_problem(end(server, first.json()["upload_id"], key), 422, "idempotency_reused")
    assert begin(server, key, user_id="somebody else").json()["upload_id"] != first.json()["upload_id"]
    check_replayed(begin(server, key), first)


def test_completion_is_answered_again(server):
    key, other = quoted(), initiate(server, 0)
    session = initiate(server, 3)
    check_problem(end(server, session["upload_id"], key), 400, "upload_incomplete")
    send_chunk(server, session["upload_id"], 0, b"abc")
    first = end(server, session["upload_id"], key)
    assert first.status_code == 200 and first.json()["sha256"] == hashlib.sha256(b"abc").hexdigest()
    check_replayed(end(server, session["upload_id"], key), first)
    check_problem(end(server, other["upload_id"], key), 422, "idempotency_reused")
    check_problem(begin(server, key), 422, "idempotency_reused")


@pytest.mark.parametrize("key", ["", '"', '""', '"a', "a b", "a,b", "x" * 256, '"a\\b"'])
def test_what_is_no_key_is_refused(server, key):
    check_problem(begin(server, key), 400, "idempotency_key_invalid")
    session = initiate(server, 0)
    check_problem(end(server, session["upload_id"], key), 400, "idempotency_key_invalid")
    assert status(server, session["upload_id"])["status"] == "initiated"


def test_many_at_once_make_one_upload_and_one_file(server):
    key, owner, answers = quoted(), f"owner {uuid.uuid4()}", []

    def at_once(ask_it):
        threads = [threading.Thread(target=lambda: answers.append(ask_it())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    at_once(lambda: begin(server, key, size=0, user_id=owner))
    assert {a.status_code for a in answers} == {201} and len({a.content for a in answers}) == 1
    assert sum("Idempotency-Replayed" not in a.headers for a in answers) == 1
    upload_id = answers[0].json()["upload_id"]
    answers.clear()
    key = quoted()
    at_once(lambda: end(server, upload_id, key))
    assert {a.status_code for a in answers} <= {200, 409}
    for reply in answers:
        if reply.status_code == 409:
            check_problem(reply, 409, "request_in_progress")
            assert int(reply.headers["Retry-After"]) > 0
    assert len({a.content for a in answers if a.status_code == 200}) == 1
    assert len(get(server, "/v1/files", params={"owner": owner})["items"]) == 1


class Client(threading.Thread):
    """Begins and ends uploads under keys of their own until the daemon is gone; what it asked for and what it heard."""

    def __init__(self, daemon, name):
        super().__init__()
        self.daemon_, self.name_ = daemon, name
        self.begun = {}  # key: the answer, or None
        self.ended = {}  # (upload, key): the answer, or None
        self.start()

    def post(self, path, key, **arguments):
        return requests.post(self.daemon_.url + path, headers={"Idempotency-Key": key}, timeout=TIMEOUT, **arguments)

    def begin(self, key):
        body = {"filename": f"{key[1:9]}.txt", "size": 0, "mime_type": "text/plain", "user_id": self.name_}
        return self.post("/v1/uploads/initiate", key, json=body)

    def end(self, upload_id, key):
        return self.post(f"/v1/uploads/{upload_id}/complete", key)

    def run(self):
        try:
            while True:
                key = quoted()
                self.begun[key] = None
                self.begun[key] = self.begin(key).json()
                pair = self.begun[key]["upload_id"], quoted()
                self.ended[pair] = None
                self.ended[pair] = self.end(*pair).json()
        except requests.RequestException:
            pass


def test_no_key_is_forgotten_or_used_twice_when_the_daemon_is_killed(daemon):
    """A request that was cut is sent again to the daemon that comes after, and so is each that was answered."""
    rng, keys, files = random.Random(5), 0, 0
    for number in range(ROUNDS):
        clients = [Client(daemon, f"client {number} {n}") for n in range(4)]
        threading.Event().wait(rng.uniform(0.05, 0.4))
        daemon.kill()
        for client in clients:
            client.join()
        daemon.start()
        for client in clients:
            for key, heard in client.begun.items():
                again = client.begin(key)
                assert again.status_code == 201 and (heard is None or again.json() == heard), (heard, again.text)
                assert client.begin(key).json() == again.json()
            for pair, heard in client.ended.items():
                again = client.end(*pair)
                assert again.status_code == 200 and (heard is None or again.json() == heard), (heard, again.text)
            keys += len(client.begun)
            files += len(client.ended)
    assert daemon.end() is None
    with sqlite3.connect(daemon.data / "fileproc.db") as database:
        assert database.execute("SELECT COUNT(*) FROM uploads").fetchone() == (keys,)
        assert database.execute("SELECT COUNT(*) FROM files WHERE parent_id IS NULL").fetchone() == (files,)
    assert files > 2 * ROUNDS


@pytest.mark.daemon_options("--tombstone", "1s", "--reap-interval", "100ms")
def test_a_key_goes_with_its_upload(daemon):
    key = quoted()
    first = begin(daemon, key).json()
    ask(daemon, "DELETE", f"/v1/uploads/{first['upload_id']}")
    assert begin(daemon, key).json() == first
    for _ in range(100):
        second = begin(daemon, key).json()
        if second != first:
            break
        threading.Event().wait(0.1)
    assert second["upload_id"] != first["upload_id"]
    data = upload(daemon, b"x")
    assert content(daemon, data["file_id"]) == b"x"
