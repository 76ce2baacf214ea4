"""Owns: that the storage service keeps objects: keys, conditions, ranges, lists, and what happens when a PUT breaks off."""

import base64
import hashlib
import os
import socket
import threading
import time
import zlib

import pytest

from api import ask, check_problem, get, upload, wait_until
from daemon_process import Daemon
from raw_http import exchange, request

DATA = bytes(range(256)) * 4096
S3 = os.environ.get("FILEPROC_TEST_S3_ENDPOINT")


def s3_environment(bucket):
    return {"MINIO_ENDPOINT": S3, "MINIO_ACCESS_KEY": os.environ["FILEPROC_TEST_S3_ACCESS_KEY"],
            "MINIO_SECRET_KEY": os.environ["FILEPROC_TEST_S3_SECRET_KEY"], "MINIO_BUCKET": bucket}


@pytest.fixture(scope="module", params=["file", "s3"])
def store(request, tmp_path_factory):
    """fileproc-storage alone, over files and over an S3 server."""
    env = {}
    if request.param == "s3":
        if not S3:
            pytest.skip("no S3 server")
        import s3_bucket
        env = s3_environment(s3_bucket.make("objects"))
    one = Daemon(tmp_path_factory.mktemp("storage"), env=env, program="fileproc-storage").start()
    one.kind = request.param
    yield one
    assert one.end() is None
    assert '"status":500' not in one.log_text()


def put(store, key, data, **headers):
    return ask(store, "PUT", f"/v1/objects/{key}", data=data,
               headers={name.replace("_", "-"): value for name, value in headers.items()})


def fetch(store, key, method="GET", **headers):
    return ask(store, method, f"/v1/objects/{key}", headers={name.replace("_", "-"): value for name, value in headers.items()})


def all_keys(store, prefix, limit=1000):
    keys, cursor = [], ""
    while cursor is not None:
        page = get(store, f"/v1/objects?prefix={prefix}&limit={limit}&cursor={cursor}")
        assert len(page["items"]) <= limit
        keys += [item["key"] for item in page["items"]]
        cursor = page["next"]
    return keys


def test_what_was_put_comes_back(store):
    for size in (0, 1, 255, 65536, 1048576, 1048577, 11 * 1048576 + 3):
        data = (DATA * 12)[:size]
        reply = put(store, f"sizes/{size}", data)
        assert reply.status_code == 201 and reply.headers["Location"] == f"/v1/objects/sizes/{size}", reply.text
        made = reply.json()
        assert made == {"key": f"sizes/{size}", "size": size, "etag": reply.headers["ETag"]}
        found = fetch(store, f"sizes/{size}")
        assert found.status_code == 200 and found.content == data and found.headers["ETag"] == made["etag"]
        head = fetch(store, f"sizes/{size}", "HEAD")
        assert head.status_code == 200 and head.headers["Content-Length"] == str(size) and head.headers["ETag"] == made["etag"]
    assert found.headers["Content-Type"] == "application/octet-stream"
    assert found.headers["Content-Disposition"] == "attachment" and "sandbox" in found.headers["Content-Security-Policy"]


def test_a_second_put_replaces_and_says_so(store):
    first, second = put(store, "again", b"one"), put(store, "again", b"other")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["ETag"] != second.headers["ETag"] and fetch(store, "again").content == b"other"


def test_a_body_of_unknown_length(store):
    reply = ask(store, "PUT", "/v1/objects/chunked", data=iter([DATA, DATA, b"end"]))
    assert reply.status_code == 201 and reply.json()["size"] == 2 * len(DATA) + 3
    assert fetch(store, "chunked").content == DATA + DATA + b"end"
    empty = ask(store, "PUT", "/v1/objects/chunked-empty", data=iter([]))
    assert empty.status_code == 201 and fetch(store, "chunked-empty").content == b""


