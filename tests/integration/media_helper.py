"""Owns: the library's side of libfileproc/media/protocol.h, in Python: a helper process and what it answers.
Must not know: what any operation answers."""

import array
import json
import os
import pathlib
import signal
import socket
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHANNEL = 3
PACKET_MAX = 96 * 1024
PATIENCE = 120  # seconds without an answer are a hang
LIMITS = {
    "max_pixels": 100_000_000,
    "max_output_bytes": 256 << 20,
    "max_unpacked_bytes": 10 << 30,
    "max_entries": 100_000,
    "max_pages": 500,
}
CODES = {
    "media_unsupported", "media_damaged", "media_too_large", "media_encrypted", "media_type_mismatch", "archive_bomb",
    "output_too_large", "parameter_invalid", "operation_unknown", "storage_full", "helper_memory", "helper_unavailable",
}


def program():
    """The helper to be tested: script/test names it."""
    if "FILEPROC_MEDIA_HELPER" in os.environ:
        return pathlib.Path(os.environ["FILEPROC_MEDIA_HELPER"])
    return ROOT / "build/test/libfileproc/media/fileproc-media"


def sanitized():
    """A build that reserves terabytes of address space, and so sets itself no limit of memory."""
    code = program().read_bytes()
    return b"__asan_init" in code or b"__tsan_init" in code


class Died(Exception):
    """The helper ended in the middle of a run; args: its wait status and what it said on stderr."""

    @property
    def status(self):
        return self.args[0]


class Output:
    def __init__(self, message, file):
        self.step, self.mime_type, self.extension = message["step"], message["mime_type"], message["extension"]
        self.info, self.file = message["info"], file

    @property
    def bytes(self):
        return os.pread(self.file.fileno(), 1 << 30, 0)

    @property
    def json(self):
        return json.loads(self.bytes)

    @property
    def image(self):
        from PIL import Image
        import io

        return Image.open(io.BytesIO(self.bytes))


class Answer:
    """Everything one run was answered."""

    def __init__(self):
        self.results, self.outputs, self.error, self.rss_bytes = {}, [], None, None

    @property
    def result(self):
        """Of a run with one step that went well."""
        assert self.error is None, self.error
        assert len(self.results) == 1
        return next(iter(self.results.values()))

    @property
    def output(self):
        assert self.error is None, self.error
        assert len(self.outputs) == 1
        return self.outputs[0]

    def check(self):
        """What holds for every answer."""
        if self.error is None:
            return self
        e = self.error
        assert e["code"] in CODES, e
        assert isinstance(e["permanent"], bool)
        assert 8 <= len(e["detail"].encode()) < 208, e
        assert e["detail"].isprintable(), e
        return self

    def failed(self, code, permanent=True):
        """The error, which must be this one."""
        assert self.error is not None, f"no error but {self.results}"
        assert (self.error["code"], self.error["permanent"]) == (code, permanent), self.error
        return self.error


class Helper:
    def __init__(self, memory=4 << 30, cpu_seconds=120, file_size=1 << 30, environment=None, parent_pid=None):
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(PATIENCE)
        self.stderr = tempfile.TemporaryFile()
        self.runs = 0
        self.status = None
        arguments = ["fileproc-media", "--parent-pid", str(parent_pid or os.getpid()), "--memory", str(memory),
                     "--cpu-seconds", str(cpu_seconds), "--file-size", str(file_size)]
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        # posix_spawn() and not subprocess: the helper's end has to be descriptor 3.
        self.pid = os.posix_spawn(program(), arguments, environment or {}, file_actions=[
            (os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1),
            (os.POSIX_SPAWN_DUP2, self.stderr.fileno(), 2), (os.POSIX_SPAWN_DUP2, theirs.fileno(), CHANNEL)])
        os.close(null)
        theirs.close()

    def start(self):
        ready = self.receive()
        assert ready["type"] == "ready" and ready["version"], ready
        return self

    def receive(self):
        try:
            packet = self.channel.recv(PACKET_MAX + 1)
        except ConnectionResetError:  # it had not read everything when it ended
            packet = b""
        if not packet:
            raise Died(self.wait(), self.said())
        assert len(packet) <= PACKET_MAX
        message = json.loads(packet.decode("utf-8"))
        assert isinstance(message, dict)
        return message

    def send(self, message, *descriptors):
        packet = message if isinstance(message, bytes) else json.dumps(message).encode()
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self.channel.sendmsg([packet], ancillary)
        except BrokenPipeError:
            raise Died(self.wait(), self.said()) from None

    def run(self, path, *steps, limits=None, declared=None, detected=None, make_output=tempfile.TemporaryFile):
        """steps: names of operations, or (name, parameters)."""
        self.runs += 1
        steps = [(s, {}) if isinstance(s, str) else s for s in steps]
        request = {
            "type": "run", "id": self.runs, "declared_type": declared, "detected_type": detected,
            "limits": {**LIMITS, **(limits or {})},
            "steps": [{"step": i, "operation": name, "params": params} for i, (name, params) in enumerate(steps)],
        }
        with open(path, "rb") as file:
            self.send(request, file.fileno())
        return self.listen(make_output).check()

    def listen(self, make_output):
        answer, given = Answer(), None
        while True:
            message = self.receive()
            assert message["id"] == self.runs, message
            kind = message["type"]
            if kind == "need_output":
                given = make_output()
                self.send({"type": "output_fd", "id": self.runs}, given.fileno())
            elif kind == "output":
                answer.outputs.append(Output(message, given))
                given = None
            elif kind == "step":
                assert message["step"] == len(answer.results), "steps are answered in order"
                answer.results[message["step"]] = message["result"]
            elif kind == "error":
                answer.error = message
                return answer
            else:
                assert kind == "done", message
                answer.rss_bytes = message["rss_bytes"]
                return answer

    def said(self):
        return os.pread(self.stderr.fileno(), 10_000, 0).decode(errors="replace")

    def alive(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is None

    def wait(self, seconds=20):
        """The wait status of a helper that is about to end."""
        deadline = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("the helper does not end")
            else:
                time.sleep(0.002)
        return self.status

    def close(self):
        self.channel.close()
        if self.status is None:
            self.wait()
        self.stderr.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()


def descriptors_of(pid):
    """Descriptor: what it is open on. A confined process shows them only to root."""
    folder = pathlib.Path(f"/proc/{pid}/fd")
    return {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}
