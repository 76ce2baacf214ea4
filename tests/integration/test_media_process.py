"""Owns: the tests of the helper as a process: its start, what it holds, what it gave up, how it ends, what it refuses to listen to.
Must not know: what a run does."""

import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import media_samples as samples
from media_helper import LIMITS, Died, Helper, descriptors_of, program, sanitized


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def limits_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): line[26:].split()[0] for line in lines}


def test_it_says_when_it_is_ready_and_which_version_it_is():
    h = Helper()
    try:
        ready = h.receive()
        assert set(ready) == {"type", "version"} and ready["type"] == "ready"
        assert ready["version"].count(".") == 2
    finally:
        h.close()
    assert h.status == 0


def test_it_starts_quickly():
    begin = time.monotonic()
    with Helper():
        assert time.monotonic() - begin < 2


def test_what_it_gave_up(helper):
    status = status_of(helper.pid)
    assert status["NoNewPrivs"] == "1"
    assert int(status["SigIgn"], 16) & (1 << (signal.SIGPIPE - 1)) and int(status["SigIgn"], 16) & (1 << (signal.SIGXFSZ - 1))
    limits = limits_of(helper.pid)
    assert limits["Max core file size"] == "0"
    assert int(limits["Max open files"]) <= 64
    assert limits["Max file size"] == str(1 << 30)


@pytest.mark.skipif(sanitized(), reason="a sanitizer needs all the memory there is")
def test_its_memory_is_limited():
    with Helper(memory=1 << 30) as h:
        assert limits_of(h.pid)["Max address space"] == str(1 << 30)


@pytest.mark.skipif(os.geteuid() != 0, reason="a confined process shows its descriptors only to root")
def test_what_it_holds(helper, photo, manual, tmp_path):
    """Standard streams, its end of the channel, and /proc/self/statm for telling its size; also after runs that failed."""
    odd = os.open(tmp_path, os.O_RDONLY)  # not to be inherited: Python's descriptors close on exec
    held = descriptors_of(helper.pid)
    assert held.pop(0) == held.pop(1) == "/dev/null" and "deleted" in held.pop(2)
    assert held.pop(3).startswith("socket:")
    assert [v for v in held.values() if not v.endswith("/statm")] == []
    before = descriptors_of(helper.pid)
    damaged = tmp_path / "d"
    for path, step in [(photo, ("image.resize", {"width": 99})), (manual, "pdf.text"), (manual, "pdf.render"), (photo, "pdf.info"),
                       (manual, "image.info"), (photo, "archive.list"), (photo, "text.stats"), (photo, "no.such"),
                       (photo, ("image.resize", {}))]:
        helper.run(path, step)
        damaged.write_bytes(pathlib.Path(path).read_bytes()[:60_000])
        helper.run(damaged, step)
        helper.run(path, step, limits={"max_output_bytes": 10})
        assert descriptors_of(helper.pid) == before, step
    os.close(odd)


@pytest.mark.skipif(os.geteuid() != 0, reason="a confined process shows its environment only to root")
def test_its_environment_is_empty(helper):
    assert pathlib.Path(f"/proc/{helper.pid}/environ").read_bytes() == b""


def test_it_leaves_descriptors_that_it_was_given_by_mistake():
    """Whatever has no close-on-exec flag in the parent is closed first of all."""
    left, right = os.pipe()
    fcntl.fcntl(right, fcntl.F_SETFD, 0)
    with Helper():
        os.close(right)
        assert os.read(left, 1) == b"", "nobody else has the writing end"
    os.close(left)


def test_it_ends_when_the_channel_closes(photo):
    h = Helper().start()
    assert h.run(photo, "image.info").error is None
    h.channel.close()
    assert h.wait() == 0
    assert h.said() == ""
    h.stderr.close()


def test_it_ends_when_the_channel_closes_in_the_middle_of_a_run(photo):
    h = Helper().start()
    request = {"type": "run", "id": 1, "declared_type": None, "detected_type": None, "limits": LIMITS,
               "steps": [{"step": 0, "operation": "image.resize", "params": {"width": 100}}]}
    with open(photo, "rb") as file:
        h.send(request, file.fileno())
    assert h.receive()["type"] == "need_output"
    h.channel.close()
    status = h.wait()
    assert os.WIFEXITED(status)
    h.stderr.close()


