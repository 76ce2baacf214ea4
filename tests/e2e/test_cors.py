"""Owns: which web pages may call the API."""

import pytest

from api import ask, check_problem, get
from raw_http import exchange, request

FRIEND = "https://app.example.com"  # of the server fixture
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}


def test_a_page_on_the_list_may_call(server):
    reply = ask(server, "GET", "/v1/files", headers={"Origin": FRIEND})
    assert reply.headers["Access-Control-Allow-Origin"] == FRIEND and "Origin" in reply.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in reply.headers
    reply = ask(server, "OPTIONS", "/v1/uploads/x/chunk", headers={"Origin": FRIEND, **PREFLIGHT})
    assert reply.status_code == 204 and "PUT" in reply.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in reply.headers["Access-Control-Allow-Headers"]
    assert "Idempotency-Key" in reply.headers["Access-Control-Allow-Headers"]


def test_errors_are_readable_for_it_too(server):
    reply = ask(server, "GET", "/v1/files/x", headers={"Origin": FRIEND})
    check_problem(reply, 404)
    assert reply.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://app.example.com", "https://app.example.com.evil.example",
                                    "https://app.example.com:8443", ""])
def test_other_pages_may_not(server, origin):
    for method, path, headers in (("GET", "/v1/files", {}), ("OPTIONS", "/v1/uploads/initiate", PREFLIGHT)):
        reply = ask(server, method, path, headers={"Origin": origin, **headers})
        assert not [name for name in reply.headers if name.lower().startswith("access-control-allow")]


def test_a_form_of_a_strange_page_changes_nothing(server):
    """Forms need no preflight, so their types must not be taken as JSON."""
    before = get(server, "/v1/jobs?limit=1")
    for mime_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        body = b'{"filename":"a","size":0,"mime_type":"text/plain"}'
        reply = exchange(server, request("POST", "/v1/uploads/initiate", f"Content-Type: {mime_type}", "Origin: https://evil.example",
                                         f"Content-Length: {len(body)}", body=body))
        check_problem(reply, 415, "unsupported_media_type")
    assert get(server, "/v1/jobs?limit=1") == before
