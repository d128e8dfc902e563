"""The oracle itself, on cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hoaxwatch.simulate.sightings import (
    COPY_IN_SHARE,
    CUT,
    WHOLE,
    AmbiguousWorld,
    Ledger,
    Profile,
    Sighting,
    Words,
)
from hoaxwatch.simulate.truth import Row, Rules, Table, tables_of, windows_of

NOON = 1_772_453_400.0  # 2026-03-02 12:10 UTC, a Monday


def seen(post_id: str, **fields: object) -> Sighting:
    """A sighting with defaults."""
    known: dict[str, object] = {
        "platform": "x",
        "post_id": post_id,
        "posted_at": NOON,
        "root_id": post_id,
        "kind": "original",
        "words": Words(f"a fact {post_id}", "en", ("t",)),
        "completeness": WHOLE,
        "source": "test:one",
        "payload": (post_id, str(fields)),
        "author": Profile(f"a{post_id}"),
        "observed_at": NOON + 86400,
    }
    return Sighting(**(known | fields))  # type: ignore[arg-type]


def share(post_id: str, of: str, **fields: object) -> Sighting:
    """A share that carries a cut copy."""
    return seen(
        post_id,
        **{
            "kind": "share",
            "root_id": of,
            "share_of": of,
            "words": Words("a cut co", "en", ("t",)),
            "completeness": COPY_IN_SHARE,
        }
        | fields,
    )


def tables(
    *sightings: Sighting, ledger: Ledger | None = None, rules: Rules | None = None
) -> dict[str, Table]:
    """The tables of these sightings, in any order."""
    ledger = ledger or Ledger()
    ledger.add(sightings)
    return tables_of(ledger, (), rules)


def rows(table: Table, *columns: str) -> list[Row]:
    """Some columns of a table."""
    places = [table.columns.index(column) for column in columns]
    return [tuple(row[place] for place in places) for row in table.rows]


def test_the_latest_counter_stands_and_the_most_complete_words() -> None:
    later = NOON + 2 * 86400
    found = tables(
        seen("1", likes=5, shares=2),
        seen("1", likes=9, observed_at=later, completeness=CUT, words=Words("cut")),
        seen("1", likes=7, observed_at=NOON, source="test:two"),
    )
    (post,) = rows(found["posts"], "likes", "shares", "completeness", "observed_at", "provenance")
    assert post == (
        '("2026-03-04 12:10:00+00",9)',
        '("2026-03-03 12:10:00+00",2)',
        "2",
        "2026-03-03 12:10:00+00",
        "{test:one,test:two}",
    )
    assert rows(found["content"], "text", "lang") == [("a fact 1", "en")]
    assert len(found["payloads"].rows) == 3


def test_a_share_counts_with_its_originals_tags_and_verdict() -> None:
    """Three posts of one content at 0.9, one at 0.1: mean 0.7, variance (9 + 1) * 0.09 / 16."""
    found = tables(
        share("2", of="1"),
        share("3", of="1", author=Profile("a2")),
        seen("1", words=Words("hoax", "en", ("T", "ｔ", "Other"))),
        seen("4", posted_at=NOON + 60),
    )
    day, hour = [row for row in found["hashtag_trends"].rows if row[0] == "t"]
    assert hour == (
        *("t", "hour", "2026-03-02 12:00:00+00", "4", "2", "2", "3", "4", "3"),
        *("0.700000", "0.235154", "1.000000"),
        *("2026-03-02 12:10:00+00", "2026-03-02 12:11:00+00", "1"),
    )
    assert day[3:] == hour[3:]
    assert found["hashtag_pairs"].rows == [("other", "t", "2026-03-02 00:00:00+00", "3", "1")]
    assert rows(found["content_hashtags"], "hashtag", "written") == [
        *(("other", "Other"), ("t", "T"), ("t", "t"))
    ]
    assert rows(found["verdicts"], "root_id", "state", "score") == [
        *(("1", "scored", "0.900000"), ("4", "scored", "0.100000"))
    ]


def test_deleted_posts_leave_nothing_of_what_only_they_told() -> None:
    ledger = Ledger()
    ledger.deletions.add("post", ("x", "2"), "deleted", NOON)
    ledger.deletions.add("author", ("x", "gone"), None, None)
    author = Profile("ann", handle="ann", followers=3)
    found = tables(
        seen("1", author=author),
        seen("2", author=replace(author, followers=9), observed_at=NOON + 9 * 86400),
        share("3", of="2"),
        seen("5", author=Profile("gone")),
        share("6", of="5"),
        share("7", of="8"),
        ledger=ledger,
    )
    assert rows(found["posts"], "post_id") == [("1",), ("7",)]
    assert rows(found["authors"], "author_id", "followers") == [
        *(("a7", None), ("ann", '("2026-03-03 12:10:00+00",3)'))
    ]
    assert rows(found["content"], "root_id", "completeness") == [("1", "2"), ("8", "0")]
    assert sorted(rows(found["tombstones"], "kind", "reason", "deleted_at"), key=str) == [
        ("author", None, None),
        ("post", "deleted", "2026-03-02 12:10:00+00"),
        ("post", None, None),  # the original of the deleted account
    ]


def test_networks_and_clusters() -> None:
    """Two stars; a share of oneself, one of an unknown post."""
    originals = [seen("1"), seen("2")]
    shares = [
        share(f"1{i}", of="1", author=Profile(f"b{i}"), posted_at=NOON + i) for i in range(3)
    ] + [share(f"2{i}", of="2", author=Profile(f"c{i}"), posted_at=NOON + i) for i in range(2)]
    odd = [share("31", of="1", author=Profile("a1")), share("32", of="9")]
    found = tables(*originals, *shares, *odd, rules=Rules(cluster_min_users=3))
    times = "2026-03-02 12:10:00+00", "2026-03-02 12:10:02+00"
    assert len(found["networks"].rows) == 4
    assert {row[3:] for row in found["networks"].rows} == {("7", "5", "5", "1", "1", *times)}
    louvain = {row[0] for row in found["clusterings"].rows if row[4] == "louvain"}
    assert len(louvain) == 4
    of_louvain = {row[1:6] for row in found["clusters"].rows if row[0] in louvain}
    assert of_louvain == {("0", "4", "3", "3", "0"), ("1", "3", "2", "2", "0")}
    members = {row[2:] for row in found["cluster_members"].rows if row[0] in louvain}
    assert ("a1", "0", "3", "0") in members
    assert ("c1", "1", "0", "1") in members
    few = tables(*originals, *shares, rules=Rules(cluster_min_users=8))
    assert few["networks"].rows == []


def test_a_world_that_no_rule_decides_is_refused() -> None:
    with pytest.raises(AmbiguousWorld):
        tables(seen("1", kind="reply"), seen("1"))
    with pytest.raises(AmbiguousWorld):
        tables(seen("1"), seen("1", words=Words("other")))
    later = seen("1", observed_at=NOON + 3 * 86400)
    assert tables(seen("1", kind="reply"), seen("1"), later)["posts"].rows


def test_windows_begin_at_multiples_of_the_step() -> None:
    hour = 3600.0
    assert list(windows_of([7 * hour, 30 * hour], Rules())) == [
        (-12 * 3600, 12 * 3600, 0, 1),
        (-6 * 3600, 18 * 3600, 0, 1),
        (0, 24 * 3600, 0, 1),
        (6 * 3600, 30 * 3600, 0, 1),
        (12 * 3600, 36 * 3600, 1, 2),
        (18 * 3600, 42 * 3600, 1, 2),
        (24 * 3600, 48 * 3600, 1, 2),
        (30 * 3600, 54 * 3600, 1, 2),
    ]
