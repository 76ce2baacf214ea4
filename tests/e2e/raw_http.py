"""Owns: HTTP byte by byte over a socket, for what no client library would send.
Must not know: any route."""

import http.client
import json
import socket
import time


class Reply:
    def __init__(self, response, body):
        self.status_code = response.status
        self.headers = response.headers
        self.text = body.decode(errors="replace")

    def json(self):
        return json.loads(self.text)


class Connection:
    """One connection; answers are read by http.client, so their framing is checked, too."""

    def __init__(self, daemon, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", daemon.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def line(self):
        """The bytes up to the end of the next empty line, read one by one: nothing behind them is taken."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                break
            data += byte
        return data

    def reply(self, method="GET"):
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        return Reply(response, response.read())

    def is_closed(self, seconds=5):
        """Whether the daemon ended the connection: nothing more comes."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False


def exchange(daemon, data, method="GET"):
    """One request on a connection of its own, and the answer."""
    with Connection(daemon) as connection:
        connection.send(data)
        return connection.reply(method)


def request(method, path, *headers, body=b"", version="1.1"):
    """A request as bytes; Host is there, Content-Length is not."""
    lines = [f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def timed(function):
    began = time.monotonic()
    return function(), time.monotonic() - began
