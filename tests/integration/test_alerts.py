"""Alerts on a real database: ten invented days, and rows written by hand."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from hoaxwatch import cli
from hoaxwatch.backtest import judge_alerts, known_of, replay
from hoaxwatch.simulate import Simulated, simulate
from storage import alerts, outbox
from storage.alerts import AlertLine
from storage.database import Connection, add_payload_partitions, connect
from storage.outbox import Alert, Pace
from streams import local, steps
from streams.alerts.messages import AppriseSink
from streams.alerts.policies import DEFAULT_POLICIES, Policies
from streams.alerts.telling import sweep, watch
from streams.faults import FAIL_POINTS
from streams.records import Post
from streams.settings import read_settings
from tests.integration.test_merge import working
from tests.marker import MarkerDetector
from tests.tables import assert_same, read_tables

if TYPE_CHECKING:
    from tests.conftest import Server

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTINGS = read_settings(detector="null", batch_posts=2000)
#: Ten posts in an hour are much here.
LOW = Policies.model_validate({"hashtag_surge": {"min_posts": 20, "min_score": 6}})


@dataclass(frozen=True)
class TenDays:
    """Ten invented days with a campaign, and a database that read it."""

    world: Simulated
    dsn: str


@pytest.fixture(scope="module")
def ten_days(one_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TenDays]:
    world = simulate(tmp_path_factory.mktemp("ten_days"), 2, 10, 15_000, with_pictures=False)
    with one_server.new_database() as dsn:
        local.run(dsn, local.check_inputs(world.paths), MarkerDetector(), SETTINGS)
        yield TenDays(world, dsn)


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


def rows(connection: Connection, columns: str) -> list[Any]:
    found = connection.execute(
        f"SELECT {columns} FROM mart.alerts ORDER BY rule, subject".encode()
    ).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


# The invented days


def test_the_campaign_is_alerted_long_before_half_of_its_size(ten_days: TenDays) -> None:
    known = known_of(ten_days.world.truth)
    with connect(ten_days.dsn) as connection:
        found, period = replay(connection, DEFAULT_POLICIES)
    assert period is not None
    judged = judge_alerts(found, known, period)
    (campaign,) = judged["campaigns"]
    first = campaign["first"]["coordinated_burst"]
    assert 0 < first["share_of_final_size"] < 0.15
    assert 0 < first["hours_after_start"] < 24 < first["hours_before_half"]
    assert judged["by_rule"]["coordinated_burst"] == {"campaign": 1}
    assert judged["calm_false_a_week"] <= 1


def test_what_is_stored_is_what_a_backtest_says(ten_days: TenDays) -> None:
    with connect(ten_days.dsn) as connection:
        sweep(connection, LOW, NOW)
        stored = rows(connection, "rule, subject, opened_at, last_at")
        found, _ = replay(connection, LOW)
    latest = {(a.rule, a.subject): (a.rule, a.subject, a.at, a.until) for a in found}
    assert len(stored) > 3
    assert stored == [latest[name] for name in sorted(latest)]


def test_a_period_knows_what_was_before_it(ten_days: TenDays) -> None:
    with connect(ten_days.dsn) as connection:
        everything, period = replay(connection, LOW)
        assert period is not None
        middle = period[0] + (period[1] - period[0]) / 2
        late, late_period = replay(connection, LOW, since=middle)
        early, _ = replay(connection, LOW, until=middle)
    assert late_period == (middle, period[1])
    assert late == [alert for alert in everything if alert.at >= middle]
    assert [a.at for a in early] == [a.at for a in everything if a.at <= early[-1].at]
    assert all(alert.until <= middle for alert in early)


def test_a_sweep_again_changes_nothing(ten_days: TenDays) -> None:
    with connect(ten_days.dsn) as connection:
        sweep(connection, LOW, NOW)
        before = connection.execute("SELECT * FROM hoaxwatch.alerts ORDER BY alert_id").fetchall()
        sweep(connection, LOW, NOW + HOUR)
        after = connection.execute("SELECT * FROM hoaxwatch.alerts ORDER BY alert_id").fetchall()
    assert before == after


def test_the_order_of_files_changes_no_alert(ten_days: TenDays, one_server: Server) -> None:
    with connect(ten_days.dsn) as connection:
        sweep(connection, DEFAULT_POLICIES, NOW)
    paths = random.Random(1).sample(ten_days.world.paths, len(ten_days.world.paths))
    with one_server.new_database() as dsn:
        half = len(paths) // 2
        for part in (paths[:half], paths):  # what only half of the files bear out is taken back
            local.run(dsn, local.check_inputs(part), MarkerDetector(), SETTINGS)
        found, expected = read_tables(dsn), read_tables(ten_days.dsn)
    assert len(expected["alerts"]) > 0
    assert_same({"alerts": found["alerts"]}, {"alerts": expected["alerts"]})


KILLED = """
import sys
from datetime import UTC, datetime
from storage.database import connect
from streams.alerts.sending import AlertSender
from streams.alerts.log import LogSink
from streams.alerts.messages import AppriseSink
from streams.alerts.policies import DEFAULT_POLICIES
AlertSender(sys.argv[1], {"log": LogSink()}, DEFAULT_POLICIES, 1000)()
"""


def test_a_kill_loses_and_doubles_no_alert(ten_days: TenDays, tmp_path: Path) -> None:
    """Killed at each point in turn: the rows are those of a sweep that nobody disturbed."""
    with connect(ten_days.dsn) as connection:
        sweep(connection, DEFAULT_POLICIES, NOW)
        expected = read_tables(ten_days.dsn)["alerts"]
        connection.execute("DELETE FROM hoaxwatch.alerts")
    points = [point for point in FAIL_POINTS if point.startswith("alert.")]
    environment = {
        "HOAXWATCH_FAIL_POINTS": ",".join(points),
        "HOAXWATCH_FAIL_FOLDER": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "PATH": "",
    }
    codes, sent = [], 0
    for _ in range(len(points) + 1):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, ten_days.dsn],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        codes.append(done.returncode)
        sent += done.stdout.count("[warning  ] alert")
    assert codes == [-signal.SIGKILL] * len(points) + [0]
    kept = [i for i, name in enumerate(_columns(ten_days.dsn)) if name not in SENDING]
    found = read_tables(ten_days.dsn)["alerts"]
    told = [[tuple(row[i] for i in kept) for row in table] for table in (found, expected)]
    # rules about the machinery speak of the wall clock: these days came minutes ago
    assert told[0] == told[1]
    with connect(ten_days.dsn) as connection:
        waiting = "SELECT count(*) FROM hoaxwatch.alerts WHERE sent_at IS NULL"
        assert connection.execute(waiting).fetchone() == (0,)
        counted = connection.execute(
            "SELECT (SELECT count(*) FROM hoaxwatch.alerts WHERE NOT in_digest)"
            " + (SELECT count(*) FROM hoaxwatch.alert_digests)"
        ).fetchone()
        connection.execute("DELETE FROM hoaxwatch.alert_digests")
        connection.execute("DELETE FROM hoaxwatch.alerts")
    # once more for the kill between sending and noting it
    assert counted is not None
    assert sent == counted[0] + 1


SENDING = {"sent_at", "tries", "in_digest"}


def _columns(dsn: str) -> list[str]:
    """The compared columns of table alerts."""
    with connect(dsn) as connection:
        names = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'hoaxwatch.alerts'::regclass"
            " AND attnum > 0 ORDER BY attnum"
        ).fetchall()
    return [name for (name,) in names if name not in ("alert_id", "created_at")]


def test_evidence_shows_posts_and_accounts_that_exist(ten_days: TenDays) -> None:
    campaign = ten_days.world.truth.campaign
    assert campaign is not None
    with connect(ten_days.dsn) as connection:
        sweep(connection, DEFAULT_POLICIES, NOW)
        (alert,) = alerts.read_alerts(connection, rule="coordinated_burst")
    evidence = alert["evidence"]
    assert {account.removeprefix("x:") for account in evidence["accounts"]} <= set(
        campaign["accounts"]
    )
    planted = {f"x:{post}" for wave in campaign["waves"] for post in wave["posts"]}
    assert {post["post"] for post in evidence["posts"]} <= planted
    for key in ("began_at", "why_now", "ends", "at_first", "now", "greatest"):
        assert evidence[key]


def test_a_rule_in_the_shadow_records_and_sends_nothing(ten_days: TenDays) -> None:
    shadow = Policies.model_validate({"coordinated_burst": {"shadow": True}})
    sink = Sink()
    with connect(ten_days.dsn) as connection:
        sweep(connection, shadow, NOW)
        hidden = dict(rows(connection, "rule, is_shadow"))
        outbox.send_waiting(connection, {"log": sink}, 50, NOW, Pace(0, HOUR))
        told = connection.execute(
            "SELECT count(*) FROM hoaxwatch.alerts WHERE sent_at IS NOT NULL"
        ).fetchone()
        everything = len(rows(connection, "rule"))
        for table in ("alerts", "alert_deliveries", "alert_digests"):
            connection.execute(f"DELETE FROM hoaxwatch.{table}".encode())
    assert hidden["coordinated_burst"] is True
    assert not any(found for rule, found in hidden.items() if rule != "coordinated_burst")
    assert told == (everything - 1,)
    assert len(sink.taken) == 1  # a digest of the others


def test_a_lineage_that_is_renamed_keeps_its_alert(ten_days: TenDays) -> None:
    low = Policies.model_validate(
        {"emerging_fake_cluster": {"min_score": 0.02, "min_users": 5, "min_contents": 1}}
    )
    with connect(ten_days.dsn) as connection:
        sweep(connection, low, NOW)
        (number, subject), *_ = connection.execute(
            "SELECT alert_id, subject FROM hoaxwatch.alerts WHERE rule = 'emerging_fake_cluster'"
            " ORDER BY jsonb_array_length(evidence -> 'accounts') DESC, subject"
        ).fetchall()
        name = subject.removeprefix("lineage:")
        rename = "UPDATE hoaxwatch.clusters SET lineage = %s WHERE lineage = %s"
        before = len(rows(connection, "rule"))
        try:
            connection.execute(rename, ("other", name))
            connection.execute("UPDATE hoaxwatch.alerts SET sent_at = now()")
            sweep(connection, low, NOW)
            after = connection.execute(
                "SELECT subject, sent_at IS NOT NULL FROM hoaxwatch.alerts WHERE alert_id = %s",
                (number,),
            ).fetchall()
            assert after == [("lineage:other", True)]
            assert len(rows(connection, "rule")) == before
        finally:
            connection.execute(rename, (name, "other"))
            connection.execute("DELETE FROM hoaxwatch.alerts")


def test_what_is_deleted_leaves_the_evidence(ten_days: TenDays, one_server: Server) -> None:
    """The posts of a surge are gone: nobody was told, so the alert is gone too."""
    with one_server.new_database() as dsn:
        local.run(dsn, local.check_inputs(ten_days.world.paths), MarkerDetector(), SETTINGS)
        with connect(dsn) as connection:
            before = rows(connection, "subject")
            connection.execute("DELETE FROM hoaxwatch.content_links")
            sweep(connection, DEFAULT_POLICIES, NOW)
            assert len(rows(connection, "subject")) == len(before) - 1
            connection.execute("UPDATE hoaxwatch.alerts SET sent_at = now()")
            connection.execute("DELETE FROM hoaxwatch.hashtag_trends")
            connection.execute("DELETE FROM hoaxwatch.clusters")
            sweep(connection, DEFAULT_POLICIES, NOW)
            left = rows(connection, "state, evidence")
    assert len(left) == len(before) - 1
    assert {state for state, _ in left} == {"withdrawn"}
    assert not any({"posts", "accounts"} & evidence.keys() for _, evidence in left)


# Rows by hand


def line(subject: str, **changed: Any) -> AlertLine:
    known = AlertLine(
        rule="hashtag_surge",
        subject=subject,
        hashtag=subject.partition(":")[2],
        summary=f"{subject} is loud",
        evidence={"accounts": ["x:1"], "measure": "posts"},
        strength=1.0,
        opened_at=NOW - 3 * HOUR,
        last_at=NOW - HOUR,
        over_at=None,
        n_episodes=1,
        is_shadow=False,
    )
    return known._replace(**changed)


def tell(connection: Connection, *lines: AlertLine) -> None:
    alerts.in_one_sweep(connection, lambda cursor: alerts.tell_alerts(cursor, lines, NOW))


def look(connection: Connection, sinks: Collection[str], now: datetime = NOW) -> None:
    """At the machinery alone: no post bears out what is written by hand."""
    alerts.in_one_sweep(
        connection, lambda cursor: watch(connection, cursor, DEFAULT_POLICIES, now, sinks)
    )


class Sink:
    """Takes what it is told to; knows what it took."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.fails = False

    def __call__(self, alert: Alert) -> None:
        if self.fails:
            raise OSError("https://secret.example is down")
        self.taken.append(alert.subject)


