"""What becomes of a post that is met again, in any order, and of deletions and bad values."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from hoaxwatch.simulate import simulate
from storage import labels, recount, writes
from storage.database import Connection, connect
from storage.rows import PostRows
from streams import steps
from streams.clustering import TrackOptions
from streams.formats.registry import read_file
from streams.records import (
    COPY_IN_SHARE,
    Author,
    Deletion,
    Media,
    NotAPost,
    Post,
    Problem,
    Reading,
)
from streams.steps import Recorded
from tests.marker import MarkerDetector
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

NOON = datetime(2026, 3, 2, 12, 10, tzinfo=UTC)
DETECTOR = MarkerDetector()
OPTIONS = TrackOptions(cluster_min_users=3)


def post(post_id: str, **fields: Any) -> Post:
    """A post with defaults."""
    known: dict[str, Any] = {
        "platform": "x",
        "post_id": post_id,
        "root_id": post_id,
        "posted_at": NOON,
        "text": f"fact {post_id}",
        "author": Author(author_id=f"a{post_id}"),
        "observed_at": NOON + timedelta(days=1),
        "provenance": "test:one",
        "raw": repr((post_id, sorted(fields.items(), key=str))).encode(),
    }
    return Post(**(known | fields))


def share(post_id: str, of: str, **fields: Any) -> Post:
    """A share that carries a cut copy of its original."""
    return post(
        post_id,
        **(
            {
                "kind": "share",
                "share_of": of,
                "root_id": of,
                "text": "a cut co",
                "completeness": COPY_IN_SHARE,
            }
            | fields
        ),
    )


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A connection with staging tables and an active policy."""
    with working(database) as opened:
        yield opened


def working(database: str) -> Connection:
    opened = connect(database)
    writes.prepare(opened)
    recount.prepare(opened)
    writes.activate_policy(opened, "marker", "1", 0.5, 0.0, NOON)
    return opened


def take(connection: Connection, readings: Sequence[Reading], *, batch: int = 1000) -> Recorded:
    """Every step over the readings."""
    total = Recorded()
    for first in range(0, len(readings), batch):
        recorded = steps.record(
            connection, steps.prepare(readings[first : first + batch], NOON), DETECTOR, "key"
        )
        steps.judge(connection, steps.classify(DETECTOR, recorded.pending), NOON)
        total.add(recorded)
    steps.track(connection, OPTIONS)
    return total


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """The answer to a query."""
    return connection.execute(query.encode()).fetchall()


def test_each_reading_ends_in_one_outcome(connection: Connection) -> None:
    readings: list[Reading] = [
        post("1"),
        post("1"),
        post("1", likes=3, observed_at=NOON + timedelta(days=2)),
        NotAPost(what="user"),
        Problem(reason="broken", source="test", position="line 4", raw=b"{"),
        Deletion(platform="x", kind="post", deleted_id="9"),
        post("9"),
    ]
    outcomes = take(connection, readings).outcomes
    assert outcomes == Counter(
        {
            "new": 1,
            "unchanged": 2,
            "not a post": 1,
            "quarantined": 1,
            "deletion applied": 1,
            "expired": 1,
        }
    )
    assert outcomes.total() == len(readings)


def test_later_counters_win_and_unknown_never_overwrites(connection: Connection) -> None:
    later = NOON + timedelta(days=3)
    take(connection, [post("1", likes=5, shares=2)])
    second = take(connection, [post("1", likes=9, shares=None, observed_at=later)])
    third = take(connection, [post("1", likes=7, observed_at=NOON + timedelta(days=2))])
    assert second.outcomes["updated"] == 1
    assert third.outcomes["unchanged"] == 1
    assert rows(connection, "SELECT (likes).value, (shares).value FROM hoaxwatch.posts") == [(9, 2)]


def test_a_share_before_its_original_gets_its_tags_later(connection: Connection) -> None:
    take(connection, [share("2", of="1", hashtags=("Old",))])
    assert rows(connection, "SELECT hashtag FROM hoaxwatch.hashtag_trends") == [("old",)] * 2
    take(connection, [post("1", text="the whole hoax", hashtags=("New", "NEW"))])
    found = rows(
        connection,
        "SELECT hashtag, posts, originals, shares, judged, likely_false"
        " FROM hoaxwatch.hashtag_trends WHERE grain = 'day'",
    )
    assert found == [("new", 2, 1, 1, 2, 2)]


