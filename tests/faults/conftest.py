"""A scene of its own for each test, on one server: the faults are not the server's."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.scene import Scene

if TYPE_CHECKING:
    from tests.conftest import Server

_numbers = itertools.count()


@pytest.fixture
def scene(one_server: Server, kafka: str, tmp_path: Path) -> Iterator[Scene]:
    """A project on the session's broker, with an empty database."""
    with one_server.new_database() as dsn:
        made = Scene(kafka, dsn, tmp_path, f"f{os.getpid()}-{next(_numbers)}-")
        made.set_up()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def reference(one_server: Server) -> Iterator[str]:
    """An empty database for what must come out."""
    with one_server.new_database() as dsn:
        yield dsn
