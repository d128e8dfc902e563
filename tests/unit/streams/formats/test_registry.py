"""The registry: which format a file has, and what reading it gives when it is broken."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from streams.formats.opening import InputError
from streams.formats.registry import FORMATS, load_format, read_file, sniff_format
from streams.records import Post, Problem


def test_an_unknown_format_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Dear diary")
    with pytest.raises(InputError, match="--format NAME") as caught:
        sniff_format(path)
    assert all(name in str(caught.value) for name in FORMATS)
    with pytest.raises(InputError, match="no format 'gopher'"):
        list(read_file(path, "gopher"))


@pytest.mark.parametrize("content", [b"", b"\n\n", b"  "])
def test_an_empty_file_has_no_records(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert list(read_file(path)) == []


def test_a_missing_file_is_an_error_of_the_user(tmp_path: Path) -> None:
    for path in ("", tmp_path, tmp_path / "no", "x" * 5_000, "a\0b"):
        with pytest.raises(InputError):
            next(read_file(path))
        with pytest.raises(InputError):
            sniff_format(path)


def test_a_pipe_is_not_sniffed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="--format NAME"):
        sniff_format(tmp_path / "pipe")


def test_provenance_has_neither_folder_nor_compression(tmp_path: Path) -> None:
    path = tmp_path / "day one.csv.gz"
    path.write_bytes(gzip.compress(load_format("twitwi").example()))
    assert {r.provenance for r in read_file(path) if isinstance(r, Post)} == {"twitwi:day one.csv"}


def test_damage_is_one_problem_after_everything_before_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(load_format("twitwi").example())[:-8])
    *posts, problem = read_file(path)
    assert [type(post) for post in posts] == [Post] * 4
    assert isinstance(problem, Problem) and problem.reason.startswith("file_damaged: ")


def test_damage_before_the_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08")
    (problem,) = read_file(path)
    assert isinstance(problem, Problem) and problem.reason.startswith("file_damaged: ")
