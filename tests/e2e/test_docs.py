"""Owns: that the documents say what the program does: every code and route of the source stands in docs/api.md, and what the
README shows works."""

import json
import os
import pathlib
import re
import subprocess

from api import all_items, upload, wait_for_job
from media_files import PHOTOS

TOP = pathlib.Path(__file__).parents[2]
API = (TOP / "docs" / "api.md").read_text()
SOURCES = [path.read_text() for path in (TOP / "daemons").rglob("*.c")]


def test_every_code_is_documented_under_its_status():
    codes = {pair for text in SOURCES for pair in re.findall(r'([45]\d\d),\s*"([a-z]+(?:_[a-z]+)*)"', text)}
    assert len(codes) > 15
    for status, code in codes:
        line = next((line for line in API.splitlines() if line.startswith(f"| {status} |")), "")
        assert f"`{code}`" in line, (status, code)


def test_every_reason_with_a_status_of_its_own_is_documented():
    names = dict(re.findall(r'X\((\w+), \d+, "(\w+)"\)', (TOP / "include" / "fileproc" / "error.h").read_text()))
    table = re.findall(r"FILEPROC_REASON_(\w+), (\d\d\d) }", (TOP / "daemons" / "common" / "problem.c").read_text())
    assert len(table) > 20
    for reason, status in table:
        line = next((line for line in API.splitlines() if line.startswith(f"| {status} |")), "")
        assert f"`{names[reason]}`" in line or status == "500" or reason in ("LEASE_LOST", "MEDIA_UNSUPPORTED"), (reason, status)


def test_every_route_is_documented():
    routes = {pair for text in SOURCES for pair in re.findall(r'{ FPD_METHOD_([A-Z]+), "([^"]+)"', text)}
    assert len(routes) > 15
    for method, pattern in routes:
        assert re.search(rf"{method} {re.escape(pattern)}[`?]", API) or f"`{pattern}`" in API, (method, pattern)


def test_the_readme_s_requests_work(daemon, tmp_path):
    """The shell block under "The same by hand", with the server of the test instead of port 8000."""
    block = re.search(r"The same by hand:\n\n```sh\n(.*?)```", (TOP / "README.md").read_text(), re.S)
    assert block, "the README shows it no more"
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{daemon.port}")
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0].read_bytes())
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout[done.stdout.index('{\n'):])
    assert facts["image"]["width"] > 1000, facts
    [newest] = [f for f in all_items(daemon, "/v1/files") if f["filename"] == "photo.jpg" and not f["parent_id"]][:1]
    assert newest["size"] == PHOTOS[0].stat().st_size


def test_the_rest_example_of_uploads_works(daemon, tmp_path):
    """The shell block of docs/uploads.md, with the server of the test instead of port 8000."""
    block = re.search(r"## The REST door\n\n```sh\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S)
    assert block, "docs/uploads.md shows it no more"
    (tmp_path / "photo.jpg").write_bytes(PHOTOS[0].read_bytes())
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{daemon.port}")
    done = subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    chunk, chunks, completed = map(json.loads, done.stdout.splitlines())
    assert chunk["percentage"] == 100 and chunks["durable"] == [[0, 0]] and completed["status"] == "completed", done.stdout


def test_the_stream_that_the_documents_show_works(server):
    text = (TOP / "docs" / "uploads.md").read_text()
    command = re.search(r"### Server-sent events\n\n```sh\n(.*?)\n```", text, re.S).group(1)
    shown = re.findall(r"^event: (\w+)\ndata: ({.*})$", text, re.M)
    assert [name for name, _ in shown] == ["upload", "upload", "job"]
    upload_id = upload(server, PHOTOS[0].read_bytes(), "photo.jpg", "image/jpeg")["upload_id"]
    script = command.replace("localhost:8000", f"127.0.0.1:{server.port}").replace("curl ", "curl --max-time 2 ")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False,
                          env={**os.environ, "id": upload_id})
    seen = re.findall(r"^id: [0-9a-f]{16}-\d+\nevent: (\w+)\ndata: ({.*})$", done.stdout, re.M)
    assert [set(json.loads(data)) for _, data in seen[:2]] == [set(json.loads(data)) for _, data in shown[1:]]
    assert [name for name, _ in seen[:2]] == ["upload", "job"]


def test_the_request_with_a_key_makes_one_upload(daemon):
    block = re.search(r"### Idempotency-Key\n.*?```sh\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S)
    assert block, "docs/uploads.md shows it no more"
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{daemon.port}")
    done = subprocess.run(["bash", "-e", "-c", script + script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    first, again = done.stdout.splitlines()
    assert first == again and json.loads(first)["total_chunks"] == 0, done.stdout


def test_the_pipeline_that_the_documents_show_works(server):
    path = TOP / "docs" / "pipelines.md"
    block = re.search(r"```sh\n(curl.*?)```", path.read_text(), re.S)
    assert block, "docs/pipelines.md shows it no more"
    file_id = upload(server, PHOTOS[0].read_bytes(), "photo.jpg", "image/jpeg")["file_id"]
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{server.port}")
    done = subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "file": file_id})
    job_id = re.search(r'"id": ?"([0-9a-f-]+)"', done.stdout).group(1)
    assert wait_for_job(server, job_id)["state"] == "succeeded"
