"""A reader that was wrong and is corrected: what it stored, and what it refused, is mended."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from storage import errata, labels, retention
from storage.database import connect
from storage.labels import Label
from streams import local, remap, steps
from streams.formats import registry, twitter_v2, twitwi
from streams.formats.cleaning import BadField
from streams.records import Post, Problem, Reading
from streams.remap import Remapped, remap_payloads
from streams.settings import read_settings
from tests.integration.test_merge import DETECTOR, rows, working
from tests.integration.test_retelling import page
from tests.marker import MarkerDetector
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

MARCH = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 4, 1, tzinfo=UTC)

Wrong = Callable[[Post], Reading]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Pages with embedded posts, and a table that has many of the posts again."""
    return write_samples(tmp_path, seed=4)


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that versions of one content and posts of one account are on several pages."""
    monkeypatch.setattr(remap, "PAGE_POSTS", 40)


def run(dsn: str, paths: list[Path]) -> None:
    settings = read_settings(batch_posts=150, cluster_min_users=5)
    local.run(dsn, local.check_inputs(paths), MarkerDetector(), settings)


def remapped(dsn: str) -> Remapped:
    settings = read_settings(cluster_min_users=5)
    return local.remap(dsn, MarkerDetector(), settings)[0]


def read_wrongly(
    monkeypatch: pytest.MonkeyPatch, wrong: Wrong, modules: Sequence[Any] = (twitwi, twitter_v2)
) -> None:
    """These formats give other posts than they should."""
    for module in modules:
        right = module.read

        def read(stream: object, source: str, right: Any = right) -> Iterator[Reading]:
            for reading in right(stream, source):
                yield wrong(reading) if isinstance(reading, Post) else reading

        monkeypatch.setattr(module, "read", read)


def other_words(post: Post) -> Reading:
    return replace(
        post, text="hoax " + post.text, hashtags=("Wrong",), likes=10**6, author=None, lang="xx"
    )


def other_content(post: Post) -> Reading:
    """Shares point at nothing, replies are originals."""
    return replace(post, root_id=post.post_id, kind="original", share_of=None, reply_to=None)


def other_ids(post: Post) -> Reading:
    return replace(post, post_id="9" + post.post_id, root_id="9" + post.root_id)


@pytest.mark.parametrize("wrong", [other_words, other_content, other_ids])
def test_a_corrected_reader_gives_the_tables_it_should_have_given(
    server: Server, files: list[Path], wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.new_database() as right, server.new_database() as mended:
        run(right, files)
        expected = read_tables(right)
        with monkeypatch.context() as then:
            read_wrongly(then, wrong)
            run(mended, files)
        assert read_tables(mended)["content"] != expected["content"]
        result = remapped(mended)
        assert not result.reasons
        assert result.n_changed > 0
        assert_same(read_tables(mended), expected)
        assert remapped(mended).n_changed == 0
        assert_same(read_tables(mended), expected)


def a_post_of(dsn: str, kind: str) -> str:
    """The first of a kind that has a hashtag."""
    with connect(dsn) as connection:
        row = connection.execute(
            "SELECT post_id FROM hoaxwatch.posts p WHERE kind = %s AND EXISTS ("
            "  SELECT FROM hoaxwatch.content_hashtags h WHERE h.root_id = p.root_id)"
            " ORDER BY post_id LIMIT 1",
            (kind,),
        ).fetchone()
    assert row is not None
    return str(row[0])


def say_of(dsn: str, post_id: str) -> None:
    """What people say of a post, and what is counted for it."""
    with connect(dsn) as connection:
        label = Label("x", post_id, "likely_false")
        assert not labels.add_labels(connection, [label], "ann", NOW).unknown
        assert errata.add_erratum(connection, "post", "x", post_id, "It denies it.", "desk", NOW)
    local.count_again(dsn, read_settings(cluster_min_users=5))


def find_out_about(dsn: str, post_id: str) -> None:
    """What was fetched and found for the content of a post."""
    with connect(dsn) as connection:
        for columns, values in (
            (
                "media_files (platform, root_id, url_hash, url, sha256, type, n_bytes, fetched_at,"
                " is_passing, tries)",
                "'\\x11'::bytea, 'https://x.example/1', 's'::bytea, 'PNG', 10, now(), false, 1",
            ),
            ("claim_matches", "'claim', 'h'::bytea, 'denies', 0.9, 0.5, 'm', 'e'"),
        ):
            connection.execute(
                f"INSERT INTO hoaxwatch.{columns} SELECT platform, root_id, {values}"
                " FROM hoaxwatch.posts WHERE post_id = %s".encode(),
                (post_id,),
            )


@pytest.mark.parametrize(
    ("wrong", "kind", "prefix"), [(other_ids, "original", "9"), (other_content, "share", "")]
)
def test_what_people_say_goes_on_with_the_post_and_the_rest_goes(
    server: Server,
    files: list[Path],
    wrong: Wrong,
    kind: str,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The content under which it was stored is gone."""
    with server.new_database() as right, server.new_database() as mended:
        run(right, files)
        post_id = a_post_of(right, kind)
        say_of(right, post_id)
        with monkeypatch.context() as then:
            read_wrongly(then, wrong)
            run(mended, files)
        say_of(mended, prefix + post_id)
        find_out_about(mended, prefix + post_id)
        remapped(mended)
        found, expected = read_tables(mended), read_tables(right)
        assert found.pop("media_removals") == [(r"\x73",)]
        assert expected.pop("media_removals") == []
        # what counted for the wrong content when the erratum was written stays as it was
        names = [[row[:4] for row in tables.pop("errata")] for tables in (found, expected)]
        assert names[0] == names[1]
        assert_same(found, expected)


