"""Owns: files that are broken, lie about themselves or attack: the upload is kept, its job fails for good with a reason that
people can read, and the daemon and the other jobs carry on."""

import threading

import pytest

from api import content, get, process, upload, wait_for_job
from media_files import MANUALS, encoded, encrypted_pdf, halves, png_claiming, zip_bomb, zip_of

PHOTO = encoded(halves(), quality=95)


def check_failed(server, data, name, mime_type, *codes):
    file, job, derivatives = process(server, data, name, mime_type)
    assert job["state"] == "failed" and job["attempt"] == 1, job
    error = job["error"]
    assert error["permanent"] is True and error["code"] in codes, error
    assert len(error["detail"]) > 10 and "\n" not in error["detail"]
    assert content(server, file["id"]) == data and not derivatives
    return error


def test_a_text_called_png(server):
    error = check_failed(server, b"This is no picture but words.\n" * 40, "words.png", "image/png", "media_type_mismatch")
    assert "text/plain" in error["detail"]


@pytest.mark.parametrize("size", [3, 200, 2000, len(PHOTO) // 2, len(PHOTO) - 40])
def test_a_truncated_jpeg(server, size):
    check_failed(server, PHOTO[:size], "cut.jpg", "image/jpeg", "media_damaged", "media_type_mismatch")


def test_a_png_that_claims_60000_by_60000(server):
    error = check_failed(server, png_claiming(60000, 60000), "huge.png", "image/png", "media_too_large")
    assert "60000" in error["detail"] or "3600000000" in error["detail"]


def test_a_png_whose_head_is_fine_and_whose_pixels_are_missing(server):
    check_failed(server, png_claiming(500, 500), "empty.png", "image/png", "media_damaged")


def test_an_encrypted_document(server, tmp_path):
    check_failed(server, encrypted_pdf(tmp_path), "secret.pdf", "application/pdf", "media_encrypted")


def test_a_truncated_document(server):
    data = (MANUALS / "R-data.pdf").read_bytes()
    check_failed(server, data[:5000], "cut.pdf", "application/pdf", "media_damaged")


@pytest.mark.daemon_options("--max-unpacked-size", "100MiB")
def test_a_zip_bomb(daemon):
    before = daemon.memory_mib()
    check_failed(daemon, zip_bomb(), "bomb.zip", "application/zip", "archive_bomb")
    assert daemon.memory_mib() < before + 50  # half of what may be unpacked


@pytest.mark.daemon_options("--max-archive-entries", "1000")
def test_an_archive_of_too_many_entries(daemon):
    check_failed(daemon, zip_of({f"{n}.txt": b"" for n in range(1500)}), "many.zip", "application/zip", "archive_bomb")


def test_a_picture_of_the_other_format_is_said_to_be_one(server):
    """A JPEG called PNG is a picture all the same: it is processed as what it is, or refused as what it is."""
    file, job, _ = process(server, PHOTO, "photo.png", "image/png")
    assert file["detected_mime_type"] == "image/jpeg" or "image/jpeg" in job["error"]["detail"], (file, job)


def test_bad_files_hold_up_no_good_ones(daemon, tmp_path):
    bad = [(b"words", "a.png", "image/png"), (PHOTO[:3000], "b.jpg", "image/jpeg"),
           (png_claiming(60000, 60000), "c.png", "image/png"), (encrypted_pdf(tmp_path), "d.pdf", "application/pdf"),
           (zip_bomb(64), "e.zip", "application/zip")]
    jobs, failures = {}, []

    def send(data, name, mime_type, expected):
        try:
            jobs[upload(daemon, data, name, mime_type)["processing_job_id"]] = expected
        except AssertionError as e:
            failures.append(e)

    threads = [threading.Thread(target=send, args=(*one, "failed")) for one in bad[:4] * 3]
    threads += [threading.Thread(target=send, args=(PHOTO, "good.jpg", "image/jpeg", "succeeded")) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for job_id, expected in jobs.items():
        assert wait_for_job(daemon, job_id)["state"] == expected
    assert get(daemon, "/health")["status"] == "healthy"
