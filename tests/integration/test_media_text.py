"""Owns: the tests of text.stats and file.type.
Must not know: the helper's code."""

import pytest

import media_samples as samples


def stats(helper, tmp_path, data, declared="text/plain"):
    path = tmp_path / "t.txt"
    path.write_bytes(data)
    return helper.run(path, "text.stats", declared=declared).result


@pytest.mark.parametrize("encoding, name, mark", [
    ("ascii", "us-ascii", b""), ("utf-8", "utf-8", b""), ("utf-8", "utf-8", b"\xef\xbb\xbf"),
    ("utf-16-le", "utf-16le", b"\xff\xfe"), ("utf-16-be", "utf-16be", b"\xfe\xff"), ("latin-1", "iso-8859-1", b"")])
def test_counts_in_every_encoding(helper, tmp_path, encoding, name, mark):
    text = "one two\nthree four five\n" if encoding == "ascii" else "één twee\ndrie vier vüf\n"
    got = stats(helper, tmp_path, mark + text.encode(encoding))
    assert got == {"encoding": name, "byte_order_mark": bool(mark), "bytes": len(mark + text.encode(encoding)),
                   "characters": len(text), "words": 5, "lines": 2, "longest_line": max(map(len, text.split("\n"))),
                   "line_ending": "lf"}


@pytest.mark.parametrize("data, lines, longest, ending", [
    (b"", 0, 0, "none"), (b"a", 1, 1, "none"), (b"a\n", 1, 1, "lf"), (b"a\nbb", 2, 2, "lf"), (b"a\r\nbb\r\n", 2, 2, "crlf"),
    (b"a\rbb\r", 2, 2, "cr"), (b"a\nb\r\n", 2, 1, "mixed"), (b"\n\n\n", 3, 0, "lf")])
def test_lines(helper, tmp_path, data, lines, longest, ending):
    got = stats(helper, tmp_path, data)
    assert (got["lines"], got["longest_line"], got["line_ending"]) == (lines, longest, ending)


def test_a_long_text_over_many_blocks(helper, tmp_path):
    """Characters and line ends lie across the ends of blocks."""
    text = "".join(f"žluťoučký kůň {i} 🐎\r\n" for i in range(20_000))
    got = stats(helper, tmp_path, text.encode())
    assert (got["characters"], got["words"], got["lines"], got["line_ending"]) == (len(text), 80_000, 20_000, "crlf")
    wide = stats(helper, tmp_path, b"\xff\xfe" + text.encode("utf-16-le"))
    assert (wide["characters"], wide["words"], wide["lines"]) == (len(text), 80_000, 20_000)


def test_a_table(helper, tmp_path):
    data = 'name;städte;price\n"Ann; A.";2;1,5\nBob;3;2\n"multi\nline";4;5\nshort;1\n'.encode()
    assert stats(helper, tmp_path, data, "text/csv")["csv"] == {
        "delimiter": ";", "columns": 3, "rows": 4, "irregular_rows": 1, "has_header": True, "header": ["name", "städte", "price"]}
    assert "csv" not in stats(helper, tmp_path, data, "text/plain")


def test_a_table_with_tabs_and_without_names(helper, tmp_path):
    got = stats(helper, tmp_path, b"1\t2\n3\t4\n", "text/tab-separated-values")["csv"]
    assert got == {"delimiter": "\t", "columns": 2, "rows": 2, "irregular_rows": 0, "has_header": False, "header": []}


def test_many_columns_with_long_names_fit_an_answer(helper, tmp_path):
    header = ",".join('"' + '""' * 400 + f'{i}"' for i in range(500))
    got = stats(helper, tmp_path, (header + "\n" + ",".join("1" * 500) + "\n").encode(), "text/csv")["csv"]
    assert (got["columns"], got["rows"], len(got["header"])) == (500, 1, 100)


def test_what_is_no_text_has_only_a_size(helper, tmp_path):
    data = b"\x93\xf1\0\x05" + bytes(range(256)) * 40
    assert stats(helper, tmp_path, data) == {"encoding": "binary", "bytes": len(data)}


def test_a_picture_called_text_is_refused(helper, tmp_path):
    path = samples.saved(samples.quarters(), tmp_path / "t.txt", format="PNG")
    detail = helper.run(path, "text.stats", declared="text/plain").failed("media_type_mismatch")["detail"]
    assert "text/plain" in detail and "image/png" in detail


@pytest.mark.parametrize("name, make, expected", [
    ("a.jpg", lambda p: samples.saved(samples.quarters(), p), "image/jpeg"),
    ("a.png", lambda p: samples.saved(samples.quarters(), p), "image/png"),
    ("a.webp", lambda p: samples.saved(samples.quarters(), p), "image/webp"),
    ("a.gif", lambda p: samples.saved(samples.quarters(), p), "image/gif"),
    ("a.tiff", lambda p: samples.saved(samples.quarters(), p), "image/tiff"),
    ("a.pdf", lambda p: p.write_bytes(samples.simple_pdf()), "application/pdf"),
    ("a.txt", lambda p: p.write_text("just some words\n"), "text/plain"),
    ("a.svg", lambda p: p.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>'), "image/svg+xml"),
])
def test_the_type_is_found_in_the_bytes(helper, tmp_path, name, make, expected):
    path = tmp_path / name
    make(path)
    got = helper.run(path, "file.type", declared="application/x-wrong").result
    assert got["mime_type"] == expected and got["description"]


def test_the_charset_of_a_text(helper, tmp_path):
    (tmp_path / "u.txt").write_text("größer\n", "utf-8")
    assert helper.run(tmp_path / "u.txt", "file.type").result["charset"] == "utf-8"


def test_a_photos_comment_is_no_part_of_its_type(helper, tmp_path):
    path = samples.saved(samples.quarters(), tmp_path / "c.jpg", comment=b"private words", exif=samples.exif())
    got = helper.run(path, "file.type").result
    assert "private" not in str(got) and "Acme" not in str(got)
