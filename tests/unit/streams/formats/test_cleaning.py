"""What no text may hold, and cells that hold numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.formats.cleaning import clean_record, parse_count, parse_moment
from streams.records import Media, Post


def test_every_text_of_a_record_is_cleaned_bytes_are_not() -> None:
    at = datetime(2023, 4, 24, tzinfo=UTC)
    post = Post(
        platform="x",
        post_id="1",
        root_id="1",
        posted_at=at,
        text="a\0",
        hashtags=("b\ud800",),
        media=(Media(kind="image", url="u", alt_text="\udfff"),),
        raw=b"\0",
    )
    cleaned = clean_record(post)
    assert (cleaned.text, cleaned.hashtags, cleaned.raw) == ("a\ufffd", ("b\ufffd",), b"\0")
    assert cleaned.media[0].alt_text == "\ufffd"


def test_counts() -> None:
    assert [parse_count(cell) for cell in ("0", "12", "3.0", "-1", "1e3", "", "9" * 19, "²")] == [
        *(0, 12, 3, None, None, None, None, None)
    ]


def test_moments() -> None:
    assert parse_moment("2023-04-24T14:13:34+0000") == datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC)
    assert parse_moment("2023-04-24") == datetime(2023, 4, 24, tzinfo=UTC)
    assert parse_moment("0001-01-01T00:00:00+14:00") is None
    assert parse_moment("") is None