def test_a_new_episode_is_sent_again_and_decisions_end_with_the_old_one(
    connection: Connection,
) -> None:
    sink = Sink()
    tell(connection, line("tag:a"))
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW) == 1
    ((number,),) = connection.execute("SELECT alert_id FROM hoaxwatch.alerts").fetchall()
    assert alerts.acknowledge(connection, number, "ann", NOW)
    tell(connection, line("tag:a", last_at=NOW, strength=9.0))  # the same episode goes on
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW) == 0
    assert rows(connection, "state, strength::int") == [("acknowledged", 9)]
    assert alerts.resolve(connection, number, "ann", NOW)
    assert rows(connection, "state") == ["resolved"]
    again = line("tag:a", opened_at=NOW + HOUR, last_at=NOW + HOUR, n_episodes=2)
    tell(connection, again)
    tell(connection, again)
    assert rows(connection, "state, n_episodes") == [("open", 2)]
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW) == 1
    assert sink.taken == ["tag:a", "tag:a"]
    assert not alerts.resolve(connection, number + 1, "ann", NOW)


def test_an_episode_has_one_name_that_no_other_has(connection: Connection) -> None:
    """The former one lies too far back to be counted when the hashtag is loud again."""
    names: list[str] = []

    def crashes(alert: Alert) -> None:
        names.append(alert.delivery)
        raise psycopg.OperationalError("the database went away before the commit")

    def takes(alert: Alert) -> None:
        names.append(alert.delivery)

    tell(connection, line("tag:a"))
    with pytest.raises(psycopg.OperationalError):
        outbox.send_waiting(connection, {"webhook": crashes}, 10, NOW)
    outbox.send_waiting(connection, {"webhook": takes}, 10, NOW)
    tell(connection, line("tag:a", opened_at=NOW + 2400 * HOUR, last_at=NOW + 2400 * HOUR))
    outbox.send_waiting(connection, {"webhook": takes}, 10, NOW)
    assert len(names) == 3
    assert names[0] == names[1] != names[2]


