"""Owns: the promise to the starter kit's users: its shell script and its pytest cases run unchanged (starter_kit/ holds their
text, untouched). On a machine that lets nobody make a network namespace the script's port is replaced."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from api import get, upload, wait_for_job
from daemon_process import Daemon

KIT = pathlib.Path(__file__).parent / "starter_kit"
SCRIPT = KIT / "manual_test.sh"
# In a namespace of its own port 8000 is always free; loopback has to be switched on there (SIOCSIFFLAGS, IFF_UP | IFF_RUNNING).
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", 0x41) + bytes(14))
os.execv(sys.argv[1], sys.argv[1:])
"""
UNSHARE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]


@contextlib.contextmanager
def paths_to_ourselves():
    """The script writes to these, wherever it runs: one at a time."""
    with open(SCRIPT, "rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            yield
        finally:
            for path in (pathlib.Path("/tmp/test.png"), pathlib.Path("/tmp/chunk_aa")):
                path.unlink(missing_ok=True)


def can_unshare():
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


class Isolated(Daemon):
    """A fileprocd on port 8000 of a network of its own."""

    def __init__(self, folder, *options):
        super().__init__(folder, *options, before=[*UNSHARE, sys.executable, "-c", LOOPBACK_UP], port=8000)

    def inside(self, *command, **options):
        joined = ["nsenter", "--net", "--target", str(self.process.pid)]
        if os.geteuid() != 0:
            joined[1:1] = ["--user", "--preserve-credentials"]
        return subprocess.run([*joined, *command], capture_output=True, text=True, timeout=60, check=False, **options)

    def is_ready(self):
        return self.inside("curl", "-fsS", self.url + "/readyz").returncode == 0

    def get(self, path):
        return json.loads(self.inside("curl", "-fsS", self.url + path).stdout)


@pytest.fixture
def script_run(tmp_path, request):
    """(output of the script, a function that GETs): run against port 8000 when the machine allows it."""
    if can_unshare():
        kit_daemon = Isolated(tmp_path / "fileprocd")
        script, run, fetch = SCRIPT, kit_daemon.inside, kit_daemon.get
    else:
        kit_daemon = request.getfixturevalue("daemon")
        script = tmp_path / "script.sh"
        script.write_text(SCRIPT.read_text().replace("localhost:8000", f"127.0.0.1:{kit_daemon.port}"))
        run = lambda *command: subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        fetch = lambda path: get(kit_daemon, path)
    if not kit_daemon.running():
        kit_daemon.start()
    try:
        with paths_to_ourselves():
            done = run("bash", str(script))
        yield done, fetch
    finally:
        wrong = kit_daemon.end()
    assert wrong is None, wrong


def answers(text):
    """The JSON objects in the script's output, which has no line ends between them."""
    decoder, found, at = json.JSONDecoder(), [], text.find("{")
    while at >= 0:
        value, end = decoder.raw_decode(text, at)
        found.append(value)
        at = text.find("{", end)
    return found


def test_the_shell_script_runs_unchanged_against_port_8000(script_run):
    done, fetch = script_run
    assert done.returncode == 0, done.stderr
    initiated, chunk, completed, status = answers(done.stdout)
    assert set(initiated) >= {"upload_id", "chunk_size", "total_chunks", "expires_at", "upload_url"}
    assert initiated["chunk_size"] == 5 * 1024 * 1024 and initiated["total_chunks"] == 1
    assert chunk == {"upload_id": initiated["upload_id"], "chunk_index": 0, "chunks_uploaded": 1, "total_chunks": 1,
                     "percentage": 100.0}
    assert set(completed) >= {"file_id", "upload_id", "filename", "size", "mime_type", "storage_url", "status",
                              "processing_job_id"}
    assert (completed["filename"], completed["size"], completed["status"]) == ("test.png", 1048576, "completed")
    assert re.fullmatch(r"s3://uploads/files/[0-9a-f-]{36}|file://uploads/files/[0-9a-f-]{36}", completed["storage_url"])
    assert set(status) >= {"id", "filename", "size", "mime_type", "user_id", "status", "chunks_uploaded", "total_chunks",
                           "created_at", "updated_at", "expires_at"}
    assert status["user_id"] == "test-user" and status["status"] == "completed"

    # What the script calls a picture is random bytes: kept, and said to be no picture.
    for _ in range(300):
        job = fetch(f"/v1/jobs/{completed['processing_job_id']}")
        if job["finished_at"]:
            break
    assert job["state"] == "failed" and job["error"]["permanent"] is True, job
    assert job["error"]["code"] in ("media_type_mismatch", "media_invalid", "media_unsupported"), job
    assert fetch(f"/v1/files/{completed['file_id']}")["size"] == 1048576


def write_pytest_cases(tmp_path, url):
    """The file is the starter kit's own; only what it imports is ours: a TestClient that asks the running server."""
    (tmp_path / "fastapi").mkdir()
    (tmp_path / "fastapi" / "__init__.py").touch()
    (tmp_path / "fastapi" / "testclient.py").write_text(
        "import requests\n\n\nclass TestClient(requests.Session):\n    __test__ = False\n\n"
        "    def __init__(self, url):\n        super().__init__()\n        self.url = url\n\n"
        "    def request(self, method, path, **options):\n"
        "        return super().request(method, self.url + path, timeout=30, **options)\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    (tmp_path / "app" / "main.py").write_text(f"app = {url!r}\n")
    shutil.copy(KIT / "test_main.txt", tmp_path / "test_main.py")


def test_the_pytest_cases_pass_when_pointed_at_the_server(server, tmp_path):
    write_pytest_cases(tmp_path, server.url)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_main.py"], cwd=tmp_path,
                          env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr


def test_what_the_kit_calls_a_picture_fails_once_and_says_what_it_is(server):
    done = upload(server, os.urandom(200000), "test.png", "image/png")
    job = wait_for_job(server, done["processing_job_id"])
    assert job["state"] == "failed" and job["attempt"] == 1 and "image/png" in job["error"]["detail"], job
