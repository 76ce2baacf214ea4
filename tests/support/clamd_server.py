"""Owns: a clamd of a test's own, that may be stopped, started and frozen.
Must not know: what is tested."""

import os
import pathlib
import shutil
import signal
import subprocess

SCRIPT = pathlib.Path(__file__).parent / "servers" / "clamd"
# In two pieces, so that no scanner takes this file for one.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURE = "Eicar-Test-Signature.UNOFFICIAL"
STREAM_MAX = 2 << 20


def installed():
    return shutil.which("clamd") is not None


class ClamdServer:
    """Keeps its port from one start to the next."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.uri = self.socket = None

    def start(self):
        done = subprocess.run([SCRIPT, "start", self.folder], check=True, stdout=subprocess.PIPE, text=True, timeout=120)
        facts = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.uri, self.socket = facts["FILEPROC_TEST_CLAMD_URI"], facts["FILEPROC_TEST_CLAMD_SOCKET"]
        return self

    def stop(self):
        subprocess.run([SCRIPT, "stop", self.folder], check=True, timeout=60)

    def freeze(self, frozen=True):
        os.kill(int((self.folder / "pid").read_text()), signal.SIGSTOP if frozen else signal.SIGCONT)
