"""Owns: the tests of what the helper says to files that are broken, hostile, or not what they are called, and to a full disk.
Must not know: the helper's code."""

import os
import random
import struct
import subprocess
import tempfile
import zlib

import pytest
from PIL import Image

import media_samples as samples
from media_helper import Died, Helper, sanitized

limits_memory = pytest.mark.skipif(sanitized(), reason="a sanitizer needs all the memory there is")
OPERATIONS = {
    "archive.list": {}, "file.type": {}, "image.convert": {"format": "png"}, "image.info": {},
    "image.resize": {"width": 64}, "pdf.info": {}, "pdf.render": {}, "pdf.text": {}, "text.stats": {},
}
DECLARED = {"archive": "application/zip", "image": "image/png", "pdf": "application/pdf", "text": "text/plain", "file": "image/png"}


def written(path, data):
    path.write_bytes(data)
    return path


def run(helper, path, operation, params=None, **arguments):
    arguments.setdefault("declared", DECLARED[operation.partition(".")[0]])
    return helper.run(path, (operation, OPERATIONS[operation] if params is None else params), **arguments)


@pytest.fixture(autouse=True)
def still_works(helper, photo):
    """After whatever it was given, the same process does the next run right."""
    yield
    if helper.alive():
        assert helper.run(photo, ("image.resize", {"width": 50, "format": "png"})).output.image.size == (50, 31)


# not what it is called

@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_an_empty_file(helper, tmp_path, operation):
    answer = run(helper, written(tmp_path / "e", b""), operation)
    if operation == "text.stats":
        assert (answer.result["bytes"], answer.result["lines"]) == (0, 0)
    elif operation == "file.type":
        assert "empty" in answer.result["mime_type"]
    else:
        assert "empty" in answer.failed("media_damaged")["detail"]


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_a_megabyte_of_noise(helper, tmp_path, operation, seed):
    answer = run(helper, written(tmp_path / "n", b"\x93" + random.Random(seed).randbytes(1 << 20)), operation)
    if operation == "text.stats":
        assert answer.result == {"encoding": "binary", "bytes": (1 << 20) + 1}
    elif operation == "file.type":
        assert answer.result["mime_type"] == "application/octet-stream"
    else:
        assert "octet-stream" in answer.failed("media_type_mismatch")["detail"]


@pytest.mark.parametrize("operation", ["image.info", "image.resize", "image.convert"])
def test_a_text_called_picture(helper, tmp_path, operation):
    detail = run(helper, written(tmp_path / "t.png", b"These are but words.\n" * 100), operation).failed("media_type_mismatch")["detail"]
    assert detail == "declared image/png, but the content is text/plain"


STRANGE = {
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>',
    "ps": b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file\nshowpage\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "mvg": b"push graphic-context\nviewbox 0 0 640 480\nimage over 0,0 0,0 '/etc/passwd'\npop graphic-context\n",
    "msl": b'<?xml version="1.0"?><image><read filename="/etc/passwd"/></image>',
    "bmp": b"BM" + bytes(100), "pcx": b"\x0a\x05\x01\x08" + bytes(200), "psd": b"8BPS\0\1" + bytes(100),
    "ppm": b"P6 3 3 255\n" + bytes(27), "pfm": b"PF 3 3 -1\n" + bytes(108), "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n",
    "fits": b"SIMPLE  =                    T" + b" " * 3000, "xcf": b"gimp xcf file\0" + bytes(100), "ico": b"\0\0\1\0\1\0" + bytes(100),
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "jxl": b"\xff\x0a" + bytes(100), "exr": b"v/1\x01" + bytes(100),
    "pdf": samples.simple_pdf(), "vips": b"\xb6\xa6\xf2\x08" + bytes(100), "csv": b"1,2,3\n4,5,6\n", "dds": b"DDS " + bytes(200),
    "url": b"https://localhost/x.png\n", "mat": b"MATLAB 5.0 MAT-file" + bytes(300), "svgz": b"\x1f\x8b\x08" + bytes(60),
}


