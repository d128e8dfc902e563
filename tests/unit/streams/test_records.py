"""What travels comes back as it was; what is newer or no record is told apart."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.records import (
    RECORD_VERSION,
    Author,
    Deletion,
    Media,
    NewerRecord,
    NotAPost,
    Post,
    Problem,
    Reading,
    decode_reading,
    encode_reading,
)

AT = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
READINGS: list[Reading] = [
    Post(platform="x", post_id="1", root_id="1", posted_at=AT),
    Post(
        platform="x",
        post_id="2",
        root_id="1",
        posted_at=AT,
        kind="share",
        share_of="1",
        text="ein Straßenfest 😀",
        hashtags=("A", "b"),
        links=("https://example.org/",),
        media=(Media(kind="image", url="https://example.org/a.png"),),
        author=Author(author_id="7", followers=0, created_at=AT),
        likes=0,
        observed_at=AT,
        raw=bytes(range(256)),
    ),
    Deletion(platform="x", kind="author", deleted_id="7", deleted_at=AT),
    NotAPost(what="user"),
    Problem(reason="broken", source="twitwi:a.csv", position="line 4", raw=b"\xff"),
]


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: type(reading).__name__)
def test_a_reading_comes_back_as_it_was(reading: Reading) -> None:
    assert decode_reading(encode_reading(reading)) == reading


def test_lone_surrogates_become_the_replacement_character() -> None:
    broken = Post(platform="x", post_id="1", root_id="1", posted_at=AT, text="a\ud800?", raw=b"r")
    found = decode_reading(encode_reading(broken))
    assert isinstance(found, Post)
    assert (found.text, found.raw, found.posted_at) == ("a\ufffd?", b"r", AT)


def test_a_newer_version_is_told_apart() -> None:
    newer = bytes([RECORD_VERSION + 1]) + encode_reading(READINGS[0])[1:]
    with pytest.raises(NewerRecord, match="upgrade hoaxwatch"):
        decode_reading(newer)


@pytest.mark.parametrize("data", [None, b"", b"{}", b"\x00", b"\x01", b"\x01\xc1", b"\x01\x80"])
def test_what_is_no_record_is_no_record(data: bytes | None) -> None:
    with pytest.raises(ValueError) as caught:
        decode_reading(data)
    assert not isinstance(caught.value, NewerRecord)
