"""Owns: the five daemons over PostgreSQL, Redis, RabbitMQ and an S3 server: they start at once, work together, and tell the truth of their
health; and that what belongs to one process is kept from a second one."""

import concurrent.futures
import random
import re
import subprocess
import time

import cluster
import metrics_text
import pytest
import test_kill

from api import UNKNOWN, ask, check_problem, content, get, initiate, send_chunk, try_chunk, upload, wait_for_job, wait_until
from daemon_process import HELPER, PREFIX, Daemon, environment, free_port
from media_files import PHOTOS

needs_servers = pytest.mark.skipif(not cluster.available(), reason="no PostgreSQL, Redis, RabbitMQ and S3 server")
DEPENDENCIES = {"upload": {"database", "storage", "redis", "rabbitmq", "disk"}, "metadata": {"database", "storage", "disk"}, "ai": set(),
                "storage": {"storage"}, "processing": {"database", "storage", "rabbitmq", "helper", "disk"}}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """Two of each, all started at the same moment on an empty database."""
    own = cluster.Cluster(tmp_path_factory.mktemp("services"), replicas=2, FILEPROC_HELPER=str(HELPER)).start()
    yield own
    assert own.end() is None


@needs_servers
def test_a_file_goes_through_all_of_them(services):
    photo = test_kill.jpeg(random.Random(1))  # a small one: sanitizers are slow
    done = upload(services["upload"], photo, "photo.jpg", "image/jpeg")
    assert done["storage_url"] == f"s3://{services.bucket}/files/{done['file_id']}"
    assert wait_for_job(services["processing"], done["processing_job_id"])["state"] == "succeeded"
    file = get(services["metadata"], f"/v1/files/{done['file_id']}")
    assert file["info"]["image"]["width"] == 320 and file["sha256"]
    assert content(services["metadata"], done["file_id"]) == photo
    assert ask(services["storage"], "GET", f"/v1/objects/files/{done['file_id']}").content == photo
    derivatives = get(services["metadata"], f"/v1/files/{done['file_id']}/derivatives")["items"]
    assert len(derivatives) == 2
    assert ask(services["metadata"], "DELETE", f"/v1/files/{done['file_id']}").status_code == 204
    check_problem(ask(services["storage"], "GET", f"/v1/objects/files/{done['file_id']}"), 404, "object_not_found")


@needs_servers
def test_each_serves_its_own_routes_and_no_other(services):
    paths = {"upload": f"/v1/uploads/{UNKNOWN}/status", "metadata": "/v1/files", "storage": "/v1/objects", "processing": "/v1/jobs",
             "ai": "/v1/analyses"}
    for owner, path in paths.items():
        for name in cluster.NAMES:
            reply = ask(services[name], "GET", path)
            if owner == name == "upload":
                check_problem(reply, 404, "upload_not_found")
            elif owner == name and name != "ai":
                assert reply.status_code == 200, (name, path)
            else:
                check_problem(reply, 404, "not_found")
    assert get(services["storage"], "/")["links"] == {"objects": "/v1/objects", "health": "/health", "metrics": "/metrics"}
    assert get(services["ai"], "/")["links"] == {"health": "/health", "metrics": "/metrics"}


@needs_servers
def test_health_names_what_each_depends_on_with_its_latency(services):
    for one in services.all:
        name = one.program.name.removeprefix("fileproc-")
        health = get(one, "/health")
        assert health["status"] == "healthy" and health["service"] == one.program.name
        assert set(health["dependencies"]) == DEPENDENCIES[name]
        assert set(health["dependencies"].values()) <= {"connected", "available"}
        asked = DEPENDENCIES[name] - {"helper", "disk"}
        assert set(health["latency_ms"]) == asked and all(0 < ms < 2000 for ms in health["latency_ms"].values())
        for path in ("/livez", "/readyz", "/startupz"):
            assert ask(one, "GET", path).status_code == 200


