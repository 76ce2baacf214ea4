"""Owns: starting fileprocd: its commands, and every wrong start with one clear line and the right exit status."""

import contextlib
import json
import socket
import subprocess
import time

import pytest

from api import get, initiate, send_chunk, upload, wait_for_job, wait_until
from daemon_process import HELPER, PROGRAM, Daemon, environment, free_port


def run(*options, env=None, cwd=None, seconds=20):
    return subprocess.run([PROGRAM, *map(str, options)], capture_output=True, text=True, timeout=seconds, cwd=cwd,
                          env=environment(**(env or {})), stdin=subprocess.DEVNULL, check=False)


def refused(status, *options, env=None):
    """The one line with which it does not start."""
    done = run(*options, env=env)
    assert done.returncode == status, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("fileprocd: ") and not done.stdout, done.stderr
    return lines[0]


def test_help_lists_every_setting():
    done = run("--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: fileprocd") and not done.stderr
    for name in ("FILEPROC_PORT", "--port", "FILEPROC_DATA", "MAX_FILE_SIZE", "--chunk-size", "--print-config", "DATABASE_URL"):
        assert name in done.stdout
    assert run("-h").stdout == done.stdout
    assert run("--version").stdout.startswith("fileprocd 0.1")


def test_print_config_shows_what_is_in_force_and_can_be_loaded_again(tmp_path):
    first = run("--print-config", "--chunk-size", "1MiB", env={"MAX_FILE_SIZE": "2GiB", "LOG_LEVEL": "DEBUG"})
    assert first.returncode == 0
    settings = dict(line.split("=", 1) for line in first.stdout.splitlines() if "=" in line and not line.startswith("#"))
    assert settings["MAX_FILE_SIZE"] and settings["CHUNK_SIZE"]
    again = run("--print-config", env={name: value.strip("'\"") for name, value in settings.items()})
    assert again.stdout == first.stdout


@pytest.mark.parametrize("options, word", [
    (["--port", "99999"], "--port"), (["--port", "x"], "--port"), (["--chunk-size", "0"], "--chunk-size"),
    (["--chunk-size", "5 apples"], "--chunk-size"), (["--workers", "-1"], "--workers"), (["--no-such-option"], "--no-such-option"),
    (["--port"], "--port"), (["stray"], "stray"), (["--log-level", "LOUD"], "--log-level"), (["--session-timeout", "0"], "--session-timeout"),
], ids=str)
def test_a_wrong_option_stops_the_start_with_status_2(options, word):
    line = refused(2, *options)
    assert word in line


@pytest.mark.parametrize("name, value", [("FILEPROC_PORT", "http"), ("MAX_FILE_SIZE", "-5"), ("SESSION_TIMEOUT", "soon"),
                                         ("FILEPROC_INSECURE", "maybe"), ("ALLOWED_MIME_TYPES", "[1,2]")])
def test_a_wrong_variable_stops_the_start_with_status_2(name, value):
    assert name in refused(2, env={name: value})


def test_an_address_that_others_reach_needs_insecure(tmp_path):
    for address in ("0.0.0.0", "192.0.2.1"):
        line = refused(2, "--listen", address, "--data", tmp_path / "data", "--port", free_port())
        assert address in line and "--insecure" in line
    for address in ("::1", "not an address", "example.com"):
        assert "listen" in refused(2, "--listen", address, "--data", tmp_path / "data").lower()


def test_insecure_listens_and_warns(tmp_path):
    own = Daemon(tmp_path, "--listen", "0.0.0.0", "--insecure").start()
    assert get(own, "/livez")
    assert own.end() is None and '"level":"warning"' in own.log_text() and "--insecure" in own.log_text()


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "127.0.0.2"])
def test_loopback_needs_no_permission(tmp_path, address):
    own = Daemon(tmp_path, "--listen", address)
    own.url = f"http://{address}:{own.port}"
    own.start()
    assert get(own, "/livez") and own.end() is None


def test_a_second_daemon_on_the_same_folder_is_refused(daemon):
    done = upload(daemon, b"mine")
    began = time.monotonic()
    line = refused(1, "--data", daemon.data, "--port", free_port())
    shown = str(daemon.data)[:80]  # a long path is cut
    assert "another daemon" in line and shown in line and time.monotonic() - began < 3
    daemon.kill()
    daemon.restart()  # the lock died with its holder
    assert get(daemon, f"/v1/files/{done['file_id']}")["size"] == 4


