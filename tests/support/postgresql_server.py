"""Owns: a PostgreSQL server of a test's own, that may crash and be started again.
Must not know: what is tested."""

import os
import pathlib
import subprocess

SCRIPT = pathlib.Path(__file__).parent / "servers" / "postgresql"


class PostgresqlServer:
    """Keeps its port and what was committed from one start to the next. The folder must be open to the server's own user."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.uri = None

    def start(self):
        done = subprocess.run([SCRIPT, "start", self.folder], check=True, stdout=subprocess.PIPE, text=True, timeout=120)
        self.uri = dict(line.split("=", 1) for line in done.stdout.splitlines())["FILEPROC_TEST_POSTGRESQL_URI"]
        return self

    def stop(self):
        subprocess.run([SCRIPT, "stop", self.folder], check=True, timeout=120, env={**os.environ, "FILEPROC_STOP": "immediate"})
