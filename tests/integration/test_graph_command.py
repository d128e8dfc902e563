"""hoaxwatch graph: the same answers from files and from the database, and what it writes."""

from __future__ import annotations

import csv
import json
import lzma
import os
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import igraph
import networkx
import numpy as np
import pytest
from PIL import Image

from graph.communities import louvain
from graph.spread import authors_of, spread_of, user_network_of
from graph.stability import adjusted_mutual_information, overlaps_with
from graph.topics import Topic
from graph.users import build_co_share_network
from hoaxwatch import cli
from hoaxwatch.commands.graph import app
from storage.database import connect
from storage.spreads import read_spread
from storage.tracking import Mark, Pull, store_mark
from streams.formats.registry import read_file
from streams.records import Post
from tests.integration.test_command_line import answer, fails

USAGE = 2
DAY = 1_700_006_400  # 2023-11-15 00:00 UTC
COLUMNS = (
    *("id", "timestamp_utc", "text", "lang", "hashtags", "user_id", "user_screen_name"),
    *("user_followers", "retweeted_id", "to_tweetid", "match_query"),
)
CAMPAIGN = {f"bot_{i}" for i in range(6)}


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HOAXWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Two groups of thirty accounts that share within themselves over a day, a campaign of six that
    share the same forty posts within seconds, and a chain of replies."""
    chance = random.Random(5)
    rows: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}

    def add(author: str, at: int, text: str = "", tags: str = "", **more: Any) -> str:
        row_id = str(1_724_000_000_000_000_000 + len(rows))
        rows.append(
            {
                "id": row_id,
                "timestamp_utc": DAY + at,
                "text": text,
                "lang": "en",
                "hashtags": tags,
                "user_id": str(numbers.setdefault(author, 9000 + len(numbers))),
                "user_screen_name": author,
                "user_followers": 10,
                "match_query": 1,
                **more,
            }
        )
        return row_id

    originals: list[tuple[str, int, str, str]] = []
    for group in "ab":
        for i in range(30):
            at = chance.randrange(0, 43_200)
            text = f"The {chance.choice(['harbour', 'tram'])} of {group} number {i} opens #Water"
            tags = "water|truth" if i % 3 else "water"
            originals.append((add(f"{group}_{i}", at, text, tags), at, group, f"{group}_{i}"))
    for original, at, group, author in originals:
        for _ in range(8):
            sharer = f"{group}_{chance.randrange(30)}"
            if sharer != author:
                add(
                    sharer,
                    at + chance.randrange(60, 40_000),
                    f"RT @{author}: The",
                    retweeted_id=original,
                )
    for original, at, _, _ in originals[:40]:
        begin = at + 50_000
        for bot in sorted(CAMPAIGN):
            add(bot, begin + chance.randrange(20), "RT", retweeted_id=original)
    top = originals[0][0]
    for depth in range(3):
        top = add(f"a_{depth}", 80_000 + depth, "is that so?", to_tweetid=top)
    path = tmp_path / "posts.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    return json.loads(answer(capsys, ["graph", *words, "--json"]))


def test_files_and_database_give_the_same_answers(
    database: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", database]
    answer(capsys, ["run", file, *at])
    topics = [
        ["-t", "Water"],
        ["--keywords", "harbour opens"],
        ["--headline", "The harbour opens"],
        ["--root", "1724000000000000000"],
        ["-t", "water", "--since", "2023-11-15T06:00", "--until", "2023-11-15T18:00"],
        [],
    ]
    for topic in topics:
        for command in ("cascades", "communities", "hashtags", "coordination"):
            words = [command, *topic, *(["--min-users", "1"] if command == "communities" else [])]
            assert asked(capsys, *words, file) == asked(capsys, *words, *at)
        from_file, stored = (asked(capsys, "build", *topic, *more) for more in ([file], at))
        about_verdicts = stored.keys() - from_file.keys() | {"judged"}
        assert all(
            word.startswith(("judged", "likely_false", "core_", "most_shared_false"))
            for word in about_verdicts
        )
        assert {k: v for k, v in stored.items() if k not in about_verdicts} == {
            k: v for k, v in from_file.items() if k != "judged"
        }


def test_words_are_found_as_people_write_them(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of a text signs and capitals do not count, so neither in those asked for."""
    plain = asked(capsys, "build", "--keywords", "water opens", file)
    assert plain["posts"] > 100
    for written in ("#Water, opens!", '"water" (OPENS)', "water opens water"):
        found = asked(capsys, "build", "--keywords", written, file)
        assert {**found, "topic": plain["topic"]} == plain


