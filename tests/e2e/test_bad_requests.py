"""Owns: requests that are wrong as HTTP or as JSON: each gets a problem with the right status, and the daemon goes on."""

import re

import pytest
import requests

from api import UNKNOWN, ask, check_problem, get, initiate, status, try_chunk
from raw_http import Connection, exchange, request

INITIATE = "/v1/uploads/initiate"
GOOD = b'{"filename":"a.txt","size":0,"mime_type":"text/plain"}'


def post(body, *headers):
    return request("POST", INITIATE, "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, body=body)


# ---- framing: where does the request end? ----


@pytest.mark.parametrize("headers", [
    ["Content-Length: 54", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 54"],
    ["Content-Length: 54", "Content-Length: 54"],
    ["Content-Length: 54", "Content-Length: 5"],
    ["Content-Length: +54"], ["Content-Length: -54"], ["Content-Length: 54, 54"], ["Content-Length: 0x36"],
    ["Content-Length: 54abc"], ["Content-Length:"], ["Content-Length: 99999999999999999999999"],
    ["Transfer-Encoding: gzip, chunked"], ["Transfer-Encoding: identity"], ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding : chunked"], ["Content-Length : 54"], ["Content-Length: 54", "X-Note :"],
    ["Content-Length: 54", " folded: line"], ["X-Note: x", "Transfer Encoding: chunked"],
], ids=str)
def test_a_request_whose_end_is_not_clear_is_refused_and_the_connection_ended(server, headers):
    with Connection(server) as connection:
        connection.send(request("POST", INITIATE, "Content-Type: application/json", *headers, body=GOOD))
        check_problem(connection.reply(), 400, "bad_request")
        assert connection.is_closed()


def test_transfer_encoding_needs_http_1_1(server):
    reply = exchange(server, request("POST", INITIATE, "Transfer-Encoding: chunked", body=b"0\r\n\r\n", version="1.0"))
    check_problem(reply, 400, "bad_request")


def test_lines_that_end_with_lf_alone_are_refused(server):
    check_problem(exchange(server, b"GET /livez HTTP/1.1\nHost: x\n\n"), 400, "bad_request")
    check_problem(exchange(server, b"GET /livez HTTP/1.1\nHost: x\r\nX: y\r\n\r\n"), 400, "bad_request")


def test_host_is_there_once(server):
    check_problem(exchange(server, b"GET /livez HTTP/1.1\r\n\r\n"), 400, "bad_request")
    check_problem(exchange(server, b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400, "bad_request")
    assert exchange(server, b"GET /livez HTTP/1.0\r\n\r\n").status_code == 200


def test_what_is_no_http_gets_400(server):
    for data in (b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"GET /livez\r\n\r\n", b"GET /livez HTTP/9.9\r\nHost: x\r\n\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET livez HTTP/1.1\r\nHost: x\r\n\r\n"):
        with Connection(server) as connection:
            connection.send(data)
            reply = connection.line()
            assert re.match(rb"HTTP/1\.[01] (400|505) ", reply) or reply == b"", (data, reply)
    assert get(server, "/livez")


def test_a_body_can_be_chunked(server):
    head = request("POST", INITIATE, "Content-Type: application/json", "Transfer-Encoding: chunked")
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (GOOD[:7], GOOD[7:]))
    assert exchange(server, head + body + b"0\r\n\r\n").status_code == 201
    check_problem(exchange(server, head + b"zz\r\n" + GOOD), 400)
    check_problem(exchange(server, head + b"-5\r\n" + GOOD), 400)


def test_a_chunked_chunk_of_a_file_is_taken_and_one_that_is_too_long_refused(server):
    upload_id = initiate(server, 10)["upload_id"]
    path = f"/v1/uploads/{upload_id}/chunk?chunk_index=0"
    data = iter([b"01234", b"56789!"])
    reply = ask(server, "PUT", path, data=data, headers={"Content-Type": "application/octet-stream"})
    assert check_problem(reply, reply.status_code)["code"] in ("chunk_length_invalid", "body_too_large")
    assert reply.status_code in (400, 413) and status(server, upload_id)["chunks_uploaded"] == 0
    reply = ask(server, "PUT", path, data=iter([b"01234", b"56789"]), headers={"Content-Type": "application/octet-stream"})
    assert reply.status_code == 200, reply.text


def test_a_body_that_stops_changes_nothing(server):
    upload_id = initiate(server, 1000)["upload_id"]
    with Connection(server) as connection:
        connection.send(request("PUT", f"/v1/uploads/{upload_id}/chunk?chunk_index=0", "Content-Type: application/octet-stream",
                                "Content-Length: 1000", body=b"x" * 400))
        connection.socket.shutdown(1)
        check_problem(connection.reply(), 400, "body_incomplete")
    assert status(server, upload_id)["chunks_uploaded"] == 0
    assert try_chunk(server, upload_id, 0, b"y" * 1000).status_code == 200


# ---- heads ----


def test_huge_heads_are_refused(server):
    check_problem(exchange(server, request("GET", "/livez", "X-Long: " + "x" * 20000)), 431, "headers_too_large")
    check_problem(exchange(server, request("GET", "/livez", "X-Long: " + "x" * 40000)), 400, "bad_request")
    check_problem(exchange(server, request("GET", "/livez", *[f"X-{n}: y" for n in range(100)])), 400, "bad_request")
    assert exchange(server, request("GET", "/livez", *[f"X-{n}: y" for n in range(50)])).status_code == 200
    check_problem(exchange(server, request("GET", "/" + "x" * 3000)), 414, "target_too_long")
    check_problem(exchange(server, request("GET", "/v1/files?cursor=" + "x" * 5000)), 414, "target_too_long")


def test_a_slow_head_times_out_and_others_are_served(server):
    with Connection(server) as slow:
        slow.send(b"GET /livez HTTP/1.1\r\nHost: ")
        assert get(server, "/livez") == {"status": "alive"}
        slow.send(b"x\r\n\r\n")
        assert slow.reply().status_code == 200


def test_request_ids_are_kept_when_they_are_harmless(server):
    assert ask(server, "GET", "/livez", headers={"X-Request-Id": "mine-1.2_3"}).headers["X-Request-Id"] == "mine-1.2_3"
    for bad in ("x" * 300, "a b", '"quoted"', "semi;colon", ""):
        given = ask(server, "GET", "/livez", headers={"X-Request-Id": bad}).headers["X-Request-Id"]
        assert given and given != bad and len(given) <= 128
    first, second = (ask(server, "GET", "/livez").headers["X-Request-Id"] for _ in range(2))
    assert first != second


# ---- paths ----


@pytest.mark.parametrize("path", [
    "/../etc/passwd", "/v1/files/../../../etc/passwd", "/v1/files/%2e%2e/%2e%2e/etc/passwd", "/v1//files", "//v1/files",
    "/v1/files/", "/V1/files", "/v1/files%2f" + UNKNOWN, "/v1/files/" + UNKNOWN + "/content/x", "/v1/files/./x/y/z",
    "/v1", "/etc/passwd", "/v1/uploads", "/v1/uploads//status", "/%00", "/v1/files/%00", "/v1/files/a%0d%0ab", "/v1/files/%zz",
    "/v1/files/%", "/v1/files/%4", "/a/b/c/d/e/f/g/h/i/j/k/l",
])
def test_paths_that_lead_nowhere(server, path):
    reply = exchange(server, request("GET", path))
    assert reply.status_code in (400, 404), (path, reply.status_code)
    check_problem(reply, reply.status_code)
    assert "root:" not in reply.text


def test_a_file_id_is_never_a_path(server):
    for file_id in ("..", "%2e%2e", "..%2f..%2ffileproc.db", "%2fetc%2fpasswd", "..%5c..", "fileproc.db", "objects"):
        for rest in ("", "/content", "/derivatives"):
            reply = exchange(server, request("GET", f"/v1/files/{file_id}{rest}"))
            assert reply.status_code in (400, 404) and "root:" not in reply.text, (file_id, rest)
            check_problem(reply, reply.status_code)


def test_percent_encoding_is_decoded_once(server):
    assert exchange(server, request("GET", "/%6civez")).status_code == 200
    check_problem(exchange(server, request("GET", "/%256civez")), 404, "not_found")


def test_raw_nul_and_control_bytes_in_the_request_line_are_refused(server):
    for data in (b"GET /livez\x00x HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /li\x01vez HTTP/1.1\r\nHost: x\r\n\r\n"):
        with Connection(server) as connection:
            connection.send(data)
            reply = connection.line()
            assert re.match(rb"HTTP/1\.[01] (400|404) ", reply) or reply == b"", reply


# ---- methods ----

METHODS = {
    "/v1/uploads/initiate": {"POST"},
    f"/v1/uploads/{UNKNOWN}": {"DELETE"},
    f"/v1/uploads/{UNKNOWN}/chunk": {"PUT"},
    f"/v1/uploads/{UNKNOWN}/complete": {"POST"},
    f"/v1/uploads/{UNKNOWN}/status": {"GET", "HEAD"},
    f"/v1/uploads/{UNKNOWN}/progress": {"GET", "HEAD"},
    "/v1/files": {"GET", "HEAD"},
    f"/v1/files/{UNKNOWN}": {"GET", "HEAD", "DELETE"},
    f"/v1/files/{UNKNOWN}/content": {"GET", "HEAD"},
    f"/v1/files/{UNKNOWN}/derivatives": {"GET", "HEAD"},
    f"/v1/files/{UNKNOWN}/jobs": {"POST"},
    "/v1/jobs": {"GET", "HEAD"},
    f"/v1/jobs/{UNKNOWN}": {"GET", "HEAD", "DELETE"},
    f"/v1/jobs/{UNKNOWN}/cancel": {"POST"},
    "/v1/operations": {"GET", "HEAD"},
    "/health": {"GET", "HEAD"},
    "/livez": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
}


@pytest.mark.parametrize("path", METHODS)
def test_wrong_methods_get_405_and_what_is_allowed(server, path):
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "BREW", "get"} - METHODS[path]:
        reply = exchange(server, request(method, path, "Content-Length: 0"))
        if method in ("BREW", "get") and reply.status_code in (400, 501):
            continue  # no method of HTTP at all
        check_problem(reply, 405, "method_not_allowed")
        assert set(reply.headers["Allow"].split(", ")) == METHODS[path] | {"OPTIONS"}
    reply = exchange(server, request("OPTIONS", path))
    assert reply.status_code == 204 and set(reply.headers["Allow"].split(", ")) == METHODS[path] | {"OPTIONS"}


def test_head_is_get_without_the_body(server):
    for path in ("/livez", "/v1/files?limit=1", "/v1/operations", "/nowhere", "/metrics"):
        whole = ask(server, "GET", path)
        head = exchange(server, request("HEAD", path), method="HEAD")
        assert head.status_code == whole.status_code and head.text == ""
        assert head.headers["Content-Type"] == whole.headers["Content-Type"]


def test_trace_and_connect_are_not_served(server):
    for method, target in (("TRACE", "/livez"), ("CONNECT", "127.0.0.1:80")):
        reply = exchange(server, request(method, target))
        assert reply.status_code in (400, 404, 405, 501)


# ---- JSON ----


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"filename": }', b'{"a":1,}', b"{'a':1}", b'{"a":1} x', b"\xff\xfe",
                                  b'{"filename":"\xff"}', b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\n"}', b'{"a":"\\ud800"}',
                                  b"[" * 100000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"\x00", b'\xef\xbb\xbf{"a":1}'],
                         ids=lambda body: repr(body[:20]))
