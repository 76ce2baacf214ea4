"""Owns: the door of Uppy's Companion: uploads whose parts go straight to the S3 server, asked for by hand.
Must not know: how Uppy goes about it (test_browser.py)."""

import hashlib
import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time

import pytest
import requests

import s3_bucket
import tus
from api import (UNKNOWN, all_items, ask, check_problem, content, get, initiate, send_chunk, status, try_complete, wait_for_job,
                 wait_until)
from companion import PART, Upload
from daemon_process import Daemon
from media_files import PHOTOS
from raw_http import Connection, request
from test_mutated_requests import answers, damaged

S3 = os.environ.get("FILEPROC_TEST_S3_ENDPOINT")
ROUNDS = 100 if os.environ.get("FILEPROC_SLOW") == "yes" else 8
TOP = pathlib.Path(__file__).parents[2]
needs_s3 = pytest.mark.skipif(not S3, reason="no S3 server")


def environment(bucket):
    return {"MINIO_ENDPOINT": S3, "MINIO_ACCESS_KEY": os.environ["FILEPROC_TEST_S3_ACCESS_KEY"], "MINIO_BUCKET": bucket,
            "MINIO_SECRET_KEY": os.environ["FILEPROC_TEST_S3_SECRET_KEY"], "FILEPROC_REAP_INTERVAL": "300ms"}


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    one = Daemon(tmp_path_factory.mktemp("direct"), "--max-file-size", "40MiB", env=environment(s3_bucket.make("direct"))).start()
    yield one
    assert one.end() is None, one.log_text()[-4000:]
    assert '"status":500' not in one.log_text() and "X-Amz-Signature" not in one.log_text()


@needs_s3
def test_parts_at_the_s3_server_become_a_file(direct):
    data = os.urandom(2 * PART + 12345)
    upload = Upload(direct, metadata={"user_id": "somebody", "name": "file.zip"})
    assert status(direct, upload.id)["status"] == "initiated" and upload.ask("GET").json() == []
    parts = upload.send(data)
    listed = upload.ask("GET").json()
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(1, PART), (2, PART), (3, 12345)]
    assert [part["ETag"].strip('"') for part in listed] == [part["ETag"].strip('"') for part in parts]
    done = upload.complete(parts)
    assert done["location"] == f"{direct.url}/v1/files/{done['file_id']}/content" and done["key"] == f"files/{done['file_id']}"
    assert upload.complete(parts) == done == upload.complete([])
    state = status(direct, upload.id)
    assert state["status"] == "completed" and state["size"] == len(data) and state["percentage"] == 100
    assert state["metadata"] == {"user_id": "somebody", "name": "file.zip"} and state["user_id"] == "somebody"
    file = get(direct, f"/v1/files/{done['file_id']}")
    assert file["owner"] == "somebody" and file["filename"] == "file.zip" and file["mime_type"] == "application/zip"
    assert content(direct, done["file_id"]) == data


@needs_s3
def test_the_first_job_computes_the_digest(direct):
    data = PHOTOS[0].read_bytes()
    upload = Upload(direct, filename="photo.jpg", type="image/jpeg")
    done = upload.complete(upload.send(data))
    assert wait_for_job(direct, done["processing_job_id"])["state"] == "succeeded"
    file = get(direct, f"/v1/files/{done['file_id']}")
    assert file["sha256"] == hashlib.sha256(data).hexdigest() and file["detected_mime_type"] == "image/jpeg"


@needs_s3
def test_addresses_come_in_batches(direct):
    upload = Upload(direct)
    reply = upload.ask("GET", "/batch", params={"partNumbers": "1,3"})
    urls = reply.json()["presignedUrls"]
    assert set(urls) == {"1", "3"} and len(set(urls.values())) == 2
    upload.put(3, b"the last", urls["3"])
    for numbers, code in (("", "parameter_invalid"), ("1,x", "parameter_invalid"), ("1,,2", "parameter_invalid"),
                          ("10001", "parameter_invalid")):
        check_problem(upload.ask("GET", "/batch", params={"partNumbers": numbers}), 422, code)
    check_problem(upload.ask("GET", "/batch"), 422, "parameter_invalid")
    assert upload.ask("DELETE").json() == {}