def test_a_digest_has_the_same_name_when_it_is_sent_again(connection: Connection) -> None:
    names: list[str] = []

    def takes(alert: Alert) -> None:
        names.append(alert.delivery)

    def crashes(alert: Alert) -> None:
        raise psycopg.OperationalError("the database went away before the commit")

    tell(connection, line("tag:a", over_at=NOW), line("tag:b", over_at=NOW))
    with pytest.raises(psycopg.OperationalError):
        outbox.send_waiting(connection, {"webhook": takes, "z": crashes}, 10, NOW)
    outbox.send_waiting(connection, {"webhook": takes}, 10, NOW)
    tell(connection, line("tag:c", over_at=NOW))
    outbox.send_waiting(connection, {"webhook": takes}, 10, NOW + 25 * HOUR)
    assert len(names) == 3
    assert names[0] == names[1] != names[2]


def test_a_decision_during_a_sweep_is_kept(connection: Connection, database: str) -> None:
    """The sweep saw the row as it was before: it begins again."""
    tell(connection, line("tag:a"))
    ((number,),) = connection.execute("SELECT alert_id FROM hoaxwatch.alerts").fetchall()
    n_tries = 0

    def work(cursor: Any) -> None:
        nonlocal n_tries
        n_tries += 1
        alerts.read_stored(cursor, ["hashtag_surge"])
        if n_tries == 1:
            with connect(database) as other:
                alerts.acknowledge(other, number, "ann", NOW)
        alerts.tell_alerts(cursor, [line("tag:a", strength=7.0)], NOW)

    alerts.in_one_sweep(connection, work)
    assert n_tries == 2
    assert rows(connection, "state, strength::int") == [("acknowledged", 7)]