def test_malformed_json_is_400(server, body):
    check_problem(exchange(server, post(body)), 400, "invalid_json")


@pytest.mark.parametrize("body", [b"null", b"[]", b"7", b'"text"', b"true", b'{"a":1e999}', b'{"filename":"a\\u0000b"}'],
                         ids=repr)
def test_json_of_the_wrong_kind_is_422(server, body):
    check_problem(exchange(server, post(body)), 422, "parameter_invalid")


def test_json_bodies_have_a_limit_and_a_type(server):
    large = b'{"filename":"' + b"x" * (1 << 21) + b'"}'
    check_problem(requests.post(server.url + INITIATE, data=large, headers={"Content-Type": "application/json"}, timeout=20),
                  413, "body_too_large")
    for mime_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx"):
        reply = ask(server, "POST", INITIATE, data=GOOD, headers={"Content-Type": mime_type})
        check_problem(reply, 415, "unsupported_media_type")
    for mime_type in ("application/json", "application/json; charset=utf-8", "APPLICATION/JSON"):
        assert ask(server, "POST", INITIATE, data=GOOD, headers={"Content-Type": mime_type}).status_code == 201


# ---- queries ----


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1001", "limit=x", "limit=", "limit=1.5", "limit=99999999999999999999",
                                   "limit=1&limit=1", "cursor=nonsense", "cursor=%F0%9F%98%80", "owner=a&owner=b"])