@pytest.mark.parametrize("name", sorted(STRANGE))
@pytest.mark.parametrize("declared", ["image/png", None])
def test_what_other_loaders_would_read_is_refused(helper, tmp_path, name, declared):
    """libvips has loaders for most of these, ImageMagick's and librsvg's among them."""
    path = written(tmp_path / "x.png", STRANGE[name])
    for operation in ("image.info", "image.resize", "image.convert"):
        answer = run(helper, path, operation, declared=declared)
        assert answer.error["code"] in ("media_type_mismatch", "media_unsupported") and answer.error["permanent"], answer.error


def test_a_type_that_is_not_decoded_here(helper, tmp_path):
    path = samples.saved(samples.quarters(), tmp_path / "x.bmp")
    assert "bmp" in run(helper, path, "image.info", declared="image/bmp").failed("media_unsupported")["detail"]


def test_known_types_are_believed(helper, tmp_path):
    """The library knows the type from an earlier run: it stands in the error."""
    path = written(tmp_path / "t", b"words")
    answer = run(helper, path, "image.info", detected="application/x-known")
    assert "application/x-known" in answer.failed("media_type_mismatch")["detail"]


def test_the_type_step_serves_the_steps_after_it(helper, tmp_path):
    path = written(tmp_path / "t", b"words")
    answer = helper.run(path, "file.type", "image.info", declared="image/png")
    assert answer.results[0]["mime_type"] == "text/plain"
    assert answer.failed("media_type_mismatch")["step"] == 1


# broken pictures

@pytest.mark.parametrize("operation", ["image.resize", "image.convert"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.98])
def test_a_truncated_jpeg(helper, photo, tmp_path, operation, part):
    data = photo.read_bytes()
    path = written(tmp_path / "t.jpg", data[:int(len(data) * part)])
    answer = run(helper, path, operation, declared="image/jpeg")
    assert "damaged" in answer.failed("media_damaged")["detail"]
    assert not answer.outputs


