"""Owns: the promises of uploads in pieces at the tus door: concatenation and concatenation-unfinished.
Must not know: how the engine puts bytes together."""

import random

import pytest

from api import UNKNOWN, all_items, ask, check_problem, content, status, try_chunk, wait_until
from tus import TYPE, append, call, create, head, metadata, offset, patch, upload_id

DATA = random.Random(7).randbytes(90 * 1024).hex().encode()
PIECES = (DATA[:70000], DATA[70000:70001], DATA[70001:])


def partial(daemon, data=None, size=None, headers=None):
    """A partial upload; whole when data are given."""
    size = len(data) if size is None and data is not None else size
    length = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    reply = call(daemon, "POST", "/v1/tus", {"Upload-Concat": "partial", **length, **(headers or {})})
    assert reply.status_code == 201, reply.text
    if data:
        append(daemon, reply.headers["Location"], 0, data)
    return reply.headers["Location"]


def try_final(daemon, paths, headers=None):
    return call(daemon, "POST", "/v1/tus", {"Upload-Concat": "final;" + " ".join(paths), "Upload-Metadata": metadata(),
                                            **(headers or {})})


def final(daemon, paths, headers=None):
    reply = try_final(daemon, paths, headers)
    assert reply.status_code == 201, reply.text
    return reply.headers["Location"]


def check_file(daemon, path, data):
    upload = status(daemon, upload_id(path))
    assert upload["status"] == "completed", upload
    assert content(daemon, upload["file_id"]) == data
    return upload


def files_named(daemon, name):
    return [file for file in all_items(daemon, "/v1/files") if file["filename"] == name]


def gone(daemon, path):
    return call(daemon, "HEAD", path).status_code == 410


def test_pieces_become_one_file_in_the_order_of_the_list(server):
    paths = [partial(server, piece) for piece in PIECES]
    first = final(server, paths, {"Upload-Metadata": metadata(filename="together.txt", user_id="somebody", colour="red")})
    upload = check_file(server, first, DATA)
    assert upload["filename"] == "together.txt" and upload["metadata"] == {"colour": "red"}
    headers = head(server, first)
    assert headers["Upload-Offset"] == headers["Upload-Length"] == str(len(DATA))
    assert headers["Upload-Concat"] == "final;" + " ".join(paths)
    assert headers["Upload-Metadata"] == metadata(filename="together.txt", user_id="somebody", colour="red")
    assert all(gone(server, path) for path in paths)  # nobody needs them any more
    other = final(server, [partial(server, piece) for piece in reversed(PIECES)])
    check_file(server, other, b"".join(reversed(PIECES)))


def test_pieces_are_no_files(server):
    name = "never-a-file.txt"
    path = partial(server, b"x" * 10, headers={"Upload-Metadata": metadata(filename=name)})
    headers = head(server, path)
    assert headers["Upload-Concat"] == "partial" and headers["Upload-Offset"] == headers["Upload-Length"] == "10"
    assert headers["Upload-Metadata"] == metadata(filename=name) and headers["Upload-Expires"]
    assert status(server, upload_id(path))["status"] == "uploading"
    check_problem(ask(server, "POST", f"/v1/uploads/{upload_id(path)}/complete"), 409, "upload_partial")
    assert not files_named(server, name)


def test_metadata_of_pieces_are_not_those_of_the_file(server):
    paths = [partial(server, b"x", headers={"Upload-Metadata": metadata(filename="piece", colour="red")}) for _ in range(2)]
    path = final(server, paths, {"Upload-Metadata": metadata(filename="whole.txt")})
    upload = check_file(server, path, b"xx")
    assert upload["filename"] == "whole.txt" and not upload["metadata"]


def test_pieces_need_no_type_that_is_allowed_but_the_file_does(server):
    path = partial(server, b"x", headers={"Upload-Metadata": metadata(filetype="application/x-evil")})
    check_problem(try_final(server, [path], {"Upload-Metadata": metadata(filetype="application/x-evil")}), 415, "type_not_allowed")
    check_file(server, final(server, [path]), b"x")


def test_a_final_upload_takes_no_bytes_ever(server):
    paths = [partial(server, b"x" * 5), partial(server, size=5)]
    path = final(server, paths)
    for _ in range(2):
        assert "pieces" in check_problem(patch(server, path, 0, b"y"), 403, "upload_final")["detail"]
        check_problem(patch(server, path, 0, b"y", {"Content-Type": "text/plain"}), 403)
        check_problem(patch(server, path, 7, b""), 403)
        assert try_chunk(server, upload_id(path), 0, b"y" * 10).json()["code"] in ("upload_final", "upload_completed")
        if not gone(server, paths[1]):
            append(server, paths[1], 0, b"z" * 5)
    check_file(server, path, b"xxxxxzzzzz")


def test_unfinished_pieces_are_waited_for(server):
    paths = [partial(server, size=len(piece)) for piece in PIECES]
    path = final(server, paths)
    for index in (2, 0, 1):
        headers = head(server, path)
        assert "Upload-Offset" not in headers and headers["Upload-Length"] == str(len(DATA))
        assert headers["Upload-Concat"].startswith("final;") and headers["Upload-Expires"]
        assert status(server, upload_id(path))["status"] == "initiated"
        append(server, paths[index], 0, PIECES[index])
    check_file(server, path, DATA)  # with the last byte; nobody asked
    assert head(server, path)["Upload-Offset"] == str(len(DATA))


