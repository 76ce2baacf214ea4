"""Owns: the proof on real file systems that what was acknowledged is on the disk: the disk as it was at some moment, with all that the
file system had not written yet missing, goes through fsck and has everything.
Must not know: how the daemon keeps its data."""

import os
import random
import shutil
import subprocess

import pytest

import daemon_process
from api import all_items, complete, content, get, initiate, send_chunk

FILE_SYSTEMS = {"ext4": ["mkfs.ext4", "-q", "-F"], "ext4 without a journal": ["mkfs.ext4", "-q", "-F", "-O", "^has_journal"]}
CHUNK = 64 << 10
OPTIONS = ("--chunk-size", CHUNK, "--workers", 0)


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def mounted(tmp_path):
    """mount(image) answers a folder; all are unmounted at the end. Wants to be root, and a loop device."""
    folders = []

    def mount(image):
        folder = tmp_path / f"mount-{len(folders)}"
        folder.mkdir()
        try:
            run("mount", "-o", "loop", image, folder)
        except subprocess.CalledProcessError as e:
            pytest.skip(f"can't mount an image: {e.stderr.strip()}")
        folders.append(folder)
        return folder

    yield mount
    for folder in folders:
        run("umount", folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting is root's")
@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_what_was_acknowledged_is_on_the_disk(kind, tmp_path, mounted):
    make, *options = FILE_SYSTEMS[kind]
    if not shutil.which(make):
        pytest.skip(f"no {make}")
    rng, image, copy = random.Random(1), tmp_path / "image", tmp_path / "copy"
    run("truncate", "-s", "256M", image)
    run(make, *options, image)
    before = daemon_process.Daemon(mounted(image), *OPTIONS).start()
    files = {}
    try:
        data = rng.randbytes(3 * CHUNK)
        begun = initiate(before, len(data))
        send_chunk(before, begun["upload_id"], 1, data[CHUNK:2 * CHUNK])
        # The small ones last: what is synced later takes the inodes of its neighbours along.
        for size in [3 * CHUNK + 7] * 4 + [1, 5000, CHUNK] * 6:
            whole = rng.randbytes(size)
            upload_id = initiate(before, size)["upload_id"]
            for index in range(0, -(-size // CHUNK)):
                send_chunk(before, upload_id, index, whole[index * CHUNK:(index + 1) * CHUNK])
            complete(before, upload_id)
            files[upload_id] = whole
        run("cp", "--sparse=always", image, copy)
    finally:
        assert before.end() is None
    assert subprocess.run(["e2fsck", "-fy", copy], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode in (0, 1)
    after = daemon_process.Daemon(mounted(copy), *OPTIONS).start()
    try:
        names = {file["id"] for file in all_items(after, "/v1/files")}
        for upload_id, expected in files.items():
            file_id = get(after, f"/v1/uploads/{upload_id}/status")["file_id"]
            assert file_id in names and content(after, file_id) == expected
        assert get(after, f"/v1/uploads/{begun['upload_id']}/status")["chunks_uploaded"] == 1
        for index in (0, 2):
            send_chunk(after, begun["upload_id"], index, data[index * CHUNK:(index + 1) * CHUNK])
        assert content(after, complete(after, begun["upload_id"])["file_id"]) == data
    finally:
        assert after.end() is None