@needs_s3
def test_nobody_reaches_the_keys_of_others(direct):
    upload, other = Upload(direct), Upload(direct)
    assert upload.key != other.key
    for key in (other.key, "files/x", upload.key + "x", "../" + upload.key, ""):
        for method, tail in (("GET", ""), ("GET", "/1"), ("GET", "/batch"), ("POST", "/complete"), ("DELETE", "")):
            check_problem(upload.ask(method, tail, key=key), 404, "upload_not_found")
    check_problem(ask(direct, "GET", f"/s3/multipart/{upload.id}/1"), 422, "parameter_invalid")
    upload.id = UNKNOWN
    check_problem(upload.ask("GET", "/1", key=f"uploads/{UNKNOWN}"), 404, "upload_not_found")


@needs_s3
def test_an_address_is_good_for_one_part_only(direct):
    upload = Upload(direct)
    url = upload.url(1)
    for changed in (url.replace("partNumber=1", "partNumber=2"), url.replace("/files/", "/files/x"), url.replace("uploadId=", "uploadId=x")):
        assert changed != url and requests.put(changed, data=b"x", timeout=30).status_code == 403
    assert requests.get(url, timeout=30).status_code == 403
    parts = [upload.put(1, b"right", url)]
    assert content(direct, upload.complete(parts)["file_id"]) == b"right"
    assert requests.put(url, data=b"other", timeout=30).status_code == 404, "the upload is over at the server, too"


@needs_s3
@pytest.mark.parametrize("members, status_code, code", [
    ({"filename": None}, 422, "parameter_invalid"), ({"filename": "a\nb"}, 422, "filename_invalid"),
    ({"type": "text/x-evil"}, 415, "type_not_allowed"), ({"type": 7}, 422, "parameter_invalid"),
    ({"metadata": "x"}, 422, "metadata_invalid"), ({"metadata": {"user_id": 7}}, 422, "parameter_invalid"),
    ({"size": 41 << 20}, 413, "size_too_large"), ({"size": -1}, 422, "parameter_invalid")])
def test_what_the_other_doors_refuse_is_refused(direct, members, status_code, code):
    body = {"filename": "file.zip", "type": "application/zip", **members}
    check_problem(ask(direct, "POST", "/s3/multipart", json=body), status_code, code)


@needs_s3
def test_no_file_is_larger_than_one_may_be(direct):
    upload = Upload(direct)
    check_problem(upload.ask("GET", "/9"), 413, "size_too_large")
    check_problem(upload.ask("GET", "/0"), 400, "chunk_index_invalid")
    sized = Upload(direct, size=PART + 1)
    check_problem(sized.ask("GET", "/3"), 400, "chunk_index_invalid")
    parts = [sized.put(1, bytes(PART)), sized.put(2, b"ab")]
    check_problem(sized.try_complete(parts), 400, "chunk_length_invalid")
    parts[1] = sized.put(2, b"a")
    assert sized.complete(parts)["size"] == PART + 1


@needs_s3
def test_a_list_that_ends_early_ends_no_upload(direct):
    data = os.urandom(2 * PART + 5)
    upload = Upload(direct)
    parts = [upload.put(i + 1, data[i * PART:(i + 1) * PART]) for i in range(3)]
    check_problem(upload.try_complete(parts[:2]), 400, "upload_incomplete")
    assert content(direct, upload.complete(parts)["file_id"]) == data


@needs_s3
def test_completion_believes_the_s3_server_only(direct):
    upload = Upload(direct)
    parts = [upload.put(1, b"too short"), upload.put(2, b"the end")]
    check_problem(upload.try_complete(parts), 400, "chunk_length_invalid")
    parts[0] = upload.put(1, bytes(PART))
    for wrong in ([parts[0], {"PartNumber": 2, "ETag": '"0123"'}], [parts[0], {"PartNumber": 3, "ETag": parts[0]["ETag"]}]):
        check_problem(upload.try_complete(wrong), 400, "upload_incomplete")
    for wrong in (parts[::-1], [parts[0]] * 2):
        check_problem(upload.try_complete(wrong), 422, "parameter_invalid")
    for wrong in ({}, {"parts": 1}, {"parts": [1]}, {"parts": [{"PartNumber": "1", "ETag": "x"}]}, {"parts": [{"PartNumber": 1}]}):
        check_problem(upload.ask("POST", "/complete", json=wrong), 422, "parameter_invalid")
    check_problem(upload.try_complete([]), 400, "upload_incomplete")
    assert status(direct, upload.id)["status"] == "initiated"
    assert content(direct, upload.complete(parts)["file_id"]) == bytes(PART) + b"the end"


