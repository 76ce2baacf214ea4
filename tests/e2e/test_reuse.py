"""Owns: uploads over HTTP whose bytes their owner has already.
Must not know: how uploads work otherwise."""

import hashlib
import json
import pathlib
import random
import re
import subprocess
import threading
import time

import pytest
import requests

from api import ask, check_problem, complete, content, get, send_chunk, status, try_chunk, upload, wait_for_job, wait_until

TOP = pathlib.Path(__file__).parents[2]
DATA = b"the same bytes\n" * 5000


def again(daemon, data=DATA, headers=None, **members):
    members = {"filename": "again.txt", "mime_type": "text/plain", "user_id": "ann", "size": len(data),
               "sha256": hashlib.sha256(data).hexdigest(), **members}
    reply = ask(daemon, "POST", "/v1/uploads/initiate", json=members, headers=headers)
    assert reply.status_code == 201, reply.text
    return reply.json()


@pytest.mark.daemon_options("--reuse-files")
def test_the_example_of_the_documents_works(daemon, tmp_path):
    block = re.search(r"## Files that are there already\n.*?```sh\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S)
    assert block, "docs/uploads.md shows it no more"
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{daemon.port}")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "completed" and content(daemon, answer["file_id"]) == b"hello, world\n"
    assert wait_for_job(daemon, answer["processing_job_id"])["state"] == "succeeded"


@pytest.mark.daemon_options("--reuse-files", "--chunk-size", "16KiB")
def test_a_file_that_its_owner_has_is_not_sent_again(daemon):
    first = upload(daemon, DATA, user_id="ann")
    answer = again(daemon, headers={"Idempotency-Key": "k1"})
    assert answer["status"] == "completed" and answer["file_id"] != first["file_id"]
    shown = status(daemon, answer["upload_id"])
    assert shown["status"] == "completed" and shown["filename"] == "again.txt" and shown["percentage"] == 100
    assert complete(daemon, answer["upload_id"])["file_id"] == answer["file_id"]
    check_problem(try_chunk(daemon, answer["upload_id"], 0, DATA[:16384]), 409, "upload_completed")
    assert again(daemon, headers={"Idempotency-Key": "k1"}) == answer
    assert wait_for_job(daemon, answer["processing_job_id"])["state"] == "succeeded"
    assert ask(daemon, "DELETE", f"/v1/files/{first['file_id']}").status_code == 204
    assert content(daemon, answer["file_id"]) == DATA
    daemon.kill()
    daemon.start()
    assert content(daemon, again(daemon)["file_id"]) == DATA
    assert get(daemon, f"/v1/files/{answer['file_id']}")["sha256"] == hashlib.sha256(DATA).hexdigest()


@pytest.mark.daemon_options("--reuse-files")
def test_nobody_gets_what_others_have(daemon):
    upload(daemon, DATA, user_id="ann")
    upload(daemon, DATA)
    for members in ({"user_id": "bob"}, {"user_id": None}, {"size": len(DATA) - 1}, {"sha256": "0" * 64}, {"sha256": None}):
        answer = again(daemon, **members)
        assert "file_id" not in answer and status(daemon, answer["upload_id"])["status"] == "initiated"


def test_it_is_off_unless_asked_for(server):
    owner = "ann of the shared daemon"
    upload(server, DATA, user_id=owner)
    assert "file_id" not in again(server, user_id=owner)


@pytest.mark.daemon_options("--reuse-files")
def test_a_kill_meanwhile_leaves_an_upload_that_can_be_gone_on_with(daemon):
    data = random.Random(11).randbytes(24 << 20)
    facts = {"filename": "big.zip", "mime_type": "application/zip"}
    upload(daemon, data, user_id="ann", **facts)
    outcomes = set()
    for n in range(8):
        key = {"Idempotency-Key": f"k{n}"}
        asking = threading.Thread(target=ask_in_vain, args=(daemon, data, key, facts))
        asking.start()
        time.sleep(0.02 + 0.03 * n)
        daemon.kill()
        asking.join()
        daemon.start()
        answer = again(daemon, data, key, **facts)
        shown = status(daemon, answer["upload_id"])
        outcomes.add(shown["status"])
        assert answer.get("file_id") == shown["file_id"] if shown["status"] == "completed" else "file_id" not in answer
        if shown["status"] != "completed":
            for index in range(answer["total_chunks"]):
                send_chunk(daemon, answer["upload_id"], index, data[index * answer["chunk_size"]:][:answer["chunk_size"]])
        done = complete(daemon, answer["upload_id"])
        assert hashlib.sha256(content(daemon, done["file_id"])).digest() == hashlib.sha256(data).digest()
        assert ask(daemon, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204
    assert outcomes


def ask_in_vain(daemon, data, key, facts):
    try:
        again(daemon, data, key, **facts)
    except requests.ConnectionError:
        pass


@pytest.mark.daemon_options("--reuse-files", "--prepublish", "type.check")
def test_a_copy_passes_the_checks_itself(daemon):
    first = upload(daemon, DATA, user_id="ann")
    wait_until(lambda: get(daemon, f"/v1/files/{first['file_id']}")["state"] == "available")
    answer = again(daemon)
    assert answer["status"] == "completed" and answer["file_state"] in ("quarantined", "available")
    wait_until(lambda: get(daemon, f"/v1/files/{answer['file_id']}")["state"] == "available")
    assert content(daemon, answer["file_id"]) == DATA
