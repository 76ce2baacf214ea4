"""Owns: an S3 server of a test's own, whose gateway may be stopped, hung and started.
Must not know: what is tested."""

import os
import pathlib
import shutil
import signal
import subprocess

SCRIPT = pathlib.Path(__file__).parent / "servers" / "s3"


def installed():
    return shutil.which("radosgw") is not None and shutil.which("ceph-osd") is not None


class Gateway:
    """Keeps its port and what is stored from one start of the gateway to the next."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.env = {}

    def run(self, action):
        done = subprocess.run([SCRIPT, action, self.folder], check=True, stdout=subprocess.PIPE, text=True, timeout=120)
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def start(self):
        self.env = self.run("start")
        return self

    def stop(self):
        self.run("stop")

    def halt(self):
        self.run("halt")

    def resume(self):
        self.run("resume")

    def signal(self, number):
        os.kill(int((self.folder / "run" / "client.rgw.pid").read_text()), number)

    def hang(self):
        self.signal(signal.SIGSTOP)

    def go_on(self):
        self.signal(signal.SIGCONT)

    @property
    def endpoint(self):
        return self.env["FILEPROC_TEST_S3_ENDPOINT"]

    @property
    def keys(self):
        return self.env["FILEPROC_TEST_S3_ACCESS_KEY"], self.env["FILEPROC_TEST_S3_SECRET_KEY"]

    def make_bucket(self, name):
        subprocess.run(["curl", "-sSf", "-X", "PUT", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", ":".join(self.keys),
                        "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", f"http://{self.endpoint}/{name}"], check=True)
        return name
