"""What only a deleted post told of its account or content goes with it, in whatever order."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from storage import retention
from storage.database import Connection, connect
from storage.rows import compress
from streams import rereading, steps
from streams.formats import twitter_v2
from streams.records import Reading
from tests.integration.test_merge import DETECTOR, OPTIONS, rows, working
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

NOON = datetime(2026, 3, 2, 12, 10, tzinfo=UTC)
FIRST, SECOND, ROOT = "2028400000000000001", "2028400000000000002", "2028300000000000009"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rereading, "PAGE_POSTS", 1)


def page(post_id: str, day: int, followers: int, author: str = "11", **fields: Any) -> bytes:
    """One post as X gave it on that day, with its account as it was then."""
    user = {
        "id": author,
        "username": f"ann_{day}",
        "name": "Ann",
        "public_metrics": {"followers_count": followers},
    }
    tweet = {
        "id": post_id,
        "author_id": author,
        "created_at": "2026-03-02T11:00:00.000Z",
        "text": f"fact {post_id} #t",
        "entities": {"hashtags": [{"tag": "t"}]},
        **fields,
    }
    retrieved = {"retrieved_at": f"{NOON + timedelta(days=day):%Y-%m-%dT%H:%M:%S}Z"}
    return json.dumps(
        {"data": [tweet], "includes": {"users": [user]}, "__twarc": retrieved}
    ).encode()


def share(post_id: str, day: int, author: str, text: str) -> bytes:
    """A share of a post that is seen nowhere."""
    reference = {"type": "retweeted", "id": ROOT}
    told = f"RT @bo: {text}"
    return page(post_id, day, 5, author, text=told, referenced_tweets=[reference])


def notice(post_id: str) -> bytes:
    """That a post is gone."""
    return json.dumps({"id": post_id, "action": "delete", "reason": "deleted"}).encode()


def take(connection: Connection, lines: Sequence[bytes], received_at: datetime = NOON) -> None:
    """Every step, one line a batch."""
    for line in lines:
        stream = io.BytesIO(line)
        readings: list[Reading] = list(twitter_v2.read(stream, "twitter_v2:tweets.jsonl"))
        recorded = steps.record(connection, steps.prepare(readings, received_at), DETECTOR, "key")
        steps.judge(connection, steps.classify(DETECTOR, recorded.pending), NOON)
    steps.track(connection, OPTIONS)


def assert_same_in_every_order(server: Server, lines: Sequence[bytes]) -> dict[str, list[Any]]:
    """The tables, which are the same whatever comes first."""
    tables = []
    for order in itertools.permutations(lines):
        with server.new_database() as database, working(database) as connection:
            take(connection, order)
            tables.append(read_tables(database))
    for found in tables[1:]:
        assert_same(found, tables[0])
    return tables[0]


def test_an_account_is_as_its_other_posts_tell(server: Server) -> None:
    lines = [page(FIRST, 1, 10), page(SECOND, 2, 12), notice(SECOND)]
    (author,) = assert_same_in_every_order(server, lines)["authors"]
    assert "ann_1" in author[2]
    assert author[4].endswith(",10)")


def test_what_a_version_told_that_does_not_stand_goes_too(server: Server) -> None:
    """A post that was collected whole told of its account again, cut, in a quote two days later."""
    quote = json.loads(page("2028400000000000003", 3, 7, "12"))
    quote["data"][0]["referenced_tweets"] = [{"type": "quoted", "id": FIRST}]
    cut = json.loads(page(FIRST, 3, 11))
    link = {"url": "https://t.co/x", "expanded_url": f"https://x.com/i/web/status/{FIRST}"}
    tweet = cut["data"][0] | {"text": "fact and so on …", "entities": {"urls": [link]}}
    user = cut["includes"]["users"][0] | {"username": "ann_cut"}
    quote["includes"]["tweets"] = [tweet]
    quote["includes"]["users"].append(user)
    lines = [page(FIRST, 1, 10), page(SECOND, 2, 12), json.dumps(quote).encode(), notice(FIRST)]
    authors = assert_same_in_every_order(server, lines)["authors"]
    assert "ann_2" in next(row for row in authors if row[1] == "11")[2]


def test_what_no_later_version_tells_goes_too(server: Server) -> None:
    """All that comes later has a later handle, and nothing of when the account was made."""
    first = json.loads(page(FIRST, 1, 10))
    first["includes"]["users"][0]["created_at"] = "2020-01-01T00:00:00.000Z"
    lines = [json.dumps(first).encode(), page(SECOND, 2, 12), notice(FIRST)]
    (author,) = assert_same_in_every_order(server, lines)["authors"]
    assert author[-1] is None


def test_an_account_without_posts_goes(server: Server) -> None:
    tables = assert_same_in_every_order(server, [page(SECOND, 2, 12), notice(SECOND)])
    assert tables["authors"] == tables["content"] == []


def test_a_content_is_as_its_other_shares_tell(server: Server) -> None:
    lines = [
        share(FIRST, 1, "12", "It rains #t…"),
        share(SECOND, 2, "13", "It rains a hoax #t…"),
        notice(SECOND),
    ]
    tables = assert_same_in_every_order(server, lines)
    (content,) = tables["content"]
    assert content[2] == "It rains #t…"
    assert tables["verdicts"][0][6] != "0.900000"


def test_a_content_goes_with_its_last_share(server: Server) -> None:
    lines = [share(FIRST, 1, "12", "It rains #t…"), notice(FIRST)]
    tables = assert_same_in_every_order(server, lines)
    for name in ("content", "content_hashtags", "verdicts", "hashtag_trends", "authors"):
        assert tables[name] == []


def test_what_only_a_dropped_record_told_stays(database: str) -> None:
    """Of an account that has a post from then: what the deleted post told goes as ever."""
    later = json.loads(page(FIRST, 3, 0))
    del later["includes"]["users"][0]["public_metrics"]
    with working(database) as connection:
        take(connection, [page(FIRST, 1, 99)])
        received_at = NOON + timedelta(days=40)
        take(connection, [json.dumps(later).encode()], received_at)
        assert retention.drop_payloads(connection, received_at)[1] == 1
        second = json.loads(page(SECOND, 40, 0))
        del second["includes"]["users"][0]["public_metrics"]
        take(connection, [json.dumps(second).encode(), notice(SECOND)], received_at)
        told = "SELECT (handle).value, (followers).value FROM hoaxwatch.authors"
        assert rows(connection, told) == [("ann_3", 99)]


@pytest.mark.parametrize("raw", [None, b"{}", page("19", 1, 10)])
def test_without_readable_records_nothing_more_is_lost(database: str, raw: bytes | None) -> None:
    """Retention dropped them, no reader understands them any more, or it knows another post."""
    with working(database) as connection:
        take(connection, [page(FIRST, 1, 10), page(SECOND, 2, 12), share("3", 2, "12", "It rains")])
        take(connection, [share("4", 1, "13", "It rains")])
        before = rows(connection, "SELECT * FROM hoaxwatch.authors WHERE author_id = '11'")
        if raw is None:
            connection.execute("DELETE FROM hoaxwatch.payloads")
        else:
            connection.execute("UPDATE hoaxwatch.payloads SET raw = %s", [compress(raw)])
        take(connection, [notice(SECOND), notice("3")])
        query = "SELECT * FROM hoaxwatch.authors WHERE author_id = '11'"
        assert rows(connection, query) == before
        query = "SELECT root_id, text, completeness FROM hoaxwatch.content ORDER BY root_id"
        assert rows(connection, query) == [(ROOT, "It rains", 0), (FIRST, f"fact {FIRST} #t", 2)]
    with connect(database) as connection:
        assert rows(connection, "SELECT count(*) FROM hoaxwatch.posts") == [(2,)]
