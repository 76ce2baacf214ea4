"""Owns: the promise that memory does not grow with the files: fileprocd stays under 64 MiB whatever is sent."""

import http.client
import os
import threading

import pytest

from api import complete, initiate

SIZE = (2 << 30) if os.environ.get("FILEPROC_SLOW") == "yes" else (256 << 20)
CLIENTS = 4
PIECE = bytes(256 * 1024)


def send_file(daemon, form):
    session = initiate(daemon, SIZE)
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' if form else b""
    tail = b"\r\n--x--\r\n" if form else b""
    for index in range(session["total_chunks"]):
        length = min(session["chunk_size"], SIZE - index * session["chunk_size"])
        connection.putrequest("PUT", f"/v1/uploads/{session['upload_id']}/chunk?chunk_index={index}")
        connection.putheader("Content-Type", "multipart/form-data; boundary=x" if form else "application/octet-stream")
        connection.putheader("Content-Length", str(len(head) + length + len(tail)))
        connection.endheaders(head)
        for at in range(0, length, len(PIECE)):
            connection.send(PIECE[:min(len(PIECE), length - at)])
        connection.send(tail)
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
    return complete(daemon, session["upload_id"])["file_id"]


@pytest.mark.daemon_options("--max-file-size", "4GiB", "--allowed-mime-types", "*", "--workers", "0")
def test_large_uploads_and_downloads_need_no_memory(daemon):
    made, failures = [], []

    def client(number):
        try:
            made.append(send_file(daemon, form=number % 2 == 1))
        except Exception as e:  # shown below
            failures.append(e)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert len(set(made)) == CLIENTS and daemon.memory_mib() < 64
    for file_id in made:
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        connection.request("GET", f"/v1/files/{file_id}/content")
        reply = connection.getresponse()
        got = 0
        while piece := reply.read(1 << 20):
            got += len(piece)
        assert reply.status == 200 and got == SIZE
    assert daemon.memory_mib() < 64, daemon.memory_mib()


@pytest.mark.daemon_options("--chunk-size", "1MiB", "--workers", "0")
def test_many_connections_at_once_need_little_memory(daemon):
    from raw_http import Connection, request

    upload_id = initiate(daemon, 60 << 20)["upload_id"]
    connections = [Connection(daemon) for _ in range(60)]
    try:
        for index, connection in enumerate(connections):
            connection.send(request("PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index={index}", "Content-Length: 1048576",
                                    "Content-Type: application/octet-stream", body=bytes(1 << 19)))
        for connection in connections:
            connection.send(bytes(1 << 19))
        assert {connection.reply().status_code for connection in connections} == {200}
    finally:
        for connection in connections:
            connection.__exit__()
    assert daemon.memory_mib() < 64, daemon.memory_mib()
