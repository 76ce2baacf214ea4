"""Owns: the tests of the Python package against the installed library."""

import hashlib
import io

import pytest
from PIL import Image

import fileproc


@pytest.fixture
def files(tmp_path):
    with fileproc.Fileproc(tmp_path / "data with space") as opened:
        yield opened


def test_a_photo_goes_in_and_derivatives_and_facts_come_out(files, photo):
    uploaded = files.upload(photo, mime_type="image/jpeg", owner="ann", metadata={"trip": "Ålesund"})
    assert uploaded.sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()
    job = files.process(uploaded)
    assert job["state"] == "succeeded", job
    file = files.file(uploaded.id)
    assert (file["info"]["image"]["width"], file["info"]["image"]["height"]) == (1200, 800)
    assert file["detected_mime_type"] == "image/jpeg" and file["owner"] == "ann"
    thumb = next(d for d in files.derivatives(uploaded.id) if "thumb" in d["filename"])
    image = Image.open(io.BytesIO(files.read(thumb["id"]))).convert("RGB")
    assert max(image.size) == 256
    left, right = image.getpixel((20, image.height // 2)), image.getpixel((image.width - 20, image.height // 2))
    assert left[0] > 180 > 80 > left[2] and right[2] > 180 > 80 > right[0]


def test_an_inline_pipeline_runs_on_a_stored_file(files, photo, tmp_path):
    uploaded = files.upload(photo, mime_type="image/jpeg")
    job = files.run(uploaded.id, {"steps": [{"operation": "image.convert", "params": {"format": "png"}}]})
    assert job["state"] == "succeeded", job
    derivative = next(files.derivatives(uploaded.id))
    files.save(derivative, tmp_path / "out.png")
    assert Image.open(tmp_path / "out.png").size == (1200, 800)


def test_the_folder_keeps_everything(tmp_path, photo):
    with fileproc.Fileproc(tmp_path / "data") as files:
        uploaded = files.upload(photo, mime_type="image/jpeg")
    with fileproc.Fileproc(tmp_path / "data") as files:
        assert [f["id"] for f in files.files()] == [uploaded.id]
        assert files.process(uploaded)["state"] == "succeeded"
        files.delete(uploaded.id)
        with pytest.raises(fileproc.NotFound) as caught:
            files.file(uploaded.id)
        assert caught.value.reason == "file_not_found"


def test_errors_have_a_reason(files, tmp_path):
    path = tmp_path / "x.exe"
    path.write_bytes(b"MZ")
    with pytest.raises(fileproc.Invalid) as caught:
        files.upload(path, mime_type="application/x-msdownload")
    assert caught.value.reason == "type_not_allowed"


def test_an_empty_file_is_a_file(files, tmp_path):
    path = tmp_path / "empty.txt"
    path.touch()
    uploaded = files.upload(path, mime_type="text/plain")
    assert uploaded.sha256 == hashlib.sha256(b"").hexdigest()
    assert files.read(uploaded.id) == b""


def test_a_closed_object_answers_with_an_error(tmp_path, photo):
    with fileproc.Fileproc(tmp_path / "data") as files:
        uploaded = files.upload(photo, mime_type="image/jpeg")
        listing = files.files()
    files.close()
    for call in (lambda: files.file(uploaded.id), lambda: files.job(uploaded.job_id), lambda: next(listing),
                 lambda: files.upload(photo, mime_type="image/jpeg"), lambda: files.process(uploaded),
                 lambda: files.read(uploaded.id), lambda: files.delete(uploaded.id),
                 lambda: files.run(uploaded.id, "image")):
        with pytest.raises(fileproc.Invalid):
            call()


def test_text_is_never_cut_at_a_nul(files, photo):
    """C would see the owner "ann" here, and the id of another file."""
    uploaded = files.upload(photo, mime_type="image/jpeg", owner="ann")
    for call in (lambda: files.upload(photo, mime_type="image/jpeg", owner="ann\0x"),
                 lambda: files.upload(photo, mime_type="image/jpeg\0x"),
                 lambda: list(files.files(owner="ann\0x")), lambda: files.file(uploaded.id + "\0x"),
                 lambda: list(files.derivatives(uploaded.id + "\0x")), lambda: files.run(uploaded.id, "image\0x"),
                 lambda: files.delete(uploaded.id + "\0x"), lambda: files.job(uploaded.job_id + "\0x")):
        with pytest.raises(ValueError):
            call()
    assert files.file(uploaded.id)["owner"] == "ann"


def test_text_that_is_no_unicode_is_refused(files, photo):
    for owner in ("\udcff", "\ud800"):
        with pytest.raises((fileproc.Invalid, UnicodeError)):
            files.upload(photo, mime_type="image/jpeg", owner=owner)


def test_the_derivatives_of_nothing_are_not_the_uploads(files):
    with pytest.raises(TypeError):
        files.derivatives(None)


def test_a_closed_fileproc_refuses_every_call_and_lives(tmp_path, photo):
    path = tmp_path / "a.txt"
    path.write_text("a")
    with fileproc.Fileproc(tmp_path / "data") as files:
        uploaded = [files.upload(path, mime_type="text/plain") for _ in range(3)][0]
        begun, not_begun = files.files(), files.files()
        next(begun)
    files.close()  # once more does nothing
    calls = [lambda: files.upload(photo, mime_type="image/jpeg"), lambda: files.process(uploaded),
             lambda: files.process(fileproc.Uploaded(uploaded.id, None, None)),
             lambda: files.run(uploaded.id, "text"), lambda: files.file(uploaded.id),
             lambda: files.job(uploaded.job_id), files.files, lambda: files.derivatives(uploaded.id),
             lambda: files.read(uploaded.id), lambda: files.save(uploaded.id, tmp_path / "out"),
             lambda: files.delete(uploaded.id), files.__enter__, lambda: next(begun), lambda: next(not_begun)]
    for call in calls:
        with pytest.raises(fileproc.Closed, match="closed"):
            call()
    with pytest.raises(ValueError) as caught:
        files.file(uploaded.id)
    assert caught.value.reason == "closed"
    assert not (tmp_path / "out").exists()


def test_an_attribute_that_never_was_is_no_closed_handle(files):
    with pytest.raises(AttributeError):
        files.nothing
