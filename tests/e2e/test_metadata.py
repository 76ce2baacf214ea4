"""Owns: one file's metadata: its entity tag, and that nothing old is shown of it."""

import threading

from api import UNKNOWN, ask, check_problem, get, process, upload, wait_for_job
from media_files import encoded, halves


def show(daemon, file_id, **headers):
    return ask(daemon, "GET", f"/v1/files/{file_id}", headers=headers)


def test_who_has_it_already_gets_304(daemon):
    file_id = upload(daemon, b"hello")["file_id"]
    first = show(daemon, file_id)
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, no-cache" and etag.startswith('"')
    for same in (etag, "W/" + etag, f'"a", {etag}', "*"):
        reply = show(daemon, file_id, **{"If-None-Match": same})
        assert reply.status_code == 304 and reply.content == b"" and reply.headers["ETag"] == etag
    other = show(daemon, file_id, **{"If-None-Match": '"other"'})
    assert other.status_code == 200 and other.json() == first.json()
    check_problem(show(daemon, UNKNOWN, **{"If-None-Match": "*"}), 404, "file_not_found")


def test_what_a_job_learns_is_seen_when_it_has_ended(daemon):
    done = upload(daemon, encoded(halves()), "a.jpg", "image/jpeg")
    before = show(daemon, done["file_id"])
    wait_for_job(daemon, done["processing_job_id"])
    after = show(daemon, done["file_id"], **{"If-None-Match": before.headers["ETag"]})
    if before.json()["detected_mime_type"] is None:
        assert after.status_code == 200 and after.headers["ETag"] != before.headers["ETag"]
    assert show(daemon, done["file_id"]).json()["detected_mime_type"] == "image/jpeg"


def test_a_deleted_file_is_never_shown_again(daemon):
    """Others read all the time meanwhile."""
    file, _, derivatives = process(daemon, encoded(halves()), "a.jpg", "image/jpeg")
    ids = [file["id"], *(d["id"] for d in derivatives)]
    stop = threading.Event()

    def read():
        while not stop.is_set():
            show(daemon, ids[0])

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        assert all(show(daemon, i).status_code == 200 for i in ids)
        assert ask(daemon, "DELETE", f"/v1/files/{ids[0]}").status_code == 204
        for _ in range(50):
            for i in ids:
                check_problem(show(daemon, i), 404, "file_not_found")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert get(daemon, "/v1/files")["items"] == []
