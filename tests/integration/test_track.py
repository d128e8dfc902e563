"""Recounting in parts: what one transaction takes at once changes no table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detectors.null import NullDetector
from streams import local, steps
from streams.settings import read_settings
from tests.conftest import Server
from tests.samples import write_samples
from tests.tables import assert_same, read_tables


def tables_of_a_run(server: Server, folder: Path) -> dict[str, list[Any]]:
    """The tables after an invented week."""
    settings = read_settings(detector="null", cluster_min_users=5)
    with server.new_database() as dsn:
        local.run(dsn, local.check_inputs(sorted(folder.glob("*"))), NullDetector(), settings)
        return read_tables(dsn)


def test_many_small_parts_give_the_tables_of_one(
    one_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_samples(tmp_path, seed=4, n_posts=1500)
    at_once = tables_of_a_run(one_server, tmp_path)
    assert len(at_once["clusters"]) > 10
    monkeypatch.setattr(steps, "BUCKETS_AT_ONCE", 1)  # a shard at a time
    assert_same(tables_of_a_run(one_server, tmp_path), at_once)