def test_length_is_told_once_it_is_known(server):
    paths = [partial(server, b"x" * 5), partial(server)]
    path = final(server, paths)
    headers = head(server, path)
    assert "Upload-Length" not in headers and "Upload-Offset" not in headers
    append(server, paths[1], 0, b"y", {"Upload-Length": "3"})
    assert head(server, path)["Upload-Length"] == "8"
    append(server, paths[1], 1, b"yy")
    check_file(server, path, b"xxxxxyyy")


def test_one_piece_may_be_used_again_and_again(server):
    one = partial(server, b"ab")
    other = partial(server, size=1)
    waiting = final(server, [one, other])
    check_file(server, final(server, [one, one, one]), b"ababab")
    assert offset(server, one) == 2  # another one waits for it
    append(server, other, 0, b"c")
    check_file(server, waiting, b"abc")


def test_empty_pieces_count_for_nothing(server):
    paths = [partial(server, size=0), partial(server, b"x"), partial(server, size=0)]
    check_file(server, final(server, paths), b"x")
    check_file(server, final(server, [partial(server, size=0)]), b"")


def test_pieces_can_come_with_their_creation_and_with_chunks(server):
    reply = call(server, "POST", "/v1/tus", {"Upload-Concat": "partial", "Upload-Length": "3", "Content-Type": TYPE}, data=b"abc")
    assert reply.status_code == 201 and reply.headers["Upload-Offset"] == "3"
    other = partial(server, size=3)
    assert try_chunk(server, upload_id(other), 0, b"def").status_code == 200
    check_file(server, final(server, [reply.headers["Location"], other]), b"abcdef")


def test_addresses_may_be_absolute_and_have_a_proxys_prefix(server):
    paths = [partial(server, piece) for piece in PIECES]
    listed = [server.url + paths[0], "https://files.example.org/some/prefix" + paths[1], upload_id(paths[2])]
    path = final(server, listed)
    check_file(server, path, DATA)
    assert head(server, path)["Upload-Concat"] == "final;" + " ".join(listed)


@pytest.mark.parametrize("value", ["", "final", "final;", "final; ", "final;/v1/tus/", "Partial", "partial;/v1/tus/a", "final;a  b",
                                   "nonsense"])
def test_other_values_are_refused(server, value):
    check_problem(call(server, "POST", "/v1/tus", {"Upload-Concat": value, "Upload-Metadata": metadata()}), 400)


def test_what_can_not_be_put_together_is_refused(server):
    piece = partial(server, b"x")
    plain = create(server, 1)
    check_problem(try_final(server, [piece, plain]), 400, "concat_invalid")
    check_problem(try_final(server, [piece, f"/v1/tus/{UNKNOWN}"]), 404, "upload_not_found")
    check_problem(try_final(server, [piece, "/v1/tus/nonsense"]), 404, "upload_not_found")
    removed = partial(server, b"x")
    assert call(server, "DELETE", removed).status_code == 204
    check_problem(try_final(server, [piece, removed]), 410, "upload_cancelled")
    for headers in ({"Upload-Length": "1"}, {"Upload-Defer-Length": "1"}):
        check_problem(try_final(server, [piece], headers), 400, "concat_invalid")
    check_problem(call(server, "POST", "/v1/tus", {"Upload-Concat": f"final;{piece}", "Upload-Metadata": metadata(),
                                                   "Content-Type": TYPE}, data=b"x"), 400, "concat_invalid")
    check_problem(call(server, "POST", "/v1/tus", {"Upload-Concat": "partial"}), 400)
    check_problem(try_final(server, [piece] * 200), 431, "concat_invalid")
    done = final(server, [piece])
    check_problem(try_final(server, [done]), 400, "concat_invalid")


def test_pieces_of_others_are_not_there(server):
    hers = partial(server, b"x", headers={"Upload-Metadata": metadata(user_id="her")})
    check_problem(try_final(server, [hers], {"Upload-Metadata": metadata(user_id="him")}), 404, "upload_not_found")
    check_problem(try_final(server, [hers]), 404, "upload_not_found")
    check_file(server, final(server, [hers], {"Upload-Metadata": metadata(user_id="her")}), b"x")


def test_an_upload_whose_piece_is_removed_is_gone(server):
    paths = [partial(server, b"x"), partial(server, size=1)]
    path = final(server, paths)
    assert call(server, "DELETE", paths[1]).status_code == 204
    assert call(server, "HEAD", path).status_code == 410
    assert status(server, upload_id(path))["status"] == "failed"
    assert offset(server, paths[0]) == 1


def test_an_unfinished_upload_can_be_terminated_and_its_pieces_stay(server):
    paths = [partial(server, b"x"), partial(server, size=1)]
    path = final(server, paths)
    assert call(server, "DELETE", path).status_code == 204
    assert gone(server, path)
    append(server, paths[1], 0, b"y")
    check_file(server, final(server, paths), b"xy")


@pytest.mark.daemon_options("--max-file-size", "1MiB", "--chunk-size", "64KiB")
def test_together_they_are_no_larger_than_a_file(daemon):
    paths = [partial(daemon, size=600 << 10) for _ in range(2)]
    check_problem(try_final(daemon, paths), 413, "size_too_large")


@pytest.mark.daemon_options("--session-timeout", "1s", "--reap-interval", "1s")
def test_pieces_expire_with_their_bytes(daemon):
    path = partial(daemon, b"x" * 100000)
    waiting = final(daemon, [path, partial(daemon, size=1)])
    wait_until(lambda: status_code(daemon, path) == 410 and status_code(daemon, waiting) == 410)
    wait_until(lambda: not any((daemon.data / "objects" / "staging").glob("*.data")))


def status_code(daemon, path):
    return call(daemon, "HEAD", path).status_code
