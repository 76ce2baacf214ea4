"""Owns: clients of others at the tus door: tus-js-client and tuspy, as their users use them.
Must not know: the protocol."""

import json
import pathlib
import random
import subprocess
import threading
import time
import urllib.parse

import pytest

from api import content, get, status, wait_until
from tus import call, upload_id

TOP = pathlib.Path(__file__).parents[2]
MODULES = TOP / "build" / "node"
DATA = random.Random(2).randbytes(150 * 1024).hex().encode()
CHUNKED = {"chunkSize": 70000}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file.txt"
    path.write_bytes(DATA)
    return path


def javascript(daemon, file, options, timeout=60):
    script = TOP / "tests" / "e2e" / "node" / "tus_upload.cjs"
    done = subprocess.run(["node", script, MODULES, daemon.url + "/v1/tus", file, json.dumps(options)], capture_output=True,
                          text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check(daemon, url, data, name):
    state = status(daemon, upload_id(url))
    assert state["status"] == "completed" and state["filename"] == name
    assert content(daemon, state["file_id"]) == data
    return get(daemon, f"/v1/files/{state['file_id']}")


@pytest.mark.parametrize("options", [{}, CHUNKED, {**CHUNKED, "uploadDataDuringCreation": True},
                                     {**CHUNKED, "overridePatchMethod": True},
                                     {**CHUNKED, "stream": True, "uploadLengthDeferred": True},
                                     {**CHUNKED, "addRequestId": True}, {"parallelUploads": 3},
                                     {**CHUNKED, "parallelUploads": 2}], ids=lambda options: "-".join(options) or "plain")
def test_tus_js_client_uploads(server, file, options):
    done = javascript(server, file, options)
    assert done["requests"][0] == "POST"
    check(server, done["url"], DATA, "ä name.txt")


def test_tus_js_client_resumes_what_is_there(server, file):
    url = javascript(server, file, CHUNKED)["url"]
    done = javascript(server, file, {**CHUNKED, "uploadUrl": url})
    assert done["requests"] == ["HEAD"]


def test_tus_js_client_terminates(server, file):
    url = javascript(server, file, {**CHUNKED, "terminate": True})["url"]
    assert call(server, "HEAD", urllib.parse.urlsplit(url).path).status_code == 410


@pytest.mark.daemon_options("--chunk-size", "64KiB", "--max-file-size", "300MiB")
def test_tus_js_client_goes_on_after_the_server_was_killed(daemon, tmp_path):
    """In the middle of its one PATCH, three times."""
    data = random.Random(3).randbytes(100 << 20).hex().encode()
    file = tmp_path / "file.txt"
    file.write_bytes(data)
    result = {}
    client = threading.Thread(target=lambda: result.update(javascript(daemon, file, {}, 120)))
    client.start()
    staging = daemon.data / "objects" / "staging"
    for _ in range(3):
        wait_until(lambda: not client.is_alive() or any(path.stat().st_blocks for path in staging.glob("*.data")))
        time.sleep(0.15)
        daemon.kill()
        daemon.start()
    client.join()
    assert result["requests"].count("PATCH") > 1 and "HEAD" in result["requests"], result
    check(daemon, result["url"], data, "ä name.txt")


@pytest.mark.daemon_options("--chunk-size", "64KiB", "--max-file-size", "300MiB")
def test_tus_js_client_puts_parallel_uploads_together_though_the_server_is_killed(daemon, tmp_path):
    data = random.Random(4).randbytes(60 << 20).hex().encode()
    file = tmp_path / "file.txt"
    file.write_bytes(data)
    result = {}
    client = threading.Thread(target=lambda: result.update(javascript(daemon, file, {"parallelUploads": 3}, 120)))
    client.start()
    staging = daemon.data / "objects" / "staging"
    for _ in range(2):
        wait_until(lambda: not client.is_alive() or any(path.stat().st_blocks for path in staging.glob("*.data")))
        time.sleep(0.1)
        daemon.kill()
        daemon.start()
    client.join()
    assert result["requests"].count("POST") >= 4, result
    check(daemon, result["url"], data, "ä name.txt")


@pytest.mark.parametrize("checked", [False, True])
def test_tuspy_uploads(server, file, checked):
    from tusclient.client import TusClient

    uploader = TusClient(server.url + "/v1/tus").uploader(
        str(file), chunk_size=70000, metadata={"filename": "file.txt", "filetype": "text/plain"}, upload_checksum=checked)
    uploader.upload_chunk()
    again = TusClient(server.url + "/v1/tus").uploader(str(file), chunk_size=70000, url=uploader.url, upload_checksum=checked)
    assert again.offset == 70000
    again.upload()
    check(server, uploader.url, DATA, "file.txt")