def test_two_sweeps_at_once_come_one_after_the_other(connection: Connection, database: str) -> None:
    done: list[str] = []

    def sweep_beside() -> None:
        with connect(database) as other:
            tell(other, line("tag:a", strength=2.0))
        done.append("second")

    beside = threading.Thread(target=sweep_beside)

    def work(cursor: Any) -> None:
        beside.start()
        beside.join(0.5)
        alerts.tell_alerts(cursor, [line("tag:a")], NOW)
        done.append("first")

    alerts.in_one_sweep(connection, work)
    beside.join(20)
    assert done == ["first", "second"]
    assert rows(connection, "strength::int") == [2]


def test_a_sweep_comes_between_two_messages(connection: Connection, database: str) -> None:
    """However many are sent one after another meanwhile: each is a commit that it must not miss."""
    lines = [line(f"tag:{number:02}") for number in range(30)]
    tell(connection, *lines)
    sent: list[str] = []
    has_begun = threading.Event()

    def send(alert: Alert) -> None:
        has_begun.set()
        time.sleep(0.1)
        sent.append(alert.subject)

    def send_all() -> None:
        with connect(database) as own:
            outbox.send_waiting(own, {"webhook": send}, len(lines), NOW)

    sender = threading.Thread(target=send_all)
    sender.start()
    has_begun.wait(20)
    tell(connection, *(alert._replace(strength=2.0) for alert in lines))
    n_before = len(sent)
    sender.join(60)
    assert n_before < 25  # without a turn of its own it would be all 30
    assert sorted(sent) == [alert.subject for alert in lines]
    assert rows(connection, "strength::int") == [2] * 30


