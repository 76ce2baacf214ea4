"""Owns: what the tests of the media helper share: a running helper, real photos and documents.
Must not know: operations."""

import pytest

from media_helper import Helper
from media_samples import MANUALS, PHOTOS


@pytest.fixture(scope="module")
def kept():
    """The helper that a module's tests share, once there is one."""
    helpers = []
    yield helpers
    for h in helpers:
        h.close()


@pytest.fixture
def helper(kept):
    """One process for all tests of a module: each leaves it alive and as good as new."""
    if not kept:
        kept.append(Helper().start())
    yield kept[0]
    if not kept[0].alive():
        raise AssertionError(f"the helper died: {kept.pop().said()}")


@pytest.fixture(scope="session")
def photo():
    """2560 x 1600, sharp and busy."""
    return PHOTOS / "nature" / "Garden.jpg"


@pytest.fixture(scope="session")
def manual():
    return MANUALS / "R-lang.pdf"
