"""Owns: that docs/deployment.md works: its commands are taken from the page and executed in order, and the starter kit's script and
pytest cases pass against what they make. All of it in a network of its own, where the ports of the page are free."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

import cluster
from daemon_process import PREFIX
from test_starter_kit import LOOPBACK_UP, SCRIPT, UNSHARE, answers, can_unshare, paths_to_ourselves, write_pytest_cases

TOP = pathlib.Path(__file__).parents[2]
PAGE = (TOP / "docs" / "deployment.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.S | re.M)
SLOW = os.environ.get("FILEPROC_SLOW") == "yes"

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not can_unshare() or not cluster.available() or not shutil.which("redis-server"),
                                reason="needs root, a network of its own, and the four servers installed")


class Host:
    """A network of its own with a folder below which everything of the deployment is."""

    def __init__(self):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="fileproc-deployment-", dir="/tmp"))
        self.top.chmod(0o755)
        self.holder = subprocess.Popen([*UNSHARE, sys.executable, "-c", LOOPBACK_UP, "/bin/sleep", "3600"])
        prefix = self.top / "programs"
        if not SLOW:  # where whoever they run as can reach them
            for folder in ("bin", "libexec"):
                shutil.copytree(PREFIX / folder, prefix / folder)
            (prefix / "lib").mkdir()
            for path in (PREFIX / "lib").glob("libfileproc.so*"):
                shutil.copy(path, prefix / "lib")
        kept = ("PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
        self.env = {**{name: os.environ[name] for name in kept if name in os.environ},
                    "TOP": str(self.top), "PREFIX": str(prefix), "RUN_AS": "nobody", "LD_LIBRARY_PATH": f"{prefix}/lib", "NO_PROXY": "*",
                    "SIZE": "4G", "FILEPROC_HELPER": f"{prefix}/libexec/fileproc/fileproc-media"}
        deadline = time.monotonic() + 10
        while self.run("exec 3<>/dev/udp/127.0.0.1/9").returncode != 0:
            assert time.monotonic() < deadline, "loopback does not come up"

    def run(self, script, seconds=300, folder=TOP, **env):
        return subprocess.run(["nsenter", "--net", "--target", str(self.holder.pid), "bash", "-c", script], cwd=folder, text=True,
                              env={**self.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              timeout=seconds, check=False)

    def must(self, script, **options):
        done = self.run("set -eo pipefail\n" + script, **options)
        assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}\n{self.logs()}"
        return done.stdout

    def logs(self):
        return "\n".join(f"--- {path}\n{path.read_text(errors='replace')[-1500:]}" for path in sorted(self.top.glob("log/*.log")))

    def processes(self):
        """Whatever still runs in this network, but for what holds it."""
        network = os.readlink(f"/proc/{self.holder.pid}/ns/net")
        found = {}
        for path in pathlib.Path("/proc").iterdir():
            try:
                if path.name.isdigit() and int(path.name) != self.holder.pid and os.readlink(path / "ns" / "net") == network:
                    if "\nState:\tZ" not in (path / "status").read_text():
                        found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
            except OSError:
                continue
        return found

    def servers(self):
        """The same without PostgreSQL's processes for connections, which come and go."""
        return {pid: text for pid, text in self.processes().items() if not text.startswith("postgres: fileproc ")}

    def end(self):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.top, ignore_errors=True)


def block(word):
    [found] = [text for text in BLOCKS if word in text]
    return found


@pytest.fixture(scope="module")
def host():
    """The page, executed from its first block to the one that sends a file through all services."""
    own = Host()
    try:
        build, stop = block("meson setup"), block("host/$server stop")
        variables = BLOCKS[0].splitlines()[0] + "\n"  # a reader's shell keeps them
        for text in BLOCKS[:BLOCKS.index(stop)]:
            if text == build and not SLOW:
                continue  # what is tested here was built and installed the same way
            text = text.replace("build/release", f"{own.top}/build")  # an old one would know another PREFIX
            own.last = own.must((variables if text != BLOCKS[0] else "") + text, seconds=900)
        yield own
        if "wrong" not in vars(own):
            own.must(variables + stop)
            left = own.processes()
            assert not left, left
    finally:
        own.end()


def get(host, port, path):
    return json.loads(host.must(f"curl -fsS 'localhost:{port}{path}'"))