@pytest.mark.parametrize("suffix", ["png", "webp", "gif", "tiff", "avif"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_any_truncated_picture(helper, photo, tmp_path, suffix, part):
    whole = helper.run(photo, ("image.resize", {"width": 600, "format": suffix})).output.bytes
    path = written(tmp_path / f"t.{suffix}", whole[:int(len(whole) * part)])
    run(helper, path, "image.convert", {"format": "jpeg"}, declared=f"image/{suffix}").failed("media_damaged")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tiff"])
@pytest.mark.parametrize("size", [1, 8, 11, 12, 20, 30])
def test_next_to_nothing_of_a_picture(helper, tmp_path, suffix, size):
    data = samples.saved(samples.quarters(), tmp_path / f"w.{suffix}").read_bytes()
    answer = run(helper, written(tmp_path / f"t.{suffix}", data[:size]), "image.info", declared=f"image/{suffix}")
    assert answer.error["code"] in ("media_damaged", "media_type_mismatch") and answer.error["permanent"]


def test_the_error_stands_at_its_step(helper, photo, tmp_path):
    """What could be learnt before is told."""
    path = written(tmp_path / "t.jpg", photo.read_bytes()[:100_000])
    answer = helper.run(path, "image.info", ("image.resize", {"width": 64}), ("image.resize", {"width": 32}))
    assert answer.failed("media_damaged")["step"] == 1
    assert answer.results[0]["width"] == 2560 and list(answer.results) == [0]


def test_a_wrong_checksum_in_a_png(helper, tmp_path):
    data = bytearray(samples.saved(samples.gradient(), tmp_path / "c.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    run(helper, written(tmp_path / "c.png", bytes(data)), "image.convert", {"format": "jpeg"}).failed("media_damaged")


# too large

@pytest.mark.parametrize("operation", ["image.resize", "image.convert"])
@pytest.mark.parametrize("width, height", [(60000, 60000), (1_000_000, 1_000_000), (100_001, 1000)])
def test_a_png_that_claims_to_be_huge(helper, tmp_path, operation, width, height):
    path = written(tmp_path / "h.png", samples.png_claiming(width, height))
    answer = run(helper, path, operation)
    assert answer.error["code"] == "media_too_large" and answer.error["permanent"] and not answer.outputs
    assert str(width) in answer.error["detail"]


def test_the_size_of_a_huge_picture_is_told(helper, tmp_path):
    """Nothing is decoded for it."""
    assert run(helper, written(tmp_path / "h.png", samples.png_claiming(60000, 60000)), "image.info").result["width"] == 60000


def huge_gif(width, height):
    return (b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff" +
            b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0\x02\x02\x44\x01\0;")


def huge_webp(width, height):
    vp8x = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + vp8x + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def huge_tiff(width, height):
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, height),
            (279, 4, 10)]
    return (b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) +
            b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags) + bytes(4))


def huge_jpeg(width, height):
    data = bytearray(samples.jpeg_bytes(samples.quarters()))
    at = data.index(b"\xff\xc0")
    data[at + 5:at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("make, side", [(huge_gif, 65535), (huge_tiff, 60000), (huge_tiff, 1 << 30), (huge_jpeg, 65500), (huge_webp, 1 << 24)])
@pytest.mark.parametrize("operation", ["image.resize", "image.convert"])
def test_any_picture_that_claims_to_be_huge(helper, tmp_path, make, side, operation):
    answer = run(helper, written(tmp_path / "huge", make(side, side)), operation, declared="image/any")
    assert answer.error["code"] in ("media_too_large", "media_damaged") and answer.error["permanent"]
    if make in (huge_gif, huge_jpeg):
        answer.failed("media_too_large")


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_an_animation_whose_frames_are_too_many_pixels(helper, tmp_path, suffix):
    """Each frame alone would do."""
    path = samples.animation(tmp_path / f"a.{suffix}", 4, 60, 40)
    limits = {"max_pixels": 60 * 40 * 4 - 1}
    everything = {"format": "webp", "frames": "all"}
    detail = run(helper, path, "image.convert", everything, limits=limits).failed("media_too_large")["detail"]
    assert "4 frames" in detail
    assert run(helper, path, "image.convert", {"format": "png"}, limits=limits).output.image.size == (60, 40)
    assert run(helper, path, "image.convert", everything, limits={"max_pixels": 60 * 40 * 4}).error is None


def test_a_limit_counts_pixels_exactly(helper, tmp_path):
    path = samples.saved(Image.new("L", (100, 50)), tmp_path / "l.png")
    assert run(helper, path, "image.resize", {"width": 10}, limits={"max_pixels": 5000}).error is None
    run(helper, path, "image.resize", {"width": 10}, limits={"max_pixels": 4999}).failed("media_too_large")


@limits_memory
def test_bytes_packed_well_do_not_become_memory(helper, tmp_path):
    """A chunk of text that unpacks to 400 MiB."""
    data = samples.saved(Image.new("L", (8, 8)), tmp_path / "z.png").read_bytes()
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(400)) + packer.flush()
    for kind, head in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"icc\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")):
        path = written(tmp_path / "z.png", data[:33] + samples.png_chunk(kind, head + packed) + data[33:])
        answer = run(helper, path, "image.convert", {"format": "jpeg"})
        assert answer.error is None or answer.error["permanent"], answer.error
        assert answer.rss_bytes is None or answer.rss_bytes < 400 << 20


# documents

def encrypted(source, target, *passwords, bits="256"):
    options = ["--allow-weak-crypto"] if bits != "256" else []
    subprocess.run(["qpdf", *options, "--encrypt", *passwords, bits, "--", str(source), str(target)], check=True)
    return target