def test_a_port_that_is_taken_is_named(daemon, tmp_path):
    line = refused(1, "--data", tmp_path / "other", "--port", daemon.port)
    assert str(daemon.port) in line


def limited(descriptors):
    return ["prlimit", f"--nofile={descriptors}:{descriptors}"]


def test_too_few_descriptors_stop_the_start_and_enough_are_enough(tmp_path):
    """Each connection, queued or served, job and open upload takes some; without any left nobody would be answered."""
    done = subprocess.run([*limited(64), PROGRAM, "--data", tmp_path / "data", "--port", str(free_port())], capture_output=True, text=True,
                          timeout=20, env=environment(), check=False)
    assert done.returncode == 1 and "open files is 64" in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
    least = int(done.stderr.split("at least ")[1].split()[0])
    own = Daemon(tmp_path, "--chunk-size", 4096, before=limited(least)).start()
    with contextlib.ExitStack() as stack:
        for _ in range(200):  # more than are served at once
            stack.enter_context(socket.create_connection(("127.0.0.1", own.port), 5)).sendall(b"GET /")
    for _ in range(150):  # more than stay open
        send_chunk(own, initiate(own, 8192)["upload_id"], 0, bytes(4096))
    done = upload(own, b"x" * 9000)
    assert wait_for_job(own, done["processing_job_id"])["state"] == "succeeded"
    assert own.end() is None


def test_folders_that_can_not_be_used_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert "file" in refused(1, "--data", tmp_path / "file", "--port", free_port())
    assert "file" in refused(1, "--data", tmp_path / "file" / "below", "--port", free_port())
    assert "proc" in refused(1, "--data", "/proc/nowhere", "--port", free_port())


def test_the_keys_that_an_s3_store_lacks_are_named(tmp_path):
    """By the names of the settings."""
    for variables in ({"MINIO_ENDPOINT": "127.0.0.1:1"}, {"FILEPROC_STORAGE_URL": "s3://bucket?endpoint=127.0.0.1:1&secure=0"},
                      {"MINIO_ENDPOINT": "127.0.0.1:1", "MINIO_ACCESS_KEY": "x"}):
        line = refused(1, "--data", tmp_path, "--port", free_port(), env=variables)
        assert "MINIO_ACCESS_KEY" in line and "MINIO_SECRET_KEY" in line, line


def test_a_database_that_is_none_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "fileproc.db").write_bytes(b"this is no database at all, only words" * 100)
    before = (data / "fileproc.db").read_bytes()
    refused(1, "--data", data, "--port", free_port())
    assert (data / "fileproc.db").read_bytes() == before


def test_wrong_pipelines_stop_the_start_with_their_place(tmp_path):
    path = tmp_path / "pipelines.json"
    for text, word in (("nonsense", str(path)), ('[{"name":"x","accepts":["image/png"],"steps":[{"operation":"no.such"}]}]', "no.such"),
                       ('[{"name":"x","accepts":["image/png"],"steps":[{"operation":"image.resize","params":{"width":"w"}}]}]',
                        "steps[0]")):
        path.write_text(text)
        line = refused(2, "--pipelines", path, "--data", tmp_path / "data", "--port", free_port())
        assert word in line or word == str(path), line
    assert "missing.json" in refused(1, "--pipelines", tmp_path / "missing.json", "--data", tmp_path / "data", "--port", free_port())


def test_port_0_takes_a_free_one_and_says_which(tmp_path):
    own = Daemon(tmp_path, port=free_port())
    own.port = 0
    own.start(wait=False)
    try:
        for _ in range(200):
            lines = [json.loads(line) for line in own.log_text().splitlines() if "listening on" in line]
            if lines:
                break
            time.sleep(0.02)
        own.port = int(lines[0]["message"].split("http://127.0.0.1:")[1].split(",")[0])
        own.url = f"http://127.0.0.1:{own.port}"
        assert own.port > 0 and get(own, "/livez")
    finally:
        assert own.end() is None


