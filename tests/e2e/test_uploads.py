"""Owns: upload sessions over HTTP: what each route answers, and each wrong request with its status and code."""

import base64
import hashlib
import random
import threading
import time

import pytest

from api import (RFC3339, UNKNOWN, ask, check_problem, complete, content, get, initiate, is_uuid, send_chunk, status,
                 try_chunk, try_complete, try_initiate, upload)
from raw_http import Connection, request

CHUNK = 64 * 1024  # of the server fixture
RNG = random.Random(7)


def some_text(size):
    return RNG.randbytes((size + 1) // 2).hex().encode()[:size]


# ---- what works ----


def test_initiate_answers_what_the_starter_kit_s_clients_read(server):
    reply = try_initiate(server, size=3 * CHUNK + 1, user_id="ann", metadata={"trip": {"place": "Ålesund", "day": 3}})
    assert reply.status_code == 201
    session = reply.json()
    assert is_uuid(session["upload_id"]) and RFC3339.fullmatch(session["expires_at"])
    assert (session["chunk_size"], session["total_chunks"]) == (CHUNK, 4)
    assert session["upload_url"] == f"/v1/uploads/{session['upload_id']}/chunk"
    assert reply.headers["Location"] == f"/v1/uploads/{session['upload_id']}/status"
    shown = status(server, session["upload_id"])
    assert shown["id"] == session["upload_id"] and shown["status"] == "initiated" and shown["user_id"] == "ann"
    assert shown["metadata"] == {"trip": {"place": "Ålesund", "day": 3}}
    assert shown["chunks_uploaded"] == 0 and shown["bytes_received"] == 0 and shown["percentage"] == 0
    assert shown["expires_at"] == session["expires_at"]
    assert RFC3339.fullmatch(shown["created_at"]) and RFC3339.fullmatch(shown["updated_at"])


@pytest.mark.parametrize("form", [False, True], ids=["bare bytes", "form"])
def test_chunks_in_any_order_make_the_file(server, form):
    data = some_text(4 * CHUNK + 123)
    session = initiate(server, len(data))
    order = [3, 0, 4, 2, 1]
    for sent, index in enumerate(order, 1):
        answer = send_chunk(server, session["upload_id"], index, data[index * CHUNK:(index + 1) * CHUNK], form=form)
        assert answer == {"upload_id": session["upload_id"], "chunk_index": index, "chunks_uploaded": sent,
                          "total_chunks": 5, "percentage": sent * 20.0}
    done = complete(server, session["upload_id"])
    assert content(server, done["file_id"]) == data
    assert (done["size"], done["status"], done["mime_type"]) == (len(data), "completed", "text/plain")
    assert done["storage_url"].endswith(f"://uploads/files/{done['file_id']}") and is_uuid(done["processing_job_id"])
    assert status(server, session["upload_id"])["file_id"] == done["file_id"]


def chunk_map(server, upload_id, **query):
    return get(server, f"/v1/uploads/{upload_id}/chunks", params=query)


def test_the_map_tells_which_chunks_are_missing(server):
    data = some_text(7 * CHUNK + 5)
    session = initiate(server, len(data))
    upload_id = session["upload_id"]
    assert chunk_map(server, upload_id) == {
        "upload_id": upload_id, "chunk_size": CHUNK, "total_chunks": 8, "chunks_uploaded": 0, "chunks_missing": 8,
        "from": 0, "next": None, "durable": [], "missing": [[0, 7]]}
    for index in (7, 2, 3):
        send_chunk(server, upload_id, index, data[index * CHUNK:(index + 1) * CHUNK])
    shown = chunk_map(server, upload_id)
    assert (shown["durable"], shown["missing"]) == ([[2, 3], [7, 7]], [[0, 1], [4, 6]])
    assert (shown["chunks_uploaded"], shown["chunks_missing"], shown["next"]) == (3, 5, None)
    page = chunk_map(server, upload_id, **{"from": 3, "limit": 2})
    assert (page["from"], page["next"], page["durable"], page["missing"]) == (3, 7, [[3, 3]], [[4, 6]])
    page = chunk_map(server, upload_id, **{"from": page["next"], "limit": 2})
    assert (page["from"], page["next"], page["durable"], page["missing"]) == (7, None, [[7, 7]], [])
    for first, last in shown["missing"]:  # a client that knows nothing else can go on
        for index in range(first, last + 1):
            send_chunk(server, upload_id, index, data[index * CHUNK:(index + 1) * CHUNK])
    assert chunk_map(server, upload_id)["durable"] == [[0, 7]]
    done = complete(server, upload_id)
    assert content(server, done["file_id"]) == data
    assert chunk_map(server, upload_id)["durable"] == [[0, 7]]


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "from=-1", "from=1e3"])
def test_a_map_of_nonsense_is_refused(server, query):
    session = initiate(server, 1)
    check_problem(ask(server, "GET", f"/v1/uploads/{session['upload_id']}/chunks?{query}"), 422, "parameter_invalid")


