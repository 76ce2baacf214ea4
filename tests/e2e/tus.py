"""Owns: speaking tus 1.0.0 in one line each.
Must not know: how a daemon is started."""

import base64
import hashlib

from api import ask

TYPE = "application/offset+octet-stream"


def metadata(**pairs):
    values = {"filename": "file.txt", "filetype": "text/plain", **pairs}
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


def checksum(data, algorithm="sha1"):
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def call(daemon, method, path, headers=None, **arguments):
    """A request of a client that speaks tus; None takes a header away."""
    every = {"Tus-Resumable": "1.0.0", **(headers or {})}
    headers = {key: value for key, value in every.items() if value is not None}
    reply = ask(daemon, method, path, headers=headers, **arguments)
    if method != "OPTIONS":
        assert reply.headers["Tus-Resumable"] == "1.0.0"
    return reply


def create(daemon, size=None, data=None, headers=None):
    """The path of a new upload."""
    length = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    body = {} if data is None else {"Content-Type": TYPE}
    reply = call(daemon, "POST", "/v1/tus", {"Upload-Metadata": metadata(), **length, **body, **(headers or {})}, data=data)
    assert reply.status_code == 201, reply.text
    return reply.headers["Location"]


def patch(daemon, path, offset, data, headers=None):
    return call(daemon, "PATCH", path, {"Content-Type": TYPE, "Upload-Offset": str(offset), **(headers or {})}, data=data)


def append(daemon, path, offset, data, headers=None):
    reply = patch(daemon, path, offset, data, headers)
    assert reply.status_code == 204, reply.text
    return int(reply.headers["Upload-Offset"])


def head(daemon, path):
    reply = call(daemon, "HEAD", path)
    assert reply.status_code == 200, reply.status_code
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.headers


def offset(daemon, path):
    return int(head(daemon, path)["Upload-Offset"])


def upload_id(path):
    return path.rsplit("/", 1)[1]