@pytest.mark.parametrize("path", ["/v1/files", "/v1/jobs"])
def test_query_parameters_of_lists_are_checked(server, path, query):
    problem = check_problem(ask(server, "GET", f"{path}?{query}"), 422)
    assert problem["code"] == ("cursor_invalid" if "cursor" in query else "parameter_invalid")


def test_query_parameters_that_can_not_be_decoded_are_400(server):
    for query in ("owner=%zz", "owner=%", "owner=%00", "owner=%0a", "owner=" + "x" * 2000):
        check_problem(exchange(server, request("GET", f"/v1/files?{query}")), 400, "bad_request")
    assert get(server, "/v1/files?unknown=%zz&limit=1&=&&x")


def test_an_unknown_state_is_422(server):
    check_problem(ask(server, "GET", "/v1/jobs?state=happy"), 422, "parameter_invalid")


# ---- connections ----


def test_a_connection_serves_many_requests_also_after_errors(server):
    with Connection(server) as connection:
        for data, expected in ((request("GET", "/livez"), 200), (request("GET", "/nowhere"), 404), (post(b"{"), 400),
                               (request("POST", "/v1/files", "Content-Length: 5", body=b"12345"), 405), (post(GOOD), 201)):
            connection.send(data)
            reply = connection.reply()
            assert reply.status_code == expected and reply.headers["Connection"] == "keep-alive"


def test_requests_in_one_packet_are_answered_in_order(server):
    with Connection(server) as connection:
        connection.send(request("GET", "/livez") + post(GOOD) + request("GET", "/nowhere", "Connection: close"))
        stream = connection.socket.makefile("rb")
        data = stream.read()
    assert re.findall(rb"HTTP/1\.1 (\d+) ", data) == [b"200", b"201", b"404"]


def test_connection_close_is_obeyed(server):
    with Connection(server) as connection:
        connection.send(request("GET", "/livez", "Connection: close"))
        reply = connection.reply()
        assert reply.status_code == 200 and reply.headers["Connection"] == "close"
        assert connection.is_closed()


def test_nothing_of_an_error_can_inject_a_header(server):
    reply = exchange(server, request("GET", "/v1/files/x%0d%0aSet-Cookie:%20a=b", "X-Request-Id: a\tb"))
    assert "Set-Cookie" not in reply.headers and reply.headers["X-Content-Type-Options"] == "nosniff"
