"""Owns: fileprocd with an S3 server: uploads, and what becomes of them while the server is away, hangs, or the daemon is killed.
Must not know: how S3 is spoken to."""

import hashlib
import os
import pathlib
import random
import sys
import time

import pytest
import requests

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))

import ietf  # noqa: E402
import tus  # noqa: E402
from api import (ask, check_problem, complete, content, get, initiate, send_chunk, status, try_chunk, try_complete,  # noqa: E402
                 wait_until)
from daemon_process import Daemon  # noqa: E402
from raw_http import Connection, request  # noqa: E402
from s3_gateway import Gateway, installed  # noqa: E402

pytestmark = pytest.mark.skipif(not installed(), reason="no Ceph gateway is installed")
AWAY_SECONDS = 20 if os.environ.get("FILEPROC_SLOW") == "yes" else 4
CHUNK = 5 << 20


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    own = Gateway(tmp_path_factory.mktemp("s3") / "server").start()
    own.make_bucket("uploads") # later, after a restart, the gateway would wait half a minute for its dead predecessor
    yield own
    own.stop()


def daemon_for(gateway, folder, way, *options):
    """By the starter kit's variables, or by a URI of our own."""
    access, secret = gateway.keys
    env = {"MINIO_ACCESS_KEY": access, "MINIO_SECRET_KEY": secret, "FILEPROC_REAP_INTERVAL": "300ms"}
    if way == "minio":
        env.update({"MINIO_ENDPOINT": gateway.endpoint, "MINIO_BUCKET": "uploads", "MINIO_SECURE": "false"})
    else:
        env["FILEPROC_STORAGE_URL"] = f"s3://uploads/below?endpoint={gateway.endpoint}&secure=0&payload=unsigned"
    return Daemon(folder / "fileprocd", *options, env=env).start()


@pytest.fixture(params=["minio", "unsigned"])
def daemon(request, tmp_path, gateway):
    own, secret = daemon_for(gateway, tmp_path, request.param), gateway.keys[1]
    yield own
    assert own.end() is None, own.log_text()[-4000:]
    assert secret not in own.log_text()


def make(chunks, last=123456):
    """Bytes of so many chunks, no two alike, the last of them short."""
    return os.urandom(chunks * CHUNK - CHUNK + last)


def chunk_of(data, index):
    return data[index * CHUNK:(index + 1) * CHUNK]


def begin(daemon, data):
    session = initiate(daemon, len(data), "file.zip", "application/zip")
    assert session["chunk_size"] == CHUNK
    return session["upload_id"], session["total_chunks"]


