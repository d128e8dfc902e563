"""Cascades of stored posts: judged at their checkpoints, combined with the text, kept exact."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from detectors.cascades import Cascade, Checkpoints, no_structure
from detectors.fusion import FORMAT, FittedPart, Fusion, Weights
from hoaxwatch import cli
from storage import recount, writes
from storage.database import Connection, connect
from streams import steps
from streams.clustering import TrackOptions
from streams.records import COPY_IN_SHARE, Author, Deletion, Post, Reading, Verdict
from streams.steps import CascadeScoring
from tests.marker import MarkerDetector
from tests.samples import write_samples
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MARKER = MarkerDetector()


class CountingDetector:
    """Score: a hundredth for each node, so that a test knows which state was judged."""

    name, threshold = "counting", 0.5

    def __init__(self, version: str = "1", fails_at: int | None = None) -> None:
        self.version = version
        self.judged: list[str] = []
        self._fails_at = fails_at

    def score(self, cascades: Sequence[Cascade]) -> list[Verdict]:
        """One verdict per cascade."""
        return [self._verdict(cascade) for cascade in cascades]

    def _verdict(self, cascade: Cascade) -> Verdict:
        if self._fails_at == len(self.judged):
            raise RuntimeError("the model broke")
        self.judged.append(cascade.root_id)
        reason = no_structure(cascade)
        return Verdict(
            platform=cascade.platform,
            root_id=cascade.root_id,
            input_hash=cascade.input_hash,
            detector=self.name,
            version=self.version,
            state="abstained" if reason else "scored",
            score=None if reason else cascade.n_nodes / 100,
            reason=reason,
            evidence=() if reason else (("nodes", 1.0),),
        )


FUSION = Fusion(
    format=FORMAT,
    parts=(FittedPart("text", "marker", "1"), FittedPart("structure", "counting", "1")),
    sets=(
        Weights(("text",), 0.0, (1.0,), 100),
        Weights(("structure",), 0.0, (1.0,), 100),
        Weights(("text", "structure"), 0.5, (1.0, 0.0), 100),
    ),
    fitted_on="nothing",
)


def scoring(detector: CountingDetector | None = None, min_shares: int = 3) -> CascadeScoring:
    return CascadeScoring(
        detector or CountingDetector(), FUSION, Checkpoints(min_shares, (1800, 7200))
    )


def original(root: str, text: str = "a hoax") -> Post:
    return Post(
        platform="x",
        post_id=root,
        root_id=root,
        posted_at=NOON,
        text=text,
        author=Author(author_id=f"a{root}"),
        observed_at=NOON + timedelta(days=2),
        provenance="test:one",
        raw=root.encode(),
    )


def share(post_id: str, root: str, of: str, minutes: float) -> Post:
    return Post(
        platform="x",
        post_id=post_id,
        root_id=root,
        kind="share",
        share_of=of,
        posted_at=NOON + timedelta(minutes=minutes),
        text="a ho",
        completeness=COPY_IN_SHARE,
        author=Author(author_id=f"a{post_id}"),
        observed_at=NOON + timedelta(days=2),
        provenance="test:one",
        raw=post_id.encode(),
    )


def chain(root: str, n: int, minutes: float = 20) -> list[Post]:
    """A root and n shares, each of the one before."""
    names = [root, *(f"{root}.{i}" for i in range(1, n + 1))]
    return [original(root)] + [
        share(names[i], root, names[i - 1], minutes * i) for i in range(1, n + 1)
    ]


def star(root: str, n: int) -> list[Post]:
    """A root and n shares, each of the root."""
    return [original(root)] + [share(f"{root}.{i}", root, root, 10 * i) for i in range(1, n + 1)]


def working(database: str) -> Connection:
    opened = connect(database)
    writes.prepare(opened)
    recount.prepare(opened)
    writes.activate_policy(opened, "marker", "1", 0.5, 0.0, NOON)
    return opened


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as opened:
        yield opened


def take(connection: Connection, readings: Sequence[Reading], batch: int = 1000) -> None:
    for first in range(0, len(readings), batch):
        recorded = steps.record(
            connection,
            steps.prepare(readings[first : first + batch], NOON + timedelta(days=2)),
            MARKER,
            "key",
        )
        steps.judge(connection, steps.classify(MARKER, recorded.pending), NOON)
    steps.track(connection, TrackOptions(cluster_min_users=3))


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def states(connection: Connection, root: str) -> dict[str, tuple[int, float | None, str | None]]:
    """checkpoint -> number of nodes, score, reason."""
    found = connection.execute(
        "SELECT checkpoint, n_nodes, score::float8, reason FROM mart.cascade_verdicts"
        " WHERE root_id = %s",
        (root,),
    )
    return {checkpoint: (n, score, reason) for checkpoint, n, score, reason in found}


def test_a_cascade_is_judged_at_its_checkpoints(connection: Connection) -> None:
    take(connection, [*chain("long", 8), *star("wide", 4), *chain("short", 2)])
    counts = steps.score_cascades(connection, scoring())
    assert states(connection, "long") == {
        "shares 3": (4, 0.04, None),
        "age 1800": (2, None, "star"),  # the root and one share
        "age 7200": (7, 0.07, None),
        "latest": (9, 0.09, None),
    }
    assert states(connection, "wide") == {
        "shares 3": (4, None, "star"),
        "age 1800": (4, None, "star"),
        "latest": (5, None, "star"),
    }
    assert states(connection, "short") == {}, "too few shares"
    assert counts == Counter(scored=3, abstained=4)
    assert rows(
        connection,
        "SELECT checkpoint, to_char(seen_until, 'HH24:MI'), evidence, length(input_hash)"
        " FROM hoaxwatch.cascade_verdicts WHERE root_id = 'long' ORDER BY seen_until",
    ) == [
        ("age 1800", "12:20", [], 16),
        ("shares 3", "13:00", [["nodes", 1.0]], 16),
        ("age 7200", "14:00", [["nodes", 1.0]], 16),
        ("latest", "14:40", [["nodes", 1.0]], 16),
    ]


def test_parts_are_combined_and_kept(connection: Connection) -> None:
    take(connection, [*chain("long", 8), *star("wide", 4)])
    steps.score_cascades(connection, scoring())
    long, wide = rows(
        connection,
        "SELECT root_id, score::float8, reason, used, missing, fusion FROM mart.combined_scores"
        " ORDER BY root_id",
    )
    # 0.9 by the text, and of the structure a weight of 0: sigmoid(0.5 + ln 9)
    assert long[1] == pytest.approx(1 / (1 + exp(-0.5) / 9), abs=1e-6)
    assert [(part["name"], part["score"], part["detector"]) for part in long[3]] == [
        ("text", 0.9, "marker"),
        ("structure", 0.09, "counting"),
    ]
    assert long[4] == []
    assert wide[1] == pytest.approx(0.9)
    assert wide[4] == [{"name": "structure", "reason": "star"}]
    assert long[5] == wide[5] == FUSION.version


def test_what_changed_is_judged_again_and_nothing_else(connection: Connection) -> None:
    take(connection, [*chain("one", 4), *chain("two", 4)])
    steps.score_cascades(connection, scoring())
    detector = CountingDetector()
    assert steps.score_cascades(connection, scoring(detector)) == Counter()
    assert detector.judged == []
    before = states(connection, "one")
    take(connection, [share("late", "two", "two.2", 45)])
    steps.score_cascades(connection, scoring(detector))
    assert set(detector.judged) == {"two"}
    assert states(connection, "one") == before
    assert states(connection, "two")["shares 3"] == (4, 0.04, None)
    assert states(connection, "two")["latest"] == (6, 0.06, None)


def test_another_text_or_version_changes_the_combined_score(connection: Connection) -> None:
    take(connection, chain("one", 4))
    steps.score_cascades(connection, scoring())
    query = "SELECT score::float8, missing FROM hoaxwatch.combined_scores"
    (hoax,) = rows(connection, query)
    changed = original("one", "a fact")
    take(connection, [type(changed)(**{**fields(changed), "observed_at": NOON + timedelta(3)})])
    steps.score_cascades(connection, scoring())
    (fact,) = rows(connection, query)
    assert fact[0] < 0.5 < hoax[0]
    steps.score_cascades(connection, scoring(CountingDetector("2")))
    (other,) = rows(connection, query)
    assert other[1] == [{"name": "structure", "reason": "other_version"}]
    assert rows(connection, "SELECT DISTINCT version FROM hoaxwatch.cascade_verdicts") == [("2",)]


def fields(post: Post) -> dict[str, Any]:
    return {name: getattr(post, name) for name in post.__struct_fields__}


def test_deletions_take_verdicts_with_them(connection: Connection) -> None:
    take(connection, [*chain("one", 4), *chain("two", 3)])
    steps.score_cascades(connection, scoring())
    take(connection, [Deletion(platform="x", kind="post", deleted_id="one")])
    query = "SELECT DISTINCT root_id FROM hoaxwatch.{} ORDER BY 1"
    for table in ("cascade_verdicts", "combined_scores"):
        assert rows(connection, query.format(table)) == [("two",)], "at once"
    take(connection, [Deletion(platform="x", kind="post", deleted_id="two.3")])
    steps.score_cascades(connection, scoring())
    for table in ("cascade_verdicts", "combined_scores"):
        assert rows(connection, query.format(table)) == [], "two shares are too few"


@pytest.mark.parametrize("seed", [1, 2])
def test_order_batches_and_repetition_change_nothing(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    posts = [post for i in range(6) for post in chain(f"r{i}", 2 + i)] + star("s", 5)
    shuffled = posts + chance.sample(posts, 10)
    chance.shuffle(shuffled)
    tables = []
    for order, batch in ((posts, 1000), (shuffled, 7)):
        with server.new_database() as database, working(database) as connection:
            for half in (order[: len(order) // 2], order[len(order) // 2 :]):
                take(connection, half, batch)
                steps.score_cascades(connection, scoring())
            tables.append(read_tables(database))
    assert tables[0]["cascade_verdicts"]
    assert tables[0]["combined_scores"]
    assert_same(tables[1], tables[0])


def test_broken_off_in_the_middle_the_next_call_does_the_rest(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "CASCADES_AT_ONCE", 1)
    posts = [post for i in range(4) for post in chain(f"r{i}", 4)]
    tables = []
    for fails_at in (None, 5):
        with server.new_database() as database, working(database) as connection:
            take(connection, posts)
            if fails_at is not None:
                with pytest.raises(RuntimeError, match="the model broke"):
                    steps.score_cascades(connection, scoring(CountingDetector("1", fails_at)))
                n_roots = "SELECT count(DISTINCT root_id) FROM hoaxwatch.cascade_verdicts"
                assert 0 < rows(connection, n_roots)[0][0] < 4
            steps.score_cascades(connection, scoring())
            tables.append(read_tables(database))
    assert_same(tables[1], tables[0])


def samples(folder: Path) -> list[str]:
    """Two files of a small invented world."""
    return [str(path) for path in write_samples(folder / "posts", seed=2)]


def test_a_run_with_the_shipped_detector(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_CASCADE_DETECTOR", "cascade_gcn")
    monkeypatch.setenv("HOAXWATCH_CASCADE_MIN_SHARES", "4")
    with working(database) as connection:
        take(connection, chain("1", 6))
    assert cli.run(["run", *samples(tmp_path), "--database", database, "--json"]) == cli.OK
    printed = json.loads(capsys.readouterr().out)
    assert printed["cascades"]["scored"] == 3
    with working(database) as connection:
        assert rows(
            connection,
            "SELECT DISTINCT reason FROM hoaxwatch.cascade_verdicts"
            " WHERE root_id <> '1' AND checkpoint = 'latest'",
        ) == [("star",)], "the platform names only the root of a share"
    assert cli.run(["trace", "1", "--database", database]) == cli.OK
    shown = capsys.readouterr().out
    assert "spreads   latest, 7 posts: scored" in shown
    assert "spreads   age 1800, 2 posts: abstained, star" in shown
    assert "combined  " in shown


@pytest.mark.parametrize("name", ["cascade-gcn", "tfidf", ""])
def test_an_unknown_detector_is_told_before_anything_is_read(
    database: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_CASCADE_DETECTOR", name)
    assert cli.run(["run", *samples(tmp_path), "--database", database]) == cli.USAGE
    err = " ".join(capsys.readouterr().err.split())
    assert f"no detector of cascades is called {name!r}; there are: cascade_gcn" in err