def test_what_is_gone_has_no_map(server):
    check_problem(ask(server, "GET", f"/v1/uploads/{UNKNOWN}/chunks"), 404, "upload_not_found")
    session = initiate(server, 1)
    ask(server, "DELETE", f"/v1/uploads/{session['upload_id']}")
    check_problem(ask(server, "GET", f"/v1/uploads/{session['upload_id']}/chunks"), 409, "upload_cancelled")


def test_chunks_in_order_give_the_digest_at_once(server):
    data = some_text(3 * CHUNK)
    done = upload(server, data)
    assert done["sha256"] == hashlib.sha256(data).hexdigest()
    assert get(server, f"/v1/files/{done['file_id']}")["sha256"] == done["sha256"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1)], ids=["in order", "backwards", "with a hole"])
def test_the_digest_that_was_said_is_that_of_the_file(server, order):
    data = some_text(2 * CHUNK + 77)
    digest = hashlib.sha256(data).hexdigest()
    session = initiate(server, len(data), sha256=digest.upper())
    assert status(server, session["upload_id"])["expected_sha256"] == digest
    for index in order:
        send_chunk(server, session["upload_id"], index, data[index * CHUNK:(index + 1) * CHUNK])
    done = complete(server, session["upload_id"])
    assert done["sha256"] == digest and get(server, f"/v1/files/{done['file_id']}")["sha256"] == digest
    assert content(server, done["file_id"]) == data


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["in order", "backwards"])
def test_other_bytes_than_were_said_make_no_file(server, order):
    data, owner = some_text(2 * CHUNK + 77), f"mismatch {order}"
    session = initiate(server, len(data), sha256=hashlib.sha256(b"other").hexdigest(), user_id=owner)
    upload_id = session["upload_id"]
    for index in order:
        send_chunk(server, upload_id, index, data[index * CHUNK:(index + 1) * CHUNK])
    for _ in range(2):
        check_problem(try_complete(server, upload_id), 422, "sha256_mismatch")
    shown = status(server, upload_id)
    assert (shown["status"], shown["file_id"]) == ("failed", None)
    assert shown["expected_sha256"] == hashlib.sha256(b"other").hexdigest()
    assert shown["sha256"] == hashlib.sha256(data).hexdigest()
    check_problem(try_chunk(server, upload_id, 0, data[:CHUNK]), 422, "sha256_mismatch")
    check_problem(ask(server, "GET", f"/v1/uploads/{upload_id}/chunks"), 422, "sha256_mismatch")
    assert get(server, "/v1/files", params={"owner": owner})["items"] == []
    assert not [p for p in (server.data / "objects" / "staging").iterdir() if upload_id in p.name]
    assert ask(server, "DELETE", f"/v1/uploads/{upload_id}").status_code == 200


@pytest.mark.parametrize("digest", ["", "e3b0", "g" * 64, "0" * 65, 7, ["0" * 64]])
def test_what_is_no_digest_is_refused(server, digest):
    check_problem(try_initiate(server, size=1, sha256=digest), 422, "parameter_invalid")