def test_what_a_file_says_is_deleted_is_left_out(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A post with its shares, and an account with all that it posted and that others shared of it:
    as in a project, wherever in the file that is said."""
    file = tmp_path / "live.jsonl"
    posts = [_commit(did, f"{did}{i}") for did in "abcd" for i in range(3)]
    shares = [
        _commit(sharer, f"{sharer}-{did}", of=(did, f"{did}0"))
        for did in "abc" for sharer in "abcde" if sharer != did
    ]  # fmt: skip
    gone = [
        {"did": "did:plc:a", "time_us": 9, "kind": "commit",
         "commit": {"operation": "delete", "collection": "app.bsky.feed.post", "rkey": "a0"}},
        {"did": "did:plc:b", "time_us": 9, "kind": "account",
         "account": {"active": False, "did": "did:plc:b", "status": "deleted"}},
    ]  # fmt: skip
    lines = [*posts, gone[0], *shares, gone[1]]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    at = ["--database", database]
    answer(capsys, ["run", str(file), *at])
    from_file, stored = (asked(capsys, "build", *more) for more in ([str(file)], at))
    for name in ("posts", "shares", "cascades", "accounts", "accounts_in_network", "links"):
        assert from_file[name] == stored[name] > 0, name
    answer(capsys, ["graph", "export", str(file), "-o", str(tmp_path / "n"), "--names",
                    "--format", "csv", "--no-layout"])  # fmt: skip
    assert "plc:b" not in (tmp_path / "n.nodes.csv").read_text()
    assert cli.run(["graph", "build", str(file)]) == 0
    assert "were deleted and left out" in " ".join(capsys.readouterr().err.split())


def _commit(did: str, rkey: str, of: tuple[str, str] | None = None) -> dict[str, Any]:
    """What Bluesky's Jetstream says of a post, or of a share `of` one."""
    record: dict[str, Any] = {"createdAt": "2023-11-15T10:00:00Z"}
    if of is None:
        record |= {"$type": "app.bsky.feed.post", "text": f"The tram stops {rkey}", "langs": ["en"]}
    else:
        uri = f"at://did:plc:{of[0]}/app.bsky.feed.post/{of[1]}"
        record |= {"$type": "app.bsky.feed.repost", "subject": {"uri": uri, "cid": "c"}}
    return {
        "did": f"did:plc:{did}",
        "time_us": 1_700_042_400_000_000,
        "kind": "commit",
        "commit": {
            "operation": "create",
            "collection": record["$type"],
            "rkey": rkey,
            "record": record,
            "cid": "c",
        },
    }


def test_the_root_need_not_have_been_collected(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shares and an answer of a post that is not there, and what was found through a share."""
    file = str(tmp_path / "shares.csv")
    lines = ["platform,post_id,posted_at,text,author_id,share_of,shared_via,reply_to"]
    lines += [f"bluesky,s{i},2023-04-24T10:00:0{i}Z,The tram opens,b{i},gone,," for i in range(4)]
    lines += [
        "bluesky,s4,2023-04-24T10:06:00Z,The tram opens,b4,gone,s0,",
        "bluesky,r0,2023-04-24T10:07:00Z,is that so?,c,,,gone",
        "bluesky,r1,2023-04-24T10:08:00Z,no,d,,,r0",
        "bluesky,other,2023-04-24T10:09:00Z,The tram stops,e,,,",
    ]
    Path(file).write_text("\n".join(lines) + "\n")
    answer(capsys, ["run", file, "--detector", "null", "--database", database])
    for root, n_posts in (("gone", 7), ("s0", 2), ("r0", 2), ("other", 1)):
        for written in (root, f"bluesky:{root}"):
            for at in ([file], ["--database", database]):
                assert asked(capsys, "build", "--root", written, *at)["posts"] == n_posts


def test_a_long_thread_is_read_at_once(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not level by level: each would go through all posts."""
    file = tmp_path / "thread.csv"
    lines = ["platform,post_id,posted_at,text,author_id,reply_to"]
    lines += [f"bluesky,r{i},2023-04-24T10:00:00Z,no,a{i % 7},r{i - 1}" for i in range(200)]
    lines += [f"bluesky,o{i},2023-04-24T10:00:00Z,The tram,b{i % 7}," for i in range(200)]
    file.write_text("\n".join(lines) + "\n")
    answer(capsys, ["run", str(file), "--detector", "null", "--database", database])
    with connect(database) as connection, connection.transaction():
        assert len(read_spread(connection, Topic(root="bluesky:r0")).posts) == 200
        scans = connection.execute(
            "SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname LIKE 'posts%'"
        ).fetchone()
    assert scans is not None
    assert 0 < scans[0] < 10


def test_times_without_a_zone_are_of_the_setting(
    file: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    utc = asked(capsys, "build", file, "--since", "2023-11-15T06:00+00:00")
    monkeypatch.setenv("HOAXWATCH_TIMEZONE", "America/New_York")
    assert asked(capsys, "build", file, "--since", "2023-11-15T01:00") == utc
    assert asked(capsys, "build", file, "--since", "2023-11-15T06:00") != utc


def test_found_again_is_by_other_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Accounts that share each other at random: every seed finds other communities."""
    chance = random.Random(1)
    file = str(tmp_path / "random.csv")
    lines = ["platform,post_id,posted_at,text,author_id,share_of"]
    lines += [f"bluesky,o{i},2023-04-24T10:00:00Z,The tram,a{i:02}," for i in range(60)]
    for i in range(240):
        sharer, shared = chance.sample(range(60), 2)
        lines.append(f"bluesky,s{i},2023-04-24T11:00:00Z,The tram,a{sharer:02},o{shared}")
    Path(file).write_text("\n".join(lines) + "\n")
    found = asked(capsys, "communities", file, "--runs", "2", "--min-users", "1")
    spread = spread_of([post for post in read_file(file) if isinstance(post, Post)])
    network = user_network_of(spread, authors_of(spread))
    first, second, third = (louvain(network, seed=seed).membership for seed in (1, 2, 3))
    expected = overlaps_with(first, [second, third])
    assert [row["found_again"] for row in found] == pytest.approx(expected.tolist(), abs=1e-4)
    assert max(expected) < 1


def test_paths_that_a_platform_names_are_kept(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One original, found through share after share; the last names no path."""
    file = str(tmp_path / "paths.csv")
    lines = ["platform,post_id,posted_at,text,author_id,share_of,shared_via"]
    lines += ["bluesky,top,2023-04-24T10:00:00Z,The tram opens,a,,"]
    for i, via in enumerate(["top", "s0", "s1", ""]):
        lines.append(f"bluesky,s{i},2023-04-24T10:0{i + 1}:00Z,The tram opens,b{i},top,{via}")
    Path(file).write_text("\n".join(lines) + "\n")
    answer(capsys, ["run", file, "--detector", "null", "--database", database])
    for words in (["cascades"], ["cascades", "--root", "top"]):
        stored = asked(capsys, *words, "--database", database)
        assert stored == asked(capsys, *words, file)
        assert (stored[0]["posts"], stored[0]["depth"]) == (5, 3)
    traced = answer(capsys, ["trace", "s2", "--database", database])
    assert "share of top, found through s1" in traced


def test_pictures_that_are_posted_together(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five accounts post the same pictures in other sizes and qualities within a minute, forty
    times; twenty others post popular ones through the hours. One is missing, one is no picture."""
    chance = np.random.default_rng(3)
    folder = tmp_path / "media"
    folder.mkdir()
    lines = ["platform,post_id,posted_at,text,author_id,images"]

    def post(author: str, at: int, picture: Image.Image, quality: int) -> None:
        name = f"{len(lines)}.jpg"
        picture.save(folder / name, quality=quality)
        moment = datetime.fromtimestamp(DAY + at, UTC).isoformat()
        link = f"https://cdn.example/p/{name}?oe={at}"
        lines.append(f"instagram,{len(lines)},{moment},look,{author},{link}")

    def paint() -> Image.Image:
        small = Image.fromarray(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        return small.resize((160, 160), Image.Resampling.BICUBIC)

    for wave in range(40):
        picture = paint()
        for i in range(5):
            size = 100 + 20 * i
            post(f"b{i}", 3600 * wave + 9 * i, picture.resize((size, size)), 60 + 5 * i)
    for _ in range(60):  # what is popular is posted by many, through the hours
        picture, begin = paint(), int(chance.integers(0, 40 * 3600))
        for who in chance.permutation(20)[:5].tolist():
            post(f"p{who}", begin + int(chance.integers(0, 20_000)), picture, 80)
    (folder / "1.jpg").unlink()
    (folder / "2.jpg").write_bytes(b"no picture")
    file = str(tmp_path / "posts.csv")
    Path(file).write_text("\n".join(lines) + "\n")
    words = ["coordination", "--kind", "image", "--images", str(folder), "--draws", "3"]
    groups = asked(capsys, *words, file)
    assert [sorted(group["accounts"]) for group in groups] == [[f"b{i}" for i in range(5)]]
    answer(capsys, ["run", file, "--detector", "null", "--database", database])
    assert asked(capsys, *words, "--database", database) == groups
    assert cli.run(["graph", *words, file]) == 0
    assert "of 500 pictures 1 are not in" in capsys.readouterr().err
    fails(capsys, ["graph", *words[:3], file], USAGE, "name their folder with --images")


def test_accounts_that_share_the_same_are_of_one_kind(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """394 accounts of the Internet Research Agency; researchers at Clemson read them and gave each
    a kind, which we do not look at: the texts they share together tell it."""
    file = data / "ira_2016" / "ira_2016-10-25_2016-11-11.csv.xz"
    with lzma.open(file, "rt", encoding="utf-8") as stream:
        kind = {row["author_id"]: row["account_category"] for row in csv.DictReader(stream)}
    shares = [
        (post.root_id, post.author.author_id)
        for post in read_file(str(file))
        if isinstance(post, Post) and post.share_of and post.author
    ]
    network = build_co_share_network([root for root, _ in shares], [who for _, who in shares])
    kinds = {"LeftTroll": 0, "RightTroll": 1, "HashtagGamer": 2}
    told = np.array([kinds.get(kind[user], -1) for user in network.users])
    found = louvain(network, seed=1).membership
    of_kind = told >= 0
    assert of_kind.sum() == 135
    assert adjusted_mutual_information(found[of_kind], told[of_kind]) > 0.7
    rows = asked(capsys, "communities", str(file), "--by", "co-shares", "--runs", "3")
    assert [row["accounts"] for row in rows] == [n for n in np.bincount(found) if n >= 5]


def test_what_was_planted_is_found(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    groups = asked(capsys, "coordination", file, "-t", "water")
    assert [set(group["accounts"]) for group in groups] == [CAMPAIGN]
    assert groups[0]["p_value"] < 0.05
    found = asked(capsys, "communities", file, "-t", "water", "--runs", "5")
    assert [row["accounts"] for row in found[:2]] == pytest.approx([33, 33], abs=3)
    assert all(row["found_again"] > 0.75 for row in found[:2])
    cascade = asked(capsys, "cascades", file, "--root", "1724000000000000000")[0]
    assert cascade["depth"] == 3
    assert cascade["author"] == "a_0"


@pytest.mark.parametrize("network", ["users", "propagation", "hashtags", "coordination"])
@pytest.mark.parametrize("format", ["gexf", "graphml", "gml", "json", "csv", "parquet"])
def test_every_network_in_every_format(
    file: str, network: str, format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stem = tmp_path / "out"
    words = ["graph", "export", file, "-t", "water", "--names", "-o", str(stem)]
    assert cli.run([*words, "--format", format, "--network", network, "--no-layout"]) == 0
    manifest = json.loads((tmp_path / "out.manifest.json").read_text("utf-8"))
    assert manifest["n_nodes"] > 0
    assert manifest["n_links"] > 0
    assert manifest["topic"] == "#water"
    paths = [tmp_path / name for name in manifest["files"]]
    assert all(path.stat().st_size > 10 for path in paths)
    if format == "graphml":
        graph = igraph.Graph.Read_GraphML(str(paths[0]))
        assert (graph.vcount(), graph.ecount()) == (manifest["n_nodes"], manifest["n_links"])
        assert graph.is_directed() is manifest["directed"]
    if format == "gml":
        assert networkx.read_gml(paths[0]).number_of_nodes() == manifest["n_nodes"]
    if format == "csv":
        with paths[1].open(newline="", encoding="utf-8") as lines:
            assert len(list(csv.DictReader(lines))) == manifest["n_links"]
    capsys.readouterr()


@pytest.mark.parametrize("network", ["users", "propagation", "hashtags", "coordination"])
def test_a_pseudonymous_export_has_no_account_and_no_post(
    file: str, network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(file).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    known = {row[name] for row in rows for name in ("id", "user_screen_name")}
    words = ["graph", "export", file, "--network", network, "--key", "k", "--no-layout"]
    for format in ("gexf", "graphml", "gml", "json", "csv"):
        assert cli.run([*words, "--format", format, "-o", str(tmp_path / format)]) == 0
    written = list(tmp_path.glob("[gjc]*"))
    assert len(written) == 6 + 5  # csv has two, and each its manifest
    for path in written:
        text = path.read_text("utf-8")
        assert not set(re.findall(r"\w+", text)) & known
        assert "x:" not in text  # as keys of accounts and posts begin
    capsys.readouterr()


def test_accounts_have_one_pseudonym_in_all_exports_of_a_key(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = {}
    for network in ("users", "propagation"):
        words = ["graph", "export", file, "--network", network, "--key", "k", "--format", "json"]
        assert cli.run([*words, "--no-layout", "-o", str(tmp_path / network)]) == 0
        nodes[network] = json.loads((tmp_path / f"{network}.json").read_text("utf-8"))["nodes"]
    accounts = {node["key"] for node in nodes["users"]}
    assert accounts <= {node["attributes"]["user"] for node in nodes["propagation"]}
    capsys.readouterr()


def test_a_pseudonymous_export_names_nobody(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["graph", "export", file, "-t", "water", "--format", "json"]
    for name in ("one", "two"):
        assert cli.run([*words, "-o", str(tmp_path / name), "--key", "k"]) == 0
    assert cli.run([*words, "-o", str(tmp_path / "other")]) == 0
    one, two, other = (
        json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
        for name in ("one", "two", "other")
    )
    assert one == two
    assert {n["key"] for n in one["nodes"]}.isdisjoint(n["key"] for n in other["nodes"])
    assert len(one["nodes"]) == len(other["nodes"])
    for path in tmp_path.glob("*.json"):
        text = path.read_text("utf-8")
        assert not any(name in text for name in ("a_1", "bot_", "water", '"x:'))
    capsys.readouterr()


def test_the_picture_is_the_same_every_time(
    file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one.svg", "two.svg", "net.json"):
        assert cli.run(["graph", "layout", file, "-t", "water", "-o", str(tmp_path / name)]) == 0
    one = (tmp_path / "one.svg").read_text("utf-8")
    assert one == (tmp_path / "two.svg").read_text("utf-8")
    nodes = json.loads((tmp_path / "net.json").read_text("utf-8"))["nodes"]
    assert one.count("<circle") == len(nodes)
    assert "<title>bot_0</title>" in one
    assert all(-1 <= node["attributes"]["x"] <= 1 for node in nodes)
    capsys.readouterr()


def test_tables_for_people_say_how_far_they_can_be_believed(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "agree to AMI" in answer(capsys, ["graph", "communities", file])
    assert "false alarms" in answer(capsys, ["graph", "coordination", file])
    assert "#water" in answer(capsys, ["graph", "hashtags", file]).lower()
    assert "half after" in answer(capsys, ["graph", "cascades", file])
    assert cli.run(["graph", "build", file, "--headline", "BREAKING: the harbour opens"]) == 0
    captured = capsys.readouterr()
    assert "keywords: harbour, opens" in captured.err
    assert "posts " in captured.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "-t", "nosuch"], "hold no post of #nosuch"),
        (["build", "--since", "2030-01-01"], "since 2030-01-01"),
        (["build", "--headline", "this and that"], "--keywords"),
        (["build", "--keywords", "@bob !"], "no word"),
        (["communities", "--algorithm", "magic"], "there are louvain, leiden, infomap"),
        (["coordination", "--kind", "magic"], "there are retweet, link, hashtags, text"),
        (["coordination", "--window", "-5"], "--window -5"),
        (["export", "-o", "x", "--format", "magic"], "there are gexf"),
        (["export", "-o", "x", "--network", "magic"], "there are users"),
        (["export", "-o", "/no/such/folder/x"], "cannot write"),
        (["layout", "-o", "x.png"], ".svg"),
    ],
)
def test_mistakes_are_one_line(
    file: str, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fails(capsys, ["graph", *words, file], USAGE, said)


def test_clusters_are_followed_and_named(
    database: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["--database", database]
    answer(capsys, ["run", file, *at])
    events = asked(capsys, "events", "-t", "Water", *at)
    assert {event["kind"] for event in events} >= {"born"}
    name = events[0]["lineage"]
    assert cli.run(["graph", "label", name[:10], "the harbour crowd", "--by", "ann", *at]) == 0
    assert "#water louvain" in capsys.readouterr().err
    labels = {
        event["lineage"]: event["label"] for event in asked(capsys, "events", "-t", "water", *at)
    }
    assert labels.pop(name) == "the harbour crowd"
    assert set(labels.values()) <= {None}
    assert "the harbour crowd" in answer(
        capsys, ["clusters", "-t", "water", "--window", "all", *at]
    )
    rows = json.loads(answer(capsys, ["clusters", "-t", "water", "--window", "all", "--json", *at]))
    scored = [row for row in rows if row["emerging"] is not None]
    assert sum(row["n_coordinated"] for row in rows if row["algorithm"] == "louvain") > 0
    found = asked(capsys, "emerging", *at)
    assert found[0]["emerging"] == max(row["emerging"] for row in scored)
    assert [row["emerging"] for row in found] == sorted(
        (row["emerging"] for row in found), reverse=True
    )
    assert "growth" in answer(capsys, ["graph", "emerging", "-t", "water", *at])
    assert found[0]["collected"] is None
    with connect(database) as connection:
        until = datetime.fromisoformat(found[0]["window_end"])
        begin = until - 2 * (until - datetime.fromisoformat(found[0]["window_start"]))
        pull = Pull("bluesky", "water", "1", begin, begin + (until - begin) / 4)
        store_mark(connection, "bluesky", Mark("1", (pull,)), until)
    assert asked(capsys, "emerging", *at)[0]["collected"] == 0.25
    assert "25.0 %" in answer(capsys, ["graph", "emerging", "-t", "water", *at])
    assert cli.run(["graph", "label", name, "", "--by", "ann", *at]) == 0
    assert not any(event["label"] for event in asked(capsys, "events", "-t", "water", *at))
    fails(capsys, ["graph", "label", "nosuch", "x", *at], USAGE, "no lineage begins with nosuch")
    fails(capsys, ["graph", "label", "", "x", *at], USAGE, "give more of its name")
    fails(
        capsys, ["graph", "events", "-t", "water", "--algorithm", "leiden", *at], USAGE, "infomap"
    )


def test_every_command_is_there() -> None:
    names = [command.callback.__name__ for command in app.registered_commands if command.callback]
    assert names == [
        *("build", "communities", "cascades", "hashtags", "coordination", "layout", "export"),
        *("emerging", "events", "label"),
    ]
