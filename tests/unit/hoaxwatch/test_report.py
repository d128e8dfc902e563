"""The report and its pictures, from rows made by hand: no database."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from hoaxwatch import pictures
from hoaxwatch.report import ReportData, render_report, write_report
from hoaxwatch.report.facts import ClusteredWindow, curve_period
from hoaxwatch.report.page import judgement
from storage.reads import (
    ClusterRow,
    HashtagRow,
    LinkRow,
    NetworkRow,
    PairRow,
    PeriodCounts,
    SpreadRow,
    StoredCounts,
    TrendRow,
    whole_days,
)

DAY = datetime(2023, 4, 28, tzinfo=UTC)
HOUR = timedelta(hours=1)
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Every element with its attributes, the text outside of style, and what was never closed."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.style = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        if tag in {"td", "th"}:
            self.text += " "

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def count(self, tag: str, cls: str | None = None) -> int:
        return sum(
            name == tag and (cls is None or cls in (attributes.get("class") or "").split())
            for name, attributes in self.elements
        )


def link(shared: str, sharer: str, n: int = 1, judged: int = 0, false: int = 0) -> LinkRow:
    return LinkRow(f"x:{shared}", f"x:{sharer}", n, judged, false, DAY, DAY + HOUR)


def spread(hashtag: str, posts: int = 10, judged: int = 0, false: int = 0) -> SpreadRow:
    share = false / judged if judged else None
    return SpreadRow(
        hashtag, posts, posts - 4, 4, 3, judged, false, share, share, share, DAY, DAY + HOUR
    )


def star(hub: str, n: int) -> list[LinkRow]:
    return [link(hub, f"{hub}{i}") for i in range(n)]


def report(**changes: Any) -> ReportData:
    """A small project with one of everything; nothing in it is judged unless told."""
    rows = (
        HashtagRow("flood", 10, 6, 4, 0, 0, None, DAY, 8, 7.0, DAY, DAY + 9 * HOUR),
        HashtagRow("rain", 5, 3, 2, 4, 1, 0.25, DAY, 5, 5.0, DAY, DAY + 9 * HOUR),
    )
    trend = TrendRow("flood", DAY + HOUR, 8, 4, 4, 3, 0, 0, None, None, None, DAY, DAY)
    network = NetworkRow("flood", DAY, DAY + 24 * HOUR, 3, 2, 4, 0, 0, DAY, DAY + HOUR)
    cluster = ClusterRow(
        *("flood", DAY, DAY + 24 * HOUR, "louvain", 7, 0, 3, 4, 0, 0, None, None, None),
        *("modularity", 0.41, 2),
    )
    post = {
        "platform": "x",
        "root_id": "1",
        "text": "Water everywhere https://example.com/a",
        "lang": "en",
        "shares": 4,
        "first_at": DAY,
        "last_at": DAY + HOUR,
        "state": "abstained",
        "probability": None,
        "likely_false": None,
        "reason": "too_short",
        "evidence": [["water", 0.5], ["dry", -0.25]],
    }
    state = {"contents": 3, "posts": 6, "judged_posts": 0, "likely_false_posts": 0}
    data = ReportData(
        title="Floods",
        now=DAY,
        seed=1,
        counts=PeriodCounts(10, 6, 4, 6, 5, 2, DAY, DAY + 9 * HOUR),
        stored=StoredCounts(10, 4, 6, 5, 2, 3, 0, 0, DAY, DAY + 9 * HOUR),
        policy={"detector": "marker", "version": "9", "threshold": 0.6, "abstain_band": 0.0},
        verdict_states=[{"state": "abstained", "reason": "too_short", **state}],
        run={
            "run_id": 4,
            "started_at": DAY,
            "finished_at": DAY,
            "manifest": {
                "hoaxwatch": "0.1.0",
                "outcomes": {"new": 10, "quarantined": 3},
                "not_posts": {},
                "records": 13,
                "inputs": [
                    *({"file": "a.csv", "format": "f", "records": 13, "bytes": 9, "sha256": "ab"},)
                ],
            },
        },
        quarantine=[
            {"source": "f:a.csv", "reason": "no id", "records": 3, "first_position": "line 2"}
        ],
        rising=rows,
        spreads={"flood": spread("flood"), "rain": spread("rain", 5, 4, 1)},
        trends={"flood": [trend]},
        curve_start=DAY,
        curve_end=DAY + 24 * HOUR,
        display={"flood": "Flood"},
        network_hashtag="flood",
        links=[link("ann", "bob", 3), link("ann", "cyd")],
        names={"x:ann": "ann_writes"},
        tags=[spread("flood"), spread("rain")],
        pairs=[PairRow("flood", "rain", 3, 2)],
        windows=[
            ClusteredWindow(
                network=network, clusters={"louvain": [cluster]}, members={(7, 0): ["ann_writes"]}
            )
        ],
        posts=[post],
    )
    return replace(data, **changes)


def empty_report(stored_posts: int = 0) -> ReportData:
    return ReportData(
        title="Nothing",
        now=DAY,
        seed=1,
        since=DAY,
        counts=PeriodCounts(0, 0, 0, 0, 0, 0, None, None),
        stored=StoredCounts(stored_posts, 0, 0, 0, 0, 0, 0, 0, DAY, DAY),
    )


# The page


def test_the_page_refers_to_nothing_outside() -> None:
    page = Page(render_report(report()))
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "img", "image", "iframe", "object", "embed", "base"}
        for name in ("src", "srcset", "xlink:href", "action", "data", "poster", "background"):
            assert name not in attributes, (tag, name)
        assert (attributes.get("href") or "#").startswith("#")
        assert "url(" not in (attributes.get("style") or "")
    assert "url(" not in page.style
    assert "@import" not in page.style
    assert "https://example.com/a" in page.text  # a link in a post stays words
    policies = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("data", [report(), empty_report(), empty_report(5)])
def test_every_element_is_closed(data: ReportData) -> None:
    assert Page(render_report(data)).open == []


def test_links_within_the_page_lead_somewhere() -> None:
    page = Page(render_report(report()))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    led = {a["href"] for tag, a in page.elements if tag == "a"}
    assert led == {f"#{name}" for name in ids}
    assert len(ids) == 7


def test_hostile_words_stay_words() -> None:
    def evil(place: str) -> str:
        return f"<script>alert('{place}')</script>\"' onload=x &amp;"

    base = report()
    assert base.run is not None
    manifest = dict(base.run["manifest"])
    manifest["inputs"] = [{**manifest["inputs"][0], "file": evil("file")}]
    post = {
        **base.posts[0],
        "text": evil("text"),
        "lang": evil("lang"),
        "root_id": evil("root"),
        "reason": evil("reason"),
        "evidence": [[evil("evidence"), 1.0]],
    }
    window = replace(base.windows[0], members={(7, 0): [evil("member")]})
    html = render_report(
        report(
            title=evil("title"),
            display={"flood": evil("tag")},
            names={"x:ann": evil("handle")},
            posts=[post],
            windows=[window],
            quarantine=[{**base.quarantine[0], "reason": evil("quarantine")}],
            run={**base.run, "manifest": manifest},
        )
    )
    page = Page(html)
    assert page.count("script") == 0
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
    for place in ("text", "root", "reason", "evidence", "handle", "member", "title", "file"):
        assert evil(place) in page.text, place
    assert evil("quarantine") in page.text
    assert "#" + evil("tag") in page.text
    assert ("lang", evil("lang")) in [item for _, a in page.elements for item in a.items()]


def test_unknown_is_never_zero() -> None:
    page = Page(render_report(report()))
    card, other = page.text.split("+7")[1].split("+5")
    assert "not judged" in card
    assert "%" not in card
    assert "25.0 %" in other
    cell = page.text.split("abstained")[-1]
    assert re.search(r"too short\s+–", cell)


def test_each_share_says_how_many_were_judged() -> None:
    text = Page(render_report(report())).text
    assert "0 judged" in text
    assert "4 judged, 1 over the threshold" in text


def test_judged_or_not_is_told_in_the_head() -> None:
    assert "No post of this period is judged" in Page(render_report(report())).text
    state = {"contents": 3, "posts": 6, "judged_posts": 6, "likely_false_posts": 2}
    judged = report(verdict_states=[{"state": "scored", "reason": None, **state}])
    text = Page(render_report(judged)).text
    assert "No post of this period is judged" not in text
    assert re.search(r"Judged by\s+marker\s*, version\s+9", text)
    assert "depth 1" in text


def test_numbers_have_separators_and_times_are_utc() -> None:
    counts = PeriodCounts(1234567, 1, 2, 3, 4, 5, DAY, DAY)
    text = Page(render_report(report(counts=counts))).text
    assert "1,234,567" in text
    assert "1234567" not in text
    assert "all times UTC" in text


def test_what_was_skipped_is_told_with_its_reason() -> None:
    text = " ".join(Page(render_report(report())).text.split())
    assert "posts not judged: too short 6" in text
    assert "quarantined: no id f:a.csv, first at line 2 3" in text


def test_an_empty_project_says_what_to_do() -> None:
    assert "hoaxwatch run" in Page(render_report(empty_report())).text
    other_days = Page(render_report(empty_report(5))).text
    assert "--since" in other_days
    assert "hoaxwatch run posts.csv" not in other_days


def test_posts_without_shares_or_hashtags_make_a_page() -> None:
    page = Page(
        render_report(
            report(links=(), rising=(), spreads={}, trends={}, tags=(), pairs=(), windows=(),
                   posts=(), run=None, policy=None, verdict_states=())
        )
    )  # fmt: skip
    assert page.count("svg") == 0
    assert page.count("p", "empty") == 6
    assert "Nothing has been judged yet" in page.text


def test_a_run_that_broke_off_is_told() -> None:
    run = {"run_id": 5, "started_at": DAY, "finished_at": None, "manifest": {"hoaxwatch": "1"}}
    text = Page(render_report(report(run=run))).text
    assert "its counts are not known" in text
    assert "not finished" in text


def test_same_data_same_page() -> None:
    assert render_report(report()) == render_report(report())
    assert render_report(report(seed=2)) != render_report(report())


def test_every_colour_class_has_a_colour() -> None:
    page = Page(render_report(report()))
    names = [f"level{i}" for i in range(pictures.N_LEVELS)]
    names += [f"group{i}" for i in range(pictures.N_COLOURED)] + ["rest", "unjudged"]
    for name in names:
        assert f".{name} {{" in page.style
        assert page.style.count(f"--{name}:") == 2, f"{name}: one for light, one for dark"


def test_judgement_sums_to_all_posts() -> None:
    states = [
        {"state": "scored", "posts": 7, "judged_posts": 7, "likely_false_posts": 3},
        {"state": "unsure", "posts": 2, "judged_posts": 0, "likely_false_posts": 0},
        {"state": "labelled", "posts": 3, "judged_posts": 1, "likely_false_posts": 0},
        {"state": "abstained", "posts": 5, "judged_posts": 0, "likely_false_posts": 0},
        {"state": "pending", "posts": 1, "judged_posts": 0, "likely_false_posts": 0},
    ]
    counts = judgement(states)
    assert list(counts.values()) == [3, 5, 4, 5, 1]
    assert sum(counts.values()) == sum(int(str(state["posts"])) for state in states)


# Writing


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_report(path, "new \ud800")
    assert path.read_text("utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    write_report(path, "new ä")
    assert path.read_bytes() == "new ä".encode()


# Periods


def test_a_report_coverswhole_days() -> None:
    since, until = DAY + 5 * HOUR, DAY + 30 * HOUR
    assert whole_days(since, until) == (DAY, DAY + 48 * HOUR)
    assert whole_days(None, DAY) == (None, DAY)


def test_curves_begin_two_days_before_the_first_peak() -> None:
    early = DAY - timedelta(days=900)
    row = HashtagRow("a", 9, 9, 0, 0, 0, None, DAY, 8, 8.0, early, DAY + HOUR)
    assert curve_period([row], None, None) == (DAY - timedelta(days=2), DAY + timedelta(days=1))
    assert curve_period([row._replace(first_seen_at=DAY + HOUR)], None, None)[0] == DAY
    assert curve_period([row], DAY, None)[0] == DAY
    assert curve_period([], None, None) == (None, None)


# Curves


def test_hours_without_a_post_are_drawn_as_zero() -> None:
    curve = pictures.Curve(
        posts=[0, 8, 0, 4], shares=[0, 2, 0, 0], ticks=[(0, "1 May")], grain="hour"
    )
    drawn = str(pictures.draw_curve(curve))
    posts, shares = re.findall(r'class="(?:posts|shares)" d="([^"]+)"', drawn)
    heights = [float(v) for v in re.findall(r"V([\d.]+)H", posts)]
    assert heights == [84, 20, 84, 52]
    assert [float(v) for v in re.findall(r"V([\d.]+)H", shares)] == [84, 68, 84, 84]
    assert "8 / hour" in drawn


def test_the_page_fills_in_the_hours_without_a_post() -> None:
    drawn = re.findall(r'<path class="posts" d="([^"]+)"', render_report(report()))
    heights = [re.findall(r"V([\d.]+)H", outline) for outline in drawn]
    assert heights == [["84", "20", *["84"] * 22], ["84"] * 24]


def test_a_curve_without_a_post_is_flat() -> None:
    drawn = str(
        pictures.draw_curve(pictures.Curve(posts=[0, 0], shares=[0, 0], ticks=[], grain="day"))
    )
    assert {float(v) for v in re.findall(r"V([\d.]+)", drawn)} == {84}
    pictures.draw_curve(pictures.Curve(posts=[], shares=[], ticks=[], grain="day"))


def test_ticks_are_few_and_named_in_english() -> None:
    ticks = pictures.day_ticks([DAY + i * HOUR for i in range(24 * 30)])
    assert len(ticks) == 6
    assert ticks[0] == (0, "28 Apr")
    assert ticks[1] == (5 * 24, "3 May")


# The user network


def test_every_account_is_one_disc_and_every_link_one_line() -> None:
    picture = pictures.plan_users([*star("a", 4), link("b", "a")], {}, limit=600, seed=1)
    colourings: tuple[pictures.Colouring, ...] = ("community", "share")
    for colouring in colourings:
        page = Page(str(pictures.draw_users(picture, colouring)))
        assert page.count("circle") == 6
        lines = next(a["d"] or "" for t, a in page.elements if a.get("class") == "links")
        assert lines.count("M") == 5
    assert (picture.n_users, picture.n_links, picture.n_shares) == (6, 5, 5)


def test_a_great_network_is_cut_to_its_busiest_accounts() -> None:
    links = [*star("a", 50), *star("b", 30), link("z", "y", 99)]
    picture = pictures.plan_users(links, {}, limit=40, seed=1)
    assert picture.n_users == 84
    assert 0 < len(picture.users) <= 40
    assert "x:a" in picture.users
    assert "x:z" not in picture.users, "busy, but a pair on its own"
    uncut = pictures.plan_users(links, {}, limit=84, seed=1)
    assert len(uncut.users) == 84
    assert "x:z" in uncut.users


def test_counts_are_those_of_the_whole_network() -> None:
    links = [*star("a", 50), link("b", "a", 3, judged=2, false=1)]
    picture = pictures.plan_users(links, {}, limit=20, seed=1)
    at = picture.users.index("x:a")
    assert (picture.times_shared[at], picture.shares_made[at]) == (50, 3)
    assert (picture.judged[at], picture.likely_false[at]) == (2, 1)
    assert picture.n_judged == 2
    assert sum(picture.community_sizes) == 52


def test_colours_tell_community_and_likely_false_share() -> None:
    links = [
        link("a", "b", 5, 5, 5),
        link("a", "c", 5, 5, 5),
        link("d", "e", 5, 5, 0),
        link("f", "g"),
    ]
    picture = pictures.plan_users(links, {}, limit=600, seed=1)
    by_share = str(pictures.draw_users(picture, "share"))
    discs = {
        cls: group.count("<circle")
        for cls, group in re.findall(r'<g class="(\w+)">(.*?)</g>', by_share)
    }
    assert discs == {"level4": 3, "level0": 2, "unjudged": 2, "names": 0}
    by_community = Page(str(pictures.draw_users(picture, "community")))
    assert [by_community.count("g", f"group{i}") for i in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize(
    ("judged", "false", "expected"),
    [(0, 0, "unjudged"), (9, 0, "level0"), (5, 1, "level1"), (100, 99, "level4"), (3, 3, "level4")],
)
def test_the_ends_of_the_colour_scale(judged: int, false: int, expected: str) -> None:
    assert pictures.level_class(judged, false) == expected


def test_more_shared_accounts_are_greater() -> None:
    picture = pictures.plan_users([*star("a", 9), link("b", "a")], {}, limit=600, seed=1)
    drawn = str(pictures.draw_users(picture, "community"))
    radius = {name: float(r) for r, name in re.findall(r'r="([\d.]+)"><title>@(\w+):', drawn)}
    assert radius["a"] > radius["b"] > radius["a1"]


def test_a_name_is_the_handle_or_else_the_id() -> None:
    picture = pictures.plan_users([link("1", "2")], {"x:1": "ann"}, limit=9, seed=1)
    assert picture.names == ("ann", "2")


def test_no_network_is_no_error() -> None:
    picture = pictures.plan_users([], {}, limit=9, seed=0)
    assert Page(str(pictures.draw_users(picture, "share"))).count("circle") == 0


# The hashtag network


def test_hashtags_are_words_that_do_not_cover_each_other() -> None:
    tags = [spread(f"tag{i}" * (1 + i % 4), posts=1 + i * i) for i in range(40)]
    pairs = [PairRow(tags[0].hashtag, row.hashtag, 1, 1) for row in tags[1:]]
    picture = pictures.plan_tags(tags, pairs, {}, seed=1)
    page = Page(str(pictures.draw_tags(picture)))
    assert (page.count("text"), page.count("circle"), page.count("path")) == (40, 40, 39)
    gap = np.abs(picture.centres[:, None] - picture.centres[None])
    reach = (picture.boxes[:, None] + picture.boxes[None]) / 2
    covers = np.all(gap < reach - 1e-6, axis=2)
    assert covers.sum() == 40, "each covers itself only"


def test_more_used_hashtags_are_greater_and_written_as_people_write_them() -> None:
    picture = pictures.plan_tags([spread("big", 100), spread("few", 1)], [], {"big": "BiG"}, seed=1)
    assert picture.sizes[0] > picture.sizes[1]
    assert picture.labels == ("#BiG", "#few")


def test_pairs_with_hashtags_that_are_not_shown_are_left_out() -> None:
    picture = pictures.plan_tags([spread("a"), spread("b")], [PairRow("a", "c", 1, 1)], {}, seed=1)
    assert len(picture.links) == 0


def test_names_with_what_xml_does_not_take_break_no_picture() -> None:
    tags = pictures.plan_tags([spread("bell\x07")], [], {"bell\x07": "Bell\x07"}, seed=1)
    users = pictures.plan_users([link("a\x07", "b")], {"x:b": "\x1b[2J\uffff"}, limit=9, seed=1)
    for drawn in (pictures.draw_tags(tags), pictures.draw_users(users, "community")):
        words = "".join(ElementTree.fromstring(drawn).itertext())
        assert "\ufffd" in words and "\x07" not in words


@pytest.mark.parametrize("tags", [[], [spread("one")]])
def test_few_hashtags_are_no_error(tags: list[SpreadRow]) -> None:
    page = Page(str(pictures.draw_tags(pictures.plan_tags(tags, [], {}, seed=1))))
    assert page.count("text") == len(tags)


def test_wide_letters_take_more_room() -> None:
    assert pictures.label_width("漢字漢字", 10) > pictures.label_width("abcd", 10)