def test_everything_goes_into_the_data_folder_and_is_private(tmp_path):
    own = Daemon(tmp_path / "made" / "on the way").start()
    upload(own, b"secret")
    assert own.end() is None
    paths = [own.data, *own.data.rglob("*")]
    assert len(paths) > 4
    for path in paths:
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0, path
    assert own.data.stat().st_mode & 0o077 == 0


def test_the_log_is_json_lines_and_tells_every_request_once(daemon):
    import requests

    requests.get(daemon.url + "/v1/files?owner=%22quoted%22", headers={"X-Request-Id": "find-me"}, timeout=10)
    wait_until(lambda: "find-me" in daemon.log_text(), 5)  # written after the answer
    lines = [json.loads(line) for line in daemon.log_text().splitlines()]
    assert all({"time", "level", "service", "component"} <= set(line) for line in lines)
    [found] = [line for line in lines if line.get("request_id") == "find-me"]
    assert found["status"] == 200 and found["method"] == "GET" and "/v1/files" in json.dumps(found)


def test_the_installed_program_finds_its_library():
    kept = {name: value for name, value in environment().items() if name != "LD_LIBRARY_PATH"}
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=20, env=kept, check=False)
    assert done.returncode == 0 and done.stdout.startswith("fileprocd "), done.stderr


def test_a_helper_that_is_none_is_warned_of_when_there_are_workers(tmp_path):
    (tmp_path / "plain").write_text("no program")
    for helper, workers, word in ((tmp_path / "missing", 1, "there is no such file"), (tmp_path, 1, "executed"),
                                  (tmp_path / "plain", 1, "executed"), (tmp_path / "missing", 0, None), (HELPER, 1, None)):
        own = Daemon(tmp_path / "fileprocd", "--helper", helper, "--workers", workers).start()
        assert own.end() is None
        warnings = [line["message"] for line in map(json.loads, own.log_text().splitlines()) if line["level"] == "warning"]
        own.log.unlink()
        assert len(warnings) == (1 if word else 0), warnings
        assert not word or (f"FILEPROC_HELPER {helper}" in warnings[0] and word in warnings[0])


def test_a_variable_that_is_no_setting_is_warned_of(tmp_path):
    """Those of other programs are not, nor what is empty; values are not shown, since one may be a secret."""
    wrong = {"FILEPROC_WORKRS": "7", "FILEPROC_MAX_PIXEL": "secret-1", "FILEPROC_WHATEVER": "secret-2", "FILEPROC_VERSION": "true"}
    fine = {"FILEPROC_WORKERS": "1", "FILEPROC_MAX_PIXELS": "1000", "FILEPROC_EMPTY": "", "LOG_LEVL": "DEBUG", "FILEPROCESSOR": "x",
            "FILEPROC_PEER_TIMEOUT": "2s"}  # the last one is of one daemon only
    own = Daemon(tmp_path / "fileprocd", env={**wrong, **fine}).start()
    assert own.end() is None
    warnings = [line["message"] for line in map(json.loads, own.log_text().splitlines()) if line["level"] == "warning"]
    assert sorted(warnings) == [
        "FILEPROC_MAX_PIXEL is no setting and is ignored; did you mean FILEPROC_MAX_PIXELS?",
        "FILEPROC_VERSION is no setting and is ignored",
        "FILEPROC_WHATEVER is no setting and is ignored",
        "FILEPROC_WORKRS is no setting and is ignored; did you mean FILEPROC_WORKERS?"]
    assert "secret" not in own.log_text()
    assert not run("--print-config", env=wrong).stderr


def test_no_daemon_warns_of_a_setting(tmp_path):
    """Whichever of them it is for: they may share one file of variables."""
    shown = run("--print-config").stdout
    every = dict(line.split("=", 1) for line in shown.splitlines() if line.startswith("FILEPROC_"))
    every = {name: value.strip("'\"") for name, value in every.items() if value.strip("'\"") not in ("", "********")}
    assert len(every) > 30
    for program in ("fileprocd", "fileproc-ai"):
        own = Daemon(tmp_path / program, program=program, env=every).start()
        assert own.end() is None
        assert "no setting" not in own.log_text()


def test_the_installed_program_finds_its_helper():
    assert HELPER.exists() and PROGRAM.exists()
