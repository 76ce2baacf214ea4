"""Owns: a client of server-sent events for tests that run step by step, on a socket of its own so that it may also not read.
Must not know: which events there are."""

import json
import socket


class EventSource:
    """The reply's head is read at once. status and headers are there whatever the answer is."""

    def __init__(self, daemon, path, last_seen=None, timeout=10, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", daemon.port))
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
        head += f"Last-Event-ID: {last_seen}\r\n" if last_seen else ""
        self.socket.sendall((head + "\r\n").encode())
        self.data, self.last_id = b"", last_seen
        while b"\r\n\r\n" not in self.data:
            assert self.more(), "the connection ended within the head"
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def more(self):
        """Reads some bytes; False at the end."""
        piece = self.socket.recv(65536)
        self.data += piece
        return bool(piece)

    def block(self):
        """The lines of the next event or comment; None at the end of the stream."""
        while b"\n\n" not in self.data:
            if not self.more():
                assert self.data == b"", self.data
                return None
        block, self.data = self.data.split(b"\n\n", 1)
        return block.decode().split("\n")

    def event(self, seconds=10):
        """(name, data, id) of the next event, comments passed over; None at the end; TimeoutError when none comes."""
        self.socket.settimeout(seconds)
        while (lines := self.block()) is not None:
            if lines == [":"]:
                continue
            fields = dict(line.split(": ", 1) for line in lines)
            assert list(fields) == ["id", "event", "data"], lines
            self.last_id = fields["id"]
            return fields["event"], json.loads(fields["data"]), fields["id"]
        return None

    def until(self, condition):
        """The events that came, up to the first for which the condition holds."""
        seen = []
        while True:
            event = self.event()
            assert event, ("the stream ended", seen)
            seen.append(event)
            if condition(*event[:2]):
                return seen
