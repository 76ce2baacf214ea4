"""Owns: that /health and the probes tell the truth, and that /metrics counts what happens in the right format."""

import os
import shutil
import time

import pytest

import ietf
import metrics_text
import tus
from api import RFC3339, ask, check_problem, get, initiate, send_chunk, try_chunk, try_complete, try_initiate, upload, wait_for_job, wait_until
from daemon_process import HELPER


def test_health_has_the_starter_kit_s_shape(server):
    health = get(server, "/health")
    assert health["status"] == "healthy" and health["service"] == "fileprocd"
    assert RFC3339.fullmatch(health["timestamp"])
    assert health["dependencies"] == {"database": "connected", "storage": "connected", "queue": "connected",
                                      "helper": "available", "disk": "available"}
    assert health["version"] and health["environment"] == "development" and health["disk_free_bytes"] > 0


@pytest.mark.parametrize("path, word", [("/livez", "alive"), ("/readyz", "ready"), ("/startupz", "started")])
def test_probes_answer_200_and_are_not_cached(server, path, word):
    reply = ask(server, "GET", path)
    assert reply.status_code == 200 and reply.json() == {"status": word} and reply.headers["Cache-Control"] == "no-store"


def unhealthy(daemon, part, word):
    """Waits until /health says so; its answer is up to a second old."""
    def told():
        reply = ask(daemon, "GET", "/health")
        return [reply] if reply.json()["dependencies"][part] == word else None
    [reply] = wait_until(told, 5, f"/health does not notice: {part}")
    assert reply.status_code == 503 and reply.json()["status"] == "unhealthy"
    return reply


def test_a_missing_helper_is_noticed_and_uploads_go_on(tmp_path, request):
    from daemon_process import Daemon

    helper = tmp_path / "helper"
    shutil.copy(HELPER, helper)
    daemon = Daemon(tmp_path / "fileprocd", "--helper", helper).start()
    try:
        assert get(daemon, "/health")["status"] == "healthy"
        helper.rename(tmp_path / "gone")
        unhealthy(daemon, "helper", "unavailable")
        assert ask(daemon, "GET", "/readyz").status_code == 200, "who can upload is sent no more uploads"
        done = upload(daemon, b"text")
        (tmp_path / "gone").rename(helper)
        wait_until(lambda: ask(daemon, "GET", "/health").status_code == 200, 5)
        assert wait_for_job(daemon, done["processing_job_id"])["state"] == "succeeded"
    finally:
        assert daemon.end() is None


@pytest.mark.expect_server_errors
def test_storage_that_can_not_be_written_is_noticed(daemon):
    objects = daemon.data / "objects"
    objects.rename(daemon.data / "away")
    objects.touch()  # root may write everywhere, so permissions would prove nothing
    try:
        shutil.rmtree(daemon.data / "away")
        reply = unhealthy(daemon, "storage", "disconnected")
        assert reply.json()["dependencies"]["database"] == "connected"
        assert ask(daemon, "GET", "/readyz").status_code == 503 and ask(daemon, "GET", "/livez").status_code == 200
    finally:
        objects.unlink()


def test_asking_often_costs_little(server):
    began = time.monotonic()
    for _ in range(200):
        get(server, "/health")
    assert time.monotonic() - began < 10


def metrics(daemon):
    reply = ask(daemon, "GET", "/metrics")
    assert reply.status_code == 200 and reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return metrics_text.parse(reply.text)


def test_metrics_keep_the_starter_kit_s_names_and_format(server):
    families = metrics(server)
    assert families["uploads_total"][0] == "counter" and families["chunks_uploaded_total"][0] == "counter"
    assert families["upload_duration_seconds"][0] == "histogram"
    assert all(name.startswith("fileproc_") for name in families
               if name not in ("uploads_total", "chunks_uploaded_total", "upload_duration_seconds"))


