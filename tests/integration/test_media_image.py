"""Owns: the tests of image.info, image.resize and image.convert on good pictures.
Must not know: the helper's code; pixels are looked at with Pillow."""

import io
import os

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

import media_samples as samples
from media_helper import Helper, sanitized

WRITTEN = ["jpeg", "png", "webp", "avif", "gif", "tiff"]
SUFFIXES = {"jpeg": "jpg"}
# What a quarter of samples.quarters() looks like after any lossy encoder.
NEAR = 12


def near(a, b, tolerance=NEAR):
    return all(abs(x - y) <= tolerance for x, y in zip(a, b))


def corners(image):
    """Of the four quarters, clockwise from the top left."""
    image = image.convert("RGB")
    w, h = image.size
    return [image.getpixel(p) for p in ((w // 4, h // 4), (w * 3 // 4, h // 4), (w * 3 // 4, h * 3 // 4), (w // 4, h * 3 // 4))]


RED, GREEN, WHITE, BLUE = (220, 30, 30), (30, 200, 30), (255, 255, 255), (30, 30, 210)


def looks_like_quarters(image, tolerance=NEAR):
    got = corners(image)
    assert all(near(a, b, tolerance) for a, b in zip(got, (RED, GREEN, WHITE, BLUE))), got


def difference(a, b):
    """The mean over all pixels and bands."""
    assert a.size == b.size
    return sum(ImageStat.Stat(ImageChops.difference(a.convert("RGB"), b.convert("RGB"))).mean) / 3


def decoded(helper, output, tmp_path):
    """As a Pillow image; what this Pillow can't read (AVIF) is turned into PNG by the helper."""
    if output.mime_type != "image/avif":
        return output.image
    path = tmp_path / "again.avif"
    path.write_bytes(output.bytes)
    return helper.run(path, ("image.convert", {"format": "png"})).output.image


# image.info

def info(helper, path, **arguments):
    return helper.run(path, "image.info", **arguments).result


@pytest.mark.parametrize("name, expected", [
    ("rgb.jpg", ("jpeg", "rgb", 3, 8, False)),
    ("grey.jpg", ("jpeg", "grey", 1, 8, False)),
    ("cmyk.jpg", ("jpeg", "cmyk", 4, 8, False)),
    ("rgba.png", ("png", "rgb", 4, 8, True)),
    ("grey.png", ("png", "grey", 1, 8, False)),
    ("deep.png", ("png", "grey", 1, 16, False)),
    ("rgb.webp", ("webp", "rgb", 3, 8, False)),
    ("rgb.tiff", ("tiff", "rgb", 3, 8, False)),
    ("cmyk.tiff", ("tiff", "cmyk", 4, 8, False)),
])
def test_info_tells_format_size_and_colour(helper, tmp_path, name, expected):
    mode = {"rgba": "RGBA", "cmyk": "CMYK", "grey": "L", "rgb": "RGB", "deep": "I;16"}[name.split(".")[0]]
    image = Image.new("I;16", (240, 160), 40000) if mode == "I;16" else samples.quarters(mode=mode)
    facts = info(helper, samples.saved(image, tmp_path / name))
    assert (facts["format"], facts["colour_space"], facts["bands"], facts["bit_depth"], facts["has_alpha"]) == expected
    assert (facts["width"], facts["height"], facts["frames"], facts["orientation"]) == (240, 160, 1, 1)
    assert facts["has_icc_profile"] is False
    assert "exif" not in facts and "oriented_width" not in facts


def test_info_of_a_palette_picture(helper, tmp_path):
    facts = info(helper, samples.saved(samples.quarters().quantize(16), tmp_path / "p.png"))
    assert (facts["format"], facts["width"], facts["bands"], facts["colour_space"]) == ("png", 240, 3, "rgb")


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_info_counts_frames(helper, tmp_path, suffix):
    facts = info(helper, samples.animation(tmp_path / f"a.{suffix}", 4))
    assert (facts["frames"], facts["width"], facts["height"]) == (4, 60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_info_tells_the_orientation(helper, tmp_path, orientation):
    path = samples.saved(samples.quarters(), tmp_path / "o.jpg", exif=samples.exif(orientation))
    facts = info(helper, path)
    assert (facts["orientation"], facts["width"], facts["height"]) == (orientation, 240, 160)
    sideways = (facts.get("oriented_width"), facts.get("oriented_height"))
    assert sideways == ((160, 240) if orientation >= 5 else (None, None))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_info_tells_the_camera_but_neither_place_nor_person(helper, tmp_path, suffix):
    path = samples.saved(samples.quarters(), tmp_path / f"e.{suffix}", exif=samples.exif())
    if suffix == "tiff":  # Pillow writes the tags of the picture itself, not the block below them
        assert "Secret" not in str(info(helper, path))
        return
    facts = info(helper, path)
    assert facts["exif"] == {
        "make": "Acme", "model": "Snapper 3", "lens_model": "Prime 35", "taken_at": "2021-07-01T12:30:45+02:00",
        "exposure": "1/250", "exposure_seconds": pytest.approx(0.004), "f_number": pytest.approx(2.8), "iso": 400,
        "focal_length_mm": pytest.approx(35), "focal_length_35mm": 52}
    assert "secret" not in str(facts).lower()


def test_info_tells_the_resolution_when_there_is_one(helper, tmp_path):
    assert info(helper, samples.saved(samples.quarters(), tmp_path / "d.jpg", dpi=(300, 150)))["dpi"] == [300, 150]
    assert "dpi" not in info(helper, samples.saved(samples.quarters(), tmp_path / "n.png"))


def test_info_of_a_real_photo(helper, photo):
    facts = info(helper, photo)
    assert (facts["width"], facts["height"], facts["format"]) == (2560, 1600, "jpeg")


# image.resize

@pytest.mark.parametrize("params, expected", [
    ({"width": 120}, (120, 80)),
    ({"height": 40}, (60, 40)),
    ({"width": 100, "height": 100}, (100, 67)),
    ({"width": 100, "height": 100, "fit": "inside"}, (100, 67)),
    ({"width": 100, "height": 100, "fit": "cover"}, (100, 100)),
    ({"width": 100, "height": 100, "fit": "fill"}, (100, 100)),
    ({"width": 1000, "height": 1000}, (240, 160)),
    ({"width": 1000, "height": 1000, "fit": "fill"}, (240, 160)),
    ({"width": 1000, "height": 100, "fit": "cover"}, (240, 100)),
    ({"width": 480, "height": 480, "enlarge": True}, (480, 320)),
    ({"width": 480, "height": 480, "enlarge": True, "fit": "cover"}, (480, 480)),
    ({"width": 480, "height": 480, "enlarge": True, "fit": "fill"}, (480, 480)),
    ({"width": 1}, (1, 1)),
])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_resize_fits_the_box(helper, tmp_path, suffix, params, expected):
    path = samples.saved(samples.quarters(), tmp_path / f"q.{suffix}")
    answer = helper.run(path, ("image.resize", params))
    assert answer.output.image.size == expected
    assert (answer.result["width"], answer.result["height"]) == expected
    assert (answer.output.info["width"], answer.output.info["height"]) == expected
    assert answer.result["bytes"] == len(answer.output.bytes)
    assert answer.result["format"] == {"jpg": "jpeg", "png": "png"}[suffix], "the input's own format by default"
    if min(expected) > 16:
        looks_like_quarters(answer.output.image, 25)


def test_cover_cuts_the_middle_out(helper, tmp_path):
    image = Image.new("RGB", (300, 100), (0, 0, 0))
    image.paste((250, 250, 250), (100, 0, 200, 100))
    path = samples.saved(image, tmp_path / "w.png")
    got = helper.run(path, ("image.resize", {"width": 100, "height": 100, "fit": "cover"})).output.image
    assert ImageStat.Stat(got.convert("L")).mean[0] > 245


@pytest.mark.parametrize("crop", ["centre", "attention", "entropy"])
@pytest.mark.parametrize("size", [(300, 100), (900, 300)])
def test_cover_crops_where_it_is_told(helper, tmp_path, crop, size):
    """Also when nothing is scaled, and the picture is read from the decoder row by row."""
    image = Image.new("RGB", size, (40, 40, 40))
    detail = Image.effect_noise((size[1], size[1]), 90).convert("RGB")
    image.paste(detail, (size[0] - size[1], 0))
    path = samples.saved(image, tmp_path / "c.png")
    got = helper.run(path, ("image.resize", {"width": 100, "height": 100, "fit": "cover", "crop": crop})).output.image
    assert got.size == (100, 100)
    busy = ImageStat.Stat(got.convert("L")).stddev[0] > 10
    assert busy == (crop != "centre")


@pytest.mark.parametrize("factor", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_resized_pixels_are_right(helper, tmp_path, factor, suffix):
    """By Pillow's own Lanczos; no shift, no change of brightness."""
    image = samples.gradient(840, 630)
    path = samples.saved(image, tmp_path / f"g.{suffix}", **({"quality": 98} if suffix == "jpg" else {}))
    got = helper.run(path, ("image.resize", {"width": 840 // factor, "format": "png"})).output.image
    want = Image.open(path).resize(got.size, Image.LANCZOS)
    assert difference(got, want) < 1.0


def test_a_photo_is_scaled_as_pillow_scales_it(helper, photo):
    got = helper.run(photo, ("image.resize", {"width": 700, "height": 700, "format": "png"})).output.image
    assert got.size == (700, 438)
    assert difference(got, Image.open(photo).resize(got.size, Image.LANCZOS)) < 2.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("operation", ["resize", "shrink", "convert"])
def test_pictures_are_turned_upright(helper, tmp_path, orientation, operation):
    """The pixels, not the tag."""
    undo = {1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
            6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}[orientation]
    image = samples.quarters()
    stored = image.transpose(undo) if undo is not None else image
    path = samples.saved(stored, tmp_path / "o.jpg", quality=95, exif=samples.exif(orientation))
    step, size = {"resize": (("image.resize", {"width": 120, "height": 100}), (120, 80)),
                  "shrink": (("image.resize", {"width": 24}), (24, 16)),
                  "convert": (("image.convert", {"format": "jpeg"}), (240, 160))}[operation]
    answer = helper.run(path, step)
    got = answer.output.image
    assert got.size == size == (answer.result["width"], answer.result["height"])
    looks_like_quarters(got, 25)
    assert got.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("operation", ["resize", "convert"])
def test_metadata_is_stripped(helper, tmp_path, form, operation):
    image = samples.quarters()
    image.info["comment"] = b"comment secret"
    path = samples.saved(image, tmp_path / "m.jpg", exif=samples.exif(), comment=b"comment secret",
                         icc_profile=samples.wide_profile())
    params = {"format": form, **({"width": 120} if operation == "resize" else {})}
    output = helper.run(path, (f"image.{operation}", params)).output
    for word in (b"secret", b"Secret", b"SECRET", b"Acme", b"Snapper", b"Prime"):
        assert word not in output.bytes, word
    if form in ("jpeg", "webp"):  # beside a profile libvips writes a block of its own: resolution and size
        kept = output.image.getexif()
        assert set(kept) <= {0x011A, 0x011B, 0x0128, 0x0213, 0x8769, 0x0112} and 0x8825 not in kept


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "tiff"])
@pytest.mark.parametrize("operation", ["resize", "convert"])
def test_the_profile_is_kept(helper, tmp_path, form, operation):
    path = samples.saved(samples.quarters(), tmp_path / "i.jpg", quality=98, icc_profile=samples.wide_profile())
    params = {"format": form, "quality": 95, **({"width": 120} if operation == "resize" else {})}
    got = helper.run(path, (f"image.{operation}", params)).output.image
    assert got.info.get("icc_profile") == samples.wide_profile()
    looks_like_quarters(got)  # numbers stay as they are: the profile says what they mean


def test_avif_keeps_the_profile(helper, tmp_path):
    path = samples.saved(samples.quarters(), tmp_path / "i.jpg", quality=98, icc_profile=samples.wide_profile())
    again = tmp_path / "i.avif"
    again.write_bytes(helper.run(path, ("image.convert", {"format": "avif"})).output.bytes)
    assert info(helper, again)["has_icc_profile"] is True


@pytest.mark.parametrize("params", [{"format": "png", "keep_icc": False}, {"format": "gif"}])
def test_a_profile_that_is_not_kept_is_applied(helper, tmp_path, params):
    image = Image.new("RGB", (64, 64), (60, 190, 90))
    path = samples.saved(image, tmp_path / "i.png", icc_profile=samples.wide_profile())
    got = helper.run(path, ("image.convert", params)).output.image
    want = ImageCms.profileToProfile(image, io.BytesIO(samples.wide_profile()), ImageCms.createProfile("sRGB"),
                                     renderingIntent=1)
    assert "icc_profile" not in got.info
    assert near(got.convert("RGB").getpixel((9, 9)), want.getpixel((9, 9)), 3)
    assert not near(want.getpixel((9, 9)), (60, 190, 90), 10), "or this shows nothing"


@pytest.mark.parametrize("form", ["jpeg", "png", "tiff"])
def test_a_grey_profile_stays_with_a_grey_picture(helper, tmp_path, form):
    path = samples.saved(Image.new("L", (64, 64), 100), tmp_path / "g.png", icc_profile=samples.grey_profile())
    got = helper.run(path, ("image.convert", {"format": form})).output.image
    assert (got.mode, got.info.get("icc_profile")) == ("L", samples.grey_profile())


@pytest.mark.parametrize("params", [{"format": "webp", "lossless": True}, {"format": "png", "keep_icc": False}, {"format": "gif"},
                                    {"format": "avif", "quality": 95}])
def test_a_grey_profile_is_applied_where_it_can_not_stay(helper, tmp_path, params):
    """A file of three bands with a profile for one is no valid file, and a viewer shows it too dark."""
    path = samples.saved(Image.new("L", (64, 64), 100), tmp_path / "g.png", icc_profile=samples.grey_profile())
    output = helper.run(path, ("image.convert", params)).output
    got = decoded(helper, output, tmp_path)
    want = round(((100 / 255) ** 1.2) ** (1 / 2.2) * 255)  # sRGB is nearly 2.2
    assert samples.grey_profile() not in output.bytes
    assert near(got.convert("RGB").getpixel((9, 9)), (want,) * 3, 4), (got.convert("RGB").getpixel((9, 9)), want)


@pytest.mark.parametrize("form", ["jpeg", "webp", "avif"])
def test_quality_changes_the_size(helper, photo, form):
    sizes = [len(helper.run(photo, ("image.resize", {"width": 400, "format": form, "quality": q})).output.bytes)
             for q in (20, 50, 90)]
    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[2] > 2 * sizes[0]


def test_transparency_survives_scaling(helper, tmp_path):
    """Colours of what can't be seen don't bleed into what can."""
    image = Image.new("RGBA", (200, 100), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (100, 0, 200, 100))
    path = samples.saved(image, tmp_path / "a.png")
    got = helper.run(path, ("image.resize", {"width": 50, "format": "png"})).output.image
    assert got.mode == "RGBA" and got.size == (50, 25)
    assert got.getpixel((5, 5))[3] == 0 and got.getpixel((45, 5)) == (0, 0, 255, 255)
    for x in range(50):
        r, g, b, a = got.getpixel((x, 12))
        assert a < 8 or (r < 8 and b > 247), (x, (r, g, b, a))


def test_several_sizes_in_one_run_are_the_same_as_one_by_one(helper, photo):
    steps = [("image.resize", {"width": 1600, "height": 1600, "format": "png"}), "image.info",
             ("image.resize", {"width": 256, "height": 256, "fit": "cover", "format": "png"}),
             ("image.resize", {"width": 1024, "height": 1024, "format": "png"}),
             ("image.resize", {"width": 1024, "height": 1024, "format": "jpeg"})]
    answer = helper.run(photo, *steps)
    assert answer.error is None and sorted(answer.results) == [0, 1, 2, 3, 4]
    assert [o.step for o in answer.outputs] == [0, 2, 3, 4]
    for output in answer.outputs:
        alone = helper.run(photo, steps[output.step]).output.image
        assert difference(output.image, alone) < 1.5


def test_several_sizes_share_one_decode(photo, tmp_path):
    """Three sizes cost less than twice the largest; three readings would cost three times."""
    def cpu(h):
        fields = open(f"/proc/{h.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # PNG has no cheap way to decode less: reading it is nearly all of the work.
    with Helper() as h:
        big = h.run(photo, ("image.convert", {"format": "png"})).output.bytes
        path = tmp_path / "big.png"
        path.write_bytes(big)
        h.run(path, ("image.resize", {"width": 300, "format": "jpeg"}))
        before = cpu(h)
        for _ in range(3):
            assert h.run(path, ("image.resize", {"width": 300, "format": "jpeg"})).error is None
        one = cpu(h) - before
        for _ in range(3):
            assert h.run(path, *[("image.resize", {"width": w, "format": "jpeg"}) for w in (300, 301, 302)]).error is None
        assert cpu(h) - before - one < 2 * one + 0.05


def test_sizes_that_did_not_fit_together_are_made_in_turn(helper, photo):
    """All at once would need more pixels than allowed, so there are two readings; none is lost, none is made twice."""
    limits = {"max_pixels": 2560 * 1600}
    widths = (2400, 1600, 1599, 400)
    answer = helper.run(photo, *[("image.resize", {"width": w, "format": "jpeg"}) for w in widths], limits=limits)
    assert answer.error is None
    assert [o.image.size[0] for o in answer.outputs] == list(widths)


@pytest.mark.skipif(sanitized(), reason="a sanitizer keeps for a while what was freed")
def test_memory_of_shared_sizes_is_given_back(helper, photo):
    """The second does not fit with the first, the third fits with either: it must not be made twice."""
    limits = {"max_pixels": 2560 * 1600}
    steps = [("image.resize", {"width": w, "format": "jpeg"}) for w in (1600, 2000, 1580)]
    first = [helper.run(photo, *steps, limits=limits).rss_bytes for _ in range(3)][-1]
    last = [helper.run(photo, *steps, limits=limits).rss_bytes for _ in range(12)][-1]
    assert last - first < 20 << 20


# image.convert

@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("name, mode", [("a.png", "RGB"), ("a.png", "RGBA"), ("a.png", "P"), ("a.png", "L"), ("a.png", "LA"),
                                        ("a.png", "1"), ("a.jpg", "CMYK"), ("a.jpg", "L"), ("a.webp", "RGB"), ("a.gif", "P"),
                                        ("a.tiff", "RGB"), ("a.tiff", "CMYK"), ("a.png", "I;16")])
def test_convert_writes_every_format(helper, tmp_path, form, name, mode):
    image = Image.new("I;16", (240, 160), 40000) if mode == "I;16" else samples.quarters(mode=mode)
    path = samples.saved(image, tmp_path / name, **({"quality": 95} if name.endswith("jpg") else {}))
    answer = helper.run(path, ("image.convert", {"format": form, "quality": 95}))
    output = answer.output
    assert (output.mime_type, output.extension) == (f"image/{form}", SUFFIXES.get(form, form))
    assert answer.result == {"format": form, "width": 240, "height": 160, "frames": 1, "bytes": len(output.bytes)}
    got = decoded(helper, output, tmp_path)
    assert got.size == (240, 160)
    if got.mode.startswith("I"):
        assert got.getpixel((3, 3)) == 40000
    elif mode == "I;16":
        assert near(got.convert("RGB").getpixel((3, 3)), (40000 // 257,) * 3)
    elif mode in ("RGB", "RGBA", "P"):
        looks_like_quarters(got, 20)
    elif mode == "CMYK":  # inks are duller than light: which colour is strongest is what counts
        red, green, white, blue = corners(got)
        assert near(white, WHITE) and [c.index(max(c)) for c in (red, green, blue)] == [0, 1, 2]
    else:
        assert difference(got, Image.open(path)) < 8


def test_sixteen_bits_stay_where_the_format_has_them(helper, tmp_path):
    path = samples.saved(Image.new("I;16", (40, 30), 12345), tmp_path / "d.png")
    for form in ("png", "tiff"):
        got = helper.run(path, ("image.convert", {"format": form})).output.image
        assert got.getpixel((5, 5)) == 12345


def test_alpha_is_put_onto_the_background_for_jpeg(helper, tmp_path):
    image = Image.new("RGBA", (60, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 128), (30, 0, 60, 40))
    path = samples.saved(image, tmp_path / "b.png")
    for params, left, right in [({}, (255, 255, 255), (127, 127, 255)), ({"background": "#0f0"}, (0, 255, 0), (0, 127, 128)),
                                ({"background": "#102030"}, (16, 32, 48), (8, 16, 152))]:
        got = helper.run(path, ("image.convert", {"format": "jpeg", "quality": 100, **params})).output.image
        assert near(got.getpixel((10, 20)), left) and near(got.getpixel((50, 20)), right), params


def test_a_colour_is_put_behind_a_grey_picture(helper, tmp_path):
    path = samples.saved(Image.new("LA", (60, 40), (0, 0)), tmp_path / "b.png", icc_profile=samples.grey_profile())
    got = helper.run(path, ("image.convert", {"format": "jpeg", "quality": 95, "background": "#20b2aa"})).output.image
    assert got.mode == "RGB" and "icc_profile" not in got.info
    assert near(got.getpixel((10, 20)), (0x20, 0xB2, 0xAA))


@pytest.mark.parametrize("form", ["png", "webp", "gif", "tiff", "avif"])
def test_alpha_is_kept_where_the_format_has_it(helper, tmp_path, form):
    image = Image.new("RGBA", (64, 48), (10, 200, 10, 0))
    image.paste((200, 10, 10, 255), (32, 0, 64, 48))
    path = samples.saved(image, tmp_path / "t.png")
    got = decoded(helper, helper.run(path, ("image.convert", {"format": form, "quality": 95})).output, tmp_path).convert("RGBA")
    assert got.getpixel((8, 20))[3] < 8 and got.getpixel((56, 20))[3] > 247


def test_lossless_is_lossless(helper, photo, tmp_path):
    small = tmp_path / "s.png"
    small.write_bytes(helper.run(photo, ("image.resize", {"width": 200, "format": "png"})).output.bytes)
    got = helper.run(small, ("image.convert", {"format": "webp", "lossless": True})).output.image
    assert difference(got, Image.open(small)) == 0


# animations

@pytest.mark.parametrize("source", ["gif", "webp"])
@pytest.mark.parametrize("target", ["gif", "webp"])
@pytest.mark.parametrize("operation", [("image.convert", {}), ("image.resize", {"width": 30})])
def test_animations_stay_animations_when_asked(helper, tmp_path, source, target, operation):
    path = samples.animation(tmp_path / f"a.{source}")
    name, params = operation
    answer = helper.run(path, (name, {**params, "format": target, "frames": "all"}))
    got = answer.output.image
    assert got.n_frames == 4 == answer.result["frames"]
    assert got.size == ((30, 20) if params else (60, 40))
    for i, colour in enumerate(samples.frames()):
        got.seek(i)
        assert near(got.convert("RGB").getpixel((9, 9)), colour.getpixel((0, 0)), 24), i
    got.seek(1)
    got.load()
    assert got.info["duration"] == 120


@pytest.mark.parametrize("source", ["gif", "webp"])
def test_the_first_frame_by_default(helper, tmp_path, source):
    path = samples.animation(tmp_path / f"a.{source}")
    answer = helper.run(path, ("image.convert", {"format": "png"}))
    assert answer.output.image.size == (60, 40)
    assert (answer.result["frames"], answer.result["frames_dropped"]) == (1, 3)
    # A format that can't move: asking for all of them changes nothing.
    answer = helper.run(path, ("image.convert", {"format": "jpeg", "frames": "all"}))
    assert (answer.result["frames"], answer.result["frames_dropped"]) == (1, 3)


@pytest.mark.parametrize("source", ["gif", "webp"])
@pytest.mark.parametrize("params", [{"width": 30, "height": 30}, {"width": 40, "height": 40}, {"width": 60, "height": 20},
                                    {"width": 40, "height": 40, "keep_icc": False}])
def test_every_frame_is_cropped(helper, tmp_path, source, params):
    """Also when nothing is scaled, and no pixels lie in memory."""
    path = tmp_path / f"a.{source}"
    first, *rest = samples.frames()
    options = {"lossless": True, "icc_profile": samples.wide_profile()} if source == "webp" else {}
    first.save(path, save_all=True, append_images=rest, duration=120, loop=0, **options)
    answer = helper.run(path, ("image.resize", {**params, "fit": "cover", "format": "webp", "lossless": True, "frames": "all"}))
    got = answer.output.image
    assert (got.size, got.n_frames) == ((params["width"], params["height"]), 4)
    if "keep_icc" not in params:
        for i, colour in enumerate(samples.frames()):
            got.seek(i)
            assert near(got.convert("RGB").getpixel((9, 9)), colour.getpixel((0, 0)), 24), i


@pytest.mark.parametrize("frames", ["first", "all"])
def test_steps_with_different_frames_share_a_run(helper, tmp_path, frames):
    path = samples.animation(tmp_path / "a.gif")
    other = {"first": "all", "all": "first"}[frames]
    answer = helper.run(path, *[("image.resize", {"width": w, "format": "webp", "frames": f})
                                for w, f in ((30, frames), (20, other), (15, frames), (10, other))])
    assert answer.error is None
    assert [o.image.n_frames for o in answer.outputs] == [{"first": 1, "all": 4}[f] for f in (frames, other) * 2]


# parameters: the library has checked them against the schema, the helper does not rely on it

@pytest.mark.parametrize("operation, params, word", [
    ("image.resize", {}, "width or height"),
    ("image.resize", {"width": 0}, "width"),
    ("image.resize", {"width": 16385}, "width"),
    ("image.resize", {"width": "100"}, "width"),
    ("image.resize", {"width": 10, "fit": "around"}, "fit"),
    ("image.resize", {"width": 10, "enlarge": 1}, "enlarge"),
    ("image.resize", {"width": 10, "format": "bmp"}, "format"),
    ("image.resize", {"width": 10, "quality": 0}, "quality"),
    ("image.resize", {"width": 10, "quality": 101}, "quality"),
    ("image.convert", {}, "format"),
    ("image.convert", {"format": "jpeg", "background": "red"}, "background"),
    ("image.convert", {"format": "jpeg", "background": "#12345"}, "background"),
    ("image.convert", {"format": "jpeg", "frames": "some"}, "frames"),
])
def test_a_wrong_parameter_is_named(helper, tmp_path, operation, params, word):
    path = samples.saved(samples.quarters(), tmp_path / "q.png")
    answer = helper.run(path, (operation, params))
    assert word in answer.failed("parameter_invalid")["detail"]
    assert not answer.outputs


def test_a_result_that_the_format_can_not_hold(helper, tmp_path):
    path = samples.saved(Image.new("L", (17000, 10)), tmp_path / "wide.png")
    assert "16383" in helper.run(path, ("image.convert", {"format": "webp"})).failed("parameter_invalid")["detail"]
    assert helper.run(path, ("image.convert", {"format": "jpeg"})).output.image.size == (17000, 10)


def test_an_enlargement_beyond_the_limit(helper, tmp_path):
    path = samples.saved(samples.quarters(), tmp_path / "q.png")
    answer = helper.run(path, ("image.resize", {"width": 16384, "height": 16384, "fit": "fill", "enlarge": True}))
    answer.failed("media_too_large")


def test_an_unknown_operation(helper, photo):
    answer = helper.run(photo, "image.info", "image.paint")
    assert answer.failed("operation_unknown")["step"] == 1 and 0 in answer.results