def test_two_senders_send_each_alert_once(connection: Connection, database: str) -> None:
    tell(connection, *(line(f"tag:{number}") for number in range(20)))
    sink = Sink()

    def send() -> None:
        with connect(database) as own:
            outbox.send_waiting(own, {"log": sink}, 20, NOW)

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(30)
    assert sorted(sink.taken) == sorted(f"tag:{number}" for number in range(20))


def test_shadow_muted_and_resolved_alerts_are_not_sent(connection: Connection) -> None:
    sink = Sink()
    tell(connection, line("tag:a", is_shadow=True), line("tag:b"), line("tag:c"))
    found = connection.execute("SELECT subject, alert_id FROM hoaxwatch.alerts").fetchall()
    numbers: dict[str, int] = dict(found)
    alerts.mute(connection, numbers["tag:b"], "ann", NOW + HOUR)
    alerts.resolve(connection, numbers["tag:c"], "ann", NOW)
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW) == 0
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW + 2 * HOUR) == 1
    assert sink.taken == ["tag:b"]
    assert rows(connection, "is_shadow") == [True, False, False]


def test_beyond_the_quota_and_what_is_over_goes_in_one_digest(connection: Connection) -> None:
    sink = Sink()
    pace = Pace(daily_quota=2, digest_every=24 * HOUR, urgent=["nothing_is_arriving"])
    tell(
        connection,
        *(line(f"tag:{name}") for name in "abcd"),
        line("tag:o", over_at=NOW - HOUR),
        line("posts", rule="nothing_is_arriving"),
    )
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW, pace) == 6
    assert sorted(sink.taken[:3]) == ["posts", "tag:a", "tag:b"]
    assert [taken.partition(":")[0] for taken in sink.taken[3:]] == ["digest"]
    assert sum(rows(connection, "in_digest")) == 3
    tell(connection, line("tag:e"))
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW + HOUR, pace) == 0
    assert outbox.send_waiting(connection, {"log": sink}, 10, NOW + 25 * HOUR, pace) == 1
    assert sink.taken[-1] == "tag:e"


def test_the_quota_holds_while_a_sink_fails(connection: Connection) -> None:
    """What one sink has is not held back from the other, by itself or in a digest as before."""
    log, hook = Sink(), Sink()
    hook.fails = True
    sinks = {"log": log, "webhook": hook}
    pace = Pace(daily_quota=2, digest_every=24 * HOUR)
    tell(connection, *(line(f"tag:{name}") for name in "abcde"))
    for _ in range(3):
        assert outbox.send_waiting(connection, sinks, 10, NOW, pace) == 0
    assert log.taken[:2] == ["tag:a", "tag:b"]
    assert [taken.partition(":")[0] for taken in log.taken[2:]] == ["digest"]
    hook.fails = False
    assert outbox.send_waiting(connection, sinks, 10, NOW, pace) == 2
    assert hook.taken == ["tag:a", "tag:b"]
    assert outbox.send_waiting(connection, sinks, 10, NOW + 25 * HOUR, pace) == 3
    assert [taken.partition(":")[0] for taken in hook.taken[2:]] == ["digest"]
    assert len(log.taken) == 3


def test_the_quota_holds_when_the_only_sink_comes_back(connection: Connection) -> None:
    hook = Sink()
    hook.fails = True
    pace = Pace(daily_quota=2, digest_every=24 * HOUR)
    tell(connection, *(line(f"tag:{name}") for name in "abcde"))
    for _ in range(3):
        outbox.send_waiting(connection, {"webhook": hook}, 10, NOW, pace)
    hook.fails = False
    assert outbox.send_waiting(connection, {"webhook": hook}, 10, NOW, pace) == 5
    assert [taken.partition(":")[0] for taken in hook.taken] == ["tag", "tag", "digest"]


