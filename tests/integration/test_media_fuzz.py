"""Owns: the test that no damaged file of any type gets more out of the helper than an answer.
Must not know: formats. A failure prints the seed; FILEPROC_FUZZ_SEED=N runs that one alone, FILEPROC_SLOW=yes runs far more of them."""

import os
import pathlib
import random
import shutil

import pytest

import media_samples as samples
from media_helper import Died, Helper
from test_media_archive import make_tar, make_zip

ROUNDS = 1500 if os.environ.get("FILEPROC_SLOW") == "yes" else 60
LIMITS = {"max_pixels": 4_000_000, "max_output_bytes": 16 << 20, "max_unpacked_bytes": 256 << 20, "max_pages": 3}
IMAGE = [("image.info", {}), ("image.resize", {"width": 40, "format": "jpeg"}),
         ("image.resize", {"width": 30, "height": 30, "fit": "cover", "crop": "attention", "format": "webp", "frames": "all"}),
         ("image.convert", {"format": "png"})]
STEPS = {
    "jpg": IMAGE, "png": IMAGE, "webp": IMAGE, "gif": IMAGE, "tiff": IMAGE, "avif": IMAGE,
    "pdf": [("pdf.info", {}), ("pdf.text", {"pages": "1-3"}), ("pdf.render", {"dpi": 20})],
    "zip": [("archive.list", {})], "tar": [("archive.list", {})], "tar.gz": [("archive.list", {})], "tar.xz": [("archive.list", {})],
    "csv": [("text.stats", {})],
}


def originals(folder, kind, photo, manual, helper):
    """Good files of a kind, small enough that a mutation hits something."""
    path = folder / f"good.{kind}"
    if kind in ("jpg", "png", "webp", "tiff"):
        yield samples.saved(samples.gradient(120, 90), path, exif=samples.exif(6), icc_profile=samples.wide_profile())
        if kind != "jpg":
            yield samples.saved(samples.quarters(60, 40, "RGBA"), folder / f"alpha.{kind}")
        else:
            yield samples.saved(samples.quarters(60, 40, "CMYK"), folder / "cmyk.jpg")
            yield samples.saved(samples.gradient(100, 80), folder / "progressive.jpg", progressive=True)
        if kind == "webp":
            yield samples.animation(folder / "moving.webp")
    elif kind == "gif":
        yield samples.animation(path)
    elif kind == "avif":
        path.write_bytes(helper.run(photo, ("image.resize", {"width": 90, "format": "avif"})).output.bytes)
        yield path
    elif kind == "pdf":
        path.write_bytes(samples.simple_pdf(3))
        yield path
        yield pathlib.Path(shutil.copy(manual, folder / "manual.pdf"))
    elif kind == "csv":
        path.write_text('a,b,"c ""d"""\n1,2,3\r\n"x\ny",5,ž\n' * 20)
        yield path
    elif kind == "zip":
        yield make_zip(path)
    else:
        yield make_tar(path, mode="w:" + kind.partition(".")[2])


def mutate(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16, 64))):
        if not data:
            break
        # The front is where the structure is.
        at = rng.randrange(len(data) if rng.random() < 0.5 else min(len(data), 600))
        kind = rng.randrange(7)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            data[at:at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x80", rng.randbytes(4)))
        elif kind == 3:
            del data[at:at + rng.randrange(1, 200)]
        elif kind == 4:
            data[at:at] = rng.randbytes(rng.randrange(1, 50))
        elif kind == 5:
            other = rng.randrange(len(data))
            size = rng.randrange(1, 100)
            data[at:at + size] = data[other:other + size]
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


@pytest.fixture
def fuzzed():
    """Its own process: it may die. Few seconds and little memory, so that a loop or a bomb is found soon."""
    h = Helper(memory=2 << 30, cpu_seconds=10).start()
    yield h
    h.close()


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_damaged_files_get_an_answer(fuzzed, photo, manual, tmp_path, kind):
    good = [path.read_bytes() for path in originals(tmp_path, kind, photo, manual, fuzzed)]
    path = tmp_path / "bad"
    one = os.environ.get("FILEPROC_FUZZ_SEED")
    for seed in [int(one)] if one else range(ROUNDS):
        rng = random.Random(f"{kind} {seed}")
        data = mutate(rng, rng.choice(good))
        path.write_bytes(data)
        for step in STEPS[kind]:
            try:
                answer = fuzzed.run(path, step, limits=LIMITS, declared=None)
            except Died as died:
                pytest.fail(f"seed {seed} of {kind}: {step[0]} ended the helper with wait status {died}")
            except TimeoutError:
                os.kill(fuzzed.pid, 9)
                pytest.fail(f"seed {seed} of {kind}: {step[0]} does not answer")
            if answer.error:
                assert answer.error["code"] in ("media_damaged", "media_unsupported", "media_type_mismatch", "media_too_large",
                                                "media_encrypted", "archive_bomb", "output_too_large", "helper_memory"), (seed, answer.error)
    assert fuzzed.run(photo, "image.info").result["width"] == 2560
