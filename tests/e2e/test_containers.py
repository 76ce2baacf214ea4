"""Owns: that deploy/ holds together: the compose file is valid, what it watches exists, and, in the slow suite, that the Dockerfile
builds on a base made here, without any registry, and a daemon of it runs."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest
import requests

import metrics_text
from daemon_process import PREFIX, Daemon, free_port

TOP = pathlib.Path(__file__).parents[2]
DEPLOY = TOP / "deploy"
SLOW = os.environ.get("FILEPROC_SLOW") == "yes"
needs = lambda *programs: pytest.mark.skipif(not all(map(shutil.which, programs)), reason=f"needs {', '.join(programs)}")


def compose(*options, file=DEPLOY / "compose" / "compose.yaml"):
    return subprocess.run(["docker-compose", "--env-file", DEPLOY / "compose" / ".env.example", "-f", file, "config", *options],
                          capture_output=True, text=True, timeout=120, check=False)


@needs("docker-compose")
def test_the_compose_file_is_valid_and_has_the_starter_kit_s_names():
    done = compose()
    assert done.returncode == 0, done.stderr
    names = compose("--services").stdout.split()
    assert set(names) >= {"postgres", "redis", "rabbitmq", "upload-service", "processing-service", "metadata-service", "ai-service",
                          "storage-service", "prometheus", "grafana"}
    for port in ("8000:8000", "8001:8000", "8002:8000", "8003:8000", "8004:8000", "5432:5432", "6379:6379", "5672:5672", "15672:15672",
                 "9000:9000", "9090:9090", "3000:3000"):
        assert f"127.0.0.1:{port}/tcp" in done.stdout, port
    for name in ("DATABASE_URL", "REDIS_URL", "RABBITMQ_URL", "MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        assert name + ":" in done.stdout
    assert "microservices-network" in done.stdout


@needs("docker-compose")
def test_a_mistake_in_the_compose_file_would_be_noticed(tmp_path):
    (tmp_path / "compose.yaml").write_text((DEPLOY / "compose" / "compose.yaml").read_text().replace("read_only:", "raed_only:", 1))
    assert compose(file=tmp_path / "compose.yaml").returncode != 0


def test_no_image_comes_from_a_named_registry_and_every_one_is_pinned():
    text = (DEPLOY / "compose" / "compose.yaml").read_text()
    images = [image for image in re.findall(r"^\s+image: (\S+)", text, re.M) if not image.startswith("<")]
    assert len(images) >= 12
    for image in images:
        assert "." not in image.split("/")[0] or "/" not in image, image
        assert image.startswith("fileproc-") or re.search(r":v?\d+\.\d+", image), image
    bases = re.findall(r"^FROM (\S+)", (DEPLOY / "docker" / "Dockerfile").read_text(), re.M)
    stages = {"${BASE}", "runtime", "media"}
    assert set(bases) <= stages, bases


def test_every_variable_of_the_compose_file_is_in_the_example():
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", (DEPLOY / "compose" / "compose.yaml").read_text()))
    given = set(re.findall(r"^(\w+)=", (DEPLOY / "compose" / ".env.example").read_text(), re.M))
    assert used == given, used ^ given


def expressions():
    panels = json.loads((DEPLOY / "grafana" / "dashboards" / "fileproc.json").read_text())["panels"]
    assert len(panels) > 10 and all(panel["datasource"]["uid"] == "prometheus" for panel in panels)
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return found + re.findall(r"^\s+expr: (.*)$", (DEPLOY / "prometheus" / "rules.yml").read_text(), re.M)


@pytest.mark.skipif("FILEPROC_TEST_RABBITMQ_URI" not in os.environ, reason="no RabbitMQ")
def test_whatever_is_watched_exists(tmp_path):
    own = Daemon(tmp_path / "fileprocd", env={"RABBITMQ_URL": os.environ["FILEPROC_TEST_RABBITMQ_URI"]}).start()
    families = metrics_text.parse(requests.get(own.url + "/metrics", timeout=30).text)
    assert own.end() is None
    known = {name + end for name in families for end in ("", "_bucket")}
    for expression in expressions():
        bare = re.sub(r'"[^"]*"|\{[^}]*\}|\b(by|sum|rate|max|min|increase|histogram_quantile|service|status|state|le)\b', " ", expression)
        for name in re.findall(r"[a-z_]{4,}", bare):
            assert name in known, (name, expression)


@needs("promtool")
def test_prometheus_takes_its_files():
    done = subprocess.run(["promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml"], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0 and "6 rules found" in done.stdout, done.stdout + done.stderr


# ---- images ----


@needs("readelf", "dpkg-query")
def test_the_images_have_the_libraries_that_the_daemons_link():
    """What a build needs comes with the -dev packages; what runs must be listed."""
    listed = set(re.search(r"ca-certificates(.*?)&&", (DEPLOY / "docker" / "Dockerfile").read_text(), re.S).group(1).split())
    programs = [*(PREFIX / "bin").glob("fileproc*"), PREFIX / "lib" / "libfileproc.so"]
    needed = {name for program in programs for name in re.findall(r"\(NEEDED\).*\[(.+)\]", subprocess.run(
        ["readelf", "-d", program], capture_output=True, text=True, check=True).stdout)}
    assert "libcivetweb.so.1" in needed
    for name in needed - {"libfileproc.so.0.1"}:
        owner = subprocess.run(["dpkg-query", "-S", f"*/{name}"], capture_output=True, text=True, check=False).stdout.split(":")[0]
        if owner.startswith(("libasan", "libtsan", "libubsan", "libgcc", "libc6")):
            continue
        assert owner in listed, (name, owner)


class Images:
    """A store of images of the test's own, below a folder of the disk: layers upon layers where the file system can do that, else
    copies upon copies."""

    def __init__(self, folder):
        self.folder = folder
        self.driver = "overlay"
        try:
            self.buildah("images")
        except AssertionError:
            self.driver = "vfs"

    def command(self, *arguments):
        return ["buildah", "--root", self.folder / "store", "--runroot", self.folder / "run", "--storage-driver", self.driver, *arguments]

    def buildah(self, *arguments, seconds=1800):
        done = subprocess.run(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              text=True, timeout=seconds, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout.strip()

    def make_base(self):
        """A Debian 12 as its image has it, made by debootstrap."""
        root = self.folder / "debian"
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True, stdout=subprocess.DEVNULL, timeout=900)
        archive = self.folder / "debian.tar"
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True, timeout=300)
        shutil.rmtree(root)
        container = self.buildah("from", "scratch").splitlines()[-1]
        self.buildah("add", container, archive, "/")
        self.buildah("commit", "--rm", container, "local-debian:12")
        archive.unlink()

    def build(self, target):
        self.buildah("bud", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers", "--build-arg", "BASE=local-debian:12",
                     "--target", target, "-t", f"fileproc-{target}", "-f", "deploy/docker/Dockerfile", self.folder / "source")

    def take_source(self):
        """What a fresh clone has, so that nothing else is needed, and nothing changes while the targets are built."""
        (self.folder / "source").mkdir()
        files = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, check=True, capture_output=True, timeout=60).stdout
        archive = subprocess.run(["tar", "--null", "-T", "-", "-c"], cwd=TOP, input=files, check=True, capture_output=True, timeout=60)
        subprocess.run(["tar", "-x"], cwd=self.folder / "source", input=archive.stdout, check=True, timeout=60)

    def run(self, target, port, **env):
        """Its entry point and health check, in a container whose root is mounted here."""
        container = self.buildah("from", "--pull-never", f"fileproc-{target}").splitlines()[-1]
        settings = [option for name, value in env.items() for option in ("--env", f"{name}={value}")]
        config = json.loads(self.buildah("inspect", "--type", "image", f"fileproc-{target}"))["OCIv1"]["config"]
        return config, container, self.command("run", "--isolation", "chroot", "--network", "host", "--env", f"FILEPROC_PORT={port}",
                                               *settings, container, "--", *config["Entrypoint"])


@pytest.mark.skipif(not SLOW or os.geteuid() != 0, reason="only in the slow suite, as root")
@needs("buildah", "debootstrap")
def test_the_dockerfile_builds_and_its_daemon_runs(tmp_path, request):
    images = Images(tmp_path)
    request.addfinalizer(lambda: shutil.rmtree(tmp_path, ignore_errors=True))  # some gigabytes
    images.take_source()
    images.make_base()
    for target in ("upload", "metadata", "ai", "storage", "processing", "fileprocd"):
        images.build(target)
    port = free_port()
    config, container, command = images.run("fileprocd", port)
    assert config["User"] == "10001:10001" and config["Entrypoint"] == ["/usr/local/bin/fileprocd"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                health = requests.get(f"http://127.0.0.1:{port}/health", timeout=10).json()
                break
            except requests.ConnectionError:
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
        assert health["status"] == "healthy" and health["dependencies"]["helper"] == "available", health
        check = images.buildah("inspect", "--type", "image", "fileproc-fileprocd")
        assert "/readyz" in check
        images.buildah("run", "--isolation", "chroot", "--network", "host", "--env", f"FILEPROC_PORT={port}", container, "--", "/bin/sh", "-c",
                       "exec curl -fsS -o /dev/null http://127.0.0.1:${FILEPROC_PORT}/readyz")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(45)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
