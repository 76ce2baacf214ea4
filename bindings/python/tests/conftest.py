"""Owns: pointing the package at the installed library (FILEPROC_PREFIX, set by script/test)."""

import os
import pathlib
import sys

import pytest

PREFIX = pathlib.Path(os.environ["FILEPROC_PREFIX"])
os.environ["FILEPROC_LIBRARY"] = str(PREFIX / "lib" / "libfileproc.so.0.1")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))


@pytest.fixture
def photo(tmp_path):
    """A 1200 x 800 JPEG whose left half is red and right half is blue."""
    from PIL import Image

    image = Image.new("RGB", (1200, 800), (220, 20, 20))
    image.paste((20, 20, 220), (600, 0, 1200, 800))
    path = tmp_path / "two halves.jpg"
    image.save(path, quality=95)
    return path
