"""The registry: which format a file has, and what reading it gives when it is broken."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

from streams.formats.opening import InputError
from streams.formats.registry import (
    FORMATS,
    ZIP,
    guess_format,
    load_format,
    read_file,
    sniff_format,
)
from streams.records import Post, Problem


def test_an_unknown_format_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Dear diary")
    with pytest.raises(InputError, match="--format NAME") as caught:
        sniff_format(path)
    assert "hoaxwatch formats lists" in str(caught.value)
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


#: What begins like one of our formats and is none, or begins like two.
NEAR_MISSES = {
    b'{"id": "1", "name": "Ada"}': None,
    b'[{"title": "News", "url": "https://e.org", "date": "2023-01-01"}]': None,
    b'{"type": "FeatureCollection", "features": []}': None,
    b"id,text,label\n1,Snow,0\n": None,
    b"id,thread_id,timestamp,body,author,subreddit\n": None,
    b"Page Name,User Name,Facebook Id,Post Created,URL,Message\n": None,
    b"date,content\n": None,
    b'{"source_platform_url":"x","item_id":"1","source_platform":"x","data":{"rest_id":"1",'
    b'"legacy":{"id_str":"1","full_text":"a"}}}': "zeeschuimer",
    b'{"rest_id":"1","legacy":{"id_str":"1","full_text":"a"},"__import_meta":{'
    b'"source_platform_url":"x","item_id":"1"}}': "fourcat",
    b'{"id_str":"1","user":{"screen_name":"a"},"full_text":"x"}': "twitter_v1",
    b'{"data":[{"id":"1","author_id":"1","conversation_id":"1"}]}': "twitter_v2",
    b'{"data":[{"id":"1","media_type":"IMAGE","permalink":"p","username":"a"}]}': "instagram_graph",
    b'{"pk":"1","code":"a","caption_text":"a","thumbnail_url":"t","user":{}}': "instagrapi",
    b'{"posts":[{"uri":"at://did:plc:a/app.bsky.feed.post/1","author":{"did":"did:plc:a"}}]}': (
        "bluesky"
    ),
    b'{\n    "node": {\n        "shortcode": "a",\n        "owner": {}': "instaloader",
    b'{"id":"1","account":{"acct":"a"},"reblogs_count":0,"language":"en"}': "mastodon",
    b'{"delete": {"status": {"id": 1, "id_str": "1"}}}': "twitter_v1",
    b'{"delete":{"tweet":{"id":"1"},"event_at":"2023-01-01","author_id":"1"}}': "twitter_v2",
}


@pytest.mark.parametrize(("head", "name"), NEAR_MISSES.items())
def test_near_misses(head: bytes, name: str | None) -> None:
    assert guess_format(head) == name


def test_real_files_are_told_apart(real_data: Path) -> None:
    for folder, name in (
        ("tweets_2023_csv", "twitwi"),
        ("tweets_v2_jsonl", "twitter_v2"),
        ("tweets_v1_jsonl", "twitter_v1"),
        ("ira_2016", "ira"),
    ):
        for path in sorted((real_data / folder).glob("*.xz")):
            if path.name != "empty.json.xz":
                assert sniff_format(path) == name, path
    for path in sorted((real_data / "text").glob("*.xz")):
        with pytest.raises(InputError):
            sniff_format(path)


# Archives


def make_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_every_file_of_an_archive_is_read_by_its_format(tmp_path: Path) -> None:
    files = {f"d/{name}": load_format(name).example() for name in FORMATS}
    path = make_zip(tmp_path / "a.zip", files)
    assert sniff_format(path) == ZIP
    readings = list(read_file(path, ZIP))
    alone = [
        reading
        for name, content in files.items()
        for reading in load_format(name[2:]).read(io.BytesIO(content), f"{name[2:]}:a.zip/{name}")
    ]
    assert readings == alone == list(read_file(path))


def test_an_archive_of_one_format_has_that(tmp_path: Path) -> None:
    example = load_format("twitwi").example()
    path = make_zip(tmp_path / "a.zip", {"a.csv": example, "b.csv.gz": gzip.compress(example)})
    assert sniff_format(path) == "twitwi"
    assert len(list(read_file(path, "twitwi"))) == 8


def test_nothing_in_an_archive_is_skipped_silently(tmp_path: Path) -> None:
    example = load_format("twitwi").example()
    inner = make_zip(tmp_path / "inner.zip", {"a": b"x"}).read_bytes()
    files = {"README.txt": b"Hello", "inner.zip": inner, "a.csv": example, "empty": b""}
    path = make_zip(tmp_path / "a.zip", files)
    assert sniff_format(path) == ZIP
    readme, archive, *posts = read_file(path)
    assert isinstance(readme, Problem) and readme.source == "zip:a.zip/README.txt"
    assert readme.reason == "file: it has none of our formats"
    assert isinstance(archive, Problem) and "unpack it" in archive.reason
    assert [type(post) for post in posts] == [Post] * 4
    with pytest.raises(InputError, match="holds no file with one of the formats"):
        sniff_format(make_zip(tmp_path / "b.zip", {"README.txt": b"Hello"}))


def test_a_damaged_file_of_an_archive_does_not_end_it(tmp_path: Path) -> None:
    example = load_format("twitwi").example()
    path = make_zip(tmp_path / "a.zip", {"a.csv": example, "b.csv": example})
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    readings = list(read_file(path, "twitwi"))
    assert sum(isinstance(reading, Problem) for reading in readings) == 1
    assert sum(isinstance(reading, Post) for reading in readings) >= 4
