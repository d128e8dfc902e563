"""Clusters keep their names in the database: as if everything had been stored at once."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from graph.lineage import SizeWatch, find_events, is_large_enough, name_clusters
from storage import recount, retention, writes
from storage.database import Connection, Cursor, connect
from storage.lineages import label_lineage
from streams import steps
from streams.clustering import TrackOptions
from streams.records import Author, Deletion, Post, Reading
from tests.marker import MarkerDetector

if TYPE_CHECKING:
    from tests.conftest import Server

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DETECTOR = MarkerDetector()
OPTIONS = TrackOptions(window_hours=12, window_step_hours=6, cluster_min_users=5)


def group_posts(
    name: str, members: Sequence[str], hour: int, tag: str = "t", text: str = "fact"
) -> list[Post]:
    """An original of every fourth member in an hour, shared by all others: one cluster."""
    posts = []
    for i, author in enumerate(members[:: 4 if len(members) > 12 else 2]):
        root = f"{tag}-{name}-{hour}-{i}"
        at = DAY + hour * HOUR + timedelta(minutes=i)
        posts.append(_post(root, author, at, root, tag, f"{text} {root}"))
        for j, sharer in enumerate(members):
            if sharer != author:
                later = at + timedelta(seconds=90 * (j + 1))
                posts.append(_post(f"{root}-{j}", sharer, later, root, tag, ""))
    return posts


def _post(post_id: str, author: str, at: datetime, root: str, tag: str, text: str) -> Post:
    is_share = post_id != root
    return Post(
        platform="x",
        post_id=post_id,
        root_id=root,
        posted_at=at,
        kind="share" if is_share else "original",
        share_of=root if is_share else None,
        text=text,
        completeness=0 if is_share else 2,
        hashtags=(tag,),
        author=Author(author_id=author),
        observed_at=DAY + timedelta(days=9),
        raw=post_id.encode(),
    )


def people(first: int, last: int) -> list[str]:
    return [f"p{i:03d}" for i in range(first, last)]


def working(database: str) -> Connection:
    opened = connect(database)
    writes.prepare(opened)
    recount.prepare(opened)
    writes.activate_policy(opened, "marker", "1", 0.5, 0.0, DAY)
    return opened


def take(
    connection: Connection, readings: Sequence[Reading], options: TrackOptions = OPTIONS
) -> None:
    recorded = steps.record(connection, steps.prepare(readings, DAY), DETECTOR, "key")
    steps.judge(connection, steps.classify(DETECTOR, recorded.pending), DAY)
    steps.track(connection, options)


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def expected(connection: Connection, options: TrackOptions = OPTIONS) -> tuple[set[Any], set[Any]]:
    """Names and events by going through all stored windows from the first to the last."""
    members: dict[tuple[str, str], dict[datetime, dict[int, list[str]]]] = {}
    stars: set[Any] = set()
    for tag, algorithm, start, cluster, is_star, accounts in rows(
        connection,
        "SELECT c.hashtag, c.algorithm, c.window_start, c.cluster, c.is_star,"
        " array_agg(m.platform || ':' || m.author_id) FROM mart.clusters c"
        " JOIN hoaxwatch.cluster_members m USING (clustering_id, cluster) GROUP BY 1, 2, 3, 4, 5",
    ):
        members.setdefault((tag, algorithm), {}).setdefault(start, {})[cluster] = accounts
        stars |= {(tag, algorithm, start, cluster)} if is_star else set()
    names: set[Any] = set()
    events: set[Any] = set()
    step = timedelta(hours=options.window_step_hours)
    length_in_steps = options.window_hours // options.window_step_hours
    for (tag, algorithm), windows in members.items():
        before: dict[str, list[str]] = {}
        last: datetime | None = None
        watch = SizeWatch(length_in_steps)
        for start in sorted(windows):
            if last is not None and start != last + step:
                events |= {(tag, algorithm, last + step, e) for e in find_events(before, {})}
                before, watch = {}, SizeWatch(length_in_steps)
            numbers = [
                n
                for n, who in sorted(windows[start].items())
                if is_large_enough(len(who), (tag, algorithm, start, n) in stars)
            ]
            clusters = [windows[start][n] for n in numbers]
            found = name_clusters(
                f"tag:{tag}:{algorithm}", start.isoformat(), clusters, previous=before
            )
            after = dict(zip(found, clusters, strict=True))
            told = [*find_events(before, after), *watch.see(after)]
            events |= {(tag, algorithm, start, e) for e in told}
            names |= {
                (tag, algorithm, start, n, name) for n, name in zip(numbers, found, strict=True)
            }
            before, last = after, start
    flat = {
        (tag, algorithm, start, e.name, e.kind, e.other, e.n_before, e.n_after)
        for tag, algorithm, start, e in events
    }
    return names, flat


def stored(connection: Connection) -> tuple[set[Any], set[Any]]:
    names = rows(
        connection,
        "SELECT hashtag, algorithm, window_start, cluster, lineage FROM mart.clusters"
        " WHERE lineage IS NOT NULL",
    )
    events = rows(
        connection,
        "SELECT hashtag, algorithm, window_start, lineage, kind, other, n_before, n_after"
        " FROM mart.cluster_events",
    )
    return set(names), set(events)


def events_of(connection: Connection, algorithm: str = "louvain") -> list[tuple[int, str]]:
    """(hours since the first day, kind), in order."""
    found = rows(
        connection,
        "SELECT window_start, kind FROM mart.cluster_events"
        f" WHERE algorithm = '{algorithm}' ORDER BY window_start, kind",
    )
    return [((start - DAY) // HOUR, kind) for start, kind in found]


def test_planted_events_are_found(server: Server) -> None:
    """Windows of 12 hours every 6; posts stand in the middle of each: a group of 20 is born, splits
    into two of 10, one of which trebles, and both die in a pause; then it is born again."""
    with server.new_database() as database, working(database) as connection:
        take(connection, [
            *group_posts("a", people(0, 20), 3),
            *group_posts("a", people(0, 20), 9),
            *(post for hour in range(15, 63, 6)
              for post in (*group_posts("b", people(0, 10), hour),
                           *group_posts("c", people(10, 20 if hour < 51 else 40), hour))),
            *group_posts("a", people(0, 20), 99),
        ])  # fmt: skip
        assert stored(connection) == expected(connection)
        found = events_of(connection)
    assert found[0] == (-6, "born")
    kinds = [kind for _, kind in found]
    assert kinds.count("split") == 1
    assert kinds.count("grew") == 1
    assert kinds.count("died") == 2
    assert kinds.count("born") == 2
    assert kinds[-1] == "born"


@pytest.mark.first_server
@pytest.mark.parametrize("seed", range(4))
def test_names_are_a_function_of_what_is_stored(server: Server, seed: int) -> None:
    """Posts in any order and deletions: after every tick the tables are as from scratch."""
    chance = random.Random(seed)
    posts: list[Reading] = []
    for tag in ("t", "u"):
        for hour in sorted(chance.sample(range(0, 120, 3), 14)):
            start = chance.randrange(0, 12)
            members = people(start, start + chance.randrange(6, 16))
            posts += group_posts("a", members, hour, tag)
            if chance.random() < 0.5:
                posts += group_posts("b", people(40, 40 + chance.randrange(5, 12)), hour, tag)
    gone = [
        Deletion(platform="x", kind="post", deleted_id=post.post_id)
        for post in chance.sample(posts, 6)
        if isinstance(post, Post)
    ]
    shuffled = chance.sample(posts, len(posts))
    with server.new_database() as database, working(database) as connection:
        size = len(shuffled) // 7 + 1
        for first in range(0, len(shuffled), size):
            take(connection, shuffled[first : first + size])
            assert stored(connection) == expected(connection)
        take(connection, gone)
        assert stored(connection) == expected(connection)
        growth = rows(connection, "SELECT * FROM mart.clusters ORDER BY 1, 2, 4, 7")
        names, events = stored(connection)
    with server.new_database() as database, working(database) as connection:
        take(connection, [*gone, *posts])
        assert stored(connection) == (names, events)
        assert rows(connection, "SELECT * FROM mart.clusters ORDER BY 1, 2, 4, 7") == growth


@pytest.mark.parametrize("seed", range(2))
def test_who_came_and_left_is_a_function_of_what_is_stored(server: Server, seed: int) -> None:
    """20 accounts, 34 from hour 60 on, without 18 of them from hour 96 on; posts in any order."""
    chance = random.Random(seed)
    posts: list[Reading] = []
    for hour in range(3, 135, 6):
        members = people(0, 20) if hour < 60 else people(0, 34) if hour < 96 else people(18, 34)
        posts += group_posts("a", members, hour)
        posts += group_posts("b", people(50, 58), hour)
    shuffled = chance.sample(posts, len(posts))
    with server.new_database() as database, working(database) as connection:
        size = len(shuffled) // 3 + 1
        for first in range(0, len(shuffled), size):
            take(connection, shuffled[first : first + size])
            assert stored(connection) == expected(connection)
        # a whole window comes late, then one goes: what others tell of it changes
        late = group_posts("c", people(60, 72), 69)
        for readings in (late, [_gone(post) for post in late]):
            take(connection, readings)
            assert stored(connection) == expected(connection)
        found = events_of(connection, "infomap")
    changes = [event for event in found if event[1] in ("grew", "shrank")]
    assert changes == [(54, "grew"), (102, "shrank")]


def _gone(post: Post) -> Deletion:
    return Deletion(platform="x", kind="post", deleted_id=post.post_id)


def test_a_label_stays_when_late_posts_change_the_name(server: Server) -> None:
    later = [*group_posts("a", people(0, 20), 9), *group_posts("a", people(0, 20), 15)]
    with server.new_database() as database, working(database) as connection:
        take(connection, later)
        ((name,),) = rows(
            connection, "SELECT DISTINCT lineage FROM mart.clusters WHERE algorithm = 'louvain'"
        )
        connection.execute(
            "INSERT INTO hoaxwatch.lineage_labels VALUES"
            " ('t', 'louvain', %s, 'ann', 'the water group', now())",
            (name,),
        )
        take(connection, group_posts("a", people(0, 18), 3))  # founds it a window earlier
        labelled = rows(connection, "SELECT lineage, label FROM mart.lineage_labels")
        ((new_name,),) = rows(
            connection, "SELECT DISTINCT lineage FROM mart.clusters WHERE algorithm = 'louvain'"
        )
        assert new_name != name
        assert labelled == [(new_name, "the water group")]
        take(connection, group_posts("z", people(50, 60), 9))  # somebody else
        assert rows(connection, "SELECT lineage, label FROM mart.lineage_labels") == labelled


@pytest.mark.parametrize("late", [20, 18])
def test_a_label_waits_for_a_tick_that_is_at_work(
    server: Server, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    """It had read all labels before: the new one stands after it, or is refused with the name that
    the tick changed, and is never one of a name that nobody has."""
    first = [*group_posts("a", people(0, 20), 9), *group_posts("a", people(0, 20), 15)]
    hour = 21 if late == 20 else 3  # posts of before change the name
    with (
        server.new_database() as database,
        working(database) as connection,
        working(database) as person,
        ThreadPoolExecutor(1) as beside,
    ):
        take(connection, first)
        ((name,),) = rows(connection, _NAMES)
        labelling: list[Future[list[tuple[str, str, str]]]] = []
        recount_trends = recount.recount_trends

        def label_and_go_on(cursor: Cursor) -> int:
            labelling.append(
                beside.submit(label_lineage, person, name, "the water group", "ann", DAY)
            )
            wait_until_somebody_waits(cursor)
            return recount_trends(cursor)

        monkeypatch.setattr(recount, "recount_trends", label_and_go_on)
        take(connection, group_posts("a", people(0, late), hour))
        ((new_name,),) = rows(connection, _NAMES)
        found = [("t", "louvain", name)] if new_name == name else []
        assert (new_name == name) == (hour == 21)
        assert labelling[0].result(timeout=60) == found
        assert rows(connection, "SELECT hashtag, algorithm, lineage FROM mart.lineage_labels") == (
            found
        )


_NAMES = """
SELECT DISTINCT lineage FROM mart.clusters WHERE algorithm = 'louvain' AND lineage IS NOT NULL
"""


def wait_until_somebody_waits(cursor: Cursor) -> None:
    """For an advisory lock, as whoever labels does here."""
    for _ in range(200):
        found = cursor.execute(
            "SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted"
        )
        if found.rowcount:
            return
        time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_growth_and_emerging_are_beside_their_factors(server: Server) -> None:
    lie = "hoax"
    posts = [
        *(post for hour in (3, 9, 17) for post in group_posts("z", people(100, 130), hour)),
        *group_posts("a", people(0, 8), 3, text=lie),
        *group_posts("a", people(0, 8), 9, text=lie),
        *group_posts("a", people(0, 60), 17, text=lie),
    ]
    with server.new_database() as database, working(database) as connection:
        take(connection, posts)
        found = rows(
            connection,
            "SELECT n_users, n_before, growth, expected_low, stability, is_star, n_coordinated,"
            " emerging FROM mart.clusters WHERE algorithm = 'louvain' AND lineage IS NOT NULL"
            " AND expected_share > 0.5 ORDER BY window_start",
        )
    for n_users, n_before, growth, low, stability, is_star, n_coordinated, emerging in found:
        assert n_before is not None
        if is_star:
            assert emerging is None
            continue
        coordination = (1 + n_coordinated / n_users) / 2
        product = float(growth) * float(low) * float(stability) * coordination
        assert float(emerging) == pytest.approx(product, abs=2e-6)
    assert any(emerging for *_, emerging in found)
    assert any(n_before > 0 for _, n_before, *_ in found)


def test_a_half_that_splits_off_has_not_grown(server: Server) -> None:
    """80 accounts spread a lie, then each half by itself; nobody comes."""
    with server.new_database() as database, working(database) as connection:
        take(connection, [
            *(post for hour in range(3, 40, 6)
              for post in group_posts("a", people(0, 80), hour, text="hoax")),
            *(post for hour in range(45, 76, 6)
              for post in (*group_posts("b", people(0, 40), hour, text="hoax"),
                           *group_posts("c", people(40, 80), hour, text="hoax"))),
        ])  # fmt: skip
        found = rows(
            connection,
            "SELECT DISTINCT n_before, growth, emerging FROM mart.clusters"
            " WHERE algorithm = 'louvain' AND window_start >= '2026-03-03 18:00'"
            " AND window_start < '2026-03-05'",
        )
        assert ("split",) in rows(connection, "SELECT kind FROM mart.cluster_events")
    assert {(growth, emerging) for _, growth, emerging in found} == {(0, 0)}
    assert {n_before for n_before, _, _ in found} == {40, 80}


def test_clusters_of_an_early_version_get_names(server: Server) -> None:
    """The migration marks the hashtags whose windows have no names yet."""
    with server.new_database() as database, working(database) as connection:
        take(connection, group_posts("a", people(0, 20), 3))
        connection.execute("UPDATE hoaxwatch.clusters SET lineage = NULL, growth = NULL")
        connection.execute("DELETE FROM hoaxwatch.cluster_events")
        connection.execute(
            "INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)"
            " SELECT DISTINCT hashtag, date_trunc('hour', first_at) FROM hoaxwatch.networks"
        )
        steps.track(connection, OPTIONS)
        assert stored(connection) == expected(connection)
        assert stored(connection)[0]


def test_a_small_star_has_no_name(server: Server) -> None:
    """One account that seven others share, and one that eleven share."""
    posts: list[Reading] = []
    for name, n_sharers in (("small", 7), ("large", 11)):
        posts.append(_post(name, name, DAY + HOUR, name, "t", f"fact {name}"))
        for i in range(n_sharers):
            at = DAY + 2 * HOUR + timedelta(minutes=i)
            posts.append(_post(f"{name}-{i}", f"{name}{i}", at, name, "t", ""))
    with server.new_database() as database, working(database) as connection:
        take(connection, posts)
        found = rows(
            connection,
            "SELECT DISTINCT n_users, is_star, lineage IS NOT NULL FROM mart.clusters"
            " WHERE algorithm = 'louvain'",
        )
        assert stored(connection) == expected(connection)
    assert sorted(found) == [(8, True, False), (12, True, True)]


def _options(length_hours: int, step_hours: int) -> TrackOptions:
    return TrackOptions(
        window_hours=length_hours, window_step_hours=step_hours, cluster_min_users=5
    )


@pytest.mark.parametrize(
    "length,step,forgotten",
    [(12, 6, ["p003"]), (24, 12, ["p003"]), (12, 6, []), (24, 12, []), (24, 3, [])],
)
def test_other_windows_take_the_place_of_those_before(
    server: Server, length: int, step: int, forgotten: list[str]
) -> None:
    """As if the project had had these windows from the first post on, whatever stood there."""
    posts = [post for hour in range(3, 75, 6) for post in group_posts("a", people(0, 20), hour)]
    gone: list[Reading] = [
        Deletion(platform="x", kind="author", deleted_id=author) for author in forgotten
    ]
    other = _options(length, step)
    everything = "SELECT * FROM mart.clusters ORDER BY 1, 2, 4, 7"
    with server.new_database() as database, working(database) as connection:
        take(connection, posts, _options(24, 6))
        label = rows(connection, _LABEL_ALL)
        take(connection, gone, other)
        ((members,),) = rows(
            connection, "SELECT array_agg(DISTINCT author_id) FROM hoaxwatch.cluster_members"
        )
        assert members == sorted(set(people(0, 20)) - set(forgotten))
        assert rows(
            connection, "SELECT DISTINCT window_end - window_start FROM hoaxwatch.networks"
        ) == [(timedelta(hours=length),)]
        names, events = stored(connection)
        assert names
        assert (names, events) == expected(connection, other)
        assert rows(connection, "SELECT label FROM mart.lineage_labels") == label
        changed = rows(connection, everything)
    with server.new_database() as database, working(database) as connection:
        take(connection, [*gone, *posts], other)
        assert stored(connection) == (names, events)
        assert rows(connection, everything) == changed


def test_upkeep_leaves_the_windows_as_they_are(server: Server) -> None:
    """A label from a shell with other settings does not have all windows counted anew."""
    posts = [post for hour in range(3, 75, 6) for post in group_posts("a", people(0, 20), hour)]
    lengths = "SELECT DISTINCT window_end - window_start FROM hoaxwatch.networks"
    with server.new_database() as database, working(database) as connection:
        take(connection, posts, _options(24, 6))
        before = stored(connection)
        connection.execute(
            "INSERT INTO hoaxwatch.dirty_buckets (hashtag, hour)"
            " SELECT hashtag, bucket_start FROM hoaxwatch.hashtag_trends WHERE grain = 'hour'"
        )
        steps.track(connection, _options(12, 6), keeps_windows=True)
        assert stored(connection) == before
        assert rows(connection, lengths) == [(timedelta(hours=24),)]


_LABEL_ALL = """
INSERT INTO hoaxwatch.lineage_labels
SELECT DISTINCT hashtag, algorithm, lineage, 'ann', 'the water group', now() FROM mart.clusters
WHERE algorithm = 'louvain' AND lineage IS NOT NULL RETURNING label
"""


def test_windows_before_the_floor_stay_as_they_were_counted(server: Server) -> None:
    """With their names and what happened to them, when later ones are of another length."""
    floor = DAY + 48 * HOUR
    old = "WHERE window_start < '2026-03-04'"
    posts = [post for hour in range(3, 99, 6) for post in group_posts("a", people(0, 20), hour)]
    with server.new_database() as database, working(database) as connection:
        take(connection, posts, _options(24, 6))
        assert retention.raise_floor(connection, floor, floor)
        kept = [
            rows(connection, f"SELECT * FROM mart.{table} {old} ORDER BY 1, 2, 3, 4")
            for table in ("networks", "cluster_events")
        ]
        take(connection, [], _options(12, 6))
        assert kept == [
            rows(connection, f"SELECT * FROM mart.{table} {old} ORDER BY 1, 2, 3, 4")
            for table in ("networks", "cluster_events")
        ]
        lengths = rows(
            connection,
            "SELECT window_start < '2026-03-04', array_agg(DISTINCT window_end - window_start)"
            " FROM hoaxwatch.networks GROUP BY 1 ORDER BY 1 DESC",
        )
    assert lengths == [(True, [24 * HOUR]), (False, [12 * HOUR])]
