"""Owns: uploads through nginx and haproxy, as docs/uploads.md configures them: all doors work, and addresses are right.
Must not know: what is promised without a proxy."""

import contextlib
import json
import os
import pathlib
import random
import re
import socket
import subprocess
import time
import urllib.parse

import pytest

from api import complete, content, initiate, send_chunk, status, wait_until
from daemon_process import free_port
import ietf
from media_files import PHOTOS
from test_resumable_clients import javascript as resumable_javascript
from test_tus_clients import javascript
from tus import TYPE, call, checksum, metadata, offset, upload_id

TOP = pathlib.Path(__file__).parents[2]
DATA = random.Random(9).randbytes(400 * 1024).hex().encode()


def documented(language):
    block = re.search(rf"```{language}\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S)
    assert block, "docs/uploads.md shows it no more"
    return block.group(1)


def node_version():
    return int(subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.lstrip("v").split(".")[0])


class Proxied:
    """What looks like the daemon to those who ask: its address has a prefix, and its files are the daemon's."""

    def __init__(self, daemon, port):
        self.behind, self.port, self.url = daemon, port, f"http://127.0.0.1:{port}/files"


@contextlib.contextmanager
def running(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(port) or process.poll() is not None)
        assert process.poll() is None, "the proxy did not start"
        yield
    finally:
        process.terminate()
        process.wait(20)


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def nginx(folder, daemon, port, buffering):
    location = documented("nginx").replace("127.0.0.1:8000", f"127.0.0.1:{daemon.port}")
    assert "proxy_request_buffering off" in location
    location = location.replace("proxy_request_buffering off", f"proxy_request_buffering {buffering}")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf = folder / "nginx.conf"
    conf.write_text(f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
                    f"http {{ access_log off; {temporary}\nserver {{ listen 127.0.0.1:{port};\n{location} }} }}\n")
    user = ["-g", "user root;"] if os.getuid() == 0 else []
    return running(["/usr/sbin/nginx", "-c", conf, "-p", folder, *user], port)


def haproxy(folder, daemon, port):
    conf = folder / "haproxy.cfg"
    shown = documented("haproxy").replace("127.0.0.1:8000", f"127.0.0.1:{daemon.port}").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    conf.write_text("defaults\n    mode http\n    timeout connect 5s\n    timeout client 1m\n    timeout server 1m\n    timeout tunnel 1h\n"
                    + shown)
    return running(["/usr/sbin/haproxy", "-f", conf, "-db"], port)


@pytest.fixture(params=["nginx", "nginx-buffering", "haproxy"])
def proxied(request, daemon, tmp_path):
    port = free_port()
    if request.param == "haproxy":
        proxy = haproxy(tmp_path, daemon, port)
    else:
        proxy = nginx(tmp_path, daemon, port, "on" if "buffering" in request.param else "off")
    with proxy:
        one = Proxied(daemon, port)
        one.buffers = "buffering" in request.param
        yield one


TRUSTING = pytest.mark.daemon_options("--chunk-size", "64KiB", "--trusted-proxies", "127.0.0.1")


def create(proxied, size, headers=None):
    """The path behind the proxy that a client finds with the address that it was told."""
    reply = call(proxied, "POST", "/v1/tus", {"Upload-Length": str(size), "Upload-Metadata": metadata(), **(headers or {})})
    assert reply.status_code == 201, reply.text
    told = reply.headers["Location"]
    assert told.startswith("/files/v1/tus/"), told
    url = urllib.parse.urljoin(proxied.url + "/v1/tus", told)
    assert url.startswith(proxied.url)
    return url[len(proxied.url):]


def patch(proxied, path, at, data, headers=None):
    return call(proxied, "PATCH", path, {"Content-Type": TYPE, "Upload-Offset": str(at), **(headers or {})}, data=data)


def check(proxied, path, data):
    state = status(proxied, upload_id(path))
    assert state["status"] == "completed", state
    assert content(proxied, state["file_id"]) == data


@TRUSTING
def test_tus_goes_through(proxied):
    path = create(proxied, len(DATA))
    assert patch(proxied, path, 0, DATA[:300000], {"Upload-Checksum": checksum(DATA[:300000])}).headers["Upload-Offset"] == "300000"
    assert patch(proxied, path, 7, b"x").status_code == 409
    assert patch(proxied, path, 300000, b"x" * 10, {"Upload-Checksum": checksum(b"other")}).status_code == 460
    assert offset(proxied, path) == 300000
    assert patch(proxied, path, 300000, iter([DATA[300000:]])).status_code == 204  # chunked
    check(proxied, path, DATA)


@TRUSTING
def test_pieces_go_through_with_the_prefix_in_their_addresses(proxied):
    paths = [create(proxied, 100000, {"Upload-Concat": "partial"}) for _ in range(2)]
    for path in paths:
        assert patch(proxied, path, 0, DATA[:100000]).status_code == 204
    reply = call(proxied, "POST", "/v1/tus", {"Upload-Concat": "final;" + " ".join(proxied.url + path for path in paths),
                                              "Upload-Metadata": metadata()})
    assert reply.status_code == 201, reply.text
    check(proxied, reply.headers["Location"], DATA[:100000] * 2)


@TRUSTING
def test_a_broken_connection_keeps_what_the_daemon_has_seen(proxied):
    path = create(proxied, len(DATA))
    with socket.create_connection(("127.0.0.1", proxied.port)) as connection:
        connection.sendall(f"PATCH /files{path} HTTP/1.1\r\nHost: 127.0.0.1:{proxied.port}\r\nTus-Resumable: 1.0.0\r\n"
                           f"Content-Type: {TYPE}\r\nUpload-Offset: 0\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()
                           + DATA[:200000])
        time.sleep(0.5)
    if not proxied.buffers:
        wait_until(lambda: offset(proxied, path) > 0)
    at = offset(proxied, path)
    assert at <= 200000 and (at > 0) != proxied.buffers
    assert patch(proxied, path, at, DATA[at:]).status_code == 204
    check(proxied, path, DATA)


@TRUSTING
def test_resumable_uploads_go_through(proxied):
    reply = ietf.create(proxied, DATA[:1000])
    assert reply.status_code == 201 and reply.headers["Location"].startswith("/files/v1/resumable/")
    path = reply.headers["Location"].removeprefix("/files")
    at = ietf.append(proxied, path, ietf.offset(proxied, path), DATA[1000:300000], {"Content-Digest": ietf.digest(DATA[1000:300000])})
    ietf.check_mismatch(ietf.patch(proxied, path, 7, b"x"), 300000, 7)
    done = ietf.finish(proxied, path, at, iter([DATA[at:]]))
    assert content(proxied, done["file_id"]) == DATA and ietf.complete_of(ietf.head(proxied, path)) is True


@TRUSTING
@pytest.mark.parametrize("title", ["## The tus door", "### In pieces, side by side", "## The IETF door", "## When a connection hangs"])
def test_the_examples_of_the_documents_work_behind_a_proxy(proxied, tmp_path, title):
    """haproxy, and HTTP/2 of any, write header names in lower case. A Location has the prefix already."""
    script = re.search(rf"{title}.*?```sh\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S).group(1)
    script = script.replace("localhost:8000/", f"{proxied.url}/").replace("localhost:8000", f"127.0.0.1:{proxied.port}")
    if title == "## The IETF door" and proxied.buffers:
        return  # it is cut before the daemon sees a byte
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0].read_bytes())
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    state = json.loads(done.stdout)
    assert state["status"] == "completed" and content(proxied, state["file_id"]) == PHOTOS[0].read_bytes()


