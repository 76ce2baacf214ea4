"""Owns: the disk that fails at the Nth change (tests/support/faulty_disk.c): building it, and the page through which it is told when.
Must not know: what the daemon does."""

import mmap
import pathlib
import struct
import subprocess

from daemon_process import Daemon

SOURCE = pathlib.Path(__file__).parents[1] / "support" / "faulty_disk.c"
NOTHING, FAIL, FAIL_ALWAYS, KILL, KILL_TORN = range(5)
LOSE_BYTES, LOSE_NAMES, LOSE_SOME = 1, 2, 4


def build(folder):
    library = folder / "faulty_disk.so"
    subprocess.run(["cc", "-std=gnu11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", SOURCE, "-o", library], check=True)
    return library


class FaultyDisk:
    def __init__(self, folder, library):
        self.folder, self.library = folder, library
        self.trash = folder / "trash"
        self.trash.mkdir(parents=True)
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        (folder / "page").write_bytes(bytes(4096))
        with open(folder / "page", "r+b") as file:
            self.page = mmap.mmap(file.fileno(), 4096)

    def environment(self):
        return {"LD_PRELOAD": str(self.library), "FAULTY_DISK_PAGE": str(self.folder / "page"),
                "FAULTY_DISK_FOLDER": str(self.data), "FAULTY_DISK_TRASH": str(self.trash)}

    def arm(self, what, at, error=0, lose=0):
        """From now on changes are counted; the one with the number `at` meets its fate."""
        self.page[:24] = struct.pack("=6I", NOTHING, at, 0, error, lose, 0)
        self.page[:4] = struct.pack("=I", what)

    def disarm(self):
        self.page[:4] = struct.pack("=I", NOTHING)

    def fired(self):
        return struct.unpack("=6I", self.page[:24])[5] == 1

    def count(self):
        return struct.unpack("=6I", self.page[:24])[2]


class FaultyDaemon(Daemon):
    def __init__(self, folder, library, *options):
        self.disk = FaultyDisk(folder, library)
        super().__init__(folder, *options, env=self.disk.environment())

    def restart_well(self):
        """After its end at a fault: without faults."""
        self.disk.disarm()
        self.process.wait(10)
        self.restart()
