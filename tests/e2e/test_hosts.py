"""Owns: which names the server answers to: a web page whose name was made to mean 127.0.0.1 gets nothing."""

import pytest

from api import check_problem, get, upload
from daemon_process import Daemon
from raw_http import exchange, request


def asked_as(daemon, host, method="GET", path="/v1/files", *headers, body=b""):
    text = request(method, path, *headers, body=body).replace(b"Host: 127.0.0.1", b"Host: " + host.encode("latin-1"), 1)
    return exchange(daemon, text, method)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.example", "10.0.0.1", ""])
def test_a_strange_name_is_421_and_changes_nothing(server, host):
    file_id = upload(server, b"mine")["file_id"]
    check_problem(asked_as(server, host), 421, "host_not_allowed")
    check_problem(asked_as(server, host, "DELETE", f"/v1/files/{file_id}"), 421, "host_not_allowed")
    body = b'{"filename":"a","size":0,"mime_type":"text/plain"}'
    check_problem(asked_as(server, host, "POST", "/v1/uploads/initiate", "Content-Type: application/json",
                           f"Content-Length: {len(body)}", body=body), 421, "host_not_allowed")
    check_problem(asked_as(server, host, "GET", "/v1/uploads/x/progress", "Upgrade: websocket", "Connection: Upgrade",
                           "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                           f"Origin: http://{host}"), 421, "host_not_allowed")
    assert get(server, f"/v1/files/{file_id}")["size"] == 4


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000", "127.3.2.1"])
def test_loopback_names_are_answered(server, host):
    assert asked_as(server, host).status_code == 200


def test_without_host_http_1_0_is_answered(server):
    assert exchange(server, b"GET /v1/files HTTP/1.0\r\n\r\n").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/health", "/metrics"])
def test_probes_answer_under_any_name(server, path):
    assert asked_as(server, "fileproc.monitoring.example", "GET", path).status_code == 200


@pytest.mark.parametrize("options, refused, answered", [
    (["--allowed-hosts", "files.example,other.example:8443"], ["evil.example", "other.example"], ["files.example:80", "other.example:8443"]),
    (["--allowed-hosts", "*"], [], ["evil.example"]),
    (["--listen", "0.0.0.0", "--insecure"], [], ["evil.example"]),
    (["--listen", "0.0.0.0", "--insecure", "--allowed-hosts", "files.example"], ["evil.example"], ["files.example"]),
], ids=str)
def test_the_setting_adds_names_and_other_addresses_are_checked_only_with_it(tmp_path, options, refused, answered):
    own = Daemon(tmp_path, *options).start()
    for host in refused:
        check_problem(asked_as(own, host), 421, "host_not_allowed")
    for host in [*answered, "localhost"]:
        assert asked_as(own, host).status_code == 200, host
    assert own.end() is None