@pytest.mark.daemon_options("--owner-max-size", "1000", "--owner-max-uploads", "2")
def test_an_owner_has_limits(daemon):
    problem = check_problem(try_initiate(daemon, size=1001, user_id="ann"), 413, "quota_exceeded")
    assert "0 of 1000 bytes" in problem["detail"]
    done = upload(daemon, b"x" * 600, user_id="ann")
    check_problem(try_initiate(daemon, size=401, user_id="ann"), 413, "quota_exceeded")
    sessions = [initiate(daemon, 200, user_id="ann") for _ in range(2)]
    check_problem(try_initiate(daemon, size=0, user_id="ann"), 429, "too_many_uploads")
    for user_id in ("bob", None):
        assert try_initiate(daemon, size=1000, user_id=user_id).status_code == 201
    assert ask(daemon, "DELETE", f"/v1/uploads/{sessions[0]['upload_id']}").status_code == 200
    assert ask(daemon, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204
    assert try_initiate(daemon, size=800, user_id="ann").status_code == 201


@pytest.mark.daemon_options("--min-free", "1PiB")
def test_no_upload_begins_that_would_fill_the_disk(daemon):
    check_problem(try_initiate(daemon, size=1), 507, "storage_full")
    assert ask(daemon, "GET", "/livez").status_code == 200


def test_several_chunks_at_once(server):
    data = some_text(12 * CHUNK)
    session = initiate(server, len(data))
    failures = []

    def send(index):
        try:
            send_chunk(server, session["upload_id"], index, data[index * CHUNK:(index + 1) * CHUNK], form=index % 2)
        except AssertionError as e:
            failures.append(e)

    threads = [threading.Thread(target=send, args=(index,)) for index in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert content(server, complete(server, session["upload_id"])["file_id"]) == data


def test_sending_again_is_harmless_and_other_bytes_are_refused(server):
    data = some_text(2 * CHUNK)
    session = initiate(server, len(data))
    first = send_chunk(server, session["upload_id"], 1, data[CHUNK:])
    assert send_chunk(server, session["upload_id"], 1, data[CHUNK:], form=True) == first
    before = status(server, session["upload_id"])
    check_problem(try_chunk(server, session["upload_id"], 1, b"x" + data[CHUNK + 1:]), 409, "chunk_conflict")
    check_problem(try_chunk(server, session["upload_id"], 1, data[CHUNK:-1] + b"x", form=True), 409, "chunk_conflict")
    assert status(server, session["upload_id"]) == before
    send_chunk(server, session["upload_id"], 0, data[:CHUNK])
    assert content(server, complete(server, session["upload_id"])["file_id"]) == data


def test_complete_repeats_its_answer(server):
    data = some_text(CHUNK + 1)
    done = upload(server, data)
    assert complete(server, done["upload_id"]) == done
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(try_complete(server, done["upload_id"]).json()))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [done] * 4


def test_completing_from_several_clients_at_once_makes_one_file(server):
    session = initiate(server, 10, user_id="at once")
    send_chunk(server, session["upload_id"], 0, b"0123456789")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(try_complete(server, session["upload_id"])))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {reply.status_code for reply in answers} == {200}, [reply.text for reply in answers]
    assert len({reply.json()["file_id"] for reply in answers}) == 1
    assert len(get(server, "/v1/files?owner=at%20once")["items"]) == 1


def test_an_empty_file_has_no_chunks(server):
    session = initiate(server, 0)
    assert session["total_chunks"] == 0
    check_problem(try_chunk(server, session["upload_id"], 0, b""), 400, "chunk_index_invalid")
    done = complete(server, session["upload_id"])
    assert done["size"] == 0 and done["sha256"] == hashlib.sha256(b"").hexdigest()
    assert content(server, done["file_id"]) == b""


def test_cancelling_removes_the_bytes_and_may_be_repeated(server):
    session = initiate(server, 2 * CHUNK)
    send_chunk(server, session["upload_id"], 0, some_text(CHUNK))
    path = f"/v1/uploads/{session['upload_id']}"
    staged = lambda: [p for p in (server.data / "objects" / "staging").iterdir() if session["upload_id"] in p.name]
    assert staged()
    for _ in range(2):
        reply = ask(server, "DELETE", path)
        assert reply.status_code == 200
        assert reply.json() == {"message": "Upload cancelled", "upload_id": session["upload_id"]}
    assert not staged()
    assert status(server, session["upload_id"])["status"] == "cancelled"
    check_problem(try_chunk(server, session["upload_id"], 1, some_text(CHUNK)), 409, "upload_cancelled")
    check_problem(try_complete(server, session["upload_id"]), 409, "upload_cancelled")


def test_a_completed_upload_takes_no_more(server):
    done = upload(server, b"all of it")
    check_problem(try_chunk(server, done["upload_id"], 0, b"all of it"), 409, "upload_completed")
    check_problem(ask(server, "DELETE", f"/v1/uploads/{done['upload_id']}"), 409, "upload_completed")
    assert content(server, done["file_id"]) == b"all of it"


def test_the_declared_type_is_compared_without_case_and_parameters(server):
    session = initiate(server, 1, mime_type="Text/Plain; charset=utf-8")
    send_chunk(server, session["upload_id"], 0, b"x")
    assert complete(server, session["upload_id"])["mime_type"] == "text/plain"


# ---- several at one thing ----


