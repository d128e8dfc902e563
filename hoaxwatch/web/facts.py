"""What each page says, read from the database by the functions that commands use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from graph.coordination import index_actions
from graph.followed import show_topic
from graph.lineage import DEFAULT_RULES
from hoaxwatch.report.facts import as_spread
from hoaxwatch.report.page import judgement
from hoaxwatch.web import charts
from hoaxwatch.web.network import Layouts, coordinated_accounts, network_answer
from storage import alerts, errata, labels, reads, tracking, whole_posts
from storage.database import Connection
from storage.reads import ClusterRow, TrendRow
from streams.errors import UsageError

N_RISING, N_EMERGING, N_ALERTS, N_POSTS, N_PARTNERS = 15, 8, 6, 25, 30
N_TAGS = 60
#: Clusters of fewer accounts have no names (`graph.lineage`) and are not shown.
N_IN_CLUSTER = DEFAULT_RULES.min_users
N_RUNS = 10
GOING_ON = ("open", "acknowledged", "muted")
ALERT_STATES = (*GOING_ON, "resolved", "withdrawn")
#: Curves over at most so many days begin with hours.
HOURLY_DAYS = 5


class NotThere(UsageError):
    """Somebody asks for what is not stored."""


def since_of(connection: Connection, days: int | None) -> datetime | None:
    """The last days that have posts begin then, at a full hour (None: everything)."""
    newest = None if days is None else reads.read_newest(connection)
    return (
        None if newest is None else reads.whole_hours(newest - timedelta(days=days or 0), None)[0]
    )


def read_totals(connection: Connection, days: int | None) -> dict[str, Any]:
    """How much there is in the last days that have posts. Goes through all of their posts."""
    since = since_of(connection, days)
    return {
        "counts": reads.read_period_counts(connection, since),
        "judgement": judgement(reads.read_verdict_states(connection, since)),
    }


def read_overview(connection: Connection, days: int | None) -> dict[str, Any]:
    """What rises, what emerges, what is alerted in the last days that have posts."""
    since = since_of(connection, days)
    rising = reads.read_hashtags(connection, N_RISING, since, rising=True)
    used = reads.read_hashtags(connection, N_RISING, since)
    emerging = reads.read_emerging(connection, N_EMERGING, since=since)
    keys = {row.hashtag for row in (*rising, *used)} | {row.hashtag for row in emerging}
    return {
        "since": since,
        "waiting": reads.read_waiting(connection),
        "policy": reads.read_policy(connection),
        "rising": rising,
        "used": used,
        "display": reads.read_display_forms(connection, sorted(keys)),
        "emerging": emerging,
        "leaders": reads.read_leaders(connection, emerging),
        "alerts": alerts.read_alerts(connection, ("open", "acknowledged"), None, N_ALERTS),
        "past": alerts.read_alerts(connection, ("resolved",), None, N_ALERTS),
    }


def read_buckets(
    connection: Connection,
    hashtag: str,
    grain: str,
    zone: str,
    since: datetime | None,
    until: datetime | None,
) -> list[TrendRow]:
    """A hashtag by hour (UTC) or by day of a time zone, whose days may begin within an hour: the
    period is as it is asked for."""
    if grain == "day" and zone != "UTC":
        rows = reads.read_days(connection, hashtag, zone, since, until)
        local = ZoneInfo(zone)
        return [row._replace(bucket_start=row.bucket_start.astimezone(local)) for row in rows]
    return reads.read_trends(connection, hashtag, grain, since, until)


def read_clusters(
    connection: Connection,
    hashtag: str,
    algorithm: str,
    period: reads.Period,
    min_users: int = 2,
) -> list[ClusterRow]:
    """The clusters of a hashtag in the windows that a period touches."""
    since, until = period
    return [
        row
        for row in reads.read_clusters(connection, hashtag, algorithm, min_users=min_users)
        if (until is None or row.window_start < until) and (since is None or row.window_end > since)
    ]


def read_hashtag(
    connection: Connection,
    hashtag: str,
    grain: str | None,
    zone: str,
    since: datetime | None,
    until: datetime | None,
    algorithm: str,
) -> dict[str, Any]:
    """What the tables say of a hashtag over a period. Raises NotThere."""
    asked = since, until
    since, until = reads.whole_hours(since, until)
    found = reads.read_hashtags(connection, 1, since, until, hashtag=hashtag)
    whole = found or reads.read_hashtags(connection, 1, hashtag=hashtag)
    if not whole:
        raise NotThere(f"no post with {show_topic(hashtag)} is stored in this project")
    if grain is None and found:
        span = found[0].last_seen_at - found[0].first_seen_at
        grain = "hour" if span <= timedelta(days=HOURLY_DAYS) else "day"
    grain = grain or "day"
    rows = read_buckets(connection, hashtag, grain, zone, *asked)
    of_days = reads.whole_hours_and_days(*asked, zone) if grain == "day" else None
    drawn = charts.drawn_rows(rows) if since is None else rows
    buckets = charts.fill_buckets(drawn, grain)
    partners = reads.read_pairs(connection, hashtag, since, until, N_PARTNERS)
    period = reads.Period(since, until)
    clusters = read_clusters(connection, hashtag, algorithm, period, N_IN_CLUSTER)
    events = reads.read_events(connection, hashtag, algorithm, since, until)
    last = max((row.window_start for row in clusters), default=None)
    newest = [row for row in clusters if row.window_start == last]
    co_tags = [
        (pair.hashtag_b if pair.hashtag_a == hashtag else pair.hashtag_a, pair) for pair in partners
    ]
    partner_tags = [tag for tag, _ in co_tags]
    pair_days = reads.whole_days(since, until)
    uses = reads.read_hashtags(connection, N_PARTNERS, *pair_days, among=partner_tags)
    return {
        "hashtag": hashtag,
        "grain": grain,
        "zone": zone if grain == "day" else "UTC",
        "algorithm": algorithm,
        "whole": whole[0],
        "found": found[0] if found else None,
        "n_not_drawn": sum(row.posts for row in rows)
        - sum(row.posts for row in buckets.rows if row is not None),
        "curve": charts.draw_verdicts(buckets),
        "co_tags": co_tags,
        "uses": {row.hashtag: row for row in uses},
        "hours": None if of_days in (None, (since, until)) else reads.Period(since, until),
        "pair_days": None if pair_days == (since, until) else pair_days,
        "display": reads.read_display_forms(connection, [hashtag, *partner_tags]),
        "networks": reads.read_networks(connection, hashtag),
        "n_lineages": len({row.lineage for row in clusters if row.lineage}),
        "lineages": charts.draw_lineages(clusters, events),
        "newest": newest,
        "leaders": reads.read_leaders(connection, newest),
        "events": events,
        "uncovered": [
            day
            for day in tracking.read_coverage(connection, hashtag, *pair_days)
            if not day.is_whole
        ],
    }


def read_hashtag_posts(
    connection: Connection, hashtag: str, since: datetime | None, until: datetime | None
) -> dict[str, Any]:
    """What no table says of a hashtag over a period: its accounts and the interval of its share,
    which are not sums of days, and its most shared posts. Goes through its posts."""
    return {
        "spread": next(iter(reads.read_spreads(connection, [hashtag], since, until)), None),
        "posts": reads.read_top_posts(
            connection, N_POSTS, hashtag=hashtag, since=since, until=until
        ),
    }


def read_post(connection: Connection, platform: str, post_id: str) -> dict[str, Any]:
    """A post with its path and what people said of it. Raises NotThere."""
    for post in reads.read_trace(connection, post_id):
        if post["platform"] == platform:
            said = labels.read_labels_of(connection, platform, post_id)
            wrong = errata.read_errata_of_post(connection, platform, post_id)
            key = platform, post["root_id"]
            verdicts = whole_posts.read_verdicts(connection, *key)
            return post | {
                "labels": said,
                "errata": [row._asdict() for row in wrong],
                "parts": next((v["parts"] for v in verdicts if v["counts"]), None),
                "other_verdicts": [v for v in verdicts if not v["counts"]],
                "picture_words": whole_posts.read_words_of(connection, *key),
            }
    raise NotThere(
        f"no post {platform}:{post_id} is stored in this project; it may be in quarantine, deleted,"
        " or in another project"
    )


def read_account(connection: Connection, platform: str, author_id: str) -> dict[str, Any]:
    """An account with its latest posts. Raises NotThere."""
    account = reads.read_account(connection, platform, author_id)
    if account is None:
        raise NotThere(f"no post of account {platform}:{author_id} is stored in this project")
    posts = reads.read_account_posts(connection, platform, author_id, 100)
    wrong = errata.read_errata_of_account(connection, platform, author_id)
    return account | {"latest": posts, "errata": [row._asdict() for row in wrong]}


def read_alert(connection: Connection, alert_id: int) -> dict[str, Any]:
    """An alert with where it was sent. Raises NotThere."""
    found = alerts.read_alerts(connection, alert_id=alert_id)
    if not found:
        raise NotThere(f"there is no alert {alert_id}")
    return found[0] | {"deliveries": alerts.read_deliveries(connection, alert_id)}


def read_stored(connection: Connection) -> dict[str, Any]:
    """What is stored and how it was judged. Goes through all posts."""
    return {
        "counts": reads.read_counts(connection),
        "states": reads.read_verdict_states(connection),
    }


def read_system(connection: Connection, now: datetime) -> dict[str, Any]:
    """How the pipeline does: what came, what was put aside, what runs did."""
    return {
        "waiting": reads.read_waiting(connection),
        "arrived": alerts.read_arrived(connection, now - timedelta(hours=1)),
        "policy": reads.read_policy(connection),
        "quarantine": reads.read_quarantine(connection, 20),
        "runs": reads.read_runs(connection, N_RUNS),
        "failing": alerts.read_failing_sinks(connection, now),
        "server": reads.read_server_version(connection),
    }


def read_tag_network(
    connection: Connection,
    layouts: Layouts,
    since: datetime | None,
    until: datetime | None,
    seed: int,
) -> dict[str, Any]:
    """Which hashtags stand together, among the most used."""
    rows = reads.read_hashtags(connection, N_TAGS, since, until)
    keys = [row.hashtag for row in rows]
    display = reads.read_display_forms(connection, keys)
    pairs = reads.read_pairs_among(connection, keys, since, until)
    pair_days = reads.whole_days(since, until)
    return {
        "pair_days": None if pair_days == (since, until) else pair_days,
        "tags": layouts.plan_tags([as_spread(row) for row in rows], pairs, display, seed),
        "display": display,
    }


def read_network(
    connection: Connection,
    layouts: Layouts,
    hashtag: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    seed: int,
) -> dict[str, Any]:
    """The network of who shares whom, laid out. Goes through all shares."""
    links = reads.read_links(connection, hashtag, since, until)
    picture = layouts.plan(links, limit, seed)
    users = {row.user: row for row in reads.read_users(connection, picture.users)}
    shares = reads.read_shares(connection, hashtag, since, until)
    actions = index_actions(
        [account for account, _, _ in shares],
        [content for _, content, _ in shares],
        [at_us for _, _, at_us in shares],
    )
    return network_answer(picture, links, users, coordinated_accounts(actions))


def utc_now() -> datetime:
    """Wall clock."""
    return datetime.now(UTC)