@needs_s3
def test_cancelled_and_expired_uploads_leave_nothing_at_the_s3_server(tmp_path):
    bucket = s3_bucket.make("ended")
    daemon = Daemon(tmp_path / "fileprocd", "--session-timeout", "2s", env=environment(bucket)).start()
    expired, cancelled = Upload(daemon), Upload(daemon)
    for upload in (expired, cancelled):
        upload.put(1, b"some bytes")
    late = cancelled.ask("GET", "/2").json()
    assert 1 <= int(late["url"].split("X-Amz-Expires=")[1].split("&")[0]) <= 2, "no longer than the upload"
    assert cancelled.ask("DELETE").json() == {} == cancelled.ask("DELETE").json()
    check_problem(cancelled.ask("GET", "/1"), 409, "upload_cancelled")
    check_problem(cancelled.try_complete([]), 409, "upload_cancelled")
    assert status(daemon, cancelled.id)["status"] == "cancelled"
    wait_until(lambda: expired.ask("GET", "/1").status_code == 410)
    check_problem(expired.try_complete([]), 410, "upload_expired")
    wait_until(lambda: not s3_bucket.uploads(bucket), 20, "multipart uploads stay behind")
    assert not list(all_items(daemon, "/v1/files"))
    assert daemon.end() is None


@needs_s3
def test_one_upload_may_come_by_several_doors(direct):
    data = os.urandom(3 * PART)
    session = initiate(direct, len(data), "file.zip", "application/zip", sha256=hashlib.sha256(data).hexdigest())
    send_chunk(direct, session["upload_id"], 0, data[:PART])
    upload = Upload(direct)
    upload.id, upload.key = session["upload_id"], f"uploads/{session['upload_id']}"
    part = upload.put(2, data[PART:2 * PART])
    check_problem(upload.try_complete([part]), 400, "upload_incomplete")
    assert get(direct, f"/v1/uploads/{upload.id}/chunks")["missing"] == [[2, 2]]
    path = f"/v1/tus/{upload.id}"
    assert tus.offset(direct, path) == 2 * PART
    tus.append(direct, path, 2 * PART, data[2 * PART:])
    done = status(direct, upload.id)
    assert done["status"] == "completed" and done["sha256"] == hashlib.sha256(data).hexdigest()
    assert upload.complete([part])["file_id"] == done["file_id"] and content(direct, done["file_id"]) == data
    wrong = Upload(direct, size=7)
    wrong_session = initiate(direct, 7, "file.zip", "application/zip", sha256=hashlib.sha256(b"").hexdigest())
    wrong.id, wrong.key = wrong_session["upload_id"], f"uploads/{wrong_session['upload_id']}"
    check_problem(wrong.try_complete(wrong.send(b"7 bytes")), 422, "sha256_mismatch")
    check_problem(try_complete(direct, wrong.id), 422, "sha256_mismatch")


@needs_s3
def test_parts_have_the_size_that_is_told(tmp_path):
    daemon = Daemon(tmp_path / "fileprocd", "--chunk-size", "12MiB", env=environment(s3_bucket.make("sizes"))).start()
    upload = Upload(daemon)
    size, data = upload.part_size, os.urandom(13 << 20)
    assert size == 6 << 20
    problem = check_problem(upload.try_complete(upload.send(data)), 400, "chunk_length_invalid")
    assert str(size) in problem["detail"]
    parts = [upload.put(1, data[:size])]
    assert daemon.end() is None
    daemon.options[daemon.options.index("12MiB")] = "10MiB"
    daemon.start()
    assert Upload(daemon).part_size == PART
    parts += [upload.put(i + 1, data[i * size:(i + 1) * size]) for i in (1, 2)]
    assert content(daemon, upload.complete(parts)["file_id"]) == data, "an upload keeps the size it began with"
    assert daemon.end() is None


