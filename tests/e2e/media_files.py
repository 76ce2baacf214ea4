"""Owns: files to process: real photos and documents, and ones that are made to be wrong.
Must not know: how they are processed."""

import io
import pathlib
import struct
import subprocess
import tarfile
import zipfile
import zlib

from PIL import Image

PHOTOS = sorted(pathlib.Path("/usr/share/backgrounds/mate").glob("*/*.jpg"))
MANUALS = pathlib.Path("/usr/share/R/doc/manual")


def halves(left=(220, 20, 20), right=(20, 20, 220), size=(1200, 800)):
    image = Image.new("RGB", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def encoded(image, format_name="JPEG", **options):
    out = io.BytesIO()
    image.save(out, format_name, **options)
    return out.getvalue()


def slow_picture(edge=3000):
    """A picture that takes its time: noise, which no codec likes."""
    return encoded(Image.effect_noise((edge, edge), 80).convert("RGB"), "JPEG", quality=90)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_claiming(width, height):
    """A valid PNG head with almost nothing behind it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + png_chunk(b"IEND", b"")


def encrypted_pdf(folder):
    path = pathlib.Path(folder) / "encrypted.pdf"
    subprocess.run(["qpdf", "--encrypt", "secret", "owner", "256", "--", MANUALS / "R-data.pdf", path], check=True)
    return path.read_bytes()


def zip_of(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def zip_bomb(mebibytes=600):
    """Some hundred KiB that unpack to hundreds of MiB of zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w", force_zip64=True) as entry:
        block = bytes(1 << 20)
        for _ in range(mebibytes):
            entry.write(block)
    return out.getvalue()


def tar_gz_of(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()