PARENT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from media_helper import Helper
h = Helper().start()
print(h.pid, flush=True)
keep = os.dup(h.channel.fileno())
if sys.argv[2] == "busy":
    from media_helper import LIMITS
    request = {"type": "run", "id": 1, "declared_type": None, "detected_type": None, "limits": LIMITS,
               "steps": [{"step": i, "operation": "image.convert", "params": {"format": "avif"}} for i in range(50)]}
    with open(sys.argv[3], "rb") as file:
        h.send(request, file.fileno())
    h.receive()
    h.send({"type": "output_fd", "id": 1}, os.open("/tmp", os.O_TMPFILE | os.O_RDWR))
    time.sleep(0.2)
    print("busy", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_it_ends_when_its_parent_dies(photo, state):
    """Its channel is held open by a third process, so that it is the death and not the closing that ends it."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(pathlib.Path(__file__).parent), state, str(photo)],
                              stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    pid = int(parent.stdout.readline())
    if state == "busy":
        assert parent.stdout.readline() == "busy\n"
    assert pathlib.Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < deadline, "the helper outlives its parent"
        time.sleep(0.01)


def alive(pid):
    """Not even a zombie, which a container without an init may keep."""
    try:
        return status_of(pid)["State"][0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_it_ends_when_the_thread_that_started_it_ends():
    """PR_SET_PDEATHSIG means the thread: the library has to start helpers from threads that stay (protocol.h says so)."""
    started = []
    thread = threading.Thread(target=lambda: started.append(Helper().start()))
    thread.start()
    thread.join()
    assert os.WTERMSIG(started[0].wait()) == signal.SIGKILL
    started[0].close()


def test_it_does_not_start_for_a_parent_that_is_gone():
    h = Helper(parent_pid=os.getppid())
    with pytest.raises(Died) as died:
        h.start()
    assert os.WEXITSTATUS(died.value.status) == 3 and "parent" in h.said()
    h.close()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["--parent-pid", "1"], ["--parent-pid"],
                                       ["--parent-pid", "1", "--memory", "x", "--cpu-seconds", "1", "--file-size", "1"],
                                       ["--parent-pid", "1", "--memory", "-1", "--cpu-seconds", "1", "--file-size", "1"],
                                       ["--parent-pid", "1", "--memory", "1", "--cpu-seconds", "1", "--odd", "1"]])
def test_wrong_arguments(arguments):
    done = subprocess.run([program(), *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and done.stderr.startswith("fileproc-media is started by libfileproc") and done.stdout == ""


def refused(send):
    """What the library never sends ends the helper, with a line on stderr."""
    h = Helper().start()
    with pytest.raises(Died) as died:
        send(h)
        h.receive()
    assert os.WIFEXITED(died.value.status) and os.WEXITSTATUS(died.value.status) == 1, died.value
    said = h.said()
    assert said.startswith("fileproc-media: ") and said.count("\n") == 1
    h.close()
    return said


GOOD = {"type": "run", "id": 1, "declared_type": "image/png", "detected_type": None, "limits": LIMITS, "steps": []}


@pytest.mark.parametrize("packet", [b"{", b"[]", b'"run"', b"{}", b'{"type":"walk"}', b"\xff\xfe", b'{"type":1}',
                                    b'{"a":' * 100 + b"1" + b"}" * 100])
def test_packets_that_are_no_request(packet):
    refused(lambda h: h.send(packet))


@pytest.mark.parametrize("change", [{"id": "1"}, {"limits": None}, {"limits": {**LIMITS, "max_pixels": 0}},
                                    {"limits": {**LIMITS, "max_pages": "9"}}, {"steps": None}, {"steps": [{}]},
                                    {"steps": [{"step": 0, "operation": "file.type", "params": []}]},
                                    {"steps": [{"step": 0, "operation": "file.type", "params": {}}] * 65}])
def test_requests_that_are_incomplete(photo, change):
    with open(photo, "rb") as file:
        refused(lambda h: h.send({**GOOD, **change}, file.fileno()))


def test_requests_without_their_file(photo):
    refused(lambda h: h.send(GOOD))
    left, right = os.pipe()
    refused(lambda h: h.send(GOOD, left))
    os.close(left)
    os.close(right)


def test_too_many_descriptors(photo):
    with open(photo, "rb") as file:
        refused(lambda h: h.send(GOOD, file.fileno(), file.fileno()))


def test_a_packet_that_is_too_large():
    refused(lambda h: h.send(b'{"type":"' + b"x" * 97 * 1024 + b'"}'))


def test_an_answer_that_is_no_output(photo):
    def ask(h):
        request = {**GOOD, "steps": [{"step": 0, "operation": "image.resize", "params": {"width": 9, "format": "png"}}]}
        with open(photo, "rb") as file:
            h.send(request, file.fileno())
        assert h.receive()["type"] == "need_output"
        h.send({"type": "output_fd", "id": 2})

    assert "output" in refused(ask)


def test_a_run_of_no_steps(helper, photo):
    answer = helper.run(photo)
    assert answer.error is None and answer.results == {}


def test_sixty_four_steps(helper, tmp_path):
    path = samples.saved(samples.quarters(), tmp_path / "q.png")
    answer = helper.run(path, *[("image.resize", {"width": 10 + i, "format": "png"}) for i in range(64)])
    assert answer.error is None and [o.image.size[0] for o in answer.outputs] == list(range(10, 74))


@pytest.mark.skipif(sanitized(), reason="a sanitizer needs all the memory there is")
def test_its_memory_does_not_grow_with_runs(helper, photo, manual):
    def some(count):
        for _ in range(count):
            size = helper.run(photo, "image.info", ("image.resize", {"width": 300, "format": "webp"})).rss_bytes
            helper.run(manual, "pdf.info", ("pdf.text", {"pages": "1-5"}))
        return size

    before = some(5)
    assert some(25) - before < 16 << 20


def test_the_file_is_read_from_its_beginning_wherever_it_stood(helper, photo):
    """The descriptor's position is shared with the library's; neither side may rely on it."""
    helper.runs += 1
    request = {**GOOD, "id": helper.runs, "steps": [{"step": 0, "operation": "image.info", "params": {}}]}
    with open(photo, "rb") as file:
        file.seek(1000)
        helper.send(request, file.fileno())
        assert helper.listen(None).result["width"] == 2560
