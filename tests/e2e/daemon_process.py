"""Owns: one daemon as a process, fileprocd or one of the five: start, readiness, ways to end, and what it must not leave behind.
Must not know: what is asked of it."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import requests

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))
from free_port import free_port  # noqa: E402  a folder of its own

PREFIX = pathlib.Path(os.environ["FILEPROC_PREFIX"])
PROGRAM = PREFIX / "bin" / "fileprocd"
HELPER = pathlib.Path(os.environ.get("FILEPROC_MEDIA_HELPER", PREFIX / "libexec" / "fileproc" / "fileproc-media"))


def environment(**changes):
    """Of the tests' own environment a daemon gets next to nothing, so that no setting of the machine's owner leaks in."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
            if name in os.environ}
    if HELPER.parent.parent.parent != PREFIX:  # another build's
        kept["FILEPROC_HELPER"] = str(HELPER)
    return {**kept, "LD_LIBRARY_PATH": str(PREFIX / "lib"), **changes}


def stat_of(pid):
    """(parent, start time, state) of a process; None when there is none."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), fields[19], fields[0]


def children(pid):
    """{pid: start time} of the living children of a process."""
    found = {}
    for path in pathlib.Path("/proc").iterdir():
        stat = stat_of(path.name) if path.name.isdigit() else None
        if stat and stat[0] == pid and stat[2] != "Z":
            found[int(path.name)] = stat[1]
    return found


def alive(pid, started):
    stat = stat_of(pid)
    return stat is not None and stat[1] == started and stat[2] != "Z"


class Daemon:
    """Runs on one port and one data folder from the first start to the last stop."""

    def __init__(self, folder, *options, env=None, before=(), port=None, program="fileprocd"):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.program = PREFIX / "bin" / program
        self.options = [str(option) for option in options]
        self.env, self.before = env or {}, list(before)
        self.process = None
        self.helpers = {}

    def command(self):
        return [*self.before, self.program, "--port", str(self.port), "--data", self.data, *self.options]

    def start(self, wait=True):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment(**self.env))
        if wait:
            self.wait_ready()
        return self

    restart = start

    def is_ready(self):
        try:
            return requests.get(self.url + "/readyz", timeout=10).status_code == 200
        except requests.ConnectionError:
            return False

    def wait_ready(self, seconds=30):
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            assert self.process.poll() is None, f"fileprocd ended with {self.process.returncode}: {self.log_text()[-2000:]}"
            assert time.monotonic() < deadline, "fileprocd does not get ready"
            time.sleep(0.01)

    def note_helpers(self):
        self.helpers.update(children(self.process.pid))

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.note_helpers()
        self.process.send_signal(signal.SIGKILL)
        return self.process.wait(30)

    def signal_end(self):
        self.note_helpers()
        self.process.send_signal(signal.SIGTERM)

    def terminate(self, seconds=45):
        self.signal_end()
        return self.process.wait(seconds)

    def end(self):
        """Stops it if it runs, and answers what is wrong with the way it ended; None when nothing is."""
        if self.running():
            try:
                status = self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()
                return "fileprocd did not end after SIGTERM"
            if status != 0:
                return f"fileprocd ended with status {status}"
        return self.left_behind()

    def left_behind(self, seconds=5):
        deadline = time.monotonic() + seconds
        while left := [pid for pid, started in self.helpers.items() if alive(pid, started)]:
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                return f"helper processes {left} outlived fileprocd"
            time.sleep(0.02)
        return None

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def memory_mib(self, field="VmHWM"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"no {field}")
