"""Owns: speaking Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload) in one line each.
Must not know: how a daemon is started."""

import base64
import hashlib
import re

from api import ask, check_problem
from raw_http import request

TARGET = "/v1/resumable"
TYPE = "application/partial-upload"
VERSION = "Upload-Draft-Interop-Version"
KINDS = "https://iana.org/assignments/http-problem-types#"
MISMATCH, INCONSISTENT, COMPLETED = (KINDS + name for name in (
    "mismatching-upload-offset", "inconsistent-upload-length", "completed-upload"))
TEXT = {"Content-Type": "text/plain"}


def digest(data, algorithm="sha-256"):
    name = {"sha-256": "sha256", "sha": "sha1"}.get(algorithm, algorithm)
    return f"{algorithm}=:{base64.b64encode(hashlib.new(name, data).digest()).decode()}:"


def flag(complete):
    return "?1" if complete else "?0"


def create(daemon, data=None, complete=False, headers=None, method="POST", path=TARGET):
    every = {**TEXT, "Upload-Complete": flag(complete), **(headers or {})}
    return ask(daemon, method, path, headers={k: v for k, v in every.items() if v is not None}, data=data)


def created(daemon, data=None, headers=None):
    """The path of a new upload that is not complete."""
    reply = create(daemon, data, False, headers)
    assert reply.status_code == 201 and complete_of(reply) is False, (reply.status_code, reply.text)
    return reply.headers["Location"]


def patch(daemon, path, at, data=None, complete=False, headers=None):
    every = {"Content-Type": TYPE, "Upload-Offset": str(at), "Upload-Complete": flag(complete), **(headers or {})}
    return ask(daemon, "PATCH", path, headers={k: v for k, v in every.items() if v is not None}, data=data)


def append(daemon, path, at, data, headers=None):
    reply = patch(daemon, path, at, data, False, headers)
    assert reply.status_code == 204 and complete_of(reply) is False, (reply.status_code, reply.text)
    return int(reply.headers["Upload-Offset"])


def finish(daemon, path, at, data=None, headers=None):
    """The final answer."""
    reply = patch(daemon, path, at, data, True, headers)
    assert reply.status_code == 200 and complete_of(reply) is True, (reply.status_code, reply.text)
    return reply.json()


def head(daemon, path, headers=None):
    reply = ask(daemon, "HEAD", path, headers=headers)
    assert reply.status_code == 204, reply.status_code
    assert reply.headers["Cache-Control"] == "no-store"
    return reply


def offset(daemon, path):
    return int(head(daemon, path).headers["Upload-Offset"])


def complete_of(reply):
    """Upload-Complete of an answer; None when it has none."""
    return {"?0": False, "?1": True, None: None}[reply.headers.get("Upload-Complete")]


def limits(reply):
    """Upload-Limit as numbers."""
    members = [member.partition("=") for member in reply.headers["Upload-Limit"].split(", ")]
    assert members and all(re.fullmatch(r"\d{1,15}", value) for _, _, value in members)
    return {key: int(value) for key, _, value in members}


def check_mismatch(reply, expected, provided):
    problem = check_problem(reply, 409, "offset_mismatch", MISMATCH)
    assert (problem["expected-offset"], problem["provided-offset"]) == (expected, provided)
    assert int(reply.headers["Upload-Offset"]) == expected and complete_of(reply) is False


def upload_id(path):
    return path.rsplit("/", 1)[1]


def post_head(length, *headers, version=8, complete=True):
    return request("POST", TARGET, "Content-Type: text/plain", f"Content-Length: {length}", f"Upload-Complete: {flag(complete)}",
                   *([f"{VERSION}: {version}"] if version else []), *headers)


def patch_head(path, at, length, *headers, complete=True):
    return request("PATCH", path, f"Content-Type: {TYPE}", f"Upload-Offset: {at}", f"Upload-Complete: {flag(complete)}",
                   f"Content-Length: {length}", *headers)


def interim(connection):
    """The fields of the 104 that comes next."""
    first, *lines = connection.line().decode("latin-1").split("\r\n")
    assert first == "HTTP/1.1 104 Upload Resumption Supported", first
    return dict(line.split(": ", 1) for line in lines if line)
