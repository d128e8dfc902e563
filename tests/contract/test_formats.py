"""What every file format promises, whatever it is: a line in FORMATS gets these tests."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from streams.formats.derived_ids import TEXT_PREFIX
from streams.formats.opening import InputError
from streams.formats.registry import (
    FORMATS,
    LEAST_CONFIDENCE,
    Format,
    load_format,
    read_file,
    sniff_format,
)
from streams.records import COPY_IN_SHARE, Deletion, NotAPost, Post, Problem, Reading, Record

GARBAGE = {
    "empty": b"",
    "newlines": b"\n\r\n\n",
    "zeros": bytes(5_000),
    "random": random.Random(1).randbytes(200_000),
    "png": b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(3_000),
    "utf-16": "id,timestamp_utc,text\n1,2,3\n".encode("utf-16"),
    "html": b"<!DOCTYPE html><html><body>Not found</body></html>",
    "open quote": b'id,timestamp_utc,text\n"' + b"x\n" * 80_000,
    "open brace": b'{"data": [{"id": "1"' + b"\n" * 3,
    "one long line": b"x" * 3_000_000,
}


COPIED = ("text", "lang", "hashtags", "links", "media")
WITHOUT_SHARES = {"instagram"}


@pytest.fixture(params=FORMATS)
def format(request: pytest.FixtureRequest) -> Format:
    return load_format(request.param)


def read(format: Format, content: bytes) -> list[Reading]:
    return list(format.read(io.BytesIO(content), f"{format.NAME}:example"))


def texts_of(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from texts_of(part)
    elif isinstance(value, Record):
        for name in value.__struct_fields__:
            yield from texts_of(getattr(value, name))


def moments_of(post: Post) -> Iterator[datetime]:
    yield post.posted_at
    if post.observed_at:
        yield post.observed_at
    if post.author and post.author.created_at:
        yield post.author.created_at


def check(readings: list[Reading]) -> None:
    """What holds of whatever a format yields."""
    for reading in readings:
        assert isinstance(reading, Post | Deletion | NotAPost | Problem)
        for text in texts_of(reading):
            assert "\0" not in text
            text.encode()  # no lone surrogates
        if isinstance(reading, Problem):
            assert reading.reason and reading.source and reading.position
            assert "\n" not in reading.reason
        if isinstance(reading, Post):
            assert reading.post_id and reading.root_id and reading.platform and reading.raw
            assert all(moment.utcoffset() == timedelta() for moment in moments_of(reading))
            assert (reading.kind == "share") == (reading.share_of is not None)
            by_text = reading.root_id.startswith(TEXT_PREFIX)  # the source names no roots
            assert by_text or reading.root_id == (reading.share_of or reading.post_id)
            assert reading.share_of in (None, reading.root_id)
            assert not any(tag.startswith("#") or not tag for tag in reading.hashtags)
            assert len(set(reading.hashtags)) == len(reading.hashtags)


def test_registry_names_the_module(format: Format) -> None:
    assert FORMATS[format.NAME] == format.__name__  # type: ignore[attr-defined]
    assert format.DESCRIPTION and "\n" not in format.DESCRIPTION


def test_example_is_sniffed_as_itself(format: Format) -> None:
    confidence = {name: load_format(name).sniff(format.example()) for name in FORMATS}
    assert max(confidence, key=confidence.__getitem__) == format.NAME
    assert confidence[format.NAME] >= LEAST_CONFIDENCE
    assert sorted(confidence.values())[-2] < confidence[format.NAME], "nobody else is as sure"
    assert all(0 <= value <= 1 for value in confidence.values())


def test_example_is_read(format: Format, tmp_path: Path) -> None:
    readings = read(format, format.example())
    assert any(isinstance(reading, Post) for reading in readings)
    assert not any(isinstance(reading, Problem) for reading in readings)
    check(readings)
    posts = [reading for reading in readings if isinstance(reading, Post)]
    if posts[0].platform not in WITHOUT_SHARES:
        assert any(post.kind == "share" for post in posts)
    path = tmp_path / "example.gz"
    path.write_bytes(gzip.compress(format.example()))
    assert sniff_format(path) == format.NAME
    assert len(list(read_file(path))) == len(readings)


def test_reading_twice_gives_the_same(format: Format) -> None:
    assert read(format, format.example()) == read(format, format.example())


def test_raw_maps_to_the_same_post_again(format: Format) -> None:
    for post in read(format, format.example()):
        if isinstance(post, Post):
            (again,) = format.remap(post.raw, post.provenance)
            assert isinstance(again, Post)
            # where a post was found is not in the post, its original's words not in a share
            kept = {"seen_as": post.seen_as}
            if post.completeness == COPY_IN_SHARE:
                kept |= {name: getattr(post, name) for name in COPIED}
            assert msgspec.structs.replace(again, **kept) == post
            assert again.raw == post.raw


def test_raw_of_a_problem_is_the_same_problem_again(format: Format) -> None:
    """What quarantine keeps can be tried again with a corrected reader."""
    moments = (b"2023", b"2020", b"2015", b"2016", b"1682")
    example = format.example()
    for moment in moments:
        example = example.replace(moment, b"1970" if moment != b"1682" else b"0000")
    problems = [reading for reading in read(format, example) if isinstance(reading, Problem)]
    assert problems
    for problem in problems:
        *_, again = format.remap(problem.raw, problem.source)
        assert isinstance(again, Problem) and again.reason == problem.reason


def test_raw_that_is_broken_is_a_problem(format: Format) -> None:
    for raw in (b"", b"{", b"null", b"{}", b"[1]", b"\xff", b'{"a": 1}', b'{"id": null}'):
        readings = list(format.remap(raw, "s"))
        check(readings)
        assert not any(isinstance(reading, Post) for reading in readings)


def test_provenance_is_the_source(format: Format) -> None:
    for reading in read(format, format.example()):
        if isinstance(reading, Post):
            assert reading.provenance == f"{format.NAME}:example"


def test_files_put_together_give_both(format: Format) -> None:
    once = read(format, format.example())
    twice = read(format, format.example() * 2)
    assert sum(isinstance(reading, Post) for reading in twice) == 2 * sum(
        isinstance(reading, Post) for reading in once
    )


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_never_raises(format: Format, name: str, tmp_path: Path) -> None:
    content = GARBAGE[name]
    assert 0 <= format.sniff(content) <= 1
    check(read(format, content))
    path = tmp_path / "garbage"
    path.write_bytes(content)
    try:
        check(list(read_file(path)))
    except InputError as error:
        assert "\n" not in str(error)
    check(list(read_file(path, format.NAME)))


def test_garbage_between_records_costs_no_more_than_itself(format: Format) -> None:
    first, *rest = format.example().splitlines(keepends=True)
    posts = [reading for reading in read(format, format.example()) if isinstance(reading, Post)]
    readings = read(format, first + b"\xff\xfe\x00 garbage\n" + b"".join(rest))
    assert [reading for reading in readings if isinstance(reading, Post)] == posts
    assert sum(isinstance(reading, Problem) for reading in readings) == 1


@pytest.mark.parametrize("name", ["nul", "surrogate", "bad utf-8", "10 MB"])
def test_poison_costs_at_most_its_post(format: Format, name: str) -> None:
    example = format.example()
    is_json = example.startswith((b"{", b"["))
    poison = {
        "nul": b"\\u0000" if is_json else b"\0",
        "surrogate": b"\\ud83d" if is_json else b"\xed\xa0\xbd",
        "bad utf-8": b"\xff\xf0\x9f",
        "10 MB": b"x" * 10_000_000,
    }[name]
    readings = read(format, example.replace(b"Snow", b"Sn" + poison + b"ow"))
    check(readings)
    assert len(readings) == len(read(format, example))
    n_problems = sum(isinstance(reading, Problem) for reading in readings)
    assert (n_problems > 0) == (name == "10 MB" and not is_json), "a cell of a CSV has a limit"
    texts = [reading.text for reading in readings if isinstance(reading, Post)]
    if n_problems == 0:
        assert any("Sn\ufffd" in text or "Snxxx" in text for text in texts)


def test_cut_anywhere_never_raises(format: Format) -> None:
    example = format.example()
    whole = read(format, example)
    for n_bytes in range(0, len(example), 13):
        readings = read(format, example[:n_bytes])
        check(readings)
        assert len(readings) <= len(whole) + 1


def test_packed_and_cut_anywhere_is_one_problem(format: Format, tmp_path: Path) -> None:
    packed = gzip.compress(format.example())
    path = tmp_path / "a.gz"
    for n_bytes in range(2, len(packed), 7):
        path.write_bytes(packed[:n_bytes])
        *before, last = read_file(path, format.NAME)
        check([*before, last])
        assert isinstance(last, Problem) and last.reason.startswith("file_damaged")
        assert not any(isinstance(reading, Problem) for reading in before)