def test_every_counter_moves_with_what_happens(daemon):
    def moved(what, name, **labels):
        before = metrics_text.value(metrics(daemon), name, **labels) or 0
        what()
        return (metrics_text.value(metrics(daemon), name, **labels) or 0) - before

    session = initiate(daemon, 3)
    upload_id = session["upload_id"]
    assert moved(lambda: initiate(daemon, 1), "uploads_total", status="initiated") == 1
    assert moved(lambda: try_initiate(daemon, mime_type="a/b"), "uploads_total", status="rejected_mime") == 1
    assert moved(lambda: try_initiate(daemon, size=1 << 40), "uploads_total", status="rejected_size") == 1
    assert moved(lambda: try_complete(daemon, upload_id), "uploads_total", status="incomplete") == 1
    assert moved(lambda: send_chunk(daemon, upload_id, 0, b"abc"), "chunks_uploaded_total") == 1
    assert moved(lambda: try_chunk(daemon, upload_id, 0, b"abd"), "chunks_uploaded_total") == 0
    assert moved(lambda: try_complete(daemon, upload_id), "uploads_total", status="completed") == 1
    assert moved(lambda: try_complete(daemon, upload_id), "uploads_total", status="completed") == 0
    cancelled = initiate(daemon, 3)["upload_id"]
    assert moved(lambda: ask(daemon, "DELETE", f"/v1/uploads/{cancelled}"), "uploads_total", status="cancelled") == 1
    cancelled = tus.create(daemon, 3)
    assert moved(lambda: tus.call(daemon, "DELETE", cancelled), "uploads_total", status="cancelled") == 1
    for cancelled in (ietf.created(daemon), ietf.created(daemon, b"x")):
        assert moved(lambda: ask(daemon, "DELETE", cancelled), "uploads_total", status="cancelled") == 1
        assert moved(lambda: ask(daemon, "DELETE", cancelled), "uploads_total", status="cancelled") == 0
    exceeded = ietf.created(daemon, headers={"Upload-Length": "3"})
    assert moved(lambda: ietf.patch(daemon, exceeded, 0, b"abcd"), "uploads_total", status="cancelled") == 1
    assert moved(lambda: upload(daemon, b"x"), "upload_duration_seconds_count") == 1
    assert moved(lambda: upload(daemon, b"x" * 1000), "fileproc_http_received_bytes_total") >= 1000
    assert moved(lambda: ask(daemon, "GET", "/nowhere/at/all"), "fileproc_http_requests_total", route="none", method="GET",
                 status="404") == 1
    assert moved(lambda: ask(daemon, "GET", f"/v1/jobs/{os.getpid()}"), "fileproc_http_requests_total",
                 route="/v1/jobs/{id}", method="GET", status="404") == 1
    done = lambda: wait_for_job(daemon, upload(daemon, b"x y z")["processing_job_id"])
    assert moved(done, "fileproc_jobs_finished_total", state="succeeded") >= 1
    bad = lambda: wait_for_job(daemon, upload(daemon, b"no picture", "a.png", "image/png")["processing_job_id"])
    assert moved(bad, "fileproc_jobs_finished_total", state="failed") == 1


def test_paths_do_not_become_labels(server):
    for number in range(50):
        ask(server, "GET", f"/v1/files/{number}")
        ask(server, "GET", f"/strange/{number}")
    routes = {dict(labels)["route"] for _, labels in metrics(server)["fileproc_http_requests_total"][1]}
    assert not [route for route in routes if any(letter.isdigit() and f"/{letter}" in route for letter in "23456789")]
    assert "none" in routes and "/v1/files/{id}" in routes


def test_the_index_leads_on(server):
    index = get(server, "/")
    assert index["service"] == "fileprocd" and index["links"]["files"] == "/v1/files"


@pytest.mark.expect_server_errors
def test_a_database_that_was_removed_takes_nothing_more(daemon):
    """Its file is open and could be written to, but nobody would ever find it again."""
    upload(daemon, b"before")
    for path in daemon.data.glob("fileproc.db*"):
        path.unlink()
    check_problem(try_initiate(daemon, size=4), 500)
    wait_until(lambda: ask(daemon, "GET", "/readyz").status_code == 503, 10)
