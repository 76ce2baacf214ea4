"""Owns: the tests of pdf.info, pdf.text and pdf.render on documents that can be opened.
Must not know: poppler."""

import subprocess

import pytest
from PIL import ImageStat

import media_samples as samples
from media_samples import MANUALS


def written(path, data):
    path.write_bytes(data)
    return path


def qpdf(source, target, *options):
    subprocess.run(["qpdf", *options, str(source), str(target)], check=True)
    return target


def pages_of(answer):
    assert answer.output.mime_type == "application/json" and answer.output.extension == "json"
    return answer.output.json["pages"]


def test_info_of_a_manual(helper, manual):
    facts = helper.run(manual, "pdf.info").result
    assert facts["pages"] == 69 and facts["version"] == "1.5"
    assert facts["encrypted"] is False and facts["has_forms"] is False and facts["has_attachments"] is False
    assert all(facts["permissions"].values())
    assert facts["producer"].startswith("pdfTeX") and facts["created_at"] == "2023-01-20T16:49:27.000Z"
    assert len(facts["page_sizes"]) == 10
    assert facts["page_sizes"][0] == {"page": 1, "width_points": 612, "height_points": 792}


@pytest.mark.parametrize("name", sorted(p.name for p in MANUALS.glob("R-*.pdf")))
def test_every_manual_opens(helper, name):
    answer = helper.run(MANUALS / name, "pdf.info", ("pdf.text", {"pages": "1-3"}), ("pdf.render", {"width": 200}))
    assert answer.error is None
    assert answer.results[1]["words"] > 20 and answer.outputs[1].image.size[0] == 200


def test_sizes_are_told_as_shown(helper, tmp_path):
    path = written(tmp_path / "r.pdf", samples.simple_pdf(2, 600, 200, extra="/Rotate 90"))
    facts = helper.run(path, "pdf.info").result
    assert facts["page_sizes"][1] == {"page": 2, "width_points": 200, "height_points": 600}
    got = helper.run(path, ("pdf.render", {"dpi": 72})).output.image
    assert got.size == (200, 600)


def test_info_cleans_the_words_of_a_document(helper, tmp_path):
    source = written(tmp_path / "s.pdf", samples.simple_pdf())
    data = source.read_bytes().replace(b"/Root 1 0 R", b"/Root 1 0 R /Info << /Title (A\\001B\\nC" + b"x" * 900 + b") >>")
    facts = helper.run(written(tmp_path / "t.pdf", data), "pdf.info").result
    assert facts["title"].startswith("A B Cx") and facts["title"].isprintable() and len(facts["title"]) <= 500


def test_an_owner_password_hinders_no_one(helper, manual, tmp_path):
    path = qpdf(manual, tmp_path / "owner.pdf", "--encrypt", "", "secret", "256", "--print=none", "--extract=n", "--")
    facts = helper.run(path, "pdf.info").result
    assert facts["encrypted"] is True and facts["pages"] == 69
    assert facts["permissions"]["print"] is False and facts["permissions"]["copy"] is False
    answer = helper.run(path, ("pdf.text", {"pages": "1"}), "pdf.render")
    assert answer.error is None and answer.results[0]["words"] > 5


@pytest.mark.parametrize("options", [["--linearize"], ["--object-streams=generate"], ["--object-streams=disable", "--qdf"]])
def test_other_ways_to_write_the_same(helper, manual, tmp_path, options):
    path = qpdf(manual, tmp_path / "other.pdf", *options)
    facts = helper.run(path, "pdf.info").result
    assert (facts["pages"], facts["encrypted"], facts["linearized"]) == (69, False, options == ["--linearize"])


def test_text_page_by_page(helper, tmp_path):
    path = written(tmp_path / "p.pdf", samples.simple_pdf(5, text="Page number"))
    answer = helper.run(path, "pdf.text")
    assert pages_of(answer) == [{"page": i, "text": f"Page number {i}"} for i in range(1, 6)]
    assert answer.result == {"pages": 5, "characters": 5 * 13, "words": 15, "truncated": False,
                             "excerpt": "\n".join(f"Page number {i}" for i in range(1, 6))}


@pytest.mark.parametrize("pages, expected", [("2", [2]), ("2-4", [2, 3, 4]), ("4-", [4, 5]), ("5,1", [5, 1]), ("all", [1, 2, 3, 4, 5]),
                                             ("3-99", [3, 4, 5]), ("1,1", [1, 1])])
@pytest.mark.parametrize("operation", ["pdf.text", "pdf.render"])
def test_pages_are_those_asked_for_in_that_order(helper, tmp_path, operation, pages, expected):
    path = written(tmp_path / "p.pdf", samples.simple_pdf(5))
    answer = helper.run(path, (operation, {"pages": pages}))
    assert answer.result["pages"] == len(expected)
    if operation == "pdf.text":
        assert [p["page"] for p in pages_of(answer)] == expected
    else:
        assert [o.info["page"] for o in answer.outputs] == expected