def until_it_works(daemon, do):
    """As a client that does not give up, at a server that is killed again and again."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return do()
        except requests.ConnectionError:
            assert time.monotonic() < deadline, "the server does not come back"
            wait_until(daemon.is_ready)


@needs_s3
def test_an_upload_survives_a_server_that_is_killed_at_any_moment(tmp_path):
    """Also between the S3 server's completion and ours."""
    daemon = Daemon(tmp_path / "fileprocd", env=environment(s3_bucket.make("killed"))).start()
    made, rng = [], random.Random(7)

    def one(data):
        upload = until_it_works(daemon, lambda: Upload(daemon))
        urls = [until_it_works(daemon, lambda number=number: upload.url(number)) for number in (1, 2)]
        parts = [upload.put(1, data[:PART], urls[0]), upload.put(2, data[PART:], urls[1])]
        done = until_it_works(daemon, lambda: upload.complete(parts))
        assert until_it_works(daemon, lambda: upload.complete(parts)) == done
        made.append((done["file_id"], hashlib.sha256(data).hexdigest()))

    for round_ in range(ROUNDS):
        client = threading.Thread(target=one, args=(os.urandom(PART + 1 + round_),))
        client.start()
        time.sleep(rng.uniform(0, 0.12))
        daemon.kill()
        daemon.start()
        client.join()
    assert len(made) == ROUNDS, "a client has failed"
    assert sorted(file["id"] for file in all_items(daemon, "/v1/files")) == sorted(file_id for file_id, _ in made)
    for file_id, digest in made:
        assert hashlib.sha256(content(daemon, file_id)).hexdigest() == digest
    assert daemon.end() is None


@needs_s3
def test_completion_is_repeatable_after_a_crash_within_it(tmp_path):
    daemon = Daemon(tmp_path / "fileprocd", env=environment(s3_bucket.make("crashed"))).start()
    made = []

    def complete_in_vain(upload, parts):
        try:
            upload.try_complete(parts)
        except requests.ConnectionError:
            pass

    for round_ in range(ROUNDS):
        data = os.urandom(PART + 1 + round_)
        upload = Upload(daemon)
        parts = upload.send(data)
        client = threading.Thread(target=complete_in_vain, args=(upload, parts))
        client.start()
        time.sleep(0.008 * (round_ % 10))
        daemon.kill()
        client.join()
        daemon.start()
        done = upload.complete(parts)
        assert upload.complete(parts) == done and content(daemon, done["file_id"]) == data
        made.append(done["file_id"])
    assert sorted(file["id"] for file in all_items(daemon, "/v1/files")) == sorted(made)
    assert daemon.end() is None


@needs_s3
def test_damaged_requests_get_an_answer_or_an_end_and_never_500(direct):
    upload, rng = Upload(direct, size=7), random.Random(21)
    part, told = upload.put(1, b"7 bytes"), parameters(direct)["fields"]["key"]
    path = f"/s3/multipart/{upload.id}"
    begin = json.dumps({"filename": "a.zip", "type": "application/zip", "metadata": {"user_id": "a"}, "size": 7}).encode()
    end = json.dumps({"parts": [part, {"PartNumber": 2, "ETag": "x"}]}).encode()
    form = (f'--x\r\nContent-Disposition: form-data; name="key"\r\n\r\n{told}\r\n'
            '--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsome bytes\r\n--x--\r\n').encode()
    json_type = "Content-Type: application/json"
    good = [request("POST", "/s3/multipart", json_type, f"Content-Length: {len(begin)}", body=begin),
            request("POST", f"{path}/complete?key={upload.key}", json_type, f"Content-Length: {len(end)}", body=end),
            request("POST", "/s3/post", "Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(form)}", body=form),
            request("GET", "/s3/params?filename=a.zip&type=application/zip&metadata%5Ba%5D=b&metadata[c]=d%20e"),
            request("GET", f"{path}?key={upload.key}"), request("GET", f"{path}/1?key={upload.key}"),
            request("GET", f"{path}/batch?key={upload.key}&partNumbers=1,1")]
    assert [answers(direct, one)[9:12] for one in good] == [b"200", b"400", b"200", b"200", b"200", b"200", b"200"]
    for round_ in range(40 * ROUNDS):
        data = damaged(rng, rng.choice(good))
        got = answers(direct, data)
        for status_code in re.findall(rb"^HTTP/1\.1 (\d\d\d) ", got, re.M):
            assert status_code not in (b"500", b"501", b"502"), (round_, data, got)
    assert direct.running()


