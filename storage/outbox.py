"""Alerts that wait to be sent: taken by one sender each, stamped when every sink has them.

Each sink gets each episode of an alert once, by itself or in a digest. What a sink failed to take
waits for it, and holds up neither the other alerts nor the other sinks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row

#: A sweep holds it alone: one at a time tells stories, the next one finds what it told. Who sends
#: shares it for each message: what is sent is stamped in rows that a sweep writes too.
SWEEP_LOCK = 0x616C6572
#: Of digests: one sender at a time gathers one.
DIGEST_LOCK = 0x64696765
#: A sink that fails so often in a row is left alone until the next call.
FAILURES_IN_A_ROW = 3
#: The rule that digests are sent under.
DIGEST = "digest"


class Alert(NamedTuple):
    """What people are to be told."""

    alert_id: int
    rule: str
    subject: str
    summary: str
    evidence: Any
    #: Which time the story began anew, as far back as is looked.
    n_episodes: int = 1
    #: Names what is sent, also sent twice: this episode of this alert, a digest by its alerts.
    delivery: str = ""
    #: Where the page shows it; None: `web_address` is not set.
    link: str | None = None


class Pace(NamedTuple):
    """How many alerts go out by themselves."""

    #: In 24 hours; the others wait for a digest.
    daily_quota: int
    #: From one digest to the next.
    digest_every: timedelta
    #: Rules whose alerts go out by themselves beyond the quota.
    urgent: Sequence[str] = ()


#: Everything by itself.
AT_ONCE = Pace(1_000_000, timedelta(days=1))

Send = Callable[[Alert], None]

# When an episode began is its own; its number is another's later, as far back as is looked.
_COLUMNS = (
    "alert_id, rule, subject, summary, evidence, n_episodes, concat_ws('-', rule, alert_id,"
    " to_char(opened_at AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS')) AS delivery"
)
#: What still has to be sent, of table alerts.
MAY_GO = (
    "sent_at IS NULL AND NOT is_shadow AND NOT is_withdrawn AND resolved_at IS NULL"
    " AND (muted_until IS NULL OR muted_until <= %(now)s)"
)
# What went by itself counts from the first sink on that took it: were it the last, one that is down
# would open the way to all others.
_IS_BEGUN = (
    "EXISTS (SELECT FROM hoaxwatch.alert_deliveries d"
    " WHERE d.alert_id = a.alert_id AND d.sent_at IS NOT NULL)"
)
_IS_FULL = (
    "(SELECT count(DISTINCT d.alert_id) FROM hoaxwatch.alert_deliveries d"
    " JOIN hoaxwatch.alerts s USING (alert_id)"
    " WHERE d.sent_at > %(now)s - interval '24 hours' AND NOT s.in_digest) >= %(quota)s"
)


def send_waiting(
    connection: psycopg.Connection,
    sinks: Mapping[str, Send],
    limit: int,
    now: datetime,
    pace: Pace = AT_ONCE,
) -> int:
    """Sends up to `limit` alerts that nobody else is sending to every sink that lacks them; returns
    how many all sinks have now.

    Each is one transaction, which holds its row while it is sent: a sender that dies leaves it to
    the next one. A sweep waits for the messages that are being sent, and the next ones for it.
    Those that failed least go first, then the oldest. What was over before it could be sent, and
    what is beyond the quota, goes into a digest when one is due. An alert about a sink is not sent
    to that sink.
    """
    failures: Counter[str] = Counter()
    n_sent = 0
    tried: list[int] = []
    while len(tried) < limit:
        with connection.transaction():
            _wait_for_sweep(connection)
            alert = _take(connection, tried, now, pace)
            if alert is None:
                break
            tried.append(alert.alert_id)
            wanted = [name for name in sinks if alert.subject != f"sink:{name}"]
            n_sent += _send_one(connection, alert, sinks, wanted, failures, now)
    if now >= _next_digest(connection, pace):
        n_sent += _send_digest(connection, sinks, failures, now, pace)
    return n_sent


def _wait_for_sweep(connection: psycopg.Connection) -> None:
    """Until this transaction ends no sweep begins; one that waits comes before the next message."""
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (SWEEP_LOCK,))


def _take(
    connection: psycopg.Connection, tried: Sequence[int], now: datetime, pace: Pace
) -> Alert | None:
    """The next alert that may go out by itself, locked."""
    return (
        connection.cursor(row_factory=class_row(Alert))
        .execute(
            f"SELECT {_COLUMNS} FROM hoaxwatch.alerts a"
            f" WHERE {MAY_GO} AND over_at IS NULL AND NOT in_digest"
            " AND alert_id <> ALL (%(tried)s)"
            f" AND (rule = ANY (%(urgent)s) OR {_IS_BEGUN} OR NOT {_IS_FULL})"
            " ORDER BY tries, alert_id LIMIT 1 FOR UPDATE SKIP LOCKED".encode(),
            {
                "now": now,
                "tried": list(tried),
                "urgent": list(pace.urgent),
                "quota": pace.daily_quota,
            },
        )
        .fetchone()
    )


def _send_one(
    connection: psycopg.Connection,
    alert: Alert,
    sinks: Mapping[str, Send],
    wanted: Sequence[str],
    failures: Counter[str],
    now: datetime,
) -> bool:
    """Sends a locked alert to the sinks that lack it; returns whether all have it now."""
    have = {
        sink
        for (sink,) in connection.execute(
            "SELECT sink FROM hoaxwatch.alert_deliveries"
            " WHERE alert_id = %s AND sent_at IS NOT NULL",
            (alert.alert_id,),
        )
    }
    for name in wanted:
        if name not in have and failures[name] < FAILURES_IN_A_ROW:
            error = _try(sinks[name], alert)
            failures[name] = 0 if error is None else failures[name] + 1
            _note(connection, [alert.alert_id], name, error, now)
            have |= {name} if error is None else set()
    is_sent = have.issuperset(wanted)
    connection.execute(
        "UPDATE hoaxwatch.alerts SET sent_at = %s, tries = tries + 1 WHERE alert_id = %s",
        (now if is_sent else None, alert.alert_id),
    )
    return is_sent


def _try(send: Send, alert: Alert) -> str | None:
    """Sends; returns what went wrong, None if nothing did. A sink may fail in any way."""
    try:
        send(alert)
    except psycopg.Error:
        raise
    except Exception as error:
        # a message may hold an address with a token in it; sinks of ours say what may be shown
        return str(getattr(error, "shown", type(error).__name__))
    return None


def _note(
    connection: psycopg.Connection,
    alert_ids: Sequence[int],
    sink: str,
    error: str | None,
    now: datetime,
) -> None:
    sent_at, failing_since = (now, None) if error is None else (None, now)
    connection.execute(
        "INSERT INTO hoaxwatch.alert_deliveries AS d"
        " (alert_id, sink, sent_at, tries, failing_since, error)"
        " SELECT id, %s, %s, 1, %s, %s FROM unnest(%s::bigint[]) AS id"
        " ON CONFLICT (alert_id, sink) DO UPDATE SET sent_at = EXCLUDED.sent_at,"
        " tries = d.tries + 1, failing_since = coalesce(d.failing_since, EXCLUDED.failing_since),"
        " error = EXCLUDED.error",
        (sink, sent_at, failing_since, error, sorted(alert_ids)),
    )


def _next_digest(connection: psycopg.Connection, pace: Pace) -> datetime:
    row = connection.execute("SELECT max(sent_at) FROM hoaxwatch.alert_digests").fetchone()
    assert row is not None
    newest: datetime | None = row[0]
    return datetime.min.replace(tzinfo=UTC) if newest is None else newest + pace.digest_every


def _send_digest(
    connection: psycopg.Connection,
    sinks: Mapping[str, Send],
    failures: Counter[str],
    now: datetime,
    pace: Pace,
) -> int:
    """One message per sink about all that waits for a digest; returns how many alerts went."""
    with connection.transaction():
        _wait_for_sweep(connection)
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (DIGEST_LOCK,))
        if now < _next_digest(connection, pace):  # another sender was quicker
            return 0
        waiting = (
            connection.cursor(row_factory=class_row(Alert))
            .execute(
                f"SELECT {_COLUMNS} FROM hoaxwatch.alerts a"
                f" WHERE {MAY_GO} AND (over_at IS NOT NULL OR in_digest"
                f" OR NOT rule = ANY (%(urgent)s) AND NOT {_IS_BEGUN} AND {_IS_FULL})"
                " ORDER BY alert_id FOR UPDATE SKIP LOCKED".encode(),
                {"now": now, "urgent": list(pace.urgent), "quota": pace.daily_quota},
            )
            .fetchall()
        )
        if not waiting:
            return 0
        ids = [alert.alert_id for alert in waiting]
        have_all = [
            _digest_to(connection, name, send, waiting, failures, now)
            for name, send in sinks.items()
        ]
        connection.execute(
            "UPDATE hoaxwatch.alerts a SET tries = tries + 1, in_digest = true,"
            " sent_at = CASE WHEN (SELECT count(*) FROM hoaxwatch.alert_deliveries d"
            "   WHERE d.alert_id = a.alert_id AND d.sent_at IS NOT NULL AND d.sink = ANY (%s))"
            "   = %s THEN %s::timestamptz END WHERE alert_id = ANY (%s)",
            (list(sinks), len(sinks), now, ids),
        )
        return len(ids) if all(have_all) else 0


def _digest_to(
    connection: psycopg.Connection,
    name: str,
    send: Send,
    waiting: Sequence[Alert],
    failures: Counter[str],
    now: datetime,
) -> bool:
    """Sends a sink what it lacks; whether it has all."""
    have = connection.execute(
        "SELECT alert_id FROM hoaxwatch.alert_deliveries"
        " WHERE sink = %s AND sent_at IS NOT NULL AND alert_id = ANY (%s)",
        (name, [alert.alert_id for alert in waiting]),
    ).fetchall()
    lacking = [alert for alert in waiting if (alert.alert_id,) not in have]
    if not lacking:
        return True
    if failures[name] >= FAILURES_IN_A_ROW:
        return False
    row = connection.execute(
        "INSERT INTO hoaxwatch.alert_digests (sink, sent_at, n_alerts) VALUES (%s, %s, %s)"
        " RETURNING digest_id",
        (name, now, len(lacking)),
    ).fetchone()
    assert row is not None
    error = _try(send, digest_of(row[0], lacking))
    _note(connection, [alert.alert_id for alert in lacking], name, error, now)
    if error is not None:
        connection.execute("DELETE FROM hoaxwatch.alert_digests WHERE digest_id = %s", row)
    return error is None


def digest_of(number: int, alerts: Sequence[Alert]) -> Alert:
    """One message about many alerts.

    >>> digest_of(3, [Alert(7, "hashtag_surge", "tag:a", "#a: 60 posts", {})]).summary
    '1 alert: #a: 60 posts'
    """
    n = f"{len(alerts)} alert{'s' if len(alerts) > 1 else ''}"
    shown = "; ".join(alert.summary for alert in alerts[:5])
    names = " ".join(sorted(alert.delivery for alert in alerts))
    rest = f"; and {len(alerts) - 5} more" if len(alerts) > 5 else ""
    return Alert(
        alert_id=number,
        rule=DIGEST,
        subject=f"digest:{number}",
        summary=f"{n}: {shown}{rest}",
        evidence=[
            {"alert_id": alert.alert_id, "rule": alert.rule, "subject": alert.subject}
            | {"summary": alert.summary}
            for alert in alerts
        ],
        delivery=f"{DIGEST}-{sha256(names.encode()).hexdigest()[:16]}",
    )
