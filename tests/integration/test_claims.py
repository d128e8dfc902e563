"""Checked claims as they are stored, and which contents repeat them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from detectors.claims import CheckedClaim, MatchPolicy, make_claim
from detectors.sentences import SentenceEncoder
from hoaxwatch import cli
from storage import claims, reads, recount, writes
from storage.claims import Changes, Pending
from storage.database import Connection, connect
from streams import steps
from streams.claims import ClaimMatcher
from streams.errors import UsageError
from streams.metrics import Metrics
from streams.records import COPY_IN_SHARE, Author, Deletion, Post, Reading, encode_reading
from streams.settings import read_settings
from streams.workers import Classifier, Taken
from tests.marker import MarkerDetector
from tests.samples import write_samples
from tests.tables import assert_same, read_tables
from tests.unit.detectors.stem_encoder import StemEncoder

if TYPE_CHECKING:
    from tests.conftest import Server

NOW = datetime(2026, 3, 9, tzinfo=UTC)
GARLIC = "Garlic water cures the flu within one day"
BRIDGE = "The harbour office closed the old bridge in Dorvik"
STEMS = StemEncoder()


def check(text: str = GARLIC, rating: str = "False", **more: Any) -> CheckedClaim:
    return make_claim("check", text=text, url="https://checks.example/1", rating=rating, **more)


@contextmanager
def working(database: str) -> Iterator[Connection]:
    with connect(database) as connection:
        writes.prepare(connection)
        recount.prepare(connection)
        yield connection


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with working(database) as held:
        yield held


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def load(connection: Connection, *given: CheckedClaim, encoder: str = "stems") -> dict[str, int]:
    vectors = STEMS.encode([claim.text for claim in given]).astype(np.float16)
    return dict(claims.add_claims(connection, given, vectors, encoder, NOW))


def texts(changes: Changes) -> list[str]:
    return sorted(claim.text for claim in changes.claims)


def ids(given: Sequence[CheckedClaim]) -> list[str]:
    return sorted(claim.claim_id for claim in given)


# Storing


def test_what_was_stored_is_read_again(connection: Connection) -> None:
    given = [
        check(publisher="Example Checks", reviewed_on="2026-02-03", lang="en", title="No"),
        make_claim("report", text=BRIDGE, url="https://news.example/2", body="It says so. " * 300),
    ]
    assert claims.read_number(connection) == 0
    assert load(connection, *given) == {"new": 2, "changed": 0, "unchanged": 0}
    found = claims.read_changes(connection, "stems", 0)
    expected = [given[0], msgspec.structs.replace(given[1], body=given[1].body[:2000])]
    assert sorted(found.claims, key=str) == sorted(expected, key=str)
    assert found.upto == claims.read_number(connection) == 1
    by_id = dict(zip([claim.claim_id for claim in found.claims], found.vectors, strict=True))
    for claim in given:
        assert np.array_equal(by_id[claim.claim_id], STEMS.encode([claim.text])[0].astype("<f2"))


def test_loading_again_stores_only_what_changed(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    assert load(connection, check(), check(BRIDGE)) == {"new": 0, "changed": 0, "unchanged": 2}
    assert claims.read_number(connection) == 1, "nothing is to be compared again"
    told = load(connection, check(rating="Half true"), check(BRIDGE), check("A third one"))
    assert told == {"new": 1, "changed": 1, "unchanged": 1}
    assert rows(
        connection,
        "SELECT version, rating, replaced_at IS NULL FROM hoaxwatch.claims"
        f" WHERE text = '{GARLIC}' ORDER BY version",
    ) == [(1, "False", False), (2, "Half true", True)]
    changes = claims.read_changes(connection, "stems", 1)
    assert texts(changes) == sorted(["A third one", GARLIC])
    assert (changes.upto, changes.removed) == (2, [])
    assert {claim.stance for claim in changes.claims} == {"mixed", "refuted"}


def test_of_the_same_claim_twice_the_last_counts(connection: Connection) -> None:
    assert load(connection, check(), check(rating="True")) == {
        "new": 1,
        "changed": 0,
        "unchanged": 1,
    }
    assert rows(connection, "SELECT version, rating FROM hoaxwatch.claims") == [(1, "True")]


def test_what_cannot_be_stored_is_left_out_of_a_text(connection: Connection) -> None:
    assert load(connection, check("nul \0 and \ud800 alone", lang="e\0n"))["new"] == 1
    assert load(connection, check("nul \0 and \ud800 alone", lang="e\0n"))["unchanged"] == 1


def test_vectors_of_another_encoder_are_not_read(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    before = claims.read_number(connection)
    load(connection, check(BRIDGE), encoder="other")
    assert texts(claims.read_changes(connection, "stems", 0)) == [GARLIC]
    assert claims.read_changes(connection, "stems", before).removed == [check(BRIDGE).claim_id]
    assert set(claims.read_vectors(connection, "other", ids([check(), check(BRIDGE)]))) == {
        check(BRIDGE).claim_id
    }
    assert claims.count_other_encoders(connection, "stems") == 1


def test_a_withdrawn_claim_stays_so_until_it_is_brought_back(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    wanted = check().claim_id
    assert claims.withdraw(connection, [wanted[:6]], NOW) == [wanted]
    changes = claims.read_changes(connection, "stems", 1)
    assert (texts(changes), changes.removed, changes.upto) == ([], [wanted], 2)
    load(connection, check(rating="Half true"))
    assert texts(claims.read_changes(connection, "stems", 0)) == [BRIDGE]
    assert [row.text for row in claims.read_claims(connection, 9)] == [BRIDGE]
    assert [row.rating for row in claims.read_claims(connection, 9, withdrawn=True)] == [
        "Half true"
    ]
    claims.withdraw(connection, [wanted], NOW, undo=True)
    assert texts(claims.read_changes(connection, "stems", 0)) == sorted([BRIDGE, GARLIC])


def test_a_beginning_that_names_none_or_several(connection: Connection) -> None:
    load(connection, check(), check(BRIDGE))
    with pytest.raises(UsageError, match="no claim has an id that begins with 'xyz'"):
        claims.withdraw(connection, [check().claim_id, "xyz"], NOW)
    with pytest.raises(UsageError, match="several claims have ids that begin with ''"):
        claims.withdraw(connection, [""], NOW)
    assert claims.read_claims(connection, 9, withdrawn=True) == [], "all or nothing"


# In the pipeline

FARM = "Farmers in Querford found lead in the tap water of the school"
MARKER = MarkerDetector()


def post(root: str, text: str, hours: float = 0, lang: str = "en") -> Post:
    return Post(
        platform="x",
        post_id=root,
        root_id=root,
        posted_at=NOW - timedelta(days=2),
        text=text,
        author=Author(author_id=f"a{root}"),
        provenance="test:one",
        raw=f"{root} {text}".encode(),
        lang=lang,
        observed_at=NOW + timedelta(hours=hours),
    )


def share(post_id: str, of: Post) -> Post:
    return msgspec.structs.replace(
        of,
        post_id=post_id,
        kind="share",
        share_of=of.post_id,
        text=of.text[:9],
        completeness=COPY_IN_SHARE,
        author=Author(author_id=f"a{post_id}"),
        raw=post_id.encode(),
    )


def take(connection: Connection, readings: Sequence[Reading], batch: int = 1000) -> None:
    for first in range(0, len(readings), batch):
        part = steps.prepare(readings[first : first + batch], NOW)
        recorded = steps.record(connection, part, MARKER, "key")
        steps.judge(connection, steps.classify(MARKER, recorded.pending), NOW)


def matcher(encoder: SentenceEncoder = STEMS, **policy: Any) -> ClaimMatcher:
    return ClaimMatcher(lambda: encoder, MatchPolicy(**policy))


def match(connection: Connection, own: ClaimMatcher | None = None) -> dict[str, int]:
    return dict(steps.match_claims(connection, own or matcher(), 3))


def found(connection: Connection) -> list[tuple[Any, ...]]:
    return rows(
        connection,
        "SELECT root_id, place, label, text FROM mart.claims_matched ORDER BY root_id, place",
    )


REPEATED = "Garlic water cures flu within a day!!"
POSTS = [
    post("1", REPEATED),
    post("2", "Garlic water cures flu within a day: a hoax"),
    post("3", "Lead is in the tap water of the Querford school, farmers found"),
    post("4", "The mayor opened a library near the station yesterday"),
    post("5", "Garlic water!"),
    post("6", REPEATED, lang="de"),
]


@pytest.fixture
def at(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name the database; no settings of the user's."""
    for name in [name for name in os.environ if name.startswith("HOAXWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    return ["--database", database]


def test_what_posts_repeat(connection: Connection) -> None:
    take(connection, POSTS)
    load(connection, check(), make_claim("report", text=FARM, url="https://news.example/3"))
    assert match(connection) == {"compared": 4, "matched": 3}
    assert found(connection) == [
        ("1", 1, "Refute", GARLIC),
        ("2", 1, "denies", GARLIC),
        ("3", 1, "Support_Text", FARM),
    ]
    assert rows(
        connection, "SELECT root_id, reason FROM hoaxwatch.claim_checks ORDER BY root_id"
    ) == [("1", None), ("2", None), ("3", None), ("4", None), ("5", "too_short"), ("6", "language")]
    assert match(connection) == {}, "nothing is left to compare"


def test_a_fact_check_decides_before_a_nearer_report(connection: Connection) -> None:
    take(connection, POSTS[:1])
    near = make_claim("report", text=REPEATED, url="https://news.example/3")
    load(connection, near, check(f"{GARLIC}, nurses say"), check(rating="Half true"))
    match(connection)
    assert [row[1:3] for row in found(connection)] == [
        (1, "Insufficient_Text"),
        (2, "Refute"),
        (3, "Support_Text"),
    ]


def test_without_claims_no_encoder_is_loaded(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> SentenceEncoder:
        raise AssertionError("an encoder was loaded")

    take(connection, POSTS)
    contents = next(reads.read_pending(connection, "another", "1", 9))
    own = ClaimMatcher(fail)
    sent: list[str] = []
    execute: Callable[..., Any] = connection.execute

    def noted(query: Any, *more: Any, **options: Any) -> Any:
        sent.append(str(query))
        return execute(query, *more, **options)

    monkeypatch.setattr(connection, "execute", noted)
    assert steps.match_claims(connection, own, 3) == {}
    assert steps.compare(connection, own, contents) == []
    assert steps.keep(connection, own, []) == {}
    assert sent == 2 * ["SELECT max(load_number) FROM hoaxwatch.claims"]
    assert rows(connection, "SELECT FROM hoaxwatch.claim_checks") == []


def test_later_claims_are_compared_without_encoding_again(connection: Connection) -> None:
    encoder = StemEncoder()
    own = matcher(encoder)
    take(connection, POSTS)
    load(connection, check())
    match(connection, own)
    assert encoder.n_encoded == 4
    load(connection, check(FARM))
    for again in (own, matcher(encoder)):  # one that knows the claims, and one that is new
        match(connection, again)
        assert encoder.n_encoded == 4
        assert [(row[0], row[3]) for row in found(connection)] == [
            ("1", GARLIC),
            ("2", GARLIC),
            ("3", FARM),
        ]


def test_a_corrected_rating_and_a_withdrawal(connection: Connection) -> None:
    own = matcher()
    take(connection, POSTS[:1])
    load(connection, check())
    match(connection, own)
    load(connection, check(rating="Half true"))
    assert found(connection) == [], "until it is compared again"
    match(connection, own)
    assert found(connection) == [("1", 1, "Insufficient_Text", GARLIC)]
    claims.withdraw(connection, [check().claim_id], NOW)
    assert found(connection) == []
    match(connection, own)
    assert found(connection) == []
    claims.withdraw(connection, [check().claim_id], NOW, undo=True)
    match(connection, own)
    assert found(connection) == [("1", 1, "Insufficient_Text", GARLIC)]


def test_words_that_change_are_compared_again(connection: Connection) -> None:
    load(connection, check(), check(FARM))
    take(connection, [post("1", REPEATED), post("2", REPEATED), share("3", post("2", REPEATED))])
    match(connection)
    take(connection, [post("1", POSTS[2].text, hours=1)])
    assert [row[0] for row in found(connection)] == ["2"]
    match(connection)
    assert found(connection) == [("1", 1, "Refute", FARM), ("2", 1, "Refute", GARLIC)]
    take(connection, [Deletion(platform="x", kind="post", deleted_id="2")])
    for table in ("claim_checks", "claim_matches"):
        assert rows(connection, f"SELECT root_id FROM hoaxwatch.{table}") == [("1",)]


def test_another_policy_compares_everything_again(connection: Connection) -> None:
    load(connection, check())
    take(connection, POSTS)
    match(connection)
    match(connection, matcher(shared_stems=9))
    assert found(connection) == []
    assert rows(connection, "SELECT count(DISTINCT matcher) FROM hoaxwatch.claim_checks") == [(1,)]


def test_who_knows_fewer_claims_comes_too_late(connection: Connection) -> None:
    take(connection, POSTS[:1])
    load(connection, check(FARM))
    slow, quick = matcher(), matcher()
    slow.refresh(connection)
    (pending,) = claims.read_pending(connection, slow.version, slow.upto, 9)
    late = slow.check(pending)
    load(connection, check())
    match(connection, quick)
    before = found(connection)
    assert [row[3] for row in before] == [GARLIC]
    steps.keep(connection, slow, late)
    assert found(connection) == before
    # what is about words that are gone is left out as well
    gone = Pending(msgspec.structs.replace(pending[0].content, input_hash=b"other"), 0, None, None)
    slow.refresh(connection)
    steps.keep(connection, slow, slow.check([gone]))
    assert found(connection) == before


def test_a_claim_withdrawn_in_the_meantime_is_not_matched(connection: Connection) -> None:
    take(connection, POSTS[:1])
    load(connection, check())
    own = matcher()
    own.refresh(connection)
    (pending,) = claims.read_pending(connection, own.version, own.upto, 9)
    checks = own.check(pending)
    claims.withdraw(connection, [check().claim_id], NOW)
    steps.keep(connection, own, checks)
    assert rows(connection, "SELECT FROM hoaxwatch.claim_matches") == []


@pytest.mark.parametrize("seed", [1, 2])
def test_order_batches_and_repetition_change_nothing(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    words = ["garlic", "water", "cures", "flu", "day", "lead", "school", "tap", "farmers", "found"]
    posts = [post(str(i), " ".join(chance.sample(words, 6))) for i in range(40)]
    given = [
        make_claim(
            chance.choice(["check", "report"]),
            text=" ".join(chance.sample(words, 7)),
            url=f"https://checks.example/{i}",
            rating=chance.choice(["False", "True"]),
        )
        for i in range(20)
    ]
    gone = given[3].claim_id
    tables = []
    with server.new_database() as database, working(database) as connection:
        load(connection, *given)
        claims.withdraw(connection, [gone], NOW)
        take(connection, posts)
        match(connection)
        tables.append(read_tables(database))
        match(connection)
        tables.append(read_tables(database))
    shuffled = chance.sample(posts + posts[:9], len(posts) + 9)
    order = chance.sample(given, len(given))
    with server.new_database() as database, working(database) as connection:
        own = matcher()
        take(connection, shuffled[:20], 7)
        load(connection, *order[:9])
        match(connection, own)
        load(connection, *order[5:])
        take(connection, shuffled[20:], 7)
        match(connection, own)
        claims.withdraw(connection, [gone], NOW)
        match(connection)
        tables.append(read_tables(database))
    assert len(tables[0]["claim_matches"]) > 20
    assert {row[0] for row in tables[0]["claims"]} == {claim.claim_id for claim in given}
    for other in tables[1:]:
        assert_same(other, tables[0])


def test_a_worker_matches_what_it_stores(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.claims.MeanPooled", StemEncoder)
    tables = []
    for way in ("worker", "steps"):
        with server.new_database() as database, working(database) as connection:
            load(connection, check(), check(FARM))
            if way == "steps":
                writes.activate_policy(connection, "marker", "1", 0.5, 0.0, NOW)
                take(connection, POSTS)
                match(connection)
            else:
                work = Classifier(database, read_settings(), MARKER, Metrics("classify"))
                now = NOW.timestamp()
                records = [
                    Taken("posts", 0, i, encode_reading(one), now) for i, one in enumerate(POSTS)
                ]
                work(records[:4])
                work(records)
                work.close()
                assert match(connection) == {}, "nothing is left to compare"
            tables.append(read_tables(database))
    assert len(tables[0]["claim_matches"]) == 3
    assert_same(tables[0], tables[1])


# Commands


def write_csv(path: Path, given: Sequence[tuple[str, str]]) -> str:
    """A CSV of claims (text, rating), each with an address of its own."""
    lines = [
        f'"{text}",https://checks.example/{i},{rating},Example Checks,2026-02-03'
        for i, (text, rating) in enumerate(given)
    ]
    path.write_text("\n".join(["text,url,rating,publisher,reviewed_on", *lines]), "utf-8")
    return str(path)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert cli.run([*arguments, "--json"]) == cli.OK
    return json.loads(capsys.readouterr().out)


def test_from_a_file_to_the_trace_of_a_post(
    at: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    posts = [str(path) for path in write_samples(tmp_path / "posts", seed=2)]
    summary = answer(capsys, "run", *posts, *at, "--detector", "null")
    assert summary["claims"] == {}
    with connect(at[1]) as connection:
        (post_id, text), *_ = rows(
            connection,
            "SELECT p.post_id, c.text FROM hoaxwatch.content c JOIN hoaxwatch.posts p"
            " USING (platform, root_id) WHERE p.kind = 'share' AND c.lang = 'en'"
            " AND c.text !~ '[0-9\"]' AND length(c.text) > 60 ORDER BY 1",
        )
    words = " ".join(word for word in text.split() if word[0] not in "#@")
    given = write_csv(tmp_path / "claims.csv", [(words, "False"), (BRIDGE, "True"), ("", "x")])
    (loaded,) = answer(capsys, "claims", "load", given, *at)
    assert loaded == {
        "file": "claims.csv",
        "new": 2,
        "embedded": 2,
        "unusable": 1,
        "first": [
            {"position": "row 4", "reason": "no claim in it: claimReviewed or text is empty"}
        ],
    }
    (again,) = answer(capsys, "claims", "load", given, *at)
    assert (again["unchanged"], again["embedded"]) == (2, 0)
    assert cli.run(["claims", "load", given, *at]) == cli.OK
    said = capsys.readouterr().err
    assert "claims.csv: 2 unchanged" in said
    assert "1 entries are no claims, first:\n    row 4: no claim in it" in said

    matched = answer(capsys, "claims", "match", *at)
    assert matched["compared"] > matched["matched"] >= 1
    (trace,) = answer(capsys, "trace", post_id, *at)
    assert [(c["label"], c["rating"], c["place"]) for c in trace["claims"]] == [
        ("Refute", "False", 1)
    ]
    assert cli.run(["trace", post_id, *at]) == cli.OK
    line = "already checked by Example Checks: False, https://checks.example/0, 2026-02-03 (Refute"
    assert line in capsys.readouterr().out

    listed = answer(capsys, "claims", "list", *at)
    assert [(row["text"], row["contents"] > 0) for row in listed] == [
        (words, True),
        (BRIDGE, False),
    ]
    asked = "In Dorvik the harbour office has closed the bridge"
    nearest = answer(capsys, "claims", "search", asked, *at)
    assert [(row["text"], row["label"]) for row in nearest] == [
        (BRIDGE, "Insufficient_Text"),
        (words, None),
    ]
    assert answer(capsys, "claims", "withdraw", listed[0]["claim_id"][:8], *at) == {
        "withdrawn": [listed[0]["claim_id"]]
    }
    assert answer(capsys, "trace", post_id, *at)[0]["claims"] == []
    assert len(answer(capsys, "claims", "search", asked, *at)) == 1
    assert answer(capsys, "claims", "list", "--withdrawn", *at)[0]["text"] == words
    assert answer(capsys, "claims", "load", given, *at)[0]["unchanged"] == 2
    assert [row["text"] for row in answer(capsys, "claims", "list", *at)] == [BRIDGE]
    assert "brought_back" in answer(
        capsys, "claims", "withdraw", listed[0]["claim_id"], "--undo", *at
    )
    summary = answer(capsys, "run", *posts, *at, "--detector", "null")
    assert summary["claims"]["matched"] >= 1
    assert answer(capsys, "trace", post_id, *at)[0]["claims"][0]["label"] == "Refute"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("claims load none.csv", ["none.csv is no file; check the path"]),
        ("claims load empty.csv", ["no claim was found", "CSV with the columns text and url"]),
        ("claims load claims.csv --kind fact", ["'fact'", "check", "report"]),
        ("claims withdraw abc", ["no claim has an id that begins with 'abc'"]),
    ],
)
def test_mistakes_with_claims(
    arguments: str,
    words: list[str],
    at: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.csv").write_text("claim,link\na,b\n")
    assert cli.run([*arguments.split(), *at]) == cli.USAGE
    line = " ".join(capsys.readouterr().err.split())
    assert line.count("hoaxwatch:") == 1
    assert [word for word in words if word not in line] == []


def test_killed_in_the_middle_the_same_commands_do_the_rest(
    one_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posts = [str(path) for path in write_samples(tmp_path / "posts", seed=2, n_posts=200)]
    given = write_csv(
        tmp_path / "claims.csv",
        [(f"{GARLIC}, says nurse {number}", "False") for number in range(300)],
    )
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("HOAXWATCH_BATCH_POSTS", "40")
    run, load_file = ["run", *posts, "--detector", "null"], ["claims", "load", given]
    with one_server.new_database() as database:
        for command in (run, load_file, run):
            assert cli.run([*command, "--database", database]) == cli.OK
        expected = read_tables(database)
    assert len(expected["claims"]) == 300
    assert expected["claim_checks"]
    with one_server.new_database() as database:
        assert cli.run([*run, "--database", database]) == cli.OK
        monkeypatch.setenv("HOAXWATCH_FAIL_POINTS", "claims.after_batch,claims.after_page")
        monkeypatch.setenv("HOAXWATCH_FAIL_FOLDER", str(tmp_path))
        assert finish(load_file, database) == [-signal.SIGKILL, 0]
        assert finish(run, database) == [-signal.SIGKILL, 0]
        assert_same(read_tables(database), expected)


def finish(command: list[str], database: str) -> list[int]:
    """Runs a command until it is not killed; returns its exit codes."""
    codes: list[int] = []
    while not codes or codes[-1] < 0:
        program = [sys.executable, "-m", "hoaxwatch", *command, "--database", database]
        done = subprocess.run(
            program, cwd=Path(__file__).parents[2], capture_output=True, check=False
        )
        codes.append(done.returncode)
    return codes