def test_a_store_that_signs_nothing_answers_501(server):
    reply = ask(server, "POST", "/s3/multipart", json={"filename": "a", "type": "text/plain"})
    check_problem(reply, 501, "presign_unsupported")
    session = initiate(server, 7)["upload_id"]
    for method, tail in (("GET", "/1"), ("GET", ""), ("POST", "/complete")):
        reply = ask(server, method, f"/s3/multipart/{session}{tail}", params={"key": f"uploads/{session}"},
                    json={"parts": [{"PartNumber": 1, "ETag": "x"}]} if method == "POST" else None)
        check_problem(reply, 501, "presign_unsupported")


def test_what_is_not_offered_answers_501(server):
    for path in ("/s3/params?filename=a&type=text/plain", "/s3/sts"):
        check_problem(ask(server, "GET", path), 501, "presign_unsupported")


# ---- files that go in one request ----

def parameters(daemon, headers=None, **more):
    reply = ask(daemon, "GET", "/s3/params", params={"filename": "file.zip", "type": "application/zip", **more}, headers=headers)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert told["method"] == "POST" and set(told["fields"]) == {"key"}
    return told


def post(told, data, **more):
    """The field file comes last."""
    return requests.post(told["url"], data={**told["fields"], **more}, files={"file": data}, timeout=60)


@needs_s3
def test_a_small_file_goes_in_one_request(direct):
    data = os.urandom(PART + 7)
    told = parameters(direct, **{"metadata[user_id]": "somebody", "metadata[näme]": "a b"})
    assert told["url"] == direct.url + "/s3/post"
    reply = post(told, data)
    assert reply.status_code == 200 and post(told, data).json() == reply.json() == post(told, b"").json()
    file_id = reply.json()["file_id"]
    assert reply.headers["ETag"] == f'"{file_id}"' and reply.headers["Location"] == f"{direct.url}/v1/files/{file_id}/content"
    assert content(direct, file_id) == data and requests.get(f"{told['url']}/{told['fields']['key']}", timeout=30).content == data
    file = get(direct, f"/v1/files/{file_id}")
    assert file["owner"] == "somebody" and file["sha256"] == hashlib.sha256(data).hexdigest()
    assert status(direct, told["fields"]["key"].rpartition("/")[2])["metadata"] == {"user_id": "somebody", "näme": "a b"}
    empty = post(parameters(direct), b"").json()
    assert empty["size"] == 0 and content(direct, empty["file_id"]) == b""


@needs_s3
def test_a_request_that_broke_off_is_sent_again(direct):
    data = os.urandom(3 * PART)
    told = parameters(direct)
    upload_id = told["fields"]["key"].rpartition("/")[2]
    body = requests.Request("POST", told["url"], data=told["fields"], files={"file": data}).prepare()
    with Connection(direct) as connection:
        connection.send(request("POST", "/s3/post", f"Content-Type: {body.headers['Content-Type']}",
                                f"Content-Length: {len(body.body)}") + body.body[:PART + 1000])
    wait_until(lambda: PART < status(direct, upload_id)["bytes_received"] < PART + 1000)
    assert requests.get(f"{told['url']}/{told['fields']['key']}", timeout=30).status_code == 404, "there is no file yet"
    check_problem(post(told, data[:5]), 400, "length_invalid")
    assert content(direct, post(told, data).json()["file_id"]) == data


