"""Owns: the limits of uploads over HTTP: of an owner, of the disk, of time; what the reaper says of itself.
Must not know: how uploads work otherwise."""

import email.utils
import json
import pathlib
import re
import subprocess
import time

import pytest

import tus
from api import ask, check_problem, initiate, send_chunk, try_initiate, wait_until
from daemon_process import PROGRAM, environment
from test_tus_concat import check_file, final, partial

TOP = pathlib.Path(__file__).parents[2]


def shown_in_docs(heading):
    block = re.search(rf"{heading}\n.*?```sh\n(.*?)```", (TOP / "docs" / "uploads.md").read_text(), re.S)
    assert block, "docs/uploads.md shows it no more"
    return block.group(1)


def options_shown(heading):
    """Of the daemon that the example is for: what stands behind "# fileprocd" in its first line."""
    return pytest.mark.daemon_options(*shown_in_docs(heading).splitlines()[0].removeprefix("# fileprocd ").split())


def run_shown(daemon, heading, folder):
    script = shown_in_docs(heading).replace("localhost:8000", f"127.0.0.1:{daemon.port}")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- of an owner


@options_shown("### Of an owner")
def test_the_example_of_an_owner_s_limit_works(daemon, tmp_path):
    problem = json.loads(run_shown(daemon, "### Of an owner", tmp_path))
    assert (problem["status"], problem["code"]) == (413, "quota_exceeded")


@pytest.mark.daemon_options("--owner-max-size", "1000")
def test_a_tus_upload_of_unknown_length_stays_within_the_limit(daemon):
    of_ann = {"Upload-Metadata": tus.metadata(user_id="ann")}
    session = initiate(daemon, 200, user_id="ann")
    path = tus.create(daemon, headers=of_ann)
    check_problem(tus.patch(daemon, path, 0, b"x" * 801), 413, "quota_exceeded")
    assert tus.append(daemon, path, 0, b"x" * 500) == 500
    check_problem(tus.patch(daemon, path, 500, iter([b"x" * 200, b"x" * 200])), 413, "quota_exceeded")
    at = tus.offset(daemon, path)
    assert at <= 800
    check_problem(tus.patch(daemon, path, at, b"", {"Upload-Length": "801"}), 413, "quota_exceeded")
    check_problem(try_initiate(daemon, size=501, user_id="ann"), 413, "quota_exceeded")
    assert ask(daemon, "DELETE", f"/v1/uploads/{session['upload_id']}").status_code == 200
    assert tus.append(daemon, path, at, b"y" * (1000 - at), {"Upload-Length": "1000"}) == 1000
    check_problem(try_initiate(daemon, size=1, user_id="ann"), 413, "quota_exceeded")


@pytest.mark.daemon_options("--owner-max-size", "1000")
def test_pieces_of_an_upload_whose_size_is_not_known_yet_count_themselves(daemon):
    of_ann = {"Upload-Metadata": tus.metadata(user_id="ann")}
    whole, growing = partial(daemon, b"x" * 900, headers=of_ann), partial(daemon, headers=of_ann)
    path = final(daemon, [whole, growing], of_ann)
    check_problem(try_initiate(daemon, size=101, user_id="ann"), 413, "quota_exceeded")
    check_problem(tus.patch(daemon, growing, 0, b"y" * 101), 413, "quota_exceeded")
    assert tus.append(daemon, growing, 0, b"y" * 100, {"Upload-Length": "100"}) == 100
    check_file(daemon, path, b"x" * 900 + b"y" * 100)


# ---- of the disk


@pytest.mark.daemon_options("--min-free", "1PiB")
def test_no_door_begins_an_upload_that_would_fill_the_disk(daemon):
    deferred = {"Upload-Defer-Length": "1", "Upload-Metadata": tus.metadata()}
    for headers in ({"Upload-Length": "1", "Upload-Metadata": tus.metadata()}, deferred):
        reply = tus.call(daemon, "POST", "/v1/tus", headers)
        check_problem(reply, 507, "storage_full")
        assert int(reply.headers["Retry-After"]) > 0


# ---- of time


@options_shown("### Of time")
def test_the_example_of_the_idle_timeout_works(daemon, tmp_path):
    before, after = run_shown(daemon, "### Of time", tmp_path).split()
    assert before < after