@pytest.mark.parametrize("path, key", [
    ("a%2Fb%2fc", "a/b/c"), ("%61%2Ecd", "a.cd"), ("x/presign", "x/presign"), ("-._/A-Z/0", "-._/A-Z/0"), ("1/2/3/4/5/6/7/8/9/10/11", None),
    ("s" * 200, None), ("/".join(["d" * 100] * 10), None), ("....", None), (".hidden/..x", None)])
def test_keys_and_their_spellings(store, path, key):
    key = key or path
    assert put(store, path, b"bytes").status_code == 201
    assert fetch(store, key).content == b"bytes" and all_keys(store, key) == [key]
    assert ask(store, "DELETE", f"/v1/objects/{path}").status_code == 204
    check_problem(fetch(store, key), 404, "object_not_found")


@pytest.mark.parametrize("path", ["a//b", "a/", "/a", "..%2f..%2fetc", "a/%2E%2E/b", "%2e", "a/../b", "sp%20ace", "%C3%A9", "a%5Cb", "s" * 201,
                                  "/".join(["d" * 200] * 6), "a+b", "~staged/x", "%7Eprobe", "a%3Fb"])
def test_what_is_no_key_is_refused(store, path):
    for method in ("GET", "PUT", "DELETE"):
        reply = exchange(store, request(method, f"/v1/objects/{path}", "Content-Length: 0"))
        assert "A-Z a-z 0-9" in check_problem(reply, 422, "key_invalid")["detail"]


def test_bytes_that_no_path_has_are_refused(store):
    for path in ("a%00b", "a%0Ab", "a%", "a%zz"):
        assert exchange(store, request("PUT", f"/v1/objects/{path}", "Content-Length: 0")).status_code == 400


@pytest.mark.parametrize("key", ["files", "files/0193", "derivatives/a/b", "health/probe", "files%2Fx", "%66iles/x"])
def test_reserved_keys_can_not_be_written_or_removed(store, key):
    check_problem(put(store, key, b"x"), 403, "key_reserved")
    check_problem(ask(store, "DELETE", f"/v1/objects/{key}"), 403, "key_reserved")
    check_problem(ask(store, "POST", f"/v1/objects/{key}/presign", json={"method": "PUT"}), 403, "key_reserved")
    check_problem(fetch(store, key), 404, "object_not_found")


def test_keys_that_only_look_reserved_are_free(store):
    for key in ("filesystem", "files.txt", "my/files/x", "Files/x"):
        assert put(store, key, b"x").status_code == 201


@pytest.mark.parametrize("wanted, first, last", [("bytes=0-0", 0, 0), ("bytes=1048570-", 1048570, 1048575), ("bytes=-5", 1048571, 1048575),
                                                 ("bytes=0-99999999999", 0, 1048575), ("bytes=262143-262145", 262143, 262145)])
def test_one_range_is_answered_with_206(store, wanted, first, last):
    put(store, "range", DATA)
    reply = fetch(store, "range", Range=wanted)
    assert reply.status_code == 206 and reply.content == DATA[first:last + 1]
    assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert fetch(store, "range", "HEAD", Range=wanted).status_code == 200


def test_ranges_that_can_not_be_answered(store):
    put(store, "range", DATA)
    for wanted in ("bytes=1048576-", "bytes=-0"):
        reply = fetch(store, "range", Range=wanted)
        check_problem(reply, 416, "range_not_satisfiable")
        assert reply.headers["Content-Range"] == f"bytes */{len(DATA)}"
    for ignored in ("bytes=5-4", "bytes=0-1,4-5", "lines=1-2"):
        assert fetch(store, "range", Range=ignored).status_code == 200


