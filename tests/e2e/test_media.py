"""Owns: real photos, documents, texts and archives all the way: uploaded, processed, and what came out is looked at."""

import hashlib
import io
import json

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from api import ask, content, get, process, upload, wait_for_job
from media_files import MANUALS, PHOTOS, encoded, halves, tar_gz_of, zip_of

FILE_MEMBERS = {"id", "filename", "size", "mime_type", "detected_mime_type", "sha256", "state", "owner", "parent_id", "operation",
                "created_at", "info"}
JOB_MEMBERS = {"id", "file_id", "pipeline", "state", "attempt", "max_attempts", "progress", "steps", "error", "result",
               "created_at", "started_at", "finished_at"}


def picture(server, file):
    image = Image.open(io.BytesIO(content(server, file["id"])))
    image.load()
    return image


# What a codec says of itself: resolution, orientation (upright), sub-sampling.
TECHNICAL_TAGS = {0x0112, 0x011A, 0x011B, 0x0128, 0x0213, 0x8769}


def difference(a, b):
    """Mean difference of two pictures per channel, seen from so far away that no codec's grain shows."""
    a, b = (image.convert("RGB").resize((64, 48), Image.LANCZOS) for image in (a, b))
    return max(ImageStat.Stat(ImageChops.difference(a, b)).mean)


def tells_nothing(image):
    exif = image.getexif()
    return set(exif) <= TECHNICAL_TAGS and exif.get(0x0112, 1) == 1 and not exif.get_ifd(0x8825)


def step(job, name):
    return next(s for s in job["steps"] if s["name"] == name)


@pytest.mark.parametrize("path", PHOTOS[::3], ids=lambda path: path.stem)
def test_a_real_photo_becomes_a_thumb_and_a_preview_that_look_like_it(server, path):
    data = path.read_bytes()
    file, job, derivatives = process(server, data, path.name, "image/jpeg")
    assert job["state"] == "succeeded" and job["progress"] == 1 and job["attempt"] == 1, job
    original = ImageOps.exif_transpose(Image.open(path))
    assert set(file) >= FILE_MEMBERS and set(job) >= JOB_MEMBERS and job["pipeline"] == "image"
    assert (file["info"]["image"]["width"], file["info"]["image"]["height"]) == Image.open(path).size
    assert file["detected_mime_type"] == "image/jpeg" and file["sha256"] == hashlib.sha256(data).hexdigest()
    assert [d["mime_type"] for d in derivatives] == ["image/webp"] * 2
    assert all(d["parent_id"] == file["id"] and d["operation"] == "image.resize" for d in derivatives)
    for name, edge in (("thumb", 256), ("preview", 1600)):
        [made] = step(job, name)["outputs"]
        derivative = next(d for d in derivatives if d["id"] == made)
        image = picture(server, derivative)
        assert image.format == "WEBP" and max(image.size) == min(edge, max(original.size))
        assert abs(image.width / image.height - original.width / original.height) < 0.02
        assert difference(image, original) < 3
        assert derivative["sha256"] == hashlib.sha256(content(server, made)).hexdigest()
        assert derivative["size"] == len(content(server, made))
        assert tells_nothing(image)