def test_an_original_that_comes_late_is_in_the_windows_of_its_shares(
    connection: Connection,
) -> None:
    """Who is shared is known from the original alone; its shares are days later."""
    late = {"posted_at": NOON + timedelta(days=5), "observed_at": NOON + timedelta(days=6)}
    shares = [share(f"2{n}", of="1", hashtags=("t",), **late) for n in range(4)]
    take(connection, shares)
    assert rows(connection, "SELECT n_users FROM hoaxwatch.networks") == []
    take(connection, [post("1", hashtags=("t",))])
    found = rows(connection, "SELECT DISTINCT n_users, n_shares FROM hoaxwatch.networks")
    assert found == [(5, 4)]
    other = {"author": Author(author_id="zz"), "observed_at": NOON + timedelta(days=9)}
    take(connection, [post("1", hashtags=("t",), **other)])
    query = "SELECT DISTINCT author_id FROM hoaxwatch.cluster_members WHERE times_shared > 0"
    assert rows(connection, query) == [("zz",)]


def test_accounts_of_any_name_are_members_as_they_are_called(connection: Connection) -> None:
    accounts = ["x:plain", "x:a\tb", "x:c\\d", "x:e\nf\rg", "bluesky:did:plc:h", "x:\\N", "x:\\."]
    n = len(accounts)
    rows = recount.WindowRows(
        network=("t", NOON, NOON + timedelta(hours=24), n, 0, 0, 0, 0, NOON, NOON),
        clusterings=[],
        clusters=[],
        accounts=accounts,
        account_lines=recount.account_lines(accounts, list(range(n)), [7] * n),
        memberships={5: list(range(n)), 6: [0] * n},
    )
    with connection.transaction(), connection.cursor() as cursor:
        recount.add_windows(cursor, [rows])
    stored = connection.execute(
        "SELECT clustering_id, platform || ':' || author_id, cluster, times_shared, shares_made"
        " FROM hoaxwatch.cluster_members"
    ).fetchall()
    assert sorted(stored) == sorted(
        (number, account, cluster, i, 7)
        for number, membership in rows.memberships.items()
        for i, (account, cluster) in enumerate(zip(accounts, membership, strict=True))
    )


def test_a_later_cut_copy_does_not_replace_the_whole_text(connection: Connection) -> None:
    take(connection, [post("1", text="the whole hoax")])
    take(connection, [share("2", of="1", observed_at=NOON + timedelta(days=9))])
    assert rows(connection, "SELECT text FROM hoaxwatch.content") == [("the whole hoax",)]


def test_an_edit_is_judged_again(connection: Connection) -> None:
    take(connection, [post("1", text="a hoax", hashtags=("t",))])
    edited = post("1", text="a fact", hashtags=("t",), observed_at=NOON + timedelta(days=2))
    assert len(take(connection, [edited]).pending) == 1
    query = "SELECT score FROM hoaxwatch.verdicts"
    assert [float(score) for (score,) in rows(connection, query)] == [0.1]
    query = "SELECT DISTINCT likely_false FROM hoaxwatch.hashtag_trends"
    assert rows(connection, query) == [(0,)]


def test_a_verdict_about_words_that_changed_is_dropped(connection: Connection) -> None:
    recorded = steps.record(
        connection, steps.prepare([post("1", text="a hoax")], NOON), DETECTOR, "key"
    )
    edited = post("1", text="a fact", observed_at=NOON + timedelta(days=2))
    again = steps.record(connection, steps.prepare([edited], NOON), DETECTOR, "key")
    late = steps.judge(connection, steps.classify(DETECTOR, recorded.pending), NOON)
    assert late.total() == 0
    assert steps.judge(connection, steps.classify(DETECTOR, again.pending), NOON).total() == 1


def test_authors_are_counted_once_and_unknown_ones_not(connection: Connection) -> None:
    one = Author(author_id="a")
    take(
        connection,
        [post(str(i), author=one, hashtags=("t",)) for i in range(3)]
        + [post("8", author=None, hashtags=("t",))],
    )
    query = "SELECT posts, authors FROM hoaxwatch.hashtag_trends WHERE grain = 'day'"
    assert rows(connection, query) == [(4, 1)]


