"""The page on a real database: every address answers, nothing that a post says becomes markup, and
nobody gets what is not for them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from threading import Event, Semaphore
from time import sleep
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from graph.coordination import index_actions
from graph.spread import actions_of, choose
from graph.topics import Topic
from hoaxwatch import cli
from hoaxwatch.web import facts
from hoaxwatch.web.app import build_app
from hoaxwatch.web.guard import Access, access_of
from hoaxwatch.web.site import ASSETS
from storage import alerts, reads, tracking
from storage.database import connect
from storage.errata import Kind, add_erratum
from storage.spreads import read_spread
from streams.settings import read_settings
from tests.paged import XSS, Project, add_alert, named, rows, small_project

if TYPE_CHECKING:
    from tests.conftest import Server

USAGE, ACCEPTED = 2, 202
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
TOKEN = "a-token-of-24-characters"


@pytest.fixture(scope="module")
def project(one_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with small_project(one_server, tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest.fixture
def client(project: Project) -> TestClient:
    return project.client()


def page_addresses(names: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    tag, post, account = names["tag"], names["post"], names["account"]
    return [
        ("/", {}),
        ("/", {"days": "7"}),
        ("/hashtag", {"tag": tag}),
        ("/hashtag", {"tag": tag, "by": "hour", "algorithm": "infomap", "since": "2026-03-02"}),
        ("/hashtag", {"tag": tag, "since": "2031-01-01"}),
        ("/hashtag", {"tag": XSS}),
        ("/hashtag.svg", {"tag": tag}),
        ("/lineages.svg", {"tag": tag}),
        ("/hashtags", {}),
        ("/hashtags.svg", {}),
        ("/network", {"tag": tag}),
        ("/network", {}),
        ("/post", {"name": post}),
        ("/account", {"name": account}),
        ("/alerts", {}),
        ("/alerts", {"state": "all"}),
        ("/alert", {"id": names["alert"]}),
        ("/system", {}),
        ("/search", {"q": XSS}),
        ("/search", {"q": "nothing like it"}),
        ("/about-the-api", {}),
        ("/signin", {}),
    ]


def test_every_page_answers_and_nothing_posted_becomes_markup(
    project: Project, client: TestClient
) -> None:
    names = named(project)
    n_poisoned = 0
    for path, query in page_addresses(names):
        answer = client.get(path, params=query)
        assert answer.status_code == 200, f"{path} {query}: {answer.text}"
        assert "<script>alert" not in answer.text, f"{path} {query}"
        assert "<img src=x" not in answer.text, f"{path} {query}"
        n_poisoned += "alert(1)" in unescape(answer.text)
        read = Read()
        read.feed(answer.text)
        assert read.wrong == [], f"{path} {query}"
        if "svg" not in path:
            outside = re.findall(r'(?:src|href|action)="(?!/|#)[^"]*', answer.text)
            assert outside == [], f"{path} asks elsewhere"
    assert n_poisoned >= 6


def downloaded(client: TestClient, shown: str, address: str) -> list[dict[str, Any]]:
    """What the download below a table of a page has."""
    (link,) = re.findall(rf'href="({address}[^"]*)">JSON', shown)
    found: list[dict[str, Any]] = client.get(unescape(link)).json()
    return found


def test_what_is_downloaded_is_what_the_page_shows(project: Project, client: TestClient) -> None:
    tag = named(project)["tag"]
    with connect(project.dsn) as connection:
        # the earlier the more, so that what emerges of all time is not what does of the last day
        connection.execute(
            "UPDATE hoaxwatch.clusters c SET emerging = 1 - extract(day FROM window_start) / 40"
            " FROM hoaxwatch.clusterings k WHERE k.clustering_id = c.clustering_id"
            " AND lineage IS NOT NULL"
        )
        for days in (2, None):
            emerging = facts.read_overview(connection, days)["emerging"]
            shown = client.get("/", params={} if days is None else {"days": str(days)}).text
            found = downloaded(client, shown, "/api/emerging")
            assert len(emerging) > 0
            of_page = [(row.lineage, row.window_start.isoformat()) for row in emerging]
            of_file = [(row["lineage"], row["window_start"]) for row in found]
            assert of_file[: len(of_page)] == of_page
        connection.execute("UPDATE hoaxwatch.clusters SET emerging = NULL")
        (end,) = rows(
            connection,
            f"SELECT max(window_end) FROM mart.clusters WHERE hashtag = '{tag}'"
            f" AND algorithm = 'louvain' AND n_users >= {facts.N_IN_CLUSTER}"
            " AND lineage IS NOT NULL",
        )[0]
    late = {"tag": tag, "since": f"{end - timedelta(hours=1):%Y-%m-%dT%H:%M}"}
    found = downloaded(client, client.get("/hashtag", params=late).text, "/api/clusters")
    assert found and all(datetime.fromisoformat(row["window_end"]) >= end for row in found)


def test_the_alerts_that_are_downloaded_are_those_of_the_page(
    project: Project, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(project)
    with connect(project.dsn) as connection:
        for n in range(8):
            add_alert(connection, f"tag:{n}")
        ids = [row["alert_id"] for row in alerts.read_alerts(connection)]
        for alert_id in ids[:4]:
            alerts.resolve(connection, alert_id, "ann", datetime.now(UTC))
    for state in (None, "open", "resolved", "all"):
        shown = client.get("/alerts", params={} if state is None else {"state": state}).text
        ids = [int(found) for found in re.findall(r'<h2><a href="/alert\?id=(\d+)"', shown)]
        assert [row["alert_id"] for row in downloaded(client, shown, "/api/alerts")] == ids
        assert len(ids) >= 4
    assert "The latest" not in shown
    monkeypatch.setattr("hoaxwatch.web.pages.N_ALERTS", 3)
    cut = client.get("/alerts", params={"state": "all"}).text
    assert "The latest 3 are shown" in cut and cut.count('<h2><a href="/alert?') == 3
    assert [row["alert_id"] for row in downloaded(client, cut, "/api/alerts")] == ids
    with connect(project.dsn) as connection:  # other tests want the alert of `named` to be the last
        connection.execute("DELETE FROM hoaxwatch.alerts WHERE summary LIKE %s", ("%rises",))


def test_every_page_answers_while_its_counts_are_under_way(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = Semaphore(0)
    monkeypatch.setattr("hoaxwatch.web.site.WAIT_SECONDS", 0.01)
    monkeypatch.setattr("hoaxwatch.web.site.ASSETS", ASSETS / "nowhere")
    app = build_app(project.settings, project.dsn, Access())
    monkeypatch.setattr(app.state.site, "_counting", slots)
    client = TestClient(app, base_url="http://localhost:8400")
    waiting = set()
    for path, query in page_addresses(named(project)):
        answer = client.get(path, params=query)
        assert answer.status_code == 200, f"{path} {query}: {answer.text}"
        if "being counted" in answer.text:
            waiting.add(path)
    assert waiting == {"/", "/hashtag", "/network", "/system"}
    monkeypatch.setattr("hoaxwatch.web.site.WAIT_SECONDS", 30.0)
    slots.release(100)
    assert "being counted" not in client.get("/system").text


def test_an_older_count_is_shown_with_its_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hoaxwatch.web.site.ASSETS", ASSETS / "nowhere")
    monkeypatch.setattr("hoaxwatch.web.site.WAIT_SECONDS", 30.0)
    app = build_app(project.settings, project.dsn, Access())
    site, client = app.state.site, TestClient(app, base_url="http://localhost:8400")
    tag = named(project)["tag"]
    asked = ("/", f"/hashtag?tag={tag}", "/network", "/system")
    now = {path: client.get(path).text for path in asked}
    slots = Semaphore(0)
    monkeypatch.setattr(site, "_counting", slots)
    monkeypatch.setattr("hoaxwatch.web.site.WAIT_SECONDS", 0.01)
    for held in site._held.values():
        held.until, held.counted.at = 0.0, datetime(2020, 1, 2, 3, 4, tzinfo=UTC)
    for path in asked:
        older = client.get(path).text
        assert "2020-01-02 03:04" in older, path
        assert numbers_of(older) == numbers_of(now[path])
    slots.release(100)


def test_a_label_is_in_the_count_that_is_shown_after_it(
    project: Project, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hoaxwatch.web.site.KEPT_TIMES", 1e6)
    monkeypatch.setattr("hoaxwatch.web.site.WAIT_SECONDS", 30.0)
    names = named(project)

    def by_people() -> int:
        shown: str = client.get("/hashtag", params={"tag": names["tag"]}).text
        return shown.count("by people")

    before = by_people()
    address = f"/post?name={names['post']}"
    form = form_of(client, address) | {"who": "ann"}
    client.post(address, data=form | {"label": "likely_false"})
    assert by_people() == before + 1
    client.post(address, data=form | {"label": "none"})
    assert by_people() == before


class Read(HTMLParser):
    """What in a page could run or has a style of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.wrong.append("script")
        self.wrong += [name for name in given if name.startswith("on") or name == "style"]
        self.wrong += [v for v in given.values() if v and v.strip().startswith("javascript:")]