def test_conditions_on_reading(store):
    etag = put(store, "read", b"bytes").headers["ETag"]
    assert etag.startswith('"') and fetch(store, "read", If_None_Match=etag).status_code == 304
    assert fetch(store, "read", If_None_Match=f'"x", W/{etag}').status_code == 304
    assert fetch(store, "read", "HEAD", If_None_Match="*").status_code == 304
    assert fetch(store, "read", If_None_Match='"x"').status_code == 200
    assert fetch(store, "read", If_Match=etag).status_code == 200
    check_problem(fetch(store, "read", If_Match='"x"'), 412, "precondition_failed")
    check_problem(fetch(store, "read", If_Match="W/" + etag), 412, "precondition_failed")
    check_problem(fetch(store, "nothing", If_Match="*"), 412, "precondition_failed")
    check_problem(fetch(store, "nothing", If_None_Match="*"), 404, "object_not_found")
    assert fetch(store, "read", Range="bytes=0-1", If_Range=etag).content == b"by"
    assert fetch(store, "read", Range="bytes=0-1", If_Range='"x"').content == b"bytes"


def test_conditions_on_writing(store):
    check_problem(put(store, "write", b"x", If_Match="*"), 412, "precondition_failed")
    first = put(store, "write", b"first", If_None_Match="*")
    assert first.status_code == 201
    check_problem(put(store, "write", b"second", If_None_Match="*"), 412, "precondition_failed")
    check_problem(put(store, "write", b"second", If_Match='"x"'), 412, "precondition_failed")
    second = put(store, "write", b"second", If_Match=first.headers["ETag"])
    assert second.status_code == 200
    check_problem(put(store, "write", b"third", If_Match=first.headers["ETag"]), 412, "precondition_failed")
    check_problem(ask(store, "DELETE", "/v1/objects/write", headers={"If-Match": first.headers["ETag"]}), 412, "precondition_failed")
    assert fetch(store, "write").content == b"second"
    assert ask(store, "DELETE", "/v1/objects/write", headers={"If-Match": second.headers["ETag"]}).status_code == 204
    assert ask(store, "DELETE", "/v1/objects/write").status_code == 204


def digest(name, value):
    return f"{name}=:{base64.b64encode(value).decode()}:"


def test_a_digest_is_checked_before_anything_is_seen(store):
    put(store, "digest", b"before")
    for name, make in (("sha-256", hashlib.sha256), ("sha", hashlib.sha1), ("md5", hashlib.md5)):
        assert put(store, "digest-good", DATA, Content_Digest=digest(name, make(DATA).digest())).status_code in (200, 201)
        check_problem(put(store, "digest", DATA, Content_Digest=digest(name, make(b"x").digest())), 400, "digest_mismatch")
    crc32c = bytes.fromhex("e3069283")  # of "123456789", RFC 3720
    assert put(store, "digest-good", b"123456789", Content_Digest=digest("crc32c", crc32c)).status_code == 200
    check_problem(put(store, "digest", b"12345678", Content_Digest=digest("crc32c", crc32c)), 400, "digest_mismatch")
    check_problem(put(store, "digest", b"x", Content_Digest=digest("crc32", zlib.crc32(b"x").to_bytes(4, "big"))), 400, "digest_unsupported")
    check_problem(put(store, "digest", b"x", Content_Digest="sha-256=nonsense"), 400, "bad_request")
    assert put(store, "digest-empty", b"", Content_Digest=digest("sha-256", hashlib.sha256().digest())).status_code == 201
    assert fetch(store, "digest").content == b"before"


def test_requests_that_make_no_sense(store):
    check_problem(put(store, "x", b"x", Content_Range="bytes 0-0/5"), 400, "bad_request")
    check_problem(put(store, "big", b"", Content_Length=str(1 << 40)), 413, "body_too_large")
    reply = ask(store, "POST", "/v1/objects/some/key", json={})
    check_problem(reply, 405, "method_not_allowed")
    assert "PUT" in reply.headers["Allow"] and "POST" not in reply.headers["Allow"]
    check_problem(ask(store, "PATCH", "/v1/objects/some/key"), 405, "method_not_allowed")
    check_problem(ask(store, "GET", "/v1/objects/"), 404)