def test_a_post_that_moves_leaves_its_old_bucket(connection: Connection) -> None:
    take(connection, [post("1", hashtags=("t",))])
    moved = {"posted_at": NOON + timedelta(days=1), "observed_at": NOON + timedelta(days=2)}
    take(connection, [post("1", hashtags=("t",), **moved)])
    query = "SELECT bucket_start FROM hoaxwatch.hashtag_trends WHERE grain = 'day'"
    assert rows(connection, query) == [(datetime(2026, 3, 3, tzinfo=UTC),)]


def test_expected_share_takes_each_content_as_one_draw(connection: Connection) -> None:
    # three posts of one content at 0.9 and one at 0.1: mean 0.7, variance (9 + 1) * 0.09 / 16
    take(
        connection,
        [
            post("1", text="hoax", hashtags=("t",)),
            share("2", of="1"),
            share("3", of="1"),
            post("4", text="fact", hashtags=("t",)),
        ],
    )
    query = (
        "SELECT expected_share::float8, expected_low::float8, expected_high::float8"
        " FROM hoaxwatch.hashtag_trends WHERE grain = 'day'"
    )
    share_, low, high = rows(connection, query)[0]
    half = 1.959964 * (10 * 0.09) ** 0.5 / 4
    assert share_ == pytest.approx(0.7)
    assert low == pytest.approx(0.7 - half, abs=1e-6)
    assert high == pytest.approx(min(1, 0.7 + half), abs=1e-6)


def test_what_is_not_judged_is_outside_the_denominator(connection: Connection) -> None:
    silent = post("1", text=" ", hashtags=("t",))
    take(connection, [silent, post("2", text="hoax", hashtags=("t",))])
    query = (
        "SELECT posts, judged, likely_false, expected_share::float8"
        " FROM hoaxwatch.hashtag_trends WHERE grain = 'day'"
    )
    assert rows(connection, query) == [(2, 1, 1, 0.9)]


def test_unjudged_buckets_have_no_share(connection: Connection) -> None:
    take(connection, [post("1", text=" ", hashtags=("t",))])
    query = "SELECT expected_share, expected_low, expected_high FROM hoaxwatch.hashtag_trends"
    assert set(rows(connection, query)) == {(None, None, None)}


def test_pairs_count_each_post_once(connection: Connection) -> None:
    take(connection, [post("1", hashtags=("b", "a", "A")), share("2", of="1")])
    query = "SELECT hashtag_a, hashtag_b, posts, originals FROM hoaxwatch.hashtag_pairs"
    assert rows(connection, query) == [("a", "b", 2, 1)]


def test_a_label_wins_over_the_detector(connection: Connection, database: str) -> None:
    take(connection, [post("1", text="hoax", hashtags=("t",))])
    connection.execute(
        "INSERT INTO hoaxwatch.labels VALUES ('x', '1', 'ann', 'likely_true', NULL, now())"
    )
    connection.execute(
        "INSERT INTO hoaxwatch.dirty_buckets VALUES ('t', date_trunc('hour', %s::timestamptz))",
        (NOON,),
    )
    steps.track(connection, OPTIONS)
    query = "SELECT DISTINCT judged, likely_false FROM hoaxwatch.hashtag_trends"
    assert rows(connection, query) == [(1, 0)]


def test_a_new_policy_counts_everything_again(connection: Connection) -> None:
    take(connection, [post("1", text="hoax", hashtags=("t",))])
    assert writes.activate_policy(connection, "marker", "1", 0.95, 0.0, NOON)
    assert not writes.activate_policy(connection, "marker", "1", 0.95, 0.0, NOON)
    steps.track(connection, OPTIONS)
    query = "SELECT DISTINCT judged, likely_false FROM hoaxwatch.hashtag_trends"
    assert rows(connection, query) == [(1, 0)]


