"""CrowdTangle: each column, zones, what is unknown. All rows are invented."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import msgspec
import pytest

from streams.formats import crowdtangle
from streams.records import Author, Media, Post, Problem, Reading

ROW = {
    "Account": "Ada",
    "User Name": "Ada.Weather",
    "Followers at Posting": "1,250",
    "Post Created": "2020-01-01 10:00:00 EST",
    "Type": "Photo",
    "Total Interactions": "1,008",
    "Likes": "1,007",
    "Comments": "1",
    "Views": "0",
    "URL": "https://www.instagram.com/p/Crh4qDj9QAA/",
    "Photo": "https://c/1.jpg",
    "Title": "",
    "Description": "Snow in #May https://e.org",
    "Image Text": "SNOW!",
}


def read(*rows: dict[str, str]) -> list[Reading]:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return list(crowdtangle.read(io.BytesIO(text.getvalue().encode()), "crowdtangle:a.csv"))


def read_post(**cells: str) -> Post:
    (post,) = read(ROW | {name.replace("_", " "): cell for name, cell in cells.items()})
    assert isinstance(post, Post), post
    return post


def test_every_field() -> None:
    assert msgspec.structs.replace(read_post(), raw=b"") == Post(
        platform="instagram",
        post_id="Crh4qDj9QAA",
        root_id="Crh4qDj9QAA",
        posted_at=datetime(2020, 1, 1, 15, tzinfo=UTC),
        text="Snow in #May https://e.org",
        hashtags=("May",),
        links=("https://e.org",),
        media=(Media(kind="image", url="https://c/1.jpg", alt_text="SNOW!"),),
        author=Author(author_id="@ada.weather", handle="Ada.Weather", name="Ada", followers=1250),
        likes=1007,
        replies=1,
        provenance="crowdtangle:a.csv",
    )


def test_videos_titles_and_what_is_unknown() -> None:
    post = read_post(Type="IGTV", Title="Boots", Views="90", Likes="", Image_Text="")
    assert (post.text, post.views, post.likes) == ("Boots\n\nSnow in #May https://e.org", 90, None)
    assert post.media == (Media(kind="video", url="https://c/1.jpg"),)
    assert read_post(Title="Boots", Description="").text == "Boots"
    assert read_post(User_Name="", Photo="").author is None


def test_summer_and_winter() -> None:
    assert read_post(Post_Created="2020-07-01 10:00:00 EDT").posted_at.hour == 14
    assert read_post(Post_Created="2020-07-01 10:00:00 CEST").posted_at.hour == 8


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"URL": "https://www.instagram.com/ada/"}, "URL"),
        ({"URL": "Crh4qDj9QAA"}, "URL"),
        ({"Post Created": "2020-01-01 10:00:00"}, "Post Created"),
        ({"Post Created": "2020-01-01 10:00:00 XYZ"}, "Post Created"),
        ({"Post Created": "1970-01-01 10:00:00 EST"}, "Post Created"),
    ],
)
def test_a_bad_row_is_a_problem_that_names_the_field(cells: dict[str, str], field: str) -> None:
    problem, post = read(ROW | cells, ROW)
    assert isinstance(problem, Problem) and problem.reason.startswith(f"{field}: ")
    assert isinstance(post, Post)
