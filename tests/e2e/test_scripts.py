"""Owns: the scripts that the README shows: script/send."""

import json
import os
import pathlib
import subprocess

import daemon_process
from media_files import MANUALS, PHOTOS

SEND = pathlib.Path(__file__).parents[2] / "script" / "send"


def send(server, *arguments):
    return subprocess.run([SEND, *arguments], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "FILEPROC_URL": server.url})


def objects(text):
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def test_send_uploads_waits_and_shows_the_file_and_its_derivatives(server):
    for path, key in ((PHOTOS[0], "image"), (MANUALS / "R-data.pdf", "pdf")):
        done = send(server, path)
        assert done.returncode == 0, done.stderr
        file, *derivatives = objects(done.stdout)
        assert file["filename"] == path.name and file["size"] == path.stat().st_size and key in file["info"]
        assert len(derivatives) == 2 and all(d["parent_id"] == file["id"] for d in derivatives)


def test_send_says_what_went_wrong(server, tmp_path):
    odd = tmp_path / "name with 'quotes' and ü.png"
    odd.write_text("only words\n")
    done = send(server, odd, "image/png")
    assert done.returncode == 3 and "media_type_mismatch" in done.stderr and '"failed"' in done.stderr
    assert objects(done.stdout)[0]["filename"] == odd.name
    done = send(server, odd, "application/x-msdownload")
    assert done.returncode == 1 and "type_not_allowed" in done.stdout + done.stderr
    nothing = send(server, tmp_path / "nothing")
    assert nothing.returncode == 2 and "no such file" in nothing.stderr
    port = daemon_process.free_port()
    nobody = subprocess.run([SEND, odd], capture_output=True, text=True, timeout=60, check=False,
                            env={**os.environ, "FILEPROC_URL": f"http://127.0.0.1:{port}"})
    assert nobody.returncode == 1 and "FILEPROC_URL" in nobody.stderr and str(port) in nobody.stderr


def test_send_knows_the_types_that_the_bytes_do_not_show(server, tmp_path):
    (tmp_path / "Table.CSV").write_text("name;place\nAnn;here\n")  # file(1) takes it for text
    (tmp_path / "plain.txt").write_text("only words\n")
    (tmp_path / "empty").touch()
    (tmp_path / "picture.csv").write_bytes(PHOTOS[0].read_bytes())
    for name, given, expected in (("Table.CSV", [], "text/csv"), ("plain.txt", [], "text/plain"), ("empty", [], "text/plain"),
                                  ("picture.csv", [], "image/jpeg"), ("Table.CSV", ["text/plain"], "text/plain")):
        done = send(server, tmp_path / name, *given)
        assert done.returncode == 0, (name, done.stderr)
        assert objects(done.stdout)[0]["mime_type"] == expected, name