def test_a_new_policy_counts_again_what_is_counted_meanwhile(
    connection: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = steps.prepare([post("1", text="hoax", hashtags=("t",))], NOON)
    recorded = steps.record(connection, batch, DETECTOR, "key")
    steps.judge(connection, steps.classify(DETECTOR, recorded.pending), NOON)
    activated: list[Future[bool]] = []
    with working(database) as other, ThreadPoolExecutor(1) as beside:

        def activate(name: str) -> None:
            activated.append(
                beside.submit(writes.activate_policy, other, "marker", "1", 0.95, 0.0, NOON)
            )
            wait_for_a_lock(database, "relation", activated[0])

        monkeypatch.setattr(steps, "fail_point", activate)
        steps.track(connection, OPTIONS)
        assert activated[0].result()
    monkeypatch.undo()
    steps.track(connection, OPTIONS)
    query = "SELECT DISTINCT judged, likely_false, policy_id FROM hoaxwatch.hashtag_trends"
    assert rows(connection, query) == [(1, 0, recount.active_policy(connection.cursor()))]


@pytest.mark.parametrize("who", ["detector", "person"])
def test_a_share_that_comes_while_its_original_is_judged_counts_with_the_verdict(
    connection: Connection, database: str, who: str
) -> None:
    """Its hour is marked before the verdict is there, by a transaction that does not see it."""
    batch = steps.prepare([post("1", text="a hoax", hashtags=("t",))], NOON)
    recorded = steps.record(connection, batch, DETECTOR, "key")
    if who == "person":
        steps.judge(connection, steps.classify(DETECTOR, recorded.pending), NOON)
    steps.track(connection, OPTIONS)
    with working(database) as judge, working(database) as tracker, ThreadPoolExecutor(1) as beside:
        with judge.transaction():
            if who == "detector":
                steps.judge(judge, steps.classify(DETECTOR, recorded.pending), NOON)
            else:
                labels.add_labels(judge, [labels.Label("x", "1", "likely_true")], "ann", NOON)
            late = share("2", of="1", posted_at=NOON + timedelta(days=1))
            steps.record(connection, steps.prepare([late], NOON), DETECTOR, "key")
            ticking = beside.submit(steps.track, tracker, OPTIONS)
            wait_for_a_lock(database, "advisory", ticking)
        ticking.result()
    steps.track(connection, OPTIONS)
    query = "SELECT judged, likely_false FROM hoaxwatch.hashtag_trends WHERE grain = 'day'"
    assert rows(connection, query) == [(1, int(who == "detector"))] * 2


def wait_for_a_lock(database: str, kind: str, work: Future[Any]) -> None:
    """Until the work is done or somebody waits for such a lock."""
    waits = "SELECT FROM pg_locks WHERE NOT granted AND locktype = %s"
    with connect(database) as watching:
        while not work.done() and not watching.execute(waits, (kind,)).fetchall():
            time.sleep(0.01)


def test_a_bad_value_costs_one_post(connection: Connection) -> None:
    readings = [post(str(i), hashtags=("t",)) for i in range(20)]
    # an index entry may not be longer than 2,704 bytes; hex digits do not compress that far
    noise = random.Random(1).randbytes(4000).hex()
    readings[7] = post("7", hashtags=("t", noise))
    recorded = take(connection, readings)
    assert recorded.outcomes == Counter({"new": 19, "quarantined": 1})
    query = "SELECT position, reason FROM hoaxwatch.quarantine"
    (position, reason), *others = rows(connection, query)
    assert (position, others) == ("post 7", [])
    assert "cannot be stored" in reason


def test_a_batch_that_crosses_with_another_is_begun_again(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As two runs at the same time do, whose contents lie in each other's batches."""
    upsert, tries = writes.upsert_posts, 0

    def cross(cursor: psycopg.Cursor[Any], batch: PostRows) -> Counter[str]:
        nonlocal tries
        tries += 1
        counts = upsert(cursor, batch)
        if tries == 1:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$")
        return counts

    monkeypatch.setattr(writes, "upsert_posts", cross)
    recorded = take(connection, [post("1", hashtags=("t",)), post("2")])
    assert (tries, recorded.outcomes) == (2, Counter(new=2))
    assert len(recorded.pending) == 2
    assert rows(connection, "SELECT count(*) FROM hoaxwatch.posts") == [(2,)]


def test_a_content_on_both_sides_of_a_bad_value_is_judged_once(connection: Connection) -> None:
    noise = random.Random(1).randbytes(4000).hex()
    readings = [share("2", of="1"), post("7", hashtags=(noise,)), share("3", of="1")]
    recorded = take(connection, readings)
    assert [content.root_id for content in recorded.pending] == ["1", "1"]
    assert rows(connection, "SELECT root_id FROM hoaxwatch.verdicts") == [("1",)]


def test_posts_of_a_day_to_come_are_put_aside(connection: Connection) -> None:
    seen = NOON + timedelta(days=1)
    readings = [
        post("1", posted_at=seen + timedelta(hours=24)),
        post("2", posted_at=seen + timedelta(hours=24, seconds=1)),
        post("3", posted_at=NOON + timedelta(hours=25), observed_at=None),  # read at noon
        post("4", posted_at=NOON + timedelta(hours=23), observed_at=None),
    ]
    recorded = take(connection, readings)
    assert (recorded.outcomes["new"], recorded.outcomes["quarantined"]) == (2, 2)
    found = connection.execute("SELECT position, reason FROM hoaxwatch.quarantine ORDER BY 1")
    (second, why), (third, _) = found.fetchall()
    assert (second, third) == ("post 2", "post 3")
    assert "is in the future" in why


@pytest.mark.parametrize("kind", ["post", "author"])
def test_what_was_deleted_does_not_come_back(connection: Connection, kind: Any) -> None:
    readings = [
        post("1", hashtags=("t",), author=Author(author_id="a1", handle="ann")),
        share("2", of="1"),
        post("3", hashtags=("t",)),
    ]
    take(connection, readings)
    gone = Deletion(platform="x", kind=kind, deleted_id="1" if kind == "post" else "a1")
    take(connection, [gone])
    again = take(connection, readings)
    assert again.outcomes["expired"] == 2
    assert rows(connection, "SELECT post_id FROM hoaxwatch.posts WHERE post_id = '1'") == []
    for table in ("content", "content_hashtags", "verdicts", "payloads"):
        column = "post_id" if table == "payloads" else "root_id"
        query = f"SELECT DISTINCT {column} FROM hoaxwatch.{table} WHERE {column} = '1'"
        assert rows(connection, query) == []


def test_an_account_known_by_two_ids_leaves_under_each(connection: Connection) -> None:
    for author in (Author(author_id="7", name="Ann Smith"), Author(author_id="ann")):
        take(connection, [post("1", author=author, raw=author.author_id.encode())])
    assert rows(connection, "SELECT author_id FROM hoaxwatch.posts") == [("ann",)]
    take(connection, [Deletion(platform="x", kind="author", deleted_id=i) for i in ("7", "ann")])
    assert rows(connection, "SELECT * FROM hoaxwatch.authors") == []


@pytest.mark.parametrize("kind", ["post", "author"])
def test_deletions_give_the_same_tables_in_every_order(server: Server, kind: Any) -> None:
    """Shares of a deleted account's post go too, whoever made them, whatever comes first."""
    gone = Deletion(platform="x", kind=kind, deleted_id="1" if kind == "post" else "a1")
    readings: list[Reading] = [
        post("1", hashtags=("t",)),
        share("2", of="1"),
        post("3", hashtags=("t",)),
    ]
    tables = []
    # the original, its share and the deletion in each order
    for places in itertools.permutations(range(3)):
        order = [([*readings[:2], gone])[place] for place in places]
        order.insert(1, readings[2])
        batch = 10 if places == (0, 1, 2) else 1  # all at once, too
        with server.new_database() as database, working(database) as connection:
            take(connection, order, batch=batch)
            tables.append(read_tables(database))
    for found in tables[1:]:
        assert_same(found, tables[0])
    assert len(tables[0]["posts"]) == 1


def test_no_verdict_stays_about_what_goes_at_the_same_time(
    connection: Connection, database: str
) -> None:
    recorded = steps.record(
        connection, steps.prepare([post("1", text="a hoax")], NOON), DETECTOR, "key"
    )
    verdicts = steps.classify(DETECTOR, recorded.pending)
    with working(database) as other, ThreadPoolExecutor(1) as beside:
        with connection.transaction(), connection.cursor() as cursor:
            gone = Deletion(platform="x", kind="post", deleted_id="1")
            writes.apply_deletions(cursor, [gone], "key")
            judged = beside.submit(steps.judge, other, verdicts, NOON)
            wait_for_a_lock(database, "advisory", judged)
        assert judged.result().total() == 0
    assert rows(connection, "SELECT root_id FROM hoaxwatch.verdicts") == []


def test_media_are_those_of_the_version_that_stands(server: Server) -> None:
    """Also where the words are the same: an address that was signed anew, or none any more."""
    first, second = (Media(kind="image", url=f"https://a.example/1.jpg?{i}") for i in (1, 2))
    seen = [
        post("1", media=(first,), hashtags=("t",), raw=b"1"),
        post("1", media=(second,), hashtags=("t",), raw=b"2", observed_at=NOON + timedelta(2)),
        post("1", media=(), hashtags=("t",), raw=b"3", observed_at=NOON + timedelta(3)),
    ]
    for readings, urls in ((seen[:2], [(second.url,)]), (seen, [])):
        tables = []
        for order in itertools.permutations(readings):
            with server.new_database() as database, working(database) as connection:
                take(connection, order, batch=1)
                assert rows(connection, "SELECT url FROM hoaxwatch.media") == urls
                tables.append(read_tables(database))
        for found in tables[1:]:
            assert_same(found, tables[0])


def test_hashtags_are_written_as_in_the_version_that_stands(server: Server) -> None:
    """Also where words and hashtags are the same but for capital letters."""
    seen = [
        post("1", hashtags=("Tag", "TAG"), raw=b"1"),
        post("1", hashtags=("Tag",), raw=b"2", observed_at=NOON + timedelta(2)),
    ]
    for readings in itertools.permutations(seen):
        for batch in (1, 10):
            with server.new_database() as database, working(database) as connection:
                take(connection, readings, batch=batch)
                query = "SELECT hashtag, written FROM hoaxwatch.content_hashtags"
                assert rows(connection, query) == [("tag", "Tag")]


def test_new_media_alone_are_no_reason_to_count_again(connection: Connection) -> None:
    pictures = [(Media(kind="image", url=f"https://a.example/{i}.jpg"),) for i in (1, 2)]
    take(connection, [post("1", media=pictures[0], hashtags=("t",))])
    later = post("1", media=pictures[1], hashtags=("t",), observed_at=NOON + timedelta(days=2))
    steps.record(connection, steps.prepare([later], NOON), DETECTOR, "key")
    assert rows(connection, "SELECT FROM hoaxwatch.dirty_buckets") == []


@pytest.mark.parametrize("batch", [1, 10])
def test_a_raw_record_of_two_sources_has_the_first(server: Server, batch: int) -> None:
    readings = [post("1", provenance=f"test:{name}", raw=b"{}") for name in "bac"]
    for order in (readings, readings[::-1]):
        with server.new_database() as database, working(database) as connection:
            take(connection, order, batch=batch)
            query = "SELECT source FROM hoaxwatch.payloads"
            assert rows(connection, query) == [("test:a",)]


@pytest.mark.parametrize("seed", range(6))
def test_tables_do_not_depend_on_order_batches_or_repetition(
    server: Server, tmp_path: Any, seed: int
) -> None:
    """Three days of all platforms, with deletions, edits and what cannot be stored."""
    world = simulate(
        tmp_path, seed, 3, 250, with_pictures=False, with_tables=False, long_text_bytes=1000
    )
    readings = [reading for path in world.paths for reading in read_file(path)]
    chance = random.Random(seed)
    shuffled = readings + chance.sample(readings, len(readings) // 2)
    chance.shuffle(shuffled)
    tables = []
    for order, batch in ((readings, 1000), (shuffled, 37)):
        with server.new_database() as database, working(database) as connection:
            take(connection, order, batch=batch)
            tables.append(read_tables(database))
    assert tables[0]["clusters"]
    assert_same(tables[1], tables[0])


def test_every_table_and_column_says_what_it_is(connection: Connection) -> None:
    query = (
        "SELECT c.relname || '.' || a.attname FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace IN ('hoaxwatch'::regnamespace, 'mart'::regnamespace)"
        " AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition"
        " AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)"
    )
    assert rows(connection, query) == []


def test_what_is_said_of_what_one_share_told_goes_with_it(connection: Connection) -> None:
    take(connection, [share("2", "never_seen")])
    labels.add_labels(connection, [labels.Label("x", "2", "unsure", None)], "ann", NOON)
    connection.execute(
        "INSERT INTO hoaxwatch.media_files VALUES ('x', 'never_seen', '', 'https://x.example',"
        " 'a file', 'PNG', 7, now(), NULL, false, 1)"
    )
    take(connection, [Deletion(platform="x", kind="post", deleted_id="2")])
    assert rows(connection, "SELECT FROM hoaxwatch.media_files") == []
    assert rows(connection, "SELECT FROM hoaxwatch.labels") == []
    assert rows(connection, "SELECT sha256 FROM hoaxwatch.media_removals") == [(b"a file",)]
