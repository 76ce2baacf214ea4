#!/usr/bin/python3
"""Owns: a TCP proxy that spoils connections on demand.
Must not know: the protocol.

usage: tcp_proxy.py HOST:PORT   prints its port, passes connections on to HOST:PORT until its standard input ends
Each line of standard input sets what holds from then on, also for open connections:
  pass                 nothing happens
  cut up|down BYTES    every connection is cut as soon as so many bytes have gone to the server (up) or come back (down)
  slow BYTES           so many bytes a second each way
  stall                nothing moves, connections stay open
  refuse               new connections are closed at once, open ones are cut
  count                nothing changes
and each is answered by "ok" and the number of connections that a rule has ended so far"""
import socket
import struct
import sys
import threading
import time


class Rule:
    def __init__(self, words):
        self.kind = words[0]
        self.way = words[1] if self.kind == "cut" else None
        self.amount = int(words[-1]) if self.kind in ("cut", "slow") else 0


rule = Rule(["pass"])
spoilt = 0


def end(*sockets):
    """Both ways at once, as when a cable is cut and a reset comes back: a half that stays open would only stall."""
    for s in sockets:
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()


def pump(source, sink, way):
    global spoilt
    moved, seen = 0, rule
    try:
        while data := source.recv(4096 if rule.kind == "slow" else 65536):
            while rule.kind == "stall":
                time.sleep(0.02)
            if rule is not seen:
                moved, seen = 0, rule
            if rule.kind == "refuse":
                spoilt += 1
                break
            if rule.kind == "cut" and rule.way == way and moved + len(data) >= rule.amount:
                spoilt += 1
                sink.sendall(data[:rule.amount - moved])
                break
            sink.sendall(data)
            moved += len(data)
            if rule.kind == "slow":
                time.sleep(len(data) / rule.amount)
    except OSError:
        pass
    end(source, sink)


def serve(listener, target):
    while True:
        client, _ = listener.accept()
        if rule.kind == "refuse":
            client.close()
            continue
        try:
            server = socket.create_connection(target, 10)
        except OSError:
            client.close()
            continue
        server.settimeout(None)
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for arguments in ((client, server, "up"), (server, client, "down")):
            threading.Thread(target=pump, args=arguments, daemon=True).start()


def main():
    global rule
    host, port = sys.argv[1].rsplit(":", 1)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    threading.Thread(target=serve, args=(listener, (host, int(port))), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        if words := line.split():
            rule = rule if words == ["count"] else Rule(words)
            print("ok", spoilt, flush=True)


main()