@pytest.mark.parametrize("pages", ["0", "6", "x", "3-2", "1,,2", "-3", "1-3-5", "", " 1", "99999999999"])
def test_pages_that_are_none(helper, tmp_path, pages):
    path = written(tmp_path / "p.pdf", samples.simple_pdf(5))
    helper.run(path, ("pdf.text", {"pages": pages})).failed("parameter_invalid")


@pytest.mark.parametrize("operation", ["pdf.text", "pdf.render"])
def test_more_pages_than_allowed_are_left_out(helper, tmp_path, operation):
    path = written(tmp_path / "p.pdf", samples.simple_pdf(5))
    answer = helper.run(path, (operation, {"pages": "all"}), limits={"max_pages": 2})
    assert answer.results[0]["pages"] == 2 and answer.results[0]["truncated"] is True
    assert operation == "pdf.text" or len(answer.outputs) == 2


def test_the_excerpt_is_cut(helper, manual):
    result = helper.run(manual, "pdf.text").result
    assert result["pages"] == 69 and result["words"] > 10_000
    assert 900 < len(result["excerpt"]) <= 1000


@pytest.mark.parametrize("params, size", [
    ({}, (1275, 1650)), ({"dpi": 72}, (612, 792)), ({"dpi": 36}, (306, 396)), ({"width": 306}, (306, 396)),
    ({"height": 396}, (306, 396)), ({"width": 1000, "height": 396}, (306, 396)), ({"width": 100, "height": 1000}, (100, 129)),
    ({"width": 306, "dpi": 300}, (306, 396)),
])
def test_render_fits(helper, tmp_path, params, size):
    path = written(tmp_path / "p.pdf", samples.simple_pdf())
    answer = helper.run(path, ("pdf.render", params))
    assert answer.output.image.size == size == (answer.output.info["width"], answer.output.info["height"])
    assert answer.output.info["dpi"] == pytest.approx(size[0] / 612 * 72, rel=0.01)


@pytest.mark.parametrize("form, kind, extension", [("webp", "WEBP", "webp"), ("png", "PNG", "png"), ("jpeg", "JPEG", "jpg")])
def test_render_writes_what_is_on_the_page(helper, tmp_path, form, kind, extension):
    path = written(tmp_path / "p.pdf", samples.simple_pdf(width=400, height=200))
    output = helper.run(path, ("pdf.render", {"dpi": 72, "format": form})).output
    assert (output.mime_type, output.extension, output.image.format) == (f"image/{form}", extension, kind)
    got = output.image.convert("RGB")
    r, g, b = got.getpixel((25, 175))  # the blue square at the lower left
    assert r < 30 and g < 30 and b > 225
    assert min(got.getpixel((390, 10))) > 250
    assert ImageStat.Stat(got.crop((72, 75, 250, 105)).convert("L")).stddev[0] > 20, "words"


def test_quality_counts_for_pages(helper, manual):
    sizes = [len(helper.run(manual, ("pdf.render", {"format": "jpeg", "quality": q})).output.bytes) for q in (10, 90)]
    assert sizes[0] * 2 < sizes[1]


def test_a_huge_page_is_rendered_within_the_limits(helper, tmp_path):
    path = written(tmp_path / "h.pdf", samples.simple_pdf(width=14400, height=14400))
    answer = helper.run(path, ("pdf.render", {"dpi": 1200}), limits={"max_pixels": 1_000_000})
    width, height = answer.output.image.size
    assert 900_000 < width * height <= 1_000_000
    answer = helper.run(path, ("pdf.render", {"width": 16384}), limits={"max_pixels": 1_000_000})
    width, height = answer.output.image.size
    assert width * height <= 1_000_000


@pytest.mark.parametrize("params", [{"dpi": 0}, {"dpi": 1201}, {"dpi": 1.5}, {"width": 0}, {"format": "gif"}, {"quality": 0}])
def test_a_wrong_parameter(helper, tmp_path, params):
    path = written(tmp_path / "p.pdf", samples.simple_pdf())
    assert next(iter(params)) in helper.run(path, ("pdf.render", params)).failed("parameter_invalid")["detail"]


def test_one_run_opens_the_document_once_for_all_its_steps(helper, manual):
    answer = helper.run(manual, "pdf.info", ("pdf.text", {"pages": "1"}), ("pdf.render", {"width": 100}))
    assert answer.error is None and sorted(answer.results) == [0, 1, 2] and [o.step for o in answer.outputs] == [1, 2]