@TRUSTING
def test_104_reaches_curl_where_the_proxy_speaks_http_1_1(proxied, tmp_path):
    """And has the address that the final answer has."""
    (tmp_path / "file").write_bytes(DATA)
    done = subprocess.run(["curl", "-sS", "-i", "-X", "POST", "-T", tmp_path / "file", proxied.url + ietf.TARGET, "-H", "Upload-Complete: ?1",
                           "-H", "Upload-Draft-Interop-Version: 9", "-H", "Content-Type: text/plain", "-H", "Expect:"],
                          capture_output=True, text=True, timeout=60, check=True)
    assert re.findall(r"^HTTP/1.1 (\d+)", done.stdout, re.M) == ["104", "200"]
    first, last = re.findall(r"^location: (\S+)$", done.stdout, re.M | re.I)
    assert first == last and first.startswith("/files/v1/resumable/")


@TRUSTING
@pytest.mark.parametrize("protocol", ["ietf-draft-05", "ietf-draft-03"])
def test_tus_js_client_goes_through_with_the_protocols_of_the_ietf(request, proxied, tmp_path, protocol):
    if "nginx" in request.node.callspec.id and node_version() < 20:
        pytest.skip("nginx adds Connection: close to a 104, and older releases of Node.js hang up there")
    file = tmp_path / "file.txt"
    file.write_bytes(DATA)
    done = resumable_javascript(proxied, file, {"chunkSize": 100000, "protocol": protocol})
    assert done["url"].startswith(proxied.url)
    check(proxied, done["url"], DATA)


@TRUSTING
@pytest.mark.parametrize("form", [False, True])
def test_the_rest_door_goes_through(proxied, form):
    data = DATA[:150000]
    one = initiate(proxied, len(data))
    for index in range(3):
        send_chunk(proxied, one["upload_id"], index, data[index * 65536:(index + 1) * 65536], form=form)
    done = complete(proxied, one["upload_id"])
    assert content(proxied, done["file_id"]) == data


@TRUSTING
@pytest.mark.parametrize("options", [{"chunkSize": 100000}, {"parallelUploads": 3}], ids=lambda options: "-".join(options))
def test_tus_js_client_goes_through(proxied, tmp_path, options):
    file = tmp_path / "file.txt"
    file.write_bytes(DATA)
    done = javascript(proxied, file, options)
    assert done["url"].startswith(proxied.url)
    check(proxied, done["url"], DATA)


@pytest.mark.daemon_options("--chunk-size", "64KiB")
def test_who_is_not_trusted_is_not_believed(daemon):
    headers = {"X-Forwarded-Prefix": "/evil", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
               "Forwarded": "proto=https;host=evil.example"}
    reply = call(daemon, "POST", "/v1/tus", {"Upload-Length": "1", "Upload-Metadata": metadata(), **headers})
    assert reply.headers["Location"].startswith("/v1/tus/")


@TRUSTING
def test_an_absolute_address_is_told_when_the_proxy_says_all_of_it(daemon):
    headers = {"X-Forwarded-Prefix": "/files", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "files.example.org"}
    reply = call(daemon, "POST", "/v1/tus", {"Upload-Length": "1", "Upload-Metadata": metadata(), **headers})
    assert reply.headers["Location"].startswith("https://files.example.org/files/v1/tus/")