@needs_s3
def test_what_can_not_go_in_one_request_is_refused(direct):
    for more, code in (({"filename": None}, "parameter_invalid"), ({"metadata[user_id]": ["a", "b"]}, "parameter_invalid"),
                       ({"filename": "a/"}, "filename_invalid")):
        check_problem(ask(direct, "GET", "/s3/params", params={"filename": "a", "type": "application/zip", **more}), 422, code)
    check_problem(ask(direct, "GET", "/s3/params?filename=a&type=text/x-evil"), 415, "type_not_allowed")
    check_problem(ask(direct, "GET", "/s3/params?filename=a&metadata[a]=%ff"), 422, "parameter_invalid")
    told, url = parameters(direct), direct.url + "/s3/post"
    key = told["fields"]["key"]
    check_problem(requests.post(url, files={"file": b"x", "key": (None, key)}, timeout=30), 404, "upload_not_found")
    for wrong in ("", "uploads/", f"uploads/{UNKNOWN}", f"files/{key}", key + "x" * 300):
        check_problem(requests.post(url, data={"key": wrong}, files={"file": b"x"}, timeout=30), 404, "upload_not_found")
    check_problem(requests.post(url, files={"key": (None, key)}, timeout=30), 422, "parameter_invalid")
    check_problem(requests.post(url, data=told["fields"], timeout=30), 415, "unsupported_media_type")
    check_problem(requests.post(url, data=b"x", headers={"Content-Type": "multipart/form-data; boundary=y"}, timeout=30), 400,
                  "body_incomplete")
    check_problem(post(told, bytes((40 << 20) + 1)), 413, "size_too_large")
    assert ask(direct, "DELETE", f"/v1/uploads/{key.rpartition('/')[2]}").status_code == 200
    check_problem(post(told, b"x"), 409, "upload_cancelled")


@needs_s3
def test_the_address_is_what_the_page_can_reach(tmp_path):
    """TLS ends in front of the daemon: whom it believes, and what a page shows by itself."""
    env = {**environment(s3_bucket.make("proxied")), "FILEPROC_ALLOWED_HOSTS": "files.example.com"}
    daemon = Daemon(tmp_path / "fileprocd", env=env).start()
    host = {"Host": "files.example.com"}
    for headers, scheme in (({}, "http"), ({"X-Forwarded-Proto": "https"}, "http"), ({"Origin": "https://app.example.com"}, "https"),
                            ({"Referer": "https://files.example.com/upload"}, "https"), ({"Origin": "http://app.example.com"}, "http")):
        assert parameters(daemon, {**host, **headers})["url"] == scheme + "://files.example.com/s3/post", headers
    assert daemon.end() is None
    daemon = Daemon(tmp_path / "believes", env={**env, "FILEPROC_TRUSTED_PROXIES": "127.0.0.1"}).start()
    for told, scheme in (("https", "https"), ("http", "http")):
        headers = {**host, "X-Forwarded-Proto": told, "Origin": "https://app.example.com"}
        assert parameters(daemon, headers)["url"] == scheme + "://files.example.com/s3/post"
    assert daemon.end() is None


@needs_s3
def test_the_examples_of_the_documents_work(tmp_path):
    """The shell blocks of docs/uploads.md, with the servers of the test."""
    text = (TOP / "docs" / "uploads.md").read_text()
    section = re.search(r"## Straight to the S3 server\n(.*?)\n## ", text, re.S).group(1)
    upload, cors = re.findall(r"```sh\n(.*?)```", section, re.S)
    env = environment(s3_bucket.make("documents"))
    daemon = Daemon(tmp_path / "fileprocd", env=env).start()
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0].read_bytes())
    script = upload.replace("localhost:8000", f"127.0.0.1:{daemon.port}") + cors
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    assert content(daemon, json.loads(done.stdout)["file_id"]) == PHOTOS[0].read_bytes()
    reply = requests.options(f"http://{S3}/{env['MINIO_BUCKET']}/files/x?partNumber=1&uploadId=x", timeout=30, headers={
        "Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT"})
    assert reply.status_code == 200 and reply.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert reply.headers["Access-Control-Expose-Headers"] == "ETag"
    assert daemon.end() is None