def test_a_failing_sink_holds_up_nobody_and_is_reported(connection: Connection) -> None:
    log, hook = Sink(), Sink()
    hook.fails = True
    sinks = {"log": log, "webhook": hook}
    tell(connection, *(line(f"tag:{number}") for number in range(5)))
    for _ in range(4):
        assert outbox.send_waiting(connection, sinks, 10, NOW) == 0
    assert sorted(log.taken) == [f"tag:{number}" for number in range(5)]  # each once
    errors = connection.execute("SELECT DISTINCT error FROM hoaxwatch.alert_deliveries").fetchall()
    assert set(errors) == {(None,), ("OSError",)}  # and no address
    look(connection, sinks)
    assert "sink_failing" in rows(connection, "rule")
    outbox.send_waiting(connection, sinks, 10, NOW)
    assert log.taken[-1] == "sink:webhook"
    assert connection.execute(
        "SELECT sent_at IS NOT NULL FROM hoaxwatch.alerts WHERE rule = 'sink_failing'"
    ).fetchone() == (True,)
    hook.fails = False
    assert outbox.send_waiting(connection, sinks, 10, NOW) == 5
    assert sorted(hook.taken) == [f"tag:{number}" for number in range(5)]
    look(connection, sinks, NOW + HOUR)
    assert ("sink_failing", "resolved") in rows(connection, "rule, state")


@pytest.mark.parametrize(
    "change",
    [
        "resolved_at = now()",
        "muted_until = 'infinity'",
        "is_shadow = true",
        "is_withdrawn = true",
    ],
)
def test_what_is_sent_no_more_does_not_keep_a_sink_failing(
    connection: Connection, change: str
) -> None:
    hook = Sink()
    hook.fails = True
    tell(connection, line("tag:a"))
    for _ in range(3):
        outbox.send_waiting(connection, {"webhook": hook}, 10, NOW)
    connection.execute(f"UPDATE hoaxwatch.alerts SET {change}".encode())
    look(connection, ["webhook"])
    assert rows(connection, "rule") == ["hashtag_surge"]


def test_a_sink_that_was_taken_out_is_not_reported(connection: Connection) -> None:
    hook = Sink()
    hook.fails = True
    tell(connection, line("tag:a"))
    for _ in range(3):
        outbox.send_waiting(connection, {"log": Sink(), "webhook": hook}, 10, NOW)
    look(connection, ["log"])
    assert rows(connection, "rule") == ["hashtag_surge"]