@pytest.mark.parametrize("bits", ["40", "128", "256"])
@pytest.mark.parametrize("operation", ["pdf.info", "pdf.text", "pdf.render"])
def test_a_pdf_that_needs_a_password(helper, manual, tmp_path, operation, bits):
    path = encrypted(manual, tmp_path / "e.pdf", "user", "owner", bits=bits)
    assert "password" in run(helper, path, operation).failed("media_encrypted")["detail"]


@pytest.mark.parametrize("data", [b"%PDF-1.4\n", b"%PDF-1.7\n" + b"garbage " * 500, b"%PDF-1.4\n%%EOF\n",
                                  samples.simple_pdf()[:200], samples.simple_pdf().replace(b"/Count 1", b"/Count 0").replace(b"4 0 R", b"")])
@pytest.mark.parametrize("operation", ["pdf.info", "pdf.text", "pdf.render"])
def test_a_pdf_without_pages(helper, tmp_path, data, operation):
    run(helper, written(tmp_path / "d.pdf", data), operation).failed("media_damaged")


def test_a_pdf_without_its_tables_is_mended(helper, manual, tmp_path):
    data = manual.read_bytes()
    path = written(tmp_path / "c.pdf", data[:len(data) * 9 // 10])
    answer = run(helper, path, "pdf.info")
    assert answer.error is None or answer.failed("media_damaged")


@pytest.mark.parametrize("width, height", [("0", "0"), ("-5", "nan"), ("1e30", "1e30")])
def test_pages_of_no_size(helper, tmp_path, width, height):
    answer = run(helper, written(tmp_path / "z.pdf", samples.simple_pdf(width=width, height=100).replace(b" 100]", f" {height}]".encode())),
                 "pdf.render")
    assert answer.error is None or answer.failed("media_damaged")


@pytest.mark.parametrize("count", [2_000_000_000, -1, 10**30])
def test_a_pdf_that_claims_pages_without_number(helper, tmp_path, count):
    path = written(tmp_path / "n.pdf", samples.simple_pdf().replace(b"/Count 1 ", b"/Count %d " % count))
    for operation in ("pdf.info", "pdf.text", "pdf.render"):
        answer = run(helper, path, operation)
        assert answer.error is None or answer.failed("media_damaged")


def test_a_page_that_draws_itself(helper, tmp_path):
    """A form that calls itself without end."""
    data = samples.simple_pdf().replace(b"/Font << /F1 3 0 R >>", b"/Font << /F1 3 0 R >> /XObject << /X 6 0 R >>")
    at = data.index(b"xref")
    form = (b"6 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 6 0 R >> >> /Length 10 >>\n"
            b"stream\n/X Do /X Do\nendstream\nendobj\n")
    data = data[:at].replace(b"0 0 50 50 re f", b"/X Do       ") + form + b"trailer\n<< /Root 1 0 R >>\n%%EOF\n"
    answer = run(helper, written(tmp_path / "l.pdf", data), "pdf.render", {"dpi": 30})
    assert answer.error is None or answer.error["permanent"]


# limits on results

@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "avif", "gif", "tiff"])
def test_a_result_over_the_limit(helper, photo, form):
    params = {"width": 500, "format": form}
    size = len(run(helper, photo, "image.resize", params).output.bytes)
    for limit in (size - 1, 1):
        answer = run(helper, photo, "image.resize", params, limits={"max_output_bytes": limit})
        assert str(limit) in answer.failed("output_too_large")["detail"] and not answer.outputs
    assert run(helper, photo, "image.resize", params, limits={"max_output_bytes": size}).error is None


@pytest.mark.parametrize("operation", ["pdf.text", "pdf.render"])
def test_a_page_over_the_limit(helper, manual, operation):
    run(helper, manual, operation, limits={"max_output_bytes": 500}).failed("output_too_large")


FULL = "/dev/full"


