"""Owns: asking the HTTP API in one line each, and what every answer must have.
Must not know: how a daemon is started."""

import re
import time
import uuid

import requests

TIMEOUT = 60
HEX_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UNKNOWN = "01890000-0000-7000-8000-000000000000"


def ask(daemon, method, path, **arguments):
    return requests.request(method, daemon.url + path, timeout=TIMEOUT, **arguments)


def get(daemon, path, **arguments):
    """The JSON of a GET that succeeds."""
    reply = ask(daemon, "GET", path, **arguments)
    assert reply.status_code == 200, reply.text
    return reply.json()


def check_problem(reply, status, code=None, kind="about:blank"):
    """RFC 9457, with the members that every error of ours has."""
    assert reply.status_code == status, (reply.status_code, reply.text)
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status and problem["type"] == kind and problem["title"]
    assert isinstance(problem["detail"], str) and problem["detail"]
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    assert re.fullmatch(r"[a-z][a-z0-9_]*", problem["code"])
    if code is not None:
        assert problem["code"] == code, problem
    if status in (503, 507):
        assert int(reply.headers["Retry-After"]) > 0
    return problem


def try_initiate(daemon, **members):
    request = {"filename": "file.txt", "size": 0, "mime_type": "text/plain", **members}
    return ask(daemon, "POST", "/v1/uploads/initiate", json=request)


def initiate(daemon, size, filename="file.txt", mime_type="text/plain", **members):
    reply = try_initiate(daemon, size=size, filename=filename, mime_type=mime_type, **members)
    assert reply.status_code == 201, reply.text
    return reply.json()


def try_chunk(daemon, upload_id, index, data, form=False, headers=None):
    path = f"/v1/uploads/{upload_id}/chunk?chunk_index={index}"
    if form:
        return ask(daemon, "PUT", path, files={"file": data}, headers=headers)
    return ask(daemon, "PUT", path, data=data, headers={"Content-Type": "application/octet-stream", **(headers or {})})


def send_chunk(daemon, upload_id, index, data, **arguments):
    reply = try_chunk(daemon, upload_id, index, data, **arguments)
    assert reply.status_code == 200, reply.text
    return reply.json()


def try_complete(daemon, upload_id):
    return ask(daemon, "POST", f"/v1/uploads/{upload_id}/complete")


def complete(daemon, upload_id):
    reply = try_complete(daemon, upload_id)
    assert reply.status_code == 200, reply.text
    return reply.json()


def status(daemon, upload_id):
    return get(daemon, f"/v1/uploads/{upload_id}/status")


def upload(daemon, data, filename="file.txt", mime_type="text/plain", **members):
    """The answer of complete."""
    session = initiate(daemon, len(data), filename, mime_type, **members)
    size = session["chunk_size"]
    for index in range(session["total_chunks"]):
        send_chunk(daemon, session["upload_id"], index, data[index * size:(index + 1) * size])
    return complete(daemon, session["upload_id"])


def wait_for_job(daemon, job_id, seconds=60):
    """The job once it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        job = get(daemon, f"/v1/jobs/{job_id}")
        if job["state"] not in ("queued", "running"):
            assert job["finished_at"] is not None
            return job
        assert time.monotonic() < deadline, f"the job does not end: {job}"
        time.sleep(0.05)


def process(daemon, data, filename, mime_type):
    """Uploads and waits: (file, job, derivatives by step name as the file name tells it)."""
    done = upload(daemon, data, filename, mime_type)
    job = wait_for_job(daemon, done["processing_job_id"])
    file = get(daemon, f"/v1/files/{done['file_id']}")
    return file, job, get(daemon, f"/v1/files/{done['file_id']}/derivatives")["items"]


def content(daemon, file_id):
    reply = ask(daemon, "GET", f"/v1/files/{file_id}/content")
    assert reply.status_code == 200, reply.text
    return reply.content


def all_items(daemon, path, **parameters):
    """Page after page."""
    cursor = None
    while True:
        page = get(daemon, path, params={**parameters, "cursor": cursor})
        assert set(page) == {"items", "next"}
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


def wait_until(condition, seconds=30, what="what is waited for does not come"):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return answer


def is_uuid(text):
    return bool(HEX_ID.fullmatch(text)) and uuid.UUID(text) is not None