def test_a_service_that_refuses_is_reported_without_its_address(connection: Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    told = f"json://ann:hidden@127.0.0.1:{port}/hidden"
    log, service = Sink(), AppriseSink(told, pauses_seconds=())
    sinks: dict[str, outbox.Send] = {"log": log, "json": service.send}
    tell(connection, *(line(f"tag:{number}") for number in range(3)))
    for _ in range(3):
        assert outbox.send_waiting(connection, sinks, 10, NOW) == 0
    look(connection, sinks)
    outbox.send_waiting(connection, sinks, 10, NOW)
    assert log.taken[-1] == "sink:json"
    said = rows(connection, "to_jsonb(alerts)::text")
    said += connection.execute("SELECT to_jsonb(d) FROM hoaxwatch.alert_deliveries d").fetchall()
    assert "not taken" in repr(said)
    assert "hidden" not in repr(said)


def test_a_digest_that_a_sink_fails_to_take_waits_for_it_alone(connection: Connection) -> None:
    log, hook = Sink(), Sink()
    hook.fails = True
    sinks = {"log": log, "webhook": hook}
    tell(connection, line("tag:a", over_at=NOW), line("tag:b", over_at=NOW))
    pace = Pace(10, 24 * HOUR)
    assert outbox.send_waiting(connection, sinks, 10, NOW, pace) == 0
    hook.fails = False
    assert outbox.send_waiting(connection, sinks, 10, NOW + 25 * HOUR, pace) == 2
    assert (len(log.taken), len(hook.taken)) == (1, 1)


def test_the_machinery_is_watched_by_workers_only(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO hoaxwatch.quarantine"
        " (source, position, payload_hash, reason, raw, received_at)"
        " SELECT 's', n::text, 'h', 'r', '', %s FROM generate_series(1, 30) AS n",
        (NOW - HOUR / 2,),
    )
    sweep(connection, DEFAULT_POLICIES, NOW)
    assert rows(connection, "rule") == []
    sweep(connection, DEFAULT_POLICIES, NOW, sinks=["log"])
    assert rows(connection, "rule, subject") == [("quarantine_rate", "posts")]
    sweep(connection, DEFAULT_POLICIES, NOW + HOUR, sinks=["log"])
    found = rows(connection, "rule, state, opened_at")
    assert found[0] == ("nothing_is_arriving", "open", NOW + HOUR)
    assert found[1] == ("quarantine_rate", "resolved", NOW)


def add_raw_record(connection: Connection, received_at: datetime) -> None:
    connection.execute(
        "INSERT INTO hoaxwatch.payloads (platform, post_id, payload_hash, received_at, raw)"
        " VALUES ('x', '1', 'h', %s, '')",
        (received_at,),
    )


@pytest.mark.parametrize("hours_ago", [[0.2], [0.2, 3], [3], [3, 400], [9000], []])
def test_when_the_newest_record_came(connection: Connection, hours_ago: list[float]) -> None:
    times = [NOW - hours * HOUR for hours in hours_ago]
    for received_at in times:
        add_raw_record(connection, received_at)
    arrived = alerts.read_arrived(connection, NOW - HOUR)
    n_received = sum(received_at >= NOW - HOUR for received_at in times)
    assert arrived == (max(times, default=None), n_received, 0)


def test_the_watch_goes_through_no_older_records(connection: Connection, database: str) -> None:
    """Whoever waited for the month before would wait for ever."""
    for received_at in (NOW - 30 * DAY, NOW - HOUR / 2):
        add_payload_partitions(connection, received_at)
        add_raw_record(connection, received_at)
    with connect(database) as other, other.transaction():
        other.execute("LOCK TABLE hoaxwatch.payloads_2026_03 IN ACCESS EXCLUSIVE MODE")
        connection.execute("SET lock_timeout = '2s'")
        assert alerts.read_arrived(connection, NOW - HOUR) == (NOW - HOUR / 2, 1, 0)


def test_a_span_ends_with_the_newest_post_whatever_is_counted(database: str) -> None:
    made = [
        Post(
            platform="x",
            post_id=str(number),
            root_id=str(number),
            posted_at=NOW - number * HOUR,
            text="fact",
            hashtags=("a",) if number else (),
            raw=b"%d" % number,
        )
        for number in range(100)
    ]
    with working(database) as connection:
        steps.record(connection, steps.prepare(made, NOW), MarkerDetector(), "key")
        assert alerts.read_span(connection, DAY) == (NOW - DAY, NOW)
        steps.track(connection, local.track_options(SETTINGS))
        assert alerts.read_span(connection, DAY) == (NOW - DAY, NOW)
        # what is counted may be gone already
        connection.execute("DELETE FROM hoaxwatch.posts WHERE posted_at > %s", (NOW - 5 * HOUR,))
        assert alerts.read_span(connection, DAY) == (NOW - 29 * HOUR, NOW - 5 * HOUR)
        connection.execute("DELETE FROM hoaxwatch.posts")
        assert alerts.read_span(connection, DAY) == (None, None)


def test_stories_that_lie_too_far_back_keep_no_accounts(ten_days: TenDays) -> None:
    short = DEFAULT_POLICIES.model_copy(
        update={"sending": DEFAULT_POLICIES.sending.model_copy(update={"lookback_days": 1})}
    )
    with connect(ten_days.dsn) as connection:
        sweep(connection, LOW, NOW)
        oldest = min(rows(connection, "last_at, rule, subject"))
        sweep(connection, short, NOW)
        kept = {
            (r, s): (state, e)
            for r, s, state, e in rows(connection, "rule, subject, state, evidence")
        }
        state, evidence = kept[oldest[1:]]
        assert state == "resolved"
        assert not {"posts", "accounts"} & evidence.keys()
        connection.execute("DELETE FROM hoaxwatch.alerts")


def test_when_no_post_is_left_alerts_keep_no_accounts(connection: Connection) -> None:
    tell(connection, line("tag:a"))
    sweep(connection, DEFAULT_POLICIES, NOW)
    ((state, evidence),) = rows(connection, "state, evidence")
    assert state == "resolved"
    assert not {"posts", "accounts"} & evidence.keys()


def test_a_post_dated_ahead_does_not_put_the_clock_forward(database: str) -> None:
    """Some platforms take the time that a client says; the hour of the surge still goes on."""
    calm = [("calm", NOW - n * HOUR) for n in range(1, 240)]
    loud = [("loud", NOW + timedelta(seconds=n)) for n in range(100)]
    made = [
        Post(
            platform="x",
            post_id=str(number),
            root_id=str(number),
            posted_at=at,
            text=f"post {number}",
            hashtags=(tag,),
            raw=b"%d" % number,
        )
        for number, (tag, at) in enumerate([*calm, *loud, ("calm", NOW + 20 * HOUR)])
    ]
    with local._session(database, MarkerDetector(), SETTINGS) as connection:
        steps.record(connection, steps.prepare(made, NOW), MarkerDetector(), "key")
        steps.track(connection, local.track_options(SETTINGS))
        sweep(connection, DEFAULT_POLICIES, NOW + HOUR / 3)
        assert rows(connection, "rule") == []
        sweep(connection, DEFAULT_POLICIES, NOW + HOUR)
        assert rows(connection, "rule, subject, state") == [("hashtag_surge", "tag:loud", "open")]


# The command line


def command(dsn: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(["alerts", *arguments, "--database", dsn])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_decisions_by_command(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(database) as connection:
        tell(connection, line("tag:a"))
        ((number,),) = connection.execute("SELECT alert_id FROM hoaxwatch.alerts").fetchall()
    id_ = str(number)
    assert command(database, capsys, "list")[1].count("tag:a is loud") == 1
    for arguments, state in (
        (("ack", id_, "--by", "ann"), "acknowledged"),
        (("mute", id_, "--for", "7d"), "muted"),
        (("mute", id_, "--for", "0h"), "acknowledged"),
        (("resolve", id_), "resolved"),
    ):
        code, out, _ = command(database, capsys, *arguments, "--json")
        assert (code, json.loads(out)["state"]) == (0, state)
    assert json.loads(command(database, capsys, "list", "--json")[1]) == []
    (listed,) = json.loads(command(database, capsys, "list", "--all", "--json")[1])
    shown = json.loads(command(database, capsys, "show", id_, "--json")[1])
    assert shown == listed | {"deliveries": []}
    assert "taken on" in command(database, capsys, "show", id_)[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "99"), "there is no alert 99; hoaxwatch alerts list --all"),
        (("ack", "99"), "there is no alert 99"),
        (("mute", "99"), "say how long"),
        (("mute", "99", "--for", "soon"), "no length of time; write 90m"),
        (("list", "--state", "new"), "--state 'new' is none; there are open"),
        (("list", "--rule", "x"), "--rule 'x' is none; there are emerging_fake_cluster"),
        (("backtest",), "there are no posts to replay"),
        (("backtest", "--truth", "none.zst"), "cannot read none.zst"),
        (("backtest", "--truth", __file__), "is no truth file of hoaxwatch simulate"),
        (("backtest", "--policy", "none.toml"), "cannot read the alert policies none.toml"),
        (("backtest", "--from", "2026-03-02", "--to", "2026-03-01"), "is not after"),
    ],
)
def test_mistakes_end_as_one_line(
    one_server: Server, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    with one_server.new_database() as dsn:
        code, out, err = command(dsn, capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def test_a_backtest_by_command(
    ten_days: TenDays, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    truth = ten_days.world.paths[0].parents[1] / "truth.jsonl.zst"
    code, out, _ = command(ten_days.dsn, capsys, "backtest", "--truth", str(truth), "--json")
    assert code == 0
    told = json.loads(out)
    assert {"at", "rule", "summary", "verdict"} <= told["alerts"][0].keys()
    assert told["judged"]["campaigns"][0]["first"]["coordinated_burst"]["share_of_final_size"] < 0.5
    policy = tmp_path / "p.toml"
    policy.write_text("[coordinated_burst]\nmin_accounts = 1000\n")
    _, out, _ = command(ten_days.dsn, capsys, "backtest", "--policy", str(policy), "--json")
    assert "coordinated_burst" not in {alert["rule"] for alert in json.loads(out)["alerts"]}


def test_the_test_alert(
    one_server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = command("postgresql://nobody@nowhere/none", capsys, "test", "--json")
    assert (code, json.loads(out)) == (0, [{"sink": "log", "error": None}])
    monkeypatch.setenv("HOAXWATCH_ALERT_WEBHOOK", "http://127.0.0.1:1/hook?token=hidden")
    code, _, err = command("postgresql://nobody@nowhere/none", capsys, "test")
    assert code == 2
    assert "HOAXWATCH_ALERT_WEBHOOK_SECRET" in err
    monkeypatch.setenv("HOAXWATCH_ALERT_WEBHOOK_SECRET", "key")
    code, out, err = command("postgresql://nobody@nowhere/none", capsys, "test")
    assert (code, "no connection" in out) == (3, True)
    assert "hidden" not in out + err