def test_lists_have_pages_and_prefixes(store):
    keys = sorted(f"list/{'even' if n % 2 == 0 else 'odd'}/{n:03}" for n in range(25))
    for key in keys:
        put(store, key, key.encode())
    assert all_keys(store, "list/") == keys and all_keys(store, "list/", limit=7) == keys
    assert all_keys(store, "list/ev", limit=3) == [key for key in keys if "/even/" in key]
    [item] = get(store, f"/v1/objects?prefix={keys[0]}")["items"]
    assert item["size"] == len(keys[0]) and item["modified_at"].endswith("Z")
    assert get(store, "/v1/objects?prefix=list/nothing") == {"items": [], "next": None}
    for bad in ("limit=0", "limit=1001", "prefix=..%2F", "prefix=%C3%A9"):
        check_problem(ask(store, "GET", f"/v1/objects?{bad}"), 422)


def test_signed_addresses_need_no_key_or_are_said_to_be_none(store):
    put(store, "signed", b"bytes")
    reply = ask(store, "POST", "/v1/objects/signed/presign")
    if store.kind == "file":
        check_problem(reply, 501, "presign_unsupported")
        return
    import requests
    assert reply.status_code == 200 and requests.get(reply.json()["url"], timeout=30).content == b"bytes"
    wanted = ask(store, "POST", "/v1/objects/signed/presign", json={"method": "PUT", "expires_in": 60}).json()
    assert wanted["method"] == "PUT" and requests.put(wanted["url"], data=b"direct", timeout=30).status_code == 200
    assert fetch(store, "signed").content == b"direct"
    for body in ({"method": "POST"}, {"expires_in": 0}, {"expires_in": 604801}, {"method": 1}, {"expires_in": "x"}):
        check_problem(ask(store, "POST", "/v1/objects/signed/presign", json=body), 422, "parameter_invalid")