@pytest.mark.parametrize("operation", ["image.resize", "pdf.text", "pdf.render"])
def test_a_full_disk(helper, photo, manual, operation):
    """Not the file's fault: it is worth another try."""
    path = photo if operation.startswith("image") else manual
    answer = run(helper, path, operation, make_output=lambda: open(FULL, "r+b", buffering=0))
    assert "space" in answer.failed("storage_full", permanent=False)["detail"] and not answer.outputs


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "avif", "gif", "tiff"])
def test_a_full_disk_for_every_encoder(helper, photo, form):
    answer = run(helper, photo, "image.resize", {"width": 300, "format": form}, make_output=lambda: open(FULL, "r+b", buffering=0))
    answer.failed("storage_full", permanent=False)


def test_a_file_over_the_process_limit(photo):
    with Helper(file_size=10_000) as h:
        h.run(photo, ("image.resize", {"width": 1000})).failed("output_too_large")
        assert h.run(photo, ("image.resize", {"width": 50})).error is None


def test_an_output_that_can_not_be_written(helper, photo):
    answer = run(helper, photo, "image.resize", make_output=lambda: open(os.devnull, "rb"))
    assert answer.error["permanent"] is False and answer.error["code"] == "helper_unavailable"


# limits on the process

@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Nine thousand pixels square: it decodes row by row, but a turned one has to be in memory."""
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    Image.new("RGB", (9000, 9000), (90, 120, 30)).save(path, exif=samples.exif(6, gps=False))
    return path


@limits_memory
@pytest.mark.parametrize("operation", [("image.convert", {"format": "png"}), ("image.convert", {"format": "webp"}),
                                       ("image.resize", {"width": 8999, "format": "tiff"})])
@pytest.mark.parametrize("memory", [150, 250])  # the first is hardly enough to start
def test_too_little_memory_is_an_error_and_no_hang(photo, large, operation, memory):
    with Helper(memory=memory << 20) as h:
        try:
            answer = h.run(large, operation)
        except Died as died:
            assert os.WIFEXITED(died.status) and os.WEXITSTATUS(died.status) == 86, died  # FPI_MEDIA_EXIT_MEMORY
            return
        assert "memory" in answer.failed("helper_memory", permanent=False)["detail"]
        answer = h.run(photo, ("image.resize", {"width": 50}))
        assert answer.error is None or (memory == 150 and answer.failed("helper_memory", permanent=False))


@limits_memory
@pytest.mark.parametrize("memory", [120, 160, 200, 260, 340])
def test_too_little_memory_for_a_page(manual, memory):
    with Helper(memory=memory << 20) as h:
        try:
            answer = h.run(manual, ("pdf.render", {"dpi": 700}))
        except Died as died:
            assert os.WIFEXITED(died.status) and os.WEXITSTATUS(died.status) == 86, died
            return
        if answer.error:
            answer.failed("helper_memory", permanent=False)


def test_a_run_that_never_ends_is_stopped(photo):
    """The kernel stops it; the library reports the signal, and starts another helper."""
    import signal

    h = Helper(cpu_seconds=1).start()
    with pytest.raises(Died) as died:
        h.run(photo, *[("image.convert", {"format": "avif", "quality": 90})] * 20)
    assert os.WTERMSIG(died.value.status) == signal.SIGXCPU
    h.close()


def test_processor_time_counts_per_run(photo):
    """A helper that has worked for long still has all of its time for the next run."""
    with Helper(cpu_seconds=2) as h:
        for _ in range(12):
            assert h.run(photo, ("image.resize", {"width": 1200, "format": "png"})).error is None


def test_the_output_file_is_not_left_half_written_as_a_result(helper, photo, tmp_path):
    path = written(tmp_path / "t.jpg", photo.read_bytes()[:200_000])
    outputs = []

    def make():
        outputs.append(tempfile.TemporaryFile())
        return outputs[-1]

    answer = run(helper, path, "image.convert", {"format": "jpeg"}, make_output=make)
    assert answer.failed("media_damaged") and not answer.outputs
