"""Owns: a Redis server of a test's own, that may be stopped, started, frozen and emptied.
Must not know: what is tested."""

import os
import pathlib
import shutil
import signal
import subprocess
import urllib.parse

SCRIPT = pathlib.Path(__file__).parent / "servers" / "redis"


def installed():
    return shutil.which("redis-server") is not None


class RedisServer:
    """Keeps its port, its password and, but for the last second before a crash, what it was told from one start to the next."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.uri = None

    def start(self):
        done = subprocess.run([SCRIPT, "start", self.folder], check=True, stdout=subprocess.PIPE, text=True, timeout=60)
        self.uri = dict(line.split("=", 1) for line in done.stdout.splitlines())["FILEPROC_TEST_REDIS_URI"]
        return self

    def stop(self):
        subprocess.run([SCRIPT, "stop", self.folder], check=True, timeout=60)

    def freeze(self, frozen=True):
        os.kill(int((self.folder / "pid").read_text()), signal.SIGSTOP if frozen else signal.SIGCONT)

    def ask(self, *command):
        parts = urllib.parse.urlsplit(self.uri)
        done = subprocess.run(["redis-cli", "-h", parts.hostname, "-p", str(parts.port), "--no-raw", *command], check=True, text=True,
                              stdout=subprocess.PIPE, timeout=20,
                              env={**os.environ, "REDISCLI_AUTH": urllib.parse.unquote(parts.password)})
        return done.stdout.strip()

    def flush(self):
        self.ask("FLUSHALL")
        self.ask("SCRIPT", "FLUSH")