def test_of_many_that_write_where_nothing_is_one_succeeds(store):
    results = []

    def writer(number):
        results.append((put(store, "race", b"%d" % number * 70000, If_None_Match="*").status_code, number))
    threads = [threading.Thread(target=writer, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [number for status, number in results if status == 201]
    assert len(winners) == 1 and sorted(status for status, _ in results) == [201] + [412] * 7, results
    assert fetch(store, "race").content == b"%d" % winners[0] * 70000


def test_of_many_that_write_one_stays_whole(store):
    sizes = [700000 + 1000 * n for n in range(6)]

    def writer(size):
        assert put(store, "crowd", b"%d" % (size // 1000 % 10) * size).status_code in (200, 201)
    threads = [threading.Thread(target=writer, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = fetch(store, "crowd").content
    assert len(content) in sizes and len(set(content)) == 1


def test_who_waits_for_100_continue_is_refused_before_sending(store):
    put(store, "expected", b"there")
    with socket.create_connection(("127.0.0.1", store.port)) as s:
        s.sendall(b"PUT /v1/objects/expected HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
                  b"If-None-Match: *\r\n\r\n")
        s.settimeout(10)
        assert s.recv(12) == b"HTTP/1.1 412"
    with socket.create_connection(("127.0.0.1", store.port)) as s:
        s.sendall(b"PUT /v1/objects/expected HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        s.settimeout(10)
        assert s.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"other")
        assert s.recv(12) == b"HTTP/1.1 200"
    assert fetch(store, "expected").content == b"other"


def test_a_counter_of_if_match_loses_no_step(store):
    put(store, "counter", b"0")

    def count():
        done = 0
        while done < 10:
            now = fetch(store, "counter")
            done += put(store, "counter", b"%d" % (int(now.content) + 1), If_Match=now.headers["ETag"]).status_code == 200
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetch(store, "counter").content == b"40"


def test_readers_see_one_version_while_writers_replace(store):
    size, stop, bad = 3 * 1048576, threading.Event(), []
    put(store, "versions", b"a" * size)

    def read():
        import requests
        while not stop.is_set():
            try:
                reply = fetch(store, "versions")
            except requests.exceptions.ChunkedEncodingError:
                continue  # cut: it was replaced
            except requests.exceptions.ConnectionError:
                continue
            if reply.status_code == 200 and len(reply.content) == size and len(set(reply.content)) != 1:
                bad.append(set(reply.content))
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for n in range(20):
        put(store, "versions", b"abcdefghij"[n % 10:n % 10 + 1] * size)
    stop.set()
    for thread in readers:
        thread.join()
    assert not bad


def half_a_put(store, key, announced=10 * 1048576, sent=3 * 1048576):
    s = socket.create_connection(("127.0.0.1", store.port))
    s.sendall(f"PUT /v1/objects/{key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {announced}\r\n\r\n".encode() + b"x" * sent)
    return s


def test_a_put_that_breaks_off_leaves_what_was_there(store):
    put(store, "broken", b"before")
    for _ in range(3):
        half_a_put(store, "broken").close()
        half_a_put(store, "broken-new").close()
    time.sleep(0.5)
    assert fetch(store, "broken").content == b"before"
    check_problem(fetch(store, "broken-new"), 404)
    assert put(store, "broken-new", b"after").status_code == 201


def test_a_daemon_killed_during_a_put_leaves_no_object(store):
    put(store, "killed", b"before")
    puts = [half_a_put(store, "killed"), half_a_put(store, "killed-new")]
    time.sleep(0.3)
    store.kill()
    for s in puts:
        s.close()
    store.restart()
    assert fetch(store, "killed").content == b"before"
    check_problem(fetch(store, "killed-new"), 404)
    assert all_keys(store, "killed") == ["killed"]


def test_what_a_kill_leaves_is_removed_later(tmp_path):
    store = Daemon(tmp_path, "--reap-interval", "200ms", "--reap-grace", "300ms", program="fileproc-storage").start()
    try:
        s = half_a_put(store, "killed")
        staging = store.data / "objects" / "staging"
        wait_until(lambda: list(staging.glob("put-*")), 5)
        store.kill()
        s.close()
        assert list(staging.glob("put-*"))
        store.restart()
        wait_until(lambda: not list(staging.glob("put-*")), 10, "nobody removes it")
    finally:
        assert store.end() is None


@pytest.mark.skipif(bool({"ASAN_OPTIONS", "TSAN_OPTIONS"} & set(os.environ)), reason="a sanitizer has its own use of memory")
def test_memory_does_not_grow_with_the_object(store):
    store.end()
    store.options += ["--max-file-size", "1GiB"]
    store.restart()

    def pieces():
        for _ in range(300):
            yield DATA
    put(store, "warm", DATA)
    fetch(store, "warm")
    before = store.memory_mib()
    reply = ask(store, "PUT", "/v1/objects/large", data=pieces())
    assert reply.status_code == 201 and reply.json()["size"] == 300 * len(DATA)
    import requests
    with requests.get(store.url + "/v1/objects/large", stream=True, timeout=60) as large:
        assert sum(len(piece) for piece in large.iter_content(1 << 20)) == 300 * len(DATA)
    assert store.memory_mib() - before < 40, (before, store.memory_mib())
    assert ask(store, "DELETE", "/v1/objects/large").status_code == 204


def test_fileprocd_shows_the_objects_of_files_and_protects_them(server):
    done = upload(server, b"some text\n")
    key = f"files/{done['file_id']}"
    assert fetch(server, key).content == b"some text\n" and key in all_keys(server, "files/")
    check_problem(put(server, key, b"other"), 403, "key_reserved")
    check_problem(ask(server, "DELETE", f"/v1/objects/{key}"), 403, "key_reserved")
    assert put(server, "mine/object", b"mine").status_code == 201 and fetch(server, "mine/object").content == b"mine"
