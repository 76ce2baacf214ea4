"""Owns: fixtures of the end-to-end tests: a daemon of one's own, a daemon for many tests, and their logs when a test fails.
Must not know: any route."""

import json
import os

import pytest

# A proxy of the machine's owner has nothing to do with servers on loopback.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"

import daemon_process  # noqa: E402  reads the environment

DAEMONS = pytest.StashKey()


def pytest_configure(config):
    config.addinivalue_line("markers", "daemon_options(*options): command line options of the daemon fixture's fileprocd")
    config.addinivalue_line("markers", "expect_server_errors: the daemon may answer 500 in this test")


def check_log(daemon):
    """No answer is an internal error, unless a test says that it provokes one."""
    for line in daemon.log_text().splitlines():
        if '"status":500' in line:
            return f"an internal error: {line}"
        if "Sanitizer" in line or "runtime error:" in line:
            return line
    return None


@pytest.fixture
def daemon(request, tmp_path):
    """A fileprocd of the test's own on a free port and an empty data folder; ended when the test is over."""
    marker = request.node.get_closest_marker("daemon_options")
    own = daemon_process.Daemon(tmp_path / "fileprocd", *(marker.args if marker else ()))
    request.node.stash[DAEMONS] = [own]
    own.start()
    yield own
    wrong = own.end()
    if not wrong and not request.node.get_closest_marker("expect_server_errors"):
        wrong = check_log(own)
    assert wrong is None, f"{wrong}\n{own.log_text()[-4000:]}"


@pytest.fixture
def store(request, tmp_path):
    """A replicas.Store of the kind that is the parameter."""
    from replicas import Store

    marker = request.node.get_closest_marker("daemon_options")
    own = Store(request.param, tmp_path, *(marker.args if marker else ()))
    request.node.stash[DAEMONS] = own.daemons
    yield own
    wrong = own.end() or next(filter(None, map(check_log, own.daemons)), None)
    assert wrong is None, wrong


@pytest.fixture(scope="session")
def shared_daemon(tmp_path_factory):
    shared = daemon_process.Daemon(tmp_path_factory.mktemp("shared"), "--chunk-size", "64KiB", "--cors-origins",
                                   "https://app.example.com")
    shared.start()
    yield shared
    wrong = shared.end() or check_log(shared)
    assert wrong is None, wrong


@pytest.fixture
def server(request, shared_daemon):
    """A fileprocd that many tests use, with chunks of 64 KiB: for tests that leave it as it is."""
    request.node.stash[DAEMONS] = [shared_daemon]
    assert shared_daemon.running(), "an earlier test ended it"
    return shared_daemon


def shown(line):
    """A line of the log, short enough to read."""
    try:
        facts = json.loads(line)
    except ValueError:
        return line
    return " ".join(str(facts.pop(name, "")) for name in ("time", "level", "component", "message")) + " " + json.dumps(facts)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    for one in item.stash.get(DAEMONS, []):
        lines = one.log_text().splitlines()[-60:]
        report.sections.append((f"log of fileprocd on port {one.port}", "\n".join(map(shown, lines))))