@needs_servers
def test_metrics_are_those_of_the_service(services):
    families = {name: metrics_text.parse(ask(services[name], "GET", "/metrics").text) for name in cluster.NAMES}
    owners = {"uploads_total": {"upload"}, "upload_duration_seconds": {"upload"}, "chunks_uploaded_total": {"upload"},
              "fileproc_uploads_open": {"upload"}, "fileproc_jobs_queued": {"processing"},
              "fileproc_jobs_finished_total": {"processing", "upload"}, "fileproc_events_sent_total": {"upload", "processing"},
              "fileproc_build_info": set(cluster.NAMES), "fileproc_http_requests_total": set(cluster.NAMES)}
    for metric, names in owners.items():
        assert {name for name in cluster.NAMES if metric in families[name]} == names, metric


@needs_servers
def test_health_all_tells_of_the_five(services):
    for name in cluster.NAMES:
        everyone = get(services[name], "/health/all")
        assert everyone["status"] == "healthy" and set(everyone["services"]) == set(cluster.NAMES)
        for other, told in everyone["services"].items():
            assert told["status"] == "healthy" and set(told["dependencies"]) == DEPENDENCIES[other]


@needs_servers
def test_health_all_names_who_is_away_and_does_not_wait_for_ever(services, tmp_path):
    proxy = cluster.Proxy(f"127.0.0.1:{services.ports['storage']}")
    own = Daemon(tmp_path / "ai", "--peer-ai", "http://127.0.0.1:1", "--peer-metadata", f"http://127.0.0.1:{free_port()}",
                 "--peer-storage", f"http://{proxy.address}/", "--peer-upload", f"http://127.0.0.1:{services.ports['upload']}/nothing",
                 "--peer-timeout", "1s", env=services.env, program="fileproc-ai").start()
    try:
        proxy.set("stall")
        began = time.monotonic()
        reply = ask(own, "GET", "/health/all")
        assert time.monotonic() - began < 4 and reply.status_code == 503
        told = reply.json()
        assert told["status"] == "unhealthy" and told["services"]["ai"]["status"] == "healthy"
        assert told["services"]["processing"]["status"] == "healthy"
        for name in ("metadata", "storage", "upload"):
            assert told["services"][name]["status"] == "unreachable" and told["services"][name]["detail"], told
        assert ask(own, "GET", "/health").status_code == 200, "its own health is its own"
        proxy.set("pass")
        wait_until(lambda: ask(own, "GET", "/health/all").json()["services"]["storage"]["status"] == "healthy", 10)
    finally:
        assert own.end() is None
        proxy.end()


def told_of(daemon, part, word):
    def told():
        began = time.monotonic()
        reply = ask(daemon, "GET", "/health")
        assert time.monotonic() - began < 5, "the answer itself hangs"
        return reply.json()["dependencies"][part] == word
    wait_until(told, 15, f"/health of {daemon.program.name} does not say {part}: {word}")


@needs_servers
def test_a_server_that_is_away_or_hangs_is_noticed_by_who_needs_it(services, tmp_path):
    """One proxy before each server, the five behind them."""
    servers = {"database": "DATABASE_URL", "storage": "MINIO_ENDPOINT", "rabbitmq": "RABBITMQ_URL", "redis": "REDIS_URL"}
    addresses = {part: re.search(r"[^@/]+:\d+(?=/|$|\?)", services.env[name]).group() for part, name in servers.items()}
    proxies = {part: cluster.Proxy(address) for part, address in addresses.items()}
    env = {**services.env, **{name: services.env[name].replace(addresses[part], proxies[part].address) for part, name in servers.items()}}
    crowd = concurrent.futures.ThreadPoolExecutor(5)
    own = {name: Daemon(tmp_path / name, env=env, program=f"fileproc-{name}").start() for name in cluster.NAMES}
    try:
        for part, rule, word in (("storage", "refuse", "disconnected"), ("storage", "stall", "timeout"), ("rabbitmq", "refuse", "disconnected"),
                                 ("redis", "refuse", "disconnected"),
                                 ("database", "refuse", "disconnected"), ("database", "stall", "timeout")):
            proxies[part].set(rule)
            concerned = [one for name, one in own.items() if part in DEPENDENCIES[name]]
            list(crowd.map(lambda one: told_of(one, part, word), concerned))
            for one in own.values():
                assert ask(one, "GET", "/readyz").status_code == (503 if one in concerned else 200)
                assert ask(one, "GET", "/livez").status_code == 200
            if rule == "stall":
                proxies[part].set("refuse")  # connections that were stalled end
            proxies[part].set("pass")
            for one in concerned:
                wait_until(lambda one=one: ask(one, "GET", "/readyz").status_code == 200, 60, f"{one.program.name} does not recover")
    finally:
        wrong = [(name, why) for name, one in own.items() if (why := one.end())]
        for proxy in proxies.values():
            proxy.end()
    assert not wrong, wrong