def test_the_page_says_what_the_commands_say(
    project: Project, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = named(project)["tag"]
    capsys.readouterr()
    assert cli.run(["trends", "--hashtag", tag, "--csv", "--database", project.dsn]) == 0
    printed = capsys.readouterr().out
    answer = client.get("/api/trends", params={"tag": f"#{tag.upper()}", "format": "csv"})
    assert answer.text.splitlines() == printed.splitlines()
    answer_rows = list(csv.DictReader(io.StringIO(answer.text)))
    shown = client.get("/hashtag", params={"tag": tag}).text
    assert f"{sum(int(row['posts']) for row in answer_rows):,}" in shown
    as_json = client.get("/api/trends", params={"tag": tag}).json()
    assert [str(row["posts"]) for row in as_json] == [row["posts"] for row in answer_rows]
    parquet = client.get("/api/trends", params={"tag": tag, "format": "parquet"})
    table = pyarrow.parquet.read_table(io.BytesIO(parquet.content))
    assert table.column("posts").to_pylist() == [row["posts"] for row in as_json]


def test_a_field_of_a_form_that_was_left_empty_bounds_nothing(
    project: Project, client: TestClient
) -> None:
    tag = named(project)["tag"]
    for path, query in (
        ("/hashtag", {"tag": tag}),
        ("/hashtags", {}),
        ("/network", {"tag": "", "limit": "500"}),
        ("/hashtag.svg", {"tag": tag}),
        ("/api/trends", {"tag": tag}),
    ):
        for bounds in ({}, {"since": "2026-03-02"}, {"until": "2026-03-04"}):
            bare = client.get(path, params=query | bounds)
            sent = client.get(path, params=query | {"since": "", "until": ""} | bounds)
            assert sent.status_code == 200, f"{sent.url}: {sent.text}"
            if path != "/network":  # which may wait for a count
                assert len(sent.text.splitlines()) == len(bare.text.splitlines())


def numbers_of(shown: str) -> dict[str, int]:
    """The tiles of a page."""
    found = re.findall(r"<dt>(\w+)</dt><dd>([\d,]+)</dd>", shown)
    return {name: int(value.replace(",", "")) for name, value in found}


def test_the_numbers_of_a_period_within_days_agree(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = named(project)["tag"]
    zoned, half = (
        replace(project, settings=read_settings(detector="tfidf", timezone=zone))
        for zone in ("America/New_York", "Asia/Kolkata")
    )
    within = {"tag": tag, "since": "2026-03-03T04:20", "until": "2026-03-04T15:40"}
    asked = {"tag": tag, "since": "2026-03-03T09:00+00:00", "until": "2026-03-04T20:00+00:00"}
    day = {"tag": tag, "since": "2026-03-03", "until": "2026-03-04"}
    for of, query, since, until in (
        (project, asked, "2026-03-03 09:00+00", "2026-03-04 20:00+00"),
        (zoned, day, "2026-03-03 05:00+00", "2026-03-04 05:00+00"),
        (zoned, within, "2026-03-03 09:00+00", "2026-03-04 21:00+00"),
        (half, within, "2026-03-02 22:00+00", "2026-03-04 11:00+00"),
    ):
        with connect(project.dsn) as connection:
            ((n_posts,),) = rows(
                connection,
                "SELECT count(*) FROM hoaxwatch.posts JOIN hoaxwatch.content_hashtags"
                f" USING (platform, root_id) WHERE hashtag = '{tag}'"
                f" AND posted_at >= '{since}' AND posted_at < '{until}'",
            )
        client = of.client()
        assert numbers_of(client.get("/hashtag", params=query).text)["Posts"] == n_posts > 0
        for by in ("hour", "day"):
            buckets = client.get("/api/trends", params=query | {"by": by}).json()
            assert sum(row["posts"] for row in buckets) == n_posts
        listed = client.get("/api/hashtags", params=query).json()
        assert [row["posts"] for row in listed if row["hashtag"] == tag] == [n_posts]
        capsys.readouterr()
        command = ["trends", "--hashtag", tag, "--since", since, "--until", until, "--json"]
        assert cli.run([*command, "--database", project.dsn]) == 0
        assert sum(row["posts"] for row in json.loads(capsys.readouterr().out)) == n_posts


def test_a_day_of_a_zone_with_half_hours_is_one_day(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = named(project)["tag"]
    zone = "Asia/Kolkata"
    settings = read_settings(detector="tfidf", timezone=zone)
    with connect(project.dsn) as connection:
        ((n_posts,),) = rows(
            connection,
            "SELECT count(*) FROM hoaxwatch.posts JOIN hoaxwatch.content_hashtags"
            f" USING (platform, root_id) WHERE hashtag = '{tag}'"
            " AND posted_at >= '2026-03-02 18:30+00' AND posted_at < '2026-03-03 18:30+00'",
        )
    span = {"since": "2026-03-03", "until": "2026-03-04"}
    client = replace(project, settings=settings).client()
    (day,) = client.get("/api/trends", params=span | {"tag": tag}).json()
    assert day["posts"] == n_posts > 0
    assert day["bucket_start"].startswith("2026-03-03T00:00")
    shown = client.get("/hashtag", params=span | {"tag": tag, "by": "day"}).text
    assert "whole hours (UTC), from 2026-03-02 18:00 until 2026-03-03 19:00" in shown
    for asked, is_said in (
        ({"by": "hour"}, False),
        ({"since": "2026-03-03T10:30"}, True),
        ({"since": "2026-03-03T10:30", "until": "2026-03-03T20:10"}, False),
        ({"since": "", "until": ""}, False),
    ):
        shown = client.get("/hashtag", params=span | {"tag": tag, "by": "day"} | asked).text
        assert ("whole hours (UTC)" in shown) is is_said
    capsys.readouterr()
    words = ["trends", "-t", tag, "--tz", zone, "--since", span["since"], "--until", span["until"]]
    assert cli.run([*words, "--json", "--database", project.dsn]) == 0
    assert [row["posts"] for row in json.loads(capsys.readouterr().out)] == [n_posts]


def test_what_is_counted_over_whole_days_says_so(project: Project, client: TestClient) -> None:
    tag = named(project)["tag"]
    for path in ("/hashtag", "/hashtags"):
        shown = client.get(path, params={"tag": tag, "since": "2026-03-03T09:00"}).text
        assert "whole days (UTC), from 2026-03-03" in shown
        assert "whole days" not in client.get(path, params={"tag": tag, "since": "2026-03-03"}).text
    pairs = client.get("/api/pairs", params={"tag": tag, "since": "2026-03-03T09:00"}).json()
    assert pairs == client.get("/api/pairs", params={"tag": tag, "since": "2026-03-03"}).json()


def test_the_overview_lists_what_its_totals_count(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = datetime(2026, 3, 4, 0, 10, tzinfo=UTC)
    monkeypatch.setattr("storage.reads.read_newest", lambda connection: newest)
    with connect(project.dsn) as connection:
        for days in (1, 2):
            shown = facts.read_overview(connection, days)
            assert shown["since"] == facts.since_of(connection, days)
            counts = facts.read_totals(connection, days)["counts"]
            listed = reads.read_hashtags(connection, 10_000, shown["since"])
            assert len(listed) == counts.hashtags
            most = reads.read_spreads(connection, [r.hashtag for r in listed], shown["since"])
            assert [(r.hashtag, r.posts) for r in most] == [(r.hashtag, r.posts) for r in listed]


def network_of(client: TestClient, **asked: str) -> dict[str, Any]:
    """The network, once it is counted."""
    while (answer := client.get("/api/network", params=asked)).status_code == ACCEPTED:
        sleep(0.1)
    found: dict[str, Any] = answer.json()
    return found


def test_the_network_as_the_page_gets_it(project: Project, client: TestClient) -> None:
    found = network_of(client, limit="5000")
    accounts, links = found["accounts"], found["links"]
    assert found["n_shown"] == found["n_accounts"] == len(accounts["name"]) > 20
    assert found["n_links_shown"] == found["n_links"] == len(links["shared"])
    assert sum(links["shares"]) == found["n_shares"]
    assert all(len(column) == found["n_shown"] for column in accounts.values())
    assert links["first_at"] == sorted(links["first_at"])
    assert {-1, 0} & set(accounts["level"]) and max(accounts["level"]) <= 4
    assert network_of(client, limit="5000") == found
    few = network_of(client, limit="10")
    assert few["n_shown"] <= 10 and few["n_accounts"] == found["n_accounts"]


def test_nobody_waits_for_a_network_of_many_posts(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_go_on, read = Event(), facts.read_network

    def slow(*asked: Any) -> dict[str, Any]:
        may_go_on.wait()
        return read(*asked)

    monkeypatch.setattr("hoaxwatch.web.site.WAIT_SECONDS", 0.01)
    monkeypatch.setattr("hoaxwatch.web.facts.read_network", slow)
    waits = client.get("/api/network", params={"limit": "50"})
    assert (waits.status_code, waits.headers["Retry-After"]) == (ACCEPTED, "1")
    assert "being counted" in waits.json()["detail"]
    may_go_on.set()
    found = network_of(client, limit="50")
    assert 0 < found["n_shown"] <= 50
    plain = client.get("/api/network", params={"limit": "50"}, headers={"Accept-Encoding": "none"})
    assert plain.json() == found and "Content-Encoding" not in plain.headers
    assert plain.headers["Last-Modified"].endswith("GMT")


def test_shares_are_those_of_which_the_commands_find_coordination(project: Project) -> None:
    tag = named(project)["tag"]
    since = datetime(2026, 3, 2, tzinfo=UTC)
    with connect(project.dsn) as connection:
        for hashtag, topic in ((tag, Topic(hashtag=tag)), (None, Topic())):
            accounts, contents, times = zip(
                *reads.read_shares(connection, hashtag, since), strict=True
            )
            ours = index_actions(accounts, contents, times)
            whole = choose(read_spread(connection, topic), topic, since, None)
            theirs = actions_of(whole, "retweet")
            assert ours.accounts == theirs.accounts and len(ours.actor) > 10
            for one, other in zip(ours[1:4], theirs[1:4], strict=True):
                assert one.tolist() == other.tolist()


def test_a_still_picture_where_nothing_was_built(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hoaxwatch.web.site.ASSETS", ASSETS / "nowhere")
    while "being counted" in (shown := client.get("/network").text):
        sleep(0.1)
    assert "make web" in shown and "<circle" in shown and "network.js" not in shown


def form_of(client: TestClient, address: str) -> dict[str, str]:
    """The hidden fields of the first form of a page."""
    shown = client.get(address).text
    return dict(re.findall(r'<input type="hidden" name="(form)" value="([^"]+)"', shown))


def test_a_label_is_stored_and_counted(project: Project, client: TestClient) -> None:
    names = named(project)
    address = f"/post?name={names['post']}"

    def flagged() -> int:
        answer = client.get("/api/trends", params={"tag": names["tag"]}).json()
        return sum(row["likely_false"] for row in answer)

    before = flagged()
    form = form_of(client, address) | {"who": "ann", "note": XSS}
    answer = client.post(address, data=form | {"label": "likely_false"})
    assert answer.status_code == 200 and answer.url.path == "/post"
    assert "by people" in answer.text and "<script>alert" not in answer.text
    assert flagged() > before
    assert 'name="who" value="ann"' in answer.text
    assert client.get("/api/labels").json()[0]["labelled_by"] == "ann"
    answer = client.post(address, data=form | {"label": "none"})
    assert "Nobody has labelled it" in answer.text
    assert flagged() == before


def test_the_evidence_card_has_every_detector_and_the_words_in_pictures(
    project: Project, client: TestClient
) -> None:
    name = named(project)["post"]
    with connect(project.dsn) as connection:
        connection.execute(
            "INSERT INTO hoaxwatch.verdicts (platform, root_id, detector, version, input_hash,"
            " state, score, evidence, parts, scored_at)"
            " SELECT platform, root_id, 'three_branch', 'v9', input_hash, 'scored', 0.25,"
            """ '[["place 0.25,0.00,0.50,0.50", 1.5]]', '{"used": ["text", "picture"],"""
            """ "missing": {"hashtags": "it has none"}, "attention": [["picture", 0.75]]}', now()"""
            " FROM hoaxwatch.content WHERE platform || ':' || root_id = %s",
            (name,),
        )
        connection.execute(
            "INSERT INTO hoaxwatch.picture_words SELECT platform, root_id, 'x', 'an engine', %s"
            " FROM hoaxwatch.content WHERE platform || ':' || root_id = %s",
            (f"shake well {XSS}", name),
        )
    page = client.get("/post", params={"name": name}).text
    assert XSS not in page
    shown = unescape(page)
    for words in ("shake well", "an engine", "three_branch", "v9", "0.250", "does not count"):
        assert words in shown
    assert "place 0.25,0.00,0.50,0.50 <small>+1.50" in shown
    assert "Voices: text, picture. No hashtags: it has none. Attention: picture 75" in shown


def test_what_was_flagged_wrongly_is_said(project: Project, client: TestClient) -> None:
    names = named(project)
    address = f"/post?name={names['post']}"
    assert "Erratum" not in client.get(address).text
    now = datetime.now(UTC)
    with connect(project.dsn) as connection:
        wrong: list[tuple[Kind, str]] = [("post", names["post"]), ("account", names["account"])]
        for kind, name in wrong:
            platform, _, own_id = name.partition(":")
            assert add_erratum(connection, kind, platform, own_id, f"Wrong: {XSS}", "ann", now)
    for shown in (client.get(address).text, client.get(f"/account?name={names['account']}").text):
        assert "Erratum" in shown and "Wrong: " in shown and "<script>alert" not in shown
    assert client.get("/api/post", params={"name": names["post"]}).json()["errata"]


def test_what_is_decided_about_an_alert(project: Project, client: TestClient) -> None:
    address = f"/alert?id={named(project)['alert']}"
    form = form_of(client, address) | {"who": "bob"}
    for what, state in (
        ("acknowledge", "acknowledged"),
        ("mute", "muted"),
        ("resolve", "resolved"),
    ):
        answer = client.post(address, data=form | {"what": what, "for": "1h"})
        assert answer.status_code == 200
        found = client.get(address.replace("/alert", "/api/alert")).json()
        assert found["state"] == state
    assert found["acknowledged_by"] == found["muted_by"] == found["resolved_by"] == "bob"


@pytest.mark.parametrize("address", ["/post?name=x:1", "/alert?id=1", "/signin"])
def test_a_form_that_no_page_of_ours_gave_is_refused(client: TestClient, address: str) -> None:
    data = {"who": "eve", "label": "unsure", "what": "resolve", "token": TOKEN}
    assert client.post(address, data=data).status_code == 403
    form = form_of(client, "/signin")
    assert client.post(address, data=data | {"form": "0" * 64}).status_code == 403
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post(address, data=data | form, headers=headers).status_code == 403
    client.cookies.clear()
    assert client.post(address, data=data | form).status_code == 403


def test_what_a_form_says_is_checked(project: Project, client: TestClient) -> None:
    post, form = f"/post?name={named(project)['post']}", form_of(client, "/signin")
    good = form | {"who": "ann", "label": "unsure"}
    for wrong, code in (
        ({"label": "fake"}, 400),
        ({"who": ""}, 400),
        ({"who": "a\nb"}, 400),
        ({"who": "a\tb"}, 400),
        ({"who": "a\x1bb"}, 400),
        ({"who": "a\u202eb"}, 400),
        ({"who": "x" * 81}, 400),
        ({"note": "\0"}, 400),
        ({"note": "x" * 70_000}, 413),
    ):
        assert client.post(post, data=good | wrong).status_code == code, wrong
    assert client.post("/post?name=x:none", data=good).status_code == 404
    assert client.post("/alert?id=999999", data=good | {"what": "resolve"}).status_code == 404
    assert client.post("/alert?id=1", data=good | {"what": "drop"}).status_code == 400
    assert client.post("/alert?id=1", data=good | {"what": "mute", "for": "x"}).status_code == 400


@pytest.mark.parametrize("who", ["می\u200cخواهم", "👩\u200d🔬 ann"])
def test_a_name_may_have_what_joins_letters_or_keeps_them_apart(
    project: Project, client: TestClient, who: str
) -> None:
    address = f"/post?name={named(project)['post']}"
    form = form_of(client, address) | {"who": who}
    assert who in client.post(address, data=form | {"label": "unsure"}).text
    assert client.post(address, data=form | {"label": "none"}).status_code == 200


def test_a_followed_word_or_link_is_found_as_one_writes_it(
    project: Project, client: TestClient
) -> None:
    with connect(project.dsn) as connection, connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO hoaxwatch.content_hashtags (hashtag, platform, root_id, written)"
            " SELECT key, platform, root_id, key FROM unnest(ARRAY['word:folge zwei',"
            " 'link:example.org/a']) key, (SELECT * FROM hoaxwatch.content LIMIT 1) c"
        )
        for written, key in (
            ("word:Zwei Folge", "word:folge zwei"),
            ("link:https://www.Example.org/a/?utm_source=x", "link:example.org/a"),
        ):
            assert reads.find_names(connection, written) == [("hashtag", key)]
    shown = client.get("/network", params={"tag": "word:Folge"}).text
    assert "<title>Network of word:folge ·" in shown


def test_another_name_is_not_answered(client: TestClient) -> None:
    for host in ("evil.example", "localhost.evil.example", "localhost@evil.example", ""):
        assert client.get("/", headers={"Host": host}).status_code == 421
    assert client.get("/", headers={"Host": "127.0.0.1:9"}).status_code == 200


def test_headers(client: TestClient) -> None:
    for path in ("/", "/api/hashtags", "/static/web.css", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert "HttpOnly" in client.get("/").headers.get("set-cookie", "HttpOnly")


def test_a_token_is_asked_for(project: Project) -> None:
    client = project.client(access_of("0.0.0.0", TOKEN), follow_redirects=False)
    assert client.get("/api/hashtags").status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert client.get("/api/hashtags", headers=wrong).status_code == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/api/hashtags", headers=right).status_code == 200
    sent = client.get("/alerts", params={"state": "all"})
    assert sent.status_code == 303
    assert sent.headers["location"] == "/signin?next=%2Falerts%3Fstate%3Dall"
    form = form_of(client, sent.headers["location"]) | {"next": "/alerts?state=all"}
    assert client.post("/signin", data=form | {"token": "wrong"}).status_code == 401
    assert client.get("/").status_code == 303
    answer = client.post("/signin", data=form | {"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?state=all")
    assert TOKEN not in answer.headers["set-cookie"]
    assert client.get("/alerts").status_code == 200
    answer = client.post("/signin", data=form | {"token": TOKEN, "next": "//evil.example"})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    "asked",
    [
        "/hashtag?tag=%23harbourtalk",
        "/hashtag?tag=link%3Aexample.org%2Fp%3Fa%3D1%26b%3D2",
        "/hashtag?tag=100%25",
        "/hashtags?since=2026-03-04T00%3A00%3A00%2B01%3A00",
    ],
)
def test_after_signing_in_one_is_where_one_wanted_to_be(project: Project, asked: str) -> None:
    client = project.client(access_of("0.0.0.0", TOKEN), follow_redirects=False)
    shown = client.get(client.get(asked).headers["location"]).text
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', shown)
    form = {name: unescape(value) for name, value in fields}
    answer = client.post("/signin", data=form | {"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, asked)


def test_a_proxy_says_who_asks(project: Project) -> None:
    access = access_of("10.0.0.5", None, ["page.example"], "X-Forwarded-User")
    client = project.client(access, headers={"Host": "page.example"})
    assert client.get("/").status_code == 401
    client.headers["X-Forwarded-User"] = "carla"
    address = f"/post?name={named(project)['post']}"
    form = form_of(client, address)
    answer = client.post(address, data=form | {"label": "unsure", "who": "somebody else"})
    assert "as carla" in answer.text
    assert client.get("/api/labels").json()[0]["labelled_by"] == "carla"


@pytest.mark.parametrize(
    "attack",
    ["' OR '1'='1", "'; DROP TABLE hoaxwatch.posts; --", "../../etc/passwd", "%s%n", "\ud7ff"],
)
def test_injections_find_nothing(client: TestClient, attack: str) -> None:
    before = client.get("/api/hashtags").json()
    for path, name in (
        ("/hashtag", "tag"), ("/post", "name"), ("/account", "name"), ("/alert", "id"),
        ("/alerts", "state"), ("/search", "q"), ("/api/trends", "tag"), ("/api/post", "name"),
        ("/api/hashtags", "since"), ("/api/hashtags", "format"), ("/hashtag.svg", "tag"),
    ):  # fmt: skip
        code = client.get(path, params={name: attack}).status_code
        assert code in (200, 400, 404, 422), f"{path}?{name}={attack}: {code}"
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/..%00/"):
        assert client.get(path).status_code in (400, 404)
    assert client.get("/api/hashtags").json() == before


def test_whatever_programs_ask_the_answer_is_as_described(project: Project) -> None:
    def stored() -> list[Any]:
        with connect(project.dsn) as connection:
            return rows(
                connection,
                "SELECT (SELECT count(*) FROM hoaxwatch.posts),"
                " (SELECT count(*) FROM hoaxwatch.labels),"
                " (SELECT count(*) FROM hoaxwatch.content)",
            )

    before, host = stored(), {"Host": "localhost"}
    app = build_app(project.settings, project.dsn, Access())
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=host)
    operations = [f.ok() for f in schema.get_all_operations() if isinstance(f, Ok)]
    assert len(operations) > 12
    for operation in operations:
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(max_examples=6, suppress_health_check=list(HealthCheck), database=None)
            def ask(case: Any) -> None:
                case.call_and_validate(checks=CHECKS, headers=host)

            ask()
    assert stored() == before


def test_serve_says_what_it_needs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOAXWATCH_CONFIG", str(tmp_path / "none.toml"))
    assert cli.run(["serve", "--host", "0.0.0.0"]) == USAGE
    assert "HOAXWATCH_WEB_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("HOAXWATCH_WEB_TOKEN", "short")
    assert cli.run(["serve"]) == USAGE
    said = capsys.readouterr().err
    assert "16" in said and "short'" not in said


def test_posts_of_hours_that_find_no_place_are_said(project: Project) -> None:
    with connect(project.dsn) as connection, connection.transaction(force_rollback=True):
        connection.execute(
            "INSERT INTO hoaxwatch.hashtag_trends SELECT 'long', grain, at, 1, 1, 0, 1, 0, 0, NULL,"
            " NULL, NULL, at, at, 1 FROM (VALUES ('hour'), ('day')) g (grain), generate_series("
            " timestamptz '2026-01-01Z', '2026-06-29 23:00Z', ('1 ' || grain)::interval) at"
        )
        asked = ("hour", "UTC", None, None, "louvain")
        shown = facts.read_hashtag(connection, "long", *asked)
    assert shown["n_not_drawn"] == 180 * 24 - 2000


def test_days_that_were_not_collected_whole_are_said(
    project: Project, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(project.dsn) as connection:
        ((tag, first),) = rows(
            connection,
            "SELECT hashtag, min(day) FROM mart.hashtag_trends_daily GROUP BY 1"
            " ORDER BY sum(posts) DESC, 1 LIMIT 1",
        )
        assert "not zero" not in client.get("/hashtag", params={"tag": tag}).text
        tracking.track(connection, [(tag, tag)], "me", first)
        pull = tracking.Pull("bluesky", tag, "1", first, first + timedelta(hours=6))
        tracking.store_mark(connection, "bluesky", tracking.Mark("1", (pull,)), first)
    capsys.readouterr()
    for since in (first, first + timedelta(hours=3)):
        query = {"tag": tag, "since": f"{since:%Y-%m-%dT%H:%M}"}
        assert f"{first:%Y-%m-%d} (25" in client.get("/hashtag", params=query).text
        words = ["trends", "-t", tag, "--since", query["since"], "--json"]
        assert cli.run([*words, "--database", project.dsn]) == 0
        assert json.loads(capsys.readouterr().out)[0]["collected"] == 0.25