def when_expires(daemon, path):
    return email.utils.parsedate_to_datetime(tus.head(daemon, path)["Upload-Expires"])


@pytest.mark.daemon_options("--idle-timeout", "4s", "--session-timeout", "1h", "--reap-interval", "100ms")
def test_an_upload_at_work_lives_on_and_an_idle_one_is_gone_at_every_door(daemon):
    busy, idle = tus.create(daemon, 1000), tus.create(daemon, 1000)
    chunked = initiate(daemon, 10)["upload_id"]
    first = when_expires(daemon, busy)
    end, at = time.monotonic() + 8, 0
    while time.monotonic() < end:
        reply = tus.patch(daemon, busy, at, b"x" * 10)
        at += 10
        assert reply.status_code == 204 and email.utils.parsedate_to_datetime(reply.headers["Upload-Expires"]) >= first
        time.sleep(0.5)
    assert (when_expires(daemon, busy) - first).total_seconds() >= 6
    for path in (idle, f"/v1/tus/{chunked}"):
        assert tus.call(daemon, "HEAD", path).status_code == 410
        check_problem(tus.patch(daemon, path, 0, b"x"), 410, "upload_expired")
        check_problem(ask(daemon, "GET", f"/v1/uploads/{tus.upload_id(path)}/status"), 410, "upload_expired")
    daemon.kill()
    daemon.start()
    assert tus.call(daemon, "HEAD", idle).status_code == 410
    at = tus.offset(daemon, busy)
    assert tus.append(daemon, busy, at, b"x" * (1000 - at)) == 1000


# ---- the reaper


def run_dry(folder, *options):
    return subprocess.run([PROGRAM, "--data", folder, "--reap-dry-run", *options], capture_output=True, text=True, timeout=60,
                          check=False, env=environment())


def metrics(daemon):
    lines = ask(daemon, "GET", "/metrics").text.splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def dry_run(daemon, *options):
    """What `fileprocd --reap-dry-run` says beside the daemon: the items, and its last line."""
    done = run_dry(daemon.data, *options)
    assert done.returncode == 0, done.stderr
    first, *items, last = done.stdout.splitlines()
    assert first.startswith("# ")
    return [item.split() for item in items], last


@pytest.mark.daemon_options("--session-timeout", "2s", "--reap-interval", "5s", "--chunk-size", "64KiB")
def test_the_dry_run_says_what_the_reaper_then_does(daemon):
    upload_id = initiate(daemon, 200_000)["upload_id"]
    send_chunk(daemon, upload_id, 1, b"x" * 65536)
    initiate(daemon, 5)
    counted = metrics(daemon)
    assert dry_run(daemon)[1] == ("# 0 uploads would expire, 0 staged objects be removed (0 bytes), 0 tombstones be forgotten; "
                                  "2 unfinished uploads stay")
    time.sleep(2.1)
    for _ in range(2):
        items, last = dry_run(daemon)
        assert [(kind, bytes_) for kind, id_, _, bytes_ in items if id_ == upload_id] == [("expired", "0"), ("staged", items[-1][3])]
        assert len(items) == 3 and int(items[-1][3]) >= 65536
        assert last.startswith("# 2 uploads would expire, 2 staged objects be removed") and "0 unfinished uploads stay" in last
    wait_until(lambda: metrics(daemon)['fileproc_reaped_total{kind="expired"}'] == 2)
    wait_until(lambda: metrics(daemon)["fileproc_reaped_bytes_total"] > 0)
    now = metrics(daemon)
    assert now["fileproc_reaped_bytes_total"] == int(items[-1][3])
    assert now["fileproc_reaper_runs_total"] > counted["fileproc_reaper_runs_total"]
    assert now["fileproc_reaper_failures_total"] == 0
    assert now["fileproc_reaper_duration_seconds_count"] == now["fileproc_reaper_runs_total"]
    assert dry_run(daemon)[0] == []


def test_the_dry_run_of_what_is_not_there_makes_nothing(tmp_path):
    for folder in (tmp_path / "absent", tmp_path):
        done = run_dry(folder)
        assert done.returncode == 1 and "no data is there" in done.stderr
    assert list(tmp_path.iterdir()) == []