def half_a_chunk(server, upload_id, index=0):
    """A connection that has sent half of a chunk and waits; the daemon has read it."""
    connection = Connection(server)
    connection.send(request("PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index={index}", f"Content-Length: {CHUNK}",
                            "Content-Type: application/octet-stream", "Expect: 100-continue"))
    assert connection.line() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(b"a" * (CHUNK // 2))
    time.sleep(0.1)
    return connection


def test_a_new_sender_takes_a_chunk_over_from_a_stuck_one(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with half_a_chunk(server, upload_id) as stuck:
        send_chunk(server, upload_id, 0, b"b" * CHUNK)
        stuck.send(b"a" * (CHUNK // 2))
        check_problem(stuck.reply(), 409, "chunk_superseded")
    assert content(server, complete(server, upload_id)["file_id"]) == b"b" * CHUNK


def test_a_request_for_what_is_wrong_anyway_takes_nothing_over(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with half_a_chunk(server, upload_id) as going_on:
        check_problem(try_chunk(server, upload_id, 0, b"short"), 400, "chunk_length_invalid")
        check_problem(try_chunk(server, upload_id, 0, b"b" * CHUNK, headers={"Content-Digest": "nonsense"}), 400)
        going_on.send(b"a" * (CHUNK // 2))
        assert going_on.reply().status_code == 200


def test_cancelling_and_completing_while_a_chunk_comes_in(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with half_a_chunk(server, upload_id) as sender:
        check_problem(try_complete(server, upload_id), 400, "upload_incomplete")
        assert ask(server, "DELETE", f"/v1/uploads/{upload_id}").status_code == 200
        sender.send(b"a" * (CHUNK // 2))
        reply = sender.reply()
        assert check_problem(reply, 409)["code"] in ("upload_cancelled", "chunk_superseded")
    assert status(server, upload_id)["status"] == "cancelled"
    assert not [p for p in (server.data / "objects" / "staging").iterdir() if upload_id in p.name]


def test_a_sender_that_vanishes_leaves_the_chunk_to_others(server):
    upload_id = initiate(server, CHUNK)["upload_id"]
    with half_a_chunk(server, upload_id):
        pass
    assert status(server, upload_id)["chunks_uploaded"] == 0
    send_chunk(server, upload_id, 0, b"b" * CHUNK)


# ---- digests ----


def digest_header(name, value):
    return {"Content-Digest": f"{name}=:{base64.b64encode(value).decode()}:"}


@pytest.mark.parametrize("name", ["sha-256", "md5", "sha"])
def test_a_right_content_digest_is_accepted_and_a_wrong_one_changes_nothing(server, name):
    data = some_text(1000)
    algorithm = {"sha-256": "sha256", "md5": "md5", "sha": "sha1"}[name]
    session = initiate(server, len(data))
    wrong = digest_header(name, hashlib.new(algorithm, b"something else").digest())
    check_problem(try_chunk(server, session["upload_id"], 0, data, headers=wrong), 400, "digest_mismatch")
    assert status(server, session["upload_id"])["chunks_uploaded"] == 0
    right = digest_header(name, hashlib.new(algorithm, data).digest())
    send_chunk(server, session["upload_id"], 0, data, headers=right)


def test_digests_that_are_unknown_or_malformed_are_refused(server):
    session = initiate(server, 4)
    for headers, code in ((digest_header("sha-3", b"12345678"), "digest_unsupported"),
                          ({"Content-Digest": "sha-256=:not base64!:"}, "bad_request"),
                          ({"Content-Digest": "sha-256"}, "bad_request"),
                          (digest_header("sha-256", b"too short"), "bad_request")):
        check_problem(try_chunk(server, session["upload_id"], 0, b"data", headers=headers), 400, code)
    check_problem(try_chunk(server, session["upload_id"], 0, b"data", form=True,
                            headers=digest_header("sha-256", hashlib.sha256(b"data").digest())), 400, "digest_unsupported")
    assert status(server, session["upload_id"])["chunks_uploaded"] == 0


# ---- wrong requests ----


def test_members_of_initiate_are_checked(server):
    for members, code in (({"filename": None}, "parameter_invalid"), ({"filename": 7}, "parameter_invalid"),
                          ({"filename": ""}, "filename_invalid"), ({"filename": "x" * 256}, "filename_invalid"),
                          ({"filename": "a\tb"}, "filename_invalid"), ({"filename": "folder/"}, "filename_invalid"),
                          ({"size": None}, "parameter_invalid"), ({"size": "12"}, "parameter_invalid"),
                          ({"size": -1}, "parameter_invalid"), ({"size": 1.5}, "parameter_invalid"),
                          ({"size": True}, "parameter_invalid"), ({"size": 2 ** 63}, "parameter_invalid"),
                          ({"mime_type": None}, "parameter_invalid"), ({"mime_type": ["text/plain"]}, "parameter_invalid"),
                          ({"user_id": 5}, "parameter_invalid"), ({"metadata": "text"}, "metadata_invalid"),
                          ({"metadata": [1]}, "metadata_invalid"), ({"metadata": {"x": "y" * 17000}}, "metadata_invalid")):
        problem = check_problem(try_initiate(server, **members), 422, code)
        assert next(iter(members)) in problem["detail"] or code != "parameter_invalid" or "integer" in problem["detail"], problem
    for missing in ("filename", "size", "mime_type"):
        request = {"filename": "a.txt", "size": 1, "mime_type": "text/plain"}
        del request[missing]
        problem = check_problem(ask(server, "POST", "/v1/uploads/initiate", json=request), 422, "parameter_invalid")
        assert missing in problem["detail"]


@pytest.mark.parametrize("mime_type", ["application/x-msdownload", "image/svg+xml", "nonsense", "", "text/", "text/plain/x"])
def test_types_that_are_not_on_the_list_are_refused(server, mime_type):
    problem = check_problem(try_initiate(server, mime_type=mime_type), 415, "type_not_allowed")
    assert "ALLOWED_MIME_TYPES" in problem["detail"]


def test_too_large_files_are_refused_at_initiate(server):
    for size in (100 * 1024 * 1024 + 1, 2 ** 40, 2 ** 63 - 1):
        check_problem(try_initiate(server, size=size), 413, "size_too_large")
    assert try_initiate(server, size=100 * 1024 * 1024).status_code == 201


@pytest.mark.parametrize("name, kept", [("../../etc/passwd", "passwd"), ("/etc/shadow", "shadow"), ("a\\b\\c.txt", "c.txt"),
                                        ("C:\\x.txt", "x.txt"), ("..%2f..%2fetc", "..%2f..%2fetc")])
def test_folders_are_cut_off_names(server, name, kept):
    session = initiate(server, 0, filename=name)
    done = complete(server, session["upload_id"])
    assert done["filename"] == kept and get(server, f"/v1/files/{done['file_id']}")["filename"] == kept


@pytest.mark.parametrize("name", ["..", ".", "../..", "a/..", "/", "\\", "a\nb", "nul\u0000x", "\u0085"])
def test_names_that_are_no_names_are_refused(server, name):
    reply = try_initiate(server, filename=name)
    assert check_problem(reply, 422)["code"] in ("filename_invalid", "parameter_invalid")


def test_unknown_sessions_are_not_found(server):
    for method, path in (("GET", "status"), ("POST", "complete"), ("GET", "progress"), ("PUT", "chunk?chunk_index=0")):
        for upload_id in (UNKNOWN, "nonsense", "%2e%2e", "..%2f..%2fx", "x" * 500, "'%20OR%201=1"):
            headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                       "Sec-WebSocket-Key": "MTIzNDU2Nzg5MDEyMzQ1Ng=="} if path == "progress" else {}
            reply = ask(server, method, f"/v1/uploads/{upload_id}/{path}", headers=headers)
            check_problem(reply, 404, "upload_not_found")
    check_problem(ask(server, "DELETE", f"/v1/uploads/{UNKNOWN}"), 404, "upload_not_found")


def test_chunk_indexes_and_lengths_are_checked_and_change_nothing(server):
    session = initiate(server, 2 * CHUNK + 10)
    upload_id = session["upload_id"]
    good = some_text(CHUNK)
    for index in (3, 4, 10 ** 6, 2 ** 63 - 1, 2 ** 64, 10 ** 40, -1, -(2 ** 64)):
        check_problem(try_chunk(server, upload_id, index, good), 400, "chunk_index_invalid")
    for index in ("", "one", "1.0", "0x1", "1e0", "+-1", "%201"):
        check_problem(try_chunk(server, upload_id, index, good), 422, "parameter_invalid")
    check_problem(ask(server, "PUT", f"/v1/uploads/{upload_id}/chunk", data=good), 422, "parameter_invalid")
    check_problem(ask(server, "PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index=0&chunk_index=1", data=good), 422,
                  "parameter_invalid")
    for form in (False, True):
        check_problem(try_chunk(server, upload_id, 0, good[:-1], form=form), 400, "chunk_length_invalid")
        check_problem(try_chunk(server, upload_id, 0, b"", form=form), 400, "chunk_length_invalid")
        check_problem(try_chunk(server, upload_id, 2, good[:9], form=form), 400, "chunk_length_invalid")
        check_problem(try_chunk(server, upload_id, 2, good[:11], form=form), 400, "chunk_length_invalid")
        check_problem(try_chunk(server, upload_id, 2, good, form=form), 400, "chunk_length_invalid")
    # more than any chunk has: refused by its Content-Length, or, in a form that leaves room for its own lines, by the engine
    check_problem(try_chunk(server, upload_id, 0, good + b"x"), 413, "body_too_large")
    check_problem(try_chunk(server, upload_id, 0, good + b"x", form=True), 400, "chunk_length_invalid")
    check_problem(try_chunk(server, upload_id, 0, good * 3, form=True), 413, "body_too_large")
    check_problem(try_chunk(server, upload_id, 2, good + b"x", form=True), 400, "chunk_length_invalid")
    shown = status(server, upload_id)
    assert shown["chunks_uploaded"] == 0 and shown["status"] == "initiated"
    problem = check_problem(try_complete(server, upload_id), 400, "upload_incomplete")
    assert "3 of 3" in problem["detail"]


def test_chunk_bodies_have_one_of_two_types(server):
    upload_id = initiate(server, 4)["upload_id"]
    path = f"/v1/uploads/{upload_id}/chunk?chunk_index=0"
    for mime_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/mixed; boundary=x"):
        reply = ask(server, "PUT", path, data=b"data", headers={"Content-Type": mime_type})
        check_problem(reply, 415, "unsupported_media_type")
    check_problem(ask(server, "PUT", path, files={"other": b"data"}), 422, "parameter_invalid")
    check_problem(ask(server, "PUT", path, files=[("file", b"data"), ("file", b"data")]), 422, "parameter_invalid")
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    check_problem(ask(server, "PUT", path, data=b"--y\r\n\r\n", headers=form), 400)
    check_problem(ask(server, "PUT", path, data=b"", headers=form), 400)
    check_problem(ask(server, "PUT", path, data=b"data", headers={"Content-Type": "multipart/form-data"}), 400, "bad_request")
    cut = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\ndata'
    check_problem(ask(server, "PUT", path, data=cut, headers=form), 400, "body_incomplete")
    assert status(server, upload_id)["chunks_uploaded"] == 0
    assert ask(server, "PUT", path, data=cut + b"\r\n--x--\r\n", headers=form).status_code == 200


def test_other_fields_of_the_form_are_ignored(server):
    upload_id = initiate(server, 4)["upload_id"]
    reply = ask(server, "PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index=0", data={"note": "hello", "more": "x" * 1000},
                files={"file": ("../../name", b"data", "text/html")})
    assert reply.status_code == 200, reply.text


@pytest.mark.daemon_options("--session-timeout", "1s", "--reap-interval", "300ms", "--tombstone", "3s", "--reap-grace", "1s")
def test_expired_sessions_are_gone_with_their_bytes_and_remembered_for_a_while(daemon):
    upload_id = initiate(daemon, 2 * 5 * 1024 * 1024)["upload_id"]
    send_chunk(daemon, upload_id, 0, some_text(5 * 1024 * 1024))
    done = upload(daemon, b"finished in time")
    time.sleep(1.2)
    for method, path in (("GET", "status"), ("POST", "complete"), ("PUT", "chunk?chunk_index=1")):
        reply = ask(daemon, method, f"/v1/uploads/{upload_id}/{path}", data=b"")
        check_problem(reply, 410, "upload_expired")
    check_problem(ask(daemon, "DELETE", f"/v1/uploads/{upload_id}"), 410, "upload_expired")
    deadline = time.monotonic() + 10
    while any(daemon.data.glob("objects/staging/*")):
        assert time.monotonic() < deadline, "the reaper leaves bytes"
        time.sleep(0.1)
    while ask(daemon, "GET", f"/v1/uploads/{upload_id}/status").status_code == 410:
        assert time.monotonic() < deadline, "the tombstone is not forgotten"
        time.sleep(0.1)
    check_problem(ask(daemon, "GET", f"/v1/uploads/{upload_id}/status"), 404, "upload_not_found")
    assert content(daemon, done["file_id"]) == b"finished in time"
