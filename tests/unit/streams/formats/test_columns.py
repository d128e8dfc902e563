"""Columns: what a map can say, what is wrong with one, files that it fits or not."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from streams.formats import columns
from streams.formats.columns import MAP_EXAMPLE, ColumnMap, Mapped
from streams.formats.derived_ids import POST_PREFIX, TEXT_PREFIX
from streams.formats.json_records import Json
from streams.formats.opening import InputError
from streams.formats.registry import load_format, read_file
from streams.records import Author, Media, Post, Problem, Reading

HEADER = "Tweet ID;Date;Content;User;Retweet of;Likes\n"


@pytest.fixture
def example_map(tmp_path: Path) -> Path:
    path = tmp_path / "MAP.toml"
    path.write_text(MAP_EXAMPLE)
    return path


def read(column_map: ColumnMap, content: str) -> list[Reading]:
    return list(Mapped(column_map).read(io.BytesIO(content.encode()), "columns:a"))


def read_json(record: Json, **more: str) -> Post | Problem:
    names = {"post_id": "id", "posted_at": "at", "text": "text", **more}
    (reading,) = read(ColumnMap(columns=names, platform="x"), json.dumps(record))
    assert isinstance(reading, Post | Problem)
    return reading


def test_the_documented_example(example_map: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        HEADER + "1001;24.04.2023 12:40;Snow #May;ada;;7\n1002;24.04.2023 12:41;;bo;1001;\n"
    )
    first, second = read_file(path, f"columns:{example_map}")
    assert isinstance(first, Post) and isinstance(second, Post)
    assert msgspec.structs.replace(first, raw=b"") == Post(
        platform="x",
        post_id="1001",
        root_id="1001",
        posted_at=datetime(2023, 4, 24, 10, 40, tzinfo=UTC),
        text="Snow #May",
        hashtags=("May",),
        author=Author(author_id="ada"),
        likes=7,
        provenance="columns:a.csv",
    )
    assert (second.kind, second.share_of, second.likes) == ("share", "1001", None)


def test_raw_maps_again_with_its_map_or_with_a_mended_one(example_map: Path) -> None:
    mapped = load_format(f"columns:{example_map}")
    content = HEADER + "1001;24.04.2023 12:40;Snow;ada;;7\n"
    (post,) = mapped.read(io.BytesIO(content.encode()), "s")
    assert isinstance(post, Post)
    assert list(columns.remap(post.raw, "s")) == [post]
    example_map.write_text(MAP_EXAMPLE.replace("Europe/Vienna", "UTC"))
    (again,) = load_format(f"columns:{example_map}").remap(post.raw, "s")
    assert isinstance(again, Post) and again.posted_at.hour == 12


def test_every_field() -> None:
    cells = {
        "platform": "x",
        "post_id": "https://x.com/ada/status/1001",
        "posted_at": "1682345614",
        "text": "Snow",
        "lang": "en",
        "reply_to": "99",
        "hashtags": "May|#June|May",
        "links": "https://e.org/a|https://e.org/b",
        "images": "https://c/1.jpg",
        "videos": "https://c/2.jpg",
        "author_id": "11",
        "author_handle": "@ada",
        "author_name": "Ada",
        "author_followers": "1,250",
        "author_following": "80",
        "author_posts": "9.0",
        "author_created_at": "2010-03-01",
        "author_verified": "Yes",
        "likes": "7",
        "shares": "3",
        "replies": "2",
        "quotes": "1",
        "views": "90",
        "observed_at": "2023-04-24T15:00:00+00:00",
    }
    (post,) = columns.read(
        io.BytesIO((",".join(cells) + "\n" + '"' + '","'.join(cells.values()) + '"').encode()), "s"
    )
    assert isinstance(post, Post)
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="x",
        post_id="1001",
        root_id="1001",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        kind="reply",
        text="Snow",
        lang="en",
        reply_to="99",
        hashtags=("May", "June"),
        links=("https://e.org/a", "https://e.org/b"),
        media=(
            Media(kind="image", url="https://c/1.jpg"),
            Media(kind="video", url="https://c/2.jpg"),
        ),
        author=Author(
            author_id="11",
            handle="ada",
            name="Ada",
            followers=1250,
            following=80,
            n_posts=9,
            created_at=datetime(2010, 3, 1, tzinfo=UTC),
            verified=True,
        ),
        likes=7,
        shares=3,
        replies=2,
        quotes=1,
        views=90,
        observed_at=datetime(2023, 4, 24, 15, tzinfo=UTC),
        provenance="s",
    )


def test_json_lines_with_names_between_dots() -> None:
    record = {"id": 1001, "at": 1682345614000, "text": "Snow", "user": {"id": 11}, "a.b": "ada"}
    post = read_json(record, author_id="user.id", author_handle="a.b")
    assert isinstance(post, Post)
    assert (post.post_id, post.author) == ("1001", Author(author_id="11", handle="ada"))
    assert post.posted_at == datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC)
    tags = read_json({"id": "1", "at": "2023-04-24", "text": "", "t": ["a\x07", 3]}, hashtags="t")
    assert isinstance(tags, Post) and tags.hashtags == ("a",)


def test_posts_without_ids_get_one() -> None:
    by_author = ColumnMap(
        columns={"posted_at": "at", "text": "text", "author_handle": "by"}, platform="x"
    )
    row = "2023-04-24,Snow,Ada\n"
    first, second = read(by_author, "at,text,by\n" + row * 2)
    assert isinstance(first, Post) and isinstance(second, Post)
    assert first.post_id != second.post_id and first.post_id.startswith(POST_PREFIX)
    assert first.author == Author(author_id="@ada", handle="Ada")
    for post in (first, second):
        assert list(columns.remap(post.raw, "columns:a")) == [post]


def test_kinds() -> None:
    of_kinds = ColumnMap(
        columns={"post_id": "id", "posted_at": "at", "text": "text", "kind": "kind"},
        platform="x",
        kinds={"RT": "share"},
    )
    rows = "1,2023-04-24,Snow,RT\n2,2023-04-24,Snow,\n3,2023-04-24,Snow,poem\n"
    share, original, problem = read(of_kinds, "id,at,text,kind\n" + rows)
    assert isinstance(share, Post) and isinstance(original, Post) and isinstance(problem, Problem)
    assert share.kind == "share" and share.root_id.startswith(TEXT_PREFIX)
    assert original.kind == "original"
    assert problem.reason.startswith("kind: 'poem'")


def test_ids_are_those_of_the_platform() -> None:
    def id_of(platform: str, told: str) -> str | None:
        names = {"post_id": "id", "posted_at": "at", "text": "text"}
        row = f"id,at,text\n{told},2023-04-24,Snow\n"
        (reading,) = read(ColumnMap(columns=names, platform=platform), row)
        return reading.post_id if isinstance(reading, Post) else None

    assert id_of("instagram", "3090000000000000000") == "Crh4qDj9QAA"
    assert id_of("instagram", "https://www.instagram.com/p/Crh4qDj9QAA/") == "Crh4qDj9QAA"
    assert id_of("x", "1.5e18") is None
    assert id_of("telegram", "channel/5") == "channel/5"


@pytest.mark.parametrize(
    ("record", "column"),
    [
        ({"id": 1.5e18, "at": "2023-04-24", "text": ""}, "id"),
        ({"at": "2023-04-24", "text": ""}, "id"),
        ({"id": "1", "at": "soon", "text": ""}, "at"),
        ({"id": "1", "at": "1970-01-01", "text": ""}, "at"),
        ({"id": "1", "text": ""}, "at"),
    ],
)
def test_a_bad_record_is_a_problem_that_names_the_column(record: Json, column: str) -> None:
    problem = read_json(record)
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{column}: ")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("post_id", "postid", r"columns\.postid is no field of ours; did you mean post_id\?"),
        ("likes =", "xyzzy =", r"columns\.xyzzy is no field of ours; there are platform, "),
        ("posted_at = ", "lang = ", "name the column that is posted_at"),
        ('platform = "x"', "", "say whose posts these are"),
        ("Europe/Vienna", "Vienna", "time_zone 'Vienna' is not known"),
        ('";"', '";;"', "delimiter ';;' is not one character"),
        ('"|"', '""', "list_separator is empty"),
        ("delimiter", "delimeter", "unknown field `delimeter`; a map has columns, platform"),
        ('"share"', '"poem"', "Invalid enum value 'poem'"),
        ("[columns]", "[columns", "is not TOML"),
        ("[columns]", "[others]", "unknown field `others`"),
    ],
)
def test_what_is_wrong_with_a_map_is_said_in_one_line(
    example_map: Path, old: str, new: str, message: str
) -> None:
    assert old in MAP_EXAMPLE
    example_map.write_text(MAP_EXAMPLE.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        load_format(f"columns:{example_map}")
    assert "\n" not in str(caught.value) and "MAP.toml" in str(caught.value)


def test_a_map_without_ids_and_one_that_is_not_there(tmp_path: Path, example_map: Path) -> None:
    lines = MAP_EXAMPLE.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("post_id", "author_id"))]
    example_map.write_text("".join(kept))
    with pytest.raises(InputError, match="post_id, or at least author_id"):
        load_format(f"columns:{example_map}")
    for missing in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError, match="cannot be read: "):
            load_format(f"columns:{missing}")
    example_map.write_bytes(b"\xff")
    with pytest.raises(InputError, match="is not TOML"):
        load_format(f"columns:{example_map}")


def test_a_map_that_does_not_fit_the_file(example_map: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for header, hint in (
        ("Tweet Id;Date;Content;User;Retweet of;Likes", "did you mean 'Tweet Id'?"),
        ("a;b", "it has a, b"),
    ):
        path.write_text(header + "\n")
        with pytest.raises(InputError) as caught:
            list(read_file(path, f"columns:{example_map}"))
        assert "the file has no column 'Tweet ID'" in str(caught.value)
        assert str(caught.value).endswith(hint)


def test_the_guide_shows_the_example_and_every_field() -> None:
    guide = (Path(columns.__file__).parent / "README.md").read_text()
    assert f"```toml\n{MAP_EXAMPLE}```" in guide
    assert all(f"`{field}`" in guide for field in columns.FIELDS)


def test_a_map_that_does_not_fit_one_file_of_an_archive(example_map: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    row = "1001;24.04.2023 12:40;Snow;ada;;7\n"
    for names, n_posts in ((("good", "bad"), 1), (("bad", "good"), 0)):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, HEADER + row if name == "good" else "a;b\n1;2\n")
        readings = read_file(path, f"columns:{example_map}")
        if n_posts:
            post, problem = readings
            assert isinstance(post, Post) and isinstance(problem, Problem)
            assert "the file has no column 'Tweet ID'" in problem.reason
        else:
            with pytest.raises(InputError):
                next(readings)


def test_other_formats_take_no_map() -> None:
    with pytest.raises(InputError, match="format ira takes nothing behind its name"):
        load_format("ira:MAP.toml")
