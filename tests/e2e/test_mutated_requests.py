"""Owns: a net for what nobody thought of: good requests with random damage, thousands of them; the daemon answers or hangs up,
never with 500, and is well afterwards."""

import os
import random
import re
import socket

import ietf
import tus
from api import get, initiate, upload
from raw_http import request

ROUNDS = 40000 if os.environ.get("FILEPROC_SLOW") == "yes" else 3000
PIECES = [b"\r\n", b"\n", b"\0", b":", b" ", b"%", b"%00", b"%2e%2e/", b"/../", b"?", b"&", b"=", b"\xff", b"Content-Length: 5\r\n",
          b"Transfer-Encoding: chunked\r\n", b"Expect: 100-continue\r\n", b"Range: bytes=0-\r\n", b"--x", b"--x--\r\n", b"{", b"[",
          b'"', b"\\u0000", b"-1", b"99999999999999999999", b"HTTP/1.0", b"Connection: close\r\n", b"X" * 5000, b"\r\n\r\n"]


def seeds(server):
    upload_id = initiate(server, 100)["upload_id"]
    file_id = upload(server, b"some text")["file_id"]
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"y" * 100 + b"\r\n--x--\r\n"
    body = b'{"filename":"a.txt","size":5,"mime_type":"text/plain","metadata":{"a":[1,2,{"b":null}]}}'
    pipeline = b'{"pipeline":{"steps":[{"name":"x","operation":"text.stats","params":{}}]}}'
    chunk = f"/v1/uploads/{upload_id}/chunk?chunk_index=0"
    over_tus, deferred, speaks = tus.create(server, 100000), tus.create(server), "Tus-Resumable: 1.0.0"
    resumable = ietf.created(server)
    json_type = "Content-Type: application/json"
    return [
        request("POST", "/v1/uploads/initiate", json_type, f"Content-Length: {len(body)}", body=body),
        request("PUT", chunk, "Content-Type: multipart/form-data; boundary=x", f"Content-Length: {len(form)}", body=form),
        request("PUT", chunk, "Content-Type: application/octet-stream", "Content-Length: 100",
                "Content-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", body=b"y" * 100),
        request("PUT", chunk, "Content-Type: application/octet-stream", "Transfer-Encoding: chunked",
                body=b"64\r\n" + b"y" * 100 + b"\r\n0\r\n\r\n"),
        request("GET", f"/v1/uploads/{upload_id}/status"),
        request("GET", f"/v1/files/{file_id}/content", "Range: bytes=1-3", 'If-Range: "x"', 'If-None-Match: W/"a", "b"'),
        request("GET", "/v1/files?limit=2&owner=a%20b&cursor=abc"),
        request("GET", f"/v1/jobs?file_id={file_id}&state=queued"),
        request("POST", f"/v1/files/{file_id}/jobs", json_type, f"Content-Length: {len(pipeline)}", body=pipeline),
        request("GET", f"/v1/uploads/{upload_id}/progress", "Connection: Upgrade", "Upgrade: websocket",
                "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==",
                body=b"\x81\x84\0\0\0\0ping" + b"\x01\x82\0\0\0\0ab\x80\x81\0\0\0\0c"),
        request("POST", "/v1/tus", speaks, "Upload-Length: 11", f"Upload-Metadata: {tus.metadata()},k,l bQ==", f"Content-Type: {tus.TYPE}",
                "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", "Content-Length: 11", body=b"hello world"),
        request("POST", "/v1/tus", speaks, "Upload-Defer-Length: 1", f"Upload-Metadata: {tus.metadata()}"),
        request("PATCH", over_tus, speaks, "Upload-Offset: 0", f"Content-Type: {tus.TYPE}", "Content-Length: 10", body=b"z" * 10),
        request("PATCH", deferred, speaks, "Upload-Offset: 0", "Upload-Length: 100", f"Content-Type: {tus.TYPE}",
                "Transfer-Encoding: chunked", body=b"a\r\n" + b"z" * 10 + b"\r\n0\r\n\r\n"),
        request("HEAD", over_tus, speaks),
        request("POST", over_tus, speaks, "X-HTTP-Method-Override: HEAD"),
        ietf.post_head(11, f"Content-Digest: {ietf.digest(b'hello world')}", f"Repr-Digest: {ietf.digest(b'hello world')}",
                       "Want-Repr-Digest: sha-256=1", "Upload-Length: 11", f"Upload-Metadata: {tus.metadata()}",
                       "Content-Disposition: inline; filename=\"a\"; filename*=UTF-8''%e2%82%ac") + b"hello world",
        ietf.patch_head(resumable, 0, 10, "Upload-Length: 100", "Upload-Draft-Interop-Version: 6", complete=False) + b"z" * 10,
        request("PATCH", resumable, "Upload-Offset: 0", "Upload-Incomplete: ?1", "Upload-Draft-Interop-Version: 3",
                "Transfer-Encoding: chunked", body=b"a\r\n" + b"z" * 10 + b"\r\n0\r\n\r\n"),
        request("HEAD", resumable, "Upload-Draft-Interop-Version: 5"),
        request("OPTIONS", "/v1/files", "Origin: https://app.example.com", "Access-Control-Request-Method: GET"),
        request("GET", "/metrics"),
    ]


def damaged(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            data[at:at] = rng.choice(PIECES)
        elif kind == 1:
            del data[at:at + rng.choice((1, 2, 10, 100))]
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            data[at:at] = data[max(0, at - rng.randrange(60)):at]
        else:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(data)


def answers(server, data):
    """All that comes back when one sends this, says that there is nothing more, and listens."""
    got = b""
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while piece := s.recv(65536):
                got += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
    return got


def test_damaged_requests_get_an_answer_or_an_end_and_never_500(server):
    rng = random.Random(20)
    good = seeds(server)
    for round_ in range(ROUNDS):
        data = damaged(rng, rng.choice(good))
        got = answers(server, data)
        for status in re.findall(rb"^HTTP/1\.1 (\d\d\d) ", got, re.M):
            assert status not in (b"500", b"501", b"502"), (round_, data, got)
    assert server.running() and get(server, "/health")["status"] == "healthy"
