"""Owns: quarantine as a user meets it: a real clamd, the EICAR file, what is readable when, and what a person can do.
Must not know: how the daemon keeps its data; only the folder of objects is looked into."""

import hashlib
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import time

import pytest

import cluster
import metrics_text
import tus
from api import ask, check_problem, content, get, status, try_complete, upload, wait_for_job, wait_until
from daemon_process import Daemon
from event_source import EventSource
from media_files import PHOTOS

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))
from clamd_server import EICAR, SIGNATURE, STREAM_MAX, ClamdServer, installed  # noqa: E402  a folder of its own

pytestmark = pytest.mark.skipif(not installed(), reason="no clamd is installed")
ROUNDS = 60 if os.environ.get("FILEPROC_SLOW") == "yes" else 12
PERSON = {"by": "carol", "note": "asked the sender"}


@pytest.fixture(scope="module")
def clamd(tmp_path_factory):
    server = ClamdServer(tmp_path_factory.mktemp("clamd")).start()
    yield server
    server.stop()


@pytest.fixture
def scanning(request, tmp_path, clamd):
    """Starts a daemon with these settings, more than the usual ones."""
    started = []

    def start(**settings):
        env = {"FILEPROC_PREPUBLISH": "type.check,clamav.scan", "FILEPROC_CLAMD_URI": clamd.uri, "ALLOWED_MIME_TYPES": "*",
               "FILEPROC_JOB_BACKOFF_BASE": "50ms", "FILEPROC_JOB_BACKOFF_CAP": "200ms", "FILEPROC_SCAN_TIMEOUT": "2s",
               "FILEPROC_REAP_INTERVAL": "200ms", **settings}
        one = Daemon(tmp_path / f"daemon{len(started)}", env=env)
        started.append(one)
        return one.start()

    yield start
    for one in started:
        wrong = one.end()
        assert wrong is None, f"{wrong}\n{one.log_text()[-4000:]}"


def record(daemon, file_id):
    return get(daemon, f"/v1/files/{file_id}/quarantine")


def wait_for_record(daemon, file_id, seconds=60):
    """Once the check has come to an end."""
    return wait_until(lambda: (r := record(daemon, file_id))["state"] != "scanning" and r, seconds, "the file is not decided about")


def file_state(daemon, file_id):
    return get(daemon, f"/v1/files/{file_id}")["state"]


def send(daemon, data, filename="file.txt", mime_type="text/plain", **members):
    done = upload(daemon, data, filename, mime_type, **members)
    judged = "rejected" if EICAR in data else "available"  # another process may be that quick
    allowed = {"quarantined"} if daemon.program.name == "fileprocd" else {"quarantined", judged}
    assert done["status"] == "completed" and done["file_state"] in allowed, done
    return done


def metric(daemon, name, **labels):
    return metrics_text.value(metrics_text.parse(ask(daemon, "GET", "/metrics").text), name, **labels)


def stored(daemon, file_id):
    return (daemon.data / "objects" / "objects" / "files" / file_id).exists() or bool(
        list((daemon.data / "objects").rglob(file_id)))


def check_unreadable(daemon, file_id, code):
    http = {"file_quarantined": 409, "file_rejected": 403}[code]
    check_problem(ask(daemon, "GET", f"/v1/files/{file_id}/content"), http, code)
    check_problem(ask(daemon, "GET", f"/v1/files/{file_id}/content", headers={"Range": "bytes=0-3"}), http, code)
    check_problem(ask(daemon, "GET", f"/v1/objects/files/{file_id}"), http, code)
    check_problem(ask(daemon, "POST", f"/v1/objects/files/{file_id}/presign", json={}), http, code)
    check_problem(ask(daemon, "POST", f"/v1/files/{file_id}/jobs", json={"pipeline": "image"}), http, code)