def test_what_only_a_dropped_record_told_stays(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month of raw records is gone; what is left has no counters, or older ones."""

    def many_quotes(post: Post) -> Reading:
        return replace(post, quotes=10**6) if post.post_id == "1" else post

    first = page("1", 1, 99, public_metrics={"like_count": 5, "quote_count": 2})
    dropped = [first, page("2", 20, 3, "12", public_metrics={"like_count": 50})]
    again = json.loads(page("1", 40, 0, public_metrics={"quote_count": 3}))
    del again["includes"]["users"][0]["public_metrics"]
    kept = [json.dumps(again).encode(), page("2", 2, 1, "12", public_metrics={"like_count": 4})]
    with working(database) as connection:
        for lines, received_at in ((dropped, MARCH), (kept, MARCH + timedelta(days=40))):
            with monkeypatch.context() as then:
                if lines is kept:
                    read_wrongly(then, many_quotes, [twitter_v2])
                for line in lines:
                    readings = list(twitter_v2.read(io.BytesIO(line), "twitter_v2:tweets.jsonl"))
                    steps.record(connection, steps.prepare(readings, received_at), DETECTOR, "key")
        assert retention.drop_payloads(connection, MARCH + timedelta(days=40))[1] == 2
        remap_payloads(connection, NOW + timedelta(days=30), "key")
        counted = "SELECT (likes).value, (quotes).value FROM hoaxwatch.posts ORDER BY post_id"
        assert rows(connection, counted) == [(5, 3), (50, None)]
        told = "SELECT (handle).value, (followers).value FROM hoaxwatch.authors ORDER BY author_id"
        assert rows(connection, told) == [("ann_40", 99), ("ann_20", 3)]


def test_what_no_reader_understands_any_more_stays_as_it_is(
    server: Server, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(raw: bytes, source: str) -> Iterator[Reading]:
        yield Problem(reason="id: too odd", source=source, position="stored", raw=raw)

    with server.new_database() as dsn:
        run(dsn, files)
        before = read_tables(dsn)
        monkeypatch.setattr(twitwi, "remap", refuse)
        result = remapped(dsn)
        assert 0 < result.reasons["id: too odd"] < result.n_raw
        assert 0 < result.n_posts < len(before["posts"])
        assert result.n_changed == 0
        assert_same(read_tables(dsn), before)


@pytest.mark.parametrize("format", ["twitwi", "twitter_v2"])
def test_one_format_is_mapped_with_all_versions_of_its_posts(
    server: Server, files: list[Path], format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.new_database() as right, server.new_database() as mended:
        run(right, files)
        with monkeypatch.context() as then:
            read_wrongly(then, other_words, [registry.load_format(format)])
            run(mended, files)
        settings = read_settings(cluster_min_users=5)
        local.remap(mended, MarkerDetector(), settings, format)
        assert_same(read_tables(mended), read_tables(right))


def test_replay_stores_what_can_be_read_now(
    server: Server, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_some(row: object, *rest: object) -> Post:
        post = right(row, *rest)  # type: ignore[arg-type]
        if post.post_id.endswith(("2", "6")):
            raise BadField("id: ends badly")
        return post

    right = twitwi._parse
    settings = read_settings(cluster_min_users=5)
    with server.new_database() as expected, server.new_database() as dsn:
        run(expected, files)
        with monkeypatch.context() as then:
            then.setattr(twitwi, "_parse", refuse_some)
            run(dsn, files)
        first = local.replay(dsn, MarkerDetector(), settings, reason="ends badly")
        assert first.n_released == first.n_records > 10
        assert sum(first.outcomes.values()) == first.n_released
        assert_same(read_tables(dsn), read_tables(expected))
        again = local.replay(dsn, MarkerDetector(), settings)
        assert (again.n_records, again.n_released) == (1, 0)
        assert "not JSON" in next(iter(again.reasons))
        assert_same(read_tables(dsn), read_tables(expected))


def test_every_payload_says_who_can_read_it(database: str, files: list[Path]) -> None:
    run(database, files)
    with connect(database) as connection:
        sources = {
            row[0] for row in connection.execute("SELECT DISTINCT source FROM hoaxwatch.payloads")
        }
    assert sources == {registry.source_of(files[0], "twitter_v2"), "twitwi:collected_again.csv"}
