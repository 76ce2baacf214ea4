"""Owns: a WebSocket client for tests that run step by step (Debian's websockets has only the asynchronous one).
Must not know: what is sent."""

import asyncio
import threading

import websockets

_loop = asyncio.new_event_loop()
threading.Thread(target=_loop.run_forever, daemon=True).start()


def _run(coroutine, seconds=20):
    return asyncio.run_coroutine_threadsafe(coroutine, _loop).result(seconds)


class Watcher:
    """Raises websockets.exceptions.InvalidHandshake when the server refuses."""

    def __init__(self, url, **options):
        async def connect():
            return await websockets.connect(url, open_timeout=10, close_timeout=5, **options)
        self.socket = _run(connect())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def recv(self, timeout=10):
        """The next message; TimeoutError when none comes, ConnectionClosed at the end."""
        return _run(asyncio.wait_for(self.socket.recv(), timeout), timeout + 10)

    def send(self, message):
        _run(self.socket.send(message))

    def ping(self):
        async def ping():
            await asyncio.wait_for(await self.socket.ping(), 10)
        _run(ping())

    def close(self):
        _run(self.socket.close())
