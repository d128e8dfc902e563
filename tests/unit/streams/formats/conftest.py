"""Where the real data is that no repository may hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that HOAXWATCH_TEST_DATA names; without it the test is skipped."""
    folder = os.environ.get("HOAXWATCH_TEST_DATA")
    if not folder:
        pytest.skip("HOAXWATCH_TEST_DATA is not set: no real data to read")
    return Path(folder)
