"""Owns: the check that an installed libfileproc is enough: the example is built out of tree from the .pc file alone."""

import json
import os
import pathlib
import subprocess

import pytest

PREFIX = pathlib.Path(os.environ["FILEPROC_PREFIX"])
TOP = pathlib.Path(__file__).parents[2]
PHOTO = pathlib.Path("/usr/share/backgrounds/mate/nature/Dune.jpg")
MANUAL = pathlib.Path("/usr/share/R/doc/manual/R-intro.pdf")


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(PREFIX / "lib" / "pkgconfig")}
    flags = subprocess.check_output(["pkg-config", "--cflags", "--libs", "fileproc"], env=environment, text=True).split()
    subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", TOP / "examples" / "upload_and_process.c", "-o",
                    folder / "upload_and_process", *flags, f"-Wl,-rpath,{PREFIX}/lib"], check=True)
    return folder / "upload_and_process"


def run(example, folder, path, mime_type):
    done = subprocess.run([example, folder, path, mime_type], capture_output=True, text=True, timeout=60)
    return done, [json.loads(line) for line in done.stdout.splitlines()]


def test_example_makes_derivatives_and_facts_of_a_real_photo(example, tmp_path):
    done, (photo, *derivatives) = run(example, tmp_path, PHOTO, "image/jpeg")
    assert done.returncode == 0, done.stderr
    assert photo["info"]["image"]["width"] > 1000 and photo["size"] == PHOTO.stat().st_size
    assert {d["operation"] for d in derivatives} == {"image.resize"} and len(derivatives) == 2


def test_example_reads_a_real_pdf(example, tmp_path):
    done, (document, *derivatives) = run(example, tmp_path, MANUAL, "application/pdf")
    assert done.returncode == 0, done.stderr
    assert document["info"]["pdf"]["pages"] > 50 and "R" in document["info"]["text"]["excerpt"]
    assert {d["operation"] for d in derivatives} == {"pdf.text", "pdf.render"}


def test_example_says_why_a_file_can_not_be_processed(example, tmp_path):
    fake = tmp_path / "fake.png"
    fake.write_text("This is no picture.\n")
    done, (file, *derivatives) = run(example, tmp_path / "data", fake, "image/png")
    assert done.returncode == 0 and not derivatives and file["size"] == 20
    assert "media_type_mismatch" in done.stderr and "text/plain" in done.stderr