def test_the_page_s_commands_make_five_healthy_services(host):
    assert '"text"' in host.last and len(BLOCKS) >= 6
    everyone = get(host, 8000, "/health/all")
    assert everyone["status"] == "healthy" and set(everyone["services"]) == set(cluster.NAMES)
    assert set(everyone["services"]["processing"]["dependencies"]) >= {"database", "storage", "rabbitmq", "helper"}
    assert set(everyone["services"]["upload"]["dependencies"]) >= {"database", "storage", "redis", "rabbitmq"}
    for port, name in ((8000, "upload"), (8001, "metadata"), (8002, "ai"), (8003, "storage"), (8004, "processing")):
        assert get(host, port, "/health")["service"] == f"fileproc-{name}"


def test_secrets_are_private_and_in_no_log(host):
    secrets = [line.split("=", 1)[1] for line in (host.top / "fileproc.env").read_text().splitlines() if "SECRET" in line]
    secrets += [path.read_text().strip() for path in host.top.glob("*/password")]
    assert len(secrets) == 4 and all(len(secret) >= 32 for secret in secrets)
    for path in (host.top / "fileproc.env", *host.top.glob("run/*.env"), *host.top.glob("*/password")):
        assert path.stat().st_mode & 0o077 == 0, path
    logs = "".join(path.read_text() for path in host.top.glob("log/*.log"))
    assert logs and not any(secret in logs for secret in secrets)


def test_the_starter_kit_s_script_passes_unchanged(host):
    with paths_to_ourselves():
        done = host.run(SCRIPT.read_text(), folder=host.top)
    assert done.returncode == 0, done.stderr
    initiated, chunk, completed, status = answers(done.stdout)
    assert initiated["total_chunks"] == 1 and chunk["percentage"] == 100.0 and status["status"] == "completed"
    assert completed["storage_url"] == f"s3://uploads/files/{completed['file_id']}"
    for _ in range(300):
        job = get(host, 8004, f"/v1/jobs/{completed['processing_job_id']}")
        if job["finished_at"]:
            break
        time.sleep(0.1)
    assert job["state"] == "failed" and job["error"]["permanent"] is True, job
    assert get(host, 8001, f"/v1/files/{completed['file_id']}")["size"] == 1048576


def test_the_starter_kit_s_pytest_cases_pass(host, tmp_path):
    write_pytest_cases(tmp_path, "http://localhost:8000")
    done = host.run(f"{sys.executable} -m pytest -q -p no:cacheprovider test_main.py", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr


def test_servers_that_run_are_left_alone(host):
    variables = BLOCKS[0].splitlines()[0] + "\n"
    settings, before = (host.top / "fileproc.env").read_text(), host.servers()
    host.must(variables + block("host/$server start"))
    assert (host.top / "fileproc.env").read_text() == settings
    assert host.servers() == before
    assert get(host, 8000, "/health/all")["status"] == "healthy"


@pytest.mark.parametrize("server", ["postgresql", "redis", "rabbitmq", "s3"])
def test_a_port_that_is_taken_is_said_and_whose_it_is_goes_on(host, server):
    before = host.servers()
    other = host.top / f"other-{server}"
    try:
        started = host.run(f"deploy/host/{server} start {other}")
        assert started.returncode == 1 and "is in use" in started.stderr and not started.stdout, started
        assert host.run(f"deploy/host/{server} stop {other}").returncode == 0
    finally:
        shutil.rmtree(other, ignore_errors=True)
    assert host.servers() == before
    assert get(host, 8000, "/health/all")["status"] == "healthy"


def test_after_stop_and_start_everything_is_still_there(host):
    variables = BLOCKS[0].splitlines()[0] + "\n"
    before = get(host, 8001, "/v1/files")["items"]
    assert before
    host.wrong = True  # until it runs again there is nothing to stop
    host.must(variables + block("host/$server stop"))
    assert not host.processes()
    host.must(variables + block("host/$server start"))
    host.must(variables + block("nohup"))
    del host.wrong
    assert get(host, 8001, "/v1/files")["items"] == before
    content = host.must(f"curl -fsS localhost:8001/v1/files/{before[-1]['id']}/content")
    assert content.startswith("name,place")


def test_the_documented_unit_is_one():
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd")
    text = (TOP / "deploy" / "systemd" / "fileproc@.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "fileproc@.service"
        unit.write_text(text.replace("/usr/local/bin/fileproc-%i", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
