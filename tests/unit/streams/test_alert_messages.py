"""Alerts as messages by apprise, against servers that misbehave."""

from __future__ import annotations

import json
import logging
import socket
from datetime import UTC, datetime, timedelta

import pytest

from storage.alerts import SinkFact
from storage.outbox import Alert, digest_of
from streams.alerts.messages import AppriseSink, body_of, open_messages
from streams.alerts.policies import DEFAULT_POLICIES, Policies
from streams.alerts.rules import MachineFacts, watch_machinery
from streams.alerts.sending import link_of, open_sinks
from streams.alerts.sink import SinkFailed
from streams.alerts.telling import go_on
from streams.errors import UsageError
from streams.settings import read_settings
from tests.unit.streams.test_webhook import OK, Serve, hangs, says, server

EVIDENCE = {
    "measure": "accounts",
    "began_at": "2026-03-05T12:22:00+00:00",
    "at_first": {"accounts": 10},
    "now": {"accounts": 12},
    "ends": "it is over when it has not fired for 24 hours",
    "posts": [{"post": f"x:{i}", "times": 1} for i in range(7)],
    "accounts": ["x:a", "x:b"],
}
ALERT = Alert(7, "coordinated_burst", "tag:a", "#a: 12 accounts posted the same link", EVIDENCE, 2)


def sink(address: str, n_tries: int = 1) -> AppriseSink:
    """By apprise's json://, which posts to any server; with secrets in each part of it."""
    place = address.removeprefix("http://").partition("/")[0]
    return AppriseSink(
        f"json://ann:pass-hidden@{place}/hook-hidden?rto=0.5&+X-Key=key-hidden",
        timeout_seconds=2,
        pauses_seconds=(0.01,) * (n_tries - 1),
    )


def test_an_alert_is_sent_in_words() -> None:
    with server(says(OK)) as (address, requests):
        sink(address).send(ALERT._replace(link="https://page.example/alert?id=7"))
    ((headers, body),) = requests
    said = json.loads(body)
    assert said["title"] == "hoaxwatch: coordinated burst"
    assert said["message"].splitlines() == [
        "#a: 12 accounts posted the same link",
        "began 2026-03-05 12:22 UTC",
        "accounts: 10 at first, 12 now",
        "it is over when it has not fired for 24 hours",
        "posts: x:0, x:1, x:2, x:3, x:4 and 2 more",
        "accounts: x:a, x:b",
        "alert 7",
        "https://page.example/alert?id=7",
    ]
    assert headers["x-key"] == "key-hidden"


def test_alerts_about_the_machinery_are_told_in_words() -> None:
    now = datetime(2026, 3, 5, 12, 22, tzinfo=UTC)
    facts = MachineFacts(
        now=now,
        newest_at=now - timedelta(hours=3),
        n_received=10,
        n_quarantined=100,
        sinks=[SinkFact("webhook", 3, now, "answer 500")],
    )
    told = [go_on(None, firing, DEFAULT_POLICIES) for firing in watch_machinery(facts, Policies())]
    assert {line.rule for line in told} == set(Policies.WATCHED)
    for line in told:
        said = body_of(Alert(7, line.rule, line.subject, line.summary, line.evidence))
        assert said.splitlines()[:2] == [line.summary, "began 2026-03-05 12:22 UTC"]


def test_a_digest_names_its_alerts() -> None:
    digest = digest_of(3, [ALERT, ALERT._replace(alert_id=8, summary="#b: 60 posts")])
    assert body_of(digest).splitlines()[1:] == [
        "alert 7: #a: 12 accounts posted the same link",
        "alert 8: #b: 60 posts",
    ]
    assert link_of("https://page.example", digest) == "https://page.example/alerts"


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (says(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"), "answer 401"),
        (
            says(
                b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
            ),
            "answer 302",
        ),
        (says(b""), "not taken"),
        (hangs, "not taken"),
    ],
    ids=["401", "redirect", "nothing", "hang"],
)
def test_a_failure_says_why_and_no_secret(
    answer: Serve, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with server(answer) as (address, _), pytest.raises(SinkFailed) as failed:
        sink(address).send(ALERT)
    assert failed.value.shown == shown
    assert "hidden" not in f"{failed.value!r}{caplog.text}"


def test_nothing_of_a_message_that_went_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with server(says(OK)) as (address, _):
        sink(address).send(ALERT)
    assert "hidden" not in caplog.text


def test_it_tries_again() -> None:
    bad = says(b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n")
    with server(bad, hangs, says(OK)) as (address, requests):
        sink(address, n_tries=3).send(ALERT)
    assert len(requests) == 3


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SinkFailed, match="not taken"):
        sink(f"http://127.0.0.1:{port}/").send(ALERT)


def test_each_address_is_a_sink_of_its_own() -> None:
    told = "json://127.0.0.1/a xml://127.0.0.1\n json://127.0.0.1/b"
    assert list(open_messages(told)) == ["json", "xml", "json2"]


@pytest.mark.parametrize("wrong", ["hidden", "nothing://hidden", "slack://hidden", "mailto://"])
def test_an_address_that_is_none_is_named_by_its_number(
    wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UsageError, match="alert_apprise: number 2 is no address") as failed:
        open_messages(f"json://127.0.0.1 {wrong}")
    assert "hidden" not in f"{failed.value}{caplog.text}"


def test_services_that_people_use_are_known() -> None:
    told = (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
        " mailtos://ann:word@mail.example?to=bob@example.org"
        " workflows://prod.example:443/643e69ea2c9f4a7bb2e6a4d3f0c1b2a3/abcdefgh"
    )
    assert list(open_messages(told)) == ["slack", "mailtos", "workflows"]


def test_the_settings_open_them() -> None:
    settings = read_settings(alert_apprise="json://127.0.0.1/a")
    assert set(open_sinks(settings)) == {"log", "json"}
    assert "127.0.0.1" not in repr(settings.alert_apprise)
