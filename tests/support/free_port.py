#!/usr/bin/python3
"""Owns: ports for the servers of tests. Below the range from which the system takes ports for outgoing connections: whoever knocks
while a server is down could otherwise be given the server's own port, and the server would not come back. Each worker of pytest-xdist
has ports of its own: what one has found, and is about to listen on, no other finds.

usage: free_port.py COUNT   prints so many"""

import os
import random
import socket
import sys

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = range(15000 + WORKER, 32000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def free_ports(count):
    held = []
    while len(held) < count:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", random.SystemRandom().choice(PORTS)))
            held.append(s)
        except OSError:
            s.close()
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def free_port():
    return free_ports(1)[0]


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])))