def test_a_clean_file_is_there_soon_and_processed(scanning):
    daemon = scanning()
    done = send(daemon, PHOTOS[0].read_bytes(), "photo.jpg", "image/jpeg")
    assert wait_for_record(daemon, done["file_id"])["verdict"] == "clean"
    assert content(daemon, done["file_id"]) == PHOTOS[0].read_bytes()
    assert wait_for_job(daemon, done["processing_job_id"])["state"] == "succeeded"
    file = get(daemon, f"/v1/files/{done['file_id']}")
    assert file["state"] == "available" and file["detected_mime_type"] == "image/jpeg" and file["info"]["image"]
    scan = get(daemon, f"/v1/jobs/{record(daemon, done['file_id'])['scan_job_id']}")
    assert scan["pipeline"] == "prepublish" and [s["name"] for s in scan["steps"]] == ["type.check", "clamav.scan"]
    assert metric(daemon, "fileproc_scans_total", verdict="clean") == 1
    assert metric(daemon, "fileproc_quarantine_total", outcome="released") == 1
    assert metric(daemon, "fileproc_quarantine_seconds_count") == 1
    # completing again, when it is there
    assert try_complete(daemon, done["upload_id"]).json()["file_state"] == "available"


@pytest.mark.parametrize("address", ["uri", "socket"])
def test_the_test_virus_is_rejected_and_removed(scanning, clamd, address):
    daemon = scanning(FILEPROC_CLAMD_URI=getattr(clamd, address))
    done = send(daemon, b"harmless text, and then " + EICAR, "invoice.jpg", "image/jpeg")
    found = wait_for_record(daemon, done["file_id"])
    assert (found["state"], found["verdict"], found["reason"], found["step"]) == ("rejected", "infected", SIGNATURE, "clamav.scan")
    assert found["decided_by"] is None and found["decided_at"]
    assert file_state(daemon, done["file_id"]) == "rejected"
    check_unreadable(daemon, done["file_id"], "file_rejected")
    assert wait_for_job(daemon, done["processing_job_id"])["state"] == "cancelled"
    assert get(daemon, f"/v1/files/{done['file_id']}/derivatives")["items"] == []
    wait_until(lambda: not stored(daemon, done["file_id"]))
    assert record(daemon, done["file_id"])["bytes_removed"] is True
    check_problem(ask(daemon, "POST", f"/v1/files/{done['file_id']}/release", json=PERSON), 409, "file_rejected")
    assert metric(daemon, "fileproc_scans_total", verdict="infected") == 1
    wait_until(lambda: metric(daemon, "fileproc_quarantine_files", state="rejected") == 1)
    assert [r["file_id"] for r in get(daemon, "/v1/quarantine", params={"state": "rejected"})["items"]] == [done["file_id"]]
    assert ask(daemon, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204
    assert get(daemon, "/v1/quarantine", params={"state": "rejected"})["items"] == []


def test_a_false_alarm_is_taken_back_when_bytes_are_kept(scanning):
    daemon = scanning(FILEPROC_REJECTED="keep")
    done = send(daemon, EICAR)
    assert wait_for_record(daemon, done["file_id"])["state"] == "rejected"
    check_unreadable(daemon, done["file_id"], "file_rejected")
    time.sleep(3)  # the sweeper passes by
    released = ask(daemon, "POST", f"/v1/files/{done['file_id']}/release", json=PERSON).json()
    assert released["state"] == "released" and released["decided_by"] == "carol" and released["verdict"] == "infected"
    assert content(daemon, done["file_id"]) == EICAR


def test_whoever_watches_hears_what_becomes_of_a_file(scanning):
    daemon = scanning()
    with EventSource(daemon, "/v1/events?type=file") as everything:
        assert everything.event()[0] == "ready"
        bad, clean = send(daemon, EICAR), send(daemon, b"hello")
        seen = {}
        while len(seen) < 2:
            name, data, _ = everything.event(60)
            assert name == "file"
            seen[data["file_id"]] = (data["state"], data["quarantine"])
        assert seen == {bad["file_id"]: ("rejected", "rejected"), clean["file_id"]: ("available", "released")}
    with EventSource(daemon, f"/v1/uploads/{bad['upload_id']}/events") as late:
        told = late.until(lambda name, _: name == "file")
        assert told[-1][1] == {"file_id": bad["file_id"], "state": "rejected", "quarantine": "rejected"}


def test_an_upload_over_tus_is_checked_like_any_other(scanning):
    daemon = scanning()
    path = tus.create(daemon, len(EICAR), EICAR)
    file_id = status(daemon, path.rsplit("/", 1)[1])["file_id"]
    assert wait_for_record(daemon, file_id)["state"] == "rejected"


def test_while_clamd_is_down_files_wait_and_nobody_reads_them(scanning, clamd):
    daemon = scanning()
    clamd.stop()
    try:
        clean = send(daemon, PHOTOS[0].read_bytes(), "photo.jpg", "image/jpeg")
        bad = send(daemon, EICAR)
        wait_until(lambda: metric(daemon, "fileproc_scans_total", verdict="scanner_down") >= 12)  # more than the attempts of a job
        for one in (clean, bad):
            check_unreadable(daemon, one["file_id"], "file_quarantined")
            assert record(daemon, one["file_id"])["state"] == "scanning"
        check_problem(ask(daemon, "POST", f"/v1/jobs/{record(daemon, bad['file_id'])['scan_job_id']}/cancel"), 409, "file_quarantined")
        assert get(daemon, f"/v1/jobs/{clean['processing_job_id']}")["state"] == "queued"
    finally:
        clamd.start()
    assert wait_for_record(daemon, clean["file_id"])["state"] == "released"
    assert wait_for_record(daemon, bad["file_id"])["state"] == "rejected"
    assert wait_for_job(daemon, clean["processing_job_id"])["state"] == "succeeded"


def test_a_frozen_clamd_holds_files_and_a_person_may_have_them_checked_again(scanning, clamd):
    daemon = scanning(FILEPROC_SCAN_DOWN="hold", FILEPROC_JOB_MAX_ATTEMPTS="2", FILEPROC_SCAN_TIMEOUT="300ms")
    clamd.freeze()
    try:
        done = send(daemon, b"hello")
        held = wait_for_record(daemon, done["file_id"])
        assert (held["state"], held["reason"]) == ("held", "scanner_unavailable")
        assert get(daemon, f"/v1/jobs/{held['scan_job_id']}")["state"] == "dead"
    finally:
        clamd.freeze(False)
    check_unreadable(daemon, done["file_id"], "file_quarantined")
    assert ask(daemon, "POST", f"/v1/files/{done['file_id']}/rescan").status_code == 202
    assert wait_for_record(daemon, done["file_id"])["state"] == "released"
    check_problem(ask(daemon, "POST", f"/v1/files/{done['file_id']}/rescan"), 409, "not_quarantined")
    assert content(daemon, done["file_id"]) == b"hello"


def test_what_clamd_does_not_take_is_held_until_a_person_decides(scanning):
    daemon = scanning()
    data = os.urandom(STREAM_MAX + 4096)
    large = send(daemon, data, "large.bin", "application/octet-stream")
    held = wait_for_record(daemon, large["file_id"])
    assert (held["state"], held["verdict"], held["reason"]) == ("held", "unscannable", "too_large")
    check_unreadable(daemon, large["file_id"], "file_quarantined")
    assert [r["file_id"] for r in get(daemon, "/v1/quarantine")["items"]] == [large["file_id"]]
    for body in ({}, {"by": "carol"}, {"by": "", "note": "x"}, {"by": "carol", "note": 1}):
        check_problem(ask(daemon, "POST", f"/v1/files/{large['file_id']}/release", json=body), 422, "parameter_invalid")
    released = ask(daemon, "POST", f"/v1/files/{large['file_id']}/release", json=PERSON)
    assert released.status_code == 200 and released.json()["note"] == PERSON["note"]
    assert content(daemon, large["file_id"]) == data
    check_problem(ask(daemon, "POST", f"/v1/files/{large['file_id']}/reject", json=PERSON), 409, "not_quarantined")


def test_an_encrypted_archive_is_no_clean_one(scanning, tmp_path):
    daemon = scanning()
    (tmp_path / "secret.txt").write_bytes(b"nobody knows")
    made = tmp_path / "secret.pdf"
    subprocess.run(["qpdf", "--empty", "--encrypt", "pass", "owner", "256", "--", made], check=True, timeout=60)
    done = send(daemon, made.read_bytes(), "secret.pdf", "application/pdf")
    held = wait_for_record(daemon, done["file_id"])
    assert (held["state"], held["reason"]) == ("held", "encrypted"), held
    rejected = ask(daemon, "POST", f"/v1/files/{done['file_id']}/reject", json=PERSON).json()
    assert rejected["state"] == "rejected" and rejected["decided_by"] == "carol"
    check_unreadable(daemon, done["file_id"], "file_rejected")


@pytest.mark.parametrize("policy, state", [("accept", "released"), ("hold", "held"), ("reject", "rejected")])
def test_content_of_another_type_than_declared_is_treated_as_the_setting_says(scanning, policy, state):
    daemon = scanning(FILEPROC_PREPUBLISH="type.check", FILEPROC_CLAMD_URI="", FILEPROC_TYPE_MISMATCH=policy)
    done = send(daemon, b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n", "photo.png", "image/png")
    found = wait_for_record(daemon, done["file_id"])
    assert (found["state"], found["verdict"], found["reason"]) == (state, "mismatch", "application/pdf")
    clean = send(daemon, b"a,b\n1,2\n", "t.csv", "text/csv")
    assert wait_for_record(daemon, clean["file_id"])["verdict"] == "clean"


def test_without_checks_nothing_is_different(daemon):
    done = upload(daemon, EICAR, "eicar.txt")
    assert set(done) == {"file_id", "upload_id", "filename", "size", "mime_type", "storage_url", "status", "processing_job_id", "sha256"}
    assert file_state(daemon, done["file_id"]) == "available" and content(daemon, done["file_id"]) == EICAR
    assert get(daemon, "/v1/quarantine") == {"items": [], "next": None}
    check_problem(ask(daemon, "GET", f"/v1/files/{done['file_id']}/quarantine"), 404, "not_quarantined")
    check_problem(ask(daemon, "POST", f"/v1/files/{done['file_id']}/rescan"), 501)
    assert "fileproc_scans_total" not in ask(daemon, "GET", "/metrics").text


def test_files_stay_in_quarantine_when_the_setting_is_taken_away(scanning, clamd):
    daemon = scanning()
    clamd.stop()
    try:
        done = send(daemon, EICAR)
        daemon.kill()
        env = daemon.env
        daemon.env = {**env, "FILEPROC_PREPUBLISH": "", "FILEPROC_WORKERS": "0"}
        daemon.restart()
        check_unreadable(daemon, done["file_id"], "file_quarantined")
        daemon.terminate()
        daemon.env = env
        daemon.restart()
    finally:
        clamd.start()
    assert wait_for_record(daemon, done["file_id"])["state"] == "rejected"


@pytest.mark.parametrize("settings, line", [
    ({"FILEPROC_PREPUBLISH": "clamav.scan"}, "clamav.scan without a clamd"),
    ({"FILEPROC_PREPUBLISH": "no.such"}, "no operation no.such"),
    ({"FILEPROC_PREPUBLISH": "image.info"}, "does not take every type"),
    ({"FILEPROC_CLAMD_URI": "http://localhost:3310"}, "tcp://host:port"),
    ({"FILEPROC_SCAN_DOWN": "pray"}, "FILEPROC_SCAN_DOWN"),
])
def test_a_setting_that_makes_no_sense_stops_the_start(tmp_path, settings, line):
    one = Daemon(tmp_path / "d", env=settings)
    one.start(wait=False)
    assert one.process.wait(30) != 0
    assert line in one.log_text(), one.log_text()


def test_what_was_killed_is_checked_again_and_never_published_unchecked(scanning):
    """Killed at a random moment after the completion, again and again: while it is scanned, before and after the decision."""
    daemon = scanning(FILEPROC_JOB_MAX_ATTEMPTS="1000")  # each kill costs those that run one
    rng, sent = random.Random(7), []
    for number in range(ROUNDS):
        for bad in (False, True):
            data = (EICAR if bad else b"clean ") + b" %d" % number
            sent.append((send(daemon, data, f"{number}.txt")["file_id"], bad, data))
        time.sleep(rng.uniform(0, 0.08))
        daemon.kill()
        daemon.restart()
        for file_id, bad, _ in sent[-6:]:
            assert not bad or ask(daemon, "GET", f"/v1/files/{file_id}/content").status_code in (403, 409)
    for file_id, bad, data in sent:
        found = wait_for_record(daemon, file_id)
        assert (found["state"], found["verdict"]) == (("rejected", "infected") if bad else ("released", "clean"))
        if not bad:
            assert content(daemon, file_id) == data
    wait_until(lambda: not any(stored(daemon, file_id) for file_id, bad, _ in sent if bad))


@pytest.mark.skipif(not cluster.available(), reason="no PostgreSQL, Redis, RabbitMQ and S3 server")
def test_five_daemons_on_servers_do_the_same(tmp_path, clamd):
    many = cluster.Cluster(tmp_path / "many", FILEPROC_PREPUBLISH="type.check,clamav.scan", FILEPROC_CLAMD_URI=clamd.uri,
                           ALLOWED_MIME_TYPES="*", FILEPROC_JOB_MAX_ATTEMPTS="1000", FILEPROC_JOB_BACKOFF_CAP="200ms")
    try:
        many.start()
        bad = send(many["upload"], EICAR)
        clean = send(many["upload"], PHOTOS[0].read_bytes(), "photo.jpg", "image/jpeg")
        assert wait_for_record(many["processing"], bad["file_id"])["state"] == "rejected"
        assert wait_for_record(many["processing"], clean["file_id"])["state"] == "released"
        check_problem(ask(many["metadata"], "GET", f"/v1/files/{bad['file_id']}/content"), 403, "file_rejected")
        check_problem(ask(many["storage"], "GET", f"/v1/objects/files/{bad['file_id']}"), 403, "file_rejected")
        check_problem(ask(many["storage"], "POST", f"/v1/objects/files/{bad['file_id']}/presign", json={}), 403, "file_rejected")
        assert hashlib.sha256(content(many["metadata"], clean["file_id"])).digest() == hashlib.sha256(PHOTOS[0].read_bytes()).digest()
        assert ask(many["storage"], "GET", f"/v1/objects/files/{clean['file_id']}").status_code == 200
        assert wait_for_job(many["processing"], clean["processing_job_id"])["state"] == "succeeded"
        wait_until(lambda: record(many["processing"], bad["file_id"])["bytes_removed"])
        rng, sent = random.Random(11), []
        for number in range(ROUNDS // 4):  # the worker dies; the other daemons give nothing out meanwhile
            for data in (EICAR + b" %d" % number, b"clean %d" % number):
                sent.append((send(many["upload"], data)["file_id"], data))
            time.sleep(rng.uniform(0, 0.1))
            many["processing"].kill()
            assert ask(many["metadata"], "GET", f"/v1/files/{sent[-2][0]}/content").status_code in (403, 409)
            many["processing"].restart()
        for file_id, data in sent:
            state = wait_for_record(many["processing"], file_id)["state"]
            assert state == ("rejected" if data.startswith(EICAR) else "released"), (state, data)
    finally:
        wrong = many.end()
    assert wrong is None, wrong


def test_the_example_of_the_documents_works(scanning):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "uploads.md").read_text()
    block = re.search(r"## Quarantine\n.*?```sh\n(curl.*?|cat.*?|id=.*?)```", text, re.S)
    assert block, "docs/uploads.md shows it no more"
    daemon = scanning()
    script = block.group(1).replace("localhost:8000", f"127.0.0.1:{daemon.port}")
    done = send(daemon, os.urandom(STREAM_MAX + 1), "large.bin", "application/octet-stream")
    wait_for_record(daemon, done["file_id"])
    ran = subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True, timeout=60, check=False,
                         env={**os.environ, "file": done["file_id"]})
    assert ran.returncode == 0, ran.stderr
    held, released = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert held["items"][0]["file_id"] == done["file_id"] and released["state"] == "released", ran.stdout