def other(data):
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)], ids=["in order", "in any order"])
def test_an_upload_goes_through(daemon, order):
    data = make(4)
    upload_id, _ = begin(daemon, data)
    for index in order:
        send_chunk(daemon, upload_id, index, chunk_of(data, index), form=index == 1)
    for index in order:
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
        check_problem(try_chunk(daemon, upload_id, index, other(chunk_of(data, index))), 409, "chunk_conflict")
    done = complete(daemon, upload_id)
    assert complete(daemon, upload_id) == done
    assert done["sha256"] == (hashlib.sha256(data).hexdigest() if order[0] == 0 else None)
    assert content(daemon, done["file_id"]) == data
    wait_until(lambda: "1 staged objects removed" in daemon.log_text(), 20, "what is staged stays behind")
    assert ask(daemon, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204


def test_a_file_that_its_owner_has_is_not_sent_again(gateway, tmp_path):
    daemon, data = daemon_for(gateway, tmp_path, "minio", "--reuse-files"), make(2)
    facts = {"user_id": "ann", "sha256": hashlib.sha256(data).hexdigest()}
    session = initiate(daemon, len(data), "file.zip", "application/zip", **facts)
    for index in range(2):
        send_chunk(daemon, session["upload_id"], index, chunk_of(data, index))
    first = complete(daemon, session["upload_id"])["file_id"]
    again = initiate(daemon, len(data), "again.zip", "application/zip", **facts)
    assert again["status"] == "completed"
    assert ask(daemon, "DELETE", f"/v1/files/{first}").status_code == 204
    assert content(daemon, again["file_id"]) == data
    assert ask(daemon, "DELETE", f"/v1/files/{again['file_id']}").status_code == 204
    assert daemon.end() is None


def test_an_upload_over_tus_goes_through(daemon):
    """Appends that fit no part of the store, a chunk of the other door, a connection that breaks, a kill."""
    data = random.Random(4).randbytes(CHUNK * 7 // 4).hex().encode()  # of three chunks and a half
    path = tus.create(daemon, len(data))
    at = tus.append(daemon, path, 0, data[:7])
    at = tus.append(daemon, path, at, data[at:at + CHUNK])
    send_chunk(daemon, tus.upload_id(path), 2, chunk_of(data, 2))
    assert tus.offset(daemon, path) == at
    with Connection(daemon) as connection:
        connection.send(request("PATCH", path, "Tus-Resumable: 1.0.0", f"Content-Type: {tus.TYPE}", f"Upload-Offset: {at}",
                                f"Content-Length: {len(data) - at}") + data[at:at + 1000])
    wait_until(lambda: tus.offset(daemon, path) == at + 1000)
    daemon.kill()
    daemon.restart()
    at = tus.offset(daemon, path)
    check_problem(tus.patch(daemon, path, at, data[at:2 * CHUNK], {"Upload-Checksum": tus.checksum(b"other")}), 460)
    assert tus.offset(daemon, path) == at
    at = tus.append(daemon, path, at, data[at:2 * CHUNK], {"Upload-Checksum": tus.checksum(data[at:2 * CHUNK])})
    assert at == 3 * CHUNK, "behind the chunk that was there"
    tus.append(daemon, path, at, data[at:])
    assert content(daemon, status(daemon, tus.upload_id(path))["file_id"]) == data


def test_an_upload_in_pieces_goes_through(daemon):
    """Pieces that fit no part of the store, one of which is used twice, and a kill before they are put together."""
    data = random.Random(6).randbytes(CHUNK).hex().encode()
    pieces = data[:CHUNK + 7], data[CHUNK + 7:CHUNK + 8], data[CHUNK + 8:]
    paths = []
    for piece in pieces:
        reply = tus.call(daemon, "POST", "/v1/tus", {"Upload-Concat": "partial", "Upload-Length": str(len(piece))})
        paths.append(reply.headers["Location"])
        tus.append(daemon, paths[-1], 0, piece[:len(piece) // 2])
    listed = [*paths, paths[1]]
    reply = tus.call(daemon, "POST", "/v1/tus", {"Upload-Concat": "final;" + " ".join(listed), "Upload-Metadata": tus.metadata()})
    assert reply.status_code == 201, reply.text
    path = reply.headers["Location"]
    daemon.kill()
    daemon.restart()
    for place, piece in zip(paths, pieces):
        at = tus.offset(daemon, place)
        assert at == len(piece) // 2
        tus.append(daemon, place, at, piece[at:])
    done = status(daemon, tus.upload_id(path))
    assert content(daemon, done["file_id"]) == data + pieces[1]
    assert tus.head(daemon, path)["Upload-Offset"] == str(len(data) + 1)


def test_a_resumable_upload_goes_through(daemon):
    """Appends that fit no part of the store, a chunk of the other door, a connection that breaks, a stuck one, a kill."""
    data = random.Random(6).randbytes(CHUNK * 7 // 4).hex().encode()  # of three chunks and a half
    path = ietf.created(daemon, data[:7], {"Upload-Length": str(len(data)), "Repr-Digest": ietf.digest(data)})
    at = ietf.append(daemon, path, 7, data[7:7 + CHUNK])
    send_chunk(daemon, ietf.upload_id(path), 2, chunk_of(data, 2))
    before = status(daemon, ietf.upload_id(path))["bytes_received"]
    with Connection(daemon) as connection:
        connection.send(ietf.patch_head(path, at, len(data) - at) + data[at:at + 1000])
    # Not by HEAD: that would end the request before its bytes were read.
    wait_until(lambda: status(daemon, ietf.upload_id(path))["bytes_received"] == before + 1000)
    assert ietf.offset(daemon, path) == at + 1000
    with Connection(daemon) as connection:
        connection.send(ietf.patch_head(path, at + 1000, len(data) - at - 1000) + data[at + 1000:at + 2000])
        time.sleep(1)
        assert ietf.offset(daemon, path) == at + 2000
    daemon.kill()
    daemon.restart()
    at = ietf.offset(daemon, path)
    check_problem(ietf.patch(daemon, path, at, data[at:2 * CHUNK], False, {"Content-Digest": ietf.digest(b"other")}), 400,
                  "digest_mismatch")
    at = ietf.append(daemon, path, at, data[at:2 * CHUNK], {"Content-Digest": ietf.digest(data[at:2 * CHUNK])})
    assert at == 3 * CHUNK, "behind the chunk that was there"
    done = ietf.finish(daemon, path, at, data[at:])
    assert content(daemon, done["file_id"]) == data and ietf.complete_of(ietf.head(daemon, path)) is True


def test_a_resumable_upload_without_a_length_goes_through(daemon):
    data = random.Random(7).randbytes(CHUNK).hex().encode()
    path = ietf.created(daemon, data[:CHUNK + 1])
    daemon.kill()
    daemon.restart()
    assert ietf.offset(daemon, path) == CHUNK + 1
    done = ietf.finish(daemon, path, CHUNK + 1, iter([data[CHUNK + 1:]]))
    assert content(daemon, done["file_id"]) == data


def test_an_upload_over_tus_without_a_length_goes_through(daemon):
    data = random.Random(5).randbytes(CHUNK).hex().encode()
    path = tus.create(daemon)
    at = tus.append(daemon, path, 0, data[:CHUNK + 1])
    daemon.kill()
    daemon.restart()
    assert tus.offset(daemon, path) == at
    tus.append(daemon, path, at, data[at:], {"Upload-Length": str(len(data))})
    done = status(daemon, tus.upload_id(path))
    assert content(daemon, done["file_id"]) == data


def ids_and_keys(daemon):
    objects, files = get(daemon, "/v1/objects?prefix=files/&limit=1000"), get(daemon, "/v1/files?limit=1000")
    return {item["key"] for item in objects["items"]} | {item["id"] for item in files["items"]}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "backwards"])
def test_only_the_bytes_that_were_said_become_a_file(daemon, order):
    """Parts can't be read back, so the object is there before its digest is known."""
    data = make(2)
    before = ids_and_keys(daemon)
    digest = hashlib.sha256(data).hexdigest()
    session = initiate(daemon, len(data), "file.zip", "application/zip", sha256=digest)
    wrong = initiate(daemon, len(data), "file.zip", "application/zip", sha256=hashlib.sha256(b"").hexdigest())
    for index in order:
        send_chunk(daemon, session["upload_id"], index, chunk_of(data, index))
        send_chunk(daemon, wrong["upload_id"], index, chunk_of(data, index))
    check_problem(try_complete(daemon, wrong["upload_id"]), 422, "sha256_mismatch")
    done = complete(daemon, session["upload_id"])
    assert done["sha256"] == digest and content(daemon, done["file_id"]) == data
    daemon.kill()
    daemon.start()
    check_problem(try_complete(daemon, wrong["upload_id"]), 422, "sha256_mismatch")
    assert complete(daemon, session["upload_id"]) == done
    assert ids_and_keys(daemon) - before == {done["file_id"], f"files/{done['file_id']}"}
    assert ask(daemon, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204


@pytest.mark.parametrize("way", ["minio", "unsigned"])
def test_a_chunk_may_be_several_parts(gateway, tmp_path, way):
    size = 12 << 20
    daemon = daemon_for(gateway, tmp_path, way, "--chunk-size", "12MiB")
    data = os.urandom(3 * size - 7)
    session = initiate(daemon, len(data), "file.zip", "application/zip")
    for index in range(3):
        send_chunk(daemon, session["upload_id"], index, data[index * size:(index + 1) * size])
        check_problem(try_chunk(daemon, session["upload_id"], 0, other(data[:size])), 409, "chunk_conflict")
    done = complete(daemon, session["upload_id"])
    assert done["sha256"] == hashlib.sha256(data).hexdigest()
    assert content(daemon, done["file_id"]) == data
    assert daemon.end() is None


def test_acknowledged_chunks_survive_a_kill_of_the_daemon(daemon):
    data = make(5)
    upload_id, count = begin(daemon, data)
    for index in (0, 3, 1):
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
        daemon.kill()
        daemon.restart()
    assert status(daemon, upload_id)["chunks_uploaded"] == 3
    for index in range(count):
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
    check_problem(try_chunk(daemon, upload_id, 3, other(chunk_of(data, 3))), 409, "chunk_conflict")
    daemon.kill()
    daemon.restart()
    assert content(daemon, complete(daemon, upload_id)["file_id"]) == data


def is_alive(daemon):
    try:
        return ask(daemon, "GET", "/livez").status_code == 200
    except requests.ConnectionError:
        return False


def refused_quickly(reply, seconds):
    check_problem(reply, 503, "busy")
    assert reply.elapsed.total_seconds() < seconds


def test_nothing_is_lost_while_the_server_is_away(daemon, gateway):
    data = make(6)
    upload_id, count = begin(daemon, data)
    for index in (0, 1):
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
    gateway.halt()
    try:
        deadline = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < deadline:
            refused_quickly(try_chunk(daemon, upload_id, 2, chunk_of(data, 2)), 3)
            refused_quickly(try_chunk(daemon, upload_id, count - 1, chunk_of(data, count - 1)), 3)
            assert status(daemon, upload_id)["chunks_uploaded"] == 2
            time.sleep(0.2)
        daemon.kill() # what was acknowledged is not in its memory alone
        daemon.start(wait=False) # it is alive, and not ready
        wait_until(lambda: is_alive(daemon), 20, "the daemon does not start without its storage")
        assert not daemon.is_ready()
        refused_quickly(try_chunk(daemon, upload_id, 2, chunk_of(data, 2)), 3)
    finally:
        gateway.resume()
    for index in range(count):
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
    assert content(daemon, complete(daemon, upload_id)["file_id"]) == data


def test_completion_waits_for_a_server_that_is_away(daemon, gateway):
    data = make(2)
    upload_id, count = begin(daemon, data)
    for index in range(count):
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
    gateway.halt()
    try:
        refused_quickly(try_complete(daemon, upload_id), 5)
    finally:
        gateway.resume()
    done = complete(daemon, upload_id)
    assert content(daemon, done["file_id"]) == data and complete(daemon, upload_id) == done


def test_the_server_goes_in_the_middle_of_a_chunk(daemon, gateway):
    data = make(3)
    upload_id, count = begin(daemon, data)
    send_chunk(daemon, upload_id, 0, chunk_of(data, 0))

    def dying():
        yield chunk_of(data, 1)[:CHUNK // 2]
        gateway.halt()
        yield chunk_of(data, 1)[CHUNK // 2:]
    try:
        try:
            reply = try_chunk(daemon, upload_id, 1, dying())
        except requests.ConnectionError: # the answer came while it was still sending
            reply = None
        if reply is not None:
            check_problem(reply, 503, "busy")
    finally:
        gateway.resume()
    for index in range(count):
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
    assert content(daemon, complete(daemon, upload_id)["file_id"]) == data


def test_a_server_that_hangs_is_given_up(daemon, gateway):
    data = make(3)
    upload_id, count = begin(daemon, data)
    send_chunk(daemon, upload_id, 0, chunk_of(data, 0))
    gateway.hang()
    try:
        refused_quickly(try_chunk(daemon, upload_id, 1, chunk_of(data, 1)), 25)
    finally:
        gateway.go_on()
    for index in range(count):
        send_chunk(daemon, upload_id, index, chunk_of(data, index))
    assert content(daemon, complete(daemon, upload_id)["file_id"]) == data