@needs_servers
def test_chunks_may_go_to_any_of_several_and_one_may_die(services):
    """What one acknowledged, another goes on with."""
    first, second = [one for one in services.all if one.program.name == "fileproc-upload"]
    data = PHOTOS[0].read_bytes()
    data = (data * (17 * 1048576 // len(data) + 1))[:17 * 1048576]
    session = initiate(first, len(data), "large.txt", "text/plain")
    size = session["chunk_size"]
    send_chunk(first, session["upload_id"], 0, data[:size])
    send_chunk(second, session["upload_id"], 1, data[size:2 * size])
    send_chunk(first, session["upload_id"], 2, data[2 * size:3 * size])
    first.kill()
    try:
        rest = lambda: try_chunk(second, session["upload_id"], 3, data[3 * size:]).status_code == 200
        wait_until(rest, 30, "the lease of the dead one does not end")
        done = ask(second, "POST", f"/v1/uploads/{session['upload_id']}/complete").json()
        assert content(services["metadata"], done["file_id"]) == data
    finally:
        first.restart()


# ---- one folder, one process ----


def refused(program, *options, **env):
    done = subprocess.run([PREFIX / "bin" / program, "--port", str(free_port()), *map(str, options)], capture_output=True, text=True,
                          timeout=30, env=environment(**env), check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 1 and lines[0].startswith(program + ": "), done.stderr
    return lines[0]


@pytest.mark.parametrize("program", ["fileproc-metadata", "fileproc-storage", "fileproc-processing", "fileproc-upload", "fileprocd"])
def test_a_second_daemon_on_one_folder_is_refused(tmp_path, program):
    first = Daemon(tmp_path, program="fileproc-upload").start()
    try:
        assert f"another daemon uses the data folder {first.data}" in refused(program, "--data", first.data)
    finally:
        assert first.end() is None
    again = Daemon(tmp_path, program=program).start()
    assert again.end() is None


def test_addresses_that_lead_to_one_place_are_one_place(tmp_path):
    (tmp_path / "files").mkdir()
    env = {"DATABASE_URL": f"sqlite://{tmp_path}/some.db", "FILEPROC_STORAGE_URL": f"file://{tmp_path}/files"}
    first = Daemon(tmp_path / "one", env=env, program="fileproc-metadata").start()
    try:
        assert not first.data.exists(), "nothing of it is there"
        assert "another daemon uses" in refused("fileproc-storage", FILEPROC_STORAGE_URL=env["FILEPROC_STORAGE_URL"])
        assert f"another daemon uses the database {tmp_path}/some.db" in refused(
            "fileproc-metadata", "--data", tmp_path / "other", DATABASE_URL=env["DATABASE_URL"])
    finally:
        assert first.end() is None


def test_the_ai_service_needs_nothing_and_pretends_nothing(tmp_path):
    own = Daemon(tmp_path, program="fileproc-ai").start()
    try:
        health = get(own, "/health")
        assert health["status"] == "healthy" and health["dependencies"] == {} and not own.data.exists()
        for method, path in (("GET", "/v1/analyses"), ("POST", f"/v1/files/{UNKNOWN}/analyses"), ("POST", "/v1/analyze")):
            check_problem(ask(own, method, path), 404, "not_found")
    finally:
        assert own.end() is None


def test_fileprocd_is_all_of_them(server):
    everyone = get(server, "/health/all")
    assert everyone["status"] == "healthy" and set(everyone["services"]) == set(cluster.NAMES)
    assert everyone["services"]["storage"]["dependencies"] == {"storage": "connected", "disk": "available"}
    assert everyone["services"]["ai"]["dependencies"] == {}
    assert "queue" in everyone["services"]["processing"]["dependencies"] and "queue" not in everyone["services"]["metadata"]["dependencies"]
