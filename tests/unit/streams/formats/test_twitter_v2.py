"""X API v2: each envelope, each kind of record, both families of names. All posts are invented."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from streams.formats import twitter_v2
from streams.formats.registry import read_file, sniff_format
from streams.records import (
    COPY_IN_SHARE,
    CUT,
    WHOLE,
    Author,
    Deletion,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
)

Json = dict[str, object]

TWEET: Json = {
    "id": "1650500000000000001",
    "author_id": "11",
    "created_at": "2023-04-24T14:13:34.000Z",
    "text": "Snow &amp; rain in #May",
    "lang": "en",
}
USER: Json = {
    "id": "11",
    "username": "ada",
    "name": "Ada",
    "created_at": "2010-03-01T08:00:00.000Z",
    "verified": True,
    "public_metrics": {"followers_count": 250, "following_count": 80, "tweet_count": 9},
}


def read(*records: object, source: str = "twitter_v2:a.jsonl") -> list[Reading]:
    content = b"\n".join(json.dumps(record).encode() for record in records)
    return list(twitter_v2.read(io.BytesIO(content), source))


def read_post(changes: Json | None = None, **envelope: object) -> Post:
    """The last reading of a page of one tweet, as it comes after what it embeds."""
    post = read({"data": [TWEET | (changes or {})], **envelope})[-1]
    assert isinstance(post, Post), post
    return post


def test_every_field() -> None:
    metrics = {
        "retweet_count": 3,
        "reply_count": 2,
        "like_count": 0,
        "quote_count": 1,
        "impression_count": 90,
        "bookmark_count": 4,
    }
    entities = {
        "hashtags": [{"start": 16, "end": 20, "tag": "May"}, {"tag": "May"}, {"tag": "may"}],
        "urls": [
            {"expanded_url": "https://t.example/a", "unwound_url": "https://example.org/a"},
            {"expanded_url": "https://example.org/b"},
            {"expanded_url": "https://twitter.com/ada/status/1/photo/1", "media_key": "3_1"},
            {"expanded_url": "https://x.com/i/web/status/1650500000000000001"},
        ],
    }
    media = [
        {"media_key": "7_2", "type": "video", "preview_image_url": "https://p.example/2.jpg"},
        {"media_key": "3_1", "type": "photo", "url": "https://p.example/1.jpg", "alt_text": "cat"},
        {"media_key": "3_9", "type": "photo", "url": "https://p.example/of-another-post.jpg"},
    ]
    post = read_post(
        {
            "public_metrics": metrics,
            "entities": entities,
            "attachments": {"media_keys": ["3_1", "7_2", "3_gone"]},
        },
        includes={"users": [USER], "media": media},
        __twarc={"retrieved_at": "2023-04-24T15:00:00+00:00"},
    )
    assert msgspec.structs.replace(post, raw=b"") == Post(
        platform="x",
        post_id="1650500000000000001",
        posted_at=datetime(2023, 4, 24, 14, 13, 34, tzinfo=UTC),
        root_id="1650500000000000001",
        text="Snow & rain in #May",
        completeness=WHOLE,
        lang="en",
        hashtags=("May", "may"),
        links=("https://example.org/a", "https://example.org/b"),
        media=(
            Media(kind="image", url="https://p.example/1.jpg", alt_text="cat"),
            Media(kind="video", url="https://p.example/2.jpg"),
        ),
        author=Author(
            author_id="11",
            handle="ada",
            name="Ada",
            followers=250,
            following=80,
            n_posts=9,
            created_at=datetime(2010, 3, 1, 8, tzinfo=UTC),
            verified=True,
        ),
        likes=0,
        shares=3,
        replies=2,
        quotes=1,
        views=90,
        observed_at=datetime(2023, 4, 24, 15, tzinfo=UTC),
        provenance="twitter_v2:a.jsonl",
    )
    (again,) = twitter_v2.remap(post.raw, post.provenance)
    assert again == post, "raw maps to the same post again"


def test_unknown_is_none() -> None:
    (post,) = read({"data": {"id": TWEET["id"], "text": "hi"}})
    assert isinstance(post, Post)
    assert (post.author, post.lang, post.observed_at) == (None, None, None)
    assert (post.likes, post.shares, post.replies, post.quotes, post.views) == (None,) * 5
    assert post.posted_at == datetime(2023, 4, 24, 14, 0, 39, tzinfo=UTC), "from the id"
    assert read_post().author == Author(author_id="11"), "author not included"
    metrics = {"like_count": True, "reply_count": -1, "quote_count": 1.5, "impression_count": 0}
    post = read_post({"public_metrics": metrics})
    assert (post.likes, post.replies, post.quotes, post.views) == (None,) * 4


ORIGINAL: Json = {
    "id": "1650400000000000001",
    "author_id": "12",
    "created_at": "2023-04-24T08:00:00.000Z",
    "text": "A long story with #Tag",
    "lang": "de",
    "entities": {"hashtags": [{"tag": "Tag"}], "urls": [{"expanded_url": "https://e.org/"}]},
    "attachments": {"media_keys": ["3_1"]},
}
PHOTO: Json = {"media_key": "3_1", "type": "photo", "url": "https://p.example/1.jpg"}


@pytest.mark.parametrize("kind", ["retweeted", "reposted"])
@pytest.mark.parametrize(
    ("references", "included"), [("referenced_tweets", "tweets"), ("referenced_posts", "posts")]
)
def test_a_share_describes_its_original(kind: str, references: str, included: str) -> None:
    share = {
        **TWEET,
        "text": "RT @bo: A long st…",
        references: [{"type": kind, "id": ORIGINAL["id"]}],
    }
    page = {"data": [share], "includes": {included: [ORIGINAL], "media": [PHOTO]}}
    embedded, post = read(page)
    assert isinstance(embedded, Post) and isinstance(post, Post)
    assert (embedded.post_id, embedded.seen_as) == (ORIGINAL["id"], "embedded")
    assert (post.kind, post.share_of, post.root_id) == ("share", ORIGINAL["id"], ORIGINAL["id"])
    assert post.completeness == COPY_IN_SHARE and embedded.completeness == WHOLE
    for name in ("text", "lang", "hashtags", "links", "media"):
        assert getattr(post, name) == getattr(embedded, name) != getattr(Post, name, None)
    (alone,) = read({"data": [share]})
    assert isinstance(alone, Post)
    assert (alone.text, alone.completeness) == ("A long st…", COPY_IN_SHARE)


def test_kinds_and_their_order() -> None:
    quoted = {"type": "quoted", "id": "7"}
    replied = {"type": "replied_to", "id": "8"}
    shared = {"type": "retweeted", "id": "9"}
    reply = read_post({"referenced_tweets": [replied]})
    assert (reply.kind, reply.reply_to, reply.root_id) == ("reply", "8", TWEET["id"])
    quote = read_post({"referenced_posts": [replied, quoted]})
    assert (quote.kind, quote.quote_of, quote.reply_to) == ("quote", "7", "8")
    share = read_post({"referenced_tweets": [quoted, replied, shared]})
    assert (share.kind, share.root_id, share.quote_of, share.reply_to) == ("share", "9", None, None)


def test_a_link_to_the_quoted_post_is_no_link() -> None:
    link = {"expanded_url": "https://twitter.com/bo/status/7?s=20"}
    other = {"expanded_url": "https://twitter.com/bo/status/70"}
    post = read_post(
        {
            "referenced_tweets": [{"type": "quoted", "id": "7"}],
            "entities": {"urls": [link, other]},
        }
    )
    assert post.links == ("https://twitter.com/bo/status/70",)


@pytest.mark.parametrize("name", ["note_tweet", "note_post"])
def test_a_long_text_is_whole_with_its_own_tags(name: str) -> None:
    note = {"text": "x" * 400 + " #Late", "entities": {"hashtags": [{"tag": "Late"}]}}
    post = read_post({name: note, "entities": {"hashtags": [{"tag": "Early"}]}})
    assert (post.text, post.hashtags, post.completeness) == (note["text"], ("Late",), WHOLE)


def test_a_long_text_without_its_rest_is_cut() -> None:
    url = {"expanded_url": f"https://twitter.com/i/web/status/{TWEET['id']}"}
    post = read_post({"text": "x" * 250 + "… https://t.co/a", "entities": {"urls": [url]}})
    assert post.completeness == CUT


@pytest.mark.parametrize("name", ["edit_history_tweet_ids", "edit_history_post_ids"])
def test_an_edited_post_is_one_post_under_its_first_id(name: str) -> None:
    first = "1650500000000000001"
    last = "1650500040000000001"  # ten seconds later
    history = {name: [first, last]}
    old = {**TWEET, **history, "id": first, "created_at": "2023-04-24T14:00:39.000Z", "text": "a"}
    new = {**TWEET, **history, "id": last, "created_at": "2023-04-24T14:00:49.000Z", "text": "b"}
    reply = {**TWEET, "id": "9", "referenced_tweets": [{"type": "replied_to", "id": last}]}
    before, after, answer = read({"data": [new, reply], "includes": {"tweets": [old]}})
    assert isinstance(before, Post) and isinstance(after, Post) and isinstance(answer, Post)
    assert before.post_id == after.post_id == after.root_id == answer.reply_to == first
    assert before.posted_at == after.posted_at
    assert (before.completeness, after.completeness) == (CUT, WHOLE), "the newest text wins"
    (again,) = twitter_v2.remap(answer.raw, "s")
    assert isinstance(again, Post)
    assert again.reply_to == first, "what was answered is known although it is not inside"


def test_a_flattened_tweet() -> None:
    quoted = {**ORIGINAL, "type": "quoted", "author": {"id": "12", "username": "bo"}}
    flat = {
        **TWEET,
        "author": USER,
        "referenced_tweets": [quoted],
        "attachments": {"media_keys": ["3_1"], "media": [PHOTO]},
        "__twarc": {"retrieved_at": "2023-04-24T15:00:00Z"},
    }
    embedded, post = read(flat)
    assert isinstance(embedded, Post) and isinstance(post, Post)
    assert (embedded.seen_as, post.seen_as) == ("embedded", "collected")
    assert embedded.author and embedded.author.handle == "bo"
    assert post.author and post.author.handle == "ada"
    assert (post.kind, len(post.media)) == ("quote", 1)
    assert post.observed_at == embedded.observed_at == datetime(2023, 4, 24, 15, tzinfo=UTC)
    assert b"A long story" not in post.raw, "a referenced post is stored once, as itself"


def test_a_stream_event_and_a_list() -> None:
    event = {"data": TWEET, "matching_rules": [{"id": "1", "tag": "may"}]}
    assert [type(reading) for reading in read(event, [TWEET, event, 3, [TWEET]])] == [
        *(Post, Post, Post, Problem, Problem)
    ]


def test_records_that_are_no_posts_are_counted_one_by_one() -> None:
    readings = read(
        {"data": [USER, USER], "includes": {"tweets": [TWEET]}, "errors": [{"title": "Gone"}]},
        USER,
        {"data": [{"id": "1", "name": "A list", "owner_id": "11", "member_count": 3}]},
        {"data": [{"start": "a", "end": "b", "tweet_count": 9}, {"start": "b", "post_count": 1}]},
        {"data": [{"id": "1", "value": "snow", "tag": "s"}], "meta": {}},
        {"meta": {"result_count": 0}},
        {"errors": [{"title": "operational-disconnect", "detail": "bye"}]},
        {"title": "ConnectionException", "detail": "too many", "type": "about:blank"},
        [],
    )
    assert isinstance(readings[0], Post) and readings[0].seen_as == "embedded"
    assert [reading.what for reading in readings[1:] if isinstance(reading, NotAPost)] == [
        *("user", "user", "error: Gone", "user", "list", "count", "count", "rule", "empty page"),
        *("error: operational-disconnect", "error: ConnectionException", "empty page"),
    ]


def test_compliance_of_jobs() -> None:
    post_time = {"created_at": "2019-09-06T17:25:54.667Z"}
    post: Json = {"id": "1170025343920402432", "action": "delete", "reason": "deleted", **post_time}
    account: Json = {
        "id": "1170025343920402432",
        "action": "delete",
        "created_at": "2019-09-06T17:25:54Z",
    }
    old: Json = {"id": "1482680858", "action": "delete", "created_at": "2013-06-04T16:25:04+00:00"}

    def kind(record: Json, name: str) -> str:
        (deletion,) = read(record, source=f"twitter_v2:{name}")
        assert isinstance(deletion, Deletion)
        return deletion.kind

    assert kind(post, "users.jsonl") == "post", "the record knows better than the name"
    assert kind(old, "tweets.jsonl") == "author"
    assert kind(account, "users_compliance.jsonl") == "author"
    assert kind(account, "users_posts.jsonl") == kind(account, "a.jsonl") == "post"
    assert kind({**post, "type": "users"}, "a.jsonl") == "author"
    assert kind({**old, "type": "tweets"}, "a.jsonl") == "post"
    assert read({**post, "redacted_at": "2021-08-17T17:26:15.788Z"}) == [
        Deletion(
            platform="x",
            kind="post",
            deleted_id="1170025343920402432",
            reason="deleted",
            deleted_at=datetime(2021, 8, 17, 17, 26, 15, 788000, tzinfo=UTC),
        )
    ]
    assert read({**post, "action": "scrub_geo"}) == [NotAPost(what="compliance: scrub_geo")]
    assert isinstance(read({**post, "id": "all"})[0], Problem)


def test_compliance_of_streams() -> None:
    moment = {"event_at": "2021-07-06T18:40:40.000Z"}
    gone, suspended, back = read(
        {"data": {"delete": {"tweet": {"id": "7", "author_id": "8"}, **moment}}},
        {"data": {"user_suspend": {"user": {"id": "8"}, **moment}}},
        {"data": {"user_unsuspend": {"user": {"id": "8"}, **moment}}},
    )
    assert isinstance(gone, Deletion) and (gone.kind, gone.deleted_id) == ("post", "7")
    assert isinstance(suspended, Deletion) and (suspended.kind, suspended.deleted_id) == (
        "author",
        "8",
    )
    assert suspended.deleted_at == datetime(2021, 7, 6, 18, 40, 40, tzinfo=UTC)
    assert back == NotAPost(what="compliance: user_unsuspend")


def test_what_is_withheld_everywhere_must_go() -> None:
    """XX: in all countries; XY: for copyright."""
    withheld = {"copyright": True, "country_codes": ["XY"]}
    (gone,) = read({**TWEET, "withheld": withheld})
    assert isinstance(gone, Deletion)
    assert (gone.kind, gone.deleted_id, gone.reason) == ("post", TWEET["id"], "withheld")
    at = "2026-03-02T12:00:00.000Z"
    for name, subject, kind in (("withheld", "tweet", "post"), ("user_withheld", "user", "author")):
        event = {subject: {"id": "7"}, "event_at": at, "withheld_in_countries": ["XX"]}
        (gone,) = read({"data": {name: event}})
        assert isinstance(gone, Deletion)
        assert (gone.kind, gone.deleted_id) == (kind, "7")
        (kept,) = read({"data": {name: {**event, "withheld_in_countries": ["DE"]}}})
        assert kept == NotAPost(what=f"compliance: {name}")


def test_an_edited_post_that_is_withheld_goes_under_the_id_it_is_stored_under() -> None:
    versions = ["1650500000000000001", "1650500000000000010"]
    edited = {**TWEET, "id": versions[1], "edit_history_tweet_ids": versions}
    (post,) = read(edited)
    (gone,) = read({**edited, "withheld": {"copyright": True, "country_codes": ["XX"]}})
    assert isinstance(post, Post)
    assert isinstance(gone, Deletion)
    assert gone.deleted_id == post.post_id == versions[0]


def test_withheld_somewhere_and_protected_do_not_matter() -> None:
    withheld = {"copyright": False, "country_codes": ["DE"]}
    assert read_post({"withheld": withheld, "text": ""}).text == ""
    assert read_post(includes={"users": [{**USER, "protected": True, "withheld": withheld}]}).author


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id"),
        ({"id": 5}, "id"),
        ({"id": "abc"}, "id"),
        ({"text": None}, "text"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": "1999-01-01T00:00:00Z"}, "created_at"),
        ({"created_at": "9999-12-31T23:59:59-12:00"}, "created_at"),
        ({"id": "5", "created_at": None}, "created_at"),
        ({"referenced_tweets": [{"type": "retweeted"}]}, "referenced id"),
    ],
)
def test_a_bad_post_is_a_problem_that_names_the_field(changes: Json, field: str) -> None:
    bad, good = read({"data": [TWEET | changes, TWEET]})
    assert isinstance(bad, Problem) and bad.reason.startswith(f"{field}: ")
    assert (bad.source, bad.position) == ("twitter_v2:a.jsonl", "line 1, data[0]")
    assert json.loads(bad.raw)["author_id"] == "11"
    assert isinstance(good, Post)


def test_a_bad_line_does_not_end_the_file() -> None:
    good = json.dumps(TWEET).encode()
    lines = [
        good + b"\r",
        b"",
        b'{"data": {"id": "1"',
        good.replace(b"Snow", b"Snow \xff"),
        good.replace(b"Snow", b"Snow \\ud83d\\u0000"),
        b"[" * 100_000,
        b"3",
        b"null",
        b'{"id": ' + b"9" * 5_000 + b"}",
        b'{"something": "else"}',
        b'{"data": [7]}',
        b"\xef\xbb\xbf",
        good,
    ]
    readings = list(twitter_v2.read(io.BytesIO(b"\n".join(lines)), "s"))
    assert [type(reading) for reading in readings] == [
        *(Post, Problem, Post, Post, Problem, Problem, Problem, Problem, Problem, Problem),
        *(Problem, Post),
    ]
    broken, replaced = readings[2], readings[3]
    assert isinstance(broken, Post) and broken.text.startswith("Snow \ufffd ")
    assert isinstance(replaced, Post) and replaced.text.startswith("Snow \ufffd\ufffd ")
    assert b"Snow \\ud83d\\u0000" in replaced.raw, "raw stays as it came"
    positions = [reading.position for reading in readings if isinstance(reading, Problem)]
    assert positions[:2] == ["line 3", "line 6"]


def test_a_line_of_many_megabytes() -> None:
    line = json.dumps({**TWEET, "text": "x" * 12_000_000}).encode()
    (post,) = twitter_v2.read(io.BytesIO(line), "s")
    assert isinstance(post, Post) and len(post.text) == 12_000_000


#: file -> posts collected, posts embedded, not a post, deletions, problems. Counted with a script
#: of its own over json.loads: items of `data` with or without `text`, `includes.tweets`, objects
#: in `referenced_tweets` that hold a text (at any depth), `errors`, `action`, and lines that fail.
REAL = {
    "2sets.jsonl.xz": (200, 82, 1, 0, 0),
    "brexit.jsonl.xz": (100, 59, 0, 0, 0),
    "cashtags.jsonl.xz": (1, 1, 0, 0, 0),
    "cotweet.jsonl.xz": (1, 1, 0, 0, 0),
    "counts.jsonl.xz": (0, 0, 169, 0, 0),
    "edited.jsonl.xz": (1, 2, 0, 0, 0),
    "edited_after.jsonl.xz": (1, 2, 0, 0, 0),
    "edited_before.jsonl.xz": (1, 2, 0, 0, 0),
    "empty.json.xz": (0, 0, 0, 0, 0),
    "entities_test.jsonl.xz": (474, 197, 11, 0, 0),
    "flat.jsonl.xz": (100, 94, 0, 0, 0),
    "geo_tweets.jsonl.xz": (2, 1, 0, 0, 0),
    "kpop.jsonl.xz": (100, 23, 1, 0, 0),
    "lists.jsonl.xz": (0, 0, 6, 0, 0),
    "many_urls.jsonl.xz": (1, 2, 0, 0, 0),
    "media_policy_violation_off.jsonl.xz": (100, 62, 0, 0, 0),
    "media_policy_violation_on.jsonl.xz": (100, 62, 0, 0, 0),
    "media_tweet.jsonl.xz": (1, 1, 0, 0, 0),
    "mentions_tweet.jsonl.xz": (1, 2, 0, 0, 0),
    "noflat.jsonl.xz": (100, 66, 1, 0, 0),
    "quoted_edit.jsonl.xz": (1, 3, 0, 0, 0),
    "streaming_output_with_error.jsonl.xz": (7, 4, 0, 0, 1),
    "tweets_compliance.jsonl.xz": (0, 0, 0, 2, 0),
    "two_tweets.jsonl.xz": (1, 1, 0, 0, 0),
    "users.jsonl.xz": (0, 52, 104, 0, 0),
    "users_compliance.jsonl.xz": (0, 0, 0, 2, 0),
    "verified_type.jsonl.xz": (1, 1, 0, 0, 0),
    "withheld.jsonl.xz": (215, 69, 5, 1, 0),
}


def test_real_files(real_data: Path) -> None:
    folder = real_data / "tweets_v2_jsonl"
    assert {path.name for path in folder.glob("*.xz")} == set(REAL)
    for name, expected in REAL.items():
        counted: Counter[str] = Counter()
        for reading in read_file(folder / name, "twitter_v2"):
            outcome = reading.seen_as if isinstance(reading, Post) else type(reading).__name__
            counted[outcome] += 1
        names = ("collected", "embedded", "NotAPost", "Deletion", "Problem")
        assert tuple(counted[name] for name in names) == expected, name
        assert name == "empty.json.xz" or sniff_format(folder / name) == "twitter_v2"


def test_real_compliance(real_data: Path) -> None:
    for name, kind in (("tweets", "post"), ("users", "author")):
        path = real_data / "tweets_v2_jsonl" / f"{name}_compliance.jsonl.xz"
        deletions = [reading for reading in read_file(path) if isinstance(reading, Deletion)]
        assert [deletion.kind for deletion in deletions] == [kind, kind]


def test_real_raw_maps_again(real_data: Path) -> None:
    for path in sorted((real_data / "tweets_v2_jsonl").glob("*.xz")):
        for post in read_file(path, "twitter_v2"):
            if isinstance(post, Post) and post.kind != "share":
                (again,) = twitter_v2.remap(post.raw, post.provenance)
                assert isinstance(again, Post)
                same = {"seen_as": post.seen_as, "reply_to": post.reply_to}
                assert msgspec.structs.replace(again, **same) == post
