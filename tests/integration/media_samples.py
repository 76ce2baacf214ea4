"""Owns: files for tests: where real ones are, and makers of pictures of every kind, colour profiles, documents, and bad ones.
Must not know: the helper."""

import io
import pathlib
import struct
import zlib

from PIL import Image
from PIL.TiffImagePlugin import IFDRational

# Of the packages mate-backgrounds and r-doc-pdf.
PHOTOS = pathlib.Path("/usr/share/backgrounds/mate")
MANUALS = pathlib.Path("/usr/share/R/doc/manual")


def quarters(width=240, height=160, mode="RGB"):
    """Red, green, blue and white quarters: whoever turns it, mirrors it or swaps its colours is seen."""
    image = Image.new("RGB", (width, height), (255, 255, 255))
    image.paste((220, 30, 30), (0, 0, width // 2, height // 2))
    image.paste((30, 200, 30), (width // 2, 0, width, height // 2))
    image.paste((30, 30, 210), (0, height // 2, width // 2, height))
    if mode == "P":
        return image.quantize(16)
    return image if mode == "RGB" else image.convert(mode)


def gradient(width=400, height=300):
    """Smooth, so that scaling by any good filter gives nearly the same."""
    image = Image.merge("RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"),
                                Image.linear_gradient("L").rotate(90)])
    return image.resize((width, height), Image.BICUBIC)


def saved(image, path, **options):
    image.save(path, **options)
    return path


def frames(count=4, width=60, height=40):
    """Each of one colour."""
    return [Image.new("RGB", (width, height), (i * 60, 255 - i * 60, 80)) for i in range(count)]


def animation(path, count=4, width=60, height=40):
    first, *rest = frames(count, width, height)
    options = {"lossless": True} if str(path).endswith("webp") else {}
    first.save(path, save_all=True, append_images=rest, duration=120, loop=0, **options)
    return path


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width, height, colour_type=2, depth=8):
    """A well-formed header, and next to nothing behind it."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) +
            png_chunk(b"IEND", b""))


def _s15(value):
    return struct.pack(">i", round(value * 65536))


def _profile(space, tags):
    """ISO 15076-1, as small as it can be."""
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for signature, data in tags:
        data += b"\0" * (-len(data) % 4)
        table += signature + struct.pack(">II", offset + len(body), len(data))
        body += data
    header = bytearray(128)
    header[0:4] = struct.pack(">I", offset + len(body))
    header[8:12] = b"\x02\x40\x00\x00"
    header[12:24] = b"mntr" + space + b"XYZ "
    header[36:40] = b"acsp"
    header[68:80] = _s15(0.9642) + _s15(1) + _s15(0.8249)
    return bytes(header) + struct.pack(">I", len(tags)) + table + body


def _common(name):
    text = name.encode()
    return [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + b"\0" * 78),
            (b"cprt", b"text\0\0\0\0none\0"),
            (b"wtpt", b"XYZ \0\0\0\0" + _s15(0.9642) + _s15(1) + _s15(0.8249))]


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def wide_profile():
    """The primaries of Adobe RGB (1998), adapted to D50."""
    colours = [(b"rXYZ", (0.60974, 0.31111, 0.01947)), (b"gXYZ", (0.20528, 0.62567, 0.06087)),
               (b"bXYZ", (0.14919, 0.06322, 0.74457))]
    return _profile(b"RGB ", _common("wide") + [(n, b"XYZ \0\0\0\0" + b"".join(map(_s15, v))) for n, v in colours] +
                    [(n, gamma(2.2)) for n in (b"rTRC", b"gTRC", b"bTRC")])


def grey_profile():
    return _profile(b"GRAY", _common("grey") + [(b"kTRC", gamma(1.2))])


def exif(orientation=1, gps=True):
    """What a camera writes, with what nobody should be told."""
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F], block[0x0110] = "Acme", "Snapper 3  "
    block[0x013B], block[0x8298] = "Jane Secret", "(c) Secret"
    details = {0x829A: IFDRational(1, 250), 0x829D: IFDRational(28, 10), 0x8827: 400, 0x9003: "2021:07:01 12:30:45", 0x920A: IFDRational(35, 1),
               0xA431: "SERIAL-SECRET", 0xA434: "Prime 35", 0x9011: "+02:00", 0xA405: 52,
               0x9286: b"ASCII\0\0\0comment secret", 0xA430: "Owner Secret"}
    block[0x8769] = details
    if gps:
        block[0x8825] = {1: "N", 2: (48.0, 51.0, 29.0), 3: "E", 4: (2.0, 17.0, 40.0)}
    return block.tobytes()


def jpeg_bytes(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def simple_pdf(pages=1, width=612, height=792, text="Hello page", extra=""):
    """With a correct table of its objects."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>",
               "<< /Type /Pages /Count %d /Kids [%s] >>" % (pages, " ".join(f"{4 + 2 * i} 0 R" for i in range(pages))),
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    for i in range(pages):
        stream = f"BT /F1 24 Tf 72 {height / 2:g} Td ({text} {i + 1}) Tj ET 0 0 1 rg 0 0 50 50 re f"
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {5 + 2 * i} 0 R {extra} "
                       "/Resources << /Font << /F1 3 0 R >> >> >>")
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    data, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    return data + (f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
                   f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF\n").encode()
