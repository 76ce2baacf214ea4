"""Owns: the limits of uploads where two daemons share a database, an S3 store and a Redis.
Must not know: how one daemon keeps them (test_limits.py)."""

import hashlib
import os
import pathlib
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))

import cluster  # noqa: E402
import s3_bucket  # noqa: E402
import tus  # noqa: E402
from api import ask, check_problem, get, initiate, send_chunk, try_initiate, wait_until  # noqa: E402
from daemon_process import PREFIX, Daemon, environment  # noqa: E402

POSTGRESQL = os.environ.get("FILEPROC_TEST_POSTGRESQL_URI")
REDIS = os.environ.get("FILEPROC_TEST_REDIS_URI")
S3 = os.environ.get("FILEPROC_TEST_S3_ENDPOINT")
pytestmark = pytest.mark.skipif(not (POSTGRESQL and REDIS and S3), reason="needs PostgreSQL, S3 and Redis")


def sql(text):
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-c", text, POSTGRESQL], check=True, capture_output=True, timeout=60)


@pytest.fixture
def pair(request, tmp_path):
    """Two of fileproc-upload with the options of the test."""
    schema, bucket = "limits_" + uuid.uuid4().hex[:12], s3_bucket.make("limits")
    sql(f"CREATE SCHEMA {schema}")
    env = {"DATABASE_URL": f"{POSTGRESQL}?options=-csearch_path%3D{schema}", "REDIS_URL": cluster.redis(), "MINIO_ENDPOINT": S3,
           "MINIO_BUCKET": bucket, "MINIO_ACCESS_KEY": os.environ["FILEPROC_TEST_S3_ACCESS_KEY"],
           "MINIO_SECRET_KEY": os.environ["FILEPROC_TEST_S3_SECRET_KEY"]}
    options = request.node.get_closest_marker("daemon_options").args
    both = [Daemon(tmp_path / name, *options, env=env, program="fileproc-upload").start() for name in ("a", "b")]
    yield both
    wrong = [f"{why}\n{one.log_text()[-4000:]}" for one in both if (why := one.end())]
    sql(f"DROP SCHEMA {schema} CASCADE")
    assert not wrong, wrong
    for one in both:
        assert '"status":500' not in one.log_text(), one.log_text()[-4000:]


@pytest.mark.daemon_options("--owner-max-size", "10000", "--owner-max-uploads", "5")
def test_the_limits_of_an_owner_hold_for_both_together(pair):
    def begin(n):
        return try_initiate(pair[n % 2], size=3000, user_id="ann").status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(begin, range(16)))
    assert codes.count(201) == 3 and codes.count(413) == 13
    path = tus.create(pair[0], headers={"Upload-Metadata": tus.metadata(user_id="ann")})
    assert tus.append(pair[0], path, 0, b"x" * 600) == 600
    check_problem(tus.patch(pair[1], path, 600, b"x" * 401), 413, "quota_exceeded")
    check_problem(try_initiate(pair[1], size=401, user_id="ann"), 413, "quota_exceeded")
    assert tus.append(pair[1], path, 600, b"x" * 400, {"Upload-Length": "1000"}) == 1000
    for _ in range(2):
        assert try_initiate(pair[0], size=0, user_id="ann").status_code == 201
    check_problem(try_initiate(pair[1], size=0, user_id="ann"), 429, "too_many_uploads")


@pytest.mark.daemon_options("--idle-timeout", "4s", "--session-timeout", "1h", "--reap-interval", "200ms")
def test_bytes_at_one_keep_an_upload_for_both(pair):
    busy, idle = tus.create(pair[0], 1000), tus.create(pair[1], 1000)
    at, end = 0, time.monotonic() + 8
    while time.monotonic() < end:
        at = tus.append(pair[0], busy, at, b"x" * 10)
        assert tus.offset(pair[1], busy) == at
        time.sleep(0.3)
    for one in pair:
        assert tus.call(one, "HEAD", idle).status_code == 410
        check_problem(tus.patch(one, idle, 0, b"x"), 410, "upload_expired")
        check_problem(ask(one, "GET", f"/v1/uploads/{tus.upload_id(idle)}/status"), 410, "upload_expired")
    assert tus.append(pair[1], busy, at, b"x" * (1000 - at)) == 1000


@pytest.mark.daemon_options("--session-timeout", "2s", "--reap-interval", "6s")
def test_the_dry_run_sees_what_is_on_the_servers(pair):
    upload_id = initiate(pair[0], 10_000_000)["upload_id"]
    send_chunk(pair[0], upload_id, 0, b"x" * (5 << 20))
    time.sleep(2.1)
    env = environment(**pair[0].env)
    dry = subprocess.run([PREFIX / "bin" / "fileproc-upload", "--reap-dry-run"], env=env, capture_output=True, text=True,
                         timeout=60, check=False)
    assert dry.returncode == 0, dry.stderr
    lines = [line.split() for line in dry.stdout.splitlines()]
    assert [line[:2] for line in lines[1:-1]] == [["expired", upload_id], ["staged", upload_id]]
    assert int(lines[2][3]) >= 5 << 20 and dry.stdout.splitlines()[-1].startswith("# 1 uploads would expire, 1 staged")
    other = subprocess.run([PREFIX / "bin" / "fileproc-metadata", "--reap-dry-run"], env=env, capture_output=True, text=True,
                           timeout=60, check=False)
    assert other.returncode == 2 and "looks after no uploads" in other.stderr
    wait_until(lambda: any('"message":"1 uploads expired' in one.log_text() for one in pair))


@pytest.mark.daemon_options("--reuse-files")
def test_what_was_sent_to_one_need_not_be_sent_to_the_other(pair):
    data = os.urandom(6 << 20)
    sha256 = hashlib.sha256(data).hexdigest()
    session = initiate(pair[0], len(data), "file.zip", "application/zip", user_id="ann", sha256=sha256)
    for index in range(2):
        send_chunk(pair[0], session["upload_id"], index, data[index * (5 << 20):(index + 1) * (5 << 20)])
    assert ask(pair[0], "POST", f"/v1/uploads/{session['upload_id']}/complete").status_code == 200
    again = initiate(pair[1], len(data), "again.zip", "application/zip", user_id="ann", sha256=sha256)
    assert again["status"] == "completed"
    assert get(pair[0], f"/v1/uploads/{again['upload_id']}/status")["file_id"] == again["file_id"]
    assert "file_id" not in initiate(pair[1], len(data), "b.zip", "application/zip", user_id="bob", sha256=sha256)
