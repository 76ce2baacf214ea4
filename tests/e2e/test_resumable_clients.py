"""Owns: clients of others at the door for Resumable Uploads for HTTP: tus-js-client with both of its IETF protocols, and curl.
Must not know: how the protocol looks, but for what curl shows."""

import json
import pathlib
import random
import re
import subprocess
import threading
import time
import urllib.parse

import pytest

from api import ask, content, status, wait_until
from ietf import TARGET, upload_id

TOP = pathlib.Path(__file__).parents[2]
MODULES = TOP / "build" / "node"
DATA = random.Random(2).randbytes(150 * 1024).hex().encode()
CHUNKED = {"chunkSize": 70000}
protocols = pytest.mark.parametrize("protocol", ["ietf-draft-05", "ietf-draft-03"])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(DATA)
    return path


def javascript(daemon, file, options, timeout=60):
    script = TOP / "tests" / "e2e" / "node" / "tus_upload.cjs"
    done = subprocess.run(["node", script, MODULES, daemon.url + TARGET, file, json.dumps(options)], capture_output=True,
                          text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(daemon, url, data, name="ä name.txt"):
    state = status(daemon, upload_id(url))
    assert state["status"] == "completed" and state["filename"] == name
    assert content(daemon, state["file_id"]) == data


@protocols
@pytest.mark.parametrize("options", [{}, CHUNKED, {"uploadDataDuringCreation": True}, {**CHUNKED, "uploadDataDuringCreation": True},
                                     {**CHUNKED, "stream": True, "uploadLengthDeferred": True}],
                         ids=lambda options: "-".join(options) or "plain")
def test_tus_js_client_uploads(server, file, protocol, options):
    done = javascript(server, file, {**options, "protocol": protocol})
    assert done["requests"][0] == "POST"
    check(server, done["url"], DATA)


@protocols
def test_tus_js_client_uploads_an_empty_file(server, tmp_path, protocol):
    file = tmp_path / "empty"
    file.write_bytes(b"")
    done = javascript(server, file, {"protocol": protocol})
    check(server, done["url"], b"")


@protocols
def test_tus_js_client_sees_that_it_is_complete(server, file, protocol):
    url = javascript(server, file, {**CHUNKED, "protocol": protocol})["url"]
    assert javascript(server, file, {**CHUNKED, "protocol": protocol, "uploadUrl": url})["requests"] == ["HEAD"]


@protocols
def test_tus_js_client_completes_what_has_all_its_bytes(server, file, protocol):
    """As when the server was killed between the last byte and the end."""
    reply = ask(server, "POST", TARGET, data=DATA, headers={"Upload-Complete": "?0", "Content-Type": "text/plain",
                                                            "Upload-Length": str(len(DATA))})
    url = server.url + reply.headers["Location"]
    assert javascript(server, file, {"protocol": protocol, "uploadUrl": url})["requests"] == ["HEAD"]
    check(server, url, DATA, "unnamed")


@protocols
def test_tus_js_client_terminates(server, file, protocol):
    url = javascript(server, file, {**CHUNKED, "protocol": protocol, "terminate": True})["url"]
    assert ask(server, "HEAD", urllib.parse.urlsplit(url).path).status_code == 410


@protocols
@pytest.mark.daemon_options("--chunk-size", "64KiB", "--max-file-size", "300MiB")
def test_tus_js_client_goes_on_after_the_server_was_killed(daemon, tmp_path, protocol):
    """In the middle of its one PATCH, three times."""
    data = random.Random(3).randbytes(100 << 20).hex().encode()
    file = tmp_path / "file.txt"
    file.write_bytes(data)
    result = {}
    client = threading.Thread(target=lambda: result.update(javascript(daemon, file, {"protocol": protocol}, 120)))
    client.start()
    staging = daemon.data / "objects" / "staging"
    for _ in range(3):
        wait_until(lambda: not client.is_alive() or any(path.stat().st_blocks for path in staging.glob("*.data")))
        time.sleep(0.15)
        daemon.kill()
        daemon.start()
    client.join()
    assert result["requests"].count("PATCH") > 1 and "HEAD" in result["requests"], result
    check(daemon, result["url"], data)


def test_curl_shows_104_and_the_answer(server, file):
    done = subprocess.run(["curl", "-sS", "-i", "-X", "POST", "-T", file, server.url + TARGET, "-H", "Upload-Complete: ?1",
                           "-H", "Upload-Draft-Interop-Version: 8", "-H", "Content-Type: text/plain"],
                          capture_output=True, text=True, timeout=60, check=True)
    first, rest = done.stdout.split("\n\n", 1)
    assert first.startswith("HTTP/1.1 104 Upload Resumption Supported\n")
    location = re.search(r"^Location: (\S+)$", first, re.M).group(1)
    assert "HTTP/1.1 200 OK" in rest and f"Location: {location}\n" in rest
    check(server, location, DATA, "unnamed")