def test_derivatives_have_the_right_pixels(server):
    _, job, derivatives = process(server, encoded(halves(), quality=95), "halves.jpg", "image/jpeg")
    assert job["state"] == "succeeded", job
    for derivative in derivatives:
        image = picture(server, derivative).convert("RGB")
        for x, colour in ((0.1, (220, 20, 20)), (0.9, (20, 20, 220))):
            pixel = image.getpixel((int(image.width * x), image.height // 2))
            assert all(abs(a - b) < 12 for a, b in zip(pixel, colour)), pixel


def test_a_photo_on_its_side_is_turned_upright(server):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by a quarter to the right: the left half is on top
    exif[0x010F], exif[0x8298] = "Maker", "nobody's business"
    _, job, derivatives = process(server, encoded(halves(), quality=95, exif=exif), "side.jpg", "image/jpeg")
    assert job["state"] == "succeeded", job
    assert (derivatives[0]["size"] > 0) and get(server, f"/v1/files/{job['file_id']}")["info"]["image"]["orientation"] == 6
    for derivative in derivatives:
        image = picture(server, derivative).convert("RGB")
        assert image.height > image.width and tells_nothing(image)
        top, bottom = (image.getpixel((image.width // 2, int(image.height * y))) for y in (0.1, 0.9))
        assert top[0] > 180 > top[2] and bottom[2] > 180 > bottom[0]


@pytest.mark.parametrize("format_name, mime_type", [("PNG", "image/png"), ("GIF", "image/gif"), ("WEBP", "image/webp")])
def test_the_other_formats_of_pictures(server, format_name, mime_type):
    file, job, derivatives = process(server, encoded(halves(size=(400, 300)), format_name), "picture", mime_type)
    assert job["state"] == "succeeded" and len(derivatives) == 2, job
    assert file["detected_mime_type"] == mime_type and file["info"]["image"]["width"] == 400
    sizes = sorted(picture(server, derivative).size for derivative in derivatives)
    assert sizes == [(256, 192), (400, 300)], "nothing is enlarged"


@pytest.mark.parametrize("name, word", [("R-intro.pdf", "vector"), ("R-data.pdf", "import")])
def test_a_real_document_becomes_text_and_a_picture_of_its_first_page(server, name, word):
    file, job, derivatives = process(server, (MANUALS / name).read_bytes(), name, "application/pdf")
    assert job["state"] == "succeeded" and job["pipeline"] == "pdf", job
    assert file["info"]["pdf"]["pages"] > 30 and file["info"]["pdf"]["encrypted"] is False
    by_operation = {d["operation"]: d for d in derivatives}
    text = json.loads(content(server, by_operation["pdf.text"]["id"]))
    assert len(text["pages"]) == file["info"]["pdf"]["pages"]
    assert word in " ".join(page["text"] for page in text["pages"]).lower()
    page = picture(server, by_operation["pdf.render"])
    assert page.format == "WEBP" and max(page.size) == 1024 and page.height > page.width
    stat = ImageStat.Stat(page.convert("L"))
    assert stat.mean[0] > 200 and stat.extrema[0][0] < 60, "white paper with black letters"


def test_texts_and_tables_are_counted(server):
    table = "name,place\n" + "".join(f"row {n},\"a, b\"\n" for n in range(100))
    file, job, derivatives = process(server, table.encode(), "table.csv", "text/csv")
    assert job["state"] == "succeeded" and not derivatives, job
    text = file["info"]["text"]
    assert text["lines"] == 101 and text["csv"]["columns"] == 2 and text["csv"]["has_header"] is True
    file, job, _ = process(server, "Grüße aus Ålesund\nzweite Zeile\n".encode(), "a.txt", "text/plain")
    assert job["state"] == "succeeded" and file["info"]["text"]["words"] == 5 and file["info"]["text"]["lines"] == 2


@pytest.mark.parametrize("make, name, mime_type", [(zip_of, "a.zip", "application/zip"), (tar_gz_of, "a.tar", "application/x-tar")],
                         ids=["zip", "tar.gz"])
def test_archives_are_listed(server, make, name, mime_type):
    entries = {"readme.txt": b"hello", "folder/data.bin": bytes(5000), "Ærø.txt": b"x"}
    file, job, derivatives = process(server, make(entries), name, mime_type)
    assert job["state"] == "succeeded", job
    assert file["info"]["archive"]["entries"] == 3 and file["info"]["archive"]["unpacked_bytes"] == 5006
    listing = json.loads(content(server, derivatives[0]["id"]))
    assert {entry["name"]: entry["size"] for entry in listing["entries"]} == {n: len(d) for n, d in entries.items()}


def test_a_type_without_a_pipeline_has_no_job(tmp_path):
    from daemon_process import Daemon

    own = Daemon(tmp_path / "fileprocd", "--allowed-mime-types", "*").start()
    try:
        done = upload(own, b"\0\1\2", "x.bin", "application/octet-stream")
        assert done["processing_job_id"] is None
        assert get(own, f"/v1/jobs?file_id={done['file_id']}")["items"] == []
    finally:
        assert own.end() is None


def test_operations_are_described_with_their_schemas(server):
    described = get(server, "/v1/operations")
    operations = {o["name"]: o for o in described["operations"]}
    assert set(operations) >= {"image.info", "image.resize", "image.convert", "pdf.info", "pdf.text", "pdf.render", "text.stats",
                               "archive.list"}
    text = json.dumps(operations["image.resize"])
    assert '"width"' in text and '"maximum": 16384' in text
    assert {p["name"] for p in described["pipelines"]} == {"image", "pdf", "text", "archive"}
